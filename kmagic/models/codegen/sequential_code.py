"""A plain stack as the list of its layers, for ``keras.Sequential``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from kmagic.language.spec import (
    BlockSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    LayerSpec,
    MergeSpec,
    NestedSpec,
    Ref,
    RepeatSpec,
    ResidualSpec,
    Statement,
    Word,
)
from kmagic.models.codegen.code_scope import Scope, Tensor
from kmagic.models.codegen.code_writer import Writer
from kmagic.models.codegen.program_state import Count
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Call,
    Code,
    Comprehension,
    Display,
    Item,
    Line,
    Loop,
    Stmt,
    call,
)
from kmagic.models.codegen.step_source import Made
from kmagic.models.codegen.value_source import Unstructured

MOST_ON_A_LINE = 2
"""More layers than this stand on a line each."""


@dataclass(frozen=True, slots=True)
class One:
    """A layer."""

    code: Code


@dataclass(frozen=True, slots=True)
class Many:
    """A call that gives a list of layers."""

    code: Code


@dataclass(frozen=True, slots=True)
class Before:
    """A line that is needed before the layers that follow."""

    line: Stmt


@dataclass(frozen=True, slots=True)
class Turns:
    """Layers that are repeated."""

    name: str
    series: Code
    inner: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """All layers so far are frozen: so many."""

    count: int


Piece: TypeAlias = One | Many | Before | Turns | Frozen


class Stack(Writer):
    """Collects the layers of statements, in their order."""

    def pieces(self, statements: tuple[Statement, ...]) -> list[Piece]:
        """The layers of statements and what belongs to them."""
        return [piece for statement in statements for piece in self._pieces(statement)]

    def _pieces(self, statement: Statement) -> list[Piece]:
        match statement:
            case LayerSpec():
                return self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
                return []
            case NestedSpec():
                with self.writing() as written:
                    self.state.write_model(self.state, statement)
                return [Before(each) for each in written]
            case RepeatSpec():
                return self._repeat(self.count(statement.times), statement.body)
            case ForSpec():
                series, values = self.for_turns(statement)
                with self.loop_name(statement.name) as name:
                    inner = self.turns(
                        statement.name, values, lambda: tuple(self.pieces(statement.body))
                    )
                return [Turns(name, series, inner)] if inner else []
            case ResidualSpec():
                return self.pieces(statement.body)
            case MergeSpec():
                bodies = [each for branch in statement.branches for each in branch.body]
                last = LayerSpec(statement.callee, statement.args, span=statement.callee.span)
                return self.pieces((*bodies, last))
            case FreezeSpec():
                return self._freeze(statement)
            case _:
                return []

    def _repeat(self, count: Count, body: tuple[Statement, ...]) -> list[Piece]:
        if count.known == 0:
            return []
        inner = self.turns(None, [None], lambda: tuple(self.pieces(body)))
        if count.known == 1:
            return [*inner]
        return [Turns("_", call("range", count.code), inner)] if inner else []

    def _step(self, spec: LayerSpec) -> list[Piece]:
        if spec.times is not None:
            count = self.count(spec.times)
            if count.known != 1:
                return self._repeat(count, (replace(spec, times=None),))
        scope, callee = self.scope, spec.callee
        word = callee.text if isinstance(callee, Word) else ""
        if word in scope.blocks:
            block, home = scope.blocks[word]
            code, _ = self.block_call(block, home, spec, [])
            return [Many(code)]
        if word in scope.models:
            made: Made | None = scope.models[word]
        else:
            name = spec.targets[0] if scope.names_layers and len(spec.targets) == 1 else None
            found = scope.value(callee) if isinstance(callee, Expr) else callee
            made = self.steps.make(found, scope.args(spec.args), name, spec.span)
        held, lines = self.held(spec, made or Made(Atom("...")))
        return [*map(Before, lines), One(held.code)]

    def _freeze(self, spec: FreezeSpec) -> list[Piece]:
        lines: list[Piece] = []
        for arg in spec.args:
            value = arg.value
            name = value.name if isinstance(value, Ref) else getattr(value, "text", "")
            lines.append(Before(Line("", self.scope.layer(name).code, ".trainable = False")))
        if spec.args:
            return lines
        if not self.scope.in_model:
            raise Unstructured  # it means the layers outside of the block, too
        return [Frozen(self.state.frozen.get(spec.span, 0))]

    # --- layout -------------------------------------------------------------------------------

    def block_body(
        self,
        block: BlockSpec,
        scope: Scope,
        inputs: int,  # noqa: ARG002 - a list of layers has none
    ) -> tuple[list[Item], list[Stmt], list[Tensor]]:
        """A function that returns a list of layers."""
        pieces = self.pieces(block.body)
        lines, layers = self.laid_out(pieces)
        return [], [*scope.frame.defs, *lines, Line("return ", layers)], []

    def laid_out(self, pieces: list[Piece], name: str = "stack") -> tuple[list[Stmt], Code]:
        """The lines that make a stack's list, and the list."""
        if all(map(_is_plain, pieces)):
            lines = [piece.line for piece in pieces if isinstance(piece, Before)]
            if len(pieces) - len(lines) == 1 and isinstance(pieces[-1], Many):
                return lines, pieces[-1].code
            return lines, _list(pieces)
        var = self.scope.frame.fresh(name)
        lines = _grown(pieces, var, started=False, skip=_begins_with_input(pieces))
        self.scope.frame.free(var)
        return lines, Atom(var)


