"""Of a step with a loop within a second graph is made, for whole batches, where that pays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from kmagic.training.pipeline import executions, pipeline_choice
from kmagic.training.pipeline.executions import BatchesPerCall, BatchLoop, StepFunction
from kmagic.training.pipeline.step_graph import StepGraph

from ..fitting import fit

ROWS, WORDS, BATCH = 90, 5, 16  # five whole batches and a short one
layers = keras.layers
rng = np.random.default_rng(0)
X, Y = rng.integers(0, 20, (ROWS, WORDS)), rng.integers(0, 3, ROWS)
HOW: dict[str, Any] = {"batch_size": BATCH, "epochs": 3}


def net(*inner: Any) -> keras.Model:
    ends = [keras.Input((None,), dtype="int32"), layers.Embedding(20, 8)]
    made = keras.Sequential([*ends, *inner, layers.Dense(3, activation="softmax")])
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def masked() -> keras.Model:
    words = keras.Input((None,), dtype="int32")
    known = layers.Embedding(20, 8, mask_zero=True)(words)
    both = layers.Concatenate()([layers.GRU(6)(known), layers.LSTM(4, go_backwards=True)(known)])
    made = keras.Model(words, layers.Dense(3, activation="softmax")(both))
    made.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


SAME: dict[str, Callable[[], keras.Model]] = {
    "lstm": lambda: net(layers.Dropout(0.25), layers.LSTM(8, dropout=0.2), layers.Dropout(0.25)),
    "gru": lambda: net(layers.GRU(6, return_sequences=True), layers.GRU(4, reset_after=False)),
    "both ways": lambda: net(layers.Bidirectional(layers.LSTM(6), merge_mode="sum")),
    "each word": lambda: net(
        layers.Conv1D(6, 3, padding="same"),
        layers.LSTM(6, return_sequences=True, use_bias=False),
        layers.GlobalMaxPooling1D(),
        layers.BatchNormalization(),
    ),
    "masked": masked,
}
lstm = SAME["lstm"]


def seeded(make: Callable[[], keras.Model]) -> keras.Model:
    """A model that is the same each time, the seeds of its layers among it."""
    keras.utils.set_random_seed(1)
    return make()


@pytest.fixture
def it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph costs nothing against what it saves."""
    monkeypatch.setattr(executions, "MIN_SAVING", math.inf)


def whole(model: keras.Model) -> StepGraph | None:
    """The steps for whole batches."""
    assert isinstance(model.train_function, StepFunction)
    return model.train_function._full_batch_graph


class InOrder(pipeline_choice.FastPipeline):
    """As if the order of the samples were one of chance, to see what is learned from it."""

    def __init__(self, *given: Any, repeatable: bool) -> None:
        super().__init__(*given, repeatable=repeatable)
        self._repeatable = repeatable


@pytest.mark.usefixtures("it_pays")
@pytest.mark.parametrize("name", SAME)
def test_results_equal_those_of_keras_bit_by_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, how = SAME[name], {**HOW, "shuffle": False}
    if name == "lstm":
        how |= {"validation_split": 0.2, "class_weight": {0: 2.0, 1: 0.5}}
    model, twin = seeded(make), seeded(make)
    expected = twin.fit(X, Y, verbose=0, **how).history
    monkeypatch.setattr(pipeline_choice, "FastPipeline", InOrder)
    assert fit(model, X, Y, **how).history == expected
    steps = whole(model)
    assert steps is not None
    assert (steps.traced, steps.batch_size) == (True, BATCH)
    for mine, other in zip(model.variables, twin.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy(), mine.path)


class Own(layers.Layer):  # type: ignore[misc, name-defined] # Keras ships no types
    """A layer of the user's, of which nothing is known."""

    def call(self, x: Any) -> Any:
        return x


