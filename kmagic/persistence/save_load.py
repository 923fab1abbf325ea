"""``kmagic.save`` and ``kmagic.load``: models as files, with their text and preparation."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras

from kmagic.data.preparation.preparation import Preparation
from kmagic.language import parse
from kmagic.language.spec import CompileSpec, ModelSpec
from kmagic.models.build import build_model, origin_of, restore_origin, serialize_steps
from kmagic.models.decompile import to_dsl, with_current_compile
from kmagic.models.keras_history import nested_layers
from kmagic.models.model_variables import stored_size
from kmagic.persistence import model_reading
from kmagic.persistence.formats import FileFormat, SaveFormat, save_target, to_path
from kmagic.persistence.model_metadata import (
    ModelMetadata,
    add_to_hdf5,
    add_to_zip,
    json_with_metadata,
    layer_vocabularies,
    read_text,
    restore_vocabularies,
    text_with_metadata,
    vocabulary_layers,
)
from kmagic.persistence.safety import ambiguous_names
from kmagic.support import model_registry
from kmagic.support.caller_names import LimitedNames, caller_names, warn_caller
from kmagic.support.display_mode import is_static
from kmagic.support.errors import KmagicError, MarkedError, PersistenceError
from kmagic.support.file_system import (
    UNCHANGED,
    atomic_write,
    check_free_space,
    error_number,
    first_line,
)
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import ModelName, Text
from kmagic.support.object_errors import explain_special_methods
from kmagic.support.process_patches import default_settings, isolated_keras, quiet_logger
from kmagic.support.rendering import Renderable
from kmagic.training.run.provenance import library_versions

MAX_LAYERS = 64
"""A larger model that kmagic did not build is saved without a text."""


@dataclass(frozen=True, repr=False, eq=False)
class SaveResult(Renderable):
    """A file that was written.

    Attributes:
        name: The model's name.
        path: The file.
        size: Its size in bytes.
        parts: What it contains, in words.
        notes: What to know when it is loaded.

    Example:
        >>> SaveResult("cnn", Path("models/cnn.keras"), 1_200_000, ["weights", "10 class names"])
        cnn saved as models/cnn.keras, 1.2 MB: weights, 10 class names
    """

    renderer: ClassVar[str] = "kmagic.display.model.model_card:save_bundle"

    name: str
    path: Path
    size: int
    parts: Sequence[str] = ()
    notes: Sequence[str] = ()

    def location(self) -> str:
        """The path and size of the file; in static display no size, which may vary."""
        size = "" if is_static() else f", {format_bytes(self.size)}"
        return f"saved as {show_path(self.path)}{size}"

    def __repr__(self) -> str:
        parts = f": {', '.join(self.parts)}" if self.parts else ""
        return "\n".join([f"{self.name} {self.location()}{parts}", *self.notes])


class LoadWarning(UserWarning):
    """A loaded model differs from the saved one."""


@explain_special_methods
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
    run = model_registry.record_for(model).run
    history = run.history if run is not None else {}
    preparation = getattr(model_registry.dataset_for(model), "preparation", None)
    metadata = ModelMetadata(
        name=name or model.name,
        text=text,
        values=values,
        steps=serialize_steps(model) if text and _has_own_text(model) else (),
        words=layer_vocabularies(model) if save_format.format != "keras" else (),
        own_names=ambiguous_names(model)[1],
        preparation=preparation.get_config() if preparation is not None else None,
        history={name: list(map(float, values)) for name, values in history.items()},
        epochs=len(run.log) if run is not None else 0,
        saved=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
    )
    _check_savable(model, save_format, metadata)
    with atomic_write(target, save_format.suffix, force=force) as part:
        if save_format.format in ("weights", "keras", "h5"):
            size, variables = stored_size(model)
            size += len(json.dumps(metadata.to_dict()))
            check_free_space(target, size, variables)
        try:
            _write(model, part, save_format, metadata)
        except KmagicError:
            raise
        except Exception as error:
            if error_number(error) is not None:
                raise  # atomic_write explains it
            raise _not_serialized(error, model, save_format) from error
        size = part.stat().st_size
    described = {"json": ["architecture"], "text": []}.get(save_format.format)
    parts = _weight_parts(model) if described is None else described
    parts += metadata.describe()
    return SaveResult(metadata.name or model.name, target, size, parts, _notes(model, save_format))


@explain_special_methods
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
        safe_mode: Reject files that contain Python code or read other files. Use False only for
            your own files.
        custom_objects: Classes, functions and values that the file may use, by name.

    Returns:
        The model. If kmagic saved it, kmagic knows its class names, its text and how its data was
        prepared.

    Raises:
        PersistenceError: The file does not exist, is incomplete, contains no model, is not to be
            trusted, or needs a class or function that is not defined.

    Warns:
        LoadWarning: The model differs from the saved one; the message says how.
    """
    loaded = load_with_details(
        path,
        into=model,
        safe_mode=safe_mode,
        custom_objects=custom_objects,
        notebook=caller_names(),
    )
    for note in loaded.notes:
        warn_caller(f"{loaded.name}: {note}", LoadWarning)
    return loaded.model


