"""Comparisons of configurations."""

from __future__ import annotations

from typing import NamedTuple

import keras
import pytest

from kmagic.models.decompile import to_dsl
from kmagic.models.decompile.config_values import comparable, is_serialized
from kmagic.support.errors import DecompileError


@pytest.fixture
def tracked() -> list[int]:
    """A list as Keras keeps it in a layer: TensorFlow's own kind of list."""
    layer = keras.layers.Layer()
    layer.sizes = [2, [3, (4, 5)]]
    return layer.sizes


def test_tracked_lists_equal_plain_ones(tracked):
    assert type(tracked) is not list
    assert comparable({"sizes": tracked}) == comparable({"sizes": [2, [3, (4, 5)]]})
    assert comparable(tracked) != comparable([2, [3, (4, 6)]])


class Size(NamedTuple):
    height: int
    width: int


def test_named_tuples_equal_plain_ones():
    assert comparable([Size(2, 3)]) == comparable([(2, 3)])


def test_a_boolean_for_a_number_cannot_be_written():
    config = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(True)]).get_config()
    with pytest.raises(DecompileError, match="rate must not be true or false; got True"):
        to_dsl(keras.Sequential.from_config(config))


@pytest.mark.parametrize("value", ["float32", "InputLayer", "no"])
def test_a_boolean_that_is_another_value_cannot_be_written(value):
    config = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).get_config()
    config["layers"][1]["config"]["use_bias"] = value
    with pytest.raises(DecompileError, match="use_bias must be true or false; got"):
        to_dsl(keras.Sequential.from_config(config))


@pytest.mark.parametrize("value", [1, 0, None])
def test_numbers_and_none_are_booleans(value):
    config = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).get_config()
    config["layers"][1]["config"]["use_bias"] = value
    text = to_dsl(keras.Sequential.from_config(config))
    assert ("!use_bias" in text) == (value == 0) or "use_bias=none" in text


@pytest.mark.parametrize("name", [["Dense"], 3, None, {}])
def test_a_class_name_that_is_not_a_string_is_an_ordinary_entry(name):
    assert not is_serialized({"class_name": name, "config": {}})
    assert is_serialized({"class_name": "Dense", "config": {}})
