"""What goes through the pipeline and what is left to Keras, and what callbacks see of it."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kmagic.evaluation.prediction.evaluate import evaluate
from kmagic.support.errors import TrainingError
from kmagic.training.pipeline import batch_stream, dense_arrays, executions, pipeline_choice
from kmagic.training.pipeline.dense_arrays import UnsuitedError
from kmagic.training.pipeline.executions import BatchesPerCall, StepFunction
from kmagic.training.pipeline.pipeline_choice import disk_streams

from ..fitting import RecordingDisplay, fit

ROWS, WIDTH, CLASSES, BATCH = 96, 4, 3, 16
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(ROWS, WIDTH)).astype("float32"), rng.integers(0, CLASSES, ROWS)
HOW: dict[str, Any] = {"batch_size": BATCH}


def stack(kind: type[keras.Model] = keras.Sequential, **how: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((WIDTH,))
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(inputs)
    made = (
        keras.Sequential([inputs, keras.layers.Dense(CLASSES, activation="softmax")])
        if kind is keras.Sequential
        else kind(inputs, outputs)
    )
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **how)
    return made


class Steps(BatchesPerCall):
    """As many batches to an execution as it is told, whatever they take."""

    def __init__(self, batches: int, most: int | None = None) -> None:
        super().__init__(most)
        self.batches = batches if most is None else min(batches, most)

    def next(self, left: int) -> int:
        return min(self.batches, left)


@pytest.fixture
def by_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "BatchesPerCall", functools.partial(Steps, 4))


class Moments(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Writes down all that it is told; it bears executions of any length."""

    every_batch = False

    def __init__(self, act: Callable[[str], object] = str) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.act = act

    def _tell(self, moment: str, *details: object) -> None:
        self.told.append((moment, *details))
        self.act(moment)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._tell("train begin", self.params)

    def on_train_end(self, logs: Any = None) -> None:
        self._tell("train end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._tell("epoch begin", epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._tell("epoch end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._tell("batch begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tell("batch end", batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._tell("test begin")

    def on_test_end(self, logs: Any = None) -> None:
        self._tell("test end", logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
        self._tell("test batch begin", batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tell("test batch end", batch, logs)


# --- callbacks ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_four")
def test_callbacks_are_called_as_with_steps_per_execution() -> None:
    # 80 samples in batches of 10 are two executions of four; 16 to validate are one.
    how = {"epochs": 2, "batch_size": 10, "validation_data": (X[80:], Y[80:]), "shuffle": False}
    theirs, ours = Moments(), Moments()
    stack(steps_per_execution=4).fit(X[:80], Y[:80], callbacks=[theirs], verbose=0, **how)
    run = fit(stack(), X[:80], Y[:80], callbacks=[ours], **how)
    assert run.pipeline == "fast"
    # Keras counts the last execution to its full length, though there are but two batches.
    ends = [number for number, each in enumerate(theirs.told) if each[0] == "test batch end"]
    for number in ends:
        moment, batch, logs = theirs.told[number]
        assert batch == 3
        theirs.told[number] = (moment, 1, logs)
    assert len(ends) == 2
    assert ours.told == theirs.told


@pytest.mark.usefixtures("by_four")
def test_executions_of_an_epoch_that_is_no_multiple() -> None:
    watch = Moments()
    fit(stack(), X, Y, batch_size=9, epochs=2, callbacks=watch)  # 11 batches
    batches = [each[1] for each in watch.told if each[0].startswith("batch")]
    assert batches == [0, 3, 4, 7, 8, 10] * 2


def test_a_callback_that_needs_every_batch_is_called_for_each() -> None:
    class Watching(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
        seen: list[int] = []  # noqa: RUF012 - of one test

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
            self.seen.append(batch)

    run = fit(stack(), X, Y, epochs=3, callbacks=[Watching()], **HOW)
    assert Watching.seen == list(range(6)) * 3
    assert run.pipeline == "fast, batch by batch for Watching"


def test_a_callback_that_needs_every_validation_batch() -> None:
    seen: list[int] = []

    class Watching(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's
            seen.append(batch)

    run = fit(stack(), X, Y, epochs=3, validation_split=0.5, callbacks=[Watching()], batch_size=8)
    assert seen == list(range(6)) * 3
    assert run.pipeline == "fast"


@pytest.mark.parametrize(
    ("callback", "watches"),
    [
        (keras.callbacks.EarlyStopping(), False),
        (keras.callbacks.TerminateOnNaN(), False),
        (keras.callbacks.ReduceLROnPlateau(), False),
        (keras.callbacks.ProgbarLogger(), False),
        (keras.callbacks.ModelCheckpoint("a.keras"), False),
        (keras.callbacks.ModelCheckpoint("a.keras", save_freq=10), True),
        (keras.callbacks.BackupAndRestore("a"), False),
        (keras.callbacks.BackupAndRestore("a", save_freq=5), True),
        (keras.callbacks.TensorBoard("a"), False),
        (keras.callbacks.TensorBoard("a", update_freq="batch"), True),
        (keras.callbacks.TensorBoard("a", write_steps_per_second=True), True),
        (keras.callbacks.LambdaCallback(on_epoch_end=print), False),
        (keras.callbacks.LambdaCallback(on_train_batch_end=print), True),
        (keras.callbacks.LambdaCallback(on_train_batch_begin=functools.partial(print)), True),
        (Moments(), True),
    ],
)
def test_which_callbacks_need_every_batch(
    callback: keras.callbacks.Callback, watches: bool
) -> None:
    assert (
        bool(pipeline_choice.batch_callbacks([callback], pipeline_choice.TRAINING_METHODS))
        is watches
    )


@pytest.mark.usefixtures("by_four")
def test_a_training_that_a_callback_ends_ends_with_its_execution() -> None:
    model = stack()

    def end(moment: str) -> None:
        if moment == "batch end":
            model.stop_training = True

    watch = Moments(end)
    run = fit(model, X, Y, epochs=3, callbacks=[watch], **HOW)
    assert [each[1] for each in watch.told if each[0] == "batch end"] == [3]
    assert run.partial is not None
    assert run.partial.fraction == 4 / 6
    assert int(model.optimizer.iterations.numpy()) == 4


def test_verbose_shows_the_progress_bar_of_keras(capsys: pytest.CaptureFixture[str]) -> None:
    fit(stack(), X, Y, epochs=2, validation_split=0.25, verbose=1, **HOW)
    out = capsys.readouterr().out
    assert "Epoch 2/2" in out
    assert "5/5" in out
    assert "val_loss" in out


def test_a_callback_may_evaluate_predict_and_train_meanwhile() -> None:
    model, twin = stack(), stack()
    scores: list[Any] = []

    def judge(of: keras.Model) -> Callable[[str], None]:
        def act(moment: str) -> None:
            if moment in {"epoch end", "batch begin"}:
                scores.append(of.evaluate(X[:30], Y[:30], verbose=0))
                scores.append(of.predict(X[:3], verbose=0).tolist())
            if moment == "epoch end":
                of.train_on_batch(X[:8], Y[:8])

        return act

    class Judge(Moments):
        every_batch = True

    how = {"epochs": 2, "shuffle": False, "validation_split": 0.25, **HOW}
    history = twin.fit(X, Y, callbacks=[Judge(judge(twin))], verbose=0, **how).history
    expected, scores = scores, []
    run = fit(model, X, Y, callbacks=[Judge(judge(model))], **how)
    assert run.pipeline.startswith("fast")
    assert run.history == history
    assert scores == expected


# --- what stays with the model --------------------------------------------------------------------


def graphs(model: keras.Model) -> tuple[int, int]:
    """How often the model's train and test function were made."""
    return tuple(
        function._graph._function.experimental_get_tracing_count()
        for function in (model.train_function, model.test_function)
    )  # type: ignore[return-value] # two of them


def test_the_graph_is_made_once_for_any_number_of_fits() -> None:
    model = stack()
    for rows, batch in ((96, 16), (96, 32), (80, 16), (96, 16)):
        fit(model, X[:rows], Y[:rows], validation_split=0.25, batch_size=batch)
        assert graphs(model)[0] <= 2  # whole batches only, and others
    made = graphs(model)
    fit(model, X, Y, epochs=5, validation_split=0.25, **HOW)
    assert graphs(model) == made


def test_a_model_that_is_compiled_again_gets_a_graph_of_its_own() -> None:
    model = stack()
    fit(model, X, Y, **HOW)
    before = model.train_function
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=[])
    kept = model.get_weights()
    run = fit(model, X, Y, **HOW)
    assert model.train_function is not before
    assert list(run.history) == ["loss"]
    for weight, other in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


def test_keras_can_continue_the_training() -> None:
    how = {"shuffle": False, "validation_split": 0.25, "verbose": 0, **HOW}
    model, twin = stack(), stack()
    fit(model, X, Y, epochs=2, **how)
    twin.fit(X, Y, epochs=2, **how)
    assert model.steps_per_execution == 1
    for again in range(2):
        ours, theirs = (each.fit(X, Y, **how).history for each in (model, twin))
        assert ours == theirs, again
    assert model.evaluate(X, Y, verbose=0) == twin.evaluate(X, Y, verbose=0)
    assert model.train_on_batch(X, Y) == twin.train_on_batch(X, Y)
    batches = ((X[i : i + 8], Y[i : i + 8]) for i in range(0, ROWS, 8))
    model.fit(batches, steps_per_epoch=12, shuffle=False, verbose=0)
    model.steps_per_execution = 3
    model.make_train_function(force=True)
    model.fit(X, Y, **HOW, verbose=0)


def test_the_function_of_keras_is_kept_too() -> None:
    model = stack()
    model.fit(X, Y, verbose=0, **HOW)
    keras_s = model.train_function
    fit(model, X, Y, **HOW)
    ours = model.train_function
    assert isinstance(ours, StepFunction)
    assert ours._keras_function is keras_s
    model.fit(X, Y, verbose=0, **HOW)
    assert model.train_function is ours


def test_a_model_is_freed_when_it_is_no_longer_used() -> None:
    model = stack()
    run = fit(model, X, Y, validation_split=0.25, **HOW)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert run.status == "done"


def test_a_function_set_by_a_callback_is_used() -> None:
    model, twin = stack(), stack()

    def renew(of: keras.Model) -> Callable[[str], None]:
        def act(moment: str) -> None:
            if moment == "epoch begin":
                of.make_train_function(force=True)

        return act

    how = {"epochs": 2, "shuffle": False, **HOW}
    history = twin.fit(X, Y, callbacks=[Moments(renew(twin))], verbose=0, **how).history
    watch = Moments(renew(model))
    assert fit(model, X, Y, callbacks=[watch], **how).history == history
    assert [each[1] for each in watch.told if each[0] == "batch end"] == list(range(6)) * 2


class Failing(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Breaks the graph off where it is made, once."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def call(self, x: Any, training: bool = False) -> Any:
        if training and not self.broken:
            self.broken = True
            raise KeyboardInterrupt
        return x


def test_a_graph_whose_tracing_was_interrupted_is_dropped() -> None:
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(CLASSES), Failing()])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert fit(model, X, Y, **HOW).status == "interrupted"
    assert model.train_function is None
    assert fit(model, X, Y, **HOW).status == "done"


# --- what is left to Keras ------------------------------------------------------------------------


class OwnStep(keras.Model):  # type: ignore[misc] # Keras ships no types
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


class OwnMetrics(keras.Model):  # type: ignore[misc] # Keras ships no types
    def compute_metrics(self, *arguments: Any, **keywords: Any) -> Any:
        return super().compute_metrics(*arguments, **keywords)


class OwnFit(keras.Model):  # type: ignore[misc] # Keras ships no types
    def fit(self, *arguments: Any, **keywords: Any) -> Any:
        return super().fit(*arguments, **keywords)


class OwnLoss(keras.Model):  # type: ignore[misc] # Keras ships no types
    def compute_loss(self, *arguments: Any, **keywords: Any) -> Any:
        return 2 * super().compute_loss(*arguments, **keywords)


class Batches(keras.utils.PyDataset):  # type: ignore[misc] # Keras ships no types
    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return X[index * BATCH :][:BATCH], Y[index * BATCH :][:BATCH]


def dataset() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)


def endless() -> Iterator[Any]:
    while True:
        yield X[:BATCH], Y[:BATCH]


def drawn(stream: tf.data.Dataset) -> tf.data.Dataset:
    return stream.shuffle(ROWS, seed=3).map(lambda x, y: (x + tf.random.normal((), seed=4), y))


@pytest.mark.usefixtures("by_four")
@pytest.mark.parametrize(
    "make",
    [dataset, lambda: dataset().prefetch(1), lambda: drawn(dataset()), Batches],
    ids=["tf.data", "prefetched", "random", "PyDataset"],
)
@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 1.0, 2: 1.0}])
def test_a_stream_of_known_length_trains_as_in_keras(make: Any, class_weight: Any) -> None:
    how: dict[str, Any] = {"epochs": 3, "shuffle": False, "class_weight": class_weight}
    model = stack()
    tf.random.set_seed(5)
    # Both inspect the stream, which advances the order of its shuffle.
    theirs = fit(model, make(), validation_data=make(), plain=True, **how)
    ours, watch = stack(), Moments()
    tf.random.set_seed(5)
    run = fit(ours, make(), validation_data=make(), callbacks=[watch], **how)
    assert run.pipeline == "fast"
    assert [each[1] for each in watch.told if each[0] == "batch end"] == [3, 5] * 3
    assert run.history == theirs.history
    for mine, other in zip(ours.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.memmap[Any, Any]:
    """The inputs in a file that counts as large."""
    monkeypatch.setattr(dense_arrays, "MAX_MAPPED_BYTES", 100)
    file = np.memmap(tmp_path / "x", dtype="float64", mode="w+", shape=X.shape)
    file[:] = X
    return file


@pytest.mark.parametrize("plain", [False, True])
def test_a_large_file_is_read_in_batches(mapped: np.memmap[Any, Any], plain: bool) -> None:
    how: dict[str, Any] = {"epochs": 2, "batch_size": 10, "shuffle": False}
    weights = np.linspace(0.5, 2, ROWS).astype("float32")
    model = stack()
    theirs = model.fit(
        X[:60],
        Y[:60],
        sample_weight=weights[:60],
        validation_data=(X[60:], Y[60:]),
        verbose=0,
        **how,
    )
    run = fit(
        stack(),
        mapped[:60],
        Y[:60],
        sample_weight=weights[:60],
        validation_data=(mapped[60:], Y[60:]),
        plain=plain,
        **how,
    )
    assert run.pipeline == ("plain: requested" if plain else "fast")
    assert (run.samples, run.validation_samples, run.batch_size) == (60, 36, 10)
    assert run.history == theirs.history


def test_the_batches_of_a_large_file_are_as_large_as_those_of_keras(
    mapped: np.memmap[Any, Any],
) -> None:
    def sizes(name: str, **how: Any) -> list[int]:
        return [len(y) for _, y in disk_streams({"x": mapped, "y": Y, **how})[name]]

    assert sizes("x", steps_per_epoch=5) == [20, 20, 20, 20, 16]
    assert sizes("x", steps_per_epoch=5, batch_size=48) == [48, 48]
    held_out = {"validation_data": (mapped[:9], Y[:9])}
    assert sizes("validation_data", **held_out, validation_steps=2) == [5, 4]
    assert sizes("validation_data", **held_out, batch_size=7) == [7, 2]
    in_memory = {"x": mapped, "y": Y, "validation_data": (X, Y), "batch_size": 7}
    assert disk_streams(in_memory)["validation_batch_size"] == 7


def test_an_evaluation_reads_a_large_file_in_batches(mapped: np.memmap[Any, Any]) -> None:
    model, weights = stack(), np.linspace(0.5, 2, ROWS)
    theirs = model.evaluate(X, Y, sample_weight=weights, batch_size=10, verbose=0, return_dict=True)
    read: list[int] = []
    release = batch_stream.release
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_stream, "release", lambda part: read.append(len(part)) or release(part))
        ours = evaluate(model, mapped, Y, sample_weight=weights, batch_size=10)
    assert ours == theirs
    assert read


