"""The parts of a matrix's card: its layout, its table, and the samples of the table's cells.

Every cell contains its count and three percentages, and its colours for each. The style sheet and
the buttons above the table choose what is visible; in an untrusted notebook it is what the matrix
was created with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import bar_html, name_html, tooltip_text
from kmagic.display.kit.samples import Sample, collect_samples, samples_html
from kmagic.support.colour_scale import colour_values
from kmagic.support.formatting import format_count, isolate_direction, shorten_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison
    from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix

C = TypeVar("C", bound=tuple[int, ...])

MAX_COMPLETE = 30  # with more classes, the table shows only those of the worst pairs
MAX_PAIR_CLASSES = 15
MAX_BESIDE = 15  # with more classes, samples and pairs are below the table
MAX_ROOMY = 12  # with more classes, cells are compact
MAX_TOOLTIPS = 20  # with more classes, cells have no tooltips
HORIZONTAL_NAME = 4  # longer names of columns are written vertically
CAPTION_NAME, COLUMN_NAME, ROW_NAME, TOOLTIP_NAME, TITLE_NAME = 12, 14, 18, 40, 60
"""Characters of a class name."""
SAMPLES_SHOWN = 6
MAX_SAMPLE_BYTES = 250_000  # size of the samples in all cells of a saved card
ORANGE, BLUE = "213,94,0", "0,114,178"
UNDEFINED = "\N{EN DASH}"
EMPTY_CELL = '<td class="km-empty">·</td>'
HIDDEN, HIDDEN_BRIEFLY = " style=display:none", " hidden"
"""An untrusted notebook keeps only the first; the second keeps the card of many classes small."""
NORMALIZATIONS = {"counts": "counts", "true": "of row", "pred": "of column", "all": "of all"}


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
    place = "map" if large_matrix else "beside" if shown <= MAX_BESIDE else "below"
    return (
        f"<style>{minified_css('confusion/confusion.css')}</style>"
        f'<div class="km-confusion"{f" data-km={key!r}" if key else ""}>{above}'
        f'<div class="km-layout km-layout-{place}" '
        'style="display:flex;flex-wrap:wrap;gap:12px 16px;align-items:flex-start">'
        f'{large_matrix}<div class="km-scroll" style="overflow-x:auto;max-width:100%">{table}</div>'
        f'<div class="km-samples">{samples}</div>{pairs}</div>{below}</div>'
    )


def pairs_html(title: str, items: Iterable[str]) -> str:
    """The most important cells as a list; all of it is HTML, and "" without items."""
    listed = "".join(items)
    if not listed:
        return ""
    return f'<div class="km-pairs">{subtitle_html(title)}<ol>{listed}</ol></div>'


def subtitle_html(title: str, note: str = "") -> str:
    """A line above samples or pairs; both are HTML."""
    muted = f' <span class="km-muted">{note}</span>' if note else ""
    return f'<div class="km-subtitle"><b>{title}</b>{muted}</div>'


def choose_classes(
    order: Sequence[int], pairs: Iterable[tuple[int, int]], *, fill: bool
) -> list[int]:
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


# --- the table ------------------------------------------------------------------------------------


def matrix_table_html(
    matrix: ConfusionMatrix,
    shown: Sequence[int],
    marked: tuple[int, int] | None,
    popups: Mapping[tuple[int, int], str],
) -> str:
    """The shown classes of a matrix, with the metrics of each at the edges.

    The samples of the marked cell are those beside the table.
    """
    figures, names = matrix.per_class, matrix.classes
    shares = [matrix.normalized(over) for over in ("true", "pred", "all")]
    colours = [
        colour_values(values, log=matrix.scale == "log", diagonal=matrix.diagonal)
        for values in (matrix.matrix, *shares[:2])
    ]
    shown_share = {"pred": 1, "all": 2}.get(matrix.normalize or "", 0)
    background = colours[{"true": 1, "pred": 2}.get(matrix.normalize or "", 0)]
    hidden = HIDDEN if len(names) <= MAX_ROOMY else HIDDEN_BRIEFLY

    def one_cell(cell: tuple[int, int]) -> str:
        count = matrix.matrix[cell]
        if not count:
            return EMPTY_CELL
        classes = ["km-correct"] if cell[0] == cell[1] else []
        classes += ["km-marked"] if cell == marked else []
        attributes = f' class="{" ".join(classes)}"' if classes else ""
        if len(names) <= MAX_TOOLTIPS:
            attributes += f' title="{cell_title(names, cell)}: {format_count(count)}"'
        by_count, by_row, by_column = (format_opacity(values[cell]) for values in colours)
        variables = f";--t:{by_row};--p:{by_column}"
        variables += f";--c:{by_count}" if format_opacity(background[cell]) != by_count else ""
        percentages = "".join(
            f"<i{'' if index == shown_share else hidden}>{format_percent(share[cell])}</i>"
            for index, share in enumerate(shares)
        )
        content = openable_html(
            f"<b>{format_cell_count(count)}</b> {percentages}", popups.get(cell, "")
        )
        return cell_html(content, background[cell], attributes, variables)

    rows = []
    for row in shown:
        recall = format_rate(figures.recall[row], figures.support[row])
        metrics = (
            f'<div class="km-recall">{bar_html(figures.recall[row])}<span>{recall}</span></div>',
            format_percent(figures.f1[row]),
            format_count(figures.support[row]),
        )
        rows.append(row_html(names[row], [one_cell((row, k)) for k in shown], metrics))
    precision = "".join(
        f"<td>{format_rate(figures.precision[k], figures.predicted[k])}</td>" for k in shown
    )
    foot = (
        f'<tfoot><tr><th scope="row">precision %</th>{precision}<td class="km-metric" colspan="3">'
        f"accuracy {format_percent(matrix.accuracy, 2)}</td></tr></tfoot>"
    )
    of = ("its row", "its column", "all")[shown_share]
    return table_frame(
        [names[k] for k in shown],
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


def row_html(
    name: str, cells: Iterable[str], metrics: Iterable[str], length: int = ROW_NAME
) -> str:
    """A row of a matrix: its class, its cells as HTML, and its metrics."""
    ends = "".join(f'<td class="km-metric">{metric}</td>' for metric in metrics)
    return f'<tr><th scope="row">{name_html(name, length)}</th>{"".join(cells)}{ends}</tr>'


def cell_html(content: str, colour: float, attributes: str = "", variables: str = "") -> str:
    """A cell from a signed opacity, which is negative for blue; content is HTML."""
    rgba = f"rgba({BLUE if colour < 0 else ORANGE},{format_opacity(colour)})"
    return f'<td{attributes} style="background-color:{rgba}{variables}">{content}</td>'


def cell_title(classes: Sequence[str], cell: tuple[int, int]) -> str:
    """What a cell counts, as the value of an attribute."""
    true, predicted = (tooltip_text(classes[k], TOOLTIP_NAME) for k in cell)
    return f"{true} correct" if cell[0] == cell[1] else f"{true} taken for {predicted}"


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


def format_rate(share: float, weight: float) -> str:
    """A class's metric as a percentage; a dash if no sample or prediction defines it."""
    return format_percent(share) if weight else UNDEFINED


