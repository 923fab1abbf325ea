"""What is being written at the cursor in a model's text, and which names it can use.

The text is unfinished by nature, so it is not parsed: what is open before the cursor tells what
can follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, TypeAlias

from kmagic.language.tokens import top_level

PositionKind: TypeAlias = Literal[
    "start",  # a step begins: a layer, a block, a keyword
    "argument",  # of a callee: a keyword, a flag or the next positional value
    "value",  # of a named argument, or an element of its list
    "tensor",  # right of an arrow, or in an output line
    "call",  # the value of a call argument, right of an arrow
    "layer",  # the name of a layer or model above
    "braces",  # an expression over notebook variables
    "kind",  # sequential or functional
    "nothing",  # a string, a comment, a new name
]

_NAME = r"[^\W\d]\w*"
_TARGETS = re.compile(rf"\s*(?:{_NAME}\s*,\s*)*{_NAME}\s*=(?!=)")
_CALLEE = re.compile(r"[^\W\d][\w.]*$")
_KEYWORD = re.compile(rf"({_NAME})=")
_PIECE = re.compile(
    r"#[^\n]*|(?P<quote>[\"'])(?:\\.?|(?!(?P=quote))[^\\\n])*(?P<closed>(?P=quote))?|[()\[\]{}\n/:]",
    re.DOTALL,
)
"""A comment, a string, a bracket, or the end of a step."""
_TENSOR_LINES = ("output", "inputs")
_NEW_NAMES = ("for", "repeat", "block", "residual", "branch")


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """What the cursor's position asks for."""

    kind: PositionKind
    fragment: str = ""  # what is written already
    callee: str = ""  # the word whose arguments these are
    name: str = ""  # the argument whose value this is
    given: tuple[str, ...] = ()  # arguments of the callee that are given already
    index: int = 0  # number of positional values before
    spaced: bool = True  # arguments are separated by spaces, not in brackets
    owner: str = ""  # of which the callee is a value: kernel_regularizer of kernel_regularizer=l2(


def locate(text: str, cursor: int) -> CursorPosition:
    """What the position of the cursor, an offset into a model's text, asks for.

    Example:
        >>> text = "dense 32 kernel_regularizer=l"
        >>> position = locate(text, len(text))
        >>> position.kind, position.callee, position.name, position.fragment
        ('value', 'dense', 'kernel_regularizer', 'l')
    """
    before = text[:cursor]
    start, opened, in_text = _open_brackets(before)
    if in_text:
        return CursorPosition("nothing")
    ends = [*opened, len(before)]
    position = _in_step(before[start : ends[0]])
    for bracket, end in pairwise(ends):
        position = _in_bracket(position, before, bracket, before[bracket + 1 : end])
    return position


def _open_brackets(before: str) -> tuple[int, list[int], bool]:
    """Start of the step, offsets of the open brackets, and whether a string or comment is open."""
    opened: list[int] = []
    start, in_text = 0, False
    for piece in _PIECE.finditer(before):
        char = piece[0][0]
        if char in "([{":
            opened.append(piece.start())
        elif char in ")]}":
            opened = opened[:-1]
        elif char in "\"'#":
            in_text = piece.end() == len(before) and not piece["closed"]
        elif not opened:
            start = piece.end()
    return start, opened, in_text


def _in_bracket(outer: CursorPosition, before: str, bracket: int, inner: str) -> CursorPosition:
    """The position within a bracket, given the position at which it opens."""
    if before[bracket] == "{":
        if ":" not in inner or "[" in inner.partition(":")[0]:
            return CursorPosition("braces", _last_name(inner))
        value = _split(inner, ",")[-1].partition(":")[2].lstrip()
        return _element(outer, value)
    *done, last = _split(inner, ",")
    callee = _CALLEE.search(before[:bracket])
    if before[bracket] == "[" or callee is None:
        return _element(outer, last.lstrip())
    keywords = [_KEYWORD.match(arg.strip()) for arg in done]
    position = CursorPosition(
        "argument",
        callee=callee[0],
        given=tuple(keyword[1] for keyword in keywords if keyword),
        index=keywords.count(None),
        spaced=False,
        owner=outer.name if outer.kind == "value" else "",
    )
    return _bracket_argument(position, last.lstrip())


