"""Arguments of a fit that Keras takes in silence, or refuses in words that do not help."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kmagic.support.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

PLAIN = (bool, int, float, str)
"""Types of those arguments that the record keeps, and that are no data."""
PAIR = "Give a pair, (x, y), or a data set."


def check_arguments(model: keras.Model, name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse what cannot be trained on, before anything starts.

    Args:
        model: A compiled model.
        name: What the user calls it.
        arguments: Those of ``model.fit``, lists already taken as arrays.

    Raises:
        TrainingError: Says what was expected, what came, and what to write.
    """
    for option, least in (("epochs", 0), ("batch_size", 1), ("validation_batch_size", 1)):
        value = arguments.get(option)
        if value is not None and not _is_whole(value, least):
            raise TrainingError(f"{option} is a whole number of at least {least}, not {value!r}.")
    split = arguments.get("validation_split") or 0.0
    if not isinstance(split, float | int) or not 0 <= split < 1:
        raise TrainingError(f"validation_split is a fraction from 0 to below 1, not {split!r}.")
    x, y = arguments.get("x"), arguments.get("y")
    if is_stream(x):
        _check_stream(model, name, x, split if arguments.get("validation_data") is None else 0)
    elif x is None or not _lengths(x):
        _check_no_array(name, x)
    else:
        _check_arrays(model, name, x, y)
    _check_split(name, x, split if arguments.get("validation_data") is None else 0)
    _check_validation(model, name, arguments.get("validation_data"))
    check_weights(name, arguments)
    _check_callbacks(arguments.get("callbacks"))


def is_stream(x: Any) -> bool:
    """Whether inputs come as a ``tf.data.Dataset`` or out of a generator."""
    return hasattr(x, "element_spec") or hasattr(x, "__next__")


def _is_whole(value: Any, least: int) -> bool:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and int(value) >= least


def _lengths(values: Any) -> list[int]:
    """Lengths of the arrays in a structure; none where they cannot be told."""
    import keras  # noqa: PLC0415 - takes seconds

    leaves = keras.tree.flatten(values)
    shapes = [tuple(getattr(leaf, "shape", ())) for leaf in leaves]
    return [int(shape[0]) for shape in shapes] if all(shapes) else []


def _refuse(name: str, why: str, remedy: str) -> None:
    raise TrainingError(f"{name} cannot be trained on this data: {why}", remedy)


def _check_stream(model: keras.Model, name: str, x: Any, split: float) -> None:
    if split:
        raise TrainingError(
            "validation_split cuts arrays, and x is a stream of batches.",
            "Give a second one, `validation_data=` (`--val NAME`): data.take(20), data.skip(20).",
        )
    spec = getattr(x, "element_spec", None)
    expected = getattr(model, "input_shape", None)
    shape = getattr(spec[0] if isinstance(spec, tuple) and spec else spec, "shape", None)
    if not isinstance(expected, tuple) or shape is None or shape.rank is None:
        return
    sizes = zip(shape, expected[1:], strict=False)
    single = all(got is not None and want in (None, got) for got, want in sizes)
    if shape.rank == len(expected) - 1 and single and expected[-1] != 1:
        _refuse(name, "x gives single samples, and a model takes batches.", "Write x.batch(32).")


def _check_no_array(name: str, x: Any) -> None:
    if x is None or isinstance(x, PLAIN):
        said = "there is no x" if x is None else f"x is {x!r}, and no samples"
        _refuse(name, f"{said}.", "Give an array with one entry for each sample, or a data set.")
    if isinstance(x, list | tuple) and x and isinstance(x[0], list | tuple):
        if len({len(row) for row in x if isinstance(row, list | tuple)}) > 1:
            _refuse(
                name,
                "x holds rows of different length.",
                "Make them of one: keras.utils.pad_sequences(x).",
            )
    elif isinstance(x, list | tuple | dict) and not x:
        _refuse(name, "x is empty.", "Give at least one sample.")


def _check_arrays(model: keras.Model, name: str, x: Any, y: Any) -> None:
    if max(_lengths(x)) == 0:
        _refuse(name, "x is empty.", "Give at least one sample.")
    words = _columns_of_words(x)
    if words:
        _refuse(
            name,
            f"the {'columns' if len(words) > 1 else 'column'} {', '.join(words)} "
            f"{'hold' if len(words) > 1 else 'holds'} words, and a model takes numbers.",
            "Load the frame by `kmagic.load_data(frame, ...)`, or use pandas.get_dummies(frame).",
        )
    if isinstance(y, str):
        _refuse(
            name, f"y is the text {y!r}, and no targets.", "Give an array, one target a sample."
        )
    if y is not None and not isinstance(y, list | tuple | dict) and not hasattr(y, "shape"):
        kind = repr(y) if isinstance(y, PLAIN) else type(y).__name__
        _refuse(name, f"y is {kind}, and no targets.", "Give an array, one target a sample.")
    if y is None and getattr(model, "loss", None) is not None and _is_plain(model):
        _refuse(name, "there are no targets: y is missing.", "Give x and y.")


def _is_plain(model: keras.Model) -> bool:
    """Whether the loss is computed as Keras does it: only then it is known to need targets."""
    import keras  # noqa: PLC0415 - takes seconds

    own = ("train_step", "compute_loss")
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in own)


