"""A confusion matrix as an image: of a thousand classes in a card, of one epoch beside curves.

Images need neither trust nor a theme. Where several cells fall on one pixel the strongest is drawn,
so a single mistake among a million cells is still a dot.
"""

from __future__ import annotations

import io
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card import escape_html, image_html
from kmagic.support.colour_scale import MAX_OPACITY, MIN_OPACITY, colour_values
from kmagic.support.formatting import isolate_names
from kmagic.training.run.confusion_history import ConfusionHistory

ORANGE, BLUE = (213, 94, 0), (0, 114, 178)
HEATMAP_SIDE = 360  # pixels
MIN_VISIBLE = 0.82  # opacity of the faintest cell: a contrast of 3 on white, and of more on black
MAX_DOT, MIN_BAR = 6, 3  # pixels of a dot if there are few, and of the bars of a difference
SPARSE = 0.2  # share of the pixels that dots cover while they are enlarged

SIDE, TOP, HEIGHT, WIDTH = 138, 2, 152, 190
"""Pixels of an epoch's image: matrix, margin above, whole height; and of the text below it."""
MAX_CELLS = 20  # cells along a side; of more classes, neighbours share a cell
MAX_NAMED = 12
NAME_LENGTH, CHARACTER_WIDTH = 9, 5.8
SHORT_NAME = 2
LEVELS = 8
MID_ORANGE, MID_BLUE, MID_GREY = "#d9660f", "#1f83c6", "#7b828a"  # visible on white and on black


def large_matrix_html(values: NDArray[np.float64], *, is_difference: bool = False) -> str:
    """The heatmap of all classes, with a line below it."""
    what = f"heatmap of all {len(values):,} classes; rows: true, columns: predicted"
    if is_difference:
        what += "; horizontal, blue: better; vertical, orange: worse"
    image = heatmap_html(values, what, is_difference=is_difference)
    return (
        f'<div class="km-large-matrix">{image}<div class="km-muted km-readout" '
        f'style="font-size:11px">{what.capitalize()}</div></div>'
    )


def heatmap_html(values: NDArray[np.float64], alt: str, *, is_difference: bool = False) -> str:
    """Opacities from -0.75 (blue) to 0.75 (orange) as a PNG with a transparent background."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    drawn = draw_cells(values, is_difference=is_difference)
    share = (np.abs(drawn) - MIN_OPACITY) / (MAX_OPACITY - MIN_OPACITY)
    level = 1 + np.rint(share.clip(0, 1) * (LEVELS - 1))
    index = np.where(drawn == 0, 0, np.where(drawn < 0, level + LEVELS, level)).astype(np.uint8)
    image = Image.fromarray(index, "P")
    colours = [(128, 128, 128), *[ORANGE] * LEVELS, *[BLUE] * LEVELS]
    image.putpalette([value for colour in colours for value in colour])
    alphas = [round(255 * alpha) for alpha in np.linspace(MIN_VISIBLE, 1, LEVELS)]
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=bytes([0, *alphas, *alphas]))
    side = len(drawn)
    return image_html(file.getvalue(), "image/png", alt=alt, width=side, height=side)


def draw_cells(values: NDArray[np.float64], *, is_difference: bool = False) -> NDArray[np.float64]:
    """The value of each pixel of a matrix's heatmap; ``static/confusion/heatmap.js`` draws alike.

    The fewer mistakes there are, the larger are their dots. A mistake covers correct predictions,
    a strong one the weaker. Of a difference, better cells are horizontal bars, worse ones vertical.

    Example:
        >>> draw_cells(np.array([[-0.15, 0.75], [0, 0]]))[[0, 0, 359], [0, 359, 0]].tolist()
        [-0.15, 0.75, 0.0]
    """
    classes = len(values)
    side = HEATMAP_SIDE if 2 * classes > HEATMAP_SIDE else HEATMAP_SIDE // classes * classes
    is_mistake = (values > 0) & (not is_difference)
    positions = np.argwhere(values)
    order = (np.abs(values) + is_mistake)[values != 0].argsort(kind="stable")
    positions, found = positions[order], values[values != 0][order]
    is_dot = (found > 0) | is_difference
    cell = -(-side // classes)
    room = SPARSE * (2 if is_difference else 1) / max(is_dot.sum(), 1)
    dot = max(cell, MIN_BAR if is_difference else 1, min(MAX_DOT, int(side * room**0.5)))
    size = np.where(is_dot, dot, cell)
    inset = int(0.4 * dot) if is_difference else 0  # of a bar, at both of its long sides
    top, left = positions.T * side // classes - (size - cell) // 2
    rank = np.zeros((side, side), dtype=np.int64)
    for dy, dx in product(range(dot), repeat=2):
        across, along = (inset <= offset < dot - inset for offset in (dy, dx))
        y, x = top + dy, left + dx
        shown = (max(dy, dx) < size) & (np.minimum(y, x) >= 0) & (np.maximum(y, x) < side)
        shown &= np.where(found < 0, across, along)
        np.maximum.at(rank, (y[shown], x[shown]), np.flatnonzero(shown) + 1)
    return np.concatenate([[0.0], found])[rank]


def pool_strongest(values: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    """A matrix reduced to ``limit`` rows and columns: the strongest of the merged cells stays.

    Example:
        >>> pool_strongest(np.diag([-0.1, -0.1, -0.1, 0.7]), 2).tolist()
        [[-0.1, 0.0], [0.0, 0.7]]
    """
    classes = len(values)
    if classes <= limit:
        return values
    starts = np.unique(np.arange(limit) * classes // limit)
    for axis in (0, 1):
        high = np.maximum.reduceat(values, starts, axis=axis)
        low = np.minimum.reduceat(values, starts, axis=axis)
        values = np.where(high >= -low, high, low)
    return values


# --- beside the curves of a training --------------------------------------------------------------


def epoch_confusion_html(history: ConfusionHistory | None) -> str:
    """The last epoch's matrix as HTML for the row of curves; "" without one."""
    if history is None or history.matrix is None:
        return ""
    svg, width, _ = epoch_confusion_svg(history)
    image = image_html(
        svg.encode(), "image/svg+xml", alt=history.describe(), width=width, height=HEIGHT
    )
    return (
        f'<div style="flex:0 1 {WIDTH}px"><div style="font-weight:600;font-size:12px">'
        f"confusion matrix, epoch {history.epoch:,}</div>{image}"
        '<div class="km-muted" style="font-size:11px;overflow-wrap:anywhere">'
        f"{escape_html(history.to_text())}</div></div>"
    )


