"""A confusion matrix as a card: the matrix, the samples of its cells, and its metrics.

The card is complete HTML: cells open without scripts, so they open in a saved notebook too.
:mod:`kmagic.display.confusion.interactive_matrix` adds to it while the kernel runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.confusion.cell_samples import (
    SAMPLES_SHOWN,
    build_popups,
    confusion_samples,
    popup_content,
    subtitle_html,
    titles,
)
from kmagic.display.confusion.interactive_matrix import InteractiveConfusion, attach_widget
from kmagic.display.confusion.matrix_image import heatmap_html
from kmagic.display.confusion.matrix_table import (
    MAX_COMPLETE,
    MAX_PAIR_CLASSES,
    ROW_NAME,
    classes_of_pairs,
    layout_html,
    matrix_table_html,
    normalization_buttons,
)
from kmagic.display.confusion.metrics_table import (
    all_metrics_html,
    curves_html,
    headline_html,
    metrics_to_text,
    text_table,
)
from kmagic.display.kit.card import Bundle, card_html, escape_html, mime_bundle, name_html
from kmagic.display.kit.samples import Sample, collect_samples, samples_html
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.evaluation.confusion.confusion_matrix import ConfusedPair, ConfusionMatrix

MAX_TEXT_CLASSES = 16
"""With more classes, the plain text has no matrix."""
PAIRS, PAIRS_OF_LARGE = 6, 12
POPUPS, POPUPS_OF_MANY, MANY = 24, 16, 20
"""Cells that open without a kernel: normally, and of more classes than MANY."""
CAPTION_NAME, CALL_NAME = 10, 30
"""Characters of a class name."""


def confusion_bundle(matrix: ConfusionMatrix) -> Bundle:
    """The card of a matrix, as text and as HTML."""
    shown = shown_classes(matrix, matrix.pairs(None))
    key = attach_widget(InteractiveConfusion(matrix, shown))
    return mime_bundle(confusion_to_text(matrix), confusion_html(matrix, key))


def confusion_html(matrix: ConfusionMatrix, key: str = "") -> str:
    """The card as HTML, with the key of its widget, if any."""
    pairs = matrix.pairs(None)
    shown = shown_classes(matrix, pairs)
    popups = _popups(matrix, shown, pairs)
    worst = (pairs[0].true, pairs[0].predicted) if pairs else None
    marked = worst if worst in popups else None
    complete = len(shown) == len(matrix.classes)
    body = layout_html(
        matrix_table_html(matrix, shown, marked=marked, popups=popups),
        shown=len(shown),
        samples=popup_content(popups[marked]) if marked else "",
        large_matrix="" if complete else _large_matrix(matrix),
        pairs=_pairs(pairs[: PAIRS if complete else PAIRS_OF_LARGE]),
        below=_worst_html(matrix)
        + headline_html(matrix)
        + curves_html(matrix)
        + all_metrics_html(matrix),
        key=key,
    )
    return card_html(
        matrix.name or "confusion matrix",
        _facts(matrix),
        body,
        foot=_omitted(matrix, shown, pairs),
        aside=normalization_buttons(matrix.normalize),
    )


def confusion_to_text(matrix: ConfusionMatrix) -> str:
    """The matrix as plain text: the metrics of each class, and the most confused pairs."""
    pairs = matrix.pairs(None)
    shown = shown_classes(matrix, pairs)
    first_line, *_ = matrix.describe().splitlines()
    lines = [first_line, "", *text_table(_text_rows(matrix, shown))]
    if pairs:
        lines += ["", "Most confused:", *(f"  {pair.to_text()}" for pair in pairs[:PAIRS])]
    if matrix.n_top_losses:
        lines += ["", "Worst samples:"]
        lines += [f"  sample {sample.index:,}: {sample.title}" for sample in _worst_samples(matrix)]
    lines += ["", "With 95 % intervals:", *(f"  {line}" for line in metrics_to_text(matrix))]
    if omitted := _omitted(matrix, shown, pairs):
        lines += ["", omitted]
    return "\n".join(lines)


def shown_classes(matrix: ConfusionMatrix, pairs: Sequence[ConfusedPair]) -> list[int]:
    """Positions of the classes in the table, in order: all, or those of the worst pairs."""
    order: list[int] = matrix.ordered().tolist()
    if len(order) <= MAX_COMPLETE:
        return order
    worst = classes_of_pairs((pair.true, pair.predicted) for pair in pairs)
    others = [k for k in order if k not in worst]
    chosen = {*worst, *others[: MAX_PAIR_CLASSES - len(worst)]}
    return [k for k in order if k in chosen]


def _facts(matrix: ConfusionMatrix) -> str:
    """The summary of the matrix, with the threshold of two classes."""
    if matrix.threshold_curve is None:
        return matrix.facts()
    name = isolate_direction(shorten_name(matrix.classes[1], ROW_NAME))
    return f"{matrix.facts()} · {name} above {matrix.predictions.threshold:g}"


def _omitted(matrix: ConfusionMatrix, shown: Sequence[int], pairs: Sequence[ConfusedPair]) -> str:
    """What the table does not show, in a sentence."""
    if len(shown) == len(matrix.classes):
        return ""
    classes = set(shown)
    included = sum(pair.count for pair in pairs if {pair.true, pair.predicted} <= classes)
    return (
        f"The table shows the {len(shown)} classes of the most confused pairs, of "
        f"{len(matrix.classes):,}. It contains {format_count(included)} of "
        f"{format_count(sum(pair.count for pair in pairs))} mistakes. "
        "For all classes use .report(), .matrix or .pairs()."
    )


# --- samples --------------------------------------------------------------------------------------


def _popups(
    matrix: ConfusionMatrix, shown: Sequence[int], pairs: Sequence[ConfusedPair]
) -> dict[tuple[int, int], str]:
    """What opens within the cells of the worst pairs."""
    if matrix.x is None:
        return {}
    classes = set(shown)
    limit = POPUPS if len(shown) <= MANY else POPUPS_OF_MANY
    inside = {
        (pair.true, pair.predicted): pair
        for pair in pairs
        if {pair.true, pair.predicted} <= classes
    }
    return build_popups(list(inside)[:limit], lambda cell: _pair_samples(matrix, inside[cell]))


def _pair_samples(matrix: ConfusionMatrix, pair: ConfusedPair) -> str:
    true, predicted = matrix.labels[pair.true], matrix.labels[pair.predicted]
    indices = matrix.indices(true=true, pred=predicted)
    more = ""
    if len(indices) > SAMPLES_SHOWN:
        call = escape_html(f".indices(true={_argument(true)}, pred={_argument(predicted)})")
        more = f'<div class="km-muted km-more">{len(indices) - SAMPLES_SHOWN:,} more: {call}</div>'
    title = f"{name_html(pair.true_name)} taken for {name_html(pair.predicted_name)}"
    samples = samples_html(confusion_samples(matrix, indices[:SAMPLES_SHOWN].tolist()))
    return f"{subtitle_html(title)}{samples}{more}"


def _argument(label: int | str) -> str:
    return repr(shorten_name(label, CALL_NAME)) if isinstance(label, str) else str(label)


def _pairs(pairs: Sequence[ConfusedPair]) -> str:
    if not pairs:
        return ""
    items = "".join(
        f'<li value="{rank}">{name_html(pair.true_name)} taken for '
        f'{name_html(pair.predicted_name)}<span class="km-muted">: '
        f"{format_count(pair.count)} of {format_count(pair.support)}</span></li>"
        for rank, pair in enumerate(pairs, start=1)
    )
    return f'<div class="km-pairs">{subtitle_html("Most confused")}<ol>{items}</ol></div>'


def _worst_samples(matrix: ConfusionMatrix) -> list[Sample]:
    table = matrix.top_losses(matrix.n_top_losses)
    names = [
        [isolate_direction(shorten_name(name, CAPTION_NAME)) for name in table[side]]
        for side in ("true", "predicted")
    ]
    captions = [
        f"{true} as {predicted}, {probability:.2f}"
        if true != predicted
        else f"{true}, {probability:.2f}"
        for true, predicted, probability in zip(*names, table["probability"], strict=True)
    ]
    described = [
        f"{title}, loss {loss:.2f}"
        for title, loss in zip(titles(matrix, table.index), table["loss"], strict=True)
    ]
    return collect_samples(matrix.x, table.index, captions, described)


def _worst_html(matrix: ConfusionMatrix) -> str:
    if not matrix.n_top_losses:
        return ""
    title = subtitle_html("Worst samples", "by their loss")
    samples = samples_html(_worst_samples(matrix))
    return f'<div class="km-worst" style="margin-top:12px">{title}{samples}</div>'


# --- the rest -------------------------------------------------------------------------------------


def _large_matrix(matrix: ConfusionMatrix) -> str:
    order = matrix.ordered()
    values = matrix.matrix if matrix.normalize is None else matrix.normalized(matrix.normalize)
    colours = colour_values(
        values[np.ix_(order, order)], log=matrix.scale == "log", diagonal=matrix.diagonal
    )
    classes = f"all {len(order):,} classes"
    image = heatmap_html(colours, f"heatmap of {classes}; rows: true, columns: predicted")
    return (
        f'<div class="km-large-matrix">{image}'
        f'<div class="km-muted km-readout" style="font-size:11px">Heatmap of {classes}; '
        "rows: true, columns: predicted</div></div>"
    )


def _text_rows(matrix: ConfusionMatrix, shown: Sequence[int]) -> list[list[str]]:
    figures = matrix.per_class
    with_matrix = len(shown) <= MAX_TEXT_CLASSES
    names = [isolate_direction(shorten_name(matrix.classes[k], ROW_NAME)) for k in shown]
    heads = ["true \\ predicted", *names] if with_matrix else ["class"]
    rows = [[*heads, "precision", "recall", "F1", "support"]]
    for name, k in zip(names, shown, strict=True):
        counts = [format_count(matrix.matrix[k, column]) for column in shown if with_matrix]
        metrics = [f"{values[k]:.3f}" for values in (figures.precision, figures.recall, figures.f1)]
        rows.append([name, *counts, *metrics, format_count(figures.support[k])])
    return rows
