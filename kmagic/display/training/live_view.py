"""The live view of a training in a notebook: a widget while it runs, a static card afterwards.

A widget does not outlive its kernel, so a card takes its place in the output at the end. The
widget's model is kept for a while: another tab, or a page reloaded during the training, may still
show it.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import deque
from functools import cache
from typing import Any

from kmagic.display.kit.assets import js_module, read_static
from kmagic.display.kit.card import Bundle
from kmagic.display.training.training_card import training_bundle
from kmagic.display.training.widget_feed import WidgetFeed
from kmagic.support.busy_kernel import answer_pages
from kmagic.support.display_mode import running_kernel
from kmagic.support.process_patches import handle_control_message
from kmagic.support.rendering import display_in_cell, mark_displayed
from kmagic.training.run.training_run import Display, TrainingRun

STOP_MESSAGE = "kmagic_stop"
SEEN_MESSAGE = "kmagic_seen"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SNAPSHOT_EVERY = 10
MAX_OPEN_WIDGETS = 8
MAX_SECONDS_UNSEEN = 4.0
"""Time that a page has to announce that it shows the widget."""
CARD_EVERY = 20

_running: dict[str, Any] = {}
_ended: deque[Any] = deque()


class LiveView(Display):
    """The dashboard widget: ten changes per second, every tenth a complete snapshot.

    A page that shows it announces that on the control channel. If none does, the card is sent
    beside the widget and replaced every two seconds: a frontend without widgets shows that.
    """

    interval = 0.1

    def __init__(self) -> None:
        self._sent = 0
        self.seen = False
        self.widget: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether the widget is in the output."""
        return self.widget is not None

    def prepare(self, run: TrainingRun) -> None:
        """Show the widget in the running cell; a further run is shown by the same widget."""
        self.run = run
        listens = add_view(run.id, self)
        self._feed = WidgetFeed(run, answers=listens)
        self.seen |= not pages_can_announce(listens=listens)
        if self.is_shown:
            self.widget.state = self._feed.snapshot()
            return
        key = uuid.uuid4().hex
        self.widget = dashboard_class()(
            model_id=key,
            view_id=key,
            state=self._feed.snapshot(),
        )
        answer_pages(running_kernel())
        self._handle = display_in_cell(self.widget, display_id=True)
        sys.stdout.flush()  # waits until the kernel's other thread has sent it

    def discard(self, run: TrainingRun) -> None:
        """Remove the widget from the output."""
        remove_view(run.id)
        self._handle.update({}, raw=True)
        self.widget.close()

    def begin(self, run: TrainingRun) -> None:  # noqa: ARG002 - the feed has it
        """Send the complete record."""
        with self.widget.hold_sync():
            self.widget.state = self._feed.snapshot()
            self.widget.previous_runs = self._feed.previous_runs()

    def update(self, run: TrainingRun) -> None:
        """Send the changes."""
        self._sent += 1
        is_late = not self.seen and run.now.elapsed > MAX_SECONDS_UNSEEN
        if is_late and self._sent % CARD_EVERY == 0:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
            self._handle.update({**training_bundle(run), WIDGET_VIEW: view}, raw=True)
        if self._sent % SNAPSHOT_EVERY:
            self.widget.send(self._feed.changes())
        else:
            self.widget.state = self._feed.snapshot()

    def end(self, run: TrainingRun) -> None:
        """Replace the widget by the card."""
        remove_view(run.id)
        self.replace(training_bundle(run))
        mark_displayed(run)

    def replace(self, card: Bundle) -> None:
        """Replace the widget by a card, in all pages."""
        with self.widget.hold_sync():
            self.widget.state, self.widget.card = self._feed.snapshot(), card
        self._handle.update(card, raw=True)
        _ended.append(self.widget)
        while len(_ended) > MAX_OPEN_WIDGETS:
            _ended.popleft().close()


@cache
def dashboard_class() -> Any:
    """The widget's class, created when first needed: anywidget takes a third of a second."""
    import anywidget  # noqa: PLC0415 - see above
    import traitlets  # noqa: PLC0415 - see above

    class Dashboard(anywidget.AnyWidget):
        """A run's view.

        ``state`` is made by :class:`~.widget_feed.WidgetFeed`; ``card`` is the MIME bundle that
        replaces the widget, and empty while the run continues.
        """

        _esm = js_module("training/live_view.js")
        _css = "\n".join(
            read_static(f"{name}.css")
            for name in ("kit/card", "kit/table_scroll", "kit/chart", "training/live_view")
        )
        state = traitlets.Dict().tag(sync=True)
        previous_runs: Any = traitlets.List().tag(sync=True)
        card = traitlets.Dict().tag(sync=True)
        view_id = traitlets.Unicode().tag(sync=True)  # the model's, which pages cannot read

        def __repr__(self) -> str:
            return "Live view of a kmagic training (needs its kernel)"

    return Dashboard


# --- the control channel ------------------------------------------------------------------------


def add_view(key: str, view: Any) -> bool:
    """Let a page's messages about a key reach a view while a cell runs; False if they cannot.

    The view has an attribute ``seen``, a ``widget``, and a ``run`` that can be stopped.
    """
    _running[key] = view
    return _register_control_handlers()


def pages_can_announce(*, listens: bool) -> bool:
    """Whether a page can tell that it shows a widget; VS Code keeps the channel from widgets."""
    return listens and not any(name.startswith("VSCODE_") for name in os.environ)


def _register_control_handlers() -> bool:
    """Let the kernel receive a page's messages while a cell runs; False if it cannot."""
    kernel = running_kernel()
    return handle_control_message(
        kernel, STOP_MESSAGE, lambda **content: {"stopping": stop_run(**content)}
    ) and handle_control_message(
        kernel, SEEN_MESSAGE, lambda **content: {"running": mark_seen(**content)}
    )


def remove_view(key: str) -> None:
    """End what `add_view` began."""
    _running.pop(key, None)


def mark_seen(run: str = "", **_: object) -> bool:
    """Note that a page shows the widget of a run; returns whether that run is running."""
    view = _running.get(run)
    if view is not None:
        view.seen = True
    return view is not None


def stop_run(run: str = "", *, now: bool = False, **_: object) -> bool:
    """Stop a run after its batch, or immediately with ``now``; returns whether it is running."""
    view = _running.get(run)
    if view is None or view.run.status != "running":
        return False
    view.run.stop()
    view.widget.send({"stopping": True})  # to every page
    if now:
        view.run.interrupt()
    return True
