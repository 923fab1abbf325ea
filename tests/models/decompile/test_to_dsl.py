"""``to_dsl``: what the text contains, what it leaves out, and which models it rejects."""

from __future__ import annotations

import random
from inspect import cleandoc
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812 - as short as the lines that are tested

from kmagic.api import build
from kmagic.models import catalogue
from kmagic.models.decompile import to_dsl
from kmagic.models.decompile.config_values import comparable
from kmagic.models.decompile.model_reader import read_model
from kmagic.support.errors import DecompileError

from ... import layer_samples
from ...model_zoo import MODELS

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras warns about some of the samples


def config(layer: Any) -> Any:
    return comparable(layer.get_config(), type(layer).__name__)


@pytest.mark.parametrize(("cls", "param"), list(layer_samples.pairs()))
def test_a_layer_with_any_argument_is_restored(cls: Any, param: catalogue.Parameter) -> None:
    for given in layer_samples.cases(cls, param):
        try:
            layer = cls(**{name: value for name, (value, _) in given.items()})
            wanted = config(layer)
        except (ValueError, TypeError, AttributeError, NotImplementedError):
            continue
        model = keras.Sequential([layer])
        text = to_dsl(model)
        names = read_model(model).needed if text.startswith("#") else {}
        found = build(text, **names).layers[0]
        assert config(found) == wanted, text
        assert found.autocast == layer.autocast


@pytest.mark.parametrize("wanted", [layer for _, layer in layer_samples.LINES], ids=repr)
def test_a_common_layer_is_restored(wanted: Any) -> None:
    model = keras.Sequential([wanted])
    names = read_model(model).needed
    found = build(to_dsl(model), **names).layers[0]
    assert config(found) == config(wanted), to_dsl(model)


# --- texts --------------------------------------------------------------------------------------

TEXTS = {
    "plain_stack": """
        input 28x28x1
        flatten
        dense 128 relu
        dropout 0.2
        dense 10 softmax
    """,
    "named_stack": """
        model "my net"
        features = input 8
        hidden = dense 4
        dense 2 name="out-put"
    """,
    "unbuilt_stack": """
        dense 4 relu
        dense 2
    """,
    "same_layer_again_and_again": """
        input 8
        dense 8 relu * 6
        dense 1
    """,
    "functional_stack": """
        model functional
        input 4
        dense 3
    """,
    "two_inputs_one_encoder": """
        model encoder:
          input 20
          embedding 100 8
          lstm 4
        in1 = input 20 int32
        in2 = input 20 int32
        encoder <- in1
        d1 = dense 4 relu
        encoder <- in2
        reuse d1
        concatenate <- d1, _
        dense 1 sigmoid
    """,
    "states_of_a_recurrence": """
        in1 = input 5x3
        in2 = input 6x3
        l1, l2, l3 = lstm 4 return_sequences return_state <- in1
        l4 = lstm 4 <- in2, initial_state=[l2, l3]
        output l1, _
    """,
    "transformer": """
        input 16 int32
        embedding 100 32
        repeat 4:
          residual:
            multi_head_attention 4 8 dropout=0.1 <- _, _
          layer_normalization epsilon=1e-6
          residual:
            dense 64 gelu
            dense 32
            dropout 0.1
          layer_normalization epsilon=1e-6
        gap1d
        dense 2 softmax
    """,
    "small_resnet": """
        block res(f):
          residual:
            conv2d {f} 3x3 same !use_bias
            batch_normalization
            relu
            conv2d {f} 3x3 same !use_bias
            batch_normalization
          relu
        block res2(f):
          merge add:
            branch: conv2d {f} 1x1 strides=2
            branch:
              conv2d {f} 3x3 same strides=2 !use_bias
              batch_normalization
              relu
              conv2d {f} 3x3 same !use_bias
              batch_normalization
          relu
          res {f} * 2
        input 32x32x3
        conv2d 16 3x3 same relu
        res 16 * 3
        res2 32
        res2 64
        gap
        dense 10 softmax
    """,
    "operators": """
        input 4
        ops.multiply 2.0
        s1 = ops.add 1.0
        ops.subtract <- 1.0, _
        ops.transpose
        ops.matmul <- s1, _
        ops.tanh
    """,
    "frozen_backbone": """
        model back_bone name="back.bone":
          input 8x8x3
          stem = conv2d 4 3x3
          batch_normalization
          relu
          conv2d 4 3x3
        freeze back_bone
        input 8x8x3
        rescaling 2.0 -1.0
        back_bone <- _, training=false
        gap
        dropout 0.2
        dense 5 softmax
    """,
    "frozen_beginning": """
        input 8x8x3
        conv2d 4 3x3
        batch_normalization
        relu
        conv2d 4 3x3
        freeze
        flatten
        dense 2
    """,
    "classes_of_the_notebook": """
        # needs from the notebook: Scale, Two
        input 4
        Scale 2.0
        s1 = Scale 3.0 inner=dense(4, relu)
        Two 4 <- _, _
        second = Two 4 <- _, b=s1
    """,
    "compiled": """
        picture = input 16x16x3
        meta = input 8
        conv2d 4 3x3 relu <- picture
        flatten
        concatenate <- _, meta
        d1 = dense 16 relu
        d2 = dense 4
        cls = dense 4 softmax <- d1
        output cls=_, box=d2
        compile adamw(cosine_decay(1e-3, 1000)) loss={cls: categorical_crossentropy(label_smoothing=0.1), box: huber(delta=0.3)} loss_weights={cls: 1.0, box: 0.5} metrics={cls: [accuracy, top_k_categorical_accuracy(2, name=top2)], box: mae}
    """,  # noqa: E501 - a line of the language
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name: str) -> None:
    assert to_dsl(MODELS[name]()) == cleandoc(TEXTS[name])


