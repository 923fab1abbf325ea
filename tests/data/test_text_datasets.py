from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kmagic.data import keras_datasets, load_data
from kmagic.support.errors import DataError

GOOD = ["A great film!", "great, great actors", "What a great story"]
BAD = ["A dull film.", "dull actors", "What a dull story, dull"]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """reviews/train/{neg,pos} and reviews/test/{neg,pos}."""
    folder = tmp_path / "reviews"
    for part, take in (("train", slice(0, 2)), ("test", slice(2, 3))):
        for name, texts in (("pos", GOOD), ("neg", BAD)):
            held = folder / part / name
            held.mkdir(parents=True)
            for number, text in enumerate(texts[take]):
                (held / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_of_texts_stays_texts(reviews: Path) -> None:
    data = load_data(reviews)
    assert data.is_text
    assert data.classes == ("neg", "pos")
    pairs = zip(data.x_train.tolist(), data.y_train.tolist(), strict=True)
    assert sorted(pairs) == sorted([(t, 1) for t in GOOD[:2]] + [(t, 0) for t in BAD[:2]])
    assert data.encoding is None
    assert data.prepare("A film").tolist() == ["A film"]


def test_the_same_texts_as_keras_reads(reviews: Path) -> None:
    from keras.utils import text_dataset_from_directory

    data = load_data(reviews)
    for part, x, y in (
        ("train", data.x_train, data.y_train),
        ("test", data.x_test, data.y_test),
    ):
        theirs = text_dataset_from_directory(reviews / part, verbose=False).unbatch()
        pairs = [(text.decode(), label) for text, label in theirs.as_numpy_iterator()]
        assert sorted(zip(x.tolist(), y.tolist(), strict=True)) == sorted(pairs)


def test_texts_are_encoded_by_the_training_part(reviews: Path) -> None:
    data = load_data(reviews, num_words=6, maxlen=4, padding="post", truncating="post")
    encoding = data.encoding
    assert encoding is not None
    assert len(encoding.vocabulary) == 6
    assert "story" not in encoding.vocabulary
    assert data.x_train.shape == (4, 4)
    assert data.x_train.dtype == np.int32
    raw = load_data(reviews)
    np.testing.assert_array_equal(encoding.encode(raw.x_test), data.x_test)
    np.testing.assert_array_equal(data.prepare(raw.x_test), data.x_test)
    assert data.labels_of(data.prepare(GOOD[0])) is not None


def test_a_share_becomes_the_test_part(reviews: Path) -> None:
    data = load_data(reviews / "train", split=0.5, maxlen=3)
    assert (len(data.x_train), len(data.x_test)) == (2, 2)
    assert sorted(data.y_test.tolist()) == [0, 1]


def test_texts_in_arrays_frames_and_columns() -> None:
    y = ["good"] * 3 + ["bad"] * 3
    frame = pd.DataFrame({"text": GOOD + BAD, "label": y})
    for source in (
        (GOOD + BAD, y),
        (np.array(GOOD + BAD), np.array(y)),
        (frame["text"], frame["label"]),
        frame,
    ):
        data = load_data(source, maxlen=5, split=2 / 6)
        assert data.classes == ("bad", "good")
        assert data.x_train.shape == (4, 5)
        assert data.encoding is not None
        assert load_data(source).is_text


def test_a_model_predicts_from_sentences(reviews: Path) -> None:
    import keras

    from kmagic import fit
    from kmagic.support.model_registry import dataset_for

    data = load_data(reviews, num_words=20, maxlen=5)
    layers = [keras.Input((5,)), keras.layers.Embedding(20, 4), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    keras.utils.set_random_seed(0)
    fit(model, data.x_train, data.y_train, epochs=20, displays=[])
    answers = model.predict(dataset_for(model).prepare(["great film", "dull film"]), verbose=0)
    assert answers[0, 0] > 0.5 > answers[1, 0]


@pytest.mark.parametrize("numbered", [True, False], ids=["numbers", "texts"])
def test_a_saved_model_predicts_from_sentences(
    reviews: Path, tmp_path: Path, numbered: bool
) -> None:
    import keras

    from kmagic import fit, load, save
    from kmagic.support.model_registry import dataset_for

    data = load_data(reviews, maxlen=5 if numbered else None)
    words = keras.layers.TextVectorization(vocabulary=["great", "dull"], output_sequence_length=5)
    first = [keras.Input((5,))] if numbered else [keras.Input((1,), dtype="string"), words]
    layers = [*first, keras.layers.Embedding(30, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    fit(model, data.x_train, data.y_train, displays=[])
    save(model, tmp_path / "model.keras")
    again = load(tmp_path / "model.keras")
    sentence = "A great film, and what a dull story"
    expected = model.predict(data.prepare(sentence), verbose=0)
    np.testing.assert_array_equal(
        again.predict(dataset_for(again).prepare(sentence), verbose=0), expected
    )
    assert dataset_for(again).classes == ("neg", "pos")


# --- word indices of the user --------------------------------------------------------------------

RANKS = {"the": 1, "film": 2, "story": 3}
ROWS = [[1, 4, 5], [1, 6, 900], [1, 4, 6, 5], [1, 5]]
LABELS = ["good", "bad"] * 2


def _by_hand(**options: Any) -> Any:
    parts = (ROWS, LABELS, ROWS[:2], LABELS[:2])
    return load_data(parts, words=RANKS, **options)


def test_word_indices_are_decoded_by_their_word_index(tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    index.write_text(json.dumps(RANKS), encoding="utf-8")
    data = _by_hand(maxlen=4, num_words=6)
    assert data.x_train.tolist() == [[0, 1, 4, 5], [0, 1, 2, 2], [1, 4, 2, 5], [0, 0, 1, 5]]
    assert data.encoding.decode(data.x_test) == ["the film", "[UNK] [UNK]"]
    assert data.prepare("The story of a film").tolist() == [[2, 2, 2, 5]]
    parts = (ROWS, LABELS, ROWS[:2], LABELS[:2])
    same = load_data(parts, words=index, maxlen=4, num_words=6)
    np.testing.assert_array_equal(same.x_train, data.x_train)
    ragged = _by_hand()
    assert [len(row) for row in ragged.x_train] == [3, 3, 4, 2]


def test_rows_of_one_length_keep_it() -> None:
    rows = np.array([[1, 4], [1, 5], [1, 6], [1, 900]])
    data = load_data((rows, LABELS), words=RANKS, split=0.5)
    assert data.prepare("film").tolist() == [[1, 5]]
    assert data.preparation.sample_shape == (2,)


@pytest.mark.usefixtures("keras_home")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("imdb", "The words of imdb are unknown"),
        ("nowhere.json", "no file or folder nowhere.json"),
        (
            {"film": 0},
            "words= is not a word index: it must map words to their ranks, 1 to 10,000,000",
        ),
        ({}, "words= is not a word index"),
        (
            7,
            "words= must be imdb, reuters, the path of a word index, or a dictionary of words",
        ),
    ],
    ids=str,
)
def test_words_that_are_not_available(words: Any, said: str) -> None:
    with pytest.raises(DataError) as error:
        load_data((ROWS, LABELS), words=words, split=0.5)
    assert said in str(error.value)


def test_words_only_apply_to_word_indices() -> None:
    with pytest.raises(DataError, match="words= only applies to word indices"):
        load_data((GOOD + BAD, [1, 1, 1, 0, 0, 0]), words=RANKS)


def test_sentences_cannot_be_encoded_without_a_vocabulary() -> None:
    data = load_data((ROWS, LABELS), maxlen=3, split=0.5, name="mine")
    with pytest.raises(DataError) as error:
        data.prepare("a film")
    assert "The words for the indices in mine are unknown: load the data with words=" in str(
        error.value
    )


def test_real_reviews_and_own_sentences(shared_data: Path) -> None:
    from kmagic import build, fit, predict

    data = load_data(
        shared_data / "imdb_sample.npz",
        allow_pickle=True,
        words=shared_data / "imdb_word_index.json",
        num_words=5000,
        maxlen=100,
    )
    assert data.x_train.shape == (4000, 100)
    assert data.encoding is not None
    read = data.encoding.decode(data.x_test[:200])
    assert sum(" the " in review for review in read) > 150
    net = "input 100 / embedding 5000 16 mask_zero / gap1d / dense 1 sigmoid"
    model = build(f"{net}\ncompile adam(0.01) loss=binary_crossentropy metrics=accuracy")
    fit(model, data.x_train, data.y_train, epochs=3, seed=1, displays=[])
    assert model.evaluate(data.x_test, data.y_test, verbose=0)[1] > 0.77
    found = predict(model, ["A wonderful film, the best in years.", "Terrible, a boring waste."])
    assert found[0, 0] > 0.9
    assert found[1, 0] < 0.1


# --- IMDB by its name -----------------------------------------------------------------------------


@pytest.fixture
def imdb(monkeypatch: pytest.MonkeyPatch, keras_home: Path) -> Path:
    """Keras's loader, with a small file of its raw layout; the word index is not there."""
    path = keras_home / "datasets" / "imdb.npz"
    raw = np.empty(4, dtype=object)
    raw[:] = [[1, 2], [3, 3, 3], [2], [1, 2, 3, 1, 2]]
    y = np.array([1, 0, 1, 0])
    np.savez(path, x_train=raw, y_train=y, x_test=raw, y_test=y, allow_pickle=True)
    loader = import_module("keras.src.datasets.imdb")
    monkeypatch.setattr(loader, "get_file", lambda **_: str(path))
    state_of = keras_datasets.state_of
    right = {"imdb.npz": "right"}
    monkeypatch.setattr(
        keras_datasets, "state_of", lambda file: right.get(file.name) or state_of(file)
    )
    return path


def test_imdb_encodes_sentences(imdb: Path) -> None:
    index = imdb.with_name("imdb_word_index.json")
    index.write_text(json.dumps(RANKS), encoding="utf-8")
    data = load_data("imdb", num_words=6, maxlen=5)
    assert data.encoding is not None
    assert sorted(data.encoding.decode(data.x_train)) == ["[UNK] [UNK] [UNK]", "film", "the film"]
    assert data.encoding.encode(["A film"]).tolist() == [[0, 0, 1, 2, 5]]
    assert data.prepare("The film!").tolist() == [[0, 0, 1, 4, 5]]
    assert data.prepare("The film!").tolist() in [[row] for row in data.x_train.tolist()]


def test_imdb_is_loaded_without_its_word_index(imdb: Path) -> None:
    data = load_data("imdb", num_words=6, maxlen=5)
    assert data.encoding is None
    assert data.x_train.shape == (3, 5)
    with pytest.raises(DataError) as error:
        data.prepare("The film!")
    assert f" to {imdb.parent}/imdb_word_index.json" in str(error.value)


# --- mistakes in a folder ------------------------------------------------------------------


def test_a_text_in_another_encoding_is_named(reviews: Path) -> None:
    (reviews / "train" / "pos" / "odd.txt").write_bytes("schön".encode("latin-1"))
    with pytest.raises(DataError, match=r"odd\.txt is not UTF-8: byte 0xf6 in line 1"):
        load_data(reviews)


def test_text_folders_without_classes(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="is empty"):
        load_data(empty)
    one = tmp_path / "one"
    (one / "pos").mkdir(parents=True)
    (one / "pos" / "0.txt").write_text("good", encoding="utf-8")
    (one / "neg").mkdir()
    with pytest.raises(DataError, match="contains only one class: pos"):
        load_data(one)


def test_a_class_without_files_is_noted(reviews: Path) -> None:
    (reviews / "train" / "meh").mkdir()
    assert "Without readable files: meh." in load_data(reviews).note
