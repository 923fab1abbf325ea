"""Files run no code, and use only what the user passes by name."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import kmagic
from kmagic.persistence.safety import find_objects, needed_objects, reject_code
from kmagic.persistence.save_load import load_with_details
from kmagic.support.errors import PersistenceError
from kmagic.support.messages import MagicSpelling

from .. import old_files as old

X = np.arange(8, dtype="float32").reshape(2, 4)


class Scale(layers.Layer):
    """A class of the notebook's."""

    def __init__(self, factor: float = 2.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Bare(keras.Model):
    """A subclassed model."""

    def __init__(self, units: int = 3, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "name": self.name}


def soft(x: Any) -> Any:
    """A function of the notebook's."""
    return keras.ops.relu(x) * 0.5


def stack(*inner: Any) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), *inner], name="net")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
def test_a_lambda_is_rejected_with_the_name_of_its_layer(tmp_path: Path, suffix: str) -> None:
    model = stack(layers.Lambda(lambda x: x * 2, name="double"))
    path = tmp_path / f"net{suffix}"
    saved = kmagic.save(model, path)
    assert any("Layer double is a Lambda" in note for note in saved.notes)
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(path)
    assert "its layer double is a Lambda whose Python code is in the file" in caught.value.message
    assert "safe_mode=False" in caught.value.remedy
    loaded = load_with_details(path, safe_mode=False)
    np.testing.assert_array_equal(np.asarray(loaded.model(X)), 2 * X)


def test_no_code_of_the_file_runs(tmp_path: Path) -> None:
    path, trace = tmp_path / "net.keras", tmp_path / "trace"
    trace_path = str(trace)
    model = stack(layers.Lambda(lambda x: (open(trace_path, "w").close(), x)[1]))  # noqa: PTH123 - what a file may do
    trace.unlink()
    kmagic.save(model, path)
    with pytest.raises(PersistenceError):
        kmagic.load(path)
    assert not trace.exists()


OLD_LAMBDAS = {
    "list": {"function": ["4wEAAA==\n", None, None], "function_type": "lambda"},
    "shape": {
        "function": {"class_name": "function", "config": "relu", "module": "builtins"},
        "output_shape": ["4wEAAA==\n", None, None],
        "output_shape_type": "lambda",
    },
    "dictionary": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}},
}


@pytest.mark.parametrize("config", OLD_LAMBDAS.values(), ids=OLD_LAMBDAS)
def test_a_lambda_of_keras_2_is_rejected(tmp_path: Path, config: dict[str, Any]) -> None:
    model = old.sequential(old.input_layer(4), old.layer("Lambda", "own", **config))
    path = old.write(tmp_path / "old.h5", model, {})
    with pytest.raises(PersistenceError, match="its layer own is a Lambda"):
        kmagic.load(path)


OTHER_FILES = {
    "TFSMLayer": (
        {"filepath": "/tmp/x", "name": "graph"},  # noqa: S108 - a name
        "its layer graph runs a TensorFlow SavedModel",
    ),
    "StringLookup": (
        {"vocabulary": "/etc/passwd", "name": "words"},
        "reads its vocabulary from",
    ),
}


@pytest.mark.parametrize(("kind", "config", "words"), [(k, *v) for k, v in OTHER_FILES.items()])
def test_layers_that_read_other_files_are_rejected(
    kind: str, config: dict[str, Any], words: str
) -> None:
    part = {"module": "keras.layers", "class_name": kind, "config": config}
    with pytest.raises(PersistenceError, match=words):
        reject_code({"class_name": "Sequential", "config": {"layers": [part]}}, "net.keras")


def test_modules_named_in_the_file_are_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    kmagic.save(stack(layers.Dense(2, name="evil")), path)
    members = old.zip_members(path)
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1] |= {"module": "antigravity", "class_name": "fly"}
    old.write_zip(path, members | {"config.json": json.dumps(config).encode()})
    with pytest.raises(PersistenceError, match="its layer evil needs the class fly"):
        kmagic.load(path)


