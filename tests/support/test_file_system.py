"""A file is replaced completely or not at all, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmagic.persistence.formats import save_target, to_path
from kmagic.support import file_system
from kmagic.support.errors import PersistenceError
from kmagic.support.file_system import atomic_write

OLD, NEW = "the old file", "the new file"


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    path = tmp_path / "cnn.keras"
    path.write_text(OLD)
    return path


def attempt(path: Path, work: Callable[[Path], Any], **settings: Any) -> None:
    with atomic_write(path, ".keras", **settings) as part:
        work(part)


def never(part: Path) -> None:
    pytest.fail(f"the block was entered: {part}")


def failing(error: BaseException) -> Callable[[Path], None]:
    def work(part: Path) -> None:
        part.write_text(NEW[:4])
        raise error

    return work


def hidden_files(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(".")]


def test_a_file_is_replaced_at_the_end(existing: Path) -> None:
    with atomic_write(existing, ".keras", force=True) as part:
        assert part.name.endswith(".keras")
        assert part.parent == existing.parent
        part.write_text(NEW)
        assert existing.read_text() == OLD
    assert existing.read_text() == NEW
    assert hidden_files(existing.parent) == []


def test_without_force_an_existing_file_is_reported_with_its_age(
    existing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KMAGIC_DISPLAY", raising=False)
    os.utime(existing, (1000.0, 1000.0))
    with pytest.raises(PersistenceError) as caught:
        attempt(existing, never, now=lambda: 1000.0 + 7300)
    assert caught.value.message == f"{existing} already exists (12 bytes, written 2 hours ago)."
    assert caught.value.remedy == "Replace it with force=True, or choose another name."
    assert existing.read_text() == OLD


def test_static_display_reports_neither_size_nor_age(
    existing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    with pytest.raises(PersistenceError) as caught:
        attempt(existing, never)
    assert caught.value.message == f"{existing.name} already exists."
    assert existing.read_text() == OLD


def test_a_file_created_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cnn.keras"
    with pytest.raises(PersistenceError, match="already exists"):
        attempt(path, lambda part: (part.write_text(NEW), path.write_text(OLD)))
    assert path.read_text() == OLD
    assert hidden_files(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_any_exception_leaves_the_old_file(existing: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt(existing, failing(error), force=True)
    assert existing.read_text() == OLD
    assert hidden_files(existing.parent) == []


def test_folders_are_created_and_removed_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "models" / "today" / "cnn.keras"
    with pytest.raises(ValueError, match="bad"):
        attempt(path, failing(ValueError("bad")))
    assert not (tmp_path / "models").exists()
    with atomic_write(path, ".keras") as part:
        part.write_text(NEW)
    assert path.read_text() == NEW


def test_a_link_stays_a_link(existing: Path) -> None:
    link = existing.with_name("latest.keras")
    link.symlink_to(existing.name)
    with atomic_write(link, ".keras", force=True) as part:
        part.write_text(NEW)
    assert link.is_symlink()
    assert existing.read_text() == NEW


def test_permissions_are_kept(existing: Path) -> None:
    existing.chmod(0o640)
    with atomic_write(existing, ".keras", force=True) as part:
        part.write_text(NEW)
    assert existing.stat().st_mode & 0o777 == 0o640


def test_a_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError, match="is a folder") as caught:
        attempt(tmp_path, never, force=True)
    assert caught.value.remedy == f"Name a file in it: {tmp_path}/model.keras"


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_not_a_file_is_not_replaced(tmp_path: Path, is_link: bool) -> None:
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if is_link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    for force in (False, True):
        with (
            pytest.raises(PersistenceError, match="is a device, a pipe or a socket"),
            atomic_write(path, ".keras", force=force) as part,
        ):
            part.write_text("new")
    assert pipe.is_fifo()
    assert path.is_symlink() == is_link


def test_a_file_among_the_parent_folders(existing: Path) -> None:
    with pytest.raises(PersistenceError) as caught:
        attempt(existing / "a" / "b.keras", never)
    assert f"{existing} is a file, not a folder" in caught.value.message


DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is larger than allowed here",
    errno.EACCES: "you have no permission to write to",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize(("number", "words"), DISK_ERRORS.items())
@pytest.mark.parametrize("library", [False, True], ids=["python", "hdf5"])
def test_errors_of_the_file_system(
    existing: Path, number: int, words: str, *, library: bool
) -> None:
    error: Exception = OSError(number, os.strerror(number))
    if library:  # as h5py tells it
        error = OSError(f"cannot write (errno = {number}, error message = '...')")
    with pytest.raises(PersistenceError) as caught:
        attempt(existing, failing(error), force=True)
    assert words in caught.value.message
    assert "Nothing was changed" in caught.value.remedy
    assert existing.read_text() == OLD
    assert hidden_files(existing.parent) == []


# --- other processes --------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from kmagic.support.file_system import atomic_write
with atomic_write(Path(sys.argv[1]), ".keras", force=True) as part:
    part.write_text("half of the ne")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(program: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_killed_process_leaves_the_old_file_and_the_next_write_cleans_up(existing: Path) -> None:
    assert run(KILLED, existing).returncode == -signal.SIGKILL
    assert existing.read_text() == OLD
    assert len(hidden_files(existing.parent)) == 1
    with atomic_write(existing, ".keras", force=True) as part:
        part.write_text(NEW)
    assert existing.read_text() == NEW
    assert hidden_files(existing.parent) == []


def test_parts_of_running_processes_and_other_hosts_stay(
    existing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_write(existing, ".keras", force=True) as mine:
        mine.write_text("mine")
        with atomic_write(existing.with_name("other.keras"), ".keras") as other:
            other.write_text(NEW)
        assert mine.exists()
        mine.write_text(NEW)
    run(KILLED, existing)
    monkeypatch.setattr(file_system, "_host_id", lambda: "elsewhere")
    with atomic_write(existing, ".keras", force=True) as part:
        part.write_text(NEW)
    assert len(hidden_files(existing.parent)) == 1


KILLED_SAVE = """
import os, signal, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, kmagic
from kmagic.persistence import save_load
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)], name="net")
def kill(part, metadata):
    assert os.path.getsize(part) > 1000, "Keras has written its part"
    os.kill(os.getpid(), signal.SIGKILL)
