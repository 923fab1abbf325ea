"""Two models beside each other: in blue what got better, in orange what got worse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion.heatmap import heatmap_html
from kmagic.display.confusion.interactive_matrix import attach_widget
from kmagic.display.confusion.matrix_requests import InteractiveComparison
from kmagic.display.confusion.matrix_table import (
    BLUE,
    COLUMN_NAME,
    ORANGE,
    ROOMY,
    ROW_NAME,
    TALL,
    format_opacity,
)
from kmagic.display.confusion.metrics_table import details_html, table_html
from kmagic.display.kit.card import (
    Bundle,
    card_html,
    escape_html,
    minified_css,
    name_html,
    tooltip_text,
)
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.samples import Sample, collect_samples, samples_html
from kmagic.support.colour_scale import difference_values
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    shorten_name,
    strip_control_characters,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

WHOLE, WORST, BESIDE = 30, 15, 15  # as in the card of one matrix
THUMBS = 6
OPENING = 16  # cells that open without a kernel
MOST_BYTES = 250_000  # of the samples within all cells
TIP_NAME = 40  # signs


def comparison_bundle(found: Any) -> Bundle:
    """The card of two models, and the same in words.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.comparison.Comparison`.
    """
    living = InteractiveComparison(found, choose(found), cell_samples, comparison_samples)
    return carry(comparison_to_text(found), comparison_html(found, attach_widget(living)))


def comparison_to_text(found: Any) -> str:
    """The comparison as plain text."""
    lines = [found.describe()]
    if changes := found.changed_cells_text():
        lines += ["", "Changed most:", *(f"  {line}" for line in changes)]
    return "\n".join(lines)


def comparison_html(found: Any, key: str = "") -> str:
    """The card as HTML.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.comparison.Comparison`.
        key: What the card's companion in the kernel knows it by; "" without one.
    """
    chosen = choose(found)
    whole = len(chosen) == len(found.classes)
    layout = "km-wide" if not whole else "km-beside" if len(chosen) <= BESIDE else "km-below"
    new, old = found.names
    body = (
        f"<style>{minified_css('confusion.css')}</style>"
        f'<div class="km-confusion"{f" data-km={key!r}" if key else ""}>'
        f'<div class="km-said"><b>{escape_html(_capital(found.class_changes()))}.</b> '
        f"{escape_html(found.significance())}</div>"
        f'<div class="km-split {layout}" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f"{'' if whole else _map(found)}"
        '<div class="km-scroll" style="overflow-x:auto;max-width:100%">'
        f"{_table(found, chosen)}</div>"
        f'<div class="km-slot">{_mended(found)}</div>{_list(found)}</div>'
        f"{details_html('All figures of both', _figures(found))}"
        f"{details_html(_classes_title(found), _classes(found))}</div>"
    )
    foot = (
        ""
        if whole
        else (
            f"The table shows the {len(chosen)} classes that changed most, of "
            f"{len(found.classes):,}. All classes: .to_frame(), .difference."
        )
    )
    return card_html(f"{new} against {old}", found.facts(), body, foot=foot)


def choose(found: Any) -> list[int]:
    """Positions of the classes that are shown, in their order: all, or the most changed ones."""
    order: list[int] = found.new.ordered().tolist()
    if len(order) <= WHOLE:
        return order
    worst: dict[int, None] = {}
    for pair in found.changed_cells():
        if len(worst.keys() | set(pair)) > WORST:
            break
        worst.update(dict.fromkeys(pair))
    return [position for position in order if position in worst] or order[:WORST]


def cell_samples(found: Any, row: int, column: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The samples that have left a cell, and those that have come into it.

    Args:
        found: The comparison.
        row: Position of the true class.
        column: Position of the predicted class.
    """
    inside = []
    for model in (found.old, found.new):
        targets = model.predictions
        inside.append((targets.true == row) & (targets.predicted == column))
    before, now = inside
    return np.flatnonzero(before & ~now), np.flatnonzero(now & ~before)


