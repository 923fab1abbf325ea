"""Keras's start: early, in the background, and without its noise.

``import tensorflow`` takes about eight seconds and writes a screen of C++ log lines to the
standard error stream before any log level counts. The import runs in a thread while the user
thinks, and those lines are kept away from the notebook; all others go through.
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


def _is_news(record: logging.LogRecord) -> bool:
    """False for TensorFlow's warning that Keras makes a graph for each model: so it must."""
    said = record.getMessage()
    return "retracing" not in said or "TensorFlowTrainer.make_" not in said


def load_keras() -> None:
    """Import Keras and TensorFlow, quietly; at once if they are there already."""
    with _lock:
        logging.getLogger("tensorflow").addFilter(_is_news)
        if "keras" in sys.modules and "tensorflow" in sys.modules:
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without a GPU is no error
        with _without_noise():
            import_module("keras")


def is_loaded() -> bool:
    """Whether Keras is there, without waiting for it."""
    return not _lock.locked() and "keras" in sys.modules and "tensorflow" in sys.modules


def preload() -> threading.Thread:
    """Start Keras in the background."""
    thread = threading.Thread(target=_try_start, name="kmagic-warm", daemon=True)
    thread.start()
    return thread


def _try_start() -> None:
    with suppress(Exception):  # the first magic that needs Keras meets the same error, and shows it
        load_keras()


@contextmanager
def _without_noise() -> Iterator[None]:
    """Hold back what C++ writes to standard error, and let through what is not start-up noise."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error stream at all
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            held.seek(0)
            for line in held:
                if not _NOISE.search(line):
                    os.write(kept, line)
            os.close(kept)
