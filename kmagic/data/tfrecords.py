"""TFRecord files of ``tf.train.Example``: their features as columns of a table, or as images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from kmagic.data.images.image_reader import read_image
from kmagic.data.load_options import LoadOptions
from kmagic.data.time_order import looks_like_date
from kmagic.support.disk_arrays import CHUNK_BYTES
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.formatting import list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import Option, Text
from kmagic.support.progress import Progress

SAMPLED_RECORDS = 20  # that show what the features are
FRAME, HEADER = 16, 12  # bytes around a record, and before it
VALUE_BYTES = 32  # of memory that a value takes, roughly
_KINDS = {"int64_list": "int64", "float_list": "float32", "bytes_list": "bytes"}


@dataclass(frozen=True, slots=True)
class RecordImage:
    """An image in a record of a file.

    Attributes:
        path: The file.
        number: Number of the record, from 0.
        start: Where the record begins.
        length: Number of its bytes.
        feature: The feature that is the image.
    """

    path: Path
    number: int
    start: int
    length: int
    feature: str

    def read(self) -> bytes:
        """The image, encoded as JPEG, PNG or in another format."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            example = _parse(stream.read(self.length), self.path, self.number)
        return bytes(example[self.feature].bytes_list.value[0])

    def __str__(self) -> str:
        return f"{show_path(self.path)}, record {self.number:,}"


def image_feature(path: Path, options: LoadOptions) -> str:
    """The feature that is an image in each of the first records; "" if there is none."""
    examples = [example for _, example in islice(_records(path), SAMPLED_RECORDS)]
    names = sorted({name for example in examples for name in example})
    found = [
        name
        for name in names
        if not _is_left_out(name, options)
        and all(name in example and _is_image(example[name]) for example in examples)
    ]
    if len(found) > 1:
        raise DataError(
            f"{show_path(path)} has several features that are images: {list_names(found)}.",
            Text("Choose one: ", Option("features", found[0]), "."),
        )
    return found[0] if found else ""


def list_record_images(
    paths: Sequence[Path], feature: str, target: str
) -> tuple[list[RecordImage], list[Any]]:
    """The images in files, which are not read yet, and the targets.

    Raises:
        DataError: A record has no image, or no target.
    """
    images, targets = [], []
    size = sum(path.stat().st_size for path in paths)
    with Progress(size, "bytes") as progress:
        for path in paths:
            for number, ((start, length), example) in enumerate(_records(path)):
                for name in (feature, target):
                    if name not in example:
                        raise DataError(
                            f"Record {number:,} of {show_path(path)} has no feature {name}; it has "
                            f"{list_names(sorted(example))}.",
                        )
                values = _values(example[target])
                if len(values) != 1:
                    raise DataError(
                        f"The target {target} must have one value in each record; record "
                        f"{number:,} of {show_path(path)} has {len(values):,}."
                    )
                images.append(RecordImage(path, number, start, length, feature))
                targets.append(_to_text(values[0], target, path))
                progress.advance(length + FRAME)
    return images, targets


def feature_names(path: Path) -> list[str]:
    """The names of the features of the first record."""
    return sorted(name for _, example in islice(_records(path), 1) for name in example)


