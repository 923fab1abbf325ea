"""Several training runs: a table of all, two compared, and previous ones as background curves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from kmagic.support.downsampling import Point, limit_per_column
from kmagic.support.formatting import format_metric, pluralize
from kmagic.support.rendering import Renderable
from kmagic.training.run.training_run import VALIDATION, TrainingRun

if TYPE_CHECKING:
    import pandas as pd

MAX_PREVIOUS_RUNS, MAX_PREVIOUS_CURVES = 3, 12
PREVIOUS_COLUMNS = 300  # about as many as a chart has pixels
MAX_ERROR = 120
"""Characters of an error in a table cell."""


class RunHistory(Renderable):
    """Training runs, oldest first, each with a name.

    Args:
        runs: The runs by name.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> run = TrainingRun("cnn")
        >>> run.add(Epoch(1, {"loss": 0.5}, seconds=2.0))
        >>> run.status = "done"
        >>> RunHistory({"first": run})
        1 run
        first  cnn: 1 epoch in 0:02; loss 0.5000
    """

    renderer: ClassVar[str] = "kmagic.display.training.runs_card:history_bundle"

    def __init__(self, runs: Mapping[str, TrainingRun]) -> None:
        self.runs = dict(runs)

    def best(self) -> set[str]:
        """For each model with several runs, the name of the one with the lowest validation loss."""
        runs: dict[str, list[tuple[float, str]]] = {}
        for name, run in self.runs.items():
            if run.best is not None and run.best.monitor.startswith(VALIDATION):
                runs.setdefault(run.model_name, []).append((run.best.value, name))
        return {min(values)[1] for values in runs.values() if len(values) > 1}

    def to_frame(self) -> pd.DataFrame:
        """One row per run, indexed by its name.

        Columns are ``model``, ``status``, the notebook variables that a run used, ``epochs``,
        ``best_epoch``, the metrics at the best epoch, ``seconds``, and ``note``: why a run ended
        early. A variable named like another column is in braces: ``{epochs}``.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        heads = self.variable_heads()
        rows = [
            {
                "model": run.model_name,
                "status": run.status,
                **{heads[name]: run.variables.get(name) for name in heads},
                "epochs": len(run.log),
                "best_epoch": run.best.epoch if run.best else None,
                **metrics_at_best(run),
                "seconds": run.seconds,
                "note": run.note,
            }
            for run in self.runs.values()
        ]
        frame = pd.DataFrame(rows, index=pd.Index(self.runs, name="run"))
        last = ["seconds", "note"]
        return frame[[*frame.columns.drop(last), *last]] if rows else frame

    def variable_heads(self) -> dict[str, str]:
        """The column of each variable; those whose values differ come first."""
        runs = list(self.runs.values())
        names = list(dict.fromkeys(name for run in runs for name in run.variables))
        names.sort(key=lambda name: len({repr(run.variables.get(name)) for run in runs}) == 1)
        taken = {"run", "model", "status", "epochs", "best_epoch", "seconds", "note"}
        taken |= {key for run in runs for key in metrics_at_best(run)}
        return {name: f"{{{name}}}" if name in taken else name for name in names}

    def __repr__(self) -> str:
        width = max(map(len, self.runs), default=0)
        lines = [f"{name:<{width}}  {run!r}" for name, run in self.runs.items()]
        return "\n".join([pluralize(len(self.runs), "run"), *lines])


