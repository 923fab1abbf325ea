"""The card around every output, its building blocks, and the MIME bundle that carries it.

A card must be readable in an untrusted notebook, where JupyterLab removes ``<style>`` and inline
``<svg>`` but keeps tables, images with data URLs and simple ``style`` attributes. So a drawing
has an ``<img>`` as its fallback, and colours that carry meaning are set inline.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from urllib.parse import quote

from kmagic.display.kit.assets import css_for
from kmagic.support.formatting import (
    escape_control_characters,
    isolate_direction,
    shorten_name,
    shorten_names,
)

Bundle: TypeAlias = dict[str, str]

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#008060", "#7d8590"
BAR_CLASSES = {BLUE: "km-is-blue", ORANGE: "km-is-orange", GREEN: "km-is-green"}
MIDTONES = "--km-blue:#1f83c6;--km-orange:#d9660f;--km-muted:#7b828a;--km-fg:#7b828a;"
"""Colours that are legible on white and on black, for images that no theme reaches."""
PART_SHEETS = {"km-code": "kit/code.css", "km-table-scroll": "kit/table_scroll.css"}
"""Style sheets of parts that only some cards have, by a class of the part."""
TOOLTIP_LENGTH = 200
SAFE_IN_ADDRESS = " !$()*+,-./:;=@[]_{}'"


def mime_bundle(text: str, markup: str) -> Bundle:
    """Plain text and HTML, as IPython's ``display(..., raw=True)`` takes them."""
    return {"text/plain": escape_control_characters(text), "text/html": markup}


def card_html(title: str, facts: str, body: str, *, foot: str = "", aside: str = "") -> str:
    """One card: body and aside are HTML, the rest is text; backticks in the foot mark code."""
    title, facts = escape_html(title), escape_html(facts)
    right = f'<span class="km-spacer"></span>{aside}' if aside else ""
    footer = f'<div class="km-footer">{message_html(foot)}</div>' if foot else ""
    return (
        f"<style>{css_for(body + footer, 'kit/card.css', PART_SHEETS)}</style>"
        f'<div class="kmagic" role="group" aria-label="{title}: {facts}">'
        f'<div class="km-header"><span class="km-title"><b><bdi>{title}</bdi></b></span> '
        f'<span class="km-muted">{facts}</span>{right}</div>'
        f"{body}{footer}</div>"
    )


# --- text ---------------------------------------------------------------------------------------


def escape_html(value: object) -> str:
    """A value as HTML text, so that nothing a user or a file contains becomes markup."""
    return html.escape(escape_control_characters(str(value)), quote=True)


def message_html(text: str) -> str:
    """A sentence as HTML, with code between backticks.

    Example:
        >>> message_html("a < b: `-o NAME`")
        'a &lt; b: <code class="km-code" style="white-space:normal">-o NAME</code>'
    """
    code = r'<code class="km-code" style="white-space:normal">\1</code>'
    return re.sub(r"`([^`]+)`", code, escape_html(text))


def name_html(name: str, most: int = 24, *, short: str = "") -> str:
    """A user's name for something: escaped, isolated, and shortened with the whole as tooltip."""
    whole = escape_control_characters(name, "")
    short = short or shorten_name(whole, most)
    tooltip = f' title="{tooltip_text(name)}"' if short != whole else ""
    return f"<bdi{tooltip}>{escape_html(short)}</bdi>"


def names_html(names: Sequence[str], most: int) -> list[str]:
    """The same for names that belong together: different ones stay different."""
    short = shorten_names([escape_control_characters(name, "") for name in names], most)
    return [name_html(name, short=text) for name, text in zip(names, short, strict=True)]


def full_name_html(name: str) -> str:
    """A user's name where there is room for all of it."""
    return name_html(name, TOOLTIP_LENGTH)


def tooltip_text(name: str, most: int = TOOLTIP_LENGTH) -> str:
    """A name as the value of an attribute, shortened to ``most`` characters."""
    return escape_html(isolate_direction(shorten_name(name, most)))


