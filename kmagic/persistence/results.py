"""What saving and loading did, as results that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from kmagic.persistence.model_metadata import Baggage
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.rendering import Renderable
from kmagic.support.static_display import is_static


@dataclass(frozen=True, repr=False, eq=False)
class Saved(Renderable):
    """A file that was written.

    Attributes:
        name: Of the model.
        path: The file.
        size: Its bytes.
        parts: What is in it, in words.
        notes: What whoever loads it will meet.

    Example:
        >>> Saved("cnn", Path("models/cnn.keras"), 1_200_000, ["weights", "10 class names"])
        cnn saved as models/cnn.keras, 1.2 MB: weights, 10 class names
    """

    renderer: ClassVar[str] = "kmagic.display.model.file_card:bundle"

    name: str
    path: Path
    size: int
    parts: Sequence[str] = ()
    notes: Sequence[str] = ()

    def facts(self) -> str:
        """Where it is and how large; another run may make it a few bytes larger."""
        size = "" if is_static() else f", {format_bytes(self.size)}"
        return f"saved as {show_path(self.path)}{size}"

    def __repr__(self) -> str:
        parts = f": {', '.join(self.parts)}" if self.parts else ""
        return "\n".join([f"{self.name} {self.facts()}{parts}", *self.notes])


@dataclass(frozen=True, repr=False, eq=False)
class Loaded(Renderable):
    """A model that came out of a file.

    Attributes:
        model: The model.
        name: What it was called when it was saved.
        path: The file.
        size: Its bytes.
        built: Its text and steps, where it has one (``kmagic.models.build.origin_of``); else None.
        baggage: What came with it; None where the file has nothing of ours.
        notes: What became otherwise than it was, in words.
        made_by: Version of the Keras that wrote it, where the file says.
        parts: What came with it, in words.
    """

    renderer: ClassVar[str] = "kmagic.display.model.file_card:loaded_bundle"

    model: Any
    name: str
    path: Path
    size: int
    built: Any = None
    baggage: Baggage | None = None
    notes: Sequence[str] = ()
    made_by: str = ""
    parts: Sequence[str] = ()

    def called(self, name: str) -> Self:
        """The same by the name that the notebook has for it."""
        return replace(self, name=name)

    @property
    def history(self) -> dict[str, list[float]]:
        """The figures of the training that it comes from, as Keras has them."""
        held = self.baggage.history if self.baggage is not None else {}
        return {name: list(values) for name, values in held.items()}

    def describe(self) -> str:
        """Where it came from and what came with it, in one sentence."""
        parts = f": {', '.join(self.parts)}" if self.parts else ""
        if is_static():
            return f"from {show_path(self.path)}{parts}"
        by = f", written by Keras {self.made_by}" if self.made_by else ""
        when = self.baggage.saved[:10] if self.baggage is not None else ""
        on = f" on {when}" if when else ""
        size = f", {format_bytes(self.size)}" if self.size else ""
        return f"from {show_path(self.path)}{size}{by}{on}{parts}"

    def lines(self) -> list[str]:
        """Where it came from, and what became otherwise, as sentences."""
        return [f"{each[0].upper()}{each[1:]}" for each in (self.describe(), *self.notes)]

    def __repr__(self) -> str:
        return "\n".join([f"{self.name} {self.describe()}", *self.lines()[1:]])
