"""The program of a text runs, creates an equal model, and is formatted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmagic.models.build import build_model
from kmagic.models.codegen import keras_program
from kmagic.support.errors import DSLError

from ...ruff_format import ruff_formatted

FOLDER = Path(__file__).parents[1]
MODELS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.kmagic"))}


def run(source: str, names: Mapping[str, Any]) -> Any:
    scope = dict(names)
    exec(source, scope)  # noqa: S102 - it is what the program is for
    return scope["model"]


def with_new_names(make: Callable[..., Any], *args: Any) -> Any:
    """Create a model where Keras has not numbered any names yet."""
    import keras

    keras.backend.clear_session(free_memory=False)
    return make(*args)


def normalized(config: Any) -> Any:
    """A config whose names are numbered in order, because Keras invents some of them."""
    known: set[str] = set()

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("name"), str):
                known.add(part["name"])
            for item in part.values():
                collect(item)
        elif isinstance(part, list | tuple):
            for item in part:
                collect(item)

    numbers: dict[str, str] = {}

    def number(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: number(item) for key, item in part.items()}
        if isinstance(part, list | tuple):
            return [number(item) for item in part]
        if isinstance(part, str) and part in known:
            return numbers.setdefault(part, f"#{len(numbers)}")
        return part

    collect(config)
    return number(config)


def sample_inputs(model: Any) -> Any:
    import keras

    rng = np.random.default_rng(0)

    def sample(tensor: Any) -> Any:
        shape = [2, *(3 if dim is None else dim for dim in tensor.shape[1:])]
        if tensor.dtype == "string":
            return keras.ops.convert_to_tensor(np.full(shape, "a").tolist())
        if "int" in tensor.dtype:
            return keras.ops.convert_to_tensor(rng.integers(0, 3, shape))
        return keras.ops.convert_to_tensor(rng.normal(size=shape).astype("float32"))

    if isinstance(model, keras.Sequential):
        return sample(model.inputs[0])
    return keras.tree.map_structure(sample, model.input)


def assert_equal(one: Any, other: Any) -> None:
    import keras

    assert type(one) is type(other)
    assert normalized(one.get_config()) == normalized(other.get_config())
    assert one.compiled == other.compiled
    if one.compiled:
        assert normalized(one.get_compile_config()) == normalized(other.get_compile_config())
    if not one.built:
        return
    assert [w.trainable for w in one.weights] == [w.trainable for w in other.weights]
    other.set_weights(one.get_weights())
    data = sample_inputs(one)
    for left, right in zip(
        keras.tree.flatten(one(data, training=False)),
        keras.tree.flatten(other(data, training=False)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=1e-5)


def check(text: str, names: Mapping[str, Any] | None = None) -> str:
    source = keras_program(text, names)
    assert ruff_formatted(source) == source
    built = with_new_names(build_model, text, names or {})
    assert_equal(built, with_new_names(run, source, names or {}))
    return source


@cache
def notebook() -> dict[str, Any]:
    """Notebook variables that the texts below use."""
    import keras

    class Scale(keras.layers.Layer):  # type: ignore[misc,name-defined]  # Keras ships no types
        def __init__(self, k: float, **keywords: Any) -> None:
            super().__init__(**keywords)
            self.k = k

        def call(self, x: Any) -> Any:
            return x * self.k

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "k": self.k}

    class Config:
        units = 7
        act = "relu"

    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    return {
        "Scale": keras.saving.register_keras_serializable("kmagic_tests")(Scale),
        "act": "relu",
        "backbone": keras.Sequential(layers, name="backbone"),
        "cfg": Config,
        "data": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "dim": 64,
        "double": lambda x, k=2: x * k,
        "heads": 4,
        "metrics": ["accuracy"],
        "n": 3,
        "shape": (8, 8, 3),
        "shared": keras.layers.Dense(5, name="shared"),
        "sizes": [3, 4],
        "texts": ["a b", "b c"],
        "units": 6,
    }


# --- whole programs -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_program_of_a_well_known_model(name: str) -> None:
    check(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_benchmark_program_creates_the_same_model(name: str, root: Path) -> None:
    source = (root / "benchmarks" / "keras_models" / f"{name}.py").read_text(encoding="utf-8")
    assert ruff_formatted(source) == source
    assert_equal(with_new_names(build_model, MODELS[name], {}), with_new_names(run, source, {}))


def test_stack_is_an_idiomatic_sequential() -> None:
    assert (
        check(MODELS["mnist_conv"])
        == """\
