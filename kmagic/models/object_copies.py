"""Copies of layers, models and other objects for another process, with the notebook's classes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isclass, isfunction
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import TrainingError
from kmagic.support.formatting import describe_error
from kmagic.support.messages import Text

_INSTALLED = ("builtins", "keras", "numpy", "tensorflow")
"""Packages whose classes need not be copied."""
MAX_SHOWN = 4  # values in a message
_TOLERANCE = 0.01
"""Largest difference between the outputs of a model and its copy, relative to the largest value."""


def pickle_for_process(subject: str, value: Any, remedy: str | Text) -> bytes:
    """An object as bytes, also if its class or function is defined in the notebook.

    Raises:
        TrainingError: It cannot be pickled.
    """
    from cloudpickle import dumps  # noqa: PLC0415 - an extra

    try:
        return dumps(value)  # type: ignore[no-any-return]
    except Exception as error:
        raise TrainingError(
            f"{subject} cannot be copied to another process: {describe_error(error)}.", remedy
        ) from error


def pickle_with_classes(subject: str, value: Any, remedy: str | Text) -> bytes:
    """A layer, model, optimizer, loss or metric as bytes, with the classes that Keras needs for it.

    Raises:
        TrainingError: It cannot be pickled.
    """
    content = pickle_for_process(subject, value, remedy)
    return pickle_for_process(subject, (_own_objects(value), content), remedy)


def load_with_classes(pickled: bytes) -> Any:
    """What :func:`pickle_with_classes` pickled, as a new object."""
    from cloudpickle import loads  # noqa: PLC0415 - an extra

    classes, content = loads(pickled)
    with keras.saving.custom_object_scope(classes):
        return loads(content)


def repeatable(compute: Callable[[], NDArray[Any]]) -> NDArray[Any] | None:
    """Some outputs of a model, to compare with those of a copy; None if they are random."""
    first = compute()
    return first if is_same_output(first, compute()) else None


def is_same_output(expected: NDArray[Any], output: NDArray[Any]) -> bool:
    """Whether outputs are equal up to rounding, which differs between devices and batch sizes."""
    if expected.shape != output.shape:
        return False
    expected, output = (np.asarray(values, np.float64) for values in (expected, output))
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    return np.allclose(expected, output, rtol=0, atol=_TOLERANCE * largest, equal_nan=True)


def check_copy(name: str, expected: NDArray[Any] | None, compute: Callable[[], Any]) -> None:
    """Reject a copy of a model that computes something else.

    Raises:
        TrainingError: The outputs differ.
    """
    if expected is None or is_same_output(expected, output := compute()):
        return
    raise TrainingError(
        f"{name} cannot be copied to another process: for the first sample its copy computes "
        f"{_shorten(output)} instead of {_shorten(expected)}.",
        "Keras copies the arguments of a layer, not attributes that were changed later: set them "
        "in `__init__` and return them from `get_config`.",
    )


def _shorten(values: NDArray[Any]) -> str:
    return np.array2string(values[:MAX_SHOWN], precision=4, separator=", ")


def _own_objects(value: Any) -> dict[str, Any]:
    """The classes and functions in a layer or model that Keras, which pickles it, does not know."""
    layers = list(value._flatten_layers()) if isinstance(value, keras.Layer) else [value]  # noqa: SLF001 - all within it
    found = [type(layer) for layer in layers]
    for layer in layers:  # Keras replaces the methods of a layer by functions that contain it
        values = vars(layer).items()
        found += [part for name, part in values if not hasattr(type(layer), name)]
    if getattr(value, "compiled", False):
        compiled = keras.tree.flatten(value._compile_config.config)  # noqa: SLF001 - loss, metrics
        rate = getattr(value.optimizer, "_learning_rate", None)
        found += [part for each in (*compiled, rate) for part in (each, type(each))]
    own = [part for part in found if isclass(part) or isfunction(part)]
    return {
        keras.saving.get_registered_name(part): part
        for part in own
        if (part.__module__ or "").partition(".")[0] not in _INSTALLED
    }
