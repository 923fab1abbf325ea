"""The comparison of two models as a card: improvements in blue, deteriorations in orange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.confusion.interactive_matrix import InteractiveComparison, attach_widget
from kmagic.display.confusion.matrix_image import large_matrix_html
from kmagic.display.confusion.matrix_table import (
    COLUMN_NAME,
    EMPTY_CELL,
    MAX_COMPLETE,
    SAMPLES_SHOWN,
    build_popups,
    cell_html,
    cell_title,
    choose_classes,
    comparison_samples,
    layout_html,
    moved_samples,
    openable_html,
    pairs_html,
    row_html,
    table_frame,
    titled_samples_html,
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
    tooltip_text,
)
from kmagic.support.colour_scale import difference_values
from kmagic.support.formatting import format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kmagic.evaluation.confusion.comparison import Comparison

POPUPS = 16  # cells that open without a kernel, besides those of the diagonal


def comparison_bundle(comparison: Comparison) -> Bundle:
    """The card of two models, as text and as HTML."""
    order: list[int] = comparison.new.ordered().tolist()
    shown = choose_classes(order, comparison.changed_cells(), fill=False)
    key = attach_widget(InteractiveComparison(comparison, shown))
    return mime_bundle(_to_text(comparison), _to_html(comparison, shown, key))


def _to_text(comparison: Comparison) -> str:
    lines = [comparison.describe()]
    if changes := comparison.changed_cells_text():
        lines += ["", "Changed most:", *(f"  {line}" for line in changes)]
    return "\n".join(lines)


def _to_html(comparison: Comparison, shown: Sequence[int], key: str) -> str:
    total = len(comparison.classes)
    order = comparison.new.ordered()
    colours = difference_values(comparison.difference)
    is_complete = len(shown) == total
    verdict = comparison.class_changes()
    body = layout_html(
        _table(comparison, shown, colours),
        shown=len(shown),
        samples=_fixed_and_broken(comparison),
        large_matrix=""
        if is_complete
        else large_matrix_html(colours[np.ix_(order, order)], is_difference=True),
        pairs=pairs_html(
            "Changed most",
            (f"<li>{escape_html(line)}</li>" for line in comparison.changed_cells_text()),
        ),
        above=f'<div class="km-summary"><b>{escape_html(verdict[:1].upper() + verdict[1:])}.</b> '
        f"{escape_html(comparison.significance())}</div>",
        below=details_html("All metrics of both", _metrics(comparison))
        + details_html(
            "Each class" if total <= MAX_COMPLETE else f"The {MAX_COMPLETE} most changed classes",
            _class_metrics(comparison),
        ),
        key=key,
    )
    foot = (
        ""
        if is_complete
        else f"The table shows the {len(shown)} classes that changed most, of {total:,}. "
        "For all classes use .to_frame() or .difference."
    )
    new, old = comparison.names
    return card_html(f"{new} against {old}", comparison.facts(), body, foot=foot)


# --- the matrix -----------------------------------------------------------------------------------


def _table(comparison: Comparison, shown: Sequence[int], colours: NDArray[Any]) -> str:
    names, figures = comparison.classes, comparison.new.per_class
    popups = _popups(comparison, shown)
    change = 100 * (figures.recall - comparison.old.per_class.recall)

    def one_cell(cell: tuple[int, int]) -> str:
        if not comparison.difference[cell]:
            return EMPTY_CELL
        tooltip = ""
        if len(names) <= MAX_COMPLETE:
            before, now = (
                format_count(each.matrix[cell]) for each in (comparison.old, comparison.new)
            )
            tooltip = f' title="{cell_title(names, cell)}: {before} -&gt; {now}"'
        count = f"<b>{_signed(comparison.difference[cell])}</b>"
        return cell_html(openable_html(count, popups.get(cell, "")), colours[cell], tooltip)

    rows = [
        row_html(
            names[row],
            (one_cell((row, k)) for k in shown),
            (_signed(change[row], 1), format_count(figures.support[row])),
        )
        for row in shown
    ]
    new, old = (tooltip_text(name, COLUMN_NAME) for name in comparison.names)
    return table_frame(
        [names[k] for k in shown],
        f"Rows: true class. Columns: predicted class. Counts of {new} minus those of {old}.",
        ("recall&nbsp;%", "support"),
        f"<tbody>{''.join(rows)}</tbody>",
    )


def _popups(comparison: Comparison, shown: Sequence[int]) -> dict[tuple[int, int], str]:
    """What opens within the cells that changed most, and within the diagonal."""
    if comparison.new.x is None:
        return {}
    diagonal = [(k, k) for k in sorted(shown) if comparison.difference[k, k]]
    cells = [*comparison.changed_cells(POPUPS), *diagonal]
    return build_popups(
        [cell for cell in cells if set(cell) <= set(shown)],
        lambda cell: _cell_samples(comparison, cell),
    )


def _cell_samples(comparison: Comparison, cell: tuple[int, int]) -> str:
    true, predicted = (name_html(comparison.classes[k]) for k in cell)
    title = f"{true} correct" if cell[0] == cell[1] else f"{true} taken for {predicted}"
    return "".join(
        titled_samples_html(
            title,
            comparison_samples(comparison, indices[:SAMPLES_SHOWN].tolist()),
            f"{len(indices):,} {what}",
        )
        for indices, what in zip(moved_samples(comparison, cell), ("no longer", "new"), strict=True)
        if len(indices)
    )


# --- beside and below it --------------------------------------------------------------------------


def _fixed_and_broken(comparison: Comparison) -> str:
    """Samples that only one of the two models predicts correctly."""
    if comparison.new.x is None:
        return ""
    parts = []
    for name, option in zip(comparison.names, ("fixed", "broken"), strict=True):
        indices = comparison.indices(**{option: True})
        if not len(indices):
            continue
        title = f"Only {tooltip_text(name, COLUMN_NAME)} is correct"
        call = f".indices({option}=True)" if len(indices) > SAMPLES_SHOWN else ""
        samples = comparison_samples(comparison, indices[:SAMPLES_SHOWN].tolist())
        parts.append(titled_samples_html(title, samples, f"{len(indices):,} {call}"))
    return "".join(parts)


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
