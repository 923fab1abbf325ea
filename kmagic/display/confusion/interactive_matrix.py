"""What the card of a matrix can do while its kernel runs.

The card is complete HTML and is saved as such. Beside it the kernel opens a widget without a view
of its own: its module (``static/confusion/interactive_matrix.js``) finds the card in the page,
wherever and however often it is shown, and makes every cell answer clicks. It requests samples by
custom messages, so only those that are looked at are sent. When the kernel goes, the card is as it
was before.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict, deque
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kmagic.display.confusion.cell_samples import (
    comparison_samples,
    confusion_samples,
    moved_samples,
)
from kmagic.display.kit.assets import js_module, read_static
from kmagic.display.kit.samples import encode_samples
from kmagic.support.display_mode import display_mode
from kmagic.support.errors import KmagicError
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    shorten_name,
    strip_control_characters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.display.kit.samples import Sample
    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

MAX_WIDGETS = 16
"""Cards that are interactive at a time; older ones become static."""
MAX_SAMPLES = 48
"""Samples in a reply."""
MAX_SENT_CLASSES = 30
"""With more classes, the matrix is sent on request."""
NAME_LENGTH = 60
WORST_CELLS = 200
THRESHOLD_STEPS = 200
CACHED_THRESHOLDS = 8

Cell: TypeAlias = tuple[int, int]
Interactive: TypeAlias = "InteractiveConfusion | InteractiveComparison"

_open_widgets: deque[Any] = deque()


class InteractiveConfusion:
    """Answers requests about one matrix; ``shown`` are the classes in the card's table."""

    def __init__(self, matrix: ConfusionMatrix, shown: Sequence[int]) -> None:
        self._matrix, self._shown = matrix, list(shown)
        self._at_threshold: OrderedDict[float, ConfusionMatrix] = OrderedDict()

    def state(self) -> dict[str, Any]:
        """What the page needs from the beginning, as JSON."""
        matrix = self._matrix
        return {
            **_common_state(matrix, self._shown),
            "kind": "matrix",
            "matrix": _small(matrix.matrix),
            "scale": matrix.scale,
            "diagonal": matrix.diagonal,
            "worst_cells": [[pair.true, pair.predicted] for pair in matrix.pairs(WORST_CELLS)],
            "threshold_steps": self._threshold_steps(),
        }

    def counts(self) -> NDArray[Any]:
        """The matrix."""
        return self._matrix.matrix

    def ordered(self, by: str) -> Sequence[int]:
        """The classes, sorted."""
        return [int(k) for k in self._matrix.ordered(by)]  # type: ignore[arg-type] # checked there

    def find(self, cells: Sequence[Cell], threshold: float | None) -> tuple[Sequence[int], str]:
        """The samples of some cells, the most confident of one cell first; and how many."""
        matrix = self._at(threshold)
        labels = matrix.labels
        indices = [matrix.indices(true=labels[row], pred=labels[column]) for row, column in cells]
        summary = f"{sum(map(len, indices)):,}"
        if len(cells) == 1:
            summary += f" of {format_count((matrix.predictions.true == cells[0][0]).sum())}"
        return np.concatenate(indices).tolist() if indices else [], summary

    def samples(self, indices: Sequence[int], threshold: float | None) -> Sequence[Sample]:
        """Samples as the card shows them."""
        return confusion_samples(self._at(threshold), indices)

    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the matrix."""
        labels = self._matrix.labels
        self._matrix.selection[:] = [(labels[row], labels[column]) for row, column in cells]

    def _at(self, threshold: float | None) -> ConfusionMatrix:
        if threshold is None or threshold == self._matrix.predictions.threshold:
            return self._matrix
        if threshold not in self._at_threshold:
            self._at_threshold[threshold] = self._matrix.at(threshold)
            while len(self._at_threshold) > CACHED_THRESHOLDS:
                self._at_threshold.popitem(last=False)
        return self._at_threshold[threshold]

    def _threshold_steps(self) -> dict[str, Any] | None:
        """The matrix at every step of the threshold slider; None without one."""
        sweep, scores = self._matrix.threshold_curve, self._matrix.predictions.scores
        if sweep is None or scores is None:
            return None
        current = self._matrix.predictions.threshold
        low, high = 0.0, 1.0
        if scores.given.ndim == 1 and not scores.are_probabilities:
            low, high = float(sweep.thresholds[-1]), float(sweep.thresholds[0])
        # Rounded, since they are shown: 0.7, not 0.7000000000000001.
        steps = np.linspace(low, high, THRESHOLD_STEPS + 1).round(6)
        thresholds = np.unique(np.append(steps, current))
        return {
            "thresholds": thresholds.tolist(),
            "counts": [sweep.counts(threshold) for threshold in thresholds],
            "current": current,
            "samples": self._matrix.samples,
            "unit": strip_control_characters(self._matrix.unit),
        }


class InteractiveComparison:
    """Answers requests about two matrices; ``shown`` are the classes in the card's table."""

    def __init__(self, comparison: Comparison, shown: Sequence[int]) -> None:
        self._comparison, self._shown = comparison, list(shown)

    def state(self) -> dict[str, Any]:
        """What the page needs from the beginning, as JSON."""
        return {
            **_common_state(self._comparison.new, self._shown),
            "kind": "difference",
            "matrix": _small(self._comparison.difference),
            "scale": "linear",
            "diagonal": True,
            "worst_cells": self._comparison.changed_cells(WORST_CELLS),
            "threshold_steps": None,
        }

    def counts(self) -> NDArray[Any]:
        """The difference of the matrices."""
        return self._comparison.difference

    def ordered(self, by: str) -> Sequence[int]:
        """The classes, sorted as in the new model's matrix."""
        return [int(k) for k in self._comparison.new.ordered(by)]  # type: ignore[arg-type] # checked there

    def find(self, cells: Sequence[Cell], _threshold: float | None) -> tuple[Sequence[int], str]:
        """The samples that left some cells, then those that entered them; and how many."""
        moved = [moved_samples(self._comparison, row, column) for row, column in cells]
        left, entered = (sum(len(pair[side]) for pair in moved) for side in (0, 1))
        indices = [int(k) for side in (0, 1) for pair in moved for k in pair[side]]
        return indices, f"{left:,} no longer, {entered:,} new"

    def samples(self, indices: Sequence[int], _threshold: float | None) -> Sequence[Sample]:
        """Samples as the card shows them."""
        return comparison_samples(self._comparison, indices)

    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the new model's matrix."""
        labels = self._comparison.new.labels
        selection = [(labels[row], labels[column]) for row, column in cells]
        self._comparison.new.selection[:] = selection


