"""A file is replaced whole or not at all, whatever happens meanwhile."""

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

from kmagic.persistence import atomic
from kmagic.persistence.atomic import replacing
from kmagic.persistence.formats import as_path, target
from kmagic.support.errors import PersistenceError

OLD, NEW = "the old file", "the new file"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "cnn.keras"
    path.write_text(OLD)
    return path


def attempt(path: Path, work: Callable[[Path], Any], **settings: Any) -> None:
    with replacing(path, ".keras", **settings) as part:
        work(part)


def never(part: Path) -> None:
    pytest.fail(f"it was let in: {part}")


def failing(error: BaseException) -> Callable[[Path], None]:
    def work(part: Path) -> None:
        part.write_text(NEW[:4])
        raise error

    return work


def litter(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(".")]


def test_a_file_is_replaced_at_the_end(place: Path) -> None:
    with replacing(place, ".keras", force=True) as part:
        assert part.name.endswith(".keras")
        assert part.parent == place.parent
        part.write_text(NEW)
        assert place.read_text() == OLD
    assert place.read_text() == NEW
    assert litter(place.parent) == []


def test_without_force_a_file_stays_and_its_age_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KMAGIC_DISPLAY", raising=False)
    os.utime(place, (1000.0, 1000.0))
    with pytest.raises(PersistenceError) as caught:
        attempt(place, never, now=lambda: 1000.0 + 7300)
    assert caught.value.message == f"{place} is there already: 12 bytes, written 2 hours ago."
    assert caught.value.remedy.startswith("--force (in Python: force=True) replaces it")
    assert place.read_text() == OLD


