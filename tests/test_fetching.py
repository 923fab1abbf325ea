from __future__ import annotations

import contextlib
import io
import sys

import pytest

from kmagic.data.fetching import Listener, listening
from kmagic.progress import Progress


class View:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.closed = False

    def update(self, progress: Progress) -> None:
        sys.stdout.write("a view may write\n")
        self.words.append(progress.words().split(" · ")[0])

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

    stream = Listener(make)
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
    with contextlib.redirect_stdout(outside), listening():
        sys.stdout.write("Downloading data from https://example.org/1/2.npz\n3/Unknown")
    assert outside.getvalue() == ""
