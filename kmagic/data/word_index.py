"""The words behind the word numbers of IMDB and Reuters: Keras's own word index."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING

from kmagic.data import cache
from kmagic.data.catalogue import CachedFile
from kmagic.errors import DataError
from kmagic.keras_cache import show_path
from kmagic.preparation.encoding import TextEncoding, from_word_index
from kmagic.start import start

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    except (cache.NotHereError, DataError) as error:
        return None, f"The words of {name} are not known: {error}"
    return (
        from_word_index(
            ranks,
            num_words=options.num_words,
            maxlen=options.maxlen,
            padding=options.padding,
            truncating=options.truncating,
        ),
        "",
    )


def _ranks(name: str) -> Mapping[str, int]:
    """Word and rank, from Keras's cache; Keras fetches the file where it is missing."""
    file = FILES[name]
    path = cache.path_of(file)
    if not path.exists():
        try:
            return cache.through_keras([file], lambda: _by_keras(name))
        except cache.NotHereError as absent:
            todo = cache.what_to_do_briefly([file])
            raise cache.NotHereError(f"{absent}. {todo}") from absent
    # Read here, since Keras deletes a file that is not the one it expects.
    try:
        ranks = json.loads(path.read_bytes())
        return {str(word): int(rank) for word, rank in ranks.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{show_path(path)} cannot be read as a word index: {error}.",
            "Move it away, and Keras fetches it again with a network.",
        ) from error


def _by_keras(name: str) -> dict[str, int]:
    start()
    ranks: dict[str, int] = import_module(f"keras.datasets.{name}").get_word_index()
    return ranks
