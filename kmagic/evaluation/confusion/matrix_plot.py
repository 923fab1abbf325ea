"""The confusion matrix as a matplotlib figure: the way out for papers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.support.colour_scale import colour_values, difference_values
from kmagic.support.formatting import format_count, shorten_name
from kmagic.support.rendering import enable_figure_display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix
    from kmagic.evaluation.confusion.multilabel import MultilabelConfusion

BLUE, ORANGE = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
WRITTEN = 30  # up to so many classes, the figures stand in the cells and the names at the axes
LONGEST = 30  # signs of a name
MOST, ACROSS = 30, 6  # matrices of labels in one figure, in one row


def draw(confusion: ConfusionMatrix) -> Figure:
    """Draw the matrix: mistakes in orange up to the worst one, what is right only tinted.

    Args:
        confusion: The matrix; its order, its scale and what it is normalized over are kept.

    Returns:
        A figure with one pair of axes, outside pyplot.
    """
    order = confusion.ordered()
    over = confusion.normalize
    shown = confusion.matrix if over is None else confusion.normalized(over)
    shares = confusion.normalized(over or "true")
    at = np.ix_(order, order)
    figure, axes = _sheet(len(order))
    axes.imshow(
        _colours(
            colour_values(shown[at], log=confusion.scale == "log", diagonal=confusion.diagonal)
        ),
        interpolation="nearest",
    )
    words = [
        [
            f"{format_count(count)}\n{share:.1%}" if count else ""
            for count, share in zip(*row, strict=True)
        ]
        for row in zip(confusion.matrix[at], shares[at], strict=True)
    ]
    _finish(axes, [confusion.classes[k] for k in order], words)
    axes.set_title(f"accuracy {confusion.accuracy:.4f}", fontsize=10)
    return figure


def draw_difference(comparison: Comparison) -> Figure:
    """Draw the signed matrix: in blue what got better, in orange what got worse.

    Args:
        comparison: The two models.

    Returns:
        A figure with one pair of axes, outside pyplot.
    """
    order = comparison.new.ordered()
    change = comparison.difference[np.ix_(order, order)]
    figure, axes = _sheet(len(order))
    axes.imshow(_colours(difference_values(change)), interpolation="nearest")
    words = [
        [f"{'+' if c > 0 else ''}{format_count(c)}" if c else "" for c in row] for row in change
    ]
    _finish(axes, [comparison.classes[k] for k in order], words)
    axes.set_title(comparison.errors(), fontsize=10)
    return figure


def draw_all(found: MultilabelConfusion) -> Figure:
    """Draw the matrices of several labels beside each other, the first 30 of them.

    Args:
        found: A matrix a label.

    Returns:
        A figure with a pair of axes a label, outside pyplot.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    places = found.ordered()[:MOST]
    across = min(ACROSS, len(places))
    down = math.ceil(len(places) / across)
    enable_figure_display()
    figure = Figure(figsize=(2.2 * across, 2.3 * down), layout="constrained")
    for axes, place in zip(
        figure.subplots(down, across, squeeze=False).ravel(),
        [*places, *[None] * across * down],
        strict=False,
    ):
        if place is None:
            axes.set_axis_off()
            continue
        counts = found.matrices[place]
        axes.imshow(_colours(colour_values(counts)), interpolation="nearest")
        words = [[format_count(count) for count in row] for row in counts]
        _finish(axes, ["no", "yes"], words)
        axes.set_title(_plain(found.classes[place]), fontsize=10)
    return figure


def _sheet(classes: int) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    enable_figure_display()
    side = min(max(3.2, 0.52 * classes), 14) if classes <= WRITTEN else 8
    figure = Figure(figsize=(side + 1, side + 0.6), layout="constrained")
    return figure, figure.add_subplot()


def _finish(axes: Any, names: Sequence[str], words: Sequence[Sequence[str]]) -> None:
    if len(names) <= WRITTEN:
        size = 9 if len(names) <= 12 else 6  # noqa: PLR2004 - what fits
        for row, line in enumerate(words):
            for column, said in enumerate(line):
                if said:
                    axes.text(column, row, said, ha="center", va="center", fontsize=size)
        long = max(map(len, names)) > 3  # noqa: PLR2004 - what fits
        plain = [_plain(name) for name in names]
        axes.set_xticks(range(len(names)), plain, rotation=90 if long else 0)
        axes.set_yticks(range(len(names)), plain)
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def _plain(name: str) -> str:
    return shorten_name(name, LONGEST).replace("$", r"\$")


def _colours(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tones from -1 (full blue) to 1 (full orange) as colours of shape (..., 4)."""
    colours = np.ones((*strength.shape, 4))
    colours[..., :3] = np.where(strength[..., None] < 0, BLUE, ORANGE)
    colours[..., 3] = np.abs(strength)
    return colours
