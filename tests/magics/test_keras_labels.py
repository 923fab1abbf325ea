"""``%keras_labels`` in a bare IPython shell."""

from __future__ import annotations

import numpy as np
import pytest

import kmagic
from kmagic.data.dataset import Dataset
from kmagic.evaluation.labels.label_errors import LabelErrors

from ..shells import run_cell, value_of

RNG = np.random.default_rng(0)
TRUE = np.arange(60) % 3
X = (np.eye(4)[TRUE] * 4 + RNG.normal(0, 0.3, (60, 4))).astype("float32")
Y = np.r_[(TRUE[:4] + 1) % 3, TRUE[4:]]
TEXT = "input 4 / dense 3 softmax / compile adam loss=sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def net():
    return kmagic.build(TEXT)


@pytest.fixture
def shell(shell, net):
    data = Dataset("zoo", X[:48], Y[:48], X[48:], Y[48:], ("ant", "bee", "cat"))
    shell.user_ns |= {"net": net, "data": data, "x": X, "y": Y, "p": np.eye(3)[TRUE] * 0.7 + 0.1}
    return shell


def test_a_model_and_a_dataset(shell):
    value, captured = value_of(shell, "%keras_labels net --data data --folds 2 -e 8 -o labels")
    assert isinstance(value, LabelErrors)
    assert shell.user_ns["labels"] is value
    assert len(captured.outputs) == 2  # the cross-validation and the labels
    assert "zoo: " in captured.outputs[-1].data["text/plain"]
    assert value.method.startswith("out-of-fold probabilities of 2 folds")
    assert value.dataset is shell.user_ns["data"]
    _, captured = value_of(shell, "%keras_labels net --data data --folds 2 -e 1 --part all -q")
    assert captured.outputs == []


def test_a_cross_validation_and_probabilities(shell):
    value_of(shell, "%keras_fit net --data data -e 8 --folds 2 -q -o cv")
    value, captured = value_of(shell, "%keras_labels cv")
    assert len(captured.outputs) == 1
    assert value.classes == ("ant", "bee", "cat")
    value, _ = value_of(shell, "%keras_labels x y --probabilities p --class-names a,b,c")
    assert sorted(value.indices) == [0, 1, 2, 3]
    assert value.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("net x y -q", "--epochs 10"),
        ("x y --part test --probabilities p", "--part chooses a part of a dataset"),
        ("net --data data --folds 17 -e 1 -q", "fewer than the 17 folds"),
        ("net --data data --part dev", "--part must be one of train, test, all"),
        ("net x", "The labels are missing"),
        ("x {y+1} --probabilities p", "Y contains 3"),
    ],
)
def test_mistakes(shell, line, message):
    shell.user_ns["net"] = kmagic.build(TEXT)
    result, _ = run_cell(shell, f"%keras_labels {line}")
    assert message in str(result.error_in_exec)
