"""A model as a graph of layers to draw: from its own text, or from any Keras model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from kmagic.language import format_statement
from kmagic.language.spec import (
    Arg,
    Expr,
    LayerRef,
    LayerSpec,
    LiteralValue,
    ModelRef,
    NodeOutput,
    NotebookValue,
    Word,
    find_parts,
    map_args,
)
from kmagic.models import catalogue
from kmagic.models.keras_history import calls_before
from kmagic.models.model_variables import count_parameters
from kmagic.support.formatting import format_output_shape
from kmagic.support.keras_import import keras

MIN_NODES = 3
"""A diagram with no more nodes shows the inside of its blocks."""
MAX_VALUE = 20
"""Characters of a layer's argument in its label."""


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """A layer, or several layers that are folded into one.

    Attributes:
        label: The layer as the language writes it.
        shape: Its output shape, in words.
        parameters: The number of its parameters; those of a shared layer count once.
        sources: Indices of the nodes that it takes its inputs from.
        shared: Whether its layer has been used before.
        inside: Labels of the layers that are folded into it.
        layers: The number of layers.
    """

    label: str
    shape: str = ""
    parameters: int = 0
    sources: tuple[int, ...] = ()
    shared: bool = False
    inside: tuple[str, ...] = ()
    layers: int = 1

    @property
    def word(self) -> str:
        """The layer's word in the language."""
        return self.label.split(" = ")[-1].split(maxsplit=1)[0].partition("(")[0]


@dataclass(frozen=True, slots=True)
class DiagramGraph:
    """A model's nodes, each after its sources; a subclassed model has no known connections."""

    nodes: tuple[DiagramNode, ...]
    is_connected: bool = True


def read_graph(model: Any, built: Any = None) -> DiagramGraph:
    """A model's graph, from what it was built from (``models.build.origin_of``) if known."""
    if built is not None:
        return DiagramGraph(tuple(_nodes_of_steps(built.steps)))
    if getattr(model, "outputs", None) and hasattr(model, "operations"):
        return DiagramGraph(tuple(_nodes_of_calls(model)))
    nodes = [
        _node_of_layer(layer, set(), (index - 1,) if index else ())
        for index, layer in enumerate(model.layers)
    ]
    return DiagramGraph(tuple(nodes), is_connected=isinstance(model, keras.Sequential))


# --- from the model's text ------------------------------------------------------------------------


def _nodes_of_steps(steps: Sequence[Any]) -> list[DiagramNode]:
    """The steps with their blocks folded, except the outermost blocks of a tiny model."""
    deepest = max((len(step.node.trail) for step in steps), default=0)
    depth = 1
    while len(nodes := _fold_blocks(steps, depth)) <= MIN_NODES and depth <= deepest:
        depth += 1
    return nodes


def _fold_blocks(steps: Sequence[Any], depth: int) -> list[DiagramNode]:
    """One node for each step outside blocks, and one for each use of a block."""

    def node_key(numbered: tuple[int, Any]) -> Any:
        number, step = numbered
        trail = step.node.trail
        return (number,) if len(trail) < depth else tuple(id(use) for use in trail[:depth])

    nodes: list[DiagramNode] = []
    node_of_step: dict[int, int] = {}
    seen: set[int] = set()
    for _, numbered in groupby(enumerate(steps), key=node_key):
        members = dict(numbered)
        node_of_step |= dict.fromkeys(members, len(nodes))
        sources = dict.fromkeys(
            node_of_step[out.node]
            for step in members.values()
            for out in find_parts(step.node.inputs, NodeOutput)
        )
        sources.pop(len(nodes), None)
        nodes.append(_node_of_steps(list(members.values()), depth, tuple(sources), seen))
    return nodes


def _node_of_steps(
    steps: Sequence[Any], depth: int, sources: tuple[int, ...], seen: set[int]
) -> DiagramNode:
    counts = [count_parameters(step.layer, seen) for step in steps]
    parameters, last = sum(count for count, _ in counts), steps[-1]
    shape = format_output_shape(last.shape)
    if len(last.node.trail) < depth:
        label = _step_label(last.node.spec, last.node.args)
        return DiagramNode(label, shape, parameters, sources, counts[-1][1])
    use = last.node.trail[depth - 1]
    inside = tuple(layer_label(step.layer) for step in steps)
    label = _step_label(use.spec, use.args)
    return DiagramNode(label, shape, parameters, sources, inside=inside, layers=len(steps))


