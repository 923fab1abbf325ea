"""The card of two regression models on the same rows."""

from __future__ import annotations

import numpy as np

from kmagic.display.confusion.metrics_table import text_table
from kmagic.display.kit.card import (
    Bundle,
    card_html,
    full_name_html,
    mime_bundle,
    name_html,
    scroll_html,
    table_html,
)
from kmagic.display.regression.error_charts import (
    MAX_DOTS,
    charts_html,
    histogram_chart,
    prediction_chart,
)
from kmagic.display.regression.errors_card import (
    NAME_LENGTH,
    notes_html,
    rows_table,
    shown_targets,
)
from kmagic.display.regression.interactive_errors import attach_widget
from kmagic.evaluation.regression.error_comparison import ErrorComparison
from kmagic.evaluation.regression.error_metrics import error_quantiles
from kmagic.evaluation.regression.regression_errors import format_error
from kmagic.support.formatting import format_metric, isolate_direction, shorten_name

COMPARED = ("MAE", "RMSE", "R2", "bias", "median absolute error", "MAPE")
ROWS = 5  # of each table


def comparison_bundle(comparison: ErrorComparison) -> Bundle:
    """The card of two regression models, as text and as HTML."""
    markup = comparison_html(comparison, attach_widget(comparison))
    return mime_bundle(comparison_text(comparison), markup)


def comparison_html(comparison: ErrorComparison, key: str = "") -> str:
    """The card as HTML, with the key of its widget, if any."""
    body, notes = "", []
    parts = comparison.parts
    shown = shown_targets(comparison.new)
    for number in shown:
        part, name = parts[number], comparison.targets[number]
        if len(parts) > 1:
            facts = part.facts().partition(" · ")[2]
            body += f"<div><b>{full_name_html(name)}</b> "
            body += f'<span class="km-muted">{facts}</span></div>'
        before = f"{isolate_direction(name)}: " if len(parts) > 1 else ""
        notes.append(before + part.significance())
        body += _section(part, number, MAX_DOTS // len(shown), is_first=number == shown[0])
    if len(shown) < len(parts):
        others = f"{len(shown)} of {len(parts):,} targets"
        notes.append(f"The card shows {others}; `.to_frame()` has all of them.")
    attributes = f' data-km="{key}"' if key else ""
    body = (
        f'<div class="km-errors"{attributes}>{body}{notes_html(notes)}'
        '<div class="km-selected-rows"></div></div>'
    )
    title = " against ".join(map(isolate_direction, comparison.names))
    return card_html(title, comparison.facts(), body)


def _section(comparison: ErrorComparison, target: int, max_dots: int, *, is_first: bool) -> str:
    """The charts and tables of one target."""
    new, old = comparison.new, comparison.old
    names = [shorten_name(name, NAME_LENGTH) for name in comparison.names]
    better, worse = (comparison.indices(**{each: True}, n=ROWS) for each in ("better", "worse"))
    difference = comparison.difference
    charts = [
        prediction_chart(new, better, title=names[0], beside=old, max_dots=max_dots),
        prediction_chart(old, worse, title=names[1], beside=new, y="other", max_dots=max_dots),
        histogram_chart(
            difference,
            "Difference of the absolute errors",
            f"below 0: {names[0]} is closer",
            error_quantiles(difference, new.sample_weight),
            "difference",
        ),
    ]
    heads = ("", *(name_html(name, NAME_LENGTH) for name in comparison.names), "difference")
    metrics = scroll_html(table_html(heads, _metric_rows(comparison)), "Metrics of both models")
    tables = f'<div style="flex:0 1 400px;min-width:0">{metrics}</div>'
    for rows, name in zip((better, worse), comparison.names, strict=True):
        if len(rows):
            frame = new.rows_frame(rows)
            frame.insert(2, "other", old.y_pred[rows])
            frame.insert(4, "other error", old.errors[rows])
            table = scroll_html(rows_table(frame), f"Rows where {name} is closer")
            title = f"<b>{name_html(name, NAME_LENGTH)} is closer</b>"
            tables += f'<div style="flex:1 1 340px;min-width:0">{title}{table}</div>'
    return charts_html(charts, target, is_first=is_first) + (
        '<div style="display:flex;flex-wrap:wrap;gap:12px 28px;align-items:flex-start;'
        f'margin-top:10px">{tables}</div>'
    )


def _metric_rows(comparison: ErrorComparison) -> list[list[str]]:
    rows = []
    for name in COMPARED:
        new, old = comparison.new.metrics[name], comparison.old.metrics[name]
        change = "" if not np.isfinite(new - old) else _signed(name, new - old)
        values = [each.format(name) for each in (comparison.new, comparison.old)]
        rows.append([name, *values, change])
    return rows


def _signed(name: str, value: float) -> str:
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return sign + format_error(name, abs(value))


def comparison_text(comparison: ErrorComparison) -> str:
    """The comparison as plain text."""
    lines = [comparison.describe()]
    if len(comparison.targets) == 1:
        names = [shorten_name(name, NAME_LENGTH) for name in comparison.names]
        table = [["", *names, "difference"], *_metric_rows(comparison)]
        low, high = map(format_metric, comparison.interval)
        lines += [
            "",
            *text_table(table),
            f"95 % interval of the difference of MAE: {low} to {high}",
        ]
    return "\n".join(lines)
