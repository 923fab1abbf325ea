"""Files of Keras 2: configurations as Keras 3 reads them, and compiling as it was then.

Arguments that Keras 3 no longer has are left out if they are at what Keras 3 does anyway; removed
classes are replaced by classes that compute the same. Anything else is an error.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras

from kmagic.persistence.safety import not_compiled_note
from kmagic.support.errors import PersistenceError
from kmagic.support.file_system import first_line

# Values that Keras 3 does not need to be told.
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "batch_size": (None,),
    "fused": (None, True, False),  # how to compute, not what
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
# What Keras 3 infers from a layer's inputs.
_INFERRED = ("input_dim", "input_length", "batch_shape", "query_shape", "key_shape", "value_shape")
# Arguments of a base class that Keras 2 wrote although the layer does not use them.
_UNUSED = dict.fromkeys(
    ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
    ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
)
_LOCAL = "Use a {} of the same size instead, and train it again."
_CUDNN = (
    "The weights of a {0} have another layout than those of a {1}. Convert them with Keras 2: "
    "build the model there with {1}, call load_weights, and save it."
)
_OUTSIDE_LAYERS = (
    "It is a TensorFlow operation outside any layer, which Keras 3 cannot read. Build the model "
    "with {} instead, and load the weights alone."
)
_REMOVED = {
    "LocallyConnected1D": _LOCAL.format("Conv1D"),
    "LocallyConnected2D": _LOCAL.format("Conv2D"),
    "CuDNNLSTM": _CUDNN.format("CuDNNLSTM", "LSTM"),
    "CuDNNGRU": _CUDNN.format("CuDNNGRU", "GRU"),
    "TFOpLambda": _OUTSIDE_LAYERS.format("operations of keras.ops"),
    "TensorFlowOpLayer": _OUTSIDE_LAYERS.format("operations of keras.ops"),
    "SlicingOpLambda": _OUTSIDE_LAYERS.format("ops.slice"),
    "DenseFeatures": "Keras 3 has no feature columns; use its preprocessing layers instead.",
    "MaxoutDense": "Build the model here without it.",
    "Highway": "Build the model here without it.",
    "Merge": "Use a layer such as Add or Concatenate instead.",
}
_SUCCESSORS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "ThresholdedReLU": ("ReLU", {"theta": "threshold"}, {}),
    "SyncBatchNormalization": ("BatchNormalization", {}, {"synchronized": True}),
    "Convolution1D": ("Conv1D", {}, {}),
    "Convolution2D": ("Conv2D", {}, {}),
    "BatchNormalizationV1": ("BatchNormalization", {}, {}),
    "BatchNormalizationV2": ("BatchNormalization", {}, {}),
}
"""A removed class -> its successor, arguments with another name, arguments to add."""


def is_legacy_config(config: Any) -> bool:
    """Whether a configuration is written as in Keras 1 and 2, and by Keras 3 in an ``.h5``."""
    return isinstance(config, dict) and "module" not in config


def updated_config(config: dict[str, Any], file_name: str) -> tuple[dict[str, Any], list[str]]:
    """A model's configuration as Keras 3 reads it, and what was changed.

    Raises:
        PersistenceError: Something in it has no equivalent in Keras 3.
    """
    updated = copy.deepcopy(config)
    if updated.get("class_name") == "Model":
        updated["class_name"] = "Functional"
    if isinstance(updated.get("config"), list):  # Sequential before Keras 2.2
        updated["config"] = {"name": "sequential", "layers": updated["config"]}
    updater = _ConfigUpdater(file_name)
    updater.update(updated)
    return updated, list(updater.notes)


class _ConfigUpdater:
    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.notes: dict[str, None] = {}

    def update(self, part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                self.update(item)
        elif isinstance(part, dict):
            if isinstance(part.get("class_name"), str) and isinstance(part.get("config"), dict):
                self._update_object(part, part["class_name"], part["config"])
            for value in part.values():
                self.update(value)

    def _update_object(self, part: dict[str, Any], kind: str, config: dict[str, Any]) -> None:
        layer = config.get("name", kind)
        _set_module(part, kind)
        if kind == "Sequential":
            _add_input_layer(config)
        if kind in ("Functional", "Model"):
            _update_functional(config)
        if hasattr(keras.initializers, kind):
            config.pop("dtype", None)
            return
        if kind == "Lambda":
            _update_lambda(config)
        if kind in _REMOVED and not hasattr(keras.layers, kind):
            raise PersistenceError(
                f"{self.file_name} was not loaded: its layer {layer} is a {kind}, which Keras 3 "
                "does not have.",
                _REMOVED[kind],
            )
        if kind in _SUCCESSORS and not hasattr(keras.layers, kind):
            successor, renamed, added = _SUCCESSORS[kind]
            self.notes[f"Layer {layer}: {kind} was replaced by {successor}."] = None
            config |= {new: config.pop(old) for old, new in renamed.items() if old in config}
            config |= added
            kind = part["class_name"] = successor
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and dtype.get("class_name") == "Policy":
            config["dtype"] = dtype.get("config", {}).get("name", "float32")
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
        self._remove_arguments(config, kind, layer, cls)

    def _remove_arguments(self, config: dict[str, Any], kind: str, layer: str, cls: type) -> None:
        for key in sorted(set(config) - _arguments_of(cls)):
            value = config[key]
            is_unused = key in _INFERRED or key in _UNUSED.get(kind, ())
            if is_unused or value in _DEFAULTS.get(key, ()):
                del config[key]
            elif key in _DEFAULTS:
                raise PersistenceError(
                    f"{self.file_name} was not loaded: its layer {layer} ({kind}) has "
                    f"{key}={value!r}, which Keras 3 does not have.",
                    "Load it with the Keras that wrote it, set the argument to its default and "
                    "save the model again; or build the model here and load the weights alone.",
                )


def _update_functional(config: dict[str, Any]) -> None:
    for key in ("input_layers", "output_layers"):
        ends = config.get(key)
        # Otherwise the model would return a list of one tensor.
        if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
            config[key] = ends[0]
    # Keras 3 writes tensors among the keyword arguments of calls as objects, not as plain lists.
    layers = [layer for layer in config.get("layers") or () if isinstance(layer, dict)]
    names = {layer.get("name") for layer in layers}

    def with_tensors(value: Any) -> Any:
        match value:
            case [str(name), int(), int()] if name in names:
                # Keras finds the tensor by its history and ignores shape and dtype.
                tensor = {"shape": [], "dtype": "float32", "keras_history": value}
                return {"class_name": "__keras_tensor__", "config": tensor}
            case list():
                return [with_tensors(item) for item in value]
        return value

    def updated_call(call: Any) -> Any:
        match call:
            case [[_, _, _, dict(kwargs)], *_]:
                updated = {name: with_tensors(value) for name, value in kwargs.items()}
                if updated == kwargs:
                    return call
                inputs = [with_tensors(tensor[:3]) for tensor in call]
                return {"args": inputs if len(inputs) == 1 else [inputs], "kwargs": updated}
        return call

    for layer in layers:
        if isinstance(layer.get("inbound_nodes"), list):
            layer["inbound_nodes"] = list(map(updated_call, layer["inbound_nodes"]))


def _update_lambda(config: dict[str, Any]) -> None:
    for key in ("module", "function_type", "output_shape_type", "output_shape_module"):
        config.pop(key, None)
    for key in ("function", "output_shape"):
        code = config.get(key)
        if isinstance(code, list) and code and isinstance(code[0], str):
            inner = dict(zip(("code", "defaults", "closure"), code, strict=False))
            config[key] = {"class_name": "__lambda__", "config": inner}


def _set_module(part: dict[str, Any], kind: str) -> None:
    """Set where a class of Keras is now; Keras 2 wrote its own modules, tf_keras's, or none."""
    package, dot, rest = str(part.get("module", "keras")).partition(".")
    if package not in ("keras", "tf_keras", "tensorflow"):
        return
    if kind == "Functional":
        part["module"] = "keras.src.models.functional"
    elif kind == "Sequential":
        part["module"], part["registered_name"] = "keras", None
    elif hasattr(keras.layers, kind):
        part["module"], part["registered_name"] = "keras.layers", None
    elif "module" in part:
        part["module"] = f"keras{dot}{rest}"


