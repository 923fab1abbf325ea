"""Samples in a card: texts and rows as lines, images as small files."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kmagic.display.kit.card import escape_html, image_html
from kmagic.models.model_arrays import dense_rows
from kmagic.support.formatting import (
    format_value,
    isolate_direction,
    join_names,
    shorten_name,
    text_width,
    to_single_line,
)

if TYPE_CHECKING:
    from PIL import Image

THUMBNAIL_SIZE, GAP = 56, 6  # pixels
SHEET_ROWS, MAX_COLUMNS = 2, 3
SHEET_WIDTH, MAX_PITCH = 225, 88  # pixels of several thumbnails, and from one to the next
CHARACTER_WIDTH, LINE_HEIGHT = 5.6, 14  # pixels of a caption
GREY_LEVELS = 5  # of drawings
TEXT_LENGTH = 160  # characters
MAX_VALUES = 8  # of a row
CHANNELS = (1, 3, 4)
IMAGE_AXES = 3  # number, height and width; channels are optional
MIN_SIDE, MAX_SIDE = 4, 4096
MAX_PIXELATED = 64  # images up to this side are enlarged with visible pixels
MAX_BYTE = 255


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as it is shown."""

    index: int  # in the data
    caption: str  # a word or two about it, such as the probability of its class
    title: str  # what it is, for a tooltip or a screen reader
    text: str = ""  # its text or values, unless it is an image
    image: NDArray[Any] | None = None  # shape (height, width) or (height, width, channels)


def collect_samples(
    x: Any, indices: Iterable[int], captions: Sequence[str], titles: Sequence[str]
) -> list[Sample]:
    """Some samples of ``x``, ready to be shown; ``x`` is None if only indices are known."""
    with_images = _contains_images(x)
    samples = []
    for index, caption, title in zip(map(int, indices), captions, titles, strict=True):
        text = "" if x is None or with_images else sample_to_text(x, index)
        image = np.asarray(_take(x, index)) if with_images else None
        samples.append(Sample(index, caption, title, text, image))
    return samples


