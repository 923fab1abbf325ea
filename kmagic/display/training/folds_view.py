"""A cross-validation while it runs: one output for all of its runs, and the card at the end."""

from __future__ import annotations

from kmagic.display.training.live_view import LiveView, remove_view
from kmagic.display.training.run_displays import LogLines, UpdatedCard
from kmagic.display.training.training_card import summary_line
from kmagic.support.display_mode import DisplayMode, display_mode
from kmagic.support.rendering import display_bundle, display_result, mark_displayed
from kmagic.training.run.cross_validation import CrossValidation
from kmagic.training.run.training_run import Display, TrainingRun


class FoldsView:
    """The display of a cross-validation for a display mode, by default the current one."""

    def __init__(self, mode: DisplayMode | None = None) -> None:
        self._mode = mode or display_mode()
        self._output: LiveRuns | UpdatedRuns | None = None
        self._displays: list[Display] = []
        if self._mode in ("widget", "html"):
            self._output = LiveRuns() if self._mode == "widget" else UpdatedRuns()
            self._displays = [self._output]
        elif self._mode in ("log", "text"):
            self._displays = [RunLines()]

    def displays(self) -> list[Display]:
        """The same for all runs, so they share an output."""
        return self._displays

    def show(self, result: CrossValidation) -> None:
        """Replace the output by the card of the result."""
        if self._mode != "none":
            if self._output is not None and self._output.is_shown:
                self._output.replace(result._repr_mimebundle_())
            elif self._mode == "text":
                display_bundle({"text/plain": "\n".join([repr(result), *result.messages])})
            else:
                display_result(result)
        mark_displayed(result)

    def discard(self) -> None:
        """Remove the output."""
        if self._output is not None and self._output.is_shown:
            self._output.remove()


class LiveRuns(LiveView):
    """The dashboard widget for one run after the other; a card replaces it after the last."""

    @property
    def is_shown(self) -> bool:
        """Whether the widget is in the output."""
        return self.widget is not None

    def discard(self, run: TrainingRun) -> None:
        """Keep the widget for :meth:`remove`."""
        remove_view(run.id)

    def end(self, run: TrainingRun) -> None:
        """Leave the widget to the next run."""
        remove_view(run.id)

    def remove(self) -> None:
        """Remove the widget from the output."""
        super().discard(self.run)


class UpdatedRuns(UpdatedCard):
    """The card of one run after the other, in one output."""

    is_shown = False

    def prepare(self, run: TrainingRun) -> None:
        """Show the card in the running cell, or in place of the one before."""
        if self.is_shown:
            self.update(run)
        else:
            super().prepare(run)
        self.is_shown = True

    def discard(self, run: TrainingRun) -> None:
        """Keep the output for :meth:`remove`."""

    def end(self, run: TrainingRun) -> None:
        """Leave the output to the next run."""

    def replace(self, card: dict[str, str]) -> None:
        """Show a card in the output."""
        self._handle.update(card, raw=True)

    def remove(self) -> None:
        """Remove the card from the output."""
        self._handle.update({}, raw=True)


class RunLines(LogLines):
    """One line per run, and on a terminal a line that is updated in place."""

    def begin(self, run: TrainingRun) -> None:
        """Write nothing."""

    def epoch(self, run: TrainingRun) -> None:
        """Write nothing: the end has a line."""

    def end(self, run: TrainingRun) -> None:
        """Write the summary of the run."""
        self._write(summary_line(run))
