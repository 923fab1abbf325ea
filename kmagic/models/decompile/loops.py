"""The last touches: loops over uses of one block, and blocks that need no name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from kmagic.language import format_value
from kmagic.language.spec import Expr, NodeOutput, Value
from kmagic.models.decompile.block_templates import numbered
from kmagic.models.decompile.items import Block, Fork, Loop, Part, Use
from kmagic.models.decompile.links import Flow

FEWEST = 3
"""So many uses are worth a loop."""


def looped(parts: Sequence[Part], ends: Sequence[NodeOutput], taken: set[str]) -> tuple[Part, ...]:
    """Uses of one block that follow each other, and differ in one argument, as one loop.

    Args:
        parts: Of one indentation.
        ends: What is used behind them.
        taken: Names that a loop must not bind.
    """
    found: list[Part] = []
    flow = Flow(parts, ends)
    start = 0
    while start < len(parts):
        part = parts[start]
        loop, length = _loop(flow, parts, start, taken)
        if loop is not None:
            found.append(loop)
            start += length
            continue
        if isinstance(part, Fork):
            ways = tuple(looped(branch, (), taken) for branch in part.branches)
            part = replace(part, branches=ways)
        found.append(part)
        start += 1
    return tuple(found)


def _loop(
    flow: Flow, parts: Sequence[Part], start: int, taken: set[str]
) -> tuple[Loop | None, int]:
    run = _run(flow, parts, start)
    if len(run) < FEWEST:
        return None, 0
    varying = [name for name in run[0].block.params if _varies(run, name)]
    if len(varying) != 1:
        return None, 0
    name = varying[0]
    series = numbered(name, [use.args[name] for use in run], taken)
    if series is None:
        return None, 0
    var, each, values = series
    first = run[0].changed({("arg", name): each})
    return Loop((first,), None, run[0].takes, run[-1].gives, var, values), len(run)


def _run(flow: Flow, parts: Sequence[Part], start: int) -> list[Use]:
    """The longest series of uses from here on that one loop can stand for."""
    first = parts[start]
    if not isinstance(first, Use) or len(first.takes) != 1 or first.takes[0].path:
        return []
    if start and first.takes[0].node not in parts[start - 1].gives:
        return []  # a loop has no arrow
    run = [first]
    for part in parts[start + 1 :]:
        enters = run[-1].gives[0]
        if not isinstance(part, Use) or part.block is not first.block:
            break
        if part.takes != (NodeOutput(enters),) or len(flow.users[enters]) != 1:
            break
        if part.args.keys() != first.args.keys():
            break
        if sum(_varies([*run, part], name) for name in first.block.params) > 1:
            break
        run.append(part)
    while run and not flow.flows_on(start + len(run) - 1):
        run.pop()
    return run


def _varies(run: Sequence[Use], name: str) -> bool:
    return len({_text(use.args.get(name)) for use in run}) > 1


def _text(value: Value | None) -> str:
    return "" if value is None else format_value(value)


def inlined(
    parts: tuple[Part, ...], ends: Sequence[NodeOutput], blocks: Sequence[Block]
) -> tuple[tuple[Part, ...], tuple[Block, ...]]:
    """Bodies of blocks that only one loop uses, moved into the loop.

    Args:
        parts: Of the model.
        ends: What is used behind them.
        blocks: All of the model's.

    Returns:
        The parts, and the blocks that are left.
    """
    bodies = (parts, *(block.body for block in blocks))
    uses = Counter(use.block for body in bodies for use in _uses(body))
    gone: set[Block] = set()

    def moved(parts: Sequence[Part], ends: Sequence[NodeOutput]) -> tuple[Part, ...]:
        found: list[Part] = []
        flow = Flow(parts, ends)
        for place, part in enumerate(parts):
            match part:
                case Loop(body=(Use() as use,)) if (
                    uses[use.block] == 1 and _is_plain(use, part) and _stands_alone(flow, place)
                ):
                    gone.add(use.block)
                    found.append(replace(part, body=moved(use.block.body, ())))
                case Loop():
                    found.append(replace(part, body=moved(part.body, ())))
                case Fork():
                    ways = tuple(moved(branch, ()) for branch in part.branches)
                    found.append(replace(part, branches=ways))
                case _:
                    found.append(part)
        return tuple(found)

    for block in blocks:
        block.body = moved(block.body, ())
    return moved(parts, ends), tuple(block for block in blocks if block not in gone)


def _stands_alone(flow: Flow, place: int) -> bool:
    """Whether a loop needs neither an arrow nor a name for what it gives."""
    parts = flow.parts
    before = parts[place - 1].gives if place else None
    takes = parts[place].takes
    return flow.flows_on(place) and (before is None or tuple(map(NodeOutput, before)) == takes)


def _is_plain(use: Use, loop: Loop) -> bool:
    """Whether a block's body may stand in the place of its use in a loop, parameters and all."""
    own = {loop.var: Expr(loop.var)} if loop.var else {}
    return set(use.block.params) == set(own) and dict(use.args) == own


def _uses(parts: Iterable[Part]) -> Iterator[Use]:
    for part in parts:
        match part:
            case Use():
                yield part
            case Loop():
                yield from _uses(part.body)
            case Fork():
                for branch in part.branches:
                    yield from _uses(branch)
            case _:
                pass
