"""Probably wrong labels as a card: the candidates in order, the pairs of classes, the decisions.

The card is complete HTML. While its kernel runs, :mod:`kmagic.display.labels.label_review` lets the
user decide with keys and buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmagic.display.kit.assets import css_for
from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    ORANGE,
    Bundle,
    card_html,
    escape_html,
    figure_html,
    message_html,
    mime_bundle,
    name_html,
    scroll_html,
    table_html,
)
from kmagic.display.kit.samples import Sample, collect_samples, encode_samples
from kmagic.display.labels.label_review import LabelReview, attach_review
from kmagic.evaluation.labels.label_errors import LabelErrors
from kmagic.support.formatting import isolate_direction, pluralize, shorten_name

PAGE, TEXT_PAGE = 24, 10  # candidates on the card that are images, or texts
MAX_IMAGE_BYTES, MIN_PAGE = 32_000, 4
MAX_PAIRS, MAX_DUPLICATES, TEXT_ROWS = 6, 2, 10
NAME, TEXT_NAME, CELL = 16, 30, 200  # characters of a class name, and of a text
COLOURS = {"keep": GREEN, "relabel": BLUE, "drop": ORANGE}
SIGNS = {"keep": "✓ kept", "drop": "✗ dropped"}
_LIST = "display:flex;flex-wrap:wrap;gap:8px;margin:0;padding:0;list-style:none"
_ITEM = "display:flex;gap:8px;box-sizing:border-box;margin:0;padding:4px;line-height:1.35;"
_FIGURES = "display:flex;flex-wrap:wrap;gap:6px 36px;margin:4px 0 10px"
_SMALL = 'style="font-size:12px;margin-top:6px;overflow-wrap:anywhere"'


def label_errors_bundle(result: LabelErrors) -> Bundle:
    """The card of a search for wrong labels, as text and as HTML."""
    card = LabelCard(result)
    return card.bundle(attach_review(LabelReview(result, card)))


class LabelCard:
    """The card of a search for wrong labels; ``page`` is the number of candidates it shows."""

    def __init__(self, result: LabelErrors) -> None:
        self.result = result
        samples = self.samples(0, PAGE)
        self.has_images = any(sample.image is not None for sample in samples)
        self.page = TEXT_PAGE
        if self.has_images:
            sizes = [len(image.data) for image in encode_samples(samples) if image is not None]
            fits = int(np.searchsorted(np.cumsum(sizes), MAX_IMAGE_BYTES))
            self.page = max(MIN_PAGE, min(PAGE, fits))

    def bundle(self, key: str) -> Bundle:
        """Text and HTML; ``key`` is that of the widget that makes the card interactive."""
        return mime_bundle(self.to_text(), self.to_html(key))

    # --- text ---------------------------------------------------------------------------------

    def to_text(self) -> str:
        """The first candidates as lines."""
        result = self.result
        share, interval = self._noise()
        lines = [repr(result), f"estimated share of wrong labels {share} ({interval})"]
        for row in result.candidates[:TEXT_ROWS].tolist():
            given, suggested = result.given[row], result.suggested[row]
            names = [shorten_name(result.classes[k], TEXT_NAME) for k in (given, suggested)]
            mark = self.mark(row)[1]
            line = f"{self.row_name(row)}: given {names[0]}, predicted {names[1]}"
            line += f" ({result.probabilities[row, suggested]:.2f})"
            lines.append(line + (f" {mark}" if mark else ""))
        if (more := len(result.candidates) - TEXT_ROWS) > 0:
            lines.append(f"and {more:,} more in to_frame()")
        return "\n".join([*lines, *result.messages, *self._warning()])

    def _warning(self) -> list[str]:
        if not self.result.is_uncertain:
            return []
        consequence = "Many candidates are probably false, and the estimates are too high"
        accuracy = f"{self.result.accuracy:.0%}"
        return [f"{consequence}: the model predicts only {accuracy} of the given labels."]

    def row_name(self, row: int) -> str:
        """A row as it is shown: "#12", or "test #12"."""
        part, index = self.result.place(row)
        return f"{f'{part} ' if len(self.result.sizes) > 1 else ''}#{index:,}"

    def mark(self, row: int) -> tuple[str, str]:
        """The decision about a row, and as text; two empty texts without one."""
        decision = self.result.decisions.get(row)
        if decision is None:
            return "", ""
        name = shorten_name(self.result.classes[decision.label], NAME)
        return decision.action, SIGNS.get(decision.action, f"→ {isolate_direction(name)}")

    def progress(self) -> str:
        """The number of decisions: "2 relabelled, 1 dropped; 39 of 42 to review"."""
        result = self.result
        open_ = sum(row not in result.decisions for row in result.candidates.tolist())
        left = f"{open_:,} of {pluralize(len(result.candidates), 'candidate')} to review"
        return "; ".join(filter(None, [result.describe_decisions(), left]))

    # --- HTML ---------------------------------------------------------------------------------

    def to_html(self, key: str) -> str:
        """The whole card."""
        result = self.result
        body = self._figures()
        if len(result.candidates):
            body += f'<div class="km-review"{f" data-km={key}" if key else ""}>'
            body += f'<ol class="km-candidates" style="{_LIST}">{self.items(0, self.page)}</ol>'
            body += f'<div class="km-progress km-muted" {_SMALL}>{self._shown()}</div></div>'
            body += self._pairs()
        notes = [*result.messages, *self._warning()]
        body += "".join(f"<div {_SMALL}>{message_html(text)}</div>" for text in notes)
        name = result.dataset.name if result.dataset is not None else result.name
        use = "`labels.data` is the data with these decisions (for `-o labels`)"
        if result.dataset is None:
            use = "`labels.y` and `labels.mask` follow the decisions (for `-o labels`)"
        method = f"duplicates: {result.duplicates.method}"
        foot = [f"confident learning, {result.method}", method, use]
        style = f"<style>{css_for(body, 'labels/label_card.css', {})}</style>"
        facts = result.describe()
        return card_html(name or "labels", facts, style + body, foot=" · ".join(foot))

    def _figures(self) -> str:
        figures = [
            ("estimated share of wrong labels", *self._noise()),
            ("accuracy for the given labels", f"{self.result.accuracy:.1%}", "out of sample"),
        ]
        small = '<div class="km-muted" style="font-size:12px">'
        html = "".join(
            f"<div>{figure_html(label, value)}{small}{about}</div></div>"
            for label, value, about in figures
        )
        return f'<div style="{_FIGURES}">{html}</div>'

    def _noise(self) -> tuple[str, str]:
        """The estimated share of wrong labels, and its interval."""
        share, (low, high) = self.result.joint.noise, self.result.joint.noise_interval()
        if self.result.is_uncertain:
            return f"up to {share:.1%}", "with the errors of the model"
        return f"{share:.1%}", f"95 % interval {low:.1%} to {high:.1%}"

    def samples(self, first: int, count: int) -> list[Sample]:
        """The candidates of a page as they are shown."""
        rows = self.result.candidates[first : first + count].tolist()
        names = [self.row_name(row) for row in rows]
        return collect_samples(self.result.x, rows, names, names)

    def items(self, first: int, count: int) -> str:
        """The candidates of a page as items of a list."""
        samples = self.samples(first, count)
        pairs = zip(samples, encode_samples(samples), strict=True)
        return "".join(self._item(sample, image) for sample, image in pairs)

    def _item(self, sample: Sample, image: Any) -> str:
        result, row = self.result, sample.index
        given, suggested = int(result.given[row]), int(result.suggested[row])
        names = [name_html(result.classes[k], NAME) for k in (given, suggested)]
        probability = f"{result.probabilities[row, suggested]:.2f}"
        others = result.duplicates.of(row)
        equal = result.duplicates.equal.get(row, ())
        twins = [
            f"{'same as' if k in equal else 'like'} {self.row_name(k)} "
            f"({name_html(result.classes[result.given[k]], NAME)})"
            for k in others[:MAX_DUPLICATES]
        ]
        twins += [f"and {len(others) - MAX_DUPLICATES:,} more"] if others[MAX_DUPLICATES:] else []
        shown = image.to_html(f"sample {self.row_name(row)}") if image is not None else ""
        text = f"<div><bdi>{escape_html(sample.text[:CELL])}</bdi></div>" if sample.text else ""
        # Beside an image each fact has its line, below a text they share one.
        tag, width = ("div", "176px") if shown else ('span style="margin-right:16px"', "100%")
        facts = [f"given <b>{names[0]}</b>", f"predicted <b>{names[1]}</b> ({probability})"]
        facts += [f'<span class="km-muted">{fact}</span>' for fact in (self.row_name(row), *twins)]
        listed = "".join(f"<{tag}>{fact}</{tag[:4].strip()}>" for fact in facts)
        action, mark = self.mark(row)
        colour = f";color:{COLOURS[action]}" if action else ""
        return (
            f'<li class="km-candidate" style="{_ITEM}width:{width}">'
            f'<div style="flex:none;min-width:{56 if shown else 0}px">{shown}</div>'
            f'<div style="min-width:0;font-size:12px;overflow-wrap:anywhere">{text}{listed}'
            f'<div class="km-decision" data-action="{action}" style="font-weight:600{colour}">'
            f"{escape_html(mark)}</div></div></li>"
        )

    def _shown(self) -> str:
        total = len(self.result.candidates)
        text = f"the first {self.page} of {total:,} shown; " if total > self.page else ""
        return escape_html(text + self.progress())

    def _pairs(self) -> str:
        """The pairs of classes with the most wrong labels."""
        table = self.result.noise.pairs
        rows: Sequence[Any] = list(table.head(MAX_PAIRS).itertuples(index=False))
        heads = ["given → predicted", "candidates", "estimated", "of the given class"]
        cells = [
            [
                f"{name_html(pair.given, NAME)} → {name_html(pair.suggested, NAME)}",
                f"{pair.candidates:,}",
                f"{pair.estimated:,}",
                f"{pair.share:.1%}",
            ]
            for pair in rows
        ]
        more = pluralize(max(len(table) - MAX_PAIRS, 0), "more pair")
        rest = f'<div class="km-muted" {_SMALL}>{more} in noise.pairs</div>'
        label = "Classes with the most wrong labels"
        shown = scroll_html(table_html(heads, cells), label, "margin-top:12px")
        return shown + (rest if len(table) > MAX_PAIRS else "")
