"""Advice on mistakes that Keras accepts silently; a correct model gets none."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from keras import layers

from kmagic.api import build
from kmagic.language.spec import Span
from kmagic.models.build import origin_of
from kmagic.models.lint import Advice, advise

LOSSES = {"SPARSE": "sparse_categorical_crossentropy", "CATEGORICAL": "categorical_crossentropy"}
MODELS = sorted(Path(__file__).parents[1].glob("*.kmagic"))


def advice_on(text, *, hints=True):
    """Code and line of each advice on a text's model."""
    for short, name in LOSSES.items():
        text = text.replace(short, name)
    model = build(text)
    return [(each.code, each.span.line) for each in advise(model, origin_of(model), hints=hints)]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "input 4\ndense 3 softmax\ncompile adam loss=SPARSE(from_logits=true)",
            ("logits", 2),
        ),
        (
            "input 4\ndense 1 sigmoid\ncompile adam loss=binary_crossentropy(from_logits=true)",
            ("logits", 2),
        ),
        ("input 4\ndense 3\ncompile adam loss=SPARSE", ("no-softmax", 2)),
        ("input 4\ndense 3 relu\ncompile adam loss=CATEGORICAL", ("no-softmax", 2)),
        ("input 4\ndense 3 tanh\ncompile adam loss=CATEGORICAL()", ("no-softmax", 2)),
        ("input 4\ndense 1\ncompile adam loss=binary_crossentropy", ("no-sigmoid", 2)),
        (
            "input 4\ndense 3 relu\ndense 1 softmax\ncompile adam loss=binary_crossentropy",
            ("one-softmax", 3),
        ),
        (
            "input 4\ndense 1 sigmoid\ncompile adam loss=SPARSE",
            ("one-class", 2),
        ),
        (
            "input 4\ndense 3 sigmoid\ncompile adam loss=CATEGORICAL",
            ("sigmoid-categorical", 2),
        ),
        ("input 4\ndense 3 softmax\ncompile adam loss=bce", ("binary-softmax", 2)),
        ("input 4\ndense 3 softmax\ncompile adam loss=mse", ("regression-softmax", 2)),
        ("input 4\ndense 1 relu\ncompile adam loss=mse", ("relu-output", 2)),
        ("input 4\ndense 1\nrelu\ncompile adam loss=huber", ("relu-output", 3)),
        ("input 4\ndense 1\ncompile adam loss=mse metrics=accuracy", ("accuracy", 3)),
        ("input 4\ndense 1\ncompile adam loss=mae metrics=[mse, acc]", ("accuracy", 3)),
        ("input 4\ndense 3\ndense 2", ("no-activation", 2)),
        ("input 4\ndense 3\ndropout 0.2\ndense 2", ("no-activation", 2)),
        ("input 4\ndense 3 softmax\ndense 2", ("hidden-softmax", 2)),
        ("input 4\ndense 3 softmax\nactivation softmax", ("softmax-twice", 3)),
        ("input 4\ndense 3 softmax\nsoftmax", ("softmax-twice", 3)),
        ("a = input 4x1\nb = input 4x3\nadd <- a, b", ("broadcast", 3)),
        ("a = input 28x28x1\nb = input 10\nadd <- a, b", ("broadcast", 3)),
        ("input 4\ndense 4 relu\nembedding 10 3", ("embedding-floats", 3)),
        ("input 4x3\nbn\ndropout 0.1\nreshape 12\nembedding 9 2", ("embedding-floats", 5)),
        ("input 8x8x1\nconv2d 4 3x3\nbn\nrelu", ("bias", 2)),
        ("input 4\ndense 2 softmax\ndropout 0.4\ncompile adam loss=mse", ("after-output", 3)),
        ("input 4\ndense 2\nbn\ncompile adam loss=mse", ("after-output", 3)),
        ("input 28x28\ndense 4 relu\ndense 3 softmax", ("no-flatten", 3)),
        ("a = input 4\nb = input 3\ndense 2 <- a", ("unused-input", 2)),
        ("input 4\na = dense 3 relu\nb = dense 5 <- a\nc = dense 2 <- a", ("unused-line", 3)),
        ("input 4\na = dense 3 relu\ndense 5\nrelu\nc = dense 2 <- a", ("unused-line", 4)),
        ("block wide(n):\n  dense {n}\ninput 4\ndense 3", ("unused-block", 1)),
        ("model enc:\n  input 4\n  dense 3\ninput 4\ndense 3", ("unused-model", 1)),
        ("dense 3", ("no-input", 1)),
        ("input 3", ("no-layer", 1)),
        ("input 3\ndense 2\ncompile adam", ("no-loss", 3)),
    ],
)
def test_advice_with_its_line(text, advice):
    assert advice in advice_on(text)


