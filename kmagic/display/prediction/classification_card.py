"""Images with their most probable classes; right and wrong are marked by word and sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from kmagic.data.images.image_reader import convert_mode
from kmagic.display.kit.assets import minified_css
from kmagic.display.kit.card import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Bundle,
    bar_html,
    breakable_html,
    card_html,
    escape_html,
    mime_bundle,
    name_html,
    tooltip_text,
)
from kmagic.display.kit.samples import (
    MAX_BYTE,
    MAX_PIXELATED,
    PixelRange,
    encode_image,
    pixel_range,
    to_uint8,
)
from kmagic.evaluation.classification.classification import (
    Classification,
    ClassProbability,
    ImagePrediction,
)
from kmagic.evaluation.classification.image_inputs import MAX_THUMBNAILS
from kmagic.support.formatting import isolate_direction, shorten_name, to_single_line

SMALL_BOX, LARGE_BOX = 84, 120  # pixels of a thumbnail; large with explanations or few images
FEW = 4  # images for which there is room for large thumbnails
MAX_SHORT_NAME = 8  # characters of class names that fit into a narrow column
MAX_NAME = 40  # characters of a class name
MAX_NOTE, MAX_LEGEND = 300, 120  # characters
MAX_PAGES_SIZE = 1_200_000  # characters of HTML after which no page of images is added


def classification_bundle(classification: Classification) -> Bundle:
    """The card of a classification, and its text."""
    images = _in_order(classification)
    pages: list[str] = []
    for start in range(0, len(images), MAX_THUMBNAILS):
        # Explanations take time, and are computed for the first images only.
        if start and (classification.legend or sum(map(len, pages)) > MAX_PAGES_SIZE):
            break
        page = [image.with_thumbnail() for image in images[start : start + MAX_THUMBNAILS]]
        pages.append(_page_html(page, explained=bool(classification.legend)))
    first, *others = pages or [""]
    body = f"<style>{minified_css('prediction/classification.css')}</style>{first}"
    if others:
        body += _more_pages_html(others, len(images))
    title = _clean(classification.name) or "classification"
    foot = _foot_sentences(classification, MAX_THUMBNAILS * len(pages))
    markup = card_html(title, classification.facts(), body, foot=" ".join(foot))
    shown = replace(classification, images=tuple(images[:MAX_THUMBNAILS]))
    lines = [classification.describe().partition("\n")[0], *shown.describe().splitlines()[1:]]
    return mime_bundle("\n".join([*lines, *foot]), markup)


def _in_order(classification: Classification) -> Sequence[ImagePrediction]:
    """The images as given; of many, the mistakes come first, the most confident at the top."""
    images = classification.images
    if len(images) <= MAX_THUMBNAILS or not classification.wrong:
        return images
    return [
        *classification.mistakes_in_order(),
        *(each for each in images if each.right is not False),
    ]


def _page_html(images: Sequence[ImagePrediction], *, explained: bool) -> str:
    """Images side by side, as many in a row as fit."""
    arrays = [image.thumbnail for image in images if image.thumbnail is not None]
    floats = [array for array in arrays if array.dtype != np.uint8]
    common_range = pixel_range(floats) if floats else None
    labels = [top.label for image in images for top in image.top_classes]
    narrow = max(map(len, labels), default=0) <= MAX_SHORT_NAME
    few = len(images) <= FEW and any(max(array.shape[:2]) > MAX_PIXELATED for array in arrays)
    box = LARGE_BOX if few or explained else SMALL_BOX
    width = (134 if narrow else 195) + (box + 6) * (2 if explained else 1)
    items = "".join(_image_html(image, common_range, box, narrow=narrow) for image in images)
    return (
        '<div class="km-pics" role="list" style="display:grid;gap:14px 18px;'
        f'grid-template-columns:repeat(auto-fill, minmax(min({width}px, 100%), 1fr))">{items}</div>'
    )


def _more_pages_html(pages: Sequence[str], count: int) -> str:
    """Pages that open on a click; only their numbers are in a row."""
    folds = ""
    for number, page in enumerate(pages, 1):
        start = number * MAX_THUMBNAILS
        end = min(start + MAX_THUMBNAILS, count)
        folds += (
            '<details style="max-width:100%"><summary style="cursor:pointer">'
            f"{start + 1:,} to {end:,}</summary>{page}</details>"
        )
    style = "display:flex;flex-wrap:wrap;gap:4px 14px;margin-top:12px"
    return (
        f'<div class="km-pages" style="{style}"><span class="km-muted">Images</span>{folds}</div>'
    )


def _foot_sentences(classification: Classification, shown: int) -> list[str]:
    sentences = []
    count = len(classification.images)
    if count > MAX_THUMBNAILS:
        sentences.append(classification.summary())
        if classification.wrong:
            sentences.append("Mistakes come first, the most confident ones at the top.")
    if count > shown:
        next_ones = (
            ".mistakes() has the mistakes" if classification.wrong else f"[{shown}:] shows the next"
        )
        sentences.append(f"{count - shown:,} more images: {next_ones}, .to_frame() has all.")
    if classification.legend:
        legend = isolate_direction(shorten_name(classification.legend, MAX_LEGEND))
        sentences.append(f"Orange regions support {legend}; the outline marks half of the maximum.")
    note = isolate_direction(shorten_name(classification.note, MAX_NOTE))
    return [*sentences, note] if note else sentences


def _image_html(
    image: ImagePrediction, common_range: PixelRange | None, box: int, *, narrow: bool
) -> str:
    last_part = image.name.rstrip("/").rpartition("/")[2]  # of a path or a URL
    name = "" if image.name.isdigit() else last_part or image.name
    tooltip = tooltip_text(image.name)
    title = f'<div class="km-file" title="{tooltip}">{name_html(name, MAX_NAME)}</div>'
    if image.error:
        return (
            f'<div class="km-image" role="listitem"><div class="km-result">{title}'
            f'<span class="km-prediction-wrong" style="color:{ORANGE}">✗ not read</span> '
            f'<span class="km-muted">{name_html(image.error, MAX_NOTE)}</span></div></div>'
        )
    short = image.short_names(MAX_NAME)
    rows = "".join(_class_row(top, image, short, narrow=narrow) for top in image.top_classes)
    caption = tooltip_text(name or f"image {image.name}")
    explanation = ""
    if image.explanation is not None:
        text = breakable_html(escape_html(_clean(image.explanation.to_text())))
        explanation = f'<div class="km-muted km-explanation">{text}</div>'
    return (
        '<div class="km-image" role="listitem" style="display:flex;flex-wrap:wrap;gap:6px 10px">'
        f"{_thumbnails(image, common_range, box)}"
        f'<div class="km-result" style="flex:1 1 {120 if narrow else 180}px;min-width:0">'
        f"{title if name else ''}"
        f'<table class="km-probabilities" aria-label="{caption}"><tbody>{rows}</tbody></table>'
        f"{_true_class_html(image, short)}{explanation}</div></div>"
    )


def _thumbnails(image: ImagePrediction, common_range: PixelRange | None, box: int) -> str:
    array = image.thumbnail
    if array is None or array.ndim == 1:
        return ""
    own_range = common_range
    if own_range is None or array.dtype == np.uint8:
        own_range = pixel_range([array])
    thumbnails = [encode_image(array, own_range, box=box).to_html(f"image {_clean(image.name)}")]
    if image.explanation is not None:
        overlay = overlay_heatmap(array, image.explanation.heatmap, own_range)
        alt = _clean(image.explanation.to_text())
        all_bytes = PixelRange(0, MAX_BYTE, inverted=False)
        thumbnails.append(encode_image(overlay, all_bytes, box=box).to_html(alt))
    style = f"flex:none;width:{box + 2}px"
    return "".join(f'<div style="{style}">{thumbnail}</div>' for thumbnail in thumbnails)


def _clean(text: str) -> str:
    return isolate_direction(shorten_name(to_single_line(text), 200))


def _class_row(
    top: ClassProbability, image: ImagePrediction, short: dict[str, str], *, narrow: bool
) -> str:
    is_true = image.true_class is None or top.label == image.true_class.label
    bar = bar_html(top.probability, colour=BLUE if is_true else GREY)
    return (
        '<tr><th scope="row" style="text-align:left;padding:1px 6px 1px 0">'
        f"{breakable_html(name_html(top.label, short=short[top.label]))}</th>"
        f'<td style="width:{55 if narrow else 40}%;padding:1px 0">{bar}</td>'
        '<td class="km-number" style="padding:1px 0 1px 6px">'
        f"{100 * top.probability:.1f}</td></tr>"
    )


def _true_class_html(image: ImagePrediction, short: dict[str, str]) -> str:
    true_class = image.true_class
    if true_class is None:
        return ""
    if image.right:
        return f'<div class="km-prediction-correct" style="color:{GREEN}">✓ right</div>'
    rank = ""
    if true_class.rank > len(image.top_classes):
        rank = (
            ' <span class="km-muted" style="font-weight:400">'
            f"({_ordinal(true_class.rank)}, {100 * true_class.probability:.1f}\u00a0%)</span>"
        )
    return (
        f'<div class="km-prediction-wrong" style="color:{ORANGE};font-weight:600">✗ actually '
        f"{name_html(true_class.label, short=short[true_class.label])}{rank}</div>"
    )


def _ordinal(number: int) -> str:
    """An ordinal number: "5th", "1,002nd"."""
    last_two = number % 100
    teen = 10 < last_two < 14  # noqa: PLR2004 - 11th, 12th and 13th
    return f"{number:,}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


# --- heatmaps -------------------------------------------------------------------------------------

SIDE = 168  # pixels of the longer side: two for each on the screen
TINT = (232, 110, 16)  # the orange of the cards, a little lighter
OUTLINE_COLOUR = (20, 20, 20)
LIGHTEN, CONTRAST = 60, 0.7  # of the grey image
MIDDLE_GREY = 128.0  # becomes the tint itself; darker greys darken it, lighter ones lighten it
MAX_TINT = 0.9  # opacity of the tint at the maximum
OUTLINE_LEVEL = 0.5  # of the maximum


def overlay_heatmap(
    image: NDArray[Any], heatmap: NDArray[Any], pixel_range: PixelRange
) -> NDArray[np.uint8]:
    """The image in grey, tinted by the heatmap, with an outline at half of the maximum.

    The outline shows the region also without colours.

    Returns:
        Shape (height, width, 3), the longer side about 168 pixels.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    background = convert_mode(Image.fromarray(to_uint8(image, pixel_range)), "L")
    scale = SIDE / max(background.size)
    size = [max(1, round(side * scale)) for side in background.size]
    is_small = max(background.size) <= MAX_PIXELATED
    method = Image.Resampling.NEAREST if is_small else Image.Resampling.BICUBIC
    grey = LIGHTEN + CONTRAST * np.asarray(background.resize(size, method), np.float64)
    # Greys become colours from black over the tint to nearly white, so details remain visible.
    greys = 0, MIDDLE_GREY, MAX_BYTE
    tones = ((0, tint, tint + 0.6 * (MAX_BYTE - tint)) for tint in TINT)
    tinted = np.stack([np.interp(grey, greys, tone) for tone in tones], axis=-1)
    values = np.nan_to_num(np.asarray(heatmap, np.float32)).clip(0, 1)
    heat = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    opacity = MAX_TINT * heat[..., None]
    pixels = grey[..., None] * (1 - opacity) + tinted * opacity
    region = heat >= OUTLINE_LEVEL
    pixels[region & ~binary_erosion(region, border_value=1)] = OUTLINE_COLOUR
    return np.asarray(np.rint(pixels).clip(0, MAX_BYTE), dtype=np.uint8)
