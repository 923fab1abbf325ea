"""What R's expressions stand for while a script is translated.

Numbers, strings, ``True``, ``False`` and ``None`` (``NULL``) stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.from_r.r_nodes import Function, Place

MODEL = "\0"
"""In an advice: the name of the model that is being made."""


@dataclass(eq=False, slots=True)
class Unknown:
    """Something that only a run of R would know: data, results.

    Attributes:
        python: An expression for it over the notebook's names, or "".
        advice: What does here what made it, or "".
        function: The function that was called for it, if nothing here knows it.
    """

    python: str = ""
    advice: str = ""
    function: str = ""


@dataclass(eq=False, slots=True)
class Broken(Unknown):
    """What a statement with a mistake should have made."""


@dataclass(eq=False, slots=True)
class Vector:
    """``c(3, 3)`` or ``list(a = x)``: values, perhaps with names."""

    kind: OneOf["c", "list"]
    items: list[tuple[str | None, Any]]

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def named(self) -> bool:
        """Whether every value has a name."""
        return bool(self.items) and all(name for name, _ in self.items)


@dataclass(eq=False, slots=True)
class Given:
    """An argument, evaluated."""

    value: Any
    name: str | None
    place: Place


@dataclass(eq=False, slots=True)
class Thing:
    """What one of Keras's functions makes: a layer, an optimizer, an initializer ...

    What its name means is asked when its place is known: ``Identity()`` is a layer and an
    initializer.
    """

    name: str
    args: list[Given]
    place: Place
    variable: str = ""


@dataclass(eq=False, slots=True)
class Input:
    """Where data comes in."""

    shape: Any
    place: Place
    dtype: Any = None
    batch: Any = None
    name: str = ""


@dataclass(eq=False, slots=True)
class Node:
    """A layer or model applied to something."""

    what: Thing | Model | Unknown | Input
    place: Place
    inputs: list[Tensor] = field(default_factory=list)
    call: list[Given] = field(default_factory=list)
    variable: str = ""


@dataclass(eq=False, slots=True)
class Tensor:
    """What leaves a node; a path picks one of several."""

    node: Node
    path: tuple[int, ...] = ()


@dataclass(eq=False, slots=True)
class Model:
    """A model: its layers in a row, or what lies between its inputs and outputs."""

    place: Place
    layers: list[Thing | Model | Unknown | Input] = field(default_factory=list)
    shape: Input | None = None
    inputs: list[Tensor] | None = None
    outputs: list[Tensor] = field(default_factory=list)
    compiled: list[Given] | None = None
    variable: str = ""

    @property
    def is_stack(self) -> bool:
        """Whether it is a row of layers."""
        return self.inputs is None


@dataclass(eq=False, slots=True)
class Closure:
    """A function of the script's own."""

    node: Function
    names: dict[str, Any]
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function that is passed on, not called: ``loss_mean_squared_error``."""

    name: str


Flow: TypeAlias = Model | Tensor


def tensors(value: Any) -> list[Tensor]:
    """The tensors that a value holds; none if it holds anything else."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Vector) and value.items:
        found = [tensors(each) for each in value]
        return [each for part in found for each in part] if all(found) else []
    return []


def flows(value: Any) -> bool:
    """Whether a layer can be put behind a value."""
    return isinstance(value, Model) or bool(tensors(value))


def python_name(name: str) -> str:
    """A variable's name as Python can have it: ``x.train`` is ``x_train``."""
    plain = re.sub(r"\W", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain
