"""Files of tables: encoding, delimiter, header and the lines around the table, by its beginning.

pandas reads plain numbers. What other cells mean is decided later, by
:mod:`kmagic.data.column_types`, as for a data frame.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from kmagic.data import paths
from kmagic.data.load_options import LoadOptions, read_delimiter, reject_options
from kmagic.data.preparation.cell_format import (
    MAX_EVIDENCE,
    MISSING_WORDS,
    clean_name,
    decimal_evidence,
    split_unit,
)
from kmagic.data.time_order import looks_like_date
from kmagic.support.disk_arrays import CHUNK_BYTES
from kmagic.support.errors import DataError
from kmagic.support.formatting import list_names, pluralize
from kmagic.support.keras_cache import show_path
from kmagic.support.memory import MAX_SHARE, available_memory, require_memory
from kmagic.support.messages import Option, Text
from kmagic.support.regular_files import file_problem

_MODULES = {".gz": gzip, ".bz2": bz2, ".xz": lzma}
DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas", " ": "spaces"}
MEMORY_FACTOR = 5  # how much more memory than disk space a table takes, roughly
SAMPLE_ROWS = 200  # that show the delimiter and the header
MAX_BEGINNING = 100_000  # bytes that show the names of the columns
MAX_CELLS, MIN_ROWS = 40_000, 20  # that show the header and the decimal sign
MAX_COLUMNS = 500  # that show the header
MAX_FOOTER = 10  # lines after a table
MAX_HEADER = 4  # lines
MAX_QUOTED_LINES = 1000  # of a cell
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS = ("utf-8", "cp1252")
_OTHER_ENCODINGS = ("cp932", "gb18030", "big5", "cp949", "euc_jp", "cp1251", "cp1253")
"""Of Japanese, Chinese, Korean, Cyrillic and Greek text."""
MAX_CHAOS, CHAOS_MARGIN = 0.3, 0.05
"""The share of unlikely characters in a plausible text, and how much less the better one has."""
_OTHER_FILES = {
    b"PK": "an Excel file (.xlsx) or a zip archive",
    b"\x1f\x8b": "compressed (.gz)",
    b"PAR1": "a parquet file (.parquet)",
}
_EXCEL_LINE = re.compile(r'"?sep=(.)"?;*\n+', re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_QUOTES = "Check it for a quotation mark that is never closed."
_NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_TOTAL = re.compile(r"(grand |sub)?totals?|sums?|summe|gesamt(summe)?|average|mean", re.IGNORECASE)
_CONSISTENT = 0.9  # share of the lines that have the same number of cells


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table as it was read.

    Attributes:
        frame: Its cells, with the names of its columns.
        layout: How it was read, as a part of a sentence.
        note: What was guessed or left out, in sentences.
        delimiter: What separates its cells; "" if no character does.
        size: Characters of a piece of a file.
    """

    frame: Any
    layout: str
    note: str | Text = ""
    delimiter: str = ""
    size: int = 0


def read_table(path: Path, options: LoadOptions, *, as_text: bool = False) -> TableFile:
    """Read a file as a table; ``as_text`` leaves the numbers of text files as they are written."""
    size = check_file(path)
    remedy = "Read a part of it with pandas (nrows=, usecols=), or feed the model with tf.data."
    require_memory(MEMORY_FACTOR * size, show_path(path), remedy)
    suffix = path.suffix.lower()
    if suffix in (*paths.PARQUET_SUFFIXES, *paths.EXCEL_SUFFIXES, *paths.RECORD_SUFFIXES):
        only = f"text files, such as .csv, not to {suffix}"
        reject_options(options, ("delimiter", "encoding"), only)
    if suffix in paths.PARQUET_SUFFIXES:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        with explain_package_errors(path, "parquet", "pyarrow"):
            return TableFile(pd.read_parquet(path), "parquet")
    if suffix in paths.RECORD_SUFFIXES:
        import pandas as pd  # noqa: PLC0415 - half a second to import

        from kmagic.data.tfrecords import read_records  # noqa: PLC0415 - imports pandas

        return TableFile(pd.concat(read_records(path, options), ignore_index=True), "TFRecord")
    if suffix in paths.EXCEL_SUFFIXES:
        return _read_excel(path, options, as_text=as_text)
    return _read_text_table(path, options, as_text=as_text)


def check_file(path: Path) -> int:
    """The size of a file that can be read."""
    with paths.explain_read_errors(path):
        if problem := file_problem(path):
            raise DataError(f"{show_path(path)} {problem}.")
        path.open("rb").close()
        return path.stat().st_size


