"""The pieces of a text that is being folded: single steps, uses of blocks, repetitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

from kmagic.language import format_value
from kmagic.language.spec import Arg, LiteralValue, NodeOutput, SequenceValue, Shape, Value, Word
from kmagic.models import catalogue
from kmagic.models.catalogue import Role
from kmagic.models.decompile.plan import Step, outs, taken

Key: TypeAlias = tuple[Any, ...]
"""Where a value stands in an item: ("of", parameter), ("name",), ("arg", parameter) ..."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """One step.

    Attributes:
        number: Its number in the plan; outputs are known by it.
        step: The step.
        values: Its arguments, which may have become a block's parameters.
        name: The layer's own name, or None.
    """

    number: int
    step: Step
    values: Mapping[str, Value]
    name: Value | None

    @cached_property
    def takes(self) -> tuple[NodeOutput, ...]:
        """What it takes from outside."""
        return tuple(taken(self.step))

    @property
    def gives(self) -> tuple[int, ...]:
        """The numbers of the steps whose outputs are seen outside."""
        return (self.number,)

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """All that must be equal in two steps for one template to stand for both."""
        step = self.step
        fixed = tuple(
            (name, format_value(value))
            for name, value in sorted(self.values.items())
            if not self.varies(name, value)
        )
        callee = format_value(step.callee) if step.callee is not None else ""
        return (
            step.kind,
            callee,
            step.of if step.kind == "model" else None,
            self.name is None,
            step.frozen,
            step.outputs,
            fixed,
            tuple((arg.name, _skeleton(arg.value)) for arg in step.inputs),
        )

    def fields(self) -> dict[Key, Value]:
        """All values that may differ between two uses of a template."""
        found: dict[Key, Value] = {
            ("of", name): value for name, value in self.values.items() if self.varies(name, value)
        }
        if self.name is not None:
            found["name",] = self.name
        return found

    def varies(self, name: str, value: Value) -> bool:
        """Whether an argument may be a block's parameter."""
        role = catalogue.role_of(name, self.step.owner)
        return may_vary(value, role)

    def changed(self, fields: Mapping[Key, Value]) -> Leaf:
        """A copy with other values."""
        values = dict(self.values)
        values.update({key[1]: value for key, value in fields.items() if key[0] == "of"})
        return replace(self, values=values, name=fields.get(("name",), self.name))


@dataclass(eq=False)
class Block:
    """A template.

    Attributes:
        name: What the text calls it.
        params: Its parameters, each with its default or None.
        body: Its first use's items, with parameters in the place of what varies.
        entries: What the first use takes from outside, in the order of the template.
        exits: What the first use gives, by number of its step.
        names: Those parameters that are parts of layers' names.
    """

    name: str
    params: dict[str, Value | None]
    body: tuple[Part, ...]
    entries: tuple[NodeOutput, ...]
    exits: tuple[int, ...]
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Use:
    """One use of a block; what it takes and gives are its own, the body is the block's."""

    block: Block
    args: Mapping[str, Value]
    takes: tuple[NodeOutput, ...]
    gives: tuple[int, ...]

    @property
    def shape(self) -> tuple[Any, ...]:
        """All that must be equal for one template to stand for both."""
        return ("use", id(self.block), len(self.takes))

    def fields(self) -> dict[Key, Value]:
        """Its arguments."""
        return {("arg", name): value for name, value in self.args.items()}

    def changed(self, fields: Mapping[Key, Value]) -> Use:
        """A copy with other arguments."""
        found = {key[1]: value for key, value in fields.items() if key[0] == "arg"}
        args = {**self.args, **found}
        return replace(self, args={name: args[name] for name in self.block.params if name in args})


