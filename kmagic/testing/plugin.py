"""A pytest plugin: ``pytest -p kmagic.testing.plugin --nbval`` tests tutorials.

Notebooks run with ``KMAGIC_DISPLAY=static``, so that every magic creates one final display, and
nbval uses kmagic's sanitize file, unless another one is given.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from kmagic.support.display_mode import STATIC, VARIABLE
from kmagic.testing import SANITIZE


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set the sanitize file of nbval."""
    if getattr(config.option, "nbval_sanitize_with", "") is None:
        config.option.nbval_sanitize_with = SANITIZE


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Set the variable when the kernel of a notebook starts, at the set-up of its first cell."""
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
