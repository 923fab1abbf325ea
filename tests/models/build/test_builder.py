"""Text to model: every line becomes the layer that Python code would create."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import kmagic
from kmagic.api import build
from kmagic.language import format_spec, parse
from kmagic.models.binding import memory_limit
from kmagic.models.build import ModelOrigin, assembly, build_model, origin_of
from kmagic.support.errors import BuildError, DSLError


def last(text, **values):
    return build(text, **values).layers[-1]


def same(model, other):
    """Whether two models are built alike, but for the names of their layers."""

    def plain(config):
        if isinstance(config, dict):
            return {
                key: plain(value)
                for key, value in config.items()
                if key not in ("name", "build_config", "keras_history")
            }
        return [plain(each) for each in config] if isinstance(config, list | tuple) else config

    return [plain(each.get_config()) for each in model.layers] == [
        plain(each.get_config()) for each in other.layers
    ]


# --- lines to layers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        ("dense 3", layers.Dense(3)),
        ("dense 3 relu", layers.Dense(3, "relu")),
        ("dense relu 3", layers.Dense(3, "relu")),
        ("dense 3 !use_bias", layers.Dense(3, use_bias=False)),
        ("dense units=3 activation=tanh", layers.Dense(3, "tanh")),
        ("dense(3, relu)", layers.Dense(3, "relu")),
        ("dense 3 kernel_initializer=he_normal", layers.Dense(3, kernel_initializer="he_normal")),
        (
            "dense 3 kernel_initializer=he_normal(seed=1)",
            layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
        ),
        (
            "dense 3 kernel_regularizer=l1_l2(0.1, l2=0.2)",
            layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2)),
        ),
        (
            "dense 3 bias_constraint=max_norm(2)",
            layers.Dense(3, bias_constraint=keras.constraints.MaxNorm(2)),
        ),
        ("dense 3 leaky_relu", layers.Dense(3, "leaky_relu")),
        ("dense 3 float16", layers.Dense(3, dtype="float16")),
        ("dense 3 dtype=mixed_float16", layers.Dense(3, dtype="mixed_float16")),
        ("dense 3 trainable=false", layers.Dense(3, trainable=False)),
        ("dropout 0.5", layers.Dropout(0.5)),
        ("dropout 0.5 seed=3", layers.Dropout(0.5, seed=3)),
        ("relu", layers.ReLU()),
        ("relu threshold=1.0", layers.ReLU(threshold=1.0)),
        ("gelu", layers.Activation("gelu")),
        ("activation tanh", layers.Activation("tanh")),
        ("bn", layers.BatchNormalization()),
        ("batch_normalization momentum=0.9", layers.BatchNormalization(momentum=0.9)),
        ("reshape 2x6", layers.Reshape((2, 6))),
        ("reshape 12", layers.Reshape((12,))),
        ("reshape (-1, 3)", layers.Reshape((-1, 3))),
        ("flatten", layers.Flatten()),
        ("repeat_vector 3", layers.RepeatVector(3)),
        ("gaussian_noise 0.1", layers.GaussianNoise(0.1)),
        ("rescaling {1 / 255}", layers.Rescaling(1 / 255)),
    ],
)
def test_a_line_on_a_vector(line, layer):
    expected = keras.Sequential([keras.Input((12,)), layer])
    assert same(build(f"input 12\n{line}"), expected)


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        ("conv2d 4 3x3", layers.Conv2D(4, (3, 3))),
        ("conv2d 4 3", layers.Conv2D(4, 3)),
        ("conv2d 4 3x3 same relu", layers.Conv2D(4, (3, 3), padding="same", activation="relu")),
        ("conv2d 4 3x3 2x2 valid", layers.Conv2D(4, (3, 3), (2, 2), "valid")),
        ("conv2d 4 3x3 strides=2", layers.Conv2D(4, (3, 3), strides=2)),
        ("maxpool 2x2", layers.MaxPooling2D((2, 2))),
        ("maxpool", layers.MaxPooling2D()),
        ("avgpool 2x2 same", layers.AveragePooling2D((2, 2), padding="same")),
        ("gap", layers.GlobalAveragePooling2D()),
        ("gap keepdims", layers.GlobalAveragePooling2D(keepdims=True)),
        ("upsample 2x2", layers.UpSampling2D((2, 2))),
        ("sepconv2d 4 3x3", layers.SeparableConv2D(4, (3, 3))),
        ("permute (2, 1, 3)", layers.Permute((2, 1, 3))),
        ("zero_padding2d ((1, 2), (0, 1))", layers.ZeroPadding2D(((1, 2), (0, 1)))),
        ("cropping2d 1", layers.Cropping2D(1)),
        ("time_distributed(dense 2)", layers.TimeDistributed(layers.Dense(2))),
    ],
)
def test_a_line_on_an_image(line, layer):
    expected = keras.Sequential([keras.Input((8, 6, 3)), layer])
    assert same(build(f"input 8x6x3\n{line}"), expected)


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        ("lstm 4", layers.LSTM(4)),
        ("lstm 4 return_sequences", layers.LSTM(4, return_sequences=True)),
        ("lstm 4 dropout=0.2", layers.LSTM(4, dropout=0.2)),
        ("bidirectional(lstm 4)", layers.Bidirectional(layers.LSTM(4))),
        ("bidirectional(gru 4) sum", layers.Bidirectional(layers.GRU(4), "sum")),
        ("rnn(lstm_cell 4)", layers.RNN(layers.LSTMCell(4))),
        (
            "rnn([lstm_cell 4, gru_cell 3])",
            layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]),
        ),
        ("conv1d 4 3 causal", layers.Conv1D(4, 3, padding="causal")),
        ("gap1d", layers.GlobalAveragePooling1D()),
    ],
)
def test_a_line_on_a_sequence(line, layer):
    expected = keras.Sequential([keras.Input((5, 3)), layer])
    assert same(build(f"input 5x3\n{line}"), expected)


@pytest.mark.parametrize(
    ("line", "shape", "dtype"),
    [
        ("input 28x28x1", (None, 28, 28, 1), "float32"),
        ("input 4", (None, 4), "float32"),
        ("input ?x3", (None, None, 3), "float32"),
        ("input ?", (None, None), "float32"),
        ("input 80 int32", (None, 80), "int32"),
        ("input (28, 28)", (None, 28, 28), "float32"),
        ("input {shape}", (None, 2, 3), "float32"),
        ("input {shape[0]}", (None, 2), "float32"),
        ("input ()", (None,), "float32"),
        ("input 4 batch_size=7", (7, 4), "float32"),
    ],
)
def test_inputs(line, shape, dtype):
    model = build(f"{line}\nidentity", shape=(2, 3))
    assert model.input_shape == shape
    assert model.inputs[0].dtype == dtype


@pytest.mark.parametrize("line", ["input string", "input dtype=string", "input 1 string"])
def test_an_input_of_texts_has_one_text_per_sample(line):
    model = build(f"{line}\ntext_vectorization adapt={{texts}}", texts=["a film", "a book"])
    assert model.input_shape == (None, 1)
    assert model.inputs[0].dtype == "string"
    assert model.predict(np.array(["a book"], dtype=object), verbose=0).tolist() == [[2, 4]]


def test_an_input_of_texts_can_have_a_shape():
    assert build("input 7 string\nidentity").input_shape == (None, 7)
    assert build("input string shape=(3,)\nidentity").input_shape == (None, 3)


# --- kinds of models --------------------------------------------------------------------------


def test_a_stack_is_sequential_and_a_graph_is_functional():
    assert isinstance(build("input 4 / dense 3 / dense 2"), keras.Sequential)
    graph = build("input 4\nresidual: dense 4")
    assert not isinstance(graph, keras.Sequential)
    assert [type(each).__name__ for each in graph.layers] == ["InputLayer", "Dense", "Add"]


def test_the_head_gives_kind_and_name():
    model = build("model net functional\ninput 4\ndense 2")
    assert model.name == "net"
    assert not isinstance(model, keras.Sequential)
    assert build_model("input 4\ndense 2", {}, name="cnn").name == "cnn"
    assert build_model("model net\ninput 4\ndense 2", {}, name="cnn").name == "net"


def test_a_stack_without_an_input_is_built_later():
    model = build("dense 3\ndense 2")
    assert not model.built
    assert model(np.zeros((1, 5))).shape == (1, 2)


def test_names_of_lines_are_names_of_layers():
    model = build("a = input 4\nh = dense 3\ndense 2 name=out")
    assert model.get_layer("h").units == 3
    assert model.get_layer("out").units == 2
    assert model.inputs[0].name == "a"


def test_values_flow_through_the_layers_in_order():
    text = (
        "x = input 3\na = dense 3 kernel_initializer=ones !use_bias\nsubtract <- a, x\nadd <- _, x"
    )
    assert build(text).predict(np.array([[1.0, 2, 3]]), verbose=0).tolist() == [[6, 6, 6]]


def test_order_of_inputs_and_outputs():
    text = "a = input 2\nb = input 3\nconcatenate <- a, b\nc = dense 1\nd = dense 4 <- c\n"
    assert [each.shape for each in build(text).inputs] == [(None, 2), (None, 3)]
    assert [each.shape for each in build(f"{text}inputs b, a").inputs] == [(None, 3), (None, 2)]
    assert [each.shape for each in build(f"{text}output d, c").outputs] == [(None, 4), (None, 1)]
    assert set(build(f"{text}output x=d, y=c").output) == {"x", "y"}


def test_call_arguments():
    text = "x = input 5x3\nm = input 5 bool\nlstm 2 <- x, mask=m"
    model = build(text)
    assert len(model.inputs) == 2
    model = build("input 4\ndropout 0.9 <- _, training=true")
    (node,) = model.layers[-1]._inbound_nodes
    assert node.arguments.kwargs == {"training": True}


def test_several_outputs_of_a_layer():
    model = build("input 5x3\na, h, c = lstm 4 return_state\nadd <- a, h, c")
    assert model.output_shape == (None, 4)
    assert build("input 5x3\ns = lstm 4 return_state\nadd <- s[0], s[2]").output_shape == (None, 4)


def test_attention():
    assert build("input 5x8\nmha 2 4 <- _, _").output_shape == (None, 5, 8)
    assert build("a = input 5x8\nb = input 7x8\nattention <- a, b").output_shape == (None, 5, 8)


def test_shared_layers_have_one_set_of_weights():
    model = build("a = input 4\nb = input 4\nd = dense 4 <- a\ne = reuse d <- b\nadd <- d, e")
    assert len(model.weights) == 2
    enc = "model enc:\n  input 4\n  dense 3\n"
    model = build(f"{enc}a = input 4\nb = input 4\nx = enc <- a\ny = enc <- b\nadd <- x, y")
    assert len(model.weights) == 2


def test_blocks_have_weights_of_their_own():
    assert len(build("block two(n):\n  dense {n}\ninput 4\ntwo 4 * 3").weights) == 6


def test_freeze():
    model = build("input 4\nd = dense 3\ndense 2\nfreeze d")
    assert [each.trainable for each in model.layers] == [False, True]
    assert [each.trainable for each in build("input 4\ndense 3\nfreeze\ndense 2").layers] == [
        False,
        True,
    ]


def test_ops_are_words():
    assert build("input 4\nops.square").predict(np.array([[1.0, 2, 3, 4]]), verbose=0).tolist() == [
        [1, 4, 9, 16]
    ]
    assert build("input 4x3\nops.mean axis=1").output_shape == (None, 3)


# --- the notebook -----------------------------------------------------------------------------


class Twice(layers.Layer):
    def __init__(self, factor=2.0, **keywords):
        super().__init__(**keywords)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs


def test_values_layers_models_and_functions_of_the_notebook():
    backbone = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    layer = layers.Dense(2)
    assert last("input 4\ndense {n * 2}", n=3).units == 6
    assert last("input 4\n{layer}", layer=layer) is layer
    assert backbone in build("input 4\n{net}\ndense 2", net=backbone).layers
    assert last("input 4\nTwice 3.0", Twice=Twice).factor == 3.0
    assert last("input 4\n{Twice} factor=5.0", Twice=Twice).factor == 5.0
    doubled = build("input 2\ndouble", double=lambda x: 2 * x)
    assert doubled.predict(np.array([[1.0, 2]]), verbose=0).tolist() == [[2, 4]]
    assert last("input 4\ndense 2 {act}", act="tanh").activation is keras.activations.tanh


def test_a_notebooks_name_does_not_hide_a_layer():
    assert isinstance(last("input 4\ndense 2", dense=3), layers.Dense)


def test_adapting():
    words = ["a b", "b c"]
    layer = last("input 1 string\ntext_vectorization 10 adapt={words}", words=words)
    assert layer.vocabulary_size() == 5
    column = pd.Series(words, index=[3, 5])
    same = last("input string\ntext_vectorization 10 adapt={column}", column=column)
    assert same.get_vocabulary() == layer.get_vocabulary()
    data = np.array([[0.0], [2.0]])
    layer = last("input 1\nnormalization adapt={data}", data=data)
    assert float(keras.ops.squeeze(layer.mean)) == 1.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SimpleNamespace(x_train=["a"]), "cannot adapt to a whole dataset"),
        (
            tf.data.Dataset.from_tensor_slices((["a"], [1])),
            "cannot adapt to a stream of inputs and targets",
        ),
        (pd.Series([1.5]), "numbers: it takes texts"),
        (pd.DataFrame({"n": [1], "t": ["a"], "u": ["b"]}), 'Pass one column: {data["t"]}'),
        (None, "cannot adapt to None"),
    ],
)
def test_data_that_no_layer_adapts_to(data, message):
    with pytest.raises(DSLError, match=re.escape(message)):
        build("input string\ntext_vectorization adapt={data}", data=data)


AGES = pd.DataFrame({"age": [1.0, 3.0], "size": [2, 2], "name": ["a", "b"]})


@pytest.mark.parametrize(
    ("shape", "data", "mean"),
    [
        ("1", '{ages[["age"]]}', [2]),
        ("2", '{ages[["age", "size"]]}', [2, 2]),
        ("1", "{rows}", [2]),
        ("1", "{stream}", [1]),
        ("5x1", '{ages[["age"]].values}', [2]),
    ],
)
def test_normalization_adapts_to_rows_of_features(shape, data, mean):
    stream = tf.data.Dataset.from_tensor_slices(np.ones((4, 1)))
    text = f"input {shape}\nnormalization adapt={data}"
    layer = last(text, ages=AGES, rows=[[1], [3]], stream=stream)
    np.testing.assert_allclose(np.ravel(layer.mean), mean)


@pytest.mark.parametrize(
    ("data", "better"),
    [
        ('{ages["age"]}', '{ages[["age"]].values}'),
        ("{ages.age}", '{ages[["age"]].values}'),
        ('{ages["age"].values}', '{ages[["age"]].values}'),
        ("{ages}", '{ages[["age"]]}'),
        ("{column}", "{column[:, None]}"),
    ],
)
def test_the_hint_for_other_data_gives_a_working_model(data, better):
    ages = AGES if data != "{ages}" else AGES.drop(columns="size")
    names = {"ages": ages, "column": np.array([1.0, 3.0])}
    text = "input 1\nnormalization adapt="
    with pytest.raises(DSLError, match="normalization cannot adapt") as caught:
        build(text + data, **names)
    assert better in caught.value.remedy
    assert float(np.ravel(last(text + better, **names).mean)[0]) == 2


def test_normalization_is_adapted_to_the_features_of_its_input():
    with pytest.raises(DSLError, match="adapted to 2, but its input is 1"):
        build('input 1\nnormalization adapt={ages[["age", "size"]]}', ages=AGES)


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "input 4 / dense {10**12}",
        "input 4 / dense {10**12} / compile adam loss=mse",
        "input 4 int32 / embedding 99999999 99999 / gap1d",
        "input 8x8x512 / conv2d 999999 999x999 same",
        "input 4x4 / bidirectional(lstm 9999999)",
        "input 4x4 / mha 99999 99999 <- _, _",
        "input 99999999999x9 / flatten / dense 9",
        "x = input 4 / ops.zeros (999999, 999999) / add <- _, x",
        "input 4 / add <- _, {constant}",
        "input 4 / dense {10**400}",
    ],
)
def test_a_model_that_does_not_fit_into_memory_is_refused_before_it_is_built(text):
    constant = np.broadcast_to(np.float32(1), (1, 10**12))
    with pytest.raises(BuildError, match="GB, more than an eighth of the available memory"):
        build(text, constant=constant)
    assert build("input 4 / dense 2").count_params() == 10


LARGE_STACK = "input 2000\n" + "dense 2000\n" * 9


@pytest.mark.parametrize("end", ["", "add <- _, _", "model e:\n  input 2000\n  dense 3000\ne"])
def test_no_weight_is_created_for_a_model_that_becomes_too_large(end, monkeypatch):
    monkeypatch.setattr(memory_limit, "available_memory", lambda: 800_000_000)
    name = "_initialize_with_initializer"
    original, created = getattr(keras.Variable, name), []

    def initialize(self, initializer):
        created.append(self.shape)
        original(self, initializer)

    monkeypatch.setattr(keras.Variable, name, initialize)
    weights = r"would bring the weights to 1\d\d\.\d MB"
    with pytest.raises(BuildError, match=weights) as caught:
        build(LARGE_STACK + end)
    assert len(caught.value.problems) == 1
    assert len(created) <= 2


def test_large_weights_are_those_of_keras(monkeypatch):
    monkeypatch.setattr(memory_limit, "available_memory", lambda: 800_000_000)
    previews = []
    original = assembly._preview_weights
    monkeypatch.setattr(
        assembly, "_preview_weights", lambda *args: previews.append(original(*args))
    )
    keras.utils.set_random_seed(1)
    ours = build("input 1000\ndense 2000\ndense 2000\ndense 2000")
    keras.utils.set_random_seed(1)
    theirs = keras.Sequential([keras.Input((1000,)), *(keras.layers.Dense(2000) for _ in "123")])
    assert previews == [None]
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert build("input 4 / dense 2").layers[0].name == f"dense_{int(ours.layers[-1].name[6:]) + 4}"


def test_the_memory_is_looked_up_only_for_large_weights(monkeypatch):
    monkeypatch.setattr(memory_limit, "available_memory", lambda: pytest.fail("looked up"))
    assert build("input 4 / dense 2 * 3").count_params() == 22


def test_seeds_and_memory_are_refused_at_their_position():
    with pytest.raises(DSLError, match=r"seed must be less than 4,294,967,296"):
        build("input 4 / dropout 0.5 seed=99999999999999999999")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("dense 2\ncompile adam({x}) loss=mse", "learning_rate"),
        ("leaky_relu {x}", "negative_slope"),
        ("dense 2 kernel_regularizer=l2({x})", "l2"),
        ("normalization mean=[1, 2, 3, {x}] variance=[1, 1, 1, 1]", "mean"),
        ("normalization mean={a} variance=[1, 1, 1, 1]", "mean"),
        ("dense 2\ncompile adam loss=mse loss_weights=[{x}]", "loss_weights"),
    ],
)
@pytest.mark.parametrize("x", [float("nan"), np.float32("inf")])
def test_infinite_and_undefined_numbers_are_refused_at_their_position(line, name, x):
    with pytest.raises(DSLError, match=f"{name} must be finite; got {x}"):
        build(f"input 4\n{line}", x=x, a=np.array([1, 2, 3, x]))


@pytest.mark.parametrize(
    "line",
    [
        *("dense {wide}", "reshape {wide}", "rescaling {wide}", "rescaling [1, {wide}]"),
        *("rescaling {[1, (wide, 2)]}", "dropout 0.1 noise_shape={wide}", "dense 2 <- {wide}"),
        *("normalization adapt={wide}", "normalization adapt={[wide]}"),
        "text_vectorization adapt={[wide]}",
    ],
)
def test_a_view_of_any_size_is_refused_without_copying_it(line):
    wide = np.broadcast_to(np.float32(0), (10**6, 10**5))
    with pytest.raises(DSLError, match="line 2") as caught:
        build(f"input 4\n{line}", wide=wide)
    assert caught.value.remedy


@pytest.mark.parametrize("word", ["reshape", "permute"])
@pytest.mark.parametrize(
    "shape",
    [
        *(
            2.0,
            (2.0, 2),
            [2, "a"],
            (None, 1j),
            {"a": 1},
            np.array(2.5),
            np.array([2.0, 2.0]),
            np.ones((2, 2)),
        ),
        *(tf.constant([2, 2]), tf.ragged.constant([[1], [2, 3]]), ([2], 2)),
    ],
)
def test_a_shape_consists_of_whole_numbers(word, shape):
    with pytest.raises(DSLError, match="must be whole numbers; got") as caught:
        build(f"input 4\n{word} {{shape}}", shape=shape)
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, len(word) + 2)


@pytest.mark.parametrize("shape", [(2, 2), [2, -1], np.array([2, 2]), (np.int64(2), 2)])
def test_shapes_of_the_notebook(shape):
    assert build("input 4\nreshape {shape}", shape=shape).output_shape == (None, 2, 2)


def test_constants_may_be_infinite_masks_but_not_undefined():
    mask = np.array([0, -np.inf, 0, 0], "float32")
    assert build("input 4\nadd <- _, {mask}", mask=mask).count_params() == 0
    with pytest.raises(DSLError, match="a constant must not contain NaN"):
        build("input 4\nadd <- _, {mask}", mask=np.full(4, np.nan))


# --- spec, origin, depth ----------------------------------------------------------------------


def test_a_spec_is_built_as_its_text():
    text = "input 4\ndense 3 relu"
    assert same(build(parse(text)), build(text))
    bare = kmagic.language.spec.ModelSpec(parse(text).statements)
    assert same(build(bare), build(text))
    with pytest.raises(DSLError, match="line 2, column 7"):
        build(kmagic.language.spec.ModelSpec(parse("input 4\ndense rleu").statements))


def test_a_model_knows_its_origin():
    text = "model enc:\n  input 4\n  dense 3\ninput 4\nenc\ndense 2"
    built_from = origin_of(build(text))
    assert isinstance(built_from, ModelOrigin)
    assert format_spec(built_from.spec) == text
    assert [step.shape for step in built_from.steps] == [(None, 4), (None, 3), (None, 2)]
    assert [step.layer.__class__.__name__ for step in built_from.nested][-1] == "Dense"
    assert origin_of(keras.Sequential()) is None


def test_shapes_of_each_step():
    steps = origin_of(build("input 8x8x1\nconv2d 4 3x3\nresidual: conv2d 4 3x3 same\ngap")).steps
    assert [step.shape for step in steps] == [
        (None, 8, 8, 1),
        (None, 6, 6, 4),
        (None, 6, 6, 4),
        (None, 6, 6, 4),
        (None, 4),
    ]


def test_deep_models():
    limit = sys.getrecursionlimit()
    assert len(build("input 4\nops.negative * 1200").operations) == 1201
    assert sys.getrecursionlimit() == limit


def test_the_callers_variables_are_not_changed():
    names = {"n": 3}
    build_model("input 4\nfor n in 2 3:\n  dense {n}", names)
    assert names == {"n": 3}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("input 28x28\nconv2d 8 3x3", BuildError),
        ("input 4\ndense 0", DSLError),
        ("input 28x28\nconv2d 8 3x3\nflatten\ndense 0", DSLError),
    ],
)
def test_shape_errors_alone_are_a_build_error(text, kind):
    with pytest.raises(DSLError) as caught:
        build(text)
    assert type(caught.value) is kind


# --- names of the text ----------------------------------------------------------------------------

OTHER = {
    name: keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    for name in ("_", "_in", "h", "inner", "f", "n")
}
RENAMED = {
    "input 3 / dense 3 / h = _ / dense 3 / add <- h, _": 24,
    "input 3 / dense 3 / h = _ / dense 3": 24,
    "h = input 3 / g = _ / dense 3 / add <- g, h, _": 12,
    "input 3\nresidual:\n  dense 3\n  h = _\n  dense 3\nadd <- h, _": 24,
    "block f(n):\n  s = _in\n  dense {n}\n  e = _\n  add <- s, e\ninput 3 / f 3 / f 3": 24,
    "input 3\nmerge add:\n  branch: dense 3\n  branch:\n    h = _in\n    dense 3 / add <- h, _": 24,
    "input 3\nfor n in 3 3:\n  h = _\n  dense {n}\n  add <- h, _": 24,
    "input 3 / d = dense 3 / h = _ / reuse h": 12,
    "input 3 / dense 3\nh = _\nfreeze h\ndense 3": 24,
    "model inner:\n  input 3\n  h = _\n  dense 3 / add <- h, _\ninput 3 / inner": 12,
    "block f:\n  a = dense 3\n  b = dense 3\n  output a, b\ninput 3 / f\nc, d = _\nadd <- c, d": 24,
}


@pytest.mark.parametrize("text", RENAMED)
def test_another_name_for_the_output_above(text):
    model = build_model(text, OTHER)
    assert model.count_params() == RENAMED[text]
    assert not any(layer in OTHER.values() for layer in model.layers)
    scope = {}
    exec(kmagic.to_python(model), scope)  # noqa: S102 - our own program
    assert scope["model"].count_params() == RENAMED[text]
    assert [w.shape for w in scope["model"].weights] == [w.shape for w in model.weights]


NOT_OF_THE_NOTEBOOK = """
_
input 3 / _
input 3 / _ 4
input 3 / h = _ 4
input 3 / h = _ <- _
input 3 / h = _ * 3
input 3 / h = _in
h = _
input 3 / {_}
input 3 / dense {_}
input 3 / dense {_.units}
input 3 / dense 3 <- _, {_}
input 3 / dense 3 activation=_
input 3 / dense 3 activation={_}
input 3 / dense {_in}
input 3 / h = dense 3 / h
input 3 / h = dense 3 / {h}
input 3 / h = dense 3 / dense {h}
input 3 / h = dense 3 / dense 3 activation=h
input 3 / h = dense 3 / repeat {h}: / dense 3
input 3 / h = dense 3 / compile sgd loss=h
input 3 / dense 3 activation=h / compile loss=_
input 3 / add <- _, f
input 3 / freeze n
input 3 / reuse n
input 3 / output n
input 3 / time_distributed(_)
input 3 / h = dense 3 / time_distributed(h)
for n in relu elu: / dense 3 activation=n
""".strip().splitlines()


@pytest.mark.parametrize("text", NOT_OF_THE_NOTEBOOK)
def test_names_of_the_language_are_never_looked_up_in_the_notebook(text):
    text = text.replace(" / ", "\n").replace(":\n", ":\n  ")
    with pytest.raises(kmagic.KmagicError):
        build_model(text, OTHER)


def test_the_parameters_of_a_block_are_never_looked_up_in_the_notebook():
    text = "block f(act):\n  dense 3 activation=act\ninput 3 / f relu"
    with pytest.raises(kmagic.KmagicError, match="parameter or loop variable") as caught:
        build_model(text, {"act": keras.activations.elu})
    assert "write {act}" in str(caught.value)
    model = build_model(text.replace("=act", "={act}"), {"act": keras.activations.elu})
    assert model.layers[0].activation is keras.activations.relu


def test_a_name_means_the_notebooks_above_the_line_that_defines_it():
    names = {"h": 5, "act": keras.activations.elu}
    model = build_model("input 3 / dense {h} activation=act / h = dense 2 / act = dense 1", names)
    assert model.layers[0].units == 5
    assert model.layers[0].activation is keras.activations.elu


def test_a_constant_in_braces_is_no_output() -> None:
    with pytest.raises(DSLError, match=r"h = identity <- \{0\}"):
        build("input 4\noutput {0}")


def test_each_output_needs_a_name_of_its_own():
    with pytest.raises(kmagic.KmagicError, match="2 names for 1 output") as caught:
        build_model("input 3\na, b = _", {})
    assert "Write `a = _`" in str(caught.value)
    block = "block f:\n  a = dense 3\n  b = dense 2\n  output a, b\ninput 3 / f\n"
    with pytest.raises(kmagic.KmagicError, match="1 name for 2 outputs") as caught:
        build_model(f"{block}h = _", {})
    (remedy,) = re.findall("`(.*)`", str(caught.value))
    assert build_model(f"{block}{remedy}", {}).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("data", "better"),
    [
        ('{tables["ages"].age}', '{tables["ages"][["age"]].values}'),
        ('{arrays["x"]["age"]}', '{arrays["x"]["age"][:, None]}'),
        ("{series}", "{series.values[:, None]}"),
        ("{series[:2]}", "{series[:2].values[:, None]}"),
        ("{series / 1}", "{(series / 1).values[:, None]}"),
        ("{AGES['age']}", '{AGES[["age"]].values}'),
        ("{numbered[0]}", "{numbered[[0]].values}"),
        ("{tensor}", "{tensor[:, None]}"),
    ],
)
def test_the_hint_for_a_series_is_an_expression_that_works(data, better):
    values = np.array([1.0, 3.0])
    names = {"tables": {"ages": AGES}, "arrays": {"x": {"age": values}}, "AGES": AGES}
    names |= {"series": AGES.age, "numbered": pd.DataFrame(values)}
    names |= {"tensor": keras.ops.convert_to_tensor(values)}
    with pytest.raises(DSLError, match="2 numbers: it takes rows of features") as caught:
        build(f"input 1\nnormalization adapt={data}", **names)
    assert caught.value.remedy == f"For one feature: adapt={better}."
    layer = last(f"input 1\nnormalization adapt={better}", **names)
    assert float(np.ravel(layer.mean)[0]) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (AGES["name"], "texts: it takes numbers"),
        (["a", "b"], "texts: it takes numbers"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "dates: it takes numbers"),
        (np.array([[1.0], [np.nan]]), "missing or infinite values"),
        (pd.DataFrame({"n": pd.array([1, None], "Int64")}), "missing or infinite values"),
        (np.zeros((0, 1)), "no rows"),
        (np, "this data: The module numpy has no values"),
        (pd.DataFrame, "this data: The class DataFrame has no values"),
        (keras.Input((1,)), "this data: A symbolic tensor"),
        ([[1], [2, 3]], "this data: "),
        ([np.ones(2), np.ones(3)], "this data: "),
    ],
)
def test_data_that_would_make_a_normalization_useless(data, message):
    with pytest.raises(DSLError, match=f"normalization cannot adapt to {message}"):
        build("input 1\nnormalization adapt={data}", data=data)


def test_integers_of_numpy_are_integers():
    n = np.int64(4)
    text = "input {n}\nfor f in {sizes}:\n  dense {f} * {n}\nreshape {n}x1\nconv1d {n} {n}"
    model = build(f"{text}\ndropout 0.5 seed={{n}}", n=n, sizes=np.array([3, 4]))
    units = [layer.units for layer in model.layers if isinstance(layer, layers.Dense)]
    assert units == [3] * 4 + [4] * 4
    assert model.layers[-1].seed == 4


@pytest.mark.parametrize("seed", ["4294967296", "{seed}"])
def test_seeds_are_limited_wherever_they_come_from(seed):
    with pytest.raises(DSLError, match="seed must be less than 4,294,967,296"):
        build(f"input 4\ndense 3 kernel_initializer=orthogonal(seed={seed})", seed=2**70)


def test_a_flag_of_a_function_of_keras_is_set_by_its_name():
    model = build("input 4x3\nops.mean axis=1 keepdims\nops.sum axis=1 !keepdims")
    assert model.output_shape == (None, 3)
    assert build("input 4x3\nops.mean 1 keepdims").output_shape == (None, 1, 3)


def test_a_long_value_is_shortened_in_messages():
    with pytest.raises(DSLError, match="units must be a positive integer; got") as caught:
        build("input 4\ndense {numbers}", numbers=list(range(1_000_000)))
    assert len(caught.value.message) < 500