def _element(outer: CursorPosition, text: str) -> CursorPosition:
    """An element of a list or a mapping that is an argument's value."""
    if outer.kind in ("tensor", "call"):
        return CursorPosition("tensor", _last_name(text), outer.callee, outer.name)
    words = _words(text)
    if len(words) > 1:
        return _arguments(words[0], words[1:])
    return replace(outer, fragment=words[0])


def _bracket_argument(position: CursorPosition, text: str) -> CursorPosition:
    """An argument in brackets: ``name=value``, a value, or a layer with its own arguments."""
    keyword = _KEYWORD.match(text)
    if keyword:
        position = replace(position, kind="value", name=keyword[1])
        text = text[keyword.end() :]
    if text.startswith("&") and len(_words(text)) == 1:
        return CursorPosition("layer", text[1:])
    return _element(position, text)


def _in_step(text: str) -> CursorPosition:
    """The position at the end of a step without an open bracket."""
    targets = _TARGETS.match(text)
    if targets:
        text = text[targets.end() :]
    first, *rest = _words(text)
    if not rest:
        return CursorPosition("start", first)
    if first == "reuse" and "<-" not in rest:
        return CursorPosition("layer", rest[-1]) if len(rest) == 1 else CursorPosition("nothing")
    if first in _TENSOR_LINES:
        return _tensors("", text.partition(first)[2])
    if first == "freeze":
        return CursorPosition("layer", _split(rest[-1], ",")[-1])
    if first in _NEW_NAMES:
        return CursorPosition("nothing")
    if first == "model":
        return CursorPosition("kind", rest[-1]) if len(rest) > 1 else CursorPosition("nothing")
    if first == "merge":
        if len(rest) == 1:
            return CursorPosition("value", rest[0], name="layer")
        return _arguments(rest[0], rest[1:])
    if "<-" in rest:
        callee = rest[0] if first == "reuse" else first
        return _tensors(callee.partition("(")[0], text.partition("<-")[2])
    if "*" in rest:
        return CursorPosition("nothing")
    return _arguments(first.partition("(")[0], rest)


def _tensors(callee: str, text: str) -> CursorPosition:
    """Right of an arrow."""
    *done, last = _split(text, ",")
    name, equals, value = last.lstrip().partition("=")
    if equals:
        return CursorPosition("call", value.strip(), callee, name.strip())
    words = _words(last)
    if len(words) > 1:
        return CursorPosition("nothing")
    given = tuple(arg.partition("=")[0].strip() for arg in done if "=" in arg)
    return CursorPosition("tensor", words[0], callee, given=given)


def _arguments(callee: str, words: list[str]) -> CursorPosition:
    """The last of the words is being written; those before are finished."""
    *done, fragment = words
    named = [(_KEYWORD.match(word), word) for word in done]
    given = tuple(keyword[1] if keyword else word.removeprefix("!") for keyword, word in named)
    index = sum(not keyword and word[0] != "!" for keyword, word in named)
    position = CursorPosition("argument", fragment, callee, given=given, index=index)
    keyword = _KEYWORD.match(fragment)
    if keyword:
        value = _split(fragment[keyword.end() :], ",")[-1]
        return replace(position, kind="value", name=keyword[1], fragment=value)
    if fragment.startswith("&"):
        return CursorPosition("layer", fragment[1:])
    # An element of a list without brackets: accuracy,mae
    return replace(position, fragment=_split(fragment, ",")[-1])


def _last_name(text: str) -> str:
    """The dotted name at the end of a text."""
    match = _CALLEE.search(text)
    return match[0] if match else ""


