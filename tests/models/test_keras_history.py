"""Keras's private record of calls, as the rest of the package reads it."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from kmagic.models.keras_history import (
    KerasCall,
    call_of,
    calls_before,
    flat_layers,
    functional_of,
    is_connected,
    nested_layers,
    operation_of,
    output_index,
)


def test_calls_come_after_their_sources_branch_by_branch() -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    one, other = layers.Dense(4, name="one"), layers.Dense(4, name="other")
    total = layers.Add(name="total")([one(left), other(right)])
    calls = list(calls_before([total]))
    assert [call.operation.name for call in calls] == ["left", "one", "right", "other", "total"]
    assert calls[-1].sources == [calls[1], calls[3]]
    assert [tensor.shape for tensor in calls[-1].outputs] == [(None, 4)]


def test_each_call_of_a_shared_layer_is_a_call_of_its_own() -> None:
    x = keras.Input((4,))
    shared = layers.Dense(4)
    calls = list(calls_before([shared(shared(x))]))
    assert calls[1:] == [KerasCall(shared, 0), KerasCall(shared, 1)]


def test_arguments_are_those_that_were_given() -> None:
    x = keras.Input((4,))
    plain, explicit = layers.Dropout(0.5)(x), layers.Dropout(0.5)(x, training=True)
    assert call_of(plain).arguments()[1] == {}
    assert call_of(explicit).arguments()[1] == {"training": True}


def test_outputs_are_numbered() -> None:
    _, state, cell = layers.LSTM(3, return_state=True)(keras.Input((5, 2)))
    assert (output_index(state), output_index(cell)) == (1, 2)


def test_layers_inside_wrappers_and_models() -> None:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="deep")], name="inner")
    wrapped = layers.Bidirectional(layers.LSTM(2))
    model = keras.Sequential([inner, layers.Dense(1, name="last")])
    assert [layer.name for layer in nested_layers(model)] == ["inner", "deep", "last"]
    assert any(isinstance(layer, layers.LSTM) for layer in flat_layers(wrapped))
    assert flat_layers(abs) == [abs]


@pytest.mark.parametrize("is_built", [True, False])
def test_the_functional_model_of_a_sequential_one(is_built: bool) -> None:
    model = keras.Sequential([*([keras.Input((4,))] if is_built else []), layers.Dense(2)])
    assert (functional_of(model) is not None) is is_built
    assert is_connected(model.layers[0]) is is_built
    assert functional_of(model.layers[0]) is None


def test_the_input_layer_of_an_input() -> None:
    x = keras.Input((4,), name="pixels")
    assert operation_of(x).name == "pixels"
    assert operation_of(3) == 3


@pytest.mark.parametrize("own", [3, None, "three"])
def test_layers_of_the_user_may_have_an_attribute_of_that_name(own: object) -> None:
    class Blocks(layers.Layer):
        layers = own

        def call(self, x: object) -> object:
            return x

    model = keras.Sequential([keras.Input((4,)), Blocks(name="mine")])
    assert [layer.name for layer in nested_layers(model)] == ["mine"]
