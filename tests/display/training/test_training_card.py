from __future__ import annotations

import io
import itertools
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from kmagic.display.training.run_displays import LogLines
from kmagic.display.training.training_card import (
    epoch_line,
    heading_line,
    metric_columns,
    progress_line,
    run_charts,
    summary_line,
    table_rows,
    training_bundle,
)
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.run_history import downsampled_curves
from kmagic.training.run.training_run import Epoch, Message, TrainingRun

from ...clocks import Clock


def simulated(
    epochs: int = 8,
    *,
    upto: tuple[int, int] | None = None,
    steps: int = 10,
    metrics: tuple[str, ...] = ("accuracy",),
    validation: bool = True,
    name: str = "cnn",
    displays: tuple[LogLines, ...] = (),
    batch: float = 0.1,
) -> TrainingRun:
    """A run whose figures follow a rule; ``upto`` leaves it in that epoch, after that batch."""
    clock = Clock()
    run = TrainingRun(name, epochs=epochs, steps=steps, batch_size=64, samples=steps * 64)
    recorder = Recorder(run, displays, clock=clock)
    recorder.begin()
    for number in range(1, epochs + 1):
        recorder.begin_epoch(number, 0.001)
        logs: dict[str, float] = {}
        for done in range(1, steps + 1):
            clock.now += batch
            x = number - 1 + done / steps
            logs = {metric: 1 - 0.5 * math.exp(-x) for metric in metrics}
            logs["loss"] = 2 * math.exp(-x)
            recorder.end_batches(done, logs)
            if upto == (number, done):
                return run
        if validation:
            logs |= {f"val_{metric}": 1 - 0.6 * math.exp(-number) for metric in metrics}
            logs["val_loss"] = 0.1 + abs(number - 5) / 10
        recorder.end_epoch(logs)
    recorder.end("done")
    return run