def _words(text: str) -> list[str]:
    """A text's words; the last one is empty after a space."""
    *words, last = _split(text.lstrip(), " \t\n")
    return [*filter(None, words), last]


def _split(text: str, separators: str) -> list[str]:
    """A text split at separators outside brackets and quotes."""
    cuts = [index for index, char in top_level(text, escapes=False) if char in separators]
    return [text[start + 1 : end] for start, end in pairwise([-1, *cuts, len(text)])]


# --- names ----------------------------------------------------------------------------------------

_HEAD = re.compile(r"(block|model|for|repeat|residual|merge|branch)\b")
_BLOCK = re.compile(rf"block\s+({_NAME})\s*(?:\(([^)]*)\))?")
_MODEL = re.compile(rf"model\s+({_NAME})[^:]*:")
_FOR = re.compile(rf"for\s+({_NAME})\s+in\b")
_STEP_TARGETS = re.compile(rf"((?:{_NAME}\s*,\s*)*{_NAME})\s*=(?!=)\s*\S")
_PARAMETER = re.compile(rf"({_NAME})\s*(?:=\s*([^,]+))?")


@dataclass(slots=True)
class CursorScope:
    """What can be named at the cursor."""

    outputs: list[str] = field(default_factory=list)  # and their layers, the nearest first
    blocks: dict[str, dict[str, str | None]] = field(default_factory=dict)  # parameters, defaults
    models: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # parameters of blocks, names of loops
    has_entry: bool = False  # the cursor is in a body that has an input, _in


_Heads: TypeAlias = tuple[tuple[int, str], ...]
"""The heads of the bodies around a line, each with its line number."""


def scope_at(text: str, cursor: int) -> CursorScope:
    r"""The names that can be used at the cursor.

    Example:
        >>> text = "block res(f, s=1):\n  conv2d {"
        >>> scope = scope_at(text, len(text))
        >>> scope.blocks, scope.values, scope.has_entry
        ({'res': {'f': None, 's': '1'}}, ['f', 's'], True)
    """
    rows = list(_rows(text[:cursor]))
    *_, (_, heads) = rows
    scope = CursorScope()
    for number, (row, around) in enumerate(rows, start=1):
        block, model = _BLOCK.match(row), _MODEL.match(row)
        if block:
            scope.blocks[block[1]] = _parameters(block[2] or "")
        elif model:
            scope.models.append(model[1])
        elif number < len(rows) and _namespace(around) == _namespace(heads):
            for step in re.split(r"\s/\s|:\s", row):
                targets = _STEP_TARGETS.match(step.strip())
                names = targets[1].replace(" ", "").split(",") if targets else []
                scope.outputs = [*names, *(name for name in scope.outputs if name not in names)]
    for _, head in heads:
        block, loop = _BLOCK.match(head), _FOR.match(head)
        scope.values += _parameters(block[2] or "") if block else [loop[1]] if loop else []
        scope.has_entry |= head.startswith(("block", "residual", "branch"))
    return scope


def _namespace(heads: _Heads) -> list[int]:
    """The blocks and models among the heads: names are local to them."""
    return [number for number, text in heads if text.startswith(("block", "model"))]


def _rows(text: str) -> Iterator[tuple[str, _Heads]]:
    """The lines of a text; what follows a head on its own line is in its body already."""
    heads: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.split("\n")):
        body = line.lstrip()
        indent = len(line) - len(body)
        if body:
            heads = [head for head in heads if head[0] < indent]
        around = tuple((line_number, head) for _, line_number, head in heads)
        if _HEAD.match(body) and ":" in body:
            head_only, _, body_text = body.partition(":")
            yield head_only + ":", around
            around = (*around, (number, body))
            heads.append((indent, number, body))
            body = body_text.strip()
        yield body, around


def _parameters(text: str) -> dict[str, str | None]:
    matches = (_PARAMETER.match(param.strip()) for param in text.split(","))
    return {match[1]: match[2] for match in matches if match}
