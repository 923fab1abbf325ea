"""What ``x`` and ``y`` may be, and which of it is plain arrays of numbers or texts."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmagic.support.sentences import as_sentences
from kmagic.training.pipeline.retracing import with_axes_of

if TYPE_CHECKING:
    import keras
    import numpy as np

NUMBERS = "biuf"
"""NumPy's letters for the kinds of numbers that an array may hold: bool, integers, floats."""
SHARE_OF_MEMORY = 4
"""Data of more than one such part of the machine's memory is left to Keras."""
LARGEST_MAP = 256 * 2**20
"""Bytes of a file mapped into memory, above which it is left to Keras."""


class UnsuitedError(Exception):
    """Not data for a pipeline of our own; the message says why, for the record of the run."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Inputs, and where there are any targets and weights, as arrays of one length.

    Attributes:
        x: One array or a structure of them (dictionaries, tuples), each of shape (samples, ...).
        y: The same, or None.
        sample_weight: In the structure of ``y``, or None.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None

    @property
    def packed(self) -> Any:
        """As a step of training takes it: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``."""
        import keras  # noqa: PLC0415 - takes seconds

        return keras.utils.pack_x_y_sample_weight(self.x, self.y, self.sample_weight)

    @property
    def samples(self) -> int:
        """How many there are."""
        import keras  # noqa: PLC0415 - takes seconds

        return len(keras.tree.flatten(self.x)[0])

    def split(self, fraction: float) -> tuple[Arrays, Arrays]:
        """Cut a fraction off the end, rounded as Keras rounds."""
        import keras  # noqa: PLC0415 - takes seconds

        at = math.floor(self.samples * (1.0 - fraction))
        if not 0 < at < self.samples:
            raise UnsuitedError("the validation split leaves nothing on one side")
        parts = (self.x, self.y, self.sample_weight)
        head, tail = (
            Arrays(
                *(None if each is None else keras.tree.map_structure(cut, each) for each in parts)
            )
            for cut in (lambda array: array[:at], lambda array: array[at:])
        )
        return head, tail

    def weighted(self, class_weight: Any) -> Arrays:
        """The same with a weight for each sample by its class; None changes nothing."""
        import keras  # noqa: PLC0415 - takes seconds

        if class_weight is None:
            return self
        if self.sample_weight is not None:
            raise UnsuitedError("class_weight and sample_weight are both given")
        if self.y is None or keras.tree.is_nested(self.y) or not isinstance(class_weight, Mapping):
            raise UnsuitedError("class_weight is for a model with a single output")
        return Arrays(self.x, self.y, class_weights(self.y, class_weight))


def take_lists(model: keras.Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``model.fit`` with lists of numbers, words or arrays turned into arrays.

    Keras asks for arrays. A list of equal arrays is samples for a model with one input, and
    inputs of their own otherwise. Texts become strings as objects: Keras refuses all others. A
    last axis of one value is there where the model's input has it, and only there.
    """
    taken = dict(arguments)
    # A model that is not built yet has neither.
    inputs, outputs = (getattr(model, name, None) for name in ("inputs", "outputs"))
    for name, tensors in (("x", inputs), ("y", outputs), ("sample_weight", None)):
        taken[name] = take_list(taken.get(name), tensors)
    taken["x"] = with_axes_of(model, _take_texts(taken["x"]))
    held = taken.get("validation_data")
    if isinstance(held, tuple | list) and len(held) in {2, 3}:
        sides = zip(held, (inputs, outputs, None), strict=False)
        x, y, *weights = (take_list(each, tensors) for each, tensors in sides)
        if weights:
            y, weights[0] = _by_output(model, y, weights[0])
        taken["validation_data"] = (with_axes_of(model, _take_texts(x)), y, *weights)
    if taken["sample_weight"] is not None:
        targets = _by_output(model, taken["y"], taken["sample_weight"])
        taken["y"], taken["sample_weight"] = targets
    return taken


