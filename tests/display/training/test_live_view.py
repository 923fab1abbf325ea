from __future__ import annotations

import json
import math
import os
import queue
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from kmagic.display.training import live_view
from kmagic.display.training.live_view import LiveView
from kmagic.display.training.run_displays import FinalCard, LogLines, UpdatedCard, displays_for
from kmagic.display.training.training_card import training_bundle
from kmagic.display.training.widget_feed import CURVE_POINTS, MAX_MESSAGES, WidgetFeed
from kmagic.support.display_mode import DisplayMode, display_mode
from kmagic.support.errors import KmagicError
from kmagic.support.rendering import display_result
from kmagic.training.run.recorder import Recorder
from kmagic.training.run.training_run import Epoch, Message, TrainingRun

Json = dict[str, Any]

# --- where results are shown ----------------------------------------------------------------------


class Kernel:
    """What a kernel lets one know of the cell that it runs."""

    def __init__(self, *, watched: bool) -> None:
        self.watched = watched

    def get_parent(self, channel: str) -> Json:
        assert channel == "shell"
        return {"content": {"allow_stdin": self.watched}}


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (None, "text"),
        (Kernel(watched=True), "widget"),
        (Kernel(watched=False), "log"),
        (object(), "widget"),  # some other kernel, of which nothing is known
    ],
)
def test_the_environment_selects_the_display(
    monkeypatch: pytest.MonkeyPatch, kernel: object, expected: str
) -> None:
    monkeypatch.setattr("kmagic.support.display_mode.running_kernel", lambda: kernel)
    assert display_mode() == expected


def test_the_environment_variable_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMAGIC_DISPLAY", " Static ")
    assert display_mode() == "static"
    monkeypatch.setenv("KMAGIC_DISPLAY", "fax")
    with pytest.raises(KmagicError, match="'fax'") as caught:
        display_mode()
    assert "widget, html, log, text, static, none" in caught.value.message


def test_every_mode_has_its_displays() -> None:
    kinds = {how: [type(view) for view in displays_for(how)] for how in get_args(DisplayMode)}
    assert kinds == {
        "widget": [LiveView],
        "html": [UpdatedCard],
        "log": [LogLines, FinalCard],
        "text": [LogLines],
        "static": [FinalCard],
        "none": [],
    }


# --- what the browser is told ---------------------------------------------------------------------


def add(run: TrainingRun, loss: float) -> None:
    number = len(run.log) + 1
    run.add(Epoch(number, {"loss": loss, "val_loss": 2 * loss}, 1.0))
    run.now.epoch = number


class Page:
    """A view as in live_view.js: a snapshot, and the updates that follow it without a gap."""

    def __init__(self, snapshot: Json) -> None:
        self.state = json.loads(json.dumps(snapshot, allow_nan=False))

    def hear(self, news: Json) -> None:
        news = json.loads(json.dumps(news, allow_nan=False))
        if news["seq"] != self.state["seq"] + 1:
            return
        curves = news.pop("curves", {})
        tail = news.pop("current_epoch")
        self.state |= news
        if curves:
            self.state["current_epoch"] = {}
        for known, more in ((self.state["curves"], curves), (self.state["current_epoch"], tail)):
            for key, points in more.items():
                known.setdefault(key, []).extend(points)


def test_snapshot_and_changes_give_the_same_state() -> None:
    run = TrainingRun("cnn", epochs=50)
    feed = WidgetFeed(run)
    page = Page(feed.snapshot())
    for number in range(1, 41):
        add(run, 1 / number)
        page.hear(feed.changes())
    whole = Page(feed.snapshot())
    page.state["seq"] = whole.state["seq"]
    assert page.state == whole.state
    assert page.state["curves"]["val_loss"][:4] == [1, 2, 2, 1]


def test_a_page_that_missed_a_change_waits_for_the_next_snapshot() -> None:
    run = TrainingRun("cnn", epochs=9)
    feed = WidgetFeed(run)
    page = Page(feed.snapshot())
    add(run, 1.0)
    feed.changes()  # lost on the way
    add(run, 0.5)
    page.hear(feed.changes())
    assert page.state["curves"] == {}
    page = Page(feed.snapshot())
    add(run, 0.25)
    page.hear(feed.changes())
    assert page.state["curves"]["loss"] == [1, 1, 2, 0.5, 3, 0.25]


