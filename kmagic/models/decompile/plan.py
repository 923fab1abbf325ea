"""A model as the plan of a text: its steps, the items that they are folded into, their links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self, TypeAlias
from typing import Literal as OneOf

from kmagic.language import format_value, spec
from kmagic.language.formatter import format_arg
from kmagic.language.graph import Graph
from kmagic.language.spec import Arg, NodeOutput, Value, Word
from kmagic.models import catalogue
from kmagic.models.catalogue import Role
from kmagic.models.decompile.config_values import (
    function_arguments,
    is_plain_word,
    written_arguments,
)

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
    callee: Word | spec.Expr | None = None
    owner: Any = None
    values: dict[str, Value] = field(default_factory=dict)
    inputs: tuple[Arg, ...] = ()
    name: str = ""
    target: int = -1
    output_count: int = 1
    is_frozen: bool = False


@dataclass(slots=True)
class ModelPlan(Graph):
    """The graph of one model; it has no name if Keras generated it.

    Attributes:
        steps: In the place of nodes, each after those it depends on.
        is_frozen: Whether all of it is frozen: the model that uses it says so.
    """

    steps: list[PlanStep] = field(default_factory=list)
    is_frozen: bool = False


@dataclass(slots=True)
class ModelProgram:
    """A model with all models nested in it.

    Attributes:
        plan: The model itself.
        nested: Nested models by their name in the text, each after those it uses.
        needed: What the text takes from the notebook, by name.
        notes: What the text leaves out, one sentence each.
    """

    plan: ModelPlan
    nested: dict[str, ModelPlan]
    needed: dict[str, Any]
    notes: list[str] = field(default_factory=list)


# --- folded items ---------------------------------------------------------------------------------

TIMES = "*"
"""The key of an item's value that tells how often it is repeated, each time on its own output."""


@dataclass(frozen=True, eq=False)
class Item:
    """A part of a text that has one output.

    Attributes:
        inputs: The outputs of other items that it takes.
        output: The index of the step whose output it returns.
        values: Its arguments, a layer's own name, and :data:`TIMES`; all may have become
            parameters of a block.
    """

    inputs: tuple[NodeOutput, ...]
    output: int
    values: Mapping[str, Value]

    @cached_property
    def pattern(self) -> tuple[Any, ...]:
        """What two items must have in common to be written by one block."""
        return (id(self),)

    @cached_property
    def free_values(self) -> dict[str, Value]:
        """All values that may differ between two uses of a block."""
        return {}

    def with_values(self, values: Mapping[str, Value]) -> Self:
        """A copy with other values."""
        return replace(self, values={**self.values, **values})

    @property
    def arguments(self) -> dict[str, Value]:
        """The values without name and repetition."""
        return {key: value for key, value in self.values.items() if key not in ("name", TIMES)}


@dataclass(frozen=True, eq=False)
class StepItem(Item):
    """One step."""

    step: PlanStep

    @classmethod
    def of(cls, step: PlanStep, index: int) -> StepItem:
        """The item for one step of a plan."""
        sources = tuple(spec.find_parts(step.inputs, NodeOutput))
        name = {"name": Word(step.name)} if step.name else {}
        return cls(sources, index, {**step.values, **name}, step)

    @property
    def args(self) -> tuple[Arg, ...]:
        """Its arguments as the text has them, without the name."""
        step = self.step
        if step.kind == "function":
            return function_arguments(step.owner, self.arguments, len(step.inputs))
        return written_arguments(step.owner, self.arguments)

    @property
    def name_args(self) -> tuple[Arg, ...]:
        """The layer's own name as an argument, if it has one."""
        name = self.values.get("name")
        if isinstance(name, Word) and not is_plain_word(name.text):
            name = spec.LiteralValue(name.text)
        return () if name is None else (Arg(name, "name"),)

    @property
    def is_merge(self) -> bool:
        """Whether it may merge branches: it takes several outputs and nothing else."""
        step = self.step
        merged = tuple(Arg(out) for out in self.inputs if not out.path)
        is_call = step.kind in ("layer", "function") and step.output_count == 1
        return is_call and len(merged) > 1 and step.inputs == merged

    @cached_property
    def pattern(self) -> tuple[Any, ...]:  # noqa: D102 - as above
        step = self.step

        def without_source(value: Any) -> Any:
            return Word("<>") if isinstance(value, NodeOutput) else value

        return (
            step.kind,
            format_value(step.callee) if step.callee is not None else "",
            step.target if step.kind == "model" else None,
            "name" in self.values,
            TIMES in self.values,
            step.is_frozen,
            step.output_count,
            tuple(
                (key, format_value(value))
                for key, value in sorted(self.values.items())
                if key not in self.free_values
            ),
            tuple(map(format_arg, spec.map_args(step.inputs, without_source))),
        )

    @cached_property
    def free_values(self) -> dict[str, Value]:  # noqa: D102 - as above
        return {
            key: value
            for key, value in self.values.items()
            if key in ("name", TIMES) or _may_vary(value, catalogue.role_of(key, self.step.owner))
        }


