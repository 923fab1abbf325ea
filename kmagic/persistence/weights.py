"""Weights into a model that is there: all of them or none."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from kmagic.persistence.file_errors import not_read
from kmagic.persistence.file_type import Content, broken_off
from kmagic.support.errors import PersistenceError
from kmagic.support.keras_cache import show_path

SUFFIX = {"weights": ".weights.h5", "old weights": ".h5", "h5": ".h5", "keras": ".keras"}
"""What Keras wants a name to end in, by what the file holds."""
UNTRAINED = 2
"""Variables of an optimizer that has not been at work: its count of steps, and its rate."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one layer has: its name and the shapes of its weights."""

    name: str
    shapes: tuple[tuple[int, ...], ...]


Layout: TypeAlias = dict[str, Held]
"""Layers by their place."""


@contextmanager
def named(path: Path, suffix: str) -> Iterator[Path]:
    """A path to the same file that ends as Keras wants it: Keras goes by the name."""
    if path.name.endswith(suffix) and not (suffix == ".h5" and path.name.endswith(".weights.h5")):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link


def load_weights(model: Any, path: Path, content: Content) -> list[str]:
    """Put a file's weights into a model; if they do not fit, it keeps those it has.

    Args:
        model: The model, built.
        path: The file.
        content: What it is.

    Returns:
        What should be known, in words.

    Raises:
        PersistenceError: They do not fit; the message names the layer and both shapes.
    """
    if not model.built:
        raise PersistenceError(
            f"{model.name} has no weights yet to put those of {show_path(path)} into.",
            "Begin the model with its input's shape, such as `input 28x28x1`, or call it once.",
        )
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built and _brings_state(path, content):
        optimizer.build(model.trainable_variables)
    kept = _copies(model)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with named(path, SUFFIX[content]) as file:
                model.load_weights(str(file))
        if content == "weights" and _has_more(path, model):
            raise ValueError("the file holds more weights")  # noqa: TRY301 - as a mismatch is
    except BaseException as error:
        for variable, value in kept:
            variable.assign(value)
        if not isinstance(error, Exception):
            raise
        raise _refused(error, model, path, content) from error
    return [words for each in told if (words := tell(each.message))]


def tell(warning: object) -> str:
    """What Keras warns of while it loads, in words; "" for what is of no account."""
    if not isinstance(warning, UserWarning):  # for programmers
        return ""
    words = str(warning).strip().splitlines()[0] if str(warning).strip() else ""
    if _SKIPPED in words:
        untrained = re.search(r"saved optimizer has [012] variables", words)
        return "" if untrained else f"{_STATE}: it is not laid out as here"
    return "" if any(idle(words) for idle in _IDLE) else words


_STATE = "the optimizer's state was not taken over"
_SKIPPED = "variable loading for optimizer"
_IDLE: tuple[Callable[[str], bool], ...] = (
    lambda words: "input_shape" in words,
    lambda words: "legacy" in words and "HDF5" in words,
    lambda words: "is deprecated" in words,
    lambda words: "__array__" in words,
)


def _brings_state(path: Path, content: Content) -> bool:
    import h5py  # noqa: PLC0415 - not before such a file is read

    if content != "weights":
        return False
    try:
        with h5py.File(path, "r") as file:
            return len(file.get("optimizer/vars", ())) > UNTRAINED
    except (OSError, RuntimeError, TypeError):
        return False  # told when it is read


def has_state(model: Any) -> bool:
    """Whether a model's optimizer has been at work."""
    optimizer = getattr(model, "optimizer", None)
    return optimizer is not None and int(optimizer.iterations) > 0


def _copies(model: Any) -> list[tuple[Any, Any]]:
    import numpy as np  # noqa: PLC0415 - not before weights are loaded

    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    return [(each, np.array(each)) for each in variables]


def _refused(error: Exception, model: Any, path: Path, content: Content) -> PersistenceError:
    denied = not_read(error, path) if isinstance(error, PermissionError) else None
    if denied is not None:
        return denied
    try:
        theirs = layout_of(path, content)
        ours = _own_layout(model, content)
    except Exception:  # noqa: BLE001 - whatever is wrong with the file, this is no better known
        return broken_off(path)
    difference = _difference(theirs, ours, model.name)
    if not difference:
        words = str(error).strip().splitlines() or [type(error).__name__]
        difference = f"Keras says: {words[0]}"
    return PersistenceError(
        f"the weights in {show_path(path)} do not fit {model.name}: {difference}.",
        f"{model.name} keeps the weights it has. Build the model as it was when they were saved.",
    )


