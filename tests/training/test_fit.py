from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmagic.display.training.training_card import foot_text
from kmagic.support.errors import TrainingError
from kmagic.training.run.run_history import RunComparison
from kmagic.training.run.training_run import TrainingRun
from kmagic.training.validation.fit_errors import is_data_error, main_sentence

from .fitting import Early, RecordingDisplay, fit

ROWS, WIDTH, CLASSES = 96, 4, 3
BATCH = 16


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, WIDTH)).astype("float32"), rng.integers(0, CLASSES, ROWS)


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.Input((WIDTH,)), keras.layers.Dense(CLASSES, activation="softmax")]
    made = keras.Sequential(layers, name="small")
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


class At(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Does something at one moment of the training, and counts all of them."""

    def __init__(self, moment: str, act: Callable[[], object], *, epoch: int = 1) -> None:
        super().__init__()
        self.moment, self.act, self.wanted = moment, act, epoch
        self.epoch = 0
        self.seen: list[str] = []

    def _see(self, moment: str) -> None:
        self.seen.append(moment)
        if moment == self.moment and self.epoch == self.wanted:
            self.act()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 - Keras's
        self.epoch = epoch + 1
        self._see("epoch begin")

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002 - Keras's
        self._see(f"batch {batch + 1}")

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002 - Keras's
        self._see(f"test batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 - Keras's
        self._see("epoch end")

    def on_train_end(self, logs: object = None) -> None:  # noqa: ARG002 - Keras's
        self._see("train end")


class Grab(RecordingDisplay):
    """Keeps the run that it is shown, so that a test can end it."""

    run: TrainingRun

    def begin(self, run: TrainingRun) -> None:
        self.run = run
        super().begin(run)

    def stop(self) -> None:
        self.run.stop()


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


# --- the fit --------------------------------------------------------------------------------------


def test_history_equals_that_of_keras(model: keras.Model, data: Any) -> None:
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    how = {"epochs": 3, "batch_size": BATCH, "validation_split": 0.25, "shuffle": False}
    run = fit(model, *data, **how)  # type: ignore[arg-type]
    expected = twin.fit(*data, verbose=0, **how).history
    assert run.history == expected
    assert model.history.history == expected
    assert (run.status, run.samples, run.validation_samples, run.steps) == ("done", 72, 24, 5)
    assert run.batch_size == BATCH
    assert run.learning_rates == [0.001] * 3
    assert run.model_name == "small"
    for mine, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_displays_are_called_in_order(model: keras.Model, data: Any) -> None:
    display = RecordingDisplay(interval=0.0)
    fit(model, *data, epochs=2, batch_size=48, validation_split=0.5, displays=[display])
    assert display.calls == [
        ("begin", "starting"),
        ("update", "epoch 1 of 2, batch 0 of 1"),
        ("update", "epoch 1 of 2, batch 1 of 1"),
        ("update", "epoch 1 of 2, validating"),
        ("update", "epoch 1 of 2, validating"),
        ("epoch", "epoch 1 of 2, batch 1 of 1"),
        ("update", "epoch 1 of 2, batch 1 of 1"),
        ("update", "epoch 2 of 2, batch 0 of 1"),
        ("update", "epoch 2 of 2, batch 1 of 1"),
        ("update", "epoch 2 of 2, validating"),
        ("update", "epoch 2 of 2, validating"),
        ("epoch", "epoch 2 of 2, batch 1 of 1"),
        ("update", "epoch 2 of 2, batch 1 of 1"),
        ("end", display.calls[-1][1]),
    ]
    assert display.calls[-1][1].startswith("2 epochs; best epoch")


def test_a_display_appears_before_the_data_is_read_and_disappears_with_an_error(
    model: keras.Model, data: Any
) -> None:
    view, seen = Early(), []

    class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            seen.append(view.calls[-1][0] if view.calls else "")
            if index:
                raise OSError("no disk")
            return data

    with pytest.raises(Exception, match="no disk"):
        fit(model, Batches(), displays=[view], checks=True)
    assert seen[0] == "prepare"
    assert view.calls[-1][0] in ("discard", "end")


def test_data_that_does_not_fit_shows_no_display(model: keras.Model, data: Any) -> None:
    view = Early()
    with pytest.raises(TrainingError):
        fit(model, data[0][:, :2], data[1], displays=[view], checks=True)
    assert view.calls == []


def test_batches_of_one_execution_are_counted(model: keras.Model, data: Any) -> None:
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=4)
    display = RecordingDisplay()
    run = fit(model, *data, batch_size=BATCH, displays=[display])
    assert ("update", "epoch 1 of 1, batch 4 of 6") in display.calls
    assert ("update", "epoch 1 of 1, batch 6 of 6") in display.calls
    assert run.progress == 1.0


def test_what_callbacks_add_is_recorded(model: keras.Model, data: Any) -> None:
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    run = fit(model, *data, epochs=2, callbacks=schedule)
    assert run.history["learning_rate"] == pytest.approx([0.1, 0.05])
    assert run.learning_rates == [0.1, 0.05]
    assert run.metrics == ["loss", "accuracy"]


def test_epoch_numbers_continue_from_initial_epoch(model: keras.Model, data: Any) -> None:
    run = fit(model, *data, epochs=5, initial_epoch=3)
    assert [epoch.number for epoch in run.log] == [4, 5]
    assert run.describe(times=False).startswith("2 epochs")
    assert list(run.to_frame().index) == [4, 5]


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")  # of no known length
def test_the_first_epoch_gives_the_length_of_a_generator(model: keras.Model, data: Any) -> None:
    x, y = data
    batches = ((x[i : i + 32], y[i : i + 32]) for i in itertools.cycle(range(0, ROWS, 32)))
    display = RecordingDisplay()
    with_steps = fit(model, batches, epochs=2, steps_per_epoch=3, shuffle=False, displays=[display])
    assert (with_steps.steps, with_steps.samples, with_steps.batch_size) == (3, None, None)
    dataset = tf.data.Dataset.from_generator(
        lambda: zip(x, y, strict=True),
        output_signature=(tf.TensorSpec((WIDTH,)), tf.TensorSpec((), tf.int64)),
    ).batch(32)
    unknown = RecordingDisplay()
    run = fit(model, dataset, shuffle=False, displays=[unknown])
    assert ("update", "epoch 1 of 1, batch 3") in unknown.calls
    assert run.steps == 3


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")  # that is the test
def test_data_that_runs_out_ends_the_run_early(model: keras.Model, data: Any) -> None:
    x, y = data
    batches = ((x[i : i + 32], y[i : i + 32]) for i in range(0, ROWS, 32))
    run = fit(model, batches, epochs=2, steps_per_epoch=3, shuffle=False)
    assert run.status == "done"
    assert run.history == model.history.history


@pytest.mark.parametrize(
    ("arguments", "samples", "validated"),
    [
        ({}, ROWS, 0),
        ({"validation_split": 0.3}, 67, 29),
        ({"validation_data": "pair"}, ROWS, 10),
        ({"validation_data": "dataset"}, ROWS, None),
        ({"x": "dict"}, ROWS, 0),
    ],
)
def test_samples_are_counted_as_keras_splits_them(
    data: Any, arguments: dict[str, Any], samples: int, validated: int | None
) -> None:
    x, y = data
    inputs = keras.Input((WIDTH,), name="a")
    small = keras.Model({"a": inputs}, keras.layers.Dense(CLASSES)(inputs))
    small.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    held = ({"a": x[:10]}, y[:10])
    kinds = {"pair": held, "dataset": tf.data.Dataset.from_tensor_slices(held).batch(5)}
    arguments = {key: kinds.get(str(value), value) for key, value in arguments.items()}
    arguments["x"] = {"a": x}
    run = fit(small, y=y, **arguments)
    assert (run.samples, run.validation_samples) == (samples, validated)


# --- ending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "where", "fraction"),
    [
        ("batch 2", "stopped in epoch 2 of 5 at 67 %", 2 / 3),
        ("test batch 1", "stopped during validation of epoch 2 of 5", 1.0),
        ("epoch end", "stopped after epoch 2 of 5", None),
    ],
)
def test_a_stop_keeps_what_is_finished(
    model: keras.Model, data: Any, moment: str, where: str, fraction: float | None
) -> None:
    display = Grab()
    watch = At(moment, display.stop, epoch=2)
    before = model.get_weights()
    run = fit(
        model, *data, epochs=5, batch_size=24, validation_split=0.25,
        callbacks=[watch], displays=[display],
    )  # fmt: skip
    finished = 2 if fraction is None else 1
    assert run.status == "stopped"
    assert len(run.history["loss"]) == len(run.history["val_loss"]) == finished
    assert run.history == model.history.history
    assert (run.partial.fraction if run.partial else None) == fraction
    assert run.describe(times=False).startswith(where)
    # The moment is the last that Keras reached: nothing is trained or validated after it.
    assert watch.seen[-2:] == [moment, "train end"]
    assert display.calls[-1][0] == "end"
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert np.isfinite(model.predict(data[0], verbose=0)).all()
    assert fit(model, *data).status == "done"


def test_a_stop_ends_as_keras_ends(model: keras.Model, data: Any) -> None:
    # With averaged weights the last thing that fit does is to put them in place.
    model.compile(
        keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "sparse_categorical_crossentropy"
    )
    display = Grab()
    stop = At("batch 3", display.stop)
    fit(model, *data, batch_size=BATCH, callbacks=[stop], displays=[display])
    averages = model.optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_weights, averages, strict=True):
        np.testing.assert_array_equal(weight.numpy(), average.numpy())


@pytest.mark.parametrize(
    ("moment", "where"),
    [
        ("epoch begin", "interrupted after epoch 1 of 3"),
        ("batch 2", "interrupted in epoch 2 of 3 at 33 %"),
        ("test batch 1", "interrupted during validation of epoch 2 of 3"),
        ("epoch end", "interrupted during validation of epoch 2 of 3"),
    ],
)
def test_an_interrupt_ends_it_at_any_moment(
    model: keras.Model, data: Any, moment: str, where: str
) -> None:
    display = RecordingDisplay()
    cause = At(moment, interrupt, epoch=2)
    run = fit(
        model, *data, epochs=3, batch_size=24, validation_split=0.25,
        callbacks=[cause], displays=[display],
    )  # fmt: skip
    assert run.status == "interrupted"
    assert run.describe(times=False).startswith(f"{where}; 1 epoch kept; best epoch 1")
    assert run.history == model.history.history
    assert display.calls[-1][0] == "end"
    assert fit(model, *data, epochs=1).status == "done"


class Interrupting(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Interrupts when Keras makes weights and graph, at chosen passes through its call."""

    def __init__(self, *passes: int) -> None:
        super().__init__()
        self.passes, self.seen = passes, 0

    def call(self, x: Any) -> Any:
        self.seen += 1
        if self.seen in self.passes:
            interrupt()
        return x


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_while_the_model_is_built_is_deferred(data: Any, at: int) -> None:
    layers = [Interrupting(at), keras.layers.Dense(CLASSES, activation="softmax")]
    made = keras.Sequential(layers)
    made.compile("adam", "sparse_categorical_crossentropy")
    display = RecordingDisplay()
    handler = signal.getsignal(signal.SIGINT)
    run = fit(made, *data, batch_size=BATCH, displays=[display])
    assert run.describe(times=False) == "interrupted in epoch 1 of 1 at 17 %; 0 epochs kept"
    assert display.calls[-1] == ("end", run.describe(times=False))
    assert signal.getsignal(signal.SIGINT) is handler
    assert fit(made, *data).status == "done"


def test_a_second_interrupt_is_not_deferred(data: Any) -> None:
    made = keras.Sequential([Interrupting(1, 2), keras.layers.Dense(CLASSES)])
    made.compile("adam", "sparse_categorical_crossentropy")
    display = RecordingDisplay()
    handler = signal.getsignal(signal.SIGINT)
    run = fit(made, *data, displays=[display])
    assert run.describe(times=False) == "interrupted in epoch 1 of 1 at 0 %; 0 epochs kept"
    assert display.calls[-1][0] == "end"
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_fit_in_another_thread_leaves_interrupts_to_the_main_thread(
    model: keras.Model, data: Any
) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(fit, model, *data).result()
    assert run.status == "done"


def test_early_stopping_is_reported(model: keras.Model, data: Any) -> None:
    early = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=10.0)
    run = fit(model, *data, epochs=9, callbacks=[early])
    assert run.status == "done"
    assert run.describe(times=False).startswith("2 of 9 epochs (stopped early)")
    assert run.partial is None