def samples_html(samples: Sequence[Sample], *, rows: int = SHEET_ROWS) -> str:
    """Samples as HTML: thumbnails, up to three per row of an image, or a list of texts."""
    if all(sample.image is None for sample in samples):
        lines = "".join(
            '<li style="margin:2px 0"><span class="km-muted">'
            f"{escape_html(sample_caption(sample))}</span> "
            f"<bdi>{escape_html(sample.text)}</bdi></li>"
            for sample in samples
        )
        return f'<ul class="km-texts" style="margin:0;padding-left:16px">{lines}</ul>'
    drawn = [sample for sample in samples if sample.image is not None]
    pixels = pixel_range([sample.image for sample in drawn if sample.image is not None])
    pitch = min(MAX_PITCH, max(THUMBNAIL_SIZE + GAP, *map(_caption_width, drawn)))
    size = rows * min(MAX_COLUMNS, SHEET_WIDTH // pitch)
    parts = [drawn[first : first + size] for first in range(0, len(drawn), size)]
    sheets = [_sheet_html(part, pixels, pitch) for part in parts]
    if len(sheets) == 1:
        return sheets[0]
    return f'<div class="km-thumbs" style="display:flex;flex-wrap:wrap">{"".join(sheets)}</div>'


def _caption_width(sample: Sample) -> int:
    return round(CHARACTER_WIDTH * text_width(sample.caption)) + GAP


def _sheet_html(samples: Sequence[Sample], pixels: PixelRange, pitch: int) -> str:
    """Samples in a grid of one image, so that a card of many samples stays small.

    The image has free space for the captions, which are text.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    columns = min(len(samples), MAX_COLUMNS, SHEET_WIDTH // pitch)
    rows = -(-len(samples) // columns)
    lines = max(math.ceil(_caption_width(sample) / pitch) for sample in samples)
    height = THUMBNAIL_SIZE + 2 + LINE_HEIGHT * lines
    images = [_thumbnail(sample.image, pixels) for sample in samples]
    scale = max(max(image.size) for image in images) / THUMBNAIL_SIZE
    kind = "RGBA" if any(image.mode.startswith("RGB") for image in images) else "LA"
    sheet = Image.new(kind, (round(columns * pitch * scale), round(rows * height * scale)))
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        left = (column + 0.5) * pitch * scale - image.width / 2
        sheet.paste(image.convert(kind), (round(left), round(row * height * scale)))
    data, mime = _encode_sheet(sheet, lossless=pixels.inverted)
    numbers = ", ".join(f"{sample.index:,}" for sample in samples)
    source = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
    # Without the style sheet, long captions would be under the images.
    small = ";font-size:11px" if pitch > THUMBNAIL_SIZE + GAP else ""
    captions = "".join(f"<span>{escape_html(sample.caption)}</span>" for sample in samples)
    return (
        f"<div class=km-sheet style=display:grid;grid-template-columns:repeat({columns},"
        f"{pitch}px);grid-auto-rows:{height}px;align-items:end{small}>"
        f'<img src="{source}" alt="sample{"s" * (len(samples) > 1)} {numbers}" '
        f"width={columns * pitch} height={rows * height} "
        f"style=position:absolute;place-self:start>{captions}</div>"
    )


def _thumbnail(array: Any, pixels: PixelRange) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - as above

    values = to_uint8(array, pixels)
    if pixels.inverted:
        step = MAX_BYTE / (GREY_LEVELS - 1)
        values = np.rint(np.rint(values / step) * step).astype(np.uint8)
    image = Image.fromarray(values)
    image.thumbnail((2 * THUMBNAIL_SIZE, 2 * THUMBNAIL_SIZE))
    return image


def _encode_sheet(image: Image.Image, *, lossless: bool) -> tuple[bytes, str]:
    """An image as a small file, and the type of that file."""
    from PIL import features  # noqa: PLC0415 - as above

    kind = "png"
    options: dict[str, Any] = {"optimize": True}
    if features.check("webp"):  # Pillow may be built without it
        kind = "webp"
        options = {"lossless": lossless, "quality": 100 if lossless else 80, "method": 6}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue(), f"image/{kind}"


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

    Of at most ``most`` characters, where words and values are not cut.

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
        return isolate_direction(shorten_name(to_single_line(sample.strip()), most))
    if hasattr(sample, "items"):  # a row of a data frame
        size, texts = len(sample), (f"{key} {_value(value)}" for key, value in sample.items())
    else:
        array = np.asarray(sample)
        if array.ndim > 1:
            return f"array of shape {array.shape}"
        row = array.reshape(-1)
        size, texts = row.size, (_value(value) for value in row[:MAX_VALUES].tolist())
    shortened = [shorten_name(text, most) for text in islice(texts, MAX_VALUES)]
    return isolate_direction(join_names(shortened, most, more=size > MAX_VALUES))


def _value(value: Any) -> str:
    return format_value(value) if isinstance(value, float) else to_single_line(str(value))


def sample_caption(sample: Sample) -> str:
    """What is written beside a sample: its caption, and for a text its index too."""
    index = f"#{sample.index:,}"
    if sample.image is not None:
        return sample.caption
    return index if sample.caption in ("", index) else f"{index} · {sample.caption}"


def _contains_images(x: Any) -> bool:
    if hasattr(x, "shape"):
        return are_images(x)
    first = x[0] if isinstance(x, list | tuple) and x else None
    if first is None or isinstance(first, str | bytes):
        return False
    pixels = np.asarray(first)
    return pixels.dtype.kind in "biuf" and are_images(pixels[None])


def _take(x: Any, index: int) -> Any:
    if hasattr(x, "tocsr"):
        return dense_rows(x[[int(index)]])[0]
    return x.iloc[int(index)] if hasattr(x, "iloc") else x[int(index)]


# --- images ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PixelRange:
    """How the values of some images become bytes."""

    low: float  # the value that becomes 0
    high: float  # the value that becomes 255
    inverted: bool  # small drawings such as digits are shown as ink on paper


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A small image as a file; its size is that on the screen, in pixels."""

    data: bytes
    mime: str
    width: int
    height: int
    pixelated: bool  # whether its pixels should be visible

    def to_html(self, alt: str) -> str:
        """The image as an ``<img>``; ``alt`` is what it shows."""
        style = "image-rendering:pixelated" if self.pixelated else ""
        size = {"width": self.width, "height": self.height}
        return image_html(self.data, self.mime, alt=alt, **size, style=style)


def are_images(x: Any) -> bool:
    """Whether samples have the shape of images: (n, height, width[, 1, 3 or 4])."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) == IMAGE_AXES + 1 and shape[-1] in CHANNELS:
        shape = shape[:-1]
    return len(shape) == IMAGE_AXES and all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:])


def pixel_range(images: Sequence[NDArray[Any]]) -> PixelRange:
    """The range of values that some images share."""
    low = min((float(np.min(image)) for image in images), default=0.0)
    high = max((float(np.max(image)) for image in images), default=1.0)
    inverted = bool(images) and all(map(_is_drawing, images))
    if all(image.dtype == np.uint8 for image in images) or (low >= 0 and 1 < high <= MAX_BYTE):
        return PixelRange(0, MAX_BYTE, inverted)
    if low >= -1 and high <= 1:
        return PixelRange(-1 if low < 0 and not inverted else min(low, 0), 1, inverted)
    return PixelRange(low, high, inverted)


def encode_image(image: NDArray[Any], pixels: PixelRange, *, box: int) -> EncodedImage:
    """An image as a small file whose longest side is ``box`` pixels on the screen.

    An image of more than 64 pixels is not enlarged.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    small = Image.fromarray(to_uint8(image, pixels))
    longest = max(small.size)
    if longest > 2 * box:
        small.thumbnail((2 * box, 2 * box))
    scale = box / max(small.size)
    if longest > MAX_PIXELATED:
        scale = min(1.0, scale)
    width, height = (max(1, round(side * scale)) for side in small.size)
    is_photo = longest > MAX_PIXELATED and small.mode in ("L", "RGB")
    kind, options = ("jpeg", {"quality": 82}) if is_photo else ("png", {"optimize": True})
    file = io.BytesIO()
    small.save(file, kind, **options)
    pixelated = longest <= min(box, MAX_PIXELATED)
    return EncodedImage(file.getvalue(), f"image/{kind}", width, height, pixelated=pixelated)


def to_uint8(image: NDArray[Any], pixels: PixelRange) -> NDArray[np.uint8]:
    """An image's values as bytes; a single channel loses its axis."""
    values = image[..., 0] if image.ndim == IMAGE_AXES and image.shape[-1] == 1 else image
    values = np.nan_to_num(np.asarray(values, dtype=np.float64))
    shares = np.clip((values - pixels.low) / ((pixels.high - pixels.low) or 1.0), 0, 1)
    if pixels.inverted:
        shares = 1 - shares
    return np.asarray(np.rint(shares * MAX_BYTE), dtype=np.uint8)


def _is_drawing(image: NDArray[Any]) -> bool:
    """Whether a small image has one channel, more than half of which is its lowest value."""
    if (image.ndim == IMAGE_AXES and image.shape[-1] != 1) or max(image.shape) > MAX_PIXELATED:
        return False
    return float(np.mean(image <= np.min(image))) > 0.5  # noqa: PLR2004 - more than half