def read_rows(path: Path, columns: Sequence[str]) -> Any:
    """Read a file with these columns, as those of a table that was read before."""
    are_numbered = all(name.isdecimal() for name in columns)
    options = LoadOptions(header=None if are_numbered else True)
    frame = read_table(path, options, as_text=True).frame
    if are_numbered and not set(columns) <= set(frame.columns):
        frame = read_table(path, LoadOptions(header=False), as_text=True).frame
    return frame


def _read_excel(path: Path, options: LoadOptions, *, as_text: bool) -> TableFile:
    import pandas as pd  # noqa: PLC0415 - half a second to import

    with paths.explain_read_errors(path), path.open("rb") as stream:
        is_workbook = stream.read(2) in (b"PK", b"\xd0\xcf")  # of .xlsx and .ods, of .xls
    if not is_workbook:
        raise DataError(
            f"{show_path(path)} is not an Excel file, whatever its name says.",
            "If it is text, rename it to .csv.",
        )
    with explain_package_errors(path, "an Excel file", "openpyxl"):
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
    filled = {str(name): sheet for name, sheet in sheets.items() if sheet.notna().any(axis=None)}
    if not filled:
        raise DataError(f"{show_path(path)} has no sheet with a table.")
    name, sheet = next(iter(filled.items()))
    text = sheet.dropna(axis=1, how="all").to_csv(index=False, header=False, lineterminator="\n")
    table = _read_cells(text.rstrip("\n"), ",", 0, path, options, as_text=as_text)
    others = f"Only the sheet {name!r} was read, of {list_names(filled)}."
    note = Text.join(" ", filter(None, [table.note, others if len(filled) > 1 else ""]))
    return TableFile(table.frame, f"sheet {name!r}, {table.layout}", note)


@contextmanager
def explain_package_errors(path: Path, kind: str, package: str) -> Iterator[None]:
    """Say why a package of pandas cannot read a file."""
    try:
        yield
    except ImportError as error:
        package = getattr(error, "name", None) or package
        raise DataError(
            f"{show_path(path)} cannot be read: pandas needs {package} for this file.",
            f"Install it: %pip install {package}. Or save the table as .csv.",
        ) from error
    except Exception as error:  # a damaged file can make its reader fail anywhere
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(f"{show_path(path)} cannot be read as {kind}: {reason}.") from error


# --- text -----------------------------------------------------------------------------------------


def header_names(path: Path, delimiter: str = "") -> list[str]:
    """The names of the columns of a text file, by its beginning; for completion.

    Raises:
        DataError: It cannot be read.
    """
    check_file(path)
    with path.open("rb") as stream:
        content = stream.read(MAX_BEGINNING)
    content = content[: content.rfind(b"\n") + 1] or content
    file_name, options = show_path(path), LoadOptions(delimiter=read_delimiter(delimiter) or None)
    text, _ = _decode(content, file_name, options)
    text, delimiter, _ = _split_preamble(text, path, options)
    sample = _Sample(text, delimiter, file_name)
    return _Header(sample.rows, options).names(sample.width, file_name) if sample.rows else []


def _split_preamble(text: str, path: Path, options: LoadOptions) -> tuple[str, str, int]:
    """The text of a table without the lines before it, its delimiter, and their number."""
    excel = _EXCEL_LINE.match(text)
    given = options.delimiter or (excel[1] if excel else "")
    text, comments = _without_comments(text[excel.end() :] if excel else text)
    usual = "\t" if paths.table_suffix(path) in (".tsv", ".tab") else ","
    return text, given or _find_delimiter(text, usual), comments + bool(excel)


def _read_text_table(path: Path, options: LoadOptions, *, as_text: bool) -> TableFile:
    text, encoding = _decode(_read_bytes(path), show_path(path), options)
    text, delimiter, skipped = _split_preamble(text.rstrip("\n"), path, options)
    table = _read_cells(text, delimiter, skipped, path, options, as_text=as_text)
    layout = _describe_text(encoding, delimiter, table.layout)
    note = Text.join(" ", filter(None, [table.note, _encoding_note(encoding, options)]))
    return TableFile(table.frame, layout, note, delimiter)


def _describe_text(encoding: str, delimiter: str, layout: str) -> str:
    return f"{encoding} text separated by {_name_of(delimiter)}, {layout}"


def _encoding_note(encoding: str, options: LoadOptions) -> Text:
    """That an encoding was guessed."""
    if encoding != _ENCODINGS[-1] or options.encoding:
        return Text()
    guess = "The file is not UTF-8 and was read as cp1252 (Western European); "
    return Text(guess, Option("encoding"), " sets another encoding.")


