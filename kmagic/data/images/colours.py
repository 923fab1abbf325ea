"""A picture in the colours that a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from PIL.Image import Image

MAX_8_BIT, MAX_16_BIT = 255, 65535  # the largest values of 8 and 16 bits


def convert_mode(image: Image, mode: str) -> Image:
    """The picture in grey or in colours; what shines through is white, 16 bits become 8.

    Args:
        image: A Pillow image of any mode.
        mode: "L" for grey, "RGB", or "RGBA" with transparency.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_squeeze(np.asarray(image)))
    clear = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if clear and mode != "RGBA":
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    if image.mode == "LAB":
        image = _from_lab(image)
    return image if image.mode == mode else image.convert(mode)


def _squeeze(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of 16 bits, 32 bits or floats as bytes."""
    shares = np.nan_to_num(values.astype(np.float64))
    high = float(shares.max(initial=0))
    usual = MAX_16_BIT if values.dtype.kind in "iu" else 1 if high <= 1 else MAX_8_BIT
    most = max(usual, high)
    return np.asarray((MAX_8_BIT * shares / most).clip(0, MAX_8_BIT).astype(np.uint8))


def _from_lab(image: Image) -> Image:
    from PIL import ImageCms  # noqa: PLC0415 - rarely needed

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    changed = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert changed is not None  # noqa: S101 - None comes only where the image is changed in place
    return changed
