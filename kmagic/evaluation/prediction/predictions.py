"""A model's answers: an array that a notebook shows as a card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from kmagic.evaluation.confusion.label_arrays import as_probabilities
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pandas import DataFrame

Form: TypeAlias = Literal["answers", "classes", "probabilities"]


@dataclass(frozen=True, eq=False, slots=True)
class PredictionInfo:
    """What is known of some answers.

    Attributes:
        name: The model's name.
        meaning: How its answers are to be read.
        shown: The samples as they are to be shown, or None.
        names: What the samples are called, where they have names.
        truth: The labels or values, where they are known.
        target: What is predicted, for regression.
        form: Whether the array holds the answers, class numbers or probabilities.
        probabilities: Those behind class numbers.
        note: What a reader should know of them.
    """

    name: str
    meaning: OutputKind
    shown: Any = None
    names: Any = ()
    truth: Any = None
    target: str = ""
    form: Form = "answers"
    probabilities: Any = None
    note: str = ""

    def but(self, **changes: Any) -> PredictionInfo:
        """The same with some changes."""
        return replace(self, **changes)


class Predictions(Renderable, np.ndarray):
    """Answers of a model: a NumPy array in every way, shown as a card.

    What is made of it (``p[:5]``, ``p.argmax(axis=1)``, ``p > 0.5``) is a plain array.

    Args:
        rows: One a sample.
        about: What is known of them.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.predictions_card:predictions_bundle"
    about: PredictionInfo | None

    def __new__(cls, rows: Any, about: PredictionInfo) -> Self:
        """Put what is known beside a copy of the rows."""
        made = np.array(rows).view(cls)
        made.about = about
        return made

    def __array_finalize__(self, made_of: Any) -> None:
        self.about = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __repr__(self) -> str:
        return repr(self.array) if self.about is None else self._bundle()["text/plain"]

    def __reduce__(self) -> Any:
        return self.array.__reduce__()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if self.about is None:  # part of one: a plain array
            raise NotImplementedError
        return self._bundle()

    def _ipython_display_(self) -> None:
        if self.about is None:
            raise NotImplementedError
        super()._ipython_display_()

    @property
    def told(self) -> PredictionInfo:
        """What is known of the answers.

        Raises:
            ValueError: This is only a part of them.
        """
        if self.about is None:
            raise ValueError("Only the whole of the predictions knows what it is.")
        return self.about

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The plain array."""
        return self.view(np.ndarray)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, where they are known."""
        return None if self.about is None else self.about.meaning.classes

    @property
    def probabilities(self) -> np.ndarray[Any, Any] | None:
        """One probability a class, of shape (n, classes); None for values."""
        if self.told.probabilities is not None:
            return np.asarray(self.told.probabilities)
        if self.told.form == "probabilities":
            return self.array
        if self.told.meaning.kind == "values" or self.told.form == "classes":
            return None
        return self.told.meaning.probabilities(self.array)

    def to_frame(self) -> DataFrame:
        """A table, one row a sample: class and probabilities, or values.

        Returns:
            Columns ``class`` and ``probability`` and one a class; or one a value, named by what
            is predicted. Files and a frame's rows keep their names as the index.
        """
        import pandas as pd  # noqa: PLC0415 - not needed before a table is asked for

        about = self.told
        index = list(about.names) if len(about.names) == len(self) else None
        shares = self.probabilities
        if shares is None or about.meaning.kind == "labels":
            return pd.DataFrame(self._columns(shares), index=index)
        best = shares.argmax(axis=1)
        if shares.shape[1] == 2:  # noqa: PLR2004 - two classes: the second only above a half
            best = (shares[:, 1] > 0.5).astype(np.intp)  # noqa: PLR2004 - one half
        columns: dict[str, Any] = {"class": [about.meaning.name(int(each)) for each in best]}
        columns["probability"] = shares[np.arange(len(shares)), best]
        for number in range(shares.shape[1]):
            columns[about.meaning.name(number)] = shares[:, number]
        return pd.DataFrame(columns, index=index)

    def _columns(self, shares: Any) -> dict[str, Any]:
        about = self.told
        rows = self.array if shares is None or about.form == "classes" else shares
        flat = rows.reshape(len(rows), -1)
        if flat.shape[1] == 1:
            return {about.target or "prediction": flat[:, 0]}
        if about.meaning.kind == "labels":
            return {about.meaning.name(place): flat[:, place] for place in range(flat.shape[1])}
        return {str(place): flat[:, place] for place in range(flat.shape[1])}


class MultiOutputPredictions(Renderable, dict[str, Predictions]):
    """The answers of a model with several outputs: a dict of arrays by the outputs' names.

    Args:
        found: The arrays.
        name: The model's name.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.predictions_card:multi_output_bundle"

    def __init__(self, found: dict[str, Predictions], name: str) -> None:
        super().__init__(found)
        self.name = name

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def to_frame(self) -> DataFrame:
        """All outputs side by side; the first level of the columns is the output's name."""
        import pandas as pd  # noqa: PLC0415 - not needed before a table is asked for

        return pd.concat({key: value.to_frame() for key, value in self.items()}, axis=1)


Kind: TypeAlias = Literal["classes", "labels", "values"]

ROWS = 2  # axes of a table
TWO = 2  # classes behind one probability
HALF = 0.5
CLOSE = 1e-3


@dataclass(frozen=True, slots=True)
class OutputKind:
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


def output_kind_of(
    model: Any, answers: NDArray[Any], data: Any = None, classes: Sequence[str] | None = None
) -> OutputKind:
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
        return OutputKind("values")
    width = answers.shape[1] if answers.ndim == ROWS else 1
    if classes is None and data is not None:
        classes = getattr(data, "classes", None)
        if classes is None:
            return OutputKind("values")
    known = tuple(map(str, classes)) if classes is not None else None
    names = known if known is not None and len(known) == max(width, TWO) else None
    kind, logits = _read(model, answers, width, named=names is not None)
    return OutputKind(kind, logits, names)


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
