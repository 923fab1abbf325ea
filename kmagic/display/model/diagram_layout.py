"""The positions of a diagram's rows: pure geometry, in pixels.

Rows that follow each other share a box, as the lines of a text. Parallel branches are columns, and
a skip connection is an arc at the right of its column.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from kmagic.display.model.diagram_rows import (
    DiagramRow,
    Gap,
    Item,
    Parallel,
    abbreviate_labels,
    all_rows,
)

CODE_WIDTH, TEXT_WIDTH = 7.25, 6.3
"""Width of a character of code, and of other text."""
WIDE_HEIGHT, NARROW_HEIGHT, LINE_HEIGHT = 25, 38, 15
PADDING, COLUMN_GAP, FALL = 9, 14, 26
LANE_WIDTH, ARC_MARGIN = 9, 16
MAX_LABEL, MAX_NARROW_LABEL, MAX_SHAPE = 38, 17, 32
MIN_NARROW_WIDTH = 60
MIN_PARAMETERS = 4
"""Characters."""

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and its position; a row within a branch is narrow."""

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
    """An edge from one box to the next, straight down as far as ``bend``."""

    x1: float
    y1: float
    bend: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class SkipArc:
    """An edge past other rows, along the vertical line at x = ``lane``."""

    source: PlacedRow
    target: PlacedRow
    lane: float


@dataclass(slots=True)
class DiagramLayout:
    """Everything to draw.

    Attributes:
        columns: Widths of a wide row's label, shape and parameters.
    """

    width: float = 0
    height: float = 0
    rows: list[PlacedRow] = field(default_factory=list)
    boxes: list[RowBox] = field(default_factory=list)
    connectors: list[Connector] = field(default_factory=list)
    arcs: list[SkipArc] = field(default_factory=list)
    columns: Sequence[float] = (0, 0, 0)


def row_title(row: DiagramRow) -> str:
    """A row's label, and how often it is repeated."""
    return f"{row.node.label} \u00d7 {row.times}" if row.times > 1 else row.node.label


def wrap_label(text: str) -> list[str]:
    """A label on at most two lines, for a narrow row.

    Example:
        >>> wrap_label("conv2d 64 1x1 same relu")
        ['conv2d 64 1x1', 'same relu']
    """
    lines = textwrap.wrap(text, MAX_NARROW_LABEL, max_lines=2, placeholder="\u2026")
    return lines or [""]


def parameters_to_text(row: DiagramRow) -> str:
    """A row's number of parameters."""
    if row.node.shared:
        return "shared"
    return f"{row.node.parameters:,}" if row.node.parameters else ""


def contents_to_text(row: DiagramRow) -> str:
    """The layers in a folded row, abbreviated."""
    return abbreviate_labels(row.node.inside)


def lay_out(items: Sequence[Item]) -> DiagramLayout:
    """The positions of a diagram's rows."""
    return _Layouter(items).run()


