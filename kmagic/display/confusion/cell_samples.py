"""The samples of a matrix's cells, and the HTML of a cell that opens to show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kmagic.display.kit.samples import Sample, collect_samples
from kmagic.support.formatting import isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

C = TypeVar("C", bound=tuple[int, ...])

SAMPLES_SHOWN = 6
MAX_SAMPLE_BYTES = 250_000
"""Size of the samples in all cells of a saved card."""
TITLE_NAME, CAPTION_NAME = 60, 12
"""Characters of a class name."""


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


def comparison_samples(comparison: Comparison, indices: Iterable[int]) -> list[Sample]:
    """Samples with the predictions of both models: "8, was 3"."""
    indices = list(indices)
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
    comparison: Comparison, row: int, column: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The samples that have left a cell, and those that have entered it."""
    before, now = (
        (model.predictions.true == row) & (model.predictions.predicted == column)
        for model in (comparison.old, comparison.new)
    )
    return np.flatnonzero(before & ~now), np.flatnonzero(now & ~before)


# --- HTML -----------------------------------------------------------------------------------------


def build_popups(cells: Sequence[C], samples: Callable[[C], str]) -> dict[C, str]:
    """What cells show when they open, as far as the size of a card allows.

    Without the style sheet, a popup is laid over the table.
    """
    size = 0
    popups: dict[C, str] = {}
    for cell in cells:
        if size > MAX_SAMPLE_BYTES:
            break
        inside = samples(cell)
        size += len(inside)
        popups[cell] = (
            '<div class="km-popup" style="position:absolute;z-index:2;max-width:300px;padding:8px;'
            "border:1px solid #999;background-color:#fff;color:#222;text-align:left;"
            f'white-space:normal">{inside}</div>'
        )
    return popups


def subtitle_html(title: str, note: str = "") -> str:
    """A line above samples or pairs; both are HTML."""
    muted = f' <span class="km-muted">{note}</span>' if note else ""
    return f'<div class="km-subtitle"><b>{title}</b>{muted}</div>'


def openable_html(content: str, popup: str) -> str:
    """A cell's content, which opens a popup if there is one."""
    if not popup:
        return content
    return (
        '<details class="km-cell" name="km-cell"><summary style="list-style:none;'
        f'cursor:pointer">{content}</summary>{popup}</details>'
    )


def popup_content(popup: str) -> str:
    """What a popup contains, to be shown beside the matrix until a cell is opened."""
    return popup[popup.index(">") + 1 : -len("</div>")] if popup else ""