def _read_cells(
    text: str, delimiter: str, skipped: int, path: Path, options: LoadOptions, *, as_text: bool
) -> TableFile:
    """The table in a text, after some lines that were skipped."""
    text_columns = None if as_text else ()
    reader = _CellReader(text, delimiter, skipped, path, options, text_columns=text_columns)
    frame = reader.read(text)
    return TableFile(frame, reader.layout, reader.note, delimiter)


class _CellReader:
    """Reads the table in a text, at once or piece by piece; its beginning shows how.

    Args:
        text: The text, or its first piece.
        delimiter: What separates the cells.
        skipped: Number of lines that were skipped before the text.
        path: The file.
        options: Those of ``load_data``.
        text_columns: Columns whose numbers are left as they are written; None for all.
    """

    def __init__(
        self,
        text: str,
        delimiter: str,
        skipped: int,
        path: Path,
        options: LoadOptions,
        *,
        text_columns: Collection[str] | None,
    ) -> None:
        self._delimiter, self._skipped, self._options = delimiter, skipped, options
        self._file_name = file_name = show_path(path)
        self._sample = sample = _Sample(text, delimiter, file_name)
        if not sample.rows:
            raise DataError(f"{file_name} has no lines with text.")
        if sample.width == 1 and (other := _find_delimiter(text, delimiter)) != delimiter:
            raise DataError(
                f"{file_name} has only one column, {sample.rows[0][0][:60]!r}: its cells seem to "
                f"be separated by {_name_of(other)}, not {_name_of(delimiter)}.",
                Text("Use ", Option("delimiter", other), "."),
            )
        self._header = header = _Header(sample.rows, options)
        self.names = header.names(sample.width, file_name)
        self.layout = header.describe(sample.line_of(0) + skipped)
        self._dtypes: Any = str
        if text_columns is not None:
            self._dtypes = _text_columns(sample.rows[header.lines :], delimiter, options)
        if text_columns and self._dtypes is not str:
            self._dtypes |= {self.names.index(name): str for name in text_columns}
        self._line = -1  # lines before a piece; none was read
        self._trailing: list[list[str]] = []
        self._repeated = 0

    @property
    def note(self) -> Text:
        """What was guessed or left out so far."""
        notes: list[Any] = [
            self._header.note,
            _left_out(self._sample.leading, "before"),
            _left_out(self._trailing, "after"),
        ]
        if self._skipped:
            notes.append(f"{pluralize(self._skipped, 'line')} before the table left out.")
        if self._repeated:
            lines = pluralize(self._repeated, "line")
            notes.append(f"The header is repeated in {lines}, left out.")
        return Text.join(" ", filter(None, notes))

    def read(self, text: str, *, is_last: bool = True) -> Any:
        """The table in the text, or in its next piece, as a data frame."""
        import pandas as pd  # noqa: PLC0415 - half a second to import

        sample, delimiter, header_lines = self._sample, self._delimiter, 0
        if self._line < 0:
            self._line = sample.line_of(0) + self._skipped
            *_, text = text.split("\n", sample.line_of(0))  # from the header on
            header_lines = sample.line_of(self._header.lines) - sample.line_of(0)
        if is_last:
            text, self._trailing = _without_footer(text, delimiter, sample.width)
        *names, body = f"{text}\n".split("\n", header_lines)
        error: Exception | None = None
        try:
            frame = _parse_cells(body, delimiter, sample.width, self._dtypes)
            if self._dtypes is not str and _has_decimal_commas(frame):
                self._dtypes = str
                frame = _parse_cells(body, delimiter, sample.width, str)
            if _has_unpaired_quotes(frame, body, delimiter):
                frame = _parse_cells(body, delimiter, sample.width, self._dtypes, csv.QUOTE_NONE)
        except (pd.errors.ParserError, ValueError) as parser_error:
            error = parser_error
        if error or sample.is_ragged or _may_be_ragged(frame, body, delimiter):
            where = self._line, self._file_name
            _check_lengths(text, delimiter, sample.width, *where, has_names=bool(names))
        if error:
            reason = str(error).removeprefix("Error tokenizing data. C error: ").strip().rstrip(".")
            message = f"{self._file_name} cannot be read as a table: {reason}."
            raise DataError(message, _QUOTES) from error
        self._line += text.count("\n") + 1
        frame = frame.drop(columns=sample.width).dropna(how="all").set_axis(self.names, axis=1)
        if self._options.header is None and (frame.iloc[:, 0] == frame.columns[0]).any():
            is_header = (frame == frame.columns).all(axis=1)  # again, where files were joined
            self._repeated += int(is_header.sum())
            frame = frame[~is_header]
        return frame.reset_index(drop=True)