def test_a_large_network_fits_on_a_page() -> None:
    text = to_dsl(keras.applications.ResNet50(weights=None))
    assert len(text.splitlines()) < 50
    assert text.startswith("model resnet50\nblock ")
    assert '    branch: conv_bn {p + "_block1"} {f} s={s}' in text


def test_width_puts_several_steps_on_a_line() -> None:
    text = to_dsl(MODELS["plain_stack"](), width=40)
    assert text.splitlines()[0] == "input 28x28x1 / flatten / dense 128 relu"


def test_exact_keeps_generated_names() -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(2), L.Dense(2)])
    lines = to_dsl(model, exact=True).splitlines()
    assert lines[0] == f"model {model.name}"
    assert lines[2:] == [f"{layer.name} = dense 2" for layer in model.layers]


def test_the_compile_line_can_be_left_out() -> None:
    assert "compile" not in to_dsl(MODELS["compiled"](), compiled=False)


def test_a_comment_replaces_a_compile_line_that_cannot_be_written() -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    model.compile("sgd", loss=lambda y, p: p - y)
    text = to_dsl(model)
    assert text.startswith("# The compile line is missing: it contains a lambda")
    assert build(text).output_shape == (None, 2)


def test_needed_names_are_those_of_the_notebook() -> None:
    assert read_model(MODELS["classes_of_the_notebook"]()).needed.keys() == {"Scale", "Two"}
    assert read_model(MODELS["plain_stack"]()).needed == {}


def test_to_dsl_has_no_side_effects() -> None:
    model = MODELS["two_inputs_one_encoder"]()
    before = model.get_config()
    keras.utils.set_random_seed(3)
    name, number = L.Dense(2).name, random.random()  # noqa: S311 - what Keras draws seeds from
    keras.utils.set_random_seed(3)
    to_dsl(model)
    stem, _, count = name.rpartition("_")
    assert L.Dense(2).name == f"{stem or name}_{int(count) + 1 if stem else 1}"
    assert random.random() == number  # noqa: S311 - as above
    assert model.get_config() == before


def test_a_learned_vocabulary_is_written() -> None:
    layer = L.TextVectorization(output_sequence_length=3)
    layer.adapt(["b a b", "c b a"])
    assert to_dsl(keras.Sequential([layer])) == (
        'text_vectorization output_sequence_length=3 vocabulary=["b", "a", "c"]'
    )


# --- errors -------------------------------------------------------------------------------------


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class WithoutConfig(L.Layer):
    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing = thing

    def call(self, x: Any) -> Any:
        return x


def with_layer(layer: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), layer])


def shared_with_a_nested_model() -> Any:
    shared = L.Dense(4)
    inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
    x = keras.Input((4,))
    return keras.Model(x, inner(shared(x)))


UNWRITABLE = {
    "a class of its own": (Own, "cannot be written as text: its class Own has code of its own"),
    "no model": (lambda: L.Dense(2), "model must be a Keras model; got Dense"),
    "empty": (
        lambda: keras.Sequential(name="none"),
        r"The model none \(Sequential\) .* it has no layers",
    ),
    "a lambda": (
        lambda: with_layer(L.Lambda(lambda x: x * 2, name="twice")),
        r"The layer twice \(Lambda\) .* it contains a lambda; use a named function instead",
    ),
    "an activation that is a lambda": (
        lambda: with_layer(L.Dense(2, lambda x: x, name="odd")),
        r"The layer odd \(Dense\) .* it contains a lambda; use a named function instead",
    ),
    "no config": (
        lambda: with_layer(WithoutConfig(object())),
        r"\(WithoutConfig\) .* has no get_config, so its arguments are unknown",
    ),
    "numbers by the thousand": (
        lambda: keras.Sequential(
            [L.Dense(9, kernel_initializer=keras.initializers.Constant(np.ones((4, 3000))))]
        ),
        r"\(Dense\) .* an array of 12,000 numbers, too long for a text \(at most 10,000\)",
    ),
    "a layer in two models": (
        shared_with_a_nested_model,
        r"\(Dense\) .* shared by two models, one nested in the other",
    ),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_model_that_no_text_can_express(name: str) -> None:
    make, message = UNWRITABLE[name]
    with pytest.raises(DecompileError, match=message):
        to_dsl(make())


def test_flags_that_are_numbers():
    layer = keras.layers.LSTM(3, return_sequences=1)
    model = keras.Sequential([keras.Input((5, 4)), layer])
    assert to_dsl(model).splitlines()[1] == "lstm 3 return_sequences"
