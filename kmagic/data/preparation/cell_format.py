"""Cells of text as numbers: decimal signs, thousands separators, currencies, missing values."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import DataError

EMPTY_WORDS = frozenset(
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
"""Cells without a value in any column; those of ``pandas.read_csv``."""
MISSING_WORDS = frozenset(
    [
        *("?", "-", "--", "---", "\u2013", "\u2014", ".", "..", "*", "x", "na", "n.a.", "n.a"),
        *("n/k", "n.k.", "none", "nil", "nan", "null", "unknown", "unk", "not known", "missing"),
        *("not available", "not applicable", "undefined", "blank", "empty", "tbd", "k.a.", "k. a."),
        *("keine angabe", "unbekannt", "s/d", "sin datos", "inconnu", "desconocido", "error"),
        *("#value!", "#div/0!", "#ref!", "#name?", "#null!", "#num!"),
    ]
)
"""Cells, in lower case, that have no value in a column of numbers."""
BOOLEANS = {"true": True, "false": False}
ANSWERS = {**BOOLEANS, "yes": True, "no": False}
MAX_EVIDENCE = 2000
"""Words of a column that are examined for its decimal sign."""
_SPACES = " \u00a0\u2009\u202f"
_GROUPS = _SPACES + "'\u2019_"
"""Characters that only ever separate thousands."""
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_MINUS = str.maketrans("\u2212\u2013", "--")
_CODES = (
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF INR JPY KRW MXN NOK NZD PLN RUB SEK SGD TRY USD "
    "ZAR Fr Fr. Rs Rs. kr zł R$ US$ kg g mg lb lbs oz km m cm mm mi ft l ml h hrs hours min sec ms "
    "days years yrs °C °F kWh kW W V A m² m2 km² m³ km/h mph GB MB kB px"
)
_UNIT = "|".join(map(re.escape, [*sorted(_CODES.split(), key=len, reverse=True), "%", "‰"]))
_AROUND = re.compile(
    rf"(?P<open>\()?(?P<sign>[+-]?)[{_SPACES}]*(?P<before>{_UNIT}|[^\w\s.,'()+%‰-])?[{_SPACES}]*"
    rf"(?P<sign2>[+-]?)(?P<body>[.,]?\d(?:[\d.,{_GROUPS}]*\d)?[.,]?(?:[eE][+-]?\d+)?)"
    rf"[{_SPACES}]*(?P<after>{_UNIT}|[^\w\s.,'()+-])?(?P<close>\))?"
)


@dataclass(frozen=True, slots=True)
class CellFormat:
    """How the cells of a column are written.

    Attributes:
        decimal: The decimal sign of numbers, "." or ",".
        thousands: The character between groups of three digits; spaces and apostrophes always are.
        unit: The currency, percent sign or other unit that numbers may have; it is dropped.
        missing: Words that stand for no value, besides those of pandas and, in a column of numbers,
            "?", "unknown" and the like; numbers, too, such as "-999".
        keep_words: Words such as "NA" are words in a column of words.
    """

    decimal: str = "."
    thousands: str = ","
    unit: str = ""
    missing: tuple[str, ...] = ()
    keep_words: bool = False

    def parse(self, word: str) -> float | None:
        """The number in a cell; nan if it stands for no value, None if it is something else.

        Example:
            >>> german = CellFormat(",", ".", "€")
            >>> german.parse("1.200,50 €"), german.parse("?"), german.parse("large")
            (1200.5, nan, None)
        """
        word = word.strip()
        if self.is_missing(word):
            return math.nan
        if self.decimal == "." and _PLAIN.fullmatch(word):
            return float(word)
        parts = split_unit(word)
        if parts is None:
            return None
        sign, body, unit = parts
        pattern = _pattern(self.decimal, self.thousands)
        if unit not in ("", self.unit) or not pattern.fullmatch(body):
            return None
        for char in self.thousands + _GROUPS:
            body = body.replace(char, "")
        return sign * float(body.replace(self.decimal, "."))

    def describe(self) -> str:
        """What is special about numbers in this format, after "a number"."""
        sign = " with a decimal comma" if self.decimal == "," else ""
        unit = f"{' and' if sign else ' with'} {self.unit} or no unit" if self.unit else ""
        return f"{sign}{unit}, as in the training data" if sign or unit else ""

    def is_missing(self, word: str) -> bool:
        """Whether a cell of a column of numbers stands for no value."""
        return word in EMPTY_WORDS or word in self.missing or word.casefold() in MISSING_WORDS

    def is_empty(self, word: str) -> bool:
        """Whether a cell of a column of words stands for no value."""
        return word == "" or word in self.missing or (not self.keep_words and word in EMPTY_WORDS)

    def read_numbers(self, cells: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Read a pandas Series.

        Returns:
            Its numbers, nan for no value; and which cells are something else, also nan.
        """
        import pandas as pd  # noqa: PLC0415 - half a second to import

        cells, index = _distinct(cells)
        if is_numeric(cells):
            values = np.array(cells.to_numpy(dtype=np.float64, na_value=np.nan))
            wrong = np.zeros(len(values), dtype=bool)
        else:
            plain = cells.astype(object)  # pandas takes dates as numbers
            if self.decimal == ",":  # most cells are written as in Python, except for this
                texts = cells.astype(str)
                plain = texts.where(texts.str.fullmatch(r"[+-]?\d+(?:,\d+)?", na=False))
                plain = plain.str.replace(",", ".", regex=False)
            values = np.array(pd.to_numeric(plain, errors="coerce"), dtype=np.float64)
            wrong = np.isnan(values)
            parsed = [
                self.parse(cell) if isinstance(cell, str) else _to_float(cell)
                for cell in cells[wrong].tolist()
            ]
            values[wrong] = [math.nan if value is None else value for value in parsed]
            wrong[wrong] = [value is None for value in parsed]
        numbers = [CellFormat().parse(word) for word in self.missing]
        values[np.isin(values, [number for number in numbers if number is not None])] = math.nan
        return values[index], wrong[index]

    def read_words(self, cells: Any) -> NDArray[np.object_]:
        """The words of a pandas Series, without outer spaces; None for no value."""
        cells, index = _distinct(cells)
        words = np.empty(len(cells), dtype=object)
        words[:] = [self._read_word(cell) for cell in cells.tolist()]
        return np.asarray(words[index])

    def _read_word(self, cell: Any) -> str | None:
        word = category_name(cell).strip()
        is_empty = self.is_empty(word) if isinstance(cell, str) else _is_nan(cell)
        return None if is_empty else word


