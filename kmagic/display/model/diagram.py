"""A model as a diagram of its layers, with shapes and parameters, and with repeated parts folded.

The diagram is plain SVG without scripts or Graphviz, so it is saved with the notebook.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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
from kmagic.display.model.diagram_layout import (
    CODE_WIDTH,
    COLUMN_GAP,
    LINE_HEIGHT,
    MAX_LABEL,
    MAX_SHAPE,
    PADDING,
    Connector,
    DiagramLayout,
    PlacedRow,
    RowBox,
    SkipArc,
    contents_to_text,
    lay_out,
    parameters_to_text,
    row_title,
    wrap_label,
)
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
            skips = ", ".join(row_title(row) for row in item.arcs)
            shape = f" to {item.node.shape}" if item.node.shape else ""
            times = f", {item.times} times" if item.times > 1 else ""
            skip = f", with a skip connection from {skips}" if skips else ""
            yield f"{item.node.label}{times}{shape}{skip}"


def _outline(items: Sequence[Item]) -> Iterator[str]:
    width = max((len(row_title(row)) for row in all_rows(items)), default=0) + 2
    yield from _outline_items(items, 1, min(width, MAX_TITLE_COLUMN))


def _outline_items(items: Sequence[Item], depth: int, width: int) -> Iterator[str]:
    indent = "  " * depth
    for item in items:
        if isinstance(item, Parallel):
            for number, branch in enumerate(item.branches, 1):
                yield f"{indent}branch {number} of {len(item.branches)}"
                yield from _outline_items(branch, depth + 1, width)
            continue
        if isinstance(item, Gap):
            yield f"{indent}(separately)"
            continue
        skips = f"   + {', '.join(row_title(row) for row in item.arcs)}" if item.arcs else ""
        title, parameters = f"{indent}{row_title(item)}", parameters_to_text(item)
        yield f"{title:<{width + 2}}{item.node.shape:>16}{parameters:>13}{skips}".rstrip()
        if item.folded:
            yield f"{indent}  = {_cut(contents_to_text(item), 90)}"


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
        for index, line in enumerate(wrap_label(row_title(row))):
            base += LINE_HEIGHT if index else 0
            parts.append(_text(x + PADDING, base, line, "km-label"))
        base += 14
        facts = "   ".join(filter(None, (row.node.shape, parameters_to_text(row))))
        parts.append(_text(x + PADDING, base, facts, "km-figure"))
    else:
        shape_end = x + PADDING + layout.columns[0] + COLUMN_GAP + layout.columns[1]
        shape, parameters = _cut(row.node.shape, MAX_SHAPE), parameters_to_text(row)
        parts += (
            _text(x + PADDING, base, _cut(row_title(row), MAX_LABEL), "km-label"),
            _text(shape_end, base, shape, "km-figure", end=True),
            _text(placed.right - PADDING, base, parameters, "km-figure", end=True),
        )
    if row.folded:
        length = int((placed.width - 2 * PADDING) / (CODE_WIDTH * 10.5 / 12))
        contents = _cut(contents_to_text(row), length)
        parts.append(_text(x + PADDING, base + 14, contents, "km-inside"))
    return "".join([*parts, "</g>"])


def _tooltip(row: DiagramRow) -> str:
    parameters = (
        "shared weights"
        if row.node.shared
        else pluralize(row.node.parameters, "parameter")
        if row.node.parameters
        else ""
    )
    facts = ", ".join(filter(None, (row.node.shape, parameters)))
    contents = f"\n{contents_to_text(row)}" if row.folded else ""
    return f"{row_title(row)}\n{facts}{contents}"


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
