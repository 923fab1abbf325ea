"""The record of a cross-validation: its runs, their scores and the out-of-fold predictions."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from kmagic.support.formatting import format_metric, pluralize
from kmagic.support.rendering import Renderable
from kmagic.training.run.training_run import VALIDATION, TrainingRun

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LEVEL = 0.95
"""Confidence of an interval."""
PROPORTION = re.compile(r"acc(uracy)?(_|$)|auc|precision|recall|f1")
"""Names of metrics from 0 to 1."""


@dataclass(frozen=True, slots=True)
class FoldScore:
    """What one run of a cross-validation reached.

    Attributes:
        run: The run.
        fold: Its fold, from 1; 0 without folds.
        repeat: Its repetition, from 1.
        share: Number of held-out rows per training row.
        epoch: The epoch that its weights are from; 0 if the run does not count, because it was
            stopped, was interrupted, or failed.
        logs: The metrics of that epoch.
    """

    run: TrainingRun
    fold: int
    repeat: int
    share: float
    epoch: int = 0
    logs: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class CrossValidation(Renderable):
    """The result of :func:`kmagic.cross_validate`: several runs of one model.

    Args:
        name: The model's name.
        folds: Number of folds; 0 if only the seeds differ.
        repeat: Number of repetitions.
        kind: How the rows are divided: "stratified", "by patient", "chronological" ...

    Attributes:
        results: One :class:`FoldScore` per run that has ended.
        messages: What a reader of the scores should know, in sentences.
        predictions: Out-of-fold predictions of the first repetition, one row per row of ``y_true``;
            NaN where none is held out, as at the start of chronological folds. Without folds those
            of the first run for the validation data.
        predicted: Which rows have a prediction, (rows,) of bool; None before the first one.
        y_true: The targets of these rows.
        x: Their inputs.
        classes: Names of the classes, if they are known.
        is_multilabel: Whether a sample can have several of them.

    Of a model with several outputs, ``predictions``, ``y_true`` and ``classes`` are dictionaries by
    the names of the outputs.

    Example:
        >>> from kmagic.training.run.training_run import Epoch
        >>> result = CrossValidation("net", folds=2)
        >>> for fold, loss in ((1, 0.25), (2, 0.75)):
        ...     run = TrainingRun(f"net fold {fold} of 2")
        ...     logs = {"loss": 0.2, "val_loss": loss}
        ...     run.add(Epoch(1, logs, seconds=1.0))
        ...     result.results.append(FoldScore(run, fold, 1, 1.0, 1, logs))
        >>> result.mean, result.scores["val_loss"].tolist()
        ({'val_loss': 0.5}, [0.25, 0.75])
        >>> print(result)
        net: 2 folds; mean of 2 runs, standard deviation, 95 % interval of the mean
        val_loss  0.5000 ± 0.3536  -5.0019 to 6.0019
    """

    renderer: ClassVar[str] = "kmagic.display.training.folds_card:cross_validation_bundle"

    name: str
    _: KW_ONLY
    folds: int = 0
    repeat: int = 1
    kind: str = ""
    results: list[FoldScore] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    predictions: Any = None
    predicted: NDArray[Any] | None = None
    y_true: Any = None
    x: Any = None
    classes: Any = None
    is_multilabel: Any = False

    @property
    def planned(self) -> int:
        """The number of runs that were planned."""
        return max(self.folds, 1) * self.repeat

    @property
    def runs(self) -> list[TrainingRun]:
        """The runs, also those that do not count."""
        return [result.run for result in self.results]

    @property
    def finished(self) -> list[FoldScore]:
        """The results of the runs that count."""
        return [result for result in self.results if result.epoch]

    @property
    def scores(self) -> dict[str, NDArray[Any]]:
        """For each validation metric its value in each run that counts, of the run's final weights.

        These are the weights of the last epoch, or with ``restore_best`` of the best one.
        """
        import numpy as np  # noqa: PLC0415 - a tenth of a second

        logs = [result.logs for result in self.finished]
        names = dict.fromkeys(key for each in logs for key in each if key.startswith(VALIDATION))
        first = sorted(names, key=lambda name: name != f"{VALIDATION}loss")
        return {name: np.array([each.get(name, math.nan) for each in logs]) for name in first}

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each score."""
        return {name: float(values.mean()) for name, values in self.scores.items()}

    @property
    def std(self) -> dict[str, float]:
        """The standard deviation of each score over the runs; NaN for a single run."""
        if len(self.finished) < 2:  # noqa: PLR2004 - needed for a deviation
            return dict.fromkeys(self.scores, math.nan)
        return {name: float(values.std(ddof=1)) for name, values in self.scores.items()}

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """The 95 % confidence interval of each mean; NaN for a single run.

        With folds it is the corrected resampled t interval of Nadeau and Bengio, "Inference for the
        Generalization Error", Machine Learning 52, 2003: because the training rows overlap, the
        variance of the mean of J runs is (1/J + rows held out / rows trained on) times that of the
        scores. Without folds it is Student's t interval, which says nothing about other data.
        Intervals of shares, such as accuracy, end at 0 and 1.
        """
        from scipy.stats import t  # noqa: PLC0415 - a second to import

        count = len(self.finished)
        if count < 2:  # noqa: PLR2004 - needed for a deviation
            return dict.fromkeys(self.scores, (math.nan, math.nan))
        share = sum(result.share for result in self.finished) / count if self.folds else 0.0
        reach = float(t.ppf((1 + LEVEL) / 2, count - 1)) * math.sqrt(1 / count + share)
        std = self.std
        ends = {}
        for name, values in self.scores.items():
            low, high = values.mean() - reach * std[name], values.mean() + reach * std[name]
            if PROPORTION.search(name) and values.min() >= 0 and values.max() <= 1:
                low, high = max(low, 0.0), min(high, 1.0)
            ends[name] = float(low), float(high)
        return ends

    def to_frame(self) -> pd.DataFrame:
        """One row per run, indexed by its name.

        Columns are ``fold``, ``repeat``, ``seed``, ``status``, ``epochs``, the ``epoch`` of the
        final weights, the metrics of that epoch, and ``seconds``. The metrics of a run that does
        not count are NaN.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        rows = [
            {
                "fold": result.fold,
                "repeat": result.repeat,
                "seed": result.run.seed,
                "status": result.run.status,
                "epochs": len(result.run.log),
                "epoch": result.epoch or None,
                **result.logs,
                "seconds": result.run.seconds,
            }
            for result in self.results
        ]
        names = [self.label(result) for result in self.results]
        frame = pd.DataFrame(rows, index=pd.Index(names, name="run"))
        return frame[[*frame.columns.drop("seconds"), "seconds"]] if rows else frame

    def label(self, result: FoldScore) -> str:
        """The name of a run: "fold 2", or "fold 2, repeat 1"."""
        parts = [f"fold {result.fold}"] if self.folds else []
        parts += [f"repeat {result.repeat}"] if self.repeat > 1 else []
        return ", ".join(parts) or "run"

    # --- as text ------------------------------------------------------------------------------

    def describe(self) -> str:
        """What was planned, and what is missing: "5 folds, stratified; 4 of 5 runs finished"."""
        parts = [pluralize(self.folds, "fold")] if self.folds else []
        parts += [self.kind] if self.kind else []
        parts += [f"{self.repeat} repetitions"] if self.repeat > 1 and self.folds else []
        parts += [f"{self.repeat} runs that differ in their seeds"] if not self.folds else []
        missing = "" if len(self.finished) == self.planned else f"; {self._missing()}"
        return ", ".join(parts) + missing

    def _missing(self) -> str:
        """Which runs do not count: "3 of 5 runs finished: fold 4 interrupted, 1 not started"."""
        text = f"{len(self.finished)} of {self.planned} runs finished"
        others = [result for result in self.results if not result.epoch]
        outcomes = {"done": "without predictions"}
        causes = [
            f"{self.label(each)} {outcomes.get(each.run.status, each.run.status)}"
            for each in others[:3]
        ]
        causes += [f"{len(others) - 3} others"] if len(others) > 3 else []  # noqa: PLR2004 - named
        left = self.planned - len(self.results)
        causes += [f"{left} not started"] if left else []
        return f"{text}: {', '.join(causes)}" if causes else text

    def score_texts(self) -> dict[str, tuple[str, str]]:
        """For each score its mean ± standard deviation, and its interval, as text."""
        std, interval = self.std, self.interval
        texts = {}
        for name, mean in self.mean.items():
            spread = f" ± {format_metric(std[name])}" if math.isfinite(std[name]) else ""
            low, high = map(format_metric, interval[name])
            ends = f"{low} to {high}" if math.isfinite(interval[name][0]) else ""
            texts[name] = (format_metric(mean) + spread, ends)
        return texts

    def __repr__(self) -> str:
        texts = self.score_texts()
        heading = f"{self.name}: {self.describe()}"
        if not texts:
            return heading
        count = len(self.finished)
        heading += f"; mean of {pluralize(count, 'run')}"
        heading += ", standard deviation, 95 % interval of the mean" if count > 1 else ""
        names = max(map(len, texts))
        values = max(len(value) for value, _ in texts.values())
        lines = [f"{k:<{names}}  {v:<{values}}  {ends}".rstrip() for k, (v, ends) in texts.items()]
        return "\n".join([heading, *lines])
