"""Sentences to rows of word indices and back, by a vocabulary learned from the training data."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import DataError
from kmagic.support.memory import require_memory
from kmagic.support.messages import Option, Text
from kmagic.support.suggestions import did_you_mean

Side: TypeAlias = Literal["pre", "post"]
SIDES: tuple[Side, ...] = ("pre", "post")

UNKNOWN_WORD, START_WORD = "[UNK]", "[START]"
MIN_VOCABULARY = 3  # padding, unknown words and one word
_LONE_SURROGATES = "surrogatepass"  # half a character cannot be UTF-8

_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_PUNCTUATION = string.punctuation.encode()
_SEPARATORS = _PUNCTUATION.replace(b"'", b"")
_TO_LOWER = bytes.maketrans(_UPPER, _LOWER)
DEFAULT_STANDARDIZE = "lower_and_strip_punctuation"
WORD_SEQUENCE = "text_to_word_sequence"
STANDARDIZE: dict[str | None, tuple[bytes | None, bytes]] = {
    DEFAULT_STANDARDIZE: (_TO_LOWER, _PUNCTUATION),
    "lower": (_TO_LOWER, b""),
    "strip_punctuation": (None, _PUNCTUATION),
    WORD_SEQUENCE: (
        bytes.maketrans(_UPPER + _SEPARATORS, _LOWER + b" " * len(_SEPARATORS)),
        b"",
    ),
    None: (None, b""),
}
"""Standardization -> byte translation table, and bytes to delete.

