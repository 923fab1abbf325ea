"""Which layers ``unfreeze`` trains; they are those of its Keras program."""

import keras
import numpy as np
import pytest
from keras import layers

import kmagic
from kmagic.models.build import origin_of
from kmagic.support.errors import DSLError


@pytest.fixture
def base():
    """A model of five layers with weights, the last of them after the last dense layer."""
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(6), layers.BatchNormalization()])
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(6, name="a"),
            layers.BatchNormalization(name="n"),
            inner,
            layers.Dense(6, name="b"),
            layers.ReLU(),
        ],
        name="base",
    )


def leaves(model):
    return [
        layer
        for layer in model._flatten_layers()
        if layer.weights and not isinstance(layer, keras.Model)
    ]


def trained(model):
    return [layer.trainable for layer in leaves(model)]


TEXT = "input 6\nx = {base} <- _, training=false\nd = dense 2\n"
CASES = {
    "freeze x\nunfreeze x 2": ["b"],
    "freeze x\nunfreeze x 3": ["b", "dense"],
    "freeze x\nunfreeze x 5": ["a", "b", "dense"],
    "freeze x\nunfreeze x": ["a", "b", "dense"],
    "freeze\nunfreeze x {n}": ["b"],
    "unfreeze x 2": ["b"],  # without a line that freezes the others
    "freeze x d\nunfreeze d": [],
}


@pytest.mark.parametrize("lines", CASES)
@pytest.mark.parametrize("before", [True, False])
def test_the_last_layers_are_trained(base, lines, before):
    base.trainable = before  # as an earlier text may have left it
    model = kmagic.build(TEXT + lines, base=base, n=2)
    names = [layer.name.split("_")[0] for layer in leaves(base) if layer.trainable]
    assert sorted(names) == CASES[lines]
    found, program = trained(model), kmagic.to_python(model)
    base.trainable = before
    scope = {"base": base, "n": 2}
    exec(program, scope)  # noqa: S102 - our own program
    assert trained(scope["model"]) == found


def test_the_text_of_the_model_is_kept(base):
    model = kmagic.build(f"{TEXT}unfreeze x 2", base=base)
    assert origin_of(model).describes(model)
    assert trained(kmagic.build(kmagic.to_dsl(model))) == trained(model)


def test_normalization_layers_keep_their_statistics(base):
    model = kmagic.build(
        f"{TEXT}unfreeze x\ncompile sgd loss=mse".replace(", training=false", ""), base=base
    )
    normalization = base.get_layer("n")
    before = [weights.copy() for weights in normalization.get_weights()]
    kernel = base.get_layer("a").get_weights()[0]
    x = np.random.default_rng(0).normal(3, 5, (32, 6)).astype("float32")
    kmagic.fit(model, x, x[:, :2], displays=[], checks=False)
    assert all(map(np.array_equal, normalization.get_weights(), before))
    assert not np.array_equal(base.get_layer("a").get_weights()[0], kernel)


def test_a_named_normalization_layer_is_trained():
    model = kmagic.build("input 4\nn = bn\ndense 2\nfreeze\nunfreeze n")
    assert [layer.trainable for layer in model.layers] == [True, False]


def test_a_saved_model_has_the_same_frozen_layers(base, tmp_path):
    model = kmagic.build(f"{TEXT}freeze x\nunfreeze x 2\ncompile sgd loss=mse", base=base)
    kmagic.save(model, tmp_path / "net.keras")
    assert trained(kmagic.load(tmp_path / "net.keras")) == trained(model)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("unfreeze x 6", "has only 5 layers; got 6"),
        ("unfreeze x 1", "has no weights to train in its last layer"),
        ("unfreeze x true", "at least 1; got true"),
        ("unfreeze x {0.5}", "at least 1; got"),
        ("unfreeze x 2 3", "expected the name of a layer or model"),
        ("unfreeze x n=2", "expected the name of a layer or model"),
        ("unfreeze y", "no layer above is named y"),
        ("unfreeze _", "no layer above is named _"),
    ],
)
def test_other_lines_are_refused_and_change_nothing(base, line, message):
    base.trainable = False
    with pytest.raises(DSLError) as error:
        kmagic.build(TEXT + line, base=base)
    assert message in str(error.value)
    assert not any(layer.trainable for layer in base._flatten_layers())


def test_a_model_without_weights_to_train_is_refused():
    base = keras.Sequential([keras.Input((6,)), layers.BatchNormalization()])
    with pytest.raises(DSLError, match="has no layers that unfreeze can train"):
        kmagic.build(f"{TEXT}unfreeze x", base=base)


def test_a_function_is_refused():
    with pytest.raises(DSLError, match="is not a layer or model"):
        kmagic.build("input 4\na = ops.square\ndense 2\nunfreeze a")
