"""Where the rows of a model's picture stand: pure geometry, in pixels.

Rows that follow each other stand in one box, as lines of a text do. Ways side by side are columns;
an edge past other rows is an arc at the right of its column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kmagic.display.model.diagram_rows import (
    DiagramRow,
    Gap,
    Item,
    Parallel,
    abbreviate_labels,
    all_rows,
)

CODE, TEXT = 7.25, 6.3
"""Width of a character of code, and of other text."""
WIDE_ROW, NARROW_ROW, LINE = 25, 38, 15
PAD, GAP, FALL, LANE, ARC = 9, 14, 26, 9, 16
MOST_LABEL, MOST_NARROW = 38, 17


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and its place."""

    row: DiagramRow
    x: float
    y: float
    width: float
    height: float
    narrow: bool

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class RowBox:
    """The frame around rows that follow each other."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Connector:
    """An edge from the foot of one box to the head of another, straight down as far as ``bend``."""

    x1: float
    y1: float
    bend: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class SkipArc:
    """An edge past other rows; ``lane`` is the x along which it runs."""

    source: PlacedRow
    target: PlacedRow
    lane: float


@dataclass(slots=True)
class DiagramLayout:
    """All that is drawn.

    Attributes:
        labels: Width of the first column of wide rows, of their shapes and their parameters.
    """

    width: float = 0
    height: float = 0
    rows: list[PlacedRow] = field(default_factory=list)
    boxes: list[RowBox] = field(default_factory=list)
    lines: list[Connector] = field(default_factory=list)
    arcs: list[SkipArc] = field(default_factory=list)
    labels: tuple[float, float, float] = (0, 0, 0)


def row_title(row: DiagramRow) -> str:
    """A row's first words."""
    return f"{row.node.label} \u00d7 {row.times}" if row.times > 1 else row.node.label


def wrap_label(text: str) -> list[str]:
    """A label on at most two lines, for a row of a column.

    Example:
        >>> wrap_label("conv2d 64 1x1 same relu")
        ['conv2d 64 1x1', 'same relu']
    """
    lines = textwrap.wrap(text, MOST_NARROW, max_lines=2, placeholder="\u2026")
    return lines or [""]


def parameters_to_text(row: DiagramRow) -> str:
    """A row's parameters."""
    if row.node.shared:
        return "shared"
    return f"{row.node.parameters:,}" if row.node.parameters else ""


def lay_out(items: Sequence[Item]) -> DiagramLayout:
    """The places of a picture's rows."""
    return _Layouter(items).run()


