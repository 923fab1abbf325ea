"""What is written into a file: its name's end says it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from kmagic.support.errors import PersistenceError
from kmagic.support.suggestions import nearest

Form: TypeAlias = Literal["weights", "keras", "h5", "json", "text"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        form: What it is called here.
        suffix: How its name ends.
        holds: What is in it, in words.
    """

    form: Form
    suffix: str
    holds: str

    @property
    def is_whole(self) -> bool:
        """Whether a model comes out of it with its weights."""
        return self.form in ("keras", "h5")


# The longer end first: a name in .weights.h5 ends in .h5 too.
KINDS = (
    Kind("weights", ".weights.h5", "the weights alone"),
    Kind("keras", ".keras", "the whole model"),
    Kind("h5", ".h5", "the whole model, as older Keras reads it"),
    Kind("h5", ".hdf5", "the same"),
    Kind("json", ".json", "the architecture, as Keras writes it"),
    Kind("text", ".kmagic", "the model's text"),
)


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path as the user writes it, with the home folder in the place of ``~``.

    Raises:
        PersistenceError: It is no path.

    Example:
        >>> as_path("models/cnn.keras").name
        'cnn.keras'
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = ""
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise PersistenceError(
            f"expected a path, such as models/cnn.keras, not {path!r}.",
            "Name the file that is meant, in quotes if its name holds spaces.",
        )
    if "://" in text:
        raise PersistenceError(
            f"{text} is an address, and models are read from and written to files.",
            "Fetch it first: keras.utils.get_file(origin=address) gives the path.",
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # a ~ that is nobody's
        raise PersistenceError(f"{text} is in the home of a user who is not here.") from error


def kind_of(path: Path) -> Kind | None:
    """The kind of file that a name stands for, or None.

    Example:
        >>> kind_of(Path("cnn.weights.h5")).form, kind_of(Path("cnn.pt"))
        ('weights', None)
    """
    return next((kind for kind in KINDS if path.name.endswith(kind.suffix)), None)


def target(path: str | os.PathLike[str], only: Form | None = None) -> tuple[Path, Kind]:
    """Where to write, and what.

    Args:
        path: As the user writes it.
        only: What alone is to be written, if the user said so: its suffix is added where the
            name has none.

    Raises:
        PersistenceError: The name's end says nothing, or something else than ``only``.

    Example:
        >>> path, kind = target("models/cnn", "weights")
        >>> path.name, kind.holds
        ('cnn.weights.h5', 'the weights alone')
    """
    found = as_path(path)
    kind = kind_of(found)
    if only is None:
        if kind is None:
            raise PersistenceError(
                f"{found.name or found} does not end in a kind of file that holds a model.",
                _kinds(found),
            )
        return found, kind
    wanted = next(each for each in KINDS if each.form == only)
    if kind is None:
        return found.with_name(found.name + wanted.suffix), wanted
    if kind.form != only:
        stem = found.name.removesuffix(kind.suffix)
        raise PersistenceError(
            f"{found.name} would hold {kind.holds}, not {wanted.holds}.",
            f"Name it {stem}{wanted.suffix}, or only {stem}.",
        )
    return found, kind


def _kinds(path: Path) -> str:
    """Which ends there are, the likely one first."""
    shown = "\n".join(
        f"  {kind.suffix:<12} {kind.holds}" for kind in KINDS if kind.holds != "the same"
    )
    near = nearest(path.suffix, [kind.suffix for kind in KINDS]) if path.suffix else []
    first = f"Did you mean {path.stem}{near[0]}? " if near else ""
    return f"{first}Names end in one of:\n{shown}"
