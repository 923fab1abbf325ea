"""Configurations of earlier Keras, mended to what Keras 3 reads; what cannot be is said.

Arguments that Keras 3 no longer has are left out where they stand at what it does anyway. Classes
that are gone get their successor where it computes the same.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from kmagic.support.errors import PersistenceError

# What Keras 3 does without being told: an argument of that value may be left out.
_USUAL: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "batch_size": (None,),
    "fused": (None, True, False),  # how it is computed, not what
    "groups": (1, None),
    "implementation": (0, 1, 2),  # as above
    "input_dtype": (None, "float32"),
    "ragged": (False, None),
    "renorm": (False,),
    "reset_after": (True, False),
    "softmax_robust_masking": (False,),
    "sparse": (False, None),
    "swap_memory": (False,),
    "time_major": (False,),
    "virtual_batch_size": (None,),
    "zero_output_for_mask": (False,),
}
# What Keras 3 sees for itself, by the layer's inputs.
_SEEN = ("input_dim", "input_length", "batch_shape", "query_shape", "key_shape", "value_shape")
# What Keras 2 wrote of a base class's arguments that the layer does not use.
_UNUSED = dict.fromkeys(
    ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
)
_INSIDE = ("layer", "backward_layer", "cell", "cells")
_GONE = {
    "LocallyConnected1D": "LocallyConnected1D is no longer in Keras; a Conv1D of the same size, "
    "trained anew, comes nearest",
    "LocallyConnected2D": "LocallyConnected2D is no longer in Keras; a Conv2D of the same size, "
    "trained anew, comes nearest",
    "CuDNNLSTM": "CuDNNLSTM is no longer in Keras, and its weights are laid out otherwise than "
    "those of an LSTM; Keras 2 turns them: build it there with LSTM, load_weights, save",
    "CuDNNGRU": "CuDNNGRU is no longer in Keras, and its weights are laid out otherwise than "
    "those of a GRU; Keras 2 turns them: build it there with GRU, load_weights, save",
    "TFOpLambda": "it applies an operation of TensorFlow outside any layer, which Keras 3 does "
    "not read; build the model with keras.ops in its place and load the weights alone",
    "TensorFlowOpLayer": "it applies an operation of TensorFlow outside any layer, which Keras 3 "
    "does not read; build the model with keras.ops in its place and load the weights alone",
    "SlicingOpLambda": "it cuts a tensor outside any layer, which Keras 3 does not read; build "
    "the model with ops.slice in its place and load the weights alone",
    "DenseFeatures": "feature columns of TensorFlow are no longer in Keras",
    "MaxoutDense": "MaxoutDense is no longer in Keras",
    "Highway": "Highway is no longer in Keras",
    "Merge": "Merge is no longer in Keras: add, concatenate ... are layers of their own",
}
_SUCCESSORS: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "ThresholdedReLU": ("ReLU", lambda config: _rename(config, "theta", "threshold")),
    "SyncBatchNormalization": (
        "BatchNormalization",
        lambda config: config.update(synchronized=True),
    ),
    "Convolution1D": ("Conv1D", lambda _: None),
    "Convolution2D": ("Conv2D", lambda _: None),
    "BatchNormalizationV1": ("BatchNormalization", lambda _: None),
    "BatchNormalizationV2": ("BatchNormalization", lambda _: None),
}


def is_legacy(config: Any) -> bool:
    """Whether a model's configuration is written as Keras 1 and 2 did, and Keras 3 in ``.h5``."""
    return isinstance(config, dict) and "module" not in config


