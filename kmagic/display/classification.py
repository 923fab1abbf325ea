"""Pictures with their most probable classes, right and wrong told by word and sign."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.card import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Bundle,
    bar,
    card,
    escape,
    stylesheet,
)
from kmagic.display.card import bundle as carry
from kmagic.display.names import hint, name_html
from kmagic.display.thumbnail import Look, look_of, thumbnail

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 24
BOX = 84  # pixels of a thumbnail
SHORT = 8  # signs of a class's name that fit into a narrow column
LONGEST = 40  # signs of a class's name


class Guess(Protocol):
    """A class and its probability."""

    label: str
    probability: float


class Picture(Protocol):
    """One picture and what it was taken for."""

    name: str
    guesses: tuple[Guess, ...]
    truth: Any
    thumbnail: NDArray[Any] | None
    error: str
    right: bool | None

    def words(self) -> str:
        """The picture in a line."""


class Shown(Protocol):
    """What a classification must tell to be drawn."""

    pictures: tuple[Picture, ...]
    name: str
    note: str

    def facts(self) -> str:
        """How many and how good."""

    def describe(self) -> str:
        """All in words, a line a picture."""


def bundle(classification: Shown) -> Bundle:
    """The card of some pictures, and the same in words."""
    shown = classification.pictures[:SHOWN]
    arrays = [p.thumbnail for p in shown if p.thumbnail is not None]
    floats = [one for one in arrays if one.dtype != np.uint8]
    look = look_of(floats) if floats else None
    labels = [guess.label for picture in shown for guess in picture.guesses]
    narrow = max(map(len, labels), default=0) <= SHORT
    width = 220 if narrow else 285
    items = "".join(_picture(picture, look, narrow=narrow) for picture in shown)
    body = (
        f"<style>{stylesheet('classification.css')}</style>"
        '<div class="km-pics" style="display:grid;gap:14px 18px;'
        f'grid-template-columns:repeat(auto-fill, minmax({width}px, 1fr))">{items}</div>'
    )
    more = len(classification.pictures) - len(shown)
    left_out = f"{more:,} more pictures: .to_frame() holds all." if more else ""
    foot = " ".join(filter(None, [left_out, classification.note]))
    markup = card(classification.name or "classification", classification.facts(), body, foot=foot)
    return carry(words(classification), markup)


def words(classification: Shown) -> str:
    """The pictures as plain text, a line each."""
    lines = classification.describe().splitlines()
    more = len(lines) - 1 - SHOWN
    tail = [f"{more:,} more pictures: .to_frame() holds all."] if more > 0 else []
    note = [classification.note] if classification.note else []
    return "\n".join([*lines[: 1 + SHOWN], *tail, *note])


def _picture(picture: Picture, look: Look | None, *, narrow: bool) -> str:
    name = "" if picture.name.isdigit() else os.path.basename(picture.name)  # noqa: PTH119 - text of any system, not a path to be opened
    title = f'<div class="km-file" title="{hint(picture.name)}">{name_html(name)}</div>'
    if picture.error:
        inside = (
            f'<span class="km-wrong" style="color:{ORANGE}">✗ not read</span> '
            f'<span class="km-mute">{escape(picture.error)}</span>'
        )
        return f'<div class="km-pic"><div class="km-said">{title}{inside}</div></div>'
    rows = "".join(_row(guess, picture.truth, narrow=narrow) for guess in picture.guesses)
    return (
        f'<div class="km-pic" style="display:flex;gap:10px">{_image(picture, look)}'
        f'<div class="km-said" style="flex:1 1 0;min-width:0">{title if name else ""}'
        f'<table class="km-top"><tbody>{rows}</tbody></table>{_verdict(picture)}</div></div>'
    )


def _image(picture: Picture, look: Look | None) -> str:
    shown = picture.thumbnail
    if shown is None or shown.ndim == 1:
        return ""
    alt = f"picture {hint(picture.name)}"
    mine = look if look is not None and shown.dtype != np.uint8 else look_of([shown])
    return (
        f'<div style="flex:none;width:{BOX + 2}px">{thumbnail(shown, mine, box=BOX, alt=alt)}</div>'
    )


def _row(guess: Guess, truth: Any, *, narrow: bool) -> str:
    true = truth is None or guess.label == truth.label
    share = bar(guess.probability, colour=BLUE if true else GREY)
    return (
        '<tr><th scope="row" style="text-align:left;padding:1px 6px 1px 0">'
        f"{name_html(guess.label, LONGEST)}</th>"
        f'<td style="width:{55 if narrow else 40}%;padding:1px 0">{share}</td>'
        '<td class="km-num" style="padding:1px 0 1px 6px">'
        f"{100 * guess.probability:.1f}</td></tr>"
    )


def _verdict(picture: Picture) -> str:
    truth = picture.truth
    if truth is None:
        return ""
    if picture.right:
        return f'<div class="km-right" style="color:{GREEN}">✓ right</div>'
    place = ""
    if truth.rank > len(picture.guesses):
        place = (
            f' <span class="km-mute" style="font-weight:400">place {truth.rank:,}, '
            f"{100 * truth.probability:.1f}</span>"
        )
    return (
        f'<div class="km-wrong" style="color:{ORANGE};font-weight:600">✗ it is '
        f"{name_html(truth.label, LONGEST)}{place}</div>"
    )
