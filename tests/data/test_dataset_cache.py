from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from kmagic.data import keras_datasets, load_data
from kmagic.data.known_datasets import KNOWN_DATASETS, KnownDataset
from kmagic.support import downloads
from kmagic.support.downloads import path_of
from kmagic.support.errors import DataError, KmagicError
from kmagic.support.keras_cache import CacheWarning, show_path
from kmagic.support.keras_cache import keras_home as home_of_keras

BOSTON = KNOWN_DATASETS["boston_housing"]
RIGHT = files("kmagic.data").joinpath("samples", "boston_housing.npz").read_bytes()


@pytest.fixture
def refused(keras_home: Path) -> Path:
    """A file of the user's in Keras's cache that Keras would delete."""
    path = keras_home / "datasets" / "boston_housing.npz"
    path.write_bytes(b"the user's own, rebuilt by hand")
    return path


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras gets its turn, as with a network."""
    monkeypatch.setenv("KMAGIC_OFFLINE", "0")
    monkeypatch.setattr(downloads, "is_reachable", lambda _url: True)


def fetching(monkeypatch: pytest.MonkeyPatch, fetch: Any) -> None:
    monkeypatch.setattr(import_module("keras.src.utils.file_utils"), "urlretrieve", fetch)


def loaded() -> Any:
    return keras_datasets.load_through_keras(
        BOSTON.files, import_module("keras.datasets.boston_housing").load_data
    )


# --- the table --------------------------------------------------------------------------------


class StopHereError(Exception):
    pass


@pytest.mark.parametrize("entry", KNOWN_DATASETS.values(), ids=lambda entry: entry.name)
def test_files_and_hashes_are_keras_own(
    entry: KnownDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get_file(fname: str, origin: str, **keywords: Any) -> str:
        archive = "_archive" if keywords.get("extract") else ""
        subdir = keywords.get("cache_subdir", "datasets")
        asked.append((fname + archive, origin, keywords.get("file_hash") or "", subdir))
        if len(asked) == len(entry.files):
            raise StopHereError
        return fname

    module = import_module(f"keras.src.datasets.{entry.name}")
    monkeypatch.setattr(module, "get_file", get_file)
    with pytest.raises(StopHereError):
        module.load_data()
    assert asked == [(file.name, file.url, file.sha256, file.folder) for file in entry.files]


def test_every_dataset_of_keras_is_in_the_table() -> None:
    datasets = import_module("keras.datasets")
    assert {name for name in vars(datasets) if not name.startswith("_")} == set(KNOWN_DATASETS)


def test_class_names() -> None:
    labels = import_module("keras.datasets.reuters").get_label_names()
    assert KNOWN_DATASETS["reuters"].classes == tuple(labels)
    assert [len(KNOWN_DATASETS[name].classes or ()) for name in ("fashion_mnist", "cifar10")] == [
        10,
        10,
    ]
    fine = KNOWN_DATASETS["cifar100"].classes or ()
    assert len(fine) == 100
    assert list(fine) == sorted(fine)


def test_the_boston_file_is_that_of_keras() -> None:
    assert hashlib.sha256(RIGHT).hexdigest() == BOSTON.files[0].sha256


# --- where Keras's cache is -------------------------------------------------------------------


def test_home_is_where_keras_looks(keras_home: Path) -> None:
    import_module("keras")
    assert home_of_keras() == keras_home
    found = import_module("keras.utils").get_file
    path = path_of(BOSTON.files[0])
    path.write_bytes(RIGHT)
    assert Path(found(BOSTON.files[0].name, origin=BOSTON.files[0].url)) == path


def test_home_before_keras_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras.src.backend.config", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    assert home_of_keras() == tmp_path / "elsewhere"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_of_keras() == tmp_path / ".keras"


def test_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras.src.backend.config", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(
        "kmagic.support.keras_cache.os.access", lambda path, _mode: path != tmp_path
    )
    assert home_of_keras() == Path("/tmp/.keras")  # noqa: S108 - where Keras goes then


def test_paths_are_shown_from_home() -> None:
    assert show_path(Path.home() / "a" / "b.npz") == "~/a/b.npz"
    assert show_path(Path("/srv/b.npz")) == "/srv/b.npz"


# --- a file with a wrong hash is never lost -----------------------------------------------------


def test_a_wrong_file_is_not_changed_offline(refused: Path) -> None:
    before, stamp = refused.read_bytes(), refused.stat().st_mtime_ns
    with pytest.raises(keras_datasets.NotCachedError) as caught:
        loaded()
    assert (refused.read_bytes(), refused.stat().st_mtime_ns) == (before, stamp)
    message = str(caught.value)
    assert str(refused) in message
    assert hashlib.sha256(before).hexdigest()[:16] in message
    assert BOSTON.files[0].sha256[:16] in message
    assert "was not changed" in message


@pytest.mark.usefixtures("online")
def test_the_file_is_restored_when_the_download_fails(
    refused: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def fetch(_url: str, target: str, _progress: Any) -> None:
        seen.append(target)
        Path(target).write_bytes(b"half")
        raise URLError("gone")

    fetching(monkeypatch, fetch)
    before = refused.read_bytes()
    with pytest.raises(keras_datasets.NotCachedError, match="the download failed"):
        loaded()
    assert seen == [str(refused)]
    assert refused.read_bytes() == before
    assert list(refused.parent.iterdir()) == [refused]
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError("timed out"), MemoryError])
def test_the_file_is_restored_after_any_error(
    refused: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def fetch(_url: str, target: str, _progress: Any) -> None:
        Path(target).write_bytes(b"half")
        raise error

    fetching(monkeypatch, fetch)
    before = refused.read_bytes()
    with pytest.raises((KeyboardInterrupt, keras_datasets.NotCachedError, DataError)):
        loaded()
    assert refused.read_bytes() == before
    assert list(refused.parent.iterdir()) == [refused]


@pytest.mark.usefixtures("online")
def test_a_backup_is_kept_when_keras_downloads_again(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching(monkeypatch, lambda _url, target, _progress: Path(target).write_bytes(RIGHT))
    before = refused.read_bytes()
    taken = refused.with_name("boston_housing.npz.kept")
    taken.write_bytes(b"from an earlier time")
    with pytest.warns(CacheWarning, match=r"Your file is now .*\.kept-2"):
        (x_train, _), _ = loaded()
    assert x_train.shape == (404, 13)
    assert refused.read_bytes() == RIGHT
    assert refused.with_name("boston_housing.npz.kept-2").read_bytes() == before
    assert taken.read_bytes() == b"from an earlier time"


def test_a_missing_backend_is_no_fault_of_the_file(keras_home: Path) -> None:
    def load() -> None:
        raise KmagicError("kmagic needs Keras's TensorFlow backend; got the backend jax.")

    with pytest.raises(KmagicError, match="backend") as caught:
        keras_datasets.load_through_keras([], load)
    assert not isinstance(caught.value, DataError)


@pytest.mark.usefixtures("online")
def test_keras_is_not_called_without_space_for_a_backup(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_from: Path, _to: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copy2", full)
    called = []
    with pytest.raises(DataError, match="No space left on device"):
        keras_datasets.load_through_keras(BOSTON.files, lambda: called.append(1))
    assert not called
    assert refused.exists()


def test_a_file_without_read_permission(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras_home / "datasets" / "boston_housing.npz"
    path.write_bytes(RIGHT)

    def denied(_path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(keras_datasets, "sha256_of", denied)
    with pytest.raises(DataError, match=r"could not read .*Permission denied"):
        loaded()
    assert "bundled with kmagic" in load_data("boston_housing").source


# --- Boston housing is bundled --------------------------------------------------------------------


def no_network(*_: Any) -> Any:
    raise AssertionError("the network was used")


def test_boston_housing_needs_neither_a_cache_nor_a_network(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = refused.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "is_reachable", no_network)
        patch.setattr(Path, "mkdir", no_network)
        data = load_data("boston_housing")
    assert data.source == "the copy bundled with kmagic"
    assert data.note.startswith('Column "B" (index 11) is computed from the share')
    assert refused.read_bytes() == before
    refused.write_bytes(RIGHT)
    expected = import_module("keras.datasets.boston_housing").load_data()
    for part, arrays in zip(("train", "test"), expected, strict=True):
        for axis, array in zip("xy", arrays, strict=True):
            np.testing.assert_array_equal(getattr(data, f"{axis}_{part}"), array, strict=True)


# --- the network ------------------------------------------------------------------------------


@pytest.mark.usefixtures("online", "keras_home")
def test_a_download_is_silent_and_may_not_stall(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = []

    def fetch(_url: str, target: str, progress: Any) -> None:
        limits.append(socket.getdefaulttimeout())
        progress(1, len(RIGHT), len(RIGHT))
        Path(target).write_bytes(RIGHT)

    fetching(monkeypatch, fetch)
    (x_train, _), _ = loaded()
    assert x_train.shape == (404, 13)
    assert limits == [downloads.STALL_TIMEOUT]
    assert socket.getdefaulttimeout() is None
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("online", "keras_home")
def test_a_corrupted_download_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    fetching(monkeypatch, lambda _url, target, _progress: Path(target).write_bytes(b"<html>"))
    with pytest.raises(DataError, match="Incomplete or corrupted"):
        loaded()
