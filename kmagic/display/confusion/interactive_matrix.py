"""What the card of a matrix can do while its kernel runs, and the samples of its cells.

The page requests samples by custom messages, so only those that are looked at are sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card_widget import open_widget, samples_reply
from kmagic.display.kit.samples import Sample, collect_samples
from kmagic.evaluation.confusion.comparison import Comparison
from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix, Order, check_choice
from kmagic.evaluation.confusion.multilabel import MultilabelConfusion
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    isolate_names,
    shorten_name,
)

MAX_SENT_CLASSES = 30  # with more classes, the matrix is sent on request
NAME_LENGTH, SHORT_NAME, CAPTION_NAME, LABEL_NAME = 200, 13, 12, 24  # characters of a class name
WORST_CELLS = 200
THRESHOLD_STEPS = 200
CACHED_THRESHOLDS = 8

R = TypeVar("R", bound="ConfusionMatrix | MultilabelConfusion")

Cell: TypeAlias = tuple[int, int]
Threshold: TypeAlias = float | list[float] | None
Draw: TypeAlias = Callable[[R], tuple[str, list[int]]]


class Outcome(NamedTuple):
    """A cell of a label's matrix."""

    true: bool
    pred: bool
    name: str

    @property
    def is_error(self) -> bool:
        """Whether truth and prediction differ."""
        return self.true != self.pred


OUTCOMES = (
    Outcome(true=True, pred=True, name="true positives"),
    Outcome(true=True, pred=False, name="false negatives"),
    Outcome(true=False, pred=True, name="false positives"),
    Outcome(true=False, pred=False, name="true negatives"),
)
"""The columns of the card of several labels."""

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


def label_indices(result: MultilabelConfusion, cell: Cell) -> NDArray[np.intp]:
    """The samples in a cell of a label's matrix, the most confident first."""
    label, outcome = cell
    true, pred, _ = OUTCOMES[outcome]
    return result.indices(result.labels[label], true=true, pred=pred)


def label_samples(
    result: MultilabelConfusion, cells: Sequence[Cell], indices: Sequence[int]
) -> list[Sample]:
    """Samples in some cells of the labels' matrices, with the probability of the prediction."""
    described: dict[int, list[str]] = {k: [] for k in indices}
    for cell in cells:
        label, (true, pred, name) = cell[0], OUTCOMES[cell[1]]
        title = f"{isolate_direction(shorten_name(result.classes[label], LABEL_NAME))}, {name}"
        for k in indices:
            is_inside = result.predictions.true[k, label], result.predictions.predicted[k, label]
            if is_inside == (true, pred):
                described[k].append(title.removesuffix("s"))
    below = [f"#{k:,}" for k in indices]
    if len(cells) == 1:
        below = captions(result[result.labels[cells[0][0]]], indices)
    return collect_samples(result.x, indices, below, ["; ".join(described[k]) for k in indices])


# --- answers --------------------------------------------------------------------------------------


