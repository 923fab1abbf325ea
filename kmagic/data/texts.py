"""Texts: read from files, and made rows of word numbers where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.data.paths import explain_read_errors
from kmagic.data.preparation.text_encoding import Side, TextEncoding, check_options, learn_text
from kmagic.support.errors import DataError
from kmagic.support.keras_cache import show_path
from kmagic.support.progress import Progress
from kmagic.support.sentences import as_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT = "lower_and_strip_punctuation"


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How sentences are to become rows of word numbers; by default they stay as they are.

    Attributes:
        num_words: Numbers for so many words, the most frequent ones of the training part.
        maxlen: Length of a row.
        padding: Where a short row gets its noughts, "pre" or "post".
        truncating: Where a long one loses words, "pre" or "post".
        standardize: How a text is cleaned before it is cut into words.

    Raises:
        DataError: One of them makes no sense.
    """

    num_words: int | None = None
    maxlen: int | None = None
    padding: Side = "pre"
    truncating: Side = "pre"
    standardize: str | None = DEFAULT

    def __post_init__(self) -> None:
        for name in ("num_words", "maxlen"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise DataError(f"{name}={value!r}: expected a whole number above 0.")
        check_options(self.maxlen, self.padding, self.truncating, self.standardize)

    @property
    def numbered(self) -> bool:
        """Whether the sentences become numbers."""
        return self.num_words is not None or self.maxlen is not None


def read_texts(files: Sequence[Path]) -> NDArray[Any]:
    """The texts in some files, each as one string.

    Args:
        files: Files in UTF-8.

    Returns:
        (files,) strings, as objects: each takes no more room than it needs.

    Raises:
        DataError: A file cannot be read, or is not UTF-8; the message names it.
    """
    texts = np.empty(len(files), dtype=object)
    with Progress(len(files), "texts") as work:
        for place, file in enumerate(files):
            with explain_read_errors(file):
                raw = file.read_bytes()
            try:
                texts[place] = raw.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise DataError(
                    f"{show_path(file)} is not UTF-8: byte {raw[error.start]:#04x} in line "
                    f"{line:,}.",
                    "Save it as UTF-8, or move it out of the folder if it is no text: "
                    f"iconv -f latin1 -t utf-8 {file.name} writes it as UTF-8.",
                ) from error
            work.advance()
    return texts


def holds_sentences(x: Any) -> bool:
    """Whether these inputs are texts: strings, one a row.

    Example:
        >>> holds_sentences(["a film", "a book"]), holds_sentences([[1, 2], [3, 4]])
        (True, False)
    """
    if isinstance(x, str | bytes):
        return False
    first = x.iloc[:1] if hasattr(x, "iloc") else x
    if isinstance(first, list | tuple | np.ndarray):
        first = first[:1]
    return as_sentences(first) is not None


def as_texts(x: Any) -> NDArray[Any]:
    """Sentences as an array of strings, whatever they were given in.

    Raises:
        DataError: Some rows are no texts; the message names the first.
    """
    texts = np.empty(len(x), dtype=object)
    texts[:] = as_sentences(x)
    return texts


def number_texts(
    x_train: NDArray[Any], x_test: NDArray[Any], options: TextOptions
) -> tuple[NDArray[Any], NDArray[Any], TextEncoding | None]:
    """Sentences as rows of word numbers, by a vocabulary of the training part alone.

    Args:
        x_train: Sentences of the training part.
        x_test: Those of the test part.
        options: What is asked for.

    Returns:
        Both parts and how they were encoded; as they were, and None, if numbers are not asked for.

    Example:
        >>> train, test = np.array(["a film", "a book"]), np.array(["a new film"])
        >>> rows, more, encoding = number_texts(train, test, TextOptions(num_words=5, maxlen=3))
        >>> rows.tolist(), encoding.decode(more)
        ([[0, 2, 3], [0, 2, 4]], ['a [UNK] film'])
    """
    if not options.numbered:
        return x_train, x_test, None
    encoding = learn_text(
        x_train,
        num_words=options.num_words,
        maxlen=options.maxlen,
        padding=options.padding,
        truncating=options.truncating,
        standardize=options.standardize,
    )
    return encoding.encode(x_train), encoding.encode(x_test), encoding
