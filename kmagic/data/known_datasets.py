"""The datasets that are known by name; ``known_datasets.toml`` describes them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from kmagic.support.downloads import CachedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDataset:
    """A dataset that ``keras.datasets.NAME`` loads.

    Attributes:
        files: The files that its loader reads.
        classes: Names of the classes in the order of the labels; None for regression.
        target: What is predicted, for regression.
        remark: What its users should know about ``remark_column``.
        bundled: File in ``samples/`` that is identical to the one that Keras downloads.
        sample: File in ``samples/`` that replaces the dataset where it is not available.
    """

    name: str
    kind: Literal["images", "table", "text"]
    files: tuple[CachedFile, ...]
    title: str
    classes: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    target: str = ""
    remark: str = ""
    remark_column: str = ""
    bundled: str = ""
    sample: str = ""


def _read_datasets() -> dict[str, KnownDataset]:
    text = files("kmagic.data").joinpath("known_datasets.toml").read_text("utf-8")
    entries: dict[str, dict[str, Any]] = tomllib.loads(text)
    for entry in entries.values():
        cached = [CachedFile(**file) for file in entry.pop("files")]
        entry.update({key: tuple(value) for key, value in entry.items() if type(value) is list})
        entry["files"] = tuple(cached)
    return {name: KnownDataset(name=name, **entry) for name, entry in entries.items()}


KNOWN_DATASETS = _read_datasets()
"""Name -> dataset."""