def test_a_large_file_is_shuffled_as_the_seed_says(mapped: np.memmap[Any, Any]) -> None:
    losses = [
        fit(stack(), mapped, Y, seed=seed, epochs=2, batch_size=10, validation_split=0.5).history
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("model", "how", "why"),
    [
        (stack, {"plain": True}, "requested"),
        (
            stack,
            {"x": lambda: dataset().filter(lambda *_: True), "shuffle": False},
            "x is a tf.data.Dataset",
        ),
        (stack, {"x": endless, "steps_per_epoch": 3, "shuffle": False}, "steps_per_epoch is given"),
        (stack, {"x": X, "y": Y, "steps_per_epoch": 6}, "steps_per_epoch is given"),
        (stack, {"x": X, "y": Y, "shuffle": "batch"}, "shuffle is 'batch'"),
        (
            stack,
            {"x": X, "y": Y, "validation_data": (X, Y), "validation_steps": 1},
            "validation_steps is given",
        ),
        (functools.partial(stack, OwnStep), {}, "the model has its own train_step"),
        (functools.partial(stack, OwnMetrics), {}, "the model has its own compute_metrics"),
        (functools.partial(stack, OwnFit), {}, "the model has its own fit"),
        (functools.partial(stack, run_eagerly=True), {}, "the model runs eagerly"),
        (functools.partial(stack, jit_compile=True), {}, "the model is compiled by XLA"),
        (functools.partial(stack, steps_per_execution=2), {}, "steps_per_execution is 2"),
    ],
)
def test_the_reason_for_plain_keras_is_recorded(
    model: Callable[[], keras.Model], how: dict[str, Any], why: str
) -> None:
    how = {"x": X, "y": Y, **HOW} if "x" not in how else how | {"batch_size": BATCH}
    how = {key: value() if callable(value) else value for key, value in how.items()}
    plain = why == "requested"
    run = fit(model(), plain=plain, **how)
    assert run.pipeline.startswith(f"plain: {why}")
    assert run.status == "done"


