"""What to do about signs that have no meaning where they stand."""

from __future__ import annotations

import re

_UNKNOWN = {
    "$": "One layer a line, as in `dense 32 relu`.",
    "%": "A magic stands in a cell of its own.",
    "@": "Decorators and matrix products are Python's: write one layer a line.",
    ";": "One layer a line, or several between ` / `.",
    ">": "Inputs are named by an arrow to the left: `add <- a, b`.",
    "|": "One layer a line, or several between ` / `.",
    "-": "A minus sign belongs to a number; a subtraction goes in braces: {a - b}.",
    "->": "Layers stand between ` / `; a name in front, `h = dense 4`; inputs behind `<-`.",
    "+": "A sum goes in braces, {a + b}; outputs are added by `add <- a, b`.",
    "<": "Inputs are named by an arrow, `<-`; a comparison goes in braces.",
    "`": "Words stand without quotes.",
    "\\": "A line is a whole layer; only brackets carry it on to the next line.",
    "\u00d7": "A shape is written with the letter x, 28x28x1; a repetition with *.",
    "\u2013": "Write the plain minus sign: -.",
    "\u2192": "Write an arrow to the left, `<-`, and the inputs behind it.",
    "\u2190": "Write the arrow with two plain signs: <-.",
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019", 'Write plain quotes: "...".'),
}


def number_hint(bad: str) -> str:
    """For what begins with a digit and is neither a number nor a shape."""
    if re.fullmatch(r"[\d?]+([xX\u00d7][\d?]+)+", bad):
        return "A shape is written with a small x: 28x28x1."
    return "A number is written 32, 0.5 or 1e-3, a shape 28x28x1; a name begins with a letter."


def unknown_hint(bad: str, row: str, column: int) -> str:
    """For a sign that the language does not have."""
    before, after = row[:column], row[column + 1 :]
    if bad in ("-", "*") and not before.strip():
        return "A line begins with the word of a layer: `dense 32 relu`."
    if bad == "-" and before.endswith("<-"):
        return "Write the arrow with two signs: <-."
    if bad == "-" and before[-1:].isalpha() and after[:1].isalpha():
        return "Words are joined by underscores: global_average_pooling2d."
    if bad == "%" and before[-1:].isdigit():
        return "A share is written as a fraction: 0.25."
    return _UNKNOWN.get(bad, "")


def place_hint(sign: str) -> str:
    """For a sign where a value or the line's end is expected."""
    return {
        "=": "An argument is written name=value; a line's own name, h = dense 4, stands in front.",
        ",": "Arguments are separated by spaces; a shape is written 28x28x1, a number 0.5.",
        ":": "An argument is written name=value; only a line with an indented body ends in `:`.",
        "*": "A shape is written 28x28x1; a line is repeated by one * at its end.",
        "(": "A layer's arguments follow it without brackets: `dense 32 relu`.",
    }.get(sign, "A line holds a layer and its arguments: `dense 32 relu`.")


def layer_hint(kind: str, text: str, *, spaced: bool) -> str:
    """For a token where a layer's word is expected."""
    if kind == "string" or (text == "/" and not spaced):
        return "A comment begins with #."
    if kind == "number" and not spaced:
        return "A division goes in braces: {1 / 255}."
    if text == "!":
        return "A shell command stands in a cell of its own."
    return "A line begins with the word of a layer: `dense 32 relu`."