def breakable_html(markup: str) -> str:
    """HTML of a name, with its underscores as points where a line may break.

    Example:
        >>> breakable_html('<bdi title="a_b">a_b</bdi>')
        '<bdi title="a_b">a_<wbr>b</bdi>'
    """
    return re.sub(r"_(?=[^<>]*(?:<|$))", "_<wbr>", markup)  # outside of tags


# --- building blocks ----------------------------------------------------------------------------


def figure_html(label: str, value: str) -> str:
    """A large figure below its label, which is HTML."""
    return (
        f'<div class="km-muted">{label}</div>'
        '<div style="font-size:20px;line-height:1.3;font-variant-numeric:tabular-nums">'
        f"{value}</div>"
    )


def bar_html(share: float, *, colour: str = BLUE, label: str = "") -> str:
    """A thin horizontal bar; ``share`` is its length from 0 to 1."""
    width = 100 * min(max(share, 0.0), 1.0)
    name = f' role="img" aria-label="{escape_html(label)}"' if label else ' aria-hidden="true"'
    return (
        f'<span class="km-bar"{name} style="display:block;height:6px">'
        f'<span class="{BAR_CLASSES.get(colour, "")}" style="display:block;height:6px;'
        f'width:{width:.1f}%;background-color:{colour}"></span></span>'
    )


def table_html(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose rows begin with their name; all cells are HTML."""
    left = 'style="text-align:left"'
    first, *others = heads
    head = head_cell(first, left) + "".join(map(head_cell, others))
    body = "".join(
        f'<tr><th scope="row" {left}>{name}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return (
        '<table class="km-table" style="width:auto">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def head_cell(text: str, attributes: str = "") -> str:
    """A cell of a header; one without text heads nothing."""
    return f'<th scope="col" {attributes}>{text}</th>' if text else f"<td {attributes}></td>"


def scroll_html(table: str, label: str, style: str = "") -> str:
    """A table that scrolls where it is wider than its card; its first column stays in view.

    The label says what the table contains, for screen readers.
    """
    return (
        f'<div class="km-table-scroll" tabindex="0" role="region" aria-label="{escape_html(label)}"'
        f' style="overflow-x:auto;{style}">{table}</div>'
    )


def details_html(title: str, inside: str) -> str:
    """A part of a card that opens on a click; title and inside are HTML."""
    return (
        f'<details class="km-fold" style="margin-top:8px"><summary style="cursor:pointer">{title}'
        f'</summary><div style="overflow-x:auto;margin-top:6px">{inside}</div></details>'
    )


def image_html(
    data: bytes, mime: str, *, alt: str, width: int, height: int, style: str = ""
) -> str:
    """An image that is saved within the notebook."""
    if mime == "image/svg+xml":  # shorter than base64
        address = f"data:{mime},{quote(data, safe=SAFE_IN_ADDRESS)}"
    else:
        address = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
    return (
        f'<img src="{address}" alt="{escape_html(alt)}" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto;{style}">'
    )


# --- drawings -----------------------------------------------------------------------------------


def drawing_html(inline: str, standalone: str, *, alt: str, width: int, height: int) -> str:
    """A drawing for :func:`with_drawings`: inline SVG, and an SVG document as its fallback."""
    image = image_html(standalone.encode(), "image/svg+xml", alt=alt, width=width, height=height)
    return (
        f'<span class="km-inline" style="display:none">{inline}</span>'
        f'<span class="km-fallback">{image}</span>'
    )


def with_drawings(body: str, css: str, *, kind: str = "", style: str = "", key: str = "") -> str:
    """An element whose drawings are inline where the notebook is trusted, and else images.

    The body contains drawings of :func:`drawing_html`; ``kind`` is a class of the element, ``key``
    that of the widget that makes it interactive.
    """
    # The rules that replace image by drawing apply to this element alone: the same page may show
    # another card that is not trusted.
    own = "km-" + hashlib.sha256(body.encode()).hexdigest()[:10]
    attributes = f'class="{f"{kind} {own}".strip()}"'
    attributes += f' style="{style}"' if style else ""
    attributes += f' data-km="{key}"' if key else ""
    return (
        f"<style>{css}.{own} .km-fallback{{display:none}}"
        f".{own} .km-inline{{display:block!important}}</style>"
        f"<div {attributes}>{body}</div>"
    )