def load_with_details(
    path: str | os.PathLike[str],
    *,
    into: Any = None,
    safe_mode: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    notebook: Mapping[str, Any] | None = None,
) -> model_reading.LoadResult:
    """Load a model, or weights ``into`` one, with everything that was saved with it.

    Arguments and errors are those of :func:`load`. The file cannot use the variables of the
    ``notebook``; messages say how to pass them.
    """
    trust = model_reading.TrustSettings(safe_mode, custom_objects or {}, notebook or {})
    loaded = model_reading.open_file(to_path(path), trust, into=into)
    if loaded.model is None:
        try:
            _build_from_text(loaded, trust)
        except KmagicError as error:
            if loaded.error is None:
                raise
            reason = f"{loaded.error.message} Its text was not built either:\n\n{error}"
            raise PersistenceError(reason, loaded.error.remedy) from None
    model, metadata = loaded.model, loaded.metadata
    record = model_registry.record_for(model)
    record.is_loaded = loaded.format not in ("json", "text")
    if into is not None:  # its weights are not new any more
        record.initial_weights = record.start = None
    if loaded.format == "json":
        model_registry.mark_untrained(model)
    if metadata is not None:
        if into is None and origin_of(model) is None and metadata.text and metadata.steps:
            metadata = _with_own_text(loaded, metadata, trust)
        record.loaded_epochs = metadata.epochs if record.is_loaded else 0
        if metadata.words:
            loaded.add_notes(*restore_vocabularies(model, metadata.words))
        if metadata.preparation:
            try:
                model_registry.set_dataset(
                    model, Preparation.from_config(dict(metadata.preparation))
                )
            except (KmagicError, KeyError, TypeError, ValueError, AttributeError) as error:
                loaded.add_notes(f"The preparation of its data cannot be read: {error}")
                metadata = replace(metadata, preparation=None)
    known = metadata or ModelMetadata()
    loaded.name, loaded.origin = known.name or model.name, origin_of(model)
    loaded.keras_version = loaded.keras_version or known.versions.get("keras", "")
    loaded.parts = _loaded_parts(loaded, known)
    return loaded


# --- saving ---------------------------------------------------------------------------------------


def _has_own_text(model: Any) -> bool:
    """Whether the text that a model was built from builds it as it is, without other settings."""
    origin = origin_of(model)
    if origin is None or origin.settings or not origin.portable.text:
        return False
    return origin.describes(model)


def _text_of(model: Any, *, is_required: bool) -> tuple[str, dict[str, str]]:
    """The model's own text and its values, compiled as it is now; else one written for it."""
    origin = origin_of(model)
    if origin is not None and _has_own_text(model):
        return with_current_compile(origin.portable.text, model), dict(origin.portable.values)
    if not is_required and len(getattr(model, "layers", ())) > MAX_LAYERS:
        return "", {}
    try:
        return to_dsl(model), {}
    except (KmagicError, ValueError, AttributeError):  # not built yet, or of a class of its own
        if is_required:
            raise
    return "", {}


