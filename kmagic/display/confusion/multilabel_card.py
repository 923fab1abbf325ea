"""Several labels a sample, as a card: a row a label, and behind it the samples it is wrong on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion.matrix_table import BLUE, ORANGE, UNDEFINED, format_opacity
from kmagic.display.confusion.metrics_table import details_html, table_html
from kmagic.display.kit.card import Bundle, bar_html, card_html, minified_css, name_html
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.samples import collect_samples, samples_html
from kmagic.support.colour_scale import DIAGONAL_TINT, MAX_OPACITY, MIN_OPACITY
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 30  # labels in the table
THUMBS = 6
OPENING = 2 * MOST  # cells that open
MOST_BYTES = 250_000  # of the samples within all cells
NAME = 24  # signs
KINDS = (((1, 0), "missed"), ((0, 1), "false alarms"))


def multilabel_bundle(found: Any) -> Bundle:
    """The card of several labels, and the same in words.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.multilabel.MultilabelConfusion`.
    """
    return carry(multilabel_to_text(found), multilabel_html(found))


def multilabel_to_text(found: Any) -> str:
    """The labels as plain text: what was found, missed and wrongly said of each."""
    head, *_ = found.describe().splitlines()
    rows = [["label", "found", "missed", "false alarms", "precision", "recall", "F1"]]
    for k in _shown(found):
        counts, figures = found.matrices[k], found.per_class
        rates = [f"{rate[k]:.3f}" for rate in (figures.precision, figures.recall, figures.f1)]
        cells = [format_count(counts[at]) for at in ((1, 1), (1, 0), (0, 1))]
        rows.append([isolate_direction(shorten_name(found.classes[k], NAME)), *cells, *rates])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    totals = [f"  {name} {value:.4f}" for name, value in found.overall.items()]
    return "\n".join([head, "", *lines, "", "Together:", *totals])


def multilabel_html(found: Any) -> str:
    """The card as HTML."""
    shown = _shown(found)
    opening = _opening(found, shown)
    worst = max((float(found.matrices[k][at]) for k in shown for at, _ in KINDS), default=1.0)
    rows = "".join(_row(found, k, worst, opening) for k in shown)
    heads = ("found", "missed", "false alarms", "rest", "precision", "recall", "F1", "support")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    first = next(iter(opening.values()), "")
    inside = first[first.index(">") + 1 : -len("</div>")] if first else ""
    body = (
        f"<style>{minified_css('confusion.css')}</style>"
        '<div class="km-confusion"><div class="km-split km-beside" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        '<div class="km-scroll" style="overflow-x:auto;max-width:100%">'
        '<table class="km-matrix km-labels"><caption>A row a label: how many samples have it and '
        "are said to, have it and are not said to, are said to have it and have not.</caption>"
        f'<thead><tr><th class="km-corner">label</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<div class="km-slot">{inside}</div></div>'
        f"{_totals(found)}{details_html('Means over the labels', _report(found))}</div>"
    )
    foot = ""
    if len(shown) < len(found):
        foot = (
            f"Shown are the {len(shown)} labels with the lowest F1, of {len(found):,}. "
            "All labels: .report(), .matrices."
        )
    return card_html(found.name or "labels", found.facts(), body, foot=foot)


def _shown(found: Any) -> list[int]:
    order: list[int] = found.ordered().tolist()
    if len(order) <= MOST:
        return order
    worst = set(np.argsort(found.per_class.f1, kind="stable")[:MOST].tolist())
    return [k for k in order if k in worst]


def _row(found: Any, k: int, worst: float, opening: dict[tuple[int, int, int], str]) -> str:
    counts, figures = found.matrices[k], found.per_class
    cells = [_cell(counts[1, 1], BLUE, DIAGONAL_TINT)]
    for at, _ in KINDS:
        span = MAX_OPACITY - MIN_OPACITY
        strength = MIN_OPACITY + span * float(counts[at]) / worst if worst else 0.0
        cells.append(_cell(counts[at], ORANGE, strength, opening.get((k, *at), "")))
    cells.append(f'<td class="km-side">{format_count(counts[0, 0])}</td>')
    called, support = counts[:, 1].sum(), counts[1].sum()
    for rate, there in ((figures.precision, called), (figures.recall, support)):
        cells.append(f'<td class="km-side">{_rate(rate[k], there)}</td>')
    f1 = _rate(figures.f1[k], called + support)
    f1 = f'<div class="km-recall">{bar_html(figures.f1[k])}<span>{f1}</span></div>'
    cells.append(f'<td class="km-side">{f1}</td>')
    cells.append(f'<td class="km-side">{format_count(support)}</td>')
    return f'<tr><th scope="row">{name_html(found.classes[k], NAME)}</th>{"".join(cells)}</tr>'


def _cell(count: float, colour: str, strength: float, inside: str = "") -> str:
    if not count:
        return '<td class="km-none">·</td>'
    figure = f"<b>{format_count(count)}</b>"
    if inside:
        figure = (
            '<details class="km-cell" name="km-cell"><summary style="list-style:none;'
            f'cursor:pointer">{figure}</summary>{inside}</details>'
        )
    return f'<td style="background-color:rgba({colour},{format_opacity(strength)})">{figure}</td>'


def _opening(found: Any, shown: Sequence[int]) -> dict[tuple[int, int, int], str]:
    """The samples behind the largest cells of mistakes."""
    if found.x is None:
        return {}
    cells = [(k, *at, word) for k in shown for at, word in KINDS if found.matrices[k][at]]
    cells.sort(key=lambda cell: -found.matrices[cell[0]][cell[1], cell[2]])
    opening: dict[tuple[int, int, int], str] = {}
    held = 0
    for k, row, column, word in cells[:OPENING]:
        one = found[found.classes[k]]
        numbers = one.indices(true=row, pred=column)
        sure = one.confidence
        chosen = numbers[:THUMBS].tolist()
        below = [f"no. {n:,}" if sure is None else f"{sure[n]:.2f}" for n in chosen]
        said = [f"{isolate_direction(shorten_name(found.classes[k], NAME))}, {word}"] * len(chosen)
        shown_here = (
            f'<div class="km-sub"><b>{name_html(found.classes[k])}</b> {word} '
            f'<span class="km-mute">{len(numbers):,}</span></div>'
            f"{samples_html(collect_samples(found.x, chosen, below, said))}"
        )
        held += len(shown_here)
        if held > MOST_BYTES:
            break
        opening[k, row, column] = (
            '<div class="km-pop" style="position:absolute;z-index:2;max-width:300px;padding:8px;'
            "border:1px solid #999;background-color:#fff;color:#222;text-align:left;"
            f'white-space:normal">{shown_here}</div>'
        )
    return opening


def _totals(found: Any) -> str:
    blocks = "".join(
        f'<div><div class="km-mute" style="font-size:11px">{name}</div>'
        f'<div class="km-num" style="text-align:left;font-size:15px">{value:.4f}</div></div>'
        for name, value in found.overall.items()
    )
    return (
        '<div class="km-figs" style="display:flex;flex-wrap:wrap;gap:6px 22px;margin-top:12px">'
        f"{blocks}</div>"
    )


def _report(found: Any) -> str:
    means = found.report().iloc[len(found) :]
    rows = "".join(
        f'<tr><th scope="row" class="km-left" style="text-align:left">{name}</th>'
        f"{''.join(f'<td>{value:.4f}</td>' for value in row[:3])}</tr>"
        for name, row in zip(means.index, means.to_numpy(), strict=True)
    )
    return table_html(("", "precision", "recall", "F1"), rows)


def _rate(value: float, there: float) -> str:
    return f"{100 * value:.1f}" if there and not math.isnan(value) else UNDEFINED
