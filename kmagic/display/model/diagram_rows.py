"""A network's picture as rows: what repeats is folded, and if need be what belongs together.

Blocks of a text are folded before (:mod:`kmagic.display.model.diagram_graph`); here a picture that would be too
high to read loses rows until it is not: first stretches that repeat exactly, then what lies under
an arc or between two ways' parting and meeting, then long runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kmagic.display.model.diagram_graph import DiagramGraph, DiagramNode
from kmagic.display.model.series_parallel import GAP, Series, decompose
from kmagic.language.vocabulary import ALIASES, PREFERRED, snake_case

MAX_ROWS = 36
"""A picture of more rows than these is folded."""
LONGEST = 40
"""Stretches of up to so many rows are compared with what follows them."""
LONG = 4
"""A run of so many layers can be folded, and a stretch must save as many rows less one."""
ENDS = 8
"""So many rows at either end stay as they are: how a net begins and ends tells most."""

BESIDE = "|"

Item: TypeAlias = "DiagramRow | Parallel | Gap"
_SHORT = {
    PREFERRED.get(name) or snake_case(name): min(
        (alias for alias, other in ALIASES.items() if other == name), key=len
    )
    for name in ALIASES.values()
}


@dataclass(slots=True, eq=False)
class DiagramRow:
    """One line of the picture.

    Attributes:
        node: What it shows.
        times: How often it follows on itself.
        arcs: Rows whose outputs it takes past others.
        leads: Rows that take its output past others.
    """

    node: DiagramNode
    times: int = 1
    arcs: list[DiagramRow] = field(default_factory=list)
    leads: list[DiagramRow] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        """Whether it stands for several layers."""
        return bool(self.node.inside)


@dataclass(slots=True, eq=False)
class Parallel:
    """Ways side by side."""

    ways: list[list[Item]]


class Gap:
    """What follows does not take what stands before."""


def all_rows(items: Sequence[Item]) -> Iterator[DiagramRow]:
    """All rows, those within forks too."""
    for item in items:
        if isinstance(item, DiagramRow):
            yield item
        elif isinstance(item, Parallel):
            for way in item.ways:
                yield from all_rows(way)


def row_count(items: Sequence[Item]) -> int:
    """How many rows high a list of items is."""
    return sum(
        max(map(row_count, item.ways))
        if isinstance(item, Parallel)
        else isinstance(item, DiagramRow)
        for item in items
    )


def plan_rows(network: DiagramGraph, most: int = MAX_ROWS) -> list[Item]:
    """The rows of a network's picture, from top to bottom.

    Args:
        network: The nodes.
        most: Of more rows than these some are folded, as far as the network lets them.
    """
    woven = decompose([node.sources for node in network.nodes])
    known = [DiagramRow(node) for node in network.nodes]
    for first, last in woven.arcs:
        known[last].arcs.append(known[first])
        known[first].leads.append(known[last])
    return _shrunk(_repeated(_items(woven.series, known), only_folded=True), most)


def _items(series: Series, known: Sequence[DiagramRow]) -> list[Item]:
    items: list[Item] = []
    for item in series:
        if isinstance(item, int):
            items.append(Gap() if item == GAP else known[item])
        else:
            items.append(Parallel([_items(way, known) for way in item.ways]))
    return items


def _shrunk(items: list[Item], most: int) -> list[Item]:
    for item in items:
        if isinstance(item, Parallel):
            item.ways = [_shrunk(way, most) for way in item.ways]
    if row_count(items) > most:
        items = _repeated(items)
    if row_count(items) > most:
        items = _repeated(_bundled(items))
    if row_count(items) > most:
        items = _repeated(_shortened(items))
    return items


# --- what repeats -------------------------------------------------------------------------------


def _repeated(items: list[Item], *, only_folded: bool = False) -> list[Item]:
    """Stretches that follow on themselves, each as one row."""
    signs = [_sign(item, items) for item in items]
    result: list[Item] = []
    place = 0
    while place < len(items):
        length, times = _best(items, signs, place, only_folded=only_folded)
        if times > 1:
            stretch = items[place : place + length * times]
            _replace(items, place, place + length * times, _fold(stretch, length, times))
            signs[place : place + length * times] = [signs[place]]
        result.append(items[place])
        place += 1
    return result


def _best(
    items: list[Item], signs: Sequence[object], place: int, *, only_folded: bool
) -> tuple[int, int]:
    """Length and number of the repetitions from a place on that save most rows."""
    best = (1, 1)
    saved = LONG - 2
    if only_folded:
        item = items[place]
        if not isinstance(item, DiagramRow) or not item.folded:
            return best
        saved = 0
    for length in range(1, 2 if only_folded else LONGEST + 1):
        window = signs[place : place + length]
        times = 1
        while signs[place + length * times : place + length * (times + 1)] == window:
            times += 1
        while times > 1 and not _is_closed(items, place, place + length * times):
            times -= 1
        gain = length * times - 1
        if times > 1 and gain > saved:
            best, saved = (length, times), gain
    return best


def _sign(item: Item, beside: Sequence[Item]) -> object:
    """What two items must have in common to be the same."""
    if isinstance(item, Parallel):
        return tuple(sorted(str([_sign(each, way) for each in way]) for way in item.ways))
    if isinstance(item, Gap):
        return "gap"
    places = {id(each): place for place, each in enumerate(beside)}
    here = places[id(item)]
    arcs = tuple(here - places[id(row)] if id(row) in places else id(row) for row in item.arcs)
    name, named, rest = item.node.label.partition(" = ")
    return (rest if named else name, item.times, item.node.inside, item.node.shared, arcs)


def _is_closed(items: Sequence[Item], begin: int, end: int) -> bool:
    """Whether arcs enter a stretch only from just before it, and leave it only from its end."""
    if not isinstance(items[end - 1], DiagramRow):
        return False
    inner = list(all_rows(items[begin:end]))
    known = {id(row) for row in inner}
    door = {id(items[begin - 1])} if begin else set()
    enter = all(id(source) in known | door for row in inner for source in row.arcs)
    return enter and all(id(to) in known for row in inner[:-1] for to in row.leads)


# --- what belongs together ------------------------------------------------------------------------


def _bundled(items: list[Item]) -> list[Item]:
    """What lies under an arc, or between a fork and where it meets, as one row each."""
    place = {id(item): number for number, item in enumerate(items)}
    spans = [
        (place[id(source)] + 1, place[id(item)] + 1)
        for item in items
        if isinstance(item, DiagramRow)
        for source in item.arcs
        if id(source) in place
    ]
    spans += [
        (number, number + 2)
        for number, item in enumerate(items)
        if isinstance(item, Parallel) and number + 1 < len(items)
    ]
    for begin, end in reversed(_merged(spans)):
        stretch = items[begin:end]
        if len(stretch) > 1 and _is_closed(items, begin, end):
            _replace(items, begin, end, _fold(stretch, len(stretch), 1))
    return items


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that overlap, as one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _shortened(items: list[Item]) -> list[Item]:
    """Long runs of plain layers, as one row each; those at the ends stay."""
    plain = [isinstance(item, DiagramRow) and not item.folded for item in items]
    end = len(items)
    while end > 0:
        begin = end
        while begin > 0 and plain[begin - 1]:
            begin -= 1
        first, last = max(begin, ENDS), min(end, len(items) - ENDS)
        while last - first >= LONG and not _is_closed(items, first, last):
            last -= 1
        if last - first >= LONG:
            _replace(items, first, last, _fold(items[first:last], last - first, 1))
        end = min(begin, end - 1)
    return items


# --- folding --------------------------------------------------------------------------------------


def _replace(items: list[Item], begin: int, end: int, fold: DiagramRow) -> None:
    """Put a row in the place of a stretch that is closed."""
    inner = list(all_rows(items[begin:end]))
    known = {id(row) for row in inner}
    last = inner[-1]
    fold.leads = [row for row in last.leads if id(row) not in known]
    for row in fold.leads:
        row.arcs = [fold if each is last else each for each in row.arcs]
    for row in inner:
        for source in row.arcs:
            source.leads = [each for each in source.leads if id(each) not in known]
    items[begin:end] = [fold]


def _fold(stretch: Sequence[Item], length: int, times: int) -> DiagramRow:
    found = list(all_rows(stretch))
    last = found[-1].node
    if length == 1 and isinstance(stretch[0], DiagramRow):
        label, inside = found[0].node.label, found[0].node.inside
        times *= found[0].times
    else:
        label = _title(stretch[:length])
        inside = tuple(_labels(stretch[:length]))
    node = DiagramNode(
        label,
        last.shape,
        sum(row.node.parameters for row in found),
        shared=all(row.node.shared for row in found),
        inside=inside,
        layers=sum(row.node.layers for row in found),
    )
    return DiagramRow(node, times)


def _labels(items: Sequence[Item]) -> Iterator[str]:
    """What a fold holds, row by row; a bar stands between ways side by side."""
    for item in items:
        if isinstance(item, DiagramRow):
            yield f"{item.node.label} x {item.times}" if item.times > 1 else item.node.label
        elif isinstance(item, Parallel):
            for number, way in enumerate(item.ways):
                if number:
                    yield BESIDE
                yield from _labels(way)


def _title(stretch: Sequence[Item]) -> str:
    last = stretch[-1]
    forks = [item for item in stretch if isinstance(item, Parallel)]
    meets = last.node.word if isinstance(last, DiagramRow) else ""
    if forks:
        return f"{meets} of {max(len(fork.ways) for fork in forks)} ways"
    if isinstance(last, DiagramRow) and last.arcs:
        return "residual" if meets == "add" else f"{meets} past {len(stretch) - 1} layers"
    return f"{len(list(all_rows(stretch)))} layers"


def abbreviate_labels(labels: Sequence[str]) -> str:
    """Labels in as little room as they can be told in.

    Example:
        >>> abbreviate_labels(["conv2d 8 3x3", "batch_normalization", "relu", "relu"])
        'conv2d 8 3x3, bn, relu x 2'
    """
    parts: list[tuple[str, int]] = []
    for label in labels:
        word, space, rest = label.split(" = ")[-1].partition(" ")
        shown = f"{_SHORT[word] if len(_SHORT.get(word, word)) < len(word) else word}{space}{rest}"
        if parts and parts[-1][0] == shown:
            parts[-1] = (shown, parts[-1][1] + 1)
        else:
            parts.append((shown, 1))
    text = ", ".join(f"{shown} x {times}" if times > 1 else shown for shown, times in parts)
    return text.replace(f", {BESIDE},", f" {BESIDE}")
