"""The examples in the docstrings of the installed package."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import kmagic

PACKAGE = Path(kmagic.__file__).parent


def _with_examples() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = ("kmagic", *path.relative_to(PACKAGE).with_suffix("").parts)
            found.append(".".join(parts).removesuffix(".__init__"))
    return found


@pytest.mark.usefixtures("keras_home")
@pytest.mark.parametrize("name", _with_examples())
def test_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted, "the examples are not where doctest looks"
    assert not result.failed, capsys.readouterr().out
