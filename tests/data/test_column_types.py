"""What the columns of a table contain, and what is said about guesses."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kmagic.data import load_data
from kmagic.data.preparation.columns import UnknownCategoryWarning
from kmagic.data.preparation.preparation import Preparation
from kmagic.support.errors import DataError

ROWS = 40
KEEP: Any = {"target": "y", "missing": "mean"}


def table(column: Callable[[int], Any], name: str = "a") -> pd.DataFrame:
    """A column to be tested, another feature and a target of two classes."""
    rows = range(ROWS)
    values = pd.Series([column(row) for row in rows], dtype=object)
    frame = pd.DataFrame({"size": [row * row for row in rows], "y": [row % 2 for row in rows]})
    frame.insert(0, name, values)
    return frame


@pytest.fixture(params=["file", "frame"])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Load a table as a data frame, or from a file with semicolons."""

    def load_table(frame: pd.DataFrame, **options: Any) -> Any:
        if request.param == "frame":
            return load_data(frame, **options)
        frame.to_csv(tmp_path / "table.csv", index=False, sep=";")
        return load_data(tmp_path / "table.csv", **options)

    return load_table


# --- missing values -------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["?", "NA", "unknown", "-", "n/a", "null", "Missing", "", "#N/A"])
def test_a_column_of_numbers_with_a_few_words_is_a_column_of_numbers(load: Any, word: str) -> None:
    frame = table(lambda row: word if row in (3, 8) else f"{row}.5")
    shown = rf" \({word!r}\)" if word else ""
    with pytest.raises(DataError, match=r"has empty cells: a in 2" + shown.replace("?", r"\?")):
        load(frame, target="y")
    data = load(frame, **KEEP)
    assert data.columns == ("a", "size")
    assert "Empty cells were filled with the mean" in data.note
    if word:
        assert f"missing values: {word!r}" in data.reading
    mean = data.prepare({"a": None, "size": 1})[0, 0]
    assert data.prepare({"a": word or None, "size": 1})[0, 0] == mean


def test_an_unknown_word_between_numbers_is_taken_as_missing_and_reported(load: Any) -> None:
    data = load(table(lambda row: "pending" if row == 7 else str(row)), **KEEP)
    assert "a contains numbers, except for 'pending' in 1 row, taken as missing values" in data.note
    assert data.columns == ("a", "size")


def test_words_that_say_something_are_no_missing_values(load: Any) -> None:
    frame = table(lambda row: "60+" if row == 7 else str(row))
    with pytest.raises(DataError, match=r"a contains numbers, but also '60\+' in 1 row") as caught:
        load(frame, **KEEP)
    assert "na_values='60+'" in caught.value.remedy
    assert load(frame, na_values="60+", **KEEP).columns == ("a", "size")


def test_numbers_that_stand_for_missing_values(load: Any) -> None:
    frame = table(lambda row: -999 if row % 9 == 4 else row)
    data = load(frame, target="y")
    assert "a is -999 in 4 rows and never negative otherwise; na_values='-999'" in data.note
    for given in (-999, "-999", ["-999"], [-999]):
        filled = load(frame, na_values=given, **KEEP)
        assert filled.x_train[:, 0].min() >= 0
        assert (
            filled.prepare({"a": -999, "size": 1})[0, 0]
            == filled.prepare({"size": 1, "a": None})[0, 0]
        )
    assert "-999" not in load(table(lambda row: row - 999), target="y").note


def test_marks_in_a_column_of_words_are_categories_and_reported(load: Any) -> None:
    frame = table(lambda row: "?" if row == 3 else "ab"[row % 2])
    data = load(frame, target="y")
    assert data.columns == ("a=?", "a=a", "a=b", "size")
    assert "a has '?' in 1 row, taken as a category; na_values='?' reads it as missing" in data.note
    assert load(frame, na_values="?", **KEEP).columns == ("a=a", "a=b", "size")


def test_country_codes_can_be_kept(load: Any) -> None:
    frame = table(lambda row: ("NA", "DE")[row % 2])
    with pytest.raises(DataError, match="a in 20"):
        load(frame, target="y")
    assert load(frame, target="y", na_values="none").columns == ("a=DE", "a=NA", "size")


def test_a_target_without_a_value_names_its_rows(load: Any) -> None:
    frame = table(lambda row: {4: "unknown", 9: None}.get(row, row * 1.5), "price")
    with pytest.raises(
        DataError, match=r"no value in 2 of 40 rows .*'unknown'.*: rows 4, 9"
    ) as caught:
        load(frame, target="price")
    assert "missing='drop'" in caught.value.remedy
    data = load(frame, target="price", missing="drop")
    assert len(data.x_train) + len(data.x_test) == ROWS - 2


