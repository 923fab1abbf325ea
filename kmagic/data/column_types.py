"""What the columns of a table contain: numbers, words, dates, identifiers or nothing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from kmagic.data.disk_frame import DiskFrame
from kmagic.data.load_options import LoadOptions, leave_out
from kmagic.data.paths import looks_like_files
from kmagic.data.preparation.cell_format import (
    BOOLEANS,
    MAX_EVIDENCE,
    MISSING_WORDS,
    CellFormat,
    decimal_evidence,
    is_numeric,
    read_booleans,
    split_unit,
)
from kmagic.data.time_order import looks_like_date, number_dates
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Option, Part, Text

ALWAYS_CATEGORIES = 20  # different words up to which a column is always a category
MIN_SHARE = 0.8  # of numbers in a column, for a few unknown words to stand for no value
MAX_MISSING = 3  # such words, for example "missing" in several spellings
WORDS_PER_TEXT = 3  # on average, for cells to be texts
_OTHER = {".": ",", ",": "."}
_SIGN_NAMES = {".": "point", ",": "comma"}
_IDENTIFIER = re.compile(
    r"Unnamed: .*|.*[a-z](?:Id|ID|No|Nr|Key|Index|Number|Code)|(?i:(?:.*[\W_])?(?:id|ids|uuid|guid"
    r"|key|nr|no|num|number|nummer|index|idx|row|rows|row_?names?|row_?num(?:ber)?|case|record"
    r"|serial|sn|pk|code|[a-z]*(?:kunden|kunde)_?nr)[\W_]*)"
)
_MEASUREMENT = re.compile(r"[+-]?\d[\d.,]*\s*[^\W\d_]{1,3}\.?|\d{1,2}:\d{2}(:\d{2})?.{0,3}")
_DATE_NAME = re.compile(r"date|datum|day|time|stamp|epoch", re.IGNORECASE)
_INEXACT_NUMBER = re.compile(r"[<>~≈≤≥]?\s*[+-]?\d[\d.,]*\s*[+kKmMbB]?")
"""A number with a sign or letter that makes it no number: "1,000+", "10M", "<5"."""
_SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0)


@dataclass
class ColumnTypes:
    """The columns of a table with their types, and what was guessed about them.

    Attributes:
        frame: The table: numbers, words (None where there is no value) and dates.
        formats: How the cells of each column are written.
        decimals: The decimal sign of columns of text that have one, or thousands separators.
        dates: Columns of dates.
        problems: Columns that are neither numbers nor words, and why; with a remedy.
        missing: For each column, the words that stand for no value, with their number.
        notes: For each column, what the user should know.
    """

    frame: Any
    formats: dict[str, CellFormat] = field(default_factory=dict)
    decimals: dict[str, str] = field(default_factory=dict)
    dates: list[str] = field(default_factory=list)
    problems: dict[str, tuple[str, str | Text]] = field(default_factory=dict)
    missing: dict[str, Counter[str]] = field(default_factory=dict)
    notes: dict[str, list[Part]] = field(default_factory=dict)

    def describe(self, columns: Sequence[str], *, always: bool) -> str:
        """How the cells of some columns were read: the decimal sign and the missing values.

        Unless ``always``, nothing is said about columns that were numbers before.
        """
        if not always and not any(c in self.decimals or self.missing.get(c) for c in columns):
            return ""
        decimals = {self.decimals[name] for name in columns if name in self.decimals} or {"."}
        words = dict.fromkeys(word for name in columns for word in self.missing.get(name, ()))
        signs = " and ".join(f"decimal {_SIGN_NAMES[sign]}" for sign in sorted(decimals)[::-1])
        shown = [repr(word) for word in words if word]
        no_value = list_names((["empty cells"] if "" in words or not shown else []) + shown, 6)
        return f"{signs}, missing values: {no_value}"

    def missing_words(self, column: str) -> str:
        """The words that stand for no value in a column, in parentheses; "" for empty cells."""
        words = [repr(word) for word in self.missing.get(column, ()) if word]
        return f" ({list_names(words, 4)})" if words else ""

    def notes_on(self, columns: Iterable[str]) -> list[Part]:
        """The notes on some columns."""
        return [note for name in columns for note in self.notes.get(name, ())]


def type_columns(frame: Any, options: LoadOptions, delimiter: str = "") -> ColumnTypes:
    """Find the types of all columns; text is read as numbers where all or nearly all cells are.

    Args:
        frame: A table.
        options: Those of ``load_data``: ``decimal``, ``thousands`` and ``na_values``.
        delimiter: What separates the cells of its file.
    """
    table = ColumnTypes(frame.copy(deep=False))
    columns = [_Column(name, frame, table, options) for name in frame.columns]
    signs = Counter(sign for column in columns for sign in column.signs())
    usual = signs.most_common(1)[0][0] if signs else ""
    if delimiter and not usual and frame.dtypes.eq(np.float64).any():
        usual = "."  # as pandas read them
    for column in columns:
        column.read(usual, delimiter)
    return table


class _Column:
    """One column while its type is found.

    Attributes:
        kind: "date", "number", "text", which is to be examined, or "other".
        written: For text, the words that are not written as in Python, and some others.
        evidence: What they show about the decimal sign.
        format: How the cells are written, as far as it is known.
    """

    def __init__(self, name: str, frame: Any, table: ColumnTypes, options: LoadOptions) -> None:
        self.name = name
        self.table = table
        self.options = options
        self._frame = frame
        self.kind = _kind_of(self.cells.dtype)
        self.written = self._examine() if self.kind == "text" else []
        self.evidence = decimal_evidence(self.written)
        given = options.na_values or ()
        keeps = given == ("none",)
        self.format = table.formats[name] = CellFormat(
            thousands=options.thousands or "",
            missing=() if keeps else tuple(map(str, given)),
            keep_words=keeps,
        )

    @property
    def cells(self) -> Any:
        """Its cells. Those of a table on disk are read each time."""
        return self._frame[self.name]

    def _examine(self) -> list[str]:
        words = self.cells[[isinstance(cell, str) for cell in self.cells.tolist()]]
        words = words.drop_duplicates()
        if len(words) > MAX_EVIDENCE:
            is_other = pd.to_numeric(words, errors="coerce").isna()
            words = pd.concat([words[is_other][:MAX_EVIDENCE], words[~is_other][:MAX_EVIDENCE]])
        return sorted(map(str.strip, words.tolist()))

    def signs(self) -> list[str]:
        """The decimal signs that its cells show."""
        seen = {".": self.evidence.point, ",": self.evidence.comma}
        return [sign for sign, example in seen.items() if example]

    def read(self, usual: str, delimiter: str) -> None:
        """Find the type; ``usual`` is the decimal sign of other columns, or ""."""
        if self.kind == "date":
            self.table.dates.append(self.name)
        elif self.kind == "number":
            named_date = _DATE_NAME.search(self.name)
            if self.format.missing or types.is_extension_array_dtype(self.cells.dtype):
                self._replace(_to_integers(self.format.read_numbers(self.cells)[0]))
            if empty := int(self.cells.isna().sum()):
                self.table.missing[self.name] = Counter({"": empty})
            if float(self.table.frame[self.name].min()) in _SENTINELS or named_date:
                self._note_numbers()
        elif self.kind == "text":
            self._read_text(usual, delimiter)

    def _read_text(self, usual: str, delimiter: str) -> None:
        scalars = [cell for cell in self.cells.tolist() if not isinstance(cell, str)]
        others = [cell for cell in scalars if not isinstance(cell, _SCALARS) and not _is_none(cell)]
        if others:
            known = [cell for cell in scalars if not _is_none(cell)]
            if all(hasattr(cell, "year") for cell in known):
                self.table.dates.append(self.name)
            return
        texts = self.format.read_words(self.cells)
        words = Counter(word for word in texts.tolist() if word is not None)
        if isinstance(self.cells.dtype, pd.CategoricalDtype):
            self._read_words(texts, words)
            return
        are_booleans = bool(words) and all(word.casefold() in BOOLEANS for word in words)
        if are_booleans and words.total() == len(self.cells):
            self._replace(read_booleans(self.cells))
            return
        known = [word for word in words if word.casefold() not in MISSING_WORDS]
        if known and all(map(looks_like_date, known)):
            self.table.dates.append(self.name)
            self._read_marks(texts)
        elif not self._read_numbers(words, usual, delimiter):
            self._read_words(texts, words)

    def _read_numbers(self, words: Counter[str], usual: str, delimiter: str) -> bool:
        """Read the cells as numbers, and return whether they are; else say why not."""
        point, comma, _, either_comma = self.evidence
        guess = "," if either_comma and delimiter == ";" else "."
        shown = ("." if point else ",") if point or comma else usual or guess
        decimal = self.options.decimal or shown
        parts = [parts for word in self.written if (parts := split_unit(word)) is not None]
        units = Counter(unit for _, _, unit in parts if unit).most_common(1)
        number = replace(
            self.format,
            decimal=decimal,
            thousands=self.options.thousands or _OTHER[decimal],
            unit=units[0][0] if units else "",
        )
        values, wrong = number.read_numbers(self.cells)
        numbers = int(np.isfinite(values).sum())
        others = Counter[str]()
        for word, count in self.cells[wrong].value_counts().items():
            others[str(word).strip()] += int(count)
        is_few = len(others) <= MAX_MISSING and numbers >= MIN_SHARE * (numbers + others.total())
        if others and is_few and not any(re.search(r"\d", word) for word in others):
            number = replace(number, missing=(*number.missing, *others))
            values, wrong = number.read_numbers(self.cells)
            listed = list_names(map(repr, others), 3)
            note = f"{self.name} contains numbers, except for {listed} in {_rows(others)}"
            self._note(Text(note, ", taken as missing values."))
        if numbers and not wrong.any():
            self.table.formats[self.name] = number
            if any(self.evidence):
                self.table.decimals[self.name] = decimal
            self._count_missing(number.is_missing)
            self._note_format(number, usual, delimiter)
            self._replace(_to_integers(values))
            self._note_numbers()
            return True
        other = comma if decimal == "." else point
        if numbers:
            self._note_mixture(others, numbers, len(words), number.unit)
        elif self.options.decimal and other:
            sign = _SIGN_NAMES[_OTHER[decimal]]
            reason = f"contains numbers with a decimal {sign}, such as {other!r}"
            self.table.problems[self.name] = reason, leave_out("decimal")
        return False

    def _replace(self, cells: Any) -> None:
        dtype = getattr(cells, "dtype", None)
        self.table.frame[self.name] = pd.Series(cells, self.table.frame.index, dtype)

    def _read_marks(self, texts: NDArray[np.object_]) -> None:
        """Replace all words that stand for no value."""
        self._count_missing(self.format.is_missing)
        texts[[word is not None and self.format.is_missing(word) for word in texts]] = None
        self._replace(texts)

    def _note(self, note: Part) -> None:
        self.table.notes.setdefault(self.name, []).append(note)

    def _count_missing(self, is_missing: Callable[[str], bool]) -> None:
        missing = self.table.missing[self.name] = Counter[str]()
        if empty := int(self.cells.isna().sum()):
            missing[""] = empty
        for cell, count in self.cells.value_counts().items():
            if isinstance(cell, str) and is_missing(cell.strip()):
                missing[cell.strip()] += int(count)

    def _note_format(self, number: CellFormat, usual: str, delimiter: str) -> None:
        """Show how a cell was read, where it could be read in another way."""
        point, comma, either_point, either_comma = self.evidence
        if point and comma:
            return
        doubtful = either_comma or either_point
        # A point is a decimal point everywhere in Python.
        is_python = either_point and number.decimal == "." and not usual and delimiter != ";"
        is_known = point or comma or (usual and not either_comma) or is_python or not doubtful
        others = (word for word in self.written if _is_special(word, number.decimal))
        special = max(others, key=len, default="") if is_known else doubtful
        value = number.parse(special)
        if value is None or math.isnan(value):
            return
        text = f"{self.name}: {special!r} was read as {_plain(value)}"
        if is_known or self.options.decimal:
            self._note(Text(text, "."))
        else:
            other = Option("decimal", _OTHER[number.decimal])
            self._note(Text(text, "; ", other, " reads it with the other decimal sign."))

    def _note_numbers(self) -> None:
        """Find dates that are written as integers, and a number that stands for no value."""
        cells = self.table.frame[self.name].dropna()
        if not len(cells) or types.is_bool_dtype(cells) or not is_numeric(cells):
            return
        values = cells.to_numpy(dtype=np.float64)
        dates = number_dates(self.table.frame[self.name]) if _DATE_NAME.search(self.name) else None
        if dates is not None:
            self.table.dates.append(self.name)
            self._replace(dates.array)
            return
        lowest = float(values.min())
        others = values[values != lowest]
        if lowest not in _SENTINELS or not len(others) or others.min() < 0:
            return
        count = int((values == lowest).sum())
        text = (
            f"{self.name} is {lowest:g} in {pluralize(count, 'row')} and never negative otherwise"
        )
        option = Option("na_values", f"{lowest:g}")
        self._note(Text(text, "; ", option, " reads it as a missing value."))

    def _note_mixture(self, others: Counter[str], numbers: int, distinct: int, unit: str) -> None:
        """A column of numbers and words: a category if there are few, otherwise a problem."""
        first = next(iter(others))
        parts = split_unit(first)
        if numbers < others.total() and parts is None:
            return
        shown = list_names(map(repr, others), 3)
        if distinct <= ALWAYS_CATEGORIES and parts is None:
            text = f"{self.name} mixes numbers and words ({shown}) and was taken as a category"
            self._note(Text(text, "; ", Option("na_values", first), " reads a word as missing."))
            return
        remedy: str | Text = Text(
            f"Correct the cells of {self.name}, or read them as missing values: ",
            Option("na_values", ",".join(list(others)[:3])),
            ".",
        )
        reason = f"contains numbers, but also {shown} in {_rows(others)}"
        if parts is not None and parts[2] not in ("", unit):
            reason = f"mixes the units {unit or 'none'} and {parts[2]}, as in {first!r}"
            remedy = f"Convert {self.name} to one unit."
        elif parts is not None:
            reason = f"mixes decimal points and decimal commas, or groups of digits: {shown}"
            remedy = Text(
                f"Write the numbers of {self.name} in one way, or set ", Option("decimal"), "."
            )
        self.table.problems[self.name] = (reason, remedy)

    def _read_words(self, texts: NDArray[np.object_], words: Counter[str]) -> None:
        marks = [word for word in words if word.casefold() in MISSING_WORDS - {"x", "*"}]
        if words and len(marks) == len(words):
            self._read_marks(texts)
            return
        self._count_missing(self.format.is_empty)
        if not words and self.cells.isna().all():
            return
        self._replace(texts)
        inexact = [word for word in words if _INEXACT_NUMBER.fullmatch(word)]
        if len(inexact) >= MIN_SHARE * len(words) > 0 and self.name not in self.table.notes:
            shown = list_names(map(repr, inexact), 3)
            text = f"{self.name} has numbers with other characters ({shown}), read as words"
            self._note(f"{text}; for numbers, convert them in a data frame first.")
        if len(words) > 10 * ALWAYS_CATEGORIES:
            return
        if marks:
            rows = pluralize(sum(words[word] for word in marks), "row")
            text = (
                f"{self.name} has {list_names(map(repr, marks), 3)} in {rows}, taken as a category"
            )
            self._note(Text(text, "; ", Option("na_values", marks[0]), " reads it as missing."))
        spellings = Counter(map(str.casefold, words))
        variants = [word for word in words if spellings[word.casefold()] > 1]
        if variants:
            shown = list_names(map(repr, sorted(variants, key=str.casefold)), 4)
            self._note(f"{self.name} has words that differ only in case: {shown}.")


def _kind_of(dtype: Any) -> Literal["date", "number", "text", "other"]:
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date"
    if types.is_bool_dtype(dtype) or types.is_complex_dtype(dtype) or dtype.kind == "m":
        return "other"
    return "number" if types.is_numeric_dtype(dtype) else "text"


_SCALARS = (str, int, float, Decimal, np.number, np.bool_)


def _is_none(cell: Any) -> bool:
    return types.is_scalar(cell) and bool(pd.isna(cell))


def _is_special(word: str, decimal: str) -> bool:
    """Whether a number is written in another way than Python writes it."""
    digits = r"(?!0\d)[\d.]+(?:[eE][+-]?\d+)?" if decimal == "." else r"(?!0\d)\d+"
    plain = rf"[+-]?{digits}"
    return split_unit(word) is not None and not re.fullmatch(plain, word)


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact integers


def _rows(words: Counter[str]) -> str:
    return pluralize(words.total(), "row")


def _to_integers(values: Any) -> Any:
    """Integers, if all values are."""
    is_integer = np.isfinite(values).all() and (values == np.rint(values)).all()
    return values.astype(np.int64) if is_integer and np.abs(values).max() < 2**53 else values


# --- identifiers ----------------------------------------------------------------------------------


def split_parts_of(frame: Any) -> list[Any]:
    """The parts of a table, whose numbers are its index."""
    if isinstance(frame, DiskFrame):
        return frame.parts()
    return [part for _, part in frame.groupby(level=0)]


def find_identifiers(frames: Sequence[Any], columns: Sequence[str]) -> dict[str, str]:
    """Columns that number or name the rows, and how: a model would learn them by heart.

    Example:
        >>> frame = pd.DataFrame({"customer_no": [12, 7, 9], "age": [31, 40, 25]})
        >>> find_identifiers([frame], frame.columns)
        {'customer_no': 'has a different value in each row'}
    """
    found = {}
    for name in columns:
        is_named = _IDENTIFIER.fullmatch(name)
        if not is_named and is_numeric(frames[0][name]):
            continue
        parts = [frame[name].dropna() for frame in frames]
        if any(len(part) < 0.9 * len(frame) for part, frame in zip(parts, frames, strict=True)):
            continue
        if not all(len(part) > 1 and _are_different(part) and _are_labels(part) for part in parts):
            continue
        counts = all(map(_counts_rows, parts))
        if is_named:
            found[name] = "only counts the rows" if counts else "has a different value in each row"
        elif sum(map(len, parts)) > ALWAYS_CATEGORIES and not any(map(is_numeric, parts)):
            found[name] = "has a different word in each row"
    return found


def like_identifier(frames: Sequence[Any], column: str) -> str:
    """How a column resembles an identifier, though its name says nothing; "" if it does not."""
    parts = [frame[column] for frame in frames]
    can_count = all(part.iloc[:1].isin((0, 1)).all() for part in parts)
    is_unnamed = column.isdecimal() and min(map(len, parts)) > ALWAYS_CATEGORIES
    if not (can_count or is_unnamed) or not all(
        types.is_integer_dtype(part) and part.is_unique for part in parts
    ):
        return ""
    if can_count and all(map(_counts_rows, parts)):
        return "only counts the rows"
    return "has a different integer in each row" if is_unnamed else ""


def float32_merges(cells: Any) -> bool:
    """Whether half of the integers become equal to others in a model."""
    if not is_numeric(cells) or not float(cells.max()) > 2**24 or (cells % 1 > 0).any():
        return False
    return bool(cells.astype(np.float32).nunique() < cells.nunique() / 2)


def _are_different(cells: Any) -> bool:
    are_comparable = is_numeric(cells) or types.infer_dtype(cells) == "string"
    return are_comparable and bool(cells.is_unique)


def _are_labels(cells: Any) -> bool:
    """Whether cells are integers or short words, not measurements or texts."""
    if is_numeric(cells):
        values = cells.to_numpy(dtype=np.float64)
        return not types.is_bool_dtype(cells) and bool((values == np.rint(values)).all())
    words = cells.tolist()
    return not (are_texts(words) or looks_like_files(words) or are_measurements(words))


def _counts_rows(cells: Any) -> bool:
    if not is_numeric(cells) or types.is_bool_dtype(cells):
        return False
    return bool((np.diff(cells.to_numpy(dtype=np.float64)) == 1).all())


def are_measurements(cells: Sequence[Any]) -> bool:
    """Whether cells are numbers followed by a unit, or times of the day."""
    return all(isinstance(cell, str) and _MEASUREMENT.fullmatch(cell) for cell in cells)


def are_texts(cells: list[Any]) -> bool:
    """Whether cells are sentences rather than words."""
    if not cells or not all(isinstance(cell, str) for cell in cells):
        return False
    return sum(len(cell.split()) for cell in cells) >= WORDS_PER_TEXT * len(cells)
