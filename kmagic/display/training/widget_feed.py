"""What the browser is told of a run: a whole snapshot, and between two of them the news.

Pure but for what it remembers of what was said. Numbers go as plain JSON: a value that is not
finite goes as null, and none has more digits than Keras's 32 bits hold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from kmagic.display.confusion import confusion_history_chart
from kmagic.display.training.training_card import axis, columns, foot, mark, row_cells, rows
from kmagic.support.downsampling import BoundedSeries, Point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmagic.training.run.training_run import TrainingRun

Json: TypeAlias = dict[str, Any]

CURVE_POINTS = 200
MOST_MESSAGES = 24
MOST_CHARTS = 6
MATRIX_EVERY = 0.5
"""Seconds between two matrices among the news: epochs may be shorter."""


class Feed:
    """The state of one run's views, and what has been sent of it.

    Args:
        run: The record.
        answers: Whether the kernel listens for a stop on its control channel.
    """

    def __init__(self, run: TrainingRun, *, answers: bool = False) -> None:
        self._run = run
        self._answers = answers
        self._sequence = 0
        self._told = 0
        self._heading: object = None
        self._messages: object = None
        self._matrix = (0, -math.inf)
        self._curves: dict[str, BoundedSeries] = {}

    def earlier(self) -> list[dict[str, list[float | None]]]:
        """The curves of earlier runs, which do not change."""
        return [{key: _flat(points) for key, points in each.items()} for each in self._run.earlier]

    def snapshot(self) -> Json:
        """All that a view needs; what :meth:`news` says next follows upon it."""
        run = self._run
        self._take_epochs()
        self._sequence += 1
        return {
            "seq": self._sequence,
            "run": run.id,
            "name": run.model_name,
            "epochs": run.epochs,
            "before": run.initial_epoch,
            "answers": self._answers,
            "head": _head(run),
            "axis": _axis(run),
            "table": _table(run),
            **_messages(run),
            "watched": confusion_history_chart.epoch_confusion_state(run.confusion),
            "curves": {key: _flat(series.points()) for key, series in self._curves.items()},
            "opening": {key: _flat(points) for key, points in run.first_epoch_curves.items()},
            "tail": {key: _flat(series.points()) for key, series in run.epoch_curves.items()},
        }

    def news(self) -> Json:
        """What has changed since the last word, numbered so that a view sees if it missed any."""
        run = self._run
        fresh = self._take_epochs()
        self._sequence += 1
        tail = {key: _flat(series.points()[-1:]) for key, series in run.epoch_curves.items()}
        news = {"seq": self._sequence, "head": _head(run), "tail": tail}
        heading = (run.metrics, run.now.epoch)
        if fresh or heading != self._heading:
            news |= {"axis": _axis(run), "table": _table(run), "curves": fresh}
            self._heading = heading
        messages = (len(run.messages), run.messages[-1:])
        if messages != self._messages:
            news |= _messages(run)
            self._messages = messages
        epoch, at = run.confusion.epoch if run.confusion else 0, run.now.elapsed
        if epoch != self._matrix[0] and at >= self._matrix[1] + MATRIX_EVERY:
            news["watched"] = confusion_history_chart.epoch_confusion_state(run.confusion)
            self._matrix = (epoch, at)
        return news

    def _take_epochs(self) -> dict[str, list[float | None]]:
        fresh: dict[str, list[float | None]] = {}
        new = self._run.log[self._told :]
        for epoch in new:
            for key, value in epoch.logs.items():
                if key not in self._curves:
                    self._curves[key] = BoundedSeries(CURVE_POINTS)
                self._curves[key].append(epoch.number, value)
                fresh.setdefault(key, []).extend(_flat([(epoch.number, value)]))
        self._told += len(new)
        return fresh


def _head(run: TrainingRun) -> Json:
    left = run.now.left
    return {
        "where": run.where(),
        "status": run.status,
        "words": run.describe(),
        "progress": round(run.progress, 4),
        "elapsed": round(run.now.elapsed, 2),
        "left": None if left is None else round(left, 1),
        "foot": foot(run),
    }


def _axis(run: TrainingRun) -> Json:
    start, end = axis(run)
    names = run.metrics[:MOST_CHARTS]
    marks = {name: found for name in names if (found := mark(run, name))}
    epochs = [epoch for epoch, _ in marks.values()]
    words = {name: text for name, (_, text) in marks.items()}
    return {
        "start": start,
        "end": end,
        "metrics": names,
        "mark": {"epoch": epochs[0], "words": words} if epochs else None,
    }


def _messages(run: TrainingRun) -> Json:
    """The newest, and how many there are in all."""
    newest = run.messages[-MOST_MESSAGES:]
    return {"messages": [[epoch, text] for epoch, text in newest], "told": len(run.messages)}


def _table(run: TrainingRun) -> Json:
    names = columns(run)
    best = run.best.epoch if run.best and run.best.monitor != "loss" else 0
    return {
        "columns": ["epoch", *names, "time"],
        "rows": [
            None
            if epoch is None
            else {"cells": row_cells(epoch, names), "best": epoch.number == best}
            for epoch in rows(run, first=0, last=5)
        ],
    }


def _flat(points: Iterable[Point]) -> list[float | None]:
    return [_plain(value) for point in points for value in point]


def _plain(value: float) -> float | None:
    # Shorter, a figure half-way between two is rounded once more, and not as in the table beside.
    return float(f"{value:.8g}") if math.isfinite(value) else None