# --- samples --------------------------------------------------------------------------------------


def captions(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[str]:
    """The probability of each sample's predicted class, or its index if that is unknown."""
    confidence = matrix.confidence
    return [f"#{k:,}" if confidence is None else f"{confidence[k]:.2f}" for k in indices]


def titles(matrix: ConfusionMatrix, indices: Iterable[int]) -> list[str]:
    """Each sample's true and predicted class, in words."""
    texts = []
    for index in indices:
        true, predicted = (
            isolate_direction(shorten_name(matrix.classes[classes[index]], TITLE_NAME))
            for classes in (matrix.predictions.true, matrix.predictions.predicted)
        )
        texts.append(f"{true} taken for {predicted}" if true != predicted else f"{true}, correct")
    return texts


def confusion_samples(matrix: ConfusionMatrix, indices: Sequence[int]) -> list[Sample]:
    """Samples of a matrix as the card shows them."""
    return collect_samples(matrix.x, indices, captions(matrix, indices), titles(matrix, indices))


def comparison_samples(comparison: Comparison, indices: Sequence[int]) -> list[Sample]:
    """Samples with the predictions of both models: "8, was 3"."""
    new, old = comparison.new.predictions, comparison.old.predictions
    below, described = [], []
    for index in indices:
        true, now, before = (
            isolate_direction(shorten_name(comparison.classes[classes[index]], CAPTION_NAME))
            for classes in (new.true, new.predicted, old.predicted)
        )
        below.append(f"{now}, was {before}")
        described.append(f"{true}: taken for {now}, before for {before}")
    return collect_samples(comparison.new.x, indices, below, described)


def moved_samples(
    comparison: Comparison, cell: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The samples that have left a cell, and those that have entered it."""
    before, now = (
        (model.predictions.true == cell[0]) & (model.predictions.predicted == cell[1])
        for model in (comparison.old, comparison.new)
    )
    return np.flatnonzero(before & ~now), np.flatnonzero(now & ~before)


def titled_samples_html(title: str, samples: Sequence[Sample], note: str = "") -> str:
    """Samples below a line; title and note are HTML."""
    return subtitle_html(title, note) + samples_html(samples)


def build_popups(cells: Sequence[C], samples: Callable[[C], str]) -> dict[C, str]:
    """What cells show when they open, as far as the size of a card allows."""
    size = 0
    popups: dict[C, str] = {}
    for cell in cells:
        if size > MAX_SAMPLE_BYTES:
            break
        popups[cell] = samples(cell)
        size += len(popups[cell])
    return popups


def openable_html(content: str, popup: str) -> str:
    """A cell's content, which opens a popup if there is one.

    Without the style sheet, a popup is laid over the table.
    """
    if not popup:
        return content
    return (
        '<details class="km-cell" name="km-cell"><summary style="list-style:none;'
        f'cursor:pointer">{content}</summary>'
        '<div class="km-popup" style="position:absolute;z-index:2;max-width:300px;padding:8px;'
        "border:1px solid #999;background-color:#fff;color:#222;text-align:left;"
        f'white-space:normal">{popup}</div></details>'
    )