def comparison_samples(found: Any, numbers: Iterable[int]) -> list[Sample]:
    """Samples with what both models say of them: "8, was 3"."""
    numbers = list(numbers)
    below, said = [], []
    for number in numbers:
        true, now, before = (
            isolate_direction(shorten_name(found.classes[side[number]], 12))
            for side in (
                found.new.predictions.true,
                found.new.predictions.predicted,
                found.old.predictions.predicted,
            )
        )
        below.append(f"{now}, was {before}")
        said.append(f"{true}: taken for {now}, before for {before}")
    return collect_samples(found.new.x, numbers, below, said)


# --- the matrix ---------------------------------------------------------------------------------


def _table(found: Any, chosen: Sequence[int]) -> str:
    shades = difference_values(found.difference)
    opening = _opening(found, set(chosen))
    names = [name_html(found.classes[k], COLUMN_NAME) for k in chosen]
    tall = " km-tall" if max(len(found.classes[k]) for k in chosen) > TALL else ""
    many = " km-many" if len(chosen) > ROOMY else ""
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    change = 100 * (found.new.per_class.recall - found.old.per_class.recall)
    rows = []
    for row in chosen:
        cells = "".join(_cell(found, shades, (row, k), opening.get((row, k), "")) for k in chosen)
        rows.append(
            f'<tr><th scope="row">{name_html(found.classes[row], ROW_NAME)}</th>{cells}'
            f'<td class="km-side">{_signed(change[row], 1)}</td>'
            f'<td class="km-side">{format_count(found.new.per_class.support[row])}</td></tr>'
        )
    new, old = (
        isolate_direction(shorten_name(strip_control_characters(name), COLUMN_NAME))
        for name in found.names
    )
    return (
        f'<table class="km-matrix{many}"><caption>Rows: true class. Columns: predicted class. '
        f"What {escape_html(new)} has more than {escape_html(old)}, or less.</caption>"
        f'<thead class="{tall.strip()}"><tr><th class="km-corner">true \\ predicted</th>{heads}'
        '<th scope="col" class="km-side km-wide">recall&nbsp;%</th>'
        '<th scope="col" class="km-side">support</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(found: Any, shades: NDArray[Any], place: tuple[int, int], inside: str) -> str:
    change = found.difference[place]
    if not change:
        return '<td class="km-none">·</td>'
    tone = shades[place]
    colour = BLUE if tone < 0 else ORANGE
    title = ""
    if len(found.classes) <= WHOLE:
        true, guess = (tooltip_text(found.classes[k], TIP_NAME) for k in place)
        what = f"{true} right" if place[0] == place[1] else f"{true} taken for {guess}"
        before, now = format_count(found.old.matrix[place]), format_count(found.new.matrix[place])
        title = f' title="{what}: {before} -&gt; {now}"'
    figure = f"<b>{_signed(change)}</b>"
    if inside:
        figure = (
            '<details class="km-cell" name="km-cell"><summary style="list-style:none;'
            f'cursor:pointer">{figure}</summary>{inside}</details>'
        )
    return (
        f'<td{title} style="background-color:rgba({colour},{format_opacity(tone)})">{figure}</td>'
    )


def _opening(found: Any, inside: set[int]) -> dict[tuple[int, int], str]:
    """What opens within the cells that changed most."""
    if found.new.x is None:
        return {}
    held = 0
    opening: dict[tuple[int, int], str] = {}
    right = [(k, k) for k in inside if found.difference[k, k]]
    for row, column in [*found.changed_cells(OPENING), *right]:
        if len(opening) >= OPENING + len(right) or held > MOST_BYTES:
            break
        if not {row, column} <= inside:
            continue
        gone, come = cell_samples(found, row, column)
        name, other = name_html(found.classes[row]), name_html(found.classes[column])
        title = f"{name} right" if row == column else f"{name} taken for {other}"
        parts = [
            f'<div class="km-sub"><b>{title}</b> <span class="km-mute">{len(these):,} {word}</span>'
            f"</div>{samples_html(comparison_samples(found, these[:THUMBS].tolist()))}"
            for these, word in ((gone, "no more"), (come, "new"))
            if len(these)
        ]
        shown = "".join(parts)
        held += len(shown)
        opening[row, column] = (
            '<div class="km-pop" style="position:absolute;z-index:2;max-width:300px;padding:8px;'
            "border:1px solid #999;background-color:#fff;color:#222;text-align:left;"
            f'white-space:normal">{shown}</div>'
        )
    return opening


# --- beside and below it ------------------------------------------------------------------------


def _mended(found: Any) -> str:
    """Samples that only one of the two gets right."""
    if found.new.x is None:
        return ""
    new, old = (
        isolate_direction(shorten_name(strip_control_characters(name), COLUMN_NAME))
        for name in found.names
    )
    parts = []
    for name, call, count in ((new, "fixed", found.fixed), (old, "broken", found.broken)):
        if not count:
            continue
        numbers = found.indices(**{call: True}, n=THUMBS).tolist()
        more = f".indices({call}=True)" if count > THUMBS else ""
        parts.append(
            f'<div class="km-sub"><b>Only {escape_html(name)} is right</b> '
            f'<span class="km-mute">{count:,} {more}</span></div>'
            f"{samples_html(comparison_samples(found, numbers))}"
        )
    return "".join(parts)


def _list(found: Any) -> str:
    changes = "".join(f"<li>{escape_html(line)}</li>" for line in found.changed_cells_text())
    if not changes:
        return ""
    head = '<div class="km-sub"><b>Changed most</b></div>'
    return f'<div class="km-list">{head}<ol>{changes}</ol></div>'


def _map(found: Any) -> str:
    order = found.new.ordered()
    shades = difference_values(found.difference[np.ix_(order, order)])
    return (
        f'<div class="km-map">{heatmap_html(shades, f"signed heatmap of all {len(order):,} classes")}'
        f'<div class="km-mute km-read" style="font-size:11px">All {len(order):,} classes; '
        "down: true, across: predicted; blue is better</div></div>"
    )


def _figures(found: Any) -> str:
    new, old = found.new.overall, found.old.overall
    rows = "".join(
        f'<tr><th scope="row" class="km-left" style="text-align:left">{name}</th>'
        f"<td>{_figure(old[name])}</td><td>{_figure(value)}</td>"
        f"<td>{_signed(value - old[name], 4)}</td></tr>"
        for name, value in new.items()
        if name in old
    )
    names = [name_html(name) for name in reversed(found.names)]
    return table_html(("", *names, "change"), rows)


def _classes_title(found: Any) -> str:
    many = len(found.classes) > WHOLE
    return f"The {WHOLE} classes that changed most" if many else "Each class"


def _classes(found: Any) -> str:
    new, old = found.new.per_class, found.old.per_class
    frame = found.to_frame()
    order = found.new.ordered()
    if len(order) > WHOLE:
        size = np.abs(frame["fixed"].to_numpy() - frame["broken"].to_numpy())
        order = np.argsort(-size, kind="stable")[:WHOLE]
    rows = "".join(
        f'<tr><th scope="row" class="km-left" style="text-align:left">'
        f"{name_html(found.classes[k])}</th>"
        f"<td>{old.recall[k]:.3f} → {new.recall[k]:.3f}</td>"
        f"<td>{old.precision[k]:.3f} → {new.precision[k]:.3f}</td>"
        f"<td>{frame['fixed'].iloc[k]:,}</td><td>{frame['broken'].iloc[k]:,}</td></tr>"
        for k in order
    )
    new_name, old_name = (name_html(name, COLUMN_NAME) for name in found.names)
    heads = ("", "recall", "precision", f"only {new_name} right", f"only {old_name} right")
    return table_html(heads, rows)


def _signed(value: float, digits: int = 0) -> str:
    """A change with its sign; what rounds to nought has none."""
    shown = f"{abs(value):.{digits}f}" if digits else format_count(abs(value))
    if not float(shown.replace(",", "")):
        return shown
    return f"{'+' if value > 0 else chr(0x2212)}{shown}"


def _figure(value: float) -> str:
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.4f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
