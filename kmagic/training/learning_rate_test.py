"""Which learning rate suits a model and its data: a learning rate range test.

From batch to batch the rate grows exponentially, and the loss of each batch is recorded: Smith,
"Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3. The model, its optimizer
and the random states are the same afterwards, bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import find_dataset
from kmagic.data.inspection import count_batches, random_state_kept, sample_count, stream_kind
from kmagic.models.one_cycle import schedule_of
from kmagic.support.errors import TrainingError, check_integer
from kmagic.support.formatting import pluralize
from kmagic.support.messages import Option, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.progress import Progress
from kmagic.support.rendering import Renderable
from kmagic.training.fit import inspect_and_check, not_compiled
from kmagic.training.fit_inputs import convert_arguments, dataset_parts, take_rows
from kmagic.training.fit_options import FitOptions
from kmagic.training.model_state import model_kept
from kmagic.training.pipeline.pipeline_choice import DEFAULT_BATCH_SIZE
from kmagic.training.run.training_run import TrainingRun
from kmagic.training.validation.fit_errors import training_error

if TYPE_CHECKING:
    import pandas as pd

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 100
MIN_STEPS = 20
SMOOTHING = 4
"""The smoothed loss is the mean of a batch's and that of this many batches before and after it."""
DIVERGED = 4.0
"""The test ends when the smoothed loss is this many times its first value."""
MIN_FALL = 0.05
"""The smallest share of the first loss by which the loss must fall somewhere."""


