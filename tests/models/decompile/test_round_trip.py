"""A model's text builds an equal model."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers as L  # noqa: N812 - short, since every line uses it

from kmagic.api import build
from kmagic.language import format_spec, parse
from kmagic.models.decompile import to_dsl, to_spec
from kmagic.models.decompile.model_reader import read_model
from kmagic.models.export import to_python

from ...model_zoo import MODELS
from ...same_models import assert_same

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras warns about some of the models

APPLICATIONS = [
    name for name, found in vars(keras.applications).items() if inspect.isfunction(found)
]
FAST_APPLICATIONS = ("EfficientNetB0", "InceptionV3", "MobileNetV2", "ResNet50", "Xception")
"""One of each kind of repetition: these are tried every time."""


def round_trip(model: Any, *, exact: bool = False, outputs: bool = True) -> str:
    text = to_dsl(model, exact=exact)
    assert_same(model, build(text, **read_model(model).needed), outputs=outputs)
    return text


@pytest.mark.parametrize("name", MODELS)
def test_an_unusual_model(name: str) -> None:
    model = MODELS[name]()
    text = round_trip(model)
    spec = to_spec(model)
    assert parse(text) == spec
    assert parse(format_spec(spec, width=80)) == spec


@pytest.mark.parametrize("name", MODELS)
def test_an_unusual_model_with_exact(name: str) -> None:
    model = MODELS[name]()
    text = round_trip(model, exact=True)
    assert "block " not in text
    assert " * " not in text


def test_the_compile_line_restores_the_compilation() -> None:
    model = MODELS["compiled"]()
    found = build(to_dsl(model))
    one, other = model.get_compile_config(), found.get_compile_config()
    for config in (one, other):
        del config["optimizer"]["config"]["name"]
    assert one == other


@pytest.mark.parametrize("name", FAST_APPLICATIONS)
def test_an_application(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None)
    text = round_trip(model, outputs=name == "MobileNetV2")
    assert len(text.splitlines()) < len(model.layers) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in APPLICATIONS if each not in FAST_APPLICATIONS])
def test_every_other_application(name: str) -> None:
    keras.backend.clear_session()
    round_trip(getattr(keras.applications, name)(weights=None), outputs=False)


@pytest.mark.parametrize(
    "name",
    [
        each if each in FAST_APPLICATIONS else pytest.param(each, marks=pytest.mark.slow)
        for each in APPLICATIONS
    ],
)
def test_an_application_as_a_program(name: str) -> None:
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    names: dict[str, Any] = dict(read_model(model).needed)
    exec(str(to_python(model)), names)  # noqa: S102 - it is what the program is for
    assert_same(model, names["model"], outputs=False)


def test_a_layer_that_merges_branches_and_is_applied_again() -> None:
    x = keras.Input((4,))
    h, add = L.Dense(4)(x), L.Add()
    y = L.Dense(4)(add([L.Dense(4, "relu")(h), L.Dense(4, "tanh")(h)]))
    round_trip(keras.Model(x, L.Dense(1)(add([L.Dense(4)(y), y]))))


def test_calls_keep_their_order_around_a_call_of_another_model() -> None:
    x = keras.Input((4,))
    dense = L.Dense(4)
    first, _, last = dense(x), dense(x), dense(x)  # the second belongs to no model
    round_trip(keras.Model(x, [last, first, L.Dense(4)(first)]))


def test_two_functions_of_the_same_name() -> None:
    def times(factor: float) -> Any:
        def scaled(x: Any) -> Any:
            return x * factor

        return scaled

    layers = [keras.Input((4,)), L.Dense(2, times(2)), L.Dense(2, times(3))]
    text = round_trip(keras.Sequential(layers))
    assert text.startswith("# needs from the notebook: scaled, scaled_2")


def test_a_default_that_no_text_can_express_is_no_parameter_of_a_block() -> None:
    @keras.saving.register_keras_serializable("tests")
    class Modes(L.Layer):
        def __init__(self, units: int = 3, modes: Any = (frozenset("a"),), **options: Any) -> None:
            super().__init__(**options)
            self.units, self.modes = units, modes

        def get_config(self) -> Any:
            return super().get_config() | {"units": self.units, "modes": self.modes}

        def call(self, x: Any) -> Any:
            return x

    stack = [keras.Input((4,))]
    for modes in [(1, 2), None, (1, 2), None]:
        stack += [L.Dense(4, "relu"), Modes(5, modes) if modes else Modes(5), L.Dropout(0.1)]
    assert to_dsl(keras.Sequential(stack))


# --- random graphs ------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A functional model of dense layers, merges and operators, with repetitions and reuse."""
    sizes = (3, 4)
    inputs = [keras.Input((draw(st.sampled_from(sizes)),)) for _ in range(draw(st.integers(1, 3)))]
    tensors, shared = list(inputs), []
    for _ in range(draw(st.integers(1, 12))):
        x = draw(st.sampled_from(tensors))
        like = [each for each in tensors if each.shape == x.shape]
        other = draw(st.sampled_from(like))
        kind = draw(st.integers(0, 9))
        units = draw(st.sampled_from(sizes))
        if kind < 3:
            layer = L.Dense(units, draw(st.sampled_from([None, "relu", "tanh"])))
            tensors.append(layer(x))
            shared.append((layer, x.shape))
        elif kind == 3:
            for _ in range(draw(st.integers(2, 4))):
                x = L.Dropout(0.1)(L.Dense(x.shape[-1], "relu")(x))
            tensors.append(x)
        elif kind == 4:
            tensors.append(L.Add()([x, other]))
        elif kind == 5:
            tensors.append(L.Dense(units)(L.Concatenate()([x, draw(st.sampled_from(tensors))])))
        elif kind == 6:
            tensors.append(L.Add()([x, L.Dense(x.shape[-1])(L.Dense(units, "relu")(x))]))
        elif kind == 7:
            tensors.append(
                x * other if draw(st.booleans()) else x + draw(st.sampled_from([1.0, 2]))
            )
        elif kind == 8:
            fitting = [layer for layer, shape in shared if shape == x.shape]
            if fitting:
                tensors.append(draw(st.sampled_from(fitting))(x))
        else:
            name = draw(st.sampled_from(["", f"named_{len(tensors)}", f"odd-{len(tensors)}"]))
            tensors.append(L.LayerNormalization(name=name or None)(x))
    outputs = draw(st.lists(st.sampled_from(tensors[1:] or tensors), min_size=1, max_size=3))
    return keras.Model(inputs, outputs[0] if len(outputs) == 1 else outputs)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_any_graph(model: Any) -> None:
    round_trip(model)
    round_trip(model, exact=True)


LAYERS = st.sampled_from(
    [
        lambda: L.Dense(4),
        lambda: L.Dense(4, "relu"),
        lambda: L.Dense(8, use_bias=False),
        L.BatchNormalization,
        lambda: L.BatchNormalization(momentum=0.9),
        L.ReLU,
        lambda: L.Dropout(0.2),
        lambda: L.Dropout(0.5),
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(LAYERS, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_any_stack_with_repetitions(patterns: Any, data: st.DataObject) -> None:
    layers = [keras.Input((4,))]
    for _ in range(data.draw(st.integers(1, 6))):
        pattern = data.draw(st.sampled_from(patterns))
        layers += [make() for make in pattern]
    round_trip(keras.Sequential(layers), outputs=False)
