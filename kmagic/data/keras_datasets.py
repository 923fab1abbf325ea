"""Keras's data sets by name: its own loaders, or a bundled sample where there is no network."""

from __future__ import annotations

import os
import shutil
import warnings
from importlib import import_module
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data import dataset_cache
from kmagic.data.assemble import apply_options, onehot_error, pad_rows
from kmagic.data.dataset import Dataset
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.data.load_options import check_applies
from kmagic.data.preparation.columns import Columns, TableColumn
from kmagic.data.split import train_test_indices
from kmagic.data.word_index import load_keras_encoding
from kmagic.support.downloads import download_remedy, path_of, short_download_remedy
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.keras_import import load_keras
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.data.known_datasets import KnownDataset
    from kmagic.data.load_options import LoadOptions

_DESCRIPTIONS = {
    "images": "contains images",
    "table": "is a table of numbers",
    "text": "contains text",
}


class SampleDataWarning(UserWarning):
    """A bundled sample replaces a data set that is not available now."""


def load_keras_dataset(name: str, options: LoadOptions) -> Dataset:
    """Load one of Keras's data sets."""
    known = KNOWN_DATASETS[name]
    check_applies(options, known.kind, name, _DESCRIPTIONS[known.kind], own_data=False)
    if options.onehot and known.classes is None:
        raise onehot_error(name)
    selected = _select_columns(known, options)  # which may fail, before anything is loaded
    parts, source, notes = _load_parts(known, options)
    x_train, x_test = parts[0], parts[2]
    y_train, y_test = np.ravel(parts[1]), np.ravel(parts[3])
    encoding, encoding_problem, columns = None, "", known.columns
    if known.kind == "text":
        x_train, x_test = pad_rows(x_train, options), pad_rows(x_test, options)
        encoding, encoding_problem = load_keras_encoding(name, options)
    if selected is not None and columns is not None:
        x_train, x_test = x_train[:, selected], x_test[:, selected]
        columns = tuple(columns[index] for index in selected)
    if options.split is not None:
        x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
        labels = None if known.classes is None else y
        train, test = train_test_indices(len(x), options.split, options.seed, labels)
        x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]
    if known.remark_column is None or known.remark_column in (columns or ()):
        notes.append(known.remark)
    if options.maxlen is not None:
        notes.append(
            Text(f"Texts of {options.maxlen:,} words or more are left out (", _MAXLEN, ").")
        )
    data = Dataset(
        name=name,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=known.classes,
        note_text=Text.join(" ", filter(None, notes)),
        source=source,
        title=known.title,
        columns=columns,
        target=known.target,
        image_shape=x_train.shape[1:] if known.kind == "images" else None,
        encoding=encoding,
        features=None if columns is None else Columns(tuple(map(TableColumn, columns))),
        encoding_problem=encoding_problem,
    )
    return apply_options(data, options)


_MAXLEN = Option("maxlen")


def _select_columns(known: KnownDataset, options: LoadOptions) -> list[int] | None:
    """Indices of the selected columns; None for all."""
    listed = options.features or options.drop
    if listed is None:
        return None
    columns = known.columns or ()
    unknown = [str(name) for name in listed if name not in columns]
    if unknown:
        available = f"Available: {', '.join(columns)}."
        raise DataError(
            f"{known.name} has no column {unknown[0]}.",
            f"{did_you_mean(unknown[0], columns)} {available}".strip(),
        )
    if options.features:
        return [columns.index(name) for name in listed]
    selected = [index for index, name in enumerate(columns) if name not in listed]
    if not selected:
        raise DataError(Text(Option("drop"), f" leaves no column of {known.name}."))
    return selected


def _load_parts(
    known: KnownDataset, options: LoadOptions
) -> tuple[Sequence[NDArray[Any]], str, list[str | Text]]:
    """x_train, y_train, x_test and y_test, where they are from, and notes."""
    if known.bundled:
        _copy_to_cache(known)

    def load() -> Any:
        load_keras()
        module = getattr(import_module("keras.datasets"), known.name)
        if known.kind == "text":
            return module.load_data(num_words=options.num_words, maxlen=options.maxlen)
        return module.load_data()

    try:
        (x_train, y_train), (x_test, y_test) = dataset_cache.load_through_keras(known.files, load)
    except dataset_cache.NotCachedError as error:
        if known.sample:
            return _load_sample(known, str(error))
        raise DataError(
            f"{known.name} cannot be loaded: {error}.", download_remedy(known.files)
        ) from error
    source = f"Keras's cache, {show_path(path_of(known.files[0]).parent)}"
    return (x_train, y_train, x_test, y_test), source, []


def _copy_to_cache(known: KnownDataset) -> None:
    """Put the bundled file where Keras would download it to."""
    path = path_of(known.files[0])
    if path.exists():
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("kmagic.data").joinpath("samples", known.bundled)) as bundled:
            shutil.copyfile(bundled, partial)
        partial.replace(path)
    except OSError:
        # Keras then downloads it itself, or says what is wrong with the folder.
        partial.unlink(missing_ok=True)


def _load_sample(
    known: KnownDataset, reason: str
) -> tuple[Sequence[NDArray[Any]], str, list[str | Text]]:
    with (
        as_file(files("kmagic.data").joinpath("samples", known.sample)) as path,
        np.load(path, allow_pickle=False) as sample,
    ):
        parts = [sample[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    rows = len(parts[0]) + len(parts[2])
    note = f"Only a sample of {rows:,} real rows: {reason}. {short_download_remedy(known.files)}"
    warnings.warn(f"{known.name}: {note}", SampleDataWarning, stacklevel=5)
    return parts, "the sample bundled with kmagic", [note]