class LearningRateTest(Renderable):
    """The loss of a model at growing learning rates, and the rate that it suggests.

    Attributes:
        name: Name of the model.
        rates: Learning rate of each batch, growing.
        losses: Loss of each batch before its update; NaN or infinite where it was.
        rate: The suggested rate, rounded to one digit; None if the loss falls at no rate.
        reason: Why, in a sentence.
        is_scheduled: Whether the optimizer follows a schedule, so that its rate cannot be set.

    Example:
        >>> test = LearningRateTest("net", [1e-4, 1e-3, 1e-2, 1e-1], [2.0, 1.9, 1.0, 3.0])
        >>> test.smoothed.round(2).tolist()
        [2.0, 1.63, 1.97, 3.0]
    """

    renderer: ClassVar[str] = "kmagic.display.training.learning_rate_card:learning_rate_bundle"

    def __init__(
        self,
        name: str,
        rates: Sequence[float],
        losses: Sequence[float],
        *,
        is_scheduled: bool = False,
    ) -> None:
        self.name, self.rates, self.losses = name, list(rates), list(losses)
        self.is_scheduled = is_scheduled
        self.rate, self.reason = suggest_rate(self.rates, self.losses)

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The mean loss around each batch."""
        return smooth(self.losses)

    @property
    def usage(self) -> str:
        """How to train with the suggested rate, as a sentence; "" if there is none."""
        if self.rate is None:
            return ""
        if self.is_scheduled:
            return "The optimizer follows a schedule; to use this rate, compile the model with it."
        return f"To use it: `{self.name}.optimizer.learning_rate = {self.rate:g}`"

    def to_frame(self) -> pd.DataFrame:
        """One row per batch: ``rate``, ``loss`` and ``smoothed``."""
        import pandas as pd  # noqa: PLC0415 - takes half a second

        columns = {"rate": self.rates, "loss": self.losses, "smoothed": self.smoothed}
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        rate = "no learning rate" if self.rate is None else f"learning rate {self.rate:g}"
        return f"{self.name}: {rate}. {self.reason}"


@explain_special_methods
def find_learning_rate(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    steps: int = STEPS,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    checks: bool = True,
    name: str | None = None,
) -> LearningRateTest:
    """Find a learning rate by a range test (Smith 2017), which leaves the model as it is.

    The model is trained for some batches, while the learning rate grows from ``lowest`` to
    ``highest``. Afterwards its weights, its optimizer and the random states are as before.

    Args:
        model: A compiled ``keras.Model`` with weights.
        x: Inputs, as for :func:`kmagic.fit`; also a dataset of :func:`kmagic.load_data`, whose
            training part is used, or a stream that can be read again.
        y: Targets, if ``x`` does not contain them.
        batch_size: Samples per batch, as in the training that the rate is for; 32 by default.
        steps: Number of batches, at least 20; fewer are used if the loss explodes before.
        lowest: The first learning rate.
        highest: The last one.
        checks: Check the data first, as :func:`kmagic.fit` does.
        name: Name of the model, for the card. Default: its own.

    Returns:
        The result: ``result.rate`` is the suggested rate, ``result.to_frame()`` the curve.

    Raises:
        TrainingError: The model is not compiled or has no weights yet, it does not fit the data, or
            the data can be read only once.

    Example:
        >>> import keras, numpy
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="line")
        >>> model.compile("sgd", "mse")
        >>> result = find_learning_rate(model, numpy.ones((64, 2)), numpy.ones((64, 1)))
        >>> len(result.rates) > 50, result.name
        (True, 'line')
    """
    name = name or str(getattr(model, "name", ""))
    _check_model(model, name)
    _check_range(steps, lowest, highest)
    options = FitOptions(batch_size=batch_size, checks=checks)
    dataset = find_dataset(x)
    x, y, _ = dataset_parts(model, x, y, None)
    if stream_kind(x) == "generator":
        raise TrainingError(
            "A learning rate test needs data that can be read again; got a generator.",
            "Pass arrays, a tf.data.Dataset or a PyDataset.",
        )
    if stream_kind(x) == "tf.data.Dataset" and count_batches(x) == -1:
        x = x.take(steps)
    arguments = convert_arguments(model, {"x": x, "y": y, **options.keras_arguments()})
    inspection, _ = inspect_and_check(model, name, arguments, options, dataset)
    if inspection.is_stream:
        data = {"x": arguments["x"]}
        if inspection.batches is None:
            data["steps_per_epoch"] = steps
    else:
        size = batch_size or DEFAULT_BATCH_SIZE
        parts = _sample(arguments["x"], arguments["y"], size * steps)
        data = {"x": parts[0], "y": parts[1], "batch_size": size}
    rates = np.geomspace(lowest, highest, steps).tolist()
    losses = _losses(model, name, data, rates)
    if len(losses) < MIN_STEPS:
        raise TrainingError(
            f"The data for {name} has only {pluralize(len(losses), 'batch', 'batches')}; "
            f"a learning rate test needs {MIN_STEPS}.",
            "Use more data or smaller batches.",
        )
    is_scheduled = bool(schedule_of(model)) or not isinstance(
        model.optimizer.learning_rate, keras.Variable
    )
    return LearningRateTest(name, rates[: len(losses)], losses, is_scheduled=is_scheduled)


def _check_model(model: Any, name: str) -> None:
    if not hasattr(model, "fit") or not hasattr(model, "name"):
        actual = repr(model) if isinstance(model, str) else type(model).__name__
        raise TrainingError(f"find_learning_rate expects a Keras model; got {actual}.")
    if not model.compiled or getattr(model, "optimizer", None) is None:
        raise not_compiled(name)
    if not model.built:
        raise TrainingError(
            f"{name} has no weights yet: the shape of its input is not known.",
            "Begin it with an input, for example `input 28x28x1`.",
        )


def _check_range(steps: Any, lowest: Any, highest: Any) -> None:
    check_integer(TrainingError, "steps", steps, MIN_STEPS)
    for option, value in (("lowest", lowest), ("highest", highest)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            raise TrainingError(option=option, expected="a positive number", actual=value)
    if lowest >= highest:
        message = Text(Option("lowest"), " must be less than ", Option("highest"), ".")
        raise TrainingError(message, option="lowest")


# --- the training ---------------------------------------------------------------------------------


def _sample(x: Any, y: Any, count: int) -> tuple[Any, Any]:
    """Samples in random order, repeated if there are too few, without the global random state."""
    total = sample_count(x) or 0
    random = np.random.default_rng(0)
    rounds = [random.permutation(total) for _ in range(math.ceil(count / max(total, 1)))]
    chosen = np.concatenate(rounds)[:count]
    return take_rows(x, chosen), take_rows(y, chosen)


def _losses(
    model: keras.Model, name: str, data: dict[str, Any], rates: Sequence[float]
) -> list[float]:
    """The loss of each batch; ends early when it diverges."""
    kept = model_kept(model, rates[0])
    with Progress(len(rates), "batches") as progress, kept, random_state_kept():
        callback = _GrowingRate(rates, progress)
        model.steps_per_execution = 1
        try:
            # An epoch may be shorter than the test; the callback ends the training.
            callbacks: Any = [callback]
            model.fit(**data, epochs=len(rates), shuffle=False, verbose=0, callbacks=callbacks)
        except Exception as error:
            clear_error = training_error(TrainingRun(name), error, model, was_traced=False)
            if clear_error is not None:
                raise clear_error from error
            raise
    return callback.losses


class _GrowingRate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Sets the rate of each batch, and records its loss."""

    def __init__(self, rates: Sequence[float], progress: Progress) -> None:
        super().__init__()
        self.rates, self.progress = rates, progress
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
        rate = self.rates[len(self.losses)]
        self.model.optimizer.learning_rate.assign(rate)
        self.model.reset_metrics()  # or the loss is the mean over the epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - as above
        self.losses.append(float(logs["loss"]))
        self.progress.advance()
        self.model.stop_training = len(self.losses) == len(self.rates) or _diverges(self.losses)


