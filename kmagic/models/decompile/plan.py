"""A model as the plan of a text: its steps, the items that they are folded into, their links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language import format_value
from kmagic.language.spec import (
    Arg,
    CompileSpec,
    Expr,
    LiteralValue,
    MappingValue,
    ModelKind,
    NodeOutput,
    SequenceValue,
    Shape,
    Value,
    Word,
    find_parts,
)
from kmagic.models import catalogue
from kmagic.models.catalogue import Role

StepKind: TypeAlias = OneOf["input", "layer", "function", "reuse", "model"]


@dataclass(slots=True)
class PlanStep:
    """One layer or function applied once.

    Attributes:
        kind: What is applied: a new layer, a function, an earlier layer, a nested model.
        callee: Its word; None for an earlier layer or a model, whose names come later.
        owner: The class or function whose signature orders the arguments.
        values: Arguments of the constructor or function, by parameter.
        inputs: Arguments of the call; tensors in them are :class:`NodeOutput`, by step index.
        name: The layer's own name; "" if Keras generated it.
        target: Index of the step or model that is applied again.
        output_count: How many tensors it returns.
        is_frozen: Whether a ``freeze`` line covers the layer.
    """

    kind: StepKind
    callee: Word | Expr | None = None
    owner: Any = None
    values: dict[str, Value] = field(default_factory=dict)
    inputs: tuple[Arg, ...] = ()
    name: str = ""
    target: int = -1
    output_count: int = 1
    is_frozen: bool = False

    @property
    def sources(self) -> list[NodeOutput]:
        """The outputs that it takes, in order."""
        return list(find_parts(self.inputs, NodeOutput))


@dataclass(slots=True)
class ModelPlan:
    """One model.

    Attributes:
        name: Its own name; "" if Keras generated it.
        kind: Sequential or functional.
        args: Arguments of the model itself.
        steps: Each after those it depends on.
        inputs: The structure of the inputs; None if it is a plain list of them.
        outputs: What it returns; entries with names make a dictionary.
        is_frozen: Whether all of it is frozen: the model that uses it says so.
        frozen_steps: How many steps a ``freeze`` line after them covers; 0 for no line.
    """

    name: str = ""
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    steps: list[PlanStep] = field(default_factory=list)
    inputs: tuple[Arg, ...] | None = None
    outputs: tuple[Arg, ...] = ()
    is_frozen: bool = False
    frozen_steps: int = 0


@dataclass(slots=True)
class ModelProgram:
    """A model with all models nested in it.

    Attributes:
        plan: The model itself.
        nested: Nested models by their name in the text, each after those it uses.
        compile: Its compile line, or None.
        needed: What the text takes from the notebook, by name.
        notes: What the text leaves out, one sentence each.
    """

    plan: ModelPlan
    nested: dict[str, ModelPlan]
    compile: CompileSpec | None = None
    needed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# --- folded items ---------------------------------------------------------------------------------

ValueKey: TypeAlias = tuple[Any, ...]
"""A value's position in an item: ("argument", parameter), ("name",), ("body", index, *key) ..."""


@dataclass(frozen=True, eq=False)
class StepItem:
    """One step.

    Attributes:
        index: Its index in the plan; outputs refer to it.
        step: The step.
        values: Its arguments, which may have become parameters of a block.
        name: The layer's own name, or None.
    """

    index: int
    step: PlanStep
    values: Mapping[str, Value]
    name: Value | None

    @cached_property
    def inputs(self) -> tuple[NodeOutput, ...]:
        """The outputs of other items that it takes."""
        return tuple(self.step.sources)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The indices of the steps whose outputs are visible outside."""
        return (self.index,)

    @cached_property
    def pattern(self) -> tuple[Any, ...]:
        """What two steps must have in common to be written by one block."""
        step = self.step
        fixed = tuple(
            (name, format_value(value))
            for name, value in sorted(self.values.items())
            if not self.may_vary(name, value)
        )
        return (
            step.kind,
            format_value(step.callee) if step.callee is not None else "",
            step.target if step.kind == "model" else None,
            self.name is None,
            step.is_frozen,
            step.output_count,
            fixed,
            tuple((arg.name, _skeleton(arg.value)) for arg in step.inputs),
        )

    def free_values(self) -> dict[ValueKey, Value]:
        """All values that may differ between two uses of a block."""
        values: dict[ValueKey, Value] = {
            ("argument", name): value
            for name, value in self.values.items()
            if self.may_vary(name, value)
        }
        if self.name is not None:
            values["name",] = self.name
        return values

    def may_vary(self, name: str, value: Value) -> bool:
        """Whether an argument may become a block's parameter."""
        return _may_vary(value, catalogue.role_of(name, self.step.owner))

    def with_values(self, values: Mapping[ValueKey, Value]) -> StepItem:
        """A copy with other values."""
        own = {key[1]: value for key, value in values.items() if key[0] == "argument"}
        return replace(self, values={**self.values, **own}, name=values.get(("name",), self.name))


