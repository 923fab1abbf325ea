"""``predict_to_file``: predictions for more images or rows than fit in memory."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kmagic.cluster.connection import connect
from kmagic.data.paths import nearest_path
from kmagic.data.preparation.raw_detection import SCALED_FRAME, detect_raw
from kmagic.evaluation.classification.applications import recognize_application
from kmagic.evaluation.classification.classification import Classification
from kmagic.evaluation.classification.classify import classify_readable, folder_key
from kmagic.evaluation.classification.image_inputs import (
    ImagePreprocessor,
    ImageSource,
    list_images,
)
from kmagic.evaluation.confusion.label_arrays import ClassNames, parse_class_names
from kmagic.evaluation.confusion.multilabel import Thresholds
from kmagic.evaluation.prediction.batch_prediction import model_phrase, predict_in_batches
from kmagic.evaluation.prediction.model_inputs import model_inputs_for
from kmagic.evaluation.prediction.model_outputs import select_output, title_of
from kmagic.evaluation.prediction.part_prediction import PartWork, predict_parts
from kmagic.evaluation.prediction.predict import with_thresholds
from kmagic.evaluation.prediction.predictions import (
    OutputKind,
    PredictionInfo,
    Predictions,
    output_kind_of,
)
from kmagic.models.model_arrays import sample_shape
from kmagic.models.object_copies import is_same_output, repeatable
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.file_system import atomic_write
from kmagic.support.formatting import format_duration, natural_sort_key, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Function, Option, Text
from kmagic.support.model_registry import dataset_for
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.progress import Progress
from kmagic.support.rendering import Renderable
from kmagic.support.user_path import user_path

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

IMAGES = 256
"""Images of a part."""
FIRST = 4
"""Images or rows whose predictions identify the model."""
TABLE_ROWS = 8192
"""Rows of a table that are predicted at a time."""
SUFFIX = ".parquet"
_CLASS, _UNREADABLE = ("label", "class"), "error"
_TYPES = {"image": "string", "rank": "Int64", "label": "string", "probability": "float64"}


@dataclass(frozen=True, repr=False, eq=False)
class PredictionFile(Renderable):
    """Predictions in a file.

    Attributes:
        path: The file, a table in parquet format.
        name: Name of the model.
        unit: "image" or "row".
        count: The number of predicted images or rows.
        total: How many there are; more than ``count`` after an interrupt.
        counts: Number of images or rows per most likely class, the most frequent first; empty for
            values.
        unreadable: Number of images that cannot be read; their rows say why.
        wrong: Number of images of another class than their folder; None if that is not known.
        seconds: Duration of this call.
        earlier: Images or rows that an earlier, interrupted call had predicted.
        note: What the user should know about the preparation of the images or rows.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.file_card:file_bundle"

    path: Path
    name: str
    unit: str
    count: int
    total: int
    counts: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0
    wrong: int | None = None
    seconds: float = 0.0
    earlier: int = 0
    note: str | Text = ""

    def to_frame(self) -> pd.DataFrame:
        """The predictions, all in memory.

        Returns:
            For images one row per image and class: ``image``, ``rank`` from 1, ``label``,
            ``probability``, ``true`` if the folders are the classes, and ``error`` for one that
            cannot be read. For a table one row per row: ``class``, ``probability`` and one column
            per class, or the values.

        Raises:
            EvaluationError: It was interrupted before the end.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        if self.count < self.total:
            raise EvaluationError(
                f"{show_path(self.path)} is not complete: {self.facts()}.",
                "Make the same call again: it continues.",
            )
        return pd.read_parquet(self.path)

    def facts(self) -> str:
        """How much was done, and how fast."""
        facts = pluralize(self.count, self.unit)
        if self.count < self.total:
            facts = f"interrupted after {self.count:,} of {pluralize(self.total, self.unit)}"
        done = self.count - self.earlier
        rate = f" ({done / self.seconds:,.0f} per second)" if self.seconds > 1 and done else ""
        facts += f" in {format_duration(self.seconds)}{rate}"
        if self.earlier:
            facts += f", {self.earlier:,} of them earlier"
        if self.unreadable:
            facts += f" · {self.unreadable:,} unreadable"
        if self.wrong is not None:
            facts += f" · {self.wrong:,} wrong"
        return facts

    def __repr__(self) -> str:
        return f"{self.name}: {self.facts()}, in {show_path(self.path)}"


@explain_special_methods
def predict_to_file(
    model: Any,
    source: Any,
    out: str | os.PathLike[str],
    *,
    on: str | None = None,
    cpus: float = 1,
    gpus: float = 0,
    top: int = 3,
    class_names: ClassNames | None = None,
    scaling: Any = None,
    threshold: Thresholds = None,
    batch_size: int | None = None,
    output: str | None = None,
    fresh: bool = False,
    name: str = "",
) -> PredictionFile:
    """Predict from a folder of images or a table on the disk, and write a file of predictions.

    Memory does not grow with the number of images or rows. An interrupt keeps what is done in the
    folder ``OUT.parts``, and the same call continues; so it does after a crash. The file is written
    as a whole at the end.

    Args:
        model: A Keras model. Raw images and rows are prepared like its training data, as by
            :func:`kmagic.classify` and :func:`kmagic.predict`.
        source: A folder or a pattern of images, or a list of files; a ``.parquet`` table, or a
            folder of them. Each row group of a table is predicted as a whole by one process.
        out: The file to write, ``.parquet``.
        on: Predict on a Ray cluster, as for :func:`kmagic.connect`, whose nodes must see the files
            at the same path. Default: in this process.
        cpus: Processor cores for each process on a cluster.
        gpus: GPUs for each, also a part of one.
        top: For images: number of classes per image.
        class_names: Names of the classes. Default: those of the training data.
        scaling: For images: as in :func:`kmagic.classify`.
        threshold: For tables and several labels per sample: as in :func:`kmagic.predict`.
        batch_size: Samples per batch.
        output: For a model with several outputs the one that the file is of.
        fresh: Remove what an earlier call left in ``OUT.parts``.
        name: Name of the model, for the title. Default: its own.

    Returns:
        The result: ``result.path``, ``result.counts``, ``result.to_frame()``.

    Raises:
        EvaluationError: The images or rows do not fit the model, or ``OUT.parts`` belongs to
            another call.
        DataError: There are no such files.
        ClusterError: The cluster cannot be used.

    Example:
        >>> import keras, pandas, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> pandas.DataFrame({"width": [1.0, 2.0]}).to_parquet(folder / "table.parquet")
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> predict_to_file(model, folder / "table.parquet", folder / "out.parquet").count
        2
    """
    _import_pyarrow()
    if output is not None:
        name = title_of(name or str(getattr(model, "name", "")), output)
    model = select_output(model, output)
    target = user_path(out)
    if target.suffix != SUFFIX:
        raise EvaluationError(
            option="out", expected="a file that ends in .parquet", actual=str(out)
        )
    if isinstance(source, str | os.PathLike) and (
        tables := _table_files(user_path(source), target)
    ):
        work: _Work = _TableWork.of(model, tables, class_names, batch_size, threshold)
    else:
        if threshold is not None:
            raise EvaluationError(
                Text(
                    Option("threshold"),
                    " only applies to tables; a file of images has the best classes.",
                ),
                Text("Leave out ", Option("threshold"), " and filter the probabilities."),
            )
        options = {"top": top, "class_names": class_names, "scaling": scaling}
        work = _ImageWork.of(model, source, **options, batch_size=batch_size)
    name = name or str(getattr(model, "name", ""))
    if on is not None:
        connect(on).require_files([work.files[0], work.files[-1]])
    parts = _Parts(target.with_name(target.name + ".parts"), work, model, fresh=fresh)
    began, done = time.monotonic(), parts.done()
    earlier = sum(map(work.size, done))
    numbers = [number for number in range(work.count) if number not in done]
    is_interrupted = False
    with Progress(work.total, f"{work.unit}s") as progress:
        progress.advance(earlier)
        results = predict_parts(model, work, numbers, on=on, cpus=cpus, gpus=gpus)
        try:
            for number, frame in results:
                parts.write(number, frame)
                progress.advance(work.size(number))
        except KeyboardInterrupt:
            is_interrupted = True
    seconds = time.monotonic() - began
    if is_interrupted:
        count = sum(map(work.size, parts.done()))
        return PredictionFile(
            target, name, work.unit, count, work.total, seconds=seconds, earlier=earlier
        )
    summary = parts.join(target)
    return PredictionFile(
        target,
        name,
        work.unit,
        work.total,
        work.total,
        dict(summary.counts.most_common()),
        summary.unreadable,
        summary.wrong if summary.is_known else None,
        seconds,
        earlier,
        work.note,
    )


def _import_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise EvaluationError(
            "Files of predictions need pyarrow, which is not installed.",
            'Run `%pip install "kmagic[data]"`.',
        ) from error


# --- what a part is -------------------------------------------------------------------------------


class _Work(PartWork):
    """The parts of a source.

    Attributes:
        files: The files of the source.
        unit: What is predicted.
    """

    files: Sequence[Path]
    unit: str

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of parts."""

    @property
    @abstractmethod
    def total(self) -> int:
        """The number of images or rows."""

    @abstractmethod
    def size(self, number: int) -> int:
        """The number of images or rows of a part."""

    @property
    def note(self) -> str | Text:
        """What the user should know about the preparation."""
        return ""

    @abstractmethod
    def options(self) -> list[Any]:
        """What the predictions depend on, besides the files and the model."""


