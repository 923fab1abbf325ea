"""A model's container, checked before it is opened: it must not lead to other files or grow.

HDF5 files can link to other files, and declare arrays that are not stored; archives can contain
paths outside themselves, and a thousand times their size.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from kmagic.persistence.formats import READ_ERRORS, FileFormat, file_broken
from kmagic.persistence.safety import ALLOW_CODE
from kmagic.support.errors import PersistenceError
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path

MAX_RATIO = 100
"""Contents may be at most this many times the size of the file ..."""
FREE_SIZE = 2**28
"""... or this many bytes."""
_WEIGHTS = "model.weights.h5"
_NPZ = "model.weights.npz"


def check_container(path: Path, file_format: FileFormat) -> None:
    """Reject a file that refers to other files, or that expands to a multiple of its size.

    Raises:
        PersistenceError: With the part that is not allowed.
    """
    try:
        problem = next(_problems(path, file_format), "")
    except READ_ERRORS as error:
        raise file_broken(path, error) from error  # Keras might read more of it
    if problem:
        raise PersistenceError(f"{show_path(path)} was not loaded: {problem}.", ALLOW_CODE)


def _problems(path: Path, file_format: FileFormat) -> Iterator[str]:
    if path.is_dir():
        yield from _problems_of_folder(path)
    elif file_format == "keras":
        yield from _problems_of_zip(path)
    elif file_format in ("h5", "weights", "legacy weights"):
        yield from _problems_of_hdf5(path, path.stat().st_size)


def _problems_of_folder(folder: Path) -> Iterator[str]:
    inside = folder.resolve()
    for file in folder.rglob("*"):
        name = file.relative_to(folder)
        if not file.resolve().is_relative_to(inside):
            yield f"{name} in it links to a file outside"
    if (folder / _NPZ).exists():
        yield f"{_NPZ} in it can contain pickles, which run any code"
    if (folder / _WEIGHTS).is_file():
        yield from _problems_of_hdf5(folder / _WEIGHTS, (folder / _WEIGHTS).stat().st_size)


def _problems_of_zip(path: Path) -> Iterator[str]:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        yield from _growth(sum(member.file_size for member in members), size)
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in "".join(name.parts[:1]):
                yield f"{member.filename} in it would be written outside its folder"
            if stat.S_ISLNK(member.external_attr >> 16):
                yield f"{member.filename} in it is a link"
        if _NPZ in archive.namelist():
            yield f"{_NPZ} in it can contain pickles, which run any code"
        if _WEIGHTS in archive.namelist():
            with archive.open(_WEIGHTS) as stream:
                is_stored = archive.getinfo(_WEIGHTS).compress_type == zipfile.ZIP_STORED
                # Seeking in a compressed member would decompress it again and again.
                source: Any = stream if is_stored else io.BytesIO(stream.read())
                yield from _problems_of_hdf5(source, size)


def _problems_of_hdf5(source: Any, size: int) -> Iterator[str]:
    links: dict[str, Any] = {}
    items: dict[str, Any] = {}
    with h5py.File(source, "r") as file:
        file.visititems_links(links.__setitem__)
        for name, link in links.items():
            if isinstance(link, h5py.ExternalLink):
                yield f"/{name} in it is in another file, {link.filename}"
        file.visititems(items.__setitem__)  # each once, and only what is in the file
        values = {name: item for name, item in items.items() if isinstance(item, h5py.Dataset)}
        for name, item in values.items():
            if item.is_virtual or item.external:
                yield f"the values of /{name} in it are in other files"
        yield from _growth(sum(item.nbytes for item in values.values()), size)


def _growth(total: int, size: int) -> Iterator[str]:
    if total > max(FREE_SIZE, MAX_RATIO * size):
        yield f"it has {format_bytes(size)}, and its contents would have {format_bytes(total)}"
