"""Keras's global settings that shape a model: dtype policy, float type, image data format.

A model's text and program have to build the same model in a process that does not have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kmagic.support.errors import KmagicError
from kmagic.support.keras_import import keras

DEFAULTS = {"floatx": "float32", "dtype_policy": "float32", "image_data_format": "channels_last"}
"""Those of Keras; each has a function ``keras.config.set_...``."""


def changed_settings() -> dict[str, str]:
    """The settings that differ from Keras's defaults now, by name.

    Example:
        >>> changed_settings()
        {}
    """
    current = {
        "floatx": keras.config.floatx(),
        "dtype_policy": keras.config.dtype_policy().name,
        "image_data_format": keras.config.image_data_format(),
    }
    return {name: value for name, value in current.items() if value != DEFAULTS[name]}


def apply_settings(settings: Mapping[str, str]) -> None:
    """Make the settings of another process those of this one."""
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)


def settings_code(settings: Mapping[str, str]) -> str:
    """The lines of a program that make settings.

    Raises:
        KmagicError: The dtype policy cannot be made from its name.

    Example:
        >>> print(settings_code({"dtype_policy": "mixed_float16"}), end="")
        keras.config.set_dtype_policy("mixed_float16")
    """
    policy = settings.get("dtype_policy", "float32")
    try:
        keras.dtype_policies.get(policy)
    except ValueError:
        raise KmagicError(
            f"The model was built with the global dtype policy {policy}, which has no name that a "
            "program could set.",
            "Write the dtype of each layer in its line, as in `dense 3 dtype=mixed_float16`.",
        ) from None
    return "".join(f'keras.config.set_{name}("{value}")\n' for name, value in settings.items())


def settings_note(settings: Mapping[str, Any]) -> str:
    """A sentence for a model's card; "" without settings.

    Example:
        >>> settings_note({"dtype_policy": "mixed_float16"})
        'Built with the global setting dtype_policy mixed_float16.'
    """
    if not settings:
        return ""
    noun = "setting" if len(settings) == 1 else "settings"
    values = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"Built with the global {noun} {values}."
