"""What a model costs, line by line; computing it changes nothing."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import kmagic
from kmagic import cost
from kmagic.evaluation.cost.activation_memory import kept_bytes, peak_bytes
from kmagic.evaluation.cost.latency import random_inputs
from kmagic.evaluation.cost.traced_model import trace
from kmagic.support.errors import EvaluationError

TEXT = """block res(f):
  residual:
    conv2d {f} 3x3 same / bn / relu
  relu
input 8x8x3
conv2d 4 3x3 same relu
res 4 * 2
repeat 3: conv2d 4 1x1
s = dense 4
reuse s
gap / dense 2 softmax
compile adam loss=sparse_categorical_crossentropy"""
CONV = 64 * 4 * (2 * 36 + 1)  # conv2d 4 3x3 on 8 x 8 x 4
POINT = 64 * 4 * (2 * 4 + 1)


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr("kmagic.evaluation.cost.latency.ENOUGH_SECONDS", 0.0)


def peak_of(model, shape):
    traced = trace(model, tf.TensorSpec(shape))
    operations = [operation for operation, _ in traced.needed()]
    return peak_bytes(operations, traced.inputs, traced.outputs)


def kept_of(model, shape):
    return list(kept_bytes(trace(model, tf.TensorSpec(shape), training=True)).values())


# --- lines ----------------------------------------------------------------------------------------


def test_each_line_sums_what_it_makes():
    result = cost(kmagic.build(TEXT), batch_size=2)
    lines = {line.text: line for line in result.lines}
    assert list(lines) == [
        "input 8x8x3",
        "conv2d 4 3x3 same relu",
        "res 4 * 2",
        "conv2d 4 1x1 * 3",
        "s = dense 4",
        "reuse s",
        "gap",
        "dense 2 softmax",
    ]
    assert lines["conv2d 4 3x3 same relu"].flops == 64 * 4 * (2 * 27 + 2)
    # normalization: 2 for each element and 6 for each channel; relu, add, relu
    assert lines["res 4 * 2"].flops == 2 * (CONV + 256 * 5 + 4 * 6)
    assert lines["res 4 * 2"].parameters == 2 * (148 + 16)
    assert lines["conv2d 4 1x1 * 3"].flops == 3 * POINT
    assert lines["s = dense 4"].flops == lines["reuse s"].flops == POINT
    assert [lines[text].parameters for text in ("s = dense 4", "reuse s")] == [20, 0]
    assert sum(line.flops for line in lines.values()) == result.flops
    assert sum(line.activations for line in lines.values()) == result.activations
    assert len(result.to_frame()) == 1 + 1 + 2 * 5 + 3 + 4
    assert result.to_frame()["shape"].iloc[-1] == "2"


def test_two_calls_of_a_layer_on_different_sizes_are_told_apart():
    model = kmagic.build(
        "b = input 5x8\na = input 8\nd = dense 4 <- b\ne = reuse d <- a\n"
        "f = gap1d <- d\nadd <- f, e"
    )
    flops = {line.text: line.flops for line in cost(model).lines}
    assert flops["d = dense 4 <- b"] == 5 * 4 * 17
    assert flops["e = reuse d <- a"] == 4 * 17


def test_a_model_without_a_text_has_a_row_for_each_layer():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="inner")
    x = keras.Input((4,), name="x")
    model = keras.Model(x, keras.ops.exp(inner(x) + inner(2 * x)))
    layers = cost(model).layers
    flops = {layer.text: layer.flops for layer in layers}
    assert [text for text in flops if "inner" in text] == ["inner (Sequential)"]
    assert [layer.flops for layer in layers if layer.layer == "inner"] == [27, 27]
    assert sum(flops[text] for text in flops if "inner" not in text) == 3 + 3 + 4
    assert layers[0].text == "x (InputLayer)"
    assert {layer.shape for layer in layers} == {(None, 4), (None, 3)}


def test_a_subclassed_model_has_a_row_for_each_layer_and_one_for_the_rest():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.first, self.second = keras.layers.Dense(3), keras.layers.Dense(2)

        def call(self, x):
            return self.second(self.first(x) * self.first(2 * x))

    model = Own()
    with pytest.raises(EvaluationError, match="'own' has no weights yet"):
        cost(model)
    model(np.ones((5, 4), "float32"))
    layers = {layer.text: layer for layer in cost(model, batch_size=2).layers}
    assert [layer.split(" ")[0] for layer in layers] == [*(x.name for x in model.layers), "outside"]
    assert [layer.flops for layer in layers.values()] == [2 * 27, 2 * 7, 4 + 3]


def test_a_layer_that_is_not_used_costs_nothing():
    model = kmagic.build("i = input 4\nunused = dense 9\ndense 2 <- i")
    rows = {line.text: line for line in cost(model).lines}
    assert rows["unused = dense 9"].flops == rows["unused = dense 9"].parameters == 0


# --- memory ---------------------------------------------------------------------------------------


def test_a_training_keeps_what_its_backward_pass_reads():
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Reshape((2, 4)),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential(layers)
    # the inputs, the result of relu, the mask of the dropout and its result
    assert kept_of(model, (10, 4)) == [10 * (8 + 32), 10 * 32, 10 * 16]
    assert cost(model, batch_size=10).activations == 10 * (16 + 32 + 8 + 32)


def test_frozen_layers_keep_less():
    def kept(trainable):
        base = keras.layers.Dense(8, activation="relu", trainable=trainable)
        model = keras.Sequential([keras.Input((4,)), base, keras.layers.Dense(3)])
        return sum(kept_of(model, (10, 4)))

    assert kept(True) == 10 * (16 + 32)
    assert kept(False) == 10 * 32


def test_a_prediction_needs_the_largest_sum_of_tensors_at_a_time():
    def dense(units):
        return keras.layers.Dense(units, use_bias=False)

    model = keras.Sequential([keras.Input((4,)), dense(100), dense(50), dense(2)])
    assert peak_of(model, (1, 4)) == 4 * (4 + 100 + 50)
    relu = keras.Sequential([keras.Input((4,)), dense(100), keras.layers.ReLU(), dense(50)])
    assert peak_of(relu, (1, 4)) == 4 * (4 + 100 + 50)  # relu writes over its input
    x = keras.Input((4,))
    skip = dense(100)(x)
    model = keras.Model(x, keras.layers.Concatenate()([skip, dense(100)(dense(100)(skip))]))
    assert peak_of(model, (1, 4)) == 4 * (4 + 200 + 200)


def test_a_loop_keeps_its_values_for_each_time_step_and_no_weights():
    def kept(units, steps):
        model = keras.Sequential([keras.Input((steps, 3)), keras.layers.LSTM(units)])
        return sum(kept_of(model, (2, steps, 3)))

    first = kept(4, 5)
    assert kept(4, 10) == pytest.approx(2 * first, rel=0.02)
    assert kept(16, 5) < 4 * first  # the weights grow sixteenfold


@pytest.mark.parametrize("text", ["input 9x4\nlstm 5 / dense 2", "input 8x8x1\nconv2d 2 3 / gap"])
def test_the_memory_of_a_prediction_grows_with_the_batch(text):
    model = kmagic.build(text)
    one, many = (peak_of(model, (size, *model.input_shape[1:])) for size in (1, 16))
    assert 16 * one == pytest.approx(many, rel=0.02)
    assert cost(model, batch_size=16).prediction == 16 * one


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 0), ("adam", 2), ("adafactor", None)])
def test_the_optimizer_counts_before_it_has_variables_and_after(optimizer, factor):
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30)])
    model.compile(optimizer, "mse")
    before = cost(model).optimizer
    assert not model.optimizer.built
    model.optimizer.build(model.trainable_variables)
    assert before == cost(model).optimizer
    if factor is not None:
        assert before == pytest.approx(factor * 4 * 1230, abs=16)


def test_training_memory_is_the_sum_of_its_parts():
    result = cost(kmagic.build(TEXT))
    parts = (result.weights, result.gradients, result.optimizer, result.activations)
    assert result.training == sum(parts)
    assert result.weights == 4 * result.parameters
    assert result.gradients == 4 * (result.parameters - 2 * 8)


def test_half_precision_takes_half_the_memory():
    def build(policy):
        layers = [keras.layers.Dense(64, activation="relu", dtype=policy) for _ in range(3)]
        return keras.Sequential([keras.Input((64,), dtype="float16"), *layers])

    full, half = (cost(build(policy)).activations for policy in ("float32", "mixed_float16"))
    assert half == pytest.approx(full / 2, rel=0.2)


def test_activations_without_trainable_weights_are_unknown():
    model = kmagic.build("input 4\nrelu")
    result = cost(model)
    assert result.activations is result.training is None
    assert "no weights are trainable" in " ".join(result.notes)
    assert result.lines[1].activations is None


# --- latency and inputs ---------------------------------------------------------------------------


def test_latency_is_measured_for_one_sample_and_a_batch(monkeypatch):
    model = kmagic.build("input 4\ndense 2")
    sizes = []
    predict = model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda x: sizes.append(len(x)) or predict(x))
    result = cost(model, batch_size=7)
    assert sizes == [1] * 5 + [7] * 5
    assert list(result.latency) == [1, 7]
    assert all(seconds > 0 for seconds in result.latency.values())
    assert "cores" in result.device or "GPU" in result.device


def test_inputs_are_valid_for_the_layers():
    model = kmagic.build("input 6\nembedding 3 4 mask_zero\ngap1d")
    values = random_inputs(model, tf.TensorSpec((50, 6)))
    assert set(np.unique(values)) == {1.0, 2.0}
    assert random_inputs(model, tf.TensorSpec((2, 6), "int32")).dtype == "int32"
    plain = kmagic.build("input 6\ndense 4")
    assert abs(random_inputs(plain, tf.TensorSpec((50, 6))).mean()) < 0.5
    specs = {"a": tf.TensorSpec((2, 3), "bool"), "b": tf.TensorSpec((2,), "int64")}
    values = random_inputs(plain, specs)
    assert (values["a"].dtype, values["b"].dtype) == ("bool", "int64")


def test_inputs_by_name_are_passed_by_name():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b", dtype="int32")
    model = keras.Model({"b": b, "a": a}, keras.layers.Concatenate()([a, b]))
    assert cost(model).flops == 0


def test_text_inputs_have_no_latency():
    layer = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=5)
    model = keras.Sequential([keras.Input((), dtype="string"), layer, keras.layers.Embedding(4, 2)])
    result = cost(model)
    assert result.latency == {}
    assert "the model takes text" in " ".join(result.notes)


def test_a_model_that_cannot_predict_random_inputs_says_so():
    class Picky(keras.layers.Layer):
        def call(self, x):
            with tf.control_dependencies([tf.debugging.assert_greater(x, 1e6)]):
                return tf.identity(x)

    model = keras.Sequential([keras.Input((3,)), Picky(), keras.layers.Dense(2)])
    result = cost(model)
    assert result.latency == {}
    assert result.notes[0].startswith("The latency for 1 sample was not measured: InvalidArgument")
    assert len(result.notes[0]) < 300
    assert result.flops == 2 * 7


# --- nothing changes ------------------------------------------------------------------------------


def test_the_model_is_as_before():
    model = kmagic.build(
        "input 5x4 batch_size=2\nlstm 3 stateful\ndropout 0.5\n"
        "dense 2 activity_regularizer=l2(0.1)\ncompile adam loss=mse"
    )
    lstm = model.layers[0]
    model.predict(np.ones((2, 5, 4)), verbose=0)
    tracked = [*model.variables, *lstm.states, *model.optimizer.variables]
    before = [variable.numpy() for variable in tracked]
    state, function = random.getstate(), model.predict_function
    losses = list(map(id, model.losses))
    attributes = [set(vars(layer)) for layer in model.layers]
    result = cost(model)
    assert list(result.latency) == [2]
    assert result.batch_size == 2
    for variable, value in zip(tracked, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert random.getstate() == state
    assert model.predict_function is function
    assert attributes == [set(vars(layer)) for layer in model.layers]
    assert list(map(id, model.losses)) == losses


def test_the_model_is_as_before_after_an_interrupt(monkeypatch):
    def interrupt(_):
        model.layers[0].states[0].assign(np.full((2, 3), 7.0))
        raise KeyboardInterrupt

    model = kmagic.build("input 5x4 batch_size=2\nlstm 3 stateful")
    model.predict(np.ones((2, 5, 4)), verbose=0)
    state, function = model.layers[0].states[0].numpy(), model.predict_function
    monkeypatch.setattr(model, "predict_on_batch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cost(model)
    np.testing.assert_array_equal(model.layers[0].states[0].numpy(), state)
    assert model.predict_function is function


def test_a_fixed_batch_counts_for_one_sample():
    fixed = kmagic.build("input 5x4 batch_size=8\nlstm 3 stateful\ndense 2")
    free = kmagic.build("input 5x4\nlstm 3\ndense 2")
    assert cost(fixed).flops == pytest.approx(cost(free).flops, rel=0.01)
    with pytest.raises(EvaluationError, match="batch_size= must be 8, the fixed batch size"):
        cost(fixed, batch_size=4)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True])
@pytest.mark.parametrize("option", ["batch_size", "length"])
def test_sizes_are_whole_numbers(option, value):
    with pytest.raises(EvaluationError, match=f"{option}= must be an integer of at least 1"):
        cost(kmagic.build("input ?x4\ngru 3"), **{option: value})


def test_an_unknown_dimension_needs_a_length():
    model = kmagic.build("input ?x4\ngru 3")
    with pytest.raises(EvaluationError, match="unknown dimension: \\? x 4") as caught:
        cost(model)
    assert "length=100" in caught.value.remedy
    short, long = cost(model, length=1).flops, cost(model, length=100).flops
    assert long == pytest.approx(100 * short, rel=0.05)
    with pytest.raises(EvaluationError, match="known sizes"):
        cost(kmagic.build("input 4\ndense 3"), length=5)


@pytest.mark.parametrize("value", [None, "cnn", 5, keras.layers.Dense(3)])
def test_only_models_have_a_cost(value):
    with pytest.raises(EvaluationError, match="expects a Keras model; got"):
        cost(value)


def test_sparse_inputs_are_refused():
    x = keras.Input((4,), sparse=True, name="x")
    with pytest.raises(EvaluationError, match="sparse or ragged input, x"):
        cost(keras.Model(x, keras.layers.Dense(2)(x)))


def test_a_model_that_fails_says_for_which_input():
    class Broken(keras.layers.Layer):
        is_broken = False

        def call(self, x):
            if self.is_broken:
                raise RuntimeError("no luck")
            return x

    model = keras.Sequential([keras.Input((3,)), Broken(), keras.layers.Dense(2)])
    model.layers[0].is_broken = True
    with pytest.raises(
        EvaluationError, match="fails for an input of 1 x 3: RuntimeError"
    ) as caught:
        cost(model)
    assert "no luck" in caught.value.message
    assert "call" not in vars(model.layers[0])
