"""Files of earlier versions of Keras: loaded, or rejected with the exact reason."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kmagic.persistence.legacy_keras import updated_config
from kmagic.persistence.save_load import load_with_details
from kmagic.support.errors import PersistenceError

from .. import old_files as old

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(size=(4, 3)).astype("float32")
BIAS = RANDOM.normal(size=3).astype("float32")
X = RANDOM.normal(size=(5, 4)).astype("float32")
DENSE = {"kernel": KERNEL, "bias": BIAS}


def expected() -> Any:
    return np.maximum(X @ KERNEL + BIAS, 0)


def predictions(model: Any) -> Any:
    return np.asarray(model(X))


def test_a_sequential_model_with_string_loss_and_metrics(tmp_path: Path) -> None:
    config = old.sequential(
        old.input_layer(4), old.dense("dense", 3, "relu", batch_input_shape=[None, 4])
    )
    path = old.write(tmp_path / "old.h5", config, {"dense": DENSE}, old.training())
    loaded = load_with_details(path)
    np.testing.assert_allclose(predictions(loaded.model), expected(), rtol=1e-5)
    assert loaded.keras_version == "2.4.0"
    assert loaded.model.loss == "mse"
    assert type(loaded.model.optimizer).__name__ == "Adam"
    assert float(loaded.model.optimizer.learning_rate) == pytest.approx(0.005)
    assert loaded.notes == (
        "The state of the optimizer was not restored: Keras 2 stored it differently.",
    )
    history = loaded.model.fit(X, expected(), verbose=0)
    assert set(history.history) == {"loss", "mae"}


def test_a_sequential_model_as_a_list_without_an_input(tmp_path: Path) -> None:
    config = {
        "class_name": "Sequential",
        "config": [old.dense("dense_1", 3, "relu", batch_input_shape=[None, 4])],
    }
    optimizer = {"class_name": "SGD", "config": {"lr": 0.25, "momentum": 0.5, "decay": 0.01}}
    compiled = old.training(
        "mean_squared_error", ["accuracy"], sample_weight_mode=None, optimizer_config=optimizer
    )
    path = old.write(tmp_path / "m.h5", config, {"dense_1": DENSE}, compiled, version="2.1.6")
    loaded = load_with_details(path)
    np.testing.assert_allclose(predictions(loaded.model), expected(), rtol=1e-5)
    optimizer = loaded.model.optimizer
    assert type(optimizer).__name__ == "SGD"
    assert optimizer.momentum == 0.5
    assert float(optimizer.learning_rate) == pytest.approx(0.25)
    assert (
        "The optimizer's decay=0.01 was replaced by the schedule InverseTimeDecay." in loaded.notes
    )
    loaded.model.fit(X, expected(), verbose=0)
    assert float(optimizer.learning_rate) == pytest.approx(0.25 / 1.01)


def test_a_functional_model(tmp_path: Path) -> None:
    first = old.input_layer(4, name="input_1") | {"name": "input_1", "inbound_nodes": []}
    dense = old.dense("dense", 3, "relu") | {
        "name": "dense",
        "inbound_nodes": [[["input_1", 0, 0, {}]]],
    }
    double = old.layer("Add", "add") | {
        "name": "add",
        "inbound_nodes": [[["dense", 0, 0, {}], ["dense", 0, 0, {}]]],
    }
    config = {
        "class_name": "Model",
        "config": {
            "name": "model",
            "layers": [first, dense, double],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["add", 0, 0]],
        },
    }
    weights = {"input_1": {}, "dense": DENSE, "add": {}}
    loaded = load_with_details(old.write(tmp_path / "f.h5", config, weights))
    np.testing.assert_allclose(predictions(loaded.model), 2 * expected(), rtol=1e-5)
    assert not loaded.model.compiled


def test_a_class_of_ones_own_is_not_replaced_by_one_of_keras() -> None:
    own = old.layer("Attention", "own") | {"module": "__main__", "registered_name": "Attention"}
    updated, _ = updated_config(old.sequential(old.input_layer(4), own), "old.keras")
    assert updated["config"]["layers"][-1]["module"] == "__main__"


METRICS = {
    "named": [["accuracy"]],
    "wrapped": [
        [
            {
                "class_name": "MeanMetricWrapper",
                "config": {
                    "name": "accuracy",
                    "dtype": "float32",
                    "fn": "sparse_categorical_accuracy",
                },
            }
        ]
    ],
    "classes": [
        {"class_name": "SparseCategoricalAccuracy", "config": {"name": "a", "dtype": "float32"}}
    ],
}


@pytest.mark.parametrize("metrics", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        {
            "class_name": "SparseCategoricalCrossentropy",
            "config": {
                "reduction": "auto",
                "name": "s",
                "from_logits": False,
                "ignore_class": None,
            },
        },
    ],
    ids=["word", "class"],
)
def test_losses_and_metrics_of_keras_2(tmp_path: Path, loss: Any, metrics: Any) -> None:
    config = old.sequential(old.input_layer(4), old.dense("dense", 3, "softmax"))
    path = old.write(tmp_path / "m.h5", config, {"dense": DENSE}, old.training(loss, metrics))
    model = load_with_details(path).model
    figures = model.evaluate(X, np.array([0, 1, 2, 0, 1]), verbose=0, return_dict=True)
    assert len(figures) == 2
    assert figures["loss"] > 0


LAYERS = {
    "time_major": (
        (5, 2),
        old.layer("LSTM", "a", units=3, time_major=False, implementation=2),
    ),
    "groups": ((6, 6, 2), old.layer("DepthwiseConv2D", "a", kernel_size=[3, 3], groups=1)),
    "axis": ((6, 2), old.layer("BatchNormalization", "a", axis=[2], renorm=False, fused=True)),
    "policy": (
        (4,),
        old.dense("a", 3, "relu", dtype={"class_name": "Policy", "config": {"name": "float32"}}),
    ),
    "unused": (
        (6, 6, 2),
        old.layer(
            "SeparableConv2D",
            "a",
            filters=3,
            kernel_size=[3, 3],
            groups=1,
            kernel_initializer=old.INITIALIZERS["kernel_initializer"],
            kernel_regularizer=None,
            kernel_constraint=None,
        ),
    ),
    "threshold": ((4,), old.layer("ThresholdedReLU", "a", theta=0.5)),
    "synchronized": ((4,), old.layer("SyncBatchNormalization", "a", axis=[1])),
    "embedding": (
        (4,),
        old.layer("Embedding", "a", input_dim=9, output_dim=2, input_length=4, mask_zero=False),
    ),
    "wrapped": (
        (4, 2),
        old.layer("Bidirectional", "a", merge_mode="concat", layer=old.layer(
            "GRU", "g", units=2, time_major=False, reset_after=True
        )),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "config"), LAYERS.values(), ids=LAYERS)
def test_arguments_that_keras_3_does_not_have(
    tmp_path: Path, shape: tuple[int, ...], config: dict[str, Any]
) -> None:
    model = old.sequential(old.input_layer(*shape), config)
    (tmp_path / "m.json").write_text(json.dumps(model | {"keras_version": "2.4.0"}))
    loaded = load_with_details(tmp_path / "m.json")
    weights = {"a": {f"w{at}": each for at, each in enumerate(_legacy(loaded.model.layers[-1]))}}
    path = old.write(tmp_path / "m.h5", model, weights)
    again = load_with_details(path).model
    x = np.ones((2, *shape), "float32")
    np.testing.assert_array_equal(np.asarray(loaded.model(x)), np.asarray(again(x)))


def _legacy(layer: Any) -> Iterator[Any]:
    for each in (*layer.trainable_weights, *layer.non_trainable_weights):
        yield np.asarray(each)


def test_a_successor_computes_the_same(tmp_path: Path) -> None:
    config = old.sequential(old.input_layer(4), old.layer("ThresholdedReLU", "cut", theta=0.5))
    loaded = load_with_details(old.write(tmp_path / "m.h5", config, {"cut": {}}))
    assert predictions(loaded.model) == pytest.approx(np.where(X > 0.5, X, 0))
    assert "Layer cut: ThresholdedReLU was replaced by ReLU." in loaded.notes


def with_modules(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as Keras 2.12 and later wrote it, with the module of each layer's class."""
    fresh = json.loads(json.dumps(config))
    for layer in fresh["config"]["layers"]:
        layer |= {"module": "keras.layers", "registered_name": None}
        layer["build_config"] = {"input_shape": [None, 4]}
    kind = fresh["class_name"].lower()
    return fresh | {"module": f"tf_keras.src.engine.{kind}", "registered_name": fresh["class_name"]}


