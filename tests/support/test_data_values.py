from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kmagic.support.data_values import check_has_values, shape_of_data
from kmagic.support.errors import DataError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np, "The module numpy has no values"),
        (pd.DataFrame, "The class DataFrame has no values"),
        (np.ndarray, "The class ndarray has no values"),
        (keras.Input((4,)), "A symbolic tensor"),
        (range(10**15), "The range would take"),
        (range(10**30, 0, -2), "The range would take"),
    ],
)
def test_what_has_no_values_or_too_many(value, words) -> None:
    with pytest.raises(DataError, match=words) as caught:
        check_has_values(value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "value", [3, None, "a", [np], range(10**6), range(10**30, 0), np.zeros(3), tf.constant(1)]
)
def test_what_may_be_data(value) -> None:
    check_has_values(value)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (np.zeros((2, 3)), (2, 3)),
        (np.float32(1), ()),
        (pd.DataFrame({"a": [1]}), (1, 1)),
        (tf.zeros((2, 1)), (2, 1)),
        (tf.TensorSpec(None), ()),
        (keras.Input((4,)), (None, 4)),
        (np, ()),
        (pd.DataFrame, ()),
        ([1], ()),
        (None, ()),
    ],
)
def test_shapes(value, shape) -> None:
    assert shape_of_data(value) == shape
