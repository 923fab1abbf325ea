"""The result that a magic has shown has no empty prompt in a terminal."""

import builtins
import sys

import pytest
from IPython.core.displayhook import DisplayHook
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from traitlets.config import Config

from kmagic.support.process_patches import HOOK_NAME, remove_display_hook


@pytest.fixture(autouse=True)
def no_underscore(monkeypatch):
    """Python's own hook leaves one among the builtins, and IPython then makes none."""
    monkeypatch.delattr(builtins, "_", raising=False)


MODEL = "%%keras_model net\ninput 2\ndense 1\n"


def run_and_capture(capsys, shell, cell):
    capsys.readouterr()
    done = shell.run_cell(cell, store_history=True)
    done.raise_error()
    return done.result, capsys.readouterr().out


def test_no_prompt_after_a_shown_result(shell, capsys, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    model, printed = run_and_capture(capsys, shell, MODEL)
    assert "net: 3 parameters" in printed
    assert "Out[" not in printed
    assert shell.user_ns["_"] is model
    assert shell.user_ns["Out"][shell.execution_count - 1] is model
    shell.user_ns["x"] = [[1.0, 2.0], [3.0, 4.0]]
    predictions, printed = run_and_capture(capsys, shell, "%keras_predict net x")
    assert "Out[" not in printed
    again, printed = run_and_capture(capsys, shell, "_")
    assert again is predictions
    assert printed.startswith("Out[")
    assert "net: 2 predictions" in printed


def test_other_results_keep_their_prompt(shell, capsys):
    assert run_and_capture(capsys, shell, "6 * 7") == (
        42,
        f"Out[{shell.execution_count - 1}]: 42\n",
    )
    assert "Out[" not in run_and_capture(capsys, shell, MODEL)[1]
    assert run_and_capture(capsys, shell, "'a';")[1] == ""
    assert run_and_capture(capsys, shell, "None")[1] == ""
    printed = run_and_capture(capsys, shell, "net")[1]
    assert printed.startswith("Out[")


def test_the_original_hook_is_restored(shell):
    hook = shell.displayhook
    assert isinstance(hook, DisplayHook)
    shell.run_line_magic("reload_ext", "kmagic")
    shell.run_line_magic("load_ext", "kmagic")
    assert shell.displayhook is hook
    assert len([each for each in type(hook).__mro__ if each.__name__ == HOOK_NAME]) == 1
    shell.run_line_magic("unload_ext", "kmagic")
    assert type(hook) is DisplayHook
    remove_display_hook(shell)
    assert type(hook) is DisplayHook


def test_a_real_terminal(capsys, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    monkeypatch.setattr(sys, "displayhook", sys.displayhook)
    shell = TerminalInteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        shell.run_line_magic("load_ext", "kmagic")
        model, printed = run_and_capture(capsys, shell, MODEL)
        assert "net: 3 parameters" in printed
        assert "Out" not in printed
        assert shell.user_ns["_"] is model
        assert "42" in run_and_capture(capsys, shell, "6 * 7")[1]
    finally:
        shell.run_line_magic("unload_ext", "kmagic")
        shell.restore_sys_module_state()
        shell.user_ns.clear()
