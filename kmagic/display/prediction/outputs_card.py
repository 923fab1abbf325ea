"""The results of several outputs as one card, with the card of each as a section."""

from __future__ import annotations

import re

from kmagic.display.kit.card import Bundle, card_html, mime_bundle
from kmagic.evaluation.prediction.output_results import OutputResults
from kmagic.support.formatting import pluralize


def outputs_bundle(results: OutputResults) -> Bundle:
    """The card, and the texts of all sections."""
    bundles = [result._repr_mimebundle_() for result in results.values()]
    note = f"The result is a dict of {', '.join(map(repr, results))}."
    foot = f"{results.note} {note}".strip()
    text = "\n\n".join([*(bundle["text/plain"] for bundle in bundles), foot])
    sections = "".join(
        f'<section style="margin-top:12px">{bundle["text/html"]}</section>' for bundle in bundles
    )
    facts = pluralize(len(results), "output")
    card = card_html(results.name or "outputs", facts, sections, foot=foot)
    return mime_bundle(text, _without_repeated_styles(card))


def _without_repeated_styles(markup: str) -> str:
    """The card with each style sheet once, although several sections have it."""
    seen: set[str] = set()

    def once(match: re.Match[str]) -> str:
        sheet = match.group()
        is_new = sheet not in seen
        seen.add(sheet)
        return sheet if is_new else ""

    return re.sub(r"<style>.*?</style>", once, markup, flags=re.DOTALL)
