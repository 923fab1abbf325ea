"""The words of the language: how Keras's names are written here, and the short ones.

A layer's word is its class's name in snake_case. ``vocabulary.toml`` contains only what that rule
does not give: short aliases, old spellings and where old arguments went. A test compares every
entry with the installed Keras.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from importlib.resources import files

_POOLING = {
    "avgpool": "AveragePooling",
    "gap": "GlobalAveragePooling",
    "gmp": "GlobalMaxPooling",
    "maxpool": "MaxPooling",
}
"""Words that stand for the class for images, and with 1d, 2d or 3d for one of the three."""

_DATA: dict[str, dict[str, str]] = tomllib.loads(
    files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8")
)
ALIASES = _DATA["aliases"] | {
    f"{word}{rank}": f"{name}{rank.upper() or '2D'}"
    for word, name in {**_POOLING, "upsample": "UpSampling"}.items()
    for rank in ("", "1d", "2d", "3d")
}
PREFERRED = _DATA["preferred"] | {
    f"{name}{rank.upper() or '2D'}": f"{word}{rank}"
    for word, name in _POOLING.items()
    for rank in ("1d", "", "3d")
}
"""The word that is written for a class, where it is not the class's own in snake_case."""
RENAMED_ARGUMENTS, REMOVED_ARGUMENTS = _DATA["renamed_arguments"], _DATA["removed_arguments"]
CALL_ARGUMENTS = _DATA["call_arguments"]
"""Arguments of the calls of Keras's layers, each with an example of its value."""
OTHER_LAYER_NAMES, OTHER_LOSS_NAMES = _DATA["other_layers"], _DATA["other_losses"]
REMOVED_LAYERS = _DATA["removed_layers"]

CONSTANT_FUNCTIONS = frozenset(
    f"ops.{name}" for name in ("arange", "empty", "eye", "full", "identity", "ones", "tri", "zeros")
)
"""Functions that make an array from numbers: such a line does not take the output above."""


def old_argument_remedy(name: str, params: Collection[str]) -> str:
    """What to write for an argument of Keras 1 or 2; "" for any other.

    Args:
        name: The argument.
        params: Names of the arguments that exist, in order.

    Example:
        >>> old_argument_remedy("p", ["rate", "seed"]), old_argument_remedy("p", ["units"])
        ('It is called rate in Keras 3. As the first argument, it needs no name: dropout 0.5.', '')
    """
    new = RENAMED_ARGUMENTS.get(name)
    if new is None or new not in params:
        return REMOVED_ARGUMENTS.get(name, "")
    remedy = f"It is called {new} in Keras 3."
    if new != next(iter(params)):
        return remedy
    example = {"learning_rate": ": adam(1e-3)", "rate": ": dropout 0.5"}.get(new, "")
    return f"{remedy} As the first argument, it needs no name{example}."


def snake_case(name: str) -> str:
    """A class's name as a word.

    Example:
        >>> [snake_case(name) for name in ("Conv2D", "MaxPooling2D", "LSTMCell", "AUC", "MeanIoU")]
        ['conv2d', 'max_pooling2d', 'lstm_cell', 'auc', 'mean_iou']
    """
    for odd in ("AdamW", "DType", "IoU"):
        name = name.replace(odd, odd.title())
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", name)
    name = re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_(\d)_?d\b", r"\1d", name.lower())