def epoch_confusion_state(history: ConfusionHistory | None) -> dict[str, Any] | None:
    """The same for ``static/training/live_matrix.js``, with the counts to read out."""
    if history is None or history.matrix is None:
        return None
    svg, width, left = epoch_confusion_svg(history)
    readable = len(history.classes) <= MAX_CELLS
    names = isolate_names(history.classes, 2 * NAME_LENGTH)
    return {
        "epoch": history.epoch,
        "svg": svg,
        "geometry": [left, TOP, SIDE, width, HEIGHT],
        "classes": names if readable else [],
        "counts": history.matrix.ravel().tolist() if readable else [],
        "worst": history.to_text(),
        "description": history.describe(),
    }


def epoch_confusion_svg(history: ConfusionHistory) -> tuple[str, int, int]:
    """The last epoch's matrix as SVG, its width, and the matrix's distance from its left edge."""
    assert history.matrix is not None  # noqa: S101 - required above
    values = pool_strongest(colour_values(history.matrix), MAX_CELLS)
    size = len(values)
    classes = history.classes if len(history.classes) <= MAX_NAMED else ()
    names = isolate_names(classes, NAME_LENGTH)
    left = round(6 + CHARACTER_WIDTH * max(map(len, names))) if names else 0
    width = left + SIDE + 2
    step = SIDE / size
    beside = "".join(
        f'<text x="{left - 4}" y="{TOP + (row + 0.5) * step + 3:.0f}" text-anchor="end">'
        f"{escape_html(name)}</text>"
        for row, name in enumerate(names)
    )
    below = "".join(
        f'<text x="{left + (column + 0.5) * step:.0f}" y="{TOP + SIDE + 10}" '
        f'text-anchor="middle">{escape_html(name)}</text>'
        for column, name in enumerate(names)
        if max(map(len, classes)) <= SHORT_NAME
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" font-family="system-ui,sans-serif" font-size="9" '
        f'fill="{MID_GREY}">{beside}{below}'
        f'<g transform="translate({left},{TOP})scale({step:.4g})">'
        f'<path opacity=".1" d="M0 0h{size}v{size}H0z"/>'
        f'<g transform="translate(0,.47)" stroke-width=".94">{_cells(values)}</g></g></svg>'
    )
    return svg, width, left


def _cells(values: NDArray[Any]) -> str:
    """One path for each opacity, so that a hundred cells are a few kilobytes."""
    paths: dict[tuple[str, int], list[str]] = {}
    for row, column in zip(*values.nonzero(), strict=True):
        value = float(values[row, column])
        level = max(1, round(abs(value) * LEVELS))
        key = (MID_BLUE if value < 0 else MID_ORANGE, level)
        paths.setdefault(key, []).append(f"M{column} {row}h.94")
    return "".join(
        f'<path stroke="{colour}" opacity="{level / LEVELS:g}" d="{"".join(moves)}"/>'
        for (colour, level), moves in sorted(paths.items())
    )
