"""A Keras model as the calls of its layers, for advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kmagic.language.spec import NO_SPAN, Span
from kmagic.language.vocabulary import PREFERRED, snake_case
from kmagic.models import keras_history
from kmagic.models.build import ModelOrigin
from kmagic.models.keras_history import KerasCall

_ACTIVATION_LAYERS = frozenset(
    {"ELU", "LeakyReLU", "PReLU", "ReLU", "Relu", "Sigmoid", "Softmax", "Tanh"}
)
TRANSPARENT = ("Flatten", "Identity", "Permute", "Reshape")
"""Layers that only rearrange values."""
TRAINING_ONLY = ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout")
"""Name prefixes of the layers that act in training only."""
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM")


@dataclass(slots=True, eq=False)
class LayerCall:
    """One call of a layer or operation.

    Attributes:
        layer: The layer or operation.
        kind: The name of its class.
        shape: The shape of the output, with the batch dimension; a list for several outputs.
        shapes: The shapes of the inputs.
        parents: The calls that its inputs come from.
        children: The calls that use its output.
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
        """The layer's word, for messages."""
        return snake_case(self.kind)

    @property
    def rank(self) -> int:
        """The number of the output's dimensions with the batch; 0 for several outputs."""
        is_one = isinstance(self.shape, tuple) and all(
            size is None or isinstance(size, int) for size in self.shape
        )
        return len(self.shape) if is_one else 0

    @property
    def units(self) -> int:
        """The size of the output's last dimension; 0 if it is unknown."""
        known = self.rank > 1 and isinstance(self.shape[-1], int)
        return self.shape[-1] if known else 0

    @property
    def activation(self) -> str:
        """The activation of the output: "relu", "linear"; "" if it is unknown."""
        return _activation(self.layer, self.kind)

    def is_any(self, *kinds: str) -> bool:
        """Whether the name of its class starts with one of these."""
        return self.kind.startswith(kinds)


def _activation(layer: Any, kind: str) -> str:
    if kind in _ACTIVATION_LAYERS:
        return PREFERRED.get(kind) or snake_case(kind)
    if kind == "TimeDistributed":
        return _activation(layer.layer, type(layer.layer).__name__)
    if kind.startswith(_RECURRENT) or not hasattr(layer, "activation"):
        return ""
    activation = layer.activation
    return "linear" if activation is None else str(getattr(activation, "__name__", ""))


@dataclass(slots=True)
class ModelGraph:
    """The calls of a model's layers.

    Attributes:
        model: The model.
        calls: From the inputs to the outputs, including those of nested models.
        ends: The calls that compute the model's outputs.
        unused: Inputs that no output depends on.
        opaque: Whether the calls are unknown: the model is subclassed, or not built yet.
    """

    model: Any
    calls: list[LayerCall] = field(default_factory=list)
    ends: list[LayerCall] = field(default_factory=list)
    unused: list[LayerCall] = field(default_factory=list)
    opaque: bool = False


def read_model_graph(model: Any, origin: ModelOrigin | None = None) -> ModelGraph:
    """The calls of a model's layers, with their lines if the model was built from a text."""
    spans: dict[int, Span] = {}  # by the layer's id; a reused layer has its first line
    for step in (*origin.steps, *origin.nested) if origin is not None else ():
        spans.setdefault(id(keras_history.operation_of(step.layer)), step.node.span)
    return _read(model, spans)


def _read(model: Any, spans: Mapping[int, Span]) -> ModelGraph:
    functional = keras_history.functional_of(model)
    if functional is None:
        return ModelGraph(model, opaque=True)
    own = _own_calls(functional, spans)
    reached = {id(call.layer) for call in own.values()}
    unused = [
        LayerCall(call.operation, "InputLayer", None, span=spans.get(id(call.operation), NO_SPAN))
        for call in keras_history.calls_of(functional.inputs)
        if id(call.operation) not in reached
    ]
    calls = list(own.values())
    for call in own.values():
        if keras_history.functional_of(call.layer) is not None:
            calls += _read(call.layer, spans).calls
    ends = [
        _computing_call(own[call], spans) for call in keras_history.calls_of(functional.outputs)
    ]
    return ModelGraph(model, calls, ends, unused)


def _own_calls(model: Any, spans: Mapping[int, Span]) -> dict[KerasCall, LayerCall]:
    """The calls of a functional model, each after its parents."""
    own: dict[KerasCall, LayerCall] = {}
    for keras_call in keras_history.calls_before(model.outputs):
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


def _computing_call(call: LayerCall, spans: Mapping[int, Span]) -> LayerCall:
    """The call that computes an output: inside a nested model, before rearranging layers."""
    while True:
        if keras_history.functional_of(call.layer) is not None:
            ends = _read(call.layer, spans).ends
            if len(ends) != 1:
                return call
            call = ends[0]
        rearranges = call.is_any(*TRANSPARENT) or (
            call.kind == "Activation" and call.activation == "linear"
        )
        if not rearranges or len(call.parents) != 1:
            return call
        call = call.parents[0]


def previous_call(call: LayerCall, *kinds: str) -> LayerCall | None:
    """The parent of a call, skipping some kinds of layers; None if there are several."""
    while len(call.parents) == 1:
        call = call.parents[0]
        if not call.is_any(*kinds):
            return call
    return None


def ancestors(call: LayerCall) -> Iterable[LayerCall]:
    """A call and all calls that it depends on."""
    found: set[LayerCall] = set()
    pending = [call]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending += current.parents
    return found
