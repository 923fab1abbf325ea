"""Compiling a model out of an old file as it was, from what the file says in its own old words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_LISTS = ("metrics", "weighted_metrics")
_OLD_RATES = {"lr": "learning_rate"}
# What Keras 2 wrote for its own bookkeeping, and what means the same in Keras 3 as to say nothing.
_EMPTY = {"decay": 0.0, "jit_compile": None, "is_legacy_optimizer": None, "momentum": None}
_AS_WORDS = ("accuracy", "acc", "crossentropy", "ce")


def compile_as_saved(
    model: Any, config: Mapping[str, Any] | None, objects: Mapping[str, Any]
) -> list[str]:
    """Compile a model as the file says.

    Args:
        model: The model, loaded without compiling.
        config: The file's ``training_config`` or ``compile_config``, or None.
        objects: Classes and functions by name.

    Returns:
        What became otherwise than it was, in words. Where something is not here, the model is left
        uncompiled, and the words say why.
    """
    if config is None:
        return []
    import keras  # noqa: PLC0415 - takes seconds

    notes: list[str] = []
    try:
        with keras.saving.custom_object_scope(dict(objects)):
            optimizer = _optimizer(config.get("optimizer_config", config.get("optimizer")), notes)
            arguments = {
                "optimizer": optimizer,
                "loss": _read(config.get("loss"), _one_loss),
                "loss_weights": config.get("loss_weights") or None,
            }
            for name in _LISTS:
                arguments[name] = _flat(_read(config.get(name), _one_metric))
            if config.get("sample_weight_mode"):
                notes.append("sample_weight_mode is no longer in Keras and left out")
            model.compile(**{key: each for key, each in arguments.items() if each is not None})
    except _MissingError as error:
        return [f"not compiled: {error}. Compile it: %keras_compile"]
    except Exception as error:  # noqa: BLE001 - whatever an old file holds, the model is loaded
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else repr(error)
        return [f"not compiled, since Keras 3 refuses what the file says: {reason}"]
    return notes


class _MissingError(Exception):
    """The file names a loss, metric or optimizer that is not here."""


def _optimizer(config: Any, notes: list[str]) -> Any:
    import keras  # noqa: PLC0415 - takes seconds

    config = {"class_name": config} if isinstance(config, str) else config
    if not isinstance(config, dict):
        raise _MissingError("the file does not say its optimizer")
    given = dict(config.get("config") or {})
    name = str(config.get("class_name", ""))
    if keras.saving.get_registered_object(name) is None:
        name = name.removeprefix("Custom>")  # so some releases of Keras 2 wrote their own
    cls = keras.saving.get_registered_object(name) or getattr(keras.optimizers, name, None)
    if cls is None:
        found = {each.lower(): each for each in dir(keras.optimizers)}.get(name.lower())
        cls = getattr(keras.optimizers, found) if found else None
    if not isinstance(cls, type):
        raise _MissingError(f"its optimizer {name} is not here")
    for old, new in _OLD_RATES.items():
        if old in given:
            given.setdefault(new, given.pop(old))
    rate = given.get("learning_rate")
    if isinstance(rate, dict):
        given["learning_rate"] = keras.optimizers.schedules.deserialize(rate)
    decay = given.pop("decay", None)
    if decay and not isinstance(
        given.get("learning_rate"), keras.optimizers.schedules.LearningRateSchedule
    ):
        given["learning_rate"] = keras.optimizers.schedules.InverseTimeDecay(
            given.get("learning_rate", 0.001), decay_steps=1, decay_rate=decay
        )
        notes.append(f"decay={decay:g} of the optimizer is an InverseTimeDecay of its rate now")
    if given.get("epsilon", 0) is None:
        given.pop("epsilon")
    known = set(inspect.signature(cls).parameters)
    takes = known | {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "name"}
    for key in sorted(set(given) - takes):
        value = given.pop(key)
        if key not in _EMPTY:
            notes.append(f"{key}={value!r} of {name} is no longer in Keras and left out")
    return cls(**given)


def _read(config: Any, one: Callable[[Any], Any]) -> Any:
    """Losses or metrics of any nesting; each is a word or an object's configuration."""
    if config is None:
        return None
    if isinstance(config, str) or (isinstance(config, dict) and "class_name" in config):
        return one(config)
    if isinstance(config, dict):
        return {key: _read(value, one) for key, value in config.items()}
    return [_read(value, one) for value in config]


def _one_loss(config: Any) -> Any:
    import keras  # noqa: PLC0415 - takes seconds

    return _one(config, keras.losses, "loss")


def _one_metric(config: Any) -> Any:
    import keras  # noqa: PLC0415 - takes seconds

    if config in _AS_WORDS:
        return config
    if isinstance(config, dict) and config.get("class_name") == "MeanMetricWrapper":
        inner = config.get("config") or {}
        word = inner.get("name")
        if word in _AS_WORDS:  # Keras finds by the outputs which accuracy it is
            return word
        return _one(inner.get("fn"), keras.metrics, "metric")
    return _one(config, keras.metrics, "metric")


def _one(config: Any, module: Any, what: str) -> Any:
    import keras  # noqa: PLC0415 - takes seconds

    if isinstance(config, str):
        held = keras.saving.get_registered_object(config)
        if held is not None:
            return held
        try:
            module.get(config)
        except (ValueError, TypeError) as error:
            raise _MissingError(f"its {what} {config} is not here") from error
        return config
    config = dict(config)
    inner = dict(config.get("config") or {})
    if inner.get("reduction") in ("auto", "AUTO"):
        inner["reduction"] = "sum_over_batch_size"
    if isinstance(inner.get("fn"), str):
        inner.pop("fn")
    config["config"] = inner
    try:
        found = module.deserialize(config)
    except (ValueError, TypeError) as error:
        raise _MissingError(f"its {what} {config.get('class_name')} is not here") from error
    if isinstance(found, str):
        raise _MissingError(f"its {what} {found} is not here")
    return found


def _flat(metrics: Any) -> Any:
    """A list of one list is that list: so Keras 2 writes the metrics of a model of one output."""
    if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list):
        return metrics[0]
    return metrics
