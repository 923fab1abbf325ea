"""The names that a model's text has given above the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEAD = re.compile(r"(block|model|for|repeat|residual|merge|branch)\b")
_BLOCK = re.compile(r"block\s+([^\W\d]\w*)\s*(?:\(([^)]*)\))?")
_MODEL = re.compile(r"model\s+([^\W\d]\w*)[^:]*:")
_FOR = re.compile(r"for\s+([^\W\d]\w*)\s+in\b")
_TARGETS = re.compile(r"((?:[^\W\d]\w*\s*,\s*)*[^\W\d]\w*)\s*=(?!=)\s*\S")
_PARAMETER = re.compile(r"([^\W\d]\w*)\s*(?:=\s*([^,]+))?")


@dataclass(slots=True)
class Scope:
    """What can be named at the cursor.

    Attributes:
        taps: Names of outputs, and of the layers that give them; the nearest first.
        blocks: Parameters of each block, with their defaults or None.
        models: Nested models.
        values: Parameters of the blocks around the cursor, and names of loops.
        inside: Whether the cursor stands in a body that something enters, so that ``_in`` means
            something.
    """

    taps: list[str] = field(default_factory=list)
    blocks: dict[str, dict[str, str | None]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    inside: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of text, and the heads that its body stands under."""

    text: str
    indent: int
    heads: tuple[tuple[int, str], ...]

    @property
    def room(self) -> tuple[int, ...]:
        """The blocks and models around it: names do not leave them."""
        return tuple(number for number, text in self.heads if text.startswith(("block", "model")))


def scope_at(text: str, cursor: int) -> Scope:
    r"""The names that can be used at the cursor.

    Example:
        >>> text = "block res(f, s=1):\n  conv2d {"
        >>> found = scope_at(text, len(text))
        >>> found.blocks, found.values, found.inside
        ({'res': {'f': None, 's': '1'}}, ['f', 's'], True)
    """
    rows = list(_rows(text[:cursor]))
    here = rows[-1]
    scope = Scope()
    for row in rows:
        block, model = _BLOCK.match(row.text), _MODEL.match(row.text)
        if block:
            scope.blocks[block[1]] = _parameters(block[2] or "")
        elif model:
            scope.models.append(model[1])
        elif row is not here and row.room == here.room:
            for step in re.split(r"\s/\s|:\s", row.text):
                targets = _TARGETS.match(step.strip())
                names = targets[1].replace(" ", "").split(",") if targets else []
                scope.taps = [*names, *(tap for tap in scope.taps if tap not in names)]
    for _, head in here.heads:
        block, loop = _BLOCK.match(head), _FOR.match(head)
        scope.values += _parameters(block[2] or "") if block else [loop[1]] if loop else []
        scope.inside |= head.startswith(("block", "residual", "branch"))
    return scope


def _rows(text: str) -> Iterator[_Row]:
    heads: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.split("\n")):
        body = line.lstrip()
        indent = len(line) - len(body)
        if body:
            heads = [head for head in heads if head[0] < indent]
        around = tuple((place, head) for _, place, head in heads)
        if _HEAD.match(body) and ":" in body:
            own = (number, body)
            # What follows a head on its own line stands in its body already.
            head_only = body.partition(":")[0] + ":"
            yield _Row(head_only, indent, around)
            yield _Row(body.partition(":")[2].strip(), indent, (*around, own))
            heads.append((indent, number, body))
        else:
            yield _Row(body, indent, around)


def _parameters(text: str) -> dict[str, str | None]:
    found = (_PARAMETER.match(each.strip()) for each in text.split(","))
    return {each[1]: each[2] for each in found if each}
