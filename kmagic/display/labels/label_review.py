"""What the card of wrong labels can do while its kernel runs: decisions, and further candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.card_widget import open_widget
from kmagic.evaluation.labels.label_errors import Decision, LabelErrors
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import isolate_names

if TYPE_CHECKING:
    from kmagic.display.labels.label_card import LabelCard

NAME = 60  # characters of a class name in the menu


class LabelReview:
    """Answers the requests of a card; a candidate is known by its position in the order shown.

    Attributes:
        key: The card's, by which the page finds it.
    """

    def __init__(self, result: LabelErrors, card: LabelCard) -> None:
        self._result, self._card, self.key = result, card, ""

    def state(self) -> dict[str, Any]:
        """What the page needs from the beginning, as JSON."""
        names = isolate_names(self._result.classes, NAME)
        return {"names": names, "page": self._card.page, "total": len(self._result.candidates)}

    def answer(self, message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """The reply to a request of the page, as JSON.

        Args:
            message: ``request`` is "page" (candidates from ``first``), "marks" (decisions about
                them, perhaps made in Python), "decide" (with ``position``, ``action`` and for
                another class ``label``), "undo", or "card" (for the saved notebook). All but the
                last have ``first``.
        """
        result, first = self._result, max(0, int(message.get("first", 0)))
        reply: dict[str, Any] = {}
        match message.get("request"):
            case "marks":
                pass
            case "page":
                reply["html"] = self._card.items(first, self._card.page)
            case "decide":
                position = int(message["position"])
                if not 0 <= position < len(result.candidates):
                    raise EvaluationError(f"There is no candidate {position}.")
                self._decide(int(result.candidates[position]), message)
            case "undo":
                before = dict(result.decisions)
                result.undo()
                changed = {k for k, v in before.items() if result.decisions.get(k) != v}
                found = np.flatnonzero(np.isin(result.candidates, [*changed]))
                reply["position"] = int(found[0]) if len(found) else None
            case "card":
                return {"bundle": self._card.bundle(self.key)}, []
            case unknown:
                raise EvaluationError(f"Unknown request: {unknown!r}")
        rows = result.candidates[first : first + self._card.page].tolist()
        reply["marks"] = [self._card.mark(row) for row in rows]
        reply["suggested"] = [int(result.suggested[row]) for row in rows]
        return {**reply, "progress": self._card.progress()}, []

    def _decide(self, row: int, message: dict[str, Any]) -> None:
        action, label = message.get("action"), message.get("label")
        given, suggested = int(self._result.given[row]), int(self._result.suggested[row])
        chosen = suggested if label is None else int(label)
        if action not in ("keep", "relabel", "drop") or not 0 <= chosen < len(self._result.classes):
            raise EvaluationError(f"Unknown decision: {action!r}, {label!r}")
        self._result.decide({row: Decision(action, chosen if action == "relabel" else given)})


def attach_review(review: LabelReview) -> str:
    """Open a widget for a card that is about to be shown; the card's key, or ""."""
    review.key = open_widget("labels/label_review", review.state(), review.answer)
    return review.key
