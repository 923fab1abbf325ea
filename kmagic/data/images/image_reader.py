"""Recognize images by their names, read them from files, URLs or bytes, convert their colours."""

from __future__ import annotations

import io
import re
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import numpy as np
from numpy.typing import NDArray

from kmagic.support.errors import EvaluationError
from kmagic.support.keras_cache import is_offline
from kmagic.support.regular_files import file_problem

if TYPE_CHECKING:
    from PIL.Image import Image

NON_IMAGE_FORMATS = {"EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
"""Formats that Pillow opens but that contain no pixels, or run a program."""
TIMEOUT = 20.0  # seconds that a server may take to answer
MAX_DOWNLOAD = 100_000_000  # bytes of one image
MAX_8_BIT, MAX_16_BIT = 255, 65535
ORIENTATION_TAG = 274  # of EXIF
ROTATED_BY_90 = (5, 6, 7, 8)  # its values for which height and width are exchanged

_lock = threading.Lock()
"""Held while an open file or a Pillow image is read: two threads may have got the same object."""


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
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    kind = Image.registered_extensions().get(file.suffix.lower())
    is_format = kind in Image.OPEN and kind not in NON_IMAGE_FORMATS
    return is_format and not file.name.startswith(".")


# --- reading --------------------------------------------------------------------------------------


def read_image(source: Any, name: str, *, min_size: int | None = None) -> Image:
    """Read an image, upright according to its EXIF data; of an animation the first frame.

    Args:
        source: A path, a URL, bytes, an open file or a Pillow image.
        name: Its name in messages.
        min_size: Number of pixels that suffice in each direction: a larger JPEG is decoded at a
            fraction of its size, which is much faster. None decodes it in full.

    Raises:
        EvaluationError: It is missing, damaged, too large, or not an image.
    """
    if is_pillow_image(source):
        with _lock, _explain_errors(name):
            source.load()
            return _upright(source)
    stream = _download(source) if is_url(source) else source
    with _lock if hasattr(source, "read") else nullcontext(), _open(stream, name) as image:
        if min_size is not None:
            image.draft(None, (min_size, min_size))
        image.load()
        return _upright(image)


def image_size(path: Path | bytes, name: str) -> tuple[int, int]:
    """Return height and width of an upright image, from its header alone."""
    with _open(path, name) as image:
        rotated = image.getexif().get(ORIENTATION_TAG) in ROTATED_BY_90
        return (image.width, image.height) if rotated else (image.height, image.width)


@contextmanager
def suppress_pillow_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings about large images, which :func:`read_image` rejects itself.

    It must enclose all reading, because warnings cannot be suppressed in a single thread.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def convert_mode(image: Image, mode: str) -> Image:
    """Convert an image of any mode: 16 bits become 8, transparency becomes white."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - 0.1 s to import

    if image.mode.startswith("I") or image.mode == "F":
        image = PillowImage.fromarray(_to_8_bit(np.asarray(image)))
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    if transparent and mode != "RGBA":
        image = image.convert("RGBA")
        white = PillowImage.new("RGBA", image.size, "white")
        image = PillowImage.alpha_composite(white, image)
    if image.mode == "LAB":
        from PIL import ImageCms  # noqa: PLC0415 - rarely needed

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
        assert converted is not None  # noqa: S101 - None is returned for a change in place only
        image = converted
    return image if image.mode == mode else image.convert(mode)


def _to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values of 16 bits, 32 bits or floats as bytes."""
    numbers = np.nan_to_num(values.astype(np.float64))
    maximum = float(numbers.max(initial=0))
    usual = MAX_16_BIT if values.dtype.kind in "iu" else 1 if maximum <= 1 else MAX_8_BIT
    scaled = MAX_8_BIT * numbers / max(usual, maximum)
    return np.asarray(scaled.clip(0, MAX_8_BIT).astype(np.uint8))


@contextmanager
def _open(source: Any, name: str) -> Iterator[Image]:
    """An image of which only the header is read."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - 0.1 s to import

    with _explain_errors(name):
        if isinstance(source, Path) and source.exists() and (problem := file_problem(source)):
            raise EvaluationError(f"{name} {problem}.")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        PillowImage.init()
        formats = [kind for kind in PillowImage.ID if kind not in NON_IMAGE_FORMATS]
        with PillowImage.open(stream, formats=formats) as image:
            limit = PillowImage.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:  # it would fill the memory
                raise EvaluationError(
                    f"{name} was rejected: {image.width:,} x {image.height:,} pixels are more than "
                    f"{limit:,}, which may be an attack. PIL.Image.MAX_IMAGE_PIXELS is the limit."
                )
            yield image


@contextmanager
def _explain_errors(name: str) -> Iterator[None]:
    """Turn what Pillow raises into messages for the user."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - 0.1 s to import

    try:
        yield
    except EvaluationError:
        raise
    except FileNotFoundError as error:
        raise EvaluationError(f"There is no file {name.rstrip('.')}.") from error
    except UnidentifiedImageError as error:
        raise EvaluationError(f"{name} is not an image that Pillow can read.") from error
    except Image.DecompressionBombError as error:
        raise EvaluationError(f"{name} was rejected: {_first_line(error)}") from error
    except Exception as error:  # a damaged file can make its decoder fail anywhere
        raise EvaluationError(f"{name} cannot be read: {_first_line(error)}") from error


def _upright(image: Image) -> Image:
    from PIL import ImageOps  # noqa: PLC0415 - 0.1 s to import

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged EXIF data do not make the image unreadable
        return image.copy()


def _download(url: str) -> bytes:
    if is_offline():
        raise EvaluationError(f"{url} was not downloaded: KMAGIC_OFFLINE is set.")
    request = urllib.request.Request(url, headers={"User-Agent": "kmagic"})  # noqa: S310 - http or https, says is_url
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
            content: bytes = answer.read(MAX_DOWNLOAD + 1)
    except Exception as error:  # a server can break off an answer anywhere
        if isinstance(error, HTTPError):
            error.close()
        raise EvaluationError(f"{url} cannot be downloaded: {_first_line(error)}") from error
    if len(content) > MAX_DOWNLOAD:
        raise EvaluationError(f"{url} was rejected: it is larger than {MAX_DOWNLOAD:,} bytes.")
    return content


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".") + "."
