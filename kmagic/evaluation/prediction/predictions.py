"""The predictions of a model as a result: an array that a notebook shows as a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kmagic.evaluation.confusion.label_arrays import to_probabilities
from kmagic.evaluation.prediction.forecasts import Forecasts
from kmagic.models.keras_history import nested_layers
from kmagic.support.rendering import Renderable

if TYPE_CHECKING:
    from pandas import DataFrame

Kind: TypeAlias = Literal["classes", "labels", "values"]
Form: TypeAlias = Literal["output", "classes", "probabilities"]

TABLE = 2  # axes of a table
TWO = 2  # classes of one probability
TOLERANCE = 1e-3  # of a sum of probabilities


@dataclass(frozen=True, slots=True)
class OutputKind:
    """How the output of a model is interpreted."""

    kind: Kind  # "classes": each sample has one, "labels": it may have several, or else "values"
    logits: bool = False  # the values become probabilities by softmax or sigmoid
    classes: tuple[str, ...] | None = None  # their names, if they are known
    thresholds: tuple[float, ...] = ()  # a label is predicted above these; 0.5 by default

    def probabilities(self, output: NDArray[Any]) -> NDArray[Any]:
        """One probability per class, of shape (n, classes); two for a single unit."""
        if self.kind == "labels":
            return np.asarray(expit(output)) if self.logits else output
        if output.ndim < TABLE or output.shape[1] == 1:
            second = output.reshape(-1)
            second = expit(second) if self.logits else second
            return np.stack([1 - second, second], axis=1)
        return to_probabilities(output).astype(output.dtype) if self.logits else output

    def class_indices(self, probabilities: NDArray[Any]) -> NDArray[np.intp]:
        """The predicted class of each sample; of equally probable ones the first."""
        return np.asarray(probabilities.argmax(axis=1), dtype=np.intp)

    def has_labels(self, probabilities: NDArray[Any]) -> NDArray[np.bool_]:
        """Which labels are predicted, of shape (n, labels)."""
        return np.asarray(probabilities > np.array(self.thresholds or (0.5,)))

    def label_names(self, row: NDArray[np.bool_]) -> list[str]:
        """The names of the labels of a sample."""
        return [self.class_name(int(index)) for index in np.flatnonzero(row)]

    def class_name(self, index: int) -> str:
        """The name of a class, or its index if the name is unknown."""
        known = self.classes is not None and index < len(self.classes)
        return self.classes[index] if self.classes is not None and known else str(index)


def output_kind_of(
    model: Any, output: NDArray[Any], data: Any = None, class_names: Sequence[str] | None = None
) -> OutputKind:
    """How the output of a model is interpreted.

    The last activation decides, or the loss, or the training data, or else the values.
    """
    if output.ndim > TABLE:
        return OutputKind("values")
    width = output.shape[1] if output.ndim == TABLE else 1
    if class_names is None and data is not None:
        class_names = getattr(data, "classes", None)
        if class_names is None and getattr(data, "by_target", None) is None:
            return OutputKind("values")
    names = tuple(map(str, class_names)) if class_names is not None else None
    several = bool(getattr(data, "is_multilabel", False)) and width == len(data.classes)
    needed = width if several else max(width, TWO)
    names = names if names is not None and len(names) == needed else None
    kind, logits = _infer_kind(model, output, width, named=names is not None)
    return OutputKind("labels" if several else kind, logits, names)


def _infer_kind(model: Any, output: NDArray[Any], width: int, *, named: bool) -> tuple[Kind, bool]:
    activation, (loss, from_logits) = _last_activation(model), _loss(model)
    in_range = bool(np.isfinite(output).all() and (output >= 0).all() and (output <= 1).all())
    if activation == "softmax" and width > 1:
        return "classes", False
    if activation == "sigmoid":
        several = width > 1 and "categorical" not in loss
        return ("labels" if several else "classes"), False
    if "crossentropy" in loss:
        several = width > 1 and "binary" in loss
        return ("labels" if several else "classes"), from_logits or not in_range
    if named:
        return "classes", not in_range
    sums = width > 1 and in_range and bool(np.allclose(output.sum(axis=1), 1, atol=TOLERANCE))
    return ("classes" if sums else "values"), False


def _last_activation(model: Any) -> str:
    layers = list(nested_layers(model))
    if not layers:
        return ""
    if type(layers[-1]).__name__ == "Softmax":
        return "softmax"
    return str(getattr(getattr(layers[-1], "activation", None), "__name__", ""))


def _loss(model: Any) -> tuple[str, bool]:
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, dict | list | tuple):
        return "", False
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).lower(), bool(getattr(loss, "from_logits", False))


@dataclass(frozen=True, eq=False, slots=True)
class PredictionInfo:
    """What is known about predictions."""

    name: str  # of the model
    output_kind: OutputKind
    samples: Any = None  # to be shown
    sample_names: Any = ()  # such as files, if they have any
    y_true: Any = None  # the labels or values, if they are known
    target: str = ""  # what is predicted, for regression
    targets: tuple[str, ...] = ()  # likewise, of several values
    form: Form = "output"  # what the array contains
    probabilities: Any = None  # from which class indices were derived
    note: str = ""  # a sentence for the card
    forecasts: Forecasts | None = None  # of windows of a table


class Predictions(Renderable, np.ndarray):
    """Predictions of a model: a NumPy array that is shown as a card.

    What is derived from it (``p[:5]``, ``p.argmax(axis=1)``, ``p > 0.5``) is a plain array.

    Args:
        rows: One per sample.
        info: What is known about them.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.predictions_card:predictions_bundle"
    _info: PredictionInfo | None

    def __new__(cls, rows: Any, info: PredictionInfo) -> Self:
        """Copy the rows and attach the information."""
        predictions = np.array(rows).view(cls)
        predictions._info = info  # noqa: SLF001 - its own
        return predictions

    def __array_finalize__(self, source: Any) -> None:
        self._info = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]

    def __repr__(self) -> str:
        return repr(self.array) if self._info is None else self._bundle()["text/plain"]

    def __reduce__(self) -> Any:
        return self.array.__reduce__()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if self._info is None:  # derived from predictions: a plain array
            raise NotImplementedError
        return self._bundle()

    def _ipython_display_(self) -> None:
        if self._info is None:
            raise NotImplementedError
        super()._ipython_display_()

    @property
    def has_info(self) -> bool:
        """Whether anything is known about them; not of an array that was derived from them."""
        return self._info is not None

    @property
    def info(self) -> PredictionInfo:
        """What is known about the predictions.

        Raises:
            ValueError: The array was derived from predictions.
        """
        if self._info is None:
            raise ValueError("This array was derived from predictions and has no information.")
        return self._info

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The plain array."""
        return self.view(np.ndarray)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, if they are known."""
        return None if self._info is None else self._info.output_kind.classes

    @property
    def probabilities(self) -> np.ndarray[Any, Any] | None:
        """One probability per class, of shape (n, classes); None for values."""
        info = self.info
        if info.probabilities is not None:
            return np.asarray(info.probabilities)
        if info.form == "probabilities":
            return self.array
        if info.output_kind.kind == "values" or info.form == "classes":
            return None
        return info.output_kind.probabilities(self.array)

    def to_frame(self) -> DataFrame:
        """A data frame with one row per sample.

        Returns:
            Columns ``class``, ``probability`` and one per class; or one per label and ``labels``,
            the list of predicted ones; or one per value, named after the target. The index
            contains the names of files or of the rows of a data frame.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        info, kind = self.info, self.info.output_kind
        index = list(info.sample_names) if len(info.sample_names) == len(self) else None
        probabilities = self.probabilities
        if probabilities is None or kind.kind == "labels":
            columns = self._value_columns(probabilities)
            if probabilities is not None:
                name = "labels" if "labels" not in columns else "predicted labels"
                columns[name] = list(map(kind.label_names, kind.has_labels(probabilities)))
            return pd.DataFrame(columns, index=index)
        best = kind.class_indices(probabilities)
        columns = {
            "class": [kind.class_name(int(number)) for number in best],
            "probability": probabilities[np.arange(len(best)), best],
        }
        for number in range(probabilities.shape[1]):
            columns[kind.class_name(number)] = probabilities[:, number]
        return pd.DataFrame(columns, index=index)

    def _value_columns(self, probabilities: Any) -> dict[str, Any]:
        info = self.info
        is_matrix = self.ndim == TABLE
        is_output = probabilities is None or (info.form == "classes" and is_matrix)
        rows = self.array if is_output else probabilities
        flat = rows.reshape(len(rows), -1)
        if flat.shape[1] == 1:
            return {info.target or "prediction": flat[:, 0]}
        is_labels = info.output_kind.kind == "labels"
        name: Callable[[int], str] = info.output_kind.class_name if is_labels else str
        if info.forecasts is not None:
            return {f"{info.target} +{1 + index}": row for index, row in enumerate(flat.T)}
        if not is_labels and len(info.targets) == flat.shape[1]:
            name = info.targets.__getitem__
        return {name(index): flat[:, index] for index in range(flat.shape[1])}


class MultiOutputPredictions(Renderable, dict[str, Predictions]):
    """Predictions of a model with several outputs: a dict of arrays by the outputs' names.

    Args:
        arrays: The predictions of each output.
        name: Name of the model.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.predictions_card:multi_output_bundle"

    def __init__(self, arrays: dict[str, Predictions], name: str) -> None:
        super().__init__(arrays)
        self.name = name

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def to_frame(self) -> DataFrame:
        """All outputs next to each other; the first column level is the name of the output."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        return pd.concat({key: value.to_frame() for key, value in self.items()}, axis=1)
