"""A constant as an input of a layer is a part of the model, repeated for each sample."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kmagic
from kmagic.models.build import origin_of
from kmagic.models.build.constant_inputs import is_constant
from kmagic.models.decompile import to_dsl
from kmagic.support.errors import BuildError, DSLError

POSITIONS = np.arange(5)
MATRIX = np.linspace(-1.0, 1.0, 10).reshape(5, 2)


def outputs(model, samples=3):
    keras.utils.set_random_seed(0)
    return np.asarray(model(keras.random.normal((samples, *model.inputs[0].shape[1:]))))


@pytest.mark.parametrize(
    "positions",
    [
        POSITIONS,
        POSITIONS[None],
        POSITIONS.tolist(),
        range(5),
        pd.Series(POSITIONS),
        tf.range(5),
        POSITIONS.astype("float64"),
    ],
    ids=["array", "batch of 1", "list", "range", "series", "tensor", "float64"],
)
def test_a_position_embedding_is_part_of_the_model(positions):
    text = "tok = input 5x2 / pos = embedding 5 2 <- {positions} / add <- tok, pos"
    model = kmagic.build(text, positions=positions)
    assert [layer.name for layer in model.layers][:2] == ["tok", "pos"]
    assert model.count_params() == 10
    assert model.output_shape == (None, 5, 2)
    x = np.zeros((3, 5, 2), "float32")
    table = np.asarray(model.get_layer("pos").embeddings)
    np.testing.assert_allclose(model(x), np.broadcast_to(table, (3, 5, 2)))


@pytest.mark.parametrize(
    "values",
    [
        pd.DataFrame([[1.5, 2.5]]),
        pd.DataFrame([[1.5, 2.5]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        pd.Series([1.5, 2.5], index=["p", "q"]).to_frame().T,
        np.array([[1.5, 2.5]]),
        [[1.5, 2.5]],
    ],
    ids=["frame", "columns of two levels", "row", "array", "list"],
)
def test_a_constant_is_a_list_where_the_text_leaves_the_notebook(values):
    model = kmagic.build("x = input 2 / c = dense 3 <- {values} / add <- c, _", values=values)
    portable = origin_of(model).portable
    assert "[[1.5, 2.5]]" in portable.text + str(portable.values)


@pytest.mark.parametrize("value", [pd.DataFrame, np.ndarray, np, range(10**15), range(10**30)])
def test_what_is_no_constant_is_refused_at_its_line(value):
    for line in ("dense 2 <- {value}", "add <- {value}, _"):
        with pytest.raises(DSLError, match="line 2"):
            kmagic.build(f"input 4\n{line}", value=value)


def test_it_is_trained_saved_and_written_as_text(tmp_path):
    text = "tok = input 5x2 / pos = embedding 5 2 <- {positions} / add <- tok, pos / gap1d"
    model = kmagic.build(f"{text} / compile sgd(1.0) loss=mse", positions=POSITIONS)
    before = np.array(model.get_layer("pos").embeddings)
    model.fit(np.zeros((8, 5, 2)), np.ones((8, 2)), verbose=0)
    assert not np.allclose(before, model.get_layer("pos").embeddings)
    kmagic.save(model, tmp_path / "m.keras")
    loaded = kmagic.load(tmp_path / "m.keras")
    assert "<- {[0, 1, 2, 3, 4]}" in origin_of(loaded).spec.source
    rebuilt = kmagic.build(to_dsl(loaded))
    rebuilt.set_weights(model.get_weights())
    np.testing.assert_allclose(outputs(loaded), outputs(model), rtol=1e-6)
    np.testing.assert_allclose(outputs(rebuilt), outputs(model), rtol=1e-6)


@pytest.mark.parametrize(
    ("lines", "parameters"),
    [
        ("embedding 5 2 <- {positions} / dense 2 / p = layernorm / add <- tok, p", 10 + 6 + 4),
        ("p = ops.arange 5 / e = embedding 5 2 <- p / add <- tok, e", 10),
        ("ops.arange 0 5 / embedding 5 2 / add <- tok, _", 10),
        ("{half} <- {matrix} / dense 2 / add <- tok, _", 6),
        ("add <- tok, {matrix}", 0),
        ("multiply <- tok, 0.5", 0),
        ("c = embedding 1 2 <- [0] / concatenate axis=1 <- c, tok", 2),
        ("d = dense 2 / e = reuse d <- {matrix} / add <- d, e", 6),
        ("lstm 2 <- tok, initial_state=[{matrix[0]}, {matrix[1]}]", 40),
        ("dropout 0.5 <- tok, training={flag}", 0),
    ],
)
def test_constants_are_inputs_of_any_layer(lines, parameters):
    names = {"positions": POSITIONS, "matrix": MATRIX, "half": lambda x: x / 2, "flag": False}
    model = kmagic.build(f"tok = input 5x2 / {lines}", **names)
    assert model.count_params() == parameters
    assert outputs(model, 3).shape[0] == 3
    assert outputs(model, 1).shape[0] == 1


def test_a_nested_model_and_attention_take_constants():
    text = """model enc:
  input 5x2
  dense 2