def _columns_of_words(x: Any) -> list[str]:
    """Names of a frame's columns that hold no numbers."""
    if not hasattr(x, "columns") or not hasattr(x, "iloc"):
        return []
    found = []
    for column in x.columns:
        kind = getattr(getattr(x[column], "dtype", None), "kind", "b")
        if kind in "OUST" and not all(isinstance(each, numbers.Number) for each in x[column]):
            found.append(str(column))
    return found


def _check_split(name: str, x: Any, split: float) -> None:
    sizes = [] if is_stream(x) or x is None else _lengths(x)
    if split and sizes and math.floor(sizes[0] * (1.0 - split)) < 1:  # as Keras rounds
        _refuse(
            name,
            f"a validation of {split:g} leaves none of {sizes[0]:,} samples to train on.",
            "Take a smaller fraction, such as 0.1.",
        )


def _check_callbacks(callbacks: Any) -> None:
    """Refuse what is no callback; a class is taken for one most easily."""
    import keras  # noqa: PLC0415 - takes seconds

    for each in keras.tree.flatten(callbacks):
        if each is None or isinstance(
            each, keras.callbacks.Callback | keras.callbacks.CallbackList
        ):
            continue
        if isinstance(each, type):
            remedy = f"Make one of it in a cell above: {each.__name__}()."
            raise TrainingError(f"callbacks: {each.__name__} is a class, and no callback.", remedy)
        raise TrainingError(
            f"callbacks are Keras callbacks, and {each!r} is none.",
            "Such as keras.callbacks.TerminateOnNaN(), or a list of them.",
        )


def _check_validation(model: keras.Model, name: str, held: Any) -> None:
    import keras  # noqa: PLC0415 - takes seconds

    if held is None or is_stream(held) or isinstance(held, keras.utils.PyDataset):
        return
    if not isinstance(held, tuple | list):
        if hasattr(held, "__next__") or not (hasattr(held, "shape") or isinstance(held, PLAIN)):
            return  # some other source of batches, which Keras may know
        if isinstance(held, PLAIN):
            raise TrainingError(f"validation_data is {held!r}, and no data.", PAIR)
        if getattr(model, "loss", None) is not None and _is_plain(model):
            raise TrainingError("validation_data has no targets.", PAIR)
        return
    most = 3
    if not held or len(held) > most:
        raise TrainingError(f"validation_data has {len(held)} parts.", PAIR)
    if len(held) == 1 or held[1] is None:
        raise TrainingError("validation_data has no targets.", PAIR)
    parts = [_lengths(part) for part in held if part is not None]
    sizes = {size for part in parts for size in part}
    if all(parts) and len(sizes) > 1:
        words = " and ".join(f"{part[0]:,}" for part in parts)
        raise TrainingError(
            f"the validation data of {name} differ in length: x and y have {words} samples.",
            "Both need one entry for each sample, in the same order.",
        )


LIKE_THIS = "Such as {0: 1.0, 1: 2.5}: the number of a class, and what a sample of it counts."
ONE_EACH = "Give an array with one number for each sample."


def check_weights(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse weights that are none.

    Args:
        name: What the user calls the model.
        arguments: Those of ``model.fit``, lists already taken as arrays.

    Raises:
        TrainingError: Says what was expected, what came, and what to write.
    """
    by_class, by_sample = arguments.get("class_weight"), arguments.get("sample_weight")
    if by_class is not None and by_sample is not None:
        raise TrainingError(
            "class_weight and sample_weight are both given.",
            "Multiply them: sample_weight * [class_weight[each] for each in y].",
        )
    if by_class is not None:
        _check_classes(by_class)
    if by_sample is not None:
        _check_samples(name, by_sample, arguments.get("x"))


def _check_classes(weights: Any) -> None:
    if not isinstance(weights, Mapping):
        raise TrainingError(f"class_weight is a dictionary, not {weights!r}.", LIKE_THIS)
    for each, weight in weights.items():
        if not isinstance(each, numbers.Integral):
            raise TrainingError(
                f"class_weight goes by the numbers of classes, and {each!r} is none.", LIKE_THIS
            )
        if not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            raise TrainingError(
                f"class_weight is {weight!r} for class {each}, and a weight is a number.", LIKE_THIS
            )


def _check_samples(name: str, weights: Any, x: Any) -> None:
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    sizes = [getattr(each, "shape", ()) for each in keras.tree.flatten(x)]
    for part in keras.tree.flatten(weights):
        try:
            array = np.asarray(part)
        except (TypeError, ValueError):  # a tensor of another library, which Keras may know
            continue
        if array.dtype.kind not in "biuf" or not array.ndim:
            said = (
                f"holds {array.reshape(-1)[0]!r}" if array.ndim and array.size else f"is {part!r}"
            )
            raise TrainingError(f"sample_weight {said}, and is to be numbers.", ONE_EACH)
        if sizes and sizes[0] and len(array) != sizes[0][0]:
            raise TrainingError(
                f"{name} cannot be trained on this data: x has {sizes[0][0]:,} samples and "
                f"sample_weight has {len(array):,}.",
                ONE_EACH,
            )
