"""A model's statements as Keras code: a list of layers, or functional code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from kmagic.language.graph import BlockUse
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    CompileSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    HeadSpec,
    Index,
    InnerLayer,
    InputsSpec,
    LayerSpec,
    MappingValue,
    MergeSpec,
    NestedSpec,
    NotebookValue,
    Object,
    OutputSpec,
    Ref,
    RepeatSpec,
    ResidualSpec,
    SequenceValue,
    Statement,
    Value,
    Word,
    plain_value,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.flat_spec import FlatStep
from kmagic.models.codegen.program_state import (
    CodeFrame,
    CodeScope,
    ProgramState,
    RepeatCount,
    StepCode,
    TensorCode,
    Unstructured,
    python_name,
)
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Call,
    Code,
    CodeLine,
    Collection,
    Comprehension,
    ForLoop,
    FunctionDef,
    Item,
    Join,
    SourceStatement,
    call,
    entry,
    list_of,
    literal,
    one_line,
)

T = TypeVar("T")


class CodeWriter:
    """One way to write a model's statements; all writers of a program share its state."""

    def __init__(self, state: ProgramState) -> None:
        self.state, self.context = state, state.context

    @property
    def scope(self) -> CodeScope:
        """The scope that is being written."""
        return self.state.scope

    # --- tensors ------------------------------------------------------------------------------

    def current_tensors(self, value: Value) -> tuple[TensorCode, ...] | None:
        """What ``_`` or ``_in`` stands for, or None if the value is neither."""
        if isinstance(value, Word) and value.text in ("_", "_in"):
            return self.scope.current if value.text == "_" else self.scope.entry
        return None

    def call_inputs(self, args: tuple[Arg, ...]) -> tuple[list[Code], list[Item]]:
        """What is right of an arrow: the tensors, and the arguments by name."""
        positional: list[Code] = []
        for arg in args:
            if arg.name is None:
                several = self.current_tensors(arg.value)
                positional += (
                    [self.tensor(arg.value)]
                    if several is None
                    else [output.code for output in several]
                )
        named = [
            Item(self.tensor(arg.value), f"{arg.name}=") for arg in args if arg.name is not None
        ]
        return positional, named

    def ends(self, entries: tuple[Arg, ...]) -> Code | None:
        """The structure of a model's inputs or outputs by its line, or None without one."""
        if not entries:
            return None
        named = [(arg.name, arg.value) for arg in entries if arg.name is not None]
        return self._dictionary(named) if named else one_or_list(self.call_inputs(entries)[0])

    def tensor(self, value: Value) -> Code:
        """A tensor, a structure of tensors, or a plain value."""
        match value:
            case Word(text="_" | "_in"):
                return one_or_list([output.code for output in self.current_tensors(value) or ()])
            case Word():
                return self.scope.tensors[value.text].code
            case Index():
                return self._indexed(value)
            case SequenceValue():
                items = tuple(Item(self.tensor(item)) for item in value.items)
                return Collection("[]" if value.kind == "list" else "()", items)
            case MappingValue():
                return self._dictionary(
                    (key.text if isinstance(key, Word) else getattr(key, "value", ""), item)
                    for key, item in value.entries
                )
            case _:
                return self.state.value_code(self.scope.value(value))

    def _dictionary(self, entries: Iterable[tuple[Any, Value]]) -> Code:
        return Collection("{}", tuple(entry(key, self.tensor(item)) for key, item in entries))

    def _indexed(self, value: Index) -> Code:
        path = value.path
        if value.name not in ("_", "_in"):
            return part_of(self.scope.tensors[value.name], path)
        several = self.scope.current if value.name == "_" else self.scope.entry
        base = several[0]
        if len(several) > 1 and isinstance(path[0], int) and path[0] < len(several):
            base, path = several[path[0]], path[1:]
        return part_of(base, path)

    # --- steps --------------------------------------------------------------------------------

    def step_code(self, spec: LayerSpec, *, is_named: bool = True) -> StepCode:
        """What a step of Keras or of the notebook applies; ``...`` after a mistake."""
        scope, name = self.scope, None
        if isinstance(spec, FlatStep) and spec.node is not None:
            self.context.enter(spec.node)
            name = spec.node.name
        elif is_named and scope.names_layers and len(spec.targets) == 1:
            name = spec.targets[0]
        callee = scope.value(spec.callee) if isinstance(spec.callee, Expr) else spec.callee
        step = self.state.step(callee, scope.args(spec.args), name, spec.span)
        return step or StepCode(Atom("..."))

    def keep_layer(self, spec: LayerSpec, step: StepCode) -> tuple[StepCode, list[SourceStatement]]:
        """A layer in its own variable if it is used again, and the lines for that."""
        scope = self.scope
        lines: list[SourceStatement] = []
        reused = [target for target in spec.targets if target in scope.layer_variables]
        if step.is_new and (reused or step.adapt is not None):
            variable = (
                scope.layer_variables[reused[0]] if reused else scope.frame.new_name(step.base_name)
            )
            lines.append(Assign(variable, step.code))
            if step.adapt is not None:
                lines.append(CodeLine("", call(f"{variable}.adapt", step.adapt)))
            step = replace(step, code=Atom(variable), is_new=False)
        if not step.is_function:
            scope.layers |= dict.fromkeys(reused, step)
        return step, lines

    def freeze_by_name(self, spec: FreezeSpec) -> list[SourceStatement]:
        """The lines that freeze the layers and models that a ``freeze`` line names."""
        lines: list[SourceStatement] = []
        for arg in spec.args:
            value = arg.value
            name = value.name if isinstance(value, Ref) else getattr(value, "text", "")
            lines.append(CodeLine("", self.scope.layer(name).code, ".trainable = False"))
        return lines

    # --- blocks -------------------------------------------------------------------------------

    def block_call(
        self, block: BlockSpec, home: CodeScope, spec: LayerSpec, inputs: list[Code]
    ) -> tuple[Code, list[TensorCode]]:
        """A use of a block: the call of its function, and what it returns."""
        given = self._block_arguments(block, spec)
        values = {name: plain_value(value) for name, value, _ in given}
        outer = self.scope
        scope = self._block_scope(block, home, values, spec)
        self.state.scope = scope
        self.context.trail = scope.trail
        try:
            params, body, outs = self.block_body(block, scope, len(inputs))
        finally:
            self.state.scope = outer
            self.context.trail = outer.trail
        defaults = self._defaults(block, {*home.renames, *scope.renames})
        for param in block.params:
            name = scope.renames[param.name]
            default = defaults.get(param.name)
            params.append(Item(Atom(name)) if default is None else Item(default, f"{name}="))
        function = home.frame.define(FunctionDef(block.name, tuple(params), tuple(body)))
        args = [*map(Item, inputs)]
        is_positional = True
        for name, value, by_name in given:
            if by_name is None and name in defaults:
                is_positional = False
                continue
            is_positional = is_positional and by_name is False
            code = self.state.value_code(value, self.state.roles.get(id(value), "any"))
            args.append(Item(code, "" if is_positional else f"{scope.renames[name]}="))
        return Call(Atom(function), tuple(args)), outs

    def block_body(
        self, block: BlockSpec, scope: CodeScope, inputs: int
    ) -> tuple[list[Item], list[SourceStatement], list[TensorCode]]:
        """A block's function: its parameters for tensors, its body, and what it returns."""
        raise NotImplementedError

    def _block_arguments(
        self, block: BlockSpec, spec: LayerSpec
    ) -> list[tuple[str, Any, bool | None]]:
        """Parameter, value, and whether it is passed by name; None for a default."""
        given: dict[str, tuple[Any, bool | None]] = {}
        names = iter([param.name for param in block.params])
        for arg in spec.args:
            name = arg.name or next(name for name in names if name not in given)
            given[name] = self.scope.value(arg.value), arg.name is not None
        for param in block.params:
            if param.name not in given and param.default is not None:
                given[param.name] = self.scope.value(param.default), None
        return [(param.name, *given[param.name]) for param in block.params]

    def _block_scope(
        self, block: BlockSpec, home: CodeScope, values: dict[str, Any], spec: LayerSpec
    ) -> CodeScope:
        own_names = {param.name for param in block.params}
        outside = {own for name, own in home.renames.items() if name not in own_names}
        frame = CodeFrame(home.frame.common | outside)
        scope = CodeScope(
            frame,
            {**home.env, **values},
            renames=dict(home.renames),
            blocks=dict(home.blocks),
            models=dict(home.models),
            trail=(*self.scope.trail, BlockUse(block.name, spec.span, spec)),
            names_layers=False,
            in_model=False,
        )
        for param in block.params:
            own = python_name(param.name)
            scope.renames[param.name] = frame.new_name(own if own not in frame.taken else f"{own}_")
        scope.declare(block.body)
        scope.choose_flow()
        return scope

    def _defaults(self, block: BlockSpec, bound: set[str]) -> dict[str, Code]:
        """The defaults that a Python function can have: those that do not depend on its use."""
        defaults: dict[str, Code] = {}
        for param in block.params:
            value = param.default
            if value is None:
                continue
            needs = spec_survey.free_names(value)
            if isinstance(value, Object | InnerLayer) or needs & bound or needs - {*self.scope.env}:
                return {}
            defaults[param.name] = self.state.value_code(self.scope.value(value))
        return defaults

    # --- loops --------------------------------------------------------------------------------

    def loop_values(self, spec: ForSpec) -> tuple[Code, list[Any]]:
        """What a ``for`` line runs over as source, and its values."""
        values = [self.scope.value(value) for value in spec.values]
        first = values[0]
        if (
            len(values) == 1
            and isinstance(first, NotebookValue)
            and not isinstance(first.value, str)
        ):
            with suppress(TypeError):  # a single value, which cannot be iterated
                return self.state.value_code(first), [*first.value]
        return list_of(map(self.state.value_code, values)), list(map(plain_value, values))

    @contextmanager
    def loop_variable(self, name: str) -> Iterator[str]:
        """The variable of a ``for`` line while its body is written."""
        scope = self.scope
        env, renames = scope.env, scope.renames
        own = python_name(name)
        if renames.get(name) != own:
            own = scope.frame.new_name(own)
        scope.renames = {**renames, name: own}
        yield own
        scope.env, scope.renames = env, renames

    def loop_body(
        self, name: str | None, values: list[Any], write: Callable[[], tuple[T, ...]]
    ) -> tuple[T, ...]:
        """A loop's body; it must be the same for each of the loop's values."""
        scope = self.scope
        outer, scope.names_layers = scope.names_layers, False
        bodies = []
        before = self._saved()
        after = before
        for value in values if name else [None]:
            self._restore(before)
            if name:
                scope.env = {**scope.env, name: value}
            bodies.append(write())
            after = self._saved() if len(bodies) == 1 else after
        self._restore(after)
        scope.names_layers = outer
        if any(body != bodies[0] for body in bodies[1:]):
            raise Unstructured
        return bodies[0] if bodies else ()

    def _saved(self) -> tuple[CodeScope, set[str]]:
        """A copy of the scope, and the variables that are taken."""
        scope = copy(self.scope)
        scope.tensors, scope.layers = dict(scope.tensors), dict(scope.layers)
        scope.models, scope.blocks = dict(scope.models), dict(scope.blocks)
        return scope, set(scope.frame.taken)

    def _restore(self, state: tuple[CodeScope, set[str]]) -> None:
        saved, taken = state
        self.scope.tensors, self.scope.layers = dict(saved.tensors), dict(saved.layers)
        self.scope.models, self.scope.blocks = dict(saved.models), dict(saved.blocks)
        self.scope.current, self.scope.entry = saved.current, saved.entry
        self.scope.frame.taken = set(taken)

    @contextmanager
    def separate_body(self) -> Iterator[list[SourceStatement]]:
        """Statements written meanwhile go to a list of their own."""
        scope = self.scope
        outer, scope.body = scope.body, []
        yield scope.body
        scope.body = outer


