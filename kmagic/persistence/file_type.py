"""What a file is: its first bytes say it, whatever its name is."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from kmagic.persistence.file_errors import not_read, not_there
from kmagic.persistence.formats import kind_of
from kmagic.support.errors import PersistenceError
from kmagic.support.keras_cache import show_path

Content: TypeAlias = Literal["keras", "h5", "weights", "old weights", "json", "text"]
"""What can be read: Keras's zip, an HDF5 file with a model, one with weights (of Keras 3, or as
older Keras wrote them), Keras's JSON, our text."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK"
_FOREIGN = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer: the model itself was not fetched",
        "git lfs pull",
    ),
    (b"<!DOCTYPE", "a web page: most likely the download gave one instead of the file", ""),
    (b"<html", "a web page: most likely the download gave one instead of the file", ""),
    (b"\x1f\x8b", "packed with gzip", "gunzip"),
    (b"BZh", "packed with bzip2", "bunzip2"),
    (b"\xfd7zXZ", "packed with xz", "unxz"),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
    (b"%PDF", "a PDF", ""),
    (b"\x93NUMPY", "an array of NumPy", ""),
)
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_PICKLE_HINT = (
    "Opening a pickle runs whatever code is in it, so kmagic opens none. Whoever made it can open "
    "it there and write it anew: kmagic.save(model, 'model.keras')."
)
_SAVED_MODEL = "saved_model.pb"


def content_of(path: Path) -> Content:
    """What there is to read.

    Raises:
        PersistenceError: There is no such file, it cannot be opened, is empty, broken off, or holds
            no model.
    """
    if not path.exists():
        raise not_there(path)
    if path.is_dir():
        return _of_folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise not_read(error, path) or error from error
    name = show_path(path)
    if not head.strip(b"\0 \r\n\t"):
        what = "is empty" if not head else "holds nothing but zeros"
        raise PersistenceError(
            f"{name} {what}: whatever wrote it did not come to its end.", "Save the model again."
        )
    if head.startswith(_HDF5):
        return _of_hdf5(path)
    if head.startswith(_ZIP):
        return _of_zip(path)
    if head.startswith(_PICKLES):
        raise PersistenceError(f"{name} is a pickle, no model that Keras wrote.", _PICKLE_HINT)
    if head[4:8] == b"TFL3":
        raise PersistenceError(
            f"{name} is a model of TensorFlow Lite: it can be run, not loaded into Keras.",
            "Load the Keras model that it was made from.",
        )
    for start, what, remedy in _FOREIGN:
        if head.lstrip().startswith(start):
            raise PersistenceError(
                f"{name} is {what}.", f"First: {remedy} {path.name}" if remedy else ""
            )
    return _of_text(path, head)


def _of_folder(path: Path) -> Content:
    name = show_path(path)
    if (path / _SAVED_MODEL).exists():
        raise PersistenceError(
            f"{name} is a SavedModel of TensorFlow: a graph of operations without the layers, and "
            "Keras 3 makes no model of that.",
            f"For predictions only: keras.layers.TFSMLayer({str(path)!r}, "
            "call_endpoint='serving_default'). To train on, load it with the Keras 2 that wrote it "
            "(pip install tf_keras) and save it as model.keras or model.h5.",
        )
    if (path / "config.json").exists() and (path / "metadata.json").exists():
        return "keras"
    if any(path.glob("*.index")) or (path / "checkpoint").exists():
        raise PersistenceError(
            f"{name} holds checkpoints of TensorFlow: weights without a model.",
            "Build the model and restore them: tf.train.Checkpoint(model=model).restore(...).",
        )
    held = sorted(each.name for each in path.iterdir() if kind_of(each) and each.is_file())
    inside = f": {', '.join(held[:8])}" if held else ""
    raise PersistenceError(f"{name} is a folder.", f"Name the file in it{inside}.")


def _of_zip(path: Path) -> Content:
    name = show_path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise broken_off(path) from error
    except OSError as error:
        raise not_read(error, path) or broken_off(path) from error
    if "config.json" in members and any(each.startswith("model.weights") for each in members):
        return "keras"
    if any(each.endswith("data.pkl") for each in members):
        raise PersistenceError(f"{name} is a model of PyTorch, a pickle in a zip.", _PICKLE_HINT)
    if any(each.endswith(".npy") for each in members):
        raise PersistenceError(
            f"{name} holds arrays of NumPy, no model.", "Open it with numpy.load."
        )
    raise PersistenceError(f"{name} is a zip without a Keras model in it.")


def _of_hdf5(path: Path) -> Content:
    import h5py  # noqa: PLC0415 - not before such a file is read

    name = show_path(path)
    try:
        with h5py.File(path, "r") as file:
            attributes, members = set(file.attrs), set(file)
    except (OSError, RuntimeError, KeyError) as error:
        denied = isinstance(error, PermissionError) and not_read(error, path)
        raise denied or broken_off(path) from error
    if "model_config" in attributes:
        return "h5"
    if {"layer_names", "layer_names0"} & attributes or "model_weights" in members:
        return "old weights"
    if {"layers", "vars", "_layer_checkpoint_dependencies"} & members or members:
        return "weights"
    raise PersistenceError(f"{name} is an HDF5 file, but there is no model in it.")


def _of_text(path: Path, head: bytes) -> Content:
    name = show_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PersistenceError(
            f"{name} is no model: its first bytes are {head[:8].hex(' ')}, which no kind of file "
            "that holds a model begins with.",
            "Models are .keras, .h5, .weights.h5, .json and .kmagic.",
        ) from error
    except OSError as error:
        raise not_read(error, path) or error from error
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            held = json.loads(text)
            if isinstance(held, dict) and "class_name" in held and "config" in held:
                return "json"
            raise PersistenceError(f"{name} is JSON, but not of a model: it has no class_name.")
        raise broken_off(path)
    if path.suffix == ".kmagic":
        return "text"
    raise PersistenceError(
        f"{name} is a text, and only one that ends in .kmagic is read as a model.",
        f"If it is a text of the layer language, name it {path.stem}.kmagic.",
    )


def damaged(path: Path) -> PersistenceError:
    """That a file is whole, and yet not what was written."""
    return PersistenceError(
        f"{show_path(path)} is damaged: its check sum is not that of what was written.",
        "Copy or download it again; a model that is still in a notebook can be saved again.",
    )


def broken_off(path: Path) -> PersistenceError:
    """That a file's beginning is right and its end is missing."""
    return PersistenceError(
        f"{show_path(path)} is broken off: it begins as a model does, but its end is missing.",
        "Copy or download it again; a model that is still in a notebook can be saved again.",
    )
