"""Files that are kept on disk: the same data as in memory, within a limit of memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kmagic.data import Dataset, disk_frame, load_data, streamed_tables, table_file
from kmagic.data.images import image_folder
from kmagic.support import disk_arrays, memory
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import DataError

rng = np.random.default_rng(0)
ROWS = 300


@pytest.fixture(autouse=True)
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for arrays; a few rows are in memory at a time."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(disk_arrays.tempfile, "tempdir", None)
    for module in (disk_arrays, disk_frame, streamed_tables, table_file):
        monkeypatch.setattr(module, "CHUNK_BYTES", 2000)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(30):
        file = tmp_path / "photos" / "abc"[number % 3] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).save(file)
    (tmp_path / "photos" / "a" / "damaged.png").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    words = ["a", "an", "bad", "book", "film", "good", "great", "not", "the", "very"]
    for number in range(40):
        file = tmp_path / "reviews" / ("bad", "good")[number % 2] / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(" ".join(rng.choice(words, number % 9 + 1)), encoding="utf-8")
    return tmp_path / "reviews"


def assert_equal(streamed: Dataset, loaded: Dataset) -> None:
    """The same values, learned from the same rows."""
    for name in ("x_train", "y_train", "x_test", "y_test"):
        ours, theirs = getattr(streamed, name), getattr(loaded, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert is_on_disk(streamed.x_train)
    assert is_on_disk(streamed.x_test)
    assert not is_on_disk(loaded.x_train)
    assert streamed.preparation.get_config() == loaded.preparation.get_config()
    assert streamed.describe_inputs() == loaded.describe_inputs()
    assert streamed.describe_targets() == loaded.describe_targets()
    assert streamed._repr_mimebundle_()["text/html"]


# --- folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"scale": 255, "onehot": True},
        {"scale": "standard", "split": 0.4, "seed": 3},
        {"scale": "standard", "gray": True, "channel": True},
        {"size": 4, "flatten": True, "scale": "standard"},
    ],
)
def test_images_are_those_in_memory(photos: Path, disk: Path, how: dict[str, Any]) -> None:
    streamed, loaded = (load_data(photos, stream=stream, **how) for stream in (True, False))
    assert_equal(streamed, loaded)
    size = "4 x 4" if "size" in how else "6 x 8"
    place = f"On disk, in {disk}: {streamed.note.partition(': ')[2][:2]} images of {size}."
    assert streamed.note == f"{place} {loaded.note}"
    assert "1 image left out" in streamed.note
    assert not list(disk.iterdir())


def test_a_given_list_of_images_and_their_labels(photos: Path) -> None:
    files = sorted(photos.glob("*/[0-9]*.png"))
    labels = [file.parent.name for file in files]
    assert_equal(*(load_data((files, labels), stream=stream) for stream in (True, False)))


@pytest.mark.parametrize("how", [{}, {"num_words": 6, "padding": "post"}, {"standardize": "none"}])
def test_texts_are_those_in_memory(reviews: Path, how: dict[str, Any]) -> None:
    streamed, loaded = (load_data(reviews, maxlen=5, stream=s, **how) for s in (True, False))
    assert_equal(streamed, loaded)
    assert streamed.encoding is not None
    assert loaded.encoding is not None
    assert streamed.encoding.vocabulary == loaded.encoding.vocabulary


def test_texts_on_disk_need_one_length(reviews: Path) -> None:
    with pytest.raises(DataError, match="different lengths") as error:
        load_data(reviews, stream=True)
    assert "use maxlen=200" in error.value.remedy


# --- tables -------------------------------------------------------------------------------------


@pytest.fixture
def houses() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "customer_id": rng.permutation(ROWS),
            "size": rng.normal(100, 30, ROWS),
            "rooms": rng.integers(1, 9, ROWS),
            "town": rng.choice(["Ulm", "Bonn", "Köln", 'New "York", NY'], ROWS),
            "garden": rng.choice([True, False], ROWS),
            "sold": pd.date_range("2020-01-01", periods=ROWS)[::-1],
            "price": rng.gamma(2, 100, ROWS).round(2),
            "kind": rng.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]),
        }
    )
    table.loc[ROWS - 1, "town"] = "only here"
    return table


def assert_table_equal(file: Path, **how: Any) -> Dataset:
    """The same dataset, with the same notes, from a file that is read in pieces."""
    streamed, loaded = (load_data(file, stream=stream, **how) for stream in (True, False))
    assert_equal(streamed, loaded)
    assert streamed.note.removeprefix(f"{place(streamed)}.").strip() == loaded.note
    assert streamed.reading == loaded.reading
    assert (streamed.columns, streamed.classes) == (loaded.columns, loaded.classes)
    for mine, other in zip(streamed.empty_cells or (), loaded.empty_cells or (), strict=True):
        np.testing.assert_array_equal(mine, other)
    return streamed


def place(data: Dataset) -> str:
    return data.note.partition(". ")[0].removesuffix(".")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".csv.gz"])
@pytest.mark.parametrize(
    "how",
    [
        {"target": "price", "scale": "standard"},
        {"target": "price", "chronological": True, "features": "size,town"},
        {"target": "kind", "split": 0.33, "seed": 4, "onehot": True, "drop": "rooms"},
        {"target": "garden"},
    ],
)
def test_a_table_is_that_in_memory(
    houses: pd.DataFrame, tmp_path: Path, suffix: str, how: dict[str, Any]
) -> None:
    write(houses, tmp_path / f"houses{suffix}")
    data = assert_table_equal(tmp_path / f"houses{suffix}", **how)
    assert place(data).startswith(f"On disk, in {tmp_path / 'disk'}")


def write(frame: pd.DataFrame, file: Path) -> None:
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_empty_cells(houses: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    houses.loc[ROWS // 2 :, "size"] = None
    houses.loc[: ROWS // 3, "town"] = None
    write(houses, file := tmp_path / f"houses{suffix}")
    assert_table_equal(file, target="price", missing="mean", scale="standard")
    assert_table_equal(file, target="kind", missing="drop")
    messages = []
    for stream in (True, False):
        with pytest.raises(DataError, match="has empty cells: size in 150, town in 101") as error:
            load_data(file, target="kind", stream=stream)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_words_that_appear_late_in_a_column_of_numbers(
    houses: pd.DataFrame, tmp_path: Path
) -> None:
    late = houses.astype({"rooms": object, "size": object})
    late.loc[ROWS - 2, "rooms"] = "?"
    write(late, file := tmp_path / "late.csv")
    assert_table_equal(file, target="price", missing="mean")
    late.loc[ROWS - 1, "size"] = "1,5"  # a decimal comma
    write(late, file)
    messages = []
    for stream in (True, False):
        with pytest.raises(DataError) as error:
            load_data(file, target="price", missing="mean", stream=stream)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "1,5" in messages[0]


def test_a_file_that_is_written_in_another_way(houses: pd.DataFrame, tmp_path: Path) -> None:
    houses["price"] = houses["price"].map(lambda price: f"{price:.2f} €".replace(".", ","))
    text = houses.drop(columns="size").to_csv(index=False, sep=";")
    file = tmp_path / "german.csv"
    file.write_bytes(f"House prices\n\n{text}Total;;;;;;\n".encode("cp1252"))
    data = assert_table_equal(file, target="price")
    assert "was read as cp1252" in data.note
    assert "after the table left out" in data.note


def test_cells_with_line_breaks(tmp_path: Path) -> None:
    lines = (f'"line {row}\nnext",{row % 7},{row % 2}\n' for row in range(ROWS))
    (tmp_path / "breaks.csv").write_text("text,a,y\n" + "".join(lines), encoding="utf-8")
    assert_table_equal(tmp_path / "breaks.csv", target="y", drop="text")


def test_a_training_and_a_test_part(houses: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "houses"
    folder.mkdir()
    houses.loc[250, "town"] = "only in the test part"
    write(houses[:200], folder / "train.csv")
    write(houses[200:], folder / "test.csv")
    data = assert_table_equal(folder, target="price")
    assert "which the training data did not have" in data.note
    assert_table_equal(folder, target="price", split=0.5)
    names = [str(folder / "train.csv"), str(folder / "test.csv")]
    assert_equal(*(load_data(names, target="price", stream=s) for s in (True, False)))


def test_a_column_of_texts(tmp_path: Path) -> None:
    words = ["a", "an", "bad", "book", "film", "good", "great", "not", "the", "very"]
    texts = [" ".join(rng.choice(words, row % 7 + 2)) for row in range(ROWS)]
    table = pd.DataFrame({"review": texts, "label": rng.integers(0, 2, ROWS)})
    write(table, file := tmp_path / "reviews.csv")
    assert_table_equal(file, target="label", maxlen=5, num_words=6)
    with pytest.raises(DataError, match="The texts of column review have different lengths"):
        load_data(file, target="label", stream=True)


@pytest.mark.parametrize("stream", [True, False])
def test_a_line_with_too_many_cells(tmp_path: Path, stream: bool) -> None:
    lines = [f"{row},{row % 3},{row % 2}" for row in range(ROWS)]
    lines[250] += ",7"
    (tmp_path / "ragged.csv").write_text("\n".join(["a,b,y", *lines]), encoding="utf-8")
    with pytest.raises(DataError, match="line 252 has 4 cells, most lines have 3"):
        load_data(tmp_path / "ragged.csv", target="y", stream=stream)


def test_parquet_files_with_an_index(houses: pd.DataFrame, tmp_path: Path) -> None:
    write(houses.set_index("sold"), tmp_path / "dates.parquet")
    assert_table_equal(tmp_path / "dates.parquet", target="price", chronological=True)
    write(houses.set_index("town"), tmp_path / "towns.parquet")
    data = assert_table_equal(tmp_path / "towns.parquet", target="price")
    assert data.columns == ("size", "rooms", "garden", "kind=a", "kind=b", "kind=c")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows(houses: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    write(houses[:0], file := tmp_path / f"none{suffix}")
    for stream in (True, False):
        with pytest.raises(DataError, match=r"none.* has no rows"):
            load_data(file, target="price", stream=stream)


def test_parquet_files_with_different_types(houses: pd.DataFrame, tmp_path: Path) -> None:
    write(houses[:150], tmp_path / "1.parquet")
    write(houses[150:].astype({"rooms": str}), tmp_path / "2.parquet")
    files = [str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")]
    with pytest.raises(DataError, match=r"rooms of .*1\.parquet has different types in the files"):
        load_data(files, target="price", stream=True)


def test_the_size_of_a_table_decides(
    houses: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(houses, file := tmp_path / "houses.csv")
    assert not is_on_disk(load_data(file, target="price").x_train)
    available = 4 * file.stat().st_size
    monkeypatch.setattr(memory, "available_memory", lambda: available)
    data = load_data(file, target="price")
    assert is_on_disk(data.x_train)
    assert "do not fit into memory" in data.note
    rows = Path("/proc/self/maps").read_text(encoding="utf-8").count(str(tmp_path))
    assert rows == 1  # what the table was read into is gone
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(DataError, match="Column customer_id, whose type is found in memory"):
        load_data(file, target="price")


# --- memory or disk -----------------------------------------------------------------------------


def test_the_size_decides(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_on_disk(load_data(photos).x_train)
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    data = load_data(photos, scale=255)
    assert is_on_disk(data.x_train)
    assert data.note.startswith("On disk, in ")
    assert "because 21.6 kB do not fit into memory." in data.note
    with pytest.raises(DataError, match=r"21\.6 kB of memory, but only 10\.0 kB"):
        load_data(photos, scale=255, stream=False)


def test_a_disk_that_is_too_small(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_arrays.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DataError, match=r"30 images of 6 x 8 would take .* on disk") as error:
        load_data(photos, stream=True)
    assert "TMPDIR" in error.value.remedy
    assert "`rescaling {1 / 255}`" not in error.value.remedy
    assert "size='64x64'" in error.value.remedy


def test_an_interrupt_leaves_nothing(
    photos: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, left = image_folder.read_image, [12]

    def interrupted(*values: Any, **how: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return read(*values, **how)

    monkeypatch.setattr(image_folder, "read_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_data(photos, stream=True)
    assert not list(disk.iterdir())
    assert str(disk) not in Path("/proc/self/maps").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", ["mnist", (np.eye(4), [0, 1, 0, 1])])
def test_what_is_in_memory_cannot_be_kept_on_disk(source: Any) -> None:
    with pytest.raises(DataError, match="stream= only applies to"):
        load_data(source, stream=True)


# --- use ----------------------------------------------------------------------------------------


def test_labels_of_slices(photos: Path) -> None:
    data = load_data(photos, stream=True)
    np.testing.assert_array_equal(data.labels_of(data.x_test[1:4]), data.y_test[1:4])
    np.testing.assert_array_equal(data.labels_of(data.x_train), data.y_train)
    assert data.labels_of(data.x_train[[1, 2]]) is None


def test_twenty_times_the_memory(tmp_path: Path) -> None:
    limit, size = 25_000_000, 256 * 256 * 3
    for label, name in enumerate("ab"):
        first = tmp_path / f"{name}.bmp"
        Image.new("RGB", (256, 256), (100 * label,) * 3).save(first)
        for part, count in (("few", 40), ("many", 10 * limit // size + 1)):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                os.link(first, folder / f"{number}.bmp")
    script = Path(__file__).with_name("larger_than_memory.py")
    command = [sys.executable, script, tmp_path / "images", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, total, note = done.stdout.strip().splitlines()[-1].split(" ", 2)
    assert int(total) >= 20 * limit
    assert int(peak) < limit
    assert "do not fit into memory" in note
