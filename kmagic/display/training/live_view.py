"""The live view of a training in a notebook: a widget while it runs, a picture when it is over.

A widget does not outlive its kernel, so the widget's place in the output is taken by a picture at
the end. The widget's model stays for a while: another tab, or a page that was loaded anew in the
middle of the training, may still show it.
"""

from __future__ import annotations

import os
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

from kmagic.display.kit.assets import js_module
from kmagic.display.kit.card import read_static
from kmagic.display.training.terminal import Lines
from kmagic.display.training.training_card import bundle
from kmagic.display.training.widget_feed import Feed
from kmagic.support.display_mode import display_mode, running_kernel
from kmagic.support.rendering import display_bundle, mark_displayed

if TYPE_CHECKING:
    from kmagic.support.display_mode import DisplayMode
    from kmagic.training.run.training_run import Display, TrainingRun

STOP = "kmagic_stop"
SEEN = "kmagic_seen"
VIEW = "application/vnd.jupyter.widget-view+json"
SNAPSHOT_EVERY = 10
KEPT_WIDGETS = 8
PATIENCE = 4.0
"""Seconds that a page has to say that it shows the widget."""
UNSEEN_EVERY = 20

_watched: dict[str, Live] = {}
_retired: deque[Any] = deque()


def displays_for(how: DisplayMode | None = None) -> list[Display]:
    """The views of a training that suit the surroundings, or the mode that is asked for."""
    how = how or display_mode()
    if how == "widget":
        return [Live()]
    if how == "html":
        return [Picture()]
    if how == "log":
        return [Lines(), Final()]
    if how == "text":
        return [Lines()]
    return [Final(times=False)] if how == "static" else []


class Live:
    """The dashboard: deltas ten times a second, a snapshot with every tenth.

    A page that can show it says so on the control channel. Where none does, the card is sent
    beside the widget, drawn anew every two seconds: a frontend without widgets shows that.
    """

    interval = 0.1

    def __init__(self) -> None:
        self._sent = 0
        self.seen = False

    def begin(self, run: TrainingRun) -> None:
        """Put the widget into the running cell."""
        listens = _listen()
        self._feed = Feed(run, answers=listens)
        # Without the channel, and in VS Code, which keeps it from widgets, nobody could tell.
        self.seen = not listens or any(name.startswith("VSCODE_") for name in os.environ)
        self.run = run
        self.widget = dashboard()(state=self._feed.snapshot(), earlier=self._feed.earlier())
        _watched[run.id] = self
        self._handle = _put(self.widget, display_id=True)

    def update(self, run: TrainingRun) -> None:
        """Send what is new."""
        self._sent += 1
        if not self.seen and run.now.elapsed > PATIENCE and self._sent % UNSEEN_EVERY == 0:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
            self._handle.update({**bundle(run), VIEW: view}, raw=True)
        if self._sent % SNAPSHOT_EVERY:
            self.widget.send(self._feed.news())
        else:
            self.widget.state = self._feed.snapshot()

    def epoch(self, run: TrainingRun) -> None:
        """Nothing: the next update takes the epoch along."""

    def end(self, run: TrainingRun) -> None:
        """Leave a picture in the widget's place."""
        _watched.pop(run.id, None)
        self.widget.state = self._feed.snapshot()
        self._handle.update(bundle(run), raw=True)
        mark_displayed(run)
        _retire(self.widget)

    def acknowledge(self) -> None:
        """Tell every view that the stop is under way; called from the kernel's control thread."""
        self.widget.send({"stopping": True})


class Picture:
    """The same without a widget: the card, drawn anew twice a second."""

    interval = 0.5

    def begin(self, run: TrainingRun) -> None:
        """Put the card into the running cell."""
        self._handle = _put(bundle(run), raw=True, display_id=True)

    def update(self, run: TrainingRun) -> None:
        """Draw it anew."""
        self._handle.update(bundle(run), raw=True)

    def epoch(self, run: TrainingRun) -> None:
        """Nothing: the next update shows it."""

    def end(self, run: TrainingRun) -> None:
        """Draw it for the last time."""
        self.update(run)
        mark_displayed(run)


class Final:
    """One picture at the end.

    Args:
        times: False leaves out what differs from one run to the next.
    """

    interval = float("inf")

    def __init__(self, *, times: bool = True) -> None:
        self._times = times

    def begin(self, run: TrainingRun) -> None:
        """Nothing yet."""

    def update(self, run: TrainingRun) -> None:
        """Nothing yet."""

    def epoch(self, run: TrainingRun) -> None:
        """Nothing yet."""

    def end(self, run: TrainingRun) -> None:
        """Show the card."""
        display_bundle(bundle(run, times=self._times))
        mark_displayed(run)


@cache
def dashboard() -> Any:
    """The widget's class, made when it is first needed: anywidget takes a third of a second."""
    import anywidget  # noqa: PLC0415 - as said
    import traitlets  # noqa: PLC0415 - as said

    class Dashboard(anywidget.AnyWidget):
        """A run's view; ``state`` is what :class:`~kmagic.display.training.widget_feed.Feed` makes."""

        _esm = js_module("dashboard.js")
        _css = "\n".join(map(read_static, ("card.css", "chart.css", "dashboard.css")))
        state = traitlets.Dict().tag(sync=True)
        earlier: Any = traitlets.List().tag(sync=True)

        def __repr__(self) -> str:
            return "kmagic's live view of a training, which needs its kernel"

    return Dashboard


def _put(what: Any, **options: Any) -> Any:
    """Show something in the running cell; with ``display_id`` it gives a handle to replace it."""
    from IPython.display import display  # noqa: PLC0415 - only a notebook has it

    return display(what, **options)  # type: ignore[no-untyped-call] # IPython's is not typed


def _retire(widget: Any) -> None:
    """Keep the widget for a while, then give its memory back."""
    _retired.append(widget)
    while len(_retired) > KEPT_WIDGETS:
        _retired.popleft().close()


# --- the stop and the sign of life, on the control channel ----------------------------------------


def _listen() -> bool:
    """Let the kernel hear from a page while a cell runs; False where it cannot."""
    kernel = running_kernel()
    handlers = getattr(kernel, "control_handlers", None)
    if not isinstance(handlers, dict):
        return False

    def on_stop(stream: Any, ident: Any, message: Any) -> None:
        known = stop(**message.get("content", {}))
        reply = {"status": "ok", "stopping": known}
        kernel.session.send(stream, f"{STOP}_reply", reply, message, ident=ident)

    def on_seen(stream: Any, ident: Any, message: Any) -> None:
        known = seen(**message.get("content", {}))
        reply = {"status": "ok", "running": known}
        kernel.session.send(stream, f"{SEEN}_reply", reply, message, ident=ident)

    handlers[STOP] = on_stop
    handlers[SEEN] = on_seen
    return True


def seen(run: str = "", **_: object) -> bool:
    """Take note that a page shows the widget of the training with this id.

    Returns:
        Whether such a training runs.
    """
    view = _watched.get(run)
    if view is not None:
        view.seen = True
    return view is not None


def stop(run: str = "", *, now: bool = False, **_: object) -> bool:
    """End the training with this id, after its batch or, with ``now``, where it is.

    Returns:
        Whether such a training runs.
    """
    view = _watched.get(run)
    if view is None or view.run.status != "running":
        return False
    view.run.stop()
    view.acknowledge()
    if now:
        view.run.interrupt()
    return True