COMPILED = {
    "words": {"optimizer": "adam", "loss": "mae", "metrics": ["mse"]},
    "objects": {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "Custom>Adam",
            "config": {"learning_rate": 0.005, "jit_compile": False, "is_legacy_optimizer": False},
        },
        "loss": {
            "module": "keras.losses",
            "class_name": "MeanAbsoluteError",
            "config": {"reduction": "auto", "name": "m", "fn": "mean_absolute_error"},
        },
    },
}


@pytest.mark.parametrize("compiled", COMPILED.values(), ids=COMPILED)
def test_a_keras_file_of_keras_2(tmp_path: Path, compiled: dict[str, Any]) -> None:
    import keras

    today = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu", name="dense")])
    today.set_weights([KERNEL, BIAS])
    today.save_weights(tmp_path / "model.weights.h5")
    config = with_modules(old.sequential(old.input_layer(4), old.dense("dense", 3, "relu")))
    path = tmp_path / "old.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config | {"compile_config": compiled}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    loaded = load_with_details(path)
    np.testing.assert_allclose(predictions(loaded.model), expected(), rtol=1e-5)
    assert loaded.model.compiled
    assert loaded.keras_version == "2.15.0"
    assert loaded.notes == (
        "The state of the optimizer was not restored: Keras 2 stored it differently.",
    )
    assert loaded.model.evaluate(X, expected(), verbose=0, return_dict=True)["loss"] < 1e-5


