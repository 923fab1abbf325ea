"""The confusion matrix beside a training's curves: small, and the mistakes are what is coloured.

One picture serves the live view and the card that stays; it is an image, so that nothing in it
depends on trust or theme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmagic.display.confusion.heatmap import pool_strongest
from kmagic.display.kit.card import escape_html, image_html
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import isolate_direction, shorten_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.training.run.confusion_history import ConfusionHistory

SIDE, TOP, HEIGHT, WIDTH = 138, 2, 152, 190
"""Pixels: of the matrix, of the room above it, of the picture, of the words below it."""
MOST = 20
"""Of more classes, those that lie together share a cell, and the strongest is seen."""
NAMED = 12
SIGNS, SIGN = 9, 5.8
"""Of a row's name; the width of one."""
NARROW = 2
LEVELS = 8
ORANGE, BLUE, GREY = "#d9660f", "#1f83c6", "#7b828a"
"""Seen on white and on black."""


def epoch_confusion_html(watched: ConfusionHistory | None) -> str:
    """The matrix as HTML for the row of curves; "" where there is none."""
    if watched is None or watched.matrix is None:
        return ""
    text, width, _ = epoch_confusion_svg(watched)
    shown = image_html(
        text.encode(), "image/svg+xml", alt=watched.describe(), width=width, height=HEIGHT
    )
    return (
        f'<div style="flex:0 1 {WIDTH}px"><div style="font-weight:600;font-size:12px">'
        f"confusion, epoch {watched.epoch:,}</div>{shown}"
        '<div class="km-mute" style="font-size:11px;overflow-wrap:anywhere">'
        f"{escape_html(watched.to_text())}</div></div>"
    )


def epoch_confusion_state(watched: ConfusionHistory | None) -> dict[str, Any] | None:
    """The same for the live view, with the counts that it says at the pointer."""
    if watched is None or watched.matrix is None:
        return None
    text, width, left = epoch_confusion_svg(watched)
    classes = len(watched.classes)
    told = classes <= MOST
    return {
        "epoch": watched.epoch,
        "picture": text,
        "place": [left, TOP, SIDE, width, HEIGHT],
        "classes": [isolate_direction(shorten_name(name, 2 * SIGNS)) for name in watched.classes]
        if told
        else [],
        "counts": watched.matrix.ravel().tolist() if told else [],
        "words": watched.to_text(),
        "summary": watched.describe(),
    }


def epoch_confusion_svg(watched: ConfusionHistory) -> tuple[str, int, int]:
    """The matrix as an SVG document; rows are true classes.

    Args:
        watched: With a matrix.

    Returns:
        The document, its width, and where the matrix begins in it from the left.
    """
    assert watched.matrix is not None  # noqa: S101 - as said
    shades = pool_strongest(colour_values(watched.matrix), MOST)
    size = len(shades)
    names = watched.classes if len(watched.classes) <= NAMED else ()
    rows = [isolate_direction(shorten_name(name, SIGNS)) for name in names]
    left = round(6 + SIGN * max(map(len, rows))) if rows else 0
    width = left + SIDE + 2
    step = SIDE / size
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" font-family="system-ui,sans-serif" font-size="9" '
        f'fill="{GREY}">'
    )
    parts = [
        frame,
        *(
            f'<text x="{left - 4}" y="{TOP + (row + 0.5) * step + 3:.0f}" text-anchor="end">'
            f"{escape_html(name)}</text>"
            for row, name in enumerate(rows)
        ),
    ]
    if rows and max(map(len, names)) <= NARROW:
        parts += (
            f'<text x="{left + (column + 0.5) * step:.0f}" y="{TOP + SIDE + 10}" '
            f'text-anchor="middle">{escape_html(name)}</text>'
            for column, name in enumerate(rows)
        )
    parts.append(
        f'<g transform="translate({left},{TOP})scale({step:.4g})">'
        f'<path opacity=".1" d="M0 0h{size}v{size}H0z"/>'
        f'<g transform="translate(0,.47)" stroke-width=".94">{_cells(shades)}</g></g></svg>'
    )
    return "".join(parts), width, left


def _cells(shades: NDArray[Any]) -> str:
    """A path for each tone, so that a hundred cells are a few kilobytes."""
    found: dict[tuple[str, int], list[str]] = {}
    for row, column in zip(*shades.nonzero(), strict=True):
        tone = float(shades[row, column])
        level = max(1, round(abs(tone) * LEVELS))
        key = (BLUE if tone < 0 else ORANGE, level)
        found.setdefault(key, []).append(f"M{column} {row}h.94")
    return "".join(
        f'<path stroke="{colour}" opacity="{level / LEVELS:g}" d="{"".join(moves)}"/>'
        for (colour, level), moves in sorted(found.items())
    )
