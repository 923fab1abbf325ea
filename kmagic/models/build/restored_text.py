"""The text of a model that comes out of a file: its steps find their layers again."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kmagic.language.expand import expand
from kmagic.language.graph import Graph
from kmagic.language.parser import parse_partial
from kmagic.language.spec import ModelSpec
from kmagic.models.build.builder import BuiltStep
from kmagic.models.keras_history import nested_layers

MAIN = -1
"""The number of the model itself, beside those of its nested models."""


def write_steps(model: Any, graph: Graph, steps: Sequence[BuiltStep]) -> list[list[Any]]:
    """Where each step stands and where its layer is in the model, fit for JSON.

    Args:
        model: The model.
        graph: What its text stands for.
        steps: Its steps, or those of its nested models.

    Returns:
        A list a step: the nested model's number, the node's place in it, the layer's place in the
        model or None, the layer's name, the shape behind it.
    """
    places = {id(layer): place for place, layer in enumerate(nested_layers(model))}
    nodes = {
        id(node): (number, place)
        for number, each in enumerate([graph, *graph.models], MAIN)
        for place, node in enumerate(each.nodes)
    }
    return [
        [*nodes[id(step.node)], places.get(id(step.layer)), _name(step.layer), repr(step.shape)]
        for step in steps
    ]


def read_steps(
    model: Any, text: str, names: Mapping[str, Any], written: Sequence[Sequence[Sequence[Any]]]
) -> tuple[ModelSpec, Graph, list[tuple[BuiltStep, ...]]] | None:
    """The steps of a text, with the layers of a model that was saved with it.

    Args:
        model: The model.
        text: Its text.
        names: What the names in braces stand for.
        written: From :func:`write_steps`: its steps, and those of its nested models.

    Returns:
        What the text says, what it stands for, and the steps; None where text and model are not
        of one piece.
    """
    try:
        spec = parse_partial(text).spec
        graph = expand(spec, names)
        layers = list(nested_layers(model))
        return spec, graph, [tuple(_steps(graph, each, layers)) for each in written]
    except Exception:  # noqa: BLE001 - a file's words; the model is as good without them
        return None


def _steps(
    graph: Graph, written: Sequence[Sequence[Any]], layers: Sequence[Any]
) -> Iterator[BuiltStep]:
    for number, node, place, name, shape in written:
        layer = None if place is None else layers[place]
        if layer is not None and _name(layer) != name:
            raise ValueError(f"{name} is {_name(layer)} here")
        nodes = graph.nodes if number == MAIN else graph.models[number].nodes
        yield BuiltStep(nodes[node], layer, ast.literal_eval(shape))


def _name(layer: Any) -> str:
    return str(getattr(layer, "name", ""))
