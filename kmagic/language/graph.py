"""The graph that a text stands for: blocks expanded, loops unrolled, names resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TypeAlias

from kmagic.language import spec
from kmagic.language.formatter import format_statement
from kmagic.language.spec import Arg, LayerRef, LayerSpec, ModelRef, Span


@dataclass(frozen=True, slots=True)
class BlockUse:
    """One use of a block: its name, the step that uses it, and that step's values."""

    name: str
    span: Span
    spec: LayerSpec
    args: tuple[Arg, ...] = field(default=(), compare=False)


BlockTrail: TypeAlias = tuple[BlockUse, ...]
"""The blocks around a step, outermost first."""
Iterations: TypeAlias = tuple[tuple[int, str], ...]
"""Iterations of the loops around a step, as text, each with the number of blocks around it."""

NamedOutputs: TypeAlias = Mapping[str, tuple[spec.NodeOutput, Span]]


@dataclass(slots=True)
class Node:
    """One layer applied once.

    Attributes:
        callee: A word, a value from the notebook, a layer used before, or a nested model.
        args: Arguments of the constructor, with their expressions evaluated.
        inputs: Arguments of the call; values are :class:`NodeOutput` or structures of them.
        name: The layer's name, if the text gives one.
        span: Position of the step.
        spec: The step as it is written, with its expressions.
        trail: The blocks around it, each with the position of its use.
        params: Names of the block parameters and loop variables that are visible here.
        named_outputs: The named outputs of the model or block around it, each with the position of
            its name; also those further down.
        iterations: The iterations of the loops around it.
        word: What the text calls it, if that is not the callee: "residual".
    """

    callee: spec.Word | spec.NotebookValue | LayerRef | ModelRef
    args: tuple[Arg, ...]
    inputs: tuple[Arg, ...]
    name: str | None
    span: Span
    spec: LayerSpec
    trail: BlockTrail = ()
    params: frozenset[str] = frozenset()
    named_outputs: NamedOutputs = field(default_factory=dict, compare=False, repr=False)
    iterations: Iterations = ()
    word: str = ""

    @property
    def is_input(self) -> bool:
        """Whether this is an ``input`` line."""
        return isinstance(self.callee, spec.Word) and self.callee.text == "input"


def named_end(nodes: Sequence[Node], index: int) -> str:
    """A line of several layers with the name of one of them moved to its end; "" if there is none.

    In ``h = conv2d 8 3x3 / flatten``, h names the output of conv2d; often that of the whole line
    is meant.

    Args:
        nodes: Those of a graph.
        index: A node with a name.
    """
    first, line = nodes[index], rest_of_line(nodes, index)
    if len(line) == 1 or not first.spec.targets or line[-1].spec.targets:
        return ""
    if any(node.spec.inputs is not None for node in line[1:]):
        return ""
    specs = [replace(first.spec, targets=()), *(node.spec for node in line[1:])]
    specs[-1] = replace(specs[-1], targets=first.spec.targets)
    return " / ".join(map(format_statement, specs))


def arrow_first(nodes: Sequence[Node], index: int) -> str:
    """A line of several layers with the only arrow of a later one after the first, else "".

    In ``conv2d 8 3x3 / maxpool 2x2 <- image``, the arrow belongs to maxpool alone.
    """
    specs = [node.spec for node in rest_of_line(nodes, index)]
    arrows = [spec.inputs for spec in specs if spec.inputs is not None]
    if len(arrows) != 1 or specs[0].inputs is not None:
        return ""
    specs = [replace(spec, inputs=None) for spec in specs]
    specs[0] = replace(specs[0], inputs=arrows[0])
    return " / ".join(map(format_statement, specs))


def rest_of_line(nodes: Sequence[Node], index: int) -> list[Node]:
    """A node and those after it on the same line and in the same block, without loops."""
    first = nodes[index]
    line = list(
        takewhile(
            lambda node: node.span.line == first.span.line and node.trail == first.trail,
            nodes[index:],
        )
    )
    is_plain = all(node.spec.times is None for node in line)
    columns = [node.span.column for node in line]
    return line if is_plain and columns == sorted(set(columns)) else line[:1]


@dataclass(slots=True)
class Graph:
    """A model as nodes in the order of their creation.

    Attributes:
        nodes: A node is identified by its index here.
        models: Nested models; a nested model is identified by its index here.
        outputs: The model's outputs; entries with names make a dictionary.
        inputs: Order or structure of the inputs if the text gives it, else None.
        frozen_nodes: How many nodes a ``freeze`` line without names freezes: those above it.
        frozen: Layers and models that are frozen by their names.
        unfrozen: Layers and models that are trained in spite of a ``freeze`` line; of a model only
            the last layers, if a number is given.
        compile: Arguments of ``compile``, evaluated, or None.
    """

    name: str = ""
    kind: spec.ModelKind = ""
    args: tuple[Arg, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    models: list[Graph] = field(default_factory=list)
    outputs: tuple[Arg, ...] = ()
    inputs: tuple[Arg, ...] | None = None
    frozen_nodes: int = 0
    frozen: list[LayerRef | ModelRef] = field(default_factory=list)
    unfrozen: list[tuple[LayerRef | ModelRef, int | None]] = field(default_factory=list)
    compile: spec.CompileSpec | None = None
    span: Span = spec.NO_SPAN

    @property
    def all_frozen(self) -> list[LayerRef | ModelRef]:
        """The layers and models that any ``freeze`` line freezes."""
        return [*map(LayerRef, range(self.frozen_nodes)), *self.frozen]

    @property
    def named_layers(self) -> list[LayerRef | ModelRef]:
        """The layers and models that ``freeze`` and ``unfreeze`` lines name."""
        return [*self.frozen, *(reference for reference, _ in self.unfrozen)]

    @property
    def is_stack(self) -> bool:
        """Whether every node takes exactly the output of the node before it."""
        models = [node.callee.model for node in self.nodes if isinstance(node.callee, ModelRef)]
        shared = len(set(models)) < len(models) or any(
            isinstance(node.callee, LayerRef) for node in self.nodes
        )
        if shared and self.kind != "sequential":
            return False
        chain = [(), *((Arg(spec.NodeOutput(index)),) for index in range(len(self.nodes)))]
        edges = [*(node.inputs for node in self.nodes), self.outputs]
        return edges == chain and self.nodes != [] and self.inputs is None