def read_pieces(
    path: Path, options: LoadOptions, text_columns: Collection[str]
) -> Iterator[TableFile]:
    """The table in a text file, a few megabytes at a time; the last piece has all notes.

    Args:
        path: The file.
        options: Those of ``load_data``.
        text_columns: Columns whose numbers are left as they are written.
    """
    encoding, name = _find_encoding(path, options)
    reader, layout, delimiter = None, "", ""
    with _open_text(path, encoding) as stream:
        for text, is_last in _text_pieces(stream):
            piece = text.rstrip("\n")
            if reader is None:
                piece = piece.removeprefix("\ufeff")
                piece, delimiter, skipped = _split_preamble(piece, path, options)
                given = (piece, delimiter, skipped, path, options)
                reader = _CellReader(*given, text_columns=text_columns)
                layout = _describe_text(name, delimiter, reader.layout)
            frame = reader.read(piece, is_last=is_last)
            note = Text.join(" ", filter(None, [reader.note, _encoding_note(name, options)]))
            yield TableFile(frame, layout, note, delimiter, len(text))


@contextmanager
def _open_text(path: Path, encoding: str) -> Iterator[Any]:
    """A text file, decompressed if its name says so."""
    module: Any = _MODULES.get(path.suffix.lower())
    with paths.explain_read_errors(path):
        file = path.open("rb") if module is None else module.open(path)
    try:
        with file, io.TextIOWrapper(file, encoding) as text:
            yield text
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(path, error) from error


def _find_encoding(path: Path, options: LoadOptions) -> tuple[str, str]:
    """The encoding of a whole file, and its name in messages."""
    with _open_text(path, "latin-1") as stream:
        beginning = stream.buffer.read(MAX_BEGINNING)
    file_name = show_path(path)
    for encoding in _encodings(beginning, options):
        try:
            with _open_text(path, encoding) as stream:
                text = stream.read(MAX_BEGINNING)
                while stream.read(CHUNK_BYTES):
                    pass
        except LookupError as error:
            raise _unknown_encoding(encoding) from error
        except ValueError:
            continue
        if encoding == _ENCODINGS[-1] and not options.encoding:
            _reject_other_encoding(beginning, file_name)
        _check_characters(text, beginning, file_name)
        return encoding, _encoding_name(encoding)
    raise _not_decoded(file_name, options)


def _text_pieces(stream: Any) -> Iterator[tuple[str, bool]]:
    """Pieces of a text that end with a line and outside of quotation marks; whether it is the last.

    The last piece is a large one, because remarks may follow the table.
    """
    waiting = ""
    while piece := stream.read(CHUNK_BYTES):
        piece += stream.readline()
        for _ in range(MAX_QUOTED_LINES):
            if piece.count('"') % 2 == 0:
                break
            piece += stream.readline()
        if waiting and len(piece) >= CHUNK_BYTES:
            yield waiting, False
            waiting = ""
        waiting += piece
    yield waiting, True


def _name_of(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, repr(delimiter))


def _parse_cells(
    body: str, delimiter: str, width: int, dtypes: Any, quoting: Any = csv.QUOTE_MINIMAL
) -> Any:
    """The cells of a text, with one more column than there should be."""
    import pandas as pd  # noqa: PLC0415 - half a second to import

    if not body:
        return pd.DataFrame(columns=range(width + 1), dtype=object)
    return pd.read_csv(
        io.BytesIO(body.encode()),
        sep=r"\s+" if delimiter == " " else delimiter,
        header=None,
        names=range(width + 1),
        index_col=False,
        dtype=dtypes,
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=True,
        low_memory=False,
        quoting=quoting,
    )


def _has_unpaired_quotes(frame: Any, body: str, delimiter: str) -> bool:
    """Whether quotation marks joined lines that are rows of their own: they are part of a text."""
    lines = list(filter(None, body.split("\n"))) if delimiter == "\t" and '"' in body else []
    is_row = (line.count(delimiter) == len(frame.columns) - 2 for line in lines)
    return len(frame) < len(lines) and all(is_row)


def _text_columns(rows: Sequence[Sequence[str]], delimiter: str, options: LoadOptions) -> Any:
    """Types for pandas: text where a number may not be what it is in Python."""
    columns = list(zip_longest(*rows, fillvalue=""))
    evidence = [
        decimal_evidence(cells if delimiter == ";" else (cell for cell in cells if "," in cell))
        for cells in columns
    ]
    if options.decimal == "," or any(each.comma for each in evidence):
        return str
    return {
        index: str
        for index, (cells, each) in enumerate(zip(columns, evidence, strict=True))
        if any(map(_LEADING_ZERO.match, cells)) or (each.either_point and not each.point)
    }


