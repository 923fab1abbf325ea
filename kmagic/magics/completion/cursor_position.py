"""Where the cursor stands in a model's text: what is being written, and of what.

The text is unfinished by nature, so nothing is parsed: the text before the cursor is followed
sign by sign, and what is open tells what may come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "start",  # a step begins: a layer, a block, a word of the language
    "argument",  # of a callee: a keyword, a flag or the next positional value
    "value",  # of a named argument, or an element of its list
    "tensor",  # right of an arrow, or in an output line
    "call",  # the value of a call argument, right of an arrow
    "layer",  # the name of a layer or model made above
    "braces",  # an expression over the notebook's names
    "kind",  # sequential or functional
    "nothing",  # a text in quotes, a comment, a name of the user's
]

_TARGETS = re.compile(r"\s*(?:[^\W\d]\w*\s*,\s*)*[^\W\d]\w*\s*=(?!=)")
_CALLEE = re.compile(r"[^\W\d][\w.]*$")
_KEYWORD = re.compile(r"([^\W\d]\w*)=")
_TENSORS = ("output", "inputs")
_NAMES = ("for", "repeat", "block", "residual", "branch")


@dataclass(frozen=True, slots=True)
class Place:
    """What the cursor's place asks for.

    Attributes:
        kind: What may stand here.
        fragment: What is written of it already.
        callee: The word whose arguments these are, or "".
        name: The argument whose value this is, or "".
        given: Arguments of the callee that are given by name already.
        position: How many values without a name stand before.
        spaced: Whether arguments stand between spaces, not in brackets.
        owner: The argument that the callee is a value of: in ``kernel_regularizer=l2(``, that.
    """

    kind: Kind
    fragment: str = ""
    callee: str = ""
    name: str = ""
    given: tuple[str, ...] = ()
    position: int = 0
    spaced: bool = True
    owner: str = ""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A bracket that is open at the cursor."""

    sign: str
    at: int


def locate(text: str, cursor: int) -> Place:
    """What the place of the cursor asks for.

    Args:
        text: A model's text.
        cursor: Offset into it.

    Example:
        >>> text = "dense 32 kernel_regularizer=l"
        >>> place = locate(text, len(text))
        >>> place.kind, place.callee, place.name, place.fragment
        ('value', 'dense', 'kernel_regularizer', 'l')
    """
    before = text[:cursor]
    start, opened, in_text = _follow(before)
    if in_text:
        return Place("nothing")
    ends = [*(each.at for each in opened), len(before)]
    place = _step(before[start : ends[0]])
    for each, end in zip(opened, ends[1:], strict=True):
        place = _inside(place, before, each, before[each.at + 1 : end])
    return place


def _follow(before: str) -> tuple[int, list[_Opened], bool]:
    """Where the cursor's step starts, what brackets are open, and whether a text or comment is."""
    opened: list[_Opened] = []
    start, place, quote, comment = 0, 0, "", False
    while place < len(before):
        char = before[place]
        if comment or quote:
            if char == "\n":
                comment, quote = False, ""
                start = start if opened else place + 1
            elif quote and char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == "#":
            comment = True
        elif char in "([{":
            opened.append(_Opened(char, place))
        elif char in ")]}":
            opened = opened[:-1]
        elif not opened and char in "\n/:":
            start = place + 1
        place += 1
    return start, opened, bool(quote or comment)


def _inside(outer: Place, before: str, opened: _Opened, inner: str) -> Place:
    """The place within a bracket, given the place at which it opens."""
    if opened.sign == "{":
        if ":" not in inner or "[" in inner.partition(":")[0]:
            return Place("braces", _last_name(inner))
        value = _pieces(inner, ",")[-1].partition(":")[2].lstrip()
        return _element(outer, value)
    last = _pieces(inner, ",")[-1].lstrip()
    callee = _CALLEE.search(before[: opened.at])
    if opened.sign == "[" or callee is None:
        return _element(outer, last)
    done = [each.strip() for each in _pieces(inner, ",")[:-1]]
    made = Place(
        "argument",
        callee=callee[0],
        given=tuple(found[1] for each in done if (found := _KEYWORD.match(each))),
        position=sum(not _KEYWORD.match(each) for each in done),
        spaced=False,
        owner=outer.name if outer.kind == "value" else "",
    )
    return _phrase(made, last)


def _element(outer: Place, text: str) -> Place:
    """An element of a list or a mapping that is an argument's value."""
    if outer.kind in ("tensor", "call"):
        return Place("tensor", _last_name(text), outer.callee, outer.name)
    words = _words(text)
    if len(words) > 1:
        return _arguments(words[0], words[1:])
    return replace(outer, fragment=words[0] if words else "")


def _phrase(made: Place, text: str) -> Place:
    """An argument in brackets: ``name=value``, a value, or a layer with its own arguments."""
    keyword = _KEYWORD.match(text)
    if keyword:
        made = replace(made, kind="value", name=keyword[1])
        text = text[keyword.end() :]
    words = _words(text)
    if len(words) > 1:
        return _arguments(words[0], words[1:])
    if text.startswith("&"):
        return Place("layer", text[1:])
    return replace(made, fragment=words[0] if words else "")


def _step(text: str) -> Place:
    """The place at the end of a step that has no open bracket."""
    targets = _TARGETS.match(text)
    if targets:
        text = text[targets.end() :]
    words = _words(text)
    if len(words) <= 1:
        return Place("start", words[0] if words else "")
    first, rest = words[0], words[1:]
    if first == "reuse" and "<-" not in rest:
        return Place("layer", rest[-1]) if len(rest) == 1 else Place("nothing")
    if first in _TENSORS:
        return _tensors("", text.partition(first)[2])
    if first == "freeze":
        return Place("layer", _pieces(rest[-1], ",")[-1])
    if first in _NAMES:
        return Place("nothing")
    if first == "model":
        return Place("kind", rest[-1]) if len(rest) > 1 else Place("nothing")
    if first == "merge":
        if len(rest) == 1:
            return Place("value", rest[0], name="layer")
        return _arguments(rest[0], rest[1:])
    if "<-" in rest:
        callee = rest[0] if first == "reuse" else first
        return _tensors(callee.partition("(")[0], text.partition("<-")[2])
    if "*" in rest:
        return Place("nothing")
    return _arguments(first.partition("(")[0], rest)


def _tensors(callee: str, text: str) -> Place:
    """Right of an arrow."""
    last = _pieces(text, ",")[-1].lstrip()
    name, equals, value = last.partition("=")
    if equals:
        return Place("call", value.strip(), callee, name.strip())
    words = _words(last)
    if len(words) > 1:
        return Place("nothing")
    given = [each.partition("=")[0].strip() for each in _pieces(text, ",")[:-1] if "=" in each]
    return Place("tensor", words[0] if words else "", callee, given=tuple(given))


def _arguments(callee: str, words: list[str]) -> Place:
    """The last of the words is what is being written; those before are done."""
    *done, fragment = words
    given = []
    position = 0
    for each in done:
        keyword = _KEYWORD.match(each)
        if keyword:
            given.append(keyword[1])
        elif each.startswith("!"):
            given.append(each[1:])
        else:
            position += 1
            given.append(each)
    place = Place("argument", fragment, callee, given=tuple(given), position=position)
    keyword = _KEYWORD.match(fragment)
    if keyword:
        value = _pieces(fragment[keyword.end() :], ",")[-1]
        return replace(place, kind="value", name=keyword[1], fragment=value)
    if fragment.startswith("&"):
        return Place("layer", fragment[1:])
    if "," in fragment:  # an element of a list without brackets: accuracy,mae
        return replace(place, fragment=_pieces(fragment, ",")[-1])
    return place


def _last_name(text: str) -> str:
    """The dotted name that a text ends in."""
    found = re.search(r"[^\W\d][\w.]*$", text)
    return found[0] if found else ""


def _words(text: str) -> list[str]:
    """A text's words; the last one is empty behind a space."""
    return _pieces(text.lstrip(), " \t\n", together=True)


def _pieces(text: str, signs: str, *, together: bool = False) -> list[str]:
    """A text cut at signs that stand in no bracket and no quotes."""
    pieces, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif depth == 0 and char in signs:
            if pieces[-1] or not together:
                pieces.append("")
            continue
        else:
            depth = max(0, depth + (char in "([{") - (char in ")]}"))
        pieces[-1] += char
    return pieces
