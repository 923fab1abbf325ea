"""Sentences and rows of word numbers: one vocabulary, learned once, there and back."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np

from kmagic.support.errors import DataError
from kmagic.support.keras_import import load_keras as start_keras
from kmagic.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

Side: TypeAlias = Literal["pre", "post"]
SIDES: tuple[Side, ...] = ("pre", "post")

UNKNOWN, START = "[UNK]", "[START]"
_AS_IT_IS = "surrogatepass"  # for halves of signs, which are no UTF-8

_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_MARKS = string.punctuation.encode()
_APART = _MARKS.replace(b"'", b"")
_SMALL = bytes.maketrans(_UPPER, _LOWER)
STANDARDIZE: dict[str | None, tuple[bytes | None, bytes]] = {
    "lower_and_strip_punctuation": (_SMALL, _MARKS),
    "lower": (_SMALL, b""),
    "strip_punctuation": (None, _MARKS),
    "text_to_word_sequence": (bytes.maketrans(_UPPER + _APART, _LOWER + b" " * len(_APART)), b""),
    None: (None, b""),
}
"""How a text is cleaned: Keras's words for its TextVectorization, which looks at ASCII alone; and
the way of Keras's old ``text_to_word_sequence``, by which IMDB and Reuters were numbered: a word
keeps its apostrophe, and what is between other punctuation marks is a word of its own. Each is a
table of bytes, and the bytes to be left out."""


@dataclass(frozen=True, eq=False)
class TextEncoding:
    """A vocabulary, and how sentences become rows of its numbers.

    Attributes:
        vocabulary: Words by their numbers: 0 is padding, those numbered ``start`` and ``unknown``
            stand for what their names say, an empty word for nothing.
        maxlen: Length of a row; None leaves each as long as its sentence.
        padding: Where a short row gets its noughts, "pre" or "post".
        truncating: Where a long one loses words, "pre" or "post".
        start: Number at the beginning of each sentence; None for no such number.
        unknown: Number of the words that are not in the vocabulary.
        standardize: A key of ``STANDARDIZE``: how a text is cleaned before it is cut at its spaces.
    """

    vocabulary: tuple[str, ...]
    maxlen: int | None = None
    padding: Side = "pre"
    truncating: Side = "pre"
    start: int | None = None
    unknown: int = 1
    standardize: str | None = "lower_and_strip_punctuation"

    def __post_init__(self) -> None:
        check_options(self.maxlen, self.padding, self.truncating, self.standardize)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each word, without those that stand for no word."""
        special = {0, self.start, self.unknown}
        pairs = ((word, at) for at, word in enumerate(self.vocabulary) if at not in special)
        return {word: at for word, at in pairs if word}

    def words(self, text: str) -> list[str]:
        """A text cut into words as the vocabulary has them.

        Example:
            >>> TextEncoding(("", "[UNK]")).words("Don't stop!")
            ['dont', 'stop']
        """
        return [word.decode("utf-8", _AS_IT_IS) for word in self._cut(text)]

    def _cut(self, text: str) -> list[bytes]:
        # Bytes are cut five times as fast, and at the spaces of ASCII alone, as TensorFlow does.
        return text.encode("utf-8", _AS_IT_IS).translate(*STANDARDIZE[self.standardize]).split()

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {word.encode("utf-8", _AS_IT_IS): at for word, at in self.numbers.items()}

    def encode(self, texts: str | Iterable[str]) -> NDArray[Any]:
        """Rows of word numbers.

        Args:
            texts: Sentences, or a single one.

        Returns:
            (sentences, maxlen) int32; without ``maxlen`` an array of lists.

        Example:
            >>> few = TextEncoding(("", "[UNK]", "a", "film"), maxlen=4)
            >>> few.encode(["A great film!", "film"])
            array([[0, 2, 1, 3],
                   [0, 0, 0, 3]], dtype=int32)
        """
        first = [] if self.start is None else [self.start]
        number, unknown = self._numbers.get, self.unknown
        return self.pad(
            [
                first + [number(word, unknown) for word in self._cut(text)]
                for text in ([texts] if isinstance(texts, str) else texts)
            ]
        )

    def pad(self, rows: Sequence[Sequence[int]] | NDArray[Any]) -> NDArray[Any]:
        """Rows of word numbers brought to the length ``maxlen``, as Keras's ``pad_sequences`` does.

        Example:
            >>> TextEncoding(("", "[UNK]", "a"), maxlen=2, padding="post").pad([[2], [2, 1, 1]])
            array([[2, 0],
                   [1, 1]], dtype=int32)
        """
        if self.maxlen is None:
            ragged = np.empty(len(rows), dtype=object)
            ragged[:] = [list(row) for row in rows]
            return ragged
        padded = np.zeros((len(rows), self.maxlen), dtype=np.int32)
        for at, row in enumerate(rows):
            kept = row[-self.maxlen :] if self.truncating == "pre" else row[: self.maxlen]
            if len(kept):
                place = slice(-len(kept), None) if self.padding == "pre" else slice(len(kept))
                padded[at, place] = kept
        return padded

    def limit(self, rows: Sequence[Sequence[int]] | NDArray[Any]) -> NDArray[Any]:
        """Rows of word numbers with those beyond the vocabulary made unknown, and padded.

        Example:
            >>> films = TextEncoding(("", "[UNK]", "a", "film"), maxlen=3)
            >>> films.limit([[2, 900], [3]])
            array([[0, 2, 1],
                   [0, 0, 3]], dtype=int32)
        """
        size, unknown = len(self.vocabulary), self.unknown
        return self.pad([[at if at < size else unknown for at in map(int, row)] for row in rows])

    def decode(self, rows: Iterable[Iterable[int]]) -> list[str]:
        """Sentences from rows of word numbers, without padding and start.

        Args:
            rows: Whole numbers; those of no word become "[UNK]".

        Example:
            >>> TextEncoding(("", "[UNK]", "a", "film")).decode([[0, 2, 1, 3]])
            ['a [UNK] film']
        """
        silent = {0, self.start}
        return [
            " ".join(self._word(at) for at in map(int, row) if at not in silent) for row in rows
        ]

    def could_be_rows(self, rows: Any) -> bool:
        """Whether an array may hold rows of these word numbers.

        Example:
            >>> films = TextEncoding(("", "[UNK]", "film"), maxlen=3)
            >>> films.could_be_rows(np.array([[0, 1, 2]])), films.may_be(np.array([[0.5, 1.0]]))
            (True, False)
        """
        if not isinstance(rows, np.ndarray) or not len(rows):
            return False
        if rows.dtype == object:
            return rows.ndim == 1 and not isinstance(rows[0], str | bytes)
        return rows.dtype.kind in "iu" and rows.ndim == 2 and rows.shape[1] == self.maxlen  # noqa: PLR2004 - a table

    def describe(self) -> str:
        """What is done to a sentence, in a few words.

        Example:
            >>> TextEncoding(("", "[UNK]", "a", "film"), maxlen=100).describe()
            'numbers of 2 words, padded at the front to 100'
        """
        said = f"numbers of {len(self.numbers):,} words"
        if self.maxlen is None:
            return said
        return f"{said}, padded at the {_place(self.padding)} to {self.maxlen:,}"

    def _word(self, at: int) -> str:
        known = 0 <= at < len(self.vocabulary) and at != self.unknown
        return (known and self.vocabulary[at]) or UNKNOWN

    def get_config(self) -> dict[str, Any]:
        """Plain values that :meth:`from_config` takes, fit for JSON."""
        return {
            "vocabulary": list(self.vocabulary),
            "maxlen": self.maxlen,
            "padding": self.padding,
            "truncating": self.truncating,
            "start": self.start,
            "unknown": self.unknown,
            "standardize": self.standardize,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextEncoding:
        """The encoding that :meth:`get_config` described.

        Example:
            >>> TextEncoding.from_config({"vocabulary": ["", "[UNK]", "film"]}).numbers
            {'film': 2}
        """
        return cls(**{**config, "vocabulary": tuple(config["vocabulary"])})


class DecodedTexts(Sequence[str]):
    """Rows of word numbers as sentences, each read when it is looked at.

    Args:
        rows: The rows.
        encoding: How they were made.

    Example:
        >>> films = TextEncoding(("", "[UNK]", "a", "film"), maxlen=3)
        >>> read = DecodedTexts(films.encode(["a film", "film"]), films)
        >>> len(read), read[0], read[-2:]
        (2, 'a film', ['a film', 'film'])
    """

    def __init__(self, rows: NDArray[Any], encoding: TextEncoding) -> None:
        self.rows, self.encoding = rows, encoding

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self.encoding.decode(self.rows[place])
        return self.encoding.decode([self.rows[place]])[0]


def check_options(
    maxlen: int | None, padding: str, truncating: str, standardize: str | None
) -> None:
    """Refuse what no encoding can be made with.

    Raises:
        DataError: The message names the option, what it may be and what it was.
    """
    if maxlen is not None and maxlen < 1:
        raise DataError(f"maxlen must be at least 1; received {maxlen}.")
    for option, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise DataError(
                f'{option}={side!r} is no side of a row: expected "pre" or "post".',
                did_you_mean(str(side), SIDES),
            )
    if standardize not in STANDARDIZE:
        known = ", ".join(map(str, STANDARDIZE))
        raise DataError(
            f"standardize={standardize!r} is not known: expected one of {known}.",
            did_you_mean(str(standardize), filter(None, STANDARDIZE)),
        )


def learn_text(
    texts: Sequence[str] | NDArray[Any],
    *,
    num_words: int | None = None,
    maxlen: int | None = None,
    padding: Side = "pre",
    truncating: Side = "pre",
    standardize: str | None = "lower_and_strip_punctuation",
) -> TextEncoding:
    """Learn a vocabulary by Keras's own TextVectorization.

    Args:
        texts: The training part's sentences.
        num_words: Keep so many numbers for the most frequent words, with those of padding and of
            unknown words, as Keras's ``max_tokens``; None keeps all words.
        maxlen: Length of a row; None leaves each as long as its sentence.
        padding: Where a short row gets its noughts.
        truncating: Where a long one loses words.
        standardize: As Keras has it: "lower_and_strip_punctuation", "lower",
            "strip_punctuation" or None.

    Raises:
        DataError: There is no word to learn, or an option makes no sense.

    Example:
        >>> learn_text(["a film", "a bad film", "a book"], num_words=4).vocabulary
        ('', '[UNK]', 'a', 'film')
    """
    check_options(maxlen, padding, truncating, standardize)
    least = 3
    if num_words is not None and num_words < least:
        raise DataError(
            f"num_words must be at least {least}, for padding, unknown words and one word; "
            f"received {num_words}."
        )
    if standardize == "text_to_word_sequence":
        cleaned = TextEncoding((), standardize=standardize)
        texts = [" ".join(cleaned.words(text)) for text in texts]
    start_keras()
    from keras.layers import TextVectorization  # noqa: PLC0415 - only where texts are numbered

    own = None if standardize == "text_to_word_sequence" else standardize
    layer = TextVectorization(max_tokens=num_words, standardize=own)
    layer.adapt(np.asarray(texts, dtype=object))
    vocabulary = tuple(map(str, layer.get_vocabulary()))
    if len(vocabulary) < least:
        raise DataError(f"There is no word in {len(texts):,} texts: there is nothing to learn.")
    return TextEncoding(
        vocabulary,
        maxlen=maxlen,
        padding=padding,
        truncating=truncating,
        standardize=standardize,
    )


def from_word_index(
    ranks: Mapping[str, int],
    *,
    num_words: int | None = None,
    maxlen: int | None = None,
    padding: Side = "pre",
    truncating: Side = "pre",
) -> TextEncoding:
    """The encoding of a data set that Keras brings: 1 is the start, 2 unknown, words follow from 4.

    Args:
        ranks: Word and rank, from 1, as the data set's ``get_word_index()`` gives it.
        num_words: Numbers from this on stand for unknown words, as in Keras's loader.
        maxlen: Length of a row; None leaves each as long as its sentence.
        padding: Where a short row gets its noughts.
        truncating: Where a long one loses words.

    Example:
        >>> films = from_word_index({"the": 1, "film": 2}, maxlen=4)
        >>> films.encode("The film!"), films.decode([[0, 1, 4, 5]])
        (array([[0, 1, 4, 5]], dtype=int32), ['the film'])
    """
    size = 4 + max(ranks.values(), default=0)
    vocabulary = [""] * (size if num_words is None else min(num_words, size))
    for word, rank in ranks.items():
        if rank + 3 < len(vocabulary):
            vocabulary[rank + 3] = word
    for at, word in ((1, START), (2, UNKNOWN)):
        if at < len(vocabulary):
            vocabulary[at] = word
    return TextEncoding(
        tuple(vocabulary),
        maxlen=maxlen,
        padding=padding,
        truncating=truncating,
        start=1,
        unknown=2,
        standardize="text_to_word_sequence",
    )


def _place(side: Side) -> str:
    return "front" if side == "pre" else "end"
