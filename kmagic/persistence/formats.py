"""File formats for models: by the name when a model is saved, by the content when it is loaded."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.file_system import file_missing, not_read
from kmagic.support.keras_cache import show_path
from kmagic.support.parsed_json import parse_json
from kmagic.support.regular_files import file_problem
from kmagic.support.suggestions import nearest
from kmagic.support.user_path import user_path

FileFormat: TypeAlias = Literal["keras", "h5", "weights", "legacy weights", "json", "text"]
"""A Keras zip, HDF5 with a model or with weights (of Keras 3 or earlier), JSON, a model's text."""
READ_ERRORS = (
    *(OSError, RuntimeError, LookupError, ValueError, TypeError, zipfile.BadZipFile),
    *(OverflowError, SystemError),  # of h5py, for damaged positions and names
)
"""What reading a damaged file raises."""


@dataclass(frozen=True, slots=True)
class SaveFormat:
    """A format to save a model in, and the suffix of its files."""

    format: FileFormat
    suffix: str
    contents: str


# Longer suffixes first: .weights.h5 ends in .h5 too.
SAVE_FORMATS = (
    SaveFormat("weights", ".weights.h5", "the weights alone"),
    SaveFormat("keras", ".keras", "the whole model"),
    SaveFormat("h5", ".h5", "the whole model, for older versions of Keras"),
    SaveFormat("h5", ".hdf5", "the same"),
    SaveFormat("json", ".json", "the architecture, in Keras's JSON"),
    SaveFormat("text", ".kmagic", "the model's text"),
)


# --- names ----------------------------------------------------------------------------------------


