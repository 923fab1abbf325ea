"""What is being written at the cursor in a model's text, and which names it can use.

The step at the cursor is unfinished by nature, so it is not parsed: what is open before the cursor
tells what can follow. The names come from the steps above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from kmagic.language.parser import parse_partial
from kmagic.language.spec import (
    BlockSpec,
    BranchSpec,
    ForSpec,
    LayerSpec,
    NestedSpec,
    ResidualSpec,
    Statement,
    VarySpec,
)
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
    r"#[^\n]*|(?P<quote>[\"'])(?:\\.?|(?!(?P=quote))[^\\\n])*(?P<closed>(?P=quote))?|[()\[\]{}\n/:]|(?<=\s)\|\s",
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
    if first in ("freeze", "unfreeze"):
        return CursorPosition("layer", rest[-1])
    if first in _NEW_NAMES or (first == "vary" and len(rest) > 1):
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
    return _arguments(re.split(r"[(|]", first)[0], rest)


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
        value = _split(fragment[keyword.end() :], ",|")[-1]
        return replace(position, kind="value", name=keyword[1], fragment=value)
    if fragment.startswith("&"):
        return CursorPosition("layer", fragment[1:])
    # An element of a list without brackets, accuracy,mae, or of a choice: relu|gelu
    return replace(position, fragment=_split(fragment, ",|")[-1])


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


@dataclass(slots=True)
class CursorScope:
    """What can be named at the cursor."""

    outputs: list[str] = field(default_factory=list)  # and their layers, the nearest first
    blocks: dict[str, list[str]] = field(default_factory=dict)  # with their parameters
    models: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # parameters of blocks, names of loops
    has_entry: bool = False  # the cursor is in a body that has an input, _in


def scope_at(text: str, cursor: int) -> CursorScope:
    r"""The names that can be used at the cursor.

    Example:
        >>> text = "block res(f, s=1):\n  conv2d {"
        >>> scope = scope_at(text, len(text))
        >>> scope.blocks, scope.values, scope.has_entry
        ({'res': ['f', 's']}, ['f', 's'], True)
    """
    start, *_ = _open_brackets(text[:cursor])
    step = text[start:cursor]
    # A step in place of the unfinished one has the bodies around it in the spec.
    before = text[:start] + step[: len(step) - len(step.lstrip())] + "relu"
    spec = parse_partial(before, ranges=True)
    around: list[Any] = []
    statements = spec.statements
    while statements:
        around.append(statements[-1])
        statements = getattr(statements[-1], "body", ())
    if not around or around.pop().span.line <= before.count("\n"):
        around = []
    scope = CursorScope()
    for statement in _inside(spec.statements, (BlockSpec, NestedSpec)):
        if isinstance(statement, BlockSpec):
            scope.blocks[statement.name] = [param.name for param in statement.params]
        elif isinstance(statement, NestedSpec):
            scope.models.append(statement.name)
        elif isinstance(statement, VarySpec):
            scope.values.append(statement.name)
    own: tuple[Statement, ...] = spec.statements  # names are local to blocks and models
    for statement in around:
        if isinstance(statement, BlockSpec | NestedSpec):
            own = statement.body
        if isinstance(statement, BlockSpec):
            scope.values += scope.blocks[statement.name]
        elif isinstance(statement, ForSpec):
            scope.values.append(statement.name)
        scope.has_entry |= isinstance(statement, BlockSpec | ResidualSpec | BranchSpec)
    steps = [step for step in _inside(own) if isinstance(step, LayerSpec)]
    names = (name for step in reversed(steps) for name in step.targets)
    scope.outputs = list(dict.fromkeys([*names, *sorted(spec.lost_names)]))
    return scope


def _inside(statements: Iterable[Statement], entered: tuple[type, ...] = ()) -> Iterator[Statement]:
    """The statements and those of their bodies; of blocks and models only if they are entered."""
    for statement in statements:
        yield statement
        if isinstance(statement, entered) or not isinstance(statement, BlockSpec | NestedSpec):
            yield from _inside(getattr(statement, "body", ()), entered)
