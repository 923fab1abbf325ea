"""The rows that a rectangle in a chart selects, for the page while its kernel runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card_widget import open_widget, samples_reply
from kmagic.display.kit.samples import Sample, collect_samples
from kmagic.evaluation.regression.error_comparison import ErrorComparison
from kmagic.evaluation.regression.regression_errors import RegressionErrors
from kmagic.support.formatting import format_value


def attach_widget(result: RegressionErrors | ErrorComparison) -> str:
    """Open a widget for the card of a result; its key, or "" if widgets are not available."""
    return open_widget("regression/interactive_errors", {}, partial(answer_request, result))


def answer_request(
    result: RegressionErrors | ErrorComparison, message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """The reply to a request of the page.

    Args:
        result: What the card shows.
        message: ``request`` is "select" or "samples" (with ``first`` and ``count``), with the
            number of a ``target`` and the ``ranges`` of values by the name of an axis.

    Returns:
        The reply as JSON, and its binary parts.
    """
    request = message.get("request")
    if request not in ("select", "samples"):
        return {"error": f"Unknown request: {request!r}"}, []
    part = result.parts[int(message["target"])]
    rows = rows_within(part, message["ranges"])
    if request == "select":
        (result.new if isinstance(result, ErrorComparison) else result).selection = rows
        return {}, []
    count = len(result.new if isinstance(result, ErrorComparison) else result)
    draw = partial(row_samples, part)
    return samples_reply(message, rows.tolist(), draw, f"{len(rows):,} of {count:,}")


def rows_within(
    part: RegressionErrors | ErrorComparison, ranges: dict[str, tuple[float, float]]
) -> NDArray[np.intp]:
    """The rows of one target within all ranges, the largest errors first; none without ranges."""
    new = part.new if isinstance(part, ErrorComparison) else part
    size = part.difference if isinstance(part, ErrorComparison) else part.errors
    values = {"true": new.y_true, "predicted": new.y_pred, "error": new.errors}
    if isinstance(part, ErrorComparison):
        values |= {"other": part.old.y_pred, "difference": part.difference}
    matches = np.full(len(new), bool(ranges))
    for axis, (low, high) in ranges.items():
        matches &= (values[axis] >= low) & (values[axis] <= high)
    rows = np.flatnonzero(matches)
    return rows[np.argsort(-np.abs(size[rows]), kind="stable")]


def row_samples(part: RegressionErrors | ErrorComparison, rows: list[int]) -> list[Sample]:
    """Some rows of one target with their values, as thumbnails or lines."""
    new = part.new if isinstance(part, ErrorComparison) else part
    below, described = [], []
    for row in rows:
        true, predicted = format_value(new.y_true[row]), format_value(new.y_pred[row])
        other = ""
        if isinstance(part, ErrorComparison):
            other = f", other {format_value(part.old.y_pred[row])}"
        below.append(f"{predicted}{other} (true {true})")
        described.append(f"predicted {predicted}{other}, true {true}")
    return collect_samples(new.x, rows, below, described)
