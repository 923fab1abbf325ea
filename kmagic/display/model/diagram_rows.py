"""The rows of a diagram, with repeated and long parts folded until it is readable.

The blocks of a text are folded before (:mod:`kmagic.display.model.diagram_graph`). Here a diagram
that is too high is folded further: first exact repetitions, then what a skip connection spans and
what lies between parallel branches and their merge, then long chains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, TypeAlias

from kmagic.display.model.diagram_graph import DiagramGraph, DiagramNode
from kmagic.language.vocabulary import ALIASES, PREFERRED, snake_case

MAX_ROWS = 36
"""A diagram with more rows is folded."""
MAX_PERIOD = 40
"""The longest stretch that is searched for repetitions."""
MIN_CHAIN = 4
"""The shortest chain that is folded; a repetition must save as many rows less one."""
KEPT_ENDS = 8
"""Rows at the beginning and the end that stay as they are."""
BRANCH_SEPARATOR = "|"

Item: TypeAlias = "DiagramRow | Parallel | Gap"
_SHORT_NAMES = {
    PREFERRED.get(name) or snake_case(name): min(
        (alias for alias, other in ALIASES.items() if other == name), key=len
    )
    for name in ALIASES.values()
}


@dataclass(slots=True, eq=False)
class DiagramRow:
    """One line of the diagram.

    Attributes:
        node: The layer or layers that it shows.
        times: How often it is repeated.
        arcs: Rows that it has skip connections from.
        targets: Rows that it has skip connections to.
    """

    node: DiagramNode
    times: int = 1
    arcs: list[DiagramRow] = field(default_factory=list)
    targets: list[DiagramRow] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        """Whether it stands for several layers."""
        return bool(self.node.inside)

    @property
    def title(self) -> str:
        """Its label, and how often it is repeated."""
        return f"{self.node.label} \u00d7 {self.times}" if self.times > 1 else self.node.label

    @property
    def parameter_text(self) -> str:
        """Its number of parameters."""
        if self.node.shared:
            return "shared"
        return f"{self.node.parameters:,}" if self.node.parameters else ""

    @property
    def contents(self) -> str:
        """The layers folded into it, abbreviated."""
        return abbreviate_labels(self.node.inside)


@dataclass(slots=True, eq=False)
class Parallel:
    """Branches side by side."""

    branches: list[list[Item]]


class Gap:
    """What follows is not connected with what comes before."""


def all_rows(items: Sequence[Item]) -> Iterator[DiagramRow]:
    """All rows, including those of branches."""
    for item in items:
        if isinstance(item, DiagramRow):
            yield item
        elif isinstance(item, Parallel):
            for branch in item.branches:
                yield from all_rows(branch)


def row_count(items: Sequence[Item]) -> int:
    """The height of a list of items, in rows."""
    return sum(
        max(map(row_count, item.branches))
        if isinstance(item, Parallel)
        else isinstance(item, DiagramRow)
        for item in items
    )


def plan_rows(graph: DiagramGraph, limit: int = MAX_ROWS) -> list[Item]:
    """The rows of a diagram, from top to bottom.

    Args:
        graph: The layers.
        limit: The number of rows above which parts are folded, as far as possible.
    """
    decomposition = decompose([node.sources for node in graph.nodes])
    rows = [DiagramRow(node) for node in graph.nodes]
    for source, target in decomposition.arcs:
        rows[target].arcs.append(rows[source])
        rows[source].targets.append(rows[target])
    items = _to_items(decomposition.series, rows)
    return _shrink(_fold_repetitions(items, only_blocks=True), limit)


def _to_items(series: Series, rows: Sequence[DiagramRow]) -> list[Item]:
    return [
        Parallel([_to_items(branch, rows) for branch in item.branches])
        if isinstance(item, Branches)
        else Gap()
        if item == GAP
        else rows[item]
        for item in series
    ]


def _shrink(items: list[Item], limit: int) -> list[Item]:
    for item in items:
        if isinstance(item, Parallel):
            item.branches = [_shrink(branch, limit) for branch in item.branches]
    for fold_parts in (list, _fold_spans, _fold_chains):
        if row_count(items) > limit:
            items = _fold_repetitions(fold_parts(items))
    return items


# --- repetitions ----------------------------------------------------------------------------------


def _fold_repetitions(items: list[Item], *, only_blocks: bool = False) -> list[Item]:
    """Each stretch that repeats as one row."""
    keys = _keys(items)
    index = 0
    while index < len(items):
        length, times = _longest_repetition(items, keys, index, only_blocks=only_blocks)
        if times > 1:
            end = index + length * times
            _fold(items, index, end, times)
            keys[index:end] = [keys[index]]
        index += 1
    return items


def _longest_repetition(
    items: list[Item], keys: Sequence[object], start: int, *, only_blocks: bool
) -> tuple[int, int]:
    """Length and number of the repetitions from an index on that save most rows."""
    best, saved, longest = (1, 1), MIN_CHAIN - 2, MAX_PERIOD
    if only_blocks:
        item = items[start]
        saved, longest = 0, int(isinstance(item, DiagramRow) and item.folded)
    for length in range(1, longest + 1):
        period = keys[start : start + length]
        times = 1
        while keys[start + length * times : start + length * (times + 1)] == period:
            times += 1
        while times > 1 and not _is_closed(items, start, start + length * times):
            times -= 1
        if times > 1 and length * times - 1 > saved:
            best, saved = (length, times), length * times - 1
    return best


def _keys(items: Sequence[Item]) -> list[object]:
    """What two items must have in common to be repetitions of each other, for each item."""
    indices = {id(item): index for index, item in enumerate(items)}
    keys: list[object] = []
    for index, item in enumerate(items):
        if isinstance(item, Parallel):
            keys.append(tuple(sorted(str(_keys(branch)) for branch in item.branches)))
        elif isinstance(item, Gap):
            keys.append("gap")
        else:
            arcs = tuple(
                index - indices[id(row)] if id(row) in indices else id(row) for row in item.arcs
            )
            name, named, layer = item.node.label.partition(" = ")
            node = item.node
            keys.append((layer if named else name, item.times, node.inside, node.shared, arcs))
    return keys


def _is_closed(items: Sequence[Item], begin: int, end: int) -> bool:
    """Whether skip connections enter a stretch only from just before, and leave it at its end."""
    if not isinstance(items[end - 1], DiagramRow):
        return False
    rows = list(all_rows(items[begin:end]))
    inside = {id(row) for row in rows}
    before = {id(items[begin - 1])} if begin else set()
    enters = all(id(source) in inside | before for row in rows for source in row.arcs)
    return enters and all(id(target) in inside for row in rows[:-1] for target in row.targets)


# --- spans and chains -----------------------------------------------------------------------------


def _fold_spans(items: list[Item]) -> list[Item]:
    """What a skip connection spans, and parallel branches with their merge, as one row each."""
    indices = {id(item): index for index, item in enumerate(items)}
    spans = [
        (indices[id(source)] + 1, indices[id(item)] + 1)
        for item in items
        if isinstance(item, DiagramRow)
        for source in item.arcs
        if id(source) in indices
    ]
    spans += [
        (index, index + 2)
        for index, item in enumerate(items)
        if isinstance(item, Parallel) and index + 1 < len(items)
    ]
    for begin, end in reversed(_merge_overlapping(spans)):
        if end - begin > 1 and _is_closed(items, begin, end):
            _fold(items, begin, end)
    return items


def _merge_overlapping(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _fold_chains(items: list[Item]) -> list[Item]:
    """Long chains of single layers, as one row each; those at both ends stay."""
    runs = [
        [index for index, _ in run]
        for is_single, run in groupby(
            enumerate(items), lambda each: isinstance(each[1], DiagramRow) and not each[1].folded
        )
        if is_single
    ]
    for run in reversed(runs):
        first, last = max(run[0], KEPT_ENDS), min(run[-1] + 1, len(items) - KEPT_ENDS)
        while last - first >= MIN_CHAIN and not _is_closed(items, first, last):
            last -= 1
        if last - first >= MIN_CHAIN:
            _fold(items, first, last)
    return items


# --- folding --------------------------------------------------------------------------------------


def _fold(items: list[Item], begin: int, end: int, times: int = 1) -> None:
    """Replace a closed stretch by a row, and redirect its skip connections."""
    stretch = items[begin : begin + (end - begin) // times]
    rows = list(all_rows(items[begin:end]))
    first, last = rows[0], rows[-1]
    if len(stretch) == 1 and isinstance(stretch[0], DiagramRow):
        label, inside = first.node.label, first.node.inside
        times *= first.times
    else:
        label, inside = _folded_label(stretch), tuple(_labels(stretch))
    ids = {id(row) for row in rows}
    node = DiagramNode(
        label,
        last.node.shape,
        sum(row.node.parameters for row in rows),
        shared=all(row.node.shared for row in rows),
        inside=inside,
        layers=sum(row.node.layers for row in rows),
    )
    folded = DiagramRow(node, times, targets=[row for row in last.targets if id(row) not in ids])
    for row in folded.targets:
        row.arcs = [folded if source is last else source for source in row.arcs]
    for row in rows:
        for source in row.arcs:
            source.targets = [target for target in source.targets if id(target) not in ids]
    items[begin:end] = [folded]


def _labels(items: Sequence[Item]) -> Iterator[str]:
    """The labels of a stretch, with a separator between branches."""
    for item in items:
        if isinstance(item, DiagramRow):
            yield f"{item.node.label} x {item.times}" if item.times > 1 else item.node.label
        elif isinstance(item, Parallel):
            for index, branch in enumerate(item.branches):
                if index:
                    yield BRANCH_SEPARATOR
                yield from _labels(branch)


def _folded_label(stretch: Sequence[Item]) -> str:
    last = stretch[-1]
    merge = last.node.word if isinstance(last, DiagramRow) else ""
    widths = [len(item.branches) for item in stretch if isinstance(item, Parallel)]
    if widths:
        return f"{merge} of {max(widths)} branches"
    if isinstance(last, DiagramRow) and last.arcs:
        return "residual" if merge == "add" else f"{merge}, skipping {len(stretch) - 1} layers"
    return f"{len(list(all_rows(stretch)))} layers"


def abbreviate_labels(labels: Sequence[str]) -> str:
    """Labels in one short line, with the shortest names of layers.

    Example:
        >>> abbreviate_labels(["conv2d 8 3x3", "batch_normalization", "relu", "relu"])
        'conv2d 8 3x3, bn, relu x 2'
    """
    parts = []
    for label in labels:
        word, space, values = label.split(" = ")[-1].partition(" ")
        parts.append(f"{min(word, _SHORT_NAMES.get(word, word), key=len)}{space}{values}")
    counts = ((short, len(list(equal))) for short, equal in groupby(parts))
    text = ", ".join(f"{short} x {times}" if times > 1 else short for short, times in counts)
    return text.replace(f", {BRANCH_SEPARATOR},", f" {BRANCH_SEPARATOR}")


# --- structure ------------------------------------------------------------------------------------
# The graph is split at the nodes that every path passes. Between two of them there are either no
# nodes or parallel branches, which are split in turn. An edge past other nodes is an arc. In a part
# that cannot be split, all edges except those between neighbours are arcs.

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


class Decomposition(NamedTuple):
    """The nodes of a graph from top to bottom, and the edges that pass other nodes."""

    series: Series
    arcs: Arcs


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
    edges: Edges = defaultdict(set)
    count = 0
    for node, inputs in enumerate(map(tuple, sources)):
        for source in inputs or (START,):
            edges[source].add(node)
        count += 1
    nodes = list(range(count))
    edges |= {node: {END} for node in nodes if node not in edges}
    arcs: Arcs = []
    series = _between(START, nodes, END, edges, arcs)
    return Decomposition(series, sorted(arcs))


def _between(first: int, nodes: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """The nodes between two others as a series; ``nodes`` are in the order of the graph."""
    series: Series = []
    begin, inner = first, list[int]()
    cuts = {*_cuts(first, nodes, last, edges), last}
    for node in (*nodes, last):
        if node not in cuts:
            inner.append(node)
            continue
        if inner:
            series += _branches(begin, inner, node, edges, arcs)
        series.append(node)
        begin, inner = node, []
    return series[:-1]  # the last node belongs to the next part


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
        else _in_order(first, part, last, edges, arcs)
        for part in _components(inner, edges)
    ]
    return branches[0] if len(branches) == 1 else [Branches(branches)]


def _components(inner: list[int], edges: Edges) -> list[list[int]]:
    """The connected parts between two cuts."""
    parts = {node: [node] for node in inner}
    for node in inner:
        for target in edges[node] & parts.keys():
            part, other = parts[node], parts[target]
            if part is not other:
                part += other
                parts |= dict.fromkeys(other, part)
    return [sorted(part) for part in {id(part): part for part in parts.values()}.values()]


def _in_order(first: int, part: list[int], last: int, edges: Edges, arcs: Arcs) -> Series:
    """The nodes one after the other, with arcs for all other edges."""
    inner = {first, *part, last}
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
        for node in (first, *part)
        for target in edges.get(node, set()) & inner - {first}
        if (node, target) not in shown | {(first, last)} and node != START and target != END
    ]
    return series
