"""One small object for any data set: training part, test part, classes and scaling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

import numpy as np

from kmagic.data.preparation.preparation import Features, Preparation
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.support.formatting import format_value
from kmagic.support.rendering import Renderable
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, repr=False, eq=False)
class Dataset(Renderable):
    """Real data, ready for ``fit``.

    Attributes:
        name: What it is called.
        x_train: Inputs of the training part, rows first.
        y_train: Labels (integers, or one-hot rows) or, for regression, values.
        x_test: Inputs of the test part, prepared as the training part was.
        y_test: Its labels or values.
        classes: Names of the classes in the order of the labels; None for regression.
        scaling: What was done to the inputs, learned on the training part only.
        note: Why this is only a sample and what to do, or what else one should know; else "".
        source: Where the data came from.
        title: What it is, in a few words.
        columns: Names of a table's columns, where they are known.
        target: What is to be predicted, for regression.
        image_shape: Height, width and perhaps channels, where a row is a picture.
        encoding: How sentences became rows of word numbers.
        features: How a table's columns became numbers, where not all of them were.
        interpolation: How pictures of another size were resized; "" where none was.
        lacking: Why the words behind word numbers are not known, and what to do; else "".
    """

    renderer: ClassVar[str] = "kmagic.display.data.data_card:dataset_bundle"

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    classes: tuple[str, ...] | None = None
    scaling: Scaling = field(default_factory=Scaling)
    note: str = ""
    source: str = ""
    title: str = ""
    columns: tuple[str, ...] | None = None
    target: str = ""
    image_shape: tuple[int, ...] | None = None
    encoding: TextEncoding | None = None
    features: Features | None = None
    lacking: str = ""
    interpolation: str = ""

    def __post_init__(self) -> None:
        _sets.add(self)

    def __repr__(self) -> str:
        title = f", {self.title}" if self.title else ""
        rows = f"{len(self.x_train):,} rows to train, {len(self.x_test):,} to test"
        sentences = [
            f"{self.name}{title}: {rows}",
            f"x is {self.layout()}, {self.span()}, {self.prepared()}",
            f"y is {self.balance()}",
        ]
        if self.source:
            sentences.append(f"From {self.source}")
        if self.note:
            sentences.append(self.note.removesuffix("."))
        return ". ".join(sentences) + "."

    @cached_property
    def preparation(self) -> Preparation:
        """What was done to the inputs, and what the answers mean, without the data."""
        numbers = self.x_train.dtype.kind in "biuf"
        sample = None if self._ragged else tuple(map(int, self.x_train.shape[1:]))
        return Preparation(
            name=self.name,
            classes=self.classes,
            scaling=self.scaling,
            encoding=self.encoding,
            columns=self.features,
            target=self.target,
            image_shape=self.image_shape,
            sample_shape=None if numbers and sample == () else sample,
            lacking=self.lacking,
            interpolation=self.interpolation,
        )

    def prepare(self, raw: Any) -> NDArray[Any]:
        """Raw data prepared as the training part was: sentences, data frames, pictures, rows.

        Args:
            raw: As :meth:`~kmagic.data.preparation.preparation.Preparation.apply` takes it.

        Raises:
            DataError: They are not what this set held.
        """
        return self.preparation.apply(raw)

    @property
    def sentences(self) -> bool:
        """Whether the inputs are texts as they were written."""
        kind = self.x_train.dtype.kind
        return kind in "UT" or (kind == "O" and isinstance(next(iter(self.x_train), 0), str))

    @property
    def _ragged(self) -> bool:
        return self.x_train.dtype == object and not self.sentences

    def layout(self) -> str:
        """Shape of one input and type: "28 x 28 x 1 float32" or "13 columns, float64"."""
        if self.sentences:
            return "texts"
        if self.x_train.dtype == object:
            return "lists of word numbers, of different lengths"
        sides = [f"{side:,}" for side in self.x_train.shape[1:]]
        if len(sides) == 1:
            what = "values" if self.image_shape else "columns"
            what = "word numbers" if self.encoding else what
            what = what.removesuffix("s") if sides[0] == "1" else what
            return f"{sides[0]} {what}, {self.x_train.dtype}"
        return f"{' x '.join(sides)} {self.x_train.dtype}"

    def span(self) -> str:
        """Range of the training inputs: "0 to 1"."""
        if self.sentences:
            lengths = [len(text.split()) for text in self.x_train]
            return f"{_from_to(lengths)} words long"
        if self.x_train.dtype == object:
            lengths = [len(row) for row in self.x_train]
            return f"{_from_to(lengths)} long"
        return f"{format_value(self.x_train.min())} to {format_value(self.x_train.max())}"

    def prepared(self) -> str:
        """What was done to the inputs: "divided by 255"."""
        if self.encoding is not None:
            return self.encoding.describe()
        if self.sentences:
            return "as they were written"
        return self.scaling.describe()

    def balance(self) -> str:
        """What the labels are and how the training rows fall to them."""
        kind = "one-hot rows of" if self.y_train.ndim > 1 else ""
        if self.classes is None:
            low, high = format_value(self.y_train.min()), format_value(self.y_train.max())
            what = self.target if self.target not in ("", "y") else "values"
            return f"{what}, {low} to {high}, {self.y_train.dtype}"
        counts = self.counts(self.y_train)
        few, many = counts.min(), counts.max()
        each = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        shown = _name_some(self.classes)
        words = [kind, f"{self.y_train.dtype}, {len(self.classes)} classes ({shown})"]
        return f"{' '.join(filter(None, words))}, {each} rows each in training"

    def labels(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Labels as whole numbers, also where ``y`` is one-hot.

        Args:
            y: ``y_train``, ``y_test`` or rows of them.
        """
        one_hot = 2
        whole = y.argmax(axis=1) if y.ndim == one_hot and y.shape[1] > 1 else y.reshape(-1)
        return whole.astype(np.intp)

    def counts(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """How many rows of ``y`` each class has."""
        return np.bincount(self.labels(y), minlength=len(self.classes or ()))

    def labels_of(self, x: ArrayLike) -> NDArray[np.intp] | None:
        """Labels of inputs that are found in this set by their content.

        Slices, copies and shuffled rows find their labels, flat pictures too; the test part is
        looked through first.

        Args:
            x: Inputs as they are in this set, rows first, or a single one.

        Returns:
            One label a row, -1 where a row is not in the set; None where none is, and for
            regression.

        Example:
            >>> import numpy as np
            >>> x = np.arange(6.0).reshape(3, 2)
            >>> few = Dataset("few", x[:2], np.array([0, 1]), x[2:], np.array([1]), ("a", "b"))
            >>> few.labels_of(x[::-1]).tolist()
            [1, 1, 0]
        """
        if self.classes is None:
            return None
        rows = self._rows(x)
        if not rows:
            return None
        found = [self._known_test.get(row, -1) for row in rows]
        if -1 in found:
            known = self._known_train
            found = [
                known.get(row, -1) if label < 0 else label
                for row, label in zip(rows, found, strict=True)
            ]
        labels = np.array(found, dtype=np.intp)
        return labels if (labels >= 0).any() else None

    def images(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Prepared inputs as pictures to be shown.

        Args:
            x: Rows of ``x_train`` or ``x_test``, flat or not.

        Returns:
            Bytes 0 to 255, (rows, height, width) or (rows, height, width, 3); None where a row is
            not a picture.
        """
        return self.preparation.images(x)

    @cached_property
    def _known_test(self) -> dict[bytes, int]:
        return self._index(self.x_test, self.y_test)

    @cached_property
    def _known_train(self) -> dict[bytes, int]:
        return self._index(self.x_train, self.y_train)

    def _index(self, x: NDArray[Any], y: NDArray[Any]) -> dict[bytes, int]:
        pairs = zip(self._rows(x), self.labels(y).tolist(), strict=True)
        # Backwards, so that the first of equal rows has the last word.
        return dict(reversed(list(pairs)))

    def _rows(self, x: ArrayLike) -> list[bytes]:
        """A digest a row; none if ``x`` cannot hold rows of this set."""
        if self.sentences:
            return [
                _digest(np.frombuffer(text.encode(), np.uint8)) for text in as_sentences(x) or ()
            ]
        if self.x_train.dtype == object:
            return [_digest(np.asarray(row, dtype=np.int64)) for row in np.asarray(x, dtype=object)]
        array = np.asarray(x)
        row_size = int(np.prod(self.x_train.shape[1:]))
        if array.dtype.kind not in "biuf" or row_size == 0 or array.size % row_size:
            return []
        single = array.size == row_size
        if not single and int(np.prod(array.shape[1:])) != row_size:
            return []
        rows = np.ascontiguousarray(array, dtype=self.x_train.dtype).reshape(-1, row_size)
        return [_digest(row) for row in rows]


_sets: WeakSet[Dataset] = WeakSet()


def find_dataset(x: Any) -> Dataset | None:
    """The data set whose training part these inputs are, or a slice of it; else None.

    Args:
        x: What a model learns from.
    """
    if not isinstance(x, np.ndarray) or not x.size:
        return None
    for data in _sets:
        if x is data.x_train or np.may_share_memory(x, data.x_train):
            return data
    return None


def _digest(row: NDArray[Any]) -> bytes:
    return hashlib.blake2b(row.data, digest_size=16).digest()


def _from_to(lengths: list[int]) -> str:
    least, most = min(lengths), max(lengths)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _name_some(names: tuple[str, ...], most: int = 10) -> str:
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 2])}, ... {names[-1]}"
