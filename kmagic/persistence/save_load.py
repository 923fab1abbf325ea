"""``kmagic.save`` and ``kmagic.load``: models as files, with their text and preparation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kmagic.data.preparation.preparation import Preparation
from kmagic.models.build import build_model, origin_of, restore_origin, serialize_steps
from kmagic.models.decompile import to_dsl, with_current_compile
from kmagic.persistence.formats import FileFormat, save_target, to_path
from kmagic.persistence.model_metadata import (
    ModelMetadata,
    layer_vocabularies,
    restore_vocabularies,
    sampled_history,
)
from kmagic.persistence.model_reading import OpenedFile, TrustSettings, open_file
from kmagic.persistence.model_writing import write_model
from kmagic.persistence.results import LoadResult, SaveResult
from kmagic.persistence.safety import is_usable
from kmagic.persistence.weights import is_optimizer_used, load_weights
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.messages import Text
from kmagic.support.model_registry import (
    dataset_for,
    is_untrained,
    mark_untrained,
    run_for,
    set_dataset,
)
from kmagic.training.run.provenance import library_versions

MAX_LAYERS = 64
"""A larger model that kmagic did not build is saved without a text."""


class LoadWarning(UserWarning):
    """A loaded model differs from the saved one."""


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    only: FileFormat | None = None,
    name: str = "",
) -> SaveResult:
    """Save a model: the whole model, its weights, its architecture or its text.

    The file is written completely or not at all. The model's text, its class names and the
    preparation of its data are saved with it, so that :func:`load` returns a model that accepts raw
    data.

    Args:
        model: A Keras model.
        path: The file. Its suffix selects the format: ``.keras`` or ``.h5`` for the whole model,
            ``.weights.h5`` for the weights, ``.json`` for the architecture, ``.kmagic`` for the
            text. Missing folders are created.
        force: Replace an existing file.
        only: "weights", "json" or "text": save only that; the path needs no suffix then.
        name: The model's name, if not ``model.name``.

    Returns:
        What was saved: ``path``, ``size``, ``parts``, ``notes``.

    Raises:
        PersistenceError: The file exists, the file system reports an error, or the model cannot be
            written. Nothing is changed then.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="net")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = save(model, f"{folder}/models/net.keras")
        ...     load(saved.path).name
        'net'
    """
    if not hasattr(model, "save_weights"):
        raise PersistenceError(
            option="model",
            expected="a Keras model",
            actual=Text(type(model).__name__),
            remedy=Text("Pass the model first: kmagic.save(model, 'models/cnn.keras')"),
        )
    target, save_format = save_target(path, only)
    text, values = _text_of(model, is_required=save_format.format == "text")
    run = run_for(model)
    preparation = getattr(dataset_for(model), "preparation", None)
    metadata = ModelMetadata(
        name=name or model.name,
        text=text,
        values=values,
        steps=serialize_steps(model) if text else (),
        words=layer_vocabularies(model) if save_format.format != "keras" else (),
        preparation=preparation.get_config() if preparation is not None else None,
        history=sampled_history(run.history) if run is not None else {},
        epochs=len(run.log) if run is not None else 0,
        saved=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
    )
    return write_model(model, target, save_format, metadata, force=force)


def load(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    safe_mode: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Load a model, or load weights into one.

    Args:
        path: The file; its format is detected from its content.
        model: A model to load the file's weights into; it is unchanged if they do not fit.
        safe_mode: Reject Python code in the file. Use False only for your own files.
        custom_objects: Classes and functions that are not part of Keras, by name.

    Returns:
        The model. If kmagic saved it, kmagic knows its class names, its text and how its data was
        prepared.

    Raises:
        PersistenceError: The file does not exist, is incomplete, contains no model, is not to be
            trusted, or needs a class or function that is not defined.

    Warns:
        LoadWarning: The model differs from the saved one; the message says how.
    """
    loaded = load_with_details(path, into=model, safe_mode=safe_mode, custom_objects=custom_objects)
    for note in loaded.notes:
        warnings.warn(f"{loaded.name}: {note}", LoadWarning, stacklevel=2)
    return loaded.model


