"""What a text creates and calls: Keras's objects, suitable subclasses, functions of tensors."""

import functools
import os
import shutil
import subprocess

import keras
import numpy as np
import pytest

import kmagic
from kmagic.models.build import build_model, compile_text
from kmagic.models.trust import can_compute, can_create, unsafe_part


class Ones(keras.initializers.Initializer):
    """An initializer of the user's."""

    def __init__(self, value=1.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return self.value * keras.ops.ones(shape, dtype)


class Threes(Ones):
    """An initializer whose default differs from that of Keras's Ones."""

    def __init__(self, value=3.0):
        super().__init__(value)


class MySgd(keras.optimizers.SGD):
    """An optimizer of the user's."""


class Times(keras.layers.Layer):
    """A layer of the user's."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor


class Plain:
    """A class that is none of Keras's; creating it is a mistake."""

    def __init__(self, *_args, **_options):
        pytest.fail("an object of Plain was created")


def never(*_args, **_options):
    """A function that no text may call with values of its own."""
    pytest.fail("the function was called")


def double(x, factor=2):
    """A function of tensors."""
    return x * factor


NAMES = {
    "Ones": Ones,
    "Twos": Ones,
    "Times": Times,
    "Plain": Plain,
    "Popen": subprocess.Popen,
    "double": double,
    "get_file": keras.utils.get_file,
    "instance": Ones(),
    "load_model": keras.models.load_model,
    "model": keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    "method": Ones.from_config,
    "never": never,
    "os": os,
    "partial": functools.partial(os.system, "exit 1"),
    "rmtree": shutil.rmtree,
    "save": np.save,
    "shout": lambda x: -x,
    "system": os.system,
    "type": type,
}

CREATED = """
dense 1 kernel_initializer=Twos(3)
dense 1 kernel_initializer=Twos
dense 1 kernel_initializer=instance
dense 1 kernel_initializer={Ones}(3)
dense 1 kernel_regularizer=l2(0.1)
dense 1 activation=Times(2)
dense 1 activation=double
Times 3
Times(3)
{Times} 3
double
double factor=3
{double}
shout
ops.relu
ops.nn.relu
time_distributed(Times 2)
time_distributed {model}
dense 1 / compile sgd(1e-3) loss=double
""".strip().splitlines()

REFUSED = """
dense 1 kernel_initializer=rmtree("DIR")
dense 1 kernel_initializer=rmtree(path="DIR")
dense 1 kernel_initializer={rmtree}("DIR")
dense 1 kernel_initializer=Plain
dense 1 kernel_initializer=Plain()
dense 1 kernel_initializer={Plain}
dense 1 kernel_initializer={Plain}()
dense 1 kernel_initializer=Times(2)
dense 1 kernel_initializer=never("x")
dense 1 kernel_initializer=instance(3)
dense 1 kernel_initializer=method(3)
dense 1 kernel_initializer=system
dense 1 bias_regularizer=type("x", (), {})
dense 1 kernel_constraint=Popen("exit 1")
dense 1 activation=Times
dense 1 activation=system
dense 1 activation=Popen("exit 1")
dense 1 dtype=Plain()
Times factor=Plain(3)
Times factor=never(3)
bidirectional(Popen "exit 1")
time_distributed(Plain(3))
Popen "exit 1"
Plain 3
{Plain} 3
type "x"
rmtree "DIR"
rmtree <- "DIR"
rmtree path="DIR"
system <- "exit 1"
{system} <- "exit 1"
{os.system} <- "exit 1"
os.system "exit 1"
partial
get_file origin="http://localhost/"
load_model <- "DIR"
save
never <- "x"
double <- 3
ops.__loader__.get_data <- "DIR"
ops.abs.__globals__
dense 1 / compile Popen("exit 1", shell=true) loss=mse
dense 1 / compile optimizer=Popen loss=mse
dense 1 / compile {Popen}("exit 1") loss=mse
dense 1 / compile sgd(Plain(1)) loss=mse
dense 1 / compile sgd loss=never(2)
dense 1 / compile sgd loss=Plain(2)
dense 1 / compile sgd loss=mse metrics=[Plain(1)]
dense 1 / compile sgd loss=mse metrics=[accuracy, never(1)]
""".strip().splitlines()


@pytest.mark.parametrize("line", CREATED)
def test_objects_of_keras_and_suitable_subclasses_are_created(line):
    assert build_model(f"input 3x2 / {line}", NAMES).built


@pytest.mark.parametrize("line", REFUSED)
def test_nothing_else_is_created_or_called(line, tmp_path):
    folder = tmp_path / "keep"
    folder.mkdir()
    with pytest.raises(kmagic.KmagicError) as caught:
        build_model(f"input 3x2 / {line.replace('DIR', str(folder))}", NAMES)
    assert caught.value.problems
    assert folder.is_dir()


@pytest.mark.parametrize("word", ["Ones", "Ones()", "Ones(3)"])
def test_a_name_of_keras_and_of_the_notebook_is_ambiguous(word):
    text = "input 2 / dense 1 kernel_initializer="
    with pytest.raises(
        kmagic.KmagicError, match=r"Write ones for Keras's, {Ones} for the notebook"
    ):
        build_model(text + word, {"Ones": Threes})
    for remedy, value in {"{Ones}": 3, "{Ones}()": 3, "{Ones}(2)": 2, "ones": 1}.items():
        model = build_model(text + remedy, {"Ones": Threes})
        assert float(model.weights[0][0, 0]) == value
    assert build_model(text + "Ones", {"Ones": keras.initializers.Ones}).built


def test_a_class_of_the_notebook_is_created_without_arguments():
    model = build_model("input 2 / dense 1 / compile MySgd loss=mse", {"MySgd": MySgd})
    assert isinstance(model.optimizer, MySgd)
    with pytest.raises(kmagic.KmagicError, match=r"Create an object of it: MySgd\(\)"):
        build_model("input 2 / dense 1 / compile {MySgd} loss=mse", {"MySgd": MySgd})


def test_the_remedy_for_a_function_works():
    model = build_model("input 2 / dense 1", {})
    text = "compile sgd loss={0}"
    with pytest.raises(kmagic.KmagicError, match="Create others in a cell above"):
        compile_text(model, text.format("make(2)"), {"make": lambda _: double})
    for loss in ("made", "{made}"):
        compile_text(model, text.format(loss), {"made": double})
        assert model.loss is double


def test_functions_of_libraries_for_tensors_can_be_applied():
    import tensorflow as tf

    for function in (
        tf.nn.relu,
        keras.activations.gelu,
        keras.layers.add,
        keras.applications.resnet50.preprocess_input,
        functools.partial(keras.ops.softmax, axis=-1),
        tf.function(double),
    ):
        assert can_compute(function), function
    for function in (open, print, eval, shutil.rmtree, "".join, keras.saving.load_model):
        assert not can_compute(function), function


def test_a_role_decides_what_can_be_created():
    assert can_create(keras.losses.Huber, "loss")
    assert not can_create(keras.losses.Huber, "optimizer")
    assert can_create(keras.Sequential, "layer")
    assert can_create(keras.optimizers.schedules.CosineDecay, "schedule")
    assert not can_create(keras.callbacks.CSVLogger, "any")
    assert not can_create(double, "any")


@pytest.mark.parametrize(
    "name",
    ["TFSMLayer", "keras>TFSMLayer", "layers.TFSMLayer", "keras.src.export.tfsm_layer.TFSMLayer"],
)
def test_a_class_is_recognised_by_every_name_that_keras_knows(name):
    assert "SavedModel" in unsafe_part([name], {})


FILE_TEXTS = """
input 2 / tfsm_layer "DIR" call_endpoint="serving_default"
input 2 / time_distributed(tfsm_layer "DIR")
input 1 string / string_lookup vocabulary="/etc/passwd"
input 1 string / string_lookup vocabulary={path}
input 1 string / text_vectorization vocabulary="/etc/passwd"
input 1 int32 / integer_lookup vocabulary="/etc/passwd"
input 1 string / StringLookup vocabulary="/etc/passwd"
input 2 / dense 1 kernel_initializer={{"class_name": "Zeros", "config": {}}}
input 2 / dense 1 kernel_initializer={[{"class_name": "Zeros"}][0]}
""".strip().splitlines()


@pytest.mark.parametrize("text", FILE_TEXTS)
def test_the_text_of_a_file_runs_no_code_and_reads_no_other_file(text):
    names = {"path": "/etc/passwd", "StringLookup": keras.layers.StringLookup}
    with pytest.raises(kmagic.KmagicError):
        build_model(text, names, safe_mode=True)


def test_the_text_of_a_file_may_contain_its_words():
    text = 'input 1 string / string_lookup vocabulary=["a", "b"]'
    assert build_model(text, {}, safe_mode=True).layers[0].vocabulary_size() == 3