# --- number formats -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "example"),
    [
        (lambda row: f"1.{200 + row},50", "'1.200,50' was read as 1200.5"),
        (lambda row: f"1.{200 + row},50 €", "'1.200,50 €' was read as 1200.5"),
        (lambda row: f"$1,{200 + row}.50", "'$1,200.50' was read as 1200.5"),
        (lambda row: f"CHF 1'{200 + row}.50", '"CHF 1\'200.50" was read as 1200.5'),
        (lambda row: f"1 {200 + row},50", "'1 200,50' was read as 1200.5"),
        (lambda row: f"1\u00a0{200 + row}.50", "was read as 1200.5"),
        (lambda row: f"{1200 + row},50", "'1200,50' was read as 1200.5"),
        (lambda row: f"{1200 + row}.5%", "'1200.5%' was read as 1200.5"),
        (lambda row: f"{1200 + row}.5 kg", "'1200.5 kg' was read as 1200.5"),
        (lambda row: f"0{1200 + row}.5", "'01200.5' was read as 1200.5"),
    ],
)
def test_number_formats(load: Any, write: Callable[[int], str], example: str) -> None:
    frame = table(write)
    data = load(frame, target="y")
    assert data.columns == ("a", "size")
    assert example in data.note
    numbers = np.sort(np.concatenate([data.x_train, data.x_test])[:, 0])
    np.testing.assert_array_equal(numbers, np.arange(ROWS) + 1200.5)
    config = json.loads(json.dumps(data.preparation.get_config()))
    stored = Preparation.from_config(config)
    assert stored.apply({"a": write(7), "size": 3}).tolist() == [[1207.5, 3]]
    assert stored.apply(pd.DataFrame({"a": [1207.5], "size": ["3"]})).tolist() == [[1207.5, 3]]
    target = load(frame, target="a")
    assert target.classes is None
    assert target.y_train.max() >= 1230


def test_the_decimal_sign_follows_from_the_other_columns(load: Any) -> None:
    frame = table(lambda row: f"1.{200 + row}").assign(b=[f"{row},5" for row in range(ROWS)])
    data = load(frame, target="y")
    assert data.x_train[:, 0].min() >= 1200
    assert "a: '1.200' was read as 1200" in data.note


def test_a_number_that_can_be_read_in_two_ways_is_reported(load: Any) -> None:
    data = load(table(lambda row: f"1,{200 + row}"), target="y")
    is_comma = "decimal comma" in data.reading
    value = 1.2 if is_comma else 1200
    assert f"a: '1,200' was read as {value}; decimal=" in data.note
    for sign, expected in ((",", 1.2), (".", 1200)):
        data = load(table(lambda row: f"1,{200 + row}"), target="y", decimal=sign)
        assert min(data.x_train[:, 0].min(), data.x_test[:, 0].min()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda row: ("1.5", "2,5")[row % 2], "mixes decimal points and decimal commas"),
        (lambda row: ("$1", "€2")[row % 2], "mixes the units"),
        (lambda row: ("50%", "0.5")[row % 2] if row else "5 €", "mixes the units"),
    ],
)
def test_mixed_notations_are_rejected(load: Any, write: Callable[[int], str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(table(write), target="y")


def test_options_that_contradict_each_other() -> None:
    frame = table(str)
    with pytest.raises(DataError, match="thousands= and decimal= must differ"):
        load_data(frame, target="y", decimal=",", thousands=",")
    with pytest.raises(DataError, match=r"decimal= must be \. or ,; got 'x'"):
        load_data(frame, target="y", decimal="x")
    with pytest.raises(DataError, match="header= only applies to files; data is a data frame"):
        load_data(frame, target="y", header=False)


def test_booleans_and_words_for_them(load: Any) -> None:
    assert load(table(lambda row: ("TRUE", "false")[row % 2]), target="y").columns[0] == "a"
    words = load(table(lambda row: ("yes", "no")[row % 2]), target="y")
    assert words.columns == ("a=no", "a=yes", "size")
    cases = load(table(lambda row: ("Yes", "yes", "no")[row % 3]), target="y")
    assert "a has words that differ only in case: 'Yes', 'yes'" in cases.note


def test_a_few_numbers_and_words_are_a_category_and_reported(load: Any) -> None:
    data = load(table(lambda row: (1, "two", 3)[row % 3]), target="y")
    assert data.columns == ("a=1", "a=3", "a=two", "size")
    assert "a mixes numbers and words ('two') and was taken as a category" in data.note


# --- identifiers, dates, texts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", lambda row: row),
        ("customer_no", lambda row: 900 - 7 * row),
        ("PassengerId", lambda row: row + 1),
        ("uuid", lambda row: str(uuid.UUID(int=row))),
        ("name", lambda row: f"N{row}"),
        ("Kunden-Nr", lambda row: row * row),
    ],
)
def test_identifiers_are_reported_and_not_learned(
    load: Any, name: str, value: Callable[[int], Any]
) -> None:
    frame = table(value, name)
    data = load(frame, target="y")
    assert data.columns == ("size",)
    assert f"Left out: {name} " in data.note
    if name not in ("uuid", "name"):
        assert load(frame, target="y", features=[name, "size"]).columns == (name, "size")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("population", lambda row: 900 + 7 * row),
        ("id", lambda row: row % 5),
        ("x", lambda r: r / 2),
    ],
)
def test_measurements_are_no_identifiers(load: Any, name: str, value: Callable[[int], Any]) -> None:
    data = load(table(value, name), target="y")
    assert data.columns == (name, "size")
    assert data.note == ""


