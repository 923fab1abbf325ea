"""A dataset as a card: its size and preparation, samples of each class, columns of a table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmagic.data.dataset import Dataset
from kmagic.data.preparation.columns import Columns, TableColumn
from kmagic.data.preparation.sliding_rows import SlidingRows
from kmagic.display.kit.card import (
    BLUE,
    Bundle,
    bar_html,
    breakable_html,
    card_html,
    escape_html,
    image_html,
    mime_bundle,
    scroll_html,
)
from kmagic.display.kit.samples import pixel_range
from kmagic.support.disk_arrays import is_on_disk
from kmagic.support.formatting import (
    format_value,
    isolate_direction,
    list_names,
    pluralize,
)

MAX_EXAMPLES = 8  # of each class
MAX_CLASSES = 12
MAX_PAIRS = 6  # of labels
MAX_IMAGE_HEIGHT = 32
MAX_STYLE_SAMPLES, MAX_STYLE_BYTES = 64, 4_000_000  # images that decide how all are displayed
MAX_INDICES = 20  # of a row of word indices
MAX_TEXT = 140  # characters
MAX_COLUMNS = 20
MAX_UNNAMED_COLUMNS = 8
MAX_ROWS = 20_000  # of a table on disk
MAX_PREVIEW_COLUMNS = 8
PREVIEW_ROWS = 3
MAX_LISTED_CATEGORIES = 3
MAX_CHART_CATEGORIES = 24
MAX_NAME = 14  # characters before a name wraps
_LONG_NAME = " km-long-name", ";white-space:normal;overflow-wrap:anywhere;min-width:96px"
CHART_HEIGHT, BAR_STEP, BINS = 18, 6, 24
DISTRIBUTION = "Distribution of the raw values in the training part"
_FLEX = "display:flex;flex-wrap:wrap;gap:3px 16px;align-items:center"


def dataset_bundle(data: Dataset) -> Bundle:
    """The card of a dataset, and its description as plain text."""
    sizes = f"{len(data.x_train):,} training · {len(data.x_test):,} test samples"
    facts = f"{data.title} · {sizes}" if data.title else sizes
    targets = [data.of(name) for name in data.by_target or ()]
    names = [data.target if data.classes is None and data.target != "y" else ""]
    names = [part.target for part in targets] or names
    forms = [_target_form(p, name) for p, name in zip(targets or [data], names, strict=True)]
    description = f"x: {data.describe_inputs()} · y: {'; '.join(forms)}"
    parts = [f'<div class="km-muted" style="margin-bottom:6px">{escape_html(description)}</div>']
    if data.classes is not None:
        parts.append(_class_table(data))
    if data.is_multilabel:
        parts.append(_pair_table(data))
    if targets:
        parts += _several_targets(data, targets)
    elif _is_table(data):
        parts += [_column_table(data), _first_rows(data)]
    elif data.classes is None:
        parts += [_samples(data, np.arange(min(MAX_EXAMPLES, len(data.x_train))), data.name)]
        parts.append(_value_table(data))
    reading = f"Read as: {data.reading}." if data.reading else ""
    foot = " ".join(filter(None, (data.note, reading)))
    return mime_bundle(repr(data), card_html(data.name, facts, "".join(parts), foot=foot))


def _target_form(data: Dataset, name: str) -> str:
    if data.classes is None:
        return f"{name or 'values to predict'}, {data.y_train.dtype}"
    form = "one-hot rows" if data.y_train.ndim > 1 else "labels"
    target = f"{form} of {pluralize(len(data.classes), 'class', 'classes')}"
    if data.is_multilabel:
        target = f"rows of 0 and 1 of {pluralize(len(data.classes), 'label')}"
    return ", ".join(filter(None, (name, target, str(data.y_train.dtype))))


def _several_targets(data: Dataset, targets: list[Dataset]) -> list[str]:
    """The classes or the values of each target, and the columns of a table."""
    values = [part for part in targets if part.classes is None]
    parts = [_class_table(part, part.target) for part in targets if part.classes is not None]
    if not parts and not _is_table(data):
        parts.append(_samples(data, np.arange(min(MAX_EXAMPLES, len(data.x_train))), data.name))
    if values:
        rows = [_row(["values", "distribution", "min", "median", "max"], "th")]
        rows += [row for part in values for row in _target_rows(part)]
        parts += [_table(rows, f"Values of {data.name}"), _caption(f"{DISTRIBUTION}.")]
    return [*parts, _column_table(data)] if _is_table(data) else parts


def _is_table(data: Dataset) -> bool:
    if data.series is not None:
        return True
    is_numeric = data.x_train.dtype.kind in "biuf" and data.x_train.ndim == 2  # noqa: PLR2004 - rows, columns
    return is_numeric and data.image_shape is None and data.encoding is None


# --- classes and samples --------------------------------------------------------------------------


def _class_table(data: Dataset, target: str = "") -> str:
    """One row per class: some of its samples, its size as a bar and in numbers.

    ``target`` is the name of one of several targets.
    """
    names = data.classes or ()
    train, test = data.counts(data.y_train), data.counts(data.y_test)
    kind, plural = ("label", "labels") if data.is_multilabel else ("class", "classes")
    labels = data.labels(data.y_train)
    order = np.arange(len(names))
    if len(names) > MAX_CLASSES:
        order = np.argsort(-train, kind="stable")[:MAX_CLASSES]
    largest = len(labels) if data.is_multilabel else int(train.max())
    rows = [_row([escape_html(target) or kind, "samples", "train", "test"], "th")]
    examples = MAX_EXAMPLES // 2 if target or data.is_multilabel else MAX_EXAMPLES
    for label in order.tolist():
        name, count = names[label], int(train[label])
        has = labels[:, label] == 1 if data.is_multilabel else labels == label
        shown = _samples(data, np.flatnonzero(has)[:examples], name)
        share = count / max(largest, 1)
        bar = bar_html(share)
        middle = f'<div style="{_FLEX}">{shown}<div style="flex:1 1 90px">{bar}</div></div>'
        rows.append(_row([escape_html(name), middle, f"{count:,}", f"{int(test[label]):,}"]))
    of = f"{target} in {data.name}" if target else data.name
    style = "margin-bottom:10px" if target else ""
    table = _table(rows, f"{plural.capitalize()} of {of}", style)
    rest = np.delete(train, order)
    if rest.size:
        sizes = f"{rest.min():,} to {rest.max():,} training samples each"
        table += _caption(
            f"and {pluralize(rest.size, f'more {kind}', f'more {plural}')} with {sizes}"
        )
    if data.is_multilabel:
        each = zip(*np.unique(labels.sum(axis=1), return_counts=True), strict=True)
        listed = list_names((f"{size} in {count:,}" for size, count in each), MAX_CLASSES)
        table += _caption(f"Labels per training sample: {listed}.")
    return table


def _pair_table(data: Dataset) -> str:
    """The labels that occur together most beyond chance."""
    names, pairs = data.classes or (), data.label_pairs(MAX_PAIRS)
    if not pairs:
        return ""
    rows = [_row(["labels together", "share of the rarer label", "train", "lift"], "th")]
    for one, other, count, lift in pairs:
        rarer = min(data.counts(data.y_train)[[one, other]].tolist())
        title = f"{isolate_direction(names[one])} + {isolate_direction(names[other])}"
        bar = bar_html(count / rarer)
        rows.append(_row([escape_html(title), bar, f"{count:,}", format_value(lift)]))
    table = _table(rows, f"Labels of {data.name} that occur together", "margin-top:10px")
    return table + _caption(
        "Lift: how many times as often the labels occur together as independent labels would."
    )


def _samples(data: Dataset, rows: NDArray[np.intp], name: str) -> str:
    """Some images, or one text; nothing for numbers."""
    if data.image_shape is not None:
        return _image_strip(data, rows, name)
    text = _text_of(data, int(rows[0])) if len(rows) and not _is_table(data) else ""
    if not text:
        return ""
    shortened = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT].rsplit(' ', 1)[0]} ..."
    return (
        '<div class="km-muted" style="flex:1 1 100%;white-space:normal;overflow-wrap:anywhere;'
        f'line-height:1.35"><bdi>{escape_html(shortened)}</bdi></div>'
    )


def _text_of(data: Dataset, row: int) -> str:
    """One input as text, or as word indices where the words are unknown."""
    sample = data.x_train[row]
    if data.is_text:
        return " ".join(str(sample).split())
    if data.encoding is not None:
        return data.encoding.decode([sample])[0]
    if data.x_train.dtype == object:
        dots = " ..." if len(sample) > MAX_INDICES else ""
        return ", ".join(map(str, list(sample)[:MAX_INDICES])) + dots
    return ""


def _image_strip(data: Dataset, rows: NDArray[np.intp], name: str) -> str:
    """Images side by side; as many as fit into the width, none cut."""
    images = data.images(data.x_train[rows])
    if images is None or not len(images):
        return ""
    height = min(images.shape[1], MAX_IMAGE_HEIGHT)
    are_drawings = _are_drawings(data)
    tags = [
        image_html(
            *_encode_image(image, as_drawing=are_drawings),
            alt="",
            width=round(height * image.shape[1] / image.shape[0]),
            height=height,
        )
        for image in images
    ]
    return (
        f'<div role="img" aria-label="{len(tags)} training images of {escape_html(name)}" '
        f'style="display:flex;flex-wrap:wrap;gap:3px;flex:0 1 auto;height:{height}px;'
        f'overflow:hidden">{"".join(tags)}</div>'
    )


def _are_drawings(data: Dataset) -> bool:
    """Whether most images are drawings on an empty background, such as digits."""
    count = max(1, min(MAX_STYLE_SAMPLES, MAX_STYLE_BYTES // max(1, data.x_train[:1].nbytes)))
    images = data.images(data.x_train[:count])
    if images is None or not len(images):
        return False
    return float(np.mean([pixel_range([image]).inverted for image in images])) > 0.5  # noqa: PLR2004 - most


def _encode_image(image: NDArray[np.uint8], *, as_drawing: bool) -> tuple[bytes, str]:
    """An image as a small file: drawings as ink on paper, colours as JPEG."""
    from PIL import Image  # noqa: PLC0415 - only where an image is drawn

    pixels = image[..., 0] if image.shape[2:] == (1,) else image
    is_grey = pixels.ndim == 2  # noqa: PLR2004 - height, width
    shown = Image.fromarray(255 - pixels if as_drawing and is_grey else pixels)
    if shown.height > 2 * MAX_IMAGE_HEIGHT:
        width = max(1, round(shown.width * 2 * MAX_IMAGE_HEIGHT / shown.height))
        shown = shown.resize((width, 2 * MAX_IMAGE_HEIGHT), reducing_gap=3.0)
    return _save(shown, "JPEG" if shown.mode == "RGB" else "PNG")


def _save(image: Any, form: str) -> tuple[bytes, str]:
    stream = io.BytesIO()
    image.save(stream, form, optimize=True, quality=90)
    return stream.getvalue(), f"image/{form.lower()}"


# --- tables ---------------------------------------------------------------------------------------


def _column_table(data: Dataset) -> str:
    """One row per column with the distribution of its raw values; the target first."""
    shown = _training_rows(data)
    whole, shown = len(shown), shown[: MAX_ROWS if is_on_disk(shown) else None]
    raw = data.scaling.inverse(shown)
    rows = [_row(["column", "distribution", "min", "median", "max"], "th")]
    is_other = data.target not in _columns_of(data).wanted
    if data.classes is None and data.by_target is None and is_other:
        rows += _target_rows(data)
    columns = _columns_of(data).split(raw)
    limit = MAX_UNNAMED_COLUMNS if data.columns is None else MAX_COLUMNS
    for column, values in columns[:limit]:
        if column.kind == "category":
            rows.append(_category_row(column, values))
        else:
            rows.append(_number_row(column.name, values[:, 0]))
    rest = len(columns) - limit
    more = f" And {rest:,} more columns." if rest > 0 else ""
    is_standard = data.scaling.kind == "standard"
    scaled = " The model sees (value - mean) / standard deviation." if is_standard else ""
    label = f"Columns of {data.name}"
    gap = "0" if data.classes is None and data.by_target is None else "10px"
    table = f'<div style="margin-top:{gap}">{_table(rows, label)}</div>'
    first = f", of its first {len(shown):,} rows" if len(shown) < whole else ""
    return table + _caption(f"{DISTRIBUTION}{first}.{scaled}{more}")


def _training_rows(data: Dataset) -> NDArray[Any]:
    """The rows of the training part: of windows, each one once, or those that begin one."""
    if data.series is None:
        return data.x_train
    sliding = SlidingRows.of(data.x_train)
    return np.asarray(data.x_train[:, 0]) if sliding is None else sliding.rows


def _first_rows(data: Dataset) -> str:
    """The first training rows as they were, and the first one as the model sees it."""
    if data.series is not None:
        return ""
    raw = data.scaling.inverse(data.x_train[:PREVIEW_ROWS])
    columns = _columns_of(data)
    shown = columns.split(raw)[:MAX_PREVIEW_COLUMNS]
    if not len(raw):
        return ""
    targets = [escape_html(name) for name in _target_names(data)[:MAX_PREVIEW_COLUMNS]]
    dots = ["..."] if len(columns.columns) > len(shown) else []
    names = [escape_html(column.name) for column, _ in shown]
    heads = "".join(f"<th><b>{name}</b></th>" for name in targets)
    header = f"<tr>{heads}{_heads([*names, *dots])}</tr>"
    rows = []
    for row in range(len(raw)):
        cells = [_raw_cell(column, values[row]) for column, values in shown]
        known = [f"<b>{cell}</b>" for cell in _target_cells(data, row)]
        rows.append(_cells([*known, *cells, *dots]))
    caption = "The first training rows."
    if data.scaling.kind != "none" or any(column.kind == "category" for column, _ in shown):
        first = columns.split(data.x_train[:1])[:MAX_PREVIEW_COLUMNS]
        prepared = [_prepared_cell(values[0]) for _, values in first]
        value = np.ravel(data.y_train[0])
        parts = np.split(value, value.size) if len(targets) > 1 else [value]
        known = [_prepared_cell(part) for part in parts[: len(targets)]]
        rows.append(_cells([*known, *prepared, *dots], mute=True))
        caption = "The first training rows; below, the first of them as the model sees it."
    label = f"The first training rows of {data.name}"
    return _table([header, *rows], label, "margin-top:10px") + _caption(caption)


def _value_table(data: Dataset) -> str:
    """Distribution of the target, and of inputs that are neither a table nor images."""
    rows = [_row(["values", "distribution", "min", "median", "max"], "th")]
    is_numeric = data.x_train.dtype.kind in "biuf" and data.encoding is None
    if is_numeric and data.image_shape is None:
        rows.append(_number_row("x", data.scaling.inverse(data.x_train[:1000])))
    return _table([*rows, *_target_rows(data)], f"Values of {data.name}") + _caption(
        f"{DISTRIBUTION}."
    )


def _columns_of(data: Dataset) -> Columns:
    width = data.x_train.shape[-1]
    if data.features is not None and len(data.features.names) == width:
        return data.features
    names = data.columns or (f"column {index}" for index in range(width))
    return Columns(tuple(map(TableColumn, names)))


def _number_row(name: str, values: NDArray[Any]) -> str:
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)
    if not finite.size:
        return _row([escape_html(name), "", "", "", ""])
    numbers = [format_value(number) for number in (finite.min(), np.median(finite), finite.max())]
    low, high = int(finite.min()), int(finite.max())
    are_few = high - low < BINS and bool((finite == np.rint(finite)).all())  # a bar for each
    bins = np.arange(low, high + 2) - 0.5 if are_few else BINS
    counts, edges = np.histogram(finite, bins=bins)
    mode = int(counts.argmax())
    most_often = f"{format_value(edges[mode])} to {format_value(edges[mode + 1])}"
    most_often = format_value(low + mode) if are_few else most_often
    chart = _bar_chart(counts, f"{name}: most often {most_often}")
    return _row([escape_html(name), chart, *numbers])


def _category_row(column: TableColumn, onehot: NDArray[Any]) -> str:
    """A bar for each category, and the most frequent ones by name."""
    counts = onehot.sum(axis=0)
    percent = 100 * counts / max(len(onehot), 1)
    order = np.argsort(-counts, kind="stable")[:MAX_LISTED_CATEGORIES]
    listed = [f"{column.categories[index]} {percent[index]:.0f}%" for index in order]
    rest = len(counts) - len(listed)
    text = escape_html(", ".join([*listed, f"{rest:,} more"] if rest else listed))
    chart = ""
    if len(counts):
        chart = _bar_chart(counts[:MAX_CHART_CATEGORIES], f"{column.name}: {text}")
    middle = (
        f'<div style="display:flex;flex-wrap:wrap;gap:0 10px;align-items:center">{chart}'
        f'<span style="white-space:normal;opacity:.75">{text}</span></div>'
    )
    return _row([escape_html(column.name), middle], span=4)


def _target_rows(data: Dataset) -> list[str]:
    y = data.y_train.reshape(len(data.y_train), -1)
    if y.shape[1] == 1 or data.series is not None:
        return [_number_row(_target_name(data), y[:, 0])]
    named = zip(_target_names(data)[:MAX_COLUMNS], y.T, strict=False)
    return [_number_row(name, values) for name, values in named]


def _target_names(data: Dataset) -> Sequence[str]:
    """The names of the columns of y: one, unless several values are predicted."""
    if data.targets:
        return data.targets
    many = data.classes is None and data.series is None and data.y_train.ndim > 1
    return [f"y {at}" for at in range(data.y_train.shape[1])] if many else [_target_name(data)]


def _target_name(data: Dataset) -> str:
    """The name of the target, if it is short."""
    return data.target if 0 < len(data.target) <= MAX_NAME else "y"


def _bar_chart(counts: NDArray[Any], description: str) -> str:
    from PIL import Image  # noqa: PLC0415 - only where an image is drawn

    pixels = np.zeros((CHART_HEIGHT, len(counts) * BAR_STEP, 4), dtype=np.uint8)
    heights = np.ceil(CHART_HEIGHT * counts / max(counts.max(), 1)).astype(int)
    colour = [*bytes.fromhex(BLUE[1:]), 255]
    for index, height in enumerate(heights):
        left = index * BAR_STEP
        pixels[CHART_HEIGHT - height :, left : left + BAR_STEP - 1] = colour
    return image_html(
        *_save(Image.fromarray(pixels), "PNG"),
        alt=description,
        width=pixels.shape[1],
        height=CHART_HEIGHT,
        style=f"height:{CHART_HEIGHT}px;min-width:{min(48, pixels.shape[1])}px",
    )


def _raw_cell(column: TableColumn, values: NDArray[Any]) -> str:
    value = column.restore(values)
    return escape_html(value) if isinstance(value, str) else format_value(value)


def _prepared_cell(values: NDArray[Any]) -> str:
    if len(values) > PREVIEW_ROWS:
        return f"{len(values):,} numbers"
    return " ".join(map(format_value, values))


def _target_cells(data: Dataset, row: int) -> list[str]:
    if data.classes is None:
        return [format_value(value) for value in np.ravel(data.y_train[row])[:MAX_PREVIEW_COLUMNS]]
    labels = data.labels(data.y_train[row : row + 1])
    found = np.flatnonzero(labels[0]).tolist() if data.is_multilabel else labels.tolist()
    names = [isolate_direction(data.classes[label]) for label in found]
    return [escape_html(list_names(names, MAX_LISTED_CATEGORIES) or "none")]


# --- HTML -----------------------------------------------------------------------------------------


def _table(rows: list[str], label: str, style: str = "") -> str:
    """A table whose first row is its header."""
    header, *body = rows
    table = f'<table class="km-table"><thead>{header}</thead><tbody>{"".join(body)}</tbody></table>'
    return scroll_html(table, label, style)


def _row(cells: list[str], tag: str = "td", *, span: int = 1) -> str:
    """A row of HTML cells: a name, a chart that takes the remaining width, numbers."""
    name, chart, *numbers = cells
    kind, wrap = _LONG_NAME if len(name) > MAX_NAME else ("", "")
    colspan = f' colspan="{span}"' if span > 1 else ""
    name = breakable_html(name) if kind else name
    return (
        f'<tr><{tag} class="km-left{kind}" style="text-align:left{wrap}">{name}</{tag}>'
        f'<{tag} class="km-left"{colspan} style="text-align:left;width:82%">{chart}</{tag}>'
        f"{''.join(f'<{tag}>{number}</{tag}>' for number in numbers)}</tr>"
    )


def _heads(names: list[str]) -> str:
    """The cells of names above columns of values."""
    heads = ""
    for name in names:
        if len(name) > MAX_NAME:
            kind, wrap = _LONG_NAME
            heads += f'<th class="{kind}" style="{wrap}">{breakable_html(name)}</th>'
        else:
            heads += f"<th>{name}</th>"
    return heads


def _cells(cells: list[str], *, mute: bool = False) -> str:
    style = ' style="opacity:.65"' if mute else ""
    return f"<tr>{''.join(f'<td{style}>{cell}</td>' for cell in cells)}</tr>"


def _caption(text: str) -> str:
    return f'<div class="km-muted" style="margin-top:6px">{escape_html(text)}</div>'
