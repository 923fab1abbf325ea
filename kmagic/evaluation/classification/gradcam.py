"""Grad-CAM: where the last convolutional feature map of a Keras model speaks for a class.

Each place of the map is weighed by its own slope. Before a global average, as in most networks of
today, all slopes of a channel are the same, and that is Grad-CAM to the letter (Selvaraju et al.
2017); where the map is flattened instead, their average would say nothing of the place, and the
product place by place is still right (HiResCAM, Draelos and Carin 2020).

The model runs once eagerly, and every layer in it is listened to, also in models within the
model; so it does not matter how it is built, and the order of the layers is the one in which they
really ran.
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

MAP = 4  # axes of a feature map: pictures, rows, columns, channels
CONVOLUTION = "Conv"  # in the name of every class of Keras that convolves
MIXING = "Attention"  # in the name of every class that mixes the places of a picture
# What follows a map and only thins it out; the map before says more.
THINNING = ("Pool", "Dropout", "Flatten", "Reshape", "Identity", "Padding")
SMOOTH = 3  # places a side that are averaged where a slope hits single ones, as behind a pooling
CERTAIN = ("softmax", "sigmoid")  # activations whose slope dies where the model is sure


@dataclass(frozen=True, eq=False, slots=True)
class LayerCall:
    """One layer (or operation) as it ran.

    Attributes:
        layer: The layer.
        turn: How many times it had run before; a shared layer runs several times.
        inputs: Its first argument.
        outputs: What it returned.
    """

    layer: Any
    turn: int
    inputs: Any
    outputs: Any


def grad_cam(
    model: Any, batch: NDArray[Any], classes: Sequence[int]
) -> tuple[list[NDArray[np.float32]], str] | None:
    """Where in some pictures the model sees a class.

    Args:
        model: A Keras model on TensorFlow.
        batch: Pictures as the model takes them, the first axis counts them.
        classes: Position of the class that is asked for, one a picture.

    Returns:
        A heat a picture, of the map's size, from 0 to 1 for the strongest place, all 0 where none
        speaks for the class; and in words what was looked at. None for a model without a map.
    """
    import keras  # noqa: PLC0415 - takes seconds

    if not isinstance(model, keras.Model) or keras.backend.backend() != "tensorflow":
        return None
    calls = _listen(model, batch[:1])
    target = find_map(calls)
    if target is None:
        return None
    heats = _heats(model, batch, classes, target, calls[-1])
    if heats is None:
        return None
    rows, columns = target.outputs.shape[1:3]
    return heats, f"the {rows} x {columns} map of {target.layer.name} (Grad-CAM)"


def find_map(calls: Sequence[LayerCall]) -> LayerCall | None:
    """The last convolutional feature map among the calls of a model.

    It is the last output with rows and columns at or behind the last convolution, past the layers
    that only normalise, activate or add, and before those that only thin it out. None where there
    is no convolution, or where attention mixes the places afterwards.
    """
    maps = [number for number, call in enumerate(calls) if _is_map(call.outputs)]
    convolutions = [number for number in maps if _convolves(calls[number].layer)]
    if not convolutions:
        return None
    last = convolutions[-1]
    if any(_has_in_name(call.layer, (MIXING,)) for call in calls[last:]):
        return None
    kept = [
        number
        for number in maps
        if number >= last and not _has_in_name(calls[number].layer, THINNING)
    ]
    return calls[kept[-1] if kept else last]


def _heats(
    model: Any, batch: NDArray[Any], classes: Sequence[int], target: LayerCall, last: LayerCall
) -> list[NDArray[np.float32]] | None:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    maps: list[Any] = []
    logits: list[Any] = []
    with ExitStack() as stack:
        tape = stack.enter_context(tf.GradientTape(watch_accessed_variables=False))

        def watch(call: LayerCall) -> None:
            if call.turn == target.turn:
                tape.watch(call.outputs)
                maps.append(call.outputs)

        stack.enter_context(_heard([target.layer], watch))
        if _squashes(last.layer) and last.inputs is not None:
            stack.enter_context(_heard([last.layer], lambda call: logits.append(call.inputs)))
        elif _activation(last.layer) in CERTAIN:
            stack.enter_context(_linear(last.layer))
        answers = model(tf.convert_to_tensor(batch), training=False)
        scores = logits[-1] if logits else answers
        plain = not logits and _activation(last.layer) not in CERTAIN
        score = _score(tf.cast(scores, tf.float32), classes, probabilities=plain)
    slopes = tape.gradient(score, maps[-1]) if maps else None
    if slopes is None:
        return None
    heats = tf.nn.relu(tf.reduce_sum(slopes * maps[-1], axis=-1, keepdims=True))
    if not _is_even(slopes.numpy()):
        heats = tf.nn.avg_pool2d(tf.cast(heats, tf.float32), SMOOTH, 1, "SAME")
    return [_normed(heat) for heat in tf.cast(heats[..., 0], tf.float32).numpy()]


def _is_even(slopes: NDArray[Any]) -> bool:
    """Whether all places of a map have the same slope, as before a global average."""
    first = slopes[:, :1, :1]
    return bool(np.allclose(slopes, first, rtol=1e-3, atol=1e-3 * float(np.abs(slopes).max())))


def _score(scores: Any, classes: Sequence[int], *, probabilities: bool) -> Any:
    """The sum over the pictures of how much the model holds of each one's class."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    if len(scores.shape) == 1 or scores.shape[-1] == 1:  # one number for two classes
        signs = tf.constant([1.0 if wanted else -1.0 for wanted in classes])
        return tf.reduce_sum(signs * tf.reshape(scores, [-1]))
    if probabilities and _are_shares(scores.numpy()):
        scores = tf.math.log(tf.maximum(scores, np.finfo(np.float32).tiny))
    return tf.reduce_sum(tf.gather(scores, list(classes), axis=1, batch_dims=1))