The names are those of Keras's TextVectorization, which looks at ASCII only, and of Keras's former
``text_to_word_sequence``, which produced the indices of IMDB and Reuters: apostrophes stay in a
word, all other punctuation separates words.
"""


@dataclass(frozen=True, eq=False)
class TextEncoding:
    """A vocabulary, and how sentences become rows of its indices.

    Attributes:
        vocabulary: The words by index: 0 is padding, ``start`` and ``unknown`` are markers, and an
            empty word stands for nothing.
        maxlen: Length of a row; None leaves each row as long as its sentence.
        padding: Which end of a short row is padded with zeros, "pre" or "post".
        truncating: Which end of a long row is cut, "pre" or "post".
        start: Index at the beginning of each sentence; None for no such index.
        unknown: Index of words that are not in the vocabulary.
        standardize: A key of ``STANDARDIZE``: how a text is cleaned before it is split at spaces.
    """

    vocabulary: tuple[str, ...]
    maxlen: int | None = None
    padding: Side = "pre"
    truncating: Side = "pre"
    start: int | None = None
    unknown: int = 1
    standardize: str | None = DEFAULT_STANDARDIZE

    def __post_init__(self) -> None:
        check_count("maxlen", self.maxlen)
        check_choice("padding", self.padding, SIDES, '"pre" or "post"')
        check_choice("truncating", self.truncating, SIDES, '"pre" or "post"')
        if self.standardize is not None:
            names = tuple(filter(None, STANDARDIZE))
            expected = f"one of {', '.join(names)} or none"
            check_choice("standardize", self.standardize, names, expected)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Index of each word, without the markers."""
        markers = {0, self.start, self.unknown}
        words = enumerate(self.vocabulary)
        return {word: index for index, word in words if word and index not in markers}

    @cached_property
    def _index_by_bytes(self) -> dict[bytes, int]:
        numbers = self.numbers.items()
        return {word.encode("utf-8", _LONE_SURROGATES): index for word, index in numbers}

    def words(self, text: str) -> list[str]:
        """Split a text into words as the vocabulary has them.

        Example:
            >>> TextEncoding(("", "[UNK]")).words("Don't stop!")
            ['dont', 'stop']
        """
        return [word.decode("utf-8", _LONE_SURROGATES) for word in self._split(text)]

    def _split(self, text: str) -> list[bytes]:
        # Bytes are five times as fast, and split at ASCII spaces only, as TensorFlow does.
        raw = text.encode("utf-8", _LONE_SURROGATES)
        return raw.translate(*STANDARDIZE[self.standardize]).split()

    def encode(self, texts: str | Iterable[str]) -> NDArray[Any]:
        """Encode sentences, or a single one, as rows of word indices.

        Returns:
            (sentences, maxlen) int32; without ``maxlen`` an array of lists.

        Example:
            >>> few = TextEncoding(("", "[UNK]", "a", "film"), maxlen=4)
            >>> few.encode(["A great film!", "film"])
            array([[0, 2, 1, 3],
                   [0, 0, 0, 3]], dtype=int32)
        """
        texts = [texts] if isinstance(texts, str) else texts
        prefix = [] if self.start is None else [self.start]
        index_of, unknown = self._index_by_bytes.get, self.unknown
        rows = [prefix + [index_of(word, unknown) for word in self._split(text)] for text in texts]
        return self.pad(rows)

    def pad(self, rows: Sequence[Sequence[int]] | NDArray[Any]) -> NDArray[Any]:
        """Pad and cut rows of word indices to ``maxlen``, as Keras's ``pad_sequences`` does.

        Example:
            >>> TextEncoding(("", "[UNK]", "a"), maxlen=2, padding="post").pad([[2], [2, 1, 1]])
            array([[2, 0],
                   [1, 1]], dtype=int32)
        """
        if self.maxlen is None:
            ragged = np.empty(len(rows), dtype=object)
            ragged[:] = [list(row) for row in rows]
            return ragged
        remedy = Text("Use a smaller ", Option("maxlen"), ".")
        require_memory(4 * len(rows) * self.maxlen, "The padded texts", remedy)
        padded = np.zeros((len(rows), self.maxlen), dtype=np.int32)
        for index, row in enumerate(rows):
            cut = row[-self.maxlen :] if self.truncating == "pre" else row[: self.maxlen]
            if len(cut):
                filled = slice(-len(cut), None) if self.padding == "pre" else slice(len(cut))
                padded[index, filled] = cut
        return padded

    def limit(self, rows: Sequence[Sequence[int]] | NDArray[Any]) -> NDArray[Any]:
        """Replace indices beyond the vocabulary by ``unknown``, and pad."""
        size, unknown = len(self.vocabulary), self.unknown
        limited = [[each if each < size else unknown for each in map(int, row)] for row in rows]
        return self.pad(limited)

    def decode(self, rows: Iterable[Iterable[int]]) -> list[str]:
        """Decode rows of word indices to sentences, without padding and start.

        Example:
            >>> TextEncoding(("", "[UNK]", "a", "film")).decode([[0, 2, 1, 3]])
            ['a [UNK] film']
        """
        silent = {0, self.start}
        return [
            " ".join(self._word(index) for index in map(int, row) if index not in silent)
            for row in rows
        ]

    def _word(self, index: int) -> str:
        known = 0 <= index < len(self.vocabulary) and index != self.unknown
        return (known and self.vocabulary[index]) or UNKNOWN_WORD

    def could_be_rows(self, rows: Any) -> bool:
        """Whether an array could hold rows of word indices of this encoding."""
        if not isinstance(rows, np.ndarray) or not len(rows):
            return False
        if rows.dtype == object:
            return rows.ndim == 1 and not isinstance(rows[0], str | bytes)
        return rows.dtype.kind in "iu" and rows.shape[1:] == (self.maxlen,)

    def describe(self) -> str:
        """Describe the encoding in a few words."""
        text = f"indices of {len(self.numbers):,} words"
        if self.maxlen is None:
            return text
        end = "start" if self.padding == "pre" else "end"
        return f"{text}, padded at the {end} to {self.maxlen:,}"

    def get_config(self) -> dict[str, Any]:
        """Return plain values for JSON, which :meth:`from_config` takes."""
        config = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**config, "vocabulary": list(self.vocabulary)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextEncoding:
        """Create the encoding that :meth:`get_config` described."""
        return cls(**{**config, "vocabulary": tuple(config["vocabulary"])})


