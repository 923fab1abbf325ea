"""The card that every output stands in, and the bundle that carries it.

A bundle's HTML must stand where a notebook is not trusted: JupyterLab then takes away ``<style>``
and inline ``<svg>`` and keeps tables, images with data addresses and simple ``style`` attributes.
So a picture is an ``<img>``, a figure is a table, and colours that carry meaning are set inline.
"""

from __future__ import annotations

import base64
import html
import re
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from kmagic.support.formatting import isolate_direction, shorten_name, strip_control_characters

Bundle: TypeAlias = dict[str, str]

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#008060", "#7d8590"
BAR_CLASSES = {BLUE: "km-is-blue", ORANGE: "km-is-orange", GREEN: "km-is-green"}


def escape_html(value: object) -> str:
    """Text as text: nothing a user or a file says becomes markup."""
    return html.escape(str(value), quote=True)


@cache
def read_static(name: str = "card.css") -> str:
    """A style sheet of the package, by its file name."""
    return files("kmagic").joinpath("static", name).read_text(encoding="utf-8")


@cache
def minified_css(name: str = "card.css") -> str:
    """A style sheet without what is for its readers: it travels in every output."""
    bare = re.sub(r"/\*.*?\*/", "", read_static(name), flags=re.DOTALL)
    return re.sub(r"\s*([{};,])\s*|(:)\s+", r"\1\2", bare).strip()


def message_html(text: str) -> str:
    """A sentence as HTML: what stands between backticks is code, the rest is text.

    Example:
        >>> message_html("a < b: `-o NAME`")
        'a &lt; b: <code class="km-code" style="white-space:normal">-o NAME</code>'
    """
    code = r'<code class="km-code" style="white-space:normal">\1</code>'
    return re.sub(r"`([^`]+)`", code, escape_html(text))


def card_html(title: str, facts: str, body: str, *, foot: str = "", aside: str = "") -> str:
    """One card as HTML.

    Args:
        title: What it shows, as plain text.
        facts: How much, how good: the rest of the header line, as plain text.
        body: HTML, already escaped where it must be.
        foot: A line below, as plain text; what stands between backticks becomes code.
        aside: HTML at the right end of the header line.
    """
    right = f'<span class="km-space"></span>{aside}' if aside else ""
    below = f'<div class="km-foot">{message_html(foot)}</div>' if foot else ""
    return (
        f"<style>{minified_css()}</style>"
        f'<div class="kmagic" role="group" aria-label="{escape_html(title)}: {escape_html(facts)}">'
        f'<div class="km-head"><span class="km-title"><b><bdi>{escape_html(title)}</bdi></b></span> '
        f'<span class="km-mute">{escape_html(facts)}</span>{right}</div>'
        f"{body}{below}</div>"
    )


def bar_html(share: float, *, colour: str = BLUE, label: str = "") -> str:
    """A thin horizontal bar; ``share`` is its length from 0 to 1."""
    width = 100 * min(max(share, 0.0), 1.0)
    name = f' role="img" aria-label="{escape_html(label)}"' if label else ' aria-hidden="true"'
    tone = BAR_CLASSES.get(colour, "")
    return (
        f'<span class="km-bar"{name} style="display:block;height:6px">'
        f'<span class="{tone}" style="display:block;height:6px;width:{width:.1f}%;'
        f'background-color:{colour}"></span></span>'
    )


def image_html(
    data: bytes, mime: str, *, alt: str, width: int, height: int, style: str = ""
) -> str:
    """A picture that travels inside the notebook."""
    address = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
    return (
        f'<img src="{address}" alt="{escape_html(alt)}" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto;{style}">'
    )


def mime_bundle(text: str, markup: str) -> Bundle:
    """Plain words and HTML, as IPython's ``display(..., raw=True)`` takes them."""
    return {"text/plain": text, "text/html": markup}


LONGEST = 200  # signs of a name in a tooltip


def name_html(name: str, most: int = 24) -> str:
    """A name as HTML: escaped, short, and unable to turn the words around it.

    Args:
        name: The name as it was given.
        most: How many signs are shown; the whole of a longer one is in its tooltip.
    """
    whole = strip_control_characters(name)
    short = shorten_name(whole, most)
    tip = f' title="{tooltip_text(name)}"' if short != whole else ""
    return f"<bdi{tip}>{escape_html(short)}</bdi>"


def tooltip_text(name: str, most: int = LONGEST) -> str:
    """A name as an attribute's value, of at most ``most`` signs."""
    return escape_html(isolate_direction(shorten_name(strip_control_characters(name), most)))
