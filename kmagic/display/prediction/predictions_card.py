"""A model's answers as a card: the first samples, and what the model takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    ORANGE,
    Bundle,
    bar_html,
    card_html,
    escape_html,
    name_html,
    tooltip_text,
)
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.samples import sample_to_text
from kmagic.display.kit.thumbnail import are_images, pixel_range, thumbnail_html
from kmagic.support.formatting import (
    format_value,
    isolate_direction,
    pluralize,
    strip_control_characters,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = 10
BOX = 40  # pixels of a thumbnail
WHOLE = 160  # signs of a sample in words, in a tooltip
LONGEST = 90  # of one in its cell
IN_WORDS = 48  # of one where all is words
_LEFT = "text-align:left"  # said in the cell too: an untrusted notebook has no classes
_WRAPS = f'style="{_LEFT};white-space:normal;overflow-wrap:anywhere"'
VALUES = 6  # of one answer


class Meaning(Protocol):
    """How the answers are to be read."""

    kind: str

    def name(self, number: int) -> str:
        """A class by its number."""


class About(Protocol):
    """What is known of the answers."""

    name: str
    meaning: Meaning
    shown: Any
    names: Sequence[str]
    truth: Any
    target: str
    form: str
    note: str


class Shown(Protocol):
    """What predictions must tell to be drawn."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def told(self) -> About:
        """What is known of them."""

    @property
    def array(self) -> NDArray[Any]:
        """The plain array."""

    @property
    def probabilities(self) -> NDArray[Any] | None:
        """One a class."""

    def __len__(self) -> int:
        """How many there are."""


def predictions_bundle(found: Shown, more: str = "") -> Bundle:
    """The card of some answers, and the same in words.

    Args:
        found: The answers.
        more: A sentence for the card's foot.
    """
    about = found.told
    rows = [_Row(found, number) for number in range(min(len(found), FIRST))]
    facts = f"{pluralize(len(found), 'prediction')} \u00b7 {_what(found)}"
    foot = " ".join(filter(None, [about.note, _foot(found), more]))
    body = _table(found, rows)
    title = strip_control_characters(about.name) or "predictions"
    lines = [f"{isolate_direction(title)}: {facts}", *(each.words() for each in rows), foot]
    return carry("\n".join(lines), card_html(title, facts, body, foot=foot))


def multi_output_bundle(found: Any) -> Bundle:
    """The cards of all outputs, one below the other."""
    keys = ", ".join(map(repr, found))
    said = f"All together they are a dict: {keys}."
    last = len(found) - 1
    cards = [
        predictions_bundle(each, said if place == last else "")
        for place, each in enumerate(found.values())
    ]
    text = "\n\n".join(each["text/plain"] for each in cards)
    return carry(text, "".join(each["text/html"] for each in cards))


def _what(found: Shown) -> str:
    about = found.told
    if about.form == "classes":
        return "the most likely classes" if about.meaning.kind == "classes" else "labels"
    if about.meaning.kind == "values":
        return about.target or "values"
    if found.probabilities is found.array:
        return "probabilities"
    return f"with {'its' if len(found) == 1 else 'their'} likeliest classes"


def _foot(found: Shown) -> str:
    shape = (
        "("
        + ", ".join(f"{side:,}" for side in found.shape)
        + ("," if len(found.shape) == 1 else "")
        + ")"
    )
    more = len(found) - FIRST
    said = f"{more:,} more. " if more > 0 else ""
    return (
        f"{said}A NumPy array of shape {shape}, {found.dtype}: name it by `-o NAME` or "
        "`NAME = _`; .to_frame() makes a table."
    )


class _Row:
    """One sample and its answer."""

    def __init__(self, found: Shown, number: int) -> None:
        about = found.told
        self.number, self.about = number, about
        self.name = str(about.names[number]) if number < len(about.names) else str(number)
        self.answer = np.atleast_1d(found.array[number])
        shares = found.probabilities
        self.shares = None if shares is None else np.asarray(shares[number])
        self.best: list[int] = []
        if self.shares is not None and about.meaning.kind == "classes":
            self.best = [int(each) for each in np.argsort(-self.shares, kind="stable")[:2]]
        self.truth = _truth(about, number)

    @property
    def values(self) -> str:
        """The answer in figures."""
        flat = self.answer.reshape(-1)
        shown = ", ".join(_figure(value) for value in flat[:VALUES].tolist())
        return f"{shown} ..." if flat.size > VALUES else shown

    @property
    def labels(self) -> list[str]:
        """Of several labels, those that hold."""
        shares = self.answer if self.shares is None else self.shares
        return [self.about.meaning.name(int(n)) for n in np.flatnonzero(shares.reshape(-1) > 0.5)]  # noqa: PLR2004 - one half

    def right(self) -> bool | None:
        """Whether the best class is the true one."""
        if not self.best or self.truth is None:
            return None
        return self.truth in (self.about.meaning.name(self.best[0]), str(self.best[0]))

    def said(self) -> str:
        """The answer in words."""
        if self.best and self.shares is not None:
            named = [(self.about.meaning.name(n), float(self.shares[n])) for n in self.best]
            text = ", ".join(f"{isolate_direction(name)} {share:.1%}" for name, share in named)
        elif self.about.meaning.kind == "labels":
            text = ", ".join(map(isolate_direction, self.labels)) or "none"
        else:
            text = self.values
        right = self.right()
        if right is not None:
            return f"{text} ({'right' if right else f'wrong: {self.truth}'})"
        return f"{text} (true: {self.truth})" if self.truth is not None else text

    def words(self) -> str:
        """The sample and its answer in a line."""
        seen = _seen(self.about.shown, self.number, IN_WORDS)
        seen = f" [{seen}]" if seen else ""
        return f"  {isolate_direction(self.name)}{seen}: {self.said()}"


