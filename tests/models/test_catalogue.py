"""The language's words, compared with the installed Keras."""

from __future__ import annotations

import inspect
import re

import keras
import pytest

from kmagic.language import parse
from kmagic.language.vocabulary import (
    ALIASES,
    OTHER_LAYER_NAMES,
    PREFERRED,
    REMOVED_ARGUMENTS,
    REMOVED_LAYERS,
    RENAMED_ARGUMENTS,
    snake_case,
)
from kmagic.models import catalogue
from kmagic.models.catalogue import (
    accepts_string,
    find_object,
    parameters,
    role_of,
    word_for,
    words_for_role,
)

LAYERS = sorted(
    {
        value
        for value in vars(keras.layers).values()
        if inspect.isclass(value) and issubclass(value, keras.layers.Layer)
    },
    key=lambda cls: cls.__name__,
)
STATEMENTS = ("input", "residual:", "compile", "repeat", "merge")
OPTIMIZERS = [value for value in vars(keras.optimizers).values() if inspect.isclass(value)]


def known(word):
    return word in STATEMENTS or find_object("layer", word) is not None


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_every_layer_has_a_word(cls):
    word = word_for(cls)
    assert find_object("layer", word) is cls
    assert word == word.lower()
    assert word.isidentifier()
    assert word in words_for_role("layer")


@pytest.mark.parametrize("cls", LAYERS, ids=lambda cls: cls.__name__)
def test_every_layers_arguments_are_known(cls):
    params = parameters(cls)
    assert len({each.name for each in params}) == len(params)
    own = inspect.signature(cls.__init__).parameters
    plain = [
        each.name
        for each in own.values()
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL) and each.name != "self"
    ]
    assert [each.name for each in params][: len(plain)] == plain


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases(alias, name):
    assert find_object("layer", alias) is getattr(keras.layers, name)


@pytest.mark.parametrize("alias", ALIASES)
def test_no_alias_hides_another_layer(alias):
    own = {
        catalogue.normalize_word(snake_case(cls.__name__)): cls
        for cls in LAYERS
        if cls is not getattr(keras.layers, ALIASES[alias])
    }
    assert catalogue.normalize_word(alias) not in own


@pytest.mark.parametrize(("name", "word"), PREFERRED.items())
def test_preferred_words(name, word):
    role = "layer" if hasattr(keras.layers, name) else "optimizer"
    cls = getattr(keras.layers if role == "layer" else keras.optimizers, name)
    assert word_for(cls) == word
    assert find_object(role, word) is cls


@pytest.mark.parametrize(("word", "advice"), REMOVED_LAYERS.items())
def test_advice_on_removed_layers(word, advice):
    assert find_object("layer", word) is None
    for text in re.findall(r"`(.*?)`", advice):
        assert all(known(step.callee.text) for step in parse(text))
    assert any(known(each) for each in re.findall(r"\w+", advice))


@pytest.mark.parametrize(("word", "here"), OTHER_LAYER_NAMES.items())
def test_names_of_layers_elsewhere(word, here):
    assert find_object("layer", word) is None
    assert word not in words_for_role("layer")
    assert known(here) or known(here.partition("(")[0])


@pytest.mark.parametrize(("name", "new"), RENAMED_ARGUMENTS.items())
def test_renamed_arguments_exist_under_their_new_name(name, new):
    takers = [
        owner
        for owner in (*LAYERS, *OPTIMIZERS, keras.Model.fit)
        if any(param.name == new for param in parameters(owner))
    ]
    assert takers
    assert not all(any(param.name == name for param in parameters(owner)) for owner in takers)


@pytest.mark.parametrize("advice", REMOVED_ARGUMENTS.values())
def test_advice_on_removed_arguments_can_be_parsed(advice):
    for text in re.findall(r"`(.*?)`", advice):
        assert parse(text).statements


