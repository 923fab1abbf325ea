"""What the browser gets of a run: a complete snapshot, and changes between two snapshots.

Values are plain JSON. A number that is not finite is null, and none has more digits than Keras's
32-bit floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from kmagic.display.confusion.matrix_image import epoch_confusion_state
from kmagic.display.training import training_card
from kmagic.support.downsampling import BoundedSeries, Point
from kmagic.support.formatting import escape_control_characters, isolate_direction
from kmagic.training.run.training_run import TrainingRun

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

CURVE_POINTS = 1200  # twice as many as a chart has pixels
MAX_MESSAGES = 24
MATRIX_INTERVAL = 0.5
"""Minimum seconds between two matrices among the changes: epochs may be shorter."""


class WidgetFeed:
    """The state of one run's views, and what was sent of it."""

    def __init__(self, run: TrainingRun, *, answers: bool = False) -> None:
        self._run = run
        self._answers = answers
        self._sequence = 0
        self._epochs_sent = 0
        self._sent_heading: object = None
        self._sent_messages: object = None
        self._matrix_epoch, self._matrix_time = 0, -math.inf
        self._metrics: list[str] = []
        self._curves: dict[str, BoundedSeries] = {}

    def previous_runs(self) -> list[dict[str, list[float | None]]]:
        """The curves of previous runs, which do not change."""
        return [
            {_shown(key): _flat(points) for key, points in curves.items()}
            for curves in self._run.earlier
        ]

    def _charted(self, curves: Mapping[str, T]) -> dict[str, T]:
        """The curves of the metrics that have a chart."""
        keys = [key for name in self._metrics for key in (name, f"val_{name}")]
        return {key: curves[key] for key in keys if key in curves}

    def snapshot(self) -> Json:
        """All that a view needs; the next :meth:`changes` continue from it."""
        run = self._run
        self._add_epochs()
        self._sequence += 1
        return {
            "seq": self._sequence,
            "run": run.id,
            "name": isolate_direction(run.model_name),
            "epochs": run.epochs,
            "initial_epoch": run.initial_epoch,
            "control_channel": self._answers,
            "header": _header(run),
            "axis": self._axis(),
            "table": _table(run),
            **_messages(run),
            "confusion": epoch_confusion_state(run.confusion),
            "curves": {
                _shown(key): _flat(series.points())
                for key, series in self._charted(self._curves).items()
            },
            "first_epoch": {
                _shown(key): _flat(points)
                for key, points in self._charted(run.first_epoch_curves).items()
            },
            "current_epoch": {
                _shown(key): _flat(series.points())
                for key, series in self._charted(run.epoch_curves).items()
            },
        }

    def changes(self) -> Json:
        """What changed since the last call, numbered so that a view notices if it missed any."""
        run = self._run
        new_points = self._add_epochs()
        self._sequence += 1
        latest = {
            _shown(key): _flat([series.newest])
            for key, series in self._charted(run.epoch_curves).items()
            if series.newest
        }
        changes = {"seq": self._sequence, "header": _header(run), "current_epoch": latest}
        heading = (run.metrics, run.now.epoch)
        if new_points or heading != self._sent_heading:
            changes |= {"axis": self._axis(), "table": _table(run), "curves": new_points}
            self._sent_heading = heading
        messages = (len(run.messages), run.messages[-1:])
        if messages != self._sent_messages:
            changes |= _messages(run)
            self._sent_messages = messages
        epoch, at = run.confusion.epoch if run.confusion else 0, run.now.elapsed
        if epoch != self._matrix_epoch and at >= self._matrix_time + MATRIX_INTERVAL:
            changes["confusion"] = epoch_confusion_state(run.confusion)
            self._matrix_epoch, self._matrix_time = epoch, at
        return changes

    def _axis(self) -> Json:
        run, names = self._run, self._metrics
        start, end = training_card.epoch_axis(run)
        marks = {name: mark for name in names if (mark := training_card.best_mark(run, name))}
        epochs = [epoch for epoch, _ in marks.values()]
        labels = {_shown(name): text for name, (_, text) in marks.items()}
        return {
            "start": start,
            "end": end,
            "metrics": [*map(_shown, names)],
            "best": {"epoch": epochs[0], "labels": labels} if epochs else None,
        }

    def _add_epochs(self) -> dict[str, list[float | None]]:
        new_points: dict[str, list[float | None]] = {}
        self._metrics = training_card.charted_metrics(self._run)
        new = self._run.log[self._epochs_sent :]
        for epoch in new:
            for key, value in self._charted(epoch.logs).items():
                if key not in self._curves:
                    self._curves[key] = BoundedSeries(CURVE_POINTS)
                self._curves[key].append(epoch.number, value)
                new_points.setdefault(_shown(key), []).extend(_flat([(epoch.number, value)]))
        self._epochs_sent += len(new)
        return new_points


def _header(run: TrainingRun) -> Json:
    left = run.now.left
    return {
        "position": run.where(),
        "status": run.status,
        "summary": run.describe(),
        "progress": round(run.progress, 4),
        "elapsed": round(run.now.elapsed, 2),
        "remaining": None if left is None else round(left, 1),
        "footer": training_card.foot_text(run),
    }


def _messages(run: TrainingRun) -> Json:
    """The newest messages, and the number of all."""
    newest = run.messages[-MAX_MESSAGES:]
    return {
        "messages": [[epoch, escape_control_characters(text)] for epoch, text in newest],
        "message_count": len(run.messages),
    }


def _table(run: TrainingRun) -> Json:
    columns = training_card.metric_columns(run)
    best = run.best.epoch if run.best and run.best.monitor != "loss" else 0
    return {
        "columns": ["epoch", *map(_shown, columns), "time"],
        "rows": [
            None
            if epoch is None
            else {"cells": training_card.epoch_cells(epoch, columns), "best": epoch.number == best}
            for epoch in training_card.table_rows(run, first=0, last=5)
        ],
    }


def _shown(metric: str) -> str:
    """The name of a metric as the page shows it."""
    return escape_control_characters(metric, "")


def _flat(points: Iterable[Point]) -> list[float | None]:
    return [_finite(value) for point in points for value in point]


def _finite(value: float) -> float | None:
    # With fewer digits a value halfway between two would be rounded differently in the table.
    return float(f"{value:.8g}") if math.isfinite(value) else None