def _truth(about: About, number: int) -> str | None:
    if about.truth is None:
        return None
    one = np.asarray(about.truth[number])
    if about.meaning.kind == "values":
        return _figure(one.reshape(-1)[0].item()) if one.size == 1 else None
    if about.meaning.kind == "labels":
        return None
    if one.size > 1:
        return about.meaning.name(int(one.argmax()))
    value = one.reshape(-1)[0].item()
    return about.meaning.name(int(value)) if isinstance(value, int | float) else str(value)


def _seen(shown: Any, number: int, most: int = WHOLE) -> str:
    """A sample in words; "" where it is a picture or not known."""
    if shown is None or _pictures(shown) or number >= len(shown):
        return ""
    return sample_to_text(shown, number, most)


def _pictures(shown: Any) -> bool:
    if isinstance(shown, list) and shown and hasattr(shown[0], "shape"):
        return all(each is not None and each.ndim > 1 for each in shown)
    return hasattr(shown, "shape") and not hasattr(shown, "iloc") and are_images(shown)


def _table(found: Shown, rows: list[_Row]) -> str:
    about = found.told
    images = _images(about.shown, len(rows))
    named = len(about.names) > 0
    body = "".join(_line(row, images, named=named) for row in rows)
    return f'<div class="km-fit"><table class="km-table"><tbody>{body}</tbody></table></div>'


def _images(shown: Any, rows: int) -> list[str]:
    if shown is None or not _pictures(shown):
        return []
    pictures = [np.asarray(shown[number]) for number in range(min(rows, len(shown)))]
    look = pixel_range(pictures)
    return [
        thumbnail_html(each, look, box=BOX, alt=f"sample {number}")
        for number, each in enumerate(pictures)
    ]


def _line(row: _Row, images: list[str], *, named: bool) -> str:
    name = name_html(row.name.rpartition("/")[2] or row.name, 24) if named else f"{row.number:,}"
    cells = [f'<td class="km-num km-mute" style="width:1%">{name}</td>']
    if row.number < len(images):
        cells.append(f'<td class="km-left" style="{_LEFT};width:{BOX}px">{images[row.number]}</td>')
    else:
        seen = _seen(row.about.shown, row.number)
        if seen:
            short = strip_control_characters(_seen(row.about.shown, row.number, LONGEST))
            tip = (
                f' title="{tooltip_text(seen)}"' if short != strip_control_characters(seen) else ""
            )
            cells.append(f'<td class="km-left" {_WRAPS}><bdi{tip}>{escape_html(short)}</bdi></td>')
    # A sample in words takes the room that a picture leaves to the bar.
    cells.append(_answer(row, wide="40%" if row.number < len(images) else "15%"))
    return f"<tr>{''.join(cells)}</tr>"


def _answer(row: _Row, wide: str) -> str:
    if row.best and row.shares is not None:
        first = row.best[0]
        share = float(row.shares[first])
        right = row.right()
        colour = BLUE if right is None else GREEN if right else ORANGE
        label = row.about.meaning.name(first)
        second = ""
        if len(row.best) > 1:
            other = row.best[1]
            second = f"{name_html(row.about.meaning.name(other))} {row.shares[other]:.1%}"
        sign = (
            "" if right is None else (" \u2713" if right else f" \u2717 {escape_html(row.truth)}")
        )
        return (
            f'<td class="km-left" style="{_LEFT}"><b>{name_html(label)}</b>'
            f'<span style="color:{colour}">{sign}</span></td>'
            f'<td style="min-width:70px;width:{wide}">'
            f"{bar_html(share, colour=colour, label=f'{share:.1%}')}</td>"
            f'<td class="km-num">{share:.1%}</td>'
            f'<td class="km-left km-mute" style="{_LEFT}">{second}</td>'
        )
    if row.about.meaning.kind == "labels":
        said = ", ".join(map(name_html, row.labels)) or '<span class="km-mute">none</span>'
        return f'<td class="km-left" style="{_LEFT}">{said}</td>'
    truth = f'<td class="km-num km-mute">true {escape_html(row.truth)}</td>' if row.truth else ""
    return f'<td class="km-num">{escape_html(row.values)}</td>{truth}'


def _figure(value: Any) -> str:
    return format_value(value) if isinstance(value, float) else strip_control_characters(str(value))