@pytest.mark.parametrize(
    ("module", "name"),
    [("keras.utils", "get_file"), ("builtins", "eval"), ("keras.src.utils.file_utils", "get_file")],
)
def test_functions_that_do_more_than_compute_are_rejected(module: str, name: str) -> None:
    function = {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }
    own = {"name": "own", "function": function, "arguments": {"fname": "/tmp/x"}}  # noqa: S108 - a name
    part = {"module": "keras.layers", "class_name": "Lambda", "config": own}
    (need,) = needed_objects({"class_name": "Sequential", "config": {"layers": [part]}})
    assert (need.name, need.layer, need.is_function) == (name, "own", True)
    with pytest.raises(PersistenceError, match=f"its layer own needs the function {name}"):
        find_objects([need], {}, {"eval": eval, "get_file": keras.utils.get_file}, "net.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
def test_a_class_of_the_notebook(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    kmagic.save(stack(Scale(3.0, name="times")), path)
    with pytest.raises(PersistenceError) as caught:
        load_with_details(path, notebook={"Scales": Scale})
    missing = "its layer times needs the class Scale, which is not defined."
    assert caught.value.message == f"{path} was not loaded: {missing}"
    assert caught.value.remedy.startswith("Did you mean Scales? Define or import what is missing")
    with pytest.raises(PersistenceError) as caught:
        load_with_details(path, notebook={"Scale": Scale})
    assert "name them: custom_objects={'Scale': Scale}." in caught.value.remedy
    assert "--custom-objects Scale." in caught.value.remedy_text.render(MagicSpelling())
    loaded = load_with_details(path, custom_objects={"Scale": Scale})
    np.testing.assert_array_equal(np.asarray(loaded.model(X)), 3 * X)
    assert kmagic.load(path, custom_objects={"Scale": Scale}).layers[-1].factor == 3


def test_a_function_of_the_notebook(tmp_path: Path) -> None:
    for suffix in (".keras", ".h5", ".json"):
        path = tmp_path / f"net{suffix}"
        kmagic.save(stack(layers.Dense(2, soft, name="dense")), path)
        with pytest.raises(PersistenceError, match="its layer dense needs the function soft"):
            kmagic.load(path)
        assert kmagic.load(path, custom_objects={"soft": soft}).layers[-1].activation is soft


def test_a_lambda_with_a_named_function_is_safe(tmp_path: Path) -> None:
    model = stack(layers.Lambda(soft, name="half"))
    for suffix in (".keras", ".h5", ".json"):
        path = tmp_path / f"net{suffix}"
        assert kmagic.save(model, path).notes == []
        with pytest.raises(PersistenceError, match="its layer half needs the function soft"):
            kmagic.load(path)
        with pytest.raises(PersistenceError, match="its layer half needs the function soft"):
            load_with_details(path, notebook={"soft": soft})
        loaded = load_with_details(path, custom_objects={"soft": soft})
        np.testing.assert_array_equal(np.asarray(loaded.model(X)), X * 0.5)


def test_a_subclassed_model(tmp_path: Path) -> None:
    model = Bare(name="own")
    before = np.asarray(model(X))
    path = tmp_path / "own.keras"
    kmagic.save(model, path)
    with pytest.raises(
        PersistenceError, match="its layer own needs the class Bare, which is not defined"
    ):
        kmagic.load(path)
    loaded = load_with_details(path, custom_objects={"Bare": Bare})
    np.testing.assert_allclose(np.asarray(loaded.model(X)), before)


def test_a_text_cannot_call_library_functions(tmp_path: Path) -> None:
    import shutil

    (tmp_path / "keep").mkdir()
    path = tmp_path / "net.kmagic"
    path.write_text(f"input 4 / rmtree '{tmp_path / 'keep'}'")
    with pytest.raises(kmagic.KmagicError):
        load_with_details(path, notebook={"rmtree": shutil.rmtree})
    assert (tmp_path / "keep").is_dir()


def test_objects_of_keras_are_not_needed() -> None:
    model = keras.Sequential(
        [
            keras.Input((8, 4)),
            layers.Bidirectional(layers.LSTM(2, kernel_regularizer="l2")),
            layers.Dense(1, activation="gelu", kernel_initializer=keras.initializers.HeNormal()),
        ]
    )
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9)),
        keras.losses.Huber(),
        metrics=["mae", keras.metrics.RootMeanSquaredError()],
    )
    assert needed_objects(json.loads(model.to_json())) == []


