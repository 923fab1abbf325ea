"""What happened in a training run: one record, and how displays are told of it.

The record knows nothing of Keras and nothing of notebooks. Whoever trains tells it what happened
as plain figures; whoever draws reads it. So a run on another machine can feed the same views.
"""

from __future__ import annotations

import _thread
import math
import threading
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from kmagic.support.formatting import format_elapsed, format_metric, pluralize
from kmagic.support.rendering import Renderable, enable_figure_display
from kmagic.support.static_display import is_static
from kmagic.training.run.records import Best, Epoch, Message, Now, Partial, Phase, Status

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kmagic.support.downsampling import BoundedSeries, Point
    from kmagic.training.run.confusion_history import Watched

__all__ = [
    "Best",
    "Display",
    "Epoch",
    "Message",
    "Now",
    "Partial",
    "Phase",
    "RecordingDisplay",
    "Status",
    "TrainingRun",
]

VALIDATION = "val_"


class TrainingRun(Renderable):
    """The record of one fit: it grows while the training runs, and stays.

    Args:
        model_name: The model's name, as the user says it.
        epochs: How many epochs were asked for, counted from the model's first.
        steps: Batches in an epoch; None where that is known only after the first.
        batch_size: Samples in a batch, where known.
        samples: Samples in an epoch, where known.
        validation_samples: Samples in a validation, where known; 0 if there is none.
        initial_epoch: Epochs that were trained before this run, as Keras counts.

    Attributes:
        log: The finished epochs.
        now: Where the training stands.
        status: "running", "done", "stopped" (by :meth:`stop`), "interrupted" (by the notebook's
            own button) or "failed".
        partial: The epoch that was broken off, or None.
        note: Why the run ended otherwise than asked for, in a few words.
        pipeline: How the data reaches the model: "fast" by a pipeline of our own, "plain: ..." by
            Keras alone and for what reason; "" where nobody said.
        messages: What happened beside the figures, as (epoch, text): a check before the first
            epoch, which is 0, an early stop, a lower learning rate, a checkpoint.
        resumed: How many of the finished epochs an earlier run has trained, which this one goes
            on with.
        options: What was asked for, by the names that :func:`kmagic.fit` has for it.
        seed: The seed, or None.
        text: The model in the layer language; "" where no text can say it.
        versions: Of Python and the libraries, by name.
        fingerprint: Shapes and types of the data, and a digest; "" where it cannot be looked at.
        earlier: Curves of earlier runs of the same model, oldest first: few points each, to be
            drawn faintly behind this one's.
        watched: The confusion matrix of the validation data after the last epoch, where it was
            asked for (``watch="confusion"``); else None.
        opening: The curves within the first epoch, batch by batch.
        tail: The curves within the epoch that runs.

    Example:
        >>> run = TrainingRun("cnn", epochs=2)
        >>> run.add(Epoch(1, {"loss": 0.7, "val_loss": 0.5}, seconds=3.0))
        >>> run.add(Epoch(2, {"loss": 0.3, "val_loss": 0.4}, seconds=3.0))
        >>> run.status = "done"
        >>> run.history["val_loss"], run.best.epoch
        ([0.5, 0.4], 2)
        >>> run
        cnn: 2 epochs in 0:06; best epoch 2, val_loss 0.4000
    """

    renderer: ClassVar[str] = "kmagic.display.training.training_card:bundle"

    def __init__(
        self,
        model_name: str = "model",
        *,
        epochs: int = 1,
        steps: int | None = None,
        batch_size: int | None = None,
        samples: int | None = None,
        validation_samples: int | None = None,
        initial_epoch: int = 0,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.model_name = model_name
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.samples = samples
        self.validation_samples = validation_samples
        self.initial_epoch = initial_epoch
        self.status: Status = "running"
        self.note = ""
        self.pipeline = ""
        self.partial: Partial | None = None
        self.messages: list[Message] = []
        self.resumed = 0
        self.options: dict[str, Any] = {}
        self.seed: int | None = None
        self.text = ""
        self.versions: dict[str, str] = {}
        self.fingerprint = ""
        self.log: list[Epoch] = []
        self.now = Now()
        self.earlier: list[dict[str, list[Point]]] = []
        self.watched: Watched | None = None
        self.opening: dict[str, list[Point]] = {}
        self.tail: dict[str, BoundedSeries] = {}
        self._stop = threading.Event()
        self._thread = threading.get_ident()
        self._lowest: dict[str, Best] = {}
        self._judged = 0

    def add(self, epoch: Epoch) -> None:
        """Put down a finished epoch."""
        self.log.append(epoch)

    def tell(self, text: str) -> Message:
        """Put down a message, at the epoch that runs."""
        self.messages.append(Message(self.now.epoch, text))
        return self.messages[-1]

    # --- what is asked of it ------------------------------------------------------------------

    def stop(self) -> None:
        """End the training after the batch that runs; may be called from any thread."""
        self._stop.set()

    def interrupt(self) -> None:
        """Break the training off where it is, as the notebook's own button does.

        May be called from any thread. Nothing happens once the run has ended, or where it does
        not train in the main thread, which alone can be interrupted.
        """
        if self.status == "running" and self._thread == threading.main_thread().ident:
            _thread.interrupt_main()

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the training to end."""
        return self._stop.is_set()

    # --- what is read from it -----------------------------------------------------------------

    @property
    def history(self) -> dict[str, list[float]]:
        """Every figure's values, an entry a finished epoch, as in Keras's ``History.history``."""
        history: dict[str, list[float]] = {}
        for epoch in self.log:
            for key, value in epoch.logs.items():
                history.setdefault(key, []).append(value)
        return history

    @property
    def metrics(self) -> list[str]:
        """Names of the figures that are trained on or watched: loss first, validation's aside."""
        keys = {key: None for epoch in self.log[:1] for key in epoch.logs}
        keys.update(dict.fromkeys(self.now.logs))
        names = dict.fromkeys(key.removeprefix(VALIDATION) for key in keys)
        names.pop("learning_rate", None)  # some callbacks log it beside the metrics
        return sorted(names, key=lambda name: name != "loss")

    def curve(self, key: str) -> list[Point]:
        """A figure over the finished epochs, as (epoch, value)."""
        return [(each.number, each.logs[key]) for each in self.log if key in each.logs]

    @property
    def best(self) -> Best | None:
        """The best finished epoch; None before there is one with a figure."""
        monitors = (VALIDATION + "loss", "loss")
        for epoch in self.log[self._judged :]:
            for monitor in monitors:
                value = epoch.logs.get(monitor, math.nan)
                known = self._lowest.get(monitor)
                if value < (known.value if known else math.inf):
                    self._lowest[monitor] = Best(epoch.number, monitor, value)
            self._judged += 1
        return self._lowest.get(monitors[0]) or self._lowest.get(monitors[1])

    @property
    def epoch_times(self) -> list[float]:
        """Seconds that each finished epoch took."""
        return [epoch.seconds for epoch in self.log]

    @property
    def learning_rates(self) -> list[float | None]:
        """The rate that each finished epoch began with."""
        return [epoch.learning_rate for epoch in self.log]

    @property
    def progress(self) -> float:
        """How much of the whole run is trained, 0 to 1."""
        asked = max(1, self.epochs - self.initial_epoch)
        within = 0.0
        if self.steps and self.now.epoch > self.initial_epoch + len(self.log):
            within = min(1.0, self.now.batch / self.steps)
        return min(1.0, (len(self.log) + within) / asked)

    def to_frame(self) -> pd.DataFrame:
        """The finished epochs as a table: the index is the epoch's number.

        Columns are the figures' names, ``learning_rate`` and ``seconds``.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        rows = [
            {"learning_rate": each.learning_rate, **each.logs, "seconds": each.seconds}
            for each in self.log
        ]
        frame = pd.DataFrame(rows, index=pd.Index([each.number for each in self.log], name="epoch"))
        tail = [key for key in ("learning_rate", "seconds") if key in frame]
        return frame[[*frame.columns.drop(tail), *tail]]

    def plot(self) -> Figure:
        """The curves as a matplotlib figure, an axes a figure; pyplot is left alone."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - as above

        names = self.metrics or ["loss"]
        figure = Figure(figsize=(4 * len(names), 3), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for key, label, style in (
                (name, "training", {"color": "#0072b2", "linestyle": "--"}),
                (VALIDATION + name, "validation", {"color": "#d55e00", "marker": "o"}),
            ):
                if points := self.curve(key):
                    axes.plot(*zip(*points, strict=True), label=label, markersize=3, **style)
                    axes.legend(frameon=False)
            axes.set(title=name, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
        enable_figure_display()
        return figure

    # --- in words -----------------------------------------------------------------------------

    def describe(self, *, times: bool = True) -> str:
        """The run in one sentence.

        Args:
            times: False leaves out what differs from one run to the next on the same machine, as
                ``KMAGIC_DISPLAY=static`` always does.
        """
        parts = [self._outcome(times=times and not is_static()), self._judgement()]
        return "; ".join(part for part in parts if part)

    def _outcome(self, *, times: bool) -> str:
        done = len(self.log)
        passed = format_elapsed(self.now.elapsed or sum(self.epoch_times))
        kept = f"{pluralize(done, 'epoch')} kept"
        if self.status == "running":
            return f"running: {self.where()}"
        if self.status == "done":
            short = self.epochs - self.initial_epoch - done
            asked = f" of {self.epochs - self.initial_epoch:,}" if short > 0 else ""
            words = f"{done:,}{asked} epochs" if asked else pluralize(done, "epoch")
            if self.resumed:
                words += f", {self.resumed:,} of them before,"
            took = f" in {passed}" if times else ""
            words = words if took else words.rstrip(",")
            return f"{words}{took}" + (f" ({self.note})" if self.note else "")
        why = f" ({self.note})" if self.note else ""
        took = f", after {passed}" if times else ""
        return f"{self.status} {self.where()}{took}{why}; {kept}"

    def where(self) -> str:
        """Where the training stands or was broken off: "in epoch 2 of 3 at 62 %"."""
        running = self.status == "running"
        if not self.now.epoch:
            return "starting" if running else "before the first batch"
        epoch = f"epoch {self.now.epoch:,} of {self.epochs:,}"
        validating = self.now.phase == "validating"
        if running:
            of = f" of {self.steps:,}" if self.steps else ""
            return f"{epoch}, " + ("validating" if validating else f"batch {self.now.batch:,}{of}")
        if self.partial is None:
            return f"after {epoch}"
        if validating:
            return f"in the validation of {epoch}"
        at = self.partial.fraction
        return f"in {epoch}" + ("" if at is None else f" at {100 * at:.0f} %")

    def _judgement(self) -> str:
        best = self.best
        if best is None:
            return ""
        if best.monitor.startswith(VALIDATION):
            return f"best epoch {best.epoch:,}, {best.monitor} {format_metric(best.value)}"
        return f"loss {format_metric(self.log[-1].logs['loss'])}"

    def __repr__(self) -> str:
        return f"{self.model_name}: {self.describe()}"

    # An event cannot be pickled, and a copy of a run has no training to stop.
    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_stop"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _stop=threading.Event())


class Display(Protocol):
    """One view of a run. It reads the run it is given and never asks Keras for anything.

    Attributes:
        interval: Seconds between two calls of :meth:`update`, at least.
    """

    interval: float

    def begin(self, run: TrainingRun) -> None:
        """The training is about to start."""

    def update(self, run: TrainingRun) -> None:
        """Something is new; called no more often than ``interval`` says."""

    def epoch(self, run: TrainingRun) -> None:
        """An epoch is finished: the last of ``run.log``. Called for every one."""

    def end(self, run: TrainingRun) -> None:
        """The training is over, however it went."""


class RecordingDisplay:
    """A display that remembers what it was told: for tests, and for looking behind the curtain.

    Attributes:
        told: What was called and where the run stood, as (moment, words).

    Example:
        >>> display = RecordingDisplay()
        >>> display.begin(TrainingRun("cnn", epochs=2))
        >>> display.told
        [('begin', 'starting')]
    """

    def __init__(self, interval: float = 0.0) -> None:
        self.interval = interval
        self.told: list[tuple[str, str]] = []

    def begin(self, run: TrainingRun) -> None:
        """Remember the beginning."""
        self.told.append(("begin", run.where()))

    def update(self, run: TrainingRun) -> None:
        """Remember an update."""
        self.told.append(("update", run.where()))

    def epoch(self, run: TrainingRun) -> None:
        """Remember an epoch."""
        self.told.append(("epoch", run.where()))

    def end(self, run: TrainingRun) -> None:
        """Remember the end."""
        self.told.append(("end", run.describe(times=False)))