def load_with_details(
    path: str | os.PathLike[str],
    *,
    into: Any = None,
    safe_mode: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    notebook: Mapping[str, Any] | None = None,
) -> LoadResult:
    """Load a model with everything that was saved with it; arguments and errors as for `load`.

    Args:
        path: The file.
        into: A model to load the file's weights into.
        safe_mode: Reject Python code in the file.
        custom_objects: Classes and functions that are not part of Keras, by name.
        notebook: The notebook's variables, for other classes and functions.
    """
    file = to_path(path)
    trust = TrustSettings(safe_mode, custom_objects or {}, notebook or {})
    opened = open_file(file, trust, into=into)
    if opened.model is None:
        try:
            _build_from_text(opened, trust)
        except KmagicError:
            if opened.error is not None:
                raise opened.error from None
            raise
    model, metadata = opened.model, opened.metadata
    if opened.format == "json":
        mark_untrained(model)
    if metadata is not None:
        if into is None and origin_of(model) is None and metadata.text and metadata.steps:
            names = _names_for(metadata, trust)
            restore_origin(model, metadata.text, names, metadata.steps, metadata.portable)
        if metadata.words:
            opened.notes += restore_vocabularies(model, metadata.words)
        if metadata.preparation:
            try:
                set_dataset(model, Preparation.from_config(dict(metadata.preparation)))
            except (KmagicError, KeyError, TypeError, ValueError, AttributeError) as error:
                opened.notes.append(f"The preparation of its data cannot be read: {error}")
    known = metadata or ModelMetadata()
    return LoadResult(
        model,
        known.name or model.name,
        file,
        file.stat().st_size if file.is_file() else 0,
        origin_of(model),
        metadata,
        tuple(opened.notes),
        opened.keras_version or known.versions.get("keras", ""),
        _loaded_parts(opened, known),
    )


def _text_of(model: Any, *, is_required: bool) -> tuple[str, dict[str, str]]:
    """The model's own text and its values, compiled as it is now; else one written for it.

    Raises:
        DecompileError: No text can express the model, and one is required.
    """
    origin = origin_of(model)
    if origin is not None and origin.portable.text:
        return with_current_compile(origin.portable.text, model), dict(origin.portable.values)
    if not is_required and len(getattr(model, "layers", ())) > MAX_LAYERS:
        return "", {}
    try:
        return to_dsl(model), {}
    except (KmagicError, ValueError, AttributeError):  # not built yet, or of a class of its own
        if is_required:
            raise
    return "", {}


def _build_from_text(opened: OpenedFile, trust: TrustSettings) -> None:
    """Build the model of a text, or of the text that was saved with weights."""
    metadata = opened.metadata
    text = opened.text or (metadata.text if metadata is not None else "")
    if not text:
        raise PersistenceError(
            f"{opened.name} contains weights, but no model to load them into.",
            "Name the model: `%keras_load PATH MODEL`, or kmagic.load(path, model=model).",
        )
    name = metadata.name if metadata is not None else opened.path.name.partition(".")[0]
    opened.model = build_model(
        text,
        _names_for(metadata, trust),
        where=opened.path.name,
        first_line=opened.first_line,
        name=name if name.isidentifier() else "",
    )
    if not opened.text:
        opened.notes += load_weights(opened.model, opened.path, opened.format)


def _names_for(metadata: ModelMetadata | None, trust: TrustSettings) -> dict[str, Any]:
    """What a file's text may use: its own values, and safe variables of the notebook."""
    variables = {
        name: value
        for name, value in trust.notebook.items()
        if not name.startswith("_")
        and (isinstance(value, bool | int | float | str | tuple) or is_usable(value))
    }
    try:
        own = metadata.portable.names() if metadata is not None else {}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        own = {}
    return {**variables, **trust.given, **own}


def _loaded_parts(opened: OpenedFile, metadata: ModelMetadata) -> tuple[str, ...]:
    """What was loaded, in words."""
    model = opened.model
    if opened.format in ("json", "text"):
        is_new = not model.built or is_untrained(model)
        known = replace(metadata, history={}).describe()
        return (*(["new, untrained weights"] if is_new else []), *known)
    optimizer = ["optimizer"] if is_optimizer_used(model) else []
    return ("weights", *optimizer, *metadata.describe())
