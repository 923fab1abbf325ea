"""Import packages in a background thread while other threads import whatever they want.

Python locks each module while it is imported. Two threads that enter packages which import each
other, such as TensorFlow and Keras, from different ends wait for each other: Python then raises
``_DeadlockError``, or gives one of them a module that is only half imported. Here the threads take
turns instead, and wait *before* Python takes a lock:

* Other threads wait for the end of the background import when they import one of its packages.
* The background thread enters a package that does not belong to it, such as NumPy, when no other
  thread is importing; the others wait until it has left that package.

A thread that waits can be interrupted, and has changed nothing.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import _bootstrap
from types import FrameType
from typing import Any

_IMPORTLIB = "<frozen importlib._bootstrap>"
_MAX_WAIT = 10.0
"""Seconds that the background thread waits for imports of others that seem not to end."""
_START_WITHIN = 60.0
"""Seconds until the background import is given up because another thread is always importing."""


def _hidden_in_tracebacks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Count a function as one of importlib, whose frames Python removes from tracebacks."""
    function.__code__ = function.__code__.replace(co_filename=_IMPORTLIB)
    return function


class BackgroundImport:
    """The import of a group of packages that import each other, in a daemon thread.

    Args:
        load: Imports them.
        prefixes: What the names of these packages start with.
        then: Called in the same thread at the end, when nobody waits for it any more.

    Example:
        >>> background = BackgroundImport(lambda: __import__("colorsys"), ("colorsys",))
        >>> background.start().join()
        >>> background.is_running
        False
    """

    def __init__(
        self,
        load: Callable[[], object],
        prefixes: tuple[str, ...],
        then: Callable[[], object] = lambda: None,
    ) -> None:
        self._load = load
        self._then = then
        self._prefixes = prefixes
        self._changed = threading.Condition()
        self._patches = {
            "_find_and_load": self._find_and_load,
            "_lock_unlock_module": self._wait_for,
        }
        self._originals: dict[str, Any] = {
            name: getattr(_bootstrap, name, None) for name in self._patches
        }
        self._ident: int | None = None  # of the background thread while it runs
        self.thread = threading.Thread(target=self._run, name="kmagic-preload", daemon=True)
        self._importing: dict[int, list[str]] = {}  # what other threads are importing
        self._waiting: set[int] = set()  # those of them that wait for the end
        self._has_begun = self._is_lost = False
        self._wanted = ""  # the module that the background thread imports at the moment
        self._outside = 0  # its imports of other packages that have not ended
        self._patience = _MAX_WAIT

    @property
    def is_running(self) -> bool:
        """Whether the import has not ended yet."""
        return self.thread.is_alive()

    def start(self) -> threading.Thread:
        """Start the thread; returns it. It is not started on a Python without these functions."""
        if all(self._originals.values()):  # Python looks them up at each import
            for name, patch in self._patches.items():
                setattr(_bootstrap, name, patch)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._after_fork)
            self.thread.start()
        return self.thread

    # --- the background thread --------------------------------------------------------------------

    def _run(self) -> None:
        self._ident = threading.get_ident()
        try:
            if self._begin():
                with suppress(Exception):  # the next import of it meets the error and raises it
                    self._load()
        finally:
            self._end()
        self._then()

    def _begin(self) -> bool:
        """Wait until no other thread is within an import."""
        deadline = time.monotonic() + _START_WITHIN
        while time.monotonic() < deadline:
            with self._changed:
                self._has_begun = not self._importing and not _others_import()
            if self._has_begun:
                return True
            time.sleep(0.02)
        return False

    def _end(self) -> None:
        with self._changed:
            self._has_begun, self._ident = False, None  # another thread may get its number
            self._changed.notify_all()
        for name, patch in self._patches.items():
            if getattr(_bootstrap, name) == patch:
                setattr(_bootstrap, name, self._originals[name])

    def _load_here(self, name: str, load: Callable[[], Any]) -> Any:
        before, is_outside = self._wanted, not self._owns(name)
        with self._changed:
            self._wanted = name
            self._changed.notify_all()
            if is_outside and not self._outside:
                self._wait_for_others()
            self._outside += is_outside
        try:
            return load()
        finally:
            with self._changed:
                self._outside -= is_outside
                self._wanted = before
                self._changed.notify_all()

    def _wait_for_others(self) -> None:
        """Wait until each of the other threads imports nothing, or waits for this one."""
        while set(self._importing) - self._waiting and self._patience > 0:
            started = time.monotonic()
            self._changed.wait(self._patience)
            self._patience -= time.monotonic() - started

    # --- any thread ----------------------------------------------------------------------------

    @_hidden_in_tracebacks
    def _find_and_load(self, name: str, import_: Callable[..., Any]) -> Any:
        load = partial(self._originals["_find_and_load"], name, import_)
        thread = threading.get_ident()
        if thread == self._ident:
            return self._load_here(name, load)
        depth = len(self._importing.get(thread, ()))
        try:
            with self._changed:
                self._let_background_pass(thread, name)
                self._importing.setdefault(thread, []).append(name)
            return load()
        finally:
            with self._changed:
                modules = self._importing.get(thread, [])
                del modules[depth:]
                if not modules:
                    self._importing.pop(thread, None)
                    self._changed.notify_all()

    @_hidden_in_tracebacks
    def _wait_for(self, name: str) -> None:
        """Wait for a module that is being imported."""
        wait = partial(self._originals["_lock_unlock_module"], name)
        thread = threading.get_ident()
        if thread == self._ident:
            self._load_here(name, wait)
        else:
            with self._changed:
                self._let_background_pass(thread, name)
            wait()

    def _let_background_pass(self, thread: int, name: str) -> None:
        """Wait as long as the background thread must not meet this one in a package."""
        owns = self._owns(name)
        modules = self._importing.get(thread, ())
        if self._is_lost and owns:
            raise ImportError(
                f"{name} cannot be imported in this process, which was forked while another thread "
                "was importing it. Fork after the import, or start the process with "
                'multiprocessing.get_context("spawn").',
                name=name,
            )
        try:
            # It may need a module that this thread is importing: then Python has to resolve it.
            while self._has_begun and self._wanted not in modules:
                if not owns and (modules or not self._outside):
                    return
                self._waiting.add(thread)
                self._changed.notify_all()
                self._changed.wait(0.2)  # a signal just before it would not end it
        finally:
            self._waiting.discard(thread)

    def _owns(self, name: str) -> bool:
        return name.startswith(self._prefixes)

    def _after_fork(self) -> None:
        """In a child process there is no such thread, and the locks it holds stay locked."""
        self._changed, self._ident = threading.Condition(), None
        self._importing.clear()
        self._waiting.clear()
        self._is_lost, self._has_begun = self._has_begun, False


def _others_import() -> bool:
    """Whether another thread is within an import."""
    for thread, running in sys._current_frames().items():  # noqa: SLF001 - has no other name
        frame: FrameType | None = running if thread != threading.get_ident() else None
        while frame is not None:
            if frame.f_code.co_filename == _IMPORTLIB:
                return True
            frame = frame.f_back
    return False
