"""Loading weights into an existing model: all of them or none."""

from __future__ import annotations

import io
import math
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import h5py
import numpy as np

from kmagic.persistence.file_errors import first_line, not_read
from kmagic.persistence.formats import FileFormat, file_truncated
from kmagic.support.errors import PersistenceError
from kmagic.support.keras_cache import show_path
from kmagic.support.messages import ModelName, Text

KERAS_SUFFIX = {"weights": ".weights.h5", "legacy weights": ".h5", "h5": ".h5", "keras": ".keras"}
"""The suffix that Keras expects for each format."""
UNTRAINED_VARIABLES = 2
"""The variables of an optimizer that has not been used: its step count and learning rate."""
STATE_NOT_RESTORED = "The state of the optimizer was not restored"
OTHER_LAYOUT = f"{STATE_NOT_RESTORED}: its layout differs."
_SKIPPED_STATE = "variable loading for optimizer"
_IRRELEVANT_WARNING = re.compile("input_shape|legacy.*HDF5|HDF5.*legacy|is deprecated|__array__")


class LayerWeights(NamedTuple):
    """The name of a layer and the shapes of its weights."""

    name: str
    shapes: tuple[tuple[int, ...], ...]


Layout: TypeAlias = dict[str, LayerWeights]
"""Layers by their position in the model."""


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

    Args:
        model: The model, built.
        path: The file.
        file_format: Its format.

    Returns:
        Notes for the user, one sentence each.

    Raises:
        PersistenceError: They do not fit; the message names the layer and both shapes.
    """
    if not model.built:
        raise PersistenceError(
            Text(
                ModelName(model.name),
                f" has no weights yet, so {show_path(path)} cannot be loaded.",
            ),
            "Start it with the shape of its input, such as `input 28x28x1`, or call it once.",
        )
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built and _has_state(path, file_format):
        optimizer.build(model.trainable_variables)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    before = [(variable, np.array(variable)) for variable in variables]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with with_suffix(path, KERAS_SUFFIX[file_format]) as file:
                model.load_weights(str(file))
        if file_format == "weights" and _has_more(path, model):
            raise ValueError("the file has more weights")  # noqa: TRY301 - Keras ignores them
    except BaseException as error:
        for variable, value in before:
            variable.assign(value)
        if not isinstance(error, Exception):
            raise
        raise _misfit(error, model, path, file_format) from error
    return load_notes(caught)


def load_notes(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    """Notes for the user from the warnings of Keras while it loads, each once."""
    notes: dict[str, None] = {}
    for warning in caught:
        message = warning.message
        line = first_line(message)
        is_relevant = isinstance(message, UserWarning) and str(message).strip()
        if not is_relevant or _IRRELEVANT_WARNING.search(line):
            continue
        if _SKIPPED_STATE not in line:
            notes[line] = None
        elif not re.search(r"saved optimizer has [012] variables", line):  # it was trained
            notes[OTHER_LAYOUT] = None
    return list(notes)


def is_optimizer_used(model: Any) -> bool:
    """Whether a model's optimizer has trained it."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer is not None and int(optimizer.iterations) > 0


def _has_state(path: Path, file_format: FileFormat) -> bool:
    if file_format != "weights":
        return False
    try:
        with h5py.File(path, "r") as file:
            return len(file.get("optimizer/vars", ())) > UNTRAINED_VARIABLES
    except (OSError, RuntimeError, TypeError):
        return False  # loading it will fail with the reason


def _has_more(path: Path, model: Any) -> bool:
    """Whether the file has weights that the model does not use."""
    layers = _file_layout(path, "weights").values()
    count: int = sum(math.prod(shape) for layer in layers for shape in layer.shapes)
    return bool(count > sum(math.prod(variable.shape) for variable in model.variables))


# --- what does not fit ----------------------------------------------------------------------------