class InteractiveCard(ABC, Generic[R]):
    """Answers requests about the result in a card.

    Args:
        result: What the card shows.
        shown: The classes in the card's table.
        draw: Gives the HTML of the card of another result, and the classes in its table; None if
            nothing changes the card.

    Attributes:
        counts: What the cells of the card show.
    """

    kind: ClassVar[str]

    def __init__(self, result: R, shown: Sequence[int], draw: Draw[R] | None = None) -> None:
        self._result, self._shown, self._draw = result, list(shown), draw
        self._result_at = lru_cache(CACHED_THRESHOLDS)(result.at)
        self.counts = self._counts(result)

    def state(self) -> dict[str, Any]:
        """What the page needs from the beginning, as JSON."""
        result, classes = self._result, self._result.classes
        return {
            "kind": self.kind,
            "names": isolate_names(classes, NAME_LENGTH),
            "short_names": isolate_names(classes, SHORT_NAME),
            "labels": list(result.labels),
            "shown": self._shown,
            "order": result.order,
            "ordered": result.ordered().tolist(),
            "scale": getattr(result, "scale", "linear"),
            "diagonal": getattr(result, "diagonal", True),
            "threshold_steps": self._threshold_steps(),
            **self._cells(result),
        }

    def card(self, threshold: Threshold, order: str) -> dict[str, Any]:
        """The card at another threshold and in another order."""
        result = self._at(threshold)
        if order != result.order:
            check_choice("order", order, Order)
            result = replace(result, order=order)  # type: ignore[arg-type] # checked
        assert self._draw is not None  # noqa: S101 - its page has neither slider nor order
        markup, shown = self._draw(result)
        return {"html": markup, "shown": shown, **self._cells(result)}

    def ordered(self, by: str) -> list[int]:
        """The classes, sorted."""
        return [int(k) for k in self._result.ordered(by)]  # type: ignore[arg-type] # checked there

    @abstractmethod
    def find(self, cells: Sequence[Cell], threshold: Threshold) -> tuple[Sequence[int], str]:
        """The samples of some cells, the most confident of one cell first; and how many."""

    @abstractmethod
    def samples(
        self, indices: Sequence[int], cells: Sequence[Cell], threshold: Threshold
    ) -> Sequence[Sample]:
        """Samples of some cells as the card shows them."""

    @abstractmethod
    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the result, of two models in that of the new one."""

    @abstractmethod
    def _counts(self, result: R) -> NDArray[Any]: ...

    def _cells(self, result: R) -> dict[str, Any]:
        """The counts of a small matrix, and the cells of the worst pairs."""
        counts = self._counts(result)
        return {
            "matrix": counts.tolist() if len(counts) <= MAX_SENT_CLASSES else None,
            "worst_cells": self._worst_cells(result),
        }

    def _worst_cells(self, result: R) -> list[Cell]:  # noqa: ARG002 - of a card with a list of pairs
        return []

    @abstractmethod
    def _thresholds(self) -> Any: ...

    def _at(self, threshold: Threshold) -> R:
        if threshold is None:
            return self._result
        found = self._result_at(tuple(threshold) if isinstance(threshold, list) else threshold)
        return cast("R", found)

    def _threshold_steps(self) -> dict[str, Any] | None:
        """The values of the threshold slider, and that of each label; None without one."""
        sweep = self._result.threshold_curve
        if sweep is None:
            return None
        current = np.atleast_1d(self._thresholds())
        low, high = sorted((float(sweep.thresholds[-1]), float(sweep.thresholds[0])))
        if low >= 0 and high <= 1:  # not logits
            low, high = 0.0, 1.0
        # Rounded, since they are shown: 0.7, not 0.7000000000000001.
        steps = np.linspace(low, high, THRESHOLD_STEPS + 1).round(6)
        values = np.unique(np.append(steps, current))
        return {"values": values.tolist(), "current": current.tolist()}


class InteractiveConfusion(InteractiveCard["ConfusionMatrix"]):
    """Answers requests about one matrix."""

    kind = "matrix"

    def find(self, cells: Sequence[Cell], threshold: Threshold) -> tuple[Sequence[int], str]:
        """The samples of some cells, the most confident of one cell first; and how many."""
        matrix = self._at(threshold)
        labels = matrix.labels
        indices = [matrix.indices(true=labels[row], pred=labels[column]) for row, column in cells]
        summary = f"{sum(map(len, indices)):,}"
        if len(cells) == 1:
            summary += f" of {format_count((matrix.predictions.true == cells[0][0]).sum())}"
        return np.concatenate(indices).tolist() if indices else [], summary

    def samples(
        self,
        indices: Sequence[int],
        cells: Sequence[Cell],  # noqa: ARG002 - a sample is in one cell
        threshold: Threshold,
    ) -> Sequence[Sample]:
        """Samples as the card shows them."""
        return confusion_samples(self._at(threshold), indices)

    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the matrix, of two models in that of the new one."""
        labels = self._result.labels
        self._result.selection[:] = [(labels[row], labels[column]) for row, column in cells]

    def _counts(self, result: ConfusionMatrix) -> NDArray[Any]:
        return result.matrix

    def _thresholds(self) -> float:
        return self._result.predictions.threshold

    def _worst_cells(self, result: ConfusionMatrix) -> list[Cell]:
        return [(pair.true, pair.predicted) for pair in result.pairs(WORST_CELLS)]


