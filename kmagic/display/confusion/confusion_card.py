"""A confusion matrix as a card: the matrix, the samples of its cells, and its metrics.

The card is complete HTML: cells open without scripts, so they open in a saved notebook too.
:mod:`kmagic.display.confusion.interactive_matrix` adds to it while the kernel runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.display.confusion.interactive_matrix import InteractiveConfusion, attach_widget
from kmagic.display.confusion.matrix_image import large_matrix_html
from kmagic.display.confusion.matrix_table import (
    ROW_NAME,
    SAMPLES_SHOWN,
    build_popups,
    choose_classes,
    confusion_samples,
    layout_html,
    matrix_table_html,
    normalization_buttons,
    pairs_html,
    titled_samples_html,
    titles,
)
from kmagic.display.confusion.metrics_table import (
    all_metrics_html,
    curves_html,
    headline_html,
    metrics_to_text,
    rates_to_text,
    text_table,
)
from kmagic.display.kit.card import Bundle, card_html, escape_html, mime_bundle, name_html
from kmagic.display.kit.samples import Sample, collect_samples
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmagic.evaluation.confusion.confusion_matrix import ConfusedPair, ConfusionMatrix

MAX_TEXT_CLASSES = 16  # with more classes, the plain text has no matrix
PAIRS, PAIRS_OF_LARGE = 6, 12
POPUPS, POPUPS_OF_MANY, MANY = 24, 16, 20
"""Cells that open without a kernel: normally, and of more classes than MANY."""
CAPTION_NAME, CALL_NAME = 10, 30  # characters of a class name


def confusion_bundle(matrix: ConfusionMatrix) -> Bundle:
    """The card of a matrix, as text and as HTML."""
    card = _ConfusionCard(matrix)
    key = attach_widget(InteractiveConfusion(matrix, card.shown))
    return mime_bundle(card.to_text(), card.to_html(key))


class _ConfusionCard:
    """The classes and pairs of a matrix that its card shows.

    Attributes:
        pairs: All confused pairs, the worst first.
        shown: Positions of the classes in the table, in order.
        inside: The pairs whose classes are both in the table.
        omitted: What the table does not show, in a sentence.
    """

    def __init__(self, matrix: ConfusionMatrix) -> None:
        self.matrix, self.pairs = matrix, matrix.pairs(None)
        worst = ((pair.true, pair.predicted) for pair in self.pairs)
        self.shown = choose_classes(matrix.ordered().tolist(), worst, fill=True)
        shown = set(self.shown)
        self.inside = [pair for pair in self.pairs if {pair.true, pair.predicted} <= shown]
        self.is_complete = len(shown) == len(matrix.classes)
        included, total = (sum(p.count for p in each) for each in (self.inside, self.pairs))
        self.omitted = (
            ""
            if self.is_complete
            else f"The table shows the {len(shown)} classes of the most confused pairs, of "
            f"{len(matrix.classes):,}. It contains {format_count(included)} of "
            f"{format_count(total)} mistakes. For all classes use .report(), .matrix or .pairs()."
        )

    def to_html(self, key: str) -> str:
        """The card as HTML, with the key of its widget, if any."""
        matrix = self.matrix
        popups = self._popups()
        worst = (self.pairs[0].true, self.pairs[0].predicted) if self.pairs else None
        marked = worst if worst in popups else None
        body = layout_html(
            matrix_table_html(matrix, self.shown, marked, popups),
            shown=len(self.shown),
            samples=popups[marked] if marked else "",
            large_matrix="" if self.is_complete else _large_matrix(matrix),
            pairs=_pairs(self.pairs[: PAIRS if self.is_complete else PAIRS_OF_LARGE]),
            below=_worst_html(matrix)
            + headline_html(matrix)
            + curves_html(matrix)
            + all_metrics_html(matrix),
            key=key,
        )
        facts = matrix.facts()
        if matrix.threshold_curve is not None:
            name = isolate_direction(shorten_name(matrix.classes[1], ROW_NAME))
            facts += f" · {name} above {matrix.predictions.threshold:g}"
        buttons = normalization_buttons(matrix.normalize)
        title = matrix.name or "confusion matrix"
        return card_html(title, facts, body, foot=self.omitted, aside=buttons)

    def to_text(self) -> str:
        """The matrix as plain text: the metrics of each class, and the most confused pairs."""
        matrix = self.matrix
        first_line, *_ = matrix.describe().splitlines()
        lines = [first_line, "", *text_table(_text_rows(matrix, self.shown))]
        if self.pairs:
            lines += ["", "Most confused:", *(f"  {pair.to_text()}" for pair in self.pairs[:PAIRS])]
        if matrix.n_top_losses:
            lines += ["", "Worst samples:"]
            lines += [f"  sample {each.index:,}: {each.title}" for each in _worst_samples(matrix)]
        lines += ["", "With 95 % intervals:", *(f"  {line}" for line in metrics_to_text(matrix))]
        if self.omitted:
            lines += ["", self.omitted]
        return "\n".join(lines)

    def _popups(self) -> dict[tuple[int, int], str]:
        """What opens within the cells of the worst pairs."""
        if self.matrix.x is None:
            return {}
        limit = POPUPS if len(self.shown) <= MANY else POPUPS_OF_MANY
        opening = {(pair.true, pair.predicted): pair for pair in self.inside[:limit]}
        return build_popups(list(opening), lambda cell: _pair_samples(self.matrix, opening[cell]))


# --- its parts ------------------------------------------------------------------------------------


def _pair_samples(matrix: ConfusionMatrix, pair: ConfusedPair) -> str:
    true, predicted = matrix.labels[pair.true], matrix.labels[pair.predicted]
    indices = matrix.indices(true=true, pred=predicted)
    more = ""
    if len(indices) > SAMPLES_SHOWN:
        call = escape_html(f".indices(true={_argument(true)}, pred={_argument(predicted)})")
        more = f'<div class="km-muted km-more">{len(indices) - SAMPLES_SHOWN:,} more: {call}</div>'
    title = f"{name_html(pair.true_name)} taken for {name_html(pair.predicted_name)}"
    samples = confusion_samples(matrix, indices[:SAMPLES_SHOWN].tolist())
    return titled_samples_html(title, samples) + more


def _argument(label: int | str) -> str:
    return repr(shorten_name(label, CALL_NAME)) if isinstance(label, str) else str(label)


def _pairs(pairs: Sequence[ConfusedPair]) -> str:
    return pairs_html(
        "Most confused",
        (
            f'<li value="{rank}">{name_html(pair.true_name)} taken for '
            f'{name_html(pair.predicted_name)}<span class="km-muted">: '
            f"{format_count(pair.count)} of {format_count(pair.support)}</span></li>"
            for rank, pair in enumerate(pairs, start=1)
        ),
    )


def _worst_samples(matrix: ConfusionMatrix) -> list[Sample]:
    table = matrix.top_losses(matrix.n_top_losses)
    names = [
        [isolate_direction(shorten_name(name, CAPTION_NAME)) for name in table[side]]
        for side in ("true", "predicted")
    ]
    captions = [
        f"{true if true == predicted else f'{true} as {predicted}'}, {probability:.2f}"
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
    inside = titled_samples_html("Worst samples", _worst_samples(matrix), "by their loss")
    return f'<div class="km-worst" style="margin-top:12px">{inside}</div>'


def _large_matrix(matrix: ConfusionMatrix) -> str:
    order = matrix.ordered()
    values = matrix.matrix if matrix.normalize is None else matrix.normalized(matrix.normalize)
    colours = colour_values(values, log=matrix.scale == "log", diagonal=matrix.diagonal)
    return large_matrix_html(colours[np.ix_(order, order)])


def _text_rows(matrix: ConfusionMatrix, shown: Sequence[int]) -> list[list[str]]:
    with_matrix = len(shown) <= MAX_TEXT_CLASSES
    names = [isolate_direction(shorten_name(matrix.classes[k], ROW_NAME)) for k in shown]
    heads = ["true \\ predicted", *names] if with_matrix else ["class"]
    rows = [[*heads, "precision", "recall", "F1", "support"]]
    for name, k in zip(names, shown, strict=True):
        counts = [format_count(matrix.matrix[k, column]) for column in shown if with_matrix]
        support = format_count(matrix.per_class.support[k])
        rows.append([name, *counts, *rates_to_text(matrix.per_class, k), support])
    return rows
