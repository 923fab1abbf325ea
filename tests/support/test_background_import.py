"""Packages that import each other, imported in the background and by other threads at once."""

import functools
import importlib
import itertools
import signal
import subprocess
import sys
import threading
from importlib import _bootstrap

import pytest

from kmagic.support.background_import import BackgroundImport

NUMBERS = itertools.count()
PAUSE = "import {name}_pause\n{name}_pause.reached.set(); assert {name}_pause.go.wait(20)\n"


class Packages:
    """Packages ``NAME_one`` and ``NAME_two`` that import each other.

    The import of the first waits in the middle.
    """

    def __init__(self, folder):
        self.folder, self.threads = folder, []
        self.name = f"kmagic_test_{next(NUMBERS)}"
        self.write("pause", "import threading\nreached, go = threading.Event(), threading.Event()")
        self.write("one", f"{PAUSE}import {{name}}_two\nvalue = 1\n")
        self.write("two", "import {name}_one\nvalue = {name}_one.value + 1\n")
        self.write("other", "value = 3\n")
        self.pause = importlib.import_module(f"{self.name}_pause")

    def write(self, name, text):
        (self.folder / f"{self.name}_{name}.py").write_text(text.replace("{name}", self.name))

    def load(self, name):
        return importlib.import_module(f"{self.name}_{name}")

    def start(self, first="one"):
        prefixes = (f"{self.name}_one", f"{self.name}_two")
        background = BackgroundImport(lambda: self.load(first), prefixes)
        self.threads.append(background.start())
        assert self.pause.reached.wait(20)
        return background


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    made = Packages(tmp_path)
    yield made
    made.pause.go.set()
    for thread in made.threads:
        thread.join(20)


def wait_until(background, condition):
    """Wait until other threads have come to a point."""
    with background._changed:
        assert background._changed.wait_for(condition, 20)


def in_thread(function):
    """Call a function in a thread; returns the thread and the list for its result."""
    results = []

    def call():
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, results


@pytest.mark.parametrize(
    "statement",
    [
        "import {name}_two as module",
        "from {name}_two import value",
        "import {name}_one as module",
        "module = __import__('{name}_two')",
        "import importlib; module = importlib.import_module('{name}_two')",
        "from importlib import import_module as load; module = load('{name}_two')",
        "import importlib.util; importlib.util.find_spec('{name}_two.inner')",
    ],
)
def test_an_import_waits_for_the_background_import(packages, statement):
    background = packages.start()

    def run():
        names = {}
        try:
            exec(statement.replace("{name}", packages.name), names)  # noqa: S102 - of this file
        except ModuleNotFoundError:  # from find_spec: it is not a package
            assert "find_spec" in statement
        return packages.load("two").value

    thread, results = in_thread(run)
    wait_until(background, lambda: background._waiting)
    packages.pause.go.set()
    thread.join()
    assert results == [2]


def test_a_package_that_needs_them_waits(packages):
    packages.write("user", "from {name}_two import value\n")
    background = packages.start()
    thread, results = in_thread(lambda: packages.load("user").value)
    wait_until(background, lambda: background._waiting)
    packages.pause.go.set()
    thread.join()
    assert results == [2]


def test_other_imports_do_not_wait(packages):
    background = packages.start()
    assert packages.load("other").value == 3
    with pytest.raises(ModuleNotFoundError) as caught:
        import kmagic_test_missing  # noqa: F401 - it does not exist
    assert len(caught.traceback) == 1  # only this frame, as without kmagic
    assert background.is_running


def test_the_background_thread_does_not_enter_a_package_that_another_thread_imports(packages):
    packages.write("shared", "import {name}_pause\n{name}_pause.shared.wait(20)\n")
    packages.write("one", f"{PAUSE}import {{name}}_shared, {{name}}_late\nvalue = 1\n")
    packages.write("late", "value = 5\n")
    packages.pause.shared = threading.Event()
    background = packages.start()
    thread, results = in_thread(lambda: packages.load("shared"))
    wait_until(background, lambda: background._importing)
    packages.pause.go.set()
    wait_until(background, lambda: background._wanted.endswith("shared"))
    assert background._outside == 0
    packages.pause.shared.set()
    thread.join()
    background.thread.join()
    assert packages.load("late").value == 5
    assert not isinstance(results[0], BaseException)


