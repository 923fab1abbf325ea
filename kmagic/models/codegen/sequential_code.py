"""A plain stack as the list of its layers, for ``keras.Sequential``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from kmagic.language.spec import (
    BlockSpec,
    ForSpec,
    FreezeSpec,
    LayerSpec,
    MergeSpec,
    NestedSpec,
    RepeatSpec,
    ResidualSpec,
    Statement,
    Word,
)
from kmagic.models.codegen.code_scope import CodeScope, TensorCode, Unstructured
from kmagic.models.codegen.code_writer import CodeWriter
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Call,
    Code,
    CodeLine,
    Collection,
    Comprehension,
    ForLoop,
    Item,
    SourceStatement,
    call,
)
from kmagic.models.codegen.value_source import RepeatCount

_MAX_ON_ONE_LINE = 2
"""With more layers, each is on its own line."""


@dataclass(frozen=True, slots=True)
class OneLayer:
    """A layer."""

    code: Code


@dataclass(frozen=True, slots=True)
class LayerList:
    """A call that returns a list of layers."""

    code: Code


@dataclass(frozen=True, slots=True)
class LineBefore:
    """A line that is needed before the layers that follow."""

    line: SourceStatement


@dataclass(frozen=True, slots=True)
class RepeatedLayers:
    """Layers in a loop."""

    name: str
    iterable: Code
    inner: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class FreezePoint:
    """All layers so far are frozen: this many."""

    count: int


Piece: TypeAlias = OneLayer | LayerList | LineBefore | RepeatedLayers | FreezePoint


class SequentialWriter(CodeWriter):
    """Collects the layers of statements in order."""

    def pieces(self, statements: tuple[Statement, ...]) -> list[Piece]:
        """The layers of statements, and the lines that they need."""
        return [piece for statement in statements for piece in self._pieces(statement)]

    def _pieces(self, statement: Statement) -> list[Piece]:
        match statement:
            case LayerSpec():
                return self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
                return []
            case NestedSpec():
                with self.separate_body() as lines:
                    self.state.write_nested(self.state, statement)
                return [*map(LineBefore, lines)]
            case RepeatSpec():
                return self._repeat(self.state.count(statement.times), statement.body)
            case ForSpec():
                iterable, values = self.loop_values(statement)
                with self.loop_variable(statement.name) as name:
                    inner = self.loop_body(
                        statement.name, values, lambda: tuple(self.pieces(statement.body))
                    )
                return [RepeatedLayers(name, iterable, inner)] if inner else []
            case ResidualSpec():
                return self.pieces(statement.body)
            case MergeSpec():
                bodies = [each for branch in statement.branches for each in branch.body]
                last = LayerSpec(statement.callee, statement.args, span=statement.callee.span)
                return self.pieces((*bodies, last))
            case FreezeSpec(args=()) if not self.scope.in_model:
                raise Unstructured  # it freezes the layers outside the block, too
            case FreezeSpec(args=()):
                return [FreezePoint(self.state.frozen[statement.span])]
            case FreezeSpec():
                return [*map(LineBefore, self.freeze_by_name(statement))]
            case _:
                return []

    def _repeat(self, count: RepeatCount, body: tuple[Statement, ...]) -> list[Piece]:
        if count.known == 0:
            return []
        inner = self.loop_body(None, [None], lambda: tuple(self.pieces(body)))
        if count.known == 1:
            return [*inner]
        return [RepeatedLayers("_", call("range", count.code), inner)] if inner else []

    def _step(self, spec: LayerSpec) -> list[Piece]:
        if spec.times is not None:
            count = self.state.count(spec.times)
            if count.known != 1:
                return self._repeat(count, (replace(spec, times=None),))
        scope, callee = self.scope, spec.callee
        word = callee.text if isinstance(callee, Word) else ""
        if word in scope.blocks:
            block, home = scope.blocks[word]
            code, _ = self.block_call(block, home, spec, [])
            return [LayerList(code)]
        is_known = spec.reuse or word in scope.models
        made = scope.layer(word) if is_known else self.step_code(spec)
        step, lines = self.keep_layer(spec, made)
        return [*map(LineBefore, lines), OneLayer(step.code)]

    # --- layout -------------------------------------------------------------------------------

    def block_body(
        self,
        block: BlockSpec,
        scope: CodeScope,
        inputs: int,  # noqa: ARG002 - a list of layers has none
    ) -> tuple[list[Item], list[SourceStatement], list[TensorCode]]:
        """A function that returns a list of layers."""
        lines, layers = self.laid_out(self.pieces(block.body))
        return [], [*scope.frame.functions, *lines, CodeLine("return ", layers)], []

    def laid_out(self, pieces: list[Piece]) -> tuple[list[SourceStatement], Code]:
        """The lines that create a stack's list, and the list."""
        if all(map(_fits_in_list, pieces)):
            lines = [piece.line for piece in pieces if isinstance(piece, LineBefore)]
            if len(pieces) - len(lines) == 1 and isinstance(pieces[-1], LayerList):
                return lines, pieces[-1].code
            return lines, _list(pieces)
        variable = self.scope.frame.new_name("stack")
        first = next((piece for piece in pieces if isinstance(piece, OneLayer)), None)
        code = first.code if first is not None else None
        has_input = isinstance(code, Call) and code.function == Atom("keras.Input")
        lines = _ListLines(variable, has_input=has_input).write(pieces)
        self.scope.frame.release(variable)
        return lines, Atom(variable)