def _common_state(matrix: ConfusionMatrix, shown: list[int]) -> dict[str, Any]:
    return {
        "names": [isolate_direction(shorten_name(name, NAME_LENGTH)) for name in matrix.classes],
        "labels": list(matrix.labels),
        "shown": shown,
        "order": matrix.order,
        "ordered": matrix.ordered().tolist(),
    }


def _small(counts: NDArray[Any]) -> list[list[float]] | None:
    return counts.tolist() if len(counts) <= MAX_SENT_CLASSES else None


# --- the widget -----------------------------------------------------------------------------------


def attach_widget(interactive: Interactive) -> str:
    """Open a widget for a card that is about to be shown.

    Returns:
        The key that the card's element must have as ``data-km``; "" if widgets are not available.
    """
    if display_mode() != "widget":
        return ""
    key = uuid.uuid4().hex[:12]
    widget = widget_class()(state={"key": key, **interactive.state()})
    widget.on_msg(lambda _, message, __: _reply(widget, interactive, message))
    _open_widgets.append(widget)
    while len(_open_widgets) > MAX_WIDGETS:
        _open_widgets.popleft().close()
    return key


def answer_request(
    interactive: Interactive, message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """The reply to a request of the page.

    Args:
        interactive: What the card shows.
        message: ``request`` is "samples" (with ``cells``, ``first``, ``count`` and ``threshold``),
            "matrix", "order" (with ``by``) or "select" (with ``cells``).

    Returns:
        The reply as JSON, and its binary parts.
    """
    cells = [(int(row), int(column)) for row, column in message.get("cells", [])]
    match message.get("request"):
        case "samples":
            return _samples_reply(interactive, cells, message)
        case "matrix":
            flat = interactive.counts().ravel()
            positions = np.flatnonzero(flat)
            counts = flat[positions]
            return {}, [positions.astype("<u4").tobytes(), counts.astype("<f8").tobytes()]
        case "order":
            return {"order": interactive.ordered(str(message["by"]))}, []
        case "select":
            interactive.select(cells)
            return {}, []
        case unknown:
            return {"error": f"Unknown request: {unknown!r}"}, []


def _reply(widget: Any, interactive: Interactive, message: dict[str, Any]) -> None:
    try:
        reply, buffers = answer_request(interactive, message)
    except KmagicError as error:
        reply, buffers = {"error": str(error)}, []
    widget.send({"reply_to": message.get("id"), **reply}, buffers)


def _samples_reply(
    interactive: Interactive, cells: Sequence[Cell], message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    threshold = message.get("threshold")
    indices, summary = interactive.find(cells, threshold)
    first = max(0, int(message.get("first", 0)))
    count = min(MAX_SAMPLES, max(1, int(message.get("count", MAX_SAMPLES))))
    samples = interactive.samples([int(k) for k in indices[first : first + count]], threshold)
    items, buffers = [], []
    for sample, image in zip(samples, encode_samples(samples), strict=True):
        item: dict[str, Any] = {
            "index": sample.index,
            "caption": sample.caption,
            "title": sample.title,
            "text": sample.text,
        }
        if image is not None:
            item |= {
                "mime": image.mime,
                "width": image.width,
                "height": image.height,
                "pixelated": image.pixelated,
            }
            buffers.append(image.data)
        items.append(item)
    return {"total": len(indices), "summary": summary, "samples": items}, buffers


@cache
def widget_class() -> Any:
    """The widget's class, created on first use because importing anywidget takes 0.3 s."""
    import anywidget  # noqa: PLC0415 - see above
    import traitlets  # noqa: PLC0415 - see above

    class MatrixWidget(anywidget.AnyWidget):
        """The kernel's end of a card; ``state`` is that of :data:`Interactive`."""

        _esm = js_module("confusion/interactive_matrix.js")
        _css = read_static("confusion/interactive_matrix.css")
        state = traitlets.Dict().tag(sync=True)

        def __repr__(self) -> str:
            return "the widget of a confusion matrix, which has no view of its own"

    return MatrixWidget