def _diverges(losses: Sequence[float]) -> bool:
    if not math.isfinite(losses[-1]):
        return True
    smoothed = smooth(losses)
    return len(losses) > MIN_STEPS and bool(smoothed[-1] > DIVERGED * abs(smoothed[0]))


# --- the suggestion -------------------------------------------------------------------------------


def smooth(losses: Sequence[float]) -> NDArray[np.float64]:
    """The mean of each loss and of its neighbours; of fewer at the ends.

    Example:
        >>> smooth([1.0] * 5 + [2.0] * 5).round(2).tolist()
        [1.0, 1.0, 1.0, 1.29, 1.44, 1.56, 1.71, 2.0, 2.0, 2.0]
    """
    values = np.asarray(losses, float)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    reach = np.minimum.reduce([np.full(len(values), SMOOTHING), index, index[::-1]])
    means: NDArray[np.float64] = (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)
    return means


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> tuple[float | None, str]:
    """The rate at which the smoothed loss falls fastest before its lowest point, and the reason.

    Example:
        >>> rates = np.geomspace(1e-5, 1.0, 50)
        >>> losses = 1 - 0.9 / (1 + (3e-3 / rates) ** 2) + 50 * np.maximum(rates - 0.2, 0)
        >>> suggest_rate(rates.tolist(), losses.tolist())[0]
        0.003
    """
    count = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    whole = slice(SMOOTHING, max(count - SMOOTHING, 0))  # where the mean is one of all neighbours
    smoothed, shown = smooth(losses[:count])[whole], rates[whole]
    if len(smoothed) <= 2 * SMOOTHING or smoothed[0] - smoothed.min() < MIN_FALL * abs(smoothed[0]):
        return None, (
            f"The loss falls at no rate between {rates[0]:g} and {rates[-1]:g}: check the loss and "
            "the data, or use more steps."
        )
    lowest = int(smoothed.argmin())
    slopes = np.gradient(smoothed, np.log(shown))
    rate = _one_digit(shown[int(slopes[: lowest + 1].argmin())])
    end = f"it is lowest at {_one_digit(shown[lowest]):g}"
    if smoothed[-1] > smoothed[lowest] or count < len(losses):
        end += " and rises at higher rates"
    return rate, f"The loss falls fastest at {rate:g}; {end}."


def _one_digit(rate: float) -> float:
    return float(f"{rate:.0e}")