def test_changes_contain_only_what_is_new() -> None:
    run = TrainingRun("cnn", epochs=9)
    feed = WidgetFeed(run)
    feed.snapshot()
    add(run, 1.0)
    assert feed.changes()["curves"] == {"loss": [1, 1.0], "val_loss": [1, 2.0]}
    run.now.batch = 7
    later = feed.changes()
    assert set(later) == {"seq", "header", "current_epoch"}
    assert len(json.dumps(later)) < 400


def test_messages_are_sent_when_there_are_new_ones() -> None:
    run = TrainingRun("cnn", epochs=9)
    run.add_message("pixels go from 0 to 255")
    feed = WidgetFeed(run)
    assert feed.snapshot()["messages"] == [[0, "pixels go from 0 to 255"]]
    feed.changes()
    assert "messages" not in feed.changes()
    for _ in range(100):
        add(run, 1.0)
        run.add_message("a checkpoint")
    news = feed.changes()
    assert news["message_count"] == 101
    assert len(news["messages"]) == MAX_MESSAGES
    assert news["messages"][-1] == [100, "a checkpoint"]


def test_values_that_are_not_finite_are_sent_as_null() -> None:
    run = TrainingRun("cnn", epochs=9)
    add(run, math.nan)
    add(run, math.inf)
    feed = WidgetFeed(run)
    state = Page(feed.snapshot()).state
    assert state["curves"]["loss"] == [1, None, 2, None]
    assert [row["cells"][1] for row in state["table"]["rows"]] == ["nan", "inf"]


def test_a_long_run_s_snapshot_stays_small() -> None:
    run = TrainingRun("cnn", epochs=10_000)
    feed = WidgetFeed(run)
    for number in range(10_000):
        add(run, 3.0 if number == 7_777 else math.sin(number))
    state = feed.snapshot()
    assert len(state["curves"]["loss"]) <= 2 * (CURVE_POINTS + 3)
    assert 3.0 in state["curves"]["loss"]
    assert len(json.dumps(state)) < 50_000


def test_a_million_batches_in_an_epoch_stay_small() -> None:
    run = TrainingRun("cnn", epochs=1, steps=1_000_000)
    seconds = iter(range(10**9))
    recorder = Recorder(run, [], clock=lambda: next(seconds) / 1000)
    recorder.begin()
    recorder.begin_epoch(1)
    feed = WidgetFeed(run)
    feed.snapshot()
    for batch in range(10, 1_000_001, 10):  # ten batches to an execution
        recorder.end_batches(batch, {"loss": 1e6 / batch, "accuracy": batch / 1e6})
        if batch % 100_000 == 0:
            assert len(json.dumps(feed.changes())) < 1_000
    state = feed.snapshot()
    assert state["header"]["position"] == "epoch 1 of 1, batch 1,000,000 of 1,000,000"
    assert len(json.dumps(state)) < 50_000
    assert state["current_epoch"]["accuracy"][-1] == 1.0
    assert len(training_bundle(run)["text/html"].encode()) <= 40_000


def test_head_axis_and_table() -> None:
    run = TrainingRun("cnn", epochs=4, steps=10, batch_size=8, samples=80)
    for loss in (1.0, 0.5, 0.75):
        add(run, loss)
    run.now.elapsed, run.now.left, run.now.rate = 3.21, 1.04, 10.0
    state = WidgetFeed(run, answers=True).snapshot()
    assert state["control_channel"] is True
    assert state["header"]["position"] == "epoch 3 of 4, batch 0 of 10"
    assert state["header"]["footer"] == "80 samples, batch size 8 · 80 samples/s"
    assert (state["header"]["progress"], state["header"]["remaining"]) == (0.75, 1.0)
    assert state["axis"]["best"] == {"epoch": 2, "labels": {"loss": "best 1.0000"}}
    assert (state["axis"]["start"], state["axis"]["end"]) == (1, 4)
    assert [row["best"] for row in state["table"]["rows"]] == [False, True, False]


# --- the widget, without a kernel -----------------------------------------------------------------


