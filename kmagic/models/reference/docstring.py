"""Keras's docstrings, taken apart: what a thing is, what its arguments mean, its shapes."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_SECTION = re.compile(r"([A-Z][A-Za-z]+(?: [a-z]+)?):")
_ARGUMENT = re.compile(r"[`*]*(\w+)`?(?: \([^)]*\))?:(?:\s+(.*)|$)")
_LINK = re.compile(r"\[([^\]]+)\]\(\s*[^)\s]*\s*\)")
_SENTENCE = re.compile(r"(?<=[.!?])(?<!i\.e\.)(?<!e\.g\.)(?<!et al\.)\s+(?=[A-Z`\"'(\[])")
_CODE = re.compile(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_DIM = r"(?:\.\.\.|[\w?*.]+(?: ?[*/+-] ?\w+)*)"
_TUPLE = re.compile(rf"\(({_DIM}(?:,\s*{_DIM})*,?)\)")
_BATCH = frozenset(
    {"b", "batch", "batch_shape", "batch_size", "n", "nb_samples", "none", "samples"}
)
_ARGUMENTS = ("Args", "Arguments")
MOST = 100
"""So many characters of prose may stand in the place of a shape."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring's parts.

    Attributes:
        summary: Its first sentence.
        details: The paragraphs that follow, up to the first section.
        sections: Each section's text by its heading: "Input shape", "Raises" ...
    """

    summary: str = ""
    details: tuple[str, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)

    def arguments(self, heading: str = "") -> dict[str, str]:
        """The explanation of each argument: of the ``Args`` section, or of another."""
        names = [heading] if heading else _ARGUMENTS
        found: dict[str, str] = {}
        for name in names:
            found |= _arguments(self.sections.get(name, ""))
        return found

    def shape(self, heading: str) -> str:
        """A shape as the language writes it, without its batch dimension, or Keras's words.

        Args:
            heading: "Input shape" or "Output shape".
        """
        return shape_words(self.sections.get(heading, ""))


@cache
def docstring(value: Any) -> Docstring:
    """The docstring of a class or function, taken apart; a class's own, not its bases'."""
    told = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
    return parse(inspect.cleandoc(told) if isinstance(told, str) else "")


def parse(text: str) -> Docstring:
    r"""Take a docstring apart.

    Args:
        text: Without its common indentation.

    Example:
        >>> found = parse("Add two.\n\nOn and on.\n\nArgs:\n    x: The first. See below.")
        >>> found.summary, found.details, found.arguments()
        ('Add two.', ('On and on.',), {'x': 'The first. See below.'})
    """
    head: list[str] = []
    sections: dict[str, list[str]] = {}
    into = head
    for line in _without_code(text).splitlines():
        heading = _SECTION.fullmatch(line.rstrip())
        if heading:
            into = sections.setdefault(heading[1], [])
        else:
            into.append(line)
    paragraphs = [plain(each) for each in _paragraphs("\n".join(head)) if _is_prose(each)]
    first = sentences(paragraphs[0]) if paragraphs else [""]
    rest = [" ".join(first[1:])] if first[1:] else []
    whole = {name: inspect.cleandoc("\n" + "\n".join(lines)) for name, lines in sections.items()}
    return Docstring(first[0], (*rest, *paragraphs[1:]), whole)


def _without_code(text: str) -> str:
    """The text without its programs, which may stand further left than the rest."""
    return inspect.cleandoc(_CODE.sub("", text))


def plain(text: str) -> str:
    """A paragraph on one line, links as their words."""
    joined = " ".join(_LINK.sub(r"\1", text).split())
    return joined.replace("``", "`")


def sentences(text: str) -> list[str]:
    """A text's sentences.

    Example:
        >>> sentences("Units, i.e. Width. `None` is none. So.")
        ['Units, i.e. Width.', '`None` is none.', 'So.']
    """
    return _SENTENCE.split(text)


def shape_words(text: str) -> str:
    """A shape section in the language's words.

    Example:
        >>> shape_words("A 3D tensor with shape: `(batch_size, steps, channels)`")
        'steps x channels'
    """
    text = text[max(text.find("keepdims=False"), 0) :]
    for found in _TUPLE.finditer(text):
        first, *dims = [dim.strip() for dim in found[1].split(",") if dim.strip()]
        if "return_sequences" not in text and _is_shape(first, dims):
            return " x ".join([first, *dims] if first == "..." else dims)
    prose = [plain(each) for each in _paragraphs(text) if _is_prose(each)]
    said = sentences(prose[0])[0] if prose else ""
    return said if len(said) <= MOST and "channels_" not in said and "shape:" not in said else ""


def _is_shape(first: str, dims: list[str]) -> bool:
    """Whether a tuple in the text is a shape with its batch first and its channels last."""
    if (first.lower() not in _BATCH and first != "...") or any("*" in dim for dim in dims):
        return False
    return bool(dims) and not any("channel" in dim or "filters" in dim for dim in dims[:-1])


def _arguments(text: str) -> dict[str, str]:
    lines = text.splitlines()
    found: dict[str, list[str]] = {}
    into: list[str] = []
    for line in lines:
        start = _ARGUMENT.match(line)
        if start:
            into = found.setdefault(start[1], [])
            into.append(start[2] or "")
        else:
            into.append(line)
    return {name: plain(" ".join(told)) for name, told in found.items()}


def _paragraphs(text: str) -> list[str]:
    return [each for each in re.split(r"\n\s*\n", text.strip("\n")) if each.strip()]


def _is_prose(paragraph: str) -> bool:
    start = paragraph.lstrip()
    marks = (">>>", "...", "- ", "* ", "|", "#")
    return not start.startswith(marks) and not paragraph.startswith("    ")
