"""A graph of layers as a series-parallel structure: which layers follow each other or run parallel.

The graph is split at the nodes that every path passes. Between two of them there are either no
nodes or parallel branches, which are split in turn. An edge past other nodes is an arc. If a part
cannot be split, its longest edges become arcs until it can; as a last resort all edges except those
between neighbours do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

START, END, GAP = -1, -2, -3
"""Before and after all nodes; in a series: what follows is not connected with what is before."""
SeriesItem: TypeAlias = "int | Branches"
Series: TypeAlias = list[SeriesItem]
Edges: TypeAlias = dict[int, set[int]]
Arcs: TypeAlias = list[tuple[int, int]]


@dataclass(slots=True)
class Branches:
    """Parallel branches, each a series of its own."""

    branches: list[Series]


@dataclass(slots=True)
class Decomposition:
    """The structure of a graph.

    Attributes:
        series: The nodes from top to bottom.
        arcs: Edges that pass other nodes, as pairs of nodes.
    """

    series: Series
    arcs: Arcs = field(default_factory=list)


def decompose(sources: Iterable[Iterable[int]]) -> Decomposition:
    """Find the structure of a graph.

    Args:
        sources: For each node the nodes that it takes its inputs from, all before it.

    Example:
        >>> decompose([[], [0], [1], [0, 2]])  # a skip connection past 1 and 2
        Decomposition(series=[0, 1, 2, 3], arcs=[(0, 3)])
        >>> decompose([[], [0], [0], [1, 2]]).series  # two branches from 0 to 3
        [0, Branches(branches=[[1], [2]]), 3]
    """
    edges: Edges = {}
    nodes = []
    for node, inputs in enumerate(sources):
        nodes.append(node)
        for source in inputs:
            edges.setdefault(source, set()).add(node)
    with_input: set[int] = set().union(*edges.values())
    edges[START] = {node for node in nodes if node not in with_input}
    for node in nodes:
        edges.setdefault(node, {END})
    result = Decomposition([])
    if nodes:
        result.series = _between(START, nodes, END, edges, result.arcs)
    result.arcs.sort()
    return result


def _between(first: int, nodes: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """The nodes between two others as a series; ``nodes`` are in the order of the graph."""
    series: Series = []
    begin = first
    rest = list(nodes)
    for cut in [*_cuts(first, nodes, last, edges), last]:
        inner: list[int] = []
        while rest and rest[0] != cut:
            inner.append(rest.pop(0))
        if rest:
            rest.pop(0)
        if inner:
            series += _branches(begin, inner, cut, edges, arcs)
        if cut != last:
            series.append(cut)
        begin = cut
    return series


def _cuts(first: int, nodes: list[int], last: int, edges: Edges) -> list[int]:
    """The nodes that no edge passes."""
    order = {node: index for index, node in enumerate((first, *nodes, last))}
    furthest = 0
    cuts = []
    for node in (first, *nodes):
        if node != first and furthest <= order[node]:
            cuts.append(node)
        targets = [order[target] for target in edges.get(node, ()) if target in order]
        furthest = max([furthest, *targets])
    return cuts


def _branches(first: int, inner: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """What lies between two cuts."""
    if last in edges.get(first, ()) and first != START and last != END:
        arcs.append((first, last))
    branches = [
        _between(first, part, last, edges, arcs)
        if _cuts(first, part, last, edges)
        else _loosened(first, part, last, edges, arcs)
        for part in _components(inner, edges)
    ]
    return branches[0] if len(branches) == 1 else [Branches(branches)]


def _components(inner: list[int], edges: Edges) -> list[list[int]]:
    """The connected parts between two cuts."""
    neighbours: dict[int, set[int]] = {node: set() for node in inner}
    for node in inner:
        for target in edges[node] & neighbours.keys():
            neighbours[node].add(target)
            neighbours[target].add(node)
    components = []
    rest = list(inner)
    while rest:
        component, pending = set(), [rest[0]]
        while pending:
            node = pending.pop()
            if node not in component:
                component.add(node)
                pending += neighbours[node] - component
        components.append([node for node in rest if node in component])
        rest = [node for node in rest if node not in component]
    return components


def _loosened(first: int, part: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """A part that cannot be split: make its longest edge an arc, and try again."""
    order = {node: index for index, node in enumerate((first, *part, last))}
    own = {node: edges.get(node, set()) & order.keys() - {first} for node in (first, *part)}
    own[first].discard(last)
    inputs: dict[int, int] = {}
    for targets in own.values():
        for target in targets:
            inputs[target] = inputs.get(target, 0) + 1
    while True:
        spare = [
            (order[target] - order[node], node, target)
            for node, targets in own.items()
            for target in targets
            if len(targets) > 1 and inputs[target] > 1
        ]
        if not spare:
            return _in_order(first, part, last, own, arcs)
        _, node, target = max(spare)
        if node != START and target != END:
            arcs.append((node, target))
        own[node].discard(target)
        inputs[target] -= 1
        if len(_components(part, own)) > 1 or _cuts(first, part, last, own):
            return _branches(first, part, last, {**edges, **own}, arcs)


def _in_order(first: int, part: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """The nodes one after the other, with arcs for all other edges."""
    series: Series = []
    previous = first
    shown = set()
    for node in (*part, last):
        if node in edges.get(previous, ()):
            shown.add((previous, node))
        elif series or first != START:
            series.append(GAP)
        series.append(node)
        previous = node
    series.pop()  # the last node belongs to the next part
    arcs += [
        (node, target)
        for node, targets in edges.items()
        for target in targets
        if (node, target) not in shown and node != START and target != END
    ]
    return series
