"""The notebooks stand on what the tests stand on, also when they are tested alone."""  # noqa: INP001 - no package

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "tests" / "conftest.py"


def pytest_configure(config: pytest.Config) -> None:
    """Load the tests' conftest, which pytest does by itself only when it runs the tests."""
    loaded = {getattr(each, "__file__", None) for each in config.pluginmanager.get_plugins()}
    spec = spec_from_file_location("tests_conftest", TESTS)
    if str(TESTS) not in loaded and spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        config.pluginmanager.register(module)
