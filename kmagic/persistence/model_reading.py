"""Loading a model, or weights into a model, from a file.

A file is inspected and checked before a model is created from it. Weights are loaded completely or
not at all.
"""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import h5py
import keras
import numpy as np

from kmagic.models.model_variables import unchanged_after_error
from kmagic.models.trust import is_code
from kmagic.persistence import model_metadata, safety
from kmagic.persistence.container_checks import check_container
from kmagic.persistence.formats import (
    READ_ERRORS,
    FileFormat,
    detect_format,
    file_broken,
    file_truncated,
)
from kmagic.persistence.legacy_keras import compile_as_saved, is_legacy_config, updated_config
from kmagic.support.display_mode import is_static
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.file_system import first_line, not_read
from kmagic.support.formatting import format_bytes, list_names
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import ModelName, Text
from kmagic.support.parsed_json import parse_json
from kmagic.support.rendering import Renderable

KERAS_SUFFIX = {"weights": ".weights.h5", "legacy weights": ".h5", "h5": ".h5", "keras": ".keras"}
"""The suffix that Keras expects for each format."""
STATE_NOT_RESTORED = "The state of the optimizer was not restored"
LEGACY_STATE = f"{STATE_NOT_RESTORED}: Keras 2 stored it differently."
OTHER_LAYOUT = f"{STATE_NOT_RESTORED}: its layout differs."
_SKIPPED_STATE = "variable loading for optimizer"
_IRRELEVANT_WARNING = re.compile("input_shape|legacy.*HDF5|HDF5.*legacy|is deprecated|__array__")


@dataclass(repr=False, eq=False)
class LoadResult(Renderable):
    """A model that was loaded from a file.

    Attributes:
        path: The file.
        format: Its format.
        model: The model; None if the file has only a text, or weights without a model.
        name: Its name when it was saved.
        origin: Its text and steps (:func:`kmagic.models.build.origin_of`), or None.
        metadata: What kmagic saved with it; None for other files.
        notes: What differs from the saved model.
        keras_version: The version of Keras that wrote the file, if known.
        parts: What was loaded, in words.
        error: Why Keras cannot create the model, if its text may still build it.
        size: The file's size in bytes.
    """

    renderer: ClassVar[str] = "kmagic.display.model.model_card:load_bundle"

    path: Path
    format: FileFormat
    model: Any = None
    name: str = ""
    origin: Any = None
    metadata: model_metadata.ModelMetadata | None = None
    notes: tuple[str, ...] = ()
    keras_version: str = ""
    parts: Sequence[str] = ()
    error: PersistenceError | None = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.path.stat().st_size if self.path.is_file() else 0

    @property
    def file_name(self) -> str:
        """The path for messages."""
        return show_path(self.path)

    def add_notes(self, *notes: str) -> None:
        """Add what differs from the saved model."""
        self.notes += notes

    def with_name(self, name: str) -> Self:
        """The same result, with the model's name in the notebook."""
        return replace(self, name=name)

    @property
    def history(self) -> dict[str, list[float]]:
        """The metrics of the training run before the model was saved."""
        history = self.metadata.history if self.metadata is not None else {}
        return {name: list(values) for name, values in history.items()}

    def description(self) -> str:
        """Where it was loaded from and what was loaded, in one sentence."""
        parts = f": {', '.join(self.parts)}" if self.parts else ""
        if is_static():
            return f"from {self.file_name}{parts}"
        size = f", {format_bytes(self.size)}" if self.size else ""
        version = f", written by Keras {self.keras_version}" if self.keras_version else ""
        date = self.metadata.saved[:10] if self.metadata is not None else ""
        on_date = f" on {date}" if date else ""
        return f"from {self.file_name}{size}{version}{on_date}{parts}"

    def lines(self) -> list[str]:
        """The description and the notes, as sentences."""
        description = self.description()
        return [f"{description[0].upper()}{description[1:]}", *self.notes]

    def __repr__(self) -> str:
        return "\n".join([f"{self.name} {self.description()}", *self.notes])


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """What a file may use: code, and what the user passed by name; messages know the notebook's."""

    safe_mode: bool = True
    given: Mapping[str, Any] = field(default_factory=dict)
    notebook: Mapping[str, Any] = field(default_factory=dict)


