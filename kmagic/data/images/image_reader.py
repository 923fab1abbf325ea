"""A file, an address or bytes, whatever is in them, as a picture that stands upright."""

from __future__ import annotations

import io
import threading
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import numpy as np

from kmagic.data.images.image_paths import NON_IMAGE_FORMATS, is_pillow_image, is_url
from kmagic.support.errors import EvaluationError
from kmagic.support.keras_cache import is_offline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray
    from PIL.Image import Image

PATIENCE = 20.0  # seconds that a server may take to answer
LARGEST = 100_000_000  # bytes that are fetched for one picture
ORIENTATION = 274  # the EXIF tag that says how the camera was held
LYING = (5, 6, 7, 8)  # its values for a picture that lies on its side

_lock = threading.Lock()


def read_image(picture: Any, name: str, *, least: int | None = None) -> Image:
    """A picture, upright as its EXIF says; of an animated one the first frame.

    Args:
        picture: A path, an address, bytes, an open file or a Pillow image.
        name: What to call it in a message.
        least: So many pixels in each direction are enough: a larger JPEG is decoded at a
            fraction of its size, which is much quicker. None reads it whole.

    Raises:
        EvaluationError: It is missing, broken, too large, or no picture.
    """
    if is_pillow_image(picture) or hasattr(picture, "read"):
        with _lock:  # the same image may be given twice, and would be read by two threads
            return _read(picture, name, least)
    return _read(_fetch(picture) if is_url(picture) else picture, name, least)


def image_size(path: Path, name: str) -> tuple[int, int]:
    """Height and width of a picture as it stands upright, by its header alone.

    Args:
        path: The file.
        name: What to call it in a message.

    Raises:
        EvaluationError: As :func:`read_image`, as far as the header tells.
    """
    with _opened(path, name) as image:
        lying = image.getexif().get(ORIENTATION) in LYING
        return (image.width, image.height) if lying else (image.height, image.width)


@contextmanager
def suppress_pillow_warnings() -> Iterator[None]:
    """Keep Pillow's warnings of large pictures away: those are refused, and that is said.

    It stands around all reading, because warnings cannot be held back in one thread alone.
    """
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _read(picture: Any, name: str, least: int | None) -> Image:
    if is_pillow_image(picture):
        with _explained(name):
            picture.load()
            return _upright(picture)
    with _opened(picture, name) as opened:
        if least is not None:
            opened.draft(None, (least, least))
        opened.load()
        return _upright(opened)


@contextmanager
def _opened(picture: Any, name: str) -> Iterator[Image]:
    """A picture whose header is read."""
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    with _explained(name):
        if isinstance(picture, Path):
            _check_file(picture, name)
        stream = io.BytesIO(picture) if isinstance(picture, bytes) else picture
        with Image.open(stream, formats=_formats()) as opened:
            _check_size(opened, name)
            yield opened


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Put what Pillow raises in our words."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - 0.1 s to import

    try:
        yield
    except EvaluationError:
        raise
    except FileNotFoundError as error:
        raise EvaluationError(f"There is no file {name.rstrip('.')}.") from error
    except UnidentifiedImageError as error:
        raise EvaluationError(f"{name} is not a picture that Pillow can read.") from error
    except Image.DecompressionBombError as error:
        raise EvaluationError(f"{name} is refused: {_first_line(error)}") from error
    except Exception as error:  # a broken file can break its decoder anywhere
        raise EvaluationError(f"{name} cannot be read: {_first_line(error)}") from error


def _check_file(path: Path, name: str) -> None:
    """Refuse what is no file before it is opened: a pipe would never end."""
    if path.is_dir():
        raise EvaluationError(f"{name} is a folder.")
    if path.exists() and not path.is_file():
        raise EvaluationError(f"{name} is no ordinary file.")
    if path.is_file() and not path.stat().st_size:
        raise EvaluationError(f"{name} is empty.")


def _check_size(image: Image, name: str) -> None:
    """Refuse what would fill the memory, before it is decoded: by its header alone."""
    from PIL import Image as Pillow  # noqa: PLC0415 - 0.1 s to import

    most = Pillow.MAX_IMAGE_PIXELS
    if most is not None and image.width * image.height > most:
        raise EvaluationError(
            f"{name} is refused: {image.width:,} x {image.height:,} pixels are more than {most:,}, "
            "which may be an attack on the memory. PIL.Image.MAX_IMAGE_PIXELS is the limit."
        )


def _formats() -> list[str]:
    from PIL import Image  # noqa: PLC0415 - 0.1 s to import

    Image.init()
    return [kind for kind in Image.ID if kind not in NON_IMAGE_FORMATS]


def _upright(image: Image) -> Image:
    from PIL import ImageOps  # noqa: PLC0415 - 0.1 s to import

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - broken EXIF is no broken picture
        return image.copy()


def _fetch(address: str) -> bytes:
    if is_offline():
        raise EvaluationError(f"{address} is not fetched: KMAGIC_OFFLINE is set.")
    request = urllib.request.Request(address, headers={"User-Agent": "kmagic"})  # noqa: S310 - http or https: is_address has seen it
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
            content: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        error.close()
        raise EvaluationError(f"{address} cannot be fetched: {_first_line(error)}") from error
    except Exception as error:  # a server can break an answer anywhere
        raise EvaluationError(f"{address} cannot be fetched: {_first_line(error)}") from error
    if len(content) > LARGEST:
        raise EvaluationError(f"{address} is refused: it is larger than {LARGEST:,} bytes.")
    return content


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__).rstrip(".") + "."


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
