"""A model out of a file: looked at, judged, and only then made."""

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

from kmagic.persistence.containers import KEY, metadata_of, take, text_in
from kmagic.persistence.file_errors import not_read
from kmagic.persistence.file_type import Content, broken_off, content_of, damaged
from kmagic.persistence.legacy_compile import compile_as_saved
from kmagic.persistence.legacy_config import is_legacy, mended
from kmagic.persistence.model_metadata import Baggage
from kmagic.persistence.safety import needs_of, objects_for, refuse_code
from kmagic.persistence.weights import SUFFIX, UNTRAINED, load_weights, named, tell
from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.keras_cache import show_path

OLD_STATE = "the optimizer's state was not taken over: Keras 2 had it otherwise"


@dataclass(slots=True)
class Opened:
    """What a file gave.

    Attributes:
        path: The file.
        content: What it is.
        model: The model; None where the file is a text, or weights for which none was given.
        text: The text of a ``.kmagic`` file.
        first_line: The number of its first line in the file.
        baggage: What came with it; None where the file has none of ours.
        notes: What became otherwise than it was, in words.
        made_by: Version of the Keras that wrote it, where the file says.
        refused: Why Keras does not make the model, where it came with a text that may build it.
    """

    path: Path
    content: Content
    model: Any = None
    text: str = ""
    first_line: int = 1
    baggage: Baggage | None = None
    notes: list[str] = field(default_factory=list)
    made_by: str = ""
    refused: PersistenceError | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """What a file may use.

    Attributes:
        safe_mode: Whether code in the file is refused.
        given: Classes and functions that the user named.
        notebook: The notebook's names.
    """

    safe_mode: bool = True
    given: Mapping[str, Any] = field(default_factory=dict)
    notebook: Mapping[str, Any] = field(default_factory=dict)


def open_file(path: Path, trust: Trust, *, into: Any = None) -> Opened:
    """Read a file.

    Args:
        path: The file.
        trust: What it may use.
        into: A model that is to get the file's weights; else a new model is made.

    Raises:
        PersistenceError: It cannot be read, holds no model, or is not to be trusted.
    """
    content = content_of(path)
    opened = Opened(path, content, baggage=take(path, content))
    if content == "text":
        opened.text, opened.first_line = text_in(path)
        return opened
    if into is not None:
        if content == "json":
            raise PersistenceError(
                f"{show_path(path)} holds an architecture, no weights to put into {into.name}."
            )
        opened.made_by = _version(path, content)
        opened.notes += load_weights(into, path, content)
        opened.model = into
        return opened
    if content in ("weights", "old weights"):
        return opened
    opened.made_by = _version(path, content)
    read = {"keras": _keras, "h5": _hdf5, "json": _json}[content]
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            read(opened, trust)
    except KmagicError:
        raise
    except (zipfile.BadZipFile, EOFError) as error:
        raise (damaged if "CRC" in str(error) else broken_off)(path) from error
    except Exception as error:
        refused = _refused(error, opened)
        if content != "keras" or opened.baggage is None or not opened.baggage.text:
            raise refused from error
        opened.refused = refused  # its text may still build it
        return opened
    opened.notes += dict.fromkeys(words for each in told if (words := tell(each.message)))
    return opened


