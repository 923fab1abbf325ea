"""``%keras_confusion`` in a bare IPython shell, with models that need no Keras training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kmagic
from kmagic.evaluation.confusion.comparison import Comparison
from kmagic.evaluation.confusion.multilabel import MultilabelConfusion
from kmagic.support.model_registry import set_dataset

from ..shells import run_cell, value_of

RNG = np.random.default_rng(0)
X = RNG.random((40, 6)).astype("float32")
Y = RNG.integers(0, 3, 40)
ODDS, TAGS = RNG.dirichlet(np.ones(3), 40), RNG.integers(0, 2, (40, 3))
SCORES = RNG.random((40, 3))


@pytest.fixture(scope="module")
def nets():
    import keras

    keras.utils.set_random_seed(0)
    nets = {
        "flat": [keras.Input((6,)), keras.layers.Dense(3, activation="softmax")],
        "deep": [
            keras.Input((2, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ],
        "gate": [keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")],
    }
    return {name: keras.Sequential(layers, name=name) for name, layers in nets.items()}


@pytest.fixture
def shell(shell, nets):
    shell.user_ns |= nets | {
        "data": SimpleNamespace(
            x_train=X, y_train=Y, x_test=X, y_test=Y, classes=("a", "b", "c"), scaling=None,
            image_shape=(2, 3),
        ),
        "x": X, "y": Y, "two": Y % 2, "w": np.arange(1.0, 41), "texts": [f"no {k}" for k in Y],
        "p": ODDS, "tags": TAGS, "scores": SCORES,
    }  # fmt: skip
    return shell


def show(shell, line):
    value, captured = value_of(shell, line)
    assert len(captured.outputs) == 1
    return value


def test_a_model_and_a_data_set(shell):
    found = show(shell, "%keras_confusion flat --data data -o cm")
    assert shell.user_ns["cm"] is found
    assert (found.name, found.unit, found.classes) == ("flat", "test samples", ("a", "b", "c"))
    assert found.x.shape == (40, 2, 3)
    expected = kmagic.confusion_of(shell.user_ns["flat"], X, Y)
    assert (found.matrix == expected.matrix).all()


def test_a_data_set_instead_of_samples(shell):
    found = show(shell, "%keras_confusion flat data")
    assert (found.unit, found.classes) == ("test samples", ("a", "b", "c"))


def test_options_reach_the_matrix(shell):
    found = show(
        shell,
        "%keras_confusion flat x y --order similarity --scale log --diagonal --normalize pred "
        "--top-losses 3 --class-names one,two,three --sample-weight w --x texts -b 7",
    )
    assert (found.order, found.scale, found.diagonal) == ("similarity", "log", True)
    assert (found.normalize, found.n_top_losses) == ("pred", 3)
    assert found.classes == ("one", "two", "three")
    assert found.sample_weight.tolist() == list(range(1, 41))
    assert found.x == shell.user_ns["texts"]


@pytest.mark.parametrize(
    "names",
    [
        np.array(["r", "s", "t"]),
        pd.Series(["r", "s", "t"]),
        tf.constant(["r", "s", "t"]),
        ["r", "s", "t"],
        ("r", "s", "t"),
    ],
    ids=["array", "series", "tensor", "list", "tuple"],
)
def test_class_names_of_any_type(shell, names):
    shell.user_ns["names"] = names
    for line in ("flat x y", "flat --data data", "--true y --pred p"):
        found = show(shell, f"%keras_confusion {line} --class-names names --vs p")
        assert found.new.classes == found.old.classes == ("r", "s", "t")


def test_a_threshold(shell):
    found = show(shell, "%keras_confusion gate x two --threshold 0.3")
    odds = shell.user_ns["gate"].predict(X, verbose=0)
    assert (found.matrix == kmagic.confusion(Y % 2, odds, threshold=0.3).matrix).all()
    again = show(shell, "%keras_confusion --true two --pred {p[:, 0]} --threshold {1 / 4}")
    assert again.predictions.threshold == 0.25


def test_two_models_of_different_shapes(shell):
    found = show(shell, "%keras_confusion flat --data data --vs deep -o both")
    assert isinstance(found, Comparison)
    assert shell.user_ns["both"] is found
    assert found.names == ("flat", "deep")
    expected = kmagic.confusion_of(shell.user_ns["deep"], X.reshape(40, 2, 3), Y)
    assert (found.old.matrix == expected.matrix).all()
    assert found.old.x is not None


def test_predictions_to_compare_with(shell):
    found = show(shell, "%keras_confusion --true y --pred p --vs {p[::-1]}")
    assert isinstance(found, Comparison)
    assert show(shell, "%keras_confusion flat x y --vs p").names == ("flat", "p")


def test_the_training_data_of_the_model(shell):
    result, _ = run_cell(shell, "%keras_confusion deep")
    assert "Name a dataset" in str(result.error_in_exec)
    set_dataset(shell.user_ns["deep"], SimpleNamespace(
        x_test=X.reshape(40, 2, 3), y_test=Y, classes=("a", "b", "c"))
    )  # fmt: skip
    found = show(shell, "%keras_confusion deep")
    assert found.classes == ("a", "b", "c")
    assert found.samples == 40


def test_several_labels(shell):
    assert isinstance(
        show(shell, "%keras_confusion --true tags --pred scores"), MultilabelConfusion
    )
    result, _ = run_cell(shell, "%keras_confusion --true tags --pred scores --vs scores")
    assert "several labels" in str(result.error_in_exec)


def test_an_interrupt_is_quiet_and_the_next_line_predicts_all(shell, monkeypatch):
    calls = []
    original = type(shell.user_ns["flat"]).predict_on_batch

    def interrupted(model, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(model, batch)

    monkeypatch.setattr(type(shell.user_ns["flat"]), "predict_on_batch", interrupted)
    line = "%keras_confusion flat {x * 2} y -b 10 -q"
    result, captured = run_cell(shell, line)
    assert result.result is None
    assert "Interrupted" in captured.stdout
    result, _ = run_cell(shell, line)
    assert result.result.samples == 40
    assert calls == [10] * 7


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--true y", "--pred is missing"),
        ("flat --true y --pred p", "--true and --pred already give the data"),
        ("flat x", "true labels are missing"),
        ("flat x y --order size", "must be one of given, name"),
        ("flat x y --top-losses 0", "must be a whole number of at least 1; got 0"),
        ("flat x y --vs flut", "Did you mean flat?"),
        ("--true y --pred p --vs flat", "give no samples"),
        ("flat x y --threshold 0.5", "3 columns"),
        ("flat x y --sample-weight {w[:3]}", "one value per sample"),
    ],
)
def test_an_invalid_line_has_a_remedy(shell, line, words):
    result, _ = run_cell(shell, f"%keras_confusion {line}")
    assert isinstance(result.error_in_exec, kmagic.KmagicError)
    assert words in str(result.error_in_exec)


def test_a_table_file(shell, tmp_path, nets):
    import pandas as pd

    columns = list("abcdef")
    frame = pd.DataFrame(X, columns=columns)
    set_dataset(nets["flat"], kmagic.load_data(frame.assign(y=Y), target="y"))
    frame.to_csv(tmp_path / "x.csv", index=False)
    expected = kmagic.confusion_of(nets["flat"], frame, Y)
    found = show(shell, f"%keras_confusion flat {tmp_path}/x.csv y")
    assert (found.matrix == expected.matrix).all()
    result, _ = run_cell(shell, f"%keras_confusion flat {tmp_path}/x.csv y y")
    assert "unexpected argument" in str(result.error_in_exec)