def read_records(path: Path, options: LoadOptions) -> Iterator[pd.DataFrame]:
    """The features as columns, some megabytes at a time.

    A feature of several values becomes as many columns, ``name_0``, ``name_1`` and so on.
    """
    names: dict[str, tuple[str, int]] = {}
    for _, example in islice(_records(path), SAMPLED_RECORDS):
        for name, feature in sorted(example.items()):
            if name in (options.drop or ()):
                names[name] = "", 1  # an empty column, which is dropped later
            elif (values := _values(feature)) and (
                not _is_left_out(name, options) or _may_be_date(values, options)
            ):
                names.setdefault(name, (feature.WhichOneof("kind"), len(values)))
    columns: list[str] = []
    for name, (_, count) in names.items():
        columns += [name] if count == 1 else [f"{name}_{index}" for index in range(count)]
    size = max(1, CHUNK_BYTES // (VALUE_BYTES * max(1, len(columns))))
    rows: list[list[Any]] = []
    known = set(names)
    for number, (_, example) in enumerate(_records(path)):
        for name in set(example) - known:
            if _is_left_out(name, options):
                known.add(name)
            elif _values(example[name]):
                left_out = (options.target, *(options.drop or ()))
                others = ",".join(column for column in columns if column not in left_out)
                raise DataError(
                    f"Feature {name} appears first in record {number:,} of {show_path(path)}.",
                    Text(
                        "Write a record that has it first, or select the others: ",
                        Option("features", others),
                        ".",
                    ),
                )
        row: list[Any] = []
        for name, (kind, count) in names.items():
            values = _values(example[name]) if kind and name in example else []
            if values and (example[name].WhichOneof("kind"), len(values)) != (kind, count):
                found = _KINDS[example[name].WhichOneof("kind")]
                raise DataError(
                    f"Feature {name} has {len(values):,} values of {found} in record {number:,} of "
                    f"{show_path(path)}, but {count:,} of {_KINDS[kind]} in the first records.",
                    Text("Leave it out: ", Option("drop", name), "."),
                )
            row += [_to_text(value, name, path) for value in values] or [None] * count
        rows.append(row)
        if len(rows) == size:
            yield pd.DataFrame(rows, columns=columns)
            rows = []
    if rows or not names:
        yield pd.DataFrame(rows, columns=columns)


def _records(path: Path) -> Iterator[tuple[tuple[int, int], Any]]:
    """Where each record is, and its features."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    start = HEADER
    try:
        for number, raw in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            yield (start, len(raw)), _parse(raw, path, number)
            start += len(raw) + FRAME
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise DataError(
            f"{show_path(path)} is not a TFRecord file, or is damaged, at byte {start - HEADER:,}.",
            "Write it again with tf.io.TFRecordWriter, without compression.",
        ) from error
    except tf.errors.OpError as error:
        raise DataError(f"{show_path(path)} cannot be read: {error.message}.") from error


def _parse(raw: bytes, path: Path, number: int) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    try:
        return tf.train.Example.FromString(raw).features.feature
    except Exception as error:  # a DecodeError of protobuf, whose version TensorFlow chooses
        raise DataError(
            f"Record {number:,} of {show_path(path)} is not a tf.train.Example.",
            "Read the file with tf.data.TFRecordDataset, and pass the dataset.",
        ) from error


def _is_left_out(name: str, options: LoadOptions) -> bool:
    if options.features:
        wanted = map(str, (*options.features, options.target, options.by))
        column = re.compile(rf"{re.escape(name)}(_\d+)?")  # of a feature of several values
        return not any(map(column.fullmatch, wanted))
    return name in (options.drop or ())


def _may_be_date(values: Sequence[Any], options: LoadOptions) -> bool:
    """Whether the rows may be sorted by a feature."""
    is_sorted = options.chronological or options.window is not None
    first = values[0]
    is_date = isinstance(first, int) or (
        isinstance(first, bytes) and looks_like_date(first.decode(errors="replace"))
    )
    return is_sorted and len(values) == 1 and is_date


def _values(feature: Any) -> Sequence[Any]:
    kind = feature.WhichOneof("kind")
    values: Sequence[Any] = getattr(feature, kind).value if kind else ()
    return values


def _is_image(feature: Any) -> bool:
    values = feature.bytes_list.value
    if len(values) != 1:
        return False
    try:
        read_image(bytes(values[0]), "")
    except EvaluationError:
        return False
    return True


def _to_text(value: Any, feature: str, path: Path) -> Any:
    """A value; bytes as text."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"Feature {feature} of {show_path(path)} contains bytes that are neither a text in "
            "UTF-8 nor an image.",
            Text("Leave it out: ", Option("drop", feature), "."),
        ) from error
