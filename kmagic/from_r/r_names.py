"""R's names of Keras's things, by mechanism: ``layer_conv_2d`` and ``Conv2D`` are one."""

from __future__ import annotations

import re
from typing import Any

from kmagic.language.vocabulary import REMOVED_LAYERS, snake_case
from kmagic.models.catalogue import (
    OBJECT_ROLES,
    Role,
    accepts_string,
    find_object,
    members,
    normalize_word,
)
from kmagic.support.suggestions import did_you_mean

_PREFIXES: tuple[tuple[str, Role], ...] = (
    ("layer_activation_", "layer"),
    ("layer_", "layer"),
    ("learning_rate_schedule_", "schedule"),
    ("optimizer_", "optimizer"),
    ("loss_", "loss"),
    ("metric_", "metric"),
    ("regularizer_", "regularizer"),
    ("initializer_", "initializer"),
    ("constraint_", "constraint"),
    ("activation_", "activation"),
)
_WRAPPERS = ("bidirectional", "time_distributed")
_OTHERWISE = {
    "parametric_relu": "prelu",
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "mean_iou": "mean_io_u",
}
"""R's words that are not Keras 3's, in snake_case."""


def role_of(name: str) -> tuple[Role, str] | None:
    """What R keras's prefix says of a function, and the rest of its name."""
    for prefix, role in _PREFIXES:
        if name.startswith(prefix) and len(name) > len(prefix):
            rest = name.removeprefix(prefix)
            return role, _OTHERWISE.get(rest, rest)
    return None


def word_of(name: str) -> str:
    """A function's name as a word of the language, whether Keras has it or not.

    Example:
        >>> [word_of(name) for name in ("layer_conv_2d", "Conv2D", "optimizer_adam", "relu")]
        ['conv2d', 'conv2d', 'adam', 'relu']
    """
    known = role_of(name)
    word = snake_case(known[1] if known else name)
    word = re.sub(r"_(\d)_?d\b", r"\1d", word)
    return _OTHERWISE.get(word, word)


def meaning(name: str, role: Role) -> Any | None:
    """The class or function of Keras's that a name stands for in a place of this role."""
    known = role_of(name)
    if known is None:
        return find_object(role, _OTHERWISE.get(name, name))
    return find_object(role, known[1]) if known[0] == role or role == "any" else None


def is_keras(name: str) -> bool:
    """Whether a function's name is one of Keras's, in R keras's spelling or in kerasR's."""
    if role_of(name) is not None or name in _WRAPPERS:
        return True
    return any(name in members(role) for role in OBJECT_ROLES) or dropped(name) != ""


def is_layer(name: str) -> bool:
    """Whether a name is that of a layer, of Keras 3's or of one that it has dropped."""
    known = role_of(name)
    if known is not None:
        return known[0] == "layer"
    return name in members("layer") or name in _WRAPPERS or dropped(name) != ""


def dropped(name: str) -> str:
    """What takes the place of a layer that Keras 3 does not have any more, or ""."""
    word = normalize_word(word_of(name))
    return next((said for old, said in REMOVED_LAYERS.items() if normalize_word(old) == word), "")


def nearest_layer(name: str) -> str:
    """A question that names the layer whose name is most like this, in the same spelling."""
    if role_of(name) is None:
        return did_you_mean(name, members("layer"))
    return did_you_mean(name, [_r_name(each) for each in members("layer")])


def _r_name(layer: str) -> str:
    word = re.sub(r"(\d)d\b", r"_\1d", snake_case(layer))
    return f"layer_{re.sub('_+', '_', word)}"


def string_for(text: str, role: Role) -> str:
    """A string in a place of this role as a word that Keras takes, or "" if it takes none."""
    word = _OTHERWISE.get(text, text)
    return word if find_object(role, word) is not None or accepts_string(role, word) else ""
