"""What kmagic adds to a model's file, and where, so that Keras still reads the file as its own.

In a ``.keras`` file it is a part of ``metadata.json``, which Keras writes but never reads. (Keras
would ignore a member of its own too, but unpacks archives of four members or more to the disk.) In
HDF5 it is a dataset at the root, because an attribute holds at most 64 kB.
"""

from __future__ import annotations

import json
import textwrap
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmagic.language.portable_text import PortableText
from kmagic.models.keras_history import nested_layers
from kmagic.persistence.formats import READ_ERRORS, FileFormat
from kmagic.support.formatting import pluralize
from kmagic.support.parsed_json import parse_json

VERSION = 1
KEY = "kmagic"
KERAS_METADATA = "metadata.json"
"""The member of a ``.keras`` file in which Keras notes its version and the time."""
_COMMENT = "#: "
_TYPES: dict[str, type] = {
    "values": dict,
    "steps": list,
    "words": list,
    "own_names": list,
    "preparation": dict,
    "history": dict,
    "epochs": int,
    "versions": dict,
}
"""Types of the fields in JSON; the others are strings."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a file contains in addition to what Keras writes: plain values, for JSON.

    Attributes:
        text: The model in the layer language; "" if no text can express it.
        values: The values of the names in the text's braces, as Python literals.
        steps: The layer of each step of the text (:func:`kmagic.models.build.serialize_steps`).
        words: The vocabularies of its layers, where Keras does not save them.
        own_names: Names of the user's functions and classes that Keras has too.
        preparation: ``Preparation.get_config()``: class names, scaling, text encoding, columns;
            None if unknown.
        history: The metrics of the last training run, one value per epoch.
        epochs: How many epochs it had.
        saved: When, in ISO format.
    """

    name: str = ""
    text: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Sequence[Sequence[Any]]] = ()
    words: Sequence[Sequence[Any]] = ()
    own_names: Sequence[str] = ()
    preparation: Mapping[str, Any] | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    epochs: int = 0
    saved: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def portable(self) -> PortableText:
        """The text with its values."""
        return PortableText(self.text, self.values)

    def to_dict(self) -> dict[str, Any]:
        """The known fields."""
        return {"format": VERSION, **{key: value for key, value in asdict(self).items() if value}}

    @classmethod
    def from_dict(cls, config: Any) -> ModelMetadata | None:
        """What :meth:`to_dict` returned, without fields of the wrong type; None for other data.

        Example:
            >>> ModelMetadata.from_dict(ModelMetadata("cnn", epochs=3).to_dict()).epochs
            3
        """
        if not isinstance(config, dict) or "format" not in config:
            return None
        known = {
            own.name: config[own.name]
            for own in fields(cls)
            if isinstance(config.get(own.name), _TYPES.get(own.name, str))
        }
        metadata = cls(**known)
        history = {name: log for name, log in metadata.history.items() if _is_log(log)}
        return replace(metadata, history=history)

    def describe(self) -> list[str]:
        """What it contains: "text", "10 class names", "scaling" ..."""
        config = self.preparation or {}
        classes, scaling = config.get("classes"), config.get("scaling")
        encoding = config.get("encoding")
        parts = ["text"] if self.text else []
        if isinstance(classes, list | tuple) and classes:
            parts.append(pluralize(len(classes), "class name"))
        if isinstance(scaling, dict) and scaling.get("kind", "none") != "none":
            parts.append("scaling")
        if isinstance(encoding, dict):
            parts.append(pluralize(len(encoding.get("vocabulary") or ()), "word"))
        if config.get("columns"):
            parts.append("columns")
        if self.history:
            parts.append(f"history of {pluralize(self.epochs, 'epoch')}")
        return parts


def _is_log(values: Any) -> bool:
    """Whether a part of a file's history has a number per epoch."""
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


# --- in files -------------------------------------------------------------------------------------


def add_to_zip(path: Path, metadata: ModelMetadata) -> None:
    """Add metadata to a ``.keras`` file."""
    with zipfile.ZipFile(path, "a") as archive:
        old = archive.getinfo(KERAS_METADATA)
        content = parse_json(archive.read(old))
        # The old member's bytes stay in the file, but it is no longer listed.
        archive.filelist.remove(old)
        del archive.NameToInfo[KERAS_METADATA]
        content[KEY] = metadata.to_dict()
        archive.writestr(KERAS_METADATA, json.dumps(content, ensure_ascii=False))


def add_to_hdf5(path: Path, metadata: ModelMetadata) -> None:
    """Add metadata to a ``.h5`` or ``.weights.h5`` file."""
    import h5py  # noqa: PLC0415 - needed for HDF5 only

    content = json.dumps(metadata.to_dict(), ensure_ascii=False).encode()
    with h5py.File(path, "r+") as file:
        file.create_dataset(KEY, data=np.frombuffer(content, dtype=np.uint8))


