"""The rows of a diagram, with repeated and long parts folded until it is readable.

The blocks of a text are folded before (:mod:`kmagic.display.model.diagram_graph`). Here a diagram
that is too high is folded further: first exact repetitions, then what a skip connection spans and
what lies between parallel branches and their merge, then long chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kmagic.display.model.diagram_graph import DiagramGraph, DiagramNode
from kmagic.display.model.series_parallel import GAP, Series, decompose
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
    items: list[Item] = []
    for item in series:
        if isinstance(item, int):
            items.append(Gap() if item == GAP else rows[item])
        else:
            items.append(Parallel([_to_items(branch, rows) for branch in item.branches]))
    return items


def _shrink(items: list[Item], limit: int) -> list[Item]:
    for item in items:
        if isinstance(item, Parallel):
            item.branches = [_shrink(branch, limit) for branch in item.branches]
    if row_count(items) > limit:
        items = _fold_repetitions(items)
    if row_count(items) > limit:
        items = _fold_repetitions(_fold_spans(items))
    if row_count(items) > limit:
        items = _fold_repetitions(_fold_chains(items))
    return items


# --- repetitions ----------------------------------------------------------------------------------


def _fold_repetitions(items: list[Item], *, only_blocks: bool = False) -> list[Item]:
    """Each stretch that repeats as one row."""
    keys = [_key(item, items) for item in items]
    result: list[Item] = []
    index = 0
    while index < len(items):
        length, times = _longest_repetition(items, keys, index, only_blocks=only_blocks)
        if times > 1:
            end = index + length * times
            _replace(items, index, end, _folded_row(items[index:end], length, times))
            keys[index:end] = [keys[index]]
        result.append(items[index])
        index += 1
    return result


def _longest_repetition(
    items: list[Item], keys: Sequence[object], start: int, *, only_blocks: bool
) -> tuple[int, int]:
    """Length and number of the repetitions from an index on that save most rows."""
    best = (1, 1)
    saved = MIN_CHAIN - 2
    if only_blocks:
        item = items[start]
        if not isinstance(item, DiagramRow) or not item.folded:
            return best
        saved = 0
    for length in range(1, 2 if only_blocks else MAX_PERIOD + 1):
        period = keys[start : start + length]
        times = 1
        while keys[start + length * times : start + length * (times + 1)] == period:
            times += 1
        while times > 1 and not _is_closed(items, start, start + length * times):
            times -= 1
        if times > 1 and length * times - 1 > saved:
            best, saved = (length, times), length * times - 1
    return best


def _key(item: Item, items: Sequence[Item]) -> object:
    """What two items must have in common to be repetitions of each other."""
    if isinstance(item, Parallel):
        branches = item.branches
        return tuple(sorted(str([_key(each, branch) for each in branch]) for branch in branches))
    if isinstance(item, Gap):
        return "gap"
    indices = {id(each): index for index, each in enumerate(items)}
    index = indices[id(item)]
    arcs = tuple(index - indices[id(row)] if id(row) in indices else id(row) for row in item.arcs)
    name, named, layer = item.node.label.partition(" = ")
    return (layer if named else name, item.times, item.node.inside, item.node.shared, arcs)


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
            _replace(items, begin, end, _folded_row(items[begin:end], end - begin, 1))
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
    single = [isinstance(item, DiagramRow) and not item.folded for item in items]
    end = len(items)
    while end > 0:
        begin = end
        while begin > 0 and single[begin - 1]:
            begin -= 1
        first, last = max(begin, KEPT_ENDS), min(end, len(items) - KEPT_ENDS)
        while last - first >= MIN_CHAIN and not _is_closed(items, first, last):
            last -= 1
        if last - first >= MIN_CHAIN:
            _replace(items, first, last, _folded_row(items[first:last], last - first, 1))
        end = min(begin, end - 1)
    return items


# --- folding --------------------------------------------------------------------------------------


def _replace(items: list[Item], begin: int, end: int, folded: DiagramRow) -> None:
    """Replace a closed stretch by a row, and redirect its skip connections."""
    rows = list(all_rows(items[begin:end]))
    inside = {id(row) for row in rows}
    last = rows[-1]
    folded.targets = [row for row in last.targets if id(row) not in inside]
    for row in folded.targets:
        row.arcs = [folded if source is last else source for source in row.arcs]
    for row in rows:
        for source in row.arcs:
            source.targets = [target for target in source.targets if id(target) not in inside]
    items[begin:end] = [folded]


def _folded_row(stretch: Sequence[Item], length: int, times: int) -> DiagramRow:
    rows = list(all_rows(stretch))
    first, last = rows[0].node, rows[-1].node
    if length == 1 and isinstance(stretch[0], DiagramRow):
        label, inside = first.label, first.inside
        times *= rows[0].times
    else:
        label = _folded_label(stretch[:length])
        inside = tuple(_labels(stretch[:length]))
    node = DiagramNode(
        label,
        last.shape,
        sum(row.node.parameters for row in rows),
        shared=all(row.node.shared for row in rows),
        inside=inside,
        layers=sum(row.node.layers for row in rows),
    )
    return DiagramRow(node, times)


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
    parts: list[tuple[str, int]] = []
    for label in labels:
        word, space, values = label.split(" = ")[-1].partition(" ")
        short = f"{min(word, _SHORT_NAMES.get(word, word), key=len)}{space}{values}"
        if parts and parts[-1][0] == short:
            parts[-1] = (short, parts[-1][1] + 1)
        else:
            parts.append((short, 1))
    text = ", ".join(f"{short} x {times}" if times > 1 else short for short, times in parts)
    return text.replace(f", {BRANCH_SEPARATOR},", f" {BRANCH_SEPARATOR}")
