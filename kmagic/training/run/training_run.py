"""The record of one training run, and the displays that follow it.

The record knows neither Keras nor notebooks: training code writes plain numbers into it, and
displays read them.
"""

from __future__ import annotations

import _thread
import math
import threading
import uuid
from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

from kmagic.support.display_mode import is_static
from kmagic.support.downsampling import BoundedSeries, Point
from kmagic.support.formatting import format_elapsed, format_metric, pluralize
from kmagic.support.process_patches import enable_figure_display
from kmagic.support.rendering import Renderable
from kmagic.training.run.confusion_history import ConfusionHistory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

VALIDATION = "val_"

Status: TypeAlias = Literal["running", "done", "stopped", "interrupted", "failed"]
Phase: TypeAlias = Literal["starting", "training", "validating"]


class Message(NamedTuple):
    """Something that a reader of the run should know.

    Attributes:
        epoch: When, from 1; 0 before the first epoch.
        text: One or two sentences.
    """

    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch.

    Attributes:
        number: From 1.
        logs: Its metrics by name, as in Keras's History.
        seconds: Its duration, including validation and callbacks.
        learning_rate: The learning rate at its start, if the optimizer has one.
    """

    number: int
    logs: Mapping[str, float]
    seconds: float
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class PartialEpoch:
    """An epoch that did not finish.

    Attributes:
        epoch: Its number, from 1.
        fraction: The part of its batches that was trained, 0 to 1; None if unknown.
        logs: Its metrics so far.
    """

    epoch: int
    fraction: float | None
    logs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best finished epoch, by validation loss, or by loss without validation."""

    epoch: int
    monitor: str
    value: float


@dataclass(slots=True)
class RunState:
    """The current position of a running training.

    Attributes:
        phase: What it is doing.
        epoch: The current epoch, from 1; 0 before the first.
        batch: Number of finished batches of this epoch.
        logs: Metrics of this epoch so far.
        learning_rate: The learning rate at the start of this epoch.
        elapsed: Seconds since the run began.
        left: Estimated seconds to the end of the run, including validation; None if unknown.
        rate: Training batches per second, validation excluded; None before the first.
    """

    phase: Phase = "starting"
    epoch: int = 0
    batch: int = 0
    logs: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    elapsed: float = 0.0
    left: float | None = None
    rate: float | None = None


