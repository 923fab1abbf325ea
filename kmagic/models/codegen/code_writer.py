"""What both ways of writing a model share: tensors, blocks as functions, loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar

from kmagic.language.graph import BlockUse
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    Expr,
    ForSpec,
    FreezeSpec,
    Index,
    InnerLayer,
    LayerSpec,
    MappingValue,
    NotebookValue,
    Object,
    Ref,
    SequenceValue,
    Value,
    Word,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import (
    CodeFrame,
    CodeScope,
    StepCode,
    TensorCode,
    Unstructured,
    plain_value,
    python_name,
)
from kmagic.models.codegen.flat_spec import FlatStep
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Call,
    Code,
    CodeLine,
    Collection,
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
from kmagic.models.codegen.value_source import ProgramState

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
                    [self.tensor(arg.value)] if several is None else [each.code for each in several]
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
                return one_or_list([each.code for each in self.current_tensors(value) or ()])
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