def test_a_column_that_counts_the_rows_is_reported(load: Any) -> None:
    data = load(table(lambda row: row, "step"), target="y")
    assert data.columns == ("step", "size")
    assert "step only counts the rows; drop='step' leaves it out" in data.note


@pytest.mark.parametrize(
    "write",
    [
        lambda row: f"2020-{row % 12 + 1:02d}-{row % 28 + 1:02d}",
        lambda row: f"{row % 28 + 1}.{row % 12 + 1}.2020",
        lambda row: f"{row % 12 + 1}/{row % 28 + 1}/2020 10:15",
        lambda row: f"{row % 28 + 1}-Jan-20",
        lambda row: 20200101 + row % 28,
        lambda row: 1_600_000_000 + 3600 * row,
        lambda row: 1_600_000_000_000 + 3600 * row,
        lambda row: "?" if row == 3 else f"2020-01-{row % 28 + 1:02d}T10:00:00Z",
    ],
)
def test_dates_are_reported_and_not_learned(load: Any, write: Callable[[int], str]) -> None:
    frame = table(write, "date sold")
    data = load(frame, target="y")
    assert data.columns == ("size",)
    assert "Left out: date sold contains dates" in data.note
    assert "split at random; chronological=True tests on the latest rows" in data.note
    with pytest.raises(DataError, match="sold contains dates"):
        load(frame.dropna(), target="y", features="date sold,size", missing="drop")
    with pytest.raises(DataError, match="The target date sold contains dates"):
        load(frame, target="date sold")


@pytest.mark.parametrize("write", ["{}.5K", "{} N", "{:02d}:30", "{:02d}:30:15 pm"])
def test_measurements_in_an_unknown_notation_are_rejected(load: Any, write: str) -> None:
    kind = "times" if ":" in write else "numbers with units"
    with pytest.raises(DataError, match=f"a contains {kind}, such as"):
        load(table(write.format), target="y")


@pytest.mark.parametrize(("decimal", "write"), [(".", "{},5"), (",", "{}.5")])
def test_a_decimal_sign_that_the_numbers_do_not_have(load: Any, decimal: str, write: str) -> None:
    frame = table(write.format)
    sign = "comma" if decimal == "." else "point"
    with pytest.raises(DataError, match=rf"a contains numbers with a decimal {sign}") as caught:
        load(frame, target="y", decimal=decimal)
    assert caught.value.remedy.startswith("Leave out decimal=.")
    assert load(frame, target="y").columns == ("a", "size")


def test_words_such_as_na_can_be_kept(load: Any) -> None:
    frame = table(lambda row: ("NA", "DE", "US")[row % 3], "country")
    with pytest.raises(DataError, match="country in 14 ") as caught:
        load(frame, target="y")
    assert caught.value.remedy.endswith("na_values='none' keeps the word 'NA'.")
    kept = load(frame, target="y", na_values="none")
    assert kept.columns[:3] == ("country=DE", "country=NA", "country=US")
    with pytest.raises(DataError) as caught:
        load(table(lambda row: "NA" if row == 3 else row * 1.5), target="y")
    assert "none" not in caught.value.remedy


def test_integers_that_float32_cannot_tell_apart_are_reported(load: Any) -> None:
    note = "account has integers that float32 cannot tell apart; drop='account' leaves it out"
    frame = table(lambda row: 2**53 + 2 * row, "account").convert_dtypes()
    assert note in load(frame, target="y").note
    assert note in load(frame[["account", "y"]], target="y").note
    spread = table(lambda row: 2**53 + 2**32 * row, "account").convert_dtypes()
    assert note not in load(spread, target="y").note


