"""Confusion matrices as matplotlib figures, for papers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.support.colour_scale import colour_values, difference_values
from kmagic.support.formatting import format_count, shorten_names
from kmagic.support.process_patches import enable_figure_display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix
    from kmagic.evaluation.confusion.multilabel import MultilabelConfusion

BLUE, ORANGE = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
MAX_WRITTEN = 30  # classes up to which counts and names are written
MAX_NAME = 30  # characters of a name
MAX_LABELS, COLUMNS = 30, 6  # matrices of labels in one figure, and per row


def plot_matrix(matrix: ConfusionMatrix) -> Figure:
    """Draw a matrix: mistakes in orange up to the largest, the diagonal only tinted.

    The matrix's own order, scale and normalization apply. The figure is independent of pyplot.
    """
    order, over = matrix.ordered(), matrix.normalize
    cells = np.ix_(order, order)
    values = matrix.matrix if over is None else matrix.normalized(over)
    counts, shares = matrix.matrix[cells], matrix.normalized(over or "true")[cells]
    texts = [
        [f"{format_count(n)}\n{share:.1%}" if n else "" for n, share in zip(*row, strict=True)]
        for row in zip(counts, shares, strict=True)
    ]
    strength = colour_values(values[cells], log=matrix.scale == "log", diagonal=matrix.diagonal)
    title = f"accuracy {matrix.accuracy:.4f}"
    return _square_figure(strength, [matrix.classes[index] for index in order], texts, title)


def plot_difference(comparison: Comparison) -> Figure:
    """Draw the signed matrix: improvements in blue, the rest in orange."""
    order = comparison.new.ordered()
    change = comparison.difference[np.ix_(order, order)]
    texts = [
        [f"{'+' if n > 0 else ''}{format_count(n)}" if n else "" for n in row] for row in change
    ]
    names = [comparison.classes[index] for index in order]
    return _square_figure(difference_values(change), names, texts, comparison.errors())


def plot_labels(result: MultilabelConfusion) -> Figure:
    """Draw the matrices of the first 30 labels next to each other."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    indices = result.ordered()[:MAX_LABELS]
    columns = min(COLUMNS, len(indices))
    rows = math.ceil(len(indices) / columns)
    enable_figure_display()
    figure = Figure(figsize=(2.2 * columns, 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    titles = _short_names(result.classes)
    for axes, index in zip(grid, indices, strict=False):
        counts = result.matrices[index]
        texts = [[format_count(count) for count in row] for row in counts]
        _draw_cells(axes, colour_values(counts), ["no", "yes"], texts)
        axes.set_title(titles[index], fontsize=10)
    for axes in grid[len(indices) :]:
        axes.set_axis_off()
    return figure


def _square_figure(
    strength: NDArray[np.float64], names: Sequence[str], texts: Sequence[Sequence[str]], title: str
) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    enable_figure_display()
    side = min(max(3.2, 0.52 * len(names)), 14) if len(names) <= MAX_WRITTEN else 8
    figure = Figure(figsize=(side + 1, side + 0.6), layout="constrained")
    axes = figure.add_subplot()
    _draw_cells(axes, strength, names, texts)
    axes.set_title(title, fontsize=10)
    return figure


def _draw_cells(
    axes: Any, strength: NDArray[np.float64], names: Sequence[str], texts: Sequence[Sequence[str]]
) -> None:
    """Draw values from -1 (blue) to 1 (orange), and for few classes the texts and names."""
    colours = np.ones((*strength.shape, 4))
    colours[..., :3] = np.where(strength[..., None] < 0, BLUE, ORANGE)
    colours[..., 3] = np.abs(strength)
    axes.imshow(colours, interpolation="nearest")
    if len(names) <= MAX_WRITTEN:
        size = 9 if len(names) <= 12 else 6  # noqa: PLR2004 - what fits
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                if text:
                    axes.text(column, row, text, ha="center", va="center", fontsize=size)
        are_long = max(map(len, names)) > 3  # noqa: PLR2004 - what fits
        shown = _short_names(names)
        axes.set_xticks(range(len(names)), shown, rotation=90 if are_long else 0)
        axes.set_yticks(range(len(names)), shown)
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def _short_names(names: Sequence[str]) -> list[str]:
    """Short names that matplotlib does not read as mathematics."""
    return [name.replace("$", r"\$") for name in shorten_names(names, MAX_NAME)]