class _Layouter:
    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.layout = DiagramLayout()
        outer = [item for item in items if isinstance(item, DiagramRow)]
        label = max((min(len(row_title(row)), MAX_LABEL) for row in outer), default=0)
        shape = max((min(len(row.node.shape), MAX_SHAPE) for row in outer), default=0)
        size = max((len(parameters_to_text(row)) for row in outer), default=0)
        self.layout.columns = (
            label * CODE_WIDTH,
            shape * TEXT_WIDTH,
            max(size, MIN_PARAMETERS) * TEXT_WIDTH,
        )
        self.wide = sum(self.layout.columns) + 2 * PADDING + 2 * COLUMN_GAP
        self.lanes: dict[tuple[int, int], int] = {}
        self.right_edges: dict[tuple[int, int], float] = {}
        self.placed: dict[int, PlacedRow] = {}

    def run(self) -> DiagramLayout:
        layout = self.layout
        inner = self._width(self.items, narrow=False)
        layout.height = self._series(self.items, inner / 2 + 1, 1, narrow=False)[2] + 1
        layout.width = inner + self._arc_width(self.items) + 2
        self._arcs()
        return layout

    # --- sizes --------------------------------------------------------------------------------

    def _width(self, items: Sequence[Item], *, narrow: bool) -> float:
        """The width of a list of items, without its arcs."""
        widest = 0.0
        for item in items:
            if isinstance(item, DiagramRow):
                widest = max(widest, self._row_width(item) if narrow else self.wide)
            elif isinstance(item, Parallel):
                widest = max(widest, self._parallel_width(item))
        return widest

    def _parallel_width(self, parallel: Parallel) -> float:
        branches = [self._branch_width(branch) for branch in parallel.branches]
        return sum(branches) + COLUMN_GAP * (len(branches) - 1)

    def _branch_width(self, branch: Sequence[Item]) -> float:
        return self._width(branch, narrow=True) + 2 * self._arc_width(branch)

    @staticmethod
    def _row_width(row: DiagramRow) -> float:
        below = f"{row.node.shape}   {parameters_to_text(row)}"
        label = max(map(len, wrap_label(row_title(row))))
        return 2 * PADDING + max(label * CODE_WIDTH, len(below) * TEXT_WIDTH, MIN_NARROW_WIDTH)

    def _arc_width(self, items: Sequence[Item]) -> float:
        lanes = _lanes(items)
        return ARC_MARGIN + LANE_WIDTH * (max(lanes.values()) + 1) if lanes else 0.0

    def _row_height(self, row: DiagramRow, *, narrow: bool) -> float:
        lines = len(wrap_label(row_title(row))) - 1 if narrow else 0
        return (NARROW_HEIGHT if narrow else WIDE_HEIGHT) + LINE_HEIGHT * (lines + row.folded)

    # --- positions ----------------------------------------------------------------------------

    def _series(
        self, items: Sequence[Item], middle: float, top: float, *, narrow: bool
    ) -> tuple[list[Point], list[Point], float]:
        """Place a list; returns where edges enter it, where they leave it, and its bottom."""
        width, begin = self._width(items, narrow=narrow), top
        entries: list[Point] = []
        exits: list[Point] = []
        for number, (kind, group) in enumerate(groupby(items, type)):
            if kind is Gap:
                exits = []
                continue
            bend = top
            if top > begin:
                top += FALL
            members = list(group)
            if kind is Parallel:
                entering, leaving, top = self._parallel(members[0], middle, top)
            else:
                entering, leaving, top = self._stack(members, middle, top, narrow=narrow)
            for x1, y1 in exits:
                self.layout.connectors += [Connector(x1, y1, bend, x2, y2) for x2, y2 in entering]
            entries = entries if number else entering
            exits = leaving
        for arc, lane in _lanes(items).items():
            self.lanes[arc] = lane
            self.right_edges[arc] = middle + width / 2
        return entries, exits, top

    def _stack(
        self, rows: Sequence[Item], middle: float, top: float, *, narrow: bool
    ) -> tuple[list[Point], list[Point], float]:
        stack = [row for row in rows if isinstance(row, DiagramRow)]
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

    def _parallel(
        self, parallel: Item, middle: float, top: float
    ) -> tuple[list[Point], list[Point], float]:
        assert isinstance(parallel, Parallel)  # noqa: S101 - as its group was
        entries: list[Point] = []
        exits: list[Point] = []
        bottom = top
        x = middle - self._parallel_width(parallel) / 2
        for branch in parallel.branches:
            width = self._branch_width(branch)
            entering, leaving, end = self._series(branch, x + width / 2, top, narrow=True)
            entries += entering
            exits += leaving
            bottom = max(bottom, end)
            x += width + COLUMN_GAP
        return entries, exits, bottom

    def _arcs(self) -> None:
        for target in self.layout.rows:
            for row in target.row.arcs:
                source = self.placed.get(id(row))
                if source is None:
                    continue
                key = (id(row), id(target.row))
                edge = self.right_edges.get(key, max(source.right, target.right))
                lane = edge + ARC_MARGIN + LANE_WIDTH * self.lanes.get(key, 0)
                self.layout.arcs.append(SkipArc(source, target, lane))
                self.layout.width = max(self.layout.width, lane + 2)


def _lanes(items: Sequence[Item]) -> dict[tuple[int, int], int]:
    """A lane for each arc between rows of a list, so that arcs do not overlap.

    An arc's key is the ids of its two rows.
    """
    index = {id(row): k for k, item in enumerate(items) for row in all_rows([item])}
    own = {id(item) for item in items}
    spans = [
        (index[id(item)] - index[id(source)], index[id(source)], (id(source), id(item)))
        for item in items
        if isinstance(item, DiagramRow)
        for source in item.arcs
        if id(source) in own
    ]
    used: list[list[tuple[int, int]]] = []
    lanes = {}
    for length, begin, key in sorted(spans):
        end = begin + length
        free = (
            lane
            for lane, taken in enumerate(used)
            if all(end <= other_begin or other_end <= begin for other_begin, other_end in taken)
        )
        lane = next(free, len(used))
        if lane == len(used):
            used.append([])
        used[lane].append((begin, end))
        lanes[key] = lane
    return lanes
