"""The words behind the word numbers of IMDB and Reuters: Keras's own word index."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kmagic.data import dataset_cache
from kmagic.data.paths import existing_path
from kmagic.data.preparation.text_encoding import TextEncoding, from_word_index
from kmagic.support.downloads import CachedFile, path_of, short_download_remedy
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.keras_import import load_keras

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from kmagic.data.texts import TextOptions


_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
FILES = {
    name: CachedFile(f"{name}_word_index.json", f"{_KERAS}{name}_word_index.json")
    for name in ("imdb", "reuters")
}


def words_of(name: str, options: TextOptions) -> tuple[TextEncoding | None, str]:
    """How the word numbers of a data set of Keras's are read and made.

    Args:
        name: "imdb" or "reuters".
        options: How it was loaded.

    Returns:
        The encoding and ""; or None, why the words cannot be had, and what to do.
    """
    try:
        ranks = _ranks(name)
    except (dataset_cache.NotHereError, DataError) as error:
        return None, f"The words of {name} are not known: {error}"
    return _encoding(ranks, options), ""


def encoding_of(words: Any, options: TextOptions, rows: NDArray[Any]) -> TextEncoding:
    """How rows of word numbers of the user's own are read and made.

    Args:
        words: "imdb" or "reuters"; the path of a word index; or words and their ranks.
        options: How they are loaded.
        rows: The rows; if they are all of one length, later ones get it too.

    Raises:
        DataError: The words are not known.
    """
    if isinstance(words, Mapping):
        ranks = _checked(words, "words")
    elif isinstance(words, str) and words in FILES:
        try:
            ranks = _ranks(words)
        except dataset_cache.NotHereError as absent:
            raise DataError(f"The words of {words} are not known: {absent}") from absent
    elif isinstance(words, str | os.PathLike):
        ranks = _read(existing_path(os.fspath(words)))
    else:
        raise DataError(
            f"words={words!r}: expected imdb, reuters, the path of a word index, or a dictionary "
            "of words and ranks."
        )
    if options.maxlen is None and rows.ndim > 1:
        options = replace(options, maxlen=rows.shape[1])
    return _encoding(ranks, options)


def _encoding(ranks: Mapping[str, int], options: TextOptions) -> TextEncoding:
    return from_word_index(
        ranks,
        num_words=options.num_words,
        maxlen=options.maxlen,
        padding=options.padding,
        truncating=options.truncating,
    )


def _ranks(name: str) -> Mapping[str, int]:
    """Word and rank, from Keras's cache; Keras fetches the file where it is missing."""
    file = FILES[name]
    path = path_of(file)
    if not path.exists():
        try:
            return dataset_cache.load_through_keras([file], lambda: _by_keras(name))
        except dataset_cache.NotHereError as absent:
            todo = short_download_remedy([file])
            raise dataset_cache.NotHereError(f"{absent}. {todo}") from absent
    # Read here, since Keras deletes a file that is not the one it expects.
    return _read(path, "Move it away, and Keras fetches it again with a network.")


def _read(path: Path, remedy: str = "") -> Mapping[str, int]:
    try:
        return _checked(json.loads(path.read_bytes()), show_path(path), remedy)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{show_path(path)} cannot be read as a word index: {error}.", remedy
        ) from error


def _checked(ranks: Any, where: str, remedy: str = "") -> Mapping[str, int]:
    if (
        not isinstance(ranks, Mapping)
        or not ranks
        or not all(
            isinstance(word, str) and type(rank) is int and rank > 0 for word, rank in ranks.items()
        )
    ):
        raise DataError(
            f"{where} is no word index: expected words and their ranks, from 1.", remedy
        )
    return ranks


def _by_keras(name: str) -> dict[str, int]:
    load_keras()
    ranks: dict[str, int] = import_module(f"keras.datasets.{name}").get_word_index()
    return ranks