def to_path(path: str | os.PathLike[str]) -> Path:
    """A path that the user gave, with the home folder in place of ``~``.

    Example:
        >>> to_path("models/cnn.keras").name
        'cnn.keras'
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = ""
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise PersistenceError(
            option="path",
            expected="the path of a file, such as models/cnn.keras",
            actual=path,
            remedy="Name the file, in quotes if the name contains spaces.",
        )
    if "://" in text:
        raise PersistenceError(
            f"{text} is a URL; models are read from and written to files.",
            "Download it first: keras.utils.get_file(origin=url) returns the path.",
        )
    try:
        return user_path(text)
    except KmagicError as error:
        raise PersistenceError(error.message, error.remedy) from None


def save_format_of(path: Path) -> SaveFormat | None:
    """The format that a file's name stands for, or None.

    Example:
        >>> save_format_of(Path("cnn.weights.h5")).format, save_format_of(Path("cnn.pt"))
        ('weights', None)
    """
    return next((known for known in SAVE_FORMATS if path.name.endswith(known.suffix)), None)


def save_target(
    path: str | os.PathLike[str], only: FileFormat | None = None
) -> tuple[Path, SaveFormat]:
    """The file to write, and its format; the suffix of ``only`` is added to a name without one.

    Example:
        >>> path, save_format = save_target("models/cnn", "weights")
        >>> path.name, save_format.contents
        ('cnn.weights.h5', 'the weights alone')
    """
    target = to_path(path)
    if target.name in ("", ".."):
        raise PersistenceError(f"{target} is a folder.", "Add the name of the file to write.")
    by_name = save_format_of(target)
    wanted = next((known for known in SAVE_FORMATS if known.format == only), None)
    if only is None:
        wanted = by_name
    elif wanted is None:
        expected = "'weights', 'json', 'text' or None"
        raise PersistenceError(option="only", expected=expected, actual=only)
    if wanted is None:
        raise PersistenceError(
            f"{target.name or target} does not end in a suffix of a model file.",
            _available_suffixes(target),
        )
    if by_name is None:
        return target.with_name(target.name + wanted.suffix), wanted
    if by_name.format != wanted.format:
        stem = target.name.removesuffix(by_name.suffix)
        raise PersistenceError(
            f"{target.name} would contain {by_name.contents}, not {wanted.contents}.",
            f"Name it {stem}{wanted.suffix}, or just {stem}.",
        )
    return target, by_name


def _available_suffixes(path: Path) -> str:
    lines = "\n".join(
        f"  {known.suffix:<12} {known.contents}"
        for known in SAVE_FORMATS
        if known.contents != "the same"
    )
    near = nearest(path.suffix, (known.suffix for known in SAVE_FORMATS)) if path.suffix else []
    question = f"Did you mean {path.stem}{near[0]}? " if near else ""
    return f"{question}Use one of:\n{lines}"


# --- contents -------------------------------------------------------------------------------------

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK"
_OTHER_FILES = (
    (b"version https://git-lfs", "a Git LFS pointer, not the model itself", "git lfs pull"),
    (
        (b"<!DOCTYPE", b"<html"),
        "a web page: the download probably returned one instead of the file",
        "",
    ),
    (b"\x1f\x8b", "compressed with gzip", "gunzip"),
    (b"BZh", "compressed with bzip2", "bunzip2"),
    (b"\xfd7zXZ", "compressed with xz", "unxz"),
    ((b"\x89PNG", b"\xff\xd8\xff"), "an image", ""),
    (b"%PDF", "a PDF", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
)
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_PICKLE_REMEDY = (
    "Opening a pickle runs any code in it, so kmagic does not open pickles. Whoever created it can "
    "open it and save the model again: kmagic.save(model, 'model.keras')."
)


def is_weights_file(path: Path) -> bool:
    """Whether a file contains weights without a model."""
    return detect_format(path) in ("weights", "legacy weights")


def detect_format(path: Path) -> FileFormat:
    """The format of a file, whatever its name."""
    if not path.exists():
        raise file_missing(path)
    if path.is_dir():
        return _folder_format(path)
    name = show_path(path)
    try:
        problem = file_problem(path)
        if "regular" in problem:
            raise PersistenceError(f"{name} {problem}.", "Copy it to a file first.")
        start = b""
        if not problem:
            with path.open("rb") as file:
                start = file.read(4096)
    except OSError as error:
        raise not_read(error, path) or error from error
    if not start.strip(b"\0 \r\n\t"):
        state = "contains only zeros" if start else "is empty"
        raise PersistenceError(
            f"{name} {state}: writing it was probably interrupted.", "Save the model again."
        )
    if start.startswith(_HDF5):
        return _hdf5_format(path)
    if start.startswith(_ZIP):
        return _zip_format(path)
    if start.startswith(_PICKLES):
        raise PersistenceError(f"{name} is a pickle, not a Keras model.", _PICKLE_REMEDY)
    if start[4:8] == b"TFL3":
        raise PersistenceError(
            f"{name} is a TensorFlow Lite model, which Keras cannot load.",
            "Load the Keras model that it was converted from.",
        )
    for signature, what, command in _OTHER_FILES:
        if start.lstrip().startswith(signature):
            remedy = f"Run: {command} {path.name}" if command else "Load the file of a model."
            raise PersistenceError(f"{name} is {what}.", remedy)
    return _text_format(path, start)


def _folder_format(path: Path) -> FileFormat:
    name = show_path(path)
    if (path / "saved_model.pb").exists():
        raise PersistenceError(
            f"{name} is a TensorFlow SavedModel: a graph of operations without layers, which "
            "Keras 3 cannot load as a model.",
            f"For predictions only, use keras.layers.TFSMLayer({str(path)!r}, "
            "call_endpoint='serving_default'). To train it, load it with the Keras 2 that wrote it "
            "(pip install tf_keras) and save it as model.keras or model.h5.",
        )
    if (path / "config.json").exists() and (path / "metadata.json").exists():
        for file in path.rglob("*"):
            if not file.is_dir() and not file.is_file():
                problem = f"{file.relative_to(path)} in it is not a regular file"
                raise PersistenceError(f"{name} was not loaded: {problem}.")
        return "keras"
    if any(path.glob("*.index")) or (path / "checkpoint").exists():
        raise PersistenceError(
            f"{name} contains TensorFlow checkpoints: weights without a model.",
            "Build the model and restore them: tf.train.Checkpoint(model=model).restore(...).",
        )
    files = sorted(file.name for file in path.iterdir() if save_format_of(file) and file.is_file())
    inside = f": {', '.join(files[:8])}" if files else ""
    raise PersistenceError(f"{name} is a folder.", f"Name the file in it{inside}.")


def _zip_format(path: Path) -> FileFormat:
    name = show_path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise file_truncated(path) from error
    except OSError as error:
        raise not_read(error, path) or file_truncated(path) from error
    if "config.json" in members and any(name.startswith("model.weights") for name in members):
        return "keras"
    if any(member.endswith("data.pkl") for member in members):
        raise PersistenceError(
            f"{name} is a PyTorch model: a pickle in a zip, not a Keras model.", _PICKLE_REMEDY
        )
    if any(member.endswith(".npy") for member in members):
        raise PersistenceError(
            f"{name} contains NumPy arrays, not a model.", "Open it with numpy.load."
        )
    raise PersistenceError(f"{name} is a zip without a Keras model.", "Load the file of a model.")


def _hdf5_format(path: Path) -> FileFormat:
    import h5py  # noqa: PLC0415 - needed for HDF5 only

    name = show_path(path)
    try:
        with h5py.File(path, "r") as file:
            attributes, members = set(file.attrs), set(file)
    except READ_ERRORS as error:
        denied = isinstance(error, PermissionError) and not_read(error, path)
        raise denied or file_truncated(path) from error
    if "model_config" in attributes:
        return "h5"
    if {"layer_names", "layer_names0"} & attributes or "model_weights" in members:
        return "legacy weights"
    if members:
        return "weights"
    raise PersistenceError(f"{name} is an HDF5 file without a model.", "Load the file of a model.")


def _text_format(path: Path, start: bytes) -> FileFormat:
    name = show_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PersistenceError(
            f"{name} is not a model file: its first bytes are {start[:8].hex(' ')}.",
            "Model files are .keras, .h5, .weights.h5, .json and .kmagic.",
        ) from error
    except OSError as error:
        raise not_read(error, path) or error from error
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            config = parse_json(text)
            if isinstance(config, dict) and "class_name" in config and "config" in config:
                return "json"
            raise PersistenceError(
                f"{name} is JSON, but not of a model: it has no class_name.",
                "Load a file that model.to_json() or kmagic.save wrote.",
            )
        raise file_truncated(path)
    if path.suffix == ".kmagic":
        return "text"
    raise PersistenceError(
        f"{name} is a text file; only files ending in .kmagic are read as a model's text.",
        f"If it is a text of the layer language, rename it to {path.stem}.kmagic.",
    )


_COPY_AGAIN = "Copy or download it again. If the model is still in a notebook, save it again."


def file_broken(path: Path, error: Exception) -> PersistenceError:
    """The error for a file that cannot be read to its end, or whose checksum is wrong."""
    if "CRC" not in str(error):
        return file_truncated(path)
    return PersistenceError(
        f"{show_path(path)} is damaged: its checksum does not match.", _COPY_AGAIN
    )


def file_truncated(path: Path) -> PersistenceError:
    """The error for a file whose end is missing."""
    return PersistenceError(
        f"{show_path(path)} is incomplete: it starts like a model file, but its end is missing.",
        _COPY_AGAIN,
    )
