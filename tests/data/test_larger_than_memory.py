"""Files that are kept on disk: the same data as in memory, within a limit of memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kmagic.data import Dataset, load_data
from kmagic.data.images import image_folder
from kmagic.support import disk_arrays, memory
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.errors import DataError

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for arrays; a few rows are in memory at a time."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(disk_arrays.tempfile, "tempdir", None)
    monkeypatch.setattr(disk_arrays, "CHUNK_BYTES", 1000)
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
    note = streamed.note.partition(" are ")[2]
    assert note == f"kept on disk, in {disk}. {loaded.note}"
    assert "1 image left out" in note
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


# --- memory or disk -----------------------------------------------------------------------------


def test_the_size_decides(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_on_disk(load_data(photos).x_train)
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    data = load_data(photos, scale=255)
    assert is_on_disk(data.x_train)
    assert "on disk, in " in data.note
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
