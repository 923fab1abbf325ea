"""Layers, and how a model is compiled, as words and arguments of the language."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from kmagic.language.spec import Arg, CompileSpec, Expr, LiteralValue, SequenceValue, Value, Word
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import (
    LOST_ARGUMENTS,
    UnwritableError,
    is_default_name,
    text_value,
)
from kmagic.models.decompile.shortest_arguments import ArgumentWriter
from kmagic.models.keras_history import is_input_layer, is_model, sublayers

_METRIC_LISTS = frozenset({"metrics", "weighted_metrics"})


@dataclass(slots=True)
class WrittenLayer:
    """A layer as the text has it, without its inputs.

    Attributes:
        callee: Its word, or its class's name in the notebook.
        owner: The class or function whose signature orders the arguments.
        values: Arguments by parameter, without the name.
        name: The layer's own name; "" if Keras generated it.
    """

    callee: Word | Expr
    owner: Any
    values: dict[str, Value] = field(default_factory=dict)
    name: str = ""


class LayerWriter(ArgumentWriter):
    """Writes layers and compile lines."""

    def layer(self, layer: Any) -> WrittenLayer:
        """A layer as the text has it.

        Raises:
            UnwritableError: No text makes this layer.
        """
        self.known |= user_objects(layer)
        cls: Any = type(layer)
        if is_input_layer(layer):
            return self._input(layer)
        if cls is keras.layers.Lambda:
            return self._lambda(layer)
        given = self.required_arguments(cls, _config(layer))
        values = self.parameter_values(cls, given)
        if not getattr(layer, "autocast", True):
            remade = self.remake(cls, given, layer.name)
            if getattr(remade, "autocast", False):
                values["autocast"] = LiteralValue(False)
        return WrittenLayer(self.callee(cls, "layer"), cls, values, own_name(layer))

    def _input(self, layer: Any) -> WrittenLayer:
        batch_size, *shape = layer.batch_shape
        given: dict[str, Any] = {"shape": tuple(shape)}
        if batch_size is not None:
            given["batch_size"] = batch_size
        if layer.dtype != keras.config.floatx():
            given["dtype"] = layer.dtype
        given |= {
            flag: True for flag in ("sparse", "ragged", "optional") if getattr(layer, flag, False)
        }
        values = self.parameter_values(keras.Input, given)
        return WrittenLayer(Word("input"), keras.Input, values, own_name(layer))

    def _lambda(self, layer: Any) -> WrittenLayer:
        values: dict[str, Value] = {"function": self.value(layer.function)}
        shape = layer._output_shape  # noqa: SLF001 - Keras has no other attribute for it
        if shape is not None:
            values["output_shape"] = self.value(shape)
        if layer.mask is not None:
            values["mask"] = self.value(layer.mask)
        if layer.arguments:
            values["arguments"] = self.value(dict(layer.arguments))
        if layer.dtype_policy.name != keras.config.dtype_policy().name:
            values["dtype"] = text_value(layer.dtype_policy.name, "dtype")
        if layer.activity_regularizer is not None:
            values["activity_regularizer"] = self.value(layer.activity_regularizer, "regularizer")
        values |= {
            flag: LiteralValue(False)
            for flag in ("trainable", "autocast")
            if not getattr(layer, flag)
        }
        return WrittenLayer(Word("lambda"), type(layer), values, own_name(layer))

    def compile_line(self, model: Any) -> CompileSpec | None:
        """The line that compiles a model in the same way; None if it is not compiled.

        Raises:
            UnwritableError: Something it was compiled with cannot be written.
        """
        config = dict(model.get_compile_config() or {}) if model.compiled else {}
        if not config:
            return None
        metrics = getattr(model, "_compile_metrics", None)
        names = ("_user_metrics", "_user_weighted_metrics")
        loss = getattr(model, "loss", None)
        for part in (model.optimizer, loss, *(getattr(metrics, name, None) for name in names)):
            self.known |= user_objects(part)
        resolve_jit = getattr(model, "_resolve_auto_jit_compile", None)
        if config.get("jit_compile") == (resolve_jit() if resolve_jit else None):
            del config["jit_compile"]
        config["loss"] = _with_lost_arguments(config.get("loss"), loss)
        args: list[Arg] = []
        for param in catalogue.parameters(type(model).compile):
            if config.get(param.name) in (None, param.default):
                continue
            value = self.value(config[param.name], param.role)
            if (
                param.name in _METRIC_LISTS
                and isinstance(value, SequenceValue)
                and len(value.items) == 1
            ):
                value = value.items[0]
            args.append(Arg(value, None if param.name == "optimizer" else param.name))
        return CompileSpec(tuple(args))


def own_name(layer: Any) -> str:
    """A layer's name, or "" if Keras generated it."""
    return "" if is_default_name(layer.name, type(layer).__name__) else str(layer.name)