@dataclass(frozen=True)
class _ImageWork(_Work):
    files: Sequence[Path]
    names: Sequence[str]
    true: Sequence[str]
    top: int
    class_names: tuple[str, ...] | None
    scaling: Any
    batch_size: int
    effect: str = ""
    """A digest of what the scaling does."""
    unit: str = "image"
    note: str | Text = ""

    @classmethod
    def of(
        cls,
        model: Any,
        source: Any,
        *,
        top: int,
        class_names: ClassNames | None,
        scaling: Any,
        batch_size: int | None,
    ) -> _ImageWork:
        sources = list_images(source, sample_shape(model))
        for image in sources:
            if isinstance(image.image, EvaluationError):
                raise image.image
            if not isinstance(image.image, str | os.PathLike):
                raise EvaluationError(
                    option="source",
                    expected="a folder or a pattern of images, or a .parquet table",
                    actual=Text(type(source).__name__),
                )
            if not Path(image.image).exists():
                raise DataError(f"There is no file {image.name}.")
        if class_names is None:
            application = None if dataset_for(model) is not None else recognize_application(model)
            known = getattr(dataset_for(model), "classes", None)
            names = application.classes() if application is not None else known
        else:
            names = parse_class_names(class_names)[1]
        is_known = dataset_for(model) is not None or getattr(model, "loss", None)
        is_multilabel = bool(getattr(dataset_for(model), "is_multilabel", False))
        output = np.zeros((1, 2))
        if (
            names is None
            and is_known
            and output_kind_of(model, output, dataset_for(model)).kind == "values"
        ):
            raise EvaluationError(
                Text(model_phrase(model), " returns values, and a file for images has classes."),
                Text("If they are scores of classes, name these: ", Option("class_names"), "."),
            )
        work = cls(
            [Path(image.image).absolute() for image in sources],
            [image.name for image in sources],
            [] if is_multilabel else _true_classes(sources, names or ()),
            top,
            None if names is None else tuple(names),
            scaling,
            batch_size or 32,
            _effect_of(model, scaling),
        )
        # Reports what does not fit, before any part begins.
        return replace(work, note=work.classify(model, slice(0, 1)).note_text)

    @property
    def count(self) -> int:
        return -(-self.total // IMAGES)

    @property
    def total(self) -> int:
        return len(self.files)

    def size(self, number: int) -> int:
        return min(IMAGES, self.total - number * IMAGES)

    def options(self) -> list[Any]:
        return [self.top, self.class_names, self.effect]

    def __call__(self, model: Any, number: int) -> pd.DataFrame:
        """The classes of the images of a part."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        images = slice(number * IMAGES, (number + 1) * IMAGES)
        names, result = self.names[images], self.classify(model, images)
        if len(result) < len(names):
            raise KeyboardInterrupt  # it has ended the part early
        rows: list[tuple[Any, ...]] = [
            (name, rank, best.label, best.probability, image.true_class, None)
            for name, image in zip(names, result, strict=True)
            for rank, best in enumerate(image.top_classes, start=1)
        ]
        rows += [
            (name, None, None, None, None, image.error)
            for name, image in zip(names, result, strict=True)
            if image.error
        ]
        frame = pd.DataFrame(rows, columns=[*_TYPES, "true", _UNREADABLE])
        frame["true"] = frame["true"].map(lambda true: true.label, na_action="ignore")
        frame = frame.astype(_TYPES | {"true": "string", _UNREADABLE: "string"})
        return frame if self.true else frame.drop(columns="true")

    def first(self, model: Any) -> NDArray[Any]:
        """The probabilities of the best classes of the first images."""
        result = self.classify(model, slice(FIRST))
        if len(result) < len(self.names[:FIRST]):
            raise KeyboardInterrupt  # it has ended early
        best = (sorted(image.top_classes, key=lambda best: best.index) for image in result)
        return np.array([each.probability for classes in best for each in classes])

    def classify(self, model: Any, images: slice) -> Classification:
        """The classes of some images."""
        files = [str(file) for file in self.files[images]]
        result, _ = classify_readable(
            files,
            model,
            top=self.top,
            class_names=self.class_names,
            y_true=list(self.true[images]) or [""] * len(files),
            scaling=self.scaling,
            batch_size=self.batch_size,
            progress=lambda count: Progress(count, open_view=lambda: None),
        )
        return result


def _effect_of(model: Any, scaling: Any) -> str:
    """A digest of what a scaling does with pixels; a function has no value to compare."""
    images = ImagePreprocessor.for_model(model, None, None, scaling)
    if images.scale is None:
        return ""
    shape = [side or 16 for side in images.shape or (16, 16, 1)]
    pixels = np.resize(np.arange(256, dtype=np.float32), [1, *shape])
    return hashlib.sha256(np.asarray(images.scale(pixels)).tobytes()).hexdigest()


def _true_classes(sources: Sequence[ImageSource], names: Sequence[str]) -> list[str]:
    """The class of each image, if the folders of all are names of classes."""
    by_folder = {folder_key(name): name for name in names}
    known = [by_folder.get(folder_key(source.folder), "") for source in sources]
    return known if all(known) else []


@dataclass(frozen=True)
class _TableWork(_Work):
    files: Sequence[Path]
    groups: Sequence[tuple[Path, int, int]]
    """File, row group and number of rows of each part."""
    batch_size: int | None
    kind: OutputKind
    """What the output of the model means, from its first rows."""
    is_scaled: bool
    """Whether the columns are already scaled like the training data, likewise."""
    unit: str = "row"

    @classmethod
    def of(
        cls,
        model: Any,
        files: Sequence[Path],
        class_names: ClassNames | None,
        batch_size: int | None,
        threshold: Thresholds,
    ) -> _TableWork:
        from pyarrow import ArrowInvalid  # noqa: PLC0415 - an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - an extra

        groups = []
        for file in files:
            try:
                metadata = ParquetFile(file).metadata
            except ArrowInvalid as error:
                raise DataError(f"{show_path(file)} is not a parquet file: {error}.") from error
            groups += [
                (file, group, metadata.row_group(group).num_rows)
                for group in range(metadata.num_row_groups)
                if metadata.row_group(group).num_rows
            ]
        if not groups:
            raise DataError(f"{show_path(files[0])} has no rows.")
        data = dataset_for(model)
        preparation: Any = getattr(data, "preparation", None)
        if getattr(preparation, "windowing", None) is not None:
            raise EvaluationError(
                "Windows of rows cannot be predicted into a file.",
                Text("Pass the rows to ", Function("predict"), "."),
            )
        first = next(cls._frames(groups[0]))
        is_scaled = False
        if getattr(preparation, "columns", None) is not None and preparation.scaling.kind != "none":
            is_scaled = detect_raw(data, preparation.columns.apply(first)) == "prepared"
        names = None if class_names is None else parse_class_names(class_names)[1]
        x = _prepare_rows(model, first, is_scaled=is_scaled)
        # Reports what does not fit, before any part begins.
        rows = predict_in_batches(model, x, batch_size=batch_size)
        kind = with_thresholds(output_kind_of(model, rows, data, names), threshold, rows, model)
        return cls(files, groups, batch_size, kind, is_scaled)

    @property
    def count(self) -> int:
        return len(self.groups)

    @property
    def total(self) -> int:
        return sum(rows for *_, rows in self.groups)

    def size(self, number: int) -> int:
        return self.groups[number][2]

    @property
    def note(self) -> str:
        return SCALED_FRAME if self.is_scaled else ""

    def options(self) -> list[Any]:
        return [repr(self.kind), self.is_scaled]

    @staticmethod
    def _frames(group: tuple[Path, int, int]) -> Iterator[pd.DataFrame]:
        """The rows of a part, some at a time."""
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - an extra

        path, number, _ = group
        for batch in ParquetFile(path).iter_batches(TABLE_ROWS, row_groups=[number]):
            yield batch.to_pandas()

    def first(self, model: Any) -> NDArray[Any]:
        """The output for the first rows."""
        rows = next(self._frames(self.groups[0]))[:FIRST]
        x = _prepare_rows(model, rows, is_scaled=self.is_scaled)
        return np.ravel(predict_in_batches(model, x))

    def __call__(self, model: Any, number: int) -> pd.DataFrame:
        """The predictions of the rows of a part."""
        parts = [
            _prepare_rows(model, f, is_scaled=self.is_scaled)
            for f in self._frames(self.groups[number])
        ]
        rows = [predict_in_batches(model, part, batch_size=self.batch_size) for part in parts]
        data = dataset_for(model)
        target, targets = getattr(data, "target", ""), tuple(getattr(data, "targets", ()))
        info = PredictionInfo("", self.kind, None, (), None, str(target), targets)
        output = np.concatenate(rows)
        if output.dtype.kind not in "biuf":  # bfloat16, which parquet does not know
            output = output.astype(np.float32)
        return Predictions(output, info).to_frame()


def _prepare_rows(model: Any, frame: pd.DataFrame, *, is_scaled: bool) -> Any:
    """Rows of a table as the model takes them; whether they are scaled is known."""
    preparation: Any = getattr(dataset_for(model), "preparation", None)
    if getattr(preparation, "columns", None) is None:
        return model_inputs_for(model, frame).x
    numbers = preparation.columns.apply(frame)
    if not is_scaled:
        numbers = preparation.scaling.apply(numbers)
    return preparation.reshape(numbers)


def _table_files(path: Path, target: Path) -> list[Path]:
    """The files of a table, without that of its predictions; empty for anything else."""
    path, target = path.absolute(), target.absolute()
    if not path.exists() and not glob.has_magic(str(path)):
        near = nearest_path(path)
        remedy = f"Did you mean {show_path(near)}?" if near else ""
        raise DataError(f"There is no file or folder {show_path(path)}.", remedy)
    if path.suffix.lower() in (".csv", ".tsv"):
        raise DataError(
            f"{show_path(path)} cannot be predicted part by part.",
            "Convert it: pandas.read_csv(path).to_parquet(...), in pieces with chunksize if it is "
            "large.",
        )
    if path.is_dir():
        files = sorted(path.glob(f"*{SUFFIX}"), key=natural_sort_key)
        return [file for file in files if file != target]
    if path == target:
        raise EvaluationError(
            option="out", expected="another file than the table", actual=str(target)
        )
    return [path] if path.suffix == SUFFIX and path.is_file() else []


# --- what is written ------------------------------------------------------------------------------


class _Parts:
    """The folder of the parts that are done.

    Args:
        folder: The folder.
        work: What is predicted.
        model: By which model.
        fresh: Whether to remove what an earlier call left.

    Raises:
        EvaluationError: The folder belongs to another call.
    """

    def __init__(self, folder: Path, work: _Work, model: Any, *, fresh: bool) -> None:
        self._folder = folder
        digest = hashlib.sha256()
        for weights in model.get_weights() if hasattr(model, "get_weights") else ():
            digest.update(weights.tobytes())
        for file in work.files:
            details = file.stat()
            digest.update(repr((str(file), details.st_size, details.st_mtime_ns)).encode())
        preparation = getattr(dataset_for(model), "preparation", None)
        config = None if preparation is None else preparation.get_config()
        digest.update(json.dumps([work.options(), config], default=str).encode())
        first = repeatable(lambda: work.first(model))
        output = [] if first is None else first.astype(np.float64).tolist()
        identity, file = [digest.hexdigest(), output], folder / "identity.json"
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if not file.exists():  # it was being removed
            for number in self.done():
                (folder / f"{number}{SUFFIX}").unlink()
        if file.exists() and not _is_same(json.loads(file.read_text()), identity):
            raise EvaluationError(
                f"{show_path(folder)} contains parts of other predictions: of another model, "
                "other files or other options.",
                Text("Remove them with ", Option("fresh", value=True), ", or use another file."),
            )
        with atomic_write(file, "", force=True) as part:
            part.write_text(json.dumps(identity))

    def done(self) -> set[int]:
        """The numbers of the parts that are written."""
        names = (path.stem for path in self._folder.glob(f"*{SUFFIX}"))
        return {int(name) for name in names if name.isdecimal()}

    def write(self, number: int, frame: pd.DataFrame) -> None:
        """Write a part, as a whole or not at all."""
        with atomic_write(self._folder / f"{number}{SUFFIX}", SUFFIX, force=True) as part:
            frame.to_parquet(part, index=False)

    def join(self, target: Path) -> _Summary:
        """Write all parts into one file, in their order, and remove them."""
        from pyarrow import parquet  # noqa: PLC0415 - an extra

        summary = _Summary()
        numbers = sorted(self.done())
        schema = parquet.read_schema(self._folder / f"{numbers[0]}{SUFFIX}")
        with (
            atomic_write(target, SUFFIX, force=True) as path,
            parquet.ParquetWriter(path, schema) as file,
        ):
            for number in numbers:
                table = parquet.read_table(self._folder / f"{number}{SUFFIX}")
                file.write_table(table.cast(schema))
                summary.add(table.to_pandas())
        shutil.rmtree(self._folder)
        return summary


def _is_same(known: list[Any], identity: list[Any]) -> bool:
    (digest, output), (own_digest, own_output) = known, identity
    return digest == own_digest and is_same_output(np.array(output), np.array(own_output))


@dataclass
class _Summary:
    """What is counted while the parts are joined."""

    counts: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    wrong: int = 0
    is_known: bool = False

    def add(self, frame: pd.DataFrame) -> None:
        """Count a part."""
        if "rank" in frame:
            self.unreadable += int(frame[_UNREADABLE].notna().sum())
            frame = frame[frame["rank"] == 1]
        column = next((name for name in _CLASS if name in frame), None)
        if column is not None:
            self.counts.update(frame[column].astype(str))
        if "true" in frame:
            self.is_known = True
            self.wrong += int((frame["label"] != frame["true"]).sum())