def mended(config: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """A model's configuration as Keras 3 reads it, and what was changed, in words.

    Args:
        config: As the file has it; it stays as it is.
        name: Of the file, for messages.

    Raises:
        PersistenceError: It holds what Keras 3 has no successor for.
    """
    fresh = copy.deepcopy(config)
    notes: dict[str, None] = {}
    if fresh.get("class_name") == "Model":
        fresh["class_name"] = "Functional"
    if isinstance(fresh.get("config"), list):  # Sequential before Keras 2.2
        fresh["config"] = {"name": "sequential", "layers": fresh["config"]}
    _mend(fresh, name, notes)
    return fresh, list(notes)


def _mend(part: Any, name: str, notes: dict[str, None]) -> None:
    if isinstance(part, list):
        for each in part:
            _mend(each, name, notes)
        return
    if not isinstance(part, dict):
        return
    kind, config = part.get("class_name"), part.get("config")
    if isinstance(kind, str) and isinstance(config, dict):
        _mend_layer(part, kind, config, name, notes)
    for value in part.values():
        _mend(value, name, notes)


def _mend_layer(
    part: dict[str, Any], kind: str, config: dict[str, Any], name: str, notes: dict[str, None]
) -> None:
    import keras  # noqa: PLC0415 - takes seconds

    layer = config.get("name", kind)
    if "module" in part:
        _say_new_module(part, kind)
    if kind == "Sequential":
        _give_input(config)
    if kind in ("Functional", "Model"):
        for key in ("input_layers", "output_layers"):
            ends = config.get(key)
            # Keras 3 would make it a list of one, and a model that answers with a list.
            if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
                config[key] = ends[0]
        _give_tensors(config)
    if hasattr(keras.initializers, kind):
        config.pop("dtype", None)
        return
    if kind == "Lambda":
        for key in ("module", "function_type", "output_shape_type", "output_shape_module"):
            config.pop(key, None)
        for key in ("function", "output_shape"):
            code = config.get(key)
            if isinstance(code, list) and code and isinstance(code[0], str):
                held = dict(zip(("code", "defaults", "closure"), code, strict=False))
                config[key] = {"class_name": "__lambda__", "config": held}
    if kind in _GONE and not hasattr(keras.layers, kind):
        raise PersistenceError(
            f"{name} was not loaded: its layer {layer} is a {kind} of an earlier Keras.",
            f"{_GONE[kind][0].upper()}{_GONE[kind][1:]}.",
        )
    if kind in _SUCCESSORS and not hasattr(keras.layers, kind):
        successor, change = _SUCCESSORS[kind]
        part["class_name"] = successor
        change(config)
        notes[f"{layer}: {kind} is {successor} now"] = None
        kind = successor
    if isinstance(config.get("dtype"), dict) and config["dtype"].get("class_name") == "Policy":
        config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
    cls = getattr(keras.layers, kind, None)
    if cls is None:
        return
    shape = config.pop("batch_input_shape", None)
    if kind == "InputLayer" and shape is not None:
        config.setdefault("batch_shape", shape)
    part.pop("build_config", None)  # it is built when it is called
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    for key in _INSIDE:
        _say_module(config.get(key))
    known = _arguments(cls)
    for key in sorted(set(config) - known):
        value = config[key]
        unused = key in _SEEN or key in _UNUSED.get(kind, ())
        if unused or (key in _USUAL and value in _USUAL[key]):
            del config[key]
        elif key in _USUAL:
            raise PersistenceError(
                f"{name} was not loaded: its layer {layer}, a {kind}, has {key}={value!r}, "
                "which Keras 3 does not have.",
                "Load it with the Keras that wrote it, set this to its default and save it anew; "
                "or build the model here and load its weights alone.",
            )


def _give_tensors(functional: dict[str, Any]) -> None:
    """Let calls take tensors by name, which Keras 2 wrote as it wrote any other list."""
    layers = [each for each in functional.get("layers") or () if isinstance(each, dict)]
    names = {each.get("name") for each in layers}

    def is_tensor(value: Any) -> bool:
        kinds = (str, int, int)
        return (
            isinstance(value, list)
            and len(value) == len(kinds)
            and all(map(isinstance, value, kinds))
            and value[0] in names
        )

    def revived(value: Any) -> Any:
        if is_tensor(value):
            # Keras looks for the tensor by its history; shape and type are not read.
            config = {"shape": [], "dtype": "float32", "keras_history": value}
            return {"class_name": "__keras_tensor__", "config": config}
        return [revived(each) for each in value] if isinstance(value, list) else value

    def called(node: Any) -> Any:
        whole = 4  # layer, node, tensor, arguments by name
        given = node[0][3] if node and isinstance(node, list) and len(node[0]) == whole else {}
        fresh = {name: revived(value) for name, value in given.items()}
        if fresh == given:
            return node
        inputs = [revived(each[:3]) for each in node]
        return {"args": inputs if len(inputs) == 1 else [inputs], "kwargs": fresh}

    for each in layers:
        if isinstance(each.get("inbound_nodes"), list):
            each["inbound_nodes"] = [called(node) for node in each["inbound_nodes"]]


def _say_new_module(part: dict[str, Any], kind: str) -> None:
    """Say where a class of Keras is today: Keras 2 wrote its own folders, or tf_keras's."""
    import keras  # noqa: PLC0415 - takes seconds

    package = str(part["module"]).partition(".")[0]
    if package not in ("keras", "tf_keras", "tensorflow"):
        return
    if kind == "Functional":
        part["module"] = "keras.src.models.functional"
    elif kind == "Sequential":
        part["module"], part["registered_name"] = "keras", None
    elif hasattr(keras.layers, kind):
        part["module"], part["registered_name"] = "keras.layers", None
    elif package != "keras":
        part["module"] = str(part["module"]).replace(package, "keras", 1)


def _say_module(inner: Any) -> None:
    """Say where the layers inside a layer come from, which Keras 3 wants to be told."""
    import keras  # noqa: PLC0415 - takes seconds

    for each in inner if isinstance(inner, list) else [inner]:
        if isinstance(each, dict) and hasattr(keras.layers, str(each.get("class_name"))):
            each.setdefault("module", "keras.layers")


def _give_input(sequential: dict[str, Any]) -> None:
    """Put the first layer's input shape where Keras 3 looks for it: into an input of its own."""
    layers = sequential.get("layers")
    if not isinstance(layers, list) or not layers or not isinstance(layers[0], dict):
        return
    config = layers[0].get("config")
    if layers[0].get("class_name") == "InputLayer" or not isinstance(config, dict):
        return
    shape = config.get("batch_input_shape")
    if shape is None and isinstance(config.get("layer"), dict):  # a wrapper's
        shape = (config["layer"].get("config") or {}).get("batch_input_shape")
    if shape is not None:
        kind = layers[0].get("class_name")
        own = {"batch_shape": shape, "dtype": "int32" if kind == "Embedding" else "float32"}
        layers.insert(0, {"class_name": "InputLayer", "config": {**own, "name": "input_layer"}})


def _rename(config: dict[str, Any], old: str, new: str) -> None:
    if old in config:
        config[new] = config.pop(old)


def _arguments(cls: type) -> set[str]:
    """Names that a layer's class and its bases take; what Keras passes on is among them."""
    names = {"name", "dtype", "trainable", "autocast", "activity_regularizer", "batch_shape"}
    for each in cls.__mro__:
        init = each.__dict__.get("__init__")
        if init is not None and each is not object:
            names |= set(inspect.signature(init).parameters)
    return names - {"self", "args", "kwargs"}
