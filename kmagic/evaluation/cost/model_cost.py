"""What a model costs: operations, memory and time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from kmagic.evaluation.cost.activation_memory import UnknownSizeError, kept_bytes, peak_bytes
from kmagic.evaluation.cost.latency import device_name, measure_latency
from kmagic.evaluation.cost.operation_flops import FlopCounter
from kmagic.evaluation.cost.traced_model import (
    OWN,
    ModelCallError,
    TracedModel,
    reason_of,
    trace,
)
from kmagic.evaluation.prediction.batch_prediction import model_phrase
from kmagic.evaluation.prediction.evaluate import KERAS_BATCH
from kmagic.language import format_statement
from kmagic.models.build import origin_of
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.models.keras_history import (
    build_shapes,
    functional_of,
    input_structure,
    operation_of,
)
from kmagic.models.model_variables import count_parameters
from kmagic.support.errors import EvaluationError, check_integer
from kmagic.support.formatting import (
    format_bytes,
    format_flops,
    format_latency,
    format_output_shape,
    format_shape,
    list_names,
    pluralize,
)
from kmagic.support.memory import MAX_SHARE, available_memory
from kmagic.support.messages import Option, Part, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.process_patches import weights_without_values
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    import pandas as pd

CONVENTION = "A multiplication and an addition are two FLOPs, as in TensorFlow's profiler."


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of one call of a layer.

    Attributes:
        text: The line of the model's text, or the layer's name and class.
        line: The number of the line in the text; 0 without a text.
        layer: The layer's name.
        shape: The shape of the output.
        parameters: The parameters of the layer; 0 if an earlier call has counted them.
        flops: FLOPs for one sample.
        activations: Bytes that a training keeps for the backward pass, for a batch; None if
            unknown.
    """

    text: str
    line: int
    layer: str
    shape: Any
    parameters: int
    flops: int
    activations: int | None

    def with_sums_of(self, layers: Sequence[LayerCost]) -> LayerCost:
        """The same line with the costs of all these layers."""
        return replace(
            self,
            parameters=sum(layer.parameters for layer in layers),
            flops=sum(layer.flops for layer in layers),
            activations=_sum_if_known(layer.activations for layer in layers),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ModelCost(Renderable):
    """What a model costs.

    Attributes:
        name: Name of the model.
        batch_size: Samples per batch, for memory and latency.
        layers: The cost of each call of a layer, in order.
        parameters: The number of parameters.
        weights: Bytes of all weights.
        gradients: Bytes of the gradients of the trainable weights.
        optimizer: Bytes of the optimizer's variables; None if the model is not compiled.
        prediction: Bytes of the activations that a prediction of a batch needs at one time.
        latency: Median time of a prediction in seconds, by batch size.
        device: Where the latency was measured.
        notes: What is not counted or not known, and why.
    """

    renderer: ClassVar[str] = "kmagic.display.model.cost_card:cost_bundle"

    name: str
    batch_size: int
    layers: tuple[LayerCost, ...]
    parameters: int
    weights: int
    gradients: int
    optimizer: int | None
    prediction: int | None
    latency: dict[int, float] = field(default_factory=dict)
    device: str = ""
    notes: tuple[str, ...] = ()

    @property
    def flops(self) -> int:
        """FLOPs for one sample."""
        return sum(layer.flops for layer in self.layers)

    @property
    def activations(self) -> int | None:
        """Bytes of the activations that a training keeps for a batch; None if unknown."""
        return _sum_if_known(layer.activations for layer in self.layers)

    @property
    def training(self) -> int | None:
        """Bytes that a training needs: weights, gradients, activations, and optimizer if known."""
        optimizer = self.optimizer or 0
        return _sum_if_known((self.weights, self.gradients, optimizer, self.activations))

    @property
    def lines(self) -> list[LayerCost]:
        """The cost of each line of the model's text, which sums what it makes; or the layers."""
        groups: dict[Any, list[LayerCost]] = defaultdict(list)
        for index, layer in enumerate(self.layers):
            groups[(layer.line, layer.text) if layer.line else index].append(layer)
        return [group[-1].with_sums_of(group) for group in groups.values()]

    def to_frame(self) -> pd.DataFrame:
        """One row per call of a layer, with the columns of :class:`LayerCost`."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        names = LayerCost.__slots__
        rows = [[getattr(layer, name) for name in names] for layer in self.layers]
        frame = pd.DataFrame(rows, columns=list(names))
        return frame.assign(shape=[format_output_shape(layer.shape) for layer in self.layers])

    def __repr__(self) -> str:
        parts = [f"{format_flops(self.flops)} per sample"]
        if self.training is not None:
            memory = format_bytes(self.training)
            parts.append(f"{memory} to train with batches of {self.batch_size:,}")
        times = (
            f"{format_latency(seconds)} for {pluralize(size, 'sample')}"
            for size, seconds in self.latency.items()
        )
        return f"{self.name}: " + ", ".join([*parts, *times])


@explain_special_methods
def cost(
    model: keras.Model,
    *,
    batch_size: int | None = None,
    length: int | None = None,
    name: str | None = None,
) -> ModelCost:
    """Compute what a model costs: operations, memory and time.

    FLOPs are those of the TensorFlow graph of a prediction, including loops over time steps. A
    multiplication and an addition are two FLOPs, as in TensorFlow's profiler; ``result.notes``
    says what is not counted.

    Memory is computed from the graph, without temporary buffers of single operations:

    - ``result.activations``: all tensors that the backward pass reads, for a batch. They depend
      on which weights are trainable. The loss is not included.
    - ``result.prediction``: the largest sum of tensors that exist at one time during a prediction
      of a batch, if its operations run one by one.
    - ``result.training``: weights, gradients, ``result.activations``, and the optimizer if known.

    Latency is measured: the median of several rounds of ``model.predict_on_batch`` after a warm-up,
    with random inputs. The model is not changed.

    Args:
        model: A ``keras.Model`` with weights.
        batch_size: Samples per batch; by default 32, or the fixed batch size of the model.
        length: Size of all unknown dimensions of the inputs, such as the number of time steps.
        name: Name of the model, for the card. Default: its own.

    Returns:
        The costs: ``result.flops``, ``result.latency``, ``result.to_frame()``.

    Raises:
        EvaluationError: The shape of an input is unknown, or the model fails for such inputs.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="small")
        >>> result = cost(model, batch_size=8)
        >>> result.flops, result.weights, sorted(result.latency)
        (27, 60, [1, 8])
    """
    _check_model(model)
    fixed = fixed_batch_size(model)
    for option, value in (("batch_size", batch_size), ("length", length)):
        if value is not None:
            check_integer(EvaluationError, option, value, 1)
    size = batch_size or fixed or KERAS_BATCH
    if fixed not in (None, size):
        expected = f"{fixed:,}, the fixed batch size of the model"
        raise EvaluationError(option="batch_size", expected=expected, actual=size)
    notes: list[str] = []
    single = fixed or 1
    specs = {samples: _input_specs(model, samples, length) for samples in (single, size)}
    forward = _traced(model, specs[single])
    counter = FlopCounter()
    flops: Counter[int] = Counter()
    for operation, owner in forward.needed():
        flops[owner] += counter.count(operation)
    if counter.missing:
        kinds = (f"{kind} ({count:,})" for kind, count in counter.missing.most_common())
        notes.append(f"Not counted in the FLOPs: {list_names(kinds)}.")
    kept = _kept_activations(model, specs[size], notes)
    prediction = _prediction_bytes(forward, notes)
    prediction = None if prediction is None else prediction // single * size
    latency = _latencies(model, specs, prediction, notes)
    return ModelCost(
        name or model.name,
        size,
        tuple(_layer_costs(model, forward, flops, kept, single)),
        model.count_params(),
        _variable_bytes(model.weights),
        _variable_bytes(model.trainable_weights),
        _optimizer_bytes(model, notes),
        prediction,
        latency,
        device_name(),
        tuple(notes),
    )


# --- checks and inputs ----------------------------------------------------------------------------


def _check_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        actual = repr(model) if isinstance(model, str) else type(model).__name__
        raise EvaluationError(f"cost expects a Keras model; got {actual}.")
    if not model.built:
        raise EvaluationError(
            model_phrase(model) + " has no weights yet: the shape of its input is not known.",
            "Begin it with an input, or call it on data first.",
        )


def _input_specs(model: Any, samples: int, length: int | None) -> Any:
    """A ``tf.TensorSpec`` for each input, structured as the model takes them."""
    functional = functional_of(model)
    unknown: list[str] = []

    def refused(message: str, *remedy: Part) -> EvaluationError:
        return EvaluationError(model_phrase(model) + message, Text(*remedy))

    def spec(shape: Sequence[int | None], dtype: str) -> Any:
        if None in shape[1:]:
            unknown.append(format_shape(shape[1:]))
        return tf.TensorSpec((samples, *[side or length for side in shape[1:]]), dtype)

    def spec_of_tensor(tensor: Any) -> Any:
        if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
            message = f" has a sparse or ragged input, {tensor.name}; only dense ones are counted."
            raise refused(message)
        return spec(tensor.shape, tensor.dtype)

    if functional is not None:
        specs = keras.tree.map_structure(spec_of_tensor, input_structure(functional))
    else:
        shapes = build_shapes(model)
        if len(shapes) != 1:
            remedy = "Wrap it in a functional model: keras.Model(inputs, model(inputs))."
            raise refused(" has inputs of unknown shapes: it is a subclass of Model.", remedy)
        dtype = model.input_dtype
        specs = keras.tree.map_shape_structure(lambda shape: spec(shape, dtype), shapes[0])
    if length is not None and not unknown:
        message = " has inputs of known sizes, so a length cannot be given."
        raise refused(message, "Leave out ", Option("length"), ".")
    if unknown and length is None:
        message = f" has an input with an unknown dimension: {unknown[0]}."
        raise refused(message, "Give its size, for example ", Option("length", 100), ".")
    return specs


# --- counts ---------------------------------------------------------------------------------------


def _traced(model: Any, specs: Any) -> TracedModel:
    try:
        return trace(model, specs)
    except ModelCallError as error:
        shapes = ", ".join(format_shape(spec.shape) for spec in keras.tree.flatten(specs))
        message = f" fails for an input of {shapes}: {error}."
        raise EvaluationError(model_phrase(model) + message) from error.__cause__


def _kept_activations(model: Any, specs: Any, notes: list[str]) -> Counter[int] | None:
    """The activations that a training keeps, in bytes by call; None if unknown."""
    reason: Any = "no weights are trainable"
    if model.trainable_weights:
        try:
            return kept_bytes(trace(model, specs, training=True))
        except (UnknownSizeError, ModelCallError) as error:
            reason = error
    notes.append(f"The activations of a training are unknown: {reason}.")
    return None


def _prediction_bytes(traced: TracedModel, notes: list[str]) -> int | None:
    operations = [operation for operation, _ in traced.needed()]
    try:
        return peak_bytes(operations, traced.inputs, traced.outputs)
    except UnknownSizeError as error:
        notes.append(f"The activations of a prediction are unknown: {error}.")
        return None


def _latencies(
    model: Any, specs: dict[int, Any], needed: int | None, notes: list[str]
) -> dict[int, float]:
    """The time of a prediction by batch size; says why one was not measured."""
    latency: dict[int, float] = {}
    available = available_memory()
    for size, spec in specs.items():
        if any(each.dtype == tf.string for each in keras.tree.flatten(spec)):
            reason = "the model takes text"
        elif size > 1 and needed and needed > MAX_SHARE * available:
            reason = f"only {format_bytes(available)} of memory are available"
        else:
            try:
                latency[size] = measure_latency(model, spec)
                continue
            except Exception as error:  # noqa: BLE001 - it may depend on the values of the inputs
                reason = reason_of(error)
        samples = pluralize(size, "sample")
        notes.append(f"The latency for {samples} was not measured: {reason}.")
    return latency


def _optimizer_bytes(model: Any, notes: list[str]) -> int | None:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        notes.append("The model is not compiled, so the memory of the optimizer is unknown.")
        return None
    try:
        if not optimizer.built:
            kind, config = type(optimizer), optimizer.get_config()
            optimizer = kind.from_config(config)
            try:
                with weights_without_values():
                    optimizer.build(model.trainable_variables)
            except ValueError:  # some need the values
                optimizer = kind.from_config(config)
                optimizer.build(model.trainable_variables)
        return _variable_bytes(optimizer.variables)
    except Exception as error:  # noqa: BLE001 - an optimizer of the user
        notes.append(f"The memory of the optimizer is unknown: {reason_of(error)}.")
        return None


def _variable_bytes(variables: Iterable[Any]) -> int:
    return sum(math.prod(each.shape) * tf.as_dtype(each.dtype).size for each in variables)


def _sum_if_known(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(known)  # type: ignore[arg-type] # no None


# --- lines ----------------------------------------------------------------------------------------


def _layer_costs(
    model: Any, traced: TracedModel, flops: Counter[int], kept: Counter[int] | None, samples: int
) -> Iterator[LayerCost]:
    """The costs of all calls, those of a text in its order, then what has no line."""
    seen: set[int] = set()

    def layer_cost(index: Any, layer: Any, text: str, step: Any = None, line: int = 0) -> LayerCost:
        """The cost of a call; without an index that of a layer that is not used."""
        is_call = index not in (None, OWN)
        return LayerCost(
            text,
            line,
            str(getattr(layer, "name", "")),
            traced.shapes.get(index, getattr(step, "shape", None)),
            count_parameters(layer, seen)[0] if is_call else 0,
            flops[index] // samples,
            None if kept is None else kept[index],
        )

    left: dict[int, list[int]] = defaultdict(list)
    for index, call in sorted(enumerate(traced.calls), key=lambda pair: pair[1].call_index):
        left[id(call.operation)].append(index)
    origin = origin_of(model)
    for step, text, line in _written_steps(origin.steps if origin is not None else ()):
        layer = operation_of(step.layer)
        own = left[id(layer)]
        yield layer_cost(own.pop(0) if own else None, layer, text, step, line)
    for index in sorted(index for indices in left.values() for index in indices):
        if origin is None or flops[index] or (kept and kept[index]):
            layer = traced.calls[index].operation
            yield layer_cost(index, layer, f"{getattr(layer, 'name', '')} ({type(layer).__name__})")
    if flops[OWN] or (kept and kept[OWN]):
        yield layer_cost(OWN, None, "outside of the layers")


def _written_steps(steps: Sequence[Any]) -> Iterator[tuple[Any, str, int]]:
    """The steps of a text, each with the outermost statement that makes it and its line."""
    uses = [step.node.trail[0] if step.node.trail else step.node for step in steps]
    texts = [(format_statement(use.spec), use.span.line) for use in uses]
    counts = Counter(place for _, place in set(zip(map(id, uses), texts, strict=True)))
    for step, (text, line) in zip(steps, texts, strict=True):
        repeated = counts[text, line]
        yield step, f"{text} * {repeated}" if repeated > 1 else text, line
