"""What every way to write a model shares: scopes, blocks as functions, loops, calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar
from typing import Literal as OneOf

from kmagic.language.graph import BlockUse
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    ForSpec,
    Index,
    InnerLayer,
    LayerSpec,
    MappingValue,
    NotebookValue,
    Object,
    SequenceValue,
    Value,
    Word,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.code_scope import Frame, Scope, Tensor
from kmagic.models.codegen.program_state import Count, State
from kmagic.models.codegen.source_tree import (
    Assign,
    Atom,
    Call,
    Code,
    Def,
    Display,
    Item,
    Join,
    Line,
    Stmt,
    call,
    flat,
    listed,
    literal,
)
from kmagic.models.codegen.step_source import Made
from kmagic.models.codegen.unknown_value import Unknown
from kmagic.models.codegen.value_source import Unstructured, python_name

T = TypeVar("T")


class Writer:
    """One way to write statements; several share one state.

    Args:
        state: The state of the program's writing.
    """

    def __init__(self, state: State) -> None:
        self.state, self.context = state, state.context
        self.values, self.steps = state.values, state.steps

    @property
    def scope(self) -> Scope:
        """The scope that is written now."""
        return self.state.scope

    # --- tensors ------------------------------------------------------------------------------

    def several(self, value: Value) -> tuple[Tensor, ...] | None:
        """What ``_`` or ``_in`` stands for, or None if the value is neither."""
        if isinstance(value, Word) and value.text in ("_", "_in"):
            return self.scope.current if value.text == "_" else self.scope.entry
        return None

    def call_inputs(self, args: tuple[Arg, ...]) -> tuple[list[Code], list[Item]]:
        """What stands right of an arrow: the tensors, and the arguments by name."""
        places: list[Code] = []
        named: list[Item] = []
        for arg in args:
            several = self.several(arg.value)
            if arg.name is not None:
                named.append(Item(self.tensor(arg.value), f"{arg.name}="))
            elif several is not None:
                places += [each.code for each in several]
            else:
                places.append(self.tensor(arg.value))
        return places, named

    def tensor(self, value: Value) -> Code:
        """A tensor, or a structure of tensors, or a plain value."""
        match value:
            case Word(text="_" | "_in"):
                several = self.several(value) or ()
                return (
                    several[0].code
                    if len(several) == 1
                    else _tuple([t.code for t in several], "[]")
                )
            case Word():
                return self.scope.tensor(value.text).code
            case Index():
                return self._indexed(value)
            case SequenceValue():
                codes = [self.tensor(item) for item in value.items]
                return _tuple(codes, "[]" if value.kind == "list" else "()")
            case MappingValue():
                return self.dictionary(
                    (key.text if isinstance(key, Word) else getattr(key, "value", ""), item)
                    for key, item in value.entries
                )
            case _:
                return self.values.plain(self.scope.value(value))

    def dictionary(self, entries: Iterator[tuple[Any, Value]]) -> Code:
        """Tensors by name."""
        items = tuple(Item(self.tensor(item), f"{flat(literal(key))}: ") for key, item in entries)
        return Display("{}", items)

    def _indexed(self, value: Index) -> Code:
        path = value.path
        if value.name in ("_", "_in"):
            several = self.scope.current if value.name == "_" else self.scope.entry
            base = several[0]
            if len(several) > 1 and isinstance(path[0], int) and path[0] < len(several):
                base, path = several[path[0]], path[1:]
        else:
            base = self.scope.tensor(value.name)
        return part(base, path)

    # --- blocks -------------------------------------------------------------------------------

    def block_call(
        self, block: BlockSpec, home: Scope, spec: LayerSpec, inputs: list[Code]
    ) -> tuple[Code, list[Tensor]]:
        """A use of a block: the call of its function, and what it gives."""
        given = self._block_arguments(block, spec)
        values = {name: Scope.plain(value) for name, value, _ in given}
        outer = self.scope
        scope = self._block_scope(block, home, values, spec)
        self.state.scope = scope
        self.context.trail = scope.trail
        try:
            params, body, outs = self.block_body(block, scope, len(inputs))
        finally:
            self.state.scope = outer
            self.context.trail = outer.trail
        defaults = self._defaults(block, home)
        params += [
            Item(Atom(scope.renames[param.name]))
            if param.name not in defaults
            else Item(defaults[param.name], f"{scope.renames[param.name]}=")
            for param in block.params
        ]
        name = home.frame.define(Def(block.name, tuple(params), tuple(body)))
        args = [*map(Item, inputs)]
        bare = True
        for param, value, by_name in given:
            if by_name is None and param in defaults:
                bare = False
                continue
            bare = bare and by_name is False
            role = self.values.roles.get(id(value), "any")
            prefix = "" if bare else f"{scope.renames[param]}="
            args.append(Item(self.values.plain(value, role), prefix))
        return Call(Atom(name), tuple(args)), outs

    def block_body(
        self, block: BlockSpec, scope: Scope, inputs: int
    ) -> tuple[list[Item], list[Stmt], list[Tensor]]:
        """A block's function: its parameters for tensors, its body, and what it gives."""
        raise NotImplementedError

    def _block_arguments(
        self, block: BlockSpec, spec: LayerSpec
    ) -> list[tuple[str, Any, bool | None]]:
        """Parameter, value, and whether it is given by name; None for a default."""
        found: dict[str, tuple[Any, bool | None]] = {}
        places = iter([param.name for param in block.params])
        for arg in spec.args:
            name = arg.name or next(each for each in places if each not in found)
            found[name] = self.scope.value(arg.value), arg.name is not None
        for param in block.params:
            if param.name not in found and param.default is not None:
                found[param.name] = self.scope.value(param.default), None
        return [(param.name, *found[param.name]) for param in block.params]

    def _block_scope(
        self, block: BlockSpec, home: Scope, values: dict[str, Any], spec: LayerSpec
    ) -> Scope:
        own_names = {param.name for param in block.params}
        outside = {own for name, own in home.renames.items() if name not in own_names}
        frame = Frame(home.frame.common | outside)
        scope = Scope(
            frame,
            {**home.env, **values},
            blocks=dict(home.blocks),
            models=dict(home.models),
            trail=(*self.scope.trail, BlockUse(block.name, spec.span, spec)),
            names_layers=False,
            in_model=False,
        )
        scope.renames = dict(home.renames)
        for param in block.params:
            own = python_name(param.name)
            scope.renames[param.name] = own if own not in frame.taken else frame.fresh(f"{own}_")
            frame.taken.add(scope.renames[param.name])
        scope.declare(block.body)
        scope.choose_flow()
        return scope

    def _defaults(self, block: BlockSpec, home: Scope) -> dict[str, Code]:
        """The defaults that a Python function can have: those that do not depend on its use."""
        found: dict[str, Code] = {}
        for param in block.params:
            value = param.default
            if value is None:
                continue
            needs = spec_survey.names([value])
            bound = {*home.renames, *self.scope.renames}
            if isinstance(value, Object | InnerLayer) or needs & bound:
                return {}
            if not all(name in self.scope.env for name in needs):
                return {}
            found[param.name] = self.values.plain(self.scope.value(value))
        return found

    # --- loops --------------------------------------------------------------------------------

    def for_turns(self, spec: ForSpec) -> tuple[Code, list[Any]]:
        """The series of a ``for`` line as source, and its values."""
        values = [self.scope.value(value) for value in spec.values]
        if (
            len(values) == 1
            and isinstance(values[0], NotebookValue)
            and not isinstance(values[0].value, str)
        ):
            with suppress(TypeError):  # one value, not a series of them
                return self.values.plain(values[0]), [*values[0].value]
        codes = [self.values.plain(value) for value in values]
        return _tuple(codes, "[]"), [Scope.plain(value) for value in values]

    @contextmanager
    def loop_name(self, name: str) -> Iterator[str]:
        """The variable of a ``for`` line while its body is written."""
        scope = self.scope
        env, renames = scope.env, scope.renames
        own = python_name(name)
        if renames.get(name) != own:
            own = scope.frame.fresh(own) if own in scope.frame.taken else own
            scope.frame.taken.add(own)
        scope.renames = {**renames, name: own}
        yield own
        scope.env, scope.renames = env, renames

    def turns(
        self, name: str | None, values: list[Any], write: Callable[[], tuple[T, ...]]
    ) -> tuple[T, ...]:
        """A loop's body; it must read the same for each of the loop's values."""
        scope = self.scope
        outer, scope.names_layers = scope.names_layers, False
        bodies = []
        before = self.saved()
        after = before
        for value in values if name else [None]:
            self.restore(before)
            if name:
                scope.env = {**scope.env, name: value}
            bodies.append(write())
            after = self.saved() if len(bodies) == 1 else after
        self.restore(after)
        scope.names_layers = outer
        if any(body != bodies[0] for body in bodies[1:]):
            raise Unstructured
        return bodies[0] if bodies else ()

    def saved(self) -> tuple[Scope, set[str]]:
        """The scope as it is now, and the variables that are taken."""
        scope = copy(self.scope)
        scope.taps, scope.layers = dict(scope.taps), dict(scope.layers)
        scope.models, scope.blocks = dict(scope.models), dict(scope.blocks)
        return scope, set(scope.frame.taken)

    def restore(self, state: tuple[Scope, set[str]]) -> None:
        """Make the scope what it was."""
        saved, taken = state
        self.scope.taps, self.scope.layers = dict(saved.taps), dict(saved.layers)
        self.scope.models, self.scope.blocks = dict(saved.models), dict(saved.blocks)
        self.scope.current, self.scope.entry = saved.current, saved.entry
        self.scope.frame.taken = set(taken)

    @contextmanager
    def writing(self) -> Iterator[list[Stmt]]:
        """Statements written meanwhile go to a list of their own."""
        outer, self.scope.body = self.scope.body, []
        scope = self.scope
        yield scope.body
        scope.body = outer

    def count(self, value: Value) -> Count:
        """How often something is repeated."""
        found = self.scope.value(value)
        number = Scope.plain(found)
        known = None if isinstance(number, Unknown) else int(number)
        return Count(self.values.plain(found), known)

    def held(self, spec: LayerSpec, made: Made) -> tuple[Made, list[Stmt]]:
        """A layer in a variable of its own if it is needed again, and the lines for that."""
        scope = self.scope
        lines: list[Stmt] = []
        wanted = [target for target in spec.targets if target in scope.holders]
        if made.fresh and (wanted or made.adapt is not None):
            var = scope.holders[wanted[0]] if wanted else scope.frame.fresh(made.word)
            lines.append(Assign(var, made.code))
            if made.adapt is not None:
                lines.append(Line("", call(f"{var}.adapt", made.adapt)))
            made = replace(made, code=Atom(var), fresh=False)
        if not made.function:
            scope.layers |= dict.fromkeys(wanted, made)
        return made, lines


def part(tensor: Tensor, path: tuple[int | str, ...]) -> Code:
    """One of several outputs."""
    code = tensor.code
    for place, key in enumerate(path):
        own = tensor.keys[key] if not place and tensor.keys and isinstance(key, int) else key
        code = Join((code, Atom(f"[{flat(literal(own))}]")))
    return code


def one_or_list(codes: list[Code]) -> Code:
    """A list, or its only element."""
    return codes[0] if len(codes) == 1 else listed(codes)


def _tuple(codes: list[Code], brackets: OneOf["[]", "()"]) -> Code:
    return Display(brackets, tuple(map(Item, codes)))