def test_a_pickle_is_rejected_without_opening_it(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "trace",))

    (tmp_path / "net.h5").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(PersistenceError, match="is a pickle") as caught:
        kmagic.load(tmp_path / "net.h5")
    assert "runs any code in it" in caught.value.remedy
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(PersistenceError, match="is a PyTorch model"):
        kmagic.load(tmp_path / "net.pt")
    assert not (tmp_path / "trace").exists()


# --- crafted files ----------------------------------------------------------------------------


def crafted(path: Path, layer: dict[str, Any] | None = None, text: str = "") -> Path:
    """A file of a model with another last layer, and another text in its metadata."""
    kmagic.save(stack(layers.Dense(2, name="dense")), path, force=True)
    members = old.zip_members(path)
    config, metadata = (json.loads(members[name]) for name in ("config.json", "metadata.json"))
    if layer is not None:
        config["config"]["layers"][-1] = layer
    if text:
        metadata["kmagic"] |= {"text": text, "steps": []}
    changed = {"config.json": config, "metadata.json": metadata}
    members |= {name: json.dumps(content).encode() for name, content in changed.items()}
    return old.write_zip(path, members)


def crafted_layer(module: str, name: str, /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": {"name": "evil", **config}}


def named(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


CRAFTED = {
    "dotted class": crafted_layer("keras", "layers.TFSMLayer", filepath="DIR"),
    "private module": crafted_layer("keras.src.export.tfsm_layer", "TFSMLayer", filepath="DIR"),
    "other name": {**crafted_layer("keras.layers", "Dense"), "registered_name": "TFSMLayer"},
    "vocabulary": crafted_layer("keras", "layers.StringLookup", vocabulary="/etc/passwd"),
    "module of Python": crafted_layer("os", "system", command="exit 1"),
    "callback": crafted_layer("keras.callbacks", "CSVLogger", filename="evil.csv"),
    "download": crafted_layer("keras.utils", "get_file", origin="http://localhost/"),
    "PyTorch": crafted_layer("keras.layers", "TorchModuleWrapper", module="gASV"),
    "initializer": crafted_layer(
        "keras.layers",
        "Dense",
        units=2,
        kernel_initializer=crafted_layer("keras.layers", "TFSMLayer", filepath="DIR"),
    ),
    "load_model": crafted_layer(
        "keras.layers", "Lambda", function=named("keras.models", "load_model")
    ),
    "deserialize": crafted_layer(
        "keras.layers", "Lambda", function=named("builtins", "deserialize")
    ),
    "function as class": crafted_layer(
        "keras.layers",
        "Activation",
        activation=crafted_layer("keras.applications.resnet50", "decode_predictions"),
    ),
    "setting of the process": crafted_layer(
        "keras.layers", "Lambda", function=crafted_layer("keras.config", "set_max_epochs")
    ),
    "application": crafted_layer("keras.applications", "ResNet50", weights="imagenet"),
    "type": crafted_layer(
        "keras.layers",
        "Lambda",
        function={
            "class_name": "__typespec__",
            "spec_name": "fly",
            "module": "antigravity",
            "registered_name": "fly",
            "config": [],
        },
    ),
    "other package": crafted_layer("keras_hub.evil", "Backbone"),
    "eval": crafted_layer("keras.layers", "Activation", activation=named("builtins", "eval")),
    "string": crafted_layer("keras.layers", "Lambda", function="os.system"),
}


@pytest.mark.parametrize("layer", CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_configuration_is_rejected(
    layer: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PersistenceError, match="its layer evil"):
        kmagic.load(crafted(tmp_path / "net.keras", layer))
    assert not (tmp_path / "evil.csv").exists()


COMPILED = {
    "loss": {"loss": crafted_layer("keras.models", "clone_model")},
    "metric": {"metrics": [crafted_layer("keras.applications.resnet50", "decode_predictions")]},
    "rate": {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "SGD",
            "config": {"learning_rate": crafted_layer("keras.backend", "clear_session")},
        }
    },
}


@pytest.mark.parametrize("part", COMPILED.values(), ids=COMPILED)
def test_a_crafted_loss_or_metric_is_not_created(part: dict[str, Any], tmp_path: Path) -> None:
    net = stack(layers.Dense(2))
    net.compile("sgd", "mse", metrics=["mae"])
    content = json.loads(net.to_json())
    content["compile_config"] |= part
    (tmp_path / "net.json").write_text(json.dumps(content))
    loaded = load_with_details(tmp_path / "net.json")
    assert not loaded.model.compiled
    assert "which is not part of a model. Predictions do not need it." in loaded.notes[0]


def test_how_a_nested_model_was_compiled_is_checked_in_a_folder(tmp_path: Path) -> None:
    inner = stack(layers.Dense(2))
    inner.compile("sgd", "mse")
    path = tmp_path / "net"
    net = keras.Sequential([keras.Input((4,)), inner])
    keras.saving.save_model(net, path, zipped=False)
    content = json.loads((path / "config.json").read_text())
    layer = content["config"]["layers"][-1]
    layer["compile_config"]["loss"] = crafted_layer("keras.models", "clone_model")
    (path / "config.json").write_text(json.dumps(content))
    loaded = load_with_details(path)
    assert not loaded.model.layers[-1].compiled
    assert loaded.notes[0].startswith("Not compiled: its loss, a metric or the optimizer names")


def parts_of_models() -> dict[str, keras.Model]:
    x = keras.Input((8, 4))
    sliced = keras.ops.relu(x[:, ::2] + 1.0)
    quantized = stack(layers.Dense(4), layers.Dense(2))
    quantized.quantize("int8")
    policies = keras.dtype_policies.DTypePolicyMap(default_policy="mixed_bfloat16")
    cells = [layers.LSTMCell(3), layers.GRUCell(2)]
    learned = stack(layers.Dense(2))
    distiller = keras.distillation.Distiller(
        learned, stack(layers.Dense(2)), keras.distillation.LogitsDistillation()
    )
    return {
        "operations": keras.Model(x, keras.ops.concatenate([sliced, sliced * 2], -1)),
        "quantized": quantized,
        "policies": stack(layers.Dense(4, dtype=policies)),
        "cells": keras.Sequential([keras.Input((8, 4)), layers.RNN(cells)]),
        "functions": stack(layers.Lambda(keras.ops.relu), layers.Dense(2, keras.ops.gelu)),
        "layers": stack(layers.Pipeline([layers.Rescaling(2.0)]), layers.Activation(layers.ELU(2))),
        "distilled": distiller,
    }


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("kind", ["keras", "folder", "json"])
def test_all_parts_of_keras_are_loaded(kind: str, tmp_path: Path) -> None:
    for name, model in parts_of_models().items():
        path = tmp_path / (name if kind == "folder" else f"{name}.{kind}")
        if kind == "folder":
            keras.saving.save_model(model, path, zipped=False)
        else:
            kmagic.save(model, path)
        loaded = load_with_details(path)
        assert type(loaded.model) is type(model)
        assert loaded.notes == ()


def run(*_args: Any) -> None:
    """A function of the notebook that no file may call."""
    pytest.fail("a function of the notebook was called")


CRAFTED_TEXTS = """
input 2 / tfsm_layer "DIR" call_endpoint="serving_default"
input 1 string / string_lookup vocabulary="/etc/passwd"
input 2 / dense 1 kernel_initializer=run("x")
input 2 / dense 1 kernel_initializer=run
input 2 / dense 1 kernel_initializer={run}
input 2 / run
input 2 / run "x"
input 2 / run <- "x"
input 2 / {run} <- _
input 2 / Scale 3
input 2 / dense {secret}
input 2 / dense 1 name={secret}
input 2 / dense {os.getpid}
input 2 / dense 1 / compile sgd loss=run
input 2 / dense 1 activation=soft
for n in {secret}: / dense 1
""".strip().splitlines()
NOTEBOOK = {"run": run, "Scale": Scale, "secret": "key", "soft": soft, "os": __import__("os")}


@pytest.mark.parametrize("text", CRAFTED_TEXTS)
@pytest.mark.parametrize("kind", ["text", "weights", "metadata"])
def test_a_text_from_a_file_uses_nothing_of_the_notebook(
    text: str, kind: str, tmp_path: Path
) -> None:
    text = text.replace(": / ", ":\n  ")
    if kind == "text":
        path = tmp_path / "net.kmagic"
        path.write_text(text)
    elif kind == "metadata":
        broken = crafted_layer("keras.layers", "Dense", units="?")
        path = crafted(tmp_path / "net.keras", broken, text)
    else:
        path = tmp_path / "net.weights.h5"
        kmagic.save(stack(layers.Dense(2)), path)
        with h5py.File(path, "r+") as file:
            metadata = json.loads(bytes(file["kmagic"][()])) | {"text": text}
            del file["kmagic"]
            file["kmagic"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    with pytest.raises(kmagic.KmagicError):
        load_with_details(path, notebook=NOTEBOOK)


def test_a_refused_text_is_reported_with_the_reason_why_it_was_needed(tmp_path: Path) -> None:
    broken = crafted_layer("keras.layers", "Dense", units="?")
    path = crafted(tmp_path / "net.keras", broken, 'input 2\ntfsm_layer "DIR"')
    with pytest.raises(PersistenceError) as caught:
        kmagic.load(path)
    assert "Keras" in caught.value.message.splitlines()[0]
    assert "Its text was not built either" in caught.value.message
    assert "tfsm_layer runs a TensorFlow SavedModel" in caught.value.message


def test_a_file_is_not_given_the_callers_class_but_the_message_names_it(tmp_path: Path) -> None:
    path = tmp_path / "net.kmagic"
    path.write_text("input 2 / Scale 3 / dense 2 soft")
    with pytest.raises(kmagic.KmagicError) as caught:
        kmagic.load(path)
    assert "custom_objects={'Scale': Scale}" in str(caught.value)
    assert "custom_objects={'soft': soft}" in str(caught.value)
    assert kmagic.load(path, custom_objects={"Scale": Scale, "soft": soft}).built
    path.write_text("input 2 / Scaled 3")
    with pytest.raises(kmagic.KmagicError, match="Pass it to the file: --custom-objects NAME"):
        load_with_details(path)


def test_what_is_passed_by_name_is_used(tmp_path: Path) -> None:
    path = tmp_path / "net.kmagic"
    path.write_text("input 2 / Scale 3 / dense {units} activation=soft")
    given = {"Scale": Scale, "soft": soft, "units": 5}
    assert kmagic.load(path, custom_objects=given).output_shape == (None, 5)


def test_registered_classes_are_used(tmp_path: Path) -> None:
    registered = keras.saving.register_keras_serializable("tests")(type("Registered", (Scale,), {}))
    path = tmp_path / "net.keras"
    kmagic.save(stack(registered(3.0)), path)
    assert type(kmagic.load(path).layers[-1]) is registered
