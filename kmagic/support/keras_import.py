"""Import Keras late, or early in the background, and without its log output.

``import tensorflow`` takes about eight seconds. The import runs in a thread while the user types.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any

from kmagic.support.background_import import BackgroundImport
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


_background: BackgroundImport | None = None
_PACKAGES = ("keras", "tensorflow", "tensorboard", "tf_keras")
"""Packages that import each other, and those whose names start with these."""


def load_keras() -> None:
    """Import Keras and TensorFlow without log output; returns at once if they are imported."""
    drop_retracing_warning()
    if _background is not None and _background.is_running:
        import_module("keras")  # waits for it, and can be interrupted
    elif "keras" not in sys.modules or "tensorflow" not in sys.modules:
        _load_quietly()


def is_loaded() -> bool:
    """Whether Keras is imported; does not wait for a running import."""
    is_importing = _lock.locked() or (_background is not None and _background.is_running)
    return not is_importing and "keras" in sys.modules and "tensorflow" in sys.modules


def preload() -> threading.Thread:
    """Import Keras in a background thread; a running import is not started again."""
    global _background  # noqa: PLW0603 - Keras is imported once per process
    if _background is not None and _background.is_running:
        return _background.thread
    _background = BackgroundImport(_load_quietly, _PACKAGES)
    return _background.start()


def _load_quietly() -> None:
    with _lock, quiet_import():
        import_module("keras")