def _fits_in_list(piece: Piece) -> bool:
    if isinstance(piece, RepeatedLayers):
        return len(piece.inner) == 1 and isinstance(piece.inner[0], OneLayer)
    return True


def _list(pieces: list[Piece]) -> Code:
    items: list[Item] = []
    for piece in pieces:
        match piece:
            case OneLayer():
                items.append(Item(piece.code))
            case LayerList():
                items.append(Item(piece.code, "*"))
            case RepeatedLayers(inner=(OneLayer(code=code),)):
                items.append(Item(Comprehension(code, piece.name, piece.iterable), "*"))
            case _:
                pass
    if len(items) == 1 and isinstance(items[0].value, Comprehension):
        return items[0].value
    return Collection("[]", tuple(items), tall=len(items) > _MAX_ON_ONE_LINE)


class _ListLines:
    """The lines of a list that grows step by step, because loops create some of its layers."""

    def __init__(self, variable: str, *, has_input: bool = False, exists: bool = False) -> None:
        self.variable, self.has_input, self.exists = variable, has_input, exists
        self.lines: list[SourceStatement] = []
        self.chunk: list[Piece] = []

    def write(self, pieces: list[Piece]) -> list[SourceStatement]:
        for piece in pieces:
            match piece:
                case LineBefore():
                    if self.chunk:
                        self._flush()
                    self.lines.append(piece.line)
                case RepeatedLayers() if not _fits_in_list(piece):
                    self._flush()
                    inner = _ListLines(self.variable, exists=True).write([*piece.inner])
                    self.lines.append(ForLoop(piece.name, piece.iterable, tuple(inner)))
                case FreezePoint():
                    self._flush()
                    layers = f"{self.variable}[1:]" if self.has_input else self.variable
                    self.lines.append(freeze_loop(Atom(layers)))
                case _:
                    self.chunk.append(piece)
        if self.chunk or not self.exists:
            self._flush()
        return self.lines

    def _flush(self) -> None:
        match self.chunk:
            case _ if not self.exists:
                self.lines.append(Assign(self.variable, _list(self.chunk)))
            case []:
                pass
            case [OneLayer(code=code)]:
                self.lines.append(CodeLine("", call(f"{self.variable}.append", code)))
            case [LayerList(code=code)]:
                self.lines.append(CodeLine(f"{self.variable} += ", code))
            case _:
                self.lines.append(CodeLine(f"{self.variable} += ", _list(self.chunk)))
        self.exists = True
        self.chunk = []


def freeze_loop(layers: Code) -> ForLoop:
    """The loop that freezes layers."""
    return ForLoop("layer", layers, (CodeLine("layer.trainable = False"),))
