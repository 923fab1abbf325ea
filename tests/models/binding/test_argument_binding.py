"""Every public layer, and every argument of each, is reached from text; so is every object."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest

from kmagic.api import build
from kmagic.language import parse
from kmagic.language.expand import expand
from kmagic.models import catalogue
from kmagic.models.binding import BuildContext
from kmagic.models.build.assembly import ValueResolver
from kmagic.models.decompile.config_values import comparable
from kmagic.support.errors import DSLError

from ... import layer_samples, object_samples
from ...layer_samples import LINES, NAMES, Sample

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras warns of what some samples mean


def line(word: str, given: dict[str, Sample]) -> str:
    """Something with every argument by its name."""
    return f"{word}({', '.join(f'{name}={text}' for name, (_, text) in given.items())})"


def config(layer: Any) -> Any:
    try:
        return comparable(layer.get_config(), type(layer).__name__)
    except NotImplementedError:  # ELU and Identity, once they hold an object
        return comparable([layer.dtype_policy, layer.activity_regularizer])


def value_of(text: str, role: catalogue.Role, names: dict[str, Any] = NAMES) -> Any:
    """What a text stands for as the value of an argument."""
    text = f"dense x={text}"
    context = BuildContext(text, names=names)
    (arg,) = expand(parse(text), names).nodes[0].args
    found = ValueResolver(pytest.fail).resolve(arg.value, role, context)
    context.raise_problems()
    return found


# --- layers -----------------------------------------------------------------------------------


def test_the_samples_cover_every_layer_and_parameter_of_keras() -> None:
    unknown = [
        f"{cls.__name__}.{param.name}"
        for cls in layer_samples.classes()
        if cls.__name__ not in layer_samples.ELSEWHERE
        for param in catalogue.parameters(cls)
        if layer_samples.samples(cls, param) is None
    ]
    assert not unknown


def test_the_samples_contain_nothing_unknown_to_keras() -> None:
    known = {
        cls.__name__: {param.name for param in catalogue.parameters(cls)}
        for cls in layer_samples.classes()
    }
    everywhere = set().union(*known.values())
    assert not [name for name in layer_samples.PARAMETERS if name not in everywhere]
    assert not [key for key in layer_samples.OWN if key[1] not in known.get(key[0], ())]
    assert not [key for key in layer_samples.REFUSED if key[1] not in known.get(key[0], ())]


@pytest.mark.parametrize(("cls", "param"), list(layer_samples.pairs()))
def test_an_argument_reaches_its_layer(cls: Any, param: catalogue.Parameter) -> None:
    arrived = 0
    for given in layer_samples.cases(cls, param):
        text = line(catalogue.word_for(cls), given)
        try:
            wanted = cls(**{name: value for name, (value, _) in given.items()})
        except (ValueError, TypeError, AttributeError):
            with pytest.raises(DSLError):
                build(text, **NAMES)
            continue
        arrived += 1
        found = build(text, **NAMES).layers[0]
        assert type(found) is cls
        assert config(found) == config(wanted), text
        assert found.autocast == wanted.autocast
    assert bool(arrived) is ((cls.__name__, param.name) not in layer_samples.REFUSED)


# --- objects ----------------------------------------------------------------------------------


def test_the_samples_cover_every_object_and_parameter_of_keras() -> None:
    unknown = [
        f"{cls.__name__}.{param.name}"
        for _, cls in object_samples.classes()
        for param in catalogue.parameters(cls)
        if object_samples.samples(cls, param) is None
    ]
    assert not unknown


@pytest.mark.parametrize(
    ("role", "cls"),
    [pytest.param(*each, id=f"{each[0]}-{each[1].__name__}") for each in object_samples.classes()],
)
def test_arguments_reach_their_object(role: catalogue.Role, cls: Any) -> None:
    names = {**NAMES, **object_samples.NAMES}
    for param in catalogue.parameters(cls):
        arrived = 0
        for given in object_samples.cases(cls, param):
            text = line(catalogue.word_for(cls), given)
            try:
                wanted = cls(**{name: value for name, (value, _) in given.items()})
            except (ValueError, TypeError, AttributeError):
                with pytest.raises(DSLError):
                    value_of(text, role, names)
                continue
            arrived += 1
            found = value_of(text, role, names)
            assert type(found) is type(wanted)  # one_cycle with steps is a CosineDecay
            assert comparable(found) == comparable(wanted), text
        known = (cls.__name__, param.name) not in object_samples.REFUSED
        assert bool(arrived) is known, f"{cls.__name__}.{param.name}"


# --- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "wanted"), LINES, ids=[text for text, _ in LINES])
def test_a_line_creates_the_same_layer_as_python(text: str, wanted: Any) -> None:
    found = build(text, **NAMES).layers[0]
    assert type(found) is type(wanted)
    assert config(found) == config(wanted), (found.get_config(), wanted.get_config())


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("28x28x1", {"shape": (28, 28, 1)}),
        ("4", {"shape": (4,)}),
        ("()", {"shape": ()}),
        ("?", {"shape": (None,)}),
        ("?x?x3", {"shape": (None, None, 3)}),
        ("(0, 1)", {"shape": (0, 1)}),
        ("80 int32", {"shape": (80,), "dtype": "int32"}),
        ("4 string", {"shape": (4,), "dtype": "string"}),
        ("4 dtype=bfloat16 name=x", {"shape": (4,), "dtype": "bfloat16", "name": "x"}),
        ("4 batch_size=8", {"shape": (4,), "batch_size": 8}),
        ("batch_shape=?x3x4", {"batch_shape": (None, 3, 4)}),
        ("4 sparse=true", {"shape": (4,), "sparse": True}),
        ("? int32 ragged=true", {"shape": (None,), "dtype": "int32", "ragged": True}),
        ("4 optional", {"shape": (4,), "optional": True}),
    ],
)
def test_an_input_takes_whatever_keras_takes(text: str, given: dict[str, Any]) -> None:
    found = build(f"model functional\ninput {text}\nidentity").layers[0]
    wanted = keras.Input(**given)._keras_history.operation
    assert config(found) == config(wanted)


@pytest.mark.parametrize(
    ("cls", "text", "wanted"),
    [
        (
            "TFSMLayer",
            'tfsm_layer "model" call_endpoint=serve',
            {"filepath": "model", "call_endpoint": "serve"},
        ),
        (
            "JaxLayer",
            "jax_layer {double} init_fn={init_fn} params={matrix} seed=3",
            {
                "call_fn": layer_samples.double,
                "init_fn": layer_samples.init_fn,
                "params": NAMES["matrix"],
                "seed": 3,
            },
        ),
        (
            "FlaxLayer",
            'flax_layer {matrix} method="forward" variables={a: 1}',
            {"module": NAMES["matrix"], "method": "forward", "variables": {"a": 1}},
        ),
        (
            "TorchModuleWrapper",
            "torch_module_wrapper {matrix} output_shape=4x2",
            {"module": NAMES["matrix"], "output_shape": (4, 2)},
        ),
    ],
)
def test_layers_of_other_libraries_take_values_from_the_notebook(
    cls: str, text: str, wanted: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those libraries are not installed: what arrives at the class is held, not what it does."""
    got: dict[str, Any] = {}

    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        assert not args
        got.update(kwargs)
        raise ValueError("enough")

    found = getattr(keras.layers, cls)
    remember.__signature__ = __import__("inspect").signature(found.__init__)  # type: ignore[attr-defined]
    monkeypatch.setattr(found, "__init__", remember)
    with pytest.raises(DSLError, match="enough"):
        build(text, **NAMES)
    assert got == wanted