def test_tensors_as_keyword_arguments(tmp_path: Path) -> None:
    first = old.input_layer(4, 2, name="input_1") | {"name": "input_1", "inbound_nodes": []}
    attention = old.layer(
        "MultiHeadAttention",
        "attention",
        num_heads=2,
        key_dim=3,
        attention_axes=[1],
        query_shape=[None, 4, 2],
        key_shape=[None, 4, 2],
        value_shape=[None, 4, 2],
        softmax_robust_masking=False,
    ) | {
        "name": "attention",
        "inbound_nodes": [[["input_1", 0, 0, {"value": ["input_1", 0, 0]}]]],
        "build_config": {"input_shape": [None, 4, 2]},
    }
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [first, attention],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["attention", 0, 0]],
        },
    }
    for fresh in (config, with_modules(config)):
        (tmp_path / "m.json").write_text(json.dumps(fresh | {"keras_version": "2.15.0"}))
        model = load_with_details(tmp_path / "m.json").model
        x = np.ones((2, 4, 2), "float32")
        layer = model.get_layer("attention")
        np.testing.assert_allclose(np.asarray(model(x)), np.asarray(layer(x, x)), rtol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".json"])
def test_code_of_keras_2_runs_without_safe_mode(tmp_path: Path, suffix: str) -> None:
    import keras

    dumped = keras.layers.Lambda(lambda x: x * 2).get_config()["function"]["config"]
    code = [dumped["code"], dumped["defaults"], dumped["closure"]]
    own = old.layer(
        "Lambda",
        "own",
        function=code,
        function_type="lambda",
        module="__main__",
        output_shape=None,
        output_shape_type="raw",
        output_shape_module=None,
        arguments={},
    )
    config = old.sequential(old.input_layer(4), own)
    path = tmp_path / f"m{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(config | {"keras_version": "2.4.0"}))
    else:
        old.write(path, config, {"own": {}})
    with pytest.raises(PersistenceError, match="its layer own is a Lambda"):
        load_with_details(path)
    np.testing.assert_array_equal(
        predictions(load_with_details(path, safe_mode=False).model), 2 * X
    )


