"""The confusion matrix as a table, whose mistakes are coloured, and the layout of its card.

Every cell contains its count and three percentages, and its colours for each. The style sheet and
the buttons above the table choose what is visible; in an untrusted notebook it is what the matrix
was created with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmagic.display.confusion.cell_samples import openable_html
from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import bar_html, name_html, tooltip_text
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

MAX_COMPLETE = 30
"""With more classes, the table shows only those of the worst pairs."""
MAX_PAIR_CLASSES = 15
MAX_BESIDE = 15
"""With more classes, samples and pairs are below the table."""
MAX_ROOMY = 12
"""With more classes, cells are compact."""
MAX_TOOLTIPS = 20
"""With more classes, cells have no tooltips."""
HORIZONTAL_NAME = 4
"""Longer names of columns are written vertically."""
COLUMN_NAME, ROW_NAME, TOOLTIP_NAME = 14, 18, 40
"""Characters of a class name."""
ORANGE, BLUE = "213,94,0", "0,114,178"
UNDEFINED = "\N{EN DASH}"
HIDDEN, HIDDEN_BRIEFLY = " style=display:none", " hidden"
"""An untrusted notebook keeps only the first; the second keeps the card of many classes small."""
NORMALIZATIONS = {"counts": "counts", "true": "of row", "pred": "of column", "all": "of all"}


@dataclass(frozen=True, slots=True)
class _CellValues:
    """Shares and colours of all cells, by row, by column and of all."""

    shares: tuple[NDArray[Any], ...]
    colours: tuple[NDArray[Any], ...]  # of the counts, by row, by column
    shown_share: int
    background: NDArray[Any]

    @classmethod
    def of(cls, matrix: ConfusionMatrix) -> _CellValues:
        log = matrix.scale == "log"
        shares = tuple(matrix.normalized(over) for over in ("true", "pred", "all"))
        colours = tuple(
            colour_values(values, log=log, diagonal=matrix.diagonal)
            for values in (matrix.matrix, *shares[:2])
        )
        shown = {"pred": 1, "all": 2}.get(matrix.normalize or "", 0)
        background = colours[{"true": 1, "pred": 2}.get(matrix.normalize or "", 0)]
        return cls(shares, colours, shown, background)


def matrix_table_html(
    matrix: ConfusionMatrix,
    shown: Sequence[int],
    *,
    marked: tuple[int, int] | None = None,
    popups: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """The shown classes of a matrix, with the metrics of each at the edges.

    The samples of the marked cell are those beside the table.
    """
    values, figures = _CellValues.of(matrix), matrix.per_class
    popups = popups or {}
    rows = []
    for row in shown:
        cells = "".join(
            _cell(matrix, values, (row, k), popups.get((row, k), ""), is_marked=(row, k) == marked)
            for k in shown
        )
        recall = format_percent(figures.recall[row]) if figures.support[row] > 0 else UNDEFINED
        rows.append(
            f'<tr><th scope="row">{name_html(matrix.classes[row], ROW_NAME)}</th>{cells}'
            f'<td class="km-metric"><div class="km-recall">{bar_html(figures.recall[row])}'
            f"<span>{recall}</span></div></td>"
            f'<td class="km-metric">{format_percent(figures.f1[row])}</td>'
            f'<td class="km-metric">{format_count(figures.support[row])}</td></tr>'
        )
    predicted = matrix.matrix.sum(axis=0)
    precision = "".join(
        f"<td>{format_percent(figures.precision[k]) if predicted[k] > 0 else UNDEFINED}</td>"
        for k in shown
    )
    of = ("its row", "its column", "all")[values.shown_share]
    foot = (
        f'<tfoot><tr><th scope="row">precision %</th>{precision}<td class="km-metric" colspan="3">'
        f"accuracy {format_percent(matrix.accuracy, 2)}</td></tr></tfoot>"
    )
    return table_frame(
        [matrix.classes[k] for k in shown],
        f"Rows: true class. Columns: predicted class. Small: percent of {of}.",
        ("recall&nbsp;%", "F1&nbsp;%", "support"),
        f"<tbody>{''.join(rows)}</tbody>{foot}",
    )


def table_frame(classes: Sequence[str], caption: str, metrics: Sequence[str], body: str) -> str:
    """The table of a matrix around its body; caption, metrics and body are HTML."""
    compact = " km-compact" if len(classes) > MAX_ROOMY else ""
    vertical = "km-vertical-names" if max(map(len, classes)) > HORIZONTAL_NAME else ""
    heads = [f'<th scope="col"><span>{name_html(n, COLUMN_NAME)}</span></th>' for n in classes]
    heads += [f'<th scope="col" class="km-metric">{name}</th>' for name in metrics]
    return (
        f'<table class="km-matrix{compact}"><caption>{caption}</caption>'
        f'<thead class="{vertical}"><tr><th class="km-corner">true \\ predicted</th>'
        f"{''.join(heads)}</tr></thead>{body}</table>"
    )


def layout_html(
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
    """The body of a matrix's card; all parts are HTML.

    ``shown`` is the number of classes in the table, and ``key`` that of the card's widget.
    """
    place = (
        "layout-map" if large_matrix else f"layout-{'beside' if shown <= MAX_BESIDE else 'below'}"
    )
    return (
        f"<style>{minified_css('confusion/confusion.css')}</style>"
        f'<div class="km-confusion"{f" data-km={key!r}" if key else ""}>{above}'
        f'<div class="km-layout km-{place}" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f'{large_matrix}<div class="km-scroll" style="overflow-x:auto;max-width:100%">{table}</div>'
        f'<div class="km-samples">{samples}</div>{pairs}</div>{below}</div>'
    )


def classes_of_pairs(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The classes of the first pairs, as many as the table of a large matrix shows."""
    classes: dict[int, None] = {}
    for pair in pairs:
        if len(classes.keys() | set(pair)) > MAX_PAIR_CLASSES:
            break
        classes.update(dict.fromkeys(pair))
    return list(classes)