def _add_input_layer(sequential: dict[str, Any]) -> None:
    """Move the first layer's input shape into an input layer, where Keras 3 looks for it."""
    match sequential.get("layers"):
        case [{"config": dict(config)} as first, *_] if first.get("class_name") != "InputLayer":
            shape = config.get("batch_input_shape")
            if shape is None and isinstance(config.get("layer"), dict):  # of a wrapper
                shape = (config["layer"].get("config") or {}).get("batch_input_shape")
            if shape is not None:
                dtype = "int32" if first.get("class_name") == "Embedding" else "float32"
                own = {"batch_shape": shape, "dtype": dtype, "name": "input_layer"}
                sequential["layers"].insert(0, {"class_name": "InputLayer", "config": own})


def _arguments_of(cls: type) -> set[str]:
    names = {"name", "dtype", "trainable", "autocast", "activity_regularizer", "batch_shape"}
    for base in cls.__mro__[:-1]:
        if "__init__" in vars(base):
            names |= set(inspect.signature(vars(base)["__init__"]).parameters)
    return names - {"self", "args", "kwargs"}


# --- compiling ------------------------------------------------------------------------------------

_OMITTED = ("decay", "jit_compile", "is_legacy_optimizer", "momentum")
"""Arguments of optimizers in Keras 2 that change nothing when they are left out."""
_METRIC_NAMES = ("accuracy", "acc", "crossentropy", "ce")


class _MissingObjectError(Exception):
    """The name of a loss, metric or optimizer in the file that is not defined."""


