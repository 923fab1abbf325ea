"""Explanations: the regions of an image that support a class, by Grad-CAM or by occlusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.evaluation.classification.image_inputs import ImageSize, unflatten
from kmagic.evaluation.confusion.label_arrays import to_probabilities
from kmagic.evaluation.prediction.batch_prediction import pad_batch, predict_batch
from kmagic.models.fixed_batches import fixed_batch_size
from kmagic.models.keras_history import flat_layers
from kmagic.support.formatting import isolate_direction, shorten_name
from kmagic.support.keras_import import keras

STRONG = 0.5  # of the maximum: what counts as supporting the class
MIN_EFFECT = 0.005  # probability that occlusion must change
MAX_AREA = 0.6  # share of the image above which no location is named
OCCLUSION_BATCH = 32  # modified copies of an image per batch
COARSE, FINE, SMALL = 12, 14, 64  # steps per side on large and small images, pixels of small ones

MAP_AXES = 4  # of a feature map: images, rows, columns, channels
CONVOLUTION = "Conv"  # in the class name of every convolution layer of Keras
ATTENTION = "Attention"  # in the class name of every layer that mixes positions
# Layers after a map that only reduce it; the map before them has more detail.
REDUCING = ("Pool", "Dropout", "Flatten", "Reshape", "Identity", "Padding")
SATURATING = ("softmax", "sigmoid")  # activations whose gradient vanishes at confident predictions
SMOOTHING = 3  # positions per side averaged if gradients are at single ones, as after max pooling


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """The regions of one image that support a class.

    Attributes:
        label: The class.
        heatmap: Support of each region, from 0 to 1 for the strongest, shape (rows, columns) over
            the whole image; all 0 if no region supports the class.
        method: How it was computed, in words.
        probability: Probability of the class, if the user chose it.
    """

    label: str
    heatmap: NDArray[np.float32]
    method: str
    probability: float | None = None

    @property
    def area(self) -> float:
        """Share of the image with at least half of the maximal support."""
        return float(np.mean(self.heatmap >= STRONG))

    def location(self) -> str:
        """The main region in words: "mainly at the top left (12 % of the image)".

        Example:
            >>> heatmap = np.zeros((8, 8), np.float32)
            >>> heatmap[:2, :2] = 1
            >>> Explanation("cat", heatmap, "").location()
            'mainly at the top left (6 % of the image)'
        """
        strong = self.heatmap >= STRONG
        if not self.heatmap.any():
            return "at no particular region"
        if self.area > MAX_AREA:
            return "at nearly the whole image"
        row, column = (
            int(3 * np.average(indices + 0.5, weights=self.heatmap[strong]) / length)
            for indices, length in zip(np.nonzero(strong), strong.shape, strict=True)
        )
        words = [("top", "", "bottom")[row], ("left", "", "right")[column]]
        centred = {("top", ""): "top centre", ("bottom", ""): "bottom centre", ("", ""): "centre"}
        place = centred.get((words[0], words[1])) or " ".join(filter(None, words))
        return f"mainly at the {place} ({100 * self.area:.0f} % of the image)"

    def to_text(self) -> str:
        """For the card: 'for "tusker" the model looks mainly at the centre (12 % of the image)'."""
        name = isolate_direction(shorten_name(self.label, 60))
        share = "" if self.probability is None else f" ({self.probability:.1%})"
        return f'for "{name}"{share} the model looks {self.location()}'


def explain_images(
    model: Any, batch: NDArray[Any], classes: Sequence[int], size: ImageSize
) -> tuple[list[NDArray[np.float32]], str]:
    """The regions that support a class, for some images.

    By Grad-CAM, the gradient of the class score in the last convolutional feature map (Selvaraju
    et al. 2017, doi:10.1109/ICCV.2017.74); for models without one by occlusion, the loss in
    probability when a region is hidden (Zeiler and Fergus 2014).

    Returns:
        A heatmap per image, and the method in words.
    """
    result = grad_cam(model, batch, classes)
    if result is not None:
        return result
    steps = FINE if max(size.height or SMALL, size.width or SMALL) <= SMALL else COARSE
    return [
        occlusion(model, image, index, size=size, steps=steps)
        for image, index in zip(batch, classes, strict=True)
    ], "the effect of hiding it (occlusion)"


def occlusion(
    model: Any, image: NDArray[Any], class_index: int, *, size: ImageSize, steps: int = FINE
) -> NDArray[np.float32]:
    """How much probability a class loses when a region is hidden.

    A square of three steps moves over the image and is filled with the image's median: the
    background of a drawing, the average tone of a photo.

    Returns:
        Shape (steps, steps) at most, from 0 to 1; all 0 if hiding has no effect.
    """
    pixels = unflatten(image, size)
    tops, lefts = (_squares(side, steps) for side in pixels.shape[:2])
    squares = [(top, left) for top in tops for left in lefts]
    background = np.median(pixels, axis=(0, 1))
    hidden_probabilities: list[NDArray[np.float64]] = []
    step = fixed_batch_size(model) or OCCLUSION_BATCH
    for start in range(0, len(squares), step):
        chunk = squares[start : start + step]
        copies = np.repeat(pixels[None], len(chunk), axis=0)
        for copy, (top, left) in zip(copies, chunk, strict=True):
            copy[top, left] = background
        output = predict_batch(model, copies.reshape(-1, *image.shape))
        hidden_probabilities.append(to_probabilities(output)[:, class_index])
    probability = to_probabilities(predict_batch(model, image[None]))[0, class_index]
    lost = np.maximum(probability - np.concatenate(hidden_probabilities), 0)
    heatmap = lost.reshape(len(tops), len(lefts)) / max(lost.max(), MIN_EFFECT)
    return np.asarray(heatmap if lost.max() >= MIN_EFFECT else 0 * heatmap, dtype=np.float32)


def _squares(side: int, steps: int) -> list[slice]:
    """The positions of the square along a side: three steps long, except at the ends."""
    count = min(steps, side)
    edges = np.linspace(0, side, count + 1).round().astype(int).tolist()
    return [slice(edges[max(k - 1, 0)], edges[min(k + 2, count)]) for k in range(count)]


# --- Grad-CAM -------------------------------------------------------------------------------------
#
# Each position of the last convolutional feature map is weighted by its own gradient. Before a
# global average, as in most networks of today, all gradients of a channel are equal, and this is
# exactly Grad-CAM (Selvaraju et al. 2017). Where the map is flattened instead, their mean says
# nothing about a position, and the product at each position is still correct (HiResCAM, Draelos
# and Carin 2020).
#
# The model runs once eagerly while the calls of all its layers are recorded, also in nested models.
# So it does not matter how the model is built, and the calls are in their actual order.


@dataclass(frozen=True, eq=False, slots=True)
class RecordedCall:
    """One call of a layer (or operation), its result, and the number of its earlier calls."""

    layer: Any
    turn: int
    outputs: Any


def grad_cam(
    model: Any, batch: NDArray[Any], classes: Sequence[int]
) -> tuple[list[NDArray[np.float32]], str] | None:
    """The regions that support a class, for some images.

    Returns:
        A heatmap per image in the size of the feature map, from 0 to 1, all 0 if no region supports
        the class; and the layer in words. None for a model without a feature map.
    """
    if not isinstance(model, keras.Model) or keras.backend.backend() != "tensorflow":
        return None
    one = pad_batch(model, batch[:1])
    if not model.built:
        model(one, training=False)  # building runs some layers more than once
    calls: list[RecordedCall] = []
    with _recording(list(_leaf_layers(model)), calls.append):
        model(one, training=False)
    target = _find_feature_map(calls)
    if target is None:
        return None
    whole = pad_batch(model, batch)
    classes = [*classes, *[classes[0]] * (len(whole) - len(batch))]
    heatmaps = _heatmaps(model, whole, classes, target, calls[-1].layer)
    if heatmaps is None:
        return None
    rows, columns = target.outputs.shape[1:3]
    return heatmaps[: len(batch)], f"the {rows} x {columns} map of {target.layer.name} (Grad-CAM)"


def _find_feature_map(calls: Sequence[RecordedCall]) -> RecordedCall | None:
    """The last convolutional feature map among the calls of a model.

    It is the last output with rows and columns at or after the last convolution: after layers that
    only normalize, activate or add, and before those that only reduce it. None without a
    convolution, or if attention mixes the positions afterwards.
    """
    maps = [index for index, call in enumerate(calls) if _is_feature_map(call.outputs)]
    convolutions = [
        index
        for index in maps
        if any(_has_in_class_name(part, CONVOLUTION) for part in flat_layers(calls[index].layer))
    ]
    if not convolutions:
        return None
    last = convolutions[-1]
    if any(_has_in_class_name(call.layer, ATTENTION) for call in calls[last:]):
        return None
    candidates = [
        index
        for index in maps
        if index >= last and not _has_in_class_name(calls[index].layer, *REDUCING)
    ]
    return calls[candidates[-1] if candidates else last]


def _heatmaps(
    model: Any, batch: NDArray[Any], classes: Sequence[int], target: RecordedCall, last: Any
) -> list[NDArray[np.float32]] | None:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    maps: list[Any] = []
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watch(call: RecordedCall) -> None:
            if call.turn == target.turn:
                tape.watch(call.outputs)
                maps.append(call.outputs)

        is_saturating = _activation_name(last) in SATURATING
        with ExitStack() as stack:
            stack.enter_context(_recording([target.layer], watch))
            if is_saturating:
                stack.enter_context(_replaced(last, "activation", lambda values: values))
            output = model(tf.convert_to_tensor(batch), training=False)
        # Of a softmax or sigmoid that is a layer or an operation, Keras keeps the input.
        logits = getattr(output, "_keras_logits", None)
        scores = tf.cast(output if logits is None else logits, tf.float32)
        score = _score(scores, classes, may_be_probabilities=logits is None and not is_saturating)
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


@contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of a layer replaced; Keras does not track what is set in its ``__dict__``."""
    attributes, before = vars(layer), dict(vars(layer))
    attributes[name] = value
    try:
        yield
    finally:
        del attributes[name]
        if name in before:
            attributes[name] = before[name]


def _activation_name(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _recorded_call(layer: Any, record: Callable[[RecordedCall], None]) -> Callable[..., Any]:
    original, turn = layer.call, 0

    def call(*args: Any, **keywords: Any) -> Any:
        nonlocal turn
        outputs = original(*args, **keywords)
        record(RecordedCall(layer, turn, outputs))
        turn += 1
        return outputs

    return call


def _is_feature_map(outputs: Any) -> bool:
    """Whether it has rows and columns, more than one of each."""
    shape = getattr(outputs, "shape", ())
    return len(shape) == MAP_AXES and min(shape[1:3]) > 1


def _has_in_class_name(layer: Any, *words: str) -> bool:
    return any(word in kind.__name__ for kind in type(layer).__mro__ for word in words)