def test_a_custom_loss_uses_the_fast_pipeline() -> None:
    assert fit(stack(OwnLoss), X, Y, **HOW).pipeline == "fast"


def test_a_step_set_on_the_instance_is_noticed() -> None:
    model, seen = stack(), []

    def step(data: Any) -> Any:
        seen.append(data)
        return type(model).train_step(model, data)

    model.train_step = step
    run = fit(model, X, Y, **HOW)
    assert run.pipeline == "plain: the model has its own train_step"
    assert seen


def test_a_train_function_of_the_user_is_noticed() -> None:
    model = stack()
    model.make_train_function()
    keras_s, calls = model.train_function, []

    def function(iterator: Any) -> Any:
        calls.append(iterator)
        return keras_s(iterator)

    model.train_function = function
    run = fit(model, X, Y, **HOW)
    assert run.pipeline == "plain: the model has its own train_function"
    assert len(calls) == run.steps == 6


def test_a_distribution_strategy_is_left_to_keras() -> None:
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = stack()
    why = "plain: the model uses a distribution strategy"
    assert fit(model, X, Y, **HOW).pipeline == why


def test_functions_that_run_eagerly() -> None:
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        with pytest.raises(UnsuitedError, match="the model runs eagerly"):
            pipeline_choice.check_model(stack())
    finally:
        tf.config.run_functions_eagerly(run_eagerly=False)


