"""The confusion matrix as a matplotlib figure: the way out for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.labels import tally

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion import Confusion

BLUE, ORANGE = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
WRITTEN = 30  # up to so many classes, the figures stand in the cells and the names at the axes


def draw(confusion: Confusion) -> Figure:
    """Draw the matrix: mistakes in orange up to the worst one, what is right only tinted.

    Args:
        confusion: The matrix.

    Returns:
        A figure with one pair of axes, outside pyplot.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    classes = len(confusion.classes)
    written = classes <= WRITTEN
    side = min(max(3.2, 0.52 * classes), 14) if written else 8
    figure = Figure(figsize=(side + 1, side + 0.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(_colours(confusion), interpolation="nearest")
    if written:
        _write(confusion, axes, size=9 if classes <= 12 else 6)  # noqa: PLR2004 - what fits
        long = max(map(len, confusion.classes)) > 3  # noqa: PLR2004 - what fits
        names = [name.replace("$", r"\$") for name in confusion.classes]
        axes.set_xticks(range(classes), names, rotation=90 if long else 0)
        axes.set_yticks(range(classes), names)
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"accuracy {confusion.accuracy:.4f}", fontsize=10)
    return figure


def _colours(confusion: Confusion) -> NDArray[np.float64]:
    shown = np.asarray(confusion.matrix, dtype=np.float64)
    if confusion.normalize is not None:
        shown = confusion.normalized(confusion.normalize)
    diagonal = np.eye(len(shown), dtype=bool)
    worst = np.where(diagonal, 0, shown).max()
    strength = shown / worst if worst else shown
    colours = np.ones((*shown.shape, 4))
    colours[..., :3] = ORANGE
    colours[..., 3] = np.where(shown > 0, 0.1 + 0.7 * np.minimum(strength, 1), 0)
    colours[diagonal, :3] = BLUE
    colours[diagonal, 3] = 0.16 * (np.diag(shown) > 0)
    return colours


def _write(confusion: Confusion, axes: object, size: int) -> None:
    shares = confusion.normalized(confusion.normalize or "true")
    for row, column in zip(*np.nonzero(confusion.matrix), strict=True):
        words = f"{tally(confusion.matrix[row, column])}\n{shares[row, column]:.1%}"
        axes.text(column, row, words, ha="center", va="center", fontsize=size)  # type: ignore[attr-defined]
