"""Keras's data sets by their names: its own loaders, and our samples where there is no network."""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data import dataset_cache
from kmagic.data.assemble import Raw, finish, padded
from kmagic.data.known_datasets import KNOWN_DATASETS
from kmagic.data.load_options import check_kind
from kmagic.data.preparation.columns import Column, Columns
from kmagic.data.split import train_test_indices
from kmagic.data.word_index import words_of
from kmagic.support.downloads import download_remedy, path_of, short_download_remedy
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.keras_import import load_keras
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.dataset import Dataset
    from kmagic.data.known_datasets import KnownDataset
    from kmagic.data.load_options import Options

_KINDS = {"pictures": "pictures", "table": "a table of numbers", "text": "texts"}


class SampleDataWarning(UserWarning):
    """A bundled sample stands in for a data set that cannot be had now."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a loader gave, before any preparation."""

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    source: str
    note: str = ""


def load_named(name: str, options: Options) -> Dataset:
    """One of Keras's data sets.

    Args:
        name: A name of the catalogue.
        options: What was asked for.

    Raises:
        DataError: An option makes no sense for it, or it cannot be had or read.
    """
    entry = KNOWN_DATASETS[name]
    _check(entry, options)
    return finish(_prepare(entry, _read(entry, options), options), options)


def _check(entry: KnownDataset, options: Options) -> None:
    """Refuse what makes no sense for the set, before anything is loaded."""
    check_kind(options, entry.kind, entry.name, _KINDS[entry.kind], own=False)
    if options.onehot and entry.classes is None:
        raise DataError(
            f"onehot is for classes; {entry.name} has numbers to predict.", "Leave onehot out."
        )
    _kept_columns(entry, options)


def _kept_columns(entry: KnownDataset, options: Options) -> list[int] | None:
    """Places of the columns to be taken; None for all."""
    chosen = options.features or options.drop
    if chosen is None:
        return None
    columns = entry.columns or ()
    unknown = [str(each) for each in chosen if each not in columns]
    if unknown:
        known = f"Its columns: {', '.join(columns)}."
        raise DataError(
            f"{entry.name} has no column {unknown[0]}.",
            f"{did_you_mean(unknown[0], columns)} {known}".strip(),
        )
    if options.features:
        return [columns.index(each) for each in chosen]
    kept = [place for place, each in enumerate(columns) if each not in chosen]
    if not kept:
        raise DataError(f"drop leaves no column of {entry.name}.")
    return kept


def _read(entry: KnownDataset, options: Options) -> _Read:
    """The set by Keras's loader or, where it cannot be had, the sample."""
    if entry.brought:
        _bring(entry)
    try:
        return _by_keras(entry, options)
    except dataset_cache.NotHereError as absent:
        if entry.sample:
            return _sample(entry, absent)
        raise DataError(
            f"{entry.name} cannot be loaded: {absent}.", download_remedy(entry.files)
        ) from absent


def _by_keras(entry: KnownDataset, options: Options) -> _Read:
    keywords: dict[str, Any] = {}
    if entry.kind == "text":
        keywords = {"num_words": options.num_words, "maxlen": options.maxlen}

    def load() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        load_keras()
        module = import_module("keras.datasets")
        parts: tuple[tuple[Any, Any], tuple[Any, Any]] = getattr(module, entry.name).load_data(
            **keywords
        )
        return parts

    (x_train, y_train), (x_test, y_test) = dataset_cache.load_through_keras(entry.files, load)
    source = f"Keras's cache, {show_path(path_of(entry.files[0]).parent)}"
    return _Read(x_train, y_train, x_test, y_test, source)


def _bring(entry: KnownDataset) -> None:
    """Put the file that the package brings where Keras would put it after fetching it."""
    path = path_of(entry.files[0])
    if path.exists():
        return
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("kmagic.data").joinpath("samples", entry.brought)) as own:
            shutil.copyfile(own, half)
        half.replace(path)
    except OSError:
        # Keras then fetches it itself, or says why the folder will not do.
        half.unlink(missing_ok=True)


def _sample(entry: KnownDataset, absent: dataset_cache.NotHereError) -> _Read:
    with (
        as_file(files("kmagic.data").joinpath("samples", entry.sample)) as own,
        np.load(own, allow_pickle=False) as part,
    ):
        raw = _Read(
            part["x_train"],
            part["y_train"],
            part["x_test"],
            part["y_test"],
            "the sample that kmagic brings",
        )
    rows = len(raw.x_train) + len(raw.x_test)
    todo = short_download_remedy(entry.files)
    note = f"Only a sample of {rows:,} real rows: {absent}. {todo}"
    warnings.warn(f"{entry.name}: {note}", SampleDataWarning, stacklevel=5)
    return _Read(raw.x_train, raw.y_train, raw.x_test, raw.y_test, raw.source, note)


def _prepare(entry: KnownDataset, read: _Read, options: Options) -> Raw:
    """Choose columns, pad and divide what was read."""
    y_train, y_test = np.ravel(read.y_train), np.ravel(read.y_test)
    x_train, x_test = read.x_train, read.x_test
    encoding, lacking = None, ""
    if entry.kind == "text":
        x_train, x_test = padded(x_train, options), padded(x_test, options)
        encoding, lacking = words_of(entry.name, options.text)
    kept = _kept_columns(entry, options)
    columns = entry.columns
    if kept is not None and columns is not None:
        x_train, x_test = x_train[:, kept], x_test[:, kept]
        columns = tuple(columns[place] for place in kept)
    if options.split is not None:
        x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
        labels = None if entry.classes is None else y
        train, test = train_test_indices(len(x), options.split, options.seed, labels)
        x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]
    return Raw(
        name=entry.name,
        kind=entry.kind,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=entry.classes,
        source=read.source,
        note=_note(entry, read, options, columns),
        encoding=encoding,
        lacking=lacking,
        title=entry.title,
        columns=columns,
        target=entry.target,
        features=None if columns is None else Columns(tuple(map(Column, columns))),
    )


def _note(
    entry: KnownDataset, read: _Read, options: Options, columns: tuple[str, ...] | None
) -> str:
    notes = [read.note]
    if entry.contested is None or entry.contested in (columns or ()):
        notes.append(entry.remark)
    if options.maxlen is not None:
        notes.append(f"Texts of {options.maxlen:,} words or more are left out (maxlen).")
    return " ".join(filter(None, notes))
