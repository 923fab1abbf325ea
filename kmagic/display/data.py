"""A data set as a card: how much there is, how it is prepared, and what a few rows look like."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kmagic.display.card import BLUE, Bundle, bar, card, escape, image
from kmagic.display.card import bundle as carry

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLES = 8
MOST_CLASSES = 12
SIDE = 32
LONG_NAME = 14
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
    picture_shape: tuple[int, ...] | None

    def layout(self) -> str:
        """Shape of one input and type of its values."""

    def span(self) -> str:
        """Range of the inputs."""

    def labels(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """Labels as whole numbers."""

    def counts(self, y: NDArray[Any]) -> NDArray[np.intp]:
        """How many rows each class has."""

    def pictures(self, x: NDArray[Any]) -> NDArray[np.uint8] | None:
        """Inputs as bytes to be shown."""


def bundle(data: Shown) -> Bundle:
    """The card of a data set, and its paragraph as plain text."""
    rows = f"{len(data.x_train):,} to train · {len(data.x_test):,} to test"
    facts = f"{data.title} · {rows}" if data.title else rows
    prepared = f"x: {data.layout()}, {data.span()}, {data.scaling.describe()} · y: {_labels(data)}"
    body = f'<div class="km-mute" style="margin-bottom:6px">{escape(prepared)}</div>'
    body += _columns(data) if data.classes is None else _classes(data)
    return carry(repr(data), card(data.name, facts, body, foot=data.note))


def _labels(data: Shown) -> str:
    if data.classes is None:
        return f"{data.target or 'values to predict'}, {data.y_train.dtype}"
    form = "one-hot rows" if data.y_train.ndim > 1 else "labels"
    return f"{form} of {len(data.classes)} classes, {data.y_train.dtype}"


def _classes(data: Shown) -> str:
    """One row a class: a few of its pictures, its share of the training part as a bar, counts."""
    names = data.classes or ()
    train, test = data.counts(data.y_train), data.counts(data.y_test)
    labels = data.labels(data.y_train)
    order = list(range(len(names)))
    if len(names) > MOST_CLASSES:
        order = np.argsort(-train, kind="stable")[:MOST_CLASSES].tolist()
    lines = [_row(["class", "", "train", "test"], "th")]
    for each in order:
        name, count = names[each], int(train[each])
        strip = _strip(data, np.flatnonzero(labels == each)[:EXAMPLES], name)
        share = bar(count / max(int(train.max()), 1), label=f"{count:,} training rows of {name}")
        middle = f'<div style="{BESIDE}">{strip}<div style="flex:1 1 90px">{share}</div></div>'
        lines.append(_row([escape(name), middle, f"{count:,}", f"{int(test[each]):,}"]))
    table = _table(lines, "Rows of each class")
    rest = np.delete(train, order)
    if rest.size:
        table += _below(
            f"and {rest.size} more classes with {rest.min():,} to {rest.max():,} training rows each"
        )
    return table


def _columns(data: Shown) -> str:
    """One row a column of a table, with the spread of its raw values; the target last."""
    raw = data.scaling.inverse(data.x_train)
    names = data.columns or tuple(f"column {each}" for each in range(raw.shape[1]))
    columns = [(name, raw[:, each]) for each, name in enumerate(names)]
    columns.append(("y", data.y_train))
    lines = [_row(["column", "", "least", "median", "most"], "th")]
    for name, values in columns:
        figures = [_figure(each) for each in (values.min(), np.median(values), values.max())]
        lines.append(_row([escape(name), _histogram(values, name), *figures]))
    what = "Spread of the raw values in the training part"
    return _table(lines, what) + _below(f"{what}.")


def _table(lines: list[str], label: str) -> str:
    head, *rows = lines
    return (
        f'<table class="km-table" aria-label="{escape(label)}"><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(cells: list[str], tag: str = "td") -> str:
    """Cells of one row: a name at the left, a picture that takes what room is left, figures."""
    name, picture, *figures = cells
    breaks = ";white-space:normal" if len(name) > LONG_NAME else ""
    return (
        f'<tr><{tag} class="km-left" style="text-align:left{breaks}">{name}</{tag}>'
        f'<{tag} class="km-left" style="text-align:left;width:82%">{picture}</{tag}>'
        f"{''.join(f'<{tag}>{each}</{tag}>' for each in figures)}</tr>"
    )


def _below(words: str) -> str:
    return f'<div class="km-mute" style="margin-top:6px">{escape(words)}</div>'


def _strip(data: Shown, rows: NDArray[np.intp], name: str) -> str:
    """Pictures of one class side by side; as many as the width holds, none cut."""
    pictures = data.pictures(data.x_train[rows])
    if pictures is None or not len(pictures):
        return ""
    side = min(pictures.shape[1], SIDE)
    shown = [
        image(*_packed(one), alt="", width=round(side * one.shape[1] / one.shape[0]), height=side)
        for one in pictures
    ]
    return (
        f'<div role="img" aria-label="{len(shown)} training pictures of {escape(name)}" '
        f'style="display:flex;flex-wrap:wrap;gap:3px;flex:0 1 auto;height:{side}px;'
        f'overflow:hidden">{"".join(shown)}</div>'
    )


def _histogram(values: NDArray[Any], name: str, bins: int = 24) -> str:
    """How values spread, as small columns."""
    counts, edges = np.histogram(values, bins=bins)
    high, step = 18, 6
    sheet = np.zeros((high, bins * step, 4), dtype=np.uint8)
    colour = [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]
    for place, count in enumerate(counts):
        tall = int(np.ceil(high * count / counts.max()))
        sheet[high - tall :, place * step : place * step + step - 1] = [*colour, 255]
    fullest = int(counts.argmax())
    words = f"{name}: most often {_figure(edges[fullest])} to {_figure(edges[fullest + 1])}"
    return image(
        _saved(sheet, "PNG"),
        "image/png",
        alt=words,
        width=sheet.shape[1],
        height=high,
        style=f"height:{high}px;min-width:48px",
    )


def _packed(picture: NDArray[np.uint8]) -> tuple[bytes, str]:
    """One picture as a small file: grey ones as ink on paper, colour ones as a photo."""
    grey = 2
    flat = picture[..., 0] if picture.ndim > grey and picture.shape[-1] == 1 else picture
    if flat.ndim == grey:
        return _saved(255 - flat, "PNG"), "image/png"
    return _saved(flat, "JPEG"), "image/jpeg"


def _saved(pixels: NDArray[np.uint8], form: str) -> bytes:
    from PIL import Image  # noqa: PLC0415 - only where a picture is drawn

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, optimize=True, quality=90)
    return stream.getvalue()


def _figure(value: Any) -> str:
    number = float(value)
    if number.is_integer() or abs(number) >= 1000:  # noqa: PLR2004 - four figures are enough
        return f"{number:,.0f}"
    return f"{number:.4g}"