def _by_output(model: keras.Model, y: Any, weights: Any) -> tuple[Any, Any]:
    """Targets and weights of several outputs in the structure that the model gives them in.

    Keras pairs targets with outputs by name or by order, and weights only with what is alike.
    """
    names = list(getattr(model, "output_names", None) or ())
    given = getattr(model, "output", None) if len(names) > 1 else None
    names = list(given) if isinstance(given, dict) else names

    def named(values: Any) -> dict[str, Any] | None:
        if isinstance(values, Mapping):
            return dict(values) if set(values) == set(names) else None
        fits = isinstance(values, list | tuple) and len(values) == len(names)
        return dict(zip(names, values, strict=True)) if fits else None

    targets = named(y) if given is not None else None
    if targets is None:
        return y, weights
    alike = named(weights)
    if alike is None and not hasattr(weights, "shape"):
        return y, weights
    each = alike or dict.fromkeys(names, weights)
    if isinstance(given, dict):
        return targets, each
    return [targets[name] for name in names], [each[name] for name in names]


def take_list(value: Any, tensors: Any = None) -> Any:
    """One list as an array; whatever is no such list comes back as it is.

    Args:
        value: What the user gave.
        tensors: The model's inputs or outputs that it is for, where they are known.

    Example:
        >>> take_list([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return _take_frame(value)
    if not isinstance(value, list | tuple) or not value:
        return value
    leaves = keras.tree.flatten(value)
    if all(isinstance(leaf, str) for leaf in leaves):
        return np.array(value, dtype=object)
    if all(isinstance(leaf, numbers.Number) for leaf in leaves):
        try:
            return np.asarray(value)
        except ValueError:  # rows of different length
            return value
    if all(isinstance(each, np.ndarray) for each in value) and _one(tensors):
        rank = len(keras.tree.flatten(tensors)[0].shape)
        shapes = {each.shape for each in value}
        if len(shapes) == 1 and len(shapes.pop()) == rank - 1:
            return np.stack(value)
    return value


def _take_frame(frame: Any) -> Any:
    """A data frame in which truth or objects that are numbers stand beside numbers, as floats."""
    import keras  # noqa: PLC0415 - takes seconds

    array = frame.to_numpy()
    if array.dtype.kind != "O" or not all(isinstance(each, numbers.Number) for each in array.flat):
        return frame
    return array.astype(keras.config.floatx())


def _take_texts(value: Any) -> Any:
    """Texts in an array or a column as Keras takes them, (samples,) objects; all else as it is."""
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    if isinstance(value, dict):
        return {name: _take_texts(each) for name, each in value.items()}
    if isinstance(value, list | tuple) and all(hasattr(each, "dtype") for each in value):
        taken = [_take_texts(each) for each in value]
        return taken if isinstance(value, list) else tuple(taken)
    column = hasattr(value, "iloc") and not hasattr(value, "columns")
    if isinstance(value, np.ndarray) or column:
        sentences = as_sentences(value)
        return value if sentences is None else np.array(sentences, dtype=object)
    return value


def _one(tensors: Any) -> bool:
    import keras  # noqa: PLC0415 - takes seconds

    return tensors is not None and len(keras.tree.flatten(tensors)) == 1


def take_arrays(x: Any, y: Any = None, sample_weight: Any = None) -> Arrays:
    """Take data as Keras does, if it is dense arrays of numbers, or of texts in ``x``.

    Floats become those of ``keras.config.floatx()``, a pandas Series a column.

    Raises:
        UnsuitedError: It is anything else, or something that Keras itself will refuse.
    """
    import keras  # noqa: PLC0415 - takes seconds

    inputs = _structure(x, "x")
    targets = _structure(y, "y")
    weights = _structure(sample_weight, "sample_weight")
    if inputs is None:
        raise UnsuitedError("there is no x")
    if weights is not None:
        weights = _for_each_output(weights, targets)
    arrays = Arrays(inputs, targets, weights)
    leaves = keras.tree.flatten(arrays.packed)
    if len({len(leaf) for leaf in leaves}) != 1:
        raise UnsuitedError("x and y differ in length")
    if not arrays.samples:
        raise UnsuitedError("there are no samples")
    _check_size(sum(leaf.nbytes for leaf in leaves))
    return arrays


def take_validation(validation_data: Any) -> Arrays | None:
    """Take validation data as arrays; None for a data set or anything else that is none."""
    if not isinstance(validation_data, tuple | list) or not 1 <= len(validation_data) <= 3:  # noqa: PLR2004 - x, y, weights
        return None
    try:
        return take_arrays(*validation_data)
    except UnsuitedError:
        return None


def class_weights(y: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """The weight of each sample, by its class.

    Args:
        y: Class numbers of shape (samples,) or (samples, 1), or one-hot rows.
        class_weight: Weight by class; 1 for a class that is not named.

    Returns:
        Shape (samples,), in ``keras.config.floatx()``.

    Example:
        >>> import numpy as np
        >>> class_weights(np.array([0, 2, 2]), {2: 0.5})
        array([1. , 0.5, 0.5], dtype=float32)
    """
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    if y.ndim > 1:
        y = y[..., 0] if y.shape[-1] == 1 else y.argmax(axis=-1)
    if y.ndim != 1:
        raise UnsuitedError("class_weight is for one class a sample")
    classes, which = np.unique(np.round(y).astype("int32"), return_inverse=True)
    weights = [class_weight.get(int(each), 1.0) for each in classes]
    return np.asarray(weights, dtype=keras.config.floatx())[which]


def _structure(value: Any, what: str) -> Any:
    """A structure's leaves as arrays, its lists as tuples; None stays None."""
    import keras  # noqa: PLC0415 - takes seconds

    if value is None:
        return None
    if not isinstance(value, dict | list | tuple):
        return _array(value, what)
    if not value:
        raise UnsuitedError(f"{what} is empty")
    structure = keras.tree.lists_to_tuples(value)
    return keras.tree.map_structure(lambda leaf: _array(leaf, what), structure)


