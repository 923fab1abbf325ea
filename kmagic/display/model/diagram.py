"""A model as a diagram of its layers, with shapes and parameters, and with repeated parts folded.

The diagram is plain SVG without scripts or Graphviz, so it is saved with the notebook.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import (
    MIDTONES,
    Bundle,
    card_html,
    drawing_html,
    escape_html,
    mime_bundle,
    with_drawings,
)
from kmagic.display.model.diagram_graph import DiagramGraph, read_graph
from kmagic.display.model.diagram_rows import (
    DiagramRow,
    Gap,
    Item,
    Parallel,
    all_rows,
    plan_rows,
    row_count,
)
from kmagic.display.model.model_card import model_summary
from kmagic.support.formatting import pluralize

CODE_WIDTH, TEXT_WIDTH = 7.25, 6.3
"""Width of a character of code, and of other text."""
WIDE_HEIGHT, NARROW_HEIGHT, LINE_HEIGHT = 25, 38, 15
PADDING, COLUMN_GAP, FALL = 9, 14, 26
LANE_WIDTH, ARC_MARGIN = 9, 16
MAX_LABEL, MAX_NARROW_LABEL, MAX_SHAPE = 38, 17, 32
MIN_NARROW_WIDTH = 60
MIN_PARAMETERS = 4
"""Characters."""
MAX_SHRINKING_WIDTH = 520
"""A diagram up to this width shrinks with the page; a wider one scrolls."""
MAX_TEXT = 1500
MAX_TITLE_COLUMN = 46
CORNER = 6
MIN_BAR = 1.5
"""Shorter bars of parameters are left out."""


def diagram_bundle(model: Any, built: Any, name: str) -> Bundle:
    """A model's diagram as a card, and the same as text.

    Args:
        model: A Keras model.
        built: What it was built from (``kmagic.models.build.origin_of``), or None.
        name: The name of the notebook variable.
    """
    graph = read_graph(model, built)
    items = plan_rows(graph)
    facts = model_summary(model)
    foot = _foot(graph, items)
    text = "\n".join([f"{name}: {facts}", *_outline(items), *([foot] if foot else [])])
    return mime_bundle(text, card_html(name, facts, _drawing(items, name), foot=foot))


def _foot(graph: DiagramGraph, items: Sequence[Item]) -> str:
    if not graph.is_connected:
        return (
            "A subclassed model: its layers are in the order in which they were created, "
            "since only its code knows how they are connected."
        )
    if not any(row.folded or row.times > 1 for row in all_rows(items)):
        return ""
    layers = pluralize(sum(node.layers for node in graph.nodes), "layer")
    return (
        f"{layers} in {pluralize(row_count(items), 'row')}: blocks and repeated parts are folded."
    )


def _drawing(items: Sequence[Item], name: str) -> str:
    layout = lay_out(items)
    width, height = round(layout.width), round(layout.height)
    alt = diagram_to_text(items, name)
    css = minified_css("model/diagram.css")
    alone = diagram_svg(layout, alt, style=f".km-diagram{{{MIDTONES}}}{css}")
    drawing = drawing_html(diagram_svg(layout, alt), alone, alt=alt, width=width, height=height)
    body = with_drawings(drawing, css)
    if width <= MAX_SHRINKING_WIDTH:
        return body
    return f'<div style="overflow-x:auto"><div style="width:{width}px">{body}</div></div>'


# --- text ---------------------------------------------------------------------------------------


def diagram_to_text(items: Sequence[Item], name: str) -> str:
    """What the diagram shows, for screen readers."""
    text = f"Diagram of {name}, from top to bottom: {'; '.join(_phrases(items))}."
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 4]} ..."


def _phrases(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Parallel):
            branches = " | ".join(", ".join(_phrases(branch)) for branch in item.branches)
            yield f"in {len(item.branches)} parallel branches: {branches}"
        elif isinstance(item, Gap):
            yield "separately"
        else:
            skips = ", ".join(row.title for row in item.arcs)
            shape = f" to {item.node.shape}" if item.node.shape else ""
            times = f", {item.times} times" if item.times > 1 else ""
            skip = f", with a skip connection from {skips}" if skips else ""
            yield f"{item.node.label}{times}{shape}{skip}"


def _outline(items: Sequence[Item], depth: int = 1, width: int = 0) -> Iterator[str]:
    width = width or max((len(row.title) for row in all_rows(items)), default=0) + 2
    width = min(width, MAX_TITLE_COLUMN)
    indent = "  " * depth
    for item in items:
        if isinstance(item, Parallel):
            for number, branch in enumerate(item.branches, 1):
                yield f"{indent}branch {number} of {len(item.branches)}"
                yield from _outline(branch, depth + 1, width)
            continue
        if isinstance(item, Gap):
            yield f"{indent}(separately)"
            continue
        skips = f"   + {', '.join(row.title for row in item.arcs)}" if item.arcs else ""
        title, parameters = f"{indent}{item.title}", item.parameter_text
        yield f"{title:<{width + 2}}{item.node.shape:>16}{parameters:>13}{skips}".rstrip()
        if item.folded:
            yield f"{indent}  = {_cut(item.contents, 90)}"


# --- layout ---------------------------------------------------------------------------------------
# Rows that follow each other share a box, as the lines of a text. Parallel branches are columns. A
# skip connection is an arc at the right of its column. All positions are in pixels.

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RowBox:
    """The frame around rows that follow each other."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class PlacedRow(RowBox):
    """A row and its position; a row within a branch is narrow."""

    row: DiagramRow
    narrow: bool


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
    """Everything to draw; ``columns`` are the widths of a wide row's label, shape, parameters."""

    columns: Sequence[float]
    width: float = 0
    height: float = 0
    rows: list[PlacedRow] = field(default_factory=list)
    boxes: list[RowBox] = field(default_factory=list)
    connectors: list[Connector] = field(default_factory=list)
    arcs: list[SkipArc] = field(default_factory=list)


