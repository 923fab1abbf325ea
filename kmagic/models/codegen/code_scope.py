"""Where a name of the text is looked up while its program is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kmagic.language import expressions
from kmagic.language.graph import BlockTrail
from kmagic.language.spec import (
    Arg,
    BlockSpec,
    Expr,
    InnerLayer,
    LiteralValue,
    MappingValue,
    NotebookValue,
    Object,
    Ref,
    SequenceValue,
    Shape,
    Statement,
    Value,
    Word,
)
from kmagic.models.codegen import spec_survey
from kmagic.models.codegen.source_tree import Code, Def, Stmt
from kmagic.models.codegen.step_source import Made
from kmagic.models.codegen.value_source import Passed, Ready, Unstructured, python_name

RESERVED = frozenset({"input", "keras", "layers", "np", "ops", "range", "slice"})
_FLOW = ("x", "y", "z", "out", "flow")


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """An output, and the variable or expression that holds it.

    Attributes:
        code: How the program reads it.
        keys: The names of its parts if it is a dictionary, else none.
    """

    code: Code
    keys: tuple[str, ...] = ()


@dataclass(slots=True)
class Frame:
    """The variables of one Python function, or of the program itself.

    Attributes:
        common: Names that mean the same in every function: the notebook's, blocks, models.
        taken: All names that no new variable may have.
        defs: Functions to be defined at its start.
    """

    common: frozenset[str]
    taken: set[str] = field(default_factory=set)
    defs: list[Def] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken |= self.common

    def fresh(self, base: str) -> str:
        """A new variable's name; it is taken until it is given back."""
        base = python_name(base)
        name, number = base, 2
        while name in self.taken:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        return name

    def free(self, *names: str) -> None:
        """Give names back."""
        self.taken.difference_update(names)

    def define(self, function: Def) -> str:
        """Define a function unless an equal one is there; gives the name it has."""
        base = python_name(function.name)
        base = f"{base}_block" if base in RESERVED else base
        used = {known.name for known in self.defs}
        for known in self.defs:
            if replace(known, name=function.name) == function:
                return known.name
        name, number = base, 2
        while name in used:
            name, number = f"{base}_{number}", number + 1
        self.taken.add(name)
        self.defs.append(replace(function, name=name))
        return name


@dataclass(slots=True)
class Scope:
    """One for the text, one more for each nested model and each use of a block.

    Attributes:
        frame: The Python function that is being written.
        env: What the names in braces stand for.
        flow: The variable that holds what came before.
        renames: What parameters and loop names are called in the program.
        variables: What the scope's own names are called in the program.
        holders: The variables of layers that are needed again, by the names of their outputs.
        current: What came before.
        entry: What entered the body.
        body: The statements written so far.
        names_layers: Whether a step's name is its layer's.
        in_model: Whether this is a model's own scope, not a block's.
        input_base: What inputs are called that have no names.
    """

    frame: Frame
    env: Mapping[str, Any]
    flow: str = "x"
    renames: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, tuple[BlockSpec, Scope]] = field(default_factory=dict)
    models: dict[str, Made] = field(default_factory=dict)
    taps: dict[str, Tensor] = field(default_factory=dict)
    layers: dict[str, Made] = field(default_factory=dict)
    current: tuple[Tensor, ...] = ()
    entry: tuple[Tensor, ...] = ()
    body: list[Stmt] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] = ()
    model_inputs: list[Tensor] = field(default_factory=list)
    trail: BlockTrail = ()
    names_layers: bool = True
    in_model: bool = True
    input_base: str = "inputs"

    def declare(self, statements: tuple[Statement, ...]) -> None:
        """Give the names of the scope's own statements variables that nothing else has."""
        names = spec_survey.targets(statements)
        for each in sorted(names):
            free = each if python_name(each) not in self.frame.taken else f"{each}_out"
            self.variables[each] = self.frame.fresh(free)
        for each in sorted(names & spec_survey.wanted_layers(statements)):
            self.holders[each] = self.frame.fresh(f"{each}_layer")

    def choose_flow(self, prefix: str = "") -> None:
        """Choose the variable that holds what came before."""
        names = [each for each in _FLOW if each not in self.frame.taken]
        self.flow = self.frame.fresh(f"{prefix}{names[0] if names else _FLOW[0]}")

    def tensor(self, name: str) -> Tensor:
        """The output of that name."""
        return self.taps[name]

    def layer(self, name: str) -> Made:
        """The layer or model of that name."""
        if name in self.models:
            return self.models[name]
        if name not in self.layers:
            raise Unstructured  # it is inside of a block, where its variable ends
        return self.layers[name]

    # --- values -------------------------------------------------------------------------------

    def value(self, value: Value) -> Any:
        """A value with its expressions evaluated, as the graph has it."""
        match value:
            case Expr():
                known = self.env.get(value.source)
                if isinstance(known, Object | InnerLayer):
                    return Passed(known, value.source, value.span)
                found = expressions.evaluate(value.source, self.env)
                return NotebookValue(found, value.source, span=value.span)
            case Object() | InnerLayer():
                callee = (
                    self.value(value.callee) if isinstance(value.callee, Expr) else value.callee
                )
                return replace(value, callee=callee, args=self.args(value.args))
            case SequenceValue():
                return replace(value, items=tuple(map(self.value, value.items)))
            case MappingValue():
                entries = tuple((self.value(key), self.value(item)) for key, item in value.entries)
                return replace(value, entries=entries)
            case Ref():
                return Ready(self.layer(value.name).code, value.span)
            case _:
                return value

    def args(self, args: tuple[Arg, ...]) -> tuple[Arg, ...]:
        """Arguments with their expressions evaluated."""
        return tuple(replace(arg, value=self.value(arg.value)) for arg in args)

    @staticmethod
    def plain(value: Any) -> Any:
        """A block's argument as the expressions in the block see it."""
        match value:
            case LiteralValue() | NotebookValue():
                return value.value
            case Passed():
                return value.value
            case Word():
                return value.text
            case Shape():
                return value.dims
            case SequenceValue():
                items = [Scope.plain(item) for item in value.items]
                return items if value.kind == "list" else tuple(items)
            case _:
                return value
