"""Code as HTML: coloured in a trusted notebook, with a button that copies it without a kernel."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any

from kmagic.display.kit.card import escape_html

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
    from pygments.lexers import PythonLexer  # noqa: PLC0415 - only where code is shown
    from pygments.token import Comment, Keyword, Number, Operator, String  # noqa: PLC0415

    kinds = {
        Keyword: "layer",
        Operator.Word: "layer",
        String: "string",
        Number: "number",
        Comment: "comment",
    }
    return _marked(code, PythonLexer(stripnl=False, ensurenl=False), kinds)


def model_text_html(text: str) -> str:
    """A text of the layer language, with the classes of its words marked as in the editor.

    Example:
        >>> model_text_html("dense 4")
        '<span class="km-code-layer">dense</span> <span class="km-code-number">4</span>'
    """
    from kmagic.language.pygments_lexer import TOKEN_TYPES, ModelTextLexer  # noqa: PLC0415 - as above

    kinds = {kind: name for name, kind in TOKEN_TYPES.items()}
    return _marked(text, ModelTextLexer(stripnl=False, ensurenl=False), kinds)


def _marked(code: str, lexer: Any, kinds: dict[Any, str]) -> str:
    named = (
        (next((kinds[kind] for kind in reversed(token.split()) if kind in kinds), ""), text)
        for token, text in lexer.get_tokens(code)
    )
    markup = ""
    for name, parts in groupby(named, itemgetter(0)):
        shown = escape_html("".join(text for _, text in parts))
        markup += f'<span class="km-code-{name}">{shown}</span>' if name else shown
    return markup
