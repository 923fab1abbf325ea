"""Tables as datasets: files, data frames, and what becomes of their columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kmagic.data import load_data, tables
from kmagic.data.load_options import LoadOptions
from kmagic.data.preparation.preparation import Preparation
from kmagic.data.table_file import read_rows
from kmagic.support import memory
from kmagic.support.errors import DataError

ROWS = 60


@pytest.fixture
def houses() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": rng.integers(20, 200, ROWS),
            "town": rng.choice(["Ulm", "Bonn", "Kiel"], ROWS),
            "garden": rng.random(ROWS) > 0.5,
            "rooms": np.arange(ROWS) % 5 + 1,
            "price": rng.random(ROWS) * 1e5,
        }
    )


@pytest.fixture
def file(houses: pd.DataFrame, tmp_path: Path) -> Path:
    houses.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


def rows(data: Any) -> int:
    return len(data.x_train) + len(data.x_test)


# --- what is loaded -------------------------------------------------------------------------------


def test_a_csv_file(file: Path) -> None:
    data = load_data(str(file), target="price", scale="standard")
    assert data.name == "houses"
    assert data.classes is None
    assert data.target == "price"
    assert data.columns == ("size", "town=Bonn", "town=Kiel", "town=Ulm", "garden", "rooms")
    assert (data.x_train.shape, data.x_test.shape) == ((48, 6), (12, 6))
    assert data.x_train.dtype == np.float32
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-5)
    assert data.note == ""


def test_rows_and_targets_stay_together(houses: pd.DataFrame) -> None:
    houses["price"] = houses["size"] * 10.5
    data = load_data(houses, target="price", features="size")
    np.testing.assert_allclose(data.y_train, data.x_train[:, 0] * 10.5)
    np.testing.assert_allclose(data.y_test, data.x_test[:, 0] * 10.5)


def test_a_raw_frame_is_prepared_like_the_training_part(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="price", scale="standard")
    every = data.prepare(houses)
    known = {row.tobytes() for row in np.concatenate([data.x_train, data.x_test])}
    assert {row.tobytes() for row in every} == known
    config = json.loads(json.dumps(data.preparation.get_config()))
    np.testing.assert_array_equal(Preparation.from_config(config).apply(houses), every)
    np.testing.assert_array_equal(data.prepare(houses.to_dict("records")[3]), every[3:4])


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_separators(houses: pd.DataFrame, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"houses.{ending}"
    houses.to_csv(path, index=False, sep="\t" if ending == "tsv" else ";")
    assert rows(load_data(path, target="price")) == ROWS
    if ending == "csv":
        assert rows(load_data(path, target="price", sep=";")) == ROWS


def test_a_file_with_a_byte_order_mark(houses: pd.DataFrame, tmp_path: Path) -> None:
    houses.to_csv(tmp_path / "excel.csv", index=False, encoding="utf-8-sig")
    assert "size" in (load_data(tmp_path / "excel.csv", target="price").columns or ())


def test_several_files_are_concatenated_unless_they_are_parts(
    houses: pd.DataFrame, tmp_path: Path
) -> None:
    houses.iloc[:50].to_csv(tmp_path / "train.csv", index=False)
    houses.iloc[50:].to_csv(tmp_path / "test.csv", index=False)
    names = [str(tmp_path / name) for name in ("train.csv", "test.csv")]
    together = load_data(names, target="price")
    assert (len(together.x_train), len(together.x_test)) == (48, 12)
    parts = load_data(tmp_path, target="price", features=["size"])
    assert (len(parts.x_train), len(parts.x_test)) == (50, 10)
    np.testing.assert_array_equal(parts.y_test, houses["price"].iloc[50:])
    frames = load_data((houses.iloc[:50], houses.iloc[50:]), target="price", features=["size"])
    np.testing.assert_array_equal(frames.x_train, parts.x_train)


def test_features_and_targets_given_apart(houses: pd.DataFrame) -> None:
    x, y = houses[["size", "town"]], houses["price"]
    for target in (y, y.to_frame(), y.tolist(), y.to_numpy()):
        data = load_data((x, target), seed=3)
        assert data.columns == ("size", "town=Bonn", "town=Kiel", "town=Ulm")
        assert data.y_train.dtype == np.float64
    four = load_data((x[:40], y[:40], x[40:], y[40:]))
    assert (len(four.x_train), len(four.x_test)) == (40, 20)
    assert four.target == "price"


def test_a_target_is_found_by_its_usual_name(houses: pd.DataFrame) -> None:
    assert load_data(houses.rename(columns={"price": "Target"})).target == "Target"


def test_words_are_classes_and_keep_their_proportions(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="town", split=0.25)
    assert data.classes == ("Bonn", "Kiel", "Ulm")
    exact = houses["town"].value_counts().sort_index().to_numpy() / 4
    assert np.abs(data.counts(data.y_test) - exact).max() < 1
    assert data.note == ""


def test_few_integers_are_classes_and_that_is_noted(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="rooms")
    assert data.classes == ("1", "2", "3", "4", "5")
    assert data.y_train.max() == 4
    assert "rooms has 5 different integers, 1 to 5, taken as classes; task='regression'" in repr(
        data
    )
    values = load_data(houses, target="rooms", task="regression")
    assert values.classes is None
    assert values.y_train.max() == 5
    many = load_data(houses, target="size")
    assert many.classes is None
    assert "taken as numbers; task='classification' takes them as classes" in many.note


def test_one_column_of_texts_is_read_as_sentences() -> None:
    frame = pd.DataFrame({"said": ["a great film", "a bad film"] * 10, "label": ["+", "-"] * 10})
    data = load_data(frame)
    assert data.is_text
    assert data.classes == ("+", "-")
    numbered = load_data(frame, num_words=10, maxlen=4)
    assert numbered.x_train.shape == (16, 4)
    assert numbered.prepare(["a great film"]).shape == (1, 4)


def test_empty_cells(houses: pd.DataFrame) -> None:
    houses["size"] = houses["size"].astype(float)
    houses.loc[3:5, "size"] = np.nan
    houses.loc[9, "town"] = None
    with pytest.raises(DataError, match="empty cells: size in 3, town in 1 of 60 rows") as caught:
        load_data(houses, target="price")
    assert "missing='mean'" in caught.value.remedy
    dropped = load_data(houses, target="price", missing="drop")
    assert rows(dropped) == ROWS - 4
    assert "4 rows with empty cells left out" in dropped.note
    filled = load_data(houses, target="price", missing="mean", features="size")
    assert rows(filled) == ROWS
    assert filled.features is not None
    fill = filled.prepare({"size": None})[0, 0]
    assert fill == pytest.approx(filled.x_train[:, 0].mean(), rel=1e-4)
    assert rows(load_data(houses, target="price", drop="size,town")) == ROWS


def test_pandas_own_types(houses: pd.DataFrame) -> None:
    plain = load_data(houses, target="price")
    modern = load_data(houses.convert_dtypes(), target="price")
    np.testing.assert_array_equal(modern.x_train, plain.x_train)
    assert modern.columns == plain.columns
    assert load_data(houses.convert_dtypes(), target="garden").classes == ("False", "True")
    kinds = houses.assign(rooms=houses["rooms"].astype("category"))
    assert load_data(kinds, target="price", features="rooms").x_train.shape == (48, 5)


def test_row_numbers_are_not_a_feature(houses: pd.DataFrame, tmp_path: Path) -> None:
    houses.to_csv(tmp_path / "indexed.csv")
    data = load_data(tmp_path / "indexed.csv", target="price", drop="town")
    assert data.columns == ("size", "garden", "rooms")
    assert "Unnamed: 0 only counts the rows" in data.note


def test_columns_of_keras_tables_can_be_left_out(keras_home: Path) -> None:
    data = load_data("boston_housing", drop="B")
    assert data.x_train.shape == (404, 12)
    assert data.columns is not None
    assert "B" not in data.columns
    assert "contested" not in data.note
    two = load_data("boston_housing", features=["LSTAT", "RM"])
    whole = load_data("boston_housing")
    np.testing.assert_array_equal(two.x_test, whole.x_test[:, [12, 5]])
    frame = pd.DataFrame(whole.x_test[:3], columns=list(whole.columns or ()))
    np.testing.assert_array_equal(two.prepare(frame), two.x_test[:3].astype(np.float32))
    with pytest.raises(DataError, match="has no column b2"):
        load_data("boston_housing", drop="b2")


# --- what is rejected -----------------------------------------------------------------------------


def test_the_target_must_be_named(houses: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Which column of data is the target") as caught:
        load_data(houses)
    assert "size, town, garden, rooms, price" in caught.value.message
    assert caught.value.remedy == "Name it: target='price'."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "prise"}, "data has no column prise"),
        ({"target": "price", "drop": "twon"}, "data has no column twon"),
        ({"target": "price", "features": ["price"]}, "so it is never a feature"),
        ({"target": "price", "drop": "size,size"}, "drop= lists size twice"),
        ({"target": "price", "drop": ""}, "drop= must be names"),
        (
            {"target": "price", "drop": "size", "features": "town"},
            "features= and drop= cannot be combined",
        ),
        ({"target": "price", "drop": "size,town,garden,rooms"}, "no feature column left"),
        ({"target": "price", "missing": "median"}, "missing= must be mean or drop; got 'median'"),
        (
            {"target": "price", "task": "classification"},
            "classes in price must be integers or words; got",
        ),
        ({"target": "town", "task": "regression"}, "task='regression' needs numbers"),
        ({"target": "price", "onehot": True}, "onehot=True only applies to classes"),
        ({"target": "price", "flatten": True}, "flatten= only applies to images; data is a table"),
        ({"target": "price", "scale": 255}, "scale=255 only applies to pixel values"),
        (
            {"target": "town", "class_names": "Ulm,Bonn"},
            "must contain all values of town, also 'Kiel'",
        ),
    ],
)
def test_invalid_options_are_rejected(
    houses: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_data(houses, **options)


def test_columns_that_cannot_become_numbers_are_reported_together(houses: pd.DataFrame) -> None:
    odd = houses.assign(
        owner=[f"person {each % 50}" for each in range(ROWS)],
        area=[f"{each},5" if each % 2 else f"{each}.5" for each in range(ROWS)],
        plan=[[1, 2]] * ROWS,
    )
    with pytest.raises(DataError) as caught:
        load_data(odd, target="price")
    for said in (
        "owner contains 50 different words in 60 rows",
        "area mixes decimal points and decimal commas",
        "plan contains list",
    ):
        assert said in caught.value.message
    assert "drop='owner,area,plan'" in caught.value.remedy
    assert rows(load_data(odd, target="price", drop="owner,area,plan")) == ROWS


def test_infinity_and_a_column_without_values(houses: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="size has infinity in 60 rows"):
        load_data(houses.assign(size=np.inf), target="price")
    with pytest.raises(DataError, match="Column size of data has no values"):
        load_data(houses.assign(size=np.nan), target="price", missing="mean")
    with pytest.raises(DataError, match="leaves no row"):
        load_data(houses.assign(size=np.nan), target="price", missing="drop")


def test_a_target_with_empty_cells(houses: pd.DataFrame) -> None:
    houses.loc[4, "price"] = np.nan
    with pytest.raises(DataError, match="The target price has no value in 1 of 60"):
        load_data(houses, target="price", missing="mean")
    assert rows(load_data(houses, target="price", missing="drop")) == ROWS - 1


@pytest.mark.parametrize(
    ("name", "content", "message", "remedy"),
    [
        ("empty.csv", "", "empty.csv is empty", ""),
        ("head.csv", "a,b,y\n", "head has no rows", ""),
        ("one.csv", "a\n1\n2\n", "has only one column, 'a'", "delimiter="),
        ("twice.csv", "a,b,a,y\n1,2,3,4\n", "more than one column named a", "its own name"),
        ("bare.csv", "1,2,0\n3,4,1\n", "Which column of bare is the target", "no header line"),
        ("ragged.csv", "a,y\n1,2\n1,2,3\n", "line 3 has 3 cells, most lines have 2", "delimiter="),
        ("bytes.csv", b"caf\x81,y\n1,2\n", "is not a text in UTF-8 or cp1252", "encoding="),
        ("random.csv", bytes(range(128)), "is not a text file: line 1 contains", "encoding="),
        ("quote.csv", 'a,y\n1,2\n"3,4\n', "cannot be read as a table", ""),
        ("huge.csv", f"a,y\n{'x' * 200_000},1\n", "field larger than field limit", "quotation"),
        ("blank.csv", "\n\n", "has no lines with text", ""),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00", "is damaged or incomplete", "again"),
        ("no.parquet", b"not parquet at all", "this is not a parquet file", ""),
        ("cut.parquet", b"PAR1" + bytes(30), "this is not a parquet file", ""),
        ("photos.tar.gz", b"", "is an archive", "unpack_archive"),
        ("list.json", b"[]", "is not a kind of file that can be loaded", "read_json"),
    ],
)
def test_files_that_are_not_tables(
    tmp_path: Path, name: str, content: str | bytes, message: str, remedy: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message) as caught:
        load_data(path)
    assert remedy in caught.value.remedy
    assert path.exists()


def test_parquet_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: Any) -> Any:
        raise ImportError("Missing optional dependency 'pyarrow'.")

    monkeypatch.setattr(pd, "read_parquet", without)
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(30) + b"PAR1")
    with pytest.raises(DataError, match="pandas needs pyarrow") as caught:
        load_data(tmp_path / "a.parquet")
    assert "%pip install pyarrow" in caught.value.remedy


def test_a_parquet_file_is_read_by_pandas(houses: pd.DataFrame, tmp_path: Path) -> None:
    whole = tmp_path / "a.parquet"
    houses.to_parquet(whole)
    assert rows(load_data(whole, target="price")) == ROWS
    # Its end is there, what stands before is not.
    broken = tmp_path / "b.parquet"
    broken.write_bytes(b"PAR1" + bytes(30) + whole.read_bytes()[-8:])
    with pytest.raises(DataError, match="cannot be read as parquet: "):
        load_data(broken)


def test_a_table_that_does_not_fit_into_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    with pytest.raises(
        DataError, match=r"would take .* of memory, but only 100 bytes are available"
    ):
        load_data(file, target="price", stream=False)


def test_a_file_without_read_permission(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_a: Any, **_k: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"houses\.csv cannot be read: permission denied"):
        tables.read_table(file, LoadOptions())


def test_frames_that_do_not_match(houses: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than one column named size"):
        load_data(houses.set_axis(["size", "size", "a", "b", "y"], axis=1))
    with pytest.raises(DataError, match="columns of data have 2 levels"):
        load_data(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])))
    with pytest.raises(DataError, match="The test part of data has no column town"):
        load_data((houses, houses.drop(columns="town")), target="price")
    with pytest.raises(DataError, match="x has 60 rows, but y has 10"):
        load_data((houses[["size"]], houses["price"][:10]))
    with pytest.raises(DataError, match="price is both in x and y"):
        load_data((houses, houses["price"]))
    houses.to_csv(tmp_path / "a.csv", index=False)
    houses.rename(columns={"size": "area"}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="different columns: area, size"):
        load_data([tmp_path / "a.csv", tmp_path / "b.csv"], target="price")


@pytest.mark.parametrize(
    ("path", "message", "remedy"),
    [
        ("house.csv", r"There is no file or folder .*house\.csv", "houses.csv?"),
        ("hose/houses.csv", "There is no file or folder", "house"),
        ("a/b/c.csv", "There is no file or folder", "exists, but contains no a"),
    ],
)
def test_a_wrong_path_names_the_nearest(file: Path, path: str, message: str, remedy: str) -> None:
    (file.parent / "house").mkdir()
    with pytest.raises(DataError, match=message) as caught:
        load_data(str(file.parent / path))
    assert remedy in caught.value.remedy


def test_rows_of_a_file_for_a_prediction(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    for text, rows in (("size\n4\n9\n", [["4"], ["9"]]), ("size\n", [])):
        path.write_text(text)
        assert read_rows(path, ["size"]).to_numpy().tolist() == rows
    with pytest.raises(DataError, match="has only one column, 'size', but needs a target"):
        load_data(path)


def test_a_target_with_the_index_in_another_order() -> None:
    x = pd.DataFrame({"size": np.arange(20) ** 2})
    y = pd.Series([0, 1] * 10, index=x.index[::-1])
    with pytest.raises(DataError, match="same index, but in another order") as caught:
        load_data((x, y))
    assert "y.loc[x.index]" in caught.value.remedy
    for aligned in (y.loc[x.index], y.to_numpy(), y.set_axis(range(20, 40))):
        assert len(load_data((x, aligned)).x_train) == 16
    both = pd.DataFrame({"a": range(20), "b": range(20)})
    assert load_data((x, both)).targets == ("a", "b")
    assert load_data((x, both.to_numpy())).targets == ("y 0", "y 1")
    with pytest.raises(DataError, match="size is both in x and y"):
        load_data((x, pd.DataFrame({"size": range(20)})))


def test_an_address_is_not_a_path() -> None:
    with pytest.raises(DataError, match="is an address, which is not downloaded"):
        load_data("https://example.org/data.csv")