class DecodedTexts(Sequence[str]):
    """Rows of word indices as sentences, each decoded when it is accessed.

    Example:
        >>> films = TextEncoding(("", "[UNK]", "a", "film"), maxlen=3)
        >>> texts = DecodedTexts(films.encode(["a film", "film"]), films)
        >>> len(texts), texts[0], texts[-2:]
        (2, 'a film', ['a film', 'film'])
    """

    def __init__(self, rows: NDArray[Any], encoding: TextEncoding) -> None:
        self.rows, self.encoding = rows, encoding

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.encoding.decode(self.rows[index])
        return self.encoding.decode([self.rows[index]])[0]


def check_count(option: str, number: Any) -> None:
    """Check that an option is a positive integer, if it is set."""
    if number is not None and (type(number) is not int or number < 1):
        raise DataError(option=option, expected="a positive integer", actual=number)


def check_choice(option: str, value: Any, choices: Collection[str], expected: str) -> None:
    """Check that the value of an option is one of its choices."""
    if value not in choices:
        remedy = did_you_mean(str(value), choices)
        raise DataError(option=option, expected=expected, actual=value, remedy=remedy)


def learn_text(
    texts: Iterable[str],
    *,
    num_words: int | None = None,
    maxlen: int | None = None,
    padding: Side = "pre",
    truncating: Side = "pre",
    standardize: str | None = DEFAULT_STANDARDIZE,
) -> TextEncoding:
    """Learn the vocabulary that Keras's TextVectorization learns.

    Args:
        texts: The sentences of the training data.
        num_words: Size of the vocabulary, including the indices of padding and of unknown words,
            as Keras's ``max_tokens``; the most frequent words are kept. None keeps all words.
        maxlen: Length of a row; None leaves each row as long as its sentence.
        padding: Which end of a short row is padded with zeros.
        truncating: Which end of a long row is cut.
        standardize: As in Keras: "lower_and_strip_punctuation", "lower", "strip_punctuation" or
            None.

    Raises:
        DataError: The texts contain no word, or an option is invalid.

    Example:
        >>> learn_text(["a film", "a bad film", "a book"], num_words=4).vocabulary
        ('', '[UNK]', 'a', 'film')
    """
    check_count("num_words", num_words)
    empty = TextEncoding((), maxlen, padding, truncating, standardize=standardize)
    if num_words is not None and num_words < MIN_VOCABULARY:
        raise DataError(
            option="num_words",
            expected=f"at least {MIN_VOCABULARY} (padding, unknown words and one word)",
            actual=num_words,
        )
    counts = Counter(word for text in texts for word in empty.words(text))
    counts.pop(UNKNOWN_WORD, None)
    if not counts:
        raise DataError("The texts contain no word.")
    words = sorted(counts, key=lambda word: (counts[word], word), reverse=True)
    return replace(empty, vocabulary=("", UNKNOWN_WORD, *words)[:num_words])


def from_word_index(
    ranks: Mapping[str, int], *, num_words: int | None = None, **options: Any
) -> TextEncoding:
    """Create the encoding of IMDB or Reuters: 1 is the start, 2 unknown, words begin at 4.

    Further options are those of :class:`TextEncoding`; ``standardize`` is always that of Keras's
    former ``text_to_word_sequence``.

    Example:
        >>> films = from_word_index({"the": 1, "film": 2}, maxlen=4)
        >>> films.encode("The film!"), films.decode([[0, 1, 4, 5]])
        (array([[0, 1, 4, 5]], dtype=int32), ['the film'])
    """
    offset, start, unknown = 3, 1, 2
    size = offset + 1 + max(ranks.values(), default=0)
    vocabulary = [""] * (size if num_words is None else min(num_words, size))
    words = {rank + offset: word for word, rank in ranks.items()}
    for index, word in {**words, start: START_WORD, unknown: UNKNOWN_WORD}.items():
        if index < len(vocabulary):
            vocabulary[index] = word
    options |= {"start": start, "unknown": unknown, "standardize": WORD_SEQUENCE}
    return TextEncoding(tuple(vocabulary), **options)
