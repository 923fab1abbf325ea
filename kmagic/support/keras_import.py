"""Import Keras late, or early in the background, and without its log output.

``import tensorflow`` takes about eight seconds. The import runs in a thread while the user types.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from kmagic.support.background_import import BackgroundImport
from kmagic.support.errors import KmagicError
from kmagic.support.file_system import first_line
from kmagic.support.keras_cache import keras_home
from kmagic.support.process_patches import drop_retracing_warning, quiet_logger, quiet_start

_lock = threading.Lock()
_REQUIRED = {"tensorflow": (2, 18), "keras": (3, 6)}
_TITLES = {"tensorflow": "TensorFlow", "keras": "Keras"}


class _LateModule:
    """A module that is imported when one of its attributes is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") and attribute != "__version__":  # copy and inspect ask for it
            raise AttributeError(attribute)
        if self._name not in sys.modules:
            load_keras()
        return getattr(import_module(self._name), attribute)


keras: Any = _LateModule("keras")
"""Keras, for modules that ``%load_ext kmagic`` imports: it takes seconds."""


_background: BackgroundImport | None = None
_PACKAGES = ("keras", "tensorflow", "tensorboard", "tf_keras")
"""Packages that import each other, and those whose names start with these."""
_WIDGET_PACKAGES = ("anywidget", "ipywidgets")


def load_keras() -> None:
    """Import Keras and TensorFlow without log output; returns at once if they are imported.

    Raises:
        KmagicError: They are not installed, too old, or set to another backend.
    """
    drop_retracing_warning()
    if _background is not None and _background.is_running:
        import_module("keras")  # waits for it, and can be interrupted
    if "keras" not in sys.modules or "tensorflow" not in sys.modules:
        check_installation()
        try:
            _load_quietly()
        except ImportError as error:
            raise KmagicError(
                f"Keras cannot be imported: {first_line(error)}",
                "Run `import tensorflow` for details. Installing it again often helps: "
                "`%pip install --force-reinstall tensorflow`, then restart the kernel.",
            ) from error
    else:
        check_installation_once()


def load_keras_in_worker(threads: int) -> None:
    """Import them in a process of its own, which gets a part of the machine's cores."""
    load_keras()
    import tensorflow as tf  # noqa: PLC0415 - imported by now

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def check_installation() -> None:
    """Raise KmagicError if Keras, TensorFlow or the backend are not as kmagic needs them."""
    imported = sys.modules.get("keras.src.backend.config")
    backend = imported.backend() if imported is not None else configured_backend()
    if backend != "tensorflow":
        restart = " and restart the kernel" if imported is not None else ""
        raise KmagicError(
            f"kmagic needs Keras's TensorFlow backend; got the backend {backend}.",
            f"Set it{restart}: `%env KERAS_BACKEND=tensorflow` before Keras is imported.",
        )
    for name, minimum in _REQUIRED.items():
        if name not in sys.modules and find_spec(name) is None:
            raise KmagicError(
                f"kmagic needs {_TITLES[name]}, which is not installed for {sys.executable}.",
                f"Run `%pip install {name}` and restart the kernel.",
            )
        with suppress(PackageNotFoundError, ValueError):  # TensorFlow has several distributions
            installed = version(name)
            if tuple(map(int, installed.split(".")[:2])) < minimum:
                needed = ".".join(map(str, minimum))
                raise KmagicError(
                    f"kmagic needs {_TITLES[name]} {needed} or later; this is {installed}.",
                    f"Run `%pip install --upgrade {name}` and restart the kernel.",
                )


check_installation_once = cache(check_installation)
"""The same until there is nothing to report."""


def configured_backend() -> str:
    """The backend that Keras will use, determined without importing it."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend
    try:
        config = json.loads((keras_home() / "keras.json").read_text(encoding="utf-8"))
        return str(config["backend"])
    except (OSError, ValueError, KeyError, TypeError):  # Keras ignores such a file, too
        return "tensorflow"


def is_loading() -> bool:
    """Whether Keras is being imported."""
    return _lock.locked() or (_background is not None and _background.is_running)


def is_loaded() -> bool:
    """Whether Keras is imported; does not wait for a running import."""
    return not is_loading() and "keras" in sys.modules and "tensorflow" in sys.modules


def preload(import_widgets: Callable[[], object] = lambda: None) -> threading.Thread:
    """Import Keras in a background thread, then call a function that imports the widgets.

    A running import is not started again.
    """
    global _background  # noqa: PLW0603 - Keras is imported once per process
    if _background is not None and _background.is_running:
        return _background.thread
    _background = BackgroundImport(
        _load_in_background, _PACKAGES, partial(_preload_widgets, import_widgets)
    )
    return _background.start()


def _load_in_background() -> None:
    check_installation()  # an import that fails would leave parts of Keras behind
    _load_quietly()


def _preload_widgets(import_widgets: Callable[[], object]) -> None:
    if "keras" in sys.modules:
        BackgroundImport(import_widgets, _WIDGET_PACKAGES).start()


def _load_quietly() -> None:
    with _lock, quiet_start(), quiet_logger("matplotlib.font_manager"):
        import_module("keras")
