"""Samples in a card: images as thumbnails, texts and rows as lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmagic.display.kit.card import escape_html
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

THUMBNAIL_SIZE = 56  # pixels
TEXT_LENGTH = 160  # characters
MAX_VALUES = 8  # of a row
IMAGE_AXES = 2, 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as it is shown.

    Attributes:
        index: Its index in the data.
        caption: A word or two about it, such as the probability of its class.
        title: What it is, for a tooltip or a screen reader.
        text: Its text or values, unless it is an image.
        image: Its pixels, if it is an image.
    """

    index: int
    caption: str
    title: str
    text: str = ""
    image: NDArray[Any] | None = None


def collect_samples(
    x: Any, indices: Iterable[int], captions: Sequence[str], titles: Sequence[str]
) -> list[Sample]:
    """Some samples of ``x``, ready to be shown; ``x`` is None if only indices are known."""
    samples = []
    with_images = _contains_images(x)
    for index, caption, title in zip(indices, captions, titles, strict=True):
        if with_images:
            image = np.asarray(_take(x, index))
            samples.append(Sample(int(index), caption, title, image=image))
        else:
            text = "" if x is None else sample_to_text(x, index)
            samples.append(Sample(int(index), caption, title, text=text))
    return samples


def samples_html(samples: Sequence[Sample]) -> str:
    """Samples as HTML: thumbnails in rows, or a list of texts."""
    images = [sample.image for sample in samples if sample.image is not None]
    if not images:
        lines = "".join(
            f'<li style="margin:2px 0"><span class="km-muted">{_caption(sample)}</span> '
            f"<bdi>{escape_html(sample.text)}</bdi></li>"
            for sample in samples
        )
        return f'<ul class="km-texts" style="margin:0;padding-left:16px">{lines}</ul>'
    pixels = pixel_range(images)
    thumbnails = []
    for sample in samples:
        if sample.image is None:
            continue
        alt = f"sample {sample.index:,}"
        image = thumbnail_html(sample.image, pixels, box=THUMBNAIL_SIZE, alt=alt)
        thumbnails.append(
            f'<div class="km-thumb" title="#{sample.index:,}">{image}'
            f'<div class="km-muted">{escape_html(sample.caption)}</div></div>'
        )
    return (
        '<div class="km-thumbs" style="display:flex;flex-wrap:wrap;gap:6px;'
        f'align-items:flex-end">{"".join(thumbnails)}</div>'
    )


def encode_samples(samples: Sequence[Sample]) -> list[EncodedImage | None]:
    """The images of some samples as small files; None for a sample that is not an image."""
    images = [sample.image for sample in samples]
    pixels = pixel_range([image for image in images if image is not None])
    return [
        None if image is None else encode_image(image, pixels, box=THUMBNAIL_SIZE)
        for image in images
    ]


def sample_to_text(x: Any, index: int, most: int = TEXT_LENGTH) -> str:
    """A sample that is not an image, in a line: a text, or the first values of a row.

    Args:
        x: All samples.
        index: The sample.
        most: Maximum number of characters; words and values are not cut.

    Example:
        >>> sample_to_text(["It rains.", "It snows."], 1)
        'It snows.'
        >>> sample_to_text(np.array([[1.5, 20], [0.25, 3]]), 0)
        '1.5, 20'
    """
    sample = _take(x, index)
    if isinstance(sample, bytes):
        sample = sample.decode("utf-8", "replace")
    if isinstance(sample, str):
        return isolate_direction(shorten_name(sample.strip(), most))
    if hasattr(sample, "items"):  # a row of a data frame
        items = list(sample.items())
        values = [f"{key} {_value(value)}" for key, value in items[:MAX_VALUES]]
        return _row(values, most, more=len(items) > MAX_VALUES)
    array = np.asarray(sample)
    if array.ndim > 1:
        return f"array of shape {array.shape}"
    row = array.reshape(-1)
    values = [_value(value) for value in row[:MAX_VALUES].tolist()]
    return _row(values, most, more=len(row) > MAX_VALUES)


def _row(values: Sequence[str], most: int, *, more: bool) -> str:
    shortened = [shorten_name(value, most) for value in values]
    return isolate_direction(join_names(shortened, most, more=more))


def _value(value: Any) -> str:
    return format_value(value) if isinstance(value, float) else strip_control_characters(str(value))


def _caption(sample: Sample) -> str:
    index = f"#{sample.index:,}"
    if sample.caption in ("", index):
        return index
    return f"{index} · {escape_html(sample.caption)}"


def _contains_images(x: Any) -> bool:
    if x is None:
        return False
    if hasattr(x, "shape"):
        return are_images(x)
    first = x[0] if isinstance(x, list | tuple) and x else None
    if first is None or isinstance(first, str | bytes):
        return False
    pixels = np.asarray(first)
    return pixels.dtype.kind in "biuf" and pixels.ndim in IMAGE_AXES and are_images(pixels[None])


def _take(x: Any, index: int) -> Any:
    return x.iloc[int(index)] if hasattr(x, "iloc") else x[int(index)]
