"""The README's cells do what it says, typed into a notebook from its first to its last."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import keras
import pytest

from .shells import run_cell

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_every_cell_runs(readme: str, shell: InteractiveShell) -> None:
    shell.run_cell("classes = 10")
    cells = [text for language, text in BLOCK.findall(readme) if not language]
    assert len(cells) == 4
    for cell in cells:
        result, shown = run_cell(shell, cell)
        assert result.success, cell
        assert shown.outputs, cell
    assert isinstance(shell.user_ns["mixed"], keras.Model)
    assert shell.user_ns["run"].best.value < 1


def test_every_magic_that_it_names_is_there(readme: str, shell: InteractiveShell) -> None:
    known = shell.magics_manager.magics
    named = set(re.findall(r"(%%?)(keras_\w+)", readme))
    assert len(named) > 12
    assert all(name in known["cell" if sign == "%%" else "line"] for sign, name in named)
