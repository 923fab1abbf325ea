"""A confusion matrix as a card: the matrix, the samples behind it, and how good it all is.

The card is whole by itself: cells open by HTML's own means, so it works in a notebook that was only
opened. While the kernel is there, :mod:`kmagic.display.confusion.interactive_matrix` adds what takes a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion import metrics_table
from kmagic.display.confusion.heatmap import heatmap_html
from kmagic.display.confusion.interactive_matrix import attach_widget
from kmagic.display.confusion.matrix_requests import InteractiveConfusion
from kmagic.display.confusion.matrix_table import matrix_table_html, normalization_buttons
from kmagic.display.kit.card import Bundle, card_html, escape_html, minified_css, name_html
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.samples import Sample, collect_samples, samples_html
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

WHOLE = 30  # up to so many classes the whole matrix is shown
WORST = 15  # of more classes, so many with the most mistakes
WORDED = 16  # up to so many classes the plain text holds the matrix too
BESIDE = 15  # up to so many classes there is room beside the matrix
PAIRS, MORE_PAIRS = 6, 12
THUMBS = 6
OPENING, FEWER = 24, 16  # cells that open without a kernel; of more than 20 classes
FEW = 20
MOST_BYTES = 250_000  # of the samples within all cells
ROW_NAME, CAPTION_NAME = 18, 10  # signs


def confusion_bundle(found: Any) -> Bundle:
    """The card of a matrix, and the same in words.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix`.
    """
    living = InteractiveConfusion(found, choose(found, found.pairs(None)), confusion_samples)
    return carry(confusion_to_text(found), confusion_html(found, attach_widget(living)))


def confusion_html(found: Any, key: str = "") -> str:
    """The card as HTML.

    Args:
        found: A :class:`~kmagic.evaluation.confusion.confusion_matrix.ConfusionMatrix`.
        key: What the card's companion in the kernel knows it by; "" without one.
    """
    pairs = found.pairs(None)
    chosen = choose(found, pairs)
    marked = (pairs[0].true, pairs[0].predicted) if pairs else None
    opening = _opening(found, chosen, pairs)
    if marked not in opening:
        marked = None
    whole = len(chosen) == len(found.classes)
    layout = "km-wide" if not whole else "km-beside" if len(chosen) <= BESIDE else "km-below"
    body = (
        f"<style>{minified_css('confusion.css')}</style>"
        f'<div class="km-confusion"{f" data-km={key!r}" if key else ""}>'
        f'<div class="km-split {layout}" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f"{'' if whole else _map(found)}"
        '<div class="km-scroll" style="overflow-x:auto;max-width:100%">'
        f"{matrix_table_html(found, chosen, marked=marked, inside=opening)}</div>"
        f"{_slot(opening.get(marked, '') if marked else '', key)}{_list(pairs, whole)}</div>"
        f"{_worst(found)}{metrics_table.headline(found)}{metrics_table.curves(found)}"
        f"{metrics_table.details(found)}</div>"
    )
    title = found.name or "confusion matrix"
    foot = left_out(found, chosen, pairs)
    return card_html(
        title, facts(found), body, foot=foot, aside=normalization_buttons(found.normalize)
    )


def confusion_to_text(found: Any) -> str:
    """The matrix as plain text: the figures of each class, and what is confused most."""
    pairs = found.pairs(None)
    chosen = choose(found, pairs)
    head, *_ = found.describe().splitlines()
    lines = [head, "", *_rows(found, chosen)]
    if pairs:
        lines += ["", "Most confused:", *(f"  {pair.to_text()}" for pair in pairs[:PAIRS])]
    if found.n_top_losses:
        lines += ["", "Worst samples:"]
        lines += [f"  sample {one.number:,}: {one.title}" for one in _worst_samples(found)]
    lines += ["", "With 95 % intervals:", *(f"  {line}" for line in metrics_table.lines(found))]
    missing = left_out(found, chosen, pairs)
    return "\n".join([*lines, *(["", missing] if missing else [])])


def facts(found: Any) -> str:
    """How many and how good, and the threshold of two classes."""
    if found.threshold_curve is None:
        return str(found.facts())
    name = isolate_direction(shorten_name(found.classes[1], ROW_NAME))
    return f"{found.facts()} · {name} above {found.predictions.threshold:g}"


def choose(found: Any, pairs: Sequence[Any]) -> list[int]:
    """Positions of the classes that are shown, in their order: all, or those of the worst pairs."""
    order: list[int] = found.ordered().tolist()
    if len(order) <= WHOLE:
        return order
    worst: dict[int, None] = {}
    for pair in pairs:
        if len(worst.keys() | {pair.true, pair.predicted}) > WORST:
            break
        worst.update({pair.true: None, pair.predicted: None})
    rest = (position for position in order if position not in worst)
    while len(worst) < WORST:
        worst[next(rest)] = None
    return [position for position in order if position in worst]


def left_out(found: Any, chosen: Sequence[int], pairs: Sequence[Any]) -> str:
    """What of the matrix is not in the table, in a sentence."""
    if len(chosen) == len(found.classes):
        return ""
    inside = set(chosen)
    seen = sum(pair.count for pair in pairs if {pair.true, pair.predicted} <= inside)
    return (
        f"The table shows the {len(chosen)} classes of the most confused pairs, of "
        f"{len(found.classes):,}: {format_count(seen)} of {format_count(sum(p.count for p in pairs))} "
        "mistakes are among them. All classes: .report(), .matrix, .pairs()."
    )


# --- samples ------------------------------------------------------------------------------------


def captions(found: Any, numbers: Sequence[int]) -> list[str]:
    """How sure the model was of each sample, or its number where that is unknown."""
    sure = found.confidence
    return [f"no. {k:,}" if sure is None else f"{sure[k]:.2f}" for k in numbers]


def titles(found: Any, numbers: Sequence[int]) -> list[str]:
    """What each sample is and what it was taken for."""
    said = []
    for number in numbers:
        true, guess = (
            isolate_direction(shorten_name(found.classes[side[number]], 60))
            for side in (found.predictions.true, found.predictions.predicted)
        )
        said.append(f"{true} taken for {guess}" if true != guess else f"{true}, right")
    return said


def confusion_samples(found: Any, numbers: Sequence[int]) -> list[Sample]:
    """Samples with what the model says of them."""
    return collect_samples(found.x, numbers, captions(found, numbers), titles(found, numbers))


def _opening(found: Any, chosen: Sequence[int], pairs: Sequence[Any]) -> dict[tuple[int, int], str]:
    """What opens within the cells of the worst pairs."""
    if found.x is None:
        return {}
    inside, held = set(chosen), 0
    most = OPENING if len(chosen) <= FEW else FEWER
    opening: dict[tuple[int, int], str] = {}
    for pair in pairs:
        if len(opening) >= most or held > MOST_BYTES:
            break
        if not {pair.true, pair.predicted} <= inside:
            continue
        shown = _pair(found, pair)
        held += len(shown)
        opening[pair.true, pair.predicted] = (
            '<div class="km-pop" style="position:absolute;z-index:2;max-width:300px;padding:8px;'
            "border:1px solid #999;background-color:#fff;color:#222;text-align:left;"
            f'white-space:normal">{shown}</div>'
        )
    return opening


def _pair(found: Any, pair: Any) -> str:
    true, guess = found.labels[pair.true], found.labels[pair.predicted]
    every = found.indices(true=true, pred=guess)
    more = len(every) - THUMBS
    below = ""
    if more > 0:
        asked = escape_html(f".indices(true={_call(true)}, pred={_call(guess)})")
        below = f'<div class="km-mute km-more">{more:,} more: {asked}</div>'
    title = f"{name_html(pair.true_name)} taken for {name_html(pair.predicted_name)}"
    return (
        f'<div class="km-sub"><b>{title}</b></div>'
        f"{samples_html(confusion_samples(found, every[:THUMBS].tolist()))}{below}"
    )


def _call(label: int | str) -> str:
    return repr(shorten_name(label, CAPTION_NAME * 3)) if isinstance(label, str) else str(label)


def _slot(shown: str, key: str) -> str:
    """Where samples are shown: those of the worst pair until a cell is opened."""
    if not shown and not key:
        return ""
    # The worst pair's stand here a second time, and not as something that opens.
    inside = shown[shown.index(">") + 1 : -len("</div>")] if shown else ""
    return f'<div class="km-slot">{inside}</div>'


def _list(pairs: Sequence[Any], whole: bool) -> str:
    if not pairs:
        return ""
    listed = "".join(
        f'<li value="{place}">{name_html(pair.true_name)} taken for '
        f"{name_html(pair.predicted_name)}"
        f'<span class="km-mute">: {format_count(pair.count)} of {format_count(pair.support)}</span></li>'
        for place, pair in enumerate(pairs[: PAIRS if whole else MORE_PAIRS], start=1)
    )
    return (
        '<div class="km-list"><div class="km-sub"><b>Most confused</b></div>'
        f"<ol>{listed}</ol></div>"
    )


def _worst_samples(found: Any) -> list[Sample]:
    rows = found.top_losses(found.n_top_losses)
    names = [
        [isolate_direction(shorten_name(name, CAPTION_NAME)) for name in rows[side]]
        for side in ("true", "predicted")
    ]
    below = [
        f"{true} as {guess}, {sure:.2f}" if true != guess else f"{true}, {sure:.2f}"
        for true, guess, sure in zip(*names, rows["probability"], strict=True)
    ]
    said = [
        f"{title}, loss {loss:.2f}"
        for title, loss in zip(titles(found, rows.index), rows["loss"], strict=True)
    ]
    return collect_samples(found.x, rows.index, below, said)


def _worst(found: Any) -> str:
    if not found.n_top_losses:
        return ""
    return (
        '<div class="km-worst" style="margin-top:12px"><div class="km-sub"><b>Worst samples</b> '
        '<span class="km-mute">by their loss</span></div>'
        f"{samples_html(_worst_samples(found))}</div>"
    )


# --- the rest -----------------------------------------------------------------------------------


def _map(found: Any) -> str:
    order = found.ordered()
    shown = found.matrix if found.normalize is None else found.normalized(found.normalize)
    shades = colour_values(
        shown[np.ix_(order, order)], log=found.scale == "log", diagonal=found.diagonal
    )
    alt = f"heatmap of all {len(order):,} classes, rows true, columns predicted"
    return (
        f'<div class="km-map">{heatmap_html(shades, alt)}'
        f'<div class="km-mute km-read" style="font-size:11px">All {len(order):,} classes; '
        "down: true, across: predicted</div></div>"
    )


def _rows(found: Any, chosen: Sequence[int]) -> list[str]:
    """The lines of the plain text's table."""
    figures = found.per_class
    with_matrix = len(chosen) <= WORDED
    names = [isolate_direction(shorten_name(found.classes[k], ROW_NAME)) for k in chosen]
    head = ["true \\ predicted" if with_matrix else "class"]
    head += names if with_matrix else []
    rows = [[*head, "precision", "recall", "F1", "support"]]
    for name, k in zip(names, chosen, strict=True):
        cells = [format_count(found.matrix[k, other]) for other in chosen] if with_matrix else []
        rates = [f"{rate[k]:.3f}" for rate in (figures.precision, figures.recall, figures.f1)]
        rows.append([name, *cells, *rates, format_count(figures.support[k])])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
