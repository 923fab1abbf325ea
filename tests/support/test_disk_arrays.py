"""Arrays in temporary files without a name."""

from __future__ import annotations

import errno
import gc
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kmagic.support import disk_arrays
from kmagic.support.disk_arrays import convert_rows, disk_array, is_on_disk, release
from kmagic.support.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(disk_arrays.tempfile, "tempdir", None)
    return tmp_path


def open_files(folder: Path) -> int:
    """Files in this folder that the process has mapped."""
    return Path("/proc/self/maps").read_text(encoding="utf-8").count(f"{folder}/")


def test_the_file_has_no_name_and_is_gone_with_the_last_view(folder: Path) -> None:
    rows = disk_array((1000, 10), "float32")
    rows[:] = 3
    view: Any = rows[1:].reshape(-1, 5)
    del rows
    gc.collect()
    assert view.sum() == 3 * 9990
    assert is_on_disk(view)
    assert not list(folder.iterdir())
    assert open_files(folder) == 1
    del view
    gc.collect()
    assert open_files(folder) == 0


def test_released_pages_keep_what_was_written() -> None:
    rows = disk_array((100, 1000), "int64")
    rows[:] = np.arange(1000)
    release(rows[3:])
    assert (rows == np.arange(1000)).all()


def test_a_private_mapping_keeps_its_changes(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(10_000))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[:] = 7
    release(private)
    assert private.sum() == 70_000
    release(np.zeros(3))  # nothing to do


def test_a_full_disk_is_reported_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=300_000_000))
    with pytest.raises(
        DataError, match=r"would take 80\.0 MB on disk, but only 300\.0 MB"
    ) as error:
        disk_array((10_000_000,), "int64")
    assert "TMPDIR" in error.value.remedy
    assert str(folder) in str(error.value)


def test_an_error_of_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk_arrays.os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"cannot be kept in .*: No space left on device") as error:
        disk_array((10,), "int64")
    assert "TMPDIR" in error.value.remedy
    assert not list(folder.iterdir())


def test_rows_are_converted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_arrays, "CHUNK_BYTES", 100)
    seen = []

    def double(rows: np.ndarray) -> np.ndarray:
        seen.append(len(rows))
        return rows.repeat(2, axis=1).astype("float32")

    x = np.arange(24, dtype="int64").reshape(8, 3)
    result = convert_rows(x, double)
    assert seen == [4, 4]
    assert is_on_disk(result)
    np.testing.assert_array_equal(result, x.repeat(2, axis=1))
    assert convert_rows(x[:0], double).shape == (0, 6)
