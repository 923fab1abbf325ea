"""A model as text, and a model as a program."""

import keras
import numpy as np
import pytest

import kmagic
from kmagic.models.export import Code

NET = """block pair(f):
  conv2d {f} 3x3 same relu * 2
input 8x8x3
pair 4
pair {width}
gap / dense 2 softmax
compile adam loss=sparse_categorical_crossentropy"""


@pytest.fixture
def net():
    return kmagic.build(NET, width=6)


def same(one, other, shape=(2, 8, 8, 3)):
    other.set_weights(one.get_weights())
    x = np.random.default_rng(0).random(shape, dtype="float32")
    np.testing.assert_array_equal(one.predict(x, verbose=0), other.predict(x, verbose=0))


def run(code, **names):
    exec(code, names)  # noqa: S102 - that a program runs is what is tested
    return names["model"]


def test_a_model_from_text_keeps_its_blocks_and_names(net):
    code = kmagic.to_python(net, names={"width": 6})
    assert "def pair(f):" in code
    assert "width" in code.splitlines()[0]
    same(net, run(code, width=6))


def test_the_latest_compilation_is_written(net):
    net.compile("sgd", loss="sparse_categorical_crossentropy")
    assert 'optimizer="sgd"' in kmagic.to_python(net, names={"width": 6})
    assert "adam" not in kmagic.to_python(net, names={"width": 6})


def test_a_model_of_keras_becomes_text_and_program():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, "relu"))
    same(model, kmagic.build(kmagic.to_dsl(model)))
    same(model, run(kmagic.to_python(model)))


def test_the_error_names_what_cannot_be_written():
    class Own(keras.Model):
        def call(self, x):
            return x

    for write in (kmagic.to_dsl, kmagic.to_python):
        with pytest.raises(kmagic.KmagicError, match="Own"):
            write(Own(name="own"))


def test_code_is_a_string_with_a_card():
    code = Code("a < b\n", "net", "python")
    bundle = code._repr_mimebundle_()
    assert code == "a < b\n"
    assert bundle["text/plain"] == code
    assert "a &lt; b" in bundle["text/html"]


def test_the_output_of_a_repeated_block_can_be_used_later():
    """Every decoder block takes what the repeated encoder gave."""
    source = x = keras.Input((6, 8))
    for _ in range(3):
        y = keras.layers.Dense(8, "relu")(x)
        x = keras.layers.LayerNormalization()(keras.layers.Add()([x, y]))
    memory = x
    target = z = keras.Input((4, 8))
    for _ in range(3):
        y = keras.layers.MultiHeadAttention(2, 4)(z, memory)
        z = keras.layers.LayerNormalization()(keras.layers.Add()([z, y]))
    model = keras.Model([source, target], keras.layers.Dense(2)(z))
    same = kmagic.build(kmagic.to_dsl(model))
    same.set_weights(model.get_weights())
    rng = np.random.default_rng(0)
    data = [rng.random((2, 6, 8), dtype="float32"), rng.random((2, 4, 8), dtype="float32")]
    np.testing.assert_array_equal(model.predict(data, verbose=0), same.predict(data, verbose=0))


def test_long_code_lines_break_between_words():
    # Jupyter breaks what stands in <pre> anywhere, unless the element itself says otherwise
    markup = Code("dense 1", "net", "dsl")._repr_mimebundle_()["text/html"]
    assert "word-break:normal" in markup