def open_file(path: Path, trust: TrustSettings, *, into: Any = None) -> LoadResult:
    """Create the model of a file, or load the file's weights into a given model."""
    file_format = detect_format(path)
    if trust.safe_mode:
        check_container(path, file_format)
    metadata, version = model_metadata.read_metadata(path, file_format)
    loaded = LoadResult(path, file_format, metadata=metadata, keras_version=version)
    if into is not None and file_format in ("json", "text"):
        contents = "an architecture" if file_format == "json" else "the text of a model"
        raise PersistenceError(
            Text(f"{loaded.file_name} contains {contents}, not weights to load into ")
            + Text(ModelName(into.name), "."),
            "Load it without a model, or load a file of weights.",
        )
    if file_format == "text":
        return loaded
    if into is not None:
        loaded.add_notes(*load_weights(into, path, file_format))
        loaded.model = into
        return loaded
    if file_format in ("weights", "legacy weights"):
        return loaded
    read = {"keras": _read_keras, "h5": _read_hdf5, "json": _read_json}[file_format]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            read(loaded, trust)
    except KmagicError:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise file_broken(path, error) from error
    except Exception as error:
        reason = _load_error(error, loaded)
        if file_format != "keras" or loaded.metadata is None or not loaded.metadata.text:
            raise reason from error
        loaded.error = reason
        loaded.add_notes(
            "Keras could not load the model as it was saved, so it was built from the text in the "
            f"file. Keras reports: {_reason(error)}"
        )
        return loaded
    loaded.add_notes(*load_notes(caught, _optimizer_steps(path, file_format)))
    return loaded


# --- formats --------------------------------------------------------------------------------------