class InteractiveComparison(InteractiveConfusion):
    """Answers requests about two matrices."""

    kind = "difference"

    def __init__(self, comparison: Comparison, shown: Sequence[int]) -> None:
        self._comparison = comparison
        super().__init__(comparison.new, shown)

    def find(self, cells: Sequence[Cell], threshold: Threshold) -> tuple[Sequence[int], str]:  # noqa: ARG002 - two matrices have no threshold
        """The samples that left some cells, then those that entered them; and how many."""
        moved = [moved_samples(self._comparison, cell) for cell in cells]
        left, entered = (sum(len(pair[side]) for pair in moved) for side in (0, 1))
        indices = [int(k) for side in (0, 1) for pair in moved for k in pair[side]]
        return indices, f"{left:,} no longer, {entered:,} new"

    def samples(
        self,
        indices: Sequence[int],
        cells: Sequence[Cell],  # noqa: ARG002 - as above
        threshold: Threshold,  # noqa: ARG002 - as above
    ) -> Sequence[Sample]:
        """Samples as the card shows them."""
        return comparison_samples(self._comparison, indices)

    def _counts(self, result: ConfusionMatrix) -> NDArray[Any]:  # noqa: ARG002 - of both
        return self._comparison.difference

    def _worst_cells(self, result: ConfusionMatrix) -> list[Cell]:  # noqa: ARG002 - of both
        return self._comparison.changed_cells(WORST_CELLS)

    def _threshold_steps(self) -> None:
        return None


class InteractiveLabels(InteractiveCard["MultilabelConfusion"]):
    """Answers requests about several labels; a cell is a label and the index of an outcome."""

    kind = "labels"

    def find(self, cells: Sequence[Cell], threshold: Threshold) -> tuple[Sequence[int], str]:
        """The samples of some cells, each once; and how many."""
        result = self._at(threshold)
        found = [label_indices(result, cell).tolist() for cell in cells]
        indices = list(dict.fromkeys(k for each in found for k in each))
        summary = f"{len(indices):,}"
        if len(cells) == 1:
            label, outcome = cells[0]
            is_true = OUTCOMES[outcome].true
            summary += f" of {(result.predictions.true[:, label] == is_true).sum():,}"
        return indices, summary

    def samples(
        self, indices: Sequence[int], cells: Sequence[Cell], threshold: Threshold
    ) -> Sequence[Sample]:
        """Samples of some cells as the card shows them."""
        return label_samples(self._at(threshold), cells, indices)

    def select(self, cells: Sequence[Cell]) -> None:
        """Store the user's selection in the result."""
        self._result.selection[:] = [
            (self._result.labels[label], *OUTCOMES[outcome][:2]) for label, outcome in cells
        ]

    def _counts(self, result: MultilabelConfusion) -> NDArray[Any]:
        return result.matrices[:0]  # the page needs none

    def _thresholds(self) -> NDArray[np.float64]:
        return self._result.predictions.thresholds


# --- the widget -----------------------------------------------------------------------------------


def attach_widget(interactive: InteractiveCard[Any]) -> str:
    """Open a widget for a card that is about to be shown.

    The result is the card's key, or "" if widgets are not available.
    """
    answer = partial(answer_request, interactive)
    return open_widget("confusion/interactive_matrix", interactive.state(), answer)


def answer_request(
    interactive: InteractiveCard[Any], message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """The reply to a request of the page.

    Args:
        interactive: What the card shows.
        message: ``request`` is "samples" (with ``cells``, ``first``, ``count`` and ``threshold``),
            "card" (with ``threshold`` and ``order``), "matrix", "order" (with ``by``) or "select"
            (with ``cells``).

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
        case "card":
            return interactive.card(message.get("threshold"), str(message["order"])), []
        case "order":
            return {"order": interactive.ordered(str(message["by"]))}, []
        case "select":
            interactive.select(cells)
            return {}, []
        case unknown:
            return {"error": f"Unknown request: {unknown!r}"}, []


def _samples_reply(
    interactive: InteractiveCard[Any], cells: Sequence[Cell], message: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    threshold = message.get("threshold")
    indices, summary = interactive.find(cells, threshold)
    return samples_reply(
        message, indices, lambda page: interactive.samples(page, cells, threshold), summary
    )