def _check_savable(model: Any, save_format: SaveFormat, metadata: ModelMetadata) -> None:
    if save_format.format == "text" and not metadata.text:
        remedy = "Save the whole model, in a file that ends in .keras."
        raise PersistenceError(Text(ModelName(model.name), " cannot be written as text."), remedy)
    if save_format.format == "weights" and not model.built:
        raise PersistenceError(
            Text(ModelName(model.name), " has no weights yet: the shape of its input is unknown."),
            "Start it with the shape of its input, such as `input 28x28x1`, or call it once.",
        )
    if save_format.format == "h5":
        for operation in _operations(model):
            reason = (
                f": its step {operation} is an operation of keras.ops, which Keras cannot read "
                "from an .h5."
            )
            raise _not_written(model, save_format, reason, "Save it as .keras.")
    if save_format.format in ("keras", "h5", "json"):
        for function in ambiguous_names(model)[0]:
            reason = (
                f": a layer uses your function {function}, and Keras would load its own function "
                "of that name."
            )
            remedy = (
                "Rename your function, or register it with "
                "keras.saving.register_keras_serializable, and build the model again."
            )
            raise _not_written(model, save_format, reason, remedy)


def _operations(model: Any) -> Iterator[str]:
    """The names of a model's steps that are not layers."""
    for operation in getattr(model, "operations", ()):
        if not isinstance(operation, keras.layers.Layer):
            yield operation.name
        yield from _operations(operation)


def _not_written(
    model: Any, save_format: SaveFormat, reason: str, remedy: str = ""
) -> PersistenceError:
    message = Text(ModelName(model.name), f" cannot be written as {save_format.suffix}{reason}")
    return PersistenceError(message, f"{UNCHANGED} {remedy}".strip())


def _not_serialized(error: Exception, model: Any, save_format: SaveFormat) -> PersistenceError:
    report = f"Keras reports: {first_line(error)}"
    if isinstance(error, NotImplementedError) or "get_config" in str(error):
        reason = f": a class in it has no `get_config`. {report}"
        remedy = (
            "Add a `get_config` to the class, or save the weights alone in a file that ends in "
            ".weights.h5."
        )
        return _not_written(model, save_format, reason, remedy)
    remedy = "Save it as .keras." if save_format.format == "h5" else ""
    return _not_written(model, save_format, f". {report}", remedy)


def _write(model: Any, part: Path, save_format: SaveFormat, metadata: ModelMetadata) -> None:
    if save_format.format == "json":
        with _compile_config_kept(model):
            part.write_text(json_with_metadata(model.to_json(), metadata), encoding="utf-8")
    elif save_format.format == "text":
        part.write_text(text_with_metadata(metadata), encoding="utf-8")
    else:
        with warnings.catch_warnings(), quiet_logger("absl"):
            warnings.simplefilter("ignore")  # a model without weights has a note in the result
            if save_format.format == "weights":
                model.save_weights(str(part))
            else:
                with _compile_config_kept(model):
                    model.save(str(part))
        add = add_to_zip if save_format.format == "keras" else add_to_hdf5
        add(part, metadata)


@contextmanager
def _compile_config_kept(model: Any) -> Iterator[None]:
    """Write the optimizer that a model has, and keep how it was compiled.

    Keras writes the optimizer that was passed, without the loss scaling that it added for
    mixed_float16, and removes it from the model's configuration to write an ``.h5``.
    """
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    config = config if isinstance(config, dict) else {}
    if getattr(model, "optimizer", None) is not None:
        config.setdefault("optimizer", model.optimizer)  # an earlier model.save removed it
    before = dict(config)
    if "optimizer" in config:
        config["optimizer"] = model.optimizer
    try:
        yield
    finally:
        config.update(before)


def _notes(model: Any, save_format: SaveFormat) -> list[str]:
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
    notes += [
        f"{name} is yours, but the file names it like Keras's. Load it with "
        f"--custom-objects {name} (custom_objects={{{name!r}: {name}}}); Keras itself may load "
        "its own."
        for name in ambiguous_names(model)[1]
    ]
    for layer in nested_layers(model):
        function = getattr(layer, "function", None)
        if type(layer).__name__ == "Lambda" and getattr(function, "__name__", "") == "<lambda>":
            notes.append(
                f"Layer {layer.name} is a Lambda whose Python code is in the file: load it with "
                "--unsafe (in Python safe_mode=False). An operation of keras.ops needs no code."
            )
    return notes


# --- loading --------------------------------------------------------------------------------------