def _is_plain(piece: Piece) -> bool:
    if isinstance(piece, Turns):
        return len(piece.inner) == 1 and isinstance(piece.inner[0], One)
    return True


def _list(pieces: list[Piece]) -> Code:
    items: list[Item] = []
    for piece in pieces:
        match piece:
            case One():
                items.append(Item(piece.code))
            case Many():
                items.append(Item(piece.code, "*"))
            case Turns(inner=(One(code=code),)):
                items.append(Item(Comprehension(code, piece.name, piece.series), "*"))
            case _:
                pass
    if len(items) == 1 and isinstance(items[0].value, Comprehension):
        return items[0].value
    return Display("[]", tuple(items), tall=len(items) > MOST_ON_A_LINE)


def _begins_with_input(pieces: list[Piece]) -> bool:
    first = next((each for each in pieces if isinstance(each, One)), None)
    return (
        first is not None
        and isinstance(first.code, Call)
        and first.code.function == Atom("keras.Input")
    )


def _grown(pieces: list[Piece], var: str, *, started: bool, skip: bool = False) -> list[Stmt]:
    """A list that grows line by line, since loops make some of its layers."""
    lines: list[Stmt] = []
    chunk: list[Piece] = []

    def flush() -> None:
        nonlocal started
        if not started:
            lines.append(Assign(var, _list(chunk)))
        elif len(chunk) == 1 and isinstance(chunk[0], One):
            lines.append(Line("", call(f"{var}.append", chunk[0].code)))
        elif len(chunk) == 1 and isinstance(chunk[0], Many):
            lines.append(Line(f"{var} += ", chunk[0].code))
        elif chunk:
            lines.append(Line(f"{var} += ", _list(chunk)))
        started = True
        chunk.clear()

    for piece in pieces:
        match piece:
            case Before():
                if chunk:
                    flush()
                lines.append(piece.line)
            case Turns() if not _is_plain(piece):
                flush()
                inner = _grown([*piece.inner], var, started=True)
                lines.append(Loop(piece.name, piece.series, tuple(inner)))
            case Frozen():
                flush()
                body = (Line("layer.trainable = False"),)
                lines.append(Loop("layer", Atom(f"{var}[1:]" if skip else var), body))
            case _:
                chunk.append(piece)
    if chunk or not started:
        flush()
    return lines
