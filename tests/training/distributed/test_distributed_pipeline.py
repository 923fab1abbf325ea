"""Training by several workers gives what one process gives, and ends well however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest

from kmagic import TrainingRun, fit
from kmagic.cluster import connection
from kmagic.support.errors import MagicError, TrainingError
from kmagic.training.distributed import ray_workers
from kmagic.training.pipeline import executions

from ...shells import run_cell

RNG = np.random.default_rng(5)
X = RNG.random((103, 6, 6, 1), dtype="float32")
Y = (X.mean(axis=(1, 2, 3)) * 40).astype("int64") % 3
WEIGHTS = RNG.random(103, dtype="float32")
HOW: dict[str, Any] = {"batch_size": 10, "epochs": 5, "displays": [], "validation_split": 0.2}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray on this machine, with room for four workers whatever it has."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
    yield
    connection.disconnect()
    shutil.rmtree(folder, ignore_errors=True)


def cnn(*extra: keras.Layer, optimizer: Any = None) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            *extra,
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="cnn",
    )
    rate = keras.optimizers.Adam(0.01, clipnorm=0.1)
    model.compile(optimizer or rate, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(model: keras.Model, workers: int | None, **options: Any) -> TrainingRun:
    on = None if workers is None else "auto"
    return fit(model, X, Y, **HOW | {"on": on, "workers": workers} | options)


def values(model: keras.Model) -> list[np.ndarray]:
    return [np.array(variable) for variable in [*model.variables, *model.optimizer.variables]]


def assert_equal_models(model: keras.Model, other: keras.Model) -> None:
    for value, expected in zip(values(model), values(other), strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-6)


@pytest.fixture(scope="module")
def alone() -> tuple[keras.Model, TrainingRun]:
    """The model and the run of one process."""
    model = cnn()
    return model, train(model, None, shuffle=False, sample_weight=WEIGHTS)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_losses_and_weights_are_those_of_one_process(workers: int, alone: Any) -> None:
    model = cnn()
    run = train(model, workers, shuffle=False, sample_weight=WEIGHTS)  # 82 rows: the last 2 remain
    expected = alone[1]
    assert run.status == "done"
    assert run.history.keys() == expected.history.keys()
    for name, curve in expected.history.items():
        np.testing.assert_allclose(run.history[name], curve, rtol=1e-5, atol=1e-6)
    assert_equal_models(model, alone[0])
    samples = {1: "10", 2: "5", 3: "3 to 4"}[workers]
    noun = "worker" if workers == 1 else "workers"
    assert run.pipeline == f"distributed, {workers} {noun} with {samples} of 10 samples each"
    assert run.options["workers"] == workers


def test_embeddings_and_several_outputs() -> None:
    """Keras's Adam uses each slice of an Embedding's gradient; losses of outputs are means."""
    words = RNG.integers(0, 9, (103, 5))
    targets = {"amount": RNG.random((103, 1)), "kind": Y}

    def result(**place: Any) -> tuple[keras.Model, TrainingRun]:
        keras.utils.set_random_seed(3)
        x = keras.Input((5,), name="words")
        hidden = keras.layers.Flatten()(keras.layers.Embedding(9, 3)(x))
        amount = keras.layers.Dense(1, name="amount")(hidden)
        kind = keras.layers.Dense(3, activation="softmax", name="kind")(hidden)
        model = keras.Model(x, {"amount": amount, "kind": kind})
        model.compile("adam", {"amount": "mse", "kind": "sparse_categorical_crossentropy"})
        return model, fit(model, words, targets, shuffle=False, **HOW | {"epochs": 2}, **place)

    model, run = result(on="auto", workers=3)
    other, expected = result()
    assert {"loss", "amount_loss", "val_kind_loss"} < expected.history.keys()
    for name, curve in expected.history.items():
        np.testing.assert_allclose(run.history[name], curve, rtol=1e-5, atol=1e-6)
    assert_equal_models(model, other)


def test_random_layers_and_statistics_train_as_well_as_in_one_process() -> None:
    x = RNG.normal(size=(400, 6, 6, 1)).astype("float32") + np.arange(400)[:, None, None, None] % 3
    y = np.arange(400) % 3
    how = HOW | {"epochs": 4, "batch_size": 40}

    def accuracy(workers: int | None, seed: int) -> float:
        layers = keras.layers.BatchNormalization(momentum=0.8), keras.layers.Dropout(0.2)
        model = cnn(*layers)
        place = {} if workers is None else {"on": "auto", "workers": workers}
        return fit(model, x, y, seed=seed, **how, **place).history["val_accuracy"][-1]

    seeds = [accuracy(None, seed) for seed in range(3)]
    spread = max(np.std(seeds), 0.02)
    assert abs(accuracy(2, 0) - np.mean(seeds)) < 4 * spread


def kill_a_worker() -> None:
    names = {process.pid: process.name() for process in psutil.Process().children(recursive=True)}
    assert names, "no processes"
    processes = psutil.Process().children(recursive=True)
    training = [each for each in processes if "TrainingActor" in " ".join(each.cmdline())]
    training[-1].send_signal(signal.SIGKILL)


class AtEpoch(keras.callbacks.Callback):
    """Calls a function once, at the start of an epoch."""

    def __init__(self, epoch: int, function: Any) -> None:
        super().__init__()
        self.epoch, self.function, self.begun = epoch, function, []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        del logs
        self.begun.append(epoch)
        if epoch == self.epoch and self.begun.count(epoch) == 1:
            self.function()


def test_a_worker_that_dies_is_replaced(alone: Any) -> None:
    model, callback = cnn(), AtEpoch(2, kill_a_worker)
    run = train(model, 2, shuffle=False, sample_weight=WEIGHTS, callbacks=[callback])
    assert callback.begun == [0, 1, 2, 2, 3, 4]
    assert run.status == "done"
    assert len(run.log) == 5
    assert_equal_models(model, alone[0])
    (message,) = [text for epoch, text in run.messages if epoch]
    assert message.startswith("A worker was lost in epoch 3: its ")
    assert message.endswith("The epoch is trained again by 2 workers with 5 of 10 samples each.")


def test_what_was_reached_remains_if_workers_cannot_be_replaced(
    alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_all() -> None:
        kill_a_worker()
        monkeypatch.setattr(ray_workers, "START_SECONDS", 0.0)

    model = cnn()
    options = {"shuffle": False, "sample_weight": WEIGHTS, "callbacks": [AtEpoch(2, lose_all)]}
    run = train(model, 2, **options)
    assert (run.status, run.note, len(run.log)) == ("stopped", "a worker was lost in epoch 3", 2)
    assert run.messages[-1].text == (
        "A worker was lost in epoch 3: only 0 of 2 workers could be started within 0 s: the other "
        "CPUs or GPUs of the cluster are in use. The training ends with what was reached before."
    )
    monkeypatch.undo()
    # It continues in this process as if nothing had happened.
    run = fit(model, resume=True)
    assert run.status == "done"
    assert run.pipeline == "fast"
    assert_equal_models(model, alone[0])


def test_a_stop_within_an_epoch_keeps_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "MAX_SECONDS", 0.0)  # an execution is a single batch
    model = cnn()
    stopping = threading.Event()

    class View:
        interval = 0.0

        def update(self, run: TrainingRun) -> None:
            if run.now.epoch == 2 and run.now.batch:
                stopping.set()
                run.stop()

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    folder = tmp_path / "run"
    run = train(model, 2, displays=[View()], epochs=3, checkpoint=folder, seed=1, patience=9)
    assert stopping.is_set()
    assert (run.status, len(run.log)) == ("stopped", 1)
    assert run.partial is not None
    steps = int(model.optimizer.iterations)
    assert 0 < run.now.batch < 9
    assert steps == 9 + run.now.batch
    again = cnn()
    resumed = train(again, 2, epochs=3, checkpoint=folder, resume=True)
    assert (resumed.status, resumed.resumed, len(resumed.log)) == ("done", 1, 3)
    assert resumed.seed == 1
    assert int(again.optimizer.iterations) == 27


def test_an_interrupt_ends_the_training_and_keeps_the_batches() -> None:
    model = cnn()
    timer = threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT))
    run = train(model, 2, epochs=10_000, callbacks=[AtEpoch(3, timer.start)])
    assert run.status == "interrupted"
    assert len(run.log) >= 3
    assert int(model.optimizer.iterations) >= 27


class Scaled(keras.layers.Layer):
    """A layer of the notebook."""

    def build(self, _: Any) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.scale


class Shifted(keras.layers.Layer):
    """A layer with an attribute that Keras does not save."""

    shift = 0.0

    def call(self, x: Any) -> Any:
        return x * keras.ops.arange(keras.ops.shape(x)[-1], dtype=x.dtype) + self.shift


def focal(y_true: Any, y_pred: Any) -> Any:
    loss = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
    return loss * (1 - keras.ops.exp(-loss))


def test_callbacks_and_the_classes_of_the_notebook() -> None:
    model, alone = cnn(Scaled()), cnn(Scaled())
    for each in (model, alone):
        each.compile(keras.optimizers.SGD(0.1), focal, metrics=["accuracy"])
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 2 else 0.0)
    weights: list[Any] = []
    seen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: weights.append(model.get_weights()[0])
    )
    options = {"shuffle": False, "epochs": 4, "restore_best": True, "watch": "confusion"}
    run = train(model, 2, callbacks=[schedule, seen], **options)
    expected = train(alone, None, callbacks=[schedule], **options)
    assert run.learning_rates == expected.learning_rates
    np.testing.assert_allclose(run.history["loss"], expected.history["loss"], rtol=1e-5)
    assert not np.array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[1], weights[3])
    assert run.confusion is not None
    assert run.confusion.epoch == 4


class OwnStep(keras.Sequential):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def test_what_workers_cannot_train_is_refused(shell: Any) -> None:
    def error(model: keras.Model, workers: int = 2, **options: Any) -> str:
        with pytest.raises(TrainingError) as caught:
            train(model, workers, **options)
        return str(caught.value)

    model = cnn()
    each_batch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: None)
    assert "acts on every batch" in error(model, callbacks=[each_batch])
    assert "a batch of 1 has no sample for some of 2 workers" in error(model, batch_size=1)
    assert "contradict" in error(model, plain=True)
    assert "steps_per_epoch is given" in error(model, steps_per_epoch=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(reduction="sum"))
    assert "the reduction of the loss is 'sum'" in error(model)
    changed = cnn(Shifted())
    changed.layers[1].shift = 3.0
    assert "its copy computes" in error(changed)
    own = OwnStep(cnn().layers)
    own.compile("sgd", "sparse_categorical_crossentropy")
    assert "workers= cannot be used: the model has its own train_step." in error(own)
    assert "workers=9: auto has room for 4; each worker needs a CPU." in error(cnn(), workers=9)
    with pytest.raises(TrainingError, match="TensorFlow finds 0 GPUs on this machine"):
        fit(cnn(), X, Y, gpus="all")
    shell.user_ns.update(net=cnn(), X=X, Y=Y)
    result, _ = run_cell(shell, "%keras_fit net X Y --on auto --workers 9 -b 32")
    assert isinstance(result.error_in_exec, MagicError)
    message = str(result.error_in_exec)
    assert "--workers 9: auto has room for 4; each worker needs a CPU." in message
    assert "Use --workers 4, or add a machine to the cluster." in message


def test_an_error_in_a_worker_ends_the_training() -> None:
    class Failing(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            if training and json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 1:
                raise ValueError("only in the second worker")
            return x

    runs: list[TrainingRun] = []

    class View:
        interval = 0.0

        def end(self, run: TrainingRun) -> None:
            runs.append(run)

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    with pytest.raises(Exception, match="only in the second worker"):
        train(cnn(Failing()), 2, displays=[View()])
    assert runs[0].status == "failed"