class Reader(HTMLParser):
    """What a reader of the card finds: cells, words, pictures; and whether all tags are closed."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.cells: list[list[tuple[str, str]]] = []
        self.pictures: list[dict[str, str | None]] = []
        self.words = ""
        self.open: list[tuple[str, str]] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(found)
        if tag in ("img", "wbr"):  # these have no end
            return
        self.open.append((tag, found.get("style") or ""))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append(("", found.get("style") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a drawing; nothing to read in it."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "style" in tags:
            return
        if not any("display:none" in style for _, style in self.open):
            self.words += data
        if {"td", "th"} & set(tags):
            text, style = self.cells[-1][-1]
            self.cells[-1][-1] = (text + data, style)

    @property
    def rows(self) -> list[list[str]]:
        return [[text for text, _ in row] for row in self.cells]


def untrusted(markup: str) -> str:
    """The card as JupyterLab shows it where it does not trust it: no style sheet, no SVG tags.

    The words within an SVG stay, as plain text.
    """
    markup = re.sub(r"<style>[\s\S]*?</style>", "", markup)
    tags = "svg|g|line|polyline|path|text|circle"
    return re.sub(rf"</?(?:{tags})\b[^>]*>", "", markup)


# --- the card -------------------------------------------------------------------------------------


def test_the_text_contains_the_same_as_the_card() -> None:
    run = simulated(3)
    made = training_bundle(run)
    assert set(made) == {"text/plain", "text/html"}
    words = "cnn: 3 epochs in 0:03; best epoch 3, val_loss 0.3000"
    assert repr(run) == words
    figures = ", loss 0.0996, accuracy 0.9751, val_accuracy 0.9701"
    assert made["text/plain"] == words + figures
    card = Reader(made["text/html"])
    assert "3 epochs in 0:03; best epoch 3, val_loss 0.3000" in card.words
    assert "640 samples, batch size 64 · learning rate 0.001 · 640 samples/s" in card.words


def test_the_text_contains_the_messages_unless_static() -> None:
    run = simulated(3)
    run.messages[:] = [Message(0, "cnn was not compiled."), Message(2, "stopped early.")]
    told = training_bundle(run)["text/plain"].splitlines()
    assert told[1:] == ["cnn was not compiled.", "epoch 2: stopped early."]
    assert len(training_bundle(run, times=False)["text/plain"].splitlines()) == 1
    run.messages[:] = [Message(0, f"note {each}") for each in range(100)]
    told = training_bundle(run)["text/plain"].splitlines()
    assert told[1] == "94 earlier in run.messages"
    assert told[-1] == "note 99"


def test_the_summary_is_of_the_best_epoch_or_of_the_last_one() -> None:
    assert summary_line(simulated(8), times=False) == (
        "cnn: 8 epochs; best epoch 5, val_loss 0.1000, "
        "loss 0.0135, accuracy 0.9966, val_accuracy 0.9960"
    )
    alone = simulated(2, validation=False)
    assert summary_line(alone, times=False) == "cnn: 2 epochs; loss 0.2707, accuracy 0.9323"
    assert summary_line(TrainingRun("cnn")) == repr(TrainingRun("cnn"))


def test_one_row_per_epoch_and_the_best_is_bold() -> None:
    card = Reader(training_bundle(simulated(6))["text/html"])
    assert card.rows[0] == ["epoch", "loss", "val_loss", "accuracy", "val_accuracy", "time"]
    assert card.rows[5] == ["5", "0.0135", "0.1000", "0.9966", "0.9960", "1.0 s"]
    assert [row[0] for row in card.rows[1:]] == list("123456")
    bold = [row[0][0] for row in card.cells if "font-weight:600" in row[0][1]]
    assert bold == ["5"]


def test_messages_are_listed_below_the_charts_and_marked_on_their_axis() -> None:
    run = simulated(6)
    run.messages += [Message(0, "<b>no</b>"), Message(3, "one"), Message(3, "two")]
    (loss, _) = run_charts(run)
    assert loss.notes == [0, 3]
    card = Reader(training_bundle(run)["text/html"])
    for words in ("<b>no</b>", "epoch 3: one", "epoch 3: two"):
        assert words in card.words
    run.messages *= 4
    assert "6 earlier in run.messages" in Reader(training_bundle(run)["text/html"]).words


def test_of_many_epochs_first_best_and_last_have_a_row() -> None:
    run = simulated(100, steps=2)
    numbers = [epoch.number if epoch else None for epoch in table_rows(run)]
    assert numbers == [1, 2, None, 5, None, 96, 97, 98, 99, 100]
    assert [epoch and epoch.number for epoch in table_rows(run, first=0, last=3)] == [
        5,
        None,
        98,
        99,
        100,
    ]
    assert len(Reader(training_bundle(run)["text/html"]).rows) == 11
    # A row that would stand for one epoch is that epoch.
    near = simulated(8, steps=2)
    assert [epoch and epoch.number for epoch in table_rows(near)] == list(range(1, 9))


def test_without_times_the_same_run_gives_the_same_card() -> None:
    quick, slow = simulated(3), simulated(3, batch=0.7)
    assert training_bundle(quick, times=False) == training_bundle(slow, times=False)
    assert training_bundle(quick) != training_bundle(slow)
    assert "0:0" not in training_bundle(quick, times=False)["text/html"]
    assert "samples/s" not in training_bundle(quick, times=False)["text/html"]


KEY = re.compile(r'<div class="km-run-charts (km-[0-9a-f]{10})"')


def test_a_trusted_card_shows_drawings_and_hides_images() -> None:
    markup = training_bundle(simulated(3))["text/html"]
    assert markup.count('<svg class="km-chart"') == markup.count("<img ") == 2
    (key,) = KEY.findall(markup)
    assert f".{key} .km-fallback{{display:none}}" in markup
    assert f".{key} .km-inline{{display:block!important}}" in markup


LOSS = "training from 0.7358 to 0.0996, validation from 0.5000 to 0.3000"
ACCURACY = "training from 0.8161 to 0.9751, validation from 0.7793 to 0.9701"


def test_an_untrusted_card_shows_the_images_only() -> None:
    markup = untrusted(training_bundle(simulated(3))["text/html"])
    card = Reader(markup)
    assert [picture["alt"] for picture in card.pictures] == [
        "loss: " + LOSS + ", epoch 3: best 0.3000",
        "accuracy: " + ACCURACY + ", epoch 3: 0.9701",
    ]
    for picture in card.pictures:
        kind, _, data = (picture["src"] or "").partition(",")
        assert kind == "data:image/svg+xml"
        root = ET.fromstring(unquote(data))  # noqa: S314 - our own text
        assert root.get("width") == picture["width"]
    # The texts of the drawings are left without their tags, but out of sight.
    assert "validation" not in card.words


def test_two_cards_in_one_page_do_not_share_their_rule() -> None:
    cards = (training_bundle(simulated(n))["text/html"] for n in (2, 3, 4))
    keys = {KEY.findall(card)[0] for card in cards}
    assert len(keys) == 3


LONG = ("a_metric_with_quite_a_long_name",)
MANY = tuple(f"metric_number_{n}" for n in range(12))


@pytest.mark.parametrize(
    ("epochs", "metrics", "limit"),
    [
        (8, ("accuracy",), 20_000),
        (12, MANY[:5], 30_000),
        (41, LONG, 20_000),
        (3000, MANY, 60_000),
        (10_000, ("accuracy",), 20_000),
    ],
)
def test_the_card_stays_small(epochs: int, metrics: tuple[str, ...], limit: int) -> None:
    run = simulated(epochs, steps=2, metrics=metrics)
    assert len(training_bundle(run)["text/html"].encode()) <= limit
    run.earlier = [downsampled_curves(run)] * 3
    run.messages += [
        Message(number, "a checkpoint was saved in best.keras") for number in range(99)
    ]
    assert len(training_bundle(run)["text/html"].encode()) <= limit + 10_000


def test_noise_takes_little_room() -> None:
    run, rng = TrainingRun("cnn", epochs=200), np.random.default_rng(0)
    for number in range(1, 201):
        logs = {"loss": 0.0, "val_loss": 0.0} | {
            f"{part}{name}": 0.0 for name in MANY[:5] for part in ("", "val_")
        }
        run.add(Epoch(number, {key: float(rng.normal()) for key in logs}, 1.0))
    run.status = "done"
    assert len(training_bundle(run)["text/html"].encode()) <= 55_000


def test_metrics_without_a_finite_value_have_no_chart() -> None:
    run = TrainingRun("cnn", epochs=3)
    for number in (1, 2):
        logs = {"loss": math.nan, "val_loss": math.inf, "accuracy": 0.5, "val_accuracy": 0.4}
        run.add(Epoch(number, logs, 1.0))
    run.now.epoch = 2
    assert len(run_charts(run)) == 2
    run.status = "failed"
    assert [chart.title for chart in run_charts(run)] == ["accuracy"]
    run.log[:] = [Epoch(1, {"loss": math.nan}, 1.0)]
    assert "<svg" not in training_bundle(run)["text/html"]


def test_omitted_metrics_are_counted() -> None:
    card = Reader(training_bundle(simulated(3, metrics=MANY))["text/html"])
    assert "1 more metric in run.history" in card.words
    assert len(card.rows[0]) == 2 + 2 * 12
    assert len(card.pictures) == 12


def test_names_are_text() -> None:
    evil = "<script>alert(1)</script>\"'</style>&\u202e"
    markup = training_bundle(simulated(3, name=evil, metrics=(evil,)))["text/html"]
    assert "<script" not in markup
    assert markup.count("</style>") == 2
    card = Reader(markup)
    shown = evil.replace("\u202e", r"\u202e")
    assert shown in card.words
    assert shown in card.rows[0]


@pytest.mark.parametrize("where", [(1, 3), (1, 10), (4, 6)])
def test_a_running_training_has_a_progress_bar(where: tuple[int, int]) -> None:
    run = simulated(8, upto=where)
    markup = training_bundle(run)["text/html"]
    share = 100 * ((where[0] - 1) * 10 + where[1]) / 80
    assert f'aria-label="{share:.0f} % trained"' in markup
    assert f"epoch {where[0]} of 8, batch {where[1]} of 10" in Reader(markup).words
    assert "running" not in Reader(markup).words


@pytest.mark.parametrize("status", ["stopped", "interrupted", "failed"])
def test_a_run_that_never_began(status: str) -> None:
    run = TrainingRun("cnn", epochs=3)
    run.status = status  # type: ignore[assignment]
    card = Reader(training_bundle(run)["text/html"])
    assert f"{status} before the first batch" in card.words
    assert not card.pictures
    assert not card.rows


# --- the curves -----------------------------------------------------------------------------------


def test_the_current_epoch_has_its_own_curve() -> None:
    run = simulated(8, upto=(4, 6))
    loss, accuracy = run_charts(run)
    assert [each.title for each in (loss, accuracy)] == ["loss", "accuracy"]
    kinds = {each.kind: each for each in loss.lines}
    assert [x for x, _ in kinds["train"].points] == [1, 2, 3]
    assert [x for x, _ in kinds["batches"].points] == pytest.approx(
        [3, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]
    )
    assert (kinds["batches"].label, kinds["train"].label) == ("training", "")
    assert (loss.start, loss.end) == (1, 8)
    assert loss.mark == (3, "best 0.3000")
    assert accuracy.mark is not None
    assert not accuracy.mark[1].startswith("best")


def test_a_single_epoch_is_shown_by_its_inner_curve() -> None:
    (loss, _) = run_charts(simulated(1))
    course, train, val = loss.lines
    assert (loss.start, loss.end) == (0, 1)
    assert len(course.points) == 10
    assert course.points[-1] == train.points[0] == (1, pytest.approx(2 / math.e))
    assert val.points == [(1, 0.5)]


def test_the_first_batches_do_not_set_the_scale() -> None:
    run = simulated(8, upto=(4, 6), steps=100)
    wild = TrainingRun("cnn", epochs=8, steps=100)
    wild.log, wild.now, wild.epoch_curves = run.log, run.now, run.epoch_curves
    first = run.epoch_curves["loss"].points()[0]
    assert first[0] == pytest.approx(3.01)
    loss = run_charts(wild)[0]
    assert first[1] not in loss.scale
    assert all(x % 1 > 0.03 or x == 3 for x, _ in loss.lines[0].points)


def test_without_validation_there_is_no_best_and_no_label() -> None:
    (loss, _) = run_charts(simulated(3, validation=False))
    assert loss.mark is None
    assert [each.label for each in loss.lines] == ["", ""]
    assert metric_columns(simulated(3, validation=False)) == ["loss", "accuracy"]


def test_values_that_are_not_finite_are_harmless() -> None:
    run = TrainingRun("cnn", epochs=3)
    for number, loss in enumerate((1.0, math.nan, math.inf), 1):
        run.add(Epoch(number, {"loss": loss, "val_loss": loss}, 1.0))
        run.now.epoch = number
    run.status = "done"
    card = Reader(training_bundle(run)["text/html"])
    assert [row[1] for row in card.rows[1:]] == ["1.0000", "nan", "inf"]
    assert len(card.pictures) == 1


# --- lines ----------------------------------------------------------------------------------------


def test_the_lines_of_a_log() -> None:
    stream = io.StringIO()
    simulated(2, displays=(LogLines(stream),))
    assert stream.getvalue().splitlines() == [
        "cnn: 2 epochs of 10 batches, 640 samples",
        "epoch 1 of 2  loss 0.7358  val_loss 0.5000  accuracy 0.8161  val_accuracy 0.7793  1.0 s",
        "epoch 2 of 2  loss 0.2707  val_loss 0.4000  accuracy 0.9323  val_accuracy 0.9188  1.0 s",
        f"{simulated(2)!r}, loss 0.2707, accuracy 0.9323, val_accuracy 0.9188",
    ]


def test_thousands_of_epochs_give_few_log_lines() -> None:
    stream = io.StringIO()
    simulated(3000, steps=2, batch=0.01, displays=(LogLines(stream),))
    lines = stream.getvalue().splitlines()
    assert 50 <= len(lines) <= 70  # a minute
    assert lines[1].startswith("epoch     1 of 3,000")
    assert lines[-2].startswith("epoch 3,000 of 3,000")


class Terminal(io.StringIO):
    """A stream that can move its cursor."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_line_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    simulated(2, displays=(LogLines(stream),))
    assert stream.getvalue().count("\n") == 4
    moving = [part for part in stream.getvalue().split("\r") if "\n" not in part]
    assert len(moving) > 10
    assert all(len(part) <= 59 for part in moving)
    assert moving[5].startswith("epoch 1 of 2, batch 5 of 10  loss 1.2131  accuracy 0.6967")
    # Each line wipes out what stood there before.
    for before, after in itertools.pairwise(moving):
        assert len(after) >= len(before.rstrip())


def test_a_given_stream_is_used() -> None:
    run = simulated(8, upto=(4, 6))
    assert heading_line(run) == "cnn: 8 epochs of 10 batches, 640 samples"
    assert heading_line(TrainingRun("m", epochs=1)) == "m: 1 epoch"
    assert epoch_line(run.log[0], run).startswith("epoch 1 of 8  loss 0.7358")
    assert progress_line(run).endswith("0:03, about 0:05 left")
