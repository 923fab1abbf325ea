"""Grad-CAM: the regions of the last convolutional feature map that support a class.

Each position of the map is weighted by its own gradient. Before a global average, as in most
networks of today, all gradients of a channel are equal, and this is exactly Grad-CAM (Selvaraju et
al. 2017). Where the map is flattened instead, their mean says nothing about a position, and the
product at each position is still correct (HiResCAM, Draelos and Carin 2020).

The model runs once eagerly while the calls of all its layers are recorded, also in nested models.
So it does not matter how the model is built, and the calls are in their actual order.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.models.keras_history import flat_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

MAP_AXES = 4  # of a feature map: images, rows, columns, channels
CONVOLUTION = "Conv"  # in the class name of every convolution layer of Keras
ATTENTION = "Attention"  # in the class name of every layer that mixes positions
# Layers after a map that only reduce it; the map before them has more detail.
REDUCING = ("Pool", "Dropout", "Flatten", "Reshape", "Identity", "Padding")
SMOOTHING = 3  # positions per side averaged if gradients are at single ones, as after max pooling
SATURATING = ("softmax", "sigmoid")  # activations whose gradient vanishes at confident predictions


@dataclass(frozen=True, eq=False, slots=True)
class RecordedCall:
    """One call of a layer (or operation).

    Attributes:
        layer: The layer.
        turn: Number of its earlier calls; a shared layer is called several times.
        inputs: Its first argument.
        outputs: Its result.
    """

    layer: Any
    turn: int
    inputs: Any
    outputs: Any


def grad_cam(
    model: Any, batch: NDArray[Any], classes: Sequence[int]
) -> tuple[list[NDArray[np.float32]], str] | None:
    """The regions that support a class, for some images.

    Returns:
        A heatmap per image in the size of the feature map, from 0 to 1, all 0 if no region supports
        the class; and the layer in words. None for a model without a feature map.
    """
    import keras  # noqa: PLC0415 - takes seconds

    if not isinstance(model, keras.Model) or keras.backend.backend() != "tensorflow":
        return None
    calls = _record_calls(model, batch[:1])
    target = find_feature_map(calls)
    if target is None:
        return None
    heatmaps = _heatmaps(model, batch, classes, target, calls[-1])
    if heatmaps is None:
        return None
    rows, columns = target.outputs.shape[1:3]
    return heatmaps, f"the {rows} x {columns} map of {target.layer.name} (Grad-CAM)"


def find_feature_map(calls: Sequence[RecordedCall]) -> RecordedCall | None:
    """The last convolutional feature map among the calls of a model.

    It is the last output with rows and columns at or after the last convolution: after layers that
    only normalize, activate or add, and before those that only reduce it. None without a
    convolution, or if attention mixes the positions afterwards.
    """
    maps = [index for index, call in enumerate(calls) if _is_feature_map(call.outputs)]
    convolutions = [index for index in maps if _is_convolution(calls[index].layer)]
    if not convolutions:
        return None
    last = convolutions[-1]
    if any(_has_in_class_name(call.layer, (ATTENTION,)) for call in calls[last:]):
        return None
    candidates = [
        index
        for index in maps
        if index >= last and not _has_in_class_name(calls[index].layer, REDUCING)
    ]
    return calls[candidates[-1] if candidates else last]


def _heatmaps(
    model: Any,
    batch: NDArray[Any],
    classes: Sequence[int],
    target: RecordedCall,
    last: RecordedCall,
) -> list[NDArray[np.float32]] | None:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    maps: list[Any] = []
    logits: list[Any] = []
    is_saturating = _activation(last.layer) in SATURATING
    with ExitStack() as stack:
        tape = stack.enter_context(tf.GradientTape(watch_accessed_variables=False))

        def watch(call: RecordedCall) -> None:
            if call.turn == target.turn:
                tape.watch(call.outputs)
                maps.append(call.outputs)

        stack.enter_context(_recording([target.layer], watch))
        if _is_saturating_layer(last.layer) and last.inputs is not None:
            record = _recording([last.layer], lambda call: logits.append(call.inputs))
            stack.enter_context(record)
        elif is_saturating:
            stack.enter_context(_replaced(last.layer, "activation", lambda values: values))
        output = model(tf.convert_to_tensor(batch), training=False)
        scores = tf.cast(logits[-1] if logits else output, tf.float32)
        score = _score(scores, classes, may_be_probabilities=not logits and not is_saturating)
    gradients = tape.gradient(score, maps[-1]) if maps else None
    if gradients is None:
        return None
    heatmaps = tf.nn.relu(tf.reduce_sum(gradients * maps[-1], axis=-1, keepdims=True))
    if not _is_uniform(gradients.numpy()):
        heatmaps = tf.nn.avg_pool2d(tf.cast(heatmaps, tf.float32), SMOOTHING, 1, "SAME")
    return [_normalize(heatmap) for heatmap in tf.cast(heatmaps[..., 0], tf.float32).numpy()]


def _is_uniform(gradients: NDArray[Any]) -> bool:
    """Whether all positions of a map have the same gradient, as before a global average."""
    first, largest = gradients[:, :1, :1], float(np.abs(gradients).max())
    return bool(np.allclose(gradients, first, rtol=1e-3, atol=1e-3 * largest))


def _score(scores: Any, classes: Sequence[int], *, may_be_probabilities: bool) -> Any:
    """The sum over the images of the score of each one's class."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    if len(scores.shape) == 1 or scores.shape[-1] == 1:  # one score for two classes
        signs = tf.constant([1.0 if index else -1.0 for index in classes])
        return tf.reduce_sum(signs * tf.reshape(scores, [-1]))
    values = scores.numpy()
    if may_be_probabilities and values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        scores = tf.math.log(tf.maximum(scores, np.finfo(np.float32).tiny))
    return tf.reduce_sum(tf.gather(scores, list(classes), axis=1, batch_dims=1))