class _Layouter:
    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.layout = DiagramLayout()
        outer = [item for item in items if isinstance(item, DiagramRow)]
        label = max((min(len(row_title(row)), MOST_LABEL) for row in outer), default=0)
        shape = max((len(row.node.shape) for row in outer), default=0)
        size = max((len(parameters_to_text(row)) for row in outer), default=0)
        self.layout.labels = (label * CODE, min(shape, 32) * TEXT, max(size, 4) * TEXT)
        self.wide = sum(self.layout.labels) + 2 * PAD + 2 * GAP
        self.lanes: dict[tuple[int, int], int] = {}
        self.placed: dict[int, PlacedRow] = {}
        self.right_of: dict[tuple[int, int], float] = {}

    def run(self) -> DiagramLayout:
        layout = self.layout
        inner = self._width(self.items, narrow=False)
        side = self._side(self.items)
        layout.height = self._series(self.items, inner / 2 + 1, 1, narrow=False)[2] + 1
        layout.width = inner + side + 2
        self._arcs()
        return layout

    # --- measuring ----------------------------------------------------------------------------

    def _width(self, items: Sequence[Item], *, narrow: bool) -> float:
        """How wide a list of items is, without its arcs."""
        widest = 0.0
        for item in items:
            if isinstance(item, DiagramRow):
                widest = max(widest, self._row_width(item) if narrow else self.wide)
            elif isinstance(item, Parallel):
                widest = max(widest, self._fork_width(item))
        return widest

    def _fork_width(self, fork: Parallel) -> float:
        ways = [self._width(way, narrow=True) + 2 * self._side(way) for way in fork.ways]
        return sum(ways) + GAP * (len(ways) - 1)

    @staticmethod
    def _row_width(row: DiagramRow) -> float:
        below = f"{row.node.shape}   {parameters_to_text(row)}"
        widest = max(map(len, wrap_label(row_title(row))))
        return 2 * PAD + max(widest * CODE, len(below) * TEXT, 60)

    def _side(self, items: Sequence[Item]) -> float:
        """The room for the arcs of a list."""
        lanes = _lanes(items)
        return ARC + LANE * (max(lanes.values()) + 1) if lanes else 0.0

    def _row_height(self, row: DiagramRow, *, narrow: bool) -> float:
        lines = len(wrap_label(row_title(row))) - 1 if narrow else 0
        return (NARROW_ROW if narrow else WIDE_ROW) + LINE * (lines + row.folded)

    # --- placing ------------------------------------------------------------------------------

    def _series(
        self, items: Sequence[Item], middle: float, top: float, *, narrow: bool
    ) -> tuple[list[tuple[float, float]], list[tuple[float, float]], float]:
        """Place a list; returns where lines enter, where they leave, and its foot."""
        width, begin = self._width(items, narrow=narrow), top
        heads: list[tuple[float, float]] = []
        feet: list[tuple[float, float]] = []
        for number, (kind, group) in enumerate(groupby(items, type)):
            if kind is Gap:
                feet = []
                continue
            bend = top
            if top > begin:
                top += FALL
            if kind is Parallel:
                entering, leaving, top = self._fork(next(_forks(group)), middle, top)
            else:
                entering, leaving, top = self._stack(list(_rows(group)), middle, top, narrow=narrow)
            for x1, y1 in feet:
                self.layout.lines += [Connector(x1, y1, bend, x2, y2) for x2, y2 in entering]
            heads = heads if number else entering
            feet = leaving
        for each, lane in _lanes(items).items():
            self.lanes[each] = lane
            self.right_of[each] = middle + width / 2
        return heads, feet, top

    def _stack(
        self, stack: Sequence[DiagramRow], middle: float, top: float, *, narrow: bool
    ) -> tuple[list[tuple[float, float]], list[tuple[float, float]], float]:
        width = max(self._row_width(row) for row in stack) if narrow else self.wide
        left, y = middle - width / 2, top
        for row in stack:
            height = self._row_height(row, narrow=narrow)
            placed = PlacedRow(row, left, y, width, height, narrow)
            self.placed[id(row)] = placed
            self.layout.rows.append(placed)
            y += height
        self.layout.boxes.append(RowBox(left, top, width, y - top))
        return [(middle, top)], [(middle, y)], y

    def _fork(
        self, fork: Parallel, middle: float, top: float
    ) -> tuple[list[tuple[float, float]], list[tuple[float, float]], float]:
        heads: list[tuple[float, float]] = []
        feet: list[tuple[float, float]] = []
        foot = top
        x = middle - self._fork_width(fork) / 2
        for way in fork.ways:
            side = self._side(way)
            width = self._width(way, narrow=True) + 2 * side
            entering, leaving, end = self._series(way, x + width / 2, top, narrow=True)
            heads += entering
            feet += leaving
            foot = max(foot, end)
            x += width + GAP
        return heads, feet, foot

    def _arcs(self) -> None:
        for target in self.layout.rows:
            for row in target.row.arcs:
                source = self.placed.get(id(row))
                if source is None:
                    continue
                key = (id(row), id(target.row))
                edge = self.right_of.get(key, max(source.right, target.right))
                lane = edge + ARC + LANE * self.lanes.get(key, 0)
                self.layout.arcs.append(SkipArc(source, target, lane))
                self.layout.width = max(self.layout.width, lane + 2)


def _lanes(items: Sequence[Item]) -> dict[tuple[int, int], int]:
    """A lane for each arc between rows of a list, so that none lies on another.

    An arc's key is the ids of its two rows.
    """
    place: dict[int, int] = {}
    for number, item in enumerate(items):
        for row in all_rows([item]):
            place[id(row)] = number
    own = {id(item) for item in items}
    spans = [
        (place[id(item)] - place[id(source)], place[id(source)], (id(source), id(item)))
        for item in items
        if isinstance(item, DiagramRow)
        for source in item.arcs
        if id(source) in own
    ]
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for length, begin, key in sorted(spans):
        end = begin + length
        lane = next(
            (n for n, used in enumerate(taken) if all(end <= b or e <= begin for b, e in used)),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((begin, end))
        lanes[key] = lane
    return lanes


def _forks(group: Iterator[Item]) -> Iterator[Parallel]:
    return (item for item in group if isinstance(item, Parallel))


def _rows(group: Iterator[Item]) -> Iterator[DiagramRow]:
    return (item for item in group if isinstance(item, DiagramRow))


def contents_to_text(row: DiagramRow) -> str:
    """What a folded row holds, in short."""
    return abbreviate_labels(row.node.inside)