@dataclass(eq=False, repr=False)
class TrainingRun(Renderable):
    """The record of one fit: it grows during training and stays afterwards.

    Args:
        model_name: The model's name.
        epochs: The requested number of epochs, counted from the model's first.
        steps: Batches per epoch; None if known only after the first epoch.
        batch_size: Samples per batch, if known.
        samples: Samples per epoch, if known.
        validation_samples: Validation samples per epoch, if known; 0 without validation.
        initial_epoch: Epochs trained before this run, as in Keras's ``fit``.

    Attributes:
        log: The finished epochs.
        now: The current position.
        status: "running", "done", "stopped" (by :meth:`stop`), "interrupted" (by the notebook's
            interrupt button) or "failed".
        partial: The unfinished last epoch, or None.
        note: Why the run ended early, in a few words; "" if it did not.
        pipeline: How data reaches the model: "fast" through kmagic's pipeline, "plain: ..." through
            Keras alone, with the reason.
        messages: Events, as (epoch, text): advice before the first epoch (epoch 0), an early stop,
            a lower learning rate, a checkpoint.
        resumed: How many of the finished epochs are from an earlier run that this one continued.
        options: The options that differ from their defaults, by their names in :func:`kmagic.fit`.
        described: Options whose values are objects or arrays, as text: "callbacks" ...
        optimizer: The optimizer with its arguments, in the layer language, without a learning rate
            that is a number; and the precision, unless it is float32.
        rows: Digests of some rows "trained" on and "held_out"; None without a checkpoint.
        variables: Values of the notebook variables that the magic's line and the model's text use.
        seed: The seed, or None.
        text: The model in the layer language; "" if it cannot be expressed.
        versions: Versions of Python and the libraries, by name.
        fingerprint: Shapes, types and a digest of the data; "" if it is not arrays.
        trial: The trial of a search that this run was; "" for any other run.
        earlier: Curves of previous runs of the same model, oldest first, downsampled; displays
            draw them in grey.
        confusion: The validation data's confusion matrix after each epoch, with
            ``watch="confusion"``; else None.
        first_epoch_curves: The curves within the first epoch, by metric.
        epoch_curves: The curves within the current epoch, by metric.

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

    renderer: ClassVar[str] = "kmagic.display.training.training_card:training_bundle"

    model_name: str = "model"
    _: KW_ONLY
    epochs: int = 1
    steps: int | None = None
    batch_size: int | None = None
    samples: int | None = None
    validation_samples: int | None = None
    initial_epoch: int = 0
    status: Status = "running"
    note: str = ""
    pipeline: str = ""
    partial: PartialEpoch | None = None
    messages: list[Message] = field(default_factory=list)
    resumed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    optimizer: str = ""
    rows: dict[str, list[int]] | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    text: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    trial: str = ""
    log: list[Epoch] = field(default_factory=list)
    now: RunState = field(default_factory=RunState)
    earlier: list[dict[str, list[Point]]] = field(default_factory=list)
    confusion: ConfusionHistory | None = None
    first_epoch_curves: dict[str, list[Point]] = field(default_factory=dict)
    epoch_curves: dict[str, BoundedSeries] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._stop = threading.Event()
        self._thread = threading.get_ident()
        self._lowest: dict[str, BestEpoch] = {}
        self._keys: dict[str, None] = {}
        self._read = 0

    def add(self, epoch: Epoch) -> None:
        """Append a finished epoch."""
        self.log.append(epoch)

    def add_message(self, text: str) -> Message:
        """Append a message at the current epoch."""
        self.messages.append(Message(self.now.epoch, text))
        return self.messages[-1]

    # --- ending it ----------------------------------------------------------------------------

    def stop(self) -> None:
        """End the training after the current batch; may be called from any thread."""
        self._stop.set()

    def interrupt(self) -> None:
        """Interrupt the training immediately, as the notebook's interrupt button does.

        May be called from any thread. Does nothing after the run has ended, or if it does not
        train in the main thread, the only one that can be interrupted.
        """
        if self.status == "running" and self._thread == threading.main_thread().ident:
            _thread.interrupt_main()

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stop.is_set()

    # --- reading it ---------------------------------------------------------------------------

    @property
    def history(self) -> dict[str, list[float]]:
        """Each metric's value per finished epoch, as in Keras's ``History.history``."""
        history: dict[str, list[float]] = {}
        for epoch in self.log:
            for key, value in epoch.logs.items():
                history.setdefault(key, []).append(value)
        return history

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics without their ``val_`` twins, loss first."""
        keys = {key: None for epoch in self.log[:1] for key in epoch.logs}
        keys.update(dict.fromkeys(self.now.logs))
        names = dict.fromkeys(key.removeprefix(VALIDATION) for key in keys)
        names.pop("learning_rate", None)  # some callbacks log it beside the metrics
        return sorted(names, key=lambda name: name != "loss")

    def curve(self, key: str) -> list[Point]:
        """A metric over the finished epochs, as (epoch, value)."""
        return [(epoch.number, epoch.logs[key]) for epoch in self.log if key in epoch.logs]

    @property
    def best(self) -> BestEpoch | None:
        """The best finished epoch; None if none has a loss."""
        self._read_epochs()
        return self._lowest.get(VALIDATION + "loss") or self._lowest.get("loss")

    @property
    def logged_keys(self) -> Collection[str]:
        """The names of all values in the log."""
        self._read_epochs()
        return self._keys.keys()

    def _read_epochs(self) -> None:
        """Read the epochs that are new in the log: displays ask ten times per second."""
        for epoch in self.log[self._read :]:
            self._keys.update(dict.fromkeys(epoch.logs))
            for monitor in (VALIDATION + "loss", "loss"):
                value = epoch.logs.get(monitor, math.nan)
                lowest = self._lowest.get(monitor)
                if value < (lowest.value if lowest else math.inf):
                    self._lowest[monitor] = BestEpoch(epoch.number, monitor, value)
        self._read = len(self.log)

    @property
    def monitor(self) -> str:
        """What measures progress: the validation loss, or the loss without validation."""
        return "loss" if self.validation_samples == 0 else VALIDATION + "loss"

    @property
    def epoch_times(self) -> list[float]:
        """The duration of each finished epoch in seconds."""
        return [epoch.seconds for epoch in self.log]

    @property
    def seconds(self) -> float:
        """The duration of the run so far."""
        return self.now.elapsed or sum(self.epoch_times)

    @property
    def learning_rates(self) -> list[float | None]:
        """The learning rate at the start of each finished epoch."""
        return [epoch.learning_rate for epoch in self.log]

    @property
    def progress(self) -> float:
        """The trained fraction of the run, 0 to 1."""
        requested = max(1, self.epochs - self.initial_epoch)
        current = 0.0
        if self.steps and self.now.epoch > self.initial_epoch + len(self.log):
            current = min(1.0, self.now.batch / self.steps)
        return min(1.0, (len(self.log) + current) / requested)

    def to_frame(self) -> pd.DataFrame:
        """One row per finished epoch, indexed by its number.

        Columns are the metrics, ``learning_rate`` and ``seconds``.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second

        rows = [
            {"learning_rate": epoch.learning_rate, **epoch.logs, "seconds": epoch.seconds}
            for epoch in self.log
        ]
        index = pd.Index([epoch.number for epoch in self.log], name="epoch")
        frame = pd.DataFrame(rows, index=index)
        last = [key for key in ("learning_rate", "seconds") if key in frame]
        return frame[[*frame.columns.drop(last), *last]]

    def plot(self) -> Figure:
        """The curves as a matplotlib figure with one axes per metric; pyplot is not used."""
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

    # --- as text ------------------------------------------------------------------------------

    def describe(self, *, times: bool = True) -> str:
        """The run in one sentence.

        Args:
            times: False omits durations, which differ between repeated runs;
                ``KMAGIC_DISPLAY=static`` always omits them.
        """
        parts = [self._outcome(times=times and not is_static()), self.result()]
        return "; ".join(part for part in parts if part)

    def _outcome(self, *, times: bool) -> str:
        if self.status == "running":
            return f"running: {self.where()}"
        done, duration = len(self.log), format_elapsed(self.seconds)
        if self.status != "done":
            after = f", after {duration}" if times else ""
            note = f" ({self.note})" if self.note else ""
            return f"{self.status} {self.where()}{after}{note}; {pluralize(done, 'epoch')} kept"
        requested = self.epochs - self.initial_epoch
        epochs = (
            pluralize(done, "epoch") if done >= requested else f"{done:,} of {requested:,} epochs"
        )
        resumed = f"{self.resumed:,} from an earlier run" if self.resumed else ""
        notes = "; ".join(note for note in (resumed, self.note) if note)
        return epochs + (f" in {duration}" if times else "") + (f" ({notes})" if notes else "")

    def where(self) -> str:
        """The current position or that of the end: "in epoch 2 of 3 at 62 %"."""
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
            return f"during validation of {epoch}"
        fraction = self.partial.fraction
        return f"in {epoch}" + ("" if fraction is None else f" at {100 * fraction:.0f} %")

    def result(self) -> str:
        """The best epoch and its loss as text; "" before the first epoch."""
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


class Display:
    """A view of a run; override what it needs. It reads the run and never asks Keras for anything.

    Attributes:
        interval: Minimum seconds between two calls of :meth:`update`.
    """

    interval = math.inf

    def prepare(self, run: TrainingRun) -> None:
        """The data is being read or prepared; the record is not complete yet."""

    def discard(self, run: TrainingRun) -> None:
        """The training cannot start: remove what :meth:`prepare` has shown."""

    def begin(self, run: TrainingRun) -> None:
        """The training is about to start."""

    def update(self, run: TrainingRun) -> None:
        """Something changed; called at most once per ``interval``."""

    def epoch(self, run: TrainingRun) -> None:
        """An epoch finished, the last of ``run.log``; called for each of them."""

    def end(self, run: TrainingRun) -> None:
        """The training is over, however it ended."""
