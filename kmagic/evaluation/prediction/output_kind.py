"""What a model's answers are: probabilities of classes, of labels, or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from kmagic.evaluation.confusion.label_arrays import as_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Kind: TypeAlias = Literal["classes", "labels", "values"]

ROWS = 2  # axes of a table
TWO = 2  # classes behind one probability
HALF = 0.5
CLOSE = 1e-3


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a model's answers are to be read.

    Attributes:
        kind: "classes" where each sample has one of some classes, "labels" where it may have
            several at once, "values" for everything else.
        logits: Whether they are scores that become probabilities by softmax or sigmoid.
        classes: The names of the classes, where they are known.
    """

    kind: Kind
    logits: bool = False
    classes: tuple[str, ...] | None = None

    def probabilities(self, answers: NDArray[Any]) -> NDArray[Any]:
        """One probability a class, of shape (n, classes); two for a single one."""
        if self.kind == "labels":
            return _sigmoid(answers) if self.logits else answers
        if answers.ndim < ROWS or answers.shape[1] == 1:
            second = answers.reshape(-1)
            second = _sigmoid(second) if self.logits else second
            return np.stack([1 - second, second], axis=1)
        if not self.logits:
            return answers
        return np.asarray(as_probabilities(answers), dtype=answers.dtype)

    def name(self, number: int) -> str:
        """A class by its number: its name, or the number itself."""
        known = self.classes is not None and number < len(self.classes)
        return self.classes[number] if self.classes is not None and known else str(number)


def meaning_of(
    model: Any, answers: NDArray[Any], data: Any = None, classes: Sequence[str] | None = None
) -> Meaning:
    """How the answers of a model are to be read.

    Its last activation says it, or its loss, or the data that it learned from, or else the
    answers themselves.

    Args:
        model: The model.
        answers: Some of what it said, rows first.
        data: What it learned from, if that is known: ``data.classes`` is None for regression.
        classes: Names of the classes, before those of the data.
    """
    if answers.ndim > ROWS:
        return Meaning("values")
    width = answers.shape[1] if answers.ndim == ROWS else 1
    if classes is None and data is not None:
        classes = getattr(data, "classes", None)
        if classes is None:
            return Meaning("values")
    known = tuple(map(str, classes)) if classes is not None else None
    names = known if known is not None and len(known) == max(width, TWO) else None
    kind, logits = _read(model, answers, width, named=names is not None)
    return Meaning(kind, logits, names)


def _read(model: Any, answers: NDArray[Any], width: int, *, named: bool) -> tuple[Kind, bool]:
    activation, (loss, from_logits) = _last_activation(model), _loss(model)
    shares = bool(np.isfinite(answers).all() and (answers >= 0).all() and (answers <= 1).all())
    if activation == "softmax" and width > 1:
        return "classes", False
    if activation == "sigmoid":
        several = width > 1 and "categorical" not in loss
        return ("labels" if several else "classes"), False
    if "crossentropy" in loss:
        several = width > 1 and "binary" in loss
        return ("labels" if several else "classes"), from_logits or not shares
    if named:
        return "classes", not shares
    whole = width > 1 and shares and bool(np.allclose(answers.sum(axis=1), 1, atol=CLOSE))
    return ("classes" if whole else "values"), False


def _last_activation(model: Any) -> str:
    layers = getattr(model, "layers", None) or ()
    if not layers:
        return ""
    last = layers[-1]
    if hasattr(last, "layers"):  # a model within the model
        return _last_activation(last)
    if type(last).__name__ == "Softmax":
        return "softmax"
    return str(getattr(getattr(last, "activation", None), "__name__", ""))


def _loss(model: Any) -> tuple[str, bool]:
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, dict | list | tuple):
        return "", False
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).lower(), bool(getattr(loss, "from_logits", False))


def _sigmoid(scores: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(0.5 * (1 + np.tanh(scores / 2)))
