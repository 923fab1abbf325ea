"""What travels with a model: all that a colleague needs to use it at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kmagic.language.portable_text import PortableText
from kmagic.support.formatting import pluralize

FORMAT = 1
MOST_EPOCHS = 1000
"""Epochs of a history that are kept: of a longer one every so-manieth."""


@dataclass(frozen=True, slots=True)
class Baggage:
    """What a file holds beside what Keras writes; plain values, fit for JSON.

    Attributes:
        name: What the notebook calls the model.
        text: The model in the layer language; "" where no text can say it.
        values: What the names in its braces stand for, as Python writes it.
        steps: Which layer each of its steps is (``kmagic.models.build.serialize_steps``).
        words: What its layers have learned of words, where Keras does not keep it in such a file.
        preparation: Class names, scaling, text encoding, columns
            (``Preparation.get_config()``); None where nobody knows them.
        history: The last training's figures, an entry an epoch, as Keras has them.
        epochs: How many epochs it was.
        saved: When, as ISO says it.
        versions: Of kmagic, Keras, TensorFlow and Python, by name.
    """

    name: str = ""
    text: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[Sequence[Sequence[Any]]] = ()
    words: Sequence[Sequence[Any]] = ()
    preparation: Mapping[str, Any] | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    epochs: int = 0
    saved: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def portable(self) -> PortableText:
        """The text with its values."""
        return PortableText(self.text, self.values)

    def to_json(self) -> str:
        """As text; what is not known is left out."""
        known = {key: value for key, value in asdict(self).items() if value}
        return json.dumps({"format": FORMAT, **known}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes | None) -> Baggage | None:
        """What :meth:`to_json` wrote; None if it is nothing of ours.

        Example:
            >>> Baggage.from_json(Baggage("cnn", epochs=3).to_json()).epochs
            3
        """
        try:
            held = json.loads(text or "")
        except (ValueError, RecursionError):
            return None
        return cls.from_dict(held)

    @classmethod
    def from_dict(cls, held: Any) -> Baggage | None:
        """The same from plain values; what does not look as it should is left out."""
        if not isinstance(held, dict) or "format" not in held:
            return None
        plain = cls()
        kinds = {
            "name": str,
            "text": str,
            "values": dict,
            "steps": list,
            "words": list,
            "preparation": dict,
            "history": dict,
            "epochs": int,
            "saved": str,
            "versions": dict,
        }
        known = {
            key: held[key] if isinstance(held.get(key), kind) else getattr(plain, key)
            for key, kind in kinds.items()
        }
        return cls(**known)

    def describe(self) -> list[str]:
        """What of it helps: "text", "10 class names", "scaling" ..."""
        held = self.preparation or {}
        scaling, encoding = held.get("scaling"), held.get("encoding")
        found = ["text"] if self.text else []
        if isinstance(held.get("classes"), list) and held["classes"]:
            found.append(pluralize(len(held["classes"]), "class name"))
        if isinstance(scaling, dict) and scaling.get("kind", "none") != "none":
            found.append("scaling")
        if isinstance(encoding, dict):
            found.append(pluralize(len(encoding.get("vocabulary") or ()), "word"))
        if held.get("columns"):
            found.append("columns")
        if self.history:
            found.append(f"history of {pluralize(self.epochs, 'epoch')}")
        return found


def today(now: datetime | None = None) -> str:
    """The time as a file notes it, to the second."""
    return (now or datetime.now(UTC)).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of what a model is made with, by name."""
    found = {}
    for name in ("kmagic", "keras", "tensorflow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "python": ".".join(map(str, sys.version_info[:3]))}


def thinned(history: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """A history of at most so many epochs: of a longer one every so-manieth, and the last.

    Example:
        >>> len(thinned({"loss": [1.0] * 5000})["loss"]) <= MOST_EPOCHS
        True
    """
    found = {}
    for name, values in history.items():
        step = -(-len(values) // MOST_EPOCHS)
        found[name] = [float(value) for value in values[:: step or 1]]
    return found
