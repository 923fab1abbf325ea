"""Code as HTML: coloured in a trusted notebook, with a button that copies it without a kernel."""

from __future__ import annotations

import re

from kmagic.display.kit.card import escape_html
from kmagic.language import parse
from kmagic.language.spec import InnerLayer, LayerSpec, Word, find_parts
from kmagic.support.errors import DSLError

_PANE = "margin:0;overflow-x:auto;word-break:normal;background:none"
_COPY = (
    "getSelection().selectAllChildren(this.nextElementSibling);"
    "this.textContent=document.execCommand('copy')?'Copied':'Press Ctrl+C'"
)
"""A selection can be copied where the Clipboard API is missing: in frames and without HTTPS."""


def code_html(code: str, language: str, label: str) -> str:
    """A listing; ``label`` says what it is, for screen readers.

    An untrusted notebook keeps neither the handler of the button nor, so, the button.
    """
    markup = python_html(code) if language == "python" else model_text_html(code)
    button = (
        f'<button type="button" class="km-copy" style="display:none" onclick="{_COPY}" '
        f"onblur=\"this.textContent='Copy'\">Copy</button>"
    )
    return (
        f'<div class="km-listing">{button}<pre class="km-code" tabindex="0" role="region" '
        f'aria-label="{escape_html(label)}" style="{_PANE}">{markup}</pre></div>'
    )


def python_html(code: str) -> str:
    """Python code with its keywords, strings, numbers and comments marked."""
    from pygments import lex  # noqa: PLC0415 - only where code is shown
    from pygments.lexers import PythonLexer  # noqa: PLC0415
    from pygments.token import Comment, Keyword, Number, Operator, String  # noqa: PLC0415

    kinds = {
        Keyword: "km-word",
        Operator.Word: "km-word",
        String: "km-string",
        Number: "km-number-literal",
        Comment: "km-muted",
    }
    markup = ""
    for token, text in lex(code, PythonLexer(stripnl=False, ensurenl=False)):
        kind = next((name for known, name in kinds.items() if token in known), "")
        shown = escape_html(text)
        markup += f'<span class="{kind}">{shown}</span>' if kind else shown
    return markup


def model_text_html(text: str) -> str:
    """A text of the layer language with the word of each layer marked.

    Example:
        >>> model_text_html("x = dense 4 relu")
        'x = <span class="km-word">dense</span> 4 relu'
    """
    try:
        parts: list[LayerSpec | InnerLayer] = list(find_parts(parse(text), LayerSpec))
    except DSLError:
        return escape_html(text)
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    marks = set()
    for part in parts:  # grows by the layers inside others
        parts += find_parts(part.args, InnerLayer)
        if isinstance(part.callee, Word):
            span = part.callee.span
            marks.add((starts[span.line - 1] + span.column - 1, part.callee.text))
    markup, end = "", 0
    for start, word in sorted(marks):
        if start >= end and text.startswith(word, start):
            shown = f'<span class="km-word">{escape_html(word)}</span>'
            markup += escape_html(text[end:start]) + shown
            end = start + len(word)
    return markup + escape_html(text[end:])
