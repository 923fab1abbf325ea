"""A model as a diagram: what follows what, with shapes and parameters, blocks folded.

The drawing is SVG of our own: no graphviz, nothing to click, so that it stays in the saved file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kmagic.display.kit.card import Bundle, card_html, escape_html, read_static
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.chart import MIDTONES
from kmagic.display.kit.theme_images import themed_svg
from kmagic.display.model.diagram_graph import DiagramGraph, read_graph
from kmagic.display.model.diagram_layout import (
    CODE,
    GAP,
    LINE,
    MOST_LABEL,
    PAD,
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

SHRINKS = 520
"""A drawing of up to so many pixels shrinks with the page; a wider one scrolls."""
MOST_WORDS = 1500
CORNER = 6
SEEN = 1.5
"""A shorter bar would look like a speck."""


def diagram_bundle(model: Any, built: Any, name: str) -> Bundle:
    """A model's diagram as a card, and the same in words.

    Args:
        model: A Keras model.
        built: What it was built from (``kmagic.models.build.origin_of``), or None.
        name: What the notebook calls it.
    """
    network = read_graph(model, built)
    items = plan_rows(network)
    facts = model_summary(model)
    foot = _foot(network, items)
    text = "\n".join([f"{name}: {facts}", *_outline(items, 1), *([foot] if foot else [])])
    return carry(text, card_html(name, facts, _picture(items, name), foot=foot))


def _foot(network: DiagramGraph, items: Sequence[Item]) -> str:
    if network.loose:
        return (
            "A class of its own: these are its layers in the order of their making; "
            "how they are connected, only its code knows."
        )
    folded = sum(row.folded or row.times > 1 for row in all_rows(items))
    if not folded:
        return ""
    layers = pluralize(sum(node.layers for node in network.nodes), "layer")
    shown = pluralize(row_count(items), "row")
    return f"{layers} in {shown}: blocks, what repeats and what belongs together are folded."


def _picture(items: Sequence[Item], name: str) -> str:
    layout = lay_out(items)
    width, tall = round(layout.width), round(layout.height)
    said = diagram_to_text(items, name)
    style = read_static("diagram.css")
    inline = diagram_svg(layout, said)
    alone = diagram_svg(layout, said, style=f".km-net{{{MIDTONES}}}{style}")
    drawn = themed_svg(inline, alone, words=said, width=width, height=tall, style=style)
    if width <= SHRINKS:
        return drawn
    return f'<div style="overflow-x:auto"><div style="width:{width}px">{drawn}</div></div>'


# --- words --------------------------------------------------------------------------------------


def diagram_to_text(items: Sequence[Item], name: str) -> str:
    """What the picture shows, for those who do not see it."""
    said = f"Diagram of {name}, from top to bottom: {'; '.join(_said(items))}."
    return said if len(said) <= MOST_WORDS else f"{said[: MOST_WORDS - 4]} ..."


def _said(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Parallel):
            ways = " | ".join(", ".join(_said(way)) for way in item.ways)
            yield f"in {len(item.ways)} ways side by side: {ways}"
            continue
        if isinstance(item, Gap):
            yield "apart from that"
            continue
        past = ", ".join(row_title(row) for row in item.arcs)
        shape = f" to {item.node.shape}" if item.node.shape else ""
        times = f", {item.times} times" if item.times > 1 else ""
        yield f"{item.node.label}{times}{shape}{f', with {past} past the others' if past else ''}"


def _outline(items: Sequence[Item], depth: int) -> Iterator[str]:
    wide = max((len(row_title(row)) for row in all_rows(items)), default=0) + 2 * depth
    yield from _outlined(items, depth, min(wide, 46))


def _outlined(items: Sequence[Item], depth: int, wide: int) -> Iterator[str]:
    indent = "  " * depth
    for item in items:
        if isinstance(item, Parallel):
            for number, way in enumerate(item.ways, 1):
                yield f"{indent}way {number} of {len(item.ways)}"
                yield from _outlined(way, depth + 1, wide)
            continue
        if isinstance(item, Gap):
            yield f"{indent}(apart from that)"
            continue
        past = f"   + {', '.join(row_title(row) for row in item.arcs)}" if item.arcs else ""
        head = f"{indent}{row_title(item)}"
        yield f"{head:<{wide + 2}}{item.node.shape:>16}{parameters_to_text(item):>13}{past}".rstrip()
        if item.folded:
            yield f"{indent}  = {_cut(contents_to_text(item), 90)}"


# --- drawing ------------------------------------------------------------------------------------


def diagram_svg(layout: DiagramLayout, said: str, *, style: str = "") -> str:
    """The diagram as SVG text; ``style`` is CSS that goes inside, if the picture stands alone."""
    width, tall = round(layout.width), round(layout.height)
    frame = (
        f'<svg class="km-net" xmlns="http://www.w3.org/2000/svg" width="{width}" height="{tall}" '
        f'viewBox="0 0 {width} {tall}" role="img" aria-label="{escape_html(said)}">'
    )
    most = max((placed.row.node.parameters for placed in layout.rows), default=0)
    tops = {round(box.y, 1) for box in layout.boxes}
    parts = [
        frame,
        f"<style>{style}</style>" if style else "",
        *map(_line, layout.lines),
        *map(_box, layout.boxes),
        *(_row(each, layout, most, first=round(each.y, 1) in tops) for each in layout.rows),
        *map(_arc, layout.arcs),
        "</svg>",
    ]
    return "".join(parts)


def _line(line: Connector) -> str:
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


def _row(placed: PlacedRow, layout: DiagramLayout, most: int, *, first: bool) -> str:
    row, x, y = placed.row, placed.x, placed.y
    parts = [f"<g><title>{escape_html(_tip(row))}</title>"]
    if not first:
        parts.append(f'<path class="km-rule" d="M{x:.1f},{y:.1f}h{placed.width:.1f}"/>')
    long = row.node.parameters / most * (placed.width - 2 * PAD) if most else 0
    if long >= SEEN:
        foot = y + placed.height - 3.5
        parts.append(
            f'<rect class="km-size" x="{x + PAD:.1f}" y="{foot:.1f}" width="{long:.1f}" '
            f'height="2"/>'
        )
    base = y + 16
    if placed.narrow:
        first_line, *others = wrap_label(row_title(row))
        parts.append(_text(x + PAD, base, first_line, "km-word"))
        for other in others:
            base += LINE
            parts.append(_text(x + PAD, base, other, "km-word"))
        base += 14
        figures = "   ".join(filter(None, (row.node.shape, parameters_to_text(row))))
        parts.append(_text(x + PAD, base, figures, "km-figure"))
    else:
        parts.append(_text(x + PAD, base, _cut(row_title(row), MOST_LABEL), "km-word"))
        shape_end = x + PAD + layout.labels[0] + GAP + layout.labels[1]
        parts.append(_text(shape_end, base, _cut(row.node.shape, 32), "km-figure", end=True))
        parts.append(
            _text(placed.right - PAD, base, parameters_to_text(row), "km-figure", end=True)
        )
    if row.folded:
        room = int((placed.width - 2 * PAD) / (CODE * 10.5 / 12))
        parts.append(_text(x + PAD, base + 14, _cut(contents_to_text(row), room), "km-inside"))
    return "".join([*parts, "</g>"])


def _tip(row: DiagramRow) -> str:
    facts = ", ".join(filter(None, (row.node.shape, _counted(row))))
    inside = f"\n{contents_to_text(row)}" if row.folded else ""
    return f"{row_title(row)}\n{facts}{inside}"


def _counted(row: DiagramRow) -> str:
    if row.node.shared:
        return "shared weights"
    return pluralize(row.node.parameters, "parameter") if row.node.parameters else ""


def _text(x: float, y: float, text: str, kind: str, *, end: bool = False) -> str:
    if not text:
        return ""
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{anchor}>{escape_html(text)}</text>'


def _arc(arc: SkipArc) -> str:
    """Out of the source's right edge, along its lane, and into the target's."""
    x1, x2, lane = arc.source.right, arc.target.right, arc.lane
    y1 = arc.source.y + arc.source.height * 0.7
    y2 = arc.target.y + arc.target.height * 0.35
    turn = min(CORNER, abs(y2 - y1) / 2)
    down = turn if y2 > y1 else -turn
    return (
        f'<path class="km-arc" d="M{x1:.1f},{y1:.1f}H{lane - turn:.1f}'
        f"Q{lane:.1f},{y1:.1f} {lane:.1f},{y1 + down:.1f}V{y2 - down:.1f}"
        f'Q{lane:.1f},{y2:.1f} {lane - turn:.1f},{y2:.1f}H{x2 + 5:.1f}"/>'
        f'<path class="km-head" d="M{x2 + 1:.1f},{y2:.1f}l6,-3.5v7z"/>'
    )


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 1, 1)]}\u2026"