def json_with_metadata(config: str, metadata: ModelMetadata) -> str:
    """Keras's JSON of a model, with the metadata under a key that Keras ignores."""
    content = {**parse_json(config), KEY: metadata.to_dict()}
    return json.dumps(content, ensure_ascii=False, indent=1)


def text_with_metadata(metadata: ModelMetadata) -> str:
    """The model's text after comments: a summary for people, and the metadata as JSON."""
    versions = metadata.versions
    made = ", ".join(f"{name} {versions[name]}" for name in ("kmagic", "keras") if name in versions)
    summary = [f"{metadata.name or 'model'}, saved {metadata.saved[:10]} by {made}"]
    classes = (metadata.preparation or {}).get("classes")
    if classes:
        names = textwrap.shorten(", ".join(map(str, classes)), 70, placeholder=" ...")
        summary.append(f"{pluralize(len(classes), 'class', 'classes')}: {names}")
    if metadata.values:
        values = ", ".join(f"{name} = {value}" for name, value in metadata.values.items())
        summary.append(textwrap.shorten(values, 90, placeholder=" ..."))
    content = metadata.to_dict()
    for key in ("text", "steps"):  # the text follows, and its steps are made from it
        content.pop(key, None)
    packed = json.dumps(content)
    lines = [
        *(f"# {' '.join(line.split())}" for line in summary),  # a name may contain line breaks
        *(_COMMENT + packed[start : start + 100] for start in range(0, len(packed), 100)),
    ]
    return "\n".join([*lines, "", metadata.text.strip("\n"), ""])


def read_metadata(path: Path, file_format: FileFormat) -> tuple[ModelMetadata | None, str]:
    """The metadata of a file and the version of Keras that wrote it; None and "" if unknown."""
    try:
        if file_format == "keras":
            content = parse_json(read_member(path, KERAS_METADATA))
        elif file_format == "json":
            content = parse_json(path.read_bytes())
        elif file_format == "text":
            lines = path.read_text(encoding="utf-8").splitlines()
            packed = (line.removeprefix(_COMMENT) for line in lines if line.startswith(_COMMENT))
            content = {KEY: parse_json("".join(packed))}
        else:
            content = _from_hdf5(path)
        return ModelMetadata.from_dict(content.get(KEY)), str(content.get("keras_version", ""))
    except (*READ_ERRORS, AttributeError):
        return None, ""


def read_text(path: Path) -> tuple[str, int]:
    """A ``.kmagic`` file's text without kmagic's comments, and the number of its first line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    ours = [number for number, line in enumerate(lines, 1) if line.startswith(_COMMENT)]
    start = ours[-1] if ours else 0
    while ours and start < len(lines) and not lines[start].strip():
        start += 1
    return "\n".join(lines[start:]), start + 1


def read_member(path: Path, name: str) -> bytes:
    """A part of a ``.keras`` file or folder."""
    if path.is_dir():
        return (path / name).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _from_hdf5(path: Path) -> dict[str, Any]:
    import h5py  # noqa: PLC0415 - needed for HDF5 only

    with h5py.File(path, "r") as file:
        group = file.get("model_weights", file)
        version = file.attrs.get("keras_version", group.attrs.get("keras_version", b""))
        content = {"keras_version": decoded(version)}
        dataset = file.get(KEY)
        is_text = isinstance(dataset, h5py.Dataset) and dataset.shape is not None
        if is_text and dataset.nbytes <= path.stat().st_size:  # a damaged file may claim anything
            with suppress(ValueError):
                content[KEY] = parse_json(bytes(dataset[()]))
        return content


def decoded(value: Any) -> str:
    """A string in an HDF5 attribute."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


# --- vocabularies ---------------------------------------------------------------------------------


def vocabulary_layers(model: Any) -> Iterator[Any]:
    """The layers that learn a vocabulary, which Keras saves in ``.keras`` files only."""
    for layer in nested_layers(model):
        if hasattr(layer, "get_vocabulary") and hasattr(layer, "set_vocabulary"):
            yield layer


def layer_vocabularies(model: Any) -> list[list[Any]]:
    """The vocabularies of a model's layers, in order."""
    vocabularies = (
        layer.get_vocabulary(include_special_tokens=False) for layer in vocabulary_layers(model)
    )
    return [np.asarray(vocabulary).tolist() for vocabulary in vocabularies]


def restore_vocabularies(model: Any, vocabularies: Sequence[Sequence[Any]]) -> list[str]:
    """Give a model's layers their vocabularies, and note what could not be restored."""
    layers = list(vocabulary_layers(model))
    if len(layers) != len(vocabularies):
        count = pluralize(len(vocabularies), "vocabulary", "vocabularies")
        users = pluralize(len(layers), "layer")
        return [f"The file has {count}, but {users} of the model can use one."]
    notes = []
    for layer, vocabulary in zip(layers, vocabularies, strict=True):
        try:
            if vocabulary:
                layer.set_vocabulary(list(vocabulary))
        except (ValueError, RuntimeError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            notes.append(f"Layer {layer.name} does not accept the vocabulary in the file: {reason}")
    return notes
