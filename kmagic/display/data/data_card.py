"""A data set as a card: how much there is, how it is prepared, and what a few rows look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.data.table_preview import (
    below,
    columns,
    first_rows,
    lines,
    row,
    saved,
    shrunk,
    spread,
)
from kmagic.display.kit.card import Bundle, bar_html, card_html, escape_html, image_html
from kmagic.display.kit.card import mime_bundle as carry
from kmagic.display.kit.thumbnail import pixel_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = 8
MOST_CLASSES = 12
SIDE = 32
SOME = 64  # pictures that tell how all are to be shown
MOST_NUMBERS = 20
LONGEST = 140  # letters of a text
BESIDE = "display:flex;flex-wrap:wrap;gap:3px 16px;align-items:center"


class Shown(Protocol):
    """What a data set must tell to be drawn."""

    name: str
    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    classes: tuple[str, ...] | None
    scaling: Any
    note: str
    title: str
    columns: tuple[str, ...] | None
    target: str
    image_shape: tuple[int, ...] | None
    encoding: Any
    features: Any

    @property
    def sentences(self) -> bool:
        """Whether the inputs are texts as they were written."""

    def prepared(self) -> str:
        """What was done to the inputs."""

    def layout(self) -> str:
        """Shape of one input and type of its values."""

    def span(self) -> str:
        """Range of the inputs."""

    def labels(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Labels as whole numbers."""

    def counts(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """How many rows each class has."""

    def images(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Inputs as bytes to be shown."""


def dataset_bundle(data: Shown) -> Bundle:
    """The card of a data set, and its paragraph as plain text."""
    rows = f"{len(data.x_train):,} to train · {len(data.x_test):,} to test"
    facts = f"{data.title} · {rows}" if data.title else rows
    prepared = f"x: {data.layout()}, {data.span()}, {data.prepared()} · y: {_labels(data)}"
    parts = [f'<div class="km-mute" style="margin-bottom:6px">{escape_html(prepared)}</div>']
    if data.classes is not None:
        parts.append(_classes(data))
    if _is_table(data):
        parts += [columns(data), first_rows(data)]
    elif data.classes is None:
        parts += [_samples(data, np.arange(min(EXAMPLES, len(data.x_train))), data.name)]
        parts.append(spread(data))
    return carry(repr(data), card_html(data.name, facts, "".join(parts), foot=data.note))


def _is_table(data: Shown) -> bool:
    numbers = data.x_train.dtype.kind in "biuf" and data.x_train.ndim == 2  # noqa: PLR2004 - rows, columns
    return numbers and data.image_shape is None and data.encoding is None


def _labels(data: Shown) -> str:
    if data.classes is None:
        named = data.target not in ("", "y")
        return f"{data.target if named else 'values to predict'}, {data.y_train.dtype}"
    form = "one-hot rows" if data.y_train.ndim > 1 else "labels"
    return f"{form} of {len(data.classes)} classes, {data.y_train.dtype}"


def _classes(data: Shown) -> str:
    """One row a class: a few of its samples, its share of the training part as a bar, counts."""
    names = data.classes or ()
    train, test = data.counts(data.y_train), data.counts(data.y_test)
    labels = data.labels(data.y_train)
    order = list(range(len(names)))
    if len(names) > MOST_CLASSES:
        order = np.argsort(-train, kind="stable")[:MOST_CLASSES].tolist()
    made = [row(["class", "", "train", "test"], "th")]
    for each in order:
        name, count = names[each], int(train[each])
        strip = _samples(data, np.flatnonzero(labels == each)[:EXAMPLES], name)
        share = bar_html(
            count / max(int(train.max()), 1), label=f"{count:,} training rows of {name}"
        )
        middle = f'<div style="{BESIDE}">{strip}<div style="flex:1 1 90px">{share}</div></div>'
        made.append(row([escape_html(name), middle, f"{count:,}", f"{int(test[each]):,}"]))
    table = lines(made, "Rows of each class")
    rest = np.delete(train, order)
    if rest.size:
        table += below(
            f"and {rest.size} more classes with {rest.min():,} to {rest.max():,} training rows each"
        )
    return table


def _samples(data: Shown, rows: NDArray[np.intp], name: str) -> str:
    """A few of the inputs to be looked at: pictures, or one text; nothing for numbers."""
    if data.image_shape is not None:
        return _strip(data, rows, name)
    if not len(rows) or _is_table(data):
        return ""
    words = _text(data, int(rows[0]))
    if not words:
        return ""
    cut = words if len(words) <= LONGEST else f"{words[:LONGEST].rsplit(' ', 1)[0]} ..."
    return (
        '<div class="km-mute" style="flex:1 1 100%;white-space:normal;overflow-wrap:anywhere;'
        f'line-height:1.35"><bdi>{escape_html(cut)}</bdi></div>'
    )


def _text(data: Shown, place: int) -> str:
    """One input as words, or as word numbers where nobody knows the words."""
    one = data.x_train[place]
    if data.sentences:
        return " ".join(str(one).split())
    if data.encoding is not None:
        words: str = data.encoding.decode([one])[0]
        return words
    if data.x_train.dtype == object:
        return ", ".join(str(number) for number in list(one)[:MOST_NUMBERS]) + (
            " ..." if len(one) > MOST_NUMBERS else ""
        )
    return ""


def _strip(data: Shown, rows: NDArray[np.intp], name: str) -> str:
    """Pictures of one class side by side; as many as the width holds, none cut."""
    pictures = data.images(data.x_train[rows])
    if pictures is None or not len(pictures):
        return ""
    side = min(pictures.shape[1], SIDE)
    paper = _are_drawings(data)
    shown = [
        image_html(
            *_packed(one, paper=paper),
            alt="",
            width=round(side * one.shape[1] / one.shape[0]),
            height=side,
        )
        for one in pictures
    ]
    return (
        f'<div role="img" aria-label="{len(shown)} training pictures of {escape_html(name)}" '
        f'style="display:flex;flex-wrap:wrap;gap:3px;flex:0 1 auto;height:{side}px;'
        f'overflow:hidden">{"".join(shown)}</div>'
    )


def _are_drawings(data: Shown) -> bool:
    """Whether the pictures are ink on an empty ground, such as digits; photos in grey are not."""
    some = data.images(data.x_train[:SOME])
    if some is None:
        return False
    drawn = [pixel_range([one]).paper for one in some]
    return sum(drawn) > len(drawn) / 2


def _packed(picture: NDArray[np.uint8], *, paper: bool) -> tuple[bytes, str]:
    """One picture as a small file: drawings as ink on paper, others as photos."""
    grey, colours = 2, 3
    flat = picture[..., 0] if picture.ndim > grey and picture.shape[-1] == 1 else picture
    flat = shrunk(255 - flat if paper and flat.ndim == grey else flat, 2 * SIDE)
    if flat.ndim > grey and flat.shape[-1] == colours:
        return saved(flat, "JPEG"), "image/jpeg"
    return saved(flat, "PNG"), "image/png"