def _read_keras(loaded: LoadResult, trust: TrustSettings) -> None:
    config = parse_json(model_metadata.read_member(loaded.path, "config.json"))
    if loaded.keras_version.startswith("2."):
        compile_config = config.pop("compile_config", None)
        objects, updated = _updated(loaded, config, trust)
        loaded.model = _load_model(loaded, objects, trust, config=updated)
        _compile(loaded, compile_config, objects, trust)
        if loaded.model.compiled:
            loaded.add_notes(LEGACY_STATE)
        return
    compile_configs = _pop_compile_configs(config)
    objects = _checked_objects(loaded, config, trust)
    compile_objects = _compile_objects(loaded, compile_configs, trust)
    if compile_objects is None:
        loaded.model = _load_model(loaded, objects, trust, config=config)
        return
    objects |= compile_objects
    try:
        loaded.model = _load_model(loaded, objects, trust, compiled=True)
    except (zipfile.BadZipFile, EOFError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - raised again if compiling is not the reason
        try:
            loaded.model = _load_model(loaded, objects, trust)
        except Exception:  # noqa: BLE001 - the first error names the reason
            raise error from None
        loaded.add_notes(f"Not compiled: Keras reports: {_reason(error)}")


def _read_hdf5(loaded: LoadResult, trust: TrustSettings) -> None:
    with h5py.File(loaded.path, "r") as file:
        config = parse_json(model_metadata.decoded(file.attrs["model_config"]))
        training = file.attrs.get("training_config")
        compile_config = None if training is None else parse_json(model_metadata.decoded(training))
        has_state = "optimizer_weights" in file
    version = loaded.keras_version
    if version.startswith(("0", "1.")):
        raise PersistenceError(
            f"{loaded.file_name} was not loaded: it was written by Keras {version}, whose layers "
            "have other arguments.",
            "Load it with Keras 2.2, which reads both versions, and save it there.",
        )
    if version.startswith("3"):
        objects, updated = _checked_objects(loaded, config, trust), None
    else:
        objects, updated = _updated(loaded, config, trust)
    loaded.model = _load_model(loaded, objects, trust, config=updated)
    _compile(loaded, compile_config, objects, trust)
    if has_state and loaded.model.compiled:
        note = _restore_optimizer(loaded) if updated is None else LEGACY_STATE
        loaded.add_notes(*filter(None, [note]))


def _restore_optimizer(loaded: LoadResult) -> str:
    """Restore the optimizer's state from an HDF5 file; if it does not fit, a note says so."""
    optimizer = loaded.model.optimizer
    with h5py.File(loaded.path, "r") as file:
        group = file["optimizer_weights"]
        values = {name: np.asarray(group[name]) for name in name_list(group, "weight_names")}
    if not any(values[name] for name in values if name.endswith("iteration")):
        return ""  # it has not been used
    optimizer.build(loaded.model.trainable_variables)
    shapes = [value.shape for value in values.values()]
    if shapes != [tuple(own.shape) for own in optimizer.variables]:
        return OTHER_LAYOUT
    for variable, value in zip(optimizer.variables, values.values(), strict=True):
        variable.assign(value)
    return ""


def _read_json(loaded: LoadResult, trust: TrustSettings) -> None:
    config = parse_json(loaded.path.read_text(encoding="utf-8"))
    config.pop(model_metadata.KEY, None)
    if is_legacy_config(config) or loaded.keras_version.startswith("2."):
        config, notes = updated_config(config, loaded.file_name)
        loaded.add_notes(*notes)
    model_config = deepcopy(config)
    compile_objects = _compile_objects(loaded, _pop_compile_configs(model_config), trust)
    objects = _checked_objects(loaded, model_config, trust) | (compile_objects or {})
    loaded.model = keras.saving.deserialize_keras_object(
        model_config if compile_objects is None else config,
        custom_objects=objects,
        safe_mode=trust.safe_mode,
    )


def _load_model(
    loaded: LoadResult,
    objects: Mapping[str, Any],
    trust: TrustSettings,
    *,
    config: Any = None,
    compiled: bool = False,
) -> Any:
    """Load a file with Keras, with another configuration if one is given."""
    path = loaded.path
    suffix = "" if path.is_dir() else KERAS_SUFFIX[loaded.format]
    load = partial(
        keras.models.load_model,
        custom_objects=objects,
        compile=compiled,
        safe_mode=trust.safe_mode,
    )
    if config is None:
        with with_suffix(path, suffix) as file:
            return load(str(file))
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        copy = Path(folder) / f"model{suffix}"
        if path.is_dir():
            copy.mkdir()
            for member in path.iterdir():
                (copy / member.name).symlink_to(member.resolve())
            (copy / "config.json").unlink()
            (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
        elif loaded.format == "h5":
            shutil.copyfile(path, copy)
            with h5py.File(copy, "r+") as changed:
                changed.attrs["model_config"] = json.dumps(config)
        else:
            with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
                for name in dict.fromkeys(old.namelist()):
                    with old.open(name) as source, new.open(name, "w", force_zip64=True) as target:
                        if name == "config.json":
                            target.write(json.dumps(config).encode())
                        else:
                            shutil.copyfileobj(source, target)
        return load(str(copy))


def _updated(
    loaded: LoadResult, config: Any, trust: TrustSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The objects and the configuration of a model of Keras 2, as Keras 3 reads it."""
    updated, notes = updated_config(config, loaded.file_name)
    objects = _checked_objects(loaded, updated, trust)
    loaded.add_notes(*notes)
    return objects, updated


def _checked_objects(loaded: LoadResult, config: Any, trust: TrustSettings) -> dict[str, Any]:
    """The classes and functions that a configuration needs, after rejecting what is unsafe."""
    if trust.safe_mode:
        safety.reject_code(config, loaded.file_name)
    own = loaded.metadata.own_names if loaded.metadata is not None else ()
    needed = safety.needed_objects(config, own)
    return safety.find_objects(needed, trust.given, trust.notebook, loaded.file_name)


def _pop_compile_configs(config: Any) -> list[Any]:
    """Remove how a model and the models in it were compiled from a configuration."""
    found = []
    if isinstance(config, dict):
        found = [config.pop("compile_config")] if "compile_config" in config else []
        config = list(config.values())
    for value in config if isinstance(config, list) else ():
        found += _pop_compile_configs(value)
    return found


def _compile_objects(
    loaded: LoadResult, config: Any, trust: TrustSettings
) -> dict[str, Any] | None:
    """What a model was compiled with; None, and a note, if it cannot be compiled like that."""
    _, reason = safety.unsafe_reason(config) if trust.safe_mode else ("", "")
    if reason:
        if is_code(reason):
            reason = "is Python code in the file, which has not run"
        loaded.add_notes(
            f"Not compiled: its loss, a metric or the optimizer {reason}. Predictions do not need "
            "it. Compile the model with %keras_compile."
        )
        return None
    try:
        return _checked_objects(loaded, config, trust)
    except safety.MissingObjectsError as error:
        loaded.add_notes(safety.not_compiled_note(error.names))
        return None


def _compile(
    loaded: LoadResult, config: Any, objects: Mapping[str, Any], trust: TrustSettings
) -> None:
    compile_objects = _compile_objects(loaded, config, trust)
    if compile_objects is not None:
        loaded.add_notes(*compile_as_saved(loaded.model, config, {**objects, **compile_objects}))


# --- errors ---------------------------------------------------------------------------------------


def _load_error(error: Exception, loaded: LoadResult) -> PersistenceError:
    if isinstance(error, OSError):
        return not_read(error, loaded.path) or file_truncated(loaded.path)
    reason, version = _reason(error), loaded.keras_version
    failed = f"{loaded.file_name} was not loaded"
    if _version_numbers(version) > _version_numbers(keras.__version__):
        return PersistenceError(
            f"{failed}: it was written by Keras {version}, and this is Keras {keras.__version__}, "
            f"which reports: {reason}",
            "Run `pip install --upgrade keras` and restart the kernel.",
        )
    if any(text in reason for text in ("truncated", "bad object header", "Unable to")):
        return file_truncated(loaded.path)
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
    mark = "Exception encountered:"
    noise = ("Error when deserializing", "config=", "A total of", "be loaded. Example error")
    inner = [line.removeprefix(mark).strip() for line in lines if line.startswith(mark)]
    others = [line for line in lines if not line.startswith(noise)]
    return first_line("\n".join(inner[-1:] or others).strip() or error)


# --- weights --------------------------------------------------------------------------------------


@contextmanager
def with_suffix(path: Path, suffix: str) -> Iterator[Path]:
    """A path to the same file with the suffix that Keras expects."""
    is_weights = suffix == ".h5" and path.name.endswith(".weights.h5")
    if path.name.endswith(suffix) and not is_weights:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link


def load_weights(model: Any, path: Path, file_format: FileFormat) -> list[str]:
    """Load a file's weights into a model; if they do not fit, the model is unchanged.

    Returns:
        Notes for the user, one sentence each.
    """
    name = ModelName(model.name)
    if not model.built:
        raise PersistenceError(
            Text(name, f" has no weights yet, so {show_path(path)} cannot be loaded."),
            "Start it with the shape of its input, such as `input 28x28x1`, or call it once.",
        )
    optimizer = getattr(model, "optimizer", None)
    steps = _optimizer_steps(path, file_format)
    if optimizer is not None and not optimizer.built and steps and file_format == "weights":
        optimizer.build(model.trainable_variables)
    try:
        with unchanged_after_error(model), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with with_suffix(path, KERAS_SUFFIX[file_format]) as file:
                model.load_weights(str(file))
            if file_format == "weights" and _has_more(path, model):
                raise ValueError("the file has more weights")  # noqa: TRY301 - Keras ignores them
    except Exception as error:
        raise _misfit(error, model, path, file_format) from error
    return load_notes(caught, steps)


def load_notes(caught: Iterable[warnings.WarningMessage], steps: int) -> list[str]:
    """Notes for the user from the warnings of Keras while it loads, each once.

    Args:
        caught: The warnings.
        steps: How many steps the optimizer in the file has made.
    """
    notes: dict[str, None] = {}
    for warning in caught:
        message = warning.message
        line = first_line(message)
        is_relevant = isinstance(message, UserWarning) and str(message).strip()
        if not is_relevant or _IRRELEVANT_WARNING.search(line):
            continue
        if _SKIPPED_STATE not in line:
            notes[line] = None
        elif steps:
            notes[OTHER_LAYOUT] = None
    return list(notes)


def is_optimizer_used(model: Any) -> bool:
    """Whether a model's optimizer has trained it."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer is not None and int(optimizer.iterations) > 0


def _optimizer_steps(path: Path, file_format: FileFormat) -> int:
    """How many steps the optimizer in a file of Keras 3 has made; 0 if there is none."""
    if file_format not in ("keras", "weights"):
        return 0
    try:
        with _weights_of(path, file_format) as file:
            optimizer = file["optimizer"]  # around another one, if it scales the loss
            steps = optimizer.get("inner_optimizer", optimizer)["vars/0"]
            return int(steps[()]) if steps.shape == () else 0
    except READ_ERRORS:
        return 0  # loading it will fail with the reason, if there is one


def _has_more(path: Path, model: Any) -> bool:
    """Whether the file has weights that the model does not use."""
    with h5py.File(path, "r") as file:
        layers = _layout(file).values()
    count: int = sum(math.prod(shape) for _, shapes in layers for shape in shapes)
    return bool(count > sum(math.prod(variable.shape) for variable in model.variables))


# --- weights that do not fit ----------------------------------------------------------------------


LayerShapes: TypeAlias = tuple[str, tuple[tuple[int, ...], ...]]
"""The name of a layer and the shapes of its weights."""
Layout: TypeAlias = dict[str, LayerShapes]
"""Layers that have weights, by their position in the model."""


def _misfit(error: Exception, model: Any, path: Path, file_format: FileFormat) -> PersistenceError:
    if isinstance(error, PermissionError):
        return not_read(error, path) or file_truncated(path)
    try:
        with _weights_of(path, file_format) as file:
            difference = _difference(_layout(file), _model_layout(model, file_format))
    except Exception:  # noqa: BLE001 - whatever is wrong with the file
        return file_truncated(path)
    difference = difference or f"Keras reports: {first_line(error)}"
    name = ModelName(model.name)
    return PersistenceError(
        Text("The weights in ", show_path(path), " do not fit ", name, f": {difference}."),
        Text(name, " is unchanged. Build the model as it was when the weights were saved."),
    )


def _difference(file_layers: Layout, model_layers: Layout) -> str:
    for position, (name, shapes) in model_layers.items():
        other, other_shapes = file_layers.get(position, ("", shapes))
        if other_shapes != shapes:
            also = "" if other in ("", name) else f" ({other} in the file)"
            return (
                f"layer {name}{also} has shapes {_shapes(shapes)} in the model, but "
                f"{_shapes(other_shapes)} in the file"
            )
    missing = [name for key, (name, _) in model_layers.items() if key not in file_layers]
    extra = [name for key, (name, _) in file_layers.items() if key not in model_layers]
    parts = [f"the file has no weights for {list_names(missing, 4)}"] if missing else []
    if extra:
        parts.append(
            f"the file has weights for {list_names(extra, 4)}, which the model does not have"
        )
    return ", and ".join(parts)


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    texts = ("(" + ", ".join(map(str, shape)) + ")" for shape in shapes)
    return " and ".join(texts) or "none"


def _weights_of(path: Path, file_format: FileFormat) -> Any:
    is_zip = file_format == "keras"
    content = io.BytesIO(model_metadata.read_member(path, "model.weights.h5")) if is_zip else path
    return h5py.File(content, "r")


def _layout(file: Any) -> Layout:
    group = file.get("model_weights", file)
    if names := name_list(group, "layer_names"):
        return _numbered(
            (name, [group[name][weight] for weight in name_list(group[name], "weight_names")])
            for name in names
        )
    layout: Layout = {}

    def visit(key: str, node: Any) -> None:
        owner, _, last = key.replace("_layer_checkpoint_dependencies", "layers").rpartition("/")
        first = owner.partition("/")[0]  # Keras 2.12 used the longer name
        if last != "vars" or not owner or not len(node) or first.startswith(("_", "optimizer")):
            return
        if "metric" not in first and "loss" not in first:
            shapes = tuple(tuple(node[number].shape) for number in sorted(node, key=int))
            layout[owner] = (str(node.attrs.get("name", "")) or owner.rpartition("/")[2], shapes)

    file.visititems(visit)
    return layout


def _model_layout(model: Any, file_format: FileFormat) -> Layout:
    if file_format in ("h5", "legacy weights"):
        return _numbered(
            (layer.name, [*layer.trainable_weights, *layer.non_trainable_weights])
            for layer in model.layers
        )
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        file = Path(folder) / "model.weights.h5"
        model.save_weights(str(file))
        with h5py.File(file, "r") as saved:
            return _layout(saved)


def _numbered(layers: Iterable[tuple[str, Sequence[Any]]]) -> Layout:
    shapes = [(name, tuple(tuple(weight.shape) for weight in own)) for name, own in layers if own]
    return {str(index): layer for index, layer in enumerate(shapes)}


def name_list(group: Any, attribute: str) -> list[str]:
    """A list of names in an HDF5 attribute; long ones are split into several attributes."""
    pieces = [group.attrs[attribute]] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{attribute}{len(pieces)}"])
    return [model_metadata.decoded(name) for piece in pieces for name in piece]
