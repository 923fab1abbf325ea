"""Writing a model to a file: in the format of its name, completely or not at all."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kmagic.models.keras_history import nested_layers
from kmagic.persistence.atomic import atomic_write
from kmagic.persistence.file_errors import UNCHANGED, error_number, first_line
from kmagic.persistence.formats import SaveFormat
from kmagic.persistence.model_metadata import (
    ModelMetadata,
    add_to_hdf5,
    add_to_zip,
    json_with_metadata,
    text_with_metadata,
    vocabulary_layers,
)
from kmagic.persistence.results import SaveResult
from kmagic.persistence.weights import is_optimizer_used
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import ModelName, Text
from kmagic.support.process_patches import quiet_absl


def write_model(
    model: Any,
    path: Path,
    save_format: SaveFormat,
    metadata: ModelMetadata,
    *,
    force: bool = False,
) -> SaveResult:
    """Write a model to a file.

    Args:
        model: A Keras model.
        path: The file.
        save_format: Its format.
        metadata: What is saved with the model.
        force: Whether an existing file may be replaced.

    Raises:
        PersistenceError: The file exists, the file system reports an error, or Keras cannot write
            the model. Nothing is changed then.
    """
    name = ModelName(model.name)
    if save_format.format == "text" and not metadata.text:
        raise PersistenceError(
            Text(name, " cannot be written as text."),
            "Save the whole model, in a file that ends in .keras.",
        )
    if save_format.format == "weights" and not model.built:
        raise PersistenceError(
            Text(name, " has no weights yet: the shape of its input is unknown."),
            "Start it with the shape of its input, such as `input 28x28x1`, or call it once.",
        )
    if save_format.format == "h5":
        _reject_operations(model, name)
    with atomic_write(path, save_format.suffix, force=force) as part:
        if save_format.format in ("weights", "keras", "h5"):
            _check_free_space(model, path, part.parent)
        try:
            _write(model, part, save_format, metadata)
        except KmagicError:
            raise
        except Exception as error:
            if error_number(error) is not None:
                raise  # atomic_write explains it
            raise _not_serialized(error, name, save_format) from error
        size = part.stat().st_size
    parts: list[str] = []
    if save_format.format == "json":
        parts = ["architecture"]
    elif save_format.format != "text":
        parts = ["weights", *(["optimizer"] if is_optimizer_used(model) else [])]
    return SaveResult(
        metadata.name or model.name,
        path,
        size,
        [*parts, *metadata.describe()],
        _notes(model, save_format),
    )


def _write(model: Any, part: Path, save_format: SaveFormat, metadata: ModelMetadata) -> None:
    if save_format.format == "json":
        part.write_text(json_with_metadata(model.to_json(), metadata), encoding="utf-8")
    elif save_format.format == "text":
        part.write_text(text_with_metadata(metadata), encoding="utf-8")
    else:
        with warnings.catch_warnings(), quiet_absl():
            warnings.simplefilter("ignore")  # a model without weights has a note in the result
            if save_format.format == "weights":
                model.save_weights(str(part))
            else:
                with _compile_config_kept(model):
                    model.save(str(part))
        add = add_to_zip if save_format.format == "keras" else add_to_hdf5
        add(part, metadata)


def _reject_operations(model: Any, name: ModelName) -> None:
    """Reject what Keras writes to an ``.h5`` but cannot read from it."""
    for operation in getattr(model, "operations", ()):
        if not isinstance(operation, keras.layers.Layer):
            raise PersistenceError(
                Text(
                    name,
                    f" cannot be written as .h5: its step {operation.name} is an operation of "
                    "keras.ops, which Keras cannot read from an .h5.",
                ),
                f"{UNCHANGED} Save it as .keras.",
            )
        _reject_operations(operation, name)


@contextmanager
def _compile_config_kept(model: Any) -> Iterator[None]:
    """Keep how a model was compiled: Keras removes the optimizer from it to write an ``.h5``."""
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    if not isinstance(config, dict):
        yield
        return
    if getattr(model, "optimizer", None) is not None:
        config.setdefault("optimizer", model.optimizer)  # an earlier model.save removed it
    before = dict(config)
    try:
        yield
    finally:
        config.update(before)


def _not_serialized(error: Exception, name: ModelName, save_format: SaveFormat) -> PersistenceError:
    reason = first_line(error)
    if isinstance(error, NotImplementedError) or "get_config" in str(error):
        return PersistenceError(
            Text(
                name,
                f" cannot be written as {save_format.suffix}: a class in it has no `get_config`. "
                f"Keras reports: {reason}",
            ),
            f"{UNCHANGED} Add a `get_config` to the class, or save the weights alone in a file "
            "that ends in .weights.h5.",
        )
    return PersistenceError(
        Text(name, f" cannot be written as {save_format.suffix}. Keras reports: {reason}"),
        f"{UNCHANGED} Save it as .keras." if save_format.format == "h5" else UNCHANGED,
    )


def _check_free_space(model: Any, path: Path, folder: Path) -> None:
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    needed = sum(
        math.prod(variable.shape) * np.dtype(variable.dtype).itemsize for variable in variables
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PersistenceError(
            f"{show_path(path)} was not written: it needs {format_bytes(needed)}, and the disk has "
            f"{format_bytes(free)} left.",
            f"{UNCHANGED} Free some space, or choose a path on another disk.",
        )


def _notes(model: Any, save_format: SaveFormat) -> list[str]:
    """What to know when the file is loaded."""
    notes = []
    if save_format.format in ("keras", "h5") and not model.built:
        notes.append("It has no weights yet: the shape of its input is unknown.")
    if save_format.format not in ("keras", "text"):
        notes += [
            f"The vocabulary of layer {layer.name} is saved for kmagic; Keras itself reads it from "
            ".keras files only."
            for layer in vocabulary_layers(model)
        ]
    if save_format.format in ("weights", "text"):
        return notes
    for layer in nested_layers(model):
        function = getattr(layer, "function", None)
        if type(layer).__name__ == "Lambda" and getattr(function, "__name__", "") == "<lambda>":
            notes.append(
                f"Layer {layer.name} is a Lambda whose Python code is in the file: load it with "
                "--unsafe (in Python safe_mode=False). An operation of keras.ops needs no code."
            )
    return notes