def _build_from_text(loaded: model_reading.LoadResult, trust: model_reading.TrustSettings) -> None:
    """Build the model of a text, or of the text that was saved with weights."""
    metadata = loaded.metadata
    if loaded.format == "text":
        text, first_line = read_text(loaded.path)
    else:
        text, first_line = metadata.text if metadata is not None else "", 1
    if not text:
        raise PersistenceError(
            f"{loaded.file_name} contains weights, but no model to load them into.",
            "Name the model: `%keras_load PATH MODEL`, or kmagic.load(path, model=model).",
        )
    name = metadata.name if metadata is not None else loaded.path.name.partition(".")[0]
    build = partial(
        build_model,
        names=_names_for(metadata, trust),
        where=loaded.path.name,
        first_line=first_line,
        name=name if name.isidentifier() else "",
        safe_mode=trust.safe_mode,
    )
    try:
        loaded.model = build(text)
    except MarkedError as error:
        if loaded.format == "text":
            raise
        try:
            loaded.model = build(_without_compile(text))
        except KmagicError:
            raise error from None
        problem = error.problems[0]
        line = text.split("\n")[problem.line - 1]
        word = line[problem.column - 1 :][: problem.width]
        loaded.add_notes(
            f"Not compiled: {word} {problem.message}. Predictions do not need it. To evaluate or "
            "train the model, define what its compile line needs and name it in --custom-objects "
            "(custom_objects=), or compile it with %keras_compile."
        )
    if loaded.format != "text":
        loaded.add_notes(*model_reading.load_weights(loaded.model, loaded.path, loaded.format))


def _without_compile(text: str) -> ModelSpec:
    statements = parse(text).statements
    return ModelSpec(tuple(part for part in statements if not isinstance(part, CompileSpec)))


def _with_own_text(
    loaded: model_reading.LoadResult, metadata: ModelMetadata, trust: model_reading.TrustSettings
) -> ModelMetadata:
    """Register the text in a file as the text of its model, or leave it out of the metadata.

    It is shown and written to programs, so it must not describe another model.
    """
    model, names = loaded.model, _names_for(metadata, trust)
    try:
        layers = _without_compile(metadata.text)
        with isolated_keras(), default_settings():
            built = build_model(layers, names, name=model.name, safe_mode=trust.safe_mode)
            pairs = zip(layer_vocabularies(built), layer_vocabularies(model), strict=False)
            restore_vocabularies(built, [[] if own else learned for own, learned in pairs])
            is_same = to_dsl(built, compiled=False) == to_dsl(model, compiled=False)
    except (KmagicError, ValueError, AttributeError):  # it may need data of the notebook
        return replace(metadata, text="")
    if not is_same:
        loaded.add_notes("The text in the file was left out: it does not build this model.")
        return replace(metadata, text="")
    portable = replace(metadata.portable, text=with_current_compile(metadata.text, model))
    restore_origin(model, portable.text, names, metadata.steps, portable)
    return metadata


def _names_for(metadata: ModelMetadata | None, trust: model_reading.TrustSettings) -> LimitedNames:
    """What a file's text may use: its own values, and what the user passed by name."""
    try:
        own = metadata.portable.names() if metadata is not None else {}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        own = {}
    known = {**own, **trust.given}
    hidden = {name: _not_allowed(name) for name in trust.notebook if name not in known}
    if_missing = "Pass it to the file: --custom-objects NAME (in Python custom_objects={...})."
    return LimitedNames(known, hidden, if_missing)


def _not_allowed(name: str) -> tuple[str, str]:
    """Why a file cannot use a notebook variable, and how it can."""
    how = f"--custom-objects {name} (in Python custom_objects={{{name!r}: {name}}})"
    reason = f"{name} is your variable, which the file may not use unless you name it"
    return reason, f"If you trust the file, write {how}."


def _loaded_parts(loaded: model_reading.LoadResult, metadata: ModelMetadata) -> tuple[str, ...]:
    model = loaded.model
    if loaded.format in ("json", "text"):
        is_new = not model.built or model_registry.is_untrained(model)
        known = replace(metadata, history={}).describe()
        return (*(["new, untrained weights"] if is_new else []), *known)
    return (*_weight_parts(model), *metadata.describe())


def _weight_parts(model: Any) -> list[str]:
    return ["weights", "optimizer"] if model_reading.is_optimizer_used(model) else ["weights"]
