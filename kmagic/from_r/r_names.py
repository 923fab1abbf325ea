"""R names of Keras objects by rule: ``layer_conv_2d`` and ``Conv2D`` are the same layer."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kmagic.from_r.r_parser import RMistake, TextRange
from kmagic.language.vocabulary import REMOVED_LAYERS, snake_case
from kmagic.models import catalogue
from kmagic.models.catalogue import Role, accepts_string, find_object, members, normalize_word
from kmagic.support.suggestions import did_you_mean

_PREFIXED: tuple[Role, ...] = (
    *("layer", "optimizer", "loss", "metric", "activation"),
    *catalogue.WEIGHT_ROLES,
)
_PREFIXES: dict[str, Role] = {
    "layer_activation_": "layer",
    "learning_rate_schedule_": "schedule",
    **{f"{role}_": role for role in _PREFIXED},
}
_WRAPPERS = ("bidirectional", "time_distributed")
_RENAMED = {
    "parametric_relu": "prelu",
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "mean_iou": "mean_io_u",
}
"""R's word in snake_case -> the word of Keras 3."""


def split_prefix(name: str) -> tuple[Role, str] | None:
    """The role that R keras's prefix states, and the rest of the name."""
    for prefix, role in _PREFIXES.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            rest = name.removeprefix(prefix)
            return role, _RENAMED.get(rest, rest)
    return None


def to_word(name: str) -> str:
    """A function's name as a word of the language, whether Keras has it or not.

    Example:
        >>> [to_word(name) for name in ("layer_conv_2d", "Conv2D", "optimizer_adam", "relu")]
        ['conv2d', 'conv2d', 'adam', 'relu']
    """
    known = split_prefix(name)
    word = re.sub(r"_(\d)_?d\b", r"\1d", snake_case(known[1] if known else name))
    return _RENAMED.get(word, word)


def find_by_r_name(name: str, role: Role) -> Any | None:
    """The Keras class or function that a name stands for in this role."""
    known = split_prefix(name)
    if known is None:
        return find_object(role, _RENAMED.get(name, name))
    return find_object(role, known[1]) if known[0] == role or role == "any" else None


@lru_cache(1000)
def is_keras_name(name: str) -> bool:
    """Whether a function's name is one of Keras's, in the spelling of R keras or kerasR."""
    return (
        split_prefix(name) is not None
        or any(name in members(role) for role in catalogue.OBJECT_ROLES)
        or is_layer_name(name)
    )


def is_layer_name(name: str) -> bool:
    """Whether a name is that of a layer, including those that Keras 3 has removed."""
    known = split_prefix(name)
    if known is not None:
        return known[0] == "layer"
    return name in members("layer") or name in _WRAPPERS or removed_layer_remedy(name) != ""


def removed_layer_remedy(name: str) -> str:
    """What to use instead of a layer that Keras 3 has removed; "" for any other."""
    word = normalize_word(to_word(name))
    return next((text for old, text in REMOVED_LAYERS.items() if normalize_word(old) == word), "")


@lru_cache(1000)
def suggest_layer(name: str) -> str:
    """The question "Did you mean ...?" with the nearest layer, in the same spelling."""
    layers = members("layer")
    if split_prefix(name) is None:
        return did_you_mean(name, layers)
    words = (re.sub(r"(\d)d\b", r"_\1d", snake_case(layer)) for layer in layers)
    return did_you_mean(name, [f"layer_{re.sub('_+', '_', word)}" for word in words])


def string_word(text: str, role: Role) -> str:
    """A string in this role as a word that Keras accepts, or "" if it accepts none."""
    word = _RENAMED.get(text, text)
    return word if find_object(role, word) is not None or accepts_string(role, word) else ""


def not_a_layer(span: TextRange, remedy: str = "") -> RMistake:
    """The mistake of something that is not a layer."""
    return RMistake("is not a Keras layer", span, remedy or "List all layers with %keras_layers.")
