"""A table within a data set's card: how each column spreads, and the first rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.card import BLUE, escape_html, image_html
from kmagic.support.formatting import format_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_COLUMNS = 20
MOST_UNNAMED = 8
MOST_WIDE = 8  # columns of the first rows
FIRST = 3
NAMED = 3  # words of a category that are named
MOST_WORDS = 24  # words of a category that are drawn
LONG_NAME = 14
HIGH, STEP, BINS = 18, 6, 24


def columns(data: Any) -> str:
    """One row a column of a table, with the spread of its raw values; the target last.

    Args:
        data: A data set whose inputs are (rows, columns).
    """
    raw = data.scaling.inverse(data.x_train)
    made = [row(["column", "", "least", "median", "most"], "th")]
    named = _named(data, raw.shape[1])
    most = MOST_UNNAMED if data.columns is None else MOST_COLUMNS
    for column, at in named[:most]:
        if column.kind == "category":
            made.append(_words(column, raw[:, at : at + len(column.categories)]))
        else:
            made.append(_numbers(column.name, raw[:, at]))
    if data.classes is None:
        made += _targets(data)
    what = "Spread of the raw values in the training part"
    rest = len(named) - most
    more = f" And {rest:,} more columns." if rest > 0 else ""
    scaled = ""
    if data.scaling.kind == "standard":
        scaled = " A model takes them less their mean, divided by their standard deviation."
    gap = "10px" if data.classes is not None else "0"
    table = f'<div style="margin-top:{gap}">{lines(made, what)}</div>'
    return table + below(f"{what}.{scaled}{more}")


def first_rows(data: Any) -> str:
    """The first rows of the training part as they were, and one as the model sees it.

    Args:
        data: A data set whose inputs are (rows, columns).
    """
    raw = data.scaling.inverse(data.x_train[:FIRST])
    named = _named(data, raw.shape[1])[:MOST_WIDE]
    if not len(raw) or (len(data.y_train.shape) > 1 and data.classes is None):
        return ""
    names = [escape_html(column.name) for column, _ in named]
    cut = data.x_train.shape[1] > named[-1][1] + len(named[-1][0].names)
    dots = ["..."] if cut else []
    target = escape_html(_called(data))
    made = [_cells([*names, *dots, f"<b>{target}</b>"], "th")]
    for place, one in enumerate(raw):
        cells = [_cell(column, one[at : at + len(column.names)]) for column, at in named]
        made.append(_cells([*cells, *dots, f"<b>{_target(data, place)}</b>"]))
    if data.scaling.kind != "none" or any(column.kind == "category" for column, _ in named):
        seen = [_seen(data.x_train[0, at : at + len(column.names)]) for column, at in named]
        label = _seen(np.ravel(data.y_train[0]))
        made.append(_cells([*seen, *dots, label], mute=True))
        note = below("The first training rows; last, the first of them as a model takes it.")
    else:
        note = below("The first training rows.")
    head, *rows = made
    return (
        '<div class="km-fit" style="overflow-x:auto;margin-top:10px">'
        '<table class="km-table" aria-label="The first training rows">'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def spread(data: Any) -> str:
    """How the target spreads, and the inputs, where they are neither a table nor pictures."""
    made = [row(["values", "", "least", "median", "most"], "th")]
    is_array = data.x_train.dtype.kind in "biuf" and data.encoding is None
    if is_array and data.image_shape is None:
        made.append(_numbers("x", data.scaling.inverse(data.x_train[:1000])))
    what = "Spread of the raw values in the training part"
    return lines([*made, *_targets(data)], what) + below(f"{what}.")


def lines(made: list[str], label: str) -> str:
    """A table of rows, the first its head."""
    head, *rows = made
    return (
        f'<div class="km-fit"><table class="km-table" aria-label="{escape_html(label)}">'
        f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(cells: list[str], tag: str = "td", *, span: int = 1) -> str:
    """Cells of one row: a name at the left, a picture that takes what room is left, figures.

    Args:
        cells: HTML.
        tag: "td" or "th".
        span: Over how many columns the picture reaches.
    """
    name, picture, *figures = cells
    breaks = ";white-space:normal;overflow-wrap:anywhere" if len(name) > LONG_NAME else ""
    wide = f' colspan="{span}"' if span > 1 else ""
    return (
        f'<tr><{tag} class="km-left" style="text-align:left{breaks}">{name}</{tag}>'
        f'<{tag} class="km-left"{wide} style="text-align:left;width:82%">{picture}</{tag}>'
        f"{''.join(f'<{tag}>{each}</{tag}>' for each in figures)}</tr>"
    )


def below(words: str) -> str:
    """A quiet line."""
    return f'<div class="km-mute" style="margin-top:6px">{escape_html(words)}</div>'


def saved(pixels: NDArray[np.uint8], form: str) -> bytes:
    """Pixels as a small file."""
    from PIL import Image  # noqa: PLC0415 - only where a picture is drawn

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, optimize=True, quality=90)
    return stream.getvalue()


def shrunk(pixels: NDArray[np.uint8], high: int) -> NDArray[np.uint8]:
    """Pixels of at most this height, in their own proportions."""
    from PIL import Image  # noqa: PLC0415 - only where a picture is drawn

    if pixels.shape[0] <= high:
        return pixels
    wide = max(1, round(pixels.shape[1] * high / pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize((wide, high), reducing_gap=3.0))


class _Plain:
    """A column of numbers, of which only the name is known."""

    kind = "number"
    categories: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.names = (name,)


def _named(data: Any, wide: int) -> list[tuple[Any, int]]:
    """The columns, and where the numbers of each begin."""
    if data.features is not None and len(data.features.names) == wide:
        found = list(data.features.columns)
    else:
        names = data.columns or tuple(f"column {each}" for each in range(wide))
        found = [_Plain(name) for name in names]
    starts = np.cumsum([0, *(len(column.names) for column in found)])
    return list(zip(found, starts.tolist(), strict=False))


def _numbers(name: str, values: NDArray[Any]) -> str:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)
    if not finite.size:
        return row([escape_html(name), "", "", "", ""])
    figures = [format_value(each) for each in (finite.min(), np.median(finite), finite.max())]
    return row([escape_html(name), _histogram(finite, name), *figures])


def _words(column: Any, onehot: NDArray[Any]) -> str:
    """A category: a small column for each word, and the most frequent ones by name."""
    counts = onehot.sum(axis=0)
    shares = 100 * counts / max(len(onehot), 1)
    order = np.argsort(-counts, kind="stable")
    said = [f"{column.categories[at]} {shares[at]:.0f}%" for at in order[:NAMED]]
    more = [f"{len(counts) - NAMED:,} more"] if len(counts) > NAMED else []
    words = escape_html(", ".join([*said, *more]))
    picture = _drawn(counts[:MOST_WORDS], f"{column.name}: {words}") if len(counts) else ""
    middle = (
        f'<div style="display:flex;flex-wrap:wrap;gap:0 10px;align-items:center">{picture}'
        f'<span style="white-space:normal;opacity:.75">{words}</span></div>'
    )
    return row([escape_html(column.name), middle], span=4)


def _called(data: Any) -> str:
    """The target's name, if it is short: a column's own."""
    name: str = data.target
    return name if 0 < len(name) <= LONG_NAME else "y"


def _targets(data: Any) -> list[str]:
    y = data.y_train.reshape(len(data.y_train), -1)
    single = y.shape[1] == 1
    return [
        _numbers(_called(data) if single else f"y {place}", y[:, place])
        for place in range(min(y.shape[1], MOST_COLUMNS))
    ]


def _histogram(values: NDArray[Any], name: str) -> str:
    """How values spread, as small columns."""
    counts, edges = np.histogram(values, bins=BINS)
    fullest = int(counts.argmax())
    words = (
        f"{name}: most often {format_value(edges[fullest])} to {format_value(edges[fullest + 1])}"
    )
    return _drawn(counts, words)


def _drawn(counts: NDArray[Any], words: str) -> str:
    sheet = np.zeros((HIGH, len(counts) * STEP, 4), dtype=np.uint8)
    colour = [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]
    for place, count in enumerate(counts):
        tall = int(np.ceil(HIGH * count / max(counts.max(), 1)))
        sheet[HIGH - tall :, place * STEP : place * STEP + STEP - 1] = [*colour, 255]
    return image_html(
        saved(sheet, "PNG"),
        "image/png",
        alt=words,
        width=sheet.shape[1],
        height=HIGH,
        style=f"height:{HIGH}px;min-width:{min(48, sheet.shape[1])}px",
    )


def _cells(cells: list[str], tag: str = "td", *, mute: bool = False) -> str:
    tone = ' style="opacity:.65"' if mute else ""
    return f"<tr>{''.join(f'<{tag}{tone}>{each}</{tag}>' for each in cells)}</tr>"


def _cell(column: Any, numbers: NDArray[Any]) -> str:
    """A raw cell of a table."""
    if column.kind != "category":
        return format_value(numbers[0])
    there = len(numbers) and numbers.max() > 0.5  # noqa: PLR2004 - nought or one, after rounding
    return escape_html(column.categories[int(numbers.argmax())]) if there else ""


def _seen(numbers: NDArray[Any]) -> str:
    """The numbers of a cell as a model takes them."""
    if len(numbers) > FIRST:
        return f"{len(numbers):,} numbers"
    return " ".join(format_value(each) for each in numbers)


def _target(data: Any, place: int) -> str:
    if data.classes is None:
        return format_value(data.y_train[place])
    return escape_html(data.classes[int(data.labels(data.y_train[place : place + 1])[0])])