def test_an_epoch_that_a_callback_ended_is_incomplete(model: keras.Model, data: Any) -> None:
    def end() -> None:
        model.stop_training = True

    run = fit(model, *data, epochs=4, batch_size=BATCH, callbacks=[At("batch 3", end, epoch=2)])
    assert (run.status, len(run.log)) == ("done", 1)
    assert run.partial is not None
    assert (run.partial.epoch, run.partial.fraction) == (2, 0.5)
    assert run.describe(times=False).startswith("1 of 4 epochs (stopped early)")


# --- mistakes -------------------------------------------------------------------------------------


def test_an_uncompiled_model_is_rejected(data: Any) -> None:
    bare = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(1)], name="bare")
    with pytest.raises(TrainingError, match="bare is not compiled") as caught:
        fit(bare, *data)
    assert "compile" in caught.value.remedy


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x, y: (x, y[:-1]), "Data cardinality is ambiguous"),
        (lambda x, y: (x, np.eye(CLASSES)[y]), "Argument `output` must have rank"),
        (lambda x, y: (x, y + CLASSES), "but the last layer has 3 units"),
        (lambda x, y: (x[:, :2], y), "expected axis -1 of input shape to have value 4"),
    ],
)
def test_data_that_does_not_fit(
    model: keras.Model, data: Any, spoil: Callable[..., Any], said: str
) -> None:
    display = RecordingDisplay()
    with pytest.raises(TrainingError, match="small cannot be trained on this data") as caught:
        fit(model, *spoil(*data), displays=[display])
    assert said in caught.value.message
    assert caught.value.__cause__ is not None
    # Nothing is shown of a run that never began; what began is ended.
    assert not display.calls or display.calls[-1][0] == "end"


