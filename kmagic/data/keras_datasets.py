"""Keras's datasets by name, or a bundled sample where there is no network; word indices."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kmagic.data.assemble import Parts, apply_options, join_notes, train_test_indices
from kmagic.data.dataset import Dataset
from kmagic.data.known_datasets import KNOWN_DATASETS, KnownDataset
from kmagic.data.load_options import (
    DEFAULT_SPLIT,
    ONLY_FOR_OWN_DATA,
    LoadOptions,
    check_applies,
    inapplicable,
    reject_options,
)
from kmagic.data.paths import existing_path
from kmagic.data.preparation.columns import Columns, TableColumn
from kmagic.data.preparation.text_encoding import TextEncoding, from_word_index
from kmagic.support.caller_names import warn_caller
from kmagic.support.downloads import (
    UNREADABLE_REMEDY,
    CachedFile,
    DownloadError,
    check_reachable,
    download_remedy,
    missing_files_message,
    path_of,
    quick_failure,
    short_download_remedy,
)
from kmagic.support.errors import DataError, KmagicError
from kmagic.support.keras_cache import backup_file, sha256_of, show_path
from kmagic.support.keras_import import load_keras
from kmagic.support.messages import Option, Text
from kmagic.support.parsed_json import parse_json
from kmagic.support.suggestions import did_you_mean

T = TypeVar("T")
KERAS_SPLIT_SEED = 113  # of its loader of Boston housing
KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
WORD_INDEX_FILES = {
    name: CachedFile(f"{name}_word_index.json", f"{KERAS_URL}{name}_word_index.json")
    for name in ("imdb", "reuters")
}


class NotCachedError(Exception):
    """A dataset is not in the cache and cannot be downloaded now; the message says why."""


class SampleDataWarning(UserWarning):
    """A bundled sample replaces a dataset that is not available now."""


def load_keras_dataset(name: str, options: LoadOptions) -> Dataset:
    """Load one of Keras's datasets."""
    known = KNOWN_DATASETS[name]
    contents = "is a table of numbers" if known.kind == "table" else f"contains {known.kind}"
    check_applies(options, known.kind, f"{name} {contents}")
    reject_options(options, ONLY_FOR_OWN_DATA, f"your own data; {name} is one of Keras's datasets")
    if options.onehot and known.classes is None:
        reason = f"classes, but {name} has numbers to predict"
        raise inapplicable("onehot", reason, value=True)
    columns = _select_columns(known, options)  # which may fail, before anything is loaded
    split, source, note = _load_parts(known, options)
    encoding, encoding_problem = None, ""
    if known.kind == "text":
        split = split.convert(options.pad)
        encoding, encoding_problem = load_keras_encoding(name, options)
    if columns != known.columns:
        selected = [known.columns.index(column) for column in columns]
        split = split.convert(lambda x: x[:, selected])
    if options.split is not None:
        x = np.concatenate([split.x_train, split.x_test])
        y = np.concatenate([split.y_train, split.y_test])
        labels = None if known.classes is None else y
        train, test = train_test_indices(len(x), options.split, options.seed, labels)
        split = Parts(x[train], y[train], x[test], y[test])
    remark, length_note = Text(), Text()
    if known.remark_column in columns:
        leave_out = Option("drop", known.remark_column)
        remark = Text(known.remark, " Leave it out (", leave_out, ") unless that is the lesson.")
    if options.maxlen is not None:
        long_texts = f"Texts of {options.maxlen:,} words or more are left out ("
        length_note = Text(long_texts, Option("maxlen"), ").")
    data = Dataset(
        name,
        *split,
        known.classes,
        note_text=join_notes(note, remark, length_note),
        source=source,
        title=known.title,
        columns=columns or None,
        target=known.target,
        image_shape=split.x_train.shape[1:] if known.kind == "images" else None,
        encoding=encoding,
        features=Columns(tuple(map(TableColumn, columns))) if columns else None,
        encoding_problem=encoding_problem,
    )
    return apply_options(data, options)


def _select_columns(known: KnownDataset, options: LoadOptions) -> tuple[str, ...]:
    columns, listed = known.columns, options.features or options.drop or ()
    unknown = [str(name) for name in listed if name not in columns]
    if unknown:
        available = f"Available: {', '.join(columns)}."
        raise DataError(
            f"{known.name} has no column {unknown[0]}.",
            f"{did_you_mean(unknown[0], columns)} {available}".strip(),
        )
    selected = options.features or tuple(name for name in columns if name not in listed)
    if columns and not selected:
        raise DataError(Text(Option("drop"), f" leaves no column of {known.name}."))
    return selected


def _load_parts(known: KnownDataset, options: LoadOptions) -> tuple[Parts, str, str]:
    """Both parts, where they are from, and a note."""
    if known.bundled:
        return _load_bundled(known), "the copy bundled with kmagic", ""

    def load() -> Any:
        load_keras()
        module = getattr(import_module("keras.datasets"), known.name)
        if known.kind == "text":
            return module.load_data(num_words=options.num_words, maxlen=options.maxlen)
        return module.load_data()

    try:
        (x_train, y_train), (x_test, y_test) = load_through_keras(known.files, load)
    except NotCachedError as error:
        if known.sample:
            return _load_sample(known, str(error))
        raise DataError(
            f"{known.name} cannot be loaded: {error}.", download_remedy(known.files)
        ) from error
    split = Parts(x_train, np.ravel(y_train), x_test, np.ravel(y_test))
    return split, f"Keras's cache, {show_path(path_of(known.files[0]).parent)}", ""