@dataclass(eq=False)
class FoldedBlock:
    """A block of the text.

    Attributes:
        name: Its name in the text.
        params: Its parameters, each with its default or None.
        body: The items of its first use, with parameters for what varies.
        inputs: The outputs that its first use takes, in the order of the body.
        name_params: The parameters that are parts of layers' names.
    """

    name: str
    params: dict[str, Value | None]
    body: tuple[Part, ...]
    inputs: tuple[NodeOutput, ...]
    name_params: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class UseItem:
    """One use of a block, with its own inputs and outputs."""

    block: FoldedBlock
    args: Mapping[str, Value]
    inputs: tuple[NodeOutput, ...]
    outputs: tuple[int, ...]

    @property
    def pattern(self) -> tuple[Any, ...]:
        """What two uses must have in common to be written by one block."""
        return ("use", id(self.block), len(self.inputs))

    def free_values(self) -> dict[ValueKey, Value]:
        """Its arguments."""
        return {("block_argument", name): value for name, value in self.args.items()}

    def with_values(self, values: Mapping[ValueKey, Value]) -> UseItem:
        """A copy with other arguments."""
        own = {key[1]: value for key, value in values.items() if key[0] == "block_argument"}
        args = {**self.args, **own}
        return replace(self, args={name: args[name] for name in self.block.params if name in args})


@dataclass(frozen=True, eq=False)
class LoopItem:
    """Items that are repeated, each time on the output of the time before.

    Attributes:
        body: The items of the first repetition.
        times: How often, for ``repeat``; None for ``for``.
        inputs: What the first repetition takes.
        outputs: What the last one returns.
        variable: The name that ``for`` binds.
        series: The values it is bound to.
    """

    body: tuple[Part, ...]
    times: Value | None
    inputs: tuple[NodeOutput, ...]
    outputs: tuple[int, ...]
    variable: str = ""
    series: tuple[Value, ...] = ()

    @cached_property
    def pattern(self) -> tuple[Any, ...]:
        """What two loops must have in common to be written by one block."""
        return ("loop", self.variable, self.series, pattern_of(self.items), len(self.inputs))

    @property
    def items(self) -> tuple[Item, ...]:
        """Its body; branches are found after folding."""
        return tuple(part for part in self.body if not isinstance(part, BranchItem))

    def free_values(self) -> dict[ValueKey, Value]:
        """The number of repetitions, and all free values of the body."""
        values: dict[ValueKey, Value] = {} if self.times is None else {("times",): self.times}
        for index, item in enumerate(self.items):
            values |= {("body", index, *key): value for key, value in item.free_values().items()}
        return values

    def with_values(self, values: Mapping[ValueKey, Value]) -> LoopItem:
        """A copy with other values."""
        body = tuple(
            item.with_values(
                {key[2:]: value for key, value in values.items() if key[:2] == ("body", index)}
            )
            for index, item in enumerate(self.items)
        )
        return replace(self, body=body, times=values.get(("times",), self.times))


@dataclass(frozen=True, eq=False)
class BranchItem:
    """Several branches from one output that one layer merges.

    Attributes:
        merge: The layer that merges them.
        branches: The items of each branch.
        inputs: The output they all start from.
        outputs: What the layer returns.
        is_residual: Whether it adds one branch to the output itself.
    """

    merge: StepItem
    branches: tuple[tuple[Part, ...], ...]
    inputs: tuple[NodeOutput, ...]
    outputs: tuple[int, ...]
    is_residual: bool


Item: TypeAlias = StepItem | UseItem | LoopItem
Part: TypeAlias = Item | BranchItem


