from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmagic.data import Dataset
from kmagic.data.preparation.columns import Columns, TableColumn
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.preparation.scaling import Scaling, learn_scaling
from kmagic.data.preparation.text_encoding import TextEncoding
from kmagic.support.errors import DataError
from kmagic.support.sentences import as_sentences

WORDS = TextEncoding(("", "[UNK]", "a", "great", "film"), maxlen=3)
RAW = np.random.default_rng(3).integers(0, 256, (6, 4, 5), dtype=np.uint8)


def _digits(scale: Any, sample: tuple[int, ...]) -> Preparation:
    return Preparation(
        "digits", ("a", "b"), learn_scaling(scale, RAW, images=True), image_shape=(4, 5),
        sample_shape=sample,
    )  # fmt: skip


# --- sentences ------------------------------------------------------------------------------------

GREAT = [[2, 3, 4]]


@pytest.mark.parametrize(
    "raw",
    [
        "A great film!",
        b"A great film!",
        ["A great film!"],
        ("A great film!",),
        np.array("A great film!"),
        np.array(["A great film!"]),
        np.array([["A great film!"]], dtype=object),
        np.array([b"A great film!"]),
        pd.Series(["A great film!"], index=[7]),
        pd.Series(["A great film!"], dtype="string"),
        pd.Series(["A great film!"]).to_numpy(),
        pd.DataFrame({"text": ["A great film!"]}),
    ],
    ids=lambda raw: f"{type(raw).__name__}-{getattr(raw, 'dtype', '')}",
)
def test_sentences_in_any_container(raw: Any) -> None:
    assert Preparation(encoding=WORDS, sample_shape=(3,)).apply(raw).tolist() == GREAT


def test_sentences_in_tensors() -> None:
    import tensorflow as tf

    assert Preparation(encoding=WORDS).apply(tf.constant(["A great film!"])).tolist() == GREAT


def test_sentences_that_the_model_takes_unencoded() -> None:
    as_they_are = Preparation(sample_shape=())
    found = as_they_are.apply(["A great film!", "dull"])
    assert found.dtype == object
    assert found.tolist() == ["A great film!", "dull"]
    with pytest.raises(DataError, match="must be sentences"):
        as_they_are.apply([[1, 2], [3, 4]])


def test_a_table_of_several_columns_is_not_sentences() -> None:
    frame = pd.DataFrame({"review": ["a film"], "stars": [5]})
    with pytest.raises(DataError) as error:
        Preparation(encoding=WORDS).apply(frame)
    assert "got a DataFrame of 2 columns: review, stars" in str(error.value)
    assert "Pass the column that contains the texts: frame['review']." in str(error.value)


def test_rows_of_word_indices_are_padded() -> None:
    films = Preparation(encoding=WORDS)
    assert films.apply([[3, 4], [2, 3, 4, 4]]).tolist() == [[0, 3, 4], [3, 4, 4]]
    assert films.apply([3, 4]).tolist() == [[0, 3, 4]]
    assert films.apply(np.array([[2, 3, 4]], dtype=np.int64)).tolist() == GREAT
    for wrong in ([[0.5, 1.0]], [[[1, 2]]], 7, {"a": 1}, None):
        with pytest.raises(DataError, match="must be sentences"):
            films.apply(wrong)


def test_a_row_without_text_is_named() -> None:
    with pytest.raises(DataError, match=r"row at index 1 is nan \(float\)"):
        as_sentences(pd.Series(["good", float("nan")]))
    with pytest.raises(DataError, match="row at index 1 is None"):
        as_sentences(np.ma.array(["good", "hidden"], mask=[False, True]))
    with pytest.raises(DataError, match=r"bytes at index 1 must be UTF-8"):
        as_sentences([b"good", "sch\xf6n".encode("latin-1")])


@pytest.mark.parametrize(
    "raw",
    [
        [],
        [1, 2],
        np.zeros((2, 2)),
        {"text": "good"},
        pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]}),
        pd.DataFrame({"a": [1, 2]}),
        np.array([["a", "b"], ["c", "d"]]),
        None,
        7,
    ],
    ids=repr,
)
def test_values_without_sentences(raw: Any) -> None:
    assert as_sentences(raw) is None


# --- images and tables --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["none", "255", "standard"])
@pytest.mark.parametrize("sample", [(4, 5), (20,), (4, 5, 1)])
def test_raw_images_are_prepared_for_the_model(scale: str, sample: tuple[int, ...]) -> None:
    digits = _digits(scale, sample)
    expected = digits.scaling.apply(RAW).reshape(6, *sample)
    for raw in (RAW, RAW.reshape(6, 20), RAW[..., np.newaxis], RAW.tolist()):
        np.testing.assert_array_equal(digits.apply(raw), expected)
    for one in (RAW[0], RAW[0].ravel(), RAW[0, ..., np.newaxis], RAW[:1]):
        np.testing.assert_array_equal(digits.apply(one), expected[:1])
    assert digits.apply(RAW[:0]).shape == (0, *sample)


def test_images_are_restored() -> None:
    digits = _digits("standard", (20,))
    np.testing.assert_array_equal(digits.images(digits.apply(RAW)), RAW)
    assert Preparation().images(np.zeros((2, 3))) is None


