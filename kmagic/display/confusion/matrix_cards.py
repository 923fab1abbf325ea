"""The cards of a confusion matrix, of the comparison of two models, and of several labels.

A card is complete HTML: cells open without scripts, so they open in a saved notebook too.
:mod:`kmagic.display.confusion.interactive_matrix` adds to it while the kernel runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kmagic.display.confusion.interactive_matrix import (
    OUTCOMES,
    Cell,
    InteractiveComparison,
    InteractiveConfusion,
    InteractiveLabels,
    attach_widget,
    comparison_samples,
    confusion_samples,
    label_indices,
    label_samples,
    moved_samples,
    worst_samples,
)
from kmagic.display.confusion.matrix_image import large_matrix_html
from kmagic.display.confusion.matrix_names import (
    column_heads,
    column_width,
    row_heads,
    row_width,
    shown_names,
)
from kmagic.display.confusion.metrics_table import (
    UNDEFINED,
    all_metrics_html,
    curves_html,
    format_score,
    headline_html,
    label_curves_html,
    metrics_html,
    metrics_to_text,
    text_table,
)
from kmagic.display.kit.assets import css_for
from kmagic.display.kit.card import (
    BLUE,
    ORANGE,
    Bundle,
    card_html,
    details_html,
    escape_html,
    full_name_html,
    head_cell,
    mime_bundle,
    name_html,
    names_html,
    scroll_html,
    table_html,
    tooltip_text,
)
from kmagic.display.kit.samples import Sample, samples_html
from kmagic.evaluation.confusion.comparison import Comparison
from kmagic.evaluation.confusion.confusion_matrix import ConfusedPair, ConfusionMatrix
from kmagic.evaluation.confusion.confusion_metrics import ClassMetrics
from kmagic.evaluation.confusion.multilabel import MultilabelConfusion
from kmagic.support.colour_scale import (
    DIAGONAL_TINT,
    MAX_OPACITY,
    MIN_OPACITY,
    colour_values,
    difference_values,
)
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    isolate_names,
    shorten_name,
    text_width,
)

C = TypeVar("C", bound=tuple[int, ...])

# With more classes ...
MAX_COMPLETE = 30  # ... the table shows only those of the worst pairs,
MAX_TOOLTIPS = 20  # ... cells have no tooltips,
MAX_TEXT_CLASSES = 16  # ... the plain text has no matrix,
MAX_BESIDE = 15  # ... samples and pairs are below the table,
MAX_ROOMY = 12  # ... cells are compact.
MAX_PAIR_CLASSES = 15
MAX_LABELS = 30
MAX_INSTEAD, MAX_TOGETHER = 8, 8  # labels of a matrix, pairs of labels
_LEFT = 'style="text-align:left"'
TEXT_WIDTH = 120  # columns of the plain text
SHORT_NAME = 3  # names up to this length need no tooltips
CAPTION_NAME, COLUMN_NAME, ROW_NAME, LABEL_NAME, CALL_NAME = 10, 18, 22, 24, 30
"""Characters of a class name."""
SAMPLES_SHOWN = 6
MAX_SAMPLE_BYTES = 250_000  # size of the samples in all cells of a saved card
MAX_LABEL_SAMPLE_BYTES = 28_000  # the same with several labels
PAIRS, PAIRS_OF_LARGE = 6, 12
POPUPS, POPUPS_OF_MANY, MANY = 24, 16, 20
"""Cells that open without a kernel: normally, and of more classes than MANY."""
CHANGED_POPUPS = 16  # those of a comparison, besides the diagonal
PART_SHEETS = {
    "--n": "confusion/matrix.css",
    "km-normalized": "confusion/normalization.css",
    "km-compact": "confusion/compact.css",
    "km-difference": "confusion/difference.css",
    "km-labels": "confusion/labels.css",
    "km-large-matrix": "confusion/large_matrix.css",
}
"""Style sheets of parts that only some cards have."""
EMPTY_CELL = "<td class=km-empty>·</td>"
NORMALIZATIONS = {"counts": "counts", "true": "of row", "pred": "of column", "all": "of all"}


def confusion_bundle(matrix: ConfusionMatrix) -> Bundle:
    """The card of a matrix, as text and as HTML."""
    card = ConfusionCard(matrix)
    key = attach_widget(InteractiveConfusion(matrix, card.shown, redraw_with(ConfusionCard)))
    return mime_bundle(card.to_text(), card.to_html(key))


def comparison_bundle(comparison: Comparison) -> Bundle:
    """The card of two models, as text and as HTML."""
    card = _ComparisonCard(comparison)
    key = attach_widget(InteractiveComparison(comparison, card.shown))
    return mime_bundle(card.to_text(), card.to_html(key))


def multilabel_bundle(confusion: MultilabelConfusion) -> Bundle:
    """The card of several labels, as text and as HTML."""
    card = MultilabelCard(confusion)
    key = attach_widget(InteractiveLabels(confusion, card.shown, redraw_with(MultilabelCard)))
    return mime_bundle(card.to_text(), card.to_html(key))


def redraw_with(kind: Callable[..., Any]) -> Callable[[Any], tuple[str, list[int]]]:
    """What draws the cards of a kind for a page with a kernel, which fetches samples itself."""

    def draw(result: Any) -> tuple[str, list[int]]:
        card = kind(result, with_popups=False)
        return card.to_html(""), card.shown

    return draw


class _MatrixCard(ABC):
    """The card of a matrix of classes.

    Attributes:
        matrix: The matrix; of two models that of the new one.
        colours: Signed opacity of each cell, negative for blue.
        shown: Positions of the classes in the table, in order.
        kind: Classes of the table.
    """

    kind = ""

    def __init__(
        self, matrix: ConfusionMatrix, colours: NDArray[Any], pairs: Iterable[Cell], *, fill: bool
    ) -> None:
        self.matrix, self.colours = matrix, colours
        self.shown = _choose_classes(matrix.ordered().tolist(), pairs, fill=fill)
        self.is_complete = len(self.shown) == len(matrix.classes)

    def _table(self, caption: str, heads: Sequence[str], foot: str = "") -> str:
        names = [shown_names(self.matrix.classes)[k] for k in self.shown]
        width = column_width(len(names))
        columns = [f"<th scope=col>{name}</th>" for name in column_heads(names, width)]
        columns += [f"<th scope=col class=km-metric>{head}</th>" for head in heads]
        rows = (
            _row_html(name, [self._cell((row, k)) for k in self.shown], self._row_metrics(row))
            for name, row in zip(row_heads(names), self.shown, strict=True)
        )
        compact = " km-compact" if len(names) > MAX_ROOMY else ""
        kind = self.kind + compact
        return (
            f'<table class="km-matrix{kind}" style="--n:{len(names)};--w:{width}px;'
            f'--r:{row_width(names)}px"><caption>Rows: true class. Columns: predicted class. '
            f"{caption}</caption><thead><tr>"
            f'<th class="km-corner">true \\ predicted</th>{"".join(columns)}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody>{foot}</table>"
        )

    def _heatmap(self, *, is_difference: bool = False) -> str:
        """All classes, if the table does not show them."""
        if self.is_complete:
            return ""
        order = self.matrix.ordered()
        return large_matrix_html(self.colours[np.ix_(order, order)], is_difference=is_difference)

    @abstractmethod
    def _cell(self, cell: Cell) -> str: ...

    @abstractmethod
    def _row_metrics(self, k: int) -> Iterable[str]: ...


# --- one matrix -----------------------------------------------------------------------------------


class ConfusionCard(_MatrixCard):
    """The card of one matrix.

    Every cell contains its count and three percentages, and its colours for each. The style sheet
    and the buttons above the table choose what is visible; in an untrusted notebook it is what the
    matrix was created with.

    Attributes:
        pairs: All confused pairs, the worst first.
        inside: Those whose classes are both in the table.
        omitted: What the table does not show, in a sentence.
    """

    kind = " km-normalized"

    def __init__(self, matrix: ConfusionMatrix, *, with_popups: bool = True) -> None:
        self.pairs = matrix.pairs(None)
        self._shares = [matrix.normalized(over) for over in ("true", "pred", "all")]
        self._scales = [
            colour_values(values, log=matrix.scale == "log", diagonal=matrix.diagonal)
            for values in (matrix.matrix, *self._shares[:2])
        ]
        colours = self._scales[{"true": 1, "pred": 2}.get(matrix.normalize or "", 0)]
        self._visible = {"pred": 1, "all": 2}.get(matrix.normalize or "", 0)
        worst = [(pair.true, pair.predicted) for pair in self.pairs]
        super().__init__(matrix, colours, worst, fill=True)
        shown = set(self.shown)
        self.inside = [pair for pair in self.pairs if {pair.true, pair.predicted} <= shown]
        included, total = (sum(p.count for p in each) for each in (self.inside, self.pairs))
        self.omitted = (
            ""
            if self.is_complete
            else f"The table shows the {len(shown)} classes of the most confused pairs, of "
            f"{len(matrix.classes):,}. It contains {format_count(included)} of "
            f"{format_count(total)} mistakes. For all classes use .report(), .matrix or .pairs()."
        )
        self._worst = worst_samples(matrix)
        self._popups = self._build_popups() if with_popups else {}
        self._marked = worst[0] if worst and worst[0] in self._popups else None

    def to_html(self, key: str) -> str:
        """The card as HTML, with the key of its widget, if any."""
        matrix, figures = self.matrix, self.matrix.per_class
        precision = "".join(
            f"<td>{_format_rate(figures.precision[k], figures.predicted[k])}</td>"
            for k in self.shown
        )
        foot = (
            f'<tfoot><tr><th scope="row">precision %</th>{precision}<td class="km-metric" '
            f'colspan="3">accuracy {format_percent(matrix.accuracy, 2)}</td></tr></tfoot>'
        )
        worst = ""
        if self._worst:
            title = _subtitle_html("Worst samples", "by their loss")
            inside = title + samples_html(self._worst, rows=1)
            worst = f'<div class="km-worst" style="margin-top:12px">{inside}</div>'
        of = ("its row", "its column", "all")[self._visible]
        heads = ("recall&nbsp;%", "F1&nbsp;%", "support")
        body = _layout_html(
            self._table(f"Small: percent of {of}.", heads, foot),
            shown=len(self.shown),
            samples=self._popups[self._marked] if self._marked else "",
            large_matrix=self._heatmap(),
            pairs=_pairs(self.pairs[: PAIRS if self.is_complete else PAIRS_OF_LARGE]),
            below=worst + headline_html(matrix) + curves_html(matrix) + all_metrics_html(matrix),
            key=key,
        )
        facts = matrix.facts()
        if matrix.threshold_curve is not None:
            name = isolate_direction(shorten_name(matrix.classes[1], ROW_NAME))
            facts += f" · {name} above {matrix.predictions.threshold:g}"
        buttons = _normalization_buttons(matrix.normalize)
        title = matrix.name or "confusion matrix"
        return card_html(title, facts, body, foot=self.omitted, aside=buttons)

    def to_text(self) -> str:
        """The matrix as plain text: the metrics of each class, and the most confused pairs."""
        matrix = self.matrix
        first_line, *_ = matrix.describe().splitlines()
        columns = 1 + (len(self.shown) if self._is_in_text else 0)
        lines = [first_line, "", *_text_table(self._text_rows, ROW_NAME, columns)]
        if self.pairs:
            lines += ["", "Most confused:", *(f"  {pair.to_text()}" for pair in self.pairs[:PAIRS])]
        if self._worst:
            lines += ["", "Worst samples:"]
            lines += [f"  sample {each.index:,}: {each.title}" for each in self._worst]
        lines += ["", "With 95 % intervals:", *(f"  {line}" for line in metrics_to_text(matrix))]
        if self.omitted:
            lines += ["", self.omitted]
        return "\n".join(lines)

    @property
    def _is_in_text(self) -> bool:
        return len(self.shown) <= MAX_TEXT_CLASSES

    def _text_rows(self, most: int) -> list[list[str]]:
        matrix, with_matrix = self.matrix, self._is_in_text
        names = isolate_names([matrix.classes[k] for k in self.shown], most)
        heads = ["true \\ predicted", *names] if with_matrix else ["class"]
        rows = [[*heads, "precision", "recall", "F1", "support"]]
        for name, k in zip(names, self.shown, strict=True):
            counts = [format_count(matrix.matrix[k, other]) for other in self.shown if with_matrix]
            support = format_count(matrix.per_class.support[k])
            rows.append([name, *counts, *_rates_to_text(matrix.per_class, k), support])
        return rows

    def _cell(self, cell: Cell) -> str:
        count, names = self.matrix.matrix[cell], self.matrix.classes
        if not count:
            return EMPTY_CELL
        is_correct, is_marked = cell[0] == cell[1], cell == self._marked
        attributes = " class=km-correct" if is_correct else " class=km-marked" if is_marked else ""
        if len(names) <= MAX_TOOLTIPS and max(map(len, names)) > SHORT_NAME:
            attributes += f' title="{cell_title(names, cell)}: {format_count(count)}"'
        visible = _format_opacity(self.colours[cell])
        opacities = (_format_opacity(values[cell]) for values in self._scales)
        variables = "".join(
            f";--{name}:{opacity}"
            for name, opacity in zip("ctp", opacities, strict=True)
            if opacity != visible
        )
        shares = [format_percent(share[cell]) for share in self._shares]
        text = shares[self._visible]
        others = "".join(
            f" data-{name}={share}"
            for name, share in zip("tpa", shares, strict=True)
            if share != text
        )
        content = f"<b>{_format_cell_count(count)}</b> <i{others}>{text}</i>"
        # The samples of the marked cell are shown beside the table.
        popup = "" if is_marked else self._popups.get(cell, "")
        return _cell_html(content, popup, self.colours[cell], attributes, variables)

    def _row_metrics(self, k: int) -> Iterable[str]:
        figures = self.matrix.per_class
        recall = _format_rate(figures.recall[k], figures.support[k])
        yield _rate_bar_html(figures.recall[k], recall)
        yield format_percent(figures.f1[k])
        yield format_count(figures.support[k])

    def _build_popups(self) -> dict[Cell, str]:
        """What opens within the cells of the worst pairs."""
        limit = POPUPS if len(self.shown) <= MANY else POPUPS_OF_MANY
        opening = {(pair.true, pair.predicted): pair for pair in self.inside[:limit]}
        samples = self.matrix.x
        return _build_popups(samples, opening, lambda cell: self._pair_samples(opening[cell]))

    def _pair_samples(self, pair: ConfusedPair) -> str:
        matrix = self.matrix
        true, predicted = matrix.labels[pair.true], matrix.labels[pair.predicted]
        indices = matrix.indices(true=true, pred=predicted)
        more = ""
        if len(indices) > SAMPLES_SHOWN:
            hidden = f"{len(indices) - SAMPLES_SHOWN:,} more"
            call = escape_html(f".indices(true={_argument(true)}, pred={_argument(predicted)})")
            more = f"<small>{hidden}: {call}</small>"
        title = f"{full_name_html(pair.true_name)} taken for {full_name_html(pair.predicted_name)}"
        samples = confusion_samples(matrix, indices[:SAMPLES_SHOWN].tolist())
        return _samples_html(title, samples) + more


def _argument(label: int | str) -> str:
    return repr(shorten_name(label, CALL_NAME)) if isinstance(label, str) else str(label)


def _pairs(pairs: Sequence[ConfusedPair]) -> str:
    return _pairs_html(
        "Most confused",
        (
            f'<li value="{rank}">{full_name_html(pair.true_name)} taken for '
            f'{full_name_html(pair.predicted_name)}<span class="km-muted">: '
            f"{format_count(pair.count)} of {format_count(pair.support)}</span></li>"
            for rank, pair in enumerate(pairs, start=1)
        ),
    )


def _normalization_buttons(normalize: str | None) -> str:
    """The buttons that choose what percentages and colours are relative to."""
    checked = normalize or "counts"
    buttons = "".join(
        f'<label><input type="radio" name="km-normalize" value="{value}"'
        f"{' checked' if value == checked else ''}><span>{text}</span></label>"
        for value, text in NORMALIZATIONS.items()
    )
    return (
        '<form class="km-normalize" style="display:none"><div role="radiogroup" '
        f'aria-label="normalization">{buttons}</div></form>'
    )


def _format_cell_count(count: float) -> str:
    """A count, or a sum of weights with as many digits as fit into a cell."""
    if float(count).is_integer():
        return f"{int(count):,}"
    return f"{count:,.0f}" if abs(count) >= 100 else f"{count:.3g}"  # noqa: PLR2004 - three digits


# --- two models -----------------------------------------------------------------------------------


class _ComparisonCard(_MatrixCard):
    """The comparison of two models: improvements in blue, deteriorations in orange."""

    kind = " km-difference"

    def __init__(self, comparison: Comparison) -> None:
        colours = difference_values(comparison.difference)
        super().__init__(comparison.new, colours, comparison.changed_cells(), fill=False)
        self.comparison = comparison
        self._popups = self._build_popups()
        self._gain = 100 * (comparison.new.per_class.recall - comparison.old.per_class.recall)

    def to_text(self) -> str:
        """The comparison as plain text."""
        lines = [self.comparison.describe()]
        if changes := self.comparison.changed_cells_text():
            lines += ["", "Changed most:", *(f"  {line}" for line in changes)]
        return "\n".join(lines)

    def to_html(self, key: str) -> str:
        """The card as HTML, with the key of its widget, if any."""
        comparison, total = self.comparison, len(self.matrix.classes)
        verdict = comparison.class_changes()
        changes = (f"<li>{escape_html(line)}</li>" for line in comparison.changed_cells_text())
        new, old = (tooltip_text(name, COLUMN_NAME) for name in comparison.names)
        caption = f"Counts of {new} minus those of {old}."
        body = _layout_html(
            self._table(caption, ("recall&nbsp;%", "support")),
            shown=len(self.shown),
            samples=self._fixed_and_broken(),
            large_matrix=self._heatmap(is_difference=True),
            pairs=_pairs_html("Changed most", changes),
            above=f'<div class="km-summary"><b>{escape_html(verdict[:1].upper() + verdict[1:])}.'
            f"</b> {escape_html(comparison.significance())}</div>{_legend_html()}",
            below=details_html("All metrics of both", _metrics_of_both(comparison))
            + details_html(
                "Each class"
                if total <= MAX_COMPLETE
                else f"The {MAX_COMPLETE} most changed classes",
                _class_metrics_of_both(comparison),
            ),
            key=key,
        )
        foot = (
            ""
            if self.is_complete
            else f"The table shows the {len(self.shown)} classes that changed most, of {total:,}. "
            "For all classes use .to_frame() or .difference."
        )
        title = " against ".join(comparison.names)
        return card_html(title, comparison.facts(), body, foot=foot)

    def _cell(self, cell: Cell) -> str:
        comparison, names = self.comparison, self.matrix.classes
        change = comparison.difference[cell]
        if not change:
            return EMPTY_CELL
        attributes = " class=km-worse" if self.colours[cell] > 0 else ""
        if len(names) <= MAX_COMPLETE:
            before, now = (
                format_count(each.matrix[cell]) for each in (comparison.old, comparison.new)
            )
            attributes += f' title="{cell_title(names, cell)}: {now} against {before}"'
        content, popup = f"<b>{_signed(change)}</b>", self._popups.get(cell, "")
        return _cell_html(content, popup, self.colours[cell], attributes)

    def _row_metrics(self, k: int) -> Iterable[str]:
        return _signed(self._gain[k], 1), format_count(self.matrix.per_class.support[k])

    def _build_popups(self) -> dict[Cell, str]:
        """What opens within the cells that changed most, and within the diagonal."""
        shown, changed = set(self.shown), self.comparison.changed_cells(CHANGED_POPUPS)
        diagonal = [(k, k) for k in sorted(shown) if self.comparison.difference[k, k]]
        cells = [cell for cell in (*changed, *diagonal) if set(cell) <= shown]
        return _build_popups(self.matrix.x, cells, self._cell_samples)

    def _cell_samples(self, cell: Cell) -> str:
        true, predicted = (full_name_html(self.matrix.classes[k]) for k in cell)
        title = f"{true} correct" if cell[0] == cell[1] else f"{true} taken for {predicted}"
        moved = zip(moved_samples(self.comparison, cell), ("no longer", "new"), strict=True)
        return "".join(
            self._titled_samples(title, indices, f"{len(indices):,} {what}")
            for indices, what in moved
            if len(indices)
        )

    def _fixed_and_broken(self) -> str:
        """Samples that only one of the two models predicts correctly."""
        if self.matrix.x is None:
            return ""
        parts = []
        for name, option in zip(self.comparison.names, ("fixed", "broken"), strict=True):
            indices = self.comparison.indices(**{option: True})
            if len(indices):
                title = f"Only {tooltip_text(name, COLUMN_NAME)} is correct"
                call = f".indices({option}=True)" if len(indices) > SAMPLES_SHOWN else ""
                parts.append(self._titled_samples(title, indices, f"{len(indices):,} {call}"))
        return "".join(parts)

    def _titled_samples(self, title: str, indices: NDArray[np.intp], note: str) -> str:
        first = indices[:SAMPLES_SHOWN].tolist()
        return _samples_html(title, comparison_samples(self.comparison, first), note)


def _metrics_of_both(comparison: Comparison) -> str:
    new, old = comparison.new.overall, comparison.old.overall
    rows = (
        [name, format_score(value), format_score(old[name]), _signed(value - old[name], 4)]
        for name, value in new.items()
        if name in old
    )
    names = map(name_html, comparison.names)
    return table_html(("", *names, "difference"), rows)


def _legend_html() -> str:
    """The colours of a comparison."""
    swatch = '<span><i{} style="background:{}">\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}</i>{}</span>'
    better = swatch.format("", _colour(-MAX_OPACITY), "better: fewer mistakes, more correct")
    worse = swatch.format(" class=km-worse", _colour(MAX_OPACITY), "worse, underlined")
    return f'<div class="km-legend">Differences of counts: {better} {worse}</div>'


def _class_metrics_of_both(comparison: Comparison) -> str:
    frame = comparison.to_frame()
    order = comparison.new.ordered()
    if len(order) > MAX_COMPLETE:
        change = np.abs(frame["fixed"].to_numpy() - frame["broken"].to_numpy())
        order = np.argsort(-change, kind="stable")[:MAX_COMPLETE]
    rows = (
        [
            full_name_html(comparison.classes[k]),
            *(f"{value:.3f}" for value in row[:4]),
            f"{row.fixed:,}",
            f"{row.broken:,}",
        ]
        for k, row in zip(order, frame.iloc[order].itertuples(index=False), strict=True)
    )
    new, old = (name_html(name, COLUMN_NAME) for name in comparison.names)
    rates = (f"{rate} of {name}" for rate in ("recall", "precision") for name in (new, old))
    heads = ("", *rates, f"only {new} correct", f"only {old} correct")
    return table_html(heads, rows)


def _signed(value: float, digits: int = 0) -> str:
    """A change with its sign; one that rounds to zero has none."""
    text = f"{abs(value):.{digits}f}" if digits else format_count(abs(value))
    if not float(text.replace(",", "")):
        return text
    return f"{'+' if value > 0 else chr(0x2212)}{text}"


# --- several labels -------------------------------------------------------------------------------


class MultilabelCard:
    """The confusion of several labels per sample, with a row for each label.

    A cell is a label and the index of an outcome.

    Attributes:
        shown: Indices of the labels in the table, in order.
    """

    def __init__(self, confusion: MultilabelConfusion, *, with_popups: bool = True) -> None:
        self.confusion = confusion
        columns = [confusion.matrices[:, int(each.true), int(each.pred)] for each in OUTCOMES]
        self.counts = np.stack(columns, axis=1)
        self.shown: list[int] = confusion.ordered().tolist()
        if len(self.shown) > MAX_LABELS:
            worst = np.argsort(confusion.per_class.f1, kind="stable")[:MAX_LABELS].tolist()
            self.shown = [k for k in self.shown if k in worst]
        errors = [
            (k, number)
            for k in self.shown
            for number, outcome in enumerate(OUTCOMES)
            if outcome.is_error and self.counts[k, number]
        ]
        errors.sort(key=lambda cell: -self.counts[cell])
        self._largest = float(self.counts[errors[0]]) if errors else 1.0
        self._popups = self._build_popups(errors) if with_popups else {}
        self._marked = next(iter(self._popups), None)
        thresholds = confusion.predictions.thresholds
        has_one = len(np.unique(thresholds)) == 1
        self._threshold = thresholds[0] if has_one else None
        self._has_scores = confusion.predictions.scores is not None

    def to_text(self) -> str:
        """The labels as plain text."""
        confusion = self.confusion
        first_line, *_ = confusion.describe().splitlines()
        overall = [f"  {name} {value:.4f}" for name, value in confusion.overall.items()]
        table = _text_table(self._text_rows, LABEL_NAME, 1)
        note = ["", confusion.note] if confusion.note else []
        return "\n".join([first_line, "", *table, "", "All labels:", *overall, *note])

    def _text_rows(self, most: int) -> list[list[str]]:
        rows = [["label", "TP", "FN", "FP", "precision", "recall", "F1"]]
        names = isolate_names([self.confusion.classes[k] for k in self.shown], most)
        for name, k in zip(names, self.shown, strict=True):
            counts = map(format_count, self.counts[k, :3])
            rows.append([name, *counts, *_rates_to_text(self.confusion.per_class, k)])
        return rows

    def to_html(self, key: str) -> str:
        """The card as HTML, with the key of its widget, if any."""
        confusion = self.confusion
        shown = [confusion.classes[k] for k in self.shown]
        heads = ["precision", "recall", "F1", "support"]
        if self._has_scores and self._threshold is None:
            heads.append("threshold")
        columns = "".join(f"<th scope=col>{outcome.name}</th>" for outcome in OUTCOMES)
        columns += "".join(f"<th scope=col class=km-metric>{head}</th>" for head in heads)
        rows = (
            _row_html(
                name,
                [self._cell((k, number)) for number in range(len(OUTCOMES))],
                list(self._row_metrics(k))[: len(heads)],
            )
            for name, k in zip(row_heads(shown), self.shown, strict=True)
        )
        table = (
            f'<table class="km-matrix km-labels" style="--r:{row_width(shown)}px"><caption>A row '
            "for each label: how many samples are predicted correctly and wrongly.</caption>"
            f'<thead><tr><th class="km-corner">label</th>{columns}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table>"
        )
        body = _layout_html(
            table,
            shown=MAX_BESIDE + 1 if "threshold" in heads else 0,  # which takes the width
            samples=self._popups[self._marked] if self._marked else "",
            below=metrics_html(confusion.overall)
            + label_curves_html(confusion)
            + details_html("Averages", f'<div class="km-averages">{self._averages()}</div>')
            + self._pair_sections(),
            key=key,
        )
        facts = confusion.facts()
        if self._has_scores and self._threshold is not None:
            facts += f" · above {self._threshold:g}"
        foot = (
            f"The table shows the {len(self.shown)} labels with the lowest F1, of "
            f"{len(confusion):,}. For all labels use .report() or .matrices. "
            if len(self.shown) < len(confusion)
            else ""
        )
        return card_html(confusion.name or "labels", facts, body, foot=foot + confusion.note)

    def _row_metrics(self, k: int) -> Iterable[str]:
        figures = self.confusion.per_class
        predicted, support = figures.predicted[k], figures.support[k]
        yield _format_rate(figures.precision[k], predicted)
        yield _format_rate(figures.recall[k], support)
        yield _rate_bar_html(figures.f1[k], _format_rate(figures.f1[k], predicted + support))
        yield format_count(support)
        yield f"{self.confusion.predictions.thresholds[k]:.3g}"

    def _cell(self, cell: Cell) -> str:
        count = self.counts[cell]
        if not count:
            return EMPTY_CELL
        if OUTCOMES[cell[1]].is_error:
            colour = MIN_OPACITY + (MAX_OPACITY - MIN_OPACITY) * float(count) / self._largest
        else:
            colour = -DIAGONAL_TINT
        is_marked = cell == self._marked
        popup = "" if is_marked else self._popups.get(cell, "")
        attributes = " class=km-marked" if is_marked else ""
        return _cell_html(f"<b>{format_count(count)}</b>", popup, colour, attributes)

    def _build_popups(self, errors: Sequence[Cell]) -> dict[Cell, str]:
        """The samples of the cells of errors, fewer of each if they are large."""
        if self.confusion.x is None or not errors:
            return {}
        whole, single = (len(self._cell_samples(errors[0], shown)) for shown in (SAMPLES_SHOWN, 1))
        each = max(1, (whole - single) // (SAMPLES_SHOWN - 1))
        room = (MAX_LABEL_SAMPLE_BYTES - whole) // len(errors) - single
        shown = max(1, min(SAMPLES_SHOWN, 1 + room // each))
        numbers = dict.fromkeys(errors, shown) | {errors[0]: SAMPLES_SHOWN}  # beside the table
        return _build_popups(
            self.confusion.x,
            errors,
            lambda cell: self._cell_samples(cell, numbers[cell]),
            MAX_LABEL_SAMPLE_BYTES,
        )

    def _cell_samples(self, cell: Cell, shown: int) -> str:
        confusion, indices = self.confusion, label_indices(self.confusion, cell)
        samples = label_samples(confusion, [cell], indices[:shown].tolist())
        title = f"{full_name_html(confusion.classes[cell[0]])}: {OUTCOMES[cell[1]].name}"
        return _samples_html(title, samples, f"{len(indices):,}")

    def _pair_sections(self) -> str:
        """Labels that were predicted instead of others, and those that occur together."""
        if len(self.confusion) == 1:
            return ""
        sections = {
            "Predicted instead of missed labels": self._instead(),
            "Labels together": self._together(),
        }
        return "".join(
            details_html(title, f'<div class="km-averages">{inside}</div>')
            for title, inside in sections.items()
        )

    def _instead(self) -> str:
        """A matrix of the labels in the most frequent pairs of a missed and a wrong label."""
        of_shown = [self.confusion.labels[k] for k in self.shown]
        classes, counts = self.confusion.classes, self.confusion.instead(of_shown).to_numpy()
        order = np.argsort(-counts, axis=None, kind="stable")
        found = np.stack(np.unravel_index(order, counts.shape), axis=1)[: (counts > 0).sum()]
        pairs = [(self.shown[row], column) for row, column in found.tolist()]
        if not pairs:
            return "No sample has both a missed and a wrong label."
        chosen: dict[int, None] = {}
        for pair in pairs[: MAX_INSTEAD**2]:
            if len({**chosen, **dict.fromkeys(pair)}) <= MAX_INSTEAD:
                chosen |= dict.fromkeys(pair)
        columns = [k for k in self.confusion.ordered().tolist() if k in chosen]
        missed = [k for k in columns if k in self.shown]
        table = counts[np.ix_([self.shown.index(k) for k in missed], columns)]
        largest = float(table.max())
        names = [classes[k] for k in columns]
        heads = "".join(head_cell(name) for name in names_html(names, LABEL_NAME))
        rows = []
        row_names = names_html([classes[k] for k in missed], LABEL_NAME)
        for values, name in zip(table, row_names, strict=True):
            cells = []
            for count in values:
                opacity = MIN_OPACITY + (MAX_OPACITY - MIN_OPACITY) * float(count) / largest
                colour = f" style=background:{_colour(opacity)}" if count else ""
                cells.append(f"<td{colour}>{format_count(count) if count else ''}</td>")
            rows.append(f"<tr><th scope=row {_LEFT}>{name}</th>{''.join(cells)}</tr>")
        rest = len(pairs) - int((table > 0).sum())
        more = f" {rest:,} more pairs: .instead()." if rest > 0 else ""
        return (
            scroll_html(
                '<table class="km-table" style="width:auto"><thead><tr>'
                f"{head_cell('missed', _LEFT)}{heads}</tr></thead>"
                f"<tbody>{''.join(rows)}</tbody></table>",
                "Labels predicted instead of missed ones",
            )
            + '<div class="km-muted">Samples in which the label of the row is missed, and that of '
            f"the column is predicted wrongly.{more}</div>"
        )

    def _together(self) -> str:
        """The pairs of labels that are truly, or predicted, together most often."""
        frame = self.confusion.together([self.confusion.labels[k] for k in self.shown])
        if frame.empty:
            return "No sample has two labels, true or predicted."
        rows = [
            [f"{full_name_html(one)} + {full_name_html(other)}", *map(format_count, counts)]
            for one, other, *counts in frame[:MAX_TOGETHER].to_numpy().tolist()
        ]
        rest = len(frame) - MAX_TOGETHER
        more = f'<div class="km-muted">{rest:,} more pairs: .together()</div>' if rest > 0 else ""
        return table_html(("labels", "true", "predicted", "both"), rows) + more

    def _averages(self) -> str:
        averages = self.confusion.averages.items()
        rows = ([name, *(f"{value:.4f}" for value in values)] for name, values in averages)
        return table_html(("", "precision", "recall", "F1"), rows)


# --- what the cards share -------------------------------------------------------------------------


def _choose_classes(order: Sequence[int], pairs: Iterable[Cell], *, fill: bool) -> list[int]:
    """The classes in the table, in their order: all, or of a large matrix those of the first pairs.

    Other classes fill the table up, or are there only where no pair is.
    """
    if len(order) <= MAX_COMPLETE:
        return list(order)
    chosen: set[int] = set()
    for pair in pairs:
        if len(chosen | set(pair)) > MAX_PAIR_CLASSES:
            break
        chosen.update(pair)
    if fill or not chosen:
        others = [k for k in order if k not in chosen]
        chosen.update(others[: MAX_PAIR_CLASSES - len(chosen)])
    return [k for k in order if k in chosen]


def _build_popups(
    x: Any, cells: Iterable[C], samples: Callable[[C], str], limit: int = MAX_SAMPLE_BYTES
) -> dict[C, str]:
    """What cells show when they open, up to a number of bytes."""
    size = 0
    popups: dict[C, str] = {}
    for cell in cells:
        if x is None or size > limit:
            break
        popups[cell] = samples(cell)
        size += len(popups[cell])
    return popups


def _layout_html(
    table: str,
    *,
    shown: int,
    samples: str = "",
    large_matrix: str = "",
    pairs: str = "",
    above: str = "",
    below: str = "",
    key: str = "",
) -> str:
    """The body of a card; all parts are HTML.

    ``shown`` is the number of classes in the table, and ``key`` that of the card's widget.
    """
    place = "map" if large_matrix else "beside" if shown <= MAX_BESIDE else "below"
    return (
        f"<style>{css_for(table + large_matrix, 'confusion/confusion.css', PART_SHEETS)}</style>"
        f'<div class="km-confusion"{f" data-km={key!r}" if key else ""}>{above}'
        f'<div class="km-layout km-layout-{place}" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f'{large_matrix}<div class="km-scroll" style="overflow-x:auto;max-width:100%">{table}</div>'
        f'<div class="km-samples">{samples}</div>{pairs}</div>{below}</div>'
    )


def _row_html(name: str, cells: Iterable[str], metrics: Iterable[str]) -> str:
    """A row; all parts are HTML, metrics also whole cells."""
    ends = (
        metric if metric.startswith("<td") else f"<td class=km-metric>{metric}</td>"
        for metric in metrics
    )
    return f"<tr><th scope=row>{name}</th>{''.join((*cells, *ends))}</tr>"


def _cell_html(
    content: str, popup: str, colour: float, attributes: str = "", variables: str = ""
) -> str:
    """A cell whose signed opacity is negative for blue, and that opens a popup if there is one.

    Without the style sheet, a popup is laid over the table.
    """
    if popup:
        content = (
            f"<details class=km-cell name=km><summary>{content}</summary><div class=km-popup "
            f"style=position:absolute;background:#eee;color:#222>{popup}</div></details>"
        )
    return f"<td{attributes} style=background:{_colour(colour)}{variables}>{content}</td>"


def _colour(opacity: float) -> str:
    """The colour of a signed opacity: blue if it is negative, else orange."""
    return f"{BLUE if opacity < 0 else ORANGE}{round(255 * abs(opacity)):02x}"


def cell_title(classes: Sequence[str], cell: Cell) -> str:
    """What a cell counts, as the value of an attribute."""
    true, predicted = (tooltip_text(classes[k]) for k in cell)
    return f"{true} correct" if cell[0] == cell[1] else f"{true} taken for {predicted}"


def _pairs_html(title: str, items: Iterable[str]) -> str:
    """A list of pairs; without any, its place in the card."""
    listed = "".join(items)
    inside = f"{_subtitle_html(title)}<ol>{listed}</ol>" if listed else ""
    return f'<div class="km-pairs">{inside}</div>'


def _samples_html(title: str, samples: Sequence[Sample], note: str = "") -> str:
    return _subtitle_html(title, note) + samples_html(samples)


def _subtitle_html(title: str, note: str = "") -> str:
    muted = f' <span class="km-muted">{note}</span>' if note else ""
    return f"<div class=km-subtitle><b>{title}</b>{muted}</div>"


def _text_table(rows: Callable[[int], list[list[str]]], most: int, columns: int) -> list[str]:
    """A table whose names have ``most`` characters, or more where some columns leave room."""
    lines = text_table(rows(most))
    room = (TEXT_WIDTH - text_width(lines[0])) // columns
    return text_table(rows(most + room)) if room > 0 else lines


def _rates_to_text(figures: ClassMetrics, k: int) -> list[str]:
    return [f"{values[k]:.3f}" for values in (figures.precision, figures.recall, figures.f1)]


def _rate_bar_html(share: float, text: str) -> str:
    return f'<td class="km-metric km-rate" style="--s:{format_percent(share)}%">{text}</td>'


def _format_opacity(value: float) -> str:
    """A cell's opacity, as short as CSS allows."""
    return f"{abs(value):.2f}".removeprefix("0")


def format_percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, without the sign."""
    return f"{100 * share:.{digits}f}"


def _format_rate(share: float, weight: float) -> str:
    """A class's metric as a percentage; a dash if no sample or prediction defines it."""
    # Weighted matrices have rounding errors, which may be below 0.
    return format_percent(share) if weight > 0 else UNDEFINED