@pytest.mark.parametrize(
    "text",
    [
        "input 4\ndense 3 relu\ndense 3 softmax\ncompile adam loss=SPARSE metrics=accuracy",
        "input 4\ndense 3\ncompile adam loss=SPARSE(from_logits=true)",
        "input 4\ndense 3\nsoftmax\ncompile adam loss=CATEGORICAL",
        "input 4\ndense 3\nactivation softmax\nactivation linear\ncompile adam loss=CATEGORICAL",
        "input 4\ndense 6\nreshape 2x3\nsoftmax\ncompile adam loss=CATEGORICAL",
        "input 4\ndense 1 sigmoid\ncompile adam loss=bce metrics=accuracy",
        "input 4\ndense 5 sigmoid\ncompile adam loss=binary_crossentropy",
        "input 4\ndense 1\ncompile adam loss=mse metrics=mae",
        "input 4\ndense 1 softplus\ncompile adam loss=mse",
        "input 4\ndense 2 tanh\ncompile adam loss=mse",
        "input 8x8x1\nconv2d 1 3x3 relu\ncompile adam loss=mse",  # pixels are not below 0
        "input 8x8x1\nconv2d 4 3x3 !use_bias\nbn\nrelu",
        "input 8x8x1\nconv2d 4 3x3 relu\nbn",
        "a = input 4x4x3\nb = gap keepdims\nmultiply <- a, b",  # squeeze and excite
        "a = input ?x4\nb = input 3x4\nadd <- a, b",
        "input 80 int32\nembedding 10 4\nlstm 3\ndense 1",
        "input 80\nembedding 10 4\ngap1d\ndense 1",
        "input 80x3\nlstm 4 return_sequences\ndense 3 softmax\ncompile adam loss=CATEGORICAL",
        "input 4\ndense 4 relu\nresidual: dense 4",
        "input 4\nh = dense 3 relu\noutput h\ndense 2",
        "block wide(n):\n  dense {n} relu\nblock two(n):\n  wide {n} * 2\ninput 4\ntwo 3",
        "model enc:\n  input 4\n  dense 3\ninput 4\ntime = enc\nfreeze enc",
        "input 4\nd = dense 4 relu\nreuse d",
        "input 4\nlayer_normalization\ndense 3 softmax",
    ],
)
def test_correct_models_get_none(text):
    codes = {code for code, _ in advice_on(text)} - {"unused-line"}
    assert not codes


def test_a_line_after_the_output_is_unused():
    assert advice_on("input 4\nh = dense 3 relu\noutput h\ndense 2") == [("unused-line", 4)]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_well_known_models_get_none(path):
    model = build(path.read_text(encoding="utf-8"))
    assert not advise(model, origin_of(model))
    assert not advise(model)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ConvNeXtTiny", "DenseNet121"])
def test_applications_get_none(name):
    model = getattr(keras.applications, name)(weights=None)
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    assert not advise(model)
    keras.backend.clear_session()


# --- positions ------------------------------------------------------------------------------------


def test_lines_within_nested_models_and_blocks():
    text = "model enc:\n  input 4\n  dense 3\n  dense 4 relu\nblock two(n):\n  dense {n} * 2\n"
    assert advice_on(f"{text}input 4\nenc\ntwo 3\ntwo 5") == [
        ("no-activation", 3),
        ("no-activation", 6),
    ]


def test_the_output_of_a_nested_model_counts():
    text = "model head:\n  input 4\n  dense 3\ninput 4\nhead\ncompile adam loss=CATEGORICAL"
    assert advice_on(text) == [("no-softmax", 3)]


def test_a_plain_model_has_layers_instead_of_lines():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2, name="second")]
    )
    (advice,) = advise(model)
    assert (advice.code, advice.layer, advice.span) == ("no-activation", "first", Span())
    assert str(advice).startswith("layer first: ")


def test_several_outputs_and_a_loss_for_each():
    text = "input 4\na = dense 3\nb = dense 1 relu <- _in"
    text = "x = input 4\na = dense 3 <- x\nb = dense 1 relu <- x\noutput a=a, b=b\n"
    text += "compile adam loss={a: SPARSE, b: mse}"
    assert advice_on(text) == [("no-softmax", 2), ("relu-output", 3)]


def test_losses_in_a_list():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(1, "relu")(inputs)])
    model.compile(loss=["sparse_categorical_crossentropy", keras.losses.MeanSquaredError()])
    assert [each.code for each in advise(model)] == ["no-softmax", "relu-output"]


