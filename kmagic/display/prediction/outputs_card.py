"""The results of several outputs as one card, with the card of each as a section."""

from __future__ import annotations

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
        f'<section class="km-output" style="margin-top:12px">{bundle["text/html"]}</section>'
        for bundle in bundles
    )
    facts = pluralize(len(results), "output")
    return mime_bundle(text, card_html(results.name or "outputs", facts, sections, foot=foot))