class RunComparison(Renderable):
    """Two training runs side by side.

    Args:
        first: The reference.
        second: The run to compare with it.
        names: Their names.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> first, second = TrainingRun("cnn"), TrainingRun("cnn")
        >>> first.add(Epoch(1, {"loss": 0.5}, seconds=2.0))
        >>> second.add(Epoch(1, {"loss": 0.25}, seconds=3.0))
        >>> second.options["batch_size"] = 16
        >>> print(RunComparison(first, second, names=("a", "b")))
        b compared with a
        loss        a 0.5000   b 0.2500
        batch_size  a -   b 16
    """

    renderer: ClassVar[str] = "kmagic.display.training.runs_card:comparison_bundle"

    def __init__(
        self, first: TrainingRun, second: TrainingRun, *, names: tuple[str, str] = ("1", "2")
    ) -> None:
        self.first, self.second, self.names = first, second, names

    @property
    def metrics(self) -> dict[str, tuple[float | None, float | None]]:
        """Each metric at the best epoch of either run; None if a run lacks it."""
        first, second = metrics_at_best(self.first), metrics_at_best(self.second)
        return {key: (first.get(key), second.get(key)) for key in {**first, **second}}

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """The settings that differ, by name, as text; "-" for one that a run does not have."""
        first, second = _settings(self.first), _settings(self.second)
        both = {key: (first.get(key, "-"), second.get(key, "-")) for key in {**first, **second}}
        return {key: (one, other) for key, (one, other) in both.items() if one != other}

    @property
    def changed_lines(self) -> list[str]:
        """The lines of the models' texts that were removed, "- ...", or added, "+ ..."."""
        if not (self.first.text and self.second.text):
            return []
        texts = (self.first.text.splitlines(), self.second.text.splitlines())
        return [line for line in difflib.ndiff(*texts) if line[:2] in ("- ", "+ ")]

    def to_frame(self) -> pd.DataFrame:
        """One row per metric at the best epoch: the first run, the second, the difference."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        one, other = self.names
        columns = [one, other] if one != other else [f"{one} (1)", f"{other} (2)"]
        index = pd.Index(self.metrics, name="metric")
        frame = pd.DataFrame(list(self.metrics.values()), index=index, columns=columns)
        frame = frame.astype(float)
        return frame.assign(difference=frame[columns[1]] - frame[columns[0]])

    def __repr__(self) -> str:
        one, other = self.names
        metrics = {key: tuple(map(metric_text, pair)) for key, pair in self.metrics.items()}
        rows = [*metrics.items(), *self.differences.items()]
        width = max((len(key) for key, _ in rows), default=0)
        lines = [f"{key:<{width}}  {one} {a}   {other} {b}" for key, (a, b) in rows]
        return "\n".join([f"{other} compared with {one}", *lines, *self.changed_lines])


def metrics_at_best(run: TrainingRun) -> dict[str, float]:
    """A run's metrics at its best epoch, or at its last one without validation."""
    if not run.log:
        return {}
    validated = run.best is not None and run.best.monitor.startswith(VALIDATION)
    number = run.best.epoch if validated and run.best else run.log[-1].number
    logs = next(epoch.logs for epoch in run.log if epoch.number == number)
    keys = [key for name in run.metrics for key in (name, VALIDATION + name)]
    return {key: logs[key] for key in keys if key in logs}


def metric_text(value: float | None) -> str:
    """A metric's value, or a dash if there is none."""
    return "-" if value is None else format_metric(value)


def _settings(run: TrainingRun) -> dict[str, str]:
    """Everything that a run was configured with, as short text."""
    settings = {key: shorten(value) for key, value in run.options.items() if value is not None}
    settings.setdefault("epochs", f"{run.epochs:,}")
    for key in ("samples", "batch_size", "seed"):
        value = getattr(run, key)
        if value is not None:
            settings.setdefault(key, f"{value:,}")
    settings = {name: shorten(value) for name, value in run.variables.items()} | settings
    settings |= run.described
    if run.optimizer:
        settings["optimizer"] = shorten(run.optimizer)
    if run.fingerprint:
        settings["data"] = shorten(run.fingerprint)
    settings |= {f"{library} version": version for library, version in run.versions.items()}
    if rates := [rate for rate in run.learning_rates if rate is not None]:
        settings["learning rate"] = f"{rates[0]:.4g}"
    return {"model": run.model_name, **settings, "epochs trained": f"{len(run.log):,}"}


def shorten(value: object, limit: int = 60) -> str:
    """A value as text of at most ``limit`` characters."""
    text = f"{value:,}" if type(value) is int else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def name_runs(runs: Sequence[TrainingRun], variables: Mapping[str, Any]) -> dict[str, TrainingRun]:
    """Runs by their notebook variable, or by their number: "#2"."""
    names = {id(value): name for name, value in variables.items() if not name.startswith("_")}
    return {names.get(id(run), f"#{index}"): run for index, run in enumerate(runs, 1)}


def outcome_text(run: TrainingRun) -> str:
    """How a run ended, for a table cell: "done", "stopped early", "failed: out of memory"."""
    if run.status == "failed":
        return shorten(f"failed: {run.note}" if run.note else "failed", MAX_ERROR)
    return shorten(run.note or run.status, 36)


def previous_curves(
    run: TrainingRun, earlier: Iterable[TrainingRun]
) -> list[dict[str, list[Point]]]:
    """The downsampled curves of the last three earlier runs of the same model, oldest first.

    A run that the new one continues is left out, and so are trials of a search.
    """
    previous = [
        other
        for other in earlier
        if other is not run and other.model_name == run.model_name and other.log
        if not other.trial
        if run.log[: len(other.log)] != other.log
    ]
    return [downsampled_curves(other) for other in previous[-MAX_PREVIOUS_RUNS:]]


def downsampled_curves(run: TrainingRun) -> dict[str, list[Point]]:
    """A run's curves as far as a chart can show them."""
    keys = [key for name in run.metrics for key in (VALIDATION + name, name)]
    curves = [(key, points) for key in keys if (points := run.curve(key))]
    return {
        key: limit_per_column(points, PREVIOUS_COLUMNS)
        for key, points in curves[:MAX_PREVIOUS_CURVES]
    }
