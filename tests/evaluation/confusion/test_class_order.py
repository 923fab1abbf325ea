from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kmagic.evaluation.confusion.confusion import confusion
from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix, natural_order
from kmagic.evaluation.confusion.label_arrays import LabeledPredictions, parse_class_names
from kmagic.support.errors import EvaluationError

ORDERS = ("given", "name", "support", "error", "similarity")
NO_SAMPLES = np.zeros(0, dtype=np.intp)


def order_classes(matrix, names, by):
    classes = LabeledPredictions(tuple(range(len(names))), tuple(names), NO_SAMPLES, NO_SAMPLES)
    return ConfusionMatrix(matrix, classes).ordered(by)


@given(
    st.integers(1, 9).flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 9))),
    st.sampled_from(ORDERS),
)
@settings(max_examples=100, deadline=None)
def test_every_class_occurs_once(matrix, by):
    order = order_classes(matrix, [f"c{k}" for k in range(len(matrix))], by)
    assert sorted(order.tolist()) == list(range(len(matrix)))


def test_numbers_in_names_count_as_numbers():
    names = ["class 10", "Class 2", "ant", "class 1b", "class 1"]
    order = order_classes(np.eye(5), names, "name")
    assert [names[k] for k in order] == ["ant", "class 1", "class 1b", "Class 2", "class 10"]


def test_support_and_error():
    matrix = np.array([[5, 5, 0], [0, 90, 10], [0, 0, 3]])
    assert order_classes(matrix, "abc", "support").tolist() == [1, 0, 2]
    assert order_classes(matrix, "abc", "error").tolist() == [0, 1, 2]


def test_confused_classes_are_next_to_each_other():
    rng = np.random.default_rng(0)
    kin = rng.permutation(np.arange(24) % 6)
    matrix = 60 * np.eye(24, dtype=int) + rng.poisson(4, (24, 24)) * (kin[:, None] == kin)
    order = order_classes(matrix, list(map(str, range(24))), "similarity")
    assert (np.diff(kin[order]) != 0).sum() == 5


def test_the_matrix_itself_keeps_its_order():
    result = confusion([0, 1, 1], [0, 1, 0], order="support")
    assert result.ordered().tolist() == [1, 0]
    assert result.ordered("given").tolist() == [0, 1]
    assert result.matrix.tolist() == [[1, 0], [1, 1]]
    assert [text.get_text() for text in result.plot().axes[0].get_yticklabels()] == ["1", "0"]


def test_an_unknown_order_is_rejected():
    with pytest.raises(EvaluationError, match="one of given, name, support"):
        confusion([0], [0], order="size")


def test_leading_zeros_do_not_change_the_order():
    assert natural_order(["2", "1", "01"]).tolist() == [1, 2, 0]
    assert natural_order(["a2", "a1", "a01b"]).tolist() == [1, 2, 0]


@pytest.mark.parametrize("names", [np.array(3.0), {"a": "b"}, {None: "b"}, range(10**12), 3])
def test_class_names_of_other_types_are_refused(names):
    with pytest.raises(EvaluationError, match="class_names= must be"):
        parse_class_names(names)
