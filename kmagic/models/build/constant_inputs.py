"""Constants as inputs of layers: arrays and numbers that do not depend on the model's inputs.

Keras computes a layer that gets only constants at once and leaves it out of the model, so its
weights would be neither trained nor saved. Here a constant becomes a part of the model: it is
repeated for each sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kmagic.models.binding.memory_limit import StepError, check_array
from kmagic.support.data_values import shape_of_data
from kmagic.support.keras_import import keras


def repeat_for_batch(constant: object, inputs: keras.KerasTensor) -> keras.KerasTensor:
    """Repeat a constant for each sample; a leading 1 is its batch dimension."""
    values = np.asarray(constant)
    if keras.backend.is_float_dtype(values.dtype.name):
        values = values.astype(keras.config.floatx())
    if values.ndim <= 1 or len(values) > 1:
        values = values[None]
    samples = inputs[(slice(None), *[0] * (len(inputs.shape) - 1))]
    indices = keras.ops.zeros_like(samples, dtype="int32")
    return keras.ops.take(values, indices, axis=0)


def is_constant(value: Any) -> bool:
    """Whether a value is a constant: a number, an array, a tensor with values, a list of numbers.

    Example:
        >>> is_constant(np.arange(3)), is_constant([[0, 1]]), is_constant(True)
        (True, True, False)
    """
    if isinstance(value, range):
        return bool(value)
    if isinstance(value, list | tuple):
        parts = keras.tree.flatten(value)
        return bool(parts) and all(is_constant(part) and not np.ndim(part) for part in parts)
    if isinstance(value, bool | str | type | keras.KerasTensor):
        return False
    return isinstance(value, int | float | keras.Variable) or hasattr(value, "__array__")


def check_constant(value: Any, ndim: int | None) -> None:
    """Refuse a constant that is not what it seems (a variable, text, a batch), or is too large.

    Args:
        value: The constant.
        ndim: Number of dimensions of the layer's other inputs, with the batch; None if there are
            none.

    Raises:
        StepError: With the reason.
    """
    if isinstance(value, keras.Variable) or hasattr(value, "assign_add"):
        raise StepError(
            "a variable would stay constant: it would not be trained",
            "Pass its value as an array, or hold the weight in a layer class of your own.",
        )
    if isinstance(value, range):
        check_array(((value.stop - value.start) // value.step,), "int64")
    check_array(shape_of_data(value), getattr(value, "dtype", ""))
    try:
        array = np.asarray(value)
    except MemoryError:
        raise StepError("does not fit into memory", "Pass a smaller array.") from None
    except Exception as error:  # noqa: BLE001 - whatever a class of the notebook raises
        raise StepError(f"is not an array of numbers: {error}", "Pass an array.") from None
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise StepError(
            f"a constant must contain numbers; got the dtype {array.dtype.name}",
            "Convert it to numbers in a cell above.",
        )
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise StepError("a constant must not contain NaN", "Replace the missing values above.")
    if ndim is not None and array.ndim >= max(ndim, 2) and len(array) != 1:
        shape = " x ".join(map(str, array.shape))
        raise StepError(
            f"a constant is the same for each sample; got a batch of {len(array):,} ({shape})",
            "Pass the values of one sample, without the batch dimension.",
        )
