"""Weights of classes that do not go with the labels: Keras takes them in silence."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from typing import Any

from kmagic.models.lint.advice import Advice

SOME = 5
REMEDY = "A class that class_weight does not name counts 1."


def weight_advice(weights: Any, y: Any) -> Iterator[Advice]:
    """Advice about ``class_weight``.

    Args:
        weights: What each class counts, by its number.
        y: The targets as an array, or None; class numbers or one-hot rows are looked at.
    """
    import numpy as np  # noqa: PLC0415 - %load_ext must not wait for it

    if not isinstance(weights, Mapping) or y is None or y.dtype.kind not in "biuf" or y.ndim > 2:  # noqa: PLR2004 - rows
        return
    if not all(isinstance(each, numbers.Real) for pair in weights.items() for each in pair):
        return  # which is refused
    labels = y.argmax(axis=1) if y.ndim > 1 and y.shape[1] > 1 else y.reshape(-1)
    there = {int(each) for each in np.unique(labels)}
    unknown, unnamed = sorted(set(weights) - there), sorted(there - set(weights))
    if unknown:
        yield Advice(
            "class-weight",
            f"class_weight names {_few(unknown)}, and y has {_few(sorted(there))}.",
            REMEDY,
        )
    elif unnamed:
        one = "class" if len(unnamed) == 1 else "classes"
        yield Advice("class-weight", f"class_weight leaves out {one} {_few(unnamed)}.", REMEDY)
    negative = sorted(each for each, weight in weights.items() if weight < 0)
    if negative:
        yield Advice(
            "negative-weight",
            f"class_weight is negative for {_few(negative)}: the model learns to be wrong there.",
            "A weight is a number from 0 on.",
        )


def _few(classes: list[int]) -> str:
    said = ", ".join(map(str, classes[:SOME]))
    return said if len(classes) <= SOME else f"{said} and {len(classes) - SOME} more"
