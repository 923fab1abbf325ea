"""All that raw data need to become what a model takes, and what its answers mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.support.errors import DataError
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Features(Protocol):
    """How the columns of a table become numbers: :class:`kmagic.data.preparation.columns.Columns`."""

    def apply(self, frame_or_rows: Any) -> NDArray[np.float32]:
        """Numbers, one row a row of the table."""

    def get_config(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""


@dataclass(frozen=True, eq=False)
class Preparation:
    """What was done to a data set before a model learned from it.

    Attributes:
        name: Of the data set.
        classes: Names of the classes in the order of the labels; None for regression.
        scaling: What was done to numbers, learned on the training part only.
        encoding: How sentences became numbers; None where there are none, or a model takes them
            as they are.
        columns: How a table's columns became numbers; None where all were numbers.
        target: What is predicted, for regression.
        image_shape: Height, width and perhaps channels of a raw picture.
        sample_shape: Shape of one prepared sample; () for a sentence as it is.
        interpolation: How pictures of another size were resized, in the words of Keras's
            ``load_img``; "" where none was.
        lacking: Why sentences cannot become numbers, and what to do, where that might have been.
    """

    name: str = ""
    classes: tuple[str, ...] | None = None
    scaling: Scaling = field(default_factory=Scaling)
    encoding: TextEncoding | None = None
    columns: Features | None = None
    target: str = ""
    image_shape: tuple[int, ...] | None = None
    sample_shape: tuple[int, ...] | None = None
    lacking: str = ""
    interpolation: str = ""

    @property
    def preparation(self) -> Self:
        """Itself: so a data set and what is left of it after a file are asked alike."""
        return self

    def apply(self, raw: Any) -> NDArray[Any]:
        """Raw data as the model takes them.

        Args:
            raw: What the data set held before it was prepared, one sample or many: sentences; a
                data frame or its rows; pictures of ``image_shape``; rows of numbers. Rows of
                word numbers are padded.

        Returns:
            One row a sample.

        Raises:
            DataError: They are not what the data set held; the message says what was expected and
                what came.

        Example:
            >>> bytes_ = Scaling("255")
            >>> digits = Preparation(scaling=bytes_, image_shape=(2, 2), sample_shape=(4,))
            >>> digits.apply([[0, 51], [102, 255]])
            array([[0. , 0.2, 0.4, 1. ]], dtype=float32)
        """
        if self.columns is not None:
            return self._shaped(self.scaling.apply(self.columns.apply(raw)))
        sentences = as_sentences(raw)
        if sentences is not None:
            if self.encoding is not None:
                return self.encoding.encode(sentences)
            if self.sample_shape == ():
                return np.array(sentences, dtype=object)
            if self.lacking:
                raise DataError("Sentences cannot become word numbers here.", self.lacking)
            raise self._unlike(raw)
        if self.encoding is not None:
            return self._rows_of_words(raw)
        if self.sample_shape == ():
            raise self._unlike(raw)
        return self._shaped(self.scaling.apply(self._batch(raw)))

    def prepare(self, raw: Any) -> NDArray[Any]:
        """The same as :meth:`apply`, by the name that a data set has for it."""
        return self.apply(raw)

    def labels_of(self, x: Any) -> None:  # noqa: ARG002 - a data set looks there
        """None: the data themselves are not here."""
        return

    def images(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Prepared inputs as pictures to be shown.

        Args:
            x: Prepared inputs, rows first, flat or not.

        Returns:
            Bytes 0 to 255, (rows, height, width) or (rows, height, width, 3); None where a row is
            not a picture.
        """
        if self.image_shape is None:
            return None
        raw = self.scaling.inverse(x).reshape(-1, *self.image_shape)
        pictures: NDArray[np.uint8] = np.clip(np.rint(raw), 0, 255).astype(np.uint8)
        return pictures

    def expects(self) -> str:
        """What raw data must be, in words.

        Example:
            >>> Preparation(image_shape=(28, 28)).expects()
            'pictures of 28 x 28'
        """
        if self.columns is not None:
            return "a data frame or rows with the table's columns"
        if self.encoding is not None or self.sample_shape == ():
            return "sentences"
        if self.image_shape is not None:
            return f"pictures of {_sides(self.image_shape)}"
        if self.sample_shape is not None:
            return f"rows of {_sides(self.sample_shape)} numbers"
        return "arrays of numbers"

    def get_config(self) -> dict[str, Any]:
        """Plain values that :meth:`from_config` takes, fit for JSON."""
        return {
            "name": self.name,
            "classes": None if self.classes is None else list(self.classes),
            "scaling": self.scaling.get_config(),
            "encoding": None if self.encoding is None else self.encoding.get_config(),
            "columns": None if self.columns is None else self.columns.get_config(),
            "target": self.target,
            "image_shape": _as_list(self.image_shape),
            "sample_shape": _as_list(self.sample_shape),
            "lacking": self.lacking,
            "interpolation": self.interpolation,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Preparation:
        """The preparation that :meth:`get_config` described.

        Example:
            >>> digits = Preparation("digits", ("0", "1"), Scaling("255"), image_shape=(8, 8))
            >>> Preparation.from_config(digits.get_config()).classes
            ('0', '1')
        """
        found = dict(config)
        for name in ("classes", "image_shape", "sample_shape"):
            if found.get(name) is not None:
                found[name] = tuple(found[name])
        found["scaling"] = Scaling.from_config(found.get("scaling") or {"kind": "none"})
        if found.get("encoding") is not None:
            found["encoding"] = TextEncoding.from_config(found["encoding"])
        if found.get("columns") is not None:
            home = import_module("kmagic.data.preparation.columns")
            found["columns"] = home.Columns.from_config(found["columns"])
        return cls(**found)

    def _rows_of_words(self, raw: Any) -> NDArray[Any]:
        assert self.encoding is not None  # noqa: S101 - asked before
        try:
            many = len(raw) > 0 and np.ndim(raw[0]) == 1
            rows = [np.asarray(row) for row in (raw if many else [raw])]
        except (TypeError, ValueError, KeyError) as error:
            raise self._unlike(raw) from error
        if any(row.ndim != 1 or row.dtype.kind not in "iu" for row in rows if row.size):
            raise self._unlike(raw)
        return self.encoding.pad([row.astype(np.int64).tolist() for row in rows])

    def _batch(self, raw: Any) -> NDArray[Any]:
        """Numbers with an axis of samples in front."""
        try:
            array = np.asarray(raw)
        except ValueError as error:  # lists of different lengths
            raise self._unlike(raw) from error
        if array.dtype.kind == "O":
            try:
                array = array.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise self._unlike(raw) from error
        if array.dtype.kind not in "biuf":
            raise self._unlike(raw)
        shape = self.image_shape or self.sample_shape
        if shape is None:
            return array
        size = math.prod(shape)
        one = math.prod(array.shape) == size and (
            array.ndim == 1 or _squeezed(array.shape) == _squeezed(shape)
        )
        if one and array.shape[:1] != (1,):
            array = array[np.newaxis]
        flat = array.ndim == 2 and array.shape[1] == size  # noqa: PLR2004 - rows and columns
        if not flat and _squeezed(array.shape[1:]) != _squeezed(shape):
            raise self._unlike(raw)
        return array.reshape(len(array), *shape)

    def _shaped(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.sample_shape is None or math.prod(array.shape[1:]) != math.prod(self.sample_shape):
            return array
        return array.reshape(len(array), *self.sample_shape)

    def _unlike(self, raw: Any) -> DataError:
        whose = f"what {self.name} was made of" if self.name else "what the model has learned from"
        remedy = "Give raw data, as they are before any preparation."
        if self.expects() == "sentences" and len(getattr(raw, "columns", ())) > 1:
            remedy = f"Give the column of the texts: frame[{raw.columns[0]!r}]."
        return DataError(f"Expected {self.expects()}, as {whose}; received {_what(raw)}.", remedy)


def _what(raw: Any) -> str:
    """What came, in words."""
    if isinstance(raw, str | bytes):
        return f"the text {raw[:40]!r}"
    kind = type(raw).__name__
    if hasattr(raw, "columns"):
        return f"a {kind} of {len(raw.columns)} columns: {', '.join(map(str, raw.columns))}"
    shape = getattr(raw, "shape", None)
    if shape is not None:
        return f"a {kind} of shape {tuple(shape)}, {getattr(raw, 'dtype', 'of no type')}"
    if isinstance(raw, list | tuple) and raw:
        return f"a {kind} of {len(raw):,} ({type(raw[0]).__name__})"
    return f"a {kind}"


def _as_list(shape: tuple[int, ...] | None) -> list[int] | None:
    return None if shape is None else [int(side) for side in shape]


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side != 1)


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in shape)
