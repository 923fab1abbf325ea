"""Cards of code: a program, and a model translated from R with its text and its program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kmagic.display.kit.card import Bundle, card_html, escape_html, mime_bundle, scroll_html
from kmagic.display.kit.highlighting import code_html
from kmagic.support.formatting import pluralize

if TYPE_CHECKING:
    from kmagic.from_r.translation import Remark, Translation
    from kmagic.models.export import Code

_ROW = "display:flex;flex-wrap:wrap;gap:0 16px"
_CELL = "flex:1 1 240px;min-width:0;overflow-wrap:anywhere"
_SIDE = "flex:1 1 270px;min-width:0"
_MAX_CODE = 44
"""Longer lines of R code are shortened in the list of remarks."""


def code_bundle(code: Code) -> Bundle:
    """The code as plain text and as a card."""
    text = str(code)
    facts = f"{code.language} \u00b7 {pluralize(len(text.splitlines()), 'line')}"
    return mime_bundle(
        text, card_html(code.name, facts, code_html(text, code.language, f"Code of {code.name}"))
    )


def translation_bundle(translation: Translation) -> Bundle:
    """The translation as plain text and as a card."""
    text, program = str(translation), translation.python.rstrip()
    facts = f"translated from R \u00b7 {pluralize(len(text.splitlines()), 'line')}"
    lists = (("Differs from R", translation.notes), ("Left out", translation.left_out))
    plain, markup = [text, program], ""
    for title, remarks in lists:
        if remarks:
            lines = [
                f"  line {remark.line}: {_short(remark.code)}  ->  {remark.text}"
                for remark in remarks
            ]
            plain.append("\n".join([f"{title}:", *lines]))
            markup += _remarks_html(title, remarks)
    panes = "".join(
        f'<div style="{_SIDE}"><div class="km-muted">{title}</div>'
        f"{code_html(code, language, f'{title} of {translation.name}')}</div>"
        for title, code, language in (
            ("Layer language", text, "dsl"),
            ("Python", program, "python"),
        )
    )
    body = f'<div style="display:flex;flex-wrap:wrap;gap:8px 24px">{panes}</div>{markup}'
    return mime_bundle("\n\n".join(plain), card_html(translation.name, facts, body))


def _remarks_html(title: str, remarks: Sequence[Remark]) -> str:
    rows = "".join(
        f'<tr><td class="km-number">{remark.line}</td>'
        f'<td class="km-left" style="text-align:left;white-space:normal"><div style="{_ROW}">'
        f'<code style="{_CELL}">{escape_html(_short(remark.code))}</code>'
        f'<span style="{_CELL}">{escape_html(remark.text)}</span></div></td></tr>'
        for remark in remarks
    )
    head = f'<div class="km-muted" style="margin-top:10px">{title}</div>'
    table = f'<table class="km-table"><tbody>{rows}</tbody></table>'
    return head + scroll_html(table, title)


def _short(code: str) -> str:
    return code if len(code) <= _MAX_CODE else code[: _MAX_CODE - 4].rstrip() + " ..."