def _distinct(cells: Any) -> tuple[Any, Any]:
    """The different texts of a pandas Series and the index of each cell; other cells unchanged."""
    import pandas as pd  # noqa: PLC0415 - half a second to import

    if pd.api.types.infer_dtype(cells, skipna=True) != "string":
        return cells, slice(None)
    index, texts = pd.factorize(cells, use_na_sentinel=False)
    return pd.Series(texts, dtype=object), index


def split_unit(word: str) -> tuple[int, str, str] | None:
    """Sign, digits with their separators, and unit of a number; None if it is none.

    Example:
        >>> split_unit("-$1,200.50"), split_unit("(5 %)"), split_unit("1a")
        ((-1, '1,200.50', '$'), (-1, '5', '%'), None)
    """
    match = _AROUND.fullmatch(word.strip().translate(_MINUS))
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    before, after = match["before"] or "", match["after"] or ""
    unit = before or after
    is_unit = len(unit) != 1 or unit in "%‰" or unicodedata.category(unit) == "Sc"
    if (before and after) or not is_unit or (match["sign"] and match["sign2"]):
        return None
    is_negative = match["open"] or "-" in match["sign"] + match["sign2"]
    return -1 if is_negative else 1, match["body"], unit


class DecimalEvidence(NamedTuple):
    """What the cells of a column show about the decimal sign: an example of each kind, or ""."""

    point: str = ""
    """A cell that only makes sense with a decimal point: "1.5", "1,200.50"."""
    comma: str = ""
    """A cell that only makes sense with a decimal comma: "1,5", "1.200,50"."""
    either_point: str = ""
    """A cell such as "1.200", which is 1.2 or 1200."""
    either_comma: str = ""
    """A cell such as "1,200", which is 1200 or 1.2."""


