from __future__ import annotations

import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.data.preparation.text_encoding import (
    SIDES,
    STANDARDIZE,
    TextEncoding,
    from_word_index,
    learn_text,
)
from kmagic.support.errors import DataError

FILMS = ["A great film, great actors!", "A dull film.", "Great: it's not dull"]
WRITTEN = st.text(
    st.sampled_from("abAB éÜß" + string.punctuation + "\t\n\v\f\r\x1c\x85\xa0\u2028\u3000"),
    max_size=30,
)
KERAS_WAYS = [way for way in STANDARDIZE if way != "text_to_word_sequence"]


@pytest.fixture(scope="module")
def layers() -> dict[str | None, Any]:
    from keras.layers import TextVectorization

    words = ["a", "b", "ab", "é", "É", "Ü", "ß", "A", "aé", "!", "a!", "\xa0", "A\xa0"]
    return {way: TextVectorization(standardize=way, vocabulary=words) for way in KERAS_WAYS}


@pytest.mark.parametrize("way", KERAS_WAYS)
@given(texts=st.lists(WRITTEN, min_size=1, max_size=4))
def test_numbers_are_those_of_keras(way: str | None, texts: list[str], layers: Any) -> None:
    layer = layers[way]
    expected = np.asarray(layer(np.array(texts, dtype=object)))
    encoding = TextEncoding(
        tuple(layer.get_vocabulary()),
        maxlen=max(expected.shape[1], 1),
        padding="post",
        truncating="post",
        standardize=way,
    )
    rows = encoding.encode(texts)
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(rows[:, : expected.shape[1]], expected)
    assert not rows[:, expected.shape[1] :].any()


@given(
    rows=st.lists(st.lists(st.integers(1, 9), max_size=8), min_size=1, max_size=4),
    maxlen=st.integers(1, 6),
    padding=st.sampled_from(SIDES),
    truncating=st.sampled_from(SIDES),
)
def test_rows_are_padded_as_keras_does(
    rows: list[list[int]], maxlen: int, padding: Any, truncating: Any
) -> None:
    from keras.utils import pad_sequences

    encoding = TextEncoding(("",), maxlen, padding, truncating)
    expected = pad_sequences(rows, maxlen=maxlen, padding=padding, truncating=truncating)
    np.testing.assert_array_equal(encoding.pad(rows), expected)


def test_the_learned_vocabulary_is_that_of_keras() -> None:
    from keras.layers import TextVectorization

    layer = TextVectorization(max_tokens=6, output_sequence_length=4)
    layer.adapt(np.array(FILMS, dtype=object))
    ours = learn_text(FILMS, num_words=6, maxlen=4, padding="post", truncating="post")
    assert list(ours.vocabulary) == layer.get_vocabulary()
    np.testing.assert_array_equal(ours.encode(FILMS), layer(np.array(FILMS, dtype=object)))


@pytest.mark.parametrize("standardize", ["lower", "strip_punctuation", None])
@pytest.mark.parametrize("num_words", [5, None])
def test_the_order_of_words_is_that_of_keras(standardize: Any, num_words: int | None) -> None:
    from keras.layers import TextVectorization

    texts = ["b a. B A", "ä b [UNK] é", "z Z z 'x' \u4e2d \U0001f600 a", "  \t", "b\nb"]
    layer = TextVectorization(num_words, standardize=standardize)
    layer.adapt(np.array(texts, dtype=object))
    ours = learn_text(texts, num_words=num_words, standardize=standardize)
    assert list(ours.vocabulary) == layer.get_vocabulary()


def test_without_maxlen_each_row_has_its_own_length() -> None:
    rows = learn_text(FILMS).encode(FILMS)
    assert rows.dtype == object
    assert [len(row) for row in rows] == [5, 3, 4]
    equal = learn_text(FILMS).encode(["dull film", "great film"])
    assert equal.shape == (2,), "rows of one length do not become a table"


def test_encode_and_decode() -> None:
    films = learn_text(FILMS, maxlen=6)
    assert films.decode(films.encode(FILMS)) == [
        "a great film great actors",
        "a dull film",
        "great its not dull",
    ]
    assert films.decode(films.encode(["A marvellous film"])) == ["a [UNK] film"]
    assert films.decode([[10_000]]) == ["[UNK]"]


def test_the_word_index_gives_the_indices_of_keras() -> None:
    ranks = {"the": 1, "film": 2, "it's": 3, "dull": 4}
    films = from_word_index(ranks, num_words=7, maxlen=8)
    row = films.encode("It's the dull,old FILM")
    assert row.tolist() == [[0, 0, 1, 6, 4, 2, 2, 5]]
    assert films.decode(row) == ["it's the [UNK] [UNK] film"]
    assert len(films.vocabulary) == 7
    assert from_word_index(ranks).encode("dull")[0] == [1, 7]


def test_a_text_cannot_contain_the_start_marker() -> None:
    films = from_word_index({"film": 1})
    assert list(films.encode(["[START] [UNK]"])[0]) == [1, 2, 2]
    literal = TextEncoding(("", "[UNK]", "film"), maxlen=2, standardize=None)
    assert literal.encode("[UNK] film").tolist() == [[1, 2]]


@pytest.mark.parametrize("way", STANDARDIZE)
def test_learned_words_are_encoded(way: str | None) -> None:
    encoding = learn_text(FILMS, standardize=way, maxlen=8)
    assert encoding.unknown not in encoding.encode(FILMS)


@given(
    words=st.lists(st.text(max_size=5), max_size=8),
    maxlen=st.none() | st.integers(1, 9),
    sides=st.tuples(st.sampled_from(SIDES), st.sampled_from(SIDES)),
    way=st.sampled_from(list(STANDARDIZE)),
    text=WRITTEN,
)
def test_config_survives_json(
    words: list[str], maxlen: int | None, sides: Any, way: Any, text: str
) -> None:
    before = TextEncoding(("", "[UNK]", *words), maxlen, *sides, standardize=way)
    after = TextEncoding.from_config(json.loads(json.dumps(before.get_config())))
    assert after.get_config() == before.get_config()
    assert after.encode([text]).tolist() == before.encode([text]).tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"maxlen": 0}, "maxlen= must be a positive integer; got 0"),
        ({"padding": "front"}, 'padding= must be "pre" or "post"; got'),
        ({"truncating": "pst"}, "Did you mean post?"),
        ({"standardize": "lowr"}, "Did you mean lower?"),
        ({"num_words": 2}, "num_words= must be at least 3"),
    ],
)
def test_invalid_options_are_rejected(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as error:
        learn_text(FILMS, **options)
    assert said in str(error.value)


def test_texts_without_a_word() -> None:
    with pytest.raises(DataError, match="The texts contain no word"):
        learn_text(["...", " "])
