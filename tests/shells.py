"""An IPython shell as in a notebook, and functions to run cells in it."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output
from traitlets.config import Config


@contextmanager
def ipython_shell() -> Iterator[InteractiveShell]:
    """An IPython shell in this process; it is removed afterwards, with its variables."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        yield shell
    finally:
        InteractiveShell.clear_instance()
        shell.restore_sys_module_state()
        # Exit handlers would keep the shell and its models until the process ends.
        atexit.unregister(shell.atexit_operations)
        shell.user_ns.clear()


@contextmanager
def kmagic_shell() -> Iterator[InteractiveShell]:
    """An IPython shell with the magics."""
    with ipython_shell() as shell:
        shell.run_line_magic("load_ext", "kmagic")
        yield shell
        shell.run_line_magic("unload_ext", "kmagic")


def run_cell(shell: InteractiveShell, cell: str) -> tuple[ExecutionResult, CapturedIO]:
    """Run a cell; return its result and its output."""
    with capture_output() as captured:
        result = shell.run_cell(cell)
    return result, captured


def value_of(shell: InteractiveShell, cell: str) -> tuple[Any, CapturedIO]:
    """Run a cell that must not fail; return its value and its output."""
    result, captured = run_cell(shell, cell)
    result.raise_error()
    return result.result, captured
