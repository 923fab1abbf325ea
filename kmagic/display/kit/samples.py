"""The samples behind a figure: pictures as thumbnails, texts and rows as such."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.thumbnail import (
    EncodedImage,
    are_images,
    encode_image,
    pixel_range,
    thumbnail_html,
)
from kmagic.support.formatting import (
    format_value,
    isolate_direction,
    join_names,
    shorten_name,
    strip_control_characters,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

BOX = 56  # pixels of a thumbnail
LONGEST = 160  # signs of a text
VALUES = 8  # of a row
PICTURE_AXES = 2, 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as it is shown.

    Attributes:
        number: Its place in the data.
        caption: What the model says of it, in a word or two: "0.98".
        title: What it is, for a tooltip or a screen reader.
        text: What it says, where it is no picture.
        picture: Its pixels, where it is one.
    """

    number: int
    caption: str
    title: str
    text: str = ""
    picture: NDArray[Any] | None = None


def collect_samples(
    x: Any, numbers: Iterable[int], captions: Sequence[str], titles: Sequence[str]
) -> list[Sample]:
    """Some samples, ready to be shown.

    Args:
        x: All samples; None where they are not known, then only their numbers are shown.
        numbers: Which ones.
        captions: What stands below each.
        titles: What each is, in words.
    """
    found = []
    pictures = _holds_pictures(x)
    for number, caption, title in zip(numbers, captions, titles, strict=True):
        if pictures:
            pixels = np.asarray(_take(x, number))
            found.append(Sample(int(number), caption, title, picture=pixels))
        else:
            text = "" if x is None else sample_to_text(x, number)
            found.append(Sample(int(number), caption, title, text=text))
    return found


def samples_html(samples: Sequence[Sample]) -> str:
    """Samples as HTML: thumbnails beside each other, or a list of texts."""
    pictured = [sample for sample in samples if sample.picture is not None]
    if not pictured:
        lines = "".join(
            f'<li style="margin:2px 0"><span class="km-mute">{_caption(sample)}</span> '
            f"<bdi>{html.escape(sample.text)}</bdi></li>"
            for sample in samples
        )
        return f'<ul class="km-texts" style="margin:0;padding-left:16px">{lines}</ul>'
    look = pixel_range([sample.picture for sample in pictured if sample.picture is not None])
    figures = "".join(
        f'<div class="km-thumb" title="no. {sample.number:,}">'
        f"{thumbnail_html(sample.picture, look, box=BOX, alt=f'sample {sample.number:,}')}"
        f'<div class="km-mute">{html.escape(sample.caption)}</div></div>'
        for sample in pictured
        if sample.picture is not None
    )
    return (
        '<div class="km-thumbs" style="display:flex;flex-wrap:wrap;gap:6px;'
        f'align-items:flex-end">{figures}</div>'
    )


def encode_samples(samples: Sequence[Sample]) -> list[EncodedImage | None]:
    """The pictures of some samples as small files, None where one is no picture."""
    pixels = [sample.picture for sample in samples]
    look = pixel_range([each for each in pixels if each is not None])
    return [None if each is None else encode_image(each, look, box=BOX) for each in pixels]


def sample_to_text(x: Any, number: int, most: int = LONGEST) -> str:
    """A sample that is no picture, in a line: a text, or the first values of a row.

    Args:
        x: All samples.
        number: Which one.
        most: So many signs; words and values are left out whole.

    Example:
        >>> sample_to_text(["It rains.", "It snows."], 1), sample_to_text(np.array([[1.5, 20], [0.25, 3]]), 0)
        ('It snows.', '1.5, 20')
    """
    one = _take(x, number)
    if isinstance(one, bytes):
        one = one.decode("utf-8", "replace")
    if isinstance(one, str):
        return isolate_direction(shorten_name(one.strip(), most))
    if hasattr(one, "items"):  # a row of a frame
        pairs = [f"{key} {_figure(value)}" for key, value in list(one.items())[:VALUES]]
        return _row(pairs, most, more=len(one) > VALUES)
    values = np.asarray(one)
    if values.ndim > 1:
        return f"array of shape {values.shape}"
    row = values.reshape(-1)
    figures = [_figure(value) for value in row[:VALUES].tolist()]
    return _row(figures, most, more=len(row) > VALUES)


def _row(values: Sequence[str], most: int, *, more: bool) -> str:
    return isolate_direction(
        join_names([shorten_name(value, most) for value in values], most, more=more)
    )


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return format_value(value)
    return strip_control_characters(str(value))


def _caption(sample: Sample) -> str:
    number = f"no. {sample.number:,}"
    if sample.caption in ("", number):
        return number
    return f"{number} · {html.escape(sample.caption)}"


def _holds_pictures(x: Any) -> bool:
    if x is None:
        return False
    if hasattr(x, "shape"):
        return are_images(x)
    first = x[0] if isinstance(x, list | tuple) and x else None
    if first is None or isinstance(first, str | bytes):
        return False
    pixels = np.asarray(first)
    return pixels.dtype.kind in "biuf" and pixels.ndim in PICTURE_AXES and are_images(pixels[None])


def _take(x: Any, number: int) -> Any:
    return x.iloc[int(number)] if hasattr(x, "iloc") else x[int(number)]
