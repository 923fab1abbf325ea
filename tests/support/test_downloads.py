"""What Keras fetches, by a server of our own: shown, given up in time, explained."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import socket
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from urllib.error import URLError

import h5py
import pytest

from kmagic.data import keras_datasets
from kmagic.evaluation.classification import applications
from kmagic.support import downloads
from kmagic.support.downloads import CachedFile, ProgressReader, path_of, show_download_progress
from kmagic.support.errors import DataError, EvaluationError
from kmagic.support.progress import Progress

from ..servers import no_server, serving

BODY = bytes(range(256)) * 12_000  # three megabytes


class View:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.closed = False

    def update(self, progress: Progress) -> None:
        sys.stdout.write("a view may write\n")
        self.words.append(progress.to_text().split(" · ")[0])

    def close(self) -> None:
        self.closed = True


def test_keras_own_bar_becomes_ours(capsys: pytest.CaptureFixture[str]) -> None:
    from keras.utils import Progbar

    views: list[View] = []
    ticks = iter(range(1_000_000))

    def open_view() -> View:
        views.append(View())
        return views[-1]

    def make(total: int, unit: str) -> Progress:
        return Progress(total, unit, clock=lambda: float(next(ticks)), open_view=open_view)

    stream = ProgressReader(make)
    with contextlib.redirect_stdout(stream):
        for total in (170_498_071, 9_900_000):
            bar = Progbar(total)
            bar.interval = 0
            for done in range(0, total, 2_000_000):
                bar.update(done)
            bar.update(total)
    stream.finish()
    assert [view.closed for view in views] == [True, True]
    assert views[0].words[-1] == "168 of 170 MB"
    assert views[0].words == sorted(views[0].words, key=lambda words: int(words.split()[0]))
    assert views[1].words[-1] == "9 of 10 MB"
    said = capsys.readouterr().out
    assert set(said.splitlines()) == {"a view may write"}


def test_nothing_that_keras_prints_reaches_the_notebook() -> None:
    outside = io.StringIO()
    with contextlib.redirect_stdout(outside), show_download_progress():
        sys.stdout.write("Downloading data from https://example.org/1/2.npz\n3/Unknown")
    assert outside.getvalue() == ""


# --- datasets and weights alike ------------------------------------------------------------------


def data(file: CachedFile) -> None:
    keras_datasets.load_through_keras([file], lambda: get(file))


def weights(file: CachedFile) -> None:
    with applications.load_pretrained("the weights"):
        get(file)


def get(file: CachedFile) -> None:
    get_file = import_module("keras.utils").get_file
    get_file(file.name, file.url, file_hash=file.sha256 or None, cache_subdir=file.folder)


@pytest.fixture(params=[data, weights])
def room(request: pytest.FixtureRequest) -> Callable[[CachedFile], None]:
    """Whoever lets Keras fetch something."""
    found: Callable[[CachedFile], None] = request.param
    return found


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch, keras_models: Path) -> list[View]:
    """The views of downloads, all of which are long here; there is a network."""
    made: list[View] = []

    def view_of_here() -> View:
        made.append(View())
        return made[-1]

    monkeypatch.setenv("KMAGIC_OFFLINE", "0")
    monkeypatch.setattr("kmagic.support.progress._default_view", view_of_here)
    monkeypatch.setattr("kmagic.support.progress.DELAY", 0)
    monkeypatch.setattr("kmagic.support.progress.INTERVAL", 0)
    files = import_module("keras.src.utils.file_utils")
    monkeypatch.setattr(files, "Progbar", functools.partial(files.Progbar, interval=0))
    return made


def weights_at(address: str, sha256: str = "") -> CachedFile:
    return CachedFile("net.weights.h5", f"{address}/net.weights.h5", sha256, folder="models")


def test_a_download_shows_our_progress(
    room: Callable[[CachedFile], None], views: list[View], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(BODY) as address:
        file = weights_at(address, hashlib.sha256(BODY).hexdigest())
        room(file)
    assert path_of(file).read_bytes() == BODY
    (view,) = views
    assert list(dict.fromkeys(view.words)) == [f"{done} of 3 MB" for done in range(3)]
    assert view.closed
    assert set(capsys.readouterr().out.splitlines()) == {"a view may write"}
    assert socket.getdefaulttimeout() is None


def test_a_download_that_breaks_midway_leaves_nothing_behind(
    room: Callable[[CachedFile], None], views: list[View]
) -> None:
    with serving(BODY, missing=1_000_000) as address:
        file = weights_at(address)
        with pytest.raises((EvaluationError, keras_datasets.NotCachedError)) as caught:
            room(file)
    said = str(caught.value)
    assert (
        "Keras's cache does not contain net.weights.h5, and the download failed (retrieval inc"
        in said
    )
    assert list(path_of(file).parent.iterdir()) == []
    assert [view.closed for view in views] == [True]
    assert views[0].words[-1] == "3 of 4 MB"
    assert not isinstance(sys.stdout, ProgressReader)


@pytest.mark.usefixtures("views")
def test_what_the_server_answers_is_told(room: Callable[[CachedFile], None]) -> None:
    with (
        serving(status=404) as address,
        pytest.raises(
            (EvaluationError, keras_datasets.NotCachedError), match=r"failed \(Not Found\)"
        ),
    ):
        room(weights_at(address))


def test_a_server_that_does_not_answer_is_not_waited_for(
    room: Callable[[CachedFile], None], views: list[View]
) -> None:
    with no_server() as address:
        host = address.removeprefix("http://")
        with pytest.raises(
            (EvaluationError, keras_datasets.NotCachedError), match=f"{host} does not respon"
        ):
            room(weights_at(address))
    assert views == []


@pytest.mark.usefixtures("views")
def test_another_file_than_was_asked_for_is_told(room: Callable[[CachedFile], None]) -> None:
    with (
        serving(b"<html>") as address,
        pytest.raises(
            (EvaluationError, DataError), match=r"(could not|Cannot) read .*Incomplete or corrupted"
        ),
    ):
        room(weights_at(address, "0" * 64))


def read(file: CachedFile) -> None:
    if not path_of(file).exists():
        get(file)
    h5py.File(path_of(file))


@pytest.mark.usefixtures("views")
def test_weights_that_cannot_be_read_are_told_with_their_place() -> None:
    with serving(b"no weights") as address:
        file = weights_at(address)
        # Only of a file that was fetched its name is known.
        for where in (path_of(file), path_of(file).parent):
            said = f"Cannot read the weights from {where}: "
            with (
                pytest.raises(EvaluationError, match=said),
                applications.load_pretrained("the weights"),
            ):
                read(file)


def test_an_interrupt_goes_through(
    room: Callable[[CachedFile], None], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_view: View, _progress: Progress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(View, "update", interrupted)
    with serving(BODY) as address:
        file = weights_at(address)
        with pytest.raises(KeyboardInterrupt):
            room(file)
    assert list(path_of(file).parent.iterdir()) == []
    assert [view.closed for view in views] == [True]
    assert socket.getdefaulttimeout() is None


# --- whether anybody answers ----------------------------------------------------------------------


def test_any_answer_is_an_answer() -> None:
    with serving(status=403) as address:
        assert downloads.is_reachable(address)


def test_a_closed_port_is_no_answer() -> None:
    with no_server() as address:
        assert not downloads.is_reachable(address)


def test_silence_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not downloads.is_reachable(
            f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2
        )


def test_a_slow_name_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def resolving(*_: object, **__: object) -> None:
        released.wait()
        raise URLError("no such name")

    monkeypatch.setattr(downloads, "urlopen", resolving)
    assert not downloads.is_reachable("http://127.0.0.1/", timeout=0.05)
    released.set()


def test_offline_by_the_users_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("1", True), ("yes", True), ("0", False), ("", False)):
        monkeypatch.setenv("KMAGIC_OFFLINE", value)
        assert downloads.is_offline() is expected