import keras
from keras import layers

model = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(32, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
"""
    )


def test_loops_and_blocks_of_a_stack_add_layers() -> None:
    text = """\
block wide(u):
  dense {u} relu
  dropout 0.1
model part:
  input 4
  dense 4 * 2
  freeze
input 4
part
dense 8 relu
wide 16
wide 32 * 2
freeze
dense 2
"""
    assert (
        check(text)
        == """\
import keras
from keras import layers


def wide(stack, u):
    stack.add(layers.Dense(u, activation="relu"))
    stack.add(layers.Dropout(0.1))


part = keras.Sequential([keras.Input(shape=(4,))], name="part")
for _ in range(2):
    part.add(layers.Dense(4))
for layer in part.layers:
    layer.trainable = False

model = keras.Sequential(
    [
        keras.Input(shape=(4,)),
        part,
        layers.Dense(8, activation="relu"),
    ]
)
wide(model, 16)
for _ in range(2):
    wide(model, 32)
for layer in model.layers:
    layer.trainable = False
model.add(layers.Dense(2))
"""
    )


@pytest.mark.parametrize(
    "text",
    [
        "block net(u):\n  dense {u}\ninput 4\nnet 3\nnet 4",
        "model net:\n  input 4\n  dense 4\ninput 4\ndense 4 * 2\nnet\ndense 2",
    ],
)
def test_a_stack_may_have_the_name_of_its_block_or_nested_model(text: str) -> None:
    scope: dict[str, Any] = {}
    exec(keras_program(text, name="net"), scope)  # noqa: S102 - as above
    built = build_model(text, {})
    assert [w.shape for w in scope["net"].weights] == [w.shape for w in built.weights]


def test_blocks_loops_and_residuals_keep_their_structure() -> None:
    text = """\
block res(filters, strides=1):
  residual:
    conv2d {filters} 3x3 same relu
    conv2d {filters} 3x3 same kernel_regularizer=l2(1e-4)
  activation relu
input 32x32x3
stem = conv2d 16 3x3 same
for f in 16 16:
  res {f} * {depth}
gap / dense {classes} softmax
"""
    expected = """\
# From the notebook: classes, depth
import keras
from keras import layers


def res(x, filters, strides=1):
    shortcut = x
    x = layers.Conv2D(filters, (3, 3), padding="same", activation="relu")(x)
    x = layers.Conv2D(
        filters, (3, 3), padding="same", kernel_regularizer=keras.regularizers.L2(1e-4)
    )(x)
    x = layers.Add()([shortcut, x])
    return layers.Activation("relu")(x)


inputs = keras.Input(shape=(32, 32, 3))
stem = layers.Conv2D(16, (3, 3), padding="same", name="stem")(inputs)
x = stem
for f in [16, 16]:
    for _ in range(depth):
        x = res(x, f)
x = layers.GlobalAveragePooling2D()(x)
outputs = layers.Dense(classes, activation="softmax")(x)
model = keras.Model(inputs, outputs)
"""
    assert keras_program(text) == expected
    assert check(text, {"classes": 5, "depth": 2}) == expected


def test_constants_in_a_block_are_written_layer_by_layer() -> None:
    text = "block p(c):\n  dense 2 <- {c}\n  add <- _in, _\ninput 2x2\np {data}\np {data}"
    assert check(text, notebook()).count("(repeat_for_batch(data, inputs))") == 2


def test_transformer_encoder() -> None:
    source = check(
        """\
block encoder(heads, dim, ff, drop=0.1):
  multi_head_attention {heads} {dim // heads} <- _, _
  dropout {drop}
  add <- _in, _
  h = layer_normalization epsilon=1e-6
  dense {ff} gelu / dense {dim} / dropout {drop}
  add <- h, _
  layer_normalization epsilon=1e-6
input 32 int32
embedding 5000 64
encoder 4 64 128 * 2
global_average_pooling1d
dense 2 softmax
"""
    )
    assert "def encoder(inputs, heads, dim, ff, drop=0.1):\n" in source
    assert "num_heads=heads, key_dim=dim // heads)(inputs, inputs)\n" in source
    assert "for _ in range(2):\n    x = encoder(x, 4, 64, 128)\n" in source


# --- single features ----------------------------------------------------------------------------

TEXTS = {
    name: text.strip()
    for name, _, text in (
        part.partition("\n")
        for part in (FOLDER / "codegen" / "features.txt")
        .read_text(encoding="utf-8")
        .split("\n## ")[1:]
    )
}


@pytest.mark.parametrize("what", TEXTS)
def test_program_creates_an_equal_model(what: str) -> None:
    check(TEXTS[what], notebook())


@pytest.mark.parametrize("what", TEXTS)
def test_program_does_not_depend_on_values(what: str) -> None:
    assert keras_program(TEXTS[what]) == keras_program(TEXTS[what], notebook())


def test_first_line_lists_notebook_variables() -> None:
    source = keras_program("input 4 / dense {cfg.units} / Scale 3 / dense {units // n}")
    assert source.startswith("# From the notebook: Scale, cfg, n, units\n")
    assert not keras_program("input 4 / dense 2").startswith("#")


def test_model_variable_has_the_given_name() -> None:
    source = keras_program("input 4 / dense 2\ncompile adam loss=mse", name="net")
    assert "\nnet = keras.Sequential([keras.Input(shape=(4,)), layers.Dense(2)])\n" in source
    assert source.endswith('\nnet.compile(optimizer="adam", loss="mse")\n')


def test_unknown_value_is_used_by_its_name() -> None:
    source = keras_program("input {width} / conv1d 4 3 {activation} {padding}")
    assert "keras.Input(shape=(width,))" in source
    assert "layers.Conv1D(4, 3, activation=activation, padding=padding)" in source
    assert "shape=image_shape)" in keras_program("input {image_shape} / dense 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input 4 / dens 3", "is not a layer"),
        ("input 4 / dense 3 rleu", "is neither an activation nor a parameter of dense"),
        ("input 4 / dense 3 <- h", "no output above is named h"),
        ("", "the text has no layers"),
        ("input 3\nmodel m: block g: dense 2\nm", "the model has no input"),
        ("input 4 / dense 2\ncompile adm", "is not an optimizer"),
        ("a = input 4\nrepeat {times}:\n  b = input 4\nadd <- a, b", "needs a value"),
    ],
)
def test_an_error_marks_its_line(text: str, message: str) -> None:
    with pytest.raises(DSLError, match=message):
        keras_program(text)


# --- generated texts ------------------------------------------------------------------------------

STEPS = (
    "dense 4",
    "dense 4 relu",
    "dense 4 !use_bias kernel_regularizer=l2(1e-4)",
    "dropout 0.1",
    "batchnorm",
    "activation tanh",
    "layer_normalization epsilon=1e-6",
    "h = dense 4 / add <- h, _",
    "repeated {units} * 2",
    "wide {units} relu",
    "dense 4 * 2",
)
BLOCKS = """\
block repeated(f):
  dense {f} gelu / dense 4
block wide(f, a=none):
  residual:
    dense {f * 2} {a}
    dense 4
"""


def _joined(parts: list[list[str]]) -> list[str]:
    return [line for part in parts for line in part]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _bodies(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    bodies = st.lists(inner, min_size=1, max_size=3).map(_joined)
    branches = st.lists(bodies, min_size=2, max_size=3)
    return st.one_of(
        bodies.map(lambda body: ["repeat 2:", *_indented(body)]),
        bodies.map(lambda body: ["for u in 3 4:", "  dense {u}", "  dense 4", *_indented(body)]),
        bodies.map(lambda body: ["residual:", *_indented(body)]),
        branches.map(
            lambda parts: [
                "merge average:",
                *_indented([line for body in parts for line in ["branch:", *_indented(body)]]),
            ]
        ),
    )


def _text(parts: list[list[str]]) -> str:
    lines = _joined(parts)
    numbers = iter(range(len(lines)))
    named = [re.sub(r"\bh\b", f"h{next(numbers)}", line) for line in lines]
    return BLOCKS + "\n".join(["input 4", *named])


texts = st.lists(
    st.recursive(st.sampled_from(STEPS).map(lambda step: [step]), _bodies, max_leaves=5),
    min_size=1,
    max_size=5,
).map(_text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts)
def test_program_of_generated_text(text: str) -> None:
    check(text, {"units": 5})
