"""Global settings that shaped a model are in its program, its text and on its card."""

import keras
import pytest

import kmagic
from kmagic.display.model.model_card import model_bundle
from kmagic.models.build import origin_of
from kmagic.models.global_settings import changed_settings
from kmagic.support.errors import KmagicError
from kmagic.support.process_patches import default_settings

IMAGES = "conv2d 2 3x3 / maxpool 2x2 / flatten / dense 1\ncompile adam loss=mse"
TABLE = "input 4 / dense {n} relu / batchnorm\nresidual:\n  dense {n}\ndense 1 dtype=float32"


@pytest.fixture
def settings():
    """A function that makes settings, which are undone afterwards."""

    def change(*, floatx="float32", policy=None, data_format="channels_last"):
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy or floatx)
        keras.config.set_image_data_format(data_format)

    with default_settings():
        yield change


CASES = [
    ({"policy": "mixed_float16"}, TABLE, 'set_dtype_policy("mixed_float16")'),
    ({"policy": "mixed_bfloat16"}, f"input 8x8x3 / {IMAGES}", 'set_dtype_policy("mixed_bfloat16")'),
    ({"floatx": "float64"}, TABLE, 'set_floatx("float64")'),
    (
        {"data_format": "channels_first"},
        f"input 3x8x8 / {IMAGES}",
        'set_image_data_format("channels_first")',
    ),
]


def shaped(model):
    """What the settings may change."""
    layers = [
        (type(layer), layer.dtype_policy.name, getattr(layer, "data_format", None))
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)  # its policy computes nothing
    ]
    return layers, [tensor.dtype for tensor in model.inputs], type(getattr(model, "optimizer", 0))


@pytest.mark.parametrize(("how", "text", "code"), CASES)
def test_the_model_is_the_same_in_a_process_without_the_settings(
    settings, tmp_path, how, text, code
):
    settings(**how)
    model = kmagic.build(f"{text}\ncompile adam loss=mse" if "compile" not in text else text, n=3)
    program, written = kmagic.to_python(model), kmagic.to_dsl(model)
    assert code in program
    assert program == kmagic.to_python(model, name="model", names={"n": 3})
    path = kmagic.save(model, tmp_path / "net.kmagic").path
    shown = model_bundle(model, "net", origin_of(model))["text/plain"]
    assert "Built with the global setting" in shown
    settings()
    assert shaped(kmagic.build(written)) == shaped(model)
    assert shaped(kmagic.load(path)) == shaped(model)
    names = {"n": 3}
    exec(program, names)  # noqa: S102 - that is what programs are for
    assert shaped(names["model"]) == shaped(model)
    assert "Built with" not in model_bundle(model, "net", None)["text/plain"]


def test_a_model_of_keras_is_written_without_the_settings(settings):
    settings(policy="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    program, text = kmagic.to_python(model), kmagic.to_dsl(model)
    settings()
    names = {}
    exec(program, names)  # noqa: S102 - as above
    assert shaped(names["model"]) == shaped(kmagic.build(text)) == shaped(model)


def test_a_policy_without_a_name_is_in_no_program(settings):
    policies = keras.dtype_policies.DTypePolicyMap()
    policies["net"] = keras.dtype_policies.DTypePolicy("float16")
    settings(policy=policies)
    model = kmagic.build("model net\ninput 4 / dense 2")
    settings()
    with pytest.raises(KmagicError, match="has no name that a program could set"):
        kmagic.to_python(model)


def test_a_text_is_written_for_the_present_settings(settings):
    assert "keras.config" not in kmagic.to_python("input 4 / dense 2")
    settings(policy="mixed_float16")
    assert 'set_dtype_policy("mixed_float16")' in kmagic.to_python("input 4 / dense 2")
    assert changed_settings() == {"dtype_policy": "mixed_float16"}
    with default_settings():
        assert changed_settings() == {}
    assert changed_settings() == {"dtype_policy": "mixed_float16"}