def _misfit(error: Exception, model: Any, path: Path, file_format: FileFormat) -> PersistenceError:
    denied = not_read(error, path) if isinstance(error, PermissionError) else None
    if denied is not None:
        return denied
    try:
        file_layers = _file_layout(path, file_format)
        model_layers = _model_layout(model, file_format)
    except Exception:  # noqa: BLE001 - whatever is wrong with the file
        return file_truncated(path)
    difference = _difference(file_layers, model_layers) or f"Keras reports: {first_line(error)}"
    name = ModelName(model.name)
    return PersistenceError(
        Text("The weights in ", show_path(path), " do not fit ", name, f": {difference}."),
        Text(name, " is unchanged. Build the model as it was when the weights were saved."),
    )


def _difference(file_layers: Layout, model_layers: Layout) -> str:
    for position, layer in model_layers.items():
        other = file_layers.get(position)
        if other is not None and other.shapes != layer.shapes:
            also = "" if other.name in ("", layer.name) else f" ({other.name} in the file)"
            return (
                f"layer {layer.name}{also} has shapes {_shapes(layer.shapes)} in the model, but "
                f"{_shapes(other.shapes)} in the file"
            )
    missing = [layer.name for key, layer in model_layers.items() if key not in file_layers]
    extra = [layer.name for key, layer in file_layers.items() if key not in model_layers]
    parts = []
    if missing:
        parts.append(f"the file has no weights for {_names(missing)}")
    if extra:
        parts.append(f"the file has weights for {_names(extra)}, which the model does not have")
    return ", and ".join(parts)


def _names(names: list[str]) -> str:
    limit = 4
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    texts = ("(" + ", ".join(map(str, shape)) + ")" for shape in shapes)
    return " and ".join(texts) or "none"


def _file_layout(path: Path, file_format: FileFormat) -> Layout:
    """The layers of a file, in order."""
    if file_format == "keras":
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(content, "r") as file:
            return _layout(file)
    with h5py.File(path, "r") as file:
        if file_format == "weights":
            return _layout(file)
        return _legacy_layout(file.get("model_weights", file))


def _layout(file: Any) -> Layout:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    names: dict[str, str] = {}

    def visit(key: str, node: Any) -> None:
        key = key.replace("_layer_checkpoint_dependencies", "layers")  # Keras 2.12
        first = key.partition("/")[0]
        if first.startswith(("_", "optimizer")) or "metric" in first or "loss" in first:
            return
        owner, _, number = key.rpartition("/vars/")
        if isinstance(node, h5py.Dataset) and owner:
            shapes.setdefault(owner, {})[number] = tuple(node.shape)
        elif key.endswith("/vars"):
            names[key.removesuffix("/vars")] = str(node.attrs.get("name", ""))

    file.visititems(visit)
    return {
        key: LayerWeights(
            names.get(key, "") or key.rpartition("/")[2],
            tuple(own[number] for number in sorted(own, key=lambda text: (len(text), text))),
        )
        for key, own in shapes.items()
    }


def _legacy_layout(group: Any) -> Layout:
    names = {
        name: name_list(group[name], "weight_names") for name in name_list(group, "layer_names")
    }
    return _numbered(
        (name, [group[name][weight] for weight in weights]) for name, weights in names.items()
    )


def _model_layout(model: Any, file_format: FileFormat) -> Layout:
    if file_format in ("h5", "legacy weights"):
        return _numbered(
            (layer.name, [*layer.trainable_weights, *layer.non_trainable_weights])
            for layer in model.layers
        )
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        file = Path(folder) / "model.weights.h5"
        model.save_weights(str(file))
        return _file_layout(file, "weights")


def _numbered(layers: Iterable[tuple[str, Sequence[Any]]]) -> Layout:
    """The layers that have weights, numbered in order."""
    with_weights = ((name, weights) for name, weights in layers if weights)
    return {
        str(index): LayerWeights(name, tuple(tuple(weight.shape) for weight in weights))
        for index, (name, weights) in enumerate(with_weights)
    }


def name_list(group: Any, attribute: str) -> list[str]:
    """A list of names in an HDF5 attribute; long ones are split into several attributes."""
    pieces = [group.attrs[attribute]] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{attribute}{len(pieces)}"])
    return [decoded(name) for piece in pieces for name in piece]


def decoded(value: Any) -> str:
    """A string in an HDF5 attribute."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
