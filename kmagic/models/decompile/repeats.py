"""Equal stretches one behind the other: ``dense 64 relu * 3`` and ``repeat 3:``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmagic.language import format_value
from kmagic.language.spec import LiteralValue, NodeOutput
from kmagic.models.decompile.items import Item, Loop, Use, canonical, leaves
from kmagic.models.decompile.links import Flow, outside


def repeated(items: Sequence[Item], ends: Sequence[NodeOutput], longest: int) -> list[Item]:
    """Items with repetitions in the place of equal stretches that follow each other.

    Args:
        items: Of one indentation.
        ends: What is used behind them.
        longest: How many items the repeated stretch may have.
    """
    found: list[Item] = []
    flow = Flow(items, ends)
    start = 0
    while start < len(items):
        length, turns = _repetition(flow, items, start, longest)
        if not turns:
            found.append(items[start])
            start += 1
            continue
        body = tuple(items[start : start + length])
        last = items[start + length * turns - 1]
        found.append(Loop(body, LiteralValue(turns), tuple(outside(body)), last.gives))
        start += length * turns
    return found


def _repetition(flow: Flow, items: Sequence[Item], start: int, longest: int) -> tuple[int, int]:
    """Length and turns of the repetition that begins here and holds most; no turns if none."""
    best = (0, 0)
    for length in range(1, min(longest, (len(items) - start) // 2) + 1):
        body = items[start : start + length]
        if not all(map(_may_repeat, body)):
            break
        turns = _turns(flow, items, start, length)
        if length == 1:
            enough = turns > 1 and not isinstance(body[0], Loop)
        else:
            turns = _without_names(flow, items, start, length, turns)
            enough = turns > 1
        if enough and turns * length > best[0] * best[1]:
            best = (length, turns)
    return best


def _without_names(flow: Flow, items: Sequence[Item], start: int, length: int, turns: int) -> int:
    """The turns that ``repeat`` can do: it has no arrow, and cannot name what it gives."""
    enters = outside(items[start : start + length])
    if start and enters[0].node not in items[start - 1].gives:
        return 0
    return turns if turns and flow.flows_on(start + length * turns - 1) else turns - 1


def _turns(flow: Flow, items: Sequence[Item], start: int, length: int) -> int:
    """How many equal stretches of this length follow each other, each on the one before."""
    first = tuple(items[start : start + length])
    if len(outside(first)) != 1 or not flow.is_closed(start, length):
        return 0
    form, texts = canonical(first), _texts(first)
    turns, at, enters = 1, start + length, first[-1].gives[0]
    while at + length <= len(items) and flow.is_closed(at, length):
        stretch = tuple(items[at : at + length])
        alone = all(at <= user < at + length for user in flow.users[enters])
        if outside(stretch) != [NodeOutput(enters)] or not alone:
            break
        if canonical(stretch) != form or _texts(stretch) != texts:
            break
        turns, at, enters = turns + 1, at + length, stretch[-1].gives[0]
    return turns


def _may_repeat(item: Item) -> bool:
    if isinstance(item, Use):
        return True
    return all(
        leaf.name is None and leaf.step.kind in ("layer", "function") for leaf in leaves(item)
    )


def _texts(items: Sequence[Item]) -> tuple[Any, ...]:
    return tuple(
        tuple((key, format_value(value)) for key, value in item.fields().items()) for item in items
    )
