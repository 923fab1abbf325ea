"""A pytest plugin: ``pytest -p kmagic.testing.plugin --nbval`` runs tutorials as recorded.

Notebooks get ``KMAGIC_DISPLAY=static``, so that every magic gives one final display, and nbval gets
kmagic's sanitize file, if it was not given another. All else is nbval's.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from kmagic.support.display_mode import STATIC, VARIABLE
from kmagic.testing import SANITIZE


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give nbval the sanitize file."""
    if getattr(config.option, "nbval_sanitize_with", "") is None:
        config.option.nbval_sanitize_with = SANITIZE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A notebook's kernel is started when its first cell is set up; it takes the variable along."""
    if item.path.suffix != ".ipynb":
        return (yield)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = STATIC
    try:
        return (yield)
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
