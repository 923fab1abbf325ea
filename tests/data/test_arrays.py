"""Arrays, lists, npz files and streams as datasets; what their targets are taken for."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_iris

from kmagic.data import Dataset, arrays, load_data
from kmagic.data.load_options import LoadOptions
from kmagic.data.target_kind import decide_target
from kmagic.support import memory
from kmagic.support.errors import DataError

ROWS = 40


@pytest.fixture
def x() -> Any:
    return np.random.default_rng(0).random((ROWS, 3))


@pytest.fixture
def y() -> Any:
    return np.arange(ROWS) % 2


@pytest.fixture
def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 256, (ROWS, 6, 5, 3), dtype=np.uint8)


def rows(data: Dataset) -> int:
    return len(data.x_train) + len(data.x_test)


# --- forms ----------------------------------------------------------------------------------------


def test_x_and_y(x: Any, y: Any) -> None:
    data = load_data((x, y), scale="standard", name="few")
    assert data.name == "few"
    assert data.classes == ("0", "1")
    assert (data.x_train.shape, data.x_test.shape) == ((32, 3), (8, 3))
    assert data.counts(data.y_test).tolist() == [4, 4]
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.prepare(x).mean(), data.scaling.apply(x).mean())
    assert data.note == ""


def test_given_parts_keep_their_order(x: Any, y: Any) -> None:
    forms: list[Any] = [
        (x[:30], y[:30], x[30:], y[30:]),
        [x[:30], y[:30], x[30:], y[30:]],
        ((x[:30], y[:30]), (x[30:], y[30:])),
        {"x_train": x[:30], "y_train": y[:30], "x_test": x[30:], "y_test": y[30:]},
        (x[:30].tolist(), y[:30].tolist(), x[30:].tolist(), y[30:].tolist()),
    ]
    for form in forms:
        data = load_data(form)
        np.testing.assert_array_equal(data.x_train, x[:30])
        np.testing.assert_array_equal(data.y_test, y[30:])
    assert len(load_data(forms[0], split=0.5).x_test) == ROWS // 2


def test_one_feature_is_a_column(y: Any) -> None:
    assert load_data((np.arange(ROWS), y)).x_train.shape == (32, 1)
    assert load_data((list(range(ROWS)), y.tolist())).x_train.shape == (32, 1)


def test_images(pixels: Any, y: Any) -> None:
    data = load_data((pixels, y), scale=255)
    assert data.image_shape == (6, 5, 3)
    pictures = data.images(data.x_train)
    assert pictures is not None
    assert {each.tobytes() for each in pictures} <= {each.tobytes() for each in pixels}
    grey = load_data((pixels[..., 0], y), channel=True)
    assert grey.x_train.shape == (32, 6, 5, 1)
    assert load_data((pixels, y), flatten=True).x_train.shape == (32, 90)


def test_images_of_0_to_1_were_divided_by_255(pixels: Any, y: Any) -> None:
    shares = (pixels / 255).astype(np.float32)
    data = load_data((shares, y))
    assert data.scaling.kind == "255"
    assert "taken as divided by 255" in data.note
    np.testing.assert_allclose(data.prepare(pixels), shares, atol=1e-6)
    pictures = data.images(shares)
    assert pictures is not None
    np.testing.assert_array_equal(pictures, pixels)
    with pytest.raises(DataError, match="are divided by 255 already"):
        load_data((shares, y), scale="255")


def test_sequences_are_not_images(y: Any) -> None:
    series = np.random.default_rng(0).normal(size=(ROWS, 12, 4))
    data = load_data((series, y), scale="standard")
    assert data.image_shape is None
    assert data.x_train.shape == (32, 12, 4)
    with pytest.raises(
        DataError, match="channel= only applies to images; data contains arrays of numbers"
    ):
        load_data((series, y), channel=True)


def test_lists_of_word_indices(y: Any) -> None:
    ragged = [[1, 2, 3], [4, 5]] * (ROWS // 2)
    assert load_data((ragged, y)).x_train.dtype == object
    assert load_data((ragged, y), maxlen=2).x_train.shape == (32, 2)
    post = load_data((ragged, y), maxlen=4, padding="post")
    assert set(post.x_train[:, 3].tolist()) == {0}
    with pytest.raises(DataError, match="num_words= requires texts"):
        load_data((ragged, y), num_words=5)


def test_sentences(y: Any) -> None:
    said = ["a great film", "a bad film"] * (ROWS // 2)
    assert load_data((said, y)).is_text
    numbered = load_data((np.array(said), y), num_words=10, maxlen=5)
    assert numbered.encoding is not None
    assert numbered.x_train.shape == (32, 5)


class Unprintable:
    def __repr__(self) -> str:
        raise AttributeError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "The source must be a name, .*; got None"),
        (3, "The source must be a name, .*; got int 3"),
        (np, "The source must be a name, .*; got module <module 'numpy'"),
        (Unprintable(), "The source must be a name, .*; got Unprintable <Unprintable object>"),
        ((keras.Input((4,)), [0, 1]), "A symbolic tensor, .*, has no values"),
        (np.zeros((4, 2)), r"one ndarray of shape \(4, 2\), without targets"),
        (([[1, 2]] * 4, [0, 1, 0]), "x has 4 rows, but y has 3"),
        (([[1, 2]] * 4, 7), "The source must be a name, .*; got a tuple of 2"),
        (([], []), "x is empty"),
        ((np.array(3), np.array([0, 1])), "x is a single value"),
        (([[1, 2]], [1]), "data has 1 row, too few for a training and a test part"),
        (([[1, "a"]] * 4, [0, 1] * 2), "x must contain numbers or texts; got rows of words"),
        (([{}] * 4, [0, 1] * 2), "x must contain numbers or texts; got dict"),
        (([1j] * 4, [0, 1] * 2), "x must contain numbers or texts; got complex128"),
        (([np.zeros((2, 2)), np.zeros((3, 3))], [0, 1]), "arrays of 2 sizes: 2 x 2, 3 x 3"),
        (
            ([[1]] * 4, [0, 1] * 2, [[1, 2]] * 2, [0, 1]),
            "rows of x_train and x_test must have the same shape; got 1 and 2",
        ),
        (
            ([[1]] * 4, [0, 0, 0, 0], [[1]] * 2, [0, 1]),
            "Class 1 of data is in the test part, but not in the training part",
        ),
        (([[1]] * 4, [0, 0, 0, 1]), "Class 1 of data has one row"),
        ({"images": [[1]], "y": [1]}, "must contain x_train, .*; got images, y"),
        ({}, "must contain x_train, .*; got nothing"),
        (
            ([[1]] * 4, [0, 1] * 2, [[1]] * 2, [[0, 1], [1, 0]]),
            "must have the same form; got 4 of int64 and 2 x 2 of int64",
        ),
        (
            ([[1]] * 4, [0, 1] * 2, [[1]] * 2, ["a", "b"]),
            "must have the same form; got 4 of int64 and 2 of <U1",
        ),
        (([[1]] * 2, [[1, 2], [3]]), "y has rows of different lengths"),
        (
            ([[1]] * 2, [[1, 2], [3]], [[1]], [[1]]),
            "must have the same form; got 2 of object and 1 x 1 of int64",
        ),
        (([[1]] * 2, "ab"), "The source must be a name, .*; got a tuple of 2"),
    ],
)
def test_sources_that_are_not_a_dataset(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(source)


# --- npz ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"), ("x_train", "y_train"), ("x", "y"), ("X", "y")],
)
def test_npz(tmp_path: Path, x: Any, y: Any, names: tuple[str, ...]) -> None:
    arrays = dict(zip(names, (x[:30], y[:30], x[30:], y[30:]), strict=False))
    np.savez_compressed(tmp_path / "few.npz", **arrays)
    data = load_data(tmp_path / "few.npz")
    assert data.name == "few"
    assert rows(data) == (ROWS if len(names) == 4 else 30)


def test_damaged_npz_files(tmp_path: Path, x: Any, y: Any) -> None:
    path = tmp_path / "few.npz"
    np.savez_compressed(path, x=x, y=y)
    whole = path.read_bytes()
    spoiled = whole[:200] + bytes(100) + whole[300:]
    for content, message in (
        (b"", "is empty"),
        (b"no archive", "is not an .npz file, or is incomplete"),
        (whole[: len(whole) // 2], "is not an .npz file, or is incomplete"),
        (spoiled, "is damaged or incomplete"),
        (re.sub(rb"PK\x01\x02....", b"PK\x01\x02nnnn", whole), "is damaged or incomplete"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            load_data(path)
        assert path.read_bytes() == content


def test_pickled_objects_are_rejected_unless_allowed(tmp_path: Path, y: Any) -> None:
    ragged = np.empty(ROWS, dtype=object)
    ragged[:] = [[1, 2, 3], [4, 5]] * (ROWS // 2)
    np.savez(tmp_path / "words.npz", x=ragged, y=y)
    with pytest.raises(DataError, match="pickled objects, which can run any code") as caught:
        load_data(tmp_path / "words.npz")
    assert "allow_pickle=True" in caught.value.remedy
    assert rows(load_data(tmp_path / "words.npz", allow_pickle=True)) == ROWS


def test_other_names_in_a_file_are_reported(tmp_path: Path, x: Any, y: Any) -> None:
    np.savez(tmp_path / "odd.npz", images=x, labels=y)
    with pytest.raises(DataError, match=r"must contain x_train, .*; got images, labels") as caught:
        load_data(tmp_path / "odd.npz")
    assert '(file["images"], file["labels"])' in caught.value.remedy


def test_what_does_not_fit_into_memory(
    tmp_path: Path, x: Any, y: Any, pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "few.npz", x=x, y=y)
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(
        DataError, match=r"few\.npz would take 1.5 kB of memory, but only 1.0 kB are available"
    ):
        load_data(tmp_path / "few.npz")
    with pytest.raises(DataError, match="data, scaled to float32, would take"):
        load_data((pixels, y), scale=255)
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    assert rows(load_data(tmp_path / "few.npz")) == ROWS


# --- streams --------------------------------------------------------------------------------------


@pytest.fixture
def tf() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
    return tf.data.Dataset


def test_streams(tf: Any, pixels: Any, y: Any) -> None:
    stream = tf.from_tensor_slices((pixels, y))
    one = load_data(stream)
    assert one.x_train.dtype == np.uint8
    for other in (stream.batch(7), stream.batch(8, drop_remainder=True), stream.prefetch(2)):
        data = load_data(other)
        np.testing.assert_array_equal(data.x_test, one.x_test)
    half = load_data(stream.filter(lambda _x, label: label == 0), task="classification")
    assert rows(half) == ROWS // 2


def test_onehot_streams_and_names_of_classes(tf: Any, pixels: Any, y: Any) -> None:
    stream = tf.from_tensor_slices((pixels, np.eye(2)[y])).batch(8)
    assert load_data(stream).y_train.shape == (32, 2)
    stream.class_names = ["cats", "dogs"]
    assert load_data(stream).classes == ("cats", "dogs")


def test_the_stream_of_image_dataset_from_directory(tmp_path: Path) -> None:
    from PIL import Image

    keras_utils = pytest.importorskip("keras.utils")
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("RGB", (8, 8), "red").save(tmp_path / name / f"{number}.png")
    stream = keras_utils.image_dataset_from_directory(tmp_path, image_size=(8, 8), verbose=False)
    data = load_data(stream, split=0.5)
    assert data.classes == ("cats", "dogs")
    assert data.x_train.shape == (4, 8, 8, 3)


def test_streams_of_texts(tf: Any, y: Any) -> None:
    said = ["a great film", "a bad film"] * (ROWS // 2)
    data = load_data(tf.from_tensor_slices((said, y)).batch(4), num_words=9, maxlen=4)
    assert data.encoding is not None
    assert "film" in data.encoding.decode(data.x_train[:1])[0]


def test_streams_that_are_rejected(
    tf: Any, pixels: Any, y: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = tf.from_tensor_slices((pixels, y))
    mixed = tf.from_generator(
        lambda: ((np.zeros(each), 0) for each in (2, 3)),
        output_signature=(
            _spec((None,), "float64"),
            _spec((), "int32"),
        ),
    )
    for wrong, message in (
        (stream.repeat(), "is endless"),
        (stream.take(0), "is empty"),
        (tf.from_tensor_slices(pixels), "must be pairs of x and y; got TensorSpec"),
        (tf.from_tensor_slices((pixels, y, y)), "must be pairs of x and y; got 3 parts"),
        (tf.from_tensor_slices(({"a": pixels}, y)), "x of data must be one dense tensor; got dict"),
        (mixed, "samples of the stream have 2 sizes: 2, 3"),
    ):
        with pytest.raises(DataError, match=message):
            load_data(wrong)
    monkeypatch.setattr(arrays, "available_memory", lambda: 2000)
    for large in (stream, stream.filter(lambda _x, _y: True)):
        with pytest.raises(
            DataError, match=r"data takes .* or more, but only 800 bytes can be used"
        ) as caught:
            load_data(large)
        assert "stream.take(n)" in caught.value.remedy


def _spec(shape: Any, kind: str) -> Any:
    import tensorflow as tf

    return tf.TensorSpec(shape, kind)


# --- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "options", "classes", "expected"),
    [
        ([0, 1, 1, 0], {}, ("0", "1"), [0, 1, 1, 0]),
        (["b", "a", "b"], {}, ("a", "b"), [1, 0, 1]),
        ([b"b", b"a"], {}, ("a", "b"), [1, 0]),
        ([True, False], {}, ("False", "True"), [1, 0]),
        (["10", "9", "9"], {}, ("9", "10"), [1, 0, 0]),
        ([True, False], {"class_names": ("no", "yes")}, ("no", "yes"), [1, 0]),
        ([3, 5, 3, 5], {}, ("3", "5"), [0, 1, 0, 1]),
        ([-1.0, 1.0], {}, ("-1", "1"), [0, 1]),
        ([[0], [1], [1]], {}, ("0", "1"), [0, 1, 1]),
        ([1, 2, 3, 4], {}, None, [1, 2, 3, 4]),
        ([1, 2, 3, 4], {"task": "classification"}, ("1", "2", "3", "4"), [0, 1, 2, 3]),
        ([0, 1, 0, 1], {"task": "regression"}, None, [0, 1, 0, 1]),
        ([0.5, 1.5], {}, None, [0.5, 1.5]),
        ([0, 2], {"class_names": ("a", "b", "c")}, ("a", "b", "c"), [0, 2]),
        ([5, 9], {"class_names": ("low", "high")}, ("low", "high"), [0, 1]),
        (["a"], {"class_names": ("b", "a")}, ("b", "a"), [1]),
        ([[0, 1], [1, 0]], {}, ("0", "1"), [[0, 1], [1, 0]]),
        ([[0.5, 1], [2, 3]], {}, None, [[0.5, 1], [2, 3]]),
        ([[1, 1], [0, 0]], {"task": "regression"}, None, [[1, 1], [0, 0]]),
        (np.array([1, 2, 1, 2], dtype=object), {}, ("1", "2"), [0, 1, 0, 1]),
    ],
)
def test_targets(
    values: Any, options: dict[str, Any], classes: tuple[str, ...] | None, expected: Any
) -> None:
    found = decide_target(values, LoadOptions(**options))
    assert found.classes == classes
    assert found.y.tolist() == expected


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([0.5, 1.5], {"task": "classification"}, "classes in y must be integers or words; got 0.5"),
        (["a", "b"], {"task": "regression"}, "task='regression' needs numbers"),
        ([1.0, float("nan")], {}, "has no value, or infinity, in 1 of 2 rows"),
        (["a", None], {}, "has no value in 1 of 2 rows"),
        ([[1, 2], [3]], {}, "rows of different lengths"),
        ([], {}, "y is empty"),
        (3, {}, "y must have one value for each row; got 3"),
        ([{}, {}], {}, "y must contain numbers or words; got dict"),
        ([1j, 2j], {}, "y must contain numbers or words; got complex128"),
        (np.zeros((2, 2, 2)), {}, "y must have one value, .*; got 2 x 2 x 2 of float64"),
        (
            [0, 1, 2],
            {"class_names": ("a", "b")},
            "class_names= must have 3 names, because y has 3 different values, 0 to 2; got 2",
        ),
        (
            [[0, 1], [1, 0]],
            {"class_names": ("a",)},
            "class_names= must have 2 names, because y has 2 columns; got 1",
        ),
        ([[1, 1], [0, 0]], {"task": "classification"}, "2 values per row that are not one-hot"),
        (
            ["a", "c"],
            {"class_names": ("a", "b")},
            "class_names= must contain all values of y, also 'c'; got a, b",
        ),
        ([f"name {each}" for each in range(30)], {}, "30 different words in 30 rows"),
    ],
)
def test_targets_that_are_rejected(values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decide_target(values, LoadOptions(**options))


def test_integer_targets_of_images_are_classes(pixels: Any) -> None:
    labels = np.arange(ROWS) // 2
    assert load_data((pixels, labels), split=0.5).classes == tuple(map(str, range(20)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "axb"}, "size= must be height x width, .*; got 'axb'"),
        ({"size": (1, 2, 3)}, r"size= must be height x width, .*; got \(1, 2, 3\)"),
        ({"size": 0}, "size= must be height x width, .*; got 0"),
        ({"size": True}, "size= must be height x width, .*; got True"),
        ({"task": "guess"}, "task= must be classification, multilabel or regression; got 'guess'"),
        ({"split": "half"}, "split= must be a share between 0 and 1, .*; got 'half'"),
        ({"split": True}, "split= must be a share between 0 and 1, .*; got True"),
        ({"seed": -1}, "seed= must be an integer from 0; got -1"),
        ({"seed": "one"}, "seed= must be an integer from 0; got 'one'"),
        ({"class_names": "a,,b"}, "class_names= must be names"),
        ({"class_names": "a,b", "task": "regression"}, "class_names= only applies to classes"),
        ({"onehot": True, "task": "regression"}, "onehot= only applies to classes"),
        ({"target": "y"}, "target= only applies to tables with named columns; data contains rows"),
        ({"gray": True}, "gray= only applies to images"),
        ({"maxlen": 4}, "maxlen= only applies to text"),
    ],
)
def test_options_are_validated(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data((x, y), **options)


def test_image_arrays_are_not_resized(pixels: Any, y: Any) -> None:
    with pytest.raises(
        DataError, match="size= only applies to files, not to arrays; data contains images"
    ):
        load_data((pixels, y), size=4)


def test_a_sparse_matrix_is_loaded_if_it_fits_into_memory(monkeypatch) -> None:
    rows = csr_array(np.eye(4, dtype="float32"))
    data = load_data((rows, [0, 1] * 2), split=0.5)
    assert sorted(np.concatenate([data.x_train, data.x_test]).tolist()) == sorted(
        np.eye(4).tolist()
    )
    monkeypatch.setattr("kmagic.support.memory.available_memory", lambda: 10)
    with pytest.raises(DataError, match="Keep x sparse"):
        load_data((rows, [0, 1] * 2))


def test_sparse_matrices_of_every_kind() -> None:
    rows = csr_array(np.eye(4, dtype="float32"))
    for kind in ("csr", "coo", "dok", "lil"):
        assert load_data((rows.asformat(kind), [0, 1] * 2), split=0.5).x_train.shape == (2, 4)
    data = load_data((rows, csr_array([[0], [1], [0], [1]])), split=0.5)
    assert data.classes == ("0", "1")
    with pytest.raises(DataError, match="x is a list of 4 sparse matrices"):
        load_data(([rows[[row]] for row in range(4)], [0, 1] * 2))


def test_values_that_are_not_there() -> None:
    masked = np.ma.masked_less(np.eye(4), 1)
    with pytest.raises(DataError, match="x is a masked array with 12 masked values"):
        load_data((masked, [0, 1] * 2))
    missing = np.where(np.eye(4) > 0, np.nan, 1)
    with pytest.raises(DataError, match=r"no value \(nan\), or infinity, in"):
        load_data((missing, [0, 1] * 2), scale="standard", split=0.5)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pd.Series([1, None] * 2, dtype="Int64"), "y has no value, or infinity, in 2 of 4 rows"),
        (pd.Series(["a", None] * 2, dtype="string"), "y has no value in 2 of 4 rows"),
        (np.array(["a", np.nan] * 2, dtype=object), "y has no value in 2 of 4 rows"),
        (np.ma.masked_less([1, 2, 3, 4], 2), "y is a masked array"),
    ],
)
def test_targets_that_are_not_there(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data((np.eye(4), y))


def test_a_dataset_of_scikit_learn() -> None:
    assert load_data(load_iris()).x_train.shape == (120, 4)


def test_lists_that_contain_themselves() -> None:
    loop: list[Any] = [1.0]
    loop.append(loop)
    with pytest.raises(DataError, match="x must contain numbers or texts; got lists of lists"):
        load_data((loop, [0, 1]))


def test_a_single_value_is_not_rows(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.float32(3), y=np.arange(3))
    for source in (tmp_path / "a.npz", (np.array(3.0), np.arange(3))):
        with pytest.raises(DataError, match="x is a single value"):
            load_data(source)