def test_where_it_must_read_the_same_each_time_neither_size_nor_age_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    with pytest.raises(PersistenceError) as caught:
        attempt(place, never)
    assert caught.value.message == f"{place.name} is there already."
    assert place.read_text() == OLD


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "cnn.keras"
    with pytest.raises(PersistenceError, match="is there already"):
        attempt(path, lambda part: (part.write_text(NEW), path.write_text(OLD)))
    assert path.read_text() == OLD
    assert litter(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_is_raised_leaves_the_old_file(place: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt(place, failing(error), force=True)
    assert place.read_text() == OLD
    assert litter(place.parent) == []


def test_folders_are_made_and_taken_away_again(tmp_path: Path) -> None:
    path = tmp_path / "models" / "today" / "cnn.keras"
    with pytest.raises(ValueError, match="bad"):
        attempt(path, failing(ValueError("bad")))
    assert not (tmp_path / "models").exists()
    with replacing(path, ".keras") as part:
        part.write_text(NEW)
    assert path.read_text() == NEW


def test_a_link_stays_a_link(place: Path) -> None:
    link = place.with_name("latest.keras")
    link.symlink_to(place.name)
    with replacing(link, ".keras", force=True) as part:
        part.write_text(NEW)
    assert link.is_symlink()
    assert place.read_text() == NEW


def test_its_permissions_stay(place: Path) -> None:
    place.chmod(0o640)
    with replacing(place, ".keras", force=True) as part:
        part.write_text(NEW)
    assert place.stat().st_mode & 0o777 == 0o640


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PersistenceError, match="is a folder") as caught:
        attempt(tmp_path, never, force=True)
    assert caught.value.remedy == f"Name a file in it: {tmp_path}/model.keras"


def test_a_file_on_the_way_is_said(place: Path) -> None:
    with pytest.raises(PersistenceError) as caught:
        attempt(place / "a" / "b.keras", never)
    assert f"{place} is a file, not a folder" in caught.value.message


REFUSALS = {
    errno.ENOSPC: "because the disk is full",
    errno.EDQUOT: "because your share of it is used up",
    errno.EFBIG: "files may not become so large here",
    errno.EACCES: "you have no permission to write into",
    errno.EROFS: "that disk can only be read",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize(("number", "words"), REFUSALS.items())
@pytest.mark.parametrize("library", [False, True], ids=["python", "hdf5"])
def test_what_the_disk_refuses_is_said(
    place: Path, number: int, words: str, *, library: bool
) -> None:
    error: Exception = OSError(number, os.strerror(number))
    if library:  # as h5py tells it
        error = OSError(f"cannot write (errno = {number}, error message = '...')")
    with pytest.raises(PersistenceError) as caught:
        attempt(place, failing(error), force=True)
    assert words in caught.value.message
    assert "Nothing was changed" in caught.value.remedy
    assert place.read_text() == OLD
    assert litter(place.parent) == []


# --- other processes --------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from kmagic.persistence.atomic import replacing
with replacing(Path(sys.argv[1]), ".keras", force=True) as part:
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


def test_a_kill_leaves_the_old_file_and_the_next_writer_cleans_up(place: Path) -> None:
    assert run(KILLED, place).returncode == -signal.SIGKILL
    assert place.read_text() == OLD
    assert len(litter(place.parent)) == 1
    with replacing(place, ".keras", force=True) as part:
        part.write_text(NEW)
    assert place.read_text() == NEW
    assert litter(place.parent) == []


def test_parts_of_those_who_live_or_are_elsewhere_stay(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replacing(place, ".keras", force=True) as mine:
        mine.write_text("mine")
        with replacing(place.with_name("other.keras"), ".keras") as other:
            other.write_text(NEW)
        assert mine.exists()
        mine.write_text(NEW)
    run(KILLED, place)
    monkeypatch.setattr(atomic, "_host", lambda: "elsewhere")
    with replacing(place, ".keras", force=True) as part:
        part.write_text(NEW)
    assert len(litter(place.parent)) == 1


KILLED_SAVE = """
import os, signal, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, kmagic
from kmagic.persistence import model_writing
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)], name="net")
def kill(part, baggage):
    assert os.path.getsize(part) > 1000, "Keras has written its part"
    os.kill(os.getpid(), signal.SIGKILL)
model_writing.put_into_zip = kill
kmagic.save(model, sys.argv[1], force=True)
"""


def test_a_kill_in_the_middle_of_a_save(place: Path) -> None:
    assert run(KILLED_SAVE, place).returncode == -signal.SIGKILL
    assert place.read_text() == OLD
    attempt(place.with_name("other.keras"), lambda part: part.write_text(NEW))
    assert litter(place.parent) == []


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


def test_no_room_leaves_the_old_files(tmp_path: Path) -> None:
    places = [tmp_path / f"net{suffix}" for suffix in (".keras", ".h5", ".weights.h5")]
    for path in places:
        path.write_text(OLD)
    done = run(FULL, *places)
    told = done.stdout.splitlines()
    assert told[-1] == "alive", done.stderr
    assert told[:-1] == [
        f"{path} was not written: files may not become so large here." for path in places
    ]
    assert [path.read_text() for path in places] == [OLD] * 3
    assert litter(tmp_path) == []


# --- names ------------------------------------------------------------------------------------


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/cnn.keras") == tmp_path / "cnn.keras"
    with pytest.raises(PersistenceError, match="is in the home of a user who is not here"):
        as_path("~nobody-of-that-name/cnn.keras")


@pytest.mark.parametrize("path", ["", "  ", 3, None, b"x.keras", "a\0b.keras"])
def test_no_path(path: Any) -> None:
    with pytest.raises(PersistenceError, match="expected a path"):
        as_path(path)


NO_KIND = """\
{} does not end in a kind of file that holds a model.

{}Names end in one of:
  .weights.h5  the weights alone
  .keras       the whole model
  .h5          the whole model, as older Keras reads it
  .json        the architecture, as Keras writes it
  .kmagic      the model's text"""
OTHER = """\
cnn.h5 would hold the whole model, as older Keras reads it, not the weights alone.

Name it cnn.weights.h5, or only cnn."""
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "unknown": (
        lambda: target("models/cnn.kears"),
        NO_KIND.format("cnn.kears", "Did you mean cnn.keras? "),
    ),
    "no end": (lambda: target("cnn"), NO_KIND.format("cnn", "")),
    "other": (lambda: target("cnn.h5", "weights"), OTHER),
}


@pytest.mark.parametrize(("asked", "words"), WRONG.values(), ids=WRONG)
def test_an_end_that_says_something_else(asked: Callable[[], Any], words: str) -> None:
    with pytest.raises(PersistenceError) as caught:
        asked()
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("given", "only", "name"),
    [
        ("cnn", "weights", "cnn.weights.h5"),
        ("cnn.v2", "json", "cnn.v2.json"),
        ("cnn.weights.h5", "weights", "cnn.weights.h5"),
        ("cnn", "text", "cnn.kmagic"),
    ],
)
def test_an_end_is_added(given: str, only: Any, name: str) -> None:
    assert target(given, only)[0].name == name
