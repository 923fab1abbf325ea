"""The tutorials run as they were recorded, on real data where there are any."""  # noqa: INP001 - no package

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests" / "conftest.py"
SHARED = HERE.parents[1] / "shared" / "data"
NEEDS = {"04_pretrained.ipynb": "models"}
"""What a tutorial cannot do without, in the folder of shared data."""

home = pytest.StashKey[Path]()


def provide(keras_home: Path) -> None:
    """Put into a Keras home what the tutorials need and may not be shipped."""
    models = keras_home / "models"
    models.mkdir(parents=True)
    for name in NEEDS.values():
        for file in (SHARED / name).glob("*") if (SHARED / name).is_dir() else ():
            (models / file.name).symlink_to(file)


def missing(notebook: str) -> str:
    """Why a tutorial cannot run here; "" where it can."""
    need = NEEDS.get(notebook)
    if need is None or (SHARED / need).exists():
        return ""
    return f"{need} is not at ../shared/data"


def pytest_configure(config: pytest.Config) -> None:
    """Load the tests' conftest, which pytest does by itself only when it runs the tests."""
    loaded = {getattr(each, "__file__", None) for each in config.pluginmanager.get_plugins()}
    spec = spec_from_file_location("tests_conftest", TESTS)
    if str(TESTS) not in loaded and spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        config.pluginmanager.register(module)
    config.pluginmanager.import_plugin("kmagic.testing.plugin")
    config.stash[home] = Path(tempfile.mkdtemp(prefix="kmagic-tutorials-"))
    config.add_cleanup(lambda: shutil.rmtree(config.stash[home], ignore_errors=True))
    provide(config.stash[home])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what lacks its data, and say so."""
    for item in items:
        reason = missing(item.path.name) if item.path.parent == HERE else ""
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A tutorial's kernel gets a Keras home that no other test has written to."""
    if item.path.parent != HERE:
        return (yield)
    before = os.environ["KERAS_HOME"]
    os.environ["KERAS_HOME"] = str(item.config.stash[home])
    try:
        return (yield)
    finally:
        os.environ["KERAS_HOME"] = before
