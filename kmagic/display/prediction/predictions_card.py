"""Predictions as a card, the first samples with their classes or values; and metrics as a card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    ORANGE,
    Bundle,
    bar_html,
    card_html,
    escape_html,
    figure_html,
    mime_bundle,
    name_html,
    names_html,
    scroll_html,
    tooltip_text,
)
from kmagic.display.kit.samples import are_images, encode_image, pixel_range, sample_to_text
from kmagic.display.prediction.forecast_chart import forecast_charts_html
from kmagic.evaluation.prediction.evaluate import Evaluation
from kmagic.evaluation.prediction.predictions import (
    MultiOutputPredictions,
    PredictionInfo,
    Predictions,
)
from kmagic.support.formatting import (
    format_metric,
    format_value,
    isolate_direction,
    list_names,
    pluralize,
    to_single_line,
)

ROWS = 10
BOX = 40  # pixels of a thumbnail
MAX_TOOLTIP, MAX_CELL, MAX_TEXT = 160, 90, 48  # characters of a sample
MAX_VALUES = 6  # of one prediction
MAX_LABELS = 8  # of one sample
MAX_NAME = 24  # characters of a class name
_LEFT = "text-align:left"  # inline: an untrusted notebook has no classes
_SAMPLE = "min-width:150px;white-space:normal;overflow-wrap:anywhere"


def evaluation_bundle(evaluation: Evaluation) -> Bundle:
    """The card of an evaluation, and its text."""
    title, forecasts = evaluation.name or "evaluation", evaluation.forecasts
    if forecasts is None:
        body, foot = figures_html(evaluation), ""
    else:
        body = figures_html({**evaluation, **forecasts.figures()})
        body, foot = body + forecast_charts_html(forecasts), forecasts.describe()
    return mime_bundle(evaluation.describe(), card_html(title, evaluation.facts(), body, foot=foot))


def figures_html(values: Mapping[str, float]) -> str:
    """Figures with their names, in a row."""
    figures = "".join(
        '<div style="flex:0 1 auto;min-width:0">'
        f"{figure_html(name_html(name, 40), format_metric(value))}</div>"
        for name, value in values.items()
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px 30px">{figures}</div>'


def predictions_bundle(predictions: Predictions, note: str = "") -> Bundle:
    """The card of predictions, and its text."""
    info = predictions.info
    rows = list(_rows(predictions))
    facts = f"{pluralize(len(predictions), 'prediction')} · {_content(predictions)}"
    compared, charts = "", ""
    if info.forecasts is not None:
        compared, charts = info.forecasts.describe(), figures_html(info.forecasts.figures())
        charts += forecast_charts_html(info.forecasts)
    foot = " ".join(filter(None, [info.note, compared, _array_sentence(predictions), note]))
    title = to_single_line(info.name) or "predictions"
    lines = [f"{isolate_direction(title)}: {facts}", *(row.to_text() for row in rows), foot]
    thumbnails, named = _thumbnails(info.samples, len(rows)), len(info.sample_names) > 0
    body = "".join(_row_html(row, thumbnails, named=named) for row in rows)
    table = f'<table class="km-table"><tbody>{body}</tbody></table>'
    markup = card_html(
        title, facts, charts + scroll_html(table, f"Predictions of {title}"), foot=foot
    )
    return mime_bundle("\n".join(lines), markup)


def multi_output_bundle(outputs: MultiOutputPredictions) -> Bundle:
    """The cards of all outputs, one below the other."""
    note = f"The result is a dict of {', '.join(map(repr, outputs))}."
    last = len(outputs) - 1
    cards = [
        predictions_bundle(output, note if index == last else "")
        for index, output in enumerate(outputs.values())
    ]
    text = "\n\n".join(card["text/plain"] for card in cards)
    return mime_bundle(text, "".join(card["text/html"] for card in cards))


def _content(predictions: Predictions) -> str:
    """What the predictions are."""
    info, kind = predictions.info, predictions.info.output_kind.kind
    if info.form == "classes":
        return "the most likely classes" if kind == "classes" else f"labels{_above(info)}"
    if kind == "values":
        return list_names(info.targets) or info.target or "values"
    if predictions.probabilities is predictions.array:
        return "probabilities"
    whose = "its" if len(predictions) == 1 else "their"
    if kind == "labels":
        return f"with {whose} labels{_above(info)}"
    return f"with {whose} most likely classes"


def _above(info: PredictionInfo) -> str:
    """Above which probability a label is predicted."""
    thresholds = sorted(set(info.output_kind.thresholds or (0.5,)))
    return f" above {format_value(thresholds[0])}" + (
        f" to {format_value(thresholds[-1])}, by label" if len(thresholds) > 1 else ""
    )


def _array_sentence(predictions: Predictions) -> str:
    sides = ", ".join(f"{side:,}" for side in predictions.shape)
    shape = f"({sides},)" if len(predictions.shape) == 1 else f"({sides})"
    hidden = len(predictions) - ROWS
    more = f"{hidden:,} more. " if hidden > 0 else ""
    return (
        f"{more}A NumPy array of shape {shape}, {predictions.dtype}. Keep it with `-o NAME` or "
        "`NAME = _`; .to_frame() gives a table."
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Row:
    """One sample and its prediction."""

    index: int
    name: str
    best: list[tuple[str, float]]  # the two most likely classes, if it has one
    labels: list[tuple[str, float]] | None  # if it may have several, with their probabilities
    values: str
    true: str | None
    right: bool | None  # whether the most likely class is the true one
    samples: Any  # all of them, to be shown as texts

    def sample_text(self, limit: int = MAX_TOOLTIP) -> str:
        if self.samples is None or self.index >= len(self.samples):
            return ""
        return sample_to_text(self.samples, self.index, limit)

    def to_text(self) -> str:
        """The sample and its prediction in a line."""
        if self.best:
            shares = (f"{isolate_direction(name)} {share:.1%}" for name, share in self.best)
            text = ", ".join(shares)
        elif self.labels is not None:
            texts = (f"{isolate_direction(name)} {share:.1%}" for name, share in self.labels)
            text = list_names(texts, MAX_LABELS) or "none"
        else:
            text = self.values
        if self.right is not None:
            text += " (right)" if self.right else f" (wrong, actually {self.true})"
        elif self.true is not None:
            text += f" (true: {self.true})"
        sample = self.sample_text(MAX_TEXT)
        shown = f" [{sample}]" if sample else ""
        return f"  {isolate_direction(self.name)}{shown}: {text}"


def _rows(predictions: Predictions) -> Iterator[_Row]:
    """The first samples."""
    info, kind = predictions.info, predictions.info.output_kind
    samples = None if info.samples is None or _are_images(info.samples) else info.samples
    probabilities = predictions.probabilities
    first = 0 if info.forecasts is None else max(len(predictions) - ROWS, 0)
    for index, prediction in enumerate(predictions.array[first : first + ROWS], first):
        scores = prediction if probabilities is None else probabilities[index]
        flat = np.reshape(scores, -1)
        true, right = _true(info, index), None
        best: list[tuple[str, float]] = []
        if kind.kind == "classes" and probabilities is not None:
            order = np.argsort(-flat, kind="stable")[:2].tolist()
            best = [(kind.class_name(number), float(flat[number])) for number in order]
            right = None if true is None else true in (best[0][0], str(order[0]))
        labels = None
        if kind.kind == "labels":
            found = np.flatnonzero(kind.has_labels(flat))
            found = found[np.argsort(-flat[found], kind="stable")].tolist()
            labels = [(kind.class_name(number), float(flat[number])) for number in found]
            has_true = true is not None and np.size(info.y_true[index]) == flat.size
            true = true if has_true else None
            if has_true:
                right = bool((kind.has_labels(flat) == (np.ravel(info.y_true[index]) == 1)).all())
        values = np.reshape(prediction, -1)
        texts = list(map(_format, values[:MAX_VALUES].tolist()))
        if len(info.targets) == values.size:
            names = map(isolate_direction, info.targets)
            texts = [f"{name} {text}" for name, text in zip(names, texts, strict=False)]
        shown = ", ".join(texts)
        shown += " ..." if values.size > MAX_VALUES else ""
        name = str(info.sample_names[index] if index < len(info.sample_names) else index)
        name = name if info.forecasts is None else f"after {name}"
        yield _Row(index, name, best, labels, shown, true, right, samples)


def _true(info: PredictionInfo, index: int) -> str | None:
    """The true class or value, if it is known."""
    kind = info.output_kind
    if info.y_true is None:
        return None
    true = np.asarray(info.y_true[index])
    if kind.kind == "labels":
        return list_names(kind.label_names(true.reshape(-1) == 1), MAX_LABELS) or "none"
    if kind.kind == "values" and true.dtype.kind == "f" and np.isnan(true).any():
        return None  # a forecast of what has not come yet
    if kind.kind == "values":
        return _format(true.item()) if true.size == 1 else None
    value = true.item() if true.size == 1 else int(true.argmax())
    return kind.class_name(int(value)) if isinstance(value, int | float) else str(value)


def _are_images(samples: Any) -> bool:
    if isinstance(samples, list) and samples and hasattr(samples[0], "shape"):
        return all(sample is not None and sample.ndim > 1 for sample in samples)
    return hasattr(samples, "shape") and not hasattr(samples, "iloc") and are_images(samples)


def _thumbnails(samples: Any, rows: int) -> list[str]:
    if samples is None or not _are_images(samples):
        return []
    images = [np.asarray(samples[index]) for index in range(min(rows, len(samples)))]
    common_range = pixel_range(images)
    return [
        encode_image(image, common_range, box=BOX).to_html(f"sample {index}")
        for index, image in enumerate(images)
    ]


def _row_html(row: _Row, thumbnails: list[str], *, named: bool) -> str:
    name = name_html(row.name.rpartition("/")[2] or row.name, 24) if named else f"{row.index:,}"
    cells = [f'<td class="km-number km-muted" style="width:1%">{name}</td>']
    has_thumbnail = row.index < len(thumbnails)
    if has_thumbnail:
        style = f"{_LEFT};width:{BOX}px"
        cells.append(f'<td class="km-left" style="{style}">{thumbnails[row.index]}</td>')
    elif sample := row.sample_text():
        short = to_single_line(row.sample_text(MAX_CELL))
        is_cut = short != to_single_line(sample)
        tooltip = f' title="{tooltip_text(sample)}"' if is_cut else ""
        shown = f'<div style="{_SAMPLE}"><bdi{tooltip}>{escape_html(short)}</bdi></div>'
        cells.append(f'<td class="km-left" style="{_LEFT}">{shown}</td>')
    # A sample as text needs the room that a thumbnail leaves to the bar.
    cells.append(_prediction_html(row, bar_width="40%" if has_thumbnail else "15%"))
    return f"<tr>{''.join(cells)}</tr>"


def _prediction_html(row: _Row, bar_width: str) -> str:
    if row.best:
        names, shares = (
            names_html([name for name, _ in row.best], MAX_NAME),
            [p for _, p in row.best],
        )
        colour, sign, outcome = BLUE, "", ""
        if row.right is not None:
            colour = GREEN if row.right else ORANGE
            sign = " ✓" if row.right else f" ✗ {escape_html(row.true)}"
            outcome = f"km-prediction-{'correct' if row.right else 'wrong'}"
        first, *others = (f"{share:.1%}" for share in shares)
        second = "".join(f"{name} {share}" for name, share in zip(names[1:], others, strict=True))
        bar = bar_html(shares[0], colour=colour)
        return (
            f'<td class="km-left" style="{_LEFT}"><b>{names[0]}</b>'
            f'<span class="{outcome}" style="color:{colour}">{sign}</span></td>'
            f'<td style="min-width:70px;width:{bar_width}">{bar}</td>'
            f'<td class="km-number">{first}</td>'
            f'<td class="km-left km-muted" style="{_LEFT}">{second}</td>'
        )
    if row.labels is not None:
        return _labels_html(row)
    true = f'<td class="km-number km-muted">true {escape_html(row.true)}</td>' if row.true else ""
    return f'<td class="km-number">{escape_html(row.values)}</td>{true}'


def _labels_html(row: _Row) -> str:
    """The labels of a sample with their probabilities, and whether they are the true ones."""
    shown = (row.labels or [])[:MAX_LABELS]
    names = names_html([name for name, _ in shown], MAX_NAME)
    parts = [
        f'<span style="white-space:nowrap">{name} <span class="km-muted">{share:.1%}</span></span>'
        for name, (_, share) in zip(names, shown, strict=True)
    ]
    rest = len(row.labels or []) - len(shown)
    parts += [f'<span class="km-muted">{rest:,} more</span>'] if rest else []
    labels = ", ".join(parts) or '<span class="km-muted">none</span>'
    if row.right is not None:
        colour = GREEN if row.right else ORANGE
        sign = "✓" if row.right else f"✗ {escape_html(row.true)}"
        outcome = f"km-prediction-{'correct' if row.right else 'wrong'}"
        labels += f' <span class="{outcome}" style="color:{colour}">{sign}</span>'
    return f'<td class="km-left" style="{_LEFT};white-space:normal">{labels}</td>'


def _format(value: Any) -> str:
    if isinstance(value, float):
        return format_value(value)
    return to_single_line(str(value))
