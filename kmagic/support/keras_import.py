"""Import Keras early, in the background, and without its log output.

``import tensorflow`` takes about eight seconds, and its C++ libraries write to standard error
before any log level applies. The import runs in a thread while the user types; those lines are
dropped, all others are kept.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

_NOISE = re.compile(
    rb"All log messages before absl::InitializeLog|^[IWE]\d{4} |^\d{4}-\d\d-\d\d .*: [IWE] |"
    rb"TF_ENABLE_ONEDNN_OPTS|To enable the following instructions|rebuild TensorFlow"
)
_lock = threading.Lock()


def _is_useful(record: logging.LogRecord) -> bool:
    """False for TensorFlow's retracing warning: Keras traces one graph per model on purpose."""
    message = record.getMessage()
    return "retracing" not in message or "TensorFlowTrainer.make_" not in message


def load_keras() -> None:
    """Import Keras and TensorFlow without log output; returns at once if they are imported."""
    with _lock:
        logging.getLogger("tensorflow").addFilter(_is_useful)
        if "keras" in sys.modules and "tensorflow" in sys.modules:
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no warning about a missing GPU
        with _filtered_stderr():
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


@contextmanager
def _filtered_stderr() -> Iterator[None]:
    """Collect what C++ writes to standard error, then pass on all but the start-up messages."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            buffer.seek(0)
            for line in buffer:
                if not _NOISE.search(line):
                    os.write(stderr, line)
            os.close(stderr)