def part_of(tensor: TensorCode, path: tuple[int | str, ...]) -> Code:
    """One of several outputs."""
    code = tensor.code
    for depth, key in enumerate(path):
        own = tensor.keys[key] if not depth and tensor.keys and isinstance(key, int) else key
        code = Join((code, Atom(f"[{one_line(literal(own))}]")))
    return code


def one_or_list(codes: list[Code]) -> Code:
    """A list, or its only element."""
    return codes[0] if len(codes) == 1 else list_of(codes)


_MAX_ON_ONE_LINE = 2
"""With more layers, each is on its own line."""


@dataclass(frozen=True, slots=True)
class RepeatedLayers:
    """Layers in a loop."""

    name: str
    iterable: Code
    inner: tuple[Piece, ...]

    @property
    def comprehension(self) -> Comprehension | None:
        """The loop as a list comprehension, if it contains a single layer."""
        match self.inner:
            case (Item(value=code, prefix=""),):
                return Comprehension(code, self.name, self.iterable)
        return None


@dataclass(frozen=True, slots=True)
class FreezePoint:
    """All layers so far are frozen: this many."""

    count: int


Piece: TypeAlias = Item | SourceStatement | RepeatedLayers | FreezePoint
"""A layer, a list of layers (with ``*``), or a line that is needed before the next layers."""


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
                return [*lines]
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
                bodies = [inner for branch in statement.branches for inner in branch.body]
                last = LayerSpec(statement.callee, statement.args, span=statement.callee.span)
                return self.pieces((*bodies, last))
            case FreezeSpec(args=()) if not self.scope.in_model:
                raise Unstructured  # it freezes the layers outside the block, too
            case FreezeSpec(args=()):
                return [FreezePoint(self.state.frozen[statement.span])]
            case FreezeSpec():
                return [*self.freeze_by_name(statement)]
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
            return [Item(code, "*")]
        is_known = spec.reuse or word in scope.models
        made = scope.layer(word) if is_known else self.step_code(spec)
        step, lines = self.keep_layer(spec, made)
        return [*lines, Item(step.code)]

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
        layers = [piece for piece in pieces if isinstance(piece, Item)]
        if all(not isinstance(piece, RepeatedLayers) or piece.comprehension for piece in pieces):
            kinds = Item | RepeatedLayers | FreezePoint
            lines = [piece for piece in pieces if not isinstance(piece, kinds)]
            is_call = len(pieces) - len(lines) == 1 and layers and layers[0].prefix
            return lines, layers[0].value if is_call else _list(pieces)
        variable = self.scope.frame.new_name("stack")
        first = layers[0].value if layers else None
        has_input = isinstance(first, Call) and first.function == Atom("keras.Input")
        lines = _ListLines(variable, has_input=has_input).write(pieces)
        self.scope.frame.release(variable)
        return lines, Atom(variable)