tok = input 5x2
a = enc <- {matrix}
multi_head_attention 1 2 <- tok, a
"""
    model = kmagic.build(text, matrix=MATRIX)
    assert outputs(model).shape == (3, 5, 2)


def test_a_layer_of_the_notebook_gets_its_constant_as_in_keras():
    class Scale(keras.layers.Layer):
        def call(self, x, by):
            assert by.shape == (2,)
            return x * by

    model = kmagic.build("x = input 2 / Scale <- x, {by}", Scale=Scale, by=np.array([1.0, 2.0]))
    np.testing.assert_allclose(model(np.ones((1, 2))), [[1, 2]])


def embed(positions):
    return keras.layers.Embedding(5, 2)(positions)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("p = embedding 5 2 <- {positions} / tok = input 5x2 / add <- p, tok", "no input", "below"),
        ("x = input 2 / add <- x, {matrix}", "got a batch of 5", "one sample"),
        ("x = input 2 / add <- x, {words}", "must contain numbers", "Convert"),
        ("x = input 2 / add <- x, {variable}", "would not be trained", "as an array"),
        ("x = input 5x2 / e = {embed} <- {positions} / add <- x, e", "in the model", "embedding"),
        ("x = input 5x2 / {add_positions}", "in the model", "embedding"),
        ("x = input 5 / p = ops.arange 5 / output x, p", "a constant", "`h = identity <- p`"),
    ],
)
def test_what_would_not_be_part_of_the_model_is_refused(text, message, remedy):
    names = {
        "positions": POSITIONS,
        "matrix": MATRIX,
        "words": np.array(["a", "b"]),
        "variable": keras.Variable(np.ones(2)),
        "embed": embed,
        "add_positions": lambda x: x + embed(POSITIONS),
    }
    with pytest.raises(BuildError, match=message) as caught:
        kmagic.build(text, **names)
    assert remedy in caught.value.remedy


def test_a_constant_enters_a_block_through_a_layer():
    text = "block b:\n  dense 2\nx = input 5x2\nb <- {matrix}\nadd <- x, _"
    with pytest.raises(DSLError, match="inputs of a block") as caught:
        kmagic.build(text, matrix=MATRIX)
    assert "`h = identity <- {matrix}`" in caught.value.remedy
    fixed = text.replace("b <- {matrix}", "h = identity <- {matrix}\nb <- h")
    assert outputs(kmagic.build(fixed, matrix=MATRIX)).shape == (3, 5, 2)


@pytest.mark.parametrize("words", ["{words}", "'a'", "['a', 'b']"])
def test_texts_are_not_constants_of_a_layer(words):
    with pytest.raises(BuildError, match="a constant must contain numbers; got the dtype str"):
        kmagic.build(f"x = input 2 / add <- x, {words}", words=["a", "b"])


def test_a_list_of_arrays_is_not_one_constant():
    assert is_constant([[0, 1], [1, 0]])
    assert not is_constant([POSITIONS, POSITIONS])
    assert not is_constant([])


def test_only_the_input_is_reported_if_its_shape_is_missing():
    with pytest.raises(DSLError, match="input needs a shape") as caught:
        kmagic.build("input\nadd <- 1, _\nadd <- 1")
    assert str(caught.value).count("^") == len("input")