def test_layers_adapt_to_data_from_the_notebook() -> None:
    texts = ["the cat", "the dog", "a cat"]
    numbers = np.array([[1.0, 2.0], [3.0, 6.0]], "float32")
    found = build("text_vectorization output_sequence_length=4 adapt={texts}", texts=texts)
    assert set(found.layers[0].get_vocabulary()) == {"", "[UNK]", "the", "cat", "dog", "a"}
    found = build("string_lookup adapt={texts}", texts=np.array(["x", "y", "x"]))
    assert found.layers[0].get_vocabulary() == ["[UNK]", "x", "y"]
    found = build("input 2 / normalization adapt={data} / dense 1", data=numbers)
    assert np.allclose(found.layers[0](numbers), [[-1, -1], [1, 1]])
    found = build("discretization num_bins=2 adapt={data}", data=numbers)
    assert len(found.layers[0].bin_boundaries) == 1
    found = build("integer_lookup adapt={data}", data=np.array([5, 5, 9]))
    assert list(found.layers[0].get_vocabulary()) == [-1, 5, 9]


def test_a_name_without_its_sign_before_a_value_in_braces():
    with pytest.raises(DSLError, match=r"Write its value after `=`: strides=\{step}"):
        build("input 8x8x1\nconv2d 4 3x3 strides {step}", step=2)
    with pytest.raises(DSLError, match=r"Write its value after `=`: strides=\{s}"):
        build("block b(s=1):\n  conv2d 4 3x3 strides{s}\ninput 8x8x1\nb 2")


@pytest.mark.parametrize("value", [True, np.True_])
def test_a_boolean_of_the_notebook_is_not_a_number(value):
    with pytest.raises(DSLError, match="rate must not be true or false"):
        build("input 4 / dropout {value}", value=value)


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("mha 2 4 use_causal_mask=true <- _, _", "`<- _, use_causal_mask=true`"),
        ("mha 2 4 use_causal_mask <- _, _", "`<- _, use_causal_mask=true`"),
        ("dropout 0.5 training=true", "`<- _, training=true`"),
        ("dropout 0.5 training", "`<- _, training=true`"),
        ("lstm 4 mask=_", "`<- _, mask=m`"),
        ("flatten training=true", "flatten takes"),
        ("dense 4 he_norml", "Did you mean kernel_initializer=he_normal?"),
        ("dense 4 relu activation=tanh", "Remove one of the two."),
        ("dense 4 relu tanh", "Write the activation as a layer of its own: `/ tanh`."),
    ],
)
def test_remedies(line: str, remedy: str) -> None:
    with pytest.raises(DSLError, match=re.escape(remedy)):
        build(f"input 10x8\n{line}", n=4)


def test_a_boolean_is_not_a_shape() -> None:
    with pytest.raises(DSLError, match="strides must not be true or false"):
        build("input 8x8x1 / conv2d 4 3x3 true")


def test_the_previous_output_has_no_other_name() -> None:
    with pytest.raises(DSLError, match="is an output") as caught:
        build("input 4 / dense 3\ncompile adam loss=_", _=1)
    assert not caught.value.remedy