@pytest.mark.parametrize("role", ["initializer", "regularizer", "constraint", "optimizer", "loss"])
def test_every_class_of_a_role_has_a_word(role):
    for name, value in catalogue.members(role).items():
        if inspect.isclass(value):
            assert find_object(role, word_for(value)) is not None, name
            assert find_object(role, name) is not None


@pytest.mark.parametrize(
    "role", ["layer", "initializer", "regularizer", "constraint", "activation", "loss", "metric"]
)
def test_words_are_known_words(role):
    for word in words_for_role(role):
        assert find_object(role, word) is not None or accepts_string(role, word), word


@pytest.mark.parametrize(
    ("role", "word"),
    [
        ("layer", "conv2d"),
        ("layer", "Conv2D"),
        ("layer", "max_pooling2d"),
        ("layer", "maxpooling2d"),
        ("layer", "grouped_query_attention"),
        ("layer", "group_query_attention"),
        ("initializer", "he_normal"),
        ("regularizer", "l2"),
        ("constraint", "max_norm"),
        ("optimizer", "adam"),
        ("schedule", "exponential_decay"),
        ("loss", "mean_squared_error"),
        ("metric", "auc"),
    ],
)
def test_find_object(role, word):
    assert find_object(role, word) is not None


def test_unknown_words_are_not_found():
    assert find_object("layer", "conv9d") is None
    assert find_object("loss", "conv2d") is None


@pytest.mark.parametrize(
    ("role", "word", "answer"),
    [
        ("activation", "relu", True),
        ("activation", "rleu", False),
        ("initializer", "he_normal", True),
        ("loss", "mse", True),
        ("loss", "cross_entropy", False),
        ("metric", "acc", True),
        ("metric", "accuracy", True),
        ("optimizer", "adam", True),
        ("dtype", "int32", True),
        ("dtype", "mixed_float16", True),
        ("dtype", "float99", False),
        ("layer", "dense", False),
    ],
)
def test_strings_that_keras_takes(role, word, answer):
    assert accepts_string(role, word) is answer


def test_a_string_is_accepted_once_it_is_registered():
    assert not accepts_string("initializer", "tests>Later")

    @keras.saving.register_keras_serializable(package="tests")
    class Later(keras.initializers.Zeros):
        pass

    assert accepts_string("initializer", "tests>Later")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("kernel_initializer", "initializer"),
        ("embeddings_regularizer", "regularizer"),
        ("depthwise_constraint", "constraint"),
        ("recurrent_activation", "activation"),
        ("cell", "layer"),
        ("layer", "layer"),
        ("learning_rate", "schedule"),
        ("dtype", "dtype"),
        ("target_shape", "shape"),
        ("metrics", "metric"),
        ("loss", "loss"),
        ("units", "any"),
        ("activity_regularizer", "regularizer"),
    ],
)
def test_roles(name, role):
    assert role_of(name) == role


def test_parameters_in_the_order_of_the_signature_then_those_of_the_bases():
    names = [each.name for each in parameters(keras.layers.Dense)]
    assert names[:3] == ["units", "activation", "use_bias"]
    assert {"name", "dtype", "trainable"} <= set(names)
    units, activation, use_bias, *_ = parameters(keras.layers.Dense)
    assert (units.required, units.is_flag) == (True, False)
    assert (activation.required, activation.role) == (False, "activation")
    assert use_bias.is_flag


def test_the_object_itself_is_no_parameter_whatever_its_name():
    class Own(keras.layers.Layer):
        def __init__(this, units):  # noqa: N805 - as some people write
            super().__init__()
            this.units = units

    assert [each.name for each in parameters(Own)] == ["units"]


def test_a_class_of_the_notebook():
    class Own(keras.layers.Layer):
        def __init__(self, factor, *, bias=True, **kwargs):
            super().__init__(**kwargs)
            self.factor, self.bias = factor, bias

    factor, bias, *rest = parameters(Own)
    assert (factor.name, factor.positional) == ("factor", True)
    assert (bias.name, bias.positional, bias.is_flag) == ("bias", False, True)
    assert "name" in {each.name for each in rest}
    assert catalogue.takes_any_keyword(Own)
