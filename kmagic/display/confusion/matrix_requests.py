"""A matrix and a comparison, as :mod:`kmagic.display.confusion.interactive_matrix` asks them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    shorten_name,
    strip_control_characters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kmagic.display.confusion.interactive_matrix import Cell
    from kmagic.display.kit.samples import Sample

WHOLE = 30  # up to so many classes the page has the matrix from the beginning
NAME = 60  # signs
WORST = 200  # cells that can be walked through
STEPS = 200  # of the slider
REMEMBERED = 8  # thresholds whose matrices are kept


class InteractiveConfusion:
    """One matrix.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix`.
        chosen: Positions of the classes in the card's table, in their order.
        samples_of: From a matrix and numbers to samples as the card shows them.
    """

    def __init__(
        self,
        found: Any,
        chosen: Sequence[int],
        samples_of: Callable[[Any, Sequence[int]], list[Sample]],
    ) -> None:
        self._found, self._chosen, self._samples_of = found, list(chosen), samples_of
        self._moved: OrderedDict[float, Any] = OrderedDict()

    def state(self) -> dict[str, Any]:
        """What the page needs to know from the beginning."""
        found = self._found
        classes = len(found.classes)
        return {
            "kind": "matrix",
            "names": _names(found),
            "labels": list(found.labels),
            "shown": self._chosen,
            "matrix": found.matrix.tolist() if classes <= WHOLE else None,
            "order": found.order,
            "ordered": found.ordered().tolist(),
            "scale": found.scale,
            "diagonal": found.diagonal,
            "worst": [[pair.true, pair.predicted] for pair in found.pairs(WORST)],
            "sweep": self._sweep(),
        }

    def cells(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The cells that hold something, and how much."""
        flat = self._found.matrix.ravel()
        places = np.flatnonzero(flat)
        return places, flat[places]

    def ordered(self, by: str) -> Sequence[int]:
        """The classes, sorted."""
        order: Sequence[int] = self._found.ordered(by).tolist()
        return order

    def find(self, cells: Sequence[Cell], threshold: float | None) -> tuple[Sequence[int], str]:
        """The samples behind some cells; those of one cell with the most confident first."""
        found = self._at(threshold)
        numbers = [
            found.indices(true=found.labels[row], pred=found.labels[column])
            for row, column in cells
        ]
        words = f"{sum(map(len, numbers)):,}"
        if len(cells) == 1:
            (row, _), *_ = cells
            words += f" of {format_count((found.predictions.true == row).sum())}"
        return np.concatenate(numbers).tolist() if numbers else [], words

    def show(self, numbers: Sequence[int], threshold: float | None) -> Sequence[Sample]:
        """Samples, ready to be shown."""
        return self._samples_of(self._at(threshold), numbers)

    def select(self, cells: Sequence[Cell]) -> None:
        """Keep what the user has selected."""
        labels = self._found.labels
        self._found.selection[:] = [(labels[row], labels[column]) for row, column in cells]

    def _at(self, threshold: float | None) -> Any:
        if threshold is None or threshold == self._found.predictions.threshold:
            return self._found
        if threshold not in self._moved:
            self._moved[threshold] = self._found.at(threshold)
            while len(self._moved) > REMEMBERED:
                self._moved.popitem(last=False)
        return self._moved[threshold]

    def _sweep(self) -> dict[str, Any] | None:
        """The matrix at every step of the slider."""
        sweep = self._found.threshold_curve
        if sweep is None:
            return None
        scores = self._found.predictions.scores
        now = self._found.predictions.threshold
        low, high = 0.0, 1.0
        if scores.given.ndim == 1 and not scores.are_probabilities:
            low, high = float(sweep.thresholds[-1]), float(sweep.thresholds[0])
        # Rounded, since these are written on the page: 0.7, not 0.7000000000000001.
        steps = np.unique(np.append(np.linspace(low, high, STEPS + 1).round(6), now))
        return {
            "thresholds": steps.tolist(),
            "counts": [sweep.counts(step) for step in steps],
            "now": now,
            "samples": self._found.samples,
            "unit": strip_control_characters(self._found.unit),
        }


class InteractiveComparison:
    """Two matrices.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.comparison.Comparison`.
        chosen: Positions of the classes in the card's table, in their order.
        cell_samples: From a comparison, a row and a column to the samples that left the cell, and
            those that came into it.
        samples_of: From a comparison and numbers to samples as the card shows them.
    """

    def __init__(
        self,
        found: Any,
        chosen: Sequence[int],
        cell_samples: Callable[[Any, int, int], tuple[NDArray[np.intp], NDArray[np.intp]]],
        samples_of: Callable[[Any, Sequence[int]], list[Sample]],
    ) -> None:
        self._found, self._chosen = found, list(chosen)
        self._cell_samples, self._samples_of = cell_samples, samples_of

    def state(self) -> dict[str, Any]:
        """What the page needs to know from the beginning."""
        new = self._found.new
        classes = len(new.classes)
        return {
            "kind": "difference",
            "names": _names(new),
            "labels": list(new.labels),
            "shown": self._chosen,
            "matrix": self._found.difference.tolist() if classes <= WHOLE else None,
            "order": new.order,
            "ordered": new.ordered().tolist(),
            "scale": "linear",
            "diagonal": True,
            "worst": self._found.changed_cells(WORST),
            "sweep": None,
        }

    def cells(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The cells that changed, and by how much."""
        flat = self._found.difference.ravel()
        places = np.flatnonzero(flat)
        return places, flat[places]

    def ordered(self, by: str) -> Sequence[int]:
        """The classes, sorted as the judged model has them."""
        order: Sequence[int] = self._found.new.ordered(by).tolist()
        return order

    def find(
        self,
        cells: Sequence[Cell],
        threshold: float | None,  # noqa: ARG002 - a matrix alone has one
    ) -> tuple[Sequence[int], str]:
        """The samples that left the cells, then those that came into them."""
        both = [self._cell_samples(self._found, row, column) for row, column in cells]
        gone, come = (sum(len(pair[side]) for pair in both) for side in (0, 1))
        numbers = [each for side in (0, 1) for pair in both for each in pair[side].tolist()]
        return numbers, f"{gone:,} no more, {come:,} new"

    def show(
        self,
        numbers: Sequence[int],
        threshold: float | None,  # noqa: ARG002 - a matrix alone has one
    ) -> Sequence[Sample]:
        """Samples, ready to be shown."""
        return self._samples_of(self._found, numbers)

    def select(self, cells: Sequence[Cell]) -> None:
        """Keep what the user has selected, with the judged model's matrix."""
        labels = self._found.new.labels
        self._found.new.selection[:] = [(labels[row], labels[column]) for row, column in cells]


def _names(found: Any) -> list[str]:
    return [isolate_direction(shorten_name(name, NAME)) for name in found.classes]