def _step_label(spec: LayerSpec, args: tuple[Arg, ...]) -> str:
    """A step with its values, without what the diagram's edges show."""
    written = map_args(args, _writable)
    return format_statement(replace(spec, args=written, inputs=None, times=None))


def _writable(value: Any) -> Any:
    """A value as it can be written: a notebook variable by its name, unless it is a number."""
    match value:
        case NotebookValue():
            is_plain = isinstance(value.value, bool | int | float | str | None)
            return LiteralValue(value.value) if is_plain else Expr(value.source)
        case LayerRef() | ModelRef():
            return Word("...")
        case _:
            return value


# --- from the Keras model -------------------------------------------------------------------------


def _nodes_of_calls(model: Any) -> Iterator[DiagramNode]:
    """The nodes of a functional model, from the calls before its outputs."""
    calls = list(calls_before(model.outputs))
    index = {call: number for number, call in enumerate(calls)}
    seen: set[int] = set()
    for call in calls:
        sources = tuple(dict.fromkeys(index[source] for source in call.sources))
        shapes = [tensor.shape for tensor in call.outputs]
        yield _node_of_layer(call.operation, seen, sources, shapes)


def _node_of_layer(
    layer: Any, seen: set[int], sources: tuple[int, ...], shapes: Sequence[Any] = ()
) -> DiagramNode:
    shape: Any = list(shapes) if len(shapes) > 1 else shapes[0] if shapes else None
    inner = getattr(layer, "layers", None)
    inside = tuple(map(layer_label, inner)) if isinstance(inner, list) else ()
    label, (parameters, shared) = layer_label(layer), count_parameters(layer, seen)
    shape = format_output_shape(shape)
    layers = max(1, len(inside))
    return DiagramNode(label, shape, parameters, sources, shared, inside, layers)


def layer_label(layer: Any) -> str:
    """A layer with its most important arguments: ``conv2d 32 3x3 relu``.

    Example:
        >>> import keras
        >>> layer_label(keras.layers.Conv2D(32, 3, activation="relu", padding="same"))
        'conv2d 32 3x3 relu'
    """
    cls: Any = type(layer)
    if hasattr(layer, "function") and not isinstance(layer, catalogue.layer_class()):
        return str(getattr(layer.function, "__name__", "function"))
    if hasattr(layer, "layers") and hasattr(layer, "outputs"):
        return f"model {layer.name}"
    if cls.__name__ == "InputLayer":
        dims = "x".join("?" if dim is None else str(dim) for dim in layer.batch_shape[1:])
        dtype = "" if layer.dtype == "float32" else f" {layer.dtype}"
        return f"input {dims or '()'}{dtype}"
    params: tuple[catalogue.Parameter, ...] = ()
    with suppress(TypeError, ValueError):
        params = catalogue.parameters(cls)
    parts = [catalogue.word_for(cls)]
    for name in _main_parameters([param for param in params if param.positional]):
        value = getattr(layer, name, None) or getattr(layer, f"forward_{name}", None)
        parts += filter(None, [_value(value)])
    strides = _value(getattr(layer, "strides", None))
    if strides and set(strides) - set("1x") and not hasattr(layer, "pool_size"):
        parts.append(f"strides={strides}")
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "") or getattr(activation, "name", "")
    default = next((param.default for param in params if param.name == "activation"), None)
    if name and name not in ("linear", default):
        parts.append(name)
    return " ".join(parts)


def _main_parameters(params: Sequence[catalogue.Parameter]) -> list[str]:
    names = [param.name for param in params if param.required and param.name != "activation"]
    return names or [param.name for param in params[:1] if param.name == "pool_size"]


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple | list) and value and all(isinstance(item, int) for item in value):
        return "x".join(map(str, value))
    if isinstance(value, catalogue.layer_class()):
        return f"({layer_label(value)})"
    return value if isinstance(value, str) and len(value) < MAX_VALUE else ""
