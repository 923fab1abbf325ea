"""A drawing that stands in any notebook: in the theme's colours where it may, else as an image.

Where a notebook is not trusted, JupyterLab takes away ``<style>`` and inline ``<svg>``; the image
stays, in colours that can be read on white and on black.
"""

from __future__ import annotations

import hashlib

from kmagic.display.kit.card import image_html


def themed_svg(
    inline: str, alone: str, *, words: str, width: int, height: int, style: str = ""
) -> str:
    """A drawing as inline SVG, and as an image for where that is taken away.

    Args:
        inline: The SVG for the page.
        alone: The SVG as a document of its own, with its colours in it.
        words: What it shows.
        width: In pixels.
        height: In pixels.
        style: Rules for the inline drawing.
    """
    picture = image_html(alone.encode(), "image/svg+xml", alt=words, width=width, height=height)
    # The rules that change image for drawing are for this one alone: another, which is not
    # trusted, may stand in the same page.
    key = "km-" + hashlib.sha256(inline.encode()).hexdigest()[:10]
    return (
        f"<style>{style}.{key} .km-bare{{display:none}}"
        f".{key} .km-drawn{{display:block!important}}</style>"
        f'<div class="{key}"><span class="km-drawn" style="display:none">{inline}</span>'
        f'<span class="km-bare">{picture}</span></div>'
    )
