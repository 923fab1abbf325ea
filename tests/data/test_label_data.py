"""Data sets whose samples have several labels, or several values to predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from kmagic.data import load_data
from kmagic.data.assemble import divide_labels, train_test_indices
from kmagic.data.preparation.preparation import Preparation
from kmagic.support.errors import DataError

ROWS = 60
TAGS = [["cat", "outdoor"], [], ["dog"], ["dog", "cat"], ["cat"]] * 12


def frame(**columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"u": rng.normal(size=ROWS), "v": rng.normal(size=ROWS)})
    values["a"] = rng.integers(0, 2, ROWS)
    values["b"] = rng.random(ROWS) < 0.3
    values["c"] = np.where(rng.random(ROWS) < 0.5, "yes", "No ")
    values["p"], values["q"] = 3 * values["u"], rng.normal(size=ROWS)
    return values.assign(**columns)


def restored(data: Any, values: Any) -> np.ndarray[Any, Any]:
    """The rows of y for rows of the table, which the feature u identifies."""
    place = {float(np.float32(value)): row for row, value in enumerate(values["u"])}
    rows = [place[float(u)] for part in (data.x_train, data.x_test) for u in part[:, 0]]
    y = np.concatenate([data.y_train, data.y_test])
    return np.asarray(y[np.argsort(rows)])


@pytest.mark.parametrize("target", ["a,b,c", "a, b ,c", ["a", "b", "c"], ("a", "b", "c")])
def test_columns_of_zeros_and_ones_are_labels(target: Any) -> None:
    table = frame()
    data = load_data(table, target=target, features="u,v")
    expected = np.stack([table.a, table.b, table.c == "yes"], axis=1)
    np.testing.assert_array_equal(restored(data, table), expected)
    assert (data.classes, data.is_multilabel, data.targets) == (("a", "b", "c"), True, ())
    assert data.y_train.dtype == np.float32
    assert "taken as labels" in data.note
    assert "task='regression'" in data.note
    assert data.counts(data.y_train).tolist() == data.y_train.sum(axis=0).tolist()
    assert data.preparation.is_multilabel
    kept = Preparation.from_config(data.preparation.get_config())
    assert (kept.is_multilabel, kept.classes) == (True, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("target", "options"),
    [(["p", "q"], {}), (["a", "p"], {}), (["b", "a"], {"task": "regression"})],
)
def test_columns_of_numbers_are_several_values(target: list[str], options: Any) -> None:
    table = frame()
    data = load_data(table, target=target, features="u,v", **options)
    np.testing.assert_allclose(restored(data, table), table[target].to_numpy(dtype=float))
    assert (data.classes, data.targets, data.target) == (None, tuple(target), "")
    assert all(name in repr(data) for name in target)
    kept = Preparation.from_config(data.preparation.get_config())
    assert kept.targets == tuple(target)


def test_names_with_commas_and_spaces() -> None:
    table = frame().rename(columns={"a": "sky, sea", "b": "long name"})
    one = load_data(table, target="sky, sea", features="u")
    assert not one.is_multilabel
    data = load_data(table, target=["sky, sea", "long name"], features="u")
    assert data.classes == ("sky, sea", "long name")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (["a", "p"], {"task": "multilabel"}, "needs columns of 0 and 1; p contains"),
        (["p", "q"], {"task": "classification"}, "not one-hot"),
        (["a", "nowhere"], {}, "no column nowhere"),
        (["a", "a"], {}, "lists a twice"),
        (["a", "hole"], {}, r"The target hole has no value in 1 of 60 rows: row 3"),
        (["a", "b"], {"onehot": True}, "has several labels per sample"),
        (["a", "b"], {"class_names": "x"}, "must have 2 names"),
        (["a", "b"], {"window": 3}, "but windows predict one"),
        (["a", "b"], {"features": ["a"]}, "a is the target"),
        (["a", "when"], {}, "The target when contains dates"),
    ],
)
def test_targets_that_are_refused(target: Any, options: Any, message: str) -> None:
    hole = np.arange(ROWS, dtype=float) % 2
    hole[3] = np.nan
    table = frame(word="x", hole=hole, when=pd.date_range("2020-01-01", periods=ROWS))
    with pytest.raises(DataError, match=message):
        load_data(table, target=target, **{"features": ["u"], **options})


def test_missing_cells_of_one_target_leave_the_row_out() -> None:
    table = frame(hole=[None, *[0.0, 1.0] * 29, 1.0])
    data = load_data(table, target="a,hole,c", features="u", missing="drop")
    np.testing.assert_array_equal(
        restored(data, table[1:])[:, 1], table["hole"][1:].to_numpy(dtype=float)
    )


def test_one_label_and_rows_with_a_single_one() -> None:
    table = frame()
    one = load_data(table, target="a", features="u", task="multilabel")
    assert (one.y_train.shape[1:], one.classes, one.is_multilabel) == ((1,), ("a",), True)
    table["rest"] = 1 - table["a"]
    classes = load_data(table, target="a,rest", features="u")
    assert (classes.is_multilabel, classes.classes) == (False, ("a", "rest"))
    assert "taken as its class; task='multilabel'" in classes.note
    labels = load_data(table, target="a,rest", features="u", task="multilabel")
    assert labels.is_multilabel
    np.testing.assert_array_equal(restored(labels, table), restored(classes, table))


def test_arrays_of_labels() -> None:
    x = np.arange(40.0)[:, np.newaxis]
    y = np.random.default_rng(1).integers(0, 2, (40, 3))
    data = load_data((x, y), class_names="sun,sea,sky")
    np.testing.assert_array_equal(restored(data, {"u": x[:, 0]}), y)
    assert (data.classes, data.is_multilabel) == (("sun", "sea", "sky"), True)
    one_hot = np.eye(2)[y[:, 0]]
    assert not load_data((x, one_hot)).is_multilabel
    assert load_data((x, one_hot), task="multilabel").is_multilabel
    never = y * [1, 1, 0]
    assert "Label 2 has no rows at all." in load_data((x, never)).note
    nothing = load_data((x, 0 * y), task="multilabel")
    assert "Labels 0, 1, 2 have no rows at all." in nothing.note
    rows = data.labels_of(np.vstack([data.x_test[:1], [[99.0]]]))
    assert rows is not None
    assert rows.tolist() == [data.y_test[0].astype(int).tolist(), [-1, -1, -1]]


@pytest.mark.parametrize(
    "tags",
    [
        TAGS,
        [set(tags) for tags in TAGS],
        pd.Series(TAGS),
        [np.array(tags, dtype=str) for tags in TAGS],
        [
            [f" {tag} ", tag, ""] if tag == "dog" else [tag, *more]
            for tag, *more in (t or [""] for t in TAGS)
        ],
    ],
    ids=["lists", "sets", "series", "arrays", "spaces"],
)
def test_lists_of_tags_are_those_of_scikit_learn(tags: Any) -> None:
    x = np.arange(60.0)[:, np.newaxis]
    expected = MultiLabelBinarizer().fit_transform(
        [{t.strip() for t in row} - {""} for row in tags]
    )
    for data in (load_data((x, tags)), load_data((pd.DataFrame({"u": x[:, 0]}), tags))):
        np.testing.assert_array_equal(restored(data, {"u": x[:, 0]}), expected)
        assert data.classes == ("cat", "dog", "outdoor")
        assert "taken as the labels of each row" in data.note


@pytest.mark.parametrize("sign", [";", "|", ","])
def test_cells_of_tags(sign: str, tmp_path: Path) -> None:
    table = frame(tags=[f"{sign} ".join(row) for row in TAGS])
    file = tmp_path / "table.csv"
    table.to_csv(file, index=False)
    options = {"target": "tags", "features": "u"}
    with pytest.raises(DataError, match="no value in 12 of 60 rows") as caught:
        load_data(file, **options)
    assert "task='multilabel' takes them as rows without labels" in str(caught.value.remedy)
    data = load_data(file, **options, task="multilabel")
    expected = MultiLabelBinarizer().fit_transform(TAGS)
    np.testing.assert_array_equal(restored(data, table), expected)
    assert "tags is empty in 12 rows" in data.note
    kept = table[table.tags != ""]
    guessed = load_data(file, **options, missing="drop")
    if "," in sign or guessed.is_multilabel:
        assert f"separated by {sign!r}; task='classification'" in guessed.note
    else:
        assert "task='multilabel' takes its parts as labels" in guessed.note
    assert len(guessed.x_train) + len(guessed.x_test) == len(kept)


def test_only_clear_lists_are_guessed() -> None:
    x = pd.DataFrame({"u": np.arange(60.0)})
    towns = ["Bonn, Germany", "Ulm, Germany", "Paris, France"] * 20
    data = load_data((x, towns))
    assert (data.is_multilabel, len(data.classes or ())) == (False, 3)
    clear = ["a", "a;b", "b", "c;a", "c"] * 12
    assert load_data((x, clear)).classes == ("a", "b", "c")
    assert load_data((x, clear), task="classification").classes == ("a", "a;b", "b", "c", "c;a")
    with pytest.raises(DataError, match=r"could be separated by ';' or ','"):
        load_data((x, ["a,b;c", "b"] * 30), task="multilabel")
    assert load_data((x, ["a", "b", "b"] * 20), task="multilabel").classes == ("a", "b")
    with pytest.raises(DataError, match="needs one value per row"):
        load_data((x, TAGS), task="classification")


def test_equally_many_words_of_digits_are_labels_if_requested() -> None:
    x, y = np.arange(40.0)[:, None], [["3", "4"], ["5", "4"]] * 20
    for tags in (y, np.array(y)):
        data = load_data((x, tags), task="multilabel")
        assert data.classes == ("3", "4", "5")
        assert data.y_train.sum(axis=1).tolist() == [2.0] * 32
        with pytest.raises(DataError, match="40 x 2 of <U1") as caught:
            load_data((x, tags))
        assert "task='multilabel'" in str(caught.value)


@pytest.mark.parametrize("how", ["list", "parquet"])
def test_cells_that_are_lists(how: str, tmp_path: Path) -> None:
    table = frame(tags=TAGS)
    source: Any = table
    if how == "parquet":
        source = tmp_path / "table.parquet"
        table.to_parquet(source)
    data = load_data(source, target="tags", features="u")
    np.testing.assert_array_equal(restored(data, table), MultiLabelBinarizer().fit_transform(TAGS))


def test_labels_of_tables_on_disk(tmp_path: Path) -> None:
    table = frame(tags=[";".join(row) for row in TAGS], lists=TAGS)
    table.drop(columns="lists").to_csv(tmp_path / "table.csv", index=False)
    for options in (
        {"target": "a,b,c"},
        {"target": "p,q"},
        {"target": "tags", "task": "multilabel"},
    ):
        data, other = (
            load_data(tmp_path / "table.csv", features="u", stream=stream, **options)  # type: ignore[arg-type]
            for stream in (True, False)
        )
        np.testing.assert_array_equal(data.y_train, other.y_train)
        np.testing.assert_array_equal(data.y_test, other.y_test)
        assert (data.classes, data.targets) == (other.classes, other.targets)
    table.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError, match="cannot be kept on disk"):
        load_data(tmp_path / "table.parquet", target="lists", features="u", stream=True)


def test_parts_with_other_tags() -> None:
    x = np.arange(4.0)[:, np.newaxis]
    data = load_data((x, [["a"], ["a", "b"], ["b"], []], x + 9, [["a"], ["new"], ["a"], ["a"]]))
    assert data.classes == ("a", "b", "new")
    assert "Label b has no rows in the test part." in data.note
    assert "Label new has no rows in the training part and cannot be learned." in data.note
    with pytest.raises(DataError, match="must contain all labels of y, also 'b'"):
        load_data((x, [["a"], ["a", "b"], ["b"], []]), class_names="a,c")
    named = load_data((x, [["a"], ["a", "b"], ["b"], []]), class_names="b,a,c")
    assert named.classes == ("b", "a", "c")


def test_a_split_keeps_rare_labels_in_both_parts() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random((400, 12)) < np.geomspace(0.4, 0.01, 12)).astype(int)
    y[:2, 11] = 1
    train, test = train_test_indices(400, 0.25, 0, y)
    assert (y[train].any(axis=0) & y[test].any(axis=0)).all()
    np.testing.assert_allclose(y[test].sum(axis=0), 0.25 * y.sum(axis=0), atol=1.5)
    assert len(test) == pytest.approx(100, abs=2)
    parts = divide_labels(y, [0.2] * 5, rng)
    for part in range(5):
        np.testing.assert_allclose(y[parts == part].sum(axis=0), y.sum(axis=0) / 5, atol=2.1)
        assert (parts == part).sum() == pytest.approx(80, abs=2)
    data = load_data((np.arange(400.0)[:, np.newaxis], y), split=0.25)
    assert "has no rows" not in data.note


def test_a_thousand_labels() -> None:
    rng = np.random.default_rng(3)
    tags = [[f"tag {n}" for n in rng.integers(0, 1000, 5)] for _ in range(2000)]
    data = load_data((np.zeros((2000, 1)), tags))
    assert data.y_train.shape[1] == len({tag for row in tags for tag in row})
    assert len(data.y_train) == pytest.approx(1600, abs=40)
    in_parts = [part.any(axis=0) for part in (data.y_train, data.y_test)]
    assert np.mean(in_parts) > 0.99
    assert np.all(in_parts) == ("no rows" not in data.note)
    pairs = data.label_pairs(3)
    y = data.y_train
    for one, other, count, lift in pairs:
        assert count == (y[:, one] * y[:, other]).sum()
        assert lift == pytest.approx(count * len(y) / (y[:, one].sum() * y[:, other].sum()))


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([["a", None], ["a"]], {"task": "multilabel"}, "must contain words, .*; got NoneType, str"),
        ([["a", 1], ["a"]], {"task": "multilabel"}, "must contain words, .*; got int, str"),
        ([["a", None], ["a"]], {}, "rows of different lengths"),
        ([[], []], {"task": "multilabel"}, "No row of y has a label"),
        ([["0", "1"], ["1", "0"]], {"task": "multilabel"}, "one row of numbers"),
        (np.zeros((2, 0)), {}, "one row of numbers"),
        ([[1.0, np.nan], [1, 1]], {}, "no value, or infinity, in 1 of 2 rows"),
        ([[0, 1], [1, 2]], {"task": "multilabel"}, "needs columns of 0 and 1; y contains 2"),
        ([["a"], ["a", "b"]], {"task": "regression"}, "needs one value per row"),
    ],
)
def test_labels_that_are_refused(y: Any, options: Any, message: str) -> None:
    rows = y * 10 if isinstance(y, list) else np.repeat(y, 10, axis=0)
    counted = message.replace("1 of 2", "10 of 20")
    with pytest.raises(DataError, match=counted):
        load_data((np.arange(20.0)[:, np.newaxis], rows), **options)


def test_indices_of_labels_and_labels_of_texts() -> None:
    x = np.arange(60.0)[:, np.newaxis]
    data = load_data((x, [[1, 2], [10], []] * 20), task="multilabel")
    assert data.classes == ("1", "2", "10")
    about = [" and ".join(tags) or "nothing" for tags in TAGS]
    texts = [f"a sentence about {words} number {n}" for n, words in enumerate(about)]
    frame = pd.DataFrame({"text": texts, "tags": TAGS})
    encoded = load_data(frame, target="tags", features="text", num_words=40, maxlen=6)
    assert (encoded.x_train.shape, encoded.classes) == ((48, 6), ("cat", "dog", "outdoor"))
    empty = load_data((x, [[], []] * 30), class_names="a,b", task="multilabel")
    assert "Labels a, b have no rows at all." in empty.note


def test_frames_of_targets_beside_arrays_keep_their_names():
    x = np.arange(120.0).reshape(40, 3)
    y = pd.DataFrame({"sun": [0, 1] * 20, "sea": ["yes", "yes", "no", "no"] * 10})
    data = load_data(((x[:30], y[:30]), (x[30:], y[30:][["sea", "sun"]])))
    assert data.is_multilabel
    assert data.classes == ("sun", "sea")
    assert data.y_test[:2].tolist() == [[0, 0], [1, 0]]
    assert "sun, sea are taken as labels" in str(data.note)


def test_rows_without_a_list_are_refused():
    x = np.zeros((4, 3))
    for task in (None, "multilabel"):
        with pytest.raises(DataError, match="no value in 1 of 4 rows") as info:
            load_data((x, [["a"], None, ["b", "a"], ["a"]]), task=task)
        assert "Write [] for a row without labels" in str(info.value)


@pytest.mark.parametrize("is_table", [True, False])
def test_columns_that_would_be_classes_are_named(is_table):
    x = pd.DataFrame({"u": np.arange(60.0), "v": np.arange(60.0) % 7})
    y = pd.DataFrame({"a": [0, 1, 1] * 20, "z": [0, 1, 2] * 20, "price": np.arange(60) / 7})
    pair = (x if is_table else x.to_numpy(), y)
    data = load_data(pair)
    assert data.targets == ("a", "z", "price")
    assert "a, z are taken as numbers; task={'a': 'classification'," in str(data.note)
    named = load_data(pair, task={"a": "classification", "z": "classification"})
    assert named.of("a").classes == ("0", "1")
    assert named.of("z").classes == ("0", "1", "2")
    assert named.of("price").classes is None
    with pytest.raises(DataError, match="must belong to one class") as info:
        load_data((pair[0], y[["a", "z"]]), task="classification")
    assert "task={'a': 'classification', 'z': 'classification'}" in str(info.value)
    assert "taken" not in str(load_data((pair[0], y[["price", "z"]] / 7), task="regression").note)


@pytest.mark.parametrize("is_table", [True, False])
def test_answers_beside_numbers_are_classes(is_table):
    x = pd.DataFrame({"u": np.arange(60.0), "v": np.arange(60.0) % 7})
    for cells in ([True, False, False] * 20, ["yes", "no", "no"] * 20):
        y = pd.DataFrame({"kind": ["cat", "dog", "dog"] * 20, "in": cells, "w": np.arange(60) / 7})
        data = load_data((x if is_table else x.to_numpy(), y))
        assert data.of("in").classes == tuple(sorted({str(cell) for cell in cells}))
        assert data.of("kind").classes == ("cat", "dog")
        assert data.of("w").classes is None
