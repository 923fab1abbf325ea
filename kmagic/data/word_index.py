"""The words of word indices: Keras's word index of IMDB and Reuters, or one of the user."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmagic.data import dataset_cache
from kmagic.data.known_datasets import keras_file
from kmagic.data.paths import existing_path
from kmagic.data.preparation.text_encoding import TextEncoding, from_word_index
from kmagic.support.downloads import path_of, short_download_remedy
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.keras_import import load_keras
from kmagic.support.messages import Option, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.data.load_options import LoadOptions

WORD_INDEX_FILES = {name: keras_file(f"{name}_word_index.json") for name in ("imdb", "reuters")}


def load_keras_encoding(name: str, options: LoadOptions) -> tuple[TextEncoding | None, str]:
    """Create the encoding of IMDB or Reuters, if its word index is available.

    Returns:
        The encoding and ""; or None, and why the words are unknown with what to do.
    """
    try:
        ranks = _keras_word_index(name)
    except (dataset_cache.NotCachedError, DataError) as error:
        return None, f"The words of {name} are unknown: {error}"
    return _create_encoding(ranks, options), ""


def create_encoding(words: Any, options: LoadOptions, rows: NDArray[Any]) -> TextEncoding:
    """Create the encoding of word indices of the user.

    Args:
        words: "imdb" or "reuters"; the path of a word index; or words and their ranks.
        options: The options that the rows are loaded with.
        rows: The rows; if all have the same length, later ones are padded to it.
    """
    if isinstance(words, Mapping):
        ranks = _checked_ranks(words, Text(Option("words")))
    elif isinstance(words, str) and words in WORD_INDEX_FILES:
        try:
            ranks = _keras_word_index(words)
        except dataset_cache.NotCachedError as error:
            raise DataError(f"The words of {words} are unknown: {error}") from error
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
    return _create_encoding(ranks, options)


def _create_encoding(ranks: Mapping[str, int], options: LoadOptions) -> TextEncoding:
    arguments = {name: value for name, value in options.encoding.items() if name != "standardize"}
    return from_word_index(ranks, **arguments)


def _keras_word_index(name: str) -> Mapping[str, int]:
    """Word and rank, from Keras's cache; Keras downloads the file if it is missing."""
    file = WORD_INDEX_FILES[name]
    path = path_of(file)
    if path.exists():  # read here, since Keras deletes a file that is not the expected one
        return _read_word_index(path, "Move it away, and Keras downloads it again.")

    def load() -> Mapping[str, int]:
        load_keras()
        ranks: Mapping[str, int] = import_module(f"keras.datasets.{name}").get_word_index()
        return ranks

    try:
        return dataset_cache.load_through_keras([file], load)
    except dataset_cache.NotCachedError as error:
        message = f"{error}. {short_download_remedy([file])}"
        raise dataset_cache.NotCachedError(message) from error


def _read_word_index(path: Path, remedy: str = "") -> Mapping[str, int]:
    try:
        return _checked_ranks(json.loads(path.read_bytes()), show_path(path), remedy)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{show_path(path)} cannot be read as a word index: {error}.", remedy
        ) from error


def _checked_ranks(ranks: Any, name: str | Text, remedy: str = "") -> Mapping[str, int]:
    items = ranks.items() if isinstance(ranks, Mapping) else ()
    if not items or not all(
        isinstance(word, str) and type(rank) is int and rank > 0 for word, rank in items
    ):
        raise DataError(
            Text(name, " is not a word index: it must map words to their ranks, counted from 1."),
            remedy,
        )
    checked: Mapping[str, int] = ranks
    return checked