def test_times_are_dates_and_fractions_of_seconds_too(load: Any) -> None:
    data = load(table(lambda row: 1.6e9 + row * 3600 + 0.5, "timestamp"), target="y")
    assert data.columns == ("size",)
    assert "timestamp contains dates" in data.note


def test_a_column_of_marks_has_no_values(load: Any) -> None:
    for word in ("?", "unknown"):
        with pytest.raises(DataError, match=r"Column a of .* has no values"):
            load(table(str).assign(a=word), **KEEP)


def test_free_text_is_learned_alone(load: Any) -> None:
    frame = table(lambda row: f"this is film number {row}", "review")
    with pytest.raises(DataError, match="review contains 40 different words") as caught:
        load(frame, target="y")
    assert "features='review' trains on it alone" in caught.value.remedy
    assert load(frame, target="y", features="review").is_text


def test_a_single_class_is_reported(load: Any) -> None:
    frame = table(str).assign(y="yes")
    assert "y is yes in all rows" in load(frame, target="y").note
    with pytest.raises(DataError, match=r"onehot=True needs two classes or more; .* 'yes' only"):
        load(frame, target="y", onehot=True)


def test_categories_of_the_test_part_that_are_not_in_the_training_part() -> None:
    train, test = table(lambda row: "ab"[row % 2]), table(lambda row: "ac"[row % 2])
    data = load_data((train, test), target="y")
    assert "Column a has 'c', which the training data did not have" in data.note
    with pytest.warns(UnknownCategoryWarning, match="Column a has 'x'"):
        assert data.prepare({"a": "x", "size": 1}).tolist() == [[0, 0, 1]]


def test_names_with_spaces_and_line_breaks(load: Any) -> None:
    frame = table(str, " price\n(EUR) ")
    data = load(frame, target="y")
    assert data.columns == ("price (EUR)", "size")
    assert load(frame, target="y", drop=" price\n(EUR) ").columns == ("size",)
    for name in (" price\n(EUR) ", "price (EUR)"):
        assert data.prepare(pd.DataFrame({name: [3], "size": [1]})).tolist() == [[3, 1]]


def test_half_characters_in_names_and_cells() -> None:
    for frame in (
        pd.DataFrame(np.eye(3), columns=pd.Index(["a\ud800", "b", "y"], dtype=object)),
        table(lambda row: "ab\ud800"[row % 3]),
        table(lambda row: "ab\ud800"[row % 3]).rename(columns={"a": "y", "y": "a"}),
    ):
        with pytest.raises(DataError, match="whole characters"):
            load_data(frame, target="y")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pd.array([None, *range(ROWS - 1)], dtype="Int64"), ("a", "size")),
        (pd.array([None] * ROWS, dtype="Int64"), "Column a of data has no values"),
        (pd.array([True, None] * (ROWS // 2), dtype="boolean"), ("a", "size")),
        (pd.array([None, True] * (ROWS // 2), dtype="boolean"), ("a", "size")),
        (pd.arrays.SparseArray(np.arange(ROWS) % 4), ("a", "size")),
        (np.arange(ROWS, dtype=np.float16) / 3, ("a", "size")),
        (pd.to_timedelta(np.arange(ROWS), unit="h"), "a contains durations"),
        ([dt.time(row % 24) for row in range(ROWS)], "a contains time"),
        ([dt.date(2020, 1, row % 28 + 1) for row in range(ROWS)], ("size",)),
        (np.arange(ROWS) * 1j, "a contains complex"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_types_of_pandas_and_python(cells: Any, expected: Any) -> None:
    frame = table(lambda row: row).assign(a=cells)
    if isinstance(expected, tuple):
        assert load_data(frame, **KEEP).columns == expected
        return
    with pytest.raises(DataError, match=expected):
        load_data(frame, **KEEP)


@pytest.mark.parametrize("words", [["1,000+", "500+"], ["10M", "2.5k", "900"], ["<5", ">10"]])
def test_numbers_with_other_characters_are_noted(load: Any, words: list[str]) -> None:
    frame = table(lambda row: words[row % len(words)])
    data = load(frame, target="y")
    assert f"a has numbers with other characters ({words[0]!r}" in data.note


@pytest.mark.parametrize("words", [["A1", "B2"], ["3D", "2D"], ["1st", "2nd"], ["x", "10M"]])
def test_names_with_digits_are_not_noted(load: Any, words: list[str]) -> None:
    data = load(table(lambda row: words[row % len(words)]), target="y")
    assert "other characters" not in data.note
