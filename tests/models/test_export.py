"""A model as text, and a model as a program."""

import functools
import gc
import weakref
from types import SimpleNamespace
from typing import Any

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
    assert "def pair(stack, f):" in code
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


TWO_INPUTS = "x = input 4 / y = input 4\n"


def own_objects() -> dict[str, Any]:
    """Classes and functions as a notebook defines them."""
    layers = keras.layers

    class Gate(layers.Layer):
        def call(self, a, b):
            return a * b

    class Scale(layers.Layer):
        def __init__(self, factor=1.0, **keywords):
            super().__init__(**keywords)
            self.factor = factor

        def call(self, x, training=False):
            return x * (self.factor if training else 1)

    @keras.saving.register_keras_serializable("tests")
    class Registered(layers.Layer):
        def call(self, x):
            return x + 1.0

    factor = 5.0

    def double(x):
        return x * 2.0

    def total(a, b):
        return a + b

    return {
        "Gate": Gate,
        "Scale": Scale,
        "Registered": Registered,
        "double": double,
        "total": total,
        "closure": lambda x: x * factor,
        "partly": functools.partial(keras.ops.multiply, x2=3.0),
        "own": layers.Dense(4),
        "cfg": SimpleNamespace(act=double, units=4),
        "data": np.ones((3, 4), "float32"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "a = input 4 / b = input 4 / Gate <- a, b / dense 2",
        "a = input 4 / b = input 4 / Gate <- a, b=b",
        "a = input 4 / b = input 4 / total <- a, b",
        "model m:\n  input 4\n  double\n  dense 3\ninput 4\nm\ndense 2",
        f"model m:\n  a = input 4 / b = input 4\n  Gate <- a, b\n{TWO_INPUTS}m <- x, y",
        f"model m:\n  a = input 4 / b = input 4\n  add <- a, b\n{TWO_INPUTS}m <- x, y",
        "model m:\n  input 4\n  model n:\n    input 4\n    Scale 2\n  n\n  double\ninput 4\nm",
        "input 4 / double / closure / partly / dense 2",
        "input 4 / {double} / dense {cfg.units} / {cfg.act}",
        "input 4 / s = own / own / dense 2",
        "input 4 / Scale 3 / Scale factor=2 <- _, training=true / Registered",
        "input 4\nrepeat 2:\n  Registered\n  dense 4",
        "input 4\nresidual:\n  Scale 2\n  closure",
        "block b(f):\n  {f}\n  dense 4\ninput 4\nb {double}\nb {closure}",
        "input 4 / dense 3 activation={double} / activation {closure}",
        "input {data.shape[1]} / normalization adapt={data} / double",
        "input 4 / dense 1\ncompile sgd loss={total}",
    ],
)
def test_program_of_a_model_with_own_objects_creates_an_equal_model(text: str) -> None:
    names = own_objects()
    model = kmagic.build(text, **names)
    source = kmagic.to_python(model)
    assert source == kmagic.to_python(text, names=names)
    again = run(source, **names)
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    again.set_weights(model.get_weights())
    inputs = np.random.default_rng(0).normal(size=(2, 4))
    inputs = (
        inputs if isinstance(model, keras.Sequential) or len(model.inputs) == 1 else [inputs] * 2
    )
    np.testing.assert_allclose(model(inputs), again(inputs), rtol=1e-5)


def test_program_uses_the_objects_of_the_time_when_the_model_was_built() -> None:
    names = own_objects()
    model = kmagic.build("input 4 / double / dense 2", **names)
    assert kmagic.to_python(model, names={"double": 3}) == kmagic.to_python(model)


def test_a_model_does_not_keep_large_data_of_its_text() -> None:
    data = np.ones((3, 4), "float32")
    reference = weakref.ref(data)
    model = kmagic.build("input {data.shape[1]} / dense 2", data=data)
    del data
    gc.collect()
    assert reference() is None
    assert "data.shape[1]" in kmagic.to_python(model)


@pytest.mark.parametrize(
    "text",
    [
        'input 4\no = Parts\nadd <- o[0], o["b"]\ndense 3',
        "input 4\np, q = Parts\nsubtract <- p, q\ndense 3",
        "model m:\n  input 4\n  p, q = Parts\n  add <- p, q\ninput 4\nm\ndense 3",
        "block b:\n  p, q = Parts\n  add <- p, q\ninput 4\nb\nb\ndense 3",
    ],
)
def test_program_reads_a_dictionary_of_outputs_by_its_keys(text: str) -> None:
    class Parts(keras.layers.Layer):
        def call(self, x):
            return {"b": x, "a": 2 * x}

    model = kmagic.build(text, Parts=Parts)
    again = run(kmagic.to_python(model), Parts=Parts)
    again.set_weights(model.get_weights())
    inputs = np.ones((2, 4))
    np.testing.assert_allclose(model(inputs), again(inputs), rtol=1e-5)


def test_program_converts_integers_of_numpy() -> None:
    names = {"n": np.int64(4), "sizes": np.array([3, 4]), "x": np.uint8(3)}
    text = "block b(k):\n  dense {k}\ninput {n}\nfor f in {sizes}:\n  dense {f} * {n}\n"
    text += "b {n}\nb 3\nreshape {n - 1}x1\nconv1d {n} {n - 1}\ndense {x * 100 + 1}\n"
    text += "dense {-sizes[0] + 7}"
    model = kmagic.build(text, **names)
    program = kmagic.to_python(model)
    assert [w.shape for w in run(program, **names).weights] == [w.shape for w in model.weights]
    assert program.count("def ") == 1


@pytest.mark.parametrize("end", ["dense 2", "add <- _, _"])
def test_a_layer_that_was_frozen_after_building_is_frozen_in_programs_and_files(tmp_path, end):
    net = kmagic.build(f"input 4 / dense 2 / dense 2\n{end}")
    net.layers[-1 if end == "dense 2" else 2].trainable = False
    flags = [layer.trainable for layer in net.layers]
    assert flags.count(False) == 1
    program = run(kmagic.to_python(net))
    kmagic.save(net, tmp_path / "net.keras")
    kmagic.save(net, tmp_path / "net.kmagic")
    loaded = [kmagic.load(tmp_path / name) for name in ("net.keras", "net.kmagic")]
    for model in (program, *loaded):
        assert [layer.trainable for layer in model.layers] == flags
    assert "trainable" in kmagic.to_python(loaded[0])
