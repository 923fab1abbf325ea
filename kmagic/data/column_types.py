"""What the columns of a table contain: numbers, words, dates, identifiers or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from kmagic.data.load_options import LoadOptions, leave_out
from kmagic.data.paths import looks_like_files
from kmagic.data.preparation.cell_format import (
    MAX_EVIDENCE,
    MISSING_WORDS,
    CellFormat,
    DecimalEvidence,
    decimal_evidence,
    is_numeric,
    read_booleans,
    split_unit,
)
from kmagic.data.time_order import looks_like_date
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.messages import Option, Part, Text

ALWAYS_CATEGORIES = 20  # different words up to which a column is always a category
MIN_SHARE = 0.8  # of numbers in a column, for a few unknown words to stand for no value
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
_YEARS = (1900, 2100)  # of dates that are written as integers
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
    numbers = frame.select_dtypes(np.number, exclude=[np.complexfloating, np.timedelta64])
    lowest = dict(numbers.min())
    empty = numbers.isna().sum()
    table.missing = {name: Counter({"": count}) for name, count in empty.items() if count}
    words_of: dict[str, Any] = {
        name: frame[name]
        for name, dtype in frame.dtypes.items()
        if name not in lowest and not (types.is_bool_dtype(dtype) or _is_date_type(dtype))
    }
    written = {name: _written(cells) for name, cells in words_of.items()}
    evidence = {name: decimal_evidence(words) for name, words in written.items()}
    usual = _usual_decimal(evidence.values())
    if delimiter and not usual and numbers.dtypes.eq(np.float64).any():
        usual = "."  # as pandas read them
    for name in frame.columns:
        column = _Column(name, table, options)
        if name in words_of:
            column.read_text(words_of[name], written[name], evidence[name], usual, delimiter)
        elif _is_date_type(frame[name].dtype):
            table.dates.append(name)
        else:
            column.read_numbers(lowest.get(name))
    return table


def _is_date_type(dtype: Any) -> bool:
    return types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype)


def _written(cells: Any) -> list[str]:
    """The words of a column; of a long one, those that are not written as in Python, and some."""
    words = cells[[isinstance(cell, str) for cell in cells.tolist()]].drop_duplicates()
    if len(words) > MAX_EVIDENCE:
        is_other = pd.to_numeric(words, errors="coerce").isna()
        words = pd.concat([words[is_other][:MAX_EVIDENCE], words[~is_other][:MAX_EVIDENCE]])
    return sorted(words.tolist())


def _usual_decimal(columns: Iterable[DecimalEvidence]) -> str:
    """The decimal sign that most columns show; "" if none does."""
    signs = Counter(
        sign
        for column in columns
        for sign, seen in ((".", column.point), (",", column.comma))
        if seen
    )
    return signs.most_common(1)[0][0] if signs else ""


class _Column:
    """One column while its type is found."""

    def __init__(self, name: str, table: ColumnTypes, options: LoadOptions) -> None:
        self.name = name
        self.table = table
        self.options = options
        given = options.na_values or ()
        keeps = given == ("none",)
        self.format = CellFormat(
            thousands=options.thousands or "",
            missing=() if keeps else tuple(map(str, given)),
            keep_words=keeps,
        )

    def read_numbers(self, lowest: Any) -> None:
        """A column whose type is known: only numbers that stand for no value are to be found."""
        self.table.formats[self.name] = self.format
        if lowest is None:  # True and False
            return
        if self.format.missing:
            self._replace(self.format.read_numbers(self.table.frame[self.name])[0])
        if lowest in _SENTINELS or _DATE_NAME.search(self.name):
            self._note_numbers()

    def read_text(
        self, cells: Any, written: list[str], evidence: DecimalEvidence, usual: str, delimiter: str
    ) -> None:
        """A column of text, or of objects: numbers, booleans, dates or words."""
        self.table.formats[self.name] = self.format
        scalars = [cell for cell in cells.tolist() if not isinstance(cell, str)]
        if not all(cell is None or isinstance(cell, _SCALARS) or cell != cell for cell in scalars):  # noqa: PLR0124 - nan is not itself
            if all(hasattr(cell, "isoformat") for cell in scalars if not _is_nothing(cell)):
                self.table.dates.append(self.name)
            return
        words = self.format.read_words(cells)
        filled = pd.Series(words[words != None], dtype=object)  # noqa: E711 - an array
        if isinstance(cells.dtype, pd.CategoricalDtype):
            self._read_words(cells, words, filled)
            return
        if (booleans := read_booleans(filled)) is not None and len(filled) == len(cells):
            self._replace(read_booleans(cells))
            return
        if booleans is None and len(filled) and self._is_date(filled):
            self.table.dates.append(self.name)
            self._read_marks(cells, words)
            return
        decimal = self.options.decimal or self._decimal(evidence, usual, delimiter)
        unit = self._unit(written)
        thousands = self.options.thousands or _OTHER[decimal]
        number = replace(self.format, decimal=decimal, thousands=thousands, unit=unit)
        values, wrong = number.read_numbers(cells)
        numbers = int(np.isfinite(values).sum())
        others = Counter[str]()
        for word, count in cells[wrong].value_counts().items():
            others[str(word).strip()] += int(count)
        if len(others) and self._are_missing(others, numbers):
            number = replace(number, missing=(*number.missing, *others))
            values, wrong = number.read_numbers(cells)
            shown = list_names(map(repr, others), 3)
            note = f"{self.name} contains numbers, except for {shown} in {_rows(others)}"
            self._note(Text(note, ", taken as missing values."))
        if numbers and not wrong.any():
            self.format = self.table.formats[self.name] = number
            if any(evidence):
                self.table.decimals[self.name] = decimal
            self._count_missing(cells, number.is_missing)
            self._note_format(written, number, evidence, usual, delimiter)
            self._replace(_to_integers(values))
            self._note_numbers()
            return
        other = evidence.comma if decimal == "." else evidence.point
        if numbers:
            self._note_mixture(others, numbers, filled.nunique(), unit)
        elif self.options.decimal and other:
            sign = _SIGN_NAMES[_OTHER[decimal]]
            reason = f"contains numbers with a decimal {sign}, such as {other!r}"
            self.table.problems[self.name] = reason, leave_out("decimal")
        self._read_words(cells, words, filled)

    def _replace(self, cells: Any) -> None:
        dtype = getattr(cells, "dtype", None)
        self.table.frame[self.name] = pd.Series(cells, self.table.frame.index, dtype)

    def _read_marks(self, cells: Any, words: NDArray[np.object_]) -> None:
        """Replace all words that stand for no value."""
        self._count_missing(cells, self.format.is_missing)
        words[[word is not None and self.format.is_missing(word) for word in words]] = None
        self._replace(words)

    def _note(self, note: Part) -> None:
        self.table.notes.setdefault(self.name, []).append(note)

    def _count_missing(self, cells: Any, is_missing: Any) -> None:
        missing = self.table.missing[self.name] = Counter[str]()
        if empty := int(cells.isna().sum()):
            missing[""] = empty
        for cell, count in cells.value_counts().items():
            if isinstance(cell, str) and is_missing(cell.strip()):
                missing[cell.strip()] += int(count)

    def _is_date(self, filled: Any) -> bool:
        known = [word for word in filled.unique() if word.casefold() not in MISSING_WORDS]
        return bool(known) and all(map(looks_like_date, known))

    def _decimal(self, evidence: DecimalEvidence, usual: str, delimiter: str) -> str:
        """The decimal sign of a column: as its cells show, or those of the other columns."""
        if evidence.point or evidence.comma:
            return "." if evidence.point else ","
        if usual:
            return usual
        return "," if evidence.either_comma and delimiter == ";" else "."

    def _unit(self, written: list[str]) -> str:
        """The unit that most numbers of the column have."""
        parts = [parts for word in written if (parts := split_unit(word)) is not None]
        units = Counter(unit for _, _, unit in parts if unit)
        return units.most_common(1)[0][0] if units else ""

    def _are_missing(self, others: Counter[str], numbers: int) -> bool:
        """Whether a few words between numbers stand for no value."""
        return (
            len(others) <= 3  # noqa: PLR2004 - such as "missing" in several spellings
            and numbers >= MIN_SHARE * (numbers + others.total())
            and not any(re.search(r"\d", word) for word in others)
        )

    def _note_format(
        self,
        written: list[str],
        number: CellFormat,
        evidence: DecimalEvidence,
        usual: str,
        delimiter: str,
    ) -> None:
        """Show how a cell was read, where it could be read in another way."""
        other = Option("decimal", _OTHER[number.decimal])
        doubtful = evidence.either_comma or evidence.either_point
        if evidence.point and evidence.comma:
            return
        is_known = evidence.point or evidence.comma or (usual and not evidence.either_comma)
        if evidence.either_point and number.decimal == "." and not usual and delimiter != ";":
            is_known = "."  # as everywhere in Python
        special = doubtful
        if is_known or not doubtful:
            words = (word for word in map(str.strip, written) if _is_special(word, number.decimal))
            special = max(words, key=len, default="")
        if not special:
            return
        value = number.parse(special)
        if value is None or value != value:  # noqa: PLR0124 - not nan
            return
        text = f"{self.name}: {special!r} was read as {_plain(value)}"
        if is_known or not doubtful or self.options.decimal:
            self._note(Text(text, "."))
        else:
            self._note(Text(text, "; ", other, " reads it with the other decimal sign."))

    def _note_numbers(self) -> None:
        """Find dates that are written as integers, and a number that stands for no value."""
        cells = self.table.frame[self.name].dropna()
        if not len(cells) or types.is_bool_dtype(cells) or not is_numeric(cells):
            return
        values = cells.to_numpy(dtype=np.float64)
        unit = _date_unit(values) if _DATE_NAME.search(self.name) else None
        if unit is not None:
            self.table.dates.append(self.name)
            self._replace(_to_dates(self.table.frame[self.name], unit).array)
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

    def _read_words(self, cells: Any, words: NDArray[np.object_], filled: Any) -> None:
        marks = MISSING_WORDS - {"x", "*"}
        if len(filled) and all(word.casefold() in marks for word in filled.unique()):
            self._read_marks(cells, words)
            return
        self._count_missing(cells, self.format.is_empty)
        if not len(filled) and cells.isna().all():
            return
        self._replace(words)
        counts = Counter(filled.tolist())
        found = [word for word in counts if word.casefold() in marks]
        if found and len(counts) <= 10 * ALWAYS_CATEGORIES:
            rows = pluralize(sum(counts[word] for word in found), "row")
            text = (
                f"{self.name} has {list_names(map(repr, found), 3)} in {rows}, taken as a category"
            )
            self._note(Text(text, "; ", Option("na_values", found[0]), " reads it as missing."))
        spellings = Counter(word.casefold() for word in counts)
        variants = [word for word in counts if spellings[word.casefold()] > 1]
        if variants and len(counts) <= 10 * ALWAYS_CATEGORIES:
            shown = list_names(map(repr, sorted(variants, key=str.casefold)), 4)
            self._note(f"{self.name} has words that differ only in case: {shown}.")


_SCALARS = (str, int, float, Decimal, np.number, np.bool_)


def _is_nothing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or cell != cell  # noqa: PLR0124 - nan is not itself


def _is_special(word: str, decimal: str) -> bool:
    """Whether a number is written in another way than Python writes it."""
    digits = r"(?!0\d)[\d.]+(?:[eE][+-]?\d+)?" if decimal == "." else r"(?!0\d)\d+"
    plain = rf"[+-]?{digits}"
    return split_unit(word) is not None and not re.fullmatch(plain, word)


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact integers


def _rows(words: Counter[str]) -> str:
    return pluralize(words.total(), "row")


def _date_unit(values: NDArray[np.float64]) -> Literal["", "s", "ms"] | None:
    """Numbers as dates: "" for 20200131, else their unit since 1970; None if they are none."""
    if not np.isfinite(values).all():
        return None
    low, high = (year * 10_000 for year in _YEARS)
    if ((values > low) & (values < high)).all():
        is_whole = (values == np.rint(values)).all()
        return None if not is_whole or _to_dates(pd.Series(values), "").isna().any() else ""
    if ((values > 3e8) & (values < 4.1e9)).all():  # noqa: PLR2004 - 1979 to 2099
        return "s"
    return "ms" if ((values > 3e11) & (values < 4.1e12)).all() else None  # noqa: PLR2004 - as above


def _to_dates(cells: Any, unit: Literal["", "s", "ms"]) -> Any:
    if unit:
        return pd.to_datetime(cells, unit=unit)
    words = cells.astype("Int64").astype(str)
    return pd.to_datetime(words, format="%Y%m%d", errors="coerce")


def _to_integers(values: Any) -> Any:
    """Integers, if all values are."""
    is_integer = np.isfinite(values).all() and (values == np.rint(values)).all()
    return values.astype(np.int64) if is_integer and np.abs(values).max() < 2**53 else values


# --- identifiers ----------------------------------------------------------------------------------


def split_parts_of(frame: Any) -> list[Any]:
    """The parts of a table, whose numbers are its index."""
    return [part for _, part in frame.groupby(level=0)]


def find_identifiers(frame: Any, columns: Sequence[str]) -> dict[str, str]:
    """Columns that number or name the rows, and how: a model would learn them by heart.

    Example:
        >>> frame = pd.DataFrame({"customer_no": [12, 7, 9], "age": [31, 40, 25]})
        >>> find_identifiers(frame.set_axis([0, 0, 0]), frame.columns)
        {'customer_no': 'has a different value in each row'}
    """
    found = {}
    for name in columns:
        is_named = _IDENTIFIER.fullmatch(name)
        if (not is_named and is_numeric(frame[name])) or frame[name].isna().mean() > 0.1:  # noqa: PLR2004 - a tenth
            continue
        parts = split_parts_of(frame[name].dropna())
        if not all(len(part) > 1 and _are_different(part) and _are_labels(part) for part in parts):
            continue
        counts = all(map(_counts_rows, parts))
        if is_named:
            found[name] = "only counts the rows" if counts else "has a different value in each row"
        elif sum(map(len, parts)) > ALWAYS_CATEGORIES and not any(map(is_numeric, parts)):
            found[name] = "has a different word in each row"
    return found


def like_identifier(frame: Any, column: str) -> str:
    """How a column resembles an identifier, though its name says nothing; "" if it does not."""
    parts = split_parts_of(frame[column])
    can_count = all(part.iloc[0] in (0, 1) for part in parts)
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
    if not types.is_integer_dtype(cells) or cells.abs().max() <= 2**24:
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
