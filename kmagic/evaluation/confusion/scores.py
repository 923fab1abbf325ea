"""What a model said of each class: how sure it was, and how far down the true class came."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

AT_ONCE = 4_000_000  # values worked on at a time, so that no second copy of all is needed
ROUNDING = 1e-6  # how far a probability may be above 1


@dataclass(frozen=True, eq=False)
class Scores:
    """A model's answers, as they came.

    Attributes:
        given: A score for each class, shape (n, classes), or for two classes the score of the
            second one, shape (n,). Values between 0 and 1 are probabilities, others logits.
    """

    given: NDArray[Any]

    @cached_property
    def probable(self) -> bool:
        """Whether the values are probabilities."""
        return bool(self.given.min(initial=0) >= 0 and self.given.max(initial=0) <= 1 + ROUNDING)

    @cached_property
    def normed(self) -> bool:
        """Whether each row of probabilities sums to 1."""
        if self.given.ndim == 1 or not self.probable:
            return True
        return all(
            np.allclose(self.given[part].sum(axis=1, dtype=np.float64), 1, atol=1e-3)
            for part in self._parts()
        )

    def of(self, classes: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """The probability of one class of each sample.

        Args:
            classes: Positions of the classes, shape (n,).

        Returns:
            Shape (n,); None for the logits of a single output, whose scale nobody told.
        """
        if self.given.ndim == 1:
            if not self.probable:
                return None
            second = self.given.astype(np.float64)
            return np.asarray(np.where(classes == 1, second, 1.0 - second))
        found = np.empty(len(classes))
        for part in self._parts():
            odds = self._probabilities(part)
            found[part] = np.take_along_axis(odds, classes[part, None], axis=1)[:, 0]
        return found

    def ranks(self, classes: NDArray[np.intp]) -> NDArray[np.intp]:
        """How many classes come before the given one of each sample, shape (n,).

        Of equal scores the later class comes first, as in scikit-learn's top-k accuracy.
        """
        found = np.empty(len(classes), dtype=np.intp)
        columns = np.arange(self.given.shape[1])
        for part in self._parts():
            values, wanted = self.given[part], classes[part, None]
            own = np.take_along_axis(values, wanted, axis=1)
            ahead = (values > own) | ((values == own) & (columns > wanted))
            found[part] = ahead.sum(axis=1)
        return found

    def second(self) -> NDArray[np.float64]:
        """The score of the second of two classes, shape (n,).

        Of two columns it is the probability; the second class is the likelier one above 0.5.
        """
        if self.given.ndim == 1:
            return self.given.astype(np.float64)
        odds = np.concatenate([self._probabilities(part) for part in self._parts()])
        if self.normed:
            return np.asarray(odds[:, 1])
        whole = odds.sum(axis=1)
        shares = np.full(len(odds), 0.5)
        np.divide(odds[:, 1], whole, out=shares, where=whole > 0)
        return shares

    def _parts(self) -> Iterator[slice]:
        step = max(1, AT_ONCE // max(1, self.given.shape[-1]))
        for start in range(0, len(self.given), step):
            yield slice(start, start + step)

    def _probabilities(self, part: slice) -> NDArray[np.float64]:
        values = self.given[part].astype(np.float64)
        return np.minimum(values, 1) if self.probable else softmax(values)


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits of shape (n, classes) as probabilities."""
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
