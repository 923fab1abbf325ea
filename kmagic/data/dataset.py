"""One object for every dataset: training part, test part, classes, and how it was prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmagic.data.preparation.columns import Columns
from kmagic.data.preparation.preparation import Preparation, fields_of_target
from kmagic.data.preparation.scaling import Scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.data.preparation.windowing import SeriesRows
from kmagic.support.disk_arrays import is_on_disk, row_chunks
from kmagic.support.formatting import format_shape, format_value, list_names, pluralize
from kmagic.support.messages import PYTHON, Spelling, Text, render
from kmagic.support.rendering import Renderable
from kmagic.support.sentences import as_sentences

MAX_CLASSES_LISTED = 10


@dataclass(frozen=True, repr=False, eq=False)
class Dataset(Renderable):
    """A dataset, ready for ``fit``.

    Attributes:
        name: Its name.
        x_train: Inputs of the training part, samples first.
        y_train: Labels (integers, one-hot rows or, for several labels per sample, rows of 0 and
            1); for regression, values. For several targets a dictionary by name; ``of(name)`` is
            the dataset of one of them.
        x_test: Inputs of the test part, prepared like the training part.
        y_test: Its labels or values.
        classes: Names of the classes or labels in their order; None for regression.
        is_multilabel: Whether a sample can have several labels.
        scaling: The scaling of the inputs, learned from the training part.
        note_text: What the user should know, e.g. that this is only a sample; see ``note``.
        source: Where the data came from.
        reading: How the cells of a table were read: delimiter, decimal sign, missing values.
        title: What the data are, in a few words.
        columns: Names of the columns of a table, if they are known.
        target: What is predicted, for regression.
        targets: Names of the columns of y, where several values are predicted; else ().
        image_shape: Height, width and possibly channels, where a sample is an image.
        encoding: How sentences became rows of word indices.
        features: How the columns of a table became numbers.
        encoding_problem: Why the words of word indices are unknown, and what to do; else "".
        interpolation: How images of another size were resized; "" where none was.
        empty_cells: Which cells of the two parts of a table were empty and have been filled.
        time_gap: Rows that are left out between two parts where the samples are in the order of
            time; None where they are not.
        other_columns: The training part of a table's columns that are neither features nor the
            target, as a data frame; for groups of a cross-validation.
        by_target: For several targets the fields that each has for itself, such as ``classes``, by
            name.
        series: The rows of a table that was cut into windows, with those of the test part.
        spelling: How options are written in ``note``; a magic sets its own.
    """

    renderer: ClassVar[str] = "kmagic.display.data.data_card:dataset_bundle"

    name: str
    x_train: NDArray[Any]
    y_train: Any
    x_test: NDArray[Any]
    y_test: Any
    classes: tuple[str, ...] | None = None
    scaling: Scaling = field(default_factory=Scaling)
    note_text: str | Text = ""
    source: str = ""
    reading: str = ""
    title: str = ""
    columns: tuple[str, ...] | None = None
    target: str = ""
    targets: tuple[str, ...] = ()
    is_multilabel: bool = False
    image_shape: tuple[int, ...] | None = None
    encoding: TextEncoding | None = None
    features: Columns | None = None
    encoding_problem: str | Text = ""
    interpolation: str = ""
    empty_cells: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None
    time_gap: int | None = None
    other_columns: Any = None
    series: SeriesRows | None = None
    by_target: dict[str, dict[str, Any]] | None = None
    spelling: Spelling = PYTHON

    def __post_init__(self) -> None:
        _datasets.add(self)

    def __repr__(self) -> str:
        title = f", {self.title}" if self.title else ""
        rows = f"{len(self.x_train):,} training samples, {len(self.x_test):,} test samples"
        sentences = [
            f"{self.name}{title}: {rows}",
            f"x is {self.describe_inputs()}",
            f"y is {self.describe_targets()}",
        ]
        if self.source:
            sentences.append(f"Source: {self.source}")
        if self.reading:
            sentences.append(f"Read as: {self.reading}")
        if self.note:
            sentences.append(self.note.removesuffix("."))
        return ". ".join(sentences) + "."

    def of(self, target: str) -> Dataset:
        """The same samples with one of several targets: its labels or values, and its classes.

        Raises:
            DataError: There is no target of this name.

        Example:
            >>> from kmagic import load_data
            >>> y = {"animal": ["cat", "dog"] * 3, "weight": [4.5, 20.1, 3.9, 31.0, 5.0, 8.4]}
            >>> pets = load_data(([[1], [2], [3], [4], [5], [6]], y))
            >>> pets.of("animal").classes, pets.of("weight").classes
            (('cat', 'dog'), None)
        """
        if target not in self._views:
            own = fields_of_target(self, target)
            parts = {name: getattr(self, name)[target] for name in ("y_train", "y_test")}
            view = replace(self, by_target=None, **parts, **own)
            _datasets.discard(view)  # its inputs are those of the whole
            self._views[target] = view
        return self._views[target]

    @cached_property
    def _views(self) -> dict[str, Dataset]:
        return {}

    @property
    def note(self) -> str:
        """What the user should know about the data, in sentences; or ""."""
        return render(self.note_text, self.spelling)

    @cached_property
    def preparation(self) -> Preparation:
        """How the inputs were prepared and what the predictions mean, without the data."""
        is_ragged = self.x_train.dtype == object and not self.is_text
        shape = tuple(map(int, self.x_train.shape[1:]))
        is_single_number = shape == () and self.x_train.dtype.kind in "biuf"
        return Preparation(
            name=self.name,
            classes=self.classes,
            scaling=self.scaling,
            encoding=self.encoding,
            columns=self.features,
            target=self.target,
            targets=self.targets,
            is_multilabel=self.is_multilabel,
            image_shape=self.image_shape,
            sample_shape=None if is_ragged or is_single_number else shape,
            encoding_problem=self.encoding_problem,
            interpolation=self.interpolation,
            windowing=None if self.series is None else self.series.windowing,
            by_target=self.by_target,
        )

    def prepare(self, raw: Any) -> NDArray[Any]:
        """Prepare raw data like the training part: sentences, data frames, images, rows."""
        return self.preparation.apply(raw)

    @property
    def is_text(self) -> bool:
        """Whether the inputs are texts."""
        kind = self.x_train.dtype.kind
        return kind in "UT" or (kind == "O" and isinstance(next(iter(self.x_train), 0), str))

    def describe_inputs(self) -> str:
        """Describe shape, range and preparation: "28 x 28 float32, 0 to 1, divided by 255"."""
        if self.is_text:
            lengths = _range([len(text.split()) for text in self.x_train])
            parts = ["texts", f"{lengths} words long", "not encoded"]
        elif self.x_train.dtype == object:
            lengths = _range([len(row) for row in self.x_train])
            parts = ["lists of word indices, of different lengths", f"{lengths} long"]
            parts.append(self.scaling.describe())
        else:
            low, high = map(format_value, self.input_range)
            parts = [self._shape_text(), f"{low} to {high}", self.scaling.describe()]
        if self.encoding is not None:
            parts[-1] = self.encoding.describe()
        return ", ".join(parts)

    @cached_property
    def input_range(self) -> tuple[Any, Any]:
        """The smallest and the largest value of the training inputs."""
        chunks = row_chunks(self.x_train) if is_on_disk(self.x_train) else [self.x_train]
        lows, highs = zip(*((chunk.min(), chunk.max()) for chunk in chunks), strict=True)
        return min(lows), max(highs)

    def _shape_text(self) -> str:
        shape = self.x_train.shape[1:]
        if len(shape) != 1:
            return f"{format_shape(shape)} {self.x_train.dtype}"
        many = "word indices" if self.encoding else ""
        unit = "word index" if self.encoding else "value" if self.image_shape else "column"
        return f"{pluralize(shape[0], unit, many)}, {self.x_train.dtype}"

    def describe_targets(self) -> str:
        """Describe the targets and the distribution of the classes in the training part."""
        if self.by_target is not None:
            views = [self.of(name) for name in self.by_target]
            starts = ("" if view.classes is None else f"{view.target}, " for view in views)
            listed = (a + b.describe_targets() for a, b in zip(starts, views, strict=True))
            return f"{len(views)} targets: {'; '.join(listed)}"
        if self.targets:
            ranges = [
                f"{name} {format_value(values.min())} to {format_value(values.max())}"
                for name, values in zip(self.targets, self.y_train.T, strict=True)
            ]
            count = len(self.targets)
            return (
                f"{count} values ({list_names(ranges, MAX_CLASSES_LISTED)}), {self.y_train.dtype}"
            )
        if self.classes is None:
            low, high = format_value(self.y_train.min()), format_value(self.y_train.max())
            what = self.target if self.target not in ("", "y") else "values"
            return f"{what}, {low} to {high}, {self.y_train.dtype}"
        form = "one-hot rows of " if self.y_train.ndim > 1 else ""
        if self.is_multilabel:
            mean = self.y_train.sum(axis=1).mean()
            form = f"rows of 0 and 1, {mean:.2f} labels per sample, "
        nouns = ("label", "labels") if self.is_multilabel else ("class", "classes")
        names = self.classes
        if len(names) > MAX_CLASSES_LISTED:
            names = (*names[: MAX_CLASSES_LISTED - 2], f"... {names[-1]}")
        return (
            f"{form}{self.y_train.dtype}, {pluralize(len(self.classes), *nouns)} "
            f"({', '.join(names)}), "
            f"{_range(self.counts(self.y_train).tolist())} training samples each"
        )

    def labels(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Return integer labels, also where ``y`` is one-hot; of several, the rows of 0 and 1."""
        if self.is_multilabel:
            return y.astype(np.intp)
        is_one_hot = y.ndim > 1 and y.shape[1] > 1
        labels = y.argmax(axis=1) if is_one_hot else y.reshape(-1)
        return labels.astype(np.intp)

    def counts(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Count the rows of ``y`` in each class, or with each label."""
        if self.is_multilabel:
            return np.asarray(self.labels(y).sum(axis=0))
        return np.bincount(self.labels(y), minlength=len(self.classes or ()))

    def label_pairs(self, limit: int = 10) -> list[tuple[int, int, int, float]]:
        """The pairs of labels that occur together most, beyond chance, in the training part.

        Args:
            limit: Number of pairs.

        Returns:
            For each pair the indices of both labels, the number of rows that have both, and its
            lift: this number divided by that of independent labels.

        Example:
            >>> import numpy as np
            >>> x, y = np.zeros((4, 1)), np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
            >>> Dataset("d", x, y, x, y, ("a", "b", "c"), is_multilabel=True).label_pairs()
            [(0, 1, 2, 2.0)]
        """
        from scipy.sparse import csr_array, triu  # noqa: PLC0415 - slow to import

        rows = csr_array(self.labels(self.y_train))
        both = triu(rows.T @ rows, 1).tocoo()
        counts = self.counts(self.y_train)
        lifts = both.data * len(self.y_train) / (counts[both.row] * counts[both.col])
        order = np.argsort(-both.data * np.log(lifts), kind="stable")
        order = order[lifts[order] > 1][:limit]
        columns = (both.row, both.col, both.data, lifts)
        return list(zip(*(column[order].tolist() for column in columns), strict=True))

    def labels_of(self, x: ArrayLike) -> Any:
        """Look up the labels of inputs by their content.

        Slices, copies, shuffled rows and flattened images are found; the test part is searched
        first. Of data on disk, only slices are found.

        Args:
            x: Inputs as in this dataset, samples first, or a single one.

        Returns:
            One label per row, or the row of 0 and 1 of its labels, -1 where a row is not in the
            dataset; None where no row is, and for regression. For several targets a dictionary by
            name.

        Example:
            >>> import numpy as np
            >>> x = np.arange(6.0).reshape(3, 2)
            >>> few = Dataset("few", x[:2], np.array([0, 1]), x[2:], np.array([1]), ("a", "b"))
            >>> few.labels_of(x[::-1]).tolist()
            [1, 1, 0]
        """
        if self.by_target is not None:
            return {name: self.of(name).labels_of(x) for name in self.by_target}
        if self.classes is None:
            return None
        if is_on_disk(self.x_train):
            parts = ((self.x_test, self.y_test), (self.x_train, self.y_train))
            found = [y[rows] for part, y in parts if (rows := _rows_in(part, x)) is not None]
            return self.labels(found[0]) if found else None
        unknown = [-1] * len(self.classes) if self.is_multilabel else -1
        labels = [self._label_by_digest.get(digest, unknown) for digest in self._digests(x)]
        looked_up = np.array(labels, dtype=np.intp)
        return looked_up if (looked_up >= 0).any() else None

    def empty_cells_of(self, x: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which cells were empty in the rows of a part, or of a slice of it; None if unknown."""
        if self.empty_cells is None:
            return None
        for part, empty in zip((self.x_train, self.x_test), self.empty_cells, strict=True):
            if (rows := _rows_in(part, x)) is not None:
                return empty[rows]
        return None

    def images(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Restore prepared inputs as images to be displayed.

        Returns:
            Bytes 0 to 255, (rows, height, width[, channels]); None if these are not images.
        """
        return self.preparation.images(x)

    @cached_property
    def _label_by_digest(self) -> dict[bytes, Any]:
        parts = ((self.x_test, self.y_test), (self.x_train, self.y_train))
        digests = [digest for x, _ in parts for digest in self._digests(x)]
        labels = [label for _, y in parts for label in self.labels(y).tolist()]
        # Backwards: of equal rows the first one counts.
        return dict(reversed(list(zip(digests, labels, strict=True))))

    def _digests(self, x: ArrayLike) -> list[bytes]:
        """One digest per row; none if ``x`` cannot contain rows of this dataset."""
        if self.is_text:
            texts = as_sentences(x) or ()
            return [_digest(np.frombuffer(text.encode(), np.uint8)) for text in texts]
        if self.x_train.dtype == object:
            return [_digest(np.asarray(row, dtype=np.int64)) for row in np.asarray(x, dtype=object)]
        array = np.asarray(x)
        row_size = int(np.prod(self.x_train.shape[1:]))
        if array.dtype.kind not in "biuf" or row_size == 0 or array.size % row_size:
            return []
        is_single = array.size == row_size
        if not is_single and int(np.prod(array.shape[1:])) != row_size:
            return []
        rows = np.ascontiguousarray(array, dtype=self.x_train.dtype).reshape(-1, row_size)
        return [_digest(row) for row in rows]


_datasets: WeakSet[Dataset] = WeakSet()


def find_dataset(x: Any, y: Any = None, *, with_test: bool = False) -> Dataset | None:
    """Find the dataset whose training (or also test) inputs these are, or a slice of them.

    Of several targets, it is that of the one that ``y`` is.
    """
    if not isinstance(x, np.ndarray) or not x.size:
        return None
    for data in _datasets:
        parts = (data.x_train, data.x_test) if with_test else (data.x_train,)
        if any(x is part or np.may_share_memory(x, part) for part in parts):
            return _data_of(data, y)
    return None


def _data_of(data: Dataset, y: Any) -> Dataset:
    """The dataset of one of several targets, if these are its labels or values."""
    if data.by_target is None or not isinstance(y, np.ndarray):
        return data
    own = (n for n, part in data.y_train.items() if part is y or np.may_share_memory(part, y))
    target = next(own, None)
    return data if target is None else data.of(target)


def take_targets(y: Any, rows: Any) -> Any:
    """Some rows of targets: of an array, or of each in a dictionary."""
    return {n: part[rows] for n, part in y.items()} if isinstance(y, Mapping) else y[rows]


def _rows_in(part: NDArray[Any], x: Any) -> slice | None:
    """The rows of a part that these are a slice of; None if they are none."""
    is_view = isinstance(x, np.ndarray) and x.shape[1:] == part.shape[1:]
    if not is_view or x.strides != part.strides or not np.may_share_memory(x, part):
        return None
    offset = x.__array_interface__["data"][0] - part.__array_interface__["data"][0]
    first = offset // part.strides[0]
    return slice(first, first + len(x))


def _digest(row: NDArray[Any]) -> bytes:
    return hashlib.blake2b(row.data, digest_size=16).digest()


def _range(numbers: list[int]) -> str:
    """Both ends of a range: "2 to 5", or "2" where they are the same."""
    return " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))
