"""What a bare word may have been meant for that is nothing where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kmagic.models import catalogue
from kmagic.models.binding.build_context import Context
from kmagic.models.catalogue import Parameter
from kmagic.support.suggestions import nearest

_DTYPES = {"double": "float64", "float": "float32", "int": "int32", "str": "string"}
"""Python's types, and what the language calls them."""


def shape_in_parts(word: str) -> str:
    """What to write for a word that looks like a part of a shape or a repetition; "" for others.

    Example:
        >>> shape_in_parts("x3")
        'A shape is one word, `28x28x1`; a line is repeated by ` * 3` at its end.'
    """
    if re.fullmatch(r"[xX]\d*", word):
        return "A shape is one word, `28x28x1`; a line is repeated by ` * 3` at its end."
    return ""


def word_hint(
    word: str,
    owner: str,
    params: Mapping[str, Parameter],
    context: Context,
    is_free: Callable[[str], bool],
) -> str:
    """What to do about a word that an argument list has no use for; "" if nothing is near.

    Args:
        word: As it is written.
        owner: The step's own word.
        params: Of what the step calls.
        context: With the names of the notebook and of the block.
        is_free: Whether a parameter has no value yet.
    """
    roles: tuple[catalogue.Role, ...] = ("initializer", "regularizer", "constraint", "metric")
    for role in roles:
        takers = [each.name for each in params.values() if each.role == role]
        if takers and _is_one(role, word.split("(", maxsplit=1)[0]):
            if role == "metric" and not is_free(takers[0]):
                return f"Several metrics are parted by commas: {takers[0]}=accuracy,{word}."
            return f"{word} is {_a(role)}: write {takers[0]}={word}."
    if word in context.params:
        return f"For the value of {word} write it in braces: {{{word}}}."
    if word in context.names:
        return f"For the notebook's {word} write it in braces: {{{word}}}."
    if "dtype" in params and word in _DTYPES:
        return f"Here it is written {_DTYPES[word]}."
    return _near(word, params) or _own_line(word, owner)


def _is_one(role: catalogue.Role, word: str) -> bool:
    return bool(catalogue.find(role, word)) or (
        role == "metric" and catalogue.understands(role, word)
    )


def _near(word: str, params: Mapping[str, Parameter]) -> str:
    found = nearest(word, _words(params))
    if found and found[0] in catalogue.words("activation"):
        return f"Did you mean {found[0]}?   The other activations: %keras_layers activations"
    if found:
        return f"Did you mean {found[0]}?"
    others = nearest(word, params)
    return f"Did you mean {others[0]}=...?" if others else ""


def _words(params: Mapping[str, Parameter]) -> Iterable[str]:
    """Words that would find their parameter by themselves."""
    yield from (each.name for each in params.values() if each.is_flag)
    if "activation" in params:
        yield from catalogue.words("activation")
    if "padding" in params:
        yield from catalogue.PADDINGS
    if "dtype" in params:
        yield from catalogue.DTYPES


def _own_line(word: str, owner: str) -> str:
    if owner != "compile" and word != "layer" and catalogue.find("layer", word) is not None:
        return f"A layer has a line of its own, or ` / ` before it: `/ {word}`."
    return ""


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
