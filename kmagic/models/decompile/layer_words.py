"""A layer to its word and the arguments that make it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from kmagic.language.spec import Arg, Expr, LiteralValue, Value, Word
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import Unwritable, text_value
from kmagic.models.decompile.configs import invented
from kmagic.models.decompile.shortest_arguments import Arguments, surface


@dataclass(slots=True)
class Words:
    """What is written for a layer or function, left of the arrow.

    Attributes:
        callee: Its word, or the notebook's name for it.
        owner: The class or function whose signature gives the arguments their places.
        values: Arguments by parameter, without the name.
        name: The layer's own name; "" where Keras invented it.
    """

    callee: Word | Expr
    owner: Any
    values: dict[str, Value] = field(default_factory=dict)
    name: str = ""

    def args(self) -> tuple[Arg, ...]:
        """The arguments as they are written."""
        return surface(self.owner, self.values)


class Layers:
    """Writes layers; what they need from the notebook gathers in the writer."""

    def __init__(self) -> None:
        self.arguments = Arguments()
        self.writer = self.arguments.writer

    def words(self, layer: Any) -> Words:
        """What is written for a layer.

        Raises:
            Unwritable: No text makes this layer.
        """
        self.writer.live |= live_names(layer)
        cls: Any = type(layer)
        if _is_input(layer):
            return self._input(layer)
        if cls.__name__ == "Lambda":
            return self._lambda(layer)
        config = _config(layer)
        given = self.arguments.needed(cls, config)
        values = {
            param.name: self.arguments.value(param, given[param.name])
            for param in catalogue.parameters(cls)
            if param.name in given
        }
        if not getattr(layer, "autocast", True):
            made = self.arguments.remade(cls, given, layer.name)
            if getattr(made, "autocast", False):
                values["autocast"] = LiteralValue(False)
        return Words(self.writer.callee_for(cls, "layer"), cls, values, own_name(layer))

    def _input(self, layer: Any) -> Words:
        import keras  # noqa: PLC0415 - a model is here, so Keras is

        batch, *shape = layer.batch_shape
        given: dict[str, Any] = {"shape": tuple(shape)}
        if batch is not None:
            given["batch_size"] = batch
        if layer.dtype != keras.config.floatx():
            given["dtype"] = layer.dtype
        for flag in ("sparse", "ragged", "optional"):
            if getattr(layer, flag, False):
                given[flag] = True
        params = {each.name: each for each in catalogue.parameters(keras.Input)}
        values = {name: self.arguments.value(params[name], given[name]) for name in given}
        return Words(Word("input"), keras.Input, values, own_name(layer))

    def _lambda(self, layer: Any) -> Words:
        values: dict[str, Value] = {"function": self.writer.value(layer.function)}
        shape, mask = layer._output_shape, layer.mask  # noqa: SLF001 - Keras keeps it under no other name
        if shape is not None:
            values["output_shape"] = self.writer.value(shape)
        if mask is not None:
            values["mask"] = self.writer.value(mask)
        if layer.arguments:
            values["arguments"] = self.writer.value(dict(layer.arguments))
        if layer.dtype_policy.name != _default_dtype():
            values["dtype"] = text_value(layer.dtype_policy.name, "dtype")
        if layer.activity_regularizer is not None:
            values["activity_regularizer"] = self.writer.value(
                layer.activity_regularizer, "regularizer"
            )
        for flag in ("trainable", "autocast"):
            if not getattr(layer, flag):
                values[flag] = LiteralValue(False)
        return Words(Word("lambda"), type(layer), values, own_name(layer))


def own_name(layer: Any) -> str:
    """A layer's name, or "" where Keras invented it."""
    return "" if invented(layer.name, type(layer).__name__) else str(layer.name)


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer" and type(layer).__module__.startswith("keras.")


def _default_dtype() -> str:
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    return str(keras.config.dtype_policy().name)


def _config(layer: Any) -> dict[str, Any]:
    """A layer's config, with the vocabulary that it has learned from data."""
    try:
        config = dict(layer.get_config())
    except NotImplementedError:
        raise Unwritable(
            f"{type(layer).__name__} has no get_config, so its arguments are unknown"
        ) from None
    except (TypeError, ValueError) as error:
        raise Unwritable(f"its config cannot be told: {error}") from None
    if "vocabulary" in config and hasattr(layer, "get_vocabulary"):
        _learned_vocabulary(layer, config)
    if getattr(layer, "built", False):
        _forget_building(layer, config)
    if config.get("bin_boundaries") is not None and config.get("num_bins") is not None:
        config["num_bins"] = None
    return config


def _forget_building(layer: Any, config: dict[str, Any]) -> None:
    """Take back what building a layer writes into its config in the place of a default."""
    axis = config.get("axis")
    if type(layer).__name__ == "LayerNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if type(layer).__name__ == "MultiHeadAttention":
        shapes = (layer.get_build_config() or {}).get("shapes_dict", {})
        axes = tuple(range(1, len(shapes.get("query_shape") or ()) - 1))
        if tuple(config.get("attention_axes") or ()) == axes:
            config["attention_axes"] = None


def _learned_vocabulary(layer: Any, config: dict[str, Any]) -> None:
    if config["vocabulary"] is not None:
        return
    lookup = getattr(layer, "_lookup_layer", layer)
    if not lookup.vocabulary_size() or not _has_tokens(layer):
        return
    words = layer.get_vocabulary(include_special_tokens=False)
    config["vocabulary"] = [_plain_token(each) for each in words]
    if config.get("output_mode") == "tf_idf":
        config["idf_weights"] = lookup.idf_weights_const.numpy().tolist()


def _has_tokens(layer: Any) -> bool:
    return len(layer.get_vocabulary(include_special_tokens=False)) > 0


def _plain_token(token: Any) -> Any:
    return token.item() if hasattr(token, "item") else token


def live_names(layer: Any) -> dict[str, Any]:
    """Classes and functions that a layer holds, by name: Keras's configs tell only the names."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    pending = [layer]
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if inspect.isfunction(each) or inspect.isclass(each):
            found.setdefault(each.__name__, each)
            continue
        module = type(each).__module__.split(".")[0]
        if module in ("builtins", "numpy", "tensorflow"):
            continue
        found.setdefault(type(each).__name__, type(each))
        held = list(vars(each).values()) if hasattr(each, "__dict__") else []
        held += list(getattr(each, "_layers", None) or ())
        pending += [
            item
            for item in held
            if inspect.isfunction(item) or (hasattr(item, "get_config") and not _is_model(item))
        ]
    return {
        name: value
        for name, value in found.items()
        if not (value.__module__ or "").startswith("keras.")
    }


def _is_model(value: Any) -> bool:
    return hasattr(value, "layers") and hasattr(value, "get_compile_config")
