"""Datasets: loaded, split and prepared, with what is needed to prepare raw data later."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmagic.data.dataset import Dataset
    from kmagic.data.keras_datasets import SampleDataWarning
    from kmagic.data.loading import load_data
    from kmagic.data.preparation.scaling import Scaling
    from kmagic.support.keras_cache import CacheWarning

__all__ = ["CacheWarning", "Dataset", "SampleDataWarning", "Scaling", "load_data"]

_HOMES = {
    "CacheWarning": "support.keras_cache",
    "Dataset": "data.dataset",
    "SampleDataWarning": "data.keras_datasets",
    "Scaling": "data.preparation.scaling",
    "load_data": "data.loading",
}


def __getattr__(name: str) -> Any:
    """Look a public name up where it lives: NumPy is not imported before it is needed."""
    if name in _HOMES:
        return getattr(import_module(f"kmagic.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