def _list(pieces: list[Piece]) -> Code:
    items: list[Item] = []
    for piece in pieces:
        if isinstance(piece, Item):
            items.append(piece)
        elif isinstance(piece, RepeatedLayers) and piece.comprehension:
            items.append(Item(piece.comprehension, "*"))
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
                case RepeatedLayers(comprehension=None):
                    self._flush()
                    inner = _ListLines(self.variable, exists=True).write([*piece.inner])
                    self.lines.append(ForLoop(piece.name, piece.iterable, tuple(inner)))
                case FreezePoint():
                    self._flush()
                    layers = f"{self.variable}[1:]" if self.has_input else self.variable
                    self.lines.append(freeze_loop(Atom(layers)))
                case Item() | RepeatedLayers():
                    self.chunk.append(piece)
                case _:
                    if self.chunk:
                        self._flush()
                    self.lines.append(piece)
        if self.chunk or not self.exists:
            self._flush()
        return self.lines

    def _flush(self) -> None:
        match self.chunk:
            case _ if not self.exists:
                self.lines.append(Assign(self.variable, _list(self.chunk)))
            case []:
                pass
            case [Item(value=code, prefix="")]:
                self.lines.append(CodeLine("", call(f"{self.variable}.append", code)))
            case [Item(value=code)]:
                self.lines.append(CodeLine(f"{self.variable} += ", code))
            case _:
                self.lines.append(CodeLine(f"{self.variable} += ", _list(self.chunk)))
        self.exists = True
        self.chunk = []