def test_models_without_a_known_graph():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    model = Own()
    model.compile(loss="mse", metrics=["accuracy"])
    assert not advise(model)
    assert not advise(keras.Sequential([layers.Dense(3), layers.Dense(2)]))


def test_ops_between_layers():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.softmax(layers.Dense(3)(inputs) * 2))
    model.compile(loss="sparse_categorical_crossentropy")
    assert not advise(model)


def test_a_deep_model():
    model = build("input 4\nops.negative * 1500")
    assert not advise(model, origin_of(model))


# --- hidden advice --------------------------------------------------------------------------------


def test_a_comment_with_the_code_hides_advice_in_its_line():
    text = "input 4\ndense 3{}\ndense 2"
    assert advice_on(text.format("")) == [("no-activation", 2)]
    assert advice_on(text.format("  # low rank: no-activation")) == []
    assert advice_on(text.format("  # no-activations")) == [("no-activation", 2)]


def test_the_caller_hides_codes():
    model = build("input 4\ndense 3\ndense 2")
    assert not advise(model, origin_of(model), silent=["no-activation"])


def test_hints_are_shown_on_request():
    text = "input 8x8x1\nconv2d 4 3x3\nbn"
    assert advice_on(text, hints=False) == []
    assert advice_on(text) == [("bias", 2)]


def test_a_line_in_a_loop_gets_advice_once():
    assert advice_on("input 4\nrepeat 3:\n  dense 4") == [("no-activation", 3)]


def test_the_text_has_position_remedy_and_how_to_hide_it():
    advice = Advice("code", "It is so.", "Do this.", Span(3, 1))
    assert advice.to_text(first_line=2) == (
        "line 4: It is so. Do this. (To hide this, add `# code` to the line.)"
    )
    assert str(advice).startswith("line 3: It is so. Do this. (To hide")
    assert Advice("code", "It is so.", "Do this.").to_text() == "It is so. Do this."


@pytest.mark.parametrize(
    ("loss", "remedy"),
    [("mse", "To predict a number, write `dense 1`"), ("bce", "`dense 1 sigmoid`")],
)
def test_the_remedy_for_a_single_softmax_depends_on_the_loss(loss, remedy):
    (advice,) = advise(build(f"input 4\ndense 1 softmax\ncompile adam loss={loss}"))
    assert remedy in advice.to_text()


def test_an_unused_layer_of_a_line_tells_what_a_name_or_an_arrow_belongs_to():
    def remedy(text):
        model = build(text)
        advice = advise(model, origin_of(model))
        return next(each.remedy for each in advice if each.code == "unused-line")

    text = "i = input 8x8x1\nconv2d 8 3x3 / maxpool 2x2 <- i\nflatten"
    assert "`conv2d 8 3x3 <- i / maxpool 2x2`" in remedy(text)
    text = "i = input 8x8x1\nh = conv2d 8 3x3 / flatten\ndense 3 <- h"
    assert "`conv2d 8 3x3 / h = flatten`" in remedy(text)
    text = "i = input 8x8x1\nh = flatten\ndense 3\ndense 2 <- h"
    assert remedy(text) == "Connect it, name it in `output`, or remove it."


def test_an_arrow_in_the_middle_of_a_line_belongs_to_its_layer():
    text = "i = input 8x8x1\nconv2d 8 3x3 / maxpool 2x2 <- i / flatten"
    model = build(text)
    (advice,) = advise(model, origin_of(model))
    assert "write `conv2d 8 3x3 <- i / maxpool 2x2 / flatten`" in advice.remedy


def test_lines_of_blocks_and_nested_models_may_be_unused():
    lines = "  i = dense 4 relu\n  h = dense 4 relu / flatten\n  dense 4 relu <- h\n"
    for text in (f"block b:\n{lines}input 4\nb\nb", f"model b:\n  input 4\n{lines}input 4\nb"):
        model = build(text)
        (advice,) = advise(model, origin_of(model))
        assert advice.code == "unused-line"
        assert "write `dense 4 relu / h = flatten`" in advice.remedy


def test_a_line_that_one_use_of_a_block_needs_is_used():
    text = "block b:\n  p = dense 4 relu\n  q = dense 5 relu\n  output p, q\ninput 4\n"
    assert advice_on(f"{text}p, q = b\nr, s = b <- p\nconcatenate <- q, r") == []
    assert advice_on(f"{text}p, q = b\nr, s = b <- p\noutput r") == [("unused-line", 3)]