@dataclass(frozen=True, eq=False)
class Loop:
    """A stretch that is run again and again, each time on what it gave.

    Attributes:
        body: The items of the first turn.
        times: How often, for ``repeat``; None for ``for``.
        var: The name that ``for`` binds.
        series: What it is bound to, turn by turn.
        takes: What enters the first turn.
        gives: What leaves the last.
        inner: What leaves the first turn, as the body knows it.
    """

    body: tuple[Part, ...]
    times: Value | None
    takes: tuple[NodeOutput, ...]
    gives: tuple[int, ...]
    var: str = ""
    series: tuple[Value, ...] = ()

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """All that must be equal for one template to stand for both."""
        return ("loop", self.var, self.series, canonical(self.items), len(self.takes))

    @property
    def items(self) -> tuple[Item, ...]:
        """Its body while folding still goes on, and forks are not made."""
        return tuple(part for part in self.body if not isinstance(part, Fork))

    def fields(self) -> dict[Key, Value]:
        """The number of turns, and all values of the body."""
        found: dict[Key, Value] = {} if self.times is None else {("times",): self.times}
        for place, item in enumerate(self.items):
            found |= {("in", place, *key): value for key, value in item.fields().items()}
        return found

    def changed(self, fields: Mapping[Key, Value]) -> Loop:
        """A copy with other values."""
        body = tuple(
            item.changed(
                {key[2:]: value for key, value in fields.items() if key[:2] == ("in", place)}
            )
            for place, item in enumerate(self.items)
        )
        return replace(self, body=body, times=fields.get(("times",), self.times))


@dataclass(frozen=True, eq=False)
class Fork:
    """Several ways from one value to one layer.

    Attributes:
        leaf: The layer that brings them together.
        branches: Each way's items.
        takes: What all of them begin with.
        gives: What the layer gives.
        residual: Whether it is an addition of the value itself and one way.
    """

    leaf: Leaf
    branches: tuple[tuple[Part, ...], ...]
    takes: tuple[NodeOutput, ...]
    gives: tuple[int, ...]
    residual: bool


Item: TypeAlias = Leaf | Use | Loop
Part: TypeAlias = Item | Fork


def reused(part: Part) -> int | None:
    """The number of the step whose layer a part applies again, if it does."""
    return part.step.of if isinstance(part, Leaf) and part.step.kind == "reuse" else None


def leaves(part: Part) -> Iterator[Leaf]:
    """All steps of a part; those of a block that it uses are not its own."""
    match part:
        case Leaf():
            yield part
        case Loop():
            for each in part.body:
                yield from leaves(each)
        case Fork():
            yield part.leaf
            for branch in part.branches:
                for inner in branch:
                    yield from leaves(inner)
        case _:
            pass


def canonical(items: tuple[Item, ...]) -> tuple[Any, ...]:
    """A stretch's form: shapes, and what each item takes from where, without numbers of steps."""
    known: dict[int, tuple[int, int]] = {}
    outside: dict[NodeOutput, int] = {}
    found = []
    for place, item in enumerate(items):
        refs = tuple(reference(out, known, outside) for out in item.takes)
        again = reused(item)
        found.append((item.shape, refs, None if again is None else known.get(again)))
        for exit_place, number in enumerate(item.gives):
            known[number] = (place, exit_place)
    return tuple(found)


def reference(
    out: NodeOutput, known: Mapping[int, tuple[int, int]], outside: dict[NodeOutput, int]
) -> tuple[Any, ...]:
    """Where an output comes from: an item of the stretch, or the nth thing from outside."""
    if out.node in known:
        return ("in", *known[out.node], out.path)
    return ("out", outside.setdefault(out, len(outside)))


def may_vary(value: Value, role: Role = "any") -> bool:
    """Whether a value may become a block's parameter.

    A bare word may if Keras takes it as a string, not if it stands for an object.
    """
    match value:
        case Word():
            return role in ("any", "shape") or catalogue.accepts_string(role, value.text)
        case LiteralValue():
            return value.value is not ...
        case Shape():
            return True
        case SequenceValue():
            return role != "layer" and all(may_vary(item, role) for item in value.items)
        case _:
            return False


def _skeleton(value: Any) -> Any:
    """A value of a call with a mark in the place of each output of a step."""
    if isinstance(value, NodeOutput):
        return "<>"
    if isinstance(value, Arg):
        return (value.name, _skeleton(value.value))
    if any(True for _ in outs(value)):
        parts = value.items if isinstance(value, SequenceValue) else value.entries
        kind = value.kind if isinstance(value, SequenceValue) else "map"
        return (kind, tuple(_skeleton_part(part) for part in parts))
    return format_value(value)


def _skeleton_part(part: Any) -> Any:
    if isinstance(part, tuple):
        return (format_value(part[0]), _skeleton(part[1]))
    return _skeleton(part)
