"""Weights of classes and of samples: what Keras takes in silence, or refuses late."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from kmagic.support.errors import TrainingError

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