@dataclass(eq=False)
class FoldedBlock:
    """A block of the text.

    Attributes:
        params: Its parameters, each with its default or None.
        body: The items of its first use, with parameters for what varies.
        inputs: The outputs that its first use takes, in the order of the body.
        name_params: The parameters that are parts of layers' names.
        name: Its name in the text.
    """

    params: dict[str, Value | None]
    body: tuple[Item, ...]
    inputs: tuple[NodeOutput, ...]
    name_params: set[str]
    name: str = ""


@dataclass(frozen=True, eq=False)
class UseItem(Item):
    """One use of a block, with its own inputs and output."""

    block: FoldedBlock

    @cached_property
    def pattern(self) -> tuple[Any, ...]:  # noqa: D102 - as above
        return ("use", id(self.block), len(self.inputs), TIMES in self.values)

    @cached_property
    def free_values(self) -> dict[str, Value]:  # noqa: D102 - as above
        return {key: self.values[key] for key in (TIMES, *self.block.params) if key in self.values}


@dataclass(frozen=True, eq=False)
class CompoundItem(Item):
    """Items within a statement: a loop, or the branches that one layer merges.

    Attributes:
        head: The statement without its body.
        bodies: The items of the body, or of each branch.
    """

    head: spec.RepeatSpec | spec.ForSpec | spec.ResidualSpec | spec.MergeSpec
    bodies: tuple[tuple[Item, ...], ...]


class Links:
    """Which items of one indentation use the outputs of which; ``ends`` are used after them.

    Attributes:
        users: Step index -> the positions of the items that take its output; the position after
            the last item stands for what follows.
        reusers: Step index -> the positions of the items that apply its layer again.
    """

    def __init__(self, items: Sequence[Item], ends: Iterable[NodeOutput]) -> None:
        self.items = items
        self.users: dict[int, list[int]] = defaultdict(list)
        self.reusers: dict[int, list[int]] = defaultdict(list)
        for position, item in enumerate(items):
            for out in item.inputs:
                self.users[out.node].append(position)
            reused = reused_step(item)
            if reused is not None:
                self.reusers[reused].append(position)
        for out in ends:
            self.users[out.node].append(len(items))

    def feeds_next_only(self, position: int) -> bool:
        """Whether only the next item takes an item's output, so that it needs no name."""
        return set(self.users[self.items[position].output]) <= {position + 1}

    def is_closed(self, start: int, length: int) -> bool:
        """Whether only the output of a stretch's last item, a single tensor, is used outside it."""
        *others, last = self.items[start : start + length]
        users = [user for item in others for user in self.users[item.output]]
        users += [user for item in (*others, last) for user in self.reusers[item.output]]
        is_single = not isinstance(last, StepItem) or last.step.output_count == 1
        return is_single and all(start <= user < start + length for user in users)


def outside_inputs(items: Sequence[Item]) -> tuple[NodeOutput, ...]:
    """The outputs that a stretch takes from before it, without duplicates."""
    inside = {item.output for item in items}
    return tuple(
        dict.fromkeys(out for item in items for out in item.inputs if out.node not in inside)
    )


def reused_step(item: Item) -> int | None:
    """The index of the step whose layer an item applies again, if it does."""
    return item.step.target if isinstance(item, StepItem) and item.step.kind == "reuse" else None


def pattern_of(items: Sequence[Item]) -> tuple[Any, ...]:
    """A stretch's pattern: each item's own, and what it takes, independent of step indices."""
    known: dict[int, int] = {}
    outside: dict[NodeOutput, int] = {}
    return tuple(
        (item.pattern, references(item, index, known, outside)) for index, item in enumerate(items)
    )


def references(
    item: Item, index: int, known: dict[int, int], outside: dict[NodeOutput, int]
) -> tuple[Any, ...]:
    """What an item takes, as positions within a stretch.

    ``known`` maps the steps before it to their items, ``outside`` numbers the outputs from before
    the stretch; both are extended by what the item adds.
    """
    taken = tuple(
        ("in", known[out.node], out.path)
        if out.node in known
        else ("out", outside.setdefault(out, len(outside)))
        for out in item.inputs
    )
    reused = reused_step(item)
    known[item.output] = index
    return (*taken, None if reused is None else known.get(reused))


def _may_vary(value: Value, role: Role) -> bool:
    """Whether a value may become a parameter: a bare word only if Keras takes it as a string."""
    match value:
        case Word():
            return role in ("any", "shape") or catalogue.accepts_string(role, value.text)
        case spec.LiteralValue():
            return value.value is not ...
        case spec.Shape():
            return True
        case spec.SequenceValue():
            return role != "layer" and all(_may_vary(item, role) for item in value.items)
        case _:
            return False