def _sample_arrays(name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a bundled file."""
    with (
        as_file(files("kmagic.data").joinpath("samples", name)) as path,
        np.load(path, allow_pickle=False) as arrays,
    ):
        return dict(arrays)


def _load_bundled(known: KnownDataset) -> Parts:
    """A bundled file, split as Keras's loader splits it."""
    arrays = _sample_arrays(known.bundled)
    x, y = arrays["x"], arrays["y"]
    order = np.arange(len(x))
    np.random.RandomState(KERAS_SPLIT_SEED).shuffle(order)
    train, test = np.split(order, [int(len(x) * (1 - DEFAULT_SPLIT))])
    return Parts(x[train], y[train], x[test], y[test])


def _load_sample(known: KnownDataset, reason: str) -> tuple[Parts, str, str]:
    arrays = _sample_arrays(known.sample)
    split = Parts(*(arrays[name] for name in Parts._fields))
    rows = len(split.x_train) + len(split.x_test)
    note = f"Only a sample of {rows:,} real rows: {reason}. {short_download_remedy(known.files)}"
    warn_caller(f"{known.name}: {note}", SampleDataWarning)
    return split, "the sample bundled with kmagic", note


# --- words ----------------------------------------------------------------------------------------


def load_keras_encoding(name: str, options: LoadOptions) -> tuple[TextEncoding | None, str]:
    """The encoding of IMDB or Reuters; or None, why the words are unknown, and what to do."""
    try:
        ranks = _keras_word_index(name)
    except DataError as error:
        return None, str(error)
    return from_word_index(ranks, **options.text_encoding), ""


def create_encoding(words: Any, options: LoadOptions, rows: NDArray[Any]) -> TextEncoding:
    """Create the encoding of word indices of the user.

    If all rows have the same length, later ones are padded to it.
    """
    if isinstance(words, Mapping):
        ranks = _checked_ranks(words, Text(Option("words")))
    elif isinstance(words, str) and words in WORD_INDEX_FILES:
        ranks = _keras_word_index(words)
    elif isinstance(words, str | os.PathLike):
        ranks = _read_word_index(existing_path(os.fspath(words)))
    else:
        raise DataError(
            option="words",
            expected="imdb, reuters, the path of a word index, or a dictionary of words and ranks",
            actual=words,
        )
    if options.maxlen is None and rows.ndim > 1:
        options = replace(options, maxlen=rows.shape[1])
    return from_word_index(ranks, **options.text_encoding)


def _keras_word_index(name: str) -> Mapping[str, int]:
    """Word and rank, from Keras's cache; Keras downloads the file if it is missing."""
    file = WORD_INDEX_FILES[name]
    path = path_of(file)
    unknown = f"The words of {name} are unknown: "
    if path.exists():  # read here, since Keras deletes a file that is not the expected one
        return _read_word_index(path, unknown, "Move it away, and Keras downloads it again.")

    def load() -> Mapping[str, int]:
        load_keras()
        ranks: Mapping[str, int] = import_module(f"keras.datasets.{name}").get_word_index()
        return ranks

    try:
        return load_through_keras([file], load)
    except NotCachedError as error:
        raise DataError(f"{unknown}{error}. {short_download_remedy([file])}") from error


def _read_word_index(path: Path, before: str = "", remedy: str = "") -> Mapping[str, int]:
    name = f"{before}{show_path(path)}"
    try:
        return _checked_ranks(parse_json(path.read_bytes()), name, remedy)
    except (OSError, ValueError) as error:
        raise DataError(f"{name} cannot be read as a word index: {error}.", remedy) from error


MAX_RANK = 10_000_000
"""The vocabulary has an entry for each rank."""


def _checked_ranks(ranks: Any, name: str | Text, remedy: str = "") -> Mapping[str, int]:
    items = ranks.items() if isinstance(ranks, Mapping) else ()
    is_valid = (
        isinstance(word, str) and type(rank) is int and 0 < rank <= MAX_RANK for word, rank in items
    )
    if not items or not all(is_valid):
        must = f" is not a word index: it must map words to their ranks, 1 to {MAX_RANK:,}."
        raise DataError(Text(name, must), remedy)
    return dict(items)


# --- cache ----------------------------------------------------------------------------------------

# Keras itself deletes a file of its cache whose hash is wrong: here no file is lost.


def state_of(file: CachedFile) -> Literal["missing", "right", "wrong", "unchecked"]:
    """Whether the file exists, and is the one that Keras expects."""
    path = path_of(file)
    if not path.exists():
        return "missing"
    if not file.sha256:
        return "unchecked"
    return "right" if sha256_of(path) == file.sha256 else "wrong"


def load_through_keras(files: Sequence[CachedFile], load: Callable[[], T]) -> T:
    """Run one of Keras's loaders; without a network it is not called where files are missing."""
    try:
        states = {file: state_of(file) for file in files}
        wrong = [file for file, state in states.items() if state == "wrong"]
        missing = [file for file, state in states.items() if state == "missing"]
        if wrong or missing:
            check_reachable((wrong + missing)[0].url)
        with ExitStack() as backups, quick_failure():
            for file in wrong:
                backups.enter_context(backup_file(path_of(file)))
            return load()
    except DownloadError as error:
        raise NotCachedError(missing_files_message(wrong, missing, str(error))) from error
    except KmagicError:
        raise
    except Exception as error:
        paths = ", ".join(show_path(path_of(file)) for file in files)
        reason = str(error).strip() or type(error).__name__
        raise DataError(f"Keras could not read {paths}: {reason}", UNREADABLE_REMEDY) from error