def user_objects(layer: Any) -> dict[str, Any]:
    """The classes and functions in a layer that are not Keras's, by name."""
    objects: dict[str, Any] = {}
    seen: set[int] = set()
    pending = [layer]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if inspect.isfunction(value) or inspect.isclass(value):
            objects.setdefault(value.__name__, value)
            continue
        if type(value).__module__.split(".")[0] in ("builtins", "numpy", "tensorflow"):
            continue
        objects.setdefault(type(value).__name__, type(value))
        parts = list(vars(value).values()) if hasattr(value, "__dict__") else []
        parts += sublayers(value)
        pending += [
            part
            for part in parts
            if inspect.isfunction(part) or (hasattr(part, "get_config") and not is_model(part))
        ]
    return {
        name: value
        for name, value in objects.items()
        if not (value.__module__ or "").startswith("keras.")
    }


# --- configs --------------------------------------------------------------------------------------


def _config(layer: Any) -> dict[str, Any]:
    """A layer's config, with its learned vocabulary and without what building it added."""
    try:
        config = dict(layer.get_config())
    except NotImplementedError:
        raise UnwritableError(
            f"{type(layer).__name__} has no get_config, so its arguments are unknown"
        ) from None
    except (TypeError, ValueError) as error:
        raise UnwritableError(f"its get_config fails: {error}") from None
    if config.get("vocabulary", "") is None and hasattr(layer, "get_vocabulary"):
        _add_vocabulary(layer, config)
    if getattr(layer, "built", False):
        _undo_building(layer, config)
    if config.get("bin_boundaries") is not None and config.get("num_bins") is not None:
        config["num_bins"] = None
    return config


def _add_vocabulary(layer: Any, config: dict[str, Any]) -> None:
    lookup = getattr(layer, "_lookup_layer", layer)
    tokens = layer.get_vocabulary(include_special_tokens=False) if lookup.vocabulary_size() else ()
    if len(tokens):
        config["vocabulary"] = [
            token.item() if hasattr(token, "item") else token for token in tokens
        ]
        if config.get("output_mode") == "tf_idf":
            config["idf_weights"] = lookup.idf_weights_const.numpy().tolist()


def _undo_building(layer: Any, config: dict[str, Any]) -> None:
    axis = config.get("axis")
    if type(layer) is keras.layers.LayerNormalization and isinstance(axis, list):
        config["axis"] = axis[0] if len(axis) == 1 else axis
    if type(layer) is keras.layers.MultiHeadAttention:
        shapes = (layer.get_build_config() or {}).get("shapes_dict", {})
        default_axes = tuple(range(1, len(shapes.get("query_shape") or ()) - 1))
        if tuple(config.get("attention_axes") or ()) == default_axes:
            config["attention_axes"] = None


def _with_lost_arguments(config: Any, loss: Any) -> Any:
    """A loss's config with the arguments of the function it wraps, which Keras leaves out."""
    if hasattr(loss, "get_config"):
        arguments = dict(getattr(loss, "_fn_kwargs", None) or {})
        has_both = arguments and isinstance(config, Mapping)
        return {**config, LOST_ARGUMENTS: arguments} if has_both else config
    if isinstance(loss, Mapping) and isinstance(config, Mapping):
        return {key: _with_lost_arguments(config[key], part) for key, part in loss.items()}
    if isinstance(loss, list | tuple):
        return [_with_lost_arguments(*pair) for pair in zip(config, loss, strict=True)]
    return config