def _has_decimal_commas(frame: Any) -> bool:
    """Whether numbers with points were read, though other columns have decimal commas."""
    texts = frame.select_dtypes(["object", "string"])
    cells, is_known = texts.to_numpy(dtype=object), texts.notna().to_numpy()
    distinct = (
        dict.fromkeys(map(str, column[known]))
        for column, known in zip(cells.T, is_known.T, strict=True)
    )
    return bool(frame.dtypes.eq(float).any()) and any(
        decimal_evidence([*each][:MAX_EVIDENCE]).comma for each in distinct
    )


def _read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if its name says so."""
    module: Any = _MODULES.get(path.suffix.lower())
    with paths.explain_read_errors(path):
        if module is None:
            return path.read_bytes()
        available = available_memory()
        limit = -1 if available is None else int(MAX_SHARE * available / MEMORY_FACTOR)
        try:
            with module.open(path) as stream:
                content: bytes = stream.read(limit)
                is_cut = bool(stream.read(1))
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise _damaged(path, error) from error
    if is_cut:
        require_memory(MEMORY_FACTOR * (limit + 1) * 2, show_path(path), "Read a part of it.")
    return content


def _damaged(path: Path, error: Exception) -> DataError:
    message = f"{show_path(path)} is damaged or incomplete: {error}."
    return DataError(message, "Download or write it again.")


def _decode(content: bytes, file_name: str, options: LoadOptions) -> tuple[str, str]:
    """The text of a file, and the encoding."""
    for encoding in _encodings(content, options):
        try:
            text = content.decode(encoding)
        except LookupError as error:
            raise _unknown_encoding(encoding) from error
        except ValueError:
            continue
        if encoding == _ENCODINGS[-1] and not options.encoding:
            _reject_other_encoding(content, file_name)
        break
    else:
        raise _not_decoded(file_name, options)
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    _check_characters(text, content, file_name)
    return text, _encoding_name(encoding)


def _encodings(content: bytes, options: LoadOptions) -> Sequence[str]:
    """The encodings that a file may have."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "")
    given = options.encoding or marked
    return [given] if given else _ENCODINGS


def _encoding_name(encoding: str) -> str:
    return encoding.lower().replace("utf-8-sig", "UTF-8").replace("utf-", "UTF-")


def _unknown_encoding(encoding: str) -> DataError:
    expected = "an encoding of Python, e.g. utf-8, utf-16, cp1252 or shift_jis"
    return DataError(option="encoding", expected=expected, actual=encoding)


def _not_decoded(file_name: str, options: LoadOptions) -> DataError:
    return DataError(
        f"{file_name} is not a text in {options.encoding or 'UTF-8 or cp1252'}.",
        Text("Set its encoding, e.g. ", Option("encoding", "latin-1"), "."),
    )


