"""A model out of R as a card: its text, the Keras program for it, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kmagic.display.kit.card import Bundle, card_html, escape_html
from kmagic.display.kit.card import mime_bundle as as_bundle
from kmagic.support.formatting import pluralize

_PANE = "margin:0;overflow-x:auto;word-break:normal;background:none"
_ROW = "display:flex;flex-wrap:wrap;gap:0 16px"
_CELL = "flex:1 1 240px;min-width:0;overflow-wrap:anywhere"
_SIDE = "flex:1 1 270px;min-width:0"


class Remark(Protocol):
    """Something about a line of the R text."""

    line: int
    code: str
    text: str


class Translated(Protocol):
    """What is shown: a string that knows where it comes from."""

    name: str
    notes: Sequence[Remark]
    left_out: Sequence[Remark]

    @property
    def python(self) -> str:
        """The Keras program."""

    def __str__(self) -> str:
        """The text in the layer language."""


def bundle(found: Translated) -> Bundle:
    """The translation in plain text and as a card."""
    text, program = str(found), found.python.rstrip()
    facts = f"out of R \u00b7 {pluralize(len(text.splitlines()), 'line')}"
    body = (
        '<div style="display:flex;flex-wrap:wrap;gap:8px 24px">'
        f"{_pane('In the layer language', text)}{_pane('In Python', program)}</div>"
        f"{_remarks('Put otherwise', found.notes)}{_remarks('Left out', found.left_out)}"
    )
    return as_bundle(_words(found, text, program), card_html(found.name, facts, body))


def _pane(title: str, code: str) -> str:
    return (
        f'<div style="{_SIDE}"><div class="km-mute">{escape_html(title)}</div>'
        f'<pre class="km-code" style="{_PANE}">{escape_html(code)}</pre></div>'
    )


def _remarks(title: str, remarks: Sequence[Remark]) -> str:
    if not remarks:
        return ""
    rows = "".join(
        f'<tr><td class="km-num">{each.line}</td>'
        f'<td class="km-left" style="text-align:left;white-space:normal"><div style="{_ROW}">'
        f'<code style="{_CELL}">{escape_html(_short(each.code))}</code>'
        f'<span style="{_CELL}">{escape_html(each.text)}</span></div></td></tr>'
        for each in remarks
    )
    head = f'<div class="km-mute" style="margin-top:10px">{escape_html(title)}</div>'
    return f'{head}<div class="km-fit"><table class="km-table"><tbody>{rows}</tbody></table></div>'


def _short(code: str, most: int = 44) -> str:
    return code if len(code) <= most else code[: most - 4].rstrip() + " ..."


def _words(found: Translated, text: str, program: str) -> str:
    parts = [text, program]
    for title, remarks in (("Put otherwise", found.notes), ("Left out", found.left_out)):
        lines = [f"  line {each.line}: {_short(each.code)}  ->  {each.text}" for each in remarks]
        if lines:
            parts.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join(parts)
