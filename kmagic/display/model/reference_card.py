"""The language's help as a card: lists of words, and one word with all that it takes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kmagic.display.kit.card import Bundle, card_html, escape_html, message_html
from kmagic.display.kit.card import mime_bundle as carry

if TYPE_CHECKING:
    from kmagic.models.reference import ArgumentHelp, WordHelp, WordList, WordSummary

WIDTH = 96
FIRST = 140
"""Sentences of an explanation are shown at once up to so many characters; the rest unfolds."""

_LEFT = "text-align:left;vertical-align:top"
_WRAPS = f"{_LEFT};white-space:normal"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"(\[])")


def listing_bundle(found: WordList) -> Bundle:
    """The card of a list of words, and the same as plain text."""
    return carry(_listing_text(found), _listing(found))


def entry_bundle(found: WordHelp) -> Bundle:
    """The card of one word, and the same as plain text."""
    return carry(_entry_text(found), _entry(found))


def _named(name: str, inside: str, *, wide: int, spacing: str = "") -> str:
    """A row: what it is about at the left, and what there is to say."""
    head = (
        f'<th scope="row" class="km-left km-muted" style="{_LEFT};font-weight:400">{name}</th>'
        if name
        else ""
    )
    return (
        f'<tr>{head}<td class="km-left" style="{_WRAPS};width:{wide}%{spacing}">{inside}</td></tr>'
    )


def _code(text: str) -> str:
    return f'<code class="km-code">{escape_html(text)}</code>'


# --- lists --------------------------------------------------------------------------------------


def _listing(found: WordList) -> str:
    body = "".join(
        _brief_row(group.title, group.items) if found.is_brief else _long_rows(group.items)
        for group in found.groups
    )
    table = f'<table class="km-table" aria-label="{escape_html(found.title)}"><tbody>{body}</tbody></table>'
    return card_html(found.title, found.facts, table, foot=found.foot)


def _brief_row(title: str, items: Iterable[WordSummary]) -> str:
    words = " &nbsp; ".join(_word(item) for item in items)
    return _named(escape_html(title), words, wide=88, spacing=";line-height:1.7")


def _word(item: WordSummary) -> str:
    about = f' title="{escape_html(item.summary)}"' if item.summary else ""
    more = (
        f' <span class="km-muted">({escape_html(item.shown_alias)})</span>'
        if item.shown_alias
        else ""
    )
    return f'<code class="km-code"{about}>{escape_html(item.word)}</code>{more}'


def _long_rows(items: Iterable[WordSummary]) -> str:
    rows = []
    for item in items:
        also = escape_html(", ".join(item.aliases))
        head = _code(item.word) + (f"<div>{also}</div>" if also else "")
        rows.append(_named(head, message_html(item.summary), wide=80))
    return "".join(rows)


def _listing_text(found: WordList) -> str:
    lines = [f"{found.title}: {found.facts}", ""]
    for group in found.groups:
        if found.is_brief:
            words = "  ".join(_plain_word(item).replace(" ", "\u00a0") for item in group.items)
            lines += _hanging(group.title, words, 22)
        else:
            wide = max((len(item.word) for item in group.items), default=0) + 2
            for item in group.items:
                also = f" Also: {', '.join(item.aliases)}." if item.aliases else ""
                lines += _hanging(item.word, item.summary + also, min(wide, 36))
    return "\n".join([*lines, *(["", found.foot] if found.foot else [])])


def _plain_word(item: WordSummary) -> str:
    return f"{item.word} ({item.shown_alias})" if item.shown_alias else item.word


def _hanging(head: str, text: str, indent: int) -> list[str]:
    """A word and its text beside it, wrapped."""
    wrapped = textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    first = f"  {head:<{indent}}{wrapped[0] if wrapped else ''}".rstrip()
    if len(head) > indent and wrapped:
        first = f"  {head}  {wrapped[0]}"
    rest = [" " * (indent + 2) + line for line in wrapped[1:]]
    return [line.replace("\u00a0", " ") for line in (first, *rest)]


# --- one word -----------------------------------------------------------------------------------


def _entry(found: WordHelp) -> str:
    body = f'<div style="margin-bottom:6px"><code class="km-code">{escape_html(found.usage)}</code></div>'
    body += _about(found)
    body += _facts(found)
    body += _example(found)
    body += _arguments("arguments", found.arguments)
    body += _arguments("right of the arrow", found.call_arguments)
    facts = found.name or "a word of the language"
    return card_html(found.word, facts, body)


def _about(found: WordHelp) -> str:
    shown = f'<div style="margin-bottom:6px">{message_html(found.summary)}</div>'
    if not found.details:
        return shown
    rest = "".join(f'<p style="margin:6px 0">{message_html(each)}</p>' for each in found.details)
    first = f"<summary>{message_html(found.summary)}</summary>"
    return f'<details style="margin-bottom:6px">{first}{rest}</details>'


def _pairs(found: WordHelp) -> list[tuple[str, str]]:
    pairs = [
        ("takes", found.shape_in),
        ("gives", found.shape_out),
        ("also written", ", ".join(found.aliases)),
        ("also means", ", ".join(f"%keras_layers {each}" for each in found.other_meanings)),
    ]
    return [(name, said) for name, said in pairs if said]


def _facts(found: WordHelp) -> str:
    rows = "".join(_named(name, message_html(said), wide=90) for name, said in _pairs(found))
    return f'<table class="km-table"><tbody>{rows}</tbody></table>' if rows else ""


def _example(found: WordHelp) -> str:
    if not found.example:
        return (
            f'<div class="km-footer">{escape_html(found.no_example)}</div>'
            if found.no_example
            else ""
        )
    rows = [(text, "", "km-muted") for text in found.setup.splitlines()]
    rows += [(line.text, line.shape, "") for line in found.example]
    cells = "".join(
        f'<tr><td class="km-left {tone}" style="{_LEFT};white-space:pre-wrap">'
        f'<code class="km-code">{escape_html(text)}</code></td>'
        f'<td class="km-muted">{escape_html(shape)}</td></tr>'
        for text, shape, tone in rows
    )
    head = _head("an example", "shape")
    return f'<table class="km-table" style="margin-top:8px">{head}<tbody>{cells}</tbody></table>'


def _head(first: str, last: str = "") -> str:
    return (
        f'<thead><tr><th scope="col" class="km-left" style="text-align:left">{first}</th>'
        f'<th scope="col">{last}</th></tr></thead>'
    )


def _arguments(title: str, arguments: Sequence[ArgumentHelp]) -> str:
    if not arguments:
        return ""
    rows = "".join(
        f'<tr><td class="km-left" style="{_LEFT}">{_code(each.name)}</td>'
        f'<td class="km-left" style="{_WRAPS}">{_default(each)}</td>'
        f'<td class="km-left" style="{_WRAPS};width:70%">{_explained(each)}</td></tr>'
        for each in arguments
    )
    head = (
        f'<thead><tr><th scope="col" class="km-left" style="text-align:left">{title}</th>'
        f'<th scope="col" class="km-left" style="text-align:left">default</th>'
        f'<th scope="col"></th></tr></thead>'
    )
    return f'<table class="km-table" style="margin-top:8px">{head}<tbody>{rows}</tbody></table>'


def _default(argument: ArgumentHelp) -> str:
    if argument.default is None:
        return '<span class="km-muted">to be given</span>'
    return f'<code class="km-code">{escape_html(argument.default)}</code>'


def _explained(argument: ArgumentHelp) -> str:
    shown, rest = _split(argument.description)
    kind = _kind(argument)
    more = f' <span class="km-muted">{escape_html(kind)}</span>' if kind else ""
    if not rest:
        return message_html(shown) + more
    return f"<details><summary>{message_html(shown)}{more}</summary>{message_html(rest)}</details>"


def _kind(argument: ArgumentHelp) -> str:
    """What an argument's place takes, where a list of it can be asked for."""
    if argument.is_flag:
        return f"{argument.name} or !{argument.name}"
    if argument.role in ("any", "shape", "layer"):
        return ""
    plural = {"loss": "losses"}.get(argument.role, f"{argument.role}s")
    return f"%keras_layers {plural}"


