"""How the text of a file becomes a table: encoding, delimiter, header, lines around the table."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kmagic.data import load_data
from kmagic.data.load_options import LoadOptions
from kmagic.data.table_file import header_names, read_table
from kmagic.support.errors import DataError

ROWS = 24
HEADER = "size,weight,y"


def lines(row: str = "{x},{z},{y}", count: int = ROWS) -> str:
    numbers = range(count)
    return "".join(f"{row.format(x=n * 1.5 + 4, z=n * n + 2, y=n % 2, n=n)}\n" for n in numbers)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_file(text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_file


def read(path: Path, **options: Any) -> Any:
    return read_table(path, LoadOptions(**options))


# --- header ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        lines(),
        lines("{x},{z},Iris-{y}"),
        lines("{z},M{y},{x}"),
        lines("2020-01-{z},{x},a{y}"),
        "red,round,a\nblue,flat,b\n" * 12,
        "?," + lines()[4:],
        "1,2,3\n5,6,7\n8,9,10\n" * 8,
        lines("ham,7,a long text {x}"),
    ],
)
def test_a_first_line_like_the_others_is_data(write: Any, text: str) -> None:
    table = read(write(text))
    assert list(table.frame.columns) == ["0", "1", "2"]
    assert len(table.frame) == ROWS
    assert "no header" in table.layout
    assert "header=True takes it as names" in str(table.note)
    assert len(read(write(text), header=True).frame) == ROWS - 1


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (HEADER, "{x},{z},{y}"),
        ("country,2001,2002", "c{z},{x},{z}"),
        ("0,1,2", "{x},{z},{y}"),
        ("2001,2002,2003", "{x},{z},{y}"),
        ("colour,shape,label", "red{y},round,a{y}"),
        ('"a ""b""",c,d', "{x},{z},{y}"),
    ],
)
def test_a_first_line_of_names_is_a_header(write: Any, header: str, row: str) -> None:
    table = read(write(f"{header}\n{lines(row)}"))
    assert len(table.frame) == ROWS
    assert "header in line 1" in table.layout
    assert list(read(write(f"{header}\n{lines(row)}"), header=False).frame.columns) == list("012")


def test_a_header_of_numbers_is_reported(write: Any) -> None:
    note = str(read(write("2001,2002,2003\n" + lines())).note)
    assert "The first line (2001, 2002, 2003) was taken as names" in note
    assert "header=False takes it as data" in note


def test_the_target_of_a_table_without_names(write: Any) -> None:
    path = write(lines("{x},{z},Iris-{y}"))
    with pytest.raises(DataError, match="It has 0, 1, 2") as caught:
        load_data(path)
    assert caught.value.remedy.startswith("Name it: target='2'. There is no header line")
    data = load_data(path, target=2)
    assert data.classes == ("Iris-0", "Iris-1")
    assert len(data.x_train) + len(data.x_test) == ROWS


@pytest.mark.parametrize(
    ("second", "names"),
    [("m2,kg,", ["size", "weight", "y"]), ("[m2],[kg],-", ["size", "weight", "y"])],
)
def test_units_below_the_names_are_no_data(write: Any, second: str, names: list[str]) -> None:
    table = read(write(f"{HEADER}\n{second}\n{lines()}"))
    if "-" not in second:
        assert len(table.frame) == ROWS
        assert "taken as a part of the header" in str(table.note)
    assert list(table.frame.columns) == names


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("body,,y\nsize,weight,class", ["body size", "body weight", "y class"]),
        ("body,,y\nsize,weight,class\ncm,kg,-", ["body size", "body weight", "y class"]),
        ("size,weight,y\nm,kg,-\nfloat,int,int", ["size", "weight", "y"]),
        ("2019,2019,2020\nsize,weight,y", ["2019 size", "2019 weight", "2020 y"]),
        ("2019,2020,2021\nEUR,EUR,EUR", ["2019", "2020", "2021"]),
        (",a,b\n,x,x\nid,,", ["id", "a x", "b x"]),  # as pandas writes it
    ],
)
def test_lines_of_names_are_joined_until_they_differ(
    write: Any, header: str, names: list[str]
) -> None:
    table = read(write(f"{header}\n{lines()}"))
    assert list(table.frame.columns) == names
    assert len(table.frame) == ROWS
    assert f"header in lines 1 to {header.count(chr(10)) + 1}" in table.layout
    assert "taken as a part of the header" in str(table.note)


