"""Loading a model from a file: the file is inspected and checked before the model is created."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from kmagic.persistence.file_errors import first_line, not_read
from kmagic.persistence.formats import FileFormat, detect_format, file_damaged, file_truncated
from kmagic.persistence.legacy_keras import compile_as_saved, is_legacy_config, updated_config
from kmagic.persistence.model_metadata import (
    KEY,
    ModelMetadata,
    keras_metadata,
    read_metadata,
    read_text,
)
from kmagic.persistence.safety import find_objects, needed_objects, reject_code
from kmagic.persistence.weights import (
    KERAS_SUFFIX,
    OTHER_LAYOUT,
    STATE_NOT_RESTORED,
    UNTRAINED_VARIABLES,
    decoded,
    load_notes,
    load_weights,
    name_list,
    with_suffix,
)
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import ModelName, Text

LEGACY_STATE = f"{STATE_NOT_RESTORED}: Keras 2 stored it differently."


@dataclass(slots=True)
class OpenedFile:
    """What was read from a file.

    Attributes:
        path: The file.
        format: Its format.
        model: The model; None if the file has only a text, or weights without a model.
        text: The text of a ``.kmagic`` file.
        first_line: The number of the text's first line in the file.
        metadata: What kmagic saved with the model; None for other files.
        notes: What differs from the saved model.
        keras_version: The version of Keras that wrote it, if known.
        error: Why Keras cannot create the model, if its text may still build it.
    """

    path: Path
    format: FileFormat
    model: Any = None
    text: str = ""
    first_line: int = 1
    metadata: ModelMetadata | None = None
    notes: list[str] = field(default_factory=list)
    keras_version: str = ""
    error: PersistenceError | None = None

    @property
    def name(self) -> str:
        """The path for messages."""
        return show_path(self.path)


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """What a file may use.

    Attributes:
        safe_mode: Whether code in the file is rejected.
        given: Classes and functions that the user passed, by name.
        notebook: The notebook's variables.
    """

    safe_mode: bool = True
    given: Mapping[str, Any] = field(default_factory=dict)
    notebook: Mapping[str, Any] = field(default_factory=dict)


def open_file(path: Path, trust: TrustSettings, *, into: Any = None) -> OpenedFile:
    """Read a file.

    Args:
        path: The file.
        trust: What it may use.
        into: A model to load the file's weights into; default: create a new model.

    Raises:
        PersistenceError: It cannot be read, contains no model, or is not to be trusted.
    """
    file_format = detect_format(path)
    opened = OpenedFile(path, file_format, metadata=read_metadata(path, file_format))
    if file_format == "text":
        opened.text, opened.first_line = read_text(path)
        return opened
    if into is not None:
        if file_format == "json":
            raise PersistenceError(
                Text(
                    f"{opened.name} contains an architecture, not weights to load into ",
                    ModelName(into.name),
                    ".",
                ),
                "Load it without a model, or load a file of weights.",
            )
        opened.keras_version = _keras_version(path, file_format)
        opened.notes += load_weights(into, path, file_format)
        opened.model = into
        return opened
    if file_format in ("weights", "legacy weights"):
        return opened
    opened.keras_version = _keras_version(path, file_format)
    read = {"keras": _read_keras, "h5": _read_hdf5, "json": _read_json}[file_format]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read(opened, trust)
    except KmagicError:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise (file_damaged if "CRC" in str(error) else file_truncated)(path) from error
    except Exception as error:
        reason = _load_error(error, opened)
        if file_format != "keras" or opened.metadata is None or not opened.metadata.text:
            raise reason from error
        opened.error = reason
        return opened
    opened.notes += load_notes(caught)
    return opened


# --- formats --------------------------------------------------------------------------------------


def _read_keras(opened: OpenedFile, trust: TrustSettings) -> None:
    path = opened.path
    if path.is_dir():
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    else:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        if opened.keras_version.startswith("2."):
            _read_legacy_keras(opened, config, trust)
            return
    objects = _checked_objects(opened, config, trust)
    with with_suffix(path, "" if path.is_dir() else KERAS_SUFFIX["keras"]) as file:
        try:
            opened.model = _load_model(file, objects, trust, compiled=True)
        except (zipfile.BadZipFile, EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - raised again if compiling is not the reason
            try:
                opened.model = _load_model(file, objects, trust)
            except Exception:  # noqa: BLE001 - the first error names the reason
                raise error from None
            opened.notes.append(f"Not compiled: Keras reports: {_reason(error)}")


def _read_legacy_keras(opened: OpenedFile, config: dict[str, Any], trust: TrustSettings) -> None:
    """A ``.keras`` file of Keras 2.12 or later: the same zip with an older configuration."""
    compile_config = config.pop("compile_config", None)
    updated, notes = updated_config(config, opened.name)
    objects = _checked_objects(opened, [updated, compile_config], trust)
    opened.notes += notes
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(opened.path) as old, zipfile.ZipFile(copy, "w") as new:
            for member in old.namelist():
                with old.open(member) as source, new.open(member, "w", force_zip64=True) as target:
                    if member == "config.json":
                        target.write(json.dumps(updated).encode())
                    else:
                        shutil.copyfileobj(source, target)
        opened.model = _load_model(copy, objects, trust)
    opened.notes += compile_as_saved(opened.model, compile_config, objects)
    if opened.model.compiled:
        opened.notes.append(LEGACY_STATE)


def _read_hdf5(opened: OpenedFile, trust: TrustSettings) -> None:
    with h5py.File(opened.path, "r") as file:
        config = json.loads(decoded(file.attrs["model_config"]))
        training = file.attrs.get("training_config")
        compile_config = None if training is None else json.loads(decoded(training))
        has_state = "optimizer_weights" in file
    if opened.keras_version.startswith(("0", "1.")):
        raise PersistenceError(
            f"{opened.name} was not loaded: it was written by Keras {opened.keras_version}, whose "
            "layers have other arguments.",
            "Load it with Keras 2.2, which reads both versions, and save it there.",
        )
    is_legacy = not opened.keras_version.startswith("3")
    updated, notes = updated_config(config, opened.name) if is_legacy else (config, [])
    objects = _checked_objects(opened, updated, trust)
    opened.notes += notes
    if updated == config:
        with with_suffix(opened.path, KERAS_SUFFIX["h5"]) as path:
            opened.model = _load_model(path, objects, trust)
    else:
        with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
            copy = Path(folder) / "model.h5"
            shutil.copyfile(opened.path, copy)
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = json.dumps(updated)
            opened.model = _load_model(copy, objects, trust)
    opened.notes += compile_as_saved(opened.model, compile_config, objects)
    if has_state and opened.model.compiled:
        note = LEGACY_STATE if is_legacy else _restore_optimizer(opened)
        opened.notes += [note] if note else []


def _restore_optimizer(opened: OpenedFile) -> str:
    """Restore the optimizer's state from an HDF5 file; if it does not fit, a note says so."""
    optimizer = opened.model.optimizer
    with h5py.File(opened.path, "r") as file:
        group = file["optimizer_weights"]
        values = [np.asarray(group[name]) for name in name_list(group, "weight_names")]
    if len(values) <= UNTRAINED_VARIABLES:
        return ""
    optimizer.build(opened.model.trainable_variables)
    if [value.shape for value in values] != [tuple(own.shape) for own in optimizer.variables]:
        return OTHER_LAYOUT
    for variable, value in zip(optimizer.variables, values, strict=True):
        variable.assign(value)
    return ""