@pytest.mark.usefixtures("it_pays")
@pytest.mark.parametrize(
    ("make", "rows", "how"),
    [
        pytest.param(lambda: net(layers.GlobalAveragePooling1D()), ROWS, {}, id="no loop"),
        pytest.param(lambda: net(layers.SimpleRNN(4)), ROWS, {}, id="another sum"),
        pytest.param(lambda: net(layers.GRU(4, recurrent_dropout=0.5)), ROWS, {}, id="a third sum"),
        pytest.param(lambda: net(layers.LSTM(4), Own()), ROWS, {}, id="the user's own layer"),
        pytest.param(lstm, 5 * BATCH, {}, id="all batches whole, and known to be"),
        pytest.param(lstm, BATCH - 1, {}, id="one short batch"),
        pytest.param(lstm, ROWS, {"shuffle": False}, id="not shuffled"),
        pytest.param(lstm, ROWS, {"seed": 5}, id="repeatable"),
        pytest.param(lstm, ROWS, {"plain": True}, id="plain"),
    ],
)
def test_no_second_graph(make: Any, rows: int, how: dict[str, Any]) -> None:
    model = make()
    assert fit(model, X[:rows], Y[:rows], **HOW, **how).status == "done"
    assert getattr(model.train_function, "_full_batch_graph", None) is None


def test_no_second_graph_for_a_short_training() -> None:
    model = lstm()
    fit(model, X, Y, **HOW)
    assert model.train_function._graph.seconds > 0
    assert whole(model) is None


def test_it_is_kept_for_the_next_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lstm()
    with monkeypatch.context() as patch:
        patch.setattr(executions, "MIN_SAVING", math.inf)
        fit(model, X, Y, **HOW)
    steps = whole(model)
    assert steps is not None
    fit(model, X[:70], Y[:70], **HOW)
    assert whole(model) is steps
    assert steps._function.experimental_get_tracing_count() == 1


@pytest.mark.usefixtures("it_pays")
def test_a_function_that_needs_an_unknown_size_has_no_second_graph() -> None:
    def picky(x: Any) -> Any:
        if x.shape[0] is not None:
            raise ValueError("a size")
        return x

    model = net(layers.LSTM(4), layers.Lambda(picky))
    run = fit(model, X, Y, **HOW)
    assert (run.status, len(run.log)) == ("done", HOW["epochs"])
    assert whole(model) is None


@pytest.mark.usefixtures("it_pays")
def test_an_interrupt_during_tracing_leaves_a_trainable_model() -> None:
    broken: list[bool] = []

    def late(x: Any) -> Any:
        if x.shape[0] is not None and not broken:
            broken.append(True)
            raise KeyboardInterrupt
        return x

    model = net(layers.LSTM(4), layers.Lambda(late))
    assert fit(model, X, Y, **HOW).status == "interrupted"
    assert whole(model) is None
    run = fit(model, X, Y, **HOW)
    assert (run.status, len(run.log)) == ("done", HOW["epochs"])
    assert whole(model) is not None


@pytest.mark.usefixtures("it_pays")
def test_the_batch_in_which_the_loss_becomes_nan_is_known() -> None:
    inner = [layers.Embedding(20, 8), layers.LSTM(4), layers.Dense(1)]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *inner])
    model.compile("sgd", "mse")
    assert fit(model, X, Y.astype("float32"), **HOW).status == "done"
    assert whole(model) is not None
    run = fit(model, X, np.full(ROWS, np.nan), **HOW)
    assert run.status == "failed"
    assert any("batch 1" in str(each) for each in run.messages), run.messages


def test_a_loop_knows_what_is_left() -> None:

    def executed(made: bool, batches: int) -> tuple[Any, int, bool]:
        return {}, batches, made

    times = iter([0.0, 10.0, 10.5, 20.0])
    loop = BatchLoop(4, BatchesPerCall(), epochs=3, clock=lambda: next(times))
    for batch, made in ((0, True), (1, False)):
        assert loop.begins_execution(batch)
        loop.expect(batch)
        loop.run(functools.partial(executed, made))
        assert loop.end_batch(batch) == batch
    assert loop.left == 2
    assert loop.seconds_left == (4 + 4 + 2) * 0.5
    assert loop.begins_execution(2)
    loop.expect(2)
    loop.run(functools.partial(executed, True))  # another graph was made
    assert loop.left == 1
    assert loop.seconds_left == (4 + 4 + 1) * 0.5
