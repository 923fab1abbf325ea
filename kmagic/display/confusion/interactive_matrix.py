"""What the card of a matrix can do while its kernel runs, and the samples of its cells.

The card is complete HTML and is saved as such. Beside it the kernel opens a widget without a view
of its own: its module (``static/confusion/interactive_matrix.js``) finds the card in the page,
wherever and however often it is shown, and makes every cell answer clicks. It requests samples by
custom messages, so only those that are looked at are sent. When the kernel goes, the card is as it
was before.
"""

from __future__ import annotations

import uuid
from collections import deque
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kmagic.display.kit.assets import js_module, read_static
from kmagic.display.kit.samples import Sample, collect_samples, encode_samples, sample_caption
from kmagic.evaluation.confusion.confusion_metrics import ClassMetrics, ThresholdCurve
from kmagic.support.display_mode import display_mode
from kmagic.support.errors import KmagicError
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    isolate_names,
    shorten_name,
    to_single_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

CLASS_METRICS = ("precision", "recall", "f1")
MAX_WIDGETS = 16  # cards that are interactive at a time; older ones become static
MAX_SAMPLES = 48  # samples in a reply
MAX_SENT_CLASSES = 30  # with more classes, the matrix is sent on request
NAME_LENGTH, SHORT_NAME, CAPTION_NAME = 200, 13, 12  # characters of a class name
WORST_CELLS = 200
THRESHOLD_STEPS = 200
CACHED_THRESHOLDS = 8

Cell: TypeAlias = tuple[int, int]

_open_widgets: deque[Any] = deque()


# --- samples --------------------------------------------------------------------------------------