def test_a_row_of_missing_values_is_no_header(write: Any) -> None:
    table = read(write(f"{HEADER}\n?,unknown,-\n{lines()}"))
    assert len(table.frame) == ROWS + 1


# --- delimiter ------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("name", ["table.csv", "table.txt"])
def test_the_delimiter_is_found(write: Any, delimiter: str, name: str) -> None:
    text = f"{HEADER}\n{lines()}".replace(",", delimiter)
    table = read(write(text, name))
    assert list(table.frame.columns) == ["size", "weight", "y"]
    assert table.delimiter == delimiter


@pytest.mark.parametrize("delimiter", [" , ", " ,", " ; ", " | "])
def test_spaces_around_a_delimiter(write: Any, delimiter: str) -> None:
    table = read(write(f"{HEADER}\n{lines()}".replace(",", delimiter)))
    assert table.delimiter == delimiter.strip()
    assert list(table.frame.columns) == ["size", "weight", "y"]


def test_decimal_commas_do_not_separate_cells(write: Any) -> None:
    text = f"{HEADER}\n{lines()}".replace(",", ";").replace(".", ",")
    assert read(write(text)).delimiter == ";"
    without_names = lines().replace(",", ";").replace(".", ",")
    assert list(read(write(without_names)).frame.columns) == ["0", "1", "2"]


def test_columns_aligned_with_spaces_and_tabs(write: Any) -> None:
    text = "".join(f'{n * 1.5:<8}{n * n:>6}   {n % 2}\t"ford {n}"\n' for n in range(ROWS))
    table = read(write(text, "auto-mpg.data"))
    assert table.frame.shape == (ROWS, 4)
    assert table.frame.iloc[3].tolist() == [4.5, 9, 1, "ford 3"]


def test_words_with_spaces_are_one_cell(write: Any) -> None:
    table = read(write("town,size,y\n" + lines("New York,{x},{y}")))
    assert table.frame["town"].tolist() == ["New York"] * ROWS


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_of_excel_that_names_the_delimiter(write: Any, first: str) -> None:
    text = f"{first}\r\nsep=;size;y\r\n" + "".join(f"{n};{n},5;{n % 2}\r\n" for n in range(9))
    table = read(write(text, encoding="utf-8-sig"))
    assert list(table.frame.columns) == ["sep=", "size", "y"]
    assert "header in line 2" in table.layout


def test_given_delimiters(write: Any) -> None:
    path = write(f"{HEADER}\n{lines()}".replace(",", "~"))
    for option in ({"delimiter": "~"}, {"sep": "~"}):
        assert load_data(path, target="y", **option).columns == ("size", "weight")
    with pytest.raises(DataError, match="has only one column"):
        load_data(path, target="y")
    with pytest.raises(DataError, match=r"delimiter= must be one character, .*; got '~~'"):
        load_data(path, target="y", delimiter="~~")
    with pytest.raises(DataError, match="seem to be separated by commas, not semicolons") as caught:
        load_data(write(f"{HEADER}\n{lines()}"), delimiter=";")
    assert caught.value.remedy == "Use delimiter=','."


# --- encoding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_is_found(write: Any, encoding: str) -> None:
    table = read(write(f"größe,weight,y\n{lines()}", encoding=encoding))
    assert list(table.frame.columns) == ["größe", "weight", "y"]
    guessed = "was read as cp1252" in str(table.note)
    assert guessed == (encoding == "cp1252")


def test_a_given_encoding(write: Any) -> None:
    path = write(f"размер,вес,y\n{lines()}", encoding="cp1251")
    assert list(read(path, encoding="cp1251").frame.columns) == ["размер", "вес", "y"]
    with pytest.raises(DataError, match=r"encoding= must be an encoding of Python.*'klingon'"):
        read(path, encoding="klingon")
    with pytest.raises(DataError, match="is not a text in utf-8"):
        read(path, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("名前,y\n田中,30\n鈴木,25\n", "cp932"),
        ("テスト,y\nカタカナ,1\nヒラガナ,2\n", "cp932"),
        ("姓名,y\n張三,30\n李四,25\n", "big5"),
        ("姓名,y\n" + "张三,30\n李四,25\n" * 20, "gb18030"),
        ("이름,y\n김철수,30\n이영희,25\n", "cp949"),
        ("язык,y\nдюжин,30\nпять,25\n", "cp1251"),
    ],
)
def test_text_of_other_languages_is_not_read_as_western(write, text, encoding) -> None:
    path = write(text, encoding=encoding)
    with pytest.raises(DataError, match="not UTF-8, and not readable as cp1252") as caught:
        read(path)
    assert f"encoding={encoding!r}" in caught.value.remedy
    assert list(read(path, encoding=encoding).frame.columns) == text.split("\n")[0].split(",")


