"""A small curve that is one line high, for the cell of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kmagic.display.kit.card import MIDTONES, image_html
from kmagic.display.kit.chart import visible_points
from kmagic.support.downsampling import Point

WIDTH, HEIGHT = 96, 24
COLOURS = dict(pair.split(":") for pair in MIDTONES.split(";") if pair)
"""Colours that are legible on white and on black, by the names of the card's colours."""


def sparkline_html(
    training: Sequence[Point],
    validation: Sequence[Point] = (),
    *,
    alt: str,
    scale: tuple[float, float] | None = None,
) -> str:
    """One or two curves: training dashed and blue, validation solid and orange.

    Args:
        training: Its points, (x, y) in the order of x.
        validation: Those of the validation.
        alt: What the curves show, for screen readers.
        scale: The ends of the vertical axis; by default those of the values.
    """
    finite = [(x, y) for x, y in (*validation, *training) if math.isfinite(y)]
    if not finite:
        return ""
    left, right = min(x for x, _ in finite), max(x for x, _ in finite)
    low, high = scale or (min(y for _, y in finite), max(y for _, y in finite))

    def pixel(point: Point) -> Point:
        x = 3 + (point[0] - left) / ((right - left) or 1) * (WIDTH - 6)
        share = min(max((point[1] - low) / ((high - low) or 1), 0.0), 1.0)
        return x, HEIGHT - 3 - share * (HEIGHT - 6)

    lines = ""
    for curve, colour, dash in (
        (training, "--km-blue", ' stroke-dasharray="4 2"'),
        (validation, "--km-orange", ""),
    ):
        points = visible_points([pixel(point) for point in curve if math.isfinite(point[1])])
        if points:
            # A single point is drawn as a line of no length.
            path = " ".join(f"{x:.0f},{y:.1f}" for x, y in points * (2 if len(points) == 1 else 1))
            lines += (
                f'<polyline points="{path}" fill="none" stroke="{COLOURS[colour]}" '
                f'stroke-width="1.6" stroke-linecap="round"{dash}/>'
            )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{lines}</svg>'
    )
    image = image_html(svg.encode(), "image/svg+xml", alt=alt, width=WIDTH, height=HEIGHT)
    return image.replace('style="max-width:100%', 'style="display:block;max-width:none')