def decimal_evidence(words: Iterable[str]) -> DecimalEvidence:
    """Look for the decimal sign in the cells of a column.

    Example:
        >>> decimal_evidence(["1.200", "3,5"])
        DecimalEvidence(point='', comma='3,5', either_point='1.200', either_comma='')
    """
    examples: dict[str, str] = {}
    for word in words:
        parts = split_unit(word)
        if parts is not None and (kind := _decimal_kind(parts[1])):
            examples.setdefault(kind, word.strip())
    return DecimalEvidence(**examples)


def _decimal_kind(body: str) -> str:
    """The kind of evidence in the digits of one cell; "" if it has no point and no comma."""
    as_point, as_comma = (_pattern(sign, other).fullmatch(body) for sign, other in (".,", ",."))
    if not {".", ","} & set(body) or not (as_point or as_comma):
        return ""
    if as_point and as_comma:
        return "either_point" if "." in body else "either_comma"
    return "point" if as_point else "comma"


@cache
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    """Digits in groups of three (or as in India: 1,00,000), decimals, and an exponent."""
    point, between = re.escape(decimal), f"[{_GROUPS}{re.escape(thousands)}]"
    inner = r"\d{2,3}" if thousands == "," else r"\d{3}"
    grouped = rf"[1-9]\d{{0,2}}(?:{between}{inner})*{between}\d{{3}}"
    return re.compile(rf"(?:(?:{grouped}|\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")


def read_booleans(cells: Any) -> Any | None:
    """A column of the words True and False as booleans; None if it has other words.

    Example:
        >>> import pandas as pd
        >>> read_booleans(pd.Series(["true", "FALSE"])).tolist()
        [True, False]
    """
    if is_numeric(cells) or not len(cells):
        return None
    words: dict[Any, bool] = {}
    for cell in cells.unique():
        value = BOOLEANS.get(str(cell).strip().casefold())
        if value is None:
            return None
        words[cell] = value
    return cells.map(words).astype(bool)


def is_numeric(cells: Any) -> bool:
    """Whether a pandas Series holds real numbers or booleans."""
    from pandas.api import types  # noqa: PLC0415 - half a second to import

    return bool(types.is_numeric_dtype(cells) and not types.is_complex_dtype(cells))


def category_name(cell: Any) -> str:
    """The word of a category in a cell; 1.0 is the same as 1.

    Example:
        >>> category_name("a "), category_name(2.0), category_name(True)
        ('a ', '2', 'True')
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def clean_name(name: object) -> str:
    r"""The name of a column without line breaks and outer spaces.

    Example:
        >>> clean_name(" price\n(EUR)"), clean_name(3)
        ('price (EUR)', '3')
    """
    return " ".join(str(name).replace("\ufeff", "").split())


def check_encodable(text: str, subject: str) -> None:
    """Reject half a character (a lone surrogate), which no file and no display can contain."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{subject} must consist of whole characters; got {ascii(text)[:80]}.",
            "Read the data again with the right encoding, or rename it.",
        ) from error


def _is_nan(cell: Any) -> bool:
    value = _to_float(cell)
    return value is not None and math.isnan(value)


def _to_float(cell: Any) -> float | None:
    """A number; nan for no value, None for anything else."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(cell, int | float | Decimal | np.number | np.bool_):
        try:
            return float(cell)
        except (OverflowError, TypeError):
            return None
    return None
