"""Recognize what stands for an image: image files by their names, URLs, Pillow images."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

NON_IMAGE_FORMATS = {"EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
"""Formats that Pillow opens but that contain no pixels, or run a program."""


def is_url(text: object) -> bool:
    """Whether it is an http or https address.

    Example:
        >>> is_url("https://example.org/cat.jpg"), is_url("cat.jpg")
        (True, False)
    """
    return isinstance(text, str) and re.match("https?://", text, re.IGNORECASE) is not None


def is_pillow_image(value: object) -> bool:
    """Whether it is a Pillow image, without importing Pillow."""
    return hasattr(value, "convert") and hasattr(value, "getexif")


def is_image_file(file: Path) -> bool:
    """Whether the name of a file is that of an image; hidden files are none.

    Example:
        >>> [is_image_file(Path(name)) for name in ("cat.JPG", "cat.txt", "._cat.jpg")]
        [True, False, False]
    """
    return file.suffix.lower() in _image_suffixes() and not file.name.startswith(".")


def natural_sort_key(path: Path) -> list[tuple[bool, int, str]]:
    """A key that sorts 2 before 10.

    Example:
        >>> [str(path) for path in sorted(map(Path, ["b10", "b9"]), key=natural_sort_key)]
        ['b9', 'b10']
    """
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


@cache
def _image_suffixes() -> frozenset[str]:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    return frozenset(
        suffix
        for suffix, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in NON_IMAGE_FORMATS
    )