@pytest.mark.parametrize(
    "text",
    ["x,y\nmünchen,1\nköln,2\n", "x,y\nétÉ,1\nNOËL,2\n", "x °C,y\n1,2\n", "x,y\n3 µg,1\n4 µg,2\n"],
)
def test_western_text_is_read(write, text) -> None:
    assert "was read as cp1252" in str(read(write(text, encoding="cp1252")).note)


@pytest.mark.parametrize(
    ("beginning", "remedy"),
    [
        ("size,y\n1,2\n".encode("utf-16-le"), "encoding='utf-16-le'"),
        ("size,y\n1,2\n".encode("utf-16-be"), "encoding='utf-16-be'"),
        (b"PK\3\4\0", r"Excel file \(.xlsx\) or a zip archive, whatever its name says: rename it"),
        (b"\x1f\x8b\x08\0", "compressed"),
    ],
)
def test_the_remedy_for_files_that_are_no_text(
    tmp_path: Path, beginning: bytes, remedy: str
) -> None:
    (tmp_path / "table.csv").write_bytes(beginning)
    with pytest.raises(DataError, match=remedy):
        read(tmp_path / "table.csv")


def test_random_bytes_are_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(50):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(rng.bytes(int(rng.integers(1, 400))))
        with pytest.raises(DataError):
            load_data(path)


# --- around the table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Report 2020\n\n", "Total,9999,\nSource: me\n"),
        ("Report,,\n,,\n", ",,\n"),
        ("# made by hand\n# in 2020\n", ""),
        ("\n\n", "\n\n"),
        ("", "Summe,8,1\n"),
    ],
)
def test_lines_around_the_table_are_left_out(write: Any, before: str, after: str) -> None:
    table = read(write(f"{before}{HEADER}\n{lines()}{after}"))
    assert list(table.frame.columns) == ["size", "weight", "y"]
    assert table.frame["y"].tolist() == [0, 1] * (ROWS // 2)
    if before.strip(",\n") or after.strip(",\n"):
        assert "the table left out" in str(table.note)


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        (f"{HEADER},", "{x},{z},{y},", 4),  # a delimiter at the end of each line
        (HEADER, "{x},{z},{y},", 4),
        (f",{HEADER}", "{n},{x},{z},{y}", 4),  # the index that pandas writes
        (f",{HEADER}", "{z},{x},{z},{y}", 4),  # of rows that are shuffled
        ('"size","weight","y"', '"{n}",{x},{z},{y}', 4),  # and R
        (f"# {HEADER}", "{x},{z},{y}", 3),  # numpy.savetxt
        ("size, weight, y", '{x}, {z}, "{y}"', 3),
    ],
)
def test_how_programs_write_tables(write: Any, header: str, row: str, columns: int) -> None:
    table = read(write(f"{header}\n{lines(row)}"))
    assert table.frame.shape == (ROWS, columns)
    assert table.frame["y"].tolist() == [0, 1] * (ROWS // 2)
    data = load_data(write(f"{header}\n{lines(row)}"), target="y")
    assert data.columns == ("size", "weight")


def test_a_header_that_is_repeated_where_files_were_joined(write: Any) -> None:
    table = read(write(f"{HEADER}\n{lines()}{HEADER}\n{lines()}"))
    assert len(table.frame) == 2 * ROWS
    assert "The header is repeated in 1 line, left out" in str(table.note)


def test_rows_that_only_begin_like_totals_are_data(write: Any) -> None:
    text = "".join(f"{('total', 'part')[n % 2]},{n}.5,{n % 2}\n" for n in range(ROWS + 1))
    assert len(read(write(f"kind,size,y\n{text}")).frame) == ROWS + 1


def test_quotation_marks_of_texts_do_not_join_rows(write: Any) -> None:
    text = "".join(f"ham\t{chr(34) * (n % 7 == 0)}Go until {n}\n" for n in range(ROWS))
    assert len(read(write(text, "sms.tsv")).frame) == ROWS


@pytest.mark.parametrize("row", ["1,2\n", "1,2,3,4\n", "1,2,3,4,5,6\n"])
def test_a_row_of_another_length_far_below_is_rejected(write: Any, row: str) -> None:
    with pytest.raises(DataError, match=f"line 402 has {row.count(',') + 1} cells, most .* have 3"):
        read(write(f"{HEADER}\n{lines(count=400)}{row}{lines()}"))


def test_decimal_commas_far_below_decide_about_points(write: Any) -> None:
    text = "".join(f"1.{200 + n};{n if n < 400 else f'{n},5'};{n % 2}\n" for n in range(450))
    path = write(f"size;weight;y\n{text}")
    assert load_data(path, target="y").x_train[:, 0].min() >= 1200
    first = write("size;weight;y\n" + "".join(text.splitlines(keepends=True)[:300]), "a.csv")
    joined = load_data([path, first], target="y")
    assert joined.x_train[:, 0].min() >= 1200


def test_quoted_line_breaks(write: Any) -> None:
    table = read(write("size,note,y\n" + lines('{x},"two\nlines",{y}')))
    assert len(table.frame) == ROWS
    assert table.frame["note"].tolist() == ["two\nlines"] * ROWS


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2\n", "line 3 has 2 cells"),
        ("1,2,3,4\n", "line 3 has 4"),
        ('1,"2,0\n', "cannot be read"),
    ],
)
def test_rows_of_another_length_are_rejected(write: Any, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(f"{HEADER}\n1,2,0\n{row}{lines()}"))