def compile_as_saved(
    model: Any, config: Mapping[str, Any] | None, objects: Mapping[str, Any]
) -> list[str]:
    """Compile a model as its file's ``training_config`` or ``compile_config`` says.

    Returns:
        What differs from the file. If something is missing, the model is not compiled, and the
        note says why.
    """
    if config is None:
        return []
    notes: list[str] = []
    try:
        with keras.saving.custom_object_scope(dict(objects)):
            arguments = {
                "optimizer": _optimizer(
                    config.get("optimizer_config", config.get("optimizer")), notes
                ),
                "loss": _mapped(config.get("loss"), partial(_loss_or_metric, keras.losses)),
                "loss_weights": config.get("loss_weights") or None,
            }
            for key in ("metrics", "weighted_metrics"):
                metrics = _mapped(config.get(key), _metric)
                # Keras 2 nests the metrics of a model with one output in a second list.
                match metrics:
                    case [[*inner]]:
                        metrics = inner
                arguments[key] = metrics
            if config.get("sample_weight_mode"):
                notes.append(
                    "The setting sample_weight_mode was left out: Keras 3 does not have it."
                )
            model.compile(**{key: value for key, value in arguments.items() if value is not None})
    except _MissingObjectError as error:
        return [not_compiled_note([str(error)])]
    except Exception as error:  # noqa: BLE001 - whatever is in an old file: the model is loaded
        reason = first_line(error, 160)
        return [f"Not compiled: Keras 3 rejects the settings in the file: {reason}."]
    return notes


def _optimizer(config: Any, notes: list[str]) -> Any:
    config = {"class_name": config} if isinstance(config, str) else config
    if not isinstance(config, dict):
        raise TypeError("the file does not name the optimizer")
    given = dict(config.get("config") or {})
    name = str(config.get("class_name", ""))
    if keras.saving.get_registered_object(name) is None:
        name = name.removeprefix("Custom>")  # some releases of Keras 2 wrote their own like this
    by_lower_name = {known.lower(): value for known, value in vars(keras.optimizers).items()}
    by_name = getattr(keras.optimizers, name, None) or by_lower_name.get(name.lower())
    cls = keras.saving.get_registered_object(name) or by_name
    if not isinstance(cls, type):
        raise _MissingObjectError(name)
    if "inner_optimizer" in given:
        given["inner_optimizer"] = _optimizer(given["inner_optimizer"], notes)
    if "lr" in given:
        given.setdefault("learning_rate", given.pop("lr"))
    schedules = keras.optimizers.schedules
    rate = given.get("learning_rate")
    if isinstance(rate, dict):
        rate = given["learning_rate"] = schedules.deserialize(rate)
    decay = given.pop("decay", None)
    if decay and not isinstance(rate, schedules.LearningRateSchedule):
        given["learning_rate"] = schedules.InverseTimeDecay(
            0.001 if rate is None else rate, decay_steps=1, decay_rate=decay
        )
        notes.append(
            f"The optimizer's decay={decay:g} was replaced by the schedule InverseTimeDecay."
        )
    if given.get("epsilon", 0) is None:
        del given["epsilon"]
    known = {*inspect.signature(cls).parameters, "name"}
    known |= {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
    for key in sorted(set(given) - known):
        value = given.pop(key)
        if key not in _OMITTED:
            notes.append(
                f"The setting {key}={value!r} of {name} was left out: Keras 3 does not have it."
            )
    return cls(**given)


def _mapped(config: Any, read: Callable[[Any], Any]) -> Any:
    """Losses or metrics in nested lists and dictionaries, each read from its configuration."""
    if config is None:
        return None
    if isinstance(config, str) or (isinstance(config, dict) and "class_name" in config):
        return read(config)
    if isinstance(config, dict):
        return {key: _mapped(value, read) for key, value in config.items()}
    return [_mapped(value, read) for value in config]


def _metric(config: Any) -> Any:
    if config in _METRIC_NAMES:
        return config
    if isinstance(config, dict) and config.get("class_name") == "MeanMetricWrapper":
        inner = config.get("config") or {}
        if inner.get("name") in _METRIC_NAMES:  # Keras chooses the accuracy by the outputs
            return inner["name"]
        config = inner.get("fn")
    return _loss_or_metric(keras.metrics, config)


def _loss_or_metric(module: Any, config: Any) -> Any:
    if isinstance(config, dict) and isinstance(config.get("config"), str):  # a function
        config = config["config"]
    if isinstance(config, str):
        try:
            return keras.saving.get_registered_object(config) or (module.get(config) and config)
        except (ValueError, TypeError) as error:
            raise _MissingObjectError(config) from error
    inner = dict(config.get("config") or {})
    if inner.get("reduction") in ("auto", "AUTO"):
        inner["reduction"] = "sum_over_batch_size"
    if isinstance(inner.get("fn"), str):
        del inner["fn"]
    try:
        value = module.deserialize({**config, "config": inner})
    except (ValueError, TypeError) as error:
        raise _MissingObjectError(str(config.get("class_name"))) from error
    if isinstance(value, str):
        raise _MissingObjectError(value)
    return value
