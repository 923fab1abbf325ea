from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from kmagic.data.preparation.cell_format import (
    CellFormat,
    check_encodable,
    decimal_evidence,
    read_booleans,
    split_unit,
)
from kmagic.support.errors import DataError

ENGLISH, GERMAN = CellFormat(), CellFormat(",", ".")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("12", 12),
        ("-1.5e3", -1500),
        (" 1,200.50 ", 1200.5),
        ("1,00,000", 100_000),
        ("1 200.5", 1200.5),
        ("1\u00a0200", 1200),
        ("1'200", 1200),
        ("\u22125", -5),
        ("(1,200)", -1200),
        (".5", 0.5),
        ("5.", 5),
    ],
)
def test_numbers_with_a_decimal_point(word: str, value: float) -> None:
    assert ENGLISH.parse(word) == value


@pytest.mark.parametrize(
    ("word", "value"),
    [("1.200,50", 1200.5), ("1.200", 1200), ("0,5", 0.5), ("1.200.300", 1_200_300), ("7", 7)],
)
def test_numbers_with_a_decimal_comma(word: str, value: float) -> None:
    assert GERMAN.parse(word) == value


@pytest.mark.parametrize(
    ("word", "unit", "value"),
    [
        ("$1,200.50", "$", 1200.5),
        ("-$5", "$", -5),
        ("$-5", "$", -5),
        ("CHF 5", "CHF", 5),
        ("5 EUR", "EUR", 5),
        ("12.5%", "%", 12.5),
        ("12.5 %", "%", 12.5),
    ],
)
def test_a_unit_is_dropped_if_the_column_has_it(word: str, unit: str, value: float) -> None:
    assert CellFormat(unit=unit).parse(word) == value
    assert CellFormat(unit="€").parse(word) is None


@pytest.mark.parametrize(
    "word",
    ["", "?", "NA", "n/a", "Unknown", "-", "NULL", "#DIV/0!", "k.A.", "\u2014", "none", "<NA>"],
)
def test_words_without_a_value(word: str) -> None:
    assert math.isnan(ENGLISH.parse(word) or 0)


@pytest.mark.parametrize(
    "word",
    [
        "1.2.2020",
        "2020-01-05",
        "12:30",
        "555-1234",
        "12kg",
        "A-1",
        "60+",
        "<5",
        "1-2",
        "192.168.1.10",
        "1,23,4",
        "12,34.5.6",
        "$5$",
        "#5",
        "0x10",
        "1,5",
    ],
)
def test_what_is_no_number(word: str) -> None:
    assert ENGLISH.parse(word) is None


def test_evidence_of_the_decimal_sign() -> None:
    assert decimal_evidence(["1.5"]).point == "1.5"
    assert decimal_evidence(["1,200.50"]).point
    assert decimal_evidence(["0,123"]).comma == "0,123"
    assert decimal_evidence(["1.200,50 €"]).comma
    assert decimal_evidence(["1,200"]).either_comma == "1,200"
    assert decimal_evidence(["1.200"]).either_point == "1.200"
    assert decimal_evidence(["12", "a.b", "1.1.2020"]) == decimal_evidence([])


def test_a_column_of_any_objects() -> None:
    cells = pd.Series(["1.5", 2, Decimal("3.5"), None, "?", "x1", [1]], dtype=object)
    values, wrong = ENGLISH.read_numbers(cells)
    np.testing.assert_array_equal(values, [1.5, 2, 3.5, np.nan, np.nan, np.nan, np.nan])
    assert wrong.tolist() == [False] * 5 + [True, True]
    values, _ = CellFormat(missing=("-999",)).read_numbers(pd.Series([1, -999]))
    np.testing.assert_array_equal(values, [1, np.nan])


def test_words_are_stripped_and_missing_ones_are_none() -> None:
    cells = pd.Series([" a ", "NA", None, 2.0, "?"], dtype=object)
    assert ENGLISH.read_words(cells).tolist() == ["a", None, None, "2", "?"]
    assert CellFormat(keep_words=True).read_words(cells)[1] == "NA"
    assert CellFormat(missing=("?",)).read_words(cells)[-1] is None


def test_booleans() -> None:
    booleans = read_booleans(pd.Series(["TRUE", "false"]))
    assert booleans is not None
    assert booleans.tolist() == [True, False]
    for words in (["yes", "no"], ["true", None], []):
        assert read_booleans(pd.Series(words, dtype=object)) is None


def test_half_a_character_is_rejected() -> None:
    check_encodable("größe", "A name")
    with pytest.raises(DataError, match=r"A name must consist of whole characters; got 'a\\ud800'"):
        check_encodable("a\ud800", "A name")


def test_units_and_signs() -> None:
    assert split_unit("US$ 3") == (1, "3", "US$")
    assert split_unit("(5") is None
    assert split_unit("--5") is None
