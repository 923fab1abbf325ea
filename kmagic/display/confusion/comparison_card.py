"""The comparison of two models as a card: improvements in blue, deteriorations in orange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion.cell_samples import (
    SAMPLES_SHOWN,
    build_popups,
    comparison_samples,
    moved_samples,
    openable_html,
    subtitle_html,
)
from kmagic.display.confusion.interactive_matrix import InteractiveComparison, attach_widget
from kmagic.display.confusion.matrix_image import heatmap_html
from kmagic.display.confusion.matrix_table import (
    BLUE,
    COLUMN_NAME,
    MAX_COMPLETE,
    MAX_PAIR_CLASSES,
    ORANGE,
    ROW_NAME,
    cell_title,
    classes_of_pairs,
    format_opacity,
    layout_html,
    table_frame,
)
from kmagic.display.confusion.metrics_table import format_score
from kmagic.display.kit.card import (
    Bundle,
    card_html,
    details_html,
    escape_html,
    mime_bundle,
    name_html,
    table_html,
)
from kmagic.display.kit.samples import samples_html
from kmagic.support.colour_scale import difference_values
from kmagic.support.formatting import (
    format_count,
    isolate_direction,
    shorten_name,
    strip_control_characters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison

POPUPS = 16
"""Cells that open without a kernel, besides those of the diagonal."""


def comparison_bundle(comparison: Comparison) -> Bundle:
    """The card of two models, as text and as HTML."""
    key = attach_widget(InteractiveComparison(comparison, shown_classes(comparison)))
    return mime_bundle(comparison_to_text(comparison), comparison_html(comparison, key))


def comparison_to_text(comparison: Comparison) -> str:
    """The comparison as plain text."""
    lines = [comparison.describe()]
    if changes := comparison.changed_cells_text():
        lines += ["", "Changed most:", *(f"  {line}" for line in changes)]
    return "\n".join(lines)


def comparison_html(comparison: Comparison, key: str = "") -> str:
    """The card as HTML, with the key of its widget, if any."""
    shown = shown_classes(comparison)
    total = len(comparison.classes)
    complete = len(shown) == total
    verdict = comparison.class_changes()
    body = layout_html(
        _table(comparison, shown),
        shown=len(shown),
        samples=_fixed_and_broken(comparison),
        large_matrix="" if complete else _large_matrix(comparison),
        pairs=_changes(comparison),
        above=f'<div class="km-summary"><b>{escape_html(verdict[:1].upper() + verdict[1:])}.</b> '
        f"{escape_html(comparison.significance())}</div>",
        below=details_html("All metrics of both", _metrics(comparison))
        + details_html(
            "Each class" if total <= MAX_COMPLETE else f"The {MAX_COMPLETE} most changed classes",
            _class_metrics(comparison),
        ),
        key=key,
    )
    foot = ""
    if not complete:
        foot = (
            f"The table shows the {len(shown)} classes that changed most, of {total:,}. "
            "For all classes use .to_frame() or .difference."
        )
    new, old = comparison.names
    return card_html(f"{new} against {old}", comparison.facts(), body, foot=foot)


def shown_classes(comparison: Comparison) -> list[int]:
    """Positions of the classes in the table, in order: all, or the most changed ones."""
    order: list[int] = comparison.new.ordered().tolist()
    if len(order) <= MAX_COMPLETE:
        return order
    changed = set(classes_of_pairs(comparison.changed_cells()))
    return [k for k in order if k in changed] or order[:MAX_PAIR_CLASSES]


def _short_names(comparison: Comparison) -> tuple[str, str]:
    new, old = (
        escape_html(isolate_direction(shorten_name(strip_control_characters(name), COLUMN_NAME)))
        for name in comparison.names
    )
    return new, old


# --- the matrix -----------------------------------------------------------------------------------


def _table(comparison: Comparison, shown: Sequence[int]) -> str:
    colours = difference_values(comparison.difference)
    popups = _popups(comparison, shown)
    change = 100 * (comparison.new.per_class.recall - comparison.old.per_class.recall)
    rows = []
    for row in shown:
        cells = "".join(
            _cell(comparison, colours, (row, k), popups.get((row, k), "")) for k in shown
        )
        rows.append(
            f'<tr><th scope="row">{name_html(comparison.classes[row], ROW_NAME)}</th>{cells}'
            f'<td class="km-metric">{_signed(change[row], 1)}</td>'
            f'<td class="km-metric">{format_count(comparison.new.per_class.support[row])}</td></tr>'
        )
    new, old = _short_names(comparison)
    return table_frame(
        [comparison.classes[k] for k in shown],
        f"Rows: true class. Columns: predicted class. Counts of {new} minus those of {old}.",
        ("recall&nbsp;%", "support"),
        f"<tbody>{''.join(rows)}</tbody>",
    )


def _cell(comparison: Comparison, colours: NDArray[Any], cell: tuple[int, int], popup: str) -> str:
    change = comparison.difference[cell]
    if not change:
        return '<td class="km-empty">·</td>'
    colour = BLUE if colours[cell] < 0 else ORANGE
    tooltip = ""
    if len(comparison.classes) <= MAX_COMPLETE:
        before = format_count(comparison.old.matrix[cell])
        now = format_count(comparison.new.matrix[cell])
        tooltip = f' title="{cell_title(comparison.classes, cell)}: {before} -&gt; {now}"'
    return (
        f'<td{tooltip} style="background-color:rgba({colour},{format_opacity(colours[cell])})">'
        f"{openable_html(f'<b>{_signed(change)}</b>', popup)}</td>"
    )


def _popups(comparison: Comparison, shown: Sequence[int]) -> dict[tuple[int, int], str]:
    """What opens within the cells that changed most, and within the diagonal."""
    if comparison.new.x is None:
        return {}
    diagonal = [(k, k) for k in sorted(shown) if comparison.difference[k, k]]
    cells = [*comparison.changed_cells(POPUPS), *diagonal]
    return build_popups(
        [cell for cell in cells if set(cell) <= set(shown)],
        lambda cell: _cell_samples(comparison, *cell),
    )


def _cell_samples(comparison: Comparison, row: int, column: int) -> str:
    true, predicted = (name_html(comparison.classes[k]) for k in (row, column))
    title = f"{true} correct" if row == column else f"{true} taken for {predicted}"
    left, entered = moved_samples(comparison, row, column)
    return "".join(
        subtitle_html(title, f"{len(indices):,} {what}")
        + samples_html(comparison_samples(comparison, indices[:SAMPLES_SHOWN].tolist()))
        for indices, what in ((left, "no longer"), (entered, "new"))
        if len(indices)
    )


# --- beside and below it --------------------------------------------------------------------------


def _fixed_and_broken(comparison: Comparison) -> str:
    """Samples that only one of the two models predicts correctly."""
    if comparison.new.x is None:
        return ""
    new, old = _short_names(comparison)
    parts = []
    for name, option, count in (
        (new, "fixed", comparison.fixed),
        (old, "broken", comparison.broken),
    ):
        if not count:
            continue
        indices = comparison.indices(**{option: True}, n=SAMPLES_SHOWN).tolist()
        call = f".indices({option}=True)" if count > SAMPLES_SHOWN else ""
        parts.append(subtitle_html(f"Only {name} is correct", f"{count:,} {call}"))
        parts.append(samples_html(comparison_samples(comparison, indices)))
    return "".join(parts)


def _changes(comparison: Comparison) -> str:
    items = "".join(f"<li>{escape_html(line)}</li>" for line in comparison.changed_cells_text())
    if not items:
        return ""
    return f'<div class="km-pairs">{subtitle_html("Changed most")}<ol>{items}</ol></div>'


def _large_matrix(comparison: Comparison) -> str:
    order = comparison.new.ordered()
    colours = difference_values(comparison.difference[np.ix_(order, order)])
    classes = f"all {len(order):,} classes"
    return (
        f'<div class="km-large-matrix">{heatmap_html(colours, f"signed heatmap of {classes}")}'
        f'<div class="km-muted km-readout" style="font-size:11px">Heatmap of {classes}; '
        "rows: true, columns: predicted; blue: better</div></div>"
    )


def _metrics(comparison: Comparison) -> str:
    new, old = comparison.new.overall, comparison.old.overall
    rows = (
        [name, format_score(old[name]), format_score(value), _signed(value - old[name], 4)]
        for name, value in new.items()
        if name in old
    )
    names = [name_html(name) for name in reversed(comparison.names)]
    return table_html(("", *names, "change"), rows)


def _class_metrics(comparison: Comparison) -> str:
    frame = comparison.to_frame()
    order = comparison.new.ordered()
    if len(order) > MAX_COMPLETE:
        change = np.abs(frame["fixed"].to_numpy() - frame["broken"].to_numpy())
        order = np.argsort(-change, kind="stable")[:MAX_COMPLETE]
    rows = (
        [
            name_html(comparison.classes[k]),
            f"{row.recall_before:.3f} → {row.recall:.3f}",
            f"{row.precision_before:.3f} → {row.precision:.3f}",
            f"{row.fixed:,}",
            f"{row.broken:,}",
        ]
        for k, row in zip(order, frame.iloc[order].itertuples(), strict=True)
    )
    new, old = (name_html(name, COLUMN_NAME) for name in comparison.names)
    heads = ("", "recall", "precision", f"only {new} correct", f"only {old} correct")
    return table_html(heads, rows)


def _signed(value: float, digits: int = 0) -> str:
    """A change with its sign; one that rounds to zero has none."""
    text = f"{abs(value):.{digits}f}" if digits else format_count(abs(value))
    if not float(text.replace(",", "")):
        return text
    return f"{'+' if value > 0 else chr(0x2212)}{text}"