class Handle:
    """Stands for IPython's display handle."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def update(self, bundle: Any, **options: Any) -> None:
        assert options == {"raw": True}
        self.shown.append(bundle)


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Handle:
    made = Handle()

    def put(what: Any, **_: Any) -> Handle:
        made.shown.append(what)
        return made

    monkeypatch.setattr(live_view, "display_in_cell", put)
    return made


def test_every_tenth_update_is_a_snapshot(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainingRun("cnn", epochs=99)
    view = LiveView()
    view.prepare(run)
    sent: list[Json] = []
    monkeypatch.setattr(type(view.widget), "send", lambda _, content: sent.append(content))
    numbers = [view.widget.state["seq"]]
    for _ in range(20):
        view.update(run)
        numbers.append(view.widget.state["seq"])
    assert len(sent) == 18
    assert sorted({*numbers, *(news["seq"] for news in sent)}) == list(range(1, 22))
    assert sorted(set(numbers)) == [1, 11, 21]
    assert handle.shown == [view.widget]


def test_a_page_without_widgets_gets_the_card_beside_it(
    handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("VSCODE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(live_view, "_register_control_handlers", lambda: True)
    run = TrainingRun("cnn", epochs=9)
    view = LiveView()
    view.prepare(run)
    run.now.elapsed = live_view.MAX_SECONDS_UNSEEN
    for _ in range(live_view.CARD_EVERY):
        view.update(run)
    assert len(handle.shown) == 1  # the page still has time
    run.now.elapsed += 1
    for _ in range(live_view.CARD_EVERY):
        view.update(run)
    assert set(handle.shown[-1]) == {"text/plain", "text/html", live_view.WIDGET_VIEW}
    assert handle.shown[-1][live_view.WIDGET_VIEW]["model_id"] == view.widget.model_id
    assert not live_view.mark_seen("another")
    assert live_view.mark_seen(run.id)
    for _ in range(2 * live_view.CARD_EVERY):
        view.update(run)
    assert len(handle.shown) == 2


def test_at_the_end_a_card_replaces_the_widget(handle: Handle) -> None:
    run = TrainingRun("cnn", epochs=1)
    view = LiveView()
    view.prepare(run)
    add(run, 0.5)
    run.status = "done"
    view.end(run)
    assert view.widget.state["header"]["status"] == "done"
    assert view.widget.state["header"]["summary"].startswith("1 epoch in")
    assert "<img " in handle.shown[-1]["text/html"]
    assert not live_view.stop_run(run.id)


def test_without_ipython_only_text_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    run = TrainingRun("net", epochs=1)
    add(run, 0.5)
    FinalCard(times=False).end(run)
    display_result(run)
    said = capsys.readouterr().out
    assert said.count("val_loss 1.0000") == 2
    assert "text/html" not in said
    assert "<" not in said


def test_widgets_are_kept_for_a_while(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []

    def close(widget: Any) -> None:
        closed.append(widget)

    monkeypatch.setattr(live_view.dashboard_class(), "close", close)
    views = []
    for _ in range(live_view.MAX_OPEN_WIDGETS + 3):
        run = TrainingRun("cnn")
        views.append(LiveView())
        views[-1].prepare(run)
        run.status = "done"
        views[-1].end(run)
    assert views[-1].widget not in closed
    assert views[0].widget in closed
    assert len(live_view._ended) == live_view.MAX_OPEN_WIDGETS
    assert len(handle.shown) == 2 * len(views)


def test_the_text_of_the_widget_is_constant(handle: Handle) -> None:
    view = LiveView()
    view.prepare(TrainingRun("cnn"))
    assert repr(view.widget) == "Live view of a kmagic training (needs its kernel)"
    assert handle.shown


def test_only_a_running_training_is_stopped(handle: Handle) -> None:
    run = TrainingRun("cnn")
    view = LiveView()
    view.prepare(run)
    assert not live_view.stop_run("another")
    assert not run.stopping
    assert live_view.stop_run(run.id)
    assert run.stopping
    assert handle.shown


# --- in a kernel ----------------------------------------------------------------------------------

TRAINING = """
import time
from kmagic.display.training.run_displays import displays_for
from kmagic.training.run.training_run import TrainingRun
from kmagic.training.run.recorder import Recorder

def train(how, patience=60):
    run = TrainingRun("cnn", epochs=10**9, steps=20_000)
    recorder = Recorder(run, displays_for(how))
    deadline, status = time.monotonic() + patience, "done"
    try:
        recorder.begin()
        while time.monotonic() < deadline and not run.stopping:
            recorder.begin_epoch(len(run.log) + 1)
            for batch in range(1, 20_001):
                recorder.end_batches(batch, {"loss": 1 / batch})
            recorder.end_epoch({"loss": 1 / len(run.log or "1"), "val_loss": 1.0})
        status = "stopped" if run.stopping else "done"
    except KeyboardInterrupt:
        status = "interrupted"
    recorder.end(status)
    return run