save_load.add_to_zip = kill
kmagic.save(model, sys.argv[1], force=True)
"""


def test_a_process_killed_while_saving(existing: Path) -> None:
    assert run(KILLED_SAVE, existing).returncode == -signal.SIGKILL
    assert existing.read_text() == OLD
    attempt(existing.with_name("other.keras"), lambda part: part.write_text(NEW))
    assert hidden_files(existing.parent) == []


FULL = """
import os, resource, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, kmagic
model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(500, name="wide")], name="net")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for path in sys.argv[1:]:
    try:
        kmagic.save(model, path, force=True)
    except kmagic.KmagicError as error:
        print(error.message)
print("alive")
"""


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"net{suffix}" for suffix in (".keras", ".h5", ".weights.h5")]
    for path in paths:
        path.write_text(OLD)
    done = run(FULL, *paths)
    lines = done.stdout.splitlines()
    assert lines[-1] == "alive", done.stderr
    assert lines[:-1] == [
        f"{path} was not written: the file is larger than allowed here." for path in paths
    ]
    assert [path.read_text() for path in paths] == [OLD] * 3
    assert hidden_files(tmp_path) == []


# --- names ------------------------------------------------------------------------------------


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert to_path("~/cnn.keras") == tmp_path / "cnn.keras"
    with pytest.raises(
        PersistenceError, match="must be the home folder of a user; there is no such user"
    ):
        to_path("~nobody-of-that-name/cnn.keras")


@pytest.mark.parametrize("path", ["", "  ", 3, None, b"x.keras", "a\0b.keras"])
def test_invalid_paths(path: Any) -> None:
    with pytest.raises(PersistenceError, match="path= must be the path of a file"):
        to_path(path)


UNKNOWN_SUFFIX = """\
{} does not end in a suffix of a model file.

{}Use one of:
  .weights.h5  the weights alone
  .keras       the whole model
  .h5          the whole model, for older versions of Keras
  .json        the architecture, in Keras's JSON
  .kmagic      the model's text"""
OTHER_SUFFIX = """\
cnn.h5 would contain the whole model, for older versions of Keras, not the weights alone.

Name it cnn.weights.h5, or just cnn."""
INVALID_SUFFIXES: dict[str, tuple[Callable[[], Any], str]] = {
    "unknown": (
        lambda: save_target("models/cnn.kears"),
        UNKNOWN_SUFFIX.format("cnn.kears", "Did you mean cnn.keras? "),
    ),
    "no end": (lambda: save_target("cnn"), UNKNOWN_SUFFIX.format("cnn", "")),
    "other": (lambda: save_target("cnn.h5", "weights"), OTHER_SUFFIX),
}


@pytest.mark.parametrize(("call", "message"), INVALID_SUFFIXES.values(), ids=INVALID_SUFFIXES)
def test_invalid_suffixes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(PersistenceError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "only", "name"),
    [
        ("cnn", "weights", "cnn.weights.h5"),
        ("cnn.v2", "json", "cnn.v2.json"),
        ("cnn.weights.h5", "weights", "cnn.weights.h5"),
        ("cnn", "text", "cnn.kmagic"),
    ],
)
def test_a_suffix_is_added(given: str, only: Any, name: str) -> None:
    assert save_target(given, only)[0].name == name


@pytest.mark.parametrize("only", ["wieghts", "", "keras weights"])
def test_only_one_of_the_known_parts_can_be_saved(only: Any) -> None:
    with pytest.raises(PersistenceError, match="only= must be 'weights', 'json', 'text' or None"):
        save_target("cnn.keras", only)
