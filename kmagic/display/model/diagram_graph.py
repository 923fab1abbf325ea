"""A model as nodes and edges, ready to be drawn: from its text, or from any Keras model."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from kmagic.language import format_statement
from kmagic.language.spec import (
    Arg,
    Expr,
    InnerLayer,
    LayerRef,
    LayerSpec,
    LiteralValue,
    MappingValue,
    ModelRef,
    NodeOutput,
    NotebookValue,
    Object,
    SequenceValue,
    Word,
)
from kmagic.models import catalogue
from kmagic.models.keras_history import calls_before
from kmagic.support.formatting import format_output_shape

FEW = 3
"""A picture of no more boxes than these is opened one level of blocks further."""


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """One box of the picture: a layer, or several that are folded into one.

    Attributes:
        label: What it is, as the language writes it.
        shape: The shape that leaves it, in words.
        parameters: How many it has; those of a shared layer count once.
        sources: Numbers of the nodes whose outputs it takes.
        shared: Whether its layer has been used before.
        inside: The words of the layers that it folds, or none.
        layers: How many layers it stands for.
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
        """The first word of the label."""
        return self.label.split(" = ")[-1].split(maxsplit=1)[0].partition("(")[0]


@dataclass(frozen=True, slots=True)
class DiagramGraph:
    """A model's nodes, each after all of its sources.

    Attributes:
        nodes: A node's number is its place here.
        loose: Whether the connections are not known: the model is a class of its own.
    """

    nodes: tuple[DiagramNode, ...]
    loose: bool = False


def read_graph(model: Any, built: Any = None) -> DiagramGraph:
    """A model's nodes and edges.

    Args:
        model: A Keras model.
        built: What it was built from (``kmagic.models.build.origin_of``), or None.
    """
    if built is not None:
        return DiagramGraph(tuple(_of_steps(built.steps)))
    if getattr(model, "outputs", None) and hasattr(model, "operations"):
        return DiagramGraph(tuple(_of_tensors(model)))
    import keras  # noqa: PLC0415 - it is loaded by now

    layers = list(model.layers)
    chain = [
        replace(_of_layer(each), sources=(n - 1,) if n else ()) for n, each in enumerate(layers)
    ]
    return DiagramGraph(tuple(chain), loose=not isinstance(model, keras.Sequential))


# --- from the text ------------------------------------------------------------------------------


def _of_steps(steps: Sequence[Any]) -> list[DiagramNode]:
    depth = 1
    while True:
        nodes = _folded(steps, depth)
        deepest = max((len(step.node.trail) for step in steps), default=0)
        if len(nodes) > FEW or depth > deepest:
            return nodes
        depth += 1


def _folded(steps: Sequence[Any], depth: int) -> list[DiagramNode]:
    """One node for each step outside of blocks, and one for each use of a block."""

    def group(numbered: tuple[int, Any]) -> Any:
        number, step = numbered
        trail = step.node.trail
        return (number,) if len(trail) < depth else tuple(id(use) for use in trail[:depth])

    nodes: list[DiagramNode] = []
    home: dict[int, int] = {}
    seen: set[int] = set()
    for _, found in groupby(enumerate(steps), key=group):
        members = list(found)
        sources: list[int] = []
        for number, step in members:
            outside = (home[each] for each in _outs(step.node.inputs) if each in home)
            sources += [each for each in outside if each != len(nodes)]
            home[number] = len(nodes)
        nodes.append(_of_use([step for _, step in members], depth, sources, seen))
    return nodes


def _of_use(steps: Sequence[Any], depth: int, sources: list[int], seen: set[int]) -> DiagramNode:
    fresh, shared = 0, False
    for step in steps:
        size = _parameters(step.layer)
        shared = id(step.layer) in seen and size > 0
        fresh += 0 if id(step.layer) in seen else size
        seen.add(id(step.layer))
    last = steps[-1]
    unique = tuple(dict.fromkeys(sources))
    shape = format_output_shape(last.shape)
    if len(last.node.trail) < depth:
        label = _label(last.node.spec, last.node.args, last.layer)
        return DiagramNode(label, shape, fresh, unique, shared)
    use = last.node.trail[depth - 1]
    label = _label(use.spec, use.args, None)
    inside = tuple(layer_label(step.layer) for step in steps)
    return DiagramNode(label, shape, fresh, unique, inside=inside, layers=len(steps))


def _label(spec: LayerSpec | None, args: tuple[Arg, ...], layer: Any) -> str:
    """A step with its values, and without what the edges of the picture show."""
    if spec is None:
        return layer_label(layer)
    written = tuple(replace(arg, value=_written(arg.value)) for arg in args)
    return format_statement(replace(spec, args=written, inputs=None, times=None))


