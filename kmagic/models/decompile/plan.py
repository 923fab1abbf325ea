"""A model as the steps that a text would take, before they are folded and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language.spec import (
    Arg,
    Expr,
    MappingValue,
    ModelKind,
    NodeOutput,
    SequenceValue,
    Value,
    Word,
)

StepKind: TypeAlias = OneOf["input", "layer", "function", "reuse", "model"]


@dataclass(slots=True)
class Step:
    """One layer applied once.

    Attributes:
        kind: What is applied: a new layer, a function, a layer used before, a nested model.
        callee: Its word; for a layer used before or a model nothing yet, they have no names.
        owner: The class or function whose signature gives the arguments their places.
        values: Arguments of the constructor by parameter; a function's under their names.
        inputs: Arguments of the call; tensors in them are :class:`Out`, by step number.
        name: The layer's own name; "" where Keras invented it.
        of: Number of the step or place of the model that is used again.
        outputs: How many tensors it gives.
        frozen: Whether a line somewhere says that the layer is not trained.
    """

    kind: StepKind
    callee: Word | Expr | None = None
    owner: Any = None
    values: dict[str, Value] = field(default_factory=dict)
    inputs: tuple[Arg, ...] = ()
    name: str = ""
    of: int = -1
    outputs: int = 1
    frozen: bool = False


@dataclass(slots=True)
class Plan:
    """One model.

    Attributes:
        name: Its own name; "" where Keras invented it.
        kind: What it is.
        args: Arguments of the model itself.
        steps: In an order in which each finds what it takes.
        inputs: Structure of the inputs, if it is not the inputs one after the other.
        outputs: What it gives; entries with names make a dictionary.
        frozen: Whether all of it is frozen, so that its user says so once.
        freeze: After so many steps one line says that none of them is trained; 0 for no line.
    """

    name: str = ""
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    steps: list[Step] = field(default_factory=list)
    inputs: tuple[Arg, ...] | None = None
    outputs: tuple[Arg, ...] = ()
    frozen: bool = False
    freeze: int = 0


@dataclass(slots=True)
class Program:
    """A model and all models nested in it.

    Attributes:
        plan: The model itself.
        models: Nested models, each after those it uses.
        names: What a text calls each of them.
        compile: Arguments of its compile line, or None.
        needs: What the text needs from the notebook, by name.
        notes: What the text does not say, a sentence each.
    """

    plan: Plan
    models: list[Plan] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    compile: tuple[Arg, ...] | None = None
    needs: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def outs(value: Any) -> Iterator[NodeOutput]:
    """All outputs of steps that a value of a call holds.

    Example:
        >>> [each.node for each in outs(Sequence("list", (Out(3), Out(1, (0,)))))]
        [3, 1]
    """
    match value:
        case NodeOutput():
            yield value
        case SequenceValue():
            for item in value.items:
                yield from outs(item)
        case MappingValue():
            for _, item in value.entries:
                yield from outs(item)
        case Arg():
            yield from outs(value.value)


def taken(step: Step) -> list[NodeOutput]:
    """All outputs of steps that a step takes, in their order."""
    return [out for arg in step.inputs for out in outs(arg)]
