"""Keras's own messages, cut down to what a user needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kmagic.models.binding.build_context import value_text
from kmagic.support.suggestions import did_you_mean

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_CALLING = re.compile(r"Exception encountered when calling .*?\n+", re.DOTALL)
_RECEIVED = re.compile(
    r"\W*\b(?:Full (?:input )?shapes?|Received|Inputs received|Arguments)\b.*", re.DOTALL
)
_SHAPE = re.compile(r"\(None(?:, (?:None|\d+))*,?\)")


def first_words(error: BaseException) -> str:
    """The essential first paragraph of an exception's message."""
    text = _ANSI.sub("", str(error)).strip()
    text = _CALLING.sub("", text)
    _, _, inner = text.rpartition("Error encountered:")  # in a layer of the user's own
    text = inner.strip() or text
    paragraph = re.split(r"\n\s*\n", text)[0]
    paragraph = " ".join(paragraph.split())
    return paragraph or type(error).__name__


def shape_text(shape: Any) -> str:
    """A shape without its batch dimension, as the language writes it."""
    if isinstance(shape, dict):
        return ", ".join(f"{key}: {shape_text(item)}" for key, item in shape.items())
    if isinstance(shape, list) or (
        isinstance(shape, tuple) and shape and isinstance(shape[0], list | tuple)
    ):
        return ", ".join(shape_text(item) for item in shape)
    if shape is None:
        return "?"
    dims = ["?" if dim is None else str(dim) for dim in tuple(shape)[1:]]
    return " x ".join(dims) or "a single number"


def tidy(message: str) -> str:
    """A message of Keras's without what it received, code marks, and the batch dimension."""
    message = _RECEIVED.sub("", message) or message
    message = _SHAPE.sub(lambda found: shape_text(_dimensions(found[0])), message)
    return message.replace("`", "").strip(" .")


def _dimensions(text: str) -> tuple[int | None, ...]:
    return tuple(None if each == "None" else int(each) for each in re.findall(r"None|\d+", text))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something of Keras's was refused.

    Attributes:
        message: What was expected, and what came.
        remedy: What to do.
        argument: Name of the argument that is at fault, if one is.
    """

    message: str
    remedy: str = ""
    argument: str = ""


def explain_argument(
    error: BaseException, word: str, arguments: Mapping[str, Any], known: Iterable[str] = ()
) -> Refusal:
    """Why a class did not take its arguments.

    Args:
        error: What it raised.
        word: What the text calls the class.
        arguments: What it was given.
        known: Names of all that it takes.
    """
    message = first_words(error)
    stray = re.search(r"Unrecognized keyword arguments? passed to \w+: \{'(\w+)'", message)
    if stray:
        remedy = did_you_mean(stray[1], known)
        return Refusal(f"{word} has no argument {stray[1]}", remedy, stray[1])
    named = [
        each
        for each in arguments
        if re.search(rf"\b{re.escape(each)}\b", message) or each.replace("_", " ") in message
    ]
    name = max(named, key=len, default="")
    value = value_text(arguments.get(name))
    share = arguments.get(name)
    if re.search(r"between 0 and 1|range \[0, 1[\])]", message) and name:
        percent = isinstance(share, int | float) and 1 < share <= 100  # noqa: PLR2004 - per cent
        remedy = f"Did you mean {share / 100:g}?" if percent else ""  # type: ignore[operator]  # a number
        return Refusal(f"{name} is between 0 and 1, not {value}", remedy, name)
    for pattern, words, remedy in _ARGUMENT_RULES:
        found = re.search(pattern, message)
        if found and (name or "{name}" not in words):
            parts = {"name": name, "value": value, "word": word, **found.groupdict()}
            return Refusal(words.format(**parts), remedy.format(**parts), name)
    found = re.search(r"tuple of (\d+) integers", message)
    if found and name:
        return Refusal(_window(name, int(found[1]), value), "", name)
    found = re.search(r"(?:one of|in) [{\[(](?P<all>['\"][^}\])]*)[}\])]", message)
    if found and name:
        allowed = sorted(set(re.findall(r"['\"]([^'\"]+)['\"]", found["all"])))
        allowed += ["none"] * ("None" in found["all"])
        remedy = did_you_mean(value, allowed)
        return Refusal(f"{name} is {_or(allowed)}, not {value}", remedy, name)
    return Refusal(f"{word}: {tidy(message)}", "", name)


_ARGUMENT_RULES = (
    (
        r"strides > 1.* not supported in conjunction with .*dilation_rate > 1",
        "strides and dilation_rate cannot both be above 1",
        "Leave one of them out.",
    ),
    (r"Negative dimensions are not allowed", "a shape has no negative numbers", ""),
    (r"You must pass a `?shape`? argument", "an input needs a shape", "As in `input 28x28x1`."),
    (r"Invalid dtype: (?P<what>.*)", "{what} is not a dtype", "As in `input 80 int32`."),
    (
        r"tuple of 1 integers",
        "{name} is a whole number above 0, not {value}",
        "",
    ),
    (
        r"expected a positive integer|must be a positive integer|strictly positive|greater than 0",
        "{name} is a whole number above 0, not {value}",
        "",
    ),
    (r"non-negative", "{name} is not negative, but {value} is", ""),
    (
        r"Could not interpret (?P<role>\w+) (?:function )?identifier",
        "{value} has no meaning as {role}",
        "",
    ),
    (
        r"could not be deserialized properly|Please initialize `(?P<what>\w+)` layer with",
        "{word} does not take a layer of this kind",
        "It takes a recurrent layer: `{word}(lstm 32)`.",
    ),
)
"""What is found in Keras's message, and the message and hint that are shown for it."""


def _window(name: str, count: int, value: str) -> str:
    example = "x".join("3" * count)
    return f"{name} is a whole number above 0, or {count} of them as in {example}; not {value}"


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
