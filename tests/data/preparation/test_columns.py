from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kmagic.data.preparation.columns import Columns, UnknownCategoryWarning, learn_columns
from kmagic.support.errors import DataError


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": [30.0, 70.0, 50.0],
            "town": ["Ulm", "Bonn", "Ulm"],
            "garden": [True, False, True],
            "floor": pd.Categorical([2, 1, 2]),
        }
    )


def test_words_become_one_hot_and_booleans_zero_and_one(frame: pd.DataFrame) -> None:
    columns = learn_columns(frame)
    assert columns.names == ("size", "town=Bonn", "town=Ulm", "garden", "floor=1", "floor=2")
    x = columns.apply(frame)
    assert x.dtype == np.float32
    assert x.tolist() == [[30, 0, 1, 1, 0, 1], [70, 1, 0, 0, 1, 0], [50, 0, 1, 1, 0, 1]]
    assert columns.restore(x) == [
        [30.0, "Ulm", 1.0, "2"],
        [70.0, "Bonn", 0.0, "1"],
        [50.0, "Ulm", 1.0, "2"],
    ]


def test_the_same_row_in_any_container(frame: pd.DataFrame) -> None:
    columns = learn_columns(frame)
    expected = columns.apply(frame.iloc[:1])
    row = {"town": "Ulm", "size": 30, "garden": True, "floor": 2.0, "price": 9}
    for given in (
        row,
        pd.Series(row),
        [row],
        {name: [value] for name, value in row.items()},
        [30, "Ulm", True, 2],
        [[30, "Ulm", True, 2]],
        np.array([[30, "Ulm", True, 2]], dtype=object),
        frame.iloc[:1][["floor", "garden", "town", "size"]],
    ):
        np.testing.assert_array_equal(columns.apply(given), expected, strict=True)


def test_an_unknown_word_becomes_zeros(frame: pd.DataFrame) -> None:
    with pytest.warns(UnknownCategoryWarning, match="Column (town has 'Rome'|floor has '3')"):
        x = learn_columns(frame).apply([[30, "Rome", False, 3]])
    assert x.tolist() == [[30, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"size": [1, 2], "town": ["Ulm"], "garden": True, "floor": 1}, "got town 1, size 2"),
        (pd.DataFrame([[1, 2]], columns=["size", "size"]), "more than one column named size"),
        ({"size": pd.Timestamp("2020-01-01")}, "size, row 0 .* must be a number; got Timestamp"),
        ({"size": [pd.Timestamp("2020-01-01")]}, "size, row 0 .* must be a number"),
        ({"size": [pd.Timedelta("1s")]}, "size, row 0 .* must be a number"),
        ({"size": 1, "garden": "yes"}, "garden, row 0 .* must be a number; got 'yes'"),
        ({"size": [1, 2], "garden": ["True", None]}, "garden has no value in 1 of 2"),
    ],
)
def test_values_that_do_not_match_are_rejected(
    frame: pd.DataFrame, raw: object, message: str
) -> None:
    row = {"town": "Ulm", "garden": True, "floor": 1}
    with pytest.raises(DataError, match=message):
        learn_columns(frame).apply({**row, **raw} if isinstance(raw, dict) else raw)


def test_no_rows_give_no_rows(frame: pd.DataFrame) -> None:
    assert learn_columns(frame).apply(frame.iloc[:0]).shape == (0, 6)


def test_empty_cells_are_filled_as_in_training_or_rejected() -> None:
    frame = pd.DataFrame({"size": [30.0, None, 50.0], "town": ["Ulm", None, "Ulm"]})
    filled = learn_columns(frame, fill=True)
    assert filled.apply(frame).tolist() == [[30, 1], [40, 1], [50, 1]]
    assert filled.apply({"size": None, "town": None}).tolist() == [[40, 1]]
    with pytest.raises(DataError, match="Column size has no value in 1 of 3 rows") as caught:
        learn_columns(frame).apply(frame)
    assert "missing='mean'" in caught.value.remedy


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"size": 3, "twon": "Ulm", "garden": True, "floor": 1}, "no column town; it has size"),
        ([[1, 2, 3]], r"Rows must have 4 columns \(size, town, garden, floor\); got 3"),
        ([], "must have 4 columns .* got 0"),
        ("Ulm", "must have 4 columns .* got 0"),
        (5, "must have 4 columns .* got 0"),
        (
            [["big", "Ulm", True, 1]],
            r"Column size, row 0 \(counted from 0\), must be a number; got 'big'",
        ),
    ],
)
def test_rows_that_do_not_match_are_rejected(
    rows: object, message: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=message):
        learn_columns(frame).apply(rows)


def test_columns_named_by_numbers() -> None:
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2))
    columns = learn_columns(frame)
    for given in (frame.iloc[:1], frame.iloc[0], {0: 0, 1: 1}, [[0, 1]], np.array([0, 1])):
        assert columns.apply(given).tolist() == [[0, 1]]


def test_a_model_predicts_from_rows_with_names(frame: pd.DataFrame) -> None:
    import kmagic
    from kmagic.data.preparation.preparation import Preparation
    from kmagic.support import model_registry

    model = kmagic.build("input 6 / dense 1")
    model_registry.set_dataset(model, Preparation(columns=learn_columns(frame), target="price"))
    expected = np.asarray(kmagic.predict(model, frame))
    row = frame.iloc[0].to_dict()
    np.testing.assert_allclose(kmagic.predict(model, row), expected[:1], rtol=1e-5, atol=1e-6)
    rows = frame.to_dict("records")
    np.testing.assert_allclose(kmagic.predict(model, rows), expected, rtol=1e-5, atol=1e-6)


def test_a_model_predicts_from_a_file(tmp_path: Path) -> None:
    import kmagic
    from kmagic.support import model_registry

    text = "".join(f"{n},5;1.{200 + n} €;{n % 3}\n" for n in range(20))
    (tmp_path / "train.csv").write_text("a;b;y\n" + text)
    (tmp_path / "new.csv").write_text('b,y,a\n1203,0,"3,5"\n')
    (tmp_path / "bare.csv").write_text(text)
    (tmp_path / "one.csv").write_text('"3,5";1.203;0\n')
    model = kmagic.build("input 2 / dense 1")
    for train, new in (("train.csv", "new.csv"), ("bare.csv", "one.csv")):
        data = kmagic.load_data(tmp_path / train, target="y" if train == "train.csv" else 2)
        model_registry.set_dataset(model, data.preparation)
        expected = np.asarray(kmagic.predict(model, data.prepare([[3.5, 1203]])))
        np.testing.assert_allclose(kmagic.predict(model, tmp_path / new), expected, rtol=1e-5)
        np.testing.assert_allclose(kmagic.predict(model, str(tmp_path / new)), expected, rtol=1e-5)
    with pytest.raises(DataError, match="must be a number with a decimal comma, as in"):
        kmagic.predict(model, {"0": "3.5", "1": "1.203 €"})


def test_a_config_is_plain_json(frame: pd.DataFrame) -> None:
    columns = learn_columns(frame, fill=True)
    again = Columns.from_config(json.loads(json.dumps(columns.get_config())))
    assert again.columns == columns.columns
    np.testing.assert_array_equal(again.apply(frame), columns.apply(frame))
