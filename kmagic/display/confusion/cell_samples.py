"""The samples of a matrix's cells, as its card and its widget show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.kit.samples import Sample, collect_samples
from kmagic.support.formatting import isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

TITLE_NAME, CAPTION_NAME = 60, 12  # characters of a class name


def captions(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[str]:
    """The probability of each sample's predicted class, or its index if that is unknown."""
    confidence = matrix.confidence
    return [f"#{k:,}" if confidence is None else f"{confidence[k]:.2f}" for k in indices]


def titles(matrix: ConfusionMatrix, indices: Iterable[int]) -> list[str]:
    """Each sample's true and predicted class, in words."""
    texts = []
    for index in indices:
        true, predicted = (
            isolate_direction(shorten_name(matrix.classes[classes[index]], TITLE_NAME))
            for classes in (matrix.predictions.true, matrix.predictions.predicted)
        )
        texts.append(f"{true} taken for {predicted}" if true != predicted else f"{true}, correct")
    return texts


def confusion_samples(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[Sample]:
    """Samples of a matrix as the card shows them."""
    return collect_samples(matrix.x, indices, captions(matrix, indices), titles(matrix, indices))


def comparison_samples(comparison: Comparison, indices: Sequence[int]) -> list[Sample]:
    """Samples with the predictions of both models: "8, was 3"."""
    new, old = comparison.new.predictions, comparison.old.predictions
    below, described = [], []
    for index in indices:
        true, now, before = (
            isolate_direction(shorten_name(comparison.classes[classes[index]], CAPTION_NAME))
            for classes in (new.true, new.predicted, old.predicted)
        )
        below.append(f"{now}, was {before}")
        described.append(f"{true}: taken for {now}, before for {before}")
    return collect_samples(comparison.new.x, indices, below, described)


def moved_samples(
    comparison: Comparison, cell: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The samples that have left a cell, and those that have entered it."""
    before, now = (
        (model.predictions.true == cell[0]) & (model.predictions.predicted == cell[1])
        for model in (comparison.old, comparison.new)
    )
    return np.flatnonzero(before & ~now), np.flatnonzero(now & ~before)