# --- other files ----------------------------------------------------------------------------------


def test_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{lines()}".encode()))
    data = load_data(path)
    assert data.name == "table"
    assert data.columns == ("size", "weight")


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    def write_sheets(sheets: dict[str, list[list[Any]]]) -> Path:
        with pd.ExcelWriter(tmp_path / "book.xlsx") as writer:
            for name, rows in sheets.items():
                frame = pd.DataFrame(rows, dtype=object)
                frame.to_excel(writer, sheet_name=name, index=False, header=False)
        return tmp_path / "book.xlsx"

    return write_sheets


BODY = [[n * 1.5, n * n, n % 2] for n in range(ROWS)]


def test_excel_files(workbook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["Report", None, None], ["size", "weight", "y"], *BODY, ["Total", 9, None]]
    path = workbook({"empty": [], "Data": rows, "More": rows})
    data = load_data(path)
    assert data.columns == ("size", "weight")
    assert "sheet 'Data', header in line 2" in data.reading
    assert "Only the sheet 'Data' was read, of Data, More." in data.note
    with pytest.raises(DataError, match="encoding= only applies to text files"):
        load_data(path, encoding="utf-8")
    other = tmp_path / "text.xlsx"
    other.write_text("size,y\n1,0\n")
    with pytest.raises(DataError, match=r"text\.xlsx is not an Excel file"):
        load_data(other)

    def without(*_: Any, **__: Any) -> Any:
        raise ImportError("Missing optional dependency 'openpyxl'.", name="openpyxl")

    monkeypatch.setattr(pd, "read_excel", without)
    with pytest.raises(DataError, match="pandas needs openpyxl for this file") as caught:
        load_data(path)
    assert "%pip install openpyxl" in caught.value.remedy


@pytest.mark.parametrize(
    ("names", "cells", "columns"),
    [
        (["size", "weight"], lambda n: [f"{n + 1}.000,50 \u20ac", n * n], ("size", "weight")),
        (["size", "day"], lambda n: [n * 1.5, pd.Timestamp("2020-01-01")], ("size",)),
        (["size", "town"], lambda n: [n, "Ulm, old"], ("size", "town=Ulm, old")),
        (["size", None, "weight"], lambda n: [n, None, n * n], ("size", "weight")),
        (["size", "large"], lambda n: [n * 1.5, n % 3 > 0], ("size", "large")),
    ],
)
def test_cells_of_excel(workbook: Any, names: Any, cells: Any, columns: tuple[str, ...]) -> None:
    body = [[*cells(n), ["no", 'y"es'][n % 2]] for n in range(ROWS)]
    data = load_data(workbook({"Data": [[*names, "y"], *body]}))
    assert data.columns == columns
    assert data.classes == ("no", 'y"es')


def test_names_for_completion(write: Any) -> None:
    assert header_names(write("sep=;\nsize;price (€);y\n1,5;2;3\n")) == ["size", "price (€)", "y"]
    assert header_names(write(lines())) == ["0", "1", "2"]
    assert header_names(write(HEADER)) == ["size", "weight", "y"]
    assert header_names(write("a~b\n1~2\n"), "~") == ["a", "b"]
    with pytest.raises(DataError):
        header_names(write("\x00\x01\x02"))