def _normalize(heatmap: NDArray[Any]) -> NDArray[np.float32]:
    largest = heatmap.max()
    return np.asarray(heatmap / largest if largest > 0 else heatmap, dtype=np.float32)


# --- recording of calls -------------------------------------------------------------------------


def _record_calls(model: Any, batch: NDArray[Any]) -> list[RecordedCall]:
    """Run the model once and record every call in it."""
    if not model.built:
        model(batch, training=False)  # building runs some layers more than once
    calls: list[RecordedCall] = []
    with _recording(list(_leaf_layers(model)), calls.append):
        model(batch, training=False)
    return calls


def _leaf_layers(model: Any) -> Iterator[Any]:
    """The layers and operations of a model and of models within it, each once."""
    seen: set[int] = set()
    pending = [model]
    while pending:
        part = pending.pop()
        for layer in getattr(part, "operations", None) or getattr(part, "layers", None) or ():
            if id(layer) not in seen:
                seen.add(id(layer))
                pending.append(layer)
                if not (getattr(layer, "operations", None) or getattr(layer, "layers", None)):
                    yield layer


@contextmanager
def _recording(layers: Sequence[Any], record: Callable[[RecordedCall], None]) -> Iterator[None]:
    """Record every call of some layers."""
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_replaced(layer, "call", _recorded_call(layer, record)))
        yield


def _recorded_call(layer: Any, record: Callable[[RecordedCall], None]) -> Callable[..., Any]:
    original, turn = layer.call, 0

    def call(*args: Any, **keywords: Any) -> Any:
        nonlocal turn
        outputs = original(*args, **keywords)
        record(RecordedCall(layer, turn, args[0] if args else None, outputs))
        turn += 1
        return outputs

    return call


@contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute, bypassing Keras's tracking of attributes."""
    attributes = vars(layer)
    original, existed = attributes.get(name), name in attributes
    object.__setattr__(layer, name, value)
    try:
        yield
    finally:
        if existed:
            object.__setattr__(layer, name, original)
        else:
            object.__delattr__(layer, name)


# --- kinds of layers ----------------------------------------------------------------------------


def _is_feature_map(outputs: Any) -> bool:
    """Whether it has rows and columns, more than one of each."""
    shape = getattr(outputs, "shape", ())
    return len(shape) == MAP_AXES and min(shape[1:3]) > 1


def _is_convolution(layer: Any) -> bool:
    return any(_has_in_class_name(part, (CONVOLUTION,)) for part in flat_layers(layer))


def _has_in_class_name(layer: Any, words: Sequence[str]) -> bool:
    return any(word in kind.__name__ for kind in type(layer).__mro__ for word in words)


def _is_saturating_layer(layer: Any) -> bool:
    """Whether it is a separate layer or operation that converts logits to probabilities."""
    return any(kind.__name__.lower() in SATURATING for kind in type(layer).__mro__)


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))
