"""The graph that a text stands for: blocks opened, loops run, every value in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from kmagic.language.spec import (
    NOWHERE,
    Arg,
    CompileSpec,
    Given,
    LayerOf,
    LayerSpec,
    ModelKind,
    ModelOf,
    Out,
    Span,
    Word,
)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a block: its name, the step that uses it, and that step's values."""

    name: str
    span: Span
    spec: LayerSpec
    args: tuple[Arg, ...] = field(default=(), compare=False)


Trail: TypeAlias = tuple[Use, ...]
Turns: TypeAlias = tuple[tuple[int, str], ...]
"""Turns of the loops around a step, in words, each with the number of blocks around its loop."""


@dataclass(slots=True)
class Node:
    """One layer applied once.

    Attributes:
        callee: A word, a value from the notebook, a layer used before, or a nested model.
        args: Arguments of the constructor, with their expressions evaluated.
        inputs: Arguments of the call; values are :class:`Out`, or structures of them.
        name: The layer's name, if the text gives one.
        span: Where the step stands.
        trail: The blocks it stands in, outermost first, each with the place of its use.
        explicit: Whether the text names the inputs.
        spec: The step as it is written, with its expressions.
        params: Names of the blocks' parameters and loops' variables that are seen here.
        turns: The turns of the loops that it stands in.
        word: What the text calls it, if that is not the callee: "residual".
    """

    callee: Word | Given | LayerOf | ModelOf
    args: tuple[Arg, ...]
    inputs: tuple[Arg, ...]
    name: str | None
    span: Span
    trail: Trail = ()
    explicit: bool = False
    spec: LayerSpec | None = None
    params: frozenset[str] = frozenset()
    turns: Turns = ()
    word: str = ""

    @property
    def is_input(self) -> bool:
        """Whether this is an ``input`` line."""
        return isinstance(self.callee, Word) and self.callee.text == "input"


@dataclass(slots=True)
class Graph:
    """A model as nodes in the order of their making.

    Attributes:
        nodes: A node's number is its place here.
        models: Nested models, by number.
        outputs: What the model gives; entries with names make a dictionary.
        inputs: Order or structure of the inputs if the text gives it, else None.
        frozen: Layers and models that are not trained, with the place that says so.
        compile: Arguments of ``compile``, evaluated, or None.
        source: The text, for messages.
    """

    name: str = ""
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    models: list[Graph] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] | None = None
    frozen: list[LayerOf | ModelOf] = field(default_factory=list)
    compile: CompileSpec | None = None
    span: Span = NOWHERE

    @property
    def is_stack(self) -> bool:
        """Whether every node takes just what the node before it gave."""
        models = [node.callee.model for node in self.nodes if isinstance(node.callee, ModelOf)]
        again = len(set(models)) < len(models) or any(
            isinstance(node.callee, LayerOf) for node in self.nodes
        )
        if again and self.kind != "sequential":
            return False
        for place, node in enumerate(self.nodes):
            if node.is_input and place:
                return False
            before = () if place == 0 else (Arg(Out(place - 1)),)
            if node.inputs != before:
                return False
        return self.outputs == (Arg(Out(len(self.nodes) - 1)),) and self.inputs is None