def test_rows_of_a_table() -> None:
    table = np.random.default_rng(1).normal(5, 3, (9, 4))
    houses = Preparation("houses", scaling=learn_scaling("standard", table), sample_shape=(4,))
    expected = houses.scaling.apply(table)
    np.testing.assert_array_equal(houses.apply(table), expected)
    np.testing.assert_array_equal(houses.apply(table.tolist()), expected)
    np.testing.assert_array_equal(houses.apply(pd.DataFrame(table)), expected)
    np.testing.assert_array_equal(houses.apply(table[0]), expected[:1])


@pytest.mark.parametrize(
    ("raw", "came"),
    [
        ("seven.png", "the text 'seven.png'"),
        (np.zeros((2, 7, 7)), "a ndarray of shape (2, 7, 7), float64"),
        (np.zeros(3), "a ndarray of shape (3,), float64"),
        ([[1, 2], [3]], "a list of 2 (list)"),
        (pd.DataFrame({"a": [1], "b": [2]}), "a DataFrame of 2 columns: a, b"),
        (np.array([["a"] * 20]), "a ndarray of shape (1, 20), <U1"),
        (None, "a NoneType"),
    ],
    ids=lambda raw: type(raw).__name__,
)
def test_data_that_are_not_images_of_the_dataset(raw: Any, came: str) -> None:
    with pytest.raises(DataError) as error:
        _digits("255", (4, 5)).apply(raw)
    assert f"The data must be images of 4 x 5, as in the dataset digits; got {came}." in str(
        error.value
    )


def test_features_come_before_the_scaling() -> None:
    scaling = Scaling("255")
    columns = Columns((TableColumn("a", "category", ("no", "yes")),))
    table = Preparation(columns=columns, scaling=scaling, sample_shape=(2, 1))
    np.testing.assert_allclose(table.apply(pd.DataFrame({"a": ["yes"]})), [[[0], [1 / 255]]])
    assert table.get_config()["columns"] == columns.get_config()


# --- config ---------------------------------------------------------------------------------------

BY_COLUMN = learn_scaling("standard", RAW.reshape(6, 20))
SHAPES = st.none() | st.lists(st.integers(1, 9), max_size=3).map(tuple)


@given(
    made=st.builds(
        Preparation,
        name=st.text(max_size=5),
        classes=st.none() | st.lists(st.text(max_size=4), max_size=4).map(tuple),
        scaling=st.sampled_from(
            [Scaling(), Scaling("255"), learn_scaling("standard", RAW, images=True), BY_COLUMN]
        ),
        encoding=st.none() | st.just(WORDS),
        target=st.text(max_size=5),
        image_shape=SHAPES,
        sample_shape=SHAPES,
    )
)
def test_config_survives_json(made: Preparation) -> None:
    after = Preparation.from_config(json.loads(json.dumps(made.get_config())))
    assert after.get_config() == made.get_config()
    for name in ("name", "classes", "target", "image_shape", "sample_shape"):
        assert getattr(after, name) == getattr(made, name)


def test_a_config_of_an_earlier_version() -> None:
    channels = learn_scaling("standard", RAW, images=True)
    config = Preparation("digits", None, channels, image_shape=(4, 5)).get_config()
    config["picture_shape"] = config.pop("image_shape")
    config["lacking"] = config.pop("encoding_problem")
    config["scaling"]["pictures"] = config["scaling"].pop("images")
    digits = Preparation.from_config(config)
    assert digits.image_shape == (4, 5)
    np.testing.assert_array_equal(digits.apply(RAW.reshape(6, 20)), channels.apply(RAW))


# --- datasets ------------------------------------------------------------------------------------


def test_a_dataset_and_its_preparation_have_the_same_interface() -> None:
    scaling = learn_scaling("255", RAW)
    x = scaling.apply(RAW).reshape(6, 20)
    y = np.array([0, 1, 0, 1, 0, 1])
    digits = Dataset("d", x, y, x[:2], y[:2], ("a", "b"), scaling, image_shape=(4, 5))
    left = Preparation.from_config(digits.preparation.get_config())
    for each in (digits, left):
        assert each.classes == ("a", "b")
        assert each.scaling.kind == "255"
        np.testing.assert_array_equal(each.prepare(RAW), x)
        np.testing.assert_array_equal(each.images(x), RAW)
        assert each.preparation.sample_shape == (20,)
    assert digits.labels_of(x[1:2]) is not None
    assert left.labels_of(x[1:2]) is None


def test_a_dataset_of_sentences() -> None:
    x = np.array(["a great film", "dull, dull", "a film"], dtype=object)
    y = np.array([1, 0, 1])
    films = Dataset("films", x[:2], y[:2], x[2:], y[2:], ("bad", "good"))
    assert films.is_text
    assert "x is texts, 2 to 3 words long, not encoded" in repr(films)
    assert films.preparation.sample_shape == ()
    assert films.prepare("a film").tolist() == ["a film"]
    labels = films.labels_of(x[::-1])
    assert labels is not None
    assert labels.tolist() == [1, 0, 1]
    assert films.labels_of(np.zeros(3)) is None


def test_rows_of_word_indices_are_not_sentences() -> None:
    x = WORDS.encode(["a film", "great"])
    y = np.array([0, 1])
    films = Dataset("films", x, y, x, y, ("bad", "good"), encoding=WORDS)
    assert not films.is_text
    assert films.prepare("great").tolist() == x[1:].tolist()
    ragged = np.array([[1, 2], [3]], dtype=object)
    assert Dataset("r", ragged, y, ragged, y, ("a", "b")).preparation.sample_shape is None