def _read_json(opened: OpenedFile, trust: TrustSettings) -> None:
    config = json.loads(opened.path.read_text(encoding="utf-8"))
    config.pop(KEY, None)
    if is_legacy_config(config) or opened.keras_version.startswith("2."):
        config, notes = updated_config(config, opened.name)
        opened.notes += notes
        is_functional = config["class_name"] == "Functional"
        config["module"] = "keras.src.models.functional" if is_functional else "keras"
    objects = _checked_objects(opened, config, trust)
    opened.model = keras.saving.deserialize_keras_object(
        config, custom_objects=objects, safe_mode=trust.safe_mode
    )


def _load_model(
    path: Path, objects: Mapping[str, Any], trust: TrustSettings, *, compiled: bool = False
) -> Any:
    return keras.models.load_model(
        str(path), custom_objects=objects, compile=compiled, safe_mode=trust.safe_mode
    )


def _checked_objects(opened: OpenedFile, config: Any, trust: TrustSettings) -> dict[str, Any]:
    """The classes and functions that a configuration needs, after rejecting what is unsafe."""
    if trust.safe_mode:
        reject_code(config, opened.name)
    return find_objects(needed_objects(config), trust.given, trust.notebook, opened.name)


def _keras_version(path: Path, file_format: FileFormat) -> str:
    """The version of Keras that wrote a file; "" if unknown."""
    try:
        if file_format == "keras":
            return str(json.loads(keras_metadata(path)).get("keras_version", ""))
        if file_format == "json":
            content = json.loads(path.read_text(encoding="utf-8"))
            return str(content.get("keras_version", ""))
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            version = file.attrs.get("keras_version", group.attrs.get("keras_version", ""))
            return decoded(version)
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile):
        return ""


# --- errors ---------------------------------------------------------------------------------------


def _load_error(error: Exception, opened: OpenedFile) -> PersistenceError:
    if isinstance(error, OSError):
        return not_read(error, opened.path) or file_truncated(opened.path)
    reason, version = _reason(error), opened.keras_version
    failed = f"{opened.name} was not loaded"
    if _version_numbers(version) > _version_numbers(keras.__version__):
        return PersistenceError(
            f"{failed}: it was written by Keras {version}, and this is Keras {keras.__version__}, "
            f"which reports: {reason}",
            "Run `pip install --upgrade keras` and restart the kernel.",
        )
    if any(text in reason for text in ("truncated", "bad object header", "Unable to")):
        return file_truncated(opened.path)
    if "marshal" in reason:
        return PersistenceError(
            f"{failed}: the Python code in it was written by another version of Python, and this "
            f"version cannot read it: {reason}",
            "Load it with the Python that wrote it, and use operations of keras.ops instead.",
        )
    written_by = f" It was written by Keras {version}." if version else ""
    return PersistenceError(
        f"{failed}: Keras {keras.__version__} reports: {reason}{written_by}",
        "Build the model and load the weights alone: kmagic.load(path, model=model).",
    )


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _reason(error: BaseException) -> str:
    """The line of an exception's message that names the reason."""
    while "could not be deserialized properly" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    inner = [line for line in lines if line.startswith("Exception encountered:")]
    others = [
        line for line in lines if not line.startswith(("Error when deserializing", "config="))
    ]
    reason = (
        inner[-1].removeprefix("Exception encountered:") if inner else "\n".join(others)
    ).strip()
    return first_line(reason or error)
