"""How a network's nodes stand to each other: what follows what, what runs side by side.

A network is taken apart at the nodes through which every way goes. Between two of them lies
either nothing, or ways side by side; each way is taken apart in turn. An edge past other nodes is
an arc. What cannot be taken apart so (a woven net) gives up its longest edges, as arcs, until it
can; of what even then cannot, all edges but those between neighbours are arcs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

START, END, GAP = -1, -2, -3
"""Before all nodes, after all nodes; and in a series: what follows does not take what is before."""
Item: TypeAlias = "int | Branches"
Series: TypeAlias = list[Item]
Edges: TypeAlias = dict[int, set[int]]


@dataclass(slots=True)
class Branches:
    """Ways side by side, each a series of its own."""

    ways: list[Series]


@dataclass(slots=True)
class Decomposition:
    """A network taken apart.

    Attributes:
        series: From top to bottom.
        arcs: Edges that pass other nodes by, as pairs of numbers.
    """

    series: Series
    arcs: list[tuple[int, int]] = field(default_factory=list)


def decompose(sources: Iterable[Iterable[int]]) -> Decomposition:
    """Take a network apart.

    Args:
        sources: For each node the numbers of those that it takes its inputs from; all smaller
            than its own.

    Example:
        >>> decompose([[], [0], [1], [0, 2]])  # a skip connection past 1 and 2
        Weave(series=[0, 1, 2, 3], arcs=[(0, 3)])
        >>> decompose([[], [0], [0], [1, 2]]).series  # two ways from 0 to 3
        [0, Split(ways=[[1], [2]]), 3]
    """
    after: Edges = {}
    count = 0
    for number, found in enumerate(sources):
        count += 1
        for source in found:
            after.setdefault(source, set()).add(number)
    nodes = list(range(count))
    fed = {each for found in after.values() for each in found}
    after[START] = {each for each in nodes if each not in fed}
    for each in nodes:
        after.setdefault(each, {END})
    result = Decomposition([])
    if nodes:
        result.series = _between(START, nodes, END, after, result.arcs)
    result.arcs.sort()
    return result


def _between(
    first: int, nodes: list[int], last: int, after: Edges, arcs: list[tuple[int, int]]
) -> Series:
    """The nodes between two others, as a series; ``nodes`` are in the order of the network."""
    series: Series = []
    cuts = _cuts(first, nodes, last, after)
    begin = first
    rest = list(nodes)
    for cut in [*cuts, last]:
        inner: list[int] = []
        while rest and rest[0] != cut:
            inner.append(rest.pop(0))
        if rest:
            rest.pop(0)
        if inner:
            series += _ways(begin, inner, cut, after, arcs)
        if cut != last:
            series.append(cut)
        begin = cut
    return series


def _cuts(first: int, nodes: list[int], last: int, after: Edges) -> list[int]:
    """The nodes past which no edge goes."""
    place = {first: 0, **{each: n for n, each in enumerate(nodes, 1)}, last: len(nodes) + 1}
    reach = 0
    cuts = []
    for each in (first, *nodes):
        if each != first and reach <= place[each]:
            cuts.append(each)
        ends = [place[to] for to in after.get(each, ()) if to in place]
        reach = max([reach, *ends])
    return cuts


def _ways(
    first: int, inner: list[int], last: int, after: Edges, arcs: list[tuple[int, int]]
) -> Series:
    """What lies between two cuts."""
    if last in after.get(first, ()) and first != START and last != END:
        arcs.append((first, last))
    ways = []
    for part in _parts(inner, after):
        if _cuts(first, part, last, after):
            ways.append(_between(first, part, last, after, arcs))
        else:
            ways.append(_loosened(first, part, last, after, arcs))
    return ways[0] if len(ways) == 1 else [Branches(ways)]


def _parts(inner: list[int], after: Edges) -> list[list[int]]:
    """The nodes that hang together, apart from the two cuts around them."""
    inside = set(inner)
    beside: dict[int, set[int]] = {each: set() for each in inner}
    for each in inner:
        for to in after[each] & inside:
            beside[each].add(to)
            beside[to].add(each)
    parts = []
    left = list(inner)
    while left:
        found, waiting = set(), [left[0]]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += beside[each] - found
        parts.append([each for each in left if each in found])
        left = [each for each in left if each not in found]
    return parts


def _loosened(
    first: int, part: list[int], last: int, after: Edges, arcs: list[tuple[int, int]]
) -> Series:
    """A part in which all is woven: its longest edge becomes an arc, and it is tried again."""
    inside = {*part, first, last}
    edges = {each: after.get(each, set()) & inside - {first} for each in (first, *part)}
    edges[first].discard(last)
    into: dict[int, int] = {}
    for ends in edges.values():
        for to in ends:
            into[to] = into.get(to, 0) + 1
    place = {first: 0, **{each: n for n, each in enumerate(part, 1)}, last: len(part) + 1}
    while True:
        spare = [
            (place[to] - place[each], each, to)
            for each, ends in edges.items()
            for to in ends
            if len(ends) > 1 and into[to] > 1
        ]
        if not spare:
            return _in_order(first, part, last, edges, arcs)
        _, each, to = max(spare)
        if each != START and to != END:
            arcs.append((each, to))
        edges[each].discard(to)
        into[to] -= 1
        if len(_parts(part, edges)) > 1 or _cuts(first, part, last, edges):
            return _ways(first, part, last, {**after, **edges}, arcs)


def _in_order(
    first: int, part: list[int], last: int, edges: Edges, arcs: list[tuple[int, int]]
) -> Series:
    """Nodes one after the other, as they come."""
    series: Series = []
    before = first
    shown = set()
    for each in (*part, last):
        if each in edges.get(before, ()):
            shown.add((before, each))
        elif series or first != START:
            series.append(GAP)
        series.append(each)
        before = each
    series.pop()  # the last is not of this part
    arcs += [
        (each, to)
        for each, ends in edges.items()
        for to in ends
        if (each, to) not in shown and each != START and to != END
    ]
    return series