def _split(text: str) -> tuple[str, str]:
    """The first sentences, and the rest."""
    sentences = _SENTENCE.split(text)
    shown = [sentences[0]]
    for each in sentences[1:]:
        if len(" ".join([*shown, each])) > FIRST:
            break
        shown.append(each)
    return " ".join(shown), " ".join(sentences[len(shown) :])


def _entry_text(found: WordHelp) -> str:
    name = f" ({found.name})" if found.name else ""
    lines = [f"{found.word}: {found.summary}{name}", "", f"  {found.usage}"]
    for name, said in _pairs(found):
        lines += _hanging(name, said, 14)
    if found.example:
        lines += ["", "an example"]
        lines += [f"  {text}" for text in found.setup.splitlines()]
        wide = max(len(line.text) for line in found.example)
        lines += [f"  {line.text:<{wide}}   {line.shape}".rstrip() for line in found.example]
    elif found.no_example:
        lines += ["", found.no_example]
    for title, arguments in (
        ("arguments", found.arguments),
        ("right of the arrow", found.call_arguments),
    ):
        if arguments:
            lines += ["", title]
        wide = max((len(_signed(each)) for each in arguments), default=0) + 2
        for each in arguments:
            lines += _hanging(_signed(each), _split(each.description)[0], min(wide, 40))
    return "\n".join(lines)


def _signed(argument: ArgumentHelp) -> str:
    return argument.name if argument.default is None else f"{argument.name}={argument.default}"
