"""Files as earlier Keras wrote them: real weights in the old layout, configurations in old words.

The weights are those of a model of today; names, attributes and configurations are what Keras 2
(2.3 to 2.15, the Keras of TensorFlow 2) and Keras 2.1 (a Sequential as a list) put there.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

INITIALIZERS = {
    "kernel_initializer": {
        "class_name": "VarianceScaling",
        "config": {
            "scale": 1.0,
            "mode": "fan_avg",
            "distribution": "uniform",
            "seed": None,
            "dtype": "float32",
        },
    },
    "bias_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}},
}


def dense(name: str, units: int, activation: str, **more: Any) -> dict[str, Any]:
    """A Dense layer's configuration of Keras 2."""
    config = {
        "name": name,
        "trainable": True,
        "dtype": "float32",
        "units": units,
        "activation": activation,
        "use_bias": True,
        **INITIALIZERS,
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "activity_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }
    return {"class_name": "Dense", "config": config | more}


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """Any layer's configuration of Keras 2."""
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
    }


def input_layer(*shape: int | None, name: str = "dense_input") -> dict[str, Any]:
    """An input of Keras 2."""
    config = {
        "batch_input_shape": [None, *shape],
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": name,
    }
    return {"class_name": "InputLayer", "config": config}


def adam(**config: Any) -> dict[str, Any]:
    """The Adam of Keras 2.11 and before."""
    usual = {
        "name": "Adam",
        "learning_rate": 0.005,
        "decay": 0.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-07,
        "amsgrad": False,
    }
    return {"class_name": "Adam", "config": usual | config}


def training(loss: Any = "mse", metrics: Any = ("mae",), **more: Any) -> dict[str, Any]:
    """The training configuration of Keras 2."""
    return {
        "loss": loss,
        "metrics": list(metrics),
        "weighted_metrics": None,
        "loss_weights": None,
        "optimizer_config": adam(),
        **more,
    }


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """A Sequential of Keras 2.2 and later."""
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": list(layers)}}


def write(
    path: Path,
    config: Mapping[str, Any] | None,
    weights: Mapping[str, Mapping[str, Any]],
    compiled: Mapping[str, Any] | None = None,
    *,
    version: str = "2.4.0",
) -> Path:
    """Write a file as Keras 2 did.

    Args:
        path: Where.
        config: The model's configuration; None writes weights alone, at the root.
        weights: Arrays by the names of layers and weights, in their order.
        compiled: The training configuration, with a state of the optimizer beside it.
        version: Of the Keras that is said to write it.
    """
    with h5py.File(path, "w") as file:
        group: Any = file
        if config is not None:
            file.attrs["keras_version"] = version
            file.attrs["backend"] = "tensorflow"
            file.attrs["model_config"] = json.dumps(config).encode()
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = version.encode()
        for name, held in weights.items():
            own = group.create_group(name)
            named = [f"{name}/{each}:0" for each in held]
            own.attrs["weight_names"] = [each.encode() for each in named]
            for each, value in zip(named, held.values(), strict=True):
                own[each] = np.asarray(value)
        if compiled is not None:
            file.attrs["training_config"] = json.dumps(compiled).encode()
            state = file.create_group("optimizer_weights")
            state.attrs["weight_names"] = [b"Adam/iter:0"]
            state["Adam/iter:0"] = np.int64(40)
    return path


def zip_members(path: Path) -> dict[str, bytes]:
    """The contents of a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a ``.keras`` file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
