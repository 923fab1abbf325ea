"""A model into a file: what the name says, whole or not at all."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kmagic.persistence import layer_vocabularies
from kmagic.persistence.atomic import replacing
from kmagic.persistence.containers import as_json, as_text, put_into_hdf5, put_into_zip
from kmagic.persistence.file_errors import WHOLE, error_number
from kmagic.persistence.formats import Kind
from kmagic.persistence.model_metadata import Baggage
from kmagic.persistence.results import Saved
from kmagic.persistence.weights import has_state
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path

SPARE = 1_000_000
"""Bytes that a file holds at most beside its weights, as a rule."""


def write(model: Any, path: Path, kind: Kind, baggage: Baggage, *, force: bool = False) -> Saved:
    """Write a model.

    Args:
        model: A Keras model.
        path: Where.
        kind: What, as the path's end says.
        baggage: What travels with it.
        force: Whether a file that is there may be replaced.

    Returns:
        What was written.

    Raises:
        PersistenceError: The file is there, the disk refused, or Keras cannot write the model.
            Nothing is changed then.
    """
    if kind.form == "text" and not baggage.text:
        raise PersistenceError(
            f"{model.name} cannot be written as text.",
            "Save the whole model: a name that ends in .keras.",
        )
    if kind.form == "weights" and not model.built:
        raise PersistenceError(
            f"{model.name} has no weights yet: the shape of its input is not known.",
            "Begin it with its input's shape, such as `input 28x28x1`, or call it once.",
        )
    if kind.form == "h5":
        _refuse_operations(model)
    with replacing(path, kind.suffix, force=force) as part:
        if kind.form in ("weights", "keras", "h5"):
            _check_room(model, path, part.parent)
        try:
            _write(model, part, kind, baggage)
        except KmagicError:
            raise
        except Exception as error:
            if error_number(error) is not None:
                raise  # the disk's, told by the one who replaces
            raise _refused(error, model, kind) from error
        size = part.stat().st_size
    return Saved(
        baggage.name or model.name, path, size, _parts(model, kind, baggage), _notes(model, kind)
    )


def _write(model: Any, part: Path, kind: Kind, baggage: Baggage) -> None:
    if kind.form == "json":
        part.write_text(as_json(model.to_json(), baggage), encoding="utf-8")
        return
    if kind.form == "text":
        part.write_text(as_text(baggage), encoding="utf-8")
        return
    with warnings.catch_warnings(), _hushed():
        warnings.simplefilter("ignore")  # that a model has no weights: told below
        if kind.form == "weights":
            model.save_weights(str(part))
        else:
            with _as_compiled(model):
                model.save(str(part))
    (put_into_zip if kind.form == "keras" else put_into_hdf5)(part, baggage)


def _refuse_operations(model: Any) -> None:
    """Refuse an ``.h5`` that Keras would write, and then not read."""
    import keras  # noqa: PLC0415 - a model is here, so Keras is

    for each in getattr(model, "operations", ()):
        if not isinstance(each, keras.layers.Layer):
            raise PersistenceError(
                f"{model.name} cannot be written as .h5: its step {each.name} is an operation of "
                "keras.ops, and Keras does not read these from an .h5.",
                f"{WHOLE} Save it as .keras.",
            )
        if hasattr(each, "operations"):
            _refuse_operations(each)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without Keras's advice against HDF5: who names a file so wants one."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _as_compiled(model: Any) -> Iterator[None]:
    """Let a model remember how it was compiled: Keras takes its optimizer out to write ``.h5``."""
    held = getattr(getattr(model, "_compile_config", None), "config", None)
    if isinstance(held, dict) and getattr(model, "optimizer", None) is not None:
        held.setdefault("optimizer", model.optimizer)  # a `model.save` of the user's took it
    kept = dict(held) if isinstance(held, dict) else {}
    try:
        yield
    finally:
        if isinstance(held, dict):
            held.update(kept)


def _refused(error: Exception, model: Any, kind: Kind) -> PersistenceError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = lines[0][:300] if lines else type(error).__name__
    if isinstance(error, NotImplementedError) or "get_config" in str(error):
        return PersistenceError(
            f"{model.name} cannot be written as {kind.suffix}: it holds a class without "
            f"`get_config`, so nobody could make it again. {words}",
            f"{WHOLE} Give the class a `get_config`, or save the weights alone: --weights "
            "(a name that ends in .weights.h5).",
        )
    return PersistenceError(
        f"{model.name} cannot be written as {kind.suffix}. Keras says: {words}",
        f"{WHOLE} Save it as .keras." if kind.form == "h5" else WHOLE,
    )


def _check_room(model: Any, path: Path, folder: Path) -> None:
    """Refuse at once what the disk has no room for, before it is full."""
    optimizer = getattr(model, "optimizer", None)
    held = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    needed = sum(_bytes(each) for each in held)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise PersistenceError(
            f"{show_path(path)} was not written: it takes {format_bytes(needed)}, and the disk has "
            f"{format_bytes(free)} left.",
            f"{WHOLE} Make room, or name a path on another disk.",
        )


def _bytes(variable: Any) -> int:
    size = 1
    for side in variable.shape:
        size *= side
    width = str(variable.dtype).rstrip("u").lstrip("bfuloatin")
    return size * (int(width) // 8 if width.isdecimal() and int(width) >= 8 else 1)  # noqa: PLR2004 - bits of a byte


def _parts(model: Any, kind: Kind, baggage: Baggage) -> list[str]:
    """What is in the file, in words."""
    whole = ["weights", *(["optimizer"] if has_state(model) else [])]
    first = {
        "weights": whole,
        "keras": whole,
        "h5": whole,
        "json": ["architecture"],
        "text": [],
    }[kind.form]
    return [*first, *baggage.describe()]


def _notes(model: Any, kind: Kind) -> list[str]:
    """What whoever loads it will meet."""
    notes = []
    if kind.is_whole and not model.built:
        notes.append("It has no weights yet: the shape of its input is not known.")
    if kind.form not in ("keras", "text"):
        notes += [
            f"The words of its layer {layer.name} go along for kmagic; Keras alone finds them in a "
            ".keras file only."
            for layer in layer_vocabularies.layers(model)
        ]
    if kind.form in ("weights", "text"):
        return notes
    for layer in _layers(model):
        function = getattr(layer, "function", None)
        if type(layer).__name__ == "Lambda" and getattr(function, "__name__", "") == "<lambda>":
            notes.append(
                f"Its layer {layer.name} is a Lambda whose Python code is in the file, which is "
                "refused unless it is loaded with --unsafe. An op of keras.ops needs no code."
            )
    return notes


def _layers(model: Any) -> list[Any]:
    found = []
    for layer in getattr(model, "layers", ()):
        found.append(layer)
        if hasattr(layer, "layers"):
            found += _layers(layer)
    return found
