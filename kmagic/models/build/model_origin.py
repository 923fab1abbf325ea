"""The text that a model was built from, also of a model that was saved and loaded."""

from __future__ import annotations

import ast
import operator
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kmagic.language.expand import expand
from kmagic.language.formatter import format_spec
from kmagic.language.graph import Graph
from kmagic.language.parser import parse_partial
from kmagic.language.portable_text import PortableText
from kmagic.language.spec import ModelSpec
from kmagic.models.build.assembly import BuiltStep
from kmagic.models.keras_history import flat_layers, nested_layers
from kmagic.support.model_registry import record_for

_MAIN = -1
"""The index of the model itself; its nested models are counted from 0."""


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """The text that a model was built from.

    Attributes:
        spec: The text as it was parsed.
        graph: The nodes it expands to.
        steps: Each node with its layer and the shape of its output.
        nested: Those of the nested models.
        portable: The text with the values of its expressions, as a file stores them.
        variables: The notebook's variables that it mentions.
        settings: Keras's global settings that the text does not contain, by name.
        trainable: Whether each layer was trainable when the model was built.
    """

    spec: ModelSpec
    graph: Graph
    steps: tuple[BuiltStep, ...]
    nested: tuple[BuiltStep, ...] = ()
    portable: PortableText = field(default_factory=lambda: PortableText(""))
    variables: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    trainable: tuple[bool, ...] = ()

    def describes(self, model: Any) -> bool:
        """Whether no layer of the model was frozen or unfrozen after it was built."""
        return not any(map(operator.ne, self.trainable, _trainable_flags(model)))

    def names(self) -> dict[str, Any]:
        """Values of the variables; without arrays that nothing else holds any more."""
        values = {
            name: value() if isinstance(value, weakref.ref) else value
            for name, value in self.variables.items()
        }
        return {name: value for name, value in values.items() if value is not None}


def origin_of(model: Any) -> ModelOrigin | None:
    """The text that a model was built from; None for any other model."""
    origin: ModelOrigin | None = record_for(model).origin
    return origin


def set_origin(model: Any, origin: ModelOrigin) -> None:
    """Register the text that a model was built from."""
    record_for(model).origin = replace(origin, trainable=_trainable_flags(model))


def _trainable_flags(model: Any) -> tuple[bool, ...]:
    return tuple(bool(layer.trainable) for layer in flat_layers(model))


def mentioned_variables(spec: ModelSpec, names: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's variables that a text mentions; arrays and tables as weak references."""
    words = set(re.findall(r"[^\W\d]\w*", spec.source or format_spec(spec)))
    variables: dict[str, Any] = {}
    for name in sorted(words):
        if name in names and names[name] is not None:
            value = variables[name] = names[name]
            if hasattr(value, "shape") and not callable(value):
                with suppress(TypeError):
                    variables[name] = weakref.ref(value)
    return variables


def serialize_steps(model: Any) -> list[list[list[Any]]]:
    """The steps of a model and of its nested models as JSON values; [] without an origin.

    A step is a list: the index of the nested model, the index of the node in it, the index of the
    layer in the model or None, the name of the layer, the shape of the output.
    """
    origin = origin_of(model)
    if origin is None:
        return []
    layers = {id(layer): index for index, layer in enumerate(nested_layers(model))}
    nodes = {
        id(node): (number, index)
        for number, graph in enumerate([origin.graph, *origin.graph.models], _MAIN)
        for index, node in enumerate(graph.nodes)
    }
    return [
        [
            [*nodes[id(step.node)], layers.get(id(step.layer)), _name(step.layer), repr(step.shape)]
            for step in steps
        ]
        for steps in (origin.steps, origin.nested)
    ]


def restore_origin(
    model: Any,
    text: str,
    names: Mapping[str, Any],
    serialized: Sequence[Sequence[Sequence[Any]]],
    portable: PortableText,
) -> bool:
    """Register the text of a model that was loaded from a file.

    Args:
        model: The model.
        text: Its text.
        names: Values of the names in braces.
        serialized: From :func:`serialize_steps`, when it was saved.
        portable: The text with the values of its expressions.

    Returns:
        Whether the text belongs to the model; if not, the model gets no origin.
    """
    try:
        spec = parse_partial(text)
        graph = expand(spec, names)
        layers = list(nested_layers(model))
        steps, nested = (tuple(_restore_steps(graph, rows, layers)) for rows in serialized)
    except Exception:  # noqa: BLE001 - the file may be damaged; the model works without its text
        return False
    variables = mentioned_variables(spec, names)
    set_origin(model, ModelOrigin(spec, graph, steps, nested, portable, variables))
    return True


def _restore_steps(
    graph: Graph, rows: Sequence[Sequence[Any]], layers: Sequence[Any]
) -> Iterator[BuiltStep]:
    for number, node, index, name, shape in rows:
        layer = None if index is None else layers[index]
        if layer is not None and _name(layer) != name:
            raise ValueError(f"expected the layer {name}, got {_name(layer)}")
        part = graph if number == _MAIN else graph.models[number]
        yield BuiltStep(part.nodes[node], layer, ast.literal_eval(shape))


def _name(layer: Any) -> str:
    return str(getattr(layer, "name", ""))
