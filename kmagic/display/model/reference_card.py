"""The cards of the language's help: a list of words, and one word with its arguments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from kmagic.display.kit.card import (
    Bundle,
    card_html,
    escape_html,
    head_cell,
    message_html,
    mime_bundle,
)
from kmagic.models.catalogue import plural_of
from kmagic.models.reference.docstring import split_sentences
from kmagic.models.reference.language_words import LanguageWord
from kmagic.models.reference.word_families import KerasWord, WordGroup, WordList
from kmagic.models.reference.word_help import ArgumentHelp, WordHelp

_WIDTH = 96
_MAX_SHOWN = 140
"""Sentences up to this many characters are shown at once; the rest unfolds."""
_LEFT = "text-align:left;vertical-align:top"
_WRAPPED = f"{_LEFT};white-space:normal"


def _table(body: str, *, head: str = "", label: str = "", style: str = "") -> str:
    label = f' aria-label="{escape_html(label)}"' if label else ""
    style = f' style="{style}"' if style else ""
    return f'<table class="km-table"{style}{label}>{head}<tbody>{body}</tbody></table>'


def _cell(content: str, style: str = _WRAPPED, classes: str = "km-left") -> str:
    return f'<td class="{classes}" style="{style}">{content}</td>'


def _row(title: str, content: str, *, width: int, style: str = "") -> str:
    """A row with a title, if it has one, and its content."""
    head = f'<th scope="row" class="km-left km-muted" style="{_LEFT};font-weight:400">{title}</th>'
    cell = _cell(content, f"{_WRAPPED};width:{width}%{style}")
    return f"<tr>{head if title else ''}{cell}</tr>"


def _header(*titles: str) -> str:
    style = 'class="km-left" style="text-align:left"'
    return f"<thead><tr>{''.join(head_cell(title, style) for title in titles)}</tr></thead>"


def _code(text: str, tooltip: str = "") -> str:
    title = f' title="{escape_html(tooltip)}"' if tooltip else ""
    return f'<code class="km-code"{title}>{escape_html(text)}</code>'


def _muted(text: str) -> str:
    return f' <span class="km-muted">{escape_html(text)}</span>' if text else ""


def _hanging(head: str, text: str, indent: int) -> list[str]:
    """Plain lines: a word, and its text wrapped beside it."""
    wrapped = textwrap.wrap(text, _WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    first = f"  {head:<{indent}}{wrapped[0] if wrapped else ''}".rstrip()
    if len(head) > indent and wrapped:
        first = f"  {head}  {wrapped[0]}"
    rest = [" " * (indent + 2) + line for line in wrapped[1:]]
    return [line.replace("\u00a0", " ") for line in (first, *rest)]


# --- lists of words -----------------------------------------------------------------------------


def word_list_bundle(words: WordList) -> Bundle:
    """The card of a list of words, and the same as plain text."""
    body = "".join(
        _brief_row(group) if words.is_brief else _long_rows(group.items) for group in words.groups
    )
    markup = card_html(words.title, words.facts, _table(body, label=words.title), foot=words.foot)
    return mime_bundle(_word_list_text(words), markup)


def _brief_row(group: WordGroup) -> str:
    words = " &nbsp; ".join(
        _code(item.word, item.summary) + _muted(item.shown_alias and f"({item.shown_alias})")
        for item in group.items
    )
    return _row(escape_html(group.title), words, width=88, style=";line-height:1.7")


def _long_rows(items: Iterable[KerasWord | LanguageWord]) -> str:
    rows = []
    for item in items:
        aliases = escape_html(", ".join(item.aliases))
        head = _code(item.word) + (f"<div>{aliases}</div>" if aliases else "")
        rows.append(_row(head, message_html(item.summary), width=80))
    return "".join(rows)


def _word_list_text(words: WordList) -> str:
    lines = [f"{words.title}: {words.facts}", ""]
    for group in words.groups:
        if words.is_brief:
            shown = (
                f"{w.word} ({w.shown_alias})" if w.shown_alias else w.word for w in group.items
            )
            text = "  ".join(word.replace(" ", "\u00a0") for word in shown)  # not to be wrapped
            lines += _hanging(group.title, text, 22)
            continue
        width = max((len(item.word) for item in group.items), default=0) + 2
        for item in group.items:
            also = f" Also: {', '.join(item.aliases)}." if item.aliases else ""
            lines += _hanging(item.word, item.summary + also, min(width, 36))
    return "\n".join([*lines, *(["", words.foot] if words.foot else [])])


# --- one word -----------------------------------------------------------------------------------


def word_help_bundle(word: WordHelp) -> Bundle:
    """The card of one word, and the same as plain text."""
    body = f'<div style="margin-bottom:6px">{_code(word.usage)}</div>{_summary(word)}'
    rows = "".join(_row(title, message_html(text), width=90) for title, text in _properties(word))
    body += _table(rows) if rows else ""
    body += _example(word)
    for title, arguments in _argument_groups(word):
        rows = "".join(map(_argument_row, arguments))
        head = _header(_parts(_parts(title, "default"), "", wide=True))
        body += _table(rows, head=head, style="margin-top:8px")
    markup = card_html(word.word, word.name or "a word of the language", body)
    return mime_bundle(_word_help_text(word), markup)


def _summary(word: WordHelp) -> str:
    summary = message_html(word.summary)
    if not word.details:
        return f'<div style="margin-bottom:6px">{summary}</div>'
    rest = "".join(f'<p style="margin:6px 0">{message_html(text)}</p>' for text in word.details)
    return f'<details style="margin-bottom:6px"><summary>{summary}</summary>{rest}</details>'


def _properties(word: WordHelp) -> list[tuple[str, str]]:
    properties = [
        ("input", word.shape_in),
        ("output", word.shape_out),
        ("also written", ", ".join(word.aliases)),
        ("also means", ", ".join(f"%keras_layers {other}" for other in word.other_meanings)),
    ]
    return [(title, text) for title, text in properties if text]


def _argument_groups(word: WordHelp) -> list[tuple[str, tuple[ArgumentHelp, ...]]]:
    groups = [("arguments", word.arguments), ("after the arrow", word.call_arguments)]
    return [(title, arguments) for title, arguments in groups if arguments]


def _example(word: WordHelp) -> str:
    if not word.example:
        note = escape_html(word.no_example)
        return f'<div class="km-foot">{note}</div>' if note else ""
    lines = [(text, "", "km-left km-muted") for text in word.setup.splitlines()]
    lines += [(line.text, line.shape, "km-left") for line in word.example]
    rows = "".join(
        f"<tr>{_cell(_code(text), f'{_LEFT};white-space:pre-wrap', classes)}"
        f'<td class="km-left km-muted" style="text-align:left">{escape_html(shape)}</td></tr>'
        for text, shape, classes in lines
    )
    return _table(rows, head=_header("example", "shape"), style="margin-top:8px")


def _argument_row(argument: ArgumentHelp) -> str:
    default = '<span class="km-muted">required</span>'
    if argument.default is not None:
        default = _code(argument.default)
    name = _parts(_code(argument.name), default)
    first, rest = _split(argument.description)
    shown = message_html(first) + _muted(_role_hint(argument))
    if rest:
        shown = f"<details><summary>{shown}</summary>{message_html(rest)}</details>"
    return f"<tr>{_cell(_parts(name, shown, wide=True))}</tr>"


def _parts(first: str, second: str, *, wide: bool = False) -> str:
    """Two parts of a cell: side by side, or below each other where there is no room."""
    sizes = ("1 1 220px", "3 1 250px") if wide else ("0 1 auto", "0 1 auto")
    parts = "".join(
        f'<div style="flex:{size};min-width:0">{part}</div>'
        for size, part in zip(sizes, (first, second), strict=True)
    )
    style = "display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 16px"
    return f'<div style="{style}">{parts}</div>'


def _role_hint(argument: ArgumentHelp) -> str:
    """How to write a boolean, or where the words of an argument are listed."""
    if argument.is_flag:
        return f"{argument.name} or !{argument.name}"
    if argument.role in ("any", "shape", "layer"):
        return ""
    return f"%keras_layers {plural_of(argument.role)}"


def _split(text: str) -> tuple[str, str]:
    """The first sentences, and the rest."""
    sentences = split_sentences(text)
    count = 1
    while len(" ".join(sentences[: count + 1])) <= _MAX_SHOWN and count < len(sentences):
        count += 1
    return " ".join(sentences[:count]), " ".join(sentences[count:])


def _word_help_text(word: WordHelp) -> str:
    name = f" ({word.name})" if word.name else ""
    lines = [f"{word.word}: {word.summary}{name}", "", f"  {word.usage}"]
    for title, text in _properties(word):
        lines += _hanging(title, text, 14)
    if word.example:
        lines += ["", "example"]
        lines += [f"  {text}" for text in word.setup.splitlines()]
        width = max(len(line.text) for line in word.example)
        lines += [f"  {line.text:<{width}}   {line.shape}".rstrip() for line in word.example]
    elif word.no_example:
        lines += ["", word.no_example]
    for title, arguments in _argument_groups(word):
        lines += ["", title, *_argument_lines(arguments)]
    return "\n".join(lines)


def _argument_lines(arguments: Sequence[ArgumentHelp]) -> list[str]:
    heads = [arg.name if arg.default is None else f"{arg.name}={arg.default}" for arg in arguments]
    width = min(max(map(len, heads)) + 2, 40)
    return [
        line
        for head, argument in zip(heads, arguments, strict=True)
        for line in _hanging(head, _split(argument.description)[0], width)
    ]
