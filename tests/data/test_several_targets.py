"""Data with several targets, as a dictionary by name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kmagic.data import Dataset, load_data
from kmagic.data.dataset import find_dataset
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.target_kind import stratification
from kmagic.display.data.data_card import dataset_bundle
from kmagic.support.errors import DataError

ROWS = 60


@pytest.fixture
def x() -> Any:
    return np.random.default_rng(0).random((ROWS, 4, 4))


@pytest.fixture
def y() -> dict[str, Any]:
    rows = np.arange(ROWS)
    return {"digit": rows % 3, "side": np.where(rows % 2, "left", "right"), "size": rows / 7}


@pytest.fixture
def data(x, y) -> Dataset:
    return load_data((x, y))


def test_each_target_has_its_own_classes_or_values(data) -> None:
    assert data.classes is None
    assert list(data.y_train) == list(data.y_test) == ["digit", "side", "size"]
    digit, side, size = (data.of(name) for name in data.y_train)
    assert (digit.classes, side.classes, size.classes) == (tuple("012"), ("left", "right"), None)
    assert digit.counts(digit.y_train).tolist() == [16] * 3
    assert size.target == "size"
    assert side.x_train is data.x_train
    assert data.of("side") is side
    assert "3 targets: digit, int64, 3 classes (0, 1, 2)" in str(data)
    assert "; size, 0" in str(data)
    forms = "y: digit, labels of 3 classes, int64; side, labels of 2 classes, int64; size, float64"
    assert forms in dataset_bundle(data)["text/html"]


def test_the_rows_stay_together_and_all_combinations_are_in_both_parts(x, y, data) -> None:
    keys = {row.tobytes(): index for index, row in enumerate(x)}
    for inputs, targets in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        rows = [keys[row.tobytes()] for row in inputs]
        assert np.array_equal(targets["size"], y["size"][rows])
        combinations = np.stack([targets["digit"], targets["side"]], axis=1)
        assert set(np.unique(combinations, axis=0, return_counts=True)[1].tolist()) <= {2, 8}


def test_without_enough_rows_of_each_combination_the_first_target_is_stratified(x, y) -> None:
    y["letter"] = np.array(list("ab") * (ROWS // 2))
    y["letter"][0] = "b"
    data = load_data((x, y))
    assert "The split keeps the proportions of digit." in data.note
    assert data.of("digit").counts(data.y_test["digit"]).tolist() == [4, 4, 4]


def test_stratification() -> None:
    one, two = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert stratification({}, 2) == (None, None)
    assert stratification({"a": one, "b": two}, 2) == (one, "a")
    joint, name = stratification({"a": one, "b": two}, 1)
    assert joint is not None
    assert (joint.tolist(), name) == ([0, 1, 2, 3], None)


def test_parts_that_are_given_are_kept(x, y) -> None:
    train, test = ({k: v[part] for k, v in y.items()} for part in (slice(45), slice(45, None)))
    for source in (((x[:45], train), (x[45:], test)), (x[:45], train, x[45:], test)):
        data = load_data(source)
        assert np.array_equal(data.y_test["size"], y["size"][45:])
        assert data.of("side").classes == ("left", "right")
    test["digit"] = np.full(15, 9)
    with pytest.raises(DataError, match="Class 9 of digit of data is in the test part"):
        load_data(((x[:45], train), (x[45:], test)))


def test_the_last_rows_are_the_test_part_of_a_chronological_split(x, y) -> None:
    data = load_data((x, y), chronological=True)
    assert np.array_equal(data.y_test["size"], y["size"][-12:])


def test_options_of_each_target(x, y) -> None:
    names = {"side": ["right", "left"]}
    data = load_data((x, y), class_names=names, task={"digit": "regression"}, onehot=True)
    assert data.of("side").classes == ("right", "left")
    assert data.y_train["side"].shape == (48, 2)
    assert data.of("digit").classes is None
    assert data.y_train["digit"].ndim == data.y_train["size"].ndim == 1
    y["age"] = np.repeat([20, 30, 40], 20)
    assert "--task" not in load_data((x, y)).note
    assert "task={'age': 'regression'}" in load_data((x, y)).note


def test_a_target_with_several_labels(x, y) -> None:
    tags = [["red"] * (row % 2) + ["round"] * (row % 3 > 0) for row in range(ROWS)]
    data = load_data((x, {"tags": tags, "size": y["size"]}))
    assert data.of("tags").is_multilabel
    assert data.of("tags").classes == ("red", "round")
    assert data.y_train["tags"].sum(axis=0).tolist() == [24, 32]
    assert Preparation.from_config(data.preparation.get_config()).of("tags").is_multilabel
    assert "rows of 0 and 1 of 2 labels" in dataset_bundle(data)["text/html"]


def test_a_stream_of_dictionaries(x, y) -> None:
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((x, {"digit": y["digit"], "size": y["size"]}))
    for each in (stream, stream.batch(8)):
        data = load_data(each)
        assert data.y_train["digit"].shape == (48,)
        assert data.of("size").classes is None


def test_image_files(tmp_path, y) -> None:
    files = []
    for number in range(12):
        files.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (4, 4), (number, 0, 0)).save(files[-1])
    (tmp_path / "3.png").write_bytes(b"damaged")
    targets = {name: values[:12] for name, values in y.items()}
    data = load_data((files, targets), split=0.5, size=4)
    for part, values in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert np.array_equal(targets["size"][part[:, 0, 0, 0]], values["size"])
    assert len(data.x_train) + len(data.x_test) == 11


def test_a_row_is_looked_up_in_each_target(data) -> None:
    labels = data.labels_of(data.x_test[:4])
    assert labels["digit"].tolist() == data.y_test["digit"][:4].tolist()
    assert labels["size"] is None


def test_the_dataset_is_found_by_its_inputs_and_by_its_target(data) -> None:
    assert find_dataset(data.x_train[:9]) is data
    assert find_dataset(data.x_train, data.y_train) is data
    assert find_dataset(data.x_train, data.y_train["side"]) is data.of("side")
    assert find_dataset(data.x_train[:9], data.y_train["side"][:9]) is data.of("side")


def test_a_preparation_keeps_the_targets(data) -> None:
    content = json.loads(json.dumps(data.preparation.get_config()))
    preparation = Preparation.from_config(content)
    assert preparation.of("side").classes == ("left", "right")
    assert preparation.of("size").target == "size"


def test_the_card_has_a_section_for_each_target(data, x, y) -> None:
    html = dataset_bundle(data)["text/html"]
    for heading in (">digit</th>", ">side</th>", ">values</th>"):
        assert heading in html
    table = load_data((x.reshape(ROWS, -1), {"size": y["size"], "twice": 2 * y["size"]}))
    html = dataset_bundle(table)["text/html"]
    assert html.index(">twice</td>") < html.index(">column 0</td>")


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"size": [1.0]}, {}, r"x has 60 rows, but y\['size'\] has 1"),
        ({"size": {"a": 1}}, {}, r"y\['size'\] must be one array; got a dictionary"),
        ({1: np.zeros(ROWS)}, {}, "names of targets must be texts; got 1"),
        ({}, {"class_names": ["a", "b"]}, "class_names= must say for which target"),
        ({}, {"class_names": {"sid": ["a", "b"]}}, "Did you mean side?"),
        ({}, {"task": {"digit": "classify"}}, "task= must be classification, multilabel or"),
        ({"size": np.full(ROWS, np.nan)}, {}, "size has no value, or infinity, in 60 of 60 rows"),
    ],
)
def test_mistakes(x, y, changes, options, message) -> None:
    with pytest.raises(DataError, match=message):
        load_data((x, y | changes), **options)


def test_a_dictionary_of_options_needs_several_targets(x, y) -> None:
    with pytest.raises(DataError, match="task= is a dictionary, for several targets; y is one"):
        load_data((x, y["digit"]), task={"digit": "regression"})
    with pytest.raises(DataError, match="y is an empty dictionary"):
        load_data((x, {}))
    with pytest.raises(DataError, match="has no target 'sise'"):
        load_data((x, y)).of("sise")
    with pytest.raises(DataError, match="It has one target"):
        load_data((x, y["digit"])).of("digit")


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def table(y) -> pd.DataFrame:
    rows = np.arange(ROWS)
    return pd.DataFrame({"a": np.sqrt(rows), "b": rows % 7, **y, "fits": rows % 2})


def test_columns_of_different_kinds_are_targets_of_their_own(table) -> None:
    data = load_data(table, target=("side", "size", "fits"), features=["a", "b"], scale="standard")
    assert list(data.y_train) == ["side", "size", "fits"]
    assert data.of("side").classes == ("left", "right")
    assert data.of("size").classes is None
    assert data.of("fits").classes == ("0", "1")
    assert data.columns == ("a", "b")
    rows = np.rint(data.scaling.inverse(data.x_test)[:, 0] ** 2).astype(int)
    assert np.allclose(data.y_test["size"], table["size"][rows])
    assert data.preparation.of("side").target == "side"


def test_columns_of_numbers_become_classes_on_request(table) -> None:
    values = load_data(table, target="digit,size", features="a,b")
    assert values.targets == ("digit", "size")
    named = load_data(table, target="digit,size", features="a,b", task={"digit": "classification"})
    assert named.of("digit").classes == tuple("012")
    assert named.targets == ()


def test_a_data_frame_with_targets_by_name(table, y) -> None:
    data = load_data((table[["a", "b"]], {"digit": y["digit"], "size": list(y["size"])}))
    assert list(data.y_train) == ["digit", "size"]
    assert data.of("digit").classes == tuple("012")
    frames = load_data((table[["a"]], table[["side", "size"]]))
    assert frames.of("side").classes == ("left", "right")
    with pytest.raises(DataError, match="size is both in x and y"):
        load_data((table[["a", "size"]], {"size": y["size"]}))
    with pytest.raises(DataError, match=r"y\['m'\] must have one column; got 2"):
        load_data((table[["a"]], {"m": np.zeros((ROWS, 2))}))


def test_a_table_of_image_files(tmp_path, y) -> None:
    files = [str(tmp_path / f"{number}.png") for number in range(12)]
    for number, file in enumerate(files):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(file)
    frame = pd.DataFrame({"file": files, **{name: values[:12] for name, values in y.items()}})
    data = load_data(frame, target=["side", "size"], features="file", split=0.5, size=4)
    assert np.array_equal(frame["size"][data.x_test[:, 0, 0, 0]], data.y_test["size"])
    assert data.of("side").classes == ("left", "right")