def _check_characters(text: str, content: bytes, file_name: str) -> None:
    """Reject a file that is not a text."""
    control = _NOT_TEXT.search(text, 0, MAX_BEGINNING) or re.search("\0", text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise DataError(
            f"{file_name} is not a text file: line {line:,} contains the character {control[0]!r}.",
            _kind_remedy(content),
        )


def _reject_other_encoding(content: bytes, file_name: str) -> None:
    """Reject a text that is plausible in other encodings of its time, but not in cp1252."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only files that are not UTF-8

    beginning = content[:MAX_BEGINNING].rpartition(b"\n")[0] or content
    western = ["cp1252", "cp1250"]
    candidates = [*western, *_OTHER_ENCODINGS]
    matches = list(from_bytes(beginning, cp_isolation=candidates, threshold=MAX_CHAOS))
    chaos = min((match.chaos for match in matches if match.encoding in western), default=1.0)
    if matches and chaos > matches[0].chaos + CHAOS_MARGIN:
        raise DataError(
            f"{file_name} is not UTF-8, and not readable as cp1252 (Western European).",
            Text(
                "Set its encoding, e.g. ",
                Option("encoding", matches[0].encoding),
                f". Others: {', '.join(_OTHER_ENCODINGS)}, cp1252.",
            ),
        )


def _kind_remedy(content: bytes) -> Text:
    """What to do with a file that is no text in the usual encodings."""
    for beginning, kind in _OTHER_FILES.items():
        if content.startswith(beginning):
            return Text(f"It is {kind}, whatever its name says: rename it.")
    encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    return Text("A text in another encoding needs e.g. ", Option("encoding", encoding), ".")


def _without_comments(text: str) -> tuple[str, int]:
    """The text without comment lines at its beginning, and their number.

    The last one stays, without its "#", if it names the columns, as ``numpy.savetxt`` writes it.
    """
    if not text.startswith(("#", "%", "\n")):
        return text, 0
    lines = text.split("\n", SAMPLE_ROWS)
    is_table = (line.strip() and not line.startswith(("#", "%")) for line in lines)
    count = next((index for index, found in enumerate(is_table) if found), 0)
    first, last = lines[count], lines[count - 1].lstrip("#% ")
    if count and last:
        cells = [len(_cells(row.strip(), _find_delimiter(first, ","))) for row in (last, first)]
        if cells[0] == cells[1] > 1:
            return "\n".join([last, *lines[count:]]), count - 1
    return "\n".join(lines[count:]), sum(map(bool, map(str.strip, lines[:count]))) and count


def _cells(line: str, delimiter: str) -> list[str]:
    return next(_parse(line, delimiter), [])


def _parse(text: str, delimiter: str) -> Any:
    """Rows of cells; runs of spaces and tabs are one delimiter if it is a space."""
    lines: Any = io.StringIO(text, newline="")
    if delimiter == " ":
        lines = (line.replace("\t", " ").strip(" \n") + "\n" for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)


def _beginning(text: str) -> str:
    """The first lines; the last row of cells may be cut."""
    end = -1
    for _ in range(SAMPLE_ROWS):
        end = text.find("\n", end + 1)
        if end < 0:
            return text
    return text[: end + 1]


def _find_delimiter(text: str, default: str) -> str:
    """The delimiter by which most lines have the same number of cells."""
    scores = {}
    text = _beginning(text)
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in islice(_parse(text, delimiter), SAMPLE_ROWS) if row]
        except csv.Error:
            continue
        counts = Counter(map(len, rows))
        width = max(counts, key=lambda count: (counts[count] if count > 1 else 0, count), default=1)
        if width > 1:
            scores[delimiter] = counts[width] / len(rows), width, rows
    share = max((score for d, (score, *_) in scores.items() if d != " "), default=0.0)
    if " " in scores and _are_spaced_numbers(*scores.pop(" "), share, scores):
        return " "
    if not scores or share < 0.5:  # noqa: PLR2004 - half of the lines
        return default
    # A comma is often part of a number, so the other characters come first.
    return next(d for d in DELIMITERS if d in scores and scores[d][0] >= min(share, _CONSISTENT))


def _are_spaced_numbers(
    share: float, width: int, rows: list[list[str]], other: float, scores: dict[str, Any]
) -> bool:
    """Whether spaces separate numbers, rather than the words of a cell."""
    best = max((scores[d][1] for d in scores if scores[d][0] >= _CONSISTENT), default=1)
    if share < _CONSISTENT or not (width > best or other < _CONSISTENT):
        return False
    cells = [cell for row in rows for cell in row][:MAX_CELLS]
    others = tuple(d for d in scores if scores[d][0] >= _CONSISTENT)
    if any(cell.endswith(others) for cell in cells):  # spaces around another delimiter
        return False
    numbers = sum(split_unit(cell) is not None or cell in MISSING_WORDS for cell in cells)
    return numbers > len(cells) / 2


class _Sample:
    """The first rows of a text.

    Attributes:
        rows: Their cells, from the header on.
        leading: Rows before the table.
        width: Number of cells of most rows.
        is_ragged: Whether a row has another number of cells.
    """

    def __init__(self, text: str, delimiter: str, file_name: str) -> None:
        beginning = _beginning(text)
        reader, lines, rows = _parse(beginning, delimiter), [0], []
        try:
            for row in reader:
                if row:
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
                elif not rows:
                    lines[0] = reader.line_num
        except csv.Error as error:
            raise DataError(f"{file_name} cannot be read as a table: {error}.", _QUOTES) from error
        if len(beginning) < len(text) and len(rows) > 1:
            rows.pop()  # it may be cut
        counts = Counter(map(len, rows))
        self.width = max(counts, key=lambda count: (counts[count], count), default=0)
        start = _leading_lines(rows, self.width)
        self.is_ragged = any(len(row) != self.width for row in rows[start:])
        self.leading, self._lines = rows[:start], lines[start:]
        self.rows = rows[start : start + max(MAX_CELLS // (self.width or 1), MIN_ROWS)]

    def line_of(self, row: int) -> int:
        """Number of text lines before a row."""
        return self._lines[row]


def _without_footer(text: str, delimiter: str, width: int) -> tuple[str, list[list[str]]]:
    """The text without lines after the table, and those lines."""
    lines = text.rsplit("\n", MAX_FOOTER)[1:]
    quoted = [index for index, line in enumerate(lines, 1) if line.count('"') % 2]
    rows = [_cells(line, delimiter) for line in lines[quoted[-1] if quoted else 0 :]]
    footer = _trailing_lines(rows, width)
    return text.rsplit("\n", footer)[0] if footer else text, rows[len(rows) - footer :]


def _may_be_ragged(frame: Any, body: str, delimiter: str) -> bool:
    """Whether rows may have too many cells or too few, which pandas fills with empty ones."""
    *_, last, extra = frame.columns
    if frame[extra].notna().any():
        return True
    cells = body.count(delimiter) + len(frame)
    return bool(frame[last].isna().any()) and ('"' in body or cells != len(frame) * extra)


def _check_lengths(
    text: str, delimiter: str, width: int, line: int, file_name: str, *, has_names: bool
) -> None:
    """Reject rows with more or fewer cells than the others, except for a trailing delimiter."""
    wrong, before = [], 0
    reader = _parse(text, delimiter)
    with suppress(csv.Error):  # pandas knows the reason
        for row in reader:
            is_names = has_names and not before  # R writes no name above the names of the rows
            is_right = len(row) == width or (is_names and len(row) == width - 1)
            if not is_right and any(row) and (len(row) < width or any(row[width:])):
                wrong.append((line + before + 1, len(row)))
            before = reader.line_num
    if not wrong:
        return
    number, count = wrong[0]
    more = f"; and {len(wrong) - 1:,} more lines" if len(wrong) > 1 else ""
    raise DataError(
        f"{file_name} cannot be read as a table: line {number:,} has {pluralize(count, 'cell')}, "
        f"most lines have {width:,}{more}.",
        Text(
            f"Correct the file: its cells are separated by {_name_of(delimiter)}, "
            "and a cell that contains the separator is quoted. ",
            Option("delimiter"),
            " sets another separator.",
        ),
    )


def _filled(row: Sequence[str]) -> int:
    return sum(cell != "" for cell in row)


def _leading_lines(rows: Sequence[Sequence[str]], width: int) -> int:
    """Number of rows before a table: titles and remarks, which fill fewer cells."""
    few = 1 if width > 2 else 0  # noqa: PLR2004 - of two columns, one may be empty
    for index, row in enumerate(rows[:-1]):
        is_short = len(row) < width - 1 or (len(row) < width and not _names_rows(rows, index))
        if not is_short and _filled(row) > few:
            return index
    return 0


def _names_rows(rows: Sequence[Sequence[str]], index: int) -> bool:
    """Whether it is a header of R, which writes no name above the names of the rows."""
    row = rows[index]
    return len(rows[index + 1]) == len(row) + 1 and all(row) and len(set(row)) == len(row)


def _trailing_lines(rows: Sequence[Sequence[str]], width: int) -> int:
    """Number of rows after a table: remarks, which fill fewer cells, and totals."""
    few, footer = (1 if width > 2 else 0), 0  # noqa: PLR2004 - of two columns, one may be empty
    for row in rows[::-1]:
        first = next(filter(None, row), "")
        is_short = len(row) < width and _filled(row) <= max(few, 1)
        is_total = _TOTAL.fullmatch(first.strip(" :")) and sum(first in each for each in rows) == 1
        if not (is_short or _filled(row) <= few or is_total):
            break
        footer += 1
    return footer if footer < len(rows) else 0


def _left_out(rows: Sequence[Sequence[str]], place: str) -> str:
    shown = [" ".join(filter(None, row))[:40] for row in rows if any(row)]
    listed = list_names(map(repr, shown), 2)
    return f"{pluralize(len(shown), 'line')} {place} the table left out: {listed}." if shown else ""


# --- header ---------------------------------------------------------------------------------------


class _Header:
    """Whether the first rows of a table name its columns.

    Attributes:
        lines: How many rows belong to the header: 0, 1, or more if groups or units are named, too.
        note: What was guessed.
    """

    def __init__(self, rows: Sequence[Sequence[str]], options: LoadOptions) -> None:
        self._rows = rows
        self.note: str | Text = ""
        shown = f"{list_names(rows[0], 4)}"
        if options.header is not None:
            self.lines = int(options.header)
            return
        self.lines = _count_header_lines(rows)
        if self.lines > 1:
            second = list_names(filter(None, rows[1]), 4)
            lines = f"The second line ({second}) was"
            if self.lines > 2:  # noqa: PLR2004 - one line more
                lines = f"The next {self.lines - 1} lines ({second} ...) were"
            self.note = Text(
                f"{lines} taken as a part of the header; ",
                Option("header", True),
                f" takes {'it' if self.lines == 2 else 'them'} as data.",  # noqa: PLR2004 - as above
            )
        elif _is_data(rows):
            self.lines = 0
            self.note = Text(
                f"There is no header line: the first line ({shown}) looks like the others, so it "
                f"is data and the columns are numbered from 0. ",
                Option("header", True),
                " takes it as names.",
            )
        elif any(map(_is_value, rows[0])):
            text = f"The first line ({shown}) was taken as names of columns; "
            self.note = Text(text, Option("header", False), " takes it as data.")

    def describe(self, lines_before: int) -> str:
        """Where the header is."""
        if not self.lines:
            return "no header"
        first, last = lines_before + 1, lines_before + self.lines
        return (
            f"header in line {first:,}"
            if self.lines == 1
            else f"header in lines {first:,} to {last:,}"
        )

    def names(self, width: int, file_name: str) -> list[str]:
        """The names of the columns."""
        if not self.lines:
            return [str(index) for index in range(width)]
        names = [clean_name(name) for name in self._rows[0]]
        is_trailing = all(len(row) < width or not row[width - 1] for row in self._rows[1:])
        if len(names) == width - 1 and all(names) and not is_trailing:
            names = ["", *names]  # R: the names of the rows have no name
        names = (names + [""] * width)[:width]
        for row in self._rows[1 : self.lines]:
            if all(names) and len(set(names)) == len(names):
                break  # what follows are units
            group, pairs = "", zip_longest(names, row[:width], fillvalue="")
            names = [clean_name(f"{(group := name or group)} {below}") for name, below in pairs]
        check_unique(names, file_name)
        return [name or f"Unnamed: {index}" for index, name in enumerate(names)]


def check_unique(names: Sequence[str], table: str) -> None:
    """Reject a name that two columns have."""
    repeated = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if repeated:
        raise DataError(
            f"{table} has more than one column named {list_names(repeated)}.",
            "Give each column its own name.",
        )


def _is_value(word: str) -> bool:
    """Whether a cell is a number or a date, rather than a name."""
    return split_unit(word) is not None or looks_like_date(word)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    """First cell and other cells of each column, without missing values."""
    for index, first in enumerate(rows[0][:MAX_COLUMNS]):
        cells = [row[index] for row in rows[1:] if index < len(row)]
        filled = [cell for cell in cells if cell.casefold() not in MISSING_WORDS and cell]
        if first and filled:
            yield first, filled


def _is_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like the others."""
    for_header = for_data = repeated = texts = 0
    for first, cells in _columns(rows):
        if sum(map(_is_value, cells)) >= _CONSISTENT * len(cells):
            is_missing = first.casefold() in MISSING_WORDS
            for_data += _is_value(first)
            for_header += not _is_value(first) and not is_missing
        else:
            repeated += first in cells
            is_informative = len(set(cells)) <= len(cells) / 2
            texts += is_informative
    if for_header or for_data:
        is_like_the_others = for_data + repeated > for_header
    else:
        is_like_the_others = 2 * repeated > texts
    return is_like_the_others and not _counts(rows)


def _counts(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the numbers in the first row count upwards, as years do, but not in the others."""
    return _is_range(rows[0]) and not any(map(_is_range, rows[1:6]))


def _is_range(row: Sequence[str]) -> bool:
    numbers = [int(cell) for cell in row if re.fullmatch(r"\d{1,4}", cell)]
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _count_header_lines(rows: Sequence[Sequence[str]]) -> int:
    """Number of rows at the beginning that are names or units above columns of numbers, or 1."""
    for count in range(min(MAX_HEADER, len(rows) - 2), 1, -1):  # two rows of data at least
        is_group = len(set(rows[0])) < len(rows[0]) or _is_range(rows[0])  # such as years
        is_group = is_group or not any(map(_is_value, rows[0]))
        if is_group and all(_is_above_numbers(row, rows[count:]) for row in rows[1:count]):
            return count
    return 1


def _is_above_numbers(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row consists of names above columns of numbers, and is unlike the rows below."""
    named = missing = 0  # a dash can be the unit of a column
    for first, cells in _columns([row, *below]):
        if _is_value(first) or first in cells:
            return False
        if all(map(_is_value, cells)):
            is_missing = first.casefold() in MISSING_WORDS - {"x"}
            named, missing = named + (not is_missing), missing + is_missing
    return named > missing
