"""Several training runs beside each other: all of a session, or two compared."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar

from kmagic.support.formatting import format_duration, format_metric, pluralize
from kmagic.support.rendering import Renderable
from kmagic.training.run.training_run import VALIDATION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from kmagic.training.run.training_run import TrainingRun


class Runs(Renderable):
    """Training runs, oldest first, each with its name.

    Args:
        runs: The records by name.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> run = TrainingRun("cnn")
        >>> run.add(Epoch(1, {"loss": 0.5}, seconds=2.0))
        >>> run.status = "done"
        >>> Runs({"first": run})
        1 run
        first  cnn: 1 epoch in 0:02; loss 0.5000
    """

    renderer: ClassVar[str] = "kmagic.display.training.runs_card:bundle"

    def __init__(self, runs: Mapping[str, TrainingRun]) -> None:
        self.runs = dict(runs)

    def best(self) -> set[str]:
        """Names of the runs with the lowest validation loss among those of the same model."""
        lowest: dict[str, tuple[float, str]] = {}
        several: set[str] = set()
        for name, run in self.runs.items():
            if run.best is None or not run.best.monitor.startswith(VALIDATION):
                continue
            if run.model_name in lowest:
                several.add(run.model_name)
            found = (run.best.value, name)
            lowest[run.model_name] = min(found, lowest.get(run.model_name, found))
        return {name for model, (_, name) in lowest.items() if model in several}

    def to_frame(self) -> pd.DataFrame:
        """A row a run: its model, how it ended, and its figures at its best epoch.

        Columns are ``model``, ``status``, ``epochs``, ``best_epoch``, the figures' names and
        ``seconds``; the index is the run's name.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        rows = [
            {
                "model": run.model_name,
                "status": run.status,
                "epochs": len(run.log),
                "best_epoch": run.best.epoch if run.best else None,
                **at_best(run),
                "seconds": time_of(run),
            }
            for run in self.runs.values()
        ]
        frame = pd.DataFrame(rows, index=pd.Index(self.runs, name="run"))
        return frame[[*frame.columns.drop("seconds"), "seconds"]] if rows else frame

    def __repr__(self) -> str:
        width = max(map(len, self.runs), default=0)
        lines = [f"{name:<{width}}  {run!r}" for name, run in self.runs.items()]
        return "\n".join([pluralize(len(self.runs), "run"), *lines])


class Comparison(Renderable):
    """Two training runs beside each other.

    Args:
        first: The one to compare with.
        second: The one that is judged.
        names: What they are called.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> first, second = TrainingRun("cnn"), TrainingRun("cnn")
        >>> first.add(Epoch(1, {"loss": 0.5}, seconds=2.0))
        >>> second.add(Epoch(1, {"loss": 0.25}, seconds=3.0))
        >>> second.options["batch_size"] = 16
        >>> print(Comparison(first, second, names=("a", "b")))
        b against a
        loss        a 0.5000   b 0.2500
        batch_size  a -   b 16
    """

    renderer: ClassVar[str] = "kmagic.display.training.runs_card:comparison_bundle"

    def __init__(
        self, first: TrainingRun, second: TrainingRun, *, names: tuple[str, str] = ("1", "2")
    ) -> None:
        self.first, self.second, self.names = first, second, names

    @property
    def figures(self) -> dict[str, tuple[float | None, float | None]]:
        """Every figure at the best epoch of the one and of the other; None where it has none."""
        first, second = at_best(self.first), at_best(self.second)
        return {key: (first.get(key), second.get(key)) for key in {**first, **second}}

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """What was asked for differently, by name, in words; "-" for what was not asked for."""
        first, second = _circumstances(self.first), _circumstances(self.second)
        both = {key: (first.get(key, "-"), second.get(key, "-")) for key in {**first, **second}}
        return {key: (one, other) for key, (one, other) in both.items() if one != other}

    @property
    def changed_lines(self) -> list[str]:
        """Lines of the models' texts that were taken away, "- ...", or put in, "+ ..."."""
        if not (self.first.text and self.second.text):
            return []
        texts = (self.first.text.splitlines(), self.second.text.splitlines())
        return [line for line in difflib.ndiff(*texts) if line[:2] in ("- ", "+ ")]

    def to_frame(self) -> pd.DataFrame:
        """A row a figure, at the best epoch: one run, the other, and the difference."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        one, other = self.names
        columns = [one, other] if one != other else [f"{one} (1)", f"{other} (2)"]
        rows = list(self.figures.values())
        frame = pd.DataFrame(rows, index=pd.Index(self.figures, name="figure"), columns=columns)
        frame = frame.astype(float)
        return frame.assign(difference=frame[columns[1]] - frame[columns[0]])

    def __repr__(self) -> str:
        one, other = self.names
        figures = {key: tuple(map(figure_words, pair)) for key, pair in self.figures.items()}
        rows = [*figures.items(), *self.differences.items()]
        width = max((len(key) for key, _ in rows), default=0)
        lines = [f"{key:<{width}}  {one} {a}   {other} {b}" for key, (a, b) in rows]
        return "\n".join([f"{other} against {one}", *lines, *self.changed_lines])


def at_best(run: TrainingRun) -> dict[str, float]:
    """A run's figures at its best epoch, or at its last where nothing is validated."""
    if not run.log:
        return {}
    judged = run.best is not None and run.best.monitor.startswith(VALIDATION)
    epoch_number = run.best.epoch if judged and run.best else run.log[-1].number
    logs = next(epoch.logs for epoch in run.log if epoch.number == epoch_number)
    keys = [key for name in run.metrics for key in (name, VALIDATION + name)]
    return {key: logs[key] for key in keys if key in logs}


def time_of(run: TrainingRun) -> float:
    """How long it took, in seconds."""
    return run.now.elapsed or sum(run.epoch_times)


def figure_words(value: float | None) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else format_metric(value)


def _circumstances(run: TrainingRun) -> dict[str, str]:
    """All that a run was made with, in short words."""
    said = {key: _short(value) for key, value in run.options.items() if value is not None}
    said.setdefault("epochs", f"{run.epochs:,}")
    for key in ("samples", "batch_size", "seed"):
        value = getattr(run, key)
        if value is not None:
            said.setdefault(key, f"{value:,}")
    if run.fingerprint:
        said["data"] = _short(run.fingerprint)
    said |= {f"{library} version": version for library, version in run.versions.items()}
    if rates := [rate for rate in run.learning_rates if rate is not None]:
        said["learning rate"] = f"{rates[0]:.4g}"
    return {"model": run.model_name, **said, "epochs trained": f"{len(run.log):,}"}


def _short(value: Any, most: int = 60) -> str:
    text = f"{value:,}" if type(value) is int else str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def named(runs: Sequence[TrainingRun], names: Mapping[str, Any]) -> dict[str, TrainingRun]:
    """Runs by the names that the notebook has for them, or else by their number: "#2"."""
    known = {id(value): name for name, value in names.items() if not name.startswith("_")}
    return {known.get(id(run), f"#{place}"): run for place, run in enumerate(runs, 1)}


def summary(run: TrainingRun) -> str:
    """How a run ended, in a few words for a table: "done", "stopped early", "interrupted"."""
    return _short(run.note or run.status, 36)


def took(run: TrainingRun) -> str:
    """Its time as on a clock."""
    return format_duration(time_of(run))
