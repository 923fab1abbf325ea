"""The confusion of several labels per sample as a card, with a row for each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.confusion.matrix_table import (
    EMPTY_CELL,
    SAMPLES_SHOWN,
    build_popups,
    captions,
    cell_html,
    format_rate,
    layout_html,
    openable_html,
    row_html,
    titled_samples_html,
)
from kmagic.display.confusion.metrics_table import metrics_html, rates_to_text, text_table
from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    details_html,
    mime_bundle,
    name_html,
    table_html,
)
from kmagic.display.kit.samples import collect_samples
from kmagic.support.colour_scale import DIAGONAL_TINT, MAX_OPACITY, MIN_OPACITY
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.evaluation.confusion.multilabel import MultilabelConfusion

MAX_LABELS = 30
POPUPS = 2 * MAX_LABELS
NAME_LENGTH = 24
MISTAKES = (((1, 0), "false negatives"), ((0, 1), "false positives"))


def multilabel_bundle(confusion: MultilabelConfusion) -> Bundle:
    """The card of several labels, as text and as HTML."""
    return mime_bundle(multilabel_to_text(confusion), multilabel_html(confusion))


def multilabel_to_text(confusion: MultilabelConfusion) -> str:
    """The labels as plain text."""
    first_line, *_ = confusion.describe().splitlines()
    rows = [["label", "TP", "FN", "FP", "precision", "recall", "F1"]]
    for k in _shown_labels(confusion):
        counts = [format_count(confusion.matrices[k][cell]) for cell in ((1, 1), (1, 0), (0, 1))]
        name = isolate_direction(shorten_name(confusion.classes[k], NAME_LENGTH))
        rows.append([name, *counts, *rates_to_text(confusion.per_class, k)])
    overall = [f"  {name} {value:.4f}" for name, value in confusion.overall.items()]
    return "\n".join([first_line, "", *text_table(rows), "", "All labels:", *overall])


def multilabel_html(confusion: MultilabelConfusion) -> str:
    """The card as HTML."""
    shown = _shown_labels(confusion)
    counts, figures = confusion.matrices, confusion.per_class
    popups = _popups(confusion, shown)
    largest = max((float(counts[k][cell]) for k in shown for cell, _ in MISTAKES), default=1)

    def one_cell(k: int, cell: tuple[int, int]) -> str:
        count = counts[k][cell]
        if not count:
            return EMPTY_CELL
        content = openable_html(f"<b>{format_count(count)}</b>", popups.get((k, *cell), ""))
        if cell == (1, 1):
            return cell_html(content, -DIAGONAL_TINT)
        share = float(count) / largest
        return cell_html(content, MIN_OPACITY + (MAX_OPACITY - MIN_OPACITY) * share)

    rows = []
    for k in shown:
        predicted, support = figures.predicted[k], figures.support[k]
        f1 = format_rate(figures.f1[k], predicted + support)
        metrics = (
            format_count(counts[k][0, 0]),
            format_rate(figures.precision[k], predicted),
            format_rate(figures.recall[k], support),
            f'<div class="km-recall">{bar_html(figures.f1[k])}<span>{f1}</span></div>',
            format_count(support),
        )
        cells = [one_cell(k, cell) for cell in ((1, 1), (1, 0), (0, 1))]
        rows.append(row_html(confusion.classes[k], cells, metrics, NAME_LENGTH))
    names = ("true positives", "false negatives", "false positives", "true negatives")
    heads = (*names, "precision", "recall", "F1", "support")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    table = (
        '<table class="km-matrix km-labels"><caption>A row for each label: how many samples are '
        f'predicted correctly and wrongly.</caption><thead><tr><th class="km-corner">label</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    body = layout_html(
        table,
        shown=0,
        samples=next(iter(popups.values()), ""),
        below=metrics_html(confusion.overall) + details_html("Averages", _averages(confusion)),
    )
    foot = (
        f"The table shows the {len(shown)} labels with the lowest F1, of {len(confusion):,}. "
        "For all labels use .report() or .matrices."
        if len(shown) < len(confusion)
        else ""
    )
    return card_html(confusion.name or "labels", confusion.facts(), body, foot=foot)


def _shown_labels(confusion: MultilabelConfusion) -> list[int]:
    order: list[int] = confusion.ordered().tolist()
    if len(order) <= MAX_LABELS:
        return order
    worst = set(np.argsort(confusion.per_class.f1, kind="stable")[:MAX_LABELS].tolist())
    return [k for k in order if k in worst]


def _popups(
    confusion: MultilabelConfusion, shown: Sequence[int]
) -> dict[tuple[int, int, int], str]:
    """The samples of the largest cells of mistakes, by label, row and column."""
    if confusion.x is None:
        return {}
    cells = [(k, *cell) for k in shown for cell, _ in MISTAKES if confusion.matrices[k][cell]]
    cells.sort(key=lambda cell: -confusion.matrices[cell])
    return build_popups(cells[:POPUPS], lambda cell: _cell_samples(confusion, *cell))


def _cell_samples(confusion: MultilabelConfusion, k: int, row: int, column: int) -> str:
    label = confusion[confusion.classes[k]]
    what = dict(MISTAKES)[row, column]
    indices = label.indices(true=row, pred=column)
    first = indices[:SAMPLES_SHOWN].tolist()
    name = isolate_direction(shorten_name(confusion.classes[k], NAME_LENGTH))
    described = [f"{name}, {what.removesuffix('s')}"] * len(first)
    samples = collect_samples(confusion.x, first, captions(label, first), described)
    title = f"{name_html(confusion.classes[k])}: {what}"
    return titled_samples_html(title, samples, f"{len(indices):,}")


def _averages(confusion: MultilabelConfusion) -> str:
    averages = confusion.report().iloc[len(confusion) :]
    rows = (
        [name, *(f"{value:.4f}" for value in row[:3])]
        for name, row in zip(averages.index, averages.to_numpy(), strict=True)
    )
    return table_html(("", "precision", "recall", "F1"), rows)