def _difference(theirs: Layout, ours: Layout, name: str) -> str:
    for place, held in ours.items():
        other = theirs.get(place)
        if other is not None and other.shapes != held.shapes:
            both = (
                held.name if other.name in ("", held.name) else f"{held.name} ({other.name} there)"
            )
            return (
                f"the layer {both} has {_shapes(held.shapes)} here, and {_shapes(other.shapes)} "
                "in the file"
            )
    missing = [held.name for place, held in ours.items() if place not in theirs]
    extra = [held.name for place, held in theirs.items() if place not in ours]
    if missing and extra:
        return (
            f"the file has no weights for {_names(missing)}, and has some for {_names(extra)}, "
            "which are not here"
        )
    if missing:
        return f"the file has no weights for {_names(missing)}"
    if extra:
        return f"the file also has weights for {_names(extra)}, which {name} has not"
    return ""


def _names(names: list[str]) -> str:
    most = 4
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "one number" for shape in shapes) or "none"


def layout_of(path: Path, content: Content) -> Layout:
    """The layers of a file with weights, in their order there."""
    import h5py  # noqa: PLC0415 - not before such a file is read

    if content == "keras":
        import io  # noqa: PLC0415 - only here
        import zipfile  # noqa: PLC0415 - only here

        with zipfile.ZipFile(path) as archive:
            held = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(held, "r") as file:
            return _layout(file)
    with h5py.File(path, "r") as file:
        if content == "weights":
            return _layout(file)
        return _old_layout(file.get("model_weights", file))


def _layout(file: Any) -> Layout:
    import h5py  # noqa: PLC0415 - it is there by now

    found: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}

    def visit(place: str, thing: Any) -> None:
        place = place.replace("_layer_checkpoint_dependencies", "layers")  # Keras 2.12
        if _is_aside(place):
            return
        owner, _, number = place.rpartition("/vars/")
        if isinstance(thing, h5py.Dataset) and owner:
            found.setdefault(owner, {})[number] = tuple(thing.shape)
        elif place.endswith("/vars"):
            names[place.removesuffix("/vars")] = str(thing.attrs.get("name", ""))

    file.visititems(visit)
    return {
        place: Held(
            names.get(place, "") or place.rpartition("/")[2],
            tuple(shape for _, shape in sorted(shapes.items(), key=_number)),
        )
        for place, shapes in found.items()
    }


def _number(item: tuple[str, Any]) -> tuple[int, str]:
    return (int(item[0]), "") if item[0].isdecimal() else (0, item[0])


def _is_aside(place: str) -> bool:
    """Whether it is no layer's: the optimizer's, a metric's, a loss's."""
    first = place.partition("/")[0]
    return first.startswith(("_", "optimizer")) or "metric" in first or "loss" in first


def _old_layout(group: Any) -> Layout:
    found: Layout = {}
    for name in _attribute(group, "layer_names"):
        weights = _attribute(group[name], "weight_names")
        if weights:
            shapes = tuple(tuple(group[name][each].shape) for each in weights)
            found[str(len(found))] = Held(name, shapes)
    return found


def _attribute(group: Any, name: str) -> list[str]:
    """A list of names; a long one is written in pieces."""
    pieces = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [
        each.decode() if isinstance(each, bytes) else str(each)
        for piece in pieces
        for each in piece
    ]


def _own_layout(model: Any, content: Content) -> Layout:
    if content in ("h5", "old weights"):
        found: Layout = {}
        for layer in model.layers:
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            if weights:
                shapes = tuple(tuple(each.shape) for each in weights)
                found[str(len(found))] = Held(layer.name, shapes)
        return found
    with tempfile.TemporaryDirectory(prefix="kmagic-") as folder:
        file = Path(folder) / "model.weights.h5"
        model.save_weights(str(file))
        return layout_of(file, "weights")


def _has_more(path: Path, model: Any) -> bool:
    """Whether the file has weights that the model did not ask for: Keras passes over them."""
    held = sum(
        _size(shape) for each in layout_of(path, "weights").values() for shape in each.shapes
    )
    return held > sum(_size(tuple(each.shape)) for each in model.variables)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