def test_an_error_in_user_code_is_raised_unchanged(model: keras.Model, data: Any) -> None:
    def wrong() -> None:
        raise ValueError("mine")

    display = RecordingDisplay()
    with pytest.raises(ValueError, match="mine"):
        fit(model, *data, epochs=3, callbacks=[At("batch 1", wrong, epoch=2)], displays=[display])
    assert display.calls[-1][0] == "end"
    assert display.calls[-1][1].startswith("failed in epoch 2 of 3 at 0 % (mine); 1 epoch kept")


def test_main_sentence_is_the_paragraph_with_the_error() -> None:
    keras_says = (
        "Exception encountered when calling Dense.call().\n\n"
        "\x1b[1mInput 0 does not fit.\x1b[0m\n\n"
        "Arguments received by Dense.call():\n  x"
    )
    assert main_sentence(ValueError(keras_says)) == "Input 0 does not fit."
    assert main_sentence(ValueError()) == "ValueError"
    assert main_sentence(ValueError("long " * 200)).endswith("long ...")
    assert not is_data_error(OSError("disk"))


def test_the_optimizer_and_the_precision_are_recorded(data: Any) -> None:
    layer = keras.layers.Dense(CLASSES, activation="softmax", dtype="mixed_bfloat16")
    net = keras.Sequential([keras.Input((4,)), layer])
    net.compile(keras.optimizers.Adam(clipnorm=1.0), "sparse_categorical_crossentropy")
    x, y = data
    run = fit(net, x, y)
    assert run.optimizer == "adam(clipnorm=1.0), mixed_bfloat16"
    assert "adam(clipnorm=1.0), mixed_bfloat16 · learning rate 0.001" in foot_text(run)
    net.compile("sgd", "sparse_categorical_crossentropy")
    other = fit(net, x, y)
    assert "optimizer" in repr(RunComparison(run, other, names=("a", "b")))
