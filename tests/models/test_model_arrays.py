"""Arrays and the inputs or outputs that they belong to."""

import keras
import numpy as np
import pytest

from kmagic.models.model_arrays import (
    as_array,
    fits_shape,
    match_arrays,
    model_tensors,
    structure_errors,
)

ROWS = 5
A, B = np.zeros((ROWS, 2)), np.zeros((ROWS, 3))


def two_inputs(kind):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    ends = [keras.layers.Dense(1, name=name)(joined) for name in ("left", "right")]
    inputs, outputs = ([a, b], ends) if kind is list else ({"b": b, "a": a}, {"q": ends[0]})
    return keras.Model(inputs, outputs)


def matched(model, values, side="inputs"):
    return [(part.label, part.name, getattr(part.tensor, "shape", None))
            for part in match_arrays(model, values, side)]  # fmt: skip


@pytest.mark.parametrize("kind", [list, dict])
def test_a_dictionary_is_matched_by_name(kind):
    expected = [("x['b']", "b", (None, 3)), ("x['a']", "a", (None, 2))]
    assert matched(two_inputs(kind), {"b": B, "a": A}) == expected
    assert matched(two_inputs(kind), {"c": A}) == [("x['c']", "c", None)]


def test_a_list_is_matched_by_order():
    expected = [("x[0]", "a", (None, 2)), ("x[1]", "b", (None, 3))]
    assert matched(two_inputs(list), [A, B]) == expected
    assert matched(two_inputs(list), [A]) == [("x[0]", "", None)]
    outputs = [("y[0]", "left", (None, 1)), ("y[1]", "right", (None, 1))]
    assert matched(two_inputs(list), [A[:, :1], A[:, :1]], "outputs") == outputs


def test_one_input_takes_an_array_or_a_list_of_samples():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert matched(model, A) == [("x", "", (None, 2))]
    (part,) = match_arrays(model, [A])
    assert part.values is A
    (part,) = match_arrays(model, [A[0], A[1]])
    assert part.array.shape == (2, 2)
    assert matched(keras.Sequential([keras.layers.Dense(1)]), A) == [("x", "", None)]


def test_tensors_are_named_as_in_a_dictionary():
    model = two_inputs(dict)
    assert list(model_tensors(model, "inputs")) == ["b", "a"]
    assert list(model_tensors(keras.Sequential([keras.layers.Dense(1)]), "inputs")) == []


def test_what_is_no_array_is_none():
    for values in (None, [[1], [2, 3]], "text", iter([1]), np.float64(1), []):
        assert as_array(values) is None
    assert as_array([1, 2]).shape == (2,)


@pytest.mark.parametrize(
    ("received", "expected", "fits"),
    [
        ((28, 28), (28, 28, 1), True),
        ((4, 1), (4,), True),
        ((4,), (None,), True),
        ((), (1,), True),
        ((), (None,), False),
        ((3,), (4,), False),
        ((2, 2), (4,), False),
    ],
)
def test_a_last_axis_of_size_one_may_be_missing_or_extra(received, expected, fits):
    assert fits_shape(received, expected) is fits


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([A, B], [A, A], ""),
        ({"a": A}, [A, A], "the model has 2 inputs, a, b, but x has nothing for b."),
        ([A], [A, A], "but x is a list of 1."),
        (A, [A, A], "but x is a single array."),
        ([A, B], A, "the model has 2 outputs, left, right, but y is a single array."),
        ([A, B], {"left": A, "right": A, "odd": A}, "but y has odd."),
    ],
)
def test_what_several_inputs_and_outputs_lack(x, y, words):
    errors = list(structure_errors(two_inputs(list), x, y))
    assert [words in message for message, _ in errors] == ([True] if words else [])
    assert all("in this order" in remedy for _, remedy in errors)
