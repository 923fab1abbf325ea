"""Names that a user or a file gave, inside a card."""

from __future__ import annotations

from kmagic.display.kit.card import escape
from kmagic.support.formatting import isolate_direction, shorten_name, strip_control_characters

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
    return f"<bdi{tip}>{escape(short)}</bdi>"


def tooltip_text(name: str, most: int = LONGEST) -> str:
    """A name as an attribute's value, of at most ``most`` signs."""
    return escape(isolate_direction(shorten_name(strip_control_characters(name), most)))
