"""A cross-validation while it runs: one output for all of its runs, and the card at the end."""

from __future__ import annotations

from collections.abc import Iterable

from kmagic.display.training.live_view import LiveView, remove_view
from kmagic.display.training.run_displays import LogLines, UpdatedCard
from kmagic.display.training.training_card import summary_line
from kmagic.support.display_mode import display_mode
from kmagic.support.rendering import display_bundle, display_result, mark_displayed
from kmagic.training.run.cross_validation import CrossValidation
from kmagic.training.run.training_run import Display, TrainingRun


class FoldsView:
    """The displays of all runs, by default those of the display mode, which share an output."""

    def __init__(self, displays: Iterable[Display] | None) -> None:
        self._mode = display_mode() if displays is None else "none"
        self.displays = list(displays or ())
        self._output: LiveRuns | UpdatedRuns | None = None
        if self._mode in ("widget", "html"):
            self._output = LiveRuns() if self._mode == "widget" else UpdatedRuns()
            self.displays = [self._output]
        elif self._mode in ("log", "text"):
            self.displays = [RunLines()]
        self._is_given = displays is not None

    def show(self, result: CrossValidation) -> None:
        """Replace the output by the card of the result."""
        if self._output is not None and self._output.is_shown:
            self._output.replace(result._repr_mimebundle_())
        elif self._mode == "text":
            display_bundle({"text/plain": "\n".join([repr(result), *result.messages])})
        elif self._mode != "none":
            display_result(result)
        if not self._is_given:
            mark_displayed(result)

    def discard(self) -> None:
        """Remove the output, because an error ends the cross-validation."""
        if self._output is not None and self._output.is_shown:
            self._output.remove()


class LiveRuns(LiveView):
    """The dashboard widget for one run after the other; a card replaces it after the last."""

    def end(self, run: TrainingRun) -> None:
        """Leave the widget to the next run."""
        remove_view(run.id)

    discard = end

    def remove(self) -> None:
        """Remove the widget from the output."""
        super().discard(self.run)


class UpdatedRuns(UpdatedCard):
    """The card of one run after the other, in one output."""

    def end(self, run: TrainingRun) -> None:
        """Leave the output to the next run."""

    discard = end

    def remove(self) -> None:
        """Remove the card from the output."""
        self.replace({})


class RunLines(LogLines):
    """One line per run, and on a terminal a line that is updated in place."""

    def begin(self, run: TrainingRun) -> None:
        """Write nothing before the end of a run."""

    epoch = begin

    def end(self, run: TrainingRun) -> None:
        """Write the summary of the run."""
        self._write(summary_line(run))
