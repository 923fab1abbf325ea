"""Predictions as a card: the first samples and their predicted classes or values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    ORANGE,
    Bundle,
    bar_html,
    card_html,
    escape_html,
    mime_bundle,
    name_html,
    tooltip_text,
)
from kmagic.display.kit.samples import are_images, pixel_range, sample_to_text, thumbnail_html
from kmagic.support.formatting import (
    format_value,
    isolate_direction,
    pluralize,
    strip_control_characters,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmagic.evaluation.prediction.predictions import (
        MultiOutputPredictions,
        PredictionInfo,
        Predictions,
    )

ROWS = 10
BOX = 40  # pixels of a thumbnail
MAX_TOOLTIP, MAX_CELL, MAX_TEXT = 160, 90, 48  # characters of a sample
MAX_VALUES = 6  # of one prediction
_LEFT = "text-align:left"  # inline: an untrusted notebook has no classes
_WRAP = f'style="{_LEFT};white-space:normal;overflow-wrap:anywhere"'


def predictions_bundle(predictions: Predictions, note: str = "") -> Bundle:
    """The card of predictions, and its text."""
    info = predictions.info
    rows = [_Row(predictions, index) for index in range(min(len(predictions), ROWS))]
    facts = f"{pluralize(len(predictions), 'prediction')} · {_content(predictions)}"
    foot = " ".join(filter(None, [info.note, _array_sentence(predictions), note]))
    title = strip_control_characters(info.name) or "predictions"
    lines = [f"{isolate_direction(title)}: {facts}", *(row.to_text() for row in rows), foot]
    markup = card_html(title, facts, _table(info, rows), foot=foot)
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
        return "the most likely classes" if kind == "classes" else "labels"
    if kind == "values":
        return info.target or "values"
    if predictions.probabilities is predictions.array:
        return "probabilities"
    return f"with {'its' if len(predictions) == 1 else 'their'} most likely classes"


def _array_sentence(predictions: Predictions) -> str:
    sides = ", ".join(f"{side:,}" for side in predictions.shape)
    shape = f"({sides},)" if len(predictions.shape) == 1 else f"({sides})"
    hidden = len(predictions) - ROWS
    more = f"{hidden:,} more. " if hidden > 0 else ""
    return (
        f"{more}A NumPy array of shape {shape}, {predictions.dtype}. Keep it with `-o NAME` or "
        "`NAME = _`; .to_frame() gives a table."
    )


@dataclass(frozen=True, eq=False)
class _Row:
    """One sample and its prediction."""

    predictions: Predictions
    index: int

    @property
    def info(self) -> PredictionInfo:
        return self.predictions.info

    @property
    def name(self) -> str:
        names = self.info.sample_names
        return str(names[self.index]) if self.index < len(names) else str(self.index)

    @cached_property
    def prediction(self) -> NDArray[Any]:
        return np.atleast_1d(self.predictions.array[self.index])

    @cached_property
    def probabilities(self) -> NDArray[Any] | None:
        probabilities = self.predictions.probabilities
        return None if probabilities is None else np.asarray(probabilities[self.index])

    @cached_property
    def best(self) -> list[int]:
        """Indices of the two most likely classes."""
        if self.probabilities is None or self.info.output_kind.kind != "classes":
            return []
        order = np.argsort(-self.probabilities, kind="stable")
        return [int(index) for index in order[:2]]

    @property
    def values(self) -> str:
        flat = self.prediction.reshape(-1)
        shown = ", ".join(_format(value) for value in flat[:MAX_VALUES].tolist())
        return f"{shown} ..." if flat.size > MAX_VALUES else shown

    @property
    def labels(self) -> list[str]:
        """The predicted labels, if a sample may have several."""
        values = self.prediction if self.probabilities is None else self.probabilities
        predicted = np.flatnonzero(values.reshape(-1) > 0.5)  # noqa: PLR2004 - one half
        return [self.class_name(index) for index in predicted]

    @cached_property
    def true(self) -> str | None:
        """The true class or value, if it is known."""
        info = self.info
        if info.y_true is None or info.output_kind.kind == "labels":
            return None
        true = np.asarray(info.y_true[self.index])
        if info.output_kind.kind == "values":
            return _format(true.reshape(-1)[0].item()) if true.size == 1 else None
        if true.size > 1:
            return self.class_name(true.argmax())
        value = true.reshape(-1)[0].item()
        return self.class_name(value) if isinstance(value, int | float) else str(value)

    @property
    def right(self) -> bool | None:
        """Whether the most likely class is the true one."""
        if not self.best or self.true is None:
            return None
        return self.true in (self.class_name(self.best[0]), str(self.best[0]))

    def class_name(self, index: Any) -> str:
        return self.info.output_kind.class_name(int(index))

    def sample_text(self, limit: int = MAX_TOOLTIP) -> str:
        """The sample as text; "" for an image, or if it is unknown."""
        samples = self.info.samples
        if samples is None or _are_images(samples) or self.index >= len(samples):
            return ""
        return sample_to_text(samples, self.index, limit)

    def to_text(self) -> str:
        """The sample and its prediction in a line."""
        if self.best and self.probabilities is not None:
            text = ", ".join(
                f"{isolate_direction(self.class_name(index))} {self.probabilities[index]:.1%}"
                for index in self.best
            )
        elif self.info.output_kind.kind == "labels":
            text = ", ".join(map(isolate_direction, self.labels)) or "none"
        else:
            text = self.values
        if self.right is not None:
            text += " (right)" if self.right else f" (wrong, actually {self.true})"
        elif self.true is not None:
            text += f" (true: {self.true})"
        sample = self.sample_text(MAX_TEXT)
        shown = f" [{sample}]" if sample else ""
        return f"  {isolate_direction(self.name)}{shown}: {text}"


def _are_images(samples: Any) -> bool:
    if isinstance(samples, list) and samples and hasattr(samples[0], "shape"):
        return all(sample is not None and sample.ndim > 1 for sample in samples)
    return hasattr(samples, "shape") and not hasattr(samples, "iloc") and are_images(samples)


def _table(info: PredictionInfo, rows: list[_Row]) -> str:
    thumbnails = _thumbnails(info.samples, len(rows))
    named = len(info.sample_names) > 0
    body = "".join(_row_html(row, thumbnails, named=named) for row in rows)
    return (
        f'<div class="km-table-scroll"><table class="km-table"><tbody>{body}</tbody></table></div>'
    )


def _thumbnails(samples: Any, rows: int) -> list[str]:
    if samples is None or not _are_images(samples):
        return []
    images = [np.asarray(samples[index]) for index in range(min(rows, len(samples)))]
    common_range = pixel_range(images)
    return [
        thumbnail_html(image, common_range, box=BOX, alt=f"sample {index}")
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
        short = strip_control_characters(row.sample_text(MAX_CELL))
        is_cut = short != strip_control_characters(sample)
        tooltip = f' title="{tooltip_text(sample)}"' if is_cut else ""
        cells.append(f'<td class="km-left" {_WRAP}><bdi{tooltip}>{escape_html(short)}</bdi></td>')
    # A sample as text needs the room that a thumbnail leaves to the bar.
    cells.append(_prediction_html(row, bar_width="40%" if has_thumbnail else "15%"))
    return f"<tr>{''.join(cells)}</tr>"


def _prediction_html(row: _Row, bar_width: str) -> str:
    if row.best and row.probabilities is not None:
        probability = float(row.probabilities[row.best[0]])
        colour, sign = BLUE, ""
        if row.right is not None:
            colour = GREEN if row.right else ORANGE
            sign = " ✓" if row.right else f" ✗ {escape_html(row.true)}"
        second = ""
        if len(row.best) > 1:
            other = row.best[1]
            second = f"{name_html(row.class_name(other))} {row.probabilities[other]:.1%}"
        bar = bar_html(probability, colour=colour, label=f"{probability:.1%}")
        return (
            f'<td class="km-left" style="{_LEFT}"><b>{name_html(row.class_name(row.best[0]))}</b>'
            f'<span style="color:{colour}">{sign}</span></td>'
            f'<td style="min-width:70px;width:{bar_width}">{bar}</td>'
            f'<td class="km-number">{probability:.1%}</td>'
            f'<td class="km-left km-muted" style="{_LEFT}">{second}</td>'
        )
    if row.info.output_kind.kind == "labels":
        labels = ", ".join(map(name_html, row.labels)) or '<span class="km-muted">none</span>'
        return f'<td class="km-left" style="{_LEFT}">{labels}</td>'
    true = f'<td class="km-number km-muted">true {escape_html(row.true)}</td>' if row.true else ""
    return f'<td class="km-number">{escape_html(row.values)}</td>{true}'


def _format(value: Any) -> str:
    if isinstance(value, float):
        return format_value(value)
    return strip_control_characters(str(value))