def captions(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[str]:
    """The probability of each sample's predicted class, or its index if that is unknown."""
    confidence = matrix.confidence
    return [f"#{k:,}" if confidence is None else f"{confidence[k]:.2f}" for k in indices]


def titles(matrix: ConfusionMatrix, indices: Iterable[int]) -> list[str]:
    """Each sample's true and predicted class, in words."""
    texts = []
    for index in indices:
        true, predicted = (
            isolate_direction(shorten_name(matrix.classes[classes[index]], NAME_LENGTH))
            for classes in (matrix.predictions.true, matrix.predictions.predicted)
        )
        texts.append(f"{true} taken for {predicted}" if true != predicted else f"{true}, correct")
    return texts


def confusion_samples(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[Sample]:
    """Samples of a matrix as the card shows them."""
    return collect_samples(matrix.x, indices, captions(matrix, indices), titles(matrix, indices))


def worst_samples(matrix: ConfusionMatrix) -> list[Sample]:
    """The samples with the greatest loss, with their loss and the predictions of the matrix."""
    if not matrix.n_top_losses:
        return []
    table = matrix.top_losses(matrix.n_top_losses)
    short = dict(zip(matrix.classes, isolate_names(matrix.classes, CAPTION_NAME), strict=True))
    names = [[short[name] for name in table[side]] for side in ("true", "predicted")]
    below = [
        f"{true if true == predicted else f'{true} as {predicted}'}, {probability:.2f}"
        for true, predicted, probability in zip(*names, table["probability"], strict=True)
    ]
    described = [
        f"{title}, loss {loss:.2f}"
        for title, loss in zip(titles(matrix, table.index), table["loss"], strict=True)
    ]
    return collect_samples(matrix.x, table.index, below, described)


def comparison_samples(comparison: Comparison, indices: Sequence[int]) -> list[Sample]:
    """Samples with the predictions of both models: "8, was 3"."""
    new, old = comparison.new.predictions, comparison.old.predictions
    below, described = [], []
    names = isolate_names(comparison.classes, CAPTION_NAME)
    for index in indices:
        true, now, before = (
            names[classes[index]] for classes in (new.true, new.predicted, old.predicted)
        )
        below.append(f"{now}, was {before}")
        described.append(f"{true}: taken for {now}, before for {before}")
    return collect_samples(comparison.new.x, indices, below, described)


def moved_samples(comparison: Comparison, cell: Cell) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The samples that have left a cell, and those that have entered it."""
    before, now = (
        (model.predictions.true == cell[0]) & (model.predictions.predicted == cell[1])
        for model in (comparison.old, comparison.new)
    )
    return np.flatnonzero(before & ~now), np.flatnonzero(now & ~before)


# --- answers --------------------------------------------------------------------------------------


class InteractiveConfusion:
    """Answers requests about one matrix; ``shown`` are the classes in the card's table.

    Attributes:
        counts: What the cells of the card show.
    """

    def __init__(self, matrix: ConfusionMatrix, shown: Sequence[int]) -> None:
        self._matrix, self._shown = matrix, list(shown)
        self._matrix_at = lru_cache(CACHED_THRESHOLDS)(matrix.at)
        self.counts = matrix.matrix

    def state(self) -> dict[str, Any]:
        """What the page needs from the beginning, as JSON."""
        matrix = self._matrix
        names = isolate_names(matrix.classes, NAME_LENGTH)
        return {
            "names": names,
            "short_names": isolate_names(matrix.classes, SHORT_NAME),
            "labels": list(matrix.labels),
            "shown": self._shown,
            "order": matrix.order,
            "ordered": matrix.ordered().tolist(),
            "matrix": self.counts.tolist() if len(names) <= MAX_SENT_CLASSES else None,
            **self._own_state(),
        }

    def _own_state(self) -> dict[str, Any]:
        matrix = self._matrix
        return {
            "kind": "matrix",
            "scale": matrix.scale,
            "diagonal": matrix.diagonal,
            "worst_cells": [[pair.true, pair.predicted] for pair in matrix.pairs(WORST_CELLS)],
            "threshold_steps": self._threshold_steps(),
        }

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

    def intervals(self, threshold: float | None) -> dict[str, Any]:
        """What the card shows at a threshold and the page cannot compute."""
        matrix = self._at(threshold)
        found = matrix.intervals()
        overall = {name: _to_json(np.array(pair)) for name, pair in found.overall.items()}
        classes = {name: _to_json(getattr(found, name).T) for name in CLASS_METRICS}
        worst = [sample_caption(sample) for sample in worst_samples(matrix)]
        return {"overall": overall, **classes, "worst": worst}

    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the matrix, of two models in that of the new one."""
        labels = self._matrix.labels
        self._matrix.selection[:] = [(labels[row], labels[column]) for row, column in cells]

    def _at(self, threshold: float | None) -> ConfusionMatrix:
        if threshold is None or threshold == self._matrix.predictions.threshold:
            return self._matrix
        return self._matrix_at(threshold)

    def _threshold_steps(self) -> dict[str, Any] | None:
        """The matrix at every step of the threshold slider; None without one."""
        sweep = self._matrix.threshold_curve
        if sweep is None:
            return None
        current = self._matrix.predictions.threshold
        low, high = 0.0, 1.0
        if self._matrix.confidence is None:  # the scores are logits
            low, high = float(sweep.thresholds[-1]), float(sweep.thresholds[0])
        # Rounded, since they are shown: 0.7, not 0.7000000000000001.
        steps = np.linspace(low, high, THRESHOLD_STEPS + 1).round(6)
        thresholds = np.unique(np.append(steps, current))
        counts = np.array([sweep.counts(threshold) for threshold in thresholds])
        samples = ThresholdCurve.of(self._matrix.predictions)  # without weights
        assert samples is not None  # noqa: S101 - there is one with weights
        wrong = [sum(samples.counts(threshold)[1:3]) for threshold in thresholds]
        return {
            "thresholds": thresholds.tolist(),
            "counts": counts.tolist(),
            "wrong": wrong,
            "metrics": _metrics_at_steps(counts.reshape(-1, 2, 2)),
            "current": current,
            "samples": self._matrix.samples,
            "unit": to_single_line(self._matrix.unit),
        }


def _metrics_at_steps(matrices: NDArray[np.float64]) -> dict[str, Any]:
    """The metrics of matrices of two classes, shape (steps, 2, 2); None where undefined."""
    correct = np.diagonal(matrices, axis1=1, axis2=2)
    metrics = ClassMetrics(correct, matrices.sum(axis=2), matrices.sum(axis=1))
    weights = (metrics.predicted, metrics.support, metrics.predicted + metrics.support)
    classes = {
        name: _to_json(np.where(weight > 0, getattr(metrics, name), np.nan))
        for name, weight in zip(CLASS_METRICS, weights, strict=True)
    }
    overall = {name: _to_json(values) for name, values in metrics.overall().items()}
    return {"overall": overall, **classes}


def _to_json(values: NDArray[np.float64]) -> Any:
    """Values as nested lists, with six decimals; None for NaN."""
    rounded = values.round(6).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()


class InteractiveComparison(InteractiveConfusion):
    """Answers requests about two matrices; ``shown`` are the classes in the card's table."""

    def __init__(self, comparison: Comparison, shown: Sequence[int]) -> None:
        super().__init__(comparison.new, shown)
        self._comparison, self.counts = comparison, comparison.difference

    def _own_state(self) -> dict[str, Any]:
        return {
            "kind": "difference",
            "scale": "linear",
            "diagonal": True,
            "worst_cells": self._comparison.changed_cells(WORST_CELLS),
            "threshold_steps": None,
        }

    def find(self, cells: Sequence[Cell], threshold: float | None) -> tuple[Sequence[int], str]:  # noqa: ARG002 - two matrices have no threshold
        """The samples that left some cells, then those that entered them; and how many."""
        moved = [moved_samples(self._comparison, cell) for cell in cells]
        left, entered = (sum(len(pair[side]) for pair in moved) for side in (0, 1))
        indices = [int(k) for side in (0, 1) for pair in moved for k in pair[side]]
        return indices, f"{left:,} no longer, {entered:,} new"

    def samples(self, indices: Sequence[int], threshold: float | None) -> Sequence[Sample]:  # noqa: ARG002 - as above
        """Samples as the card shows them."""
        return comparison_samples(self._comparison, indices)


# --- the widget -----------------------------------------------------------------------------------


def attach_widget(interactive: InteractiveConfusion) -> str:
    """Open a widget for a card that is about to be shown.

    The result is the card's key, or "" if widgets are not available.
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
    interactive: InteractiveConfusion, message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """The reply to a request of the page.

    Args:
        interactive: What the card shows.
        message: ``request`` is "samples" (with ``cells``, ``first``, ``count`` and ``threshold``),
            "matrix", "intervals" (with ``threshold``), "order" (with ``by``) or "select" (with
            ``cells``).

    Returns:
        The reply as JSON, and its binary parts.
    """
    cells = [(int(row), int(column)) for row, column in message.get("cells", [])]
    match message.get("request"):
        case "samples":
            return _samples_reply(interactive, cells, message)
        case "matrix":
            flat = interactive.counts.ravel()
            positions = np.flatnonzero(flat)
            counts = flat[positions]
            return {}, [positions.astype("<u4").tobytes(), counts.astype("<f8").tobytes()]
        case "intervals":
            return interactive.intervals(message.get("threshold")), []
        case "order":
            return {"order": interactive.ordered(str(message["by"]))}, []
        case "select":
            interactive.select(cells)
            return {}, []
        case unknown:
            return {"error": f"Unknown request: {unknown!r}"}, []


def _reply(widget: Any, interactive: InteractiveConfusion, message: dict[str, Any]) -> None:
    try:
        reply, buffers = answer_request(interactive, message)
    except KmagicError as error:
        reply, buffers = {"error": str(error)}, []
    widget.send({"reply_to": message.get("id"), **reply}, buffers)


def _samples_reply(
    interactive: InteractiveConfusion, cells: Sequence[Cell], message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    threshold = message.get("threshold")
    indices, summary = interactive.find(cells, threshold)
    first = max(0, int(message.get("first", 0)))
    count = min(MAX_SAMPLES, max(1, int(message.get("count", MAX_SAMPLES))))
    samples = interactive.samples([int(k) for k in indices[first : first + count]], threshold)
    items, buffers = [], []
    for sample, image in zip(samples, encode_samples(samples), strict=True):
        item = {name: getattr(sample, name) for name in ("index", "caption", "title", "text")}
        if image is not None:
            item |= {
                name: getattr(image, name) for name in ("mime", "width", "height", "pixelated")
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
        """The kernel's end of a card; ``state`` is that of :class:`InteractiveConfusion`."""

        _esm = js_module("confusion/interactive_matrix.js")
        _css = read_static("confusion/interactive_matrix.css")
        state = traitlets.Dict().tag(sync=True)

        def __repr__(self) -> str:
            return "the widget of a confusion matrix, which has no view of its own"

    return MatrixWidget
