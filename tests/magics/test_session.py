"""What a magic has shown is not announced by an empty prompt; its result stays."""

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


def out(capsys, shell, cell):
    capsys.readouterr()
    done = shell.run_cell(cell, store_history=True)
    done.raise_error()
    return done.result, capsys.readouterr().out


def test_no_prompt_below_what_is_shown(shell, capsys, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    model, said = out(capsys, shell, MODEL)
    assert "net: 3 parameters" in said
    assert "Out[" not in said
    assert shell.user_ns["_"] is model
    assert shell.user_ns["Out"][shell.execution_count - 1] is model
    shell.user_ns["x"] = [[1.0, 2.0], [3.0, 4.0]]
    answers, said = out(capsys, shell, "%keras_predict net x")
    assert "Out[" not in said
    again, said = out(capsys, shell, "_")
    assert again is answers
    assert said.startswith("Out[")
    assert "net: 2 predictions" in said


def test_whatever_else_has_its_prompt(shell, capsys):
    assert out(capsys, shell, "6 * 7") == (42, f"Out[{shell.execution_count - 1}]: 42\n")
    assert "Out[" not in out(capsys, shell, MODEL)[1]
    assert out(capsys, shell, "'a';")[1] == ""
    assert out(capsys, shell, "None")[1] == ""
    said = out(capsys, shell, "net")[1]
    assert said.startswith("Out[")


def test_the_shell_gets_its_own_hook_back(shell):
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


def test_a_real_terminal_too(capsys, monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    monkeypatch.setattr(sys, "displayhook", sys.displayhook)
    shell = TerminalInteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        shell.run_line_magic("load_ext", "kmagic")
        model, said = out(capsys, shell, MODEL)
        assert "net: 3 parameters" in said
        assert "Out" not in said
        assert shell.user_ns["_"] is model
        assert "42" in out(capsys, shell, "6 * 7")[1]
    finally:
        shell.run_line_magic("unload_ext", "kmagic")
        shell.restore_sys_module_state()
        shell.user_ns.clear()