def freeze_loop(layers: Code) -> ForLoop:
    """The loop that freezes layers."""
    return ForLoop("layer", layers, (CodeLine("layer.trainable = False"),))


class FunctionalWriter(CodeWriter):
    """Writes statements into the body of the scope."""

    def write_all(self, statements: tuple[Statement, ...]) -> None:
        """Write statements."""
        for statement in statements:
            self._write(statement)

    def _write(self, statement: Statement) -> None:
        match statement:
            case LayerSpec():
                self._step(statement)
            case BlockSpec():
                self.scope.blocks[statement.name] = (statement, self.scope)
            case NestedSpec():
                self.state.write_nested(self.state, statement)
            case RepeatSpec():
                self._repeat(
                    self.state.count(statement.times), lambda: self.write_all(statement.body)
                )
            case ForSpec():
                iterable, values = self.loop_values(statement)
                self._loop(statement.name, iterable, values, lambda: self.write_all(statement.body))
            case ResidualSpec():
                self._residual(statement)
            case MergeSpec():
                self._merge(statement)
            case FreezeSpec():
                self._freeze(statement)
            case OutputSpec():
                self.scope.outputs = statement.entries
            case InputsSpec():
                self.scope.inputs = statement.entries
            case CompileSpec() | HeadSpec():
                pass  # taken from the graph

    def _add(self, statement: SourceStatement) -> None:
        self.scope.body.append(statement)

    # --- steps --------------------------------------------------------------------------------

    def _step(self, spec: LayerSpec) -> None:
        count = None if spec.times is None else self.state.count(spec.times)
        if count is None or count.known == 1:
            self._apply(spec)
        elif spec.inputs is None or spec_survey.mentions("_", spec.inputs):
            self._repeat(count, lambda: self._apply(spec, is_named=False))
        elif count.known != 0:
            self._apply(spec, is_named=False)
            again = replace(spec, inputs=None)
            self._repeat(count.minus_one(), lambda: self._apply(again, is_named=False))

    def _apply(self, spec: LayerSpec, *, is_named: bool = True) -> None:
        scope, callee = self.scope, spec.callee
        inputs, named = [tensor.code for tensor in scope.current], list[Item]()
        if spec.inputs is not None:
            inputs, named = self.call_inputs(spec.inputs)
        word = callee.text if isinstance(callee, Word) else ""
        if not spec.reuse and word in scope.blocks:
            block, home = scope.blocks[word]
            code, outs = self.block_call(block, home, spec, inputs)
            self._bind_block(spec, code, outs)
            return
        is_known = spec.reuse or word in scope.models
        step = scope.layer(word) if is_known else self.step_code(spec, is_named=is_named)
        if word == "input":
            self._input(spec, step)
            return
        step, lines = self.keep_layer(spec, step)
        scope.body += lines
        self._assign(spec.targets, step.applied(inputs, named), step)

    def _input(self, spec: LayerSpec, step: StepCode) -> None:
        scope = self.scope
        if not scope.in_model or not scope.names_layers:
            raise Unstructured  # keras.Model needs each input in a variable
        target = spec.targets[0] if spec.targets else ""
        variable = scope.variables.get(target) or scope.frame.new_name(scope.input_base)
        self._add(Assign(variable, step.code))
        tensor = TensorCode(Atom(variable))
        scope.model_inputs.append(tensor)
        if target:
            scope.tensors[target] = tensor
        scope.current = (tensor,)

    def _assign(self, targets: tuple[str, ...], code: Code, step: StepCode) -> None:
        scope = self.scope
        if len(targets) <= 1:
            target = targets[0] if targets and targets[0] != "_" else ""
            variable = scope.variables[target] if target else scope.flow
            self._add(Assign(variable, code))
            tensor = TensorCode(Atom(variable), step.keys)
            if target:
                scope.tensors[target] = tensor
            scope.current = (tensor,)
            return
        if step.keys:
            self._assign_parts(targets, code, step)
            return
        names = [scope.variables.get(target, "_") for target in targets]
        names += ["_"] * (step.outputs - len(names))
        self._add(Assign(", ".join(names), code))
        outs = [TensorCode(Atom(name)) for name in names]
        scope.tensors |= {t: out for t, out in zip(targets, outs, strict=False) if t != "_"}
        scope.current = (outs[0],)

    def _assign_parts(self, targets: tuple[str, ...], code: Code, step: StepCode) -> None:
        """Several names for the parts of a dictionary."""
        scope = self.scope
        whole = scope.frame.new_name("outs")
        self._add(Assign(whole, code))
        for index, target in enumerate(targets):
            if target != "_":
                variable = scope.variables[target]
                part = part_of(TensorCode(Atom(whole), step.keys), (index,))
                self._add(Assign(variable, part))
                scope.tensors[target] = TensorCode(Atom(variable))
        scope.current = (scope.tensors[targets[0]],)

    def _bind_block(self, spec: LayerSpec, code: Code, outs: list[TensorCode]) -> None:
        scope = self.scope
        if len(spec.targets) <= 1 and len(outs) == 1:
            self._assign(spec.targets, code, StepCode(code, keys=outs[0].keys))
            return
        names = [
            scope.variables.get(target, flow)
            for target, flow in zip(
                (*spec.targets, *[""] * len(outs)), self._flow_variables(len(outs)), strict=False
            )
        ]
        self._add(Assign(", ".join(names), code))
        scope.current = tuple(
            TensorCode(Atom(name), out.keys) for name, out in zip(names, outs, strict=True)
        )
        for target, tensor in zip(spec.targets, scope.current, strict=False):
            if target != "_":
                scope.tensors[target] = tensor

    def _flow_variables(self, count: int) -> list[str]:
        flow = self.scope.flow
        return [flow] if count == 1 else [f"{flow}_{number + 1}" for number in range(count)]

    # --- loops --------------------------------------------------------------------------------

    def _repeat(self, count: RepeatCount, write: Callable[[], None]) -> None:
        if count.known == 1:
            scope = self.scope
            outer, scope.names_layers = scope.names_layers, False
            write()
            scope.names_layers = outer
        elif count.known != 0:
            self._loop("_", call("range", count.code), [None], write)

    def _loop(
        self, name: str, iterable: Code, values: list[object], write: Callable[[], None]
    ) -> None:
        scope = self.scope
        if not scope.current:
            raise Unstructured
        flow = self._flow_variables(len(scope.current))
        self._move_current(flow)

        def body() -> tuple[SourceStatement, ...]:
            with self.separate_body() as lines:
                write()
                if len(scope.current) != len(flow):
                    raise Unstructured
                self._move_current(flow)
            return tuple(lines)

        if name == "_":
            variable, inner = "_", self.loop_body(None, values, body)
        else:
            with self.loop_variable(name) as variable:
                inner = self.loop_body(name, values, body)
        if inner:
            self._add(ForLoop(variable, iterable, inner))

    def _move_current(self, flow: list[str]) -> None:
        """Put the current tensors into the variables that a loop changes."""
        scope = self.scope
        before = [one_line(tensor.code) for tensor in scope.current]
        if before != flow:
            self._add(CodeLine(f"{', '.join(flow)} = {', '.join(before)}"))
        scope.current = tuple(
            TensorCode(Atom(variable), tensor.keys)
            for variable, tensor in zip(flow, scope.current, strict=True)
        )

    # --- residuals and merges -----------------------------------------------------------------

    def _kept(
        self, tensors: tuple[TensorCode, ...], changed: set[str], base: str
    ) -> tuple[tuple[TensorCode, ...], list[str]]:
        """The tensors in variables that will not change, and the new ones of these variables."""
        kept: list[TensorCode] = []
        new: list[str] = []
        for tensor in tensors:
            if one_line(tensor.code).split("[", maxsplit=1)[0] in changed:
                new.append(self.scope.frame.new_name(base))
                self._add(Assign(new[-1], tensor.code))
                kept.append(TensorCode(Atom(new[-1]), tensor.keys))
            else:
                kept.append(tensor)
        return tuple(kept), new

    def _changed(self, statements: tuple[Statement, ...]) -> set[str]:
        """The variables of named outputs that statements assign."""
        return {self.scope.variables[name] for name in spec_survey.output_names(statements)}

    def _residual(self, spec: ResidualSpec) -> None:
        scope = self.scope
        before = scope.current
        index = len(scope.body)
        changed = self._changed(spec.body) | {scope.flow, *self._flow_variables(len(before))}
        kept, new = self._kept(before, changed, "shortcut")
        self._write_body(spec.body, kept, before)
        if scope.current is before:
            del scope.body[index : index + len(new)]
        else:
            add = LayerSpec(Word("add", span=spec.span), span=spec.span)
            self._join(add, (*kept, *scope.current))
        scope.frame.release(*new)

    def _write_body(
        self,
        body: tuple[Statement, ...],
        entry: tuple[TensorCode, ...],
        current: tuple[TensorCode, ...],
    ) -> None:
        scope = self.scope
        outer, scope.entry, scope.current = scope.entry, entry, current
        self.write_all(body)
        scope.entry = outer

    def _merge(self, spec: MergeSpec) -> None:
        scope = self.scope
        flow, before = scope.flow, scope.current
        changed = self._changed(spec.branches)
        new: list[str] = []
        if {one_line(tensor.code) for tensor in before} & changed:
            changed |= {flow, *self._flow_variables(len(before))}
            before, new = self._kept(before, changed, "entry")
        prefix = flow if flow.startswith("branch") else "branch"
        outs: list[TensorCode] = []
        for index, branch in enumerate(spec.branches):
            scope.flow = scope.frame.new_name(f"{prefix}_{index + 1}")
            new.append(scope.flow)
            self._write_body(branch.body, before, before)
            later = self._changed(spec.branches[index + 1 :])
            ends, more = self._kept(scope.current, later, f"{scope.flow}_end")
            new += more
            outs += ends
        scope.flow = flow
        self._join(LayerSpec(spec.callee, spec.args, span=spec.callee.span), tuple(outs))
        scope.frame.release(*new)

    def _join(self, spec: LayerSpec, outs: tuple[TensorCode, ...]) -> None:
        self.scope.current = outs
        self._apply(spec, is_named=False)

    # --- freezing and blocks ------------------------------------------------------------------

    def _freeze(self, spec: FreezeSpec) -> None:
        """Freeze layers by name, or all so far."""
        scope = self.scope
        if spec.args:
            scope.body += self.freeze_by_name(spec)
            return
        if not scope.in_model:
            raise Unstructured  # it freezes the layers outside the block, too
        known = [*scope.current, *scope.tensors.values()]
        inputs = [tensor.code for tensor in scope.model_inputs]
        ends = list(dict.fromkeys(tensor.code for tensor in known if tensor.code not in inputs))
        if ends:
            model = call("keras.Model", one_or_list(inputs), one_or_list(ends))
            self._add(CodeLine("", model, ".trainable = False"))

    def block_body(
        self, block: BlockSpec, scope: CodeScope, inputs: int
    ) -> tuple[list[Item], list[SourceStatement], list[TensorCode]]:
        """A function that takes tensors first and returns tensors."""
        base = scope.flow
        if spec_survey.uses_entry(block.body):
            base = "inputs" if "inputs" not in scope.frame.taken else "entry"
            base = scope.frame.new_name(base)
        names = [base] if inputs == 1 else [f"{base}_{number + 1}" for number in range(inputs)]
        scope.current = scope.entry = tuple(TensorCode(Atom(name)) for name in names)
        self.write_all(block.body)
        outs = list(scope.current)
        if scope.outputs:
            outs = [
                tensor
                for arg in scope.outputs
                for tensor in self.current_tensors(arg.value)
                or (TensorCode(self.tensor(arg.value)),)
            ]
        body = [*scope.frame.functions, *scope.body]
        last = body[-1] if body else None
        codes = [tensor.code for tensor in outs]
        if isinstance(last, Assign) and codes == [Atom(last.targets)]:
            body[-1] = CodeLine("return ", last.value)
        else:
            body.append(CodeLine(f"return {', '.join(map(one_line, codes))}"))
        return [Item(Atom(name)) for name in names], body, outs
