"""How a model was compiled, as the arguments of a ``compile`` line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.language.spec import Arg, SequenceValue
from kmagic.models import catalogue
from kmagic.models.decompile.config_values import UNSEEN
from kmagic.models.decompile.layer_words import Layers, live_names

_LISTS = frozenset({"metrics", "weighted_metrics"})


def compile_args(model: Any, layers: Layers) -> tuple[Arg, ...] | None:
    """The arguments of the line that compiles a model alike; None if it is not compiled.

    Raises:
        Unwritable: Something it was compiled with has no words.
    """
    if not getattr(model, "compiled", False):
        return None
    config = dict(model.get_compile_config())
    if not config:
        return None
    for held in (model.optimizer, getattr(model, "loss", None), *_user_metrics(model)):
        layers.writer.live |= live_names(held)
    if config.get("jit_compile") == _automatic_jit(model):
        del config["jit_compile"]
    _restore(config, model)
    args: list[Arg] = []
    for param in catalogue.parameters(type(model).compile):
        if param.name not in config or config[param.name] in (None, param.default):
            continue
        value = layers.writer.value(config[param.name], param.role)
        if param.name in _LISTS and isinstance(value, SequenceValue) and len(value.items) == 1:
            value = value.items[0]
        args.append(Arg(value, None if param.name == "optimizer" else param.name))
    return tuple(args)


def _user_metrics(model: Any) -> list[Any]:
    held = getattr(model, "_compile_metrics", None)
    names = ("_user_metrics", "_user_weighted_metrics")
    return [getattr(held, name, None) for name in names]


def _automatic_jit(model: Any) -> Any:
    """What Keras chooses by itself on this machine."""
    resolve = getattr(model, "_resolve_auto_jit_compile", None)
    return resolve() if resolve else None


def _restore(config: dict[str, Any], model: Any) -> None:
    """Put back what configs of losses leave out: the arguments of the functions they wrap."""
    loss = getattr(model, "loss", None)
    if hasattr(loss, "get_config"):
        config["loss"] = _with_function_arguments(config["loss"], loss)
    elif isinstance(loss, Mapping) and isinstance(config["loss"], Mapping):
        config["loss"] = {
            key: _with_function_arguments(config["loss"][key], each) for key, each in loss.items()
        }
    elif isinstance(loss, list | tuple):
        config["loss"] = [
            _with_function_arguments(one, each)
            for one, each in zip(config["loss"], loss, strict=True)
        ]


def _with_function_arguments(config: Any, found: Any) -> Any:
    kwargs = getattr(found, "_fn_kwargs", None)
    if not kwargs or not isinstance(config, Mapping) or not hasattr(found, "get_config"):
        return config
    return {**config, UNSEEN: dict(kwargs)}
