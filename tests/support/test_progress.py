from __future__ import annotations

import io

import pytest

from kmagic.display.kit import progress_bar as display
from kmagic.support.progress import Progress

from ..clocks import Clock


class Watcher:
    def __init__(self):
        self.seen, self.closed = [], 0

    def update(self, progress):
        self.seen.append(progress.to_text())

    def close(self):
        self.closed += 1


def work(total=1000, unit="pictures"):
    clock, watcher = Clock(), Watcher()
    return Progress(total, unit, clock=clock, open_view=lambda: watcher), clock, watcher


def test_a_short_work_shows_nothing():
    progress, clock, watcher = work(10)
    with progress:
        for _ in range(10):
            clock.now += 0.05
            progress.advance()
    assert (watcher.seen, watcher.closed) == ([], 0)


def test_a_long_work_is_seen_five_times_a_second_and_goes():
    progress, clock, watcher = work()
    with progress:
        for _ in range(100):
            clock.now += 0.125  # in binary it is exact
            progress.advance(10)
    assert watcher.seen[0] == "80 of 1,000 pictures · 0:01 · about 0:12 left"
    assert len(watcher.seen) == 46
    assert watcher.closed == 1


def test_an_error_takes_the_view_away_too():
    progress, clock, watcher = work()

    def interrupted():
        with progress:
            clock.now = 2.0
            progress.advance(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert watcher.closed == 1


def test_what_is_done_once_does_not_spoil_the_forecast():
    progress, clock, _ = work(100)
    assert progress.remaining is None
    clock.now = 50.0
    progress.advance(10)
    assert progress.remaining == 450.0
    clock.now = 51.0
    progress.advance(10)
    assert progress.remaining == pytest.approx(8.0)


def test_without_a_view_it_still_counts():
    progress = Progress(0)
    assert progress.fraction == 1.0
    clock = Clock()
    progress = Progress(2, clock=clock, open_view=lambda: None)
    clock.now = 5.0
    progress.advance()
    assert progress.to_text() == "1 of 2 samples · 0:05 · about 0:05 left"


def test_the_bar_says_its_words_to_a_screen_reader_too():
    progress, clock, _ = work()
    clock.now = 4.0
    progress.unit = "<b>pictures</b>"
    progress.advance(250)
    shown = display.progress_bundle(progress)
    assert shown["text/plain"] == "250 of 1,000 <b>pictures</b> · 0:04 · about 0:12 left"
    assert 'role="progressbar"' in shown["text/html"]
    assert 'aria-valuenow="25"' in shown["text/html"]
    assert "<b>" not in shown["text/html"]


def test_a_terminal_has_one_line_that_moves():
    stream = io.StringIO()
    line = display.ProgressLine(stream)
    progress, clock, _ = work()
    clock.now = 1.0
    progress.advance(500)
    line.update(progress)
    line.close()
    assert stream.getvalue().split("\r")[1].startswith("500 of 1,000 pictures · 0:01")
    assert stream.getvalue().split("\r")[2].strip() == ""


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("widget", display.ProgressBar),
        ("html", display.ProgressBar),
        ("log", type(None)),
        ("none", type(None)),
    ],
)
def test_the_surroundings_choose(how, kind):
    assert isinstance(display.progress_view(how), kind)