"""
PATIENCE = 60


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(TRAINING, timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


class Cell:
    """A cell that runs, and what came out of it so far."""

    def __init__(self, client: BlockingKernelClient, code: str, *, watched: bool = True) -> None:
        self.client = client
        self.id = client.execute(code, allow_stdin=watched)
        self.messages: list[Json] = []

    def read(self) -> Json:
        message: Json = self.client.get_iopub_msg(timeout=PATIENCE)
        self.messages.append(message)
        return message

    def until(self, kind: str) -> None:
        while self.read()["msg_type"] != kind:
            pass

    def finish(self) -> None:
        while True:
            message = self.read()
            own = message["parent_header"].get("msg_id") == self.id
            if own and message["content"].get("execution_state") == "idle":
                return

    def of(self, kind: str) -> list[Json]:
        return [each["content"] for each in self.messages if each["msg_type"] == kind]


def ask_to_stop(client: BlockingKernelClient, **content: Any) -> Json:
    message = client.session.msg("kmagic_stop", content)
    client.control_channel.send(message)
    while True:
        reply: Json = client.control_channel.get_msg(timeout=PATIENCE)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return reply


@pytest.mark.parametrize(("now", "status"), [(False, "stopped"), (True, "interrupted")])
def test_a_running_cell_receives_the_control_channel(
    kernel: BlockingKernelClient, now: bool, status: str
) -> None:
    cell = Cell(kernel, "run = train('widget'); run")
    cell.until("comm_msg")  # it trains
    states = [each["data"]["state"] for each in cell.of("comm_open")]
    (state,) = (each["state"] for each in states if "state" in each)  # the other is the layout's
    assert state["control_channel"] is True
    run = state["run"]
    reply = ask_to_stop(kernel, run=run, now=now)
    assert reply["msg_type"] == "kmagic_stop_reply"
    assert reply["content"] == {"status": "ok", "stopping": True}
    cell.finish()
    # One output, and in the end it is a picture; the cell's last line does not show it again.
    (shown,) = cell.of("display_data")
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    (final,) = cell.of("update_display_data")
    assert set(final["data"]) == {"text/plain", "text/html"}
    allowed = {status, "stopped"}  # the stop, which comes first, may have ended it already
    assert final["data"]["text/plain"].removeprefix("cnn: ").split()[0] in allowed
    assert not cell.of("error")
    assert not cell.of("execute_result")
    assert ask_to_stop(kernel, run=run)["content"]["stopping"] is False


def test_at_most_ten_updates_a_second(kernel: BlockingKernelClient) -> None:
    cell = Cell(kernel, "train('widget', patience=1.05)")
    cell.finish()
    state = [each["data"].get("method") for each in cell.of("comm_msg")]
    assert 5 <= len(state) <= 14  # with the card at the end
    assert "custom" in state
    assert "update" in state


def test_html_is_replaced_in_place(kernel: BlockingKernelClient) -> None:
    cell = Cell(kernel, "train('html', patience=1.2)")
    cell.finish()
    assert not cell.of("comm_open")
    (shown,) = cell.of("display_data")
    updates = cell.of("update_display_data")
    assert 2 <= len(updates) <= 5
    assert {each["transient"]["display_id"] for each in (shown, *updates)} == {
        shown["transient"]["display_id"]
    }


def test_a_headless_notebook_gets_log_lines_and_a_card(
    kernel: BlockingKernelClient,
) -> None:
    cell = Cell(kernel, "train(None, patience=0.0)", watched=False)
    cell.finish()
    assert not cell.of("comm_open")
    text = "".join(each["text"] for each in cell.of("stream"))
    assert text.splitlines()[0] == "cnn: 1,000,000,000 epochs of 20,000 batches"
    assert "\r" not in text
    (card,) = cell.of("display_data")
    assert "text/html" in card["data"]


def test_the_kernel_s_queue_is_empty(kernel: BlockingKernelClient) -> None:
    # Nothing of a run that has ended is sent later.
    Cell(kernel, "1").finish()
    with pytest.raises(queue.Empty):
        kernel.get_iopub_msg(timeout=0.2)


def test_names_of_metrics_and_messages_are_escaped():
    run = TrainingRun("cnn", epochs=1)
    run.add(Epoch(1, {"a\x1b": 0.5, "val_a\x1b": 0.4, "loss": 1.0, "val_loss": 1.0}, seconds=1))
    run.messages.append(Message(1, "done\x1b"))
    feed = WidgetFeed(run)
    sent = json.dumps([feed.snapshot(), feed.changes(), feed.previous_runs()])
    assert "\\u001b" not in sent
    assert "val_a\\\\x1b" in sent