def normalization_buttons(normalize: str | None) -> str:
    """The buttons that choose what percentages and colours are relative to."""
    checked = normalize or "counts"
    buttons = "".join(
        f'<label><input type="radio" name="km-normalize" value="{value}"'
        f"{' checked' if value == checked else ''}><span>{text}</span></label>"
        for value, text in NORMALIZATIONS.items()
    )
    return (
        '<form class="km-normalize" role="radiogroup" aria-label="normalization" '
        f'style="display:none">{buttons}</form>'
    )


def format_opacity(value: float) -> str:
    """A cell's opacity, as short as CSS allows."""
    return f"{abs(value):.2f}".removeprefix("0")


def format_cell_count(count: float) -> str:
    """A count, or a sum of weights with as many digits as fit into a cell."""
    if float(count).is_integer():
        return f"{int(count):,}"
    return f"{count:,.0f}" if abs(count) >= 100 else f"{count:.3g}"  # noqa: PLR2004 - three digits


def format_percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, without the sign."""
    return f"{100 * share:.{digits}f}"


def _cell(
    matrix: ConfusionMatrix,
    values: _CellValues,
    cell: tuple[int, int],
    popup: str,
    *,
    is_marked: bool,
) -> str:
    count = matrix.matrix[cell]
    if not count:
        return '<td class="km-empty">·</td>'
    correct = cell[0] == cell[1]
    classes = [*(["km-correct"] if correct else []), *(["km-marked"] if is_marked else [])]
    class_attribute = f' class="{" ".join(classes)}"' if classes else ""
    by_count, by_row, by_column = (format_opacity(colours[cell]) for colours in values.colours)
    background = format_opacity(values.background[cell])
    variables = f";--t:{by_row};--p:{by_column}"
    variables += f";--c:{by_count}" if background != by_count else ""
    tooltip = ""
    if len(matrix.classes) <= MAX_TOOLTIPS:
        tooltip = f' title="{cell_title(matrix.classes, cell)}: {format_count(count)}"'
    hidden = HIDDEN if len(matrix.classes) <= MAX_ROOMY else HIDDEN_BRIEFLY
    percentages = "".join(
        f"<i{'' if index == values.shown_share else hidden}>{format_percent(share[cell])}</i>"
        for index, share in enumerate(values.shares)
    )
    content = openable_html(f"<b>{format_cell_count(count)}</b> {percentages}", popup)
    colour = BLUE if correct else ORANGE
    return (
        f"<td{class_attribute}{tooltip} "
        f'style="background-color:rgba({colour},{background}){variables}">{content}</td>'
    )


def cell_title(classes: Sequence[str], cell: tuple[int, int]) -> str:
    """What a cell counts, as the value of an attribute."""
    true, predicted = (tooltip_text(classes[k], TOOLTIP_NAME) for k in cell)
    return f"{true} correct" if cell[0] == cell[1] else f"{true} taken for {predicted}"