class Links:
    """Which parts of one indentation use the outputs of which.

    Args:
        parts: The parts, in order.
        ends: The outputs that are used after them.

    Attributes:
        users: Step index -> the positions of the parts that take its output; the position after
            the last part stands for what follows.
        reusers: Step index -> the positions of the parts that apply its layer again.
    """

    def __init__(self, parts: Sequence[Part], ends: Iterable[NodeOutput]) -> None:
        self.parts = parts
        self.users: dict[int, list[int]] = defaultdict(list)
        self.reusers: dict[int, list[int]] = defaultdict(list)
        for position, part in enumerate(parts):
            for out in part.inputs:
                self.users[out.node].append(position)
            for item in step_items(part):
                if item.step.kind == "reuse":
                    self.reusers[item.step.target].append(position)
        for out in ends:
            self.users[out.node].append(len(parts))

    def feeds_next_only(self, position: int) -> bool:
        """Whether only the next part takes a part's outputs, so that they need no name."""
        return all(
            set(self.users[index]) <= {position + 1} for index in self.parts[position].outputs
        )

    def is_closed(self, start: int, length: int) -> bool:
        """Whether only the one output of a stretch's last part is used outside the stretch."""
        stretch = self.parts[start : start + length]
        if not has_one_output(stretch[-1]):
            return False
        inside = range(start, start + length)
        for part in stretch:
            users = [user for item in step_items(part) for user in self.reusers[item.index]]
            if part is not stretch[-1]:
                users += [user for index in part.outputs for user in self.users[index]]
            if any(user not in inside for user in users):
                return False
        return True


def has_one_output(part: Part) -> bool:
    """Whether a part returns a single tensor."""
    is_split = isinstance(part, StepItem) and part.step.output_count != 1
    return len(part.outputs) == 1 and not is_split


def outside_inputs(parts: Sequence[Part]) -> tuple[NodeOutput, ...]:
    """The outputs that a stretch takes from before it, without duplicates."""
    inside = {index for part in parts for index in part.outputs}
    return tuple(
        dict.fromkeys(out for part in parts for out in part.inputs if out.node not in inside)
    )


def reused_step(part: Part) -> int | None:
    """The index of the step whose layer a part applies again, if it does."""
    return part.step.target if isinstance(part, StepItem) and part.step.kind == "reuse" else None


def step_items(part: Part, *, in_blocks: bool = False) -> Iterator[StepItem]:
    """All steps of a part; if asked, also those of the blocks that it uses."""
    inner: Iterable[Part] = ()
    match part:
        case StepItem():
            yield part
        case UseItem() if in_blocks:
            inner = part.block.body
        case LoopItem():
            inner = part.body
        case BranchItem():
            yield part.merge
            inner = (item for branch in part.branches for item in branch)
    for item in inner:
        yield from step_items(item, in_blocks=in_blocks)


def pattern_of(items: Sequence[Item]) -> tuple[Any, ...]:
    """A stretch's pattern: each item's own, and what it takes, independent of step indices."""
    known: dict[int, tuple[int, int]] = {}
    outside: dict[NodeOutput, int] = {}
    return tuple(
        (item.pattern, references(item, index, known, outside)) for index, item in enumerate(items)
    )


def references(
    item: Item, index: int, known: dict[int, tuple[int, int]], outside: dict[NodeOutput, int]
) -> tuple[Any, ...]:
    """What an item takes, as positions within a stretch.

    ``known`` maps the steps before it to item and output, ``outside`` numbers the outputs from
    before the stretch; both are extended by what the item adds.
    """
    taken = tuple(
        ("in", *known[out.node], out.path)
        if out.node in known
        else ("out", outside.setdefault(out, len(outside)))
        for out in item.inputs
    )
    reused = reused_step(item)
    known |= {step: (index, output) for output, step in enumerate(item.outputs)}
    return (*taken, None if reused is None else known.get(reused))


def _may_vary(value: Value, role: Role) -> bool:
    """Whether a value may become a parameter: a bare word only if Keras takes it as a string."""
    match value:
        case Word():
            return role in ("any", "shape") or catalogue.accepts_string(role, value.text)
        case LiteralValue():
            return value.value is not ...
        case Shape():
            return True
        case SequenceValue():
            return role != "layer" and all(_may_vary(item, role) for item in value.items)
        case _:
            return False


def _skeleton(value: Any) -> Any:
    """An argument of a call with a mark for each output in it."""
    match value:
        case NodeOutput():
            return "<>"
        case SequenceValue() if any(find_parts(value, NodeOutput)):
            return (value.kind, tuple(map(_skeleton, value.items)))
        case MappingValue() if any(find_parts(value, NodeOutput)):
            return ("map", tuple((format_value(key), _skeleton(v)) for key, v in value.entries))
        case _:
            return format_value(value)
