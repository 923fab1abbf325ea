"""The displays of a running search: a card with a Stop button, a card, or lines of text."""

from __future__ import annotations

import sys
import uuid
from functools import cache
from shutil import get_terminal_size
from typing import Any

from kmagic.display.kit.assets import js_module
from kmagic.display.kit.card import Bundle
from kmagic.display.training.live_view import (
    WIDGET_VIEW,
    add_view,
    pages_can_announce,
    remove_view,
)
from kmagic.display.tuning.study_card import study_bundle, study_line
from kmagic.support.busy_kernel import answer_pages
from kmagic.support.display_mode import DisplayMode, display_mode, running_kernel
from kmagic.support.formatting import escape_control_characters
from kmagic.support.rendering import display_bundle, display_in_cell, mark_displayed
from kmagic.tuning.study import MIN_TRIALS_FOR_IMPORTANCE, Study, StudyDisplay


def study_displays(mode: DisplayMode | None = None) -> list[StudyDisplay]:
    """The displays for the current environment, or for a display mode."""
    match mode or display_mode():
        case "widget":
            return [LiveStudy()]
        case "html":
            return [UpdatedStudyCard()]
        case "log" | "text":
            return [StudyLines()]
        case "static":
            return [FinalStudyCard()]
        case _:
            return []


class _RunningCard(StudyDisplay):
    """Makes the card once per second, and the importance of the parameters every ten trials."""

    interval = 1.0

    def __init__(self) -> None:
        self._importance: dict[str, float] = {}
        self._counted = 0

    def _bundle(self, study: Study) -> Bundle:
        complete = len(study.ranking)
        if complete >= self._counted + MIN_TRIALS_FOR_IMPORTANCE:
            self._importance, self._counted = study.importance(), complete
        return study_bundle(study, self._importance)


class UpdatedStudyCard(_RunningCard):
    """The card, which is replaced."""

    def start(self, study: Study) -> None:
        """Show the card in the running cell."""
        self._handle: Any = display_in_cell(self._bundle(study), raw=True, display_id=True)

    def update(self, study: Study) -> None:
        """Replace it."""
        self._handle.update(self._bundle(study), raw=True)

    def end(self, study: Study) -> None:
        """Replace it for the last time."""
        self._handle.update(study_bundle(study), raw=True)
        mark_displayed(study)


class LiveStudy(_RunningCard):
    """The card in a widget with a Stop button; at the end the card alone takes its place."""

    def start(self, study: Study) -> None:
        """Show the widget in the running cell."""
        self.status = "running"
        self._study = study
        key = uuid.uuid4().hex
        listens = add_view(key, self)
        self.seen = not pages_can_announce(listens=listens)
        self.widget = _study_view_class()(
            study=key,
            control_channel=listens,
            running=True,
            card=self._bundle(study)["text/html"],
        )
        answer_pages(running_kernel())
        self._handle = display_in_cell(self.widget, display_id=True)
        sys.stdout.flush()  # waits until the kernel's other thread has sent it

    @property
    def run(self) -> LiveStudy:
        """What a click on Stop ends: this search."""
        return self

    def stop(self) -> None:
        """Stop the search; the second time at once."""
        self._study.stop()

    def interrupt(self) -> None:
        """Nothing: the second stop ends the running trials."""

    def update(self, study: Study) -> None:
        """Send the card; beside the widget too, where no page shows widgets."""
        bundle = self._bundle(study)
        self.widget.card = bundle["text/html"]
        if not self.seen:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
            self._handle.update({**bundle, WIDGET_VIEW: view}, raw=True)

    def end(self, study: Study) -> None:
        """Replace the widget by the card."""
        self.status = study.status
        remove_view(self.widget.study)
        bundle = study_bundle(study)
        self.widget.running = False
        self._handle.update(bundle, raw=True)
        mark_displayed(study)
        self.widget.close()


class FinalStudyCard(StudyDisplay):
    """The card at the end."""

    def end(self, study: Study) -> None:
        """Show the card."""
        display_bundle(study_bundle(study))
        mark_displayed(study)


class StudyLines(StudyDisplay):
    """On a terminal a line that is updated in place, and at the end the result as text."""

    interval = 0.5

    def update(self, study: Study) -> None:
        """Write the line."""
        if sys.stdout.isatty():
            columns = get_terminal_size().columns - 1
            self._write(f"\r{study_line(study)[:columns]:<{columns}}")

    def end(self, study: Study) -> None:
        """Write the result."""
        if sys.stdout.isatty():
            self._write(f"\r{'':<{get_terminal_size().columns - 1}}\r")
        self._write(f"{study_bundle(study)['text/plain']}\n")
        mark_displayed(study)

    def _write(self, text: str) -> None:
        sys.stdout.write(escape_control_characters(text, "\n\t\r"))
        sys.stdout.flush()


@cache
def _study_view_class() -> Any:
    """The widget's class, created when first needed: anywidget takes a third of a second."""
    import anywidget  # noqa: PLC0415 - see above
    import traitlets  # noqa: PLC0415 - see above

    class StudyWidget(anywidget.AnyWidget):
        """The view of a search: its card, which is replaced, and a Stop button."""

        _esm = js_module("tuning/study_view.js")
        card = traitlets.Unicode().tag(sync=True)
        study = traitlets.Unicode().tag(sync=True)
        running = traitlets.Bool().tag(sync=True)
        control_channel = traitlets.Bool().tag(sync=True)

        def __repr__(self) -> str:
            return "Live view of a kmagic search (needs its kernel)"

    return StudyWidget
