from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kmagic.data.assemble import Parts, encode_texts, to_text_array
from kmagic.data.folders import read_texts
from kmagic.data.keras_datasets import WORD_INDEX_FILES, load_keras_encoding
from kmagic.data.load_options import LoadOptions
from kmagic.data.loading import load_data
from kmagic.support import downloads
from kmagic.support.errors import DataError

RANKS = {"the": 1, "film": 2, "it's": 3}


def _written(folder: Path, **texts: bytes) -> list[Path]:
    files = []
    for name, raw in texts.items():
        files.append(folder / f"{name}.txt")
        files[-1].write_bytes(raw)
    return files


# --- files ----------------------------------------------------------------------------------------


def test_texts_are_read_as_they_are(tmp_path: Path) -> None:
    files = _written(tmp_path, a="Schön\nwar's.".encode(), b=b"", c="\ufeffmarked".encode())
    found = read_texts(files)
    assert found.dtype == object
    assert found.tolist() == ["Schön\nwar's.", "", "marked"]


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    files = _written(tmp_path, good=b"good", odd="one\nsch\xf6n".encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_texts(files)
    assert f"{tmp_path}/odd.txt is not UTF-8: byte 0xf6 in line 2." in str(error.value)
    assert "iconv -f latin1 -t utf-8 odd.txt" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt"):
        read_texts([tmp_path / "gone.txt"])


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "are"),
    [
        (["a", "b"], True),
        (np.array(["a", "b"]), True),
        (np.array(["a", "b"], dtype=object), True),
        (pd.Series(["a", "b"], index=[7, 8]), True),
        ([[1, 2], [3, 4]], False),
        (np.array([[1, 2], [3]], dtype=object), False),
        (np.zeros((2, 3)), False),
    ],
)
def test_texts_are_recognized(x: Any, are: bool) -> None:
    assert load_data((x, [0.5, 1.5])).is_text is are


def test_sentences_become_an_array() -> None:
    for x in (["a", "bc"], np.array(["a", "bc"]), pd.Series(["a", "bc"], index=[3, 1])):
        data = load_data((x, [0.5, 1.5]))
        assert data.x_train.dtype == data.x_test.dtype == object
        assert sorted([*data.x_train, *data.x_test]) == ["a", "bc"]
    with pytest.raises(DataError, match="row at index 1"):
        to_text_array(["a", None])


def _split(train: list[str], test: list[str]) -> Parts:
    return Parts(np.array(train), np.zeros(len(train)), np.array(test), np.zeros(len(test)))


def test_the_vocabulary_is_learned_from_the_training_part() -> None:
    split = _split(["a film", "a book"], ["a new film"])
    encoded, encoding = encode_texts(split, LoadOptions(maxlen=4, padding="post"))
    assert encoding is not None
    assert "new" not in encoding.vocabulary
    assert encoding.decode(encoded.x_test) == ["a [UNK] film"]
    assert encoded.x_train[0].tolist() == [*encoding.encode("a film")[0]]
    assert encoded.x_train[0, 2:].tolist() == [0, 0]


def test_sentences_are_not_encoded_by_default() -> None:
    split = _split(["a film"], ["a film"])
    encoded, encoding = encode_texts(split, LoadOptions())
    assert encoded.x_train is split.x_train
    assert encoding is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_words": 0}, "num_words= must be a positive integer; got 0."),
        ({"maxlen": True}, "maxlen= must be a positive integer; got True."),
        ({"maxlen": 2.5}, "maxlen= must be a positive integer; got 2.5."),
        ({"padding": "left"}, 'padding= must be "pre" or "post"; got'),
    ],
)
def test_invalid_options_are_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        load_data((["a film", "a book"] * 2, [0, 1, 0, 1]), **options)
    assert message in str(error.value)


# --- the words of IMDB and Reuters ----------------------------------------------------------------


@pytest.fixture
def index(keras_home: Path) -> Path:
    path = keras_home / "datasets" / "imdb_word_index.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(RANKS), encoding="utf-8")
    return path


@pytest.mark.usefixtures("index")
def test_load_keras_encoding_imdb() -> None:
    encoding, problem = load_keras_encoding("imdb", LoadOptions(num_words=6, maxlen=5))
    assert encoding is not None
    assert not problem
    assert encoding.encode("The film: it's THE!").tolist() == [[1, 4, 5, 2, 4]]
    assert encoding.decode([[0, 1, 4, 5, 2]]) == ["the film [UNK]"]


@pytest.mark.parametrize("name", WORD_INDEX_FILES)
def test_a_missing_word_index_says_which_file_goes_where(name: str, keras_home: Path) -> None:
    encoding, problem = load_keras_encoding(name, LoadOptions())
    assert encoding is None
    assert f"{name}_word_index.json" in problem
    assert "KMAGIC_OFFLINE is set" in problem
    assert f" to {keras_home}/datasets/{name}_word_index.json" in problem
    assert "sha256" not in problem


@pytest.mark.parametrize("broken", [b"", b"{", b"[1, 2]", b'{"a": "x"}', b"\xff\xfe"])
def test_a_damaged_word_index_is_kept_and_named(index: Path, broken: bytes) -> None:
    index.write_bytes(broken)
    encoding, problem = load_keras_encoding("imdb", LoadOptions())
    assert encoding is None
    assert str(index) in problem
    assert "Move it away, and Keras downloads it again" in problem
    assert index.read_bytes() == broken


@pytest.mark.parametrize("name", WORD_INDEX_FILES)
def test_the_word_index_is_the_file_that_keras_fetches(
    name: str, monkeypatch: pytest.MonkeyPatch, keras_home: Path
) -> None:
    module = import_module(f"keras.src.datasets.{name}")
    raw = json.dumps(RANKS).encode()
    asked = []

    def get_file(fname: str, origin: str, file_hash: str) -> str:
        asked.append((fname, origin))
        assert len(file_hash) == hashlib.md5(b"", usedforsecurity=False).digest_size * 2
        path = keras_home / fname
        path.write_bytes(raw)
        return str(path)

    monkeypatch.setattr(module, "get_file", get_file)
    monkeypatch.setenv("KMAGIC_OFFLINE", "0")
    monkeypatch.setattr(downloads, "is_reachable", lambda _url: True)
    encoding, problem = load_keras_encoding(name, LoadOptions())
    assert encoding is not None, problem
    assert asked == [(WORD_INDEX_FILES[name].name, WORD_INDEX_FILES[name].url)]
    assert encoding.decode([[1, 4, 5]]) == ["the film"]


def test_ranks_and_lengths_beyond_the_memory_are_refused():
    rows = ([[1, 2, 3], [2, 3, 4]] * 4, [0, 1] * 4)
    with pytest.raises(DataError, match="must map words to their ranks, 1 to 10,000,000"):
        load_data(rows, words={"a": 10**12})
    with pytest.raises(DataError, match="of memory"):
        load_data((["a film", "a book"] * 4, [0, 1] * 4), maxlen=10**13)