def test_only_validation_that_is_not_arrays_is_left_to_keras() -> None:
    run = fit(stack(), X, Y, epochs=2, validation_data=dataset(), **HOW)
    assert run.pipeline == "fast"
    assert len(run.history["val_loss"]) == 2


def test_lists_use_the_fast_pipeline() -> None:
    how = {"epochs": 2, "shuffle": False, **HOW}
    lists = (X.tolist(), Y.tolist())
    run = fit(stack(), *lists, validation_data=lists, **how)
    assert run.pipeline == "fast"
    assert run.history == fit(stack(), X, Y, validation_data=(X, Y), **how).history
    plain = fit(stack(), *lists, plain=True, **how)
    assert plain.history["loss"] == run.history["loss"]


@pytest.mark.parametrize(
    "how",
    [
        {"batch_size": -1},
        {"batch_size": 1.5},
        {"validation_split": 0.999999},
        {"class_weight": {0: 1.0}, "sample_weight": np.ones(ROWS)},
        {"sample_weight": np.ones(5)},
    ],
)
def test_arguments_that_keras_rejects_are_still_rejected(how: dict[str, Any]) -> None:
    with pytest.raises((TrainingError, ValueError, TypeError)):
        fit(stack(), X, Y, **how)


# --- stop -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_four")
@pytest.mark.parametrize(("moment", "trained"), [("batch end", 4), ("test batch end", 6)])
def test_a_stop_ends_with_the_execution(moment: str, trained: int) -> None:
    class Grab(RecordingDisplay):
        def begin(self, run: Any) -> None:
            self.run = run

    model, view = stack(), Grab()
    watch = Moments(lambda at: view.run.stop() if at == moment else None)
    run = fit(
        model, X, Y, epochs=3, validation_data=(X, Y), callbacks=[watch], displays=[view], **HOW
    )
    assert run.status == "stopped"
    assert int(model.optimizer.iterations.numpy()) == trained
    assert model.steps_per_execution == 1
    assert fit(model, X, Y, **HOW).status == "done"
