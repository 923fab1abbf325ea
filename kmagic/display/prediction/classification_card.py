"""Pictures with their most probable classes, right and wrong told by word and sign."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Bundle,
    bar_html,
    card_html,
    escape_html,
    name_html,
    read_static,
    tooltip_text,
)
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.thumbnail import (
    MAX_BYTE,
    MAX_PIXELATED,
    PixelRange,
    pixel_range,
    thumbnail_html,
)
from kmagic.display.prediction.heatmap_overlay import overlay_heatmap
from kmagic.support.formatting import isolate_direction, shorten_name, strip_control_characters

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 24
BOX, LARGE = 84, 120  # pixels of a thumbnail, and of one that is explained or has room
FEW = 4  # photos that have room
SHORT = 8  # signs of a class's name that fit into a narrow column
LONGEST = 40  # signs of a class's name
_JOINT = re.compile(r"_(?=[^<>]*(?:<|$))")  # outside of tags
LONGEST_ERROR, LONGEST_LEGEND = 300, 120  # signs


class Guess(Protocol):
    """A class and its probability."""

    label: str
    probability: float


class Picture(Protocol):
    """One picture and what it was taken for."""

    name: str
    guesses: tuple[Guess, ...]
    truth: Any
    thumbnail_html: NDArray[Any] | None
    error: str
    right: bool | None
    looked: Any

    def words(self) -> str:
        """The picture in a line."""


class Shown(Protocol):
    """What a classification must tell to be drawn."""

    pictures: tuple[Picture, ...]
    name: str
    note: str
    legend: str

    def facts(self) -> str:
        """How many and how good."""

    def summary(self) -> str:
        """What they were taken for, in a sentence."""

    def describe(self) -> str:
        """All in words, a line a picture."""


def classification_bundle(classification: Shown) -> Bundle:
    """The card of some pictures, and the same in words."""
    shown = classification.pictures[:SHOWN]
    arrays = [p.thumbnail for p in shown if p.thumbnail is not None]
    floats = [one for one in arrays if one.dtype != np.uint8]
    look = pixel_range(floats) if floats else None
    labels = [guess.label for picture in shown for guess in picture.guesses]
    narrow = max(map(len, labels), default=0) <= SHORT
    few = len(shown) <= FEW and any(max(one.shape[:2]) > MAX_PIXELATED for one in arrays)
    box = LARGE if few or classification.legend else BOX
    width = (134 if narrow else 195) + (box + 6) * (2 if classification.legend else 1)
    items = "".join(_picture(picture, look, box, narrow=narrow) for picture in shown)
    body = (
        f"<style>{read_static('classification.css')}</style>"
        '<div class="km-pics" role="list" style="display:grid;gap:14px 18px;'
        f'grid-template-columns:repeat(auto-fill, minmax(min({width}px, 100%), 1fr))">{items}</div>'
    )
    title = _plainly(classification.name) or "classification"
    foot = " ".join(_sentences(classification))
    markup = card_html(title, classification.facts(), body, foot=foot)
    return carry(words(classification), markup)


def words(classification: Shown) -> str:
    """The pictures as plain text, a line each."""
    lines = classification.describe().splitlines()
    return "\n".join([*lines[: 1 + SHOWN], *_sentences(classification)])


def _sentences(classification: Shown) -> list[str]:
    """What is said below the pictures."""
    said = []
    more = len(classification.pictures) - SHOWN
    if more > 0:
        said += [
            classification.summary(),
            f"{more:,} more pictures: [{SHOWN}:] shows the next, .to_frame() holds all.",
        ]
    if classification.legend:
        said.append(
            "The more orange a place, the more it speaks for "
            f"{isolate_direction(shorten_name(classification.legend, LONGEST_LEGEND))}; "
            "the line runs at half of the most."
        )
    note = isolate_direction(shorten_name(classification.note, LONGEST_ERROR))
    return [*said, note] if note else said


def _picture(picture: Picture, look: PixelRange | None, box: int, *, narrow: bool) -> str:
    name = "" if picture.name.isdigit() else _file(picture.name)
    title = f'<div class="km-file" title="{tooltip_text(picture.name)}">{name_html(name, LONGEST)}</div>'
    if picture.error:
        inside = (
            f'<span class="km-wrong" style="color:{ORANGE}">✗ not read</span> '
            f'<span class="km-mute">{name_html(picture.error, LONGEST_ERROR)}</span>'
        )
        return (
            f'<div class="km-pic" role="listitem"><div class="km-said">{title}{inside}</div></div>'
        )
    rows = "".join(_row(guess, picture.truth, narrow=narrow) for guess in picture.guesses)
    caption = tooltip_text(name or f"picture {picture.name}")
    return (
        '<div class="km-pic" role="listitem" style="display:flex;flex-wrap:wrap;gap:6px 10px">'
        f"{_images(picture, look, box)}"
        f'<div class="km-said" style="flex:1 1 {120 if narrow else 180}px;min-width:0">'
        f"{title if name else ''}"
        f'<table class="km-top" aria-label="{caption}"><tbody>{rows}</tbody></table>'
        f"{_verdict(picture)}{_looked(picture)}</div></div>"
    )


def _file(name: str) -> str:
    """The last part of a path or an address."""
    return os.path.basename(name.rstrip("/")) or name  # noqa: PTH119 - text of any system, not a path to be opened


def _images(picture: Picture, look: PixelRange | None, box: int) -> str:
    shown = picture.thumbnail
    if shown is None or shown.ndim == 1:
        return ""
    mine = look if look is not None and shown.dtype != np.uint8 else pixel_range([shown])
    images = [thumbnail_html(shown, mine, box=box, alt=f"picture {_plainly(picture.name)}")]
    if picture.looked is not None:
        drawn = overlay_heatmap(shown, picture.looked.heat, mine)
        told = _plainly(picture.looked.words())
        longest = max(shown.shape[:2])
        same = box if longest > MAX_PIXELATED else max(1, box // longest) * longest
        images.append(
            thumbnail_html(drawn, PixelRange(0, MAX_BYTE, paper=False), box=same, alt=told)
        )
    style = f"flex:none;width:{box + 2}px"
    return "".join(f'<div style="{style}">{one}</div>' for one in images)


def _plainly(text: str) -> str:
    return isolate_direction(shorten_name(strip_control_characters(text), 200))


def _breaking(markup: str) -> str:
    """Names that may break behind an underscore, where no style sheet lets them break anywhere."""
    return _JOINT.sub("_<wbr>", markup)


def _looked(picture: Picture) -> str:
    if picture.looked is None:
        return ""
    words = _plainly(picture.looked.words())
    return f'<div class="km-mute km-looked">{_breaking(escape_html(words))}</div>'


def _row(guess: Guess, truth: Any, *, narrow: bool) -> str:
    true = truth is None or guess.label == truth.label
    share = bar_html(guess.probability, colour=BLUE if true else GREY)
    return (
        '<tr><th scope="row" style="text-align:left;padding:1px 6px 1px 0">'
        f"{_breaking(name_html(guess.label, LONGEST))}</th>"
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
