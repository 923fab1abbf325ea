"""Everything needed to turn raw data into model inputs, and to interpret the predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kmagic.data.preparation.cell_format import CellFormat
from kmagic.data.preparation.columns import Columns
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.data.preparation.windowing import SeriesRows, Windowing
from kmagic.support.errors import DataError
from kmagic.support.formatting import format_shape, list_names
from kmagic.support.messages import Text, render
from kmagic.support.sentences import as_sentences
from kmagic.support.suggestions import did_you_mean

_FORMER_KEYS = {"picture_shape": "image_shape", "lacking": "encoding_problem"}
"""Keys in files of earlier versions -> attribute."""


@dataclass(frozen=True, eq=False)
class Preparation:
    """How a dataset was prepared before a model was trained on it.

    Attributes:
        name: Name of the dataset.
        classes: Names of the classes in the order of the labels; None for regression.
        scaling: The scaling of numbers, learned from the training data.
        encoding: How sentences became word indices; None where there are none, or where the model
            takes sentences as they are.
        columns: How the columns of a table became numbers; None for other data.
        target: What is predicted, for regression.
        targets: Names of the values, where several are predicted.
        is_multilabel: Whether a sample can have several labels, whose names ``classes`` has.
        image_shape: Height, width and possibly channels of a raw image.
        sample_shape: Shape of one prepared sample; () for a sentence.
        interpolation: How images of another size were resized, by the name that Keras's
            ``load_img`` uses; "" where none was.
        encoding_problem: Why sentences cannot be encoded, and what to do, where the data are word
            indices without a known vocabulary.
        windowing: How the rows of a table became windows; None where each row is a sample.
        by_target: For several targets their own values of ``classes`` and ``target``, by name.
    """

    name: str = ""
    classes: tuple[str, ...] | None = None
    scaling: Scaling = field(default_factory=Scaling)
    encoding: TextEncoding | None = None
    columns: Columns | None = None
    target: str = ""
    targets: tuple[str, ...] = ()
    is_multilabel: bool = False
    image_shape: tuple[int, ...] | None = None
    sample_shape: tuple[int, ...] | None = None
    encoding_problem: str | Text = ""
    interpolation: str = ""
    windowing: Windowing | None = None
    by_target: dict[str, dict[str, Any]] | None = None

    def of(self, target: str) -> Preparation:
        """The same preparation for one of several targets."""
        return replace(self, by_target=None, **fields_of_target(self, target))

    @property
    def preparation(self) -> Self:
        """Itself: a dataset and what a file kept of it are used alike."""
        return self

    def apply(self, raw: Any) -> NDArray[Any]:
        """Prepare raw data for the model.

        Args:
            raw: One sample or many, as the dataset contained them before it was prepared:
                sentences; a data frame or its rows; images of ``image_shape``; rows of numbers.
                Rows of word indices are padded.

        Returns:
            One row per sample.

        Raises:
            DataError: The data are of another kind or shape.

        Example:
            >>> divide = Scaling("255")
            >>> digits = Preparation(scaling=divide, image_shape=(2, 2), sample_shape=(4,))
            >>> digits.apply([[0, 51], [102, 255]])
            array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
        """
        if self.windowing is not None:
            return self.cut(raw)[0]
        if self.columns is not None:
            return self.reshape(self.scaling.apply(self.columns.apply(raw)))
        sentences = as_sentences(raw)
        if sentences is not None:
            if self.encoding is not None:
                return self.encoding.encode(sentences)
            if self.sample_shape == ():
                return np.array(sentences, dtype=object)
            if self.encoding_problem:
                raise DataError(
                    "These sentences cannot be encoded as word indices.", self.encoding_problem
                )
            raise self._unexpected(raw)
        if self.encoding is not None:
            return self._pad_rows(raw, self.encoding)
        if self.sample_shape == ():
            raise self._unexpected(raw)
        return self.reshape(self.scaling.apply(self._as_batch(raw)))

    prepare = apply  # the name of this method in a dataset

    def cut(self, raw: Any) -> tuple[NDArray[Any], SeriesRows]:
        """All windows of raw rows of a table, in the order of time, and the rows.

        Raises:
            DataError: They are fewer than a window, or cannot be prepared.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        columns, windowing = self.columns, self.windowing
        assert columns is not None and windowing is not None  # noqa: S101, PT018 - of a table
        frame = columns.to_frame(raw)
        if windowing.time not in ("", *frame.columns) and isinstance(
            frame.index, pd.DatetimeIndex | pd.PeriodIndex
        ):
            frame = frame.reset_index(names=windowing.time)
        target = np.full(len(frame), np.nan)
        if windowing.target in frame.columns:
            target = windowing.target_format.read_numbers(frame[windowing.target])[0]
            unknown = np.isnan(target)
            if unknown.any() and windowing.target in columns.wanted:
                raise DataError(
                    f"Column {windowing.target}, whose past each window contains, has no value in "
                    f"{unknown.sum():,} of {len(frame):,} rows.",
                    "Leave these rows out: forecasts follow the last rows whose value is known.",
                )
        encoded = self.scaling.apply(columns.apply(frame))
        series = windowing.arrange(frame, target, ahead=0)
        return series.windows(encoded[series.order]), series

    def labels_of(self, x: Any) -> None:  # noqa: ARG002 - a dataset looks them up
        """None: the data themselves are not available."""
        return

    def images(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Restore prepared inputs as images to be displayed.

        Returns:
            Bytes 0 to 255, (samples, height, width[, channels]); None if these are not images.
        """
        if self.image_shape is None:
            return None
        raw = self.scaling.inverse(x).reshape(-1, *self.image_shape)
        images: NDArray[np.uint8] = np.clip(np.rint(raw), 0, 255).astype(np.uint8)
        return images

    def expects(self) -> str:
        """Describe the raw data that is expected."""
        if self.columns is not None:
            rows = f"at least {self.windowing.window:,} " if self.windowing is not None else ""
            return f"a data frame or {rows}rows with the table's columns"
        if self.encoding is not None or self.sample_shape == ():
            return "sentences"
        if self.image_shape is not None:
            return f"images of {format_shape(self.image_shape)}"
        if self.sample_shape is not None:
            return f"rows of {format_shape(self.sample_shape)} numbers"
        return "arrays of numbers"

    def get_config(self) -> dict[str, Any]:
        """Return plain values for JSON, which :meth:`from_config` takes."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        config: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value for name, value in values
        }
        for name in ("scaling", "encoding", "columns"):
            if config[name] is not None:
                config[name] = config[name].get_config()
        if self.windowing is not None:
            config["windowing"] = asdict(self.windowing)
        if self.by_target is not None:
            config["by_target"] = _map_values(self.by_target, tuple, list)
        return {**config, "encoding_problem": render(self.encoding_problem)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preparation:
        """Create the preparation that :meth:`get_config` described."""
        values = {_FORMER_KEYS.get(key, key): value for key, value in config.items()}
        for name in ("classes", "targets", "image_shape", "sample_shape"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["scaling"] = Scaling.from_config(values.get("scaling") or {"kind": "none"})
        if values.get("encoding") is not None:
            values["encoding"] = TextEncoding.from_config(values["encoding"])
        if values.get("columns") is not None:
            values["columns"] = Columns.from_config(values["columns"])
        if values.get("by_target") is not None:
            values["by_target"] = _map_values(values["by_target"], list, tuple)
        if values.get("windowing") is not None:
            form = values["windowing"].get("target_format", {})
            target_format = CellFormat(**{**form, "missing": tuple(form.get("missing", ()))})
            values["windowing"] = Windowing(
                **values["windowing"] | {"target_format": target_format}
            )
        return cls(**values)

    def _pad_rows(self, raw: Any, encoding: TextEncoding) -> NDArray[Any]:
        try:
            are_rows = len(raw) > 0 and np.ndim(raw[0]) == 1
            rows = [np.asarray(row) for row in (raw if are_rows else [raw])]
        except (TypeError, ValueError, KeyError) as error:
            raise self._unexpected(raw) from error
        if any(row.ndim != 1 or row.dtype.kind not in "iu" for row in rows if row.size):
            raise self._unexpected(raw)
        return encoding.pad([row.astype(np.int64).tolist() for row in rows])

    def _as_batch(self, raw: Any) -> NDArray[Any]:
        """Numbers with a leading axis of samples."""
        try:
            array = np.asarray(raw)
            if array.dtype.kind == "O":
                array = array.astype(np.float64)
        except (TypeError, ValueError) as error:  # lists of different lengths, or not numbers
            raise self._unexpected(raw) from error
        if array.dtype.kind not in "biuf":
            raise self._unexpected(raw)
        shape = self.image_shape or self.sample_shape
        if shape is None:
            return array
        size = math.prod(shape)
        is_single = math.prod(array.shape) == size and (
            array.ndim == 1 or _without_ones(array.shape) == _without_ones(shape)
        )
        if is_single and array.shape[:1] != (1,):
            array = array[np.newaxis]
        is_flat = array.shape[1:] == (size,)
        if not is_flat and _without_ones(array.shape[1:]) != _without_ones(shape):
            raise self._unexpected(raw)
        return array.reshape(len(array), *shape)

    def reshape(self, array: NDArray[Any]) -> NDArray[Any]:
        """Prepared samples in the shape that the model takes."""
        if self.sample_shape is None or math.prod(array.shape[1:]) != math.prod(self.sample_shape):
            return array
        return array.reshape(len(array), *self.sample_shape)

    def _unexpected(self, raw: Any) -> DataError:
        source = f"the dataset {self.name}" if self.name else "the training data"
        remedy = "Pass raw data, as they were before any preparation."
        if self.expects() == "sentences" and len(getattr(raw, "columns", ())) > 1:
            remedy = f"Pass the column that contains the texts: frame[{raw.columns[0]!r}]."
        return DataError(
            subject="The data",
            expected=f"{self.expects()}, as in {source}",
            actual=Text(_describe(raw)),
            remedy=remedy,
        )


def fields_of_target(data: Any, target: str) -> dict[str, Any]:
    """The fields of a dataset, or a preparation, that belong to one of its targets.

    Raises:
        DataError: It has no target of this name.
    """
    known: dict[str, dict[str, Any]] = data.by_target or {}
    if target in known:
        return known[target]
    listed = f"Its targets are {list_names(known)}." if known else "It has one target."
    remedy = did_you_mean(str(target), known) or listed
    raise DataError(f"{data.name or 'The data'} has no target {target!r}.", remedy)


def _map_values(
    by_target: dict[str, dict[str, Any]], kind: type, convert: Callable[[Any], Any]
) -> dict[str, dict[str, Any]]:
    return {
        target: {k: convert(v) if isinstance(v, kind) else v for k, v in values.items()}
        for target, values in by_target.items()
    }


def _describe(raw: Any) -> str:
    if isinstance(raw, str | bytes):
        return f"the text {raw[:40]!r}"
    kind = type(raw).__name__
    if hasattr(raw, "columns"):
        return f"a {kind} of {len(raw.columns)} columns: {', '.join(map(str, raw.columns))}"
    shape = getattr(raw, "shape", None)
    if shape is not None:
        return f"a {kind} of shape {tuple(shape)}, {getattr(raw, 'dtype', 'of unknown type')}"
    if isinstance(raw, list | tuple) and raw:
        return f"a {kind} of {len(raw):,} ({type(raw[0]).__name__})"
    return f"a {kind}"


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)
