"""Which files are pictures, and what else stands for one."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from kmagic.support.suggestions import nearest

NON_IMAGE_FORMATS = {
    "EPS",
    "FITS",
    "GRIB",
    "HDF5",
    "MPEG",
    "PDF",
    "WMF",
}  # not pixels, or run a program
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def is_url(text: object) -> bool:
    """Whether it is an address on the network.

    Example:
        >>> is_url("https://example.org/cat.jpg"), is_url("cat.jpg")
        (True, False)
    """
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def is_pillow_image(value: object) -> bool:
    """Whether it is a Pillow image, without importing Pillow."""
    return hasattr(value, "convert") and hasattr(value, "getexif")


def is_image_file(file: Path) -> bool:
    """Whether a file is a picture by its name.

    Example:
        >>> is_image_file(Path("cat.JPG")), is_image_file(Path("cat.txt")), is_image_file(Path("._cat.jpg"))
        (True, False, False)
    """
    return file.suffix.lower() in _endings() and not file.name.startswith(".")


def natural_sort_key(path: Path) -> list[tuple[bool, int, str]]:
    """A key that sorts 2 before 10.

    Example:
        >>> [str(path) for path in sorted(map(Path, ["b10", "b9"]), key=as_counted)]
        ['b9', 'b10']
    """
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def nearby(path: Path) -> Path | None:
    """What is there and has nearly the name of a file or folder that is not; None if nothing has.

    Args:
        path: A path, perhaps with a pattern in its name.
    """
    missing = path
    try:
        while missing.parent != missing and not missing.parent.is_dir():
            missing = missing.parent
        names = [each.name for each in missing.parent.iterdir() if each.name[0] != "."]
    except (OSError, ValueError):  # no folder that can be read
        return None
    near = nearest(missing.name, names)
    return missing.parent / near[0] if near and near[0] != missing.name else None


@cache
def _endings() -> frozenset[str]:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    return frozenset(
        ending
        for ending, kind in Image.registered_extensions().items()
        if kind in Image.OPEN and kind not in NON_IMAGE_FORMATS
    )
