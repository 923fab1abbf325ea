"""A Keras model as the calls of its layers: what feeds what, and what it does to the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kmagic.language.spec import NO_SPAN, Span
from kmagic.language.vocabulary import snake_case
from kmagic.models.keras_history import (
    KerasCall,
    calls_before,
    calls_of,
    functional_of,
    operation_of,
)

if TYPE_CHECKING:
    from kmagic.models.build import ModelOrigin

CONSTANT_ACTIVATIONS = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
"""Layers and ops that are an activation themselves."""
TRANSPARENT = ("Flatten", "Identity", "Permute", "Reshape")
"""Layers that only move values."""
TRAINING_ONLY = ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout")
"""Beginnings of the names of layers that are there in training only."""
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM")


@dataclass(slots=True, eq=False)
class LayerCall:
    """One layer or op applied once.

    Attributes:
        layer: The layer or op.
        kind: Its class's name.
        shape: What leaves it, with the batch dimension; a structure if it gives several.
        shapes: What reaches it.
        parents: The calls that it takes from.
        children: The calls that take from it.
        span: Its line in the text, if known.
    """

    layer: Any
    kind: str
    shape: Any
    shapes: tuple[Any, ...] = ()
    parents: list[LayerCall] = field(default_factory=list)
    children: list[LayerCall] = field(default_factory=list)
    span: Span = NO_SPAN

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(getattr(self.layer, "name", ""))

    @property
    def word(self) -> str:
        """The word of its kind, for messages."""
        return snake_case(self.kind)

    @property
    def rank(self) -> int:
        """Dimensions of what leaves it, the samples among them; 0 if it gives several outputs."""
        return len(self.shape) if _is_one(self.shape) else 0

    @property
    def units(self) -> int:
        """Size of the last dimension of what leaves it; 0 if it is not known."""
        known = self.rank > 1 and isinstance(self.shape[-1], int)
        return self.shape[-1] if known else 0

    @property
    def activation(self) -> str:
        """What it does to each value in the end: "relu", "linear"; "" if that cannot be told."""
        return _activation(self.layer, self.kind)

    def is_any(self, *kinds: str) -> bool:
        """Whether its kind's name begins with one of these."""
        return self.kind.startswith(kinds)


@dataclass(slots=True)
class ModelGraph:
    """A model's calls.

    Attributes:
        model: The model.
        calls: From the inputs to the outputs, those of nested models among them.
        ends: The call that gives each of the model's outputs.
        unused: Inputs that no output depends on.
        opaque: Whether the model's inside cannot be read: it is subclassed, or not built yet.
    """

    model: Any
    calls: list[LayerCall] = field(default_factory=list)
    ends: list[LayerCall] = field(default_factory=list)
    unused: list[LayerCall] = field(default_factory=list)
    opaque: bool = False


def read_model_graph(model: Any, origin: ModelOrigin | None = None) -> ModelGraph:
    """The calls of a model's layers.

    Args:
        model: A Keras model.
        origin: The text that it was built from, if any: then the calls have lines.
    """
    return _read(model, _layer_spans(origin))


def _layer_spans(origin: ModelOrigin | None) -> dict[int, Span]:
    """The line of each layer, by the layer's id; the first line of a layer that is reused."""
    spans: dict[int, Span] = {}
    for step in (*origin.steps, *origin.nested) if origin is not None else ():
        spans.setdefault(id(operation_of(step.layer)), step.node.span)
    return spans


def _read(model: Any, spans: Mapping[int, Span]) -> ModelGraph:
    graph = functional_of(model)
    if graph is None:
        return ModelGraph(model, opaque=True)
    own = _own_calls(graph, spans)
    ends = [own[call] for call in calls_of(graph.outputs)]
    reached = {id(call.layer) for call in own.values()}
    inputs = [call.operation for call in calls_of(graph.inputs)]
    unused = [
        LayerCall(layer, "InputLayer", None, span=spans.get(id(layer), NO_SPAN))
        for layer in inputs
        if id(layer) not in reached
    ]
    calls = list(own.values())
    for call in list(calls):
        if functional_of(call.layer) is not None:
            calls += _read(call.layer, spans).calls
    return ModelGraph(model, calls, [_innermost(end, spans) for end in ends], unused)


def previous_call(call: LayerCall, *kinds: str) -> LayerCall | None:
    """The call that a call takes from, behind calls of some kinds; None if there are several."""
    while len(call.parents) == 1:
        call = call.parents[0]
        if not call.is_any(*kinds):
            return call
    return None


def ancestors(call: LayerCall) -> Iterator[LayerCall]:
    """All that a call depends on, itself first."""
    seen: set[int] = set()
    todo = [call]
    while todo:
        each = todo.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += each.parents


def _own_calls(model: Any, spans: Mapping[int, Span]) -> dict[KerasCall, LayerCall]:
    """The calls of a functional model, each after those that it takes from."""
    own: dict[KerasCall, LayerCall] = {}
    for keras_call in calls_before(model.outputs):
        layer = keras_call.operation
        outputs = [tensor.shape for tensor in keras_call.outputs]
        call = LayerCall(
            layer,
            type(layer).__name__,
            outputs[0] if len(outputs) == 1 else outputs,
            tuple(tensor.shape for tensor in keras_call.inputs),
            span=spans.get(id(layer), NO_SPAN),
        )
        for source in dict.fromkeys(keras_call.sources):
            call.parents.append(own[source])
            own[source].children.append(call)
        own[keras_call] = call
    return own


def _innermost(call: LayerCall, spans: Mapping[int, Span]) -> LayerCall:
    """The call that really gives an output: a nested model's last, behind what moves values."""
    while True:
        if functional_of(call.layer) is not None:
            ends = _read(call.layer, spans).ends
            if len(ends) != 1:
                return call
            call = ends[0]
        moves = call.is_any(*TRANSPARENT) or (
            call.kind == "Activation" and call.activation == "linear"
        )
        if not moves or len(call.parents) != 1:
            return call
        call = call.parents[0]


def _is_one(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(each is None or isinstance(each, int) for each in shape)


def _activation(layer: Any, kind: str) -> str:
    if kind in CONSTANT_ACTIVATIONS:
        return CONSTANT_ACTIVATIONS[kind]
    if kind == "TimeDistributed":
        return _activation(layer.layer, type(layer.layer).__name__)
    if kind.startswith(RECURRENT) or not hasattr(layer, "activation"):
        return ""
    found = layer.activation
    return "linear" if found is None else str(getattr(found, "__name__", ""))