def _are_shares(scores: NDArray[Any]) -> bool:
    return bool(scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def _normed(heat: NDArray[Any]) -> NDArray[np.float32]:
    most = heat.max()
    return np.asarray(heat / most if most > 0 else heat, dtype=np.float32)


# --- listening -----------------------------------------------------------------------------------


def _listen(model: Any, batch: NDArray[Any]) -> list[LayerCall]:
    """Run the model once and write down every call in it."""
    if not model.built:
        model(batch, training=False)  # it is made by this call, and runs more than once for it
    calls: list[LayerCall] = []
    with _heard(list(_parts(model)), calls.append):
        model(batch, training=False)
    return calls


def _parts(model: Any) -> Iterator[Any]:
    """The layers and operations of a model, also of models within it, each once."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        within = getattr(part, "operations", None) or getattr(part, "layers", None)
        for each in within or ():
            if id(each) not in seen:
                seen.add(id(each))
                waiting.append(each)
                if not (getattr(each, "operations", None) or getattr(each, "layers", None)):
                    yield each


@contextmanager
def _heard(layers: Sequence[Any], tell: Callable[[LayerCall], None]) -> Iterator[None]:
    """Tell of every call of some layers, for as long as the context lasts."""
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_replaced(layer, "call", _telling(layer, tell)))
        yield


def _telling(layer: Any, tell: Callable[[LayerCall], None]) -> Callable[..., Any]:
    call, turns = layer.call, 0

    def told(*args: Any, **kwargs: Any) -> Any:
        nonlocal turns
        outputs = call(*args, **kwargs)
        tell(LayerCall(layer, turns, args[0] if args else None, outputs))
        turns += 1
        return outputs

    return told


@contextmanager
def _linear(layer: Any) -> Iterator[None]:
    """Leave out a layer's activation."""
    with _replaced(layer, "activation", lambda values: values):
        yield


@contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Another value for an attribute, past Keras's book-keeping of attributes."""
    own = vars(layer)
    before, was_there = own.get(name), name in own
    object.__setattr__(layer, name, value)
    try:
        yield
    finally:
        if was_there:
            object.__setattr__(layer, name, before)
        else:
            object.__delattr__(layer, name)


# --- what a layer is -----------------------------------------------------------------------------


def _is_map(outputs: Any) -> bool:
    """Whether it has rows and columns, more than one of each."""
    shape = getattr(outputs, "shape", ())
    return len(shape) == MAP and min(shape[1:3]) > 1


def _convolves(layer: Any) -> bool:
    return any(_has_in_name(part, (CONVOLUTION,)) for part in flat_layers(layer))


def _has_in_name(layer: Any, words: Sequence[str]) -> bool:
    return any(word in kind.__name__ for kind in type(layer).__mro__ for word in words)


def _squashes(layer: Any) -> bool:
    """Whether it is a layer or operation of its own that makes logits probabilities."""
    return any(kind.__name__.lower() in CERTAIN for kind in type(layer).__mro__)


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))