def wrap_label(text: str) -> list[str]:
    """A label on at most two lines, for a narrow row.

    Example:
        >>> wrap_label("conv2d 64 1x1 same relu")
        ['conv2d 64 1x1', 'same relu']
    """
    lines = textwrap.wrap(text, MAX_NARROW_LABEL, max_lines=2, placeholder="\u2026")
    return lines or [""]


def lay_out(items: Sequence[Item]) -> DiagramLayout:
    """The positions of a diagram's rows."""
    layouter = _Layouter(items)
    layout = layouter.layout
    inner = layouter.width(items, narrow=False)
    *_, bottom = layouter.place(items, inner / 2 + 1, 1, narrow=False)
    layout.height, layout.width = bottom + 1, inner + layouter.arc_width(items) + 2
    placed = {id(each.row): each for each in layout.rows}
    for target in layout.rows:
        for row in target.row.arcs:
            source = placed[id(row)]
            outside = max(source.right, target.right) + ARC_MARGIN
            lane = layouter.lanes.get((id(row), id(target.row)), outside)
            layout.arcs.append(SkipArc(source, target, lane))
            layout.width = max(layout.width, lane + 2)
    return layout


class _Layouter:
    def __init__(self, items: Sequence[Item]) -> None:
        outer = [item for item in items if isinstance(item, DiagramRow)]
        label = max((min(len(row.title), MAX_LABEL) for row in outer), default=0)
        shape = max((min(len(row.node.shape), MAX_SHAPE) for row in outer), default=0)
        size = max((len(row.parameter_text) for row in outer), default=0)
        figures = (shape * TEXT_WIDTH, max(size, MIN_PARAMETERS) * TEXT_WIDTH)
        self.layout = DiagramLayout((label * CODE_WIDTH, *figures))
        self.wide = sum(self.layout.columns) + 2 * PADDING + 2 * COLUMN_GAP
        self.lanes: dict[tuple[int, int], float] = {}

    # --- sizes --------------------------------------------------------------------------------

    def width(self, items: Sequence[Item], *, narrow: bool) -> float:
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
        return self.width(branch, narrow=True) + 2 * self.arc_width(branch)

    @staticmethod
    def _row_width(row: DiagramRow) -> float:
        below = f"{row.node.shape}   {row.parameter_text}"
        label = max(map(len, wrap_label(row.title)))
        return 2 * PADDING + max(label * CODE_WIDTH, len(below) * TEXT_WIDTH, MIN_NARROW_WIDTH)

    @staticmethod
    def arc_width(items: Sequence[Item]) -> float:
        lanes = _lanes(items)
        return ARC_MARGIN + LANE_WIDTH * (max(lanes.values()) + 1) if lanes else 0.0

    # --- positions ----------------------------------------------------------------------------

    def place(
        self, items: Sequence[Item], middle: float, top: float, *, narrow: bool
    ) -> tuple[list[Point], list[Point], float]:
        """Place a list; returns where edges enter it, where they leave it, and its bottom."""
        begin = top
        entries: list[Point] = []
        exits: list[Point] = []
        for number, (kind, members) in enumerate(groupby(items, type)):
            if kind is Gap:
                exits = []
                continue
            bend = top
            if top > begin:
                top += FALL
            group = list(members)
            if isinstance(group[0], Parallel):
                entering, leaving, top = self._parallel(group[0], middle, top)
            else:
                entering = [(middle, top)]
                rows = [row for row in group if isinstance(row, DiagramRow)]
                top = self._stack(rows, middle, top, narrow=narrow)
                leaving = [(middle, top)]
            for x1, y1 in exits:
                self.layout.connectors += [Connector(x1, y1, bend, x2, y2) for x2, y2 in entering]
            entries = entries if number else entering
            exits = leaving
        first_lane = middle + self.width(items, narrow=narrow) / 2 + ARC_MARGIN
        for arc, lane in _lanes(items).items():
            self.lanes[arc] = first_lane + LANE_WIDTH * lane
        return entries, exits, top

    def _stack(
        self, rows: Sequence[DiagramRow], middle: float, top: float, *, narrow: bool
    ) -> float:
        """Place rows in one box; returns its bottom."""
        width = max(map(self._row_width, rows)) if narrow else self.wide
        left, y = middle - width / 2, top
        for row in rows:
            height = NARROW_HEIGHT + LINE_HEIGHT * (len(wrap_label(row.title)) - 1)
            height = (height if narrow else WIDE_HEIGHT) + LINE_HEIGHT * row.folded
            self.layout.rows.append(PlacedRow(left, y, width, height, row, narrow))
            y += height
        self.layout.boxes.append(RowBox(left, top, width, y - top))
        return y

    def _parallel(
        self, parallel: Parallel, middle: float, top: float
    ) -> tuple[list[Point], list[Point], float]:
        entries: list[Point] = []
        exits: list[Point] = []
        bottom = top
        x = middle - self._parallel_width(parallel) / 2
        for branch in parallel.branches:
            width = self._branch_width(branch)
            entering, leaving, end = self.place(branch, x + width / 2, top, narrow=True)
            entries += entering
            exits += leaving
            bottom = max(bottom, end)
            x += width + COLUMN_GAP
        return entries, exits, bottom


