"""Import Keras late, or early in the background, and without its log output.

``import tensorflow`` takes about eight seconds. The import runs in a thread while the user types.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

from kmagic.support.process_patches import drop_retracing_warning, quiet_import

_lock = threading.Lock()


class _LateModule:
    """A module that is imported when one of its attributes is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") and attribute != "__version__":  # copy and inspect ask for it
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)


keras: Any = _LateModule("keras")
"""Keras, for modules that ``%load_ext kmagic`` imports: it takes seconds."""


def load_keras() -> None:
    """Import Keras and TensorFlow without log output; returns at once if they are imported."""
    with _lock:
        drop_retracing_warning()
        if "keras" in sys.modules and "tensorflow" in sys.modules:
            return
        with quiet_import():
            import_module("keras")


def is_loaded() -> bool:
    """Whether Keras is imported; does not wait for a running import."""
    return not _lock.locked() and "keras" in sys.modules and "tensorflow" in sys.modules


def preload() -> threading.Thread:
    """Import Keras in a background thread."""
    thread = threading.Thread(target=_try_load, name="kmagic-preload", daemon=True)
    thread.start()
    return thread


def _try_load() -> None:
    with suppress(Exception):  # the first magic that needs Keras meets the error and shows it
        load_keras()