UNSUPPORTED = {
    "LocallyConnected1D": (
        old.layer("LocallyConnected1D", "local", filters=2, kernel_size=[2]),
        "its layer local is a LocallyConnected1D, which Keras 3 does not have",
        "Use a Conv1D of the same size instead, and train it again.",
    ),
    "CuDNNLSTM": (
        old.layer("CuDNNLSTM", "fast", units=2),
        "its layer fast is a CuDNNLSTM, which Keras 3 does not have",
        "Convert them with Keras 2",
    ),
    "TFOpLambda": (
        old.layer("TFOpLambda", "tf.math.add", function="math.add"),
        "its layer tf.math.add is a TFOpLambda",
        "a TensorFlow operation outside any layer",
    ),
    "time_major": (
        old.layer("LSTM", "lstm", units=2, time_major=True),
        "its layer lstm (LSTM) has time_major=True, which Keras 3 does not have",
        "load the weights alone",
    ),
}


@pytest.mark.parametrize(("layer", "message", "remedy"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_keras_3_cannot_load(
    tmp_path: Path, layer: dict[str, Any], message: str, remedy: str
) -> None:
    config = old.sequential(old.input_layer(4, 2), layer)
    path = old.write(tmp_path / "m.h5", config, {})
    with pytest.raises(PersistenceError) as caught:
        load_with_details(path)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_a_file_of_keras_1_is_rejected(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": []}
    path = old.write(tmp_path / "m.h5", config, {}, version="1.2.2")
    with pytest.raises(PersistenceError, match=r"it was written by Keras 1\.2\.2") as caught:
        load_with_details(path)
    assert "Keras 2" in caught.value.remedy


def test_a_missing_loss_leaves_the_model_uncompiled(tmp_path: Path) -> None:
    config = old.sequential(old.input_layer(4), old.dense("dense", 3, "relu"))
    path = old.write(tmp_path / "m.h5", config, {"dense": DENSE}, old.training("my_loss"))
    loaded = load_with_details(path)
    np.testing.assert_allclose(predictions(loaded.model), expected(), rtol=1e-5)
    assert not loaded.model.compiled
    (note,) = loaded.notes
    assert note.startswith("Not compiled: my_loss is not part of Keras. Predictions do")

    def my_loss(true: Any, predicted: Any) -> Any:
        return (true - predicted) ** 2

    given = load_with_details(path, custom_objects={"my_loss": my_loss})
    assert given.model.compiled
    assert given.model.fit(X, expected(), verbose=0).history["loss"][0] < 1e-8


def test_an_unknown_argument_of_an_optimizer_gives_a_note(tmp_path: Path) -> None:
    config = old.sequential(old.input_layer(4), old.dense("dense", 3, "relu"))
    compiled = old.training(optimizer_config=old.adam(schedule_decay=0.004))
    path = old.write(tmp_path / "m.h5", config, {"dense": DENSE}, compiled)
    notes = load_with_details(path).notes
    assert (
        "The setting schedule_decay=0.004 of Adam was left out: Keras 3 does not have it." in notes
    )


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "weights"])
def test_legacy_weights_by_any_name(tmp_path: Path, name: str) -> None:
    import keras

    path = old.write(tmp_path / name, None, {"whatever": DENSE})
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
    assert load_with_details(path, into=model).model is model
    np.testing.assert_allclose(predictions(model), expected(), rtol=1e-5)


def test_legacy_json(tmp_path: Path) -> None:
    config = old.sequential(old.input_layer(4), old.dense("dense", 3, "relu"))
    text = json.dumps({**config, "keras_version": "2.2.4", "backend": "tensorflow"})
    (tmp_path / "m.json").write_text(text)
    loaded = load_with_details(tmp_path / "m.json")
    assert loaded.model.count_params() == 15
    assert loaded.keras_version == "2.2.4"


def test_a_saved_model_is_rejected_with_a_remedy(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).export(
        tmp_path / "net", verbose=False
    )
    with pytest.raises(PersistenceError) as caught:
        load_with_details(tmp_path / "net")
    assert "is a TensorFlow SavedModel" in caught.value.message
    assert "keras.layers.TFSMLayer(" in caught.value.remedy
    assert keras.layers.TFSMLayer(str(tmp_path / "net"), call_endpoint="serving_default")(X)
    with pytest.raises(PersistenceError) as caught:
        load_with_details(tmp_path / "net" / "saved_model.pb")
    assert "saved_model.pb" in caught.value.message