def _keras(opened: Opened, trust: Trust) -> None:
    import keras  # noqa: PLC0415 - takes seconds

    path = opened.path
    if path.is_dir():
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    else:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    if opened.made_by.startswith("2.") and not path.is_dir():
        _old_keras(opened, config, trust)
        return
    objects = _judge(opened, config, trust)
    with named(path, "" if path.is_dir() else SUFFIX["keras"]) as file:

        def load(*, compiled: bool) -> Any:
            return keras.models.load_model(
                str(file),
                custom_objects=objects,
                compile=compiled,
                safe_mode=trust.safe_mode,
            )

        try:
            opened.model = load(compiled=True)
        except (zipfile.BadZipFile, EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - raised below, if the model is the reason
            try:
                opened.model = load(compiled=False)
            except Exception:  # noqa: BLE001 - the first one says what is wrong
                raise error from None
            opened.notes.append(f"not compiled, since Keras refuses it: {_words(error)}")


def _old_keras(opened: Opened, config: dict[str, Any], trust: Trust) -> None:
    """A ``.keras`` of Keras 2.12 or later: the same zip, in the words of then."""
    import keras  # noqa: PLC0415 - takes seconds

    compiled = config.pop("compile_config", None)
    fresh, notes = mended(config, show_path(opened.path))
    objects = _judge(opened, [fresh, compiled], trust)
    opened.notes += notes
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(opened.path) as held, zipfile.ZipFile(copy, "w") as made:
            for name in held.namelist():
                with held.open(name) as source, made.open(name, "w", force_zip64=True) as target:
                    if name == "config.json":
                        target.write(json.dumps(fresh).encode())
                    else:
                        shutil.copyfileobj(source, target)
        opened.model = keras.models.load_model(
            str(copy), custom_objects=objects, compile=False, safe_mode=trust.safe_mode
        )
    opened.notes += compile_as_saved(opened.model, compiled, objects)
    if opened.model.compiled:
        opened.notes.append(OLD_STATE)


def _hdf5(opened: Opened, trust: Trust) -> None:
    import h5py  # noqa: PLC0415 - not before such a file is read
    import keras  # noqa: PLC0415 - takes seconds

    with h5py.File(opened.path, "r") as file:
        config = json.loads(_decoded(file.attrs["model_config"]))
        written = file.attrs.get("training_config")
        training = None if written is None else json.loads(_decoded(written))
        has_state = "optimizer_weights" in file
    name = show_path(opened.path)
    old = not opened.made_by.startswith("3")
    if opened.made_by.startswith(("0", "1.")):
        raise PersistenceError(
            f"{name} was not loaded: Keras {opened.made_by} wrote it, whose layers had other "
            "arguments.",
            "Load it with Keras 2.2 and save it there: Keras 2 reads both.",
        )
    fresh, notes = mended(config, name) if old else (config, [])
    objects = _judge(opened, fresh, trust)
    opened.notes += notes

    def load(file: Path) -> Any:
        return keras.models.load_model(
            str(file), custom_objects=objects, compile=False, safe_mode=trust.safe_mode
        )

    if fresh == config:
        with named(opened.path, SUFFIX["h5"]) as file:
            opened.model = load(file)
    else:
        with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
            copy = Path(folder) / "model.h5"
            shutil.copyfile(opened.path, copy)
            with h5py.File(copy, "r+") as held:
                held.attrs["model_config"] = json.dumps(fresh)
            opened.model = load(copy)
    opened.notes += compile_as_saved(opened.model, training, objects)
    if has_state and opened.model.compiled:
        _optimizer_state(opened, old=old)


def _optimizer_state(opened: Opened, *, old: bool) -> None:
    """Let the training go on where it was, where the optimizer's state is laid out as here."""
    import h5py  # noqa: PLC0415 - not before such a file is read
    import numpy as np  # noqa: PLC0415 - as above

    note = OLD_STATE
    optimizer = opened.model.optimizer
    if not old:
        with h5py.File(opened.path, "r") as file:
            group = file["optimizer_weights"]
            values = [np.asarray(group[each]) for each in _names(group)]
        if len(values) <= UNTRAINED:
            return
        optimizer.build(opened.model.trainable_variables)
        if [each.shape for each in values] == [tuple(each.shape) for each in optimizer.variables]:
            for variable, value in zip(optimizer.variables, values, strict=True):
                variable.assign(value)
            return
        note = "the optimizer's state was not taken over: it is not laid out as here"
    opened.notes.append(note)


def _names(group: Any) -> list[str]:
    return [_decoded(each) for each in group.attrs["weight_names"]]


def _json(opened: Opened, trust: Trust) -> None:
    import keras  # noqa: PLC0415 - takes seconds

    config = json.loads(opened.path.read_text(encoding="utf-8"))
    config.pop(KEY, None)
    if is_legacy(config) or opened.made_by.startswith("2."):
        config, notes = mended(config, show_path(opened.path))
        opened.notes += notes
        functional = config["class_name"] == "Functional"
        config["module"] = "keras.src.models.functional" if functional else "keras"
    objects = _judge(opened, config, trust)
    opened.model = keras.saving.deserialize_keras_object(
        config, custom_objects=objects, safe_mode=trust.safe_mode
    )


def _judge(opened: Opened, config: Any, trust: Trust) -> dict[str, Any]:
    """Refuse what is not to be trusted; the classes and functions for the rest."""
    name = show_path(opened.path)
    if trust.safe_mode:
        refuse_code(config, name)
    return objects_for(needs_of(config), trust.given, trust.notebook, name)


def _version(path: Path, content: Content) -> str:
    """The Keras that wrote a file; "" where it does not say."""
    try:
        if content == "keras":
            return str(json.loads(metadata_of(path)).get("keras_version", ""))
        if content == "json":
            held = json.loads(path.read_text(encoding="utf-8"))
            return str(held.get("keras_version", ""))
        import h5py  # noqa: PLC0415 - not before such a file is read

        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            version = file.attrs.get("keras_version", group.attrs.get("keras_version", ""))
            return _decoded(version)
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile):
        return ""


def _refused(error: Exception, opened: Opened) -> PersistenceError:
    import keras  # noqa: PLC0415 - it is there by now

    name = show_path(opened.path)
    if isinstance(error, OSError):
        return not_read(error, opened.path) or broken_off(opened.path)
    words = _words(error)
    if _numbers(opened.made_by) > _numbers(keras.__version__):
        return PersistenceError(
            f"{name} was not loaded: Keras {opened.made_by} wrote it, and this is Keras "
            f"{keras.__version__}, which does not understand it: {words}",
            "pip install --upgrade keras, and restart the kernel.",
        )
    if "truncated" in words or "bad object header" in words or "Unable to" in words:
        return broken_off(opened.path)
    if "marshal" in words:
        return PersistenceError(
            f"{name} was not loaded: the Python code in it was written by another Python, and "
            f"this one cannot read it: {words}",
            "Load it with the Python that wrote it, and save it there with ops of keras.ops.",
        )
    by = f" Keras {opened.made_by} wrote it;" if opened.made_by else ""
    return PersistenceError(
        f"{name} was not loaded:{by} Keras {keras.__version__} says: {words}",
        "Its weights alone may still fit a model that you build: kmagic.load(path, model=model).",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split(".")[:2] if each.isdecimal())


def _words(error: Any) -> str:
    """What an exception says in its first sentence that says anything."""
    while "could not be deserialized properly" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Error when deserializing", "config="))]
    inner = [line for line in lines if line.startswith("Exception encountered:")]
    chosen = (inner[-1:] or told or lines or [type(error).__name__])[0]
    chosen = chosen.removeprefix("Exception encountered:").strip()
    most = 300
    return chosen if len(chosen) <= most else f"{chosen[:most]} ..."


def _decoded(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
