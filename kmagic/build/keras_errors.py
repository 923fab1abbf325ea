"""Keras's own messages, cut down to what a user needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_CALLING = re.compile(r"Exception encountered when calling .*?\n+", re.DOTALL)
_INCOMPATIBLE = re.compile(
    r"Input \d+ (?:with name .*? )?of layer \S+ is incompatible with the layer: (?P<why>.*)",
    re.DOTALL,
)
_FULL_SHAPE = re.compile(
    r"\s*(?:\.|,)?\s*(?:Full shape received|but received input with shape).*", re.DOTALL
)
_DIMENSIONS = {
    1: "a vector of samples",
    2: "samples x features",
    3: "samples x steps x features",
    4: "samples x height x width x channels",
    5: "samples x depth x height x width x channels",
}


def first_words(error: BaseException) -> str:
    """The essential first paragraph of an exception's message."""
    text = _ANSI.sub("", str(error)).strip()
    text = _CALLING.sub("", text)
    paragraph = re.split(r"\n\s*\n|\n\nArguments received", text)[0]
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


def explain(
    error: BaseException, word: str, shapes: Sequence[Any], names: Sequence[str]
) -> tuple[str, str]:
    """A message and a hint for a layer that refused what reached it.

    Args:
        error: What Keras raised.
        word: The layer's word in the text.
        shapes: The shapes that reached it, with the batch dimension.
        names: What the text calls each of them.
    """
    message = first_words(error)
    reached = _reached(shapes, names)
    found = _INCOMPATIBLE.search(message)
    if found:
        why = _FULL_SHAPE.sub("", found["why"]).strip(" .")
        return f"{word} does not fit {reached}: {_plainly(why)}", _dimension_hint(why, shapes)
    if "must be fully-defined" in message or "fully defined" in message:
        return (
            f"{word} needs to know the last dimension, and {reached}",
            "Give the input a size where it has `?`, or pool over the unknown dimension first.",
        )
    if "unsupported operand type(s) for %" in message and "NoneType" in message:
        return f"{word} needs to know the channels, and {reached}", "Give the input its channels."
    if isinstance(error, IndexError) and "tuple index out of range" in message:
        return f"{word} has an axis that does not exist in {reached}", ""
    missing = re.search(r"missing (?:a|\d+) required (?:positional )?arguments?: (.*)", message)
    if missing:
        wanted = missing[1].replace("'", "")
        return (
            f"{word} needs more than one input: {wanted} is missing",
            f"Name the inputs: `{word} ... <- _, _`.",
        )
    return f"{word} does not fit {reached}: {message}", ""


def _reached(shapes: Sequence[Any], names: Sequence[str]) -> str:
    if not shapes:
        return "its inputs"
    if len(shapes) == 1:
        return f"the shape that reached it, {shape_text(shapes[0])}"
    shown = ", ".join(
        f"{name} {shape_text(shape)}" if name else shape_text(shape)
        for name, shape in zip(names, shapes, strict=True)
    )
    return f"the shapes that reached it, {shown}"


def _plainly(why: str) -> str:
    for pattern, words in (
        (r"expected min_ndim=(\d+), found ndim=(\d+)", "at least "),
        (r"expected ndim=(\d+), found ndim=(\d+)", ""),
        (r"expected max_ndim=(\d+), found ndim=(\d+)", "at most "),
    ):
        found = re.search(pattern, why)
        if found:
            wanted, came = int(found[1]), int(found[2])
            meaning = f" ({_DIMENSIONS[wanted]})" if wanted in _DIMENSIONS else ""
            return f"expected {words}{wanted} dimensions{meaning}, found {came}"
    return why


def _dimension_hint(why: str, shapes: Sequence[Any]) -> str:
    found = re.search(r"expected (?:min_|max_)?ndim=(\d+), found ndim=(\d+)", why)
    if not found or len(shapes) != 1:
        return ""
    wanted, came = int(found[1]), int(found[2])
    if wanted > came:
        if (wanted, came) == (4, 3):
            return (
                "A grey picture has one channel: `input 28x28x1`, or a `reshape` before this line."
            )
        return "A `reshape` before this line gives it more dimensions; `flatten` takes them away."
    return "`flatten` or a global pooling before this line takes dimensions away."
