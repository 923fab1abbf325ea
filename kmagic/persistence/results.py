"""The results of saving and loading, which a notebook shows as cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from kmagic.persistence.model_metadata import ModelMetadata
from kmagic.support.display_mode import is_static
from kmagic.support.formatting import format_bytes
from kmagic.support.keras_cache import show_path
from kmagic.support.rendering import Renderable


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

    renderer: ClassVar[str] = "kmagic.display.model.file_card:save_bundle"

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


@dataclass(frozen=True, repr=False, eq=False)
class LoadResult(Renderable):
    """A model that was loaded from a file.

    Attributes:
        model: The model.
        name: Its name when it was saved.
        path: The file.
        size: The file's size in bytes.
        origin: Its text and steps (:func:`kmagic.models.build.origin_of`), or None.
        metadata: What kmagic saved with it; None for other files.
        notes: What differs from the saved model.
        keras_version: The version of Keras that wrote the file, if known.
        parts: What was loaded, in words.
    """

    renderer: ClassVar[str] = "kmagic.display.model.file_card:load_bundle"

    model: Any
    name: str
    path: Path
    size: int
    origin: Any = None
    metadata: ModelMetadata | None = None
    notes: Sequence[str] = ()
    keras_version: str = ""
    parts: Sequence[str] = ()

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
            return f"from {show_path(self.path)}{parts}"
        size = f", {format_bytes(self.size)}" if self.size else ""
        version = f", written by Keras {self.keras_version}" if self.keras_version else ""
        date = self.metadata.saved[:10] if self.metadata is not None else ""
        on_date = f" on {date}" if date else ""
        return f"from {show_path(self.path)}{size}{version}{on_date}{parts}"

    def lines(self) -> list[str]:
        """The description and the notes, as sentences."""
        description = self.description()
        return [f"{description[0].upper()}{description[1:]}", *self.notes]

    def __repr__(self) -> str:
        return "\n".join([f"{self.name} {self.description()}", *self.notes])