def test_a_module_that_the_background_import_needs_is_not_kept_waiting(packages):
    """As mlflow, whose hook is imported when TensorFlow's import ends."""
    packages.write("hook", "import {name}_pause, {name}_two\nvalue = 7\n")
    packages.write("one", f"{PAUSE}import {{name}}_hook\nvalue = 1\n")
    packages.write("two", "value = 2\n")
    background = packages.start()
    thread, results = in_thread(lambda: packages.load("hook").value)
    wait_until(background, lambda: background._waiting)
    packages.pause.go.set()
    thread.join(20)
    background.thread.join(20)
    assert (results, packages.load("one").value) == ([7], 1)


def test_a_waiting_import_can_be_interrupted(packages):
    packages.write("one", f"{PAUSE}value = 1\n")
    background = packages.start()

    def interrupt():
        with background._changed:
            background._changed.wait_for(lambda: background._waiting, 20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        packages.load("two")
    assert not background._importing
    assert not background._waiting
    packages.pause.go.set()
    assert packages.load("two").value == 2


def test_the_error_of_a_failed_import_is_raised_by_the_next_one(packages):
    packages.write("one", f"{PAUSE}raise ValueError('broken')\n")
    background = packages.start()
    packages.pause.go.set()
    background.thread.join()
    with pytest.raises(ValueError, match="broken"):
        packages.load("two")


def test_importlib_is_as_before_afterwards(packages):
    before = _bootstrap._find_and_load, _bootstrap._lock_unlock_module
    background = packages.start()
    assert _bootstrap._find_and_load != before[0]
    packages.pause.go.set()
    background.thread.join()
    assert (_bootstrap._find_and_load, _bootstrap._lock_unlock_module) == before


def test_a_later_thread_with_its_number_is_not_taken_for_it(packages, monkeypatch):
    background = packages.start()
    patch = _bootstrap._find_and_load
    with monkeypatch.context() as context:  # another patch keeps this one in place
        context.setattr(_bootstrap, "_find_and_load", functools.partial(patch))
        packages.pause.go.set()
        background.thread.join()
        context.setattr(background, "_load_here", lambda *_: None)
        thread, results = in_thread(lambda: packages.load("other").value)
        thread.join()
        assert results == [3]
    _bootstrap._find_and_load = background._originals["_find_and_load"]


def test_it_begins_when_no_thread_is_importing(packages):
    packages.write("one", "value = 1\n")
    packages.write("starts", "import {name}_pause\n{name}_pause.start()\nimport {name}_two\n")
    started = []
    packages.pause.start = lambda: (
        started.append(BackgroundImport(lambda: packages.load("one"), (f"{packages.name}_one",)))
        or started[0].start()
    )
    packages.load("starts")  # imports one of the packages itself, and does not wait
    started[0].thread.join()
    assert packages.load("two").value == 2


def test_a_forked_process_refuses_what_was_being_imported(tmp_path):
    (tmp_path / "kmagic_test_slow.py").write_text(
        "import __main__\n__main__.reached.set(); __main__.go.wait(20)\n"
    )
    program = """
import os, sys, threading
sys.path.insert(0, os.getcwd())
from kmagic.support.background_import import BackgroundImport
reached, go = threading.Event(), threading.Event()
BackgroundImport(lambda: __import__("kmagic_test_slow"), ("kmagic_test_slow",)).start()
reached.wait(20)
child = os.fork()
if not child:
    import colorsys
    try:
        import kmagic_test_slow
    except ImportError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
go.set()
import kmagic_test_slow
print("imported")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert "was forked while another thread was importing it. Fork after the import" in done.stdout
    assert done.stdout.endswith("imported\n")