def _lanes(items: Sequence[Item]) -> dict[tuple[int, int], int]:
    """A lane for each arc between rows of a list, so that arcs do not overlap.

    An arc's key is the ids of its two rows.
    """
    index = {id(item): k for k, item in enumerate(items)}
    spans = [
        (index[id(item)] - index[id(source)], index[id(source)], (id(source), id(item)))
        for item in items
        if isinstance(item, DiagramRow)
        for source in item.arcs
        if id(source) in index
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


# --- drawing ------------------------------------------------------------------------------------


def diagram_svg(layout: DiagramLayout, alt: str, *, style: str = "") -> str:
    """The diagram as SVG text; ``style`` is CSS to include, for an image that stands alone."""
    width, height = round(layout.width), round(layout.height)
    largest = max((placed.row.node.parameters for placed in layout.rows), default=0)
    tops = {round(box.y, 1) for box in layout.boxes}
    frame = (
        f'<svg class="km-diagram" xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape_html(alt)}">'
    )
    parts = [
        frame,
        f"<style>{style}</style>" if style else "",
        *map(_connector, layout.connectors),
        *map(_box, layout.boxes),
        *(
            _row(placed, layout, largest, is_first=round(placed.y, 1) in tops)
            for placed in layout.rows
        ),
        *map(_arc, layout.arcs),
        "</svg>",
    ]
    return "".join(parts)


def _connector(line: Connector) -> str:
    middle = (line.bend + line.y2) / 2
    return (
        f'<path class="km-edge" d="M{line.x1:.1f},{line.y1:.1f}V{line.bend:.1f}'
        f"C{line.x1:.1f},{middle:.1f} "
        f'{line.x2:.1f},{middle:.1f} {line.x2:.1f},{line.y2:.1f}"/>'
    )


def _box(box: RowBox) -> str:
    return (
        f'<rect class="km-box" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{CORNER}"/>'
    )


def _row(placed: PlacedRow, layout: DiagramLayout, largest: int, *, is_first: bool) -> str:
    row, x, y = placed.row, placed.x, placed.y
    parts = [f"<g><title>{escape_html(_tooltip(row))}</title>"]
    if not is_first:
        parts.append(f'<path class="km-rule" d="M{x:.1f},{y:.1f}h{placed.width:.1f}"/>')
    bar = row.node.parameters / largest * (placed.width - 2 * PADDING) if largest else 0
    if bar >= MIN_BAR:
        parts.append(
            f'<rect class="km-size" x="{x + PADDING:.1f}" y="{y + placed.height - 3.5:.1f}" '
            f'width="{bar:.1f}" height="2"/>'
        )
    base = y + 16
    if placed.narrow:
        for index, line in enumerate(wrap_label(row.title)):
            base += LINE_HEIGHT if index else 0
            parts.append(_text(x + PADDING, base, line, "km-label"))
        base += 14
        facts = "   ".join(filter(None, (row.node.shape, row.parameter_text)))
        parts.append(_text(x + PADDING, base, facts, "km-fact"))
    else:
        shape_end = x + PADDING + layout.columns[0] + COLUMN_GAP + layout.columns[1]
        shape, parameters = _cut(row.node.shape, MAX_SHAPE), row.parameter_text
        parts += (
            _text(x + PADDING, base, _cut(row.title, MAX_LABEL), "km-label"),
            _text(shape_end, base, shape, "km-fact", end=True),
            _text(placed.right - PADDING, base, parameters, "km-fact", end=True),
        )
    if row.folded:
        length = int((placed.width - 2 * PADDING) / (CODE_WIDTH * 10.5 / 12))
        contents = _cut(row.contents, length)
        parts.append(_text(x + PADDING, base + 14, contents, "km-inside"))
    return "".join([*parts, "</g>"])


def _tooltip(row: DiagramRow) -> str:
    count = row.node.parameters
    parameters = "shared weights" if row.node.shared else count and pluralize(count, "parameter")
    facts = ", ".join(str(fact) for fact in (row.node.shape, parameters) if fact)
    contents = f"\n{row.contents}" if row.folded else ""
    return f"{row.title}\n{facts}{contents}"


def _text(x: float, y: float, text: str, kind: str, *, end: bool = False) -> str:
    if not text:
        return ""
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{anchor}>{escape_html(text)}</text>'


def _arc(arc: SkipArc) -> str:
    """From the source's right edge, along the arc's lane, into the target's right edge."""
    x1, x2, lane = arc.source.right, arc.target.right, arc.lane
    y1 = arc.source.y + arc.source.height * 0.7
    y2 = arc.target.y + arc.target.height * 0.35
    turn = min(CORNER, abs(y2 - y1) / 2)
    down = turn if y2 > y1 else -turn
    return (
        f'<path class="km-arc" d="M{x1:.1f},{y1:.1f}H{lane - turn:.1f}'
        f"Q{lane:.1f},{y1:.1f} {lane:.1f},{y1 + down:.1f}V{y2 - down:.1f}"
        f'Q{lane:.1f},{y2:.1f} {lane - turn:.1f},{y2:.1f}H{x2 + 5:.1f}"/>'
        f'<path class="km-arrow" d="M{x2 + 1:.1f},{y2:.1f}l6,-3.5v7z"/>'
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 1, 1)]}\u2026"
