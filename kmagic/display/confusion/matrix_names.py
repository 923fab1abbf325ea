"""Names of classes as heads of the rows and columns of a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kmagic.display.kit.card import breakable_html, name_html
from kmagic.support.formatting import escape_control_characters, shorten_names, text_width

ROW_LENGTH, TURNED_LENGTH = 44, 24  # characters of a row's name, and of a vertical one
COLUMN_SPACE, MIN_COLUMN, MAX_COLUMN = 400, 34, 92  # pixels of all columns, and of one
ROW_SPACE = 170  # pixels of the names of rows
CHARACTER_WIDTH = 6.4  # pixels
MAX_LINES = 3
IMAGENET = (1000, "tench")  # number of classes, and the first one


def shown_names(classes: Sequence[str]) -> Sequence[str]:
    """The names to show: ImageNet's have underscores in place of spaces."""
    if (len(classes), classes[0]) != IMAGENET:
        return classes
    return [name.replace("_", " ") for name in classes]


def row_heads(names: Sequence[str]) -> list[str]:
    """Names of rows as HTML, which may break after an underscore."""
    short = shorten_names([escape_control_characters(name, "") for name in names], ROW_LENGTH)
    return [
        breakable_html(name_html(name, short=text)) for name, text in zip(names, short, strict=True)
    ]


def column_heads(names: Sequence[str], width: int) -> list[str]:
    """Names of columns as HTML: vertical only if they do not fit into the width of a column.

    Vertical Chinese characters and emoji are not turned.
    """
    short = shorten_names([escape_control_characters(name, "") for name in names], TURNED_LENGTH)
    heads = []
    for name, text in zip(names, short, strict=True):
        if _fits(name, width):
            heads.append(f"<span>{breakable_html(name_html(name, len(name)))}</span>")
        else:
            kind = "km-upright" if _is_wide(name) else "km-turned"
            heads.append(f'<span class="{kind}">{name_html(name, short=text)}</span>')
    return heads


def column_width(columns: int) -> int:
    """The pixels for the name of a column."""
    return min(MAX_COLUMN, max(MIN_COLUMN, COLUMN_SPACE // max(1, columns)))


def row_width(names: Sequence[str]) -> int:
    """The pixels for the names of rows."""
    longest = max(map(text_width, names), default=0)
    return round(min(ROW_SPACE, max(64, 12 + CHARACTER_WIDTH * longest)))


def _fits(name: str, width: int) -> bool:
    """Whether a name fits into a column of some lines, broken between words."""
    words = re.findall(r"[^\s_-]*[\s_-]*", name)
    parts = [part for word in words for part in (word if _is_wide(word) else (word,))]
    limit = width / CHARACTER_WIDTH
    lines, used = 1, 0
    for size in map(text_width, parts):
        if size > limit:
            return False
        if used + size > limit:
            lines, used = lines + 1, 0
        used += size
    return lines <= MAX_LINES


def _is_wide(name: str) -> bool:
    """Whether characters of a name stand upright in vertical text, as Chinese ones do."""
    return any(text_width(character) > 1 for character in name)