def _array(value: Any, what: str) -> np.ndarray:
    """One leaf as Keras takes it: a dense array of numbers or, for ``x``, of texts."""
    import keras  # noqa: PLC0415 - takes seconds
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    if not hasattr(value, "__array__"):
        raise UnsuitedError(f"{what} is a {_kind(value)}")
    if isinstance(value, np.memmap) and value.nbytes > LARGEST_MAP:
        raise UnsuitedError(f"{what} is a file of {value.nbytes / 2**30:.1f} GB mapped into memory")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        raise UnsuitedError(f"{what} is a {_kind(value)}") from None
    if what == "x" and array.dtype.kind == "O" and array.size and _all_texts(array):
        return array
    if array.dtype.kind not in NUMBERS:
        raise UnsuitedError(f"{what} holds values of type {array.dtype}, not numbers")
    if not array.ndim:
        raise UnsuitedError(f"{what} is a single number")
    if array.dtype.kind == "f" and array.dtype != keras.config.floatx():
        array = array.astype(keras.config.floatx())
    column = array.ndim == 1 and _kind(value) == "Series"
    return array[:, None] if column else array


def _all_texts(array: np.ndarray) -> bool:
    return all(isinstance(each, str | bytes) for each in array.flat)


def _kind(value: Any) -> str:
    """What a user calls such a value."""
    import keras  # noqa: PLC0415 - takes seconds

    if isinstance(value, keras.utils.PyDataset):
        return "PyDataset"
    home, name = type(value).__module__, type(value).__name__
    return "tf.data.Dataset" if home.startswith("tensorflow.") and "Dataset" in name else name


def _for_each_output(weights: Any, targets: Any) -> Any:
    """Weights in the structure of several outputs: one array stands for each of them."""
    import keras  # noqa: PLC0415 - takes seconds

    if not keras.tree.is_nested(targets):
        if targets is None or keras.tree.is_nested(weights):
            raise UnsuitedError("sample_weight has not the structure of y")
        return weights
    if keras.tree.is_nested(weights):
        try:
            keras.tree.assert_same_structure(targets, weights)
        except ValueError:
            raise UnsuitedError("sample_weight has not the structure of y") from None
        return weights
    if weights.ndim > 2 or (weights.ndim == 2 and weights.shape[1] != 1):  # noqa: PLR2004 - columns
        raise UnsuitedError("sample_weight is no number a sample")
    return keras.tree.map_structure(lambda _: weights, targets)


def memory() -> int:
    """Bytes that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _check_size(nbytes: int) -> None:
    """Refuse what would not leave the machine its memory."""
    if nbytes > memory() / SHARE_OF_MEMORY:
        raise UnsuitedError(f"the data is large, {nbytes / 2**30:.1f} GB")
