"""Parses Keras's docstrings: summaries, explanations of arguments, shapes."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_SECTION = re.compile(r"^([A-Z][A-Za-z]+(?: [a-z]+)?):[^\S\n]*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^[`*]*(\w+)`?(?: \([^)\n]*\))?:(?!\S)", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(\s*[^)\s]*\s*\)")
_SENTENCE = re.compile(r"(?<=[.!?])(?<!i\.e\.)(?<!e\.g\.)(?<!et al\.)\s+(?=[A-Z`\"'(\[])")
_CODE = re.compile(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_DIM = r"(?:\.\.\.|[\w?*.]+(?: ?[*/+-] ?\w+)*)"
_TUPLE = re.compile(rf"\(({_DIM}(?:,\s*{_DIM})*,?)\)")
_BATCH_NAMES = frozenset(
    {"b", "batch", "batch_shape", "batch_size", "n", "nb_samples", "none", "samples"}
)
_NOT_PROSE = (">>>", "...", "- ", "* ", "|", "#")
_MAX_SHAPE_TEXT = 100
"""A sentence of at most this many characters can take the place of a shape."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring: its first sentence, its further paragraphs, its sections by their headings."""

    summary: str = ""
    details: tuple[str, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)

    def arguments(self, *headings: str) -> dict[str, str]:
        """The explanation of each argument, of the section ``Args`` or others."""
        texts = (self.sections.get(each, "") for each in headings or ("Args", "Arguments"))
        sections = [_split(_ARGUMENT, text)[1] for text in texts]
        return {name: _join_lines(text) for each in sections for name, text in each.items()}

    def shape(self, heading: str) -> str:
        """The section "Input shape" or "Output shape" in the form of the language."""
        return shape_from_text(self.sections.get(heading, ""))


@cache
def docstring(value: Any) -> Docstring:
    """The parsed docstring of a function, or of a class (not one inherited from a base)."""
    text = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
    return parse_docstring(inspect.cleandoc(text) if isinstance(text, str) else "")


def parse_docstring(text: str) -> Docstring:
    r"""Parse a docstring without common indentation.

    Example:
        >>> doc = parse_docstring("Add two.\n\nOn and on.\n\nArgs:\n    x: The first. See below.")
        >>> doc.summary, doc.details, doc.arguments()
        ('Add two.', ('On and on.',), {'x': 'The first. See below.'})
    """
    text = inspect.cleandoc(_CODE.sub("", text))  # code may be indented less than the rest
    head, sections = _split(_SECTION, text)
    paragraphs = _prose(head)
    first, *rest = split_sentences(paragraphs[0]) if paragraphs else [""]
    details = [" ".join(rest)] if rest else []
    texts = {name: inspect.cleandoc("\n" + section) for name, section in sections.items()}
    return Docstring(first, (*details, *paragraphs[1:]), texts)


def _split(heading: re.Pattern[str], text: str) -> tuple[str, dict[str, str]]:
    """The text before the first heading, and the text below each."""
    head, *parts = heading.split(text)
    sections: dict[str, str] = {}
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        sections[name] = sections.get(name, "") + part
    return head, sections


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences.

    Example:
        >>> split_sentences("Units, i.e. Width. `None` is none. So.")
        ['Units, i.e. Width.', '`None` is none.', 'So.']
    """
    return _SENTENCE.split(text)


def shape_from_text(text: str) -> str:
    """A shape as the language writes it, from Keras's description.

    Example:
        >>> shape_from_text("A 3D tensor with shape: `(batch_size, steps, channels)`")
        'steps x channels'
    """
    text = text[max(text.find("keepdims=False"), 0) :]
    for match in _TUPLE.finditer(text):
        first, *dims = [dim.strip() for dim in match[1].split(",") if dim.strip()]
        if "return_sequences" not in text and _is_shape(first, dims):
            return " x ".join([first, *dims] if first == "..." else dims)
    prose = _prose(text)
    sentence = split_sentences(prose[0])[0] if prose else ""
    is_clear = "channels_" not in sentence and "shape:" not in sentence
    return sentence if is_clear and len(sentence) <= _MAX_SHAPE_TEXT else ""


def _is_shape(first: str, dims: list[str]) -> bool:
    """Whether a tuple is a shape, with the batch first and the channels last."""
    if (first.lower() not in _BATCH_NAMES and first != "...") or any("*" in dim for dim in dims):
        return False
    return bool(dims) and not any("channel" in dim or "filters" in dim for dim in dims[:-1])


def _prose(text: str) -> list[str]:
    """The paragraphs that are neither code nor lists nor tables, each as one line."""
    return [
        _join_lines(paragraph)
        for paragraph in re.split(r"\n\s*\n", text.strip("\n"))
        if paragraph.strip()
        and not paragraph.lstrip().startswith(_NOT_PROSE)
        and not paragraph.startswith("    ")
    ]


def _join_lines(text: str) -> str:
    return " ".join(_LINK.sub(r"\1", text).split()).replace("``", "`")