def _written(value: Any) -> Any:
    """A value as it can be written: one of the notebook's by its name, unless it is short."""
    match value:
        case NotebookValue():
            plain = isinstance(value.value, bool | int | float | str | None)
            return LiteralValue(value.value) if plain else Expr(value.source)
        case SequenceValue():
            return replace(value, items=tuple(map(_written, value.items)))
        case MappingValue():
            entries = tuple((key, _written(item)) for key, item in value.entries)
            return replace(value, entries=entries)
        case Object() | InnerLayer():
            args = tuple(replace(arg, value=_written(arg.value)) for arg in value.args)
            callee = value.callee
            if isinstance(callee, NotebookValue):
                callee = Expr(callee.source)
            return replace(value, callee=callee, args=args)
        case LayerRef() | ModelRef():
            return Word("...")
        case _:
            return value


def _outs(values: Iterable[Arg]) -> Iterator[int]:
    """Numbers of the nodes whose outputs stand in a call's arguments."""
    for arg in values:
        yield from _outs_in(arg.value)


def _outs_in(value: Any) -> Iterator[int]:
    match value:
        case NodeOutput():
            yield value.node
        case SequenceValue():
            for item in value.items:
                yield from _outs_in(item)
        case MappingValue():
            for _, item in value.entries:
                yield from _outs_in(item)


# --- from Keras ---------------------------------------------------------------------------------


def _of_tensors(model: Any) -> Iterator[DiagramNode]:
    """The nodes of a functional model, followed back from its outputs."""
    order = list(calls_before(model.outputs))
    index = {call: number for number, call in enumerate(order)}
    seen: set[int] = set()
    for call in order:
        operation = call.operation
        known = id(operation) in seen
        seen.add(id(operation))
        node = _of_layer(operation, [tensor.shape for tensor in call.outputs])
        yield replace(
            node,
            sources=tuple(dict.fromkeys(index[source] for source in call.sources)),
            parameters=0 if known else node.parameters,
            shared=known and node.parameters > 0,
        )


def _of_layer(layer: Any, shapes: Sequence[Any] = ()) -> DiagramNode:
    shape: Any = list(shapes) if len(shapes) > 1 else shapes[0] if shapes else None
    inner = getattr(layer, "layers", None)
    inside: tuple[str, ...] = ()
    if isinstance(inner, list):
        inside = tuple(layer_label(each) for each in inner)
    return DiagramNode(
        layer_label(layer),
        format_output_shape(shape),
        _parameters(layer),
        inside=inside,
        layers=max(1, len(inside)),
    )


def layer_label(layer: Any) -> str:
    """A layer with the values that say most about it: ``conv2d 32 3x3 relu``.

    Example:
        >>> import keras
        >>> layer_label(keras.layers.Conv2D(32, 3, activation="relu", padding="same"))
        'conv2d 32 3x3 relu'
    """
    cls = type(layer)
    if hasattr(layer, "function") and not isinstance(layer, catalogue.layer_class()):
        return str(getattr(layer.function, "__name__", "function"))
    if hasattr(layer, "layers") and hasattr(layer, "outputs"):
        return f"model {layer.name}"
    if cls.__name__ == "InputLayer":
        shape = layer.batch_shape
        dims = "x".join("?" if dim is None else str(dim) for dim in shape[1:]) or "()"
        kind = "" if layer.dtype == "float32" else f" {layer.dtype}"
        return f"input {dims}{kind}"
    parts = [catalogue.word_for(cls)]
    for param in _telling(cls):
        shown = _value(getattr(layer, param, None) or getattr(layer, f"forward_{param}", None))
        parts += [shown] if shown else []
    strides = _value(getattr(layer, "strides", None))
    if strides and set(strides) - set("1x") and not hasattr(layer, "pool_size"):
        parts.append(f"strides={strides}")
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "") or getattr(activation, "name", "")
    if name and name not in ("linear", _default(cls, "activation")):
        parts.append(name)
    return " ".join(parts)


def _default(cls: Any, name: str) -> Any:
    found = (each.default for each in catalogue.parameters(cls) if each.name == name)
    return next(found, None)


def _telling(cls: Any) -> list[str]:
    """The parameters without which a layer is not described."""
    try:
        params = [each for each in catalogue.parameters(cls) if each.positional]
    except (TypeError, ValueError):
        return []
    required = [each.name for each in params if each.required and each.name != "activation"]
    return required or [each.name for each in params[:1] if each.name == "pool_size"]


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple | list) and value and all(isinstance(each, int) for each in value):
        return "x".join(map(str, value))
    if isinstance(value, catalogue.layer_class()):
        return f"({layer_label(value)})"
    return value if isinstance(value, str) and len(value) < 20 else ""  # noqa: PLR2004 - room in a box


def _parameters(layer: Any) -> int:
    counts = getattr(layer, "count_params", None)
    if not getattr(layer, "built", False) or not inspect.ismethod(counts):
        return 0
    return int(counts())
