"""The tutorials run as they were recorded, on real data where there are any."""  # noqa: INP001 - no package

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests" / "conftest.py"
SHARED = HERE.parents[1] / "shared" / "data"
NEEDS = {"03_imdb.ipynb": "imdb.npz", "04_pretrained.ipynb": "models"}
"""What a tutorial needs from the folder of full datasets."""

OTHER_ORDER = '''"""The available reviews are Keras's in another order, so with another hash."""

from unittest.mock import patch

from kmagic.data import keras_datasets

KNOWN = "imdb.npz"
state_of, load_through_keras = keras_datasets.state_of, keras_datasets.load_through_keras


def accept(file):
    return "right" if file.name == KNOWN else state_of(file)


def load_unchecked(files, load):
    from kmagic.support.keras_import import load_keras

    load_keras()
    from keras.src.datasets import imdb

    get_file = imdb.get_file

    def unchecked(fname, origin, file_hash):
        return get_file(fname, origin, file_hash=None if fname == KNOWN else file_hash)

    with patch.object(imdb, "get_file", unchecked):
        return load_through_keras(files, load)


keras_datasets.state_of, keras_datasets.load_through_keras = accept, load_unchecked
'''

homes = pytest.StashKey[dict[str, str]]()


def provide(folder: Path) -> dict[str, str]:
    """Create homes for Keras and IPython with data that the tutorials need and cannot include.

    Args:
        folder: The parent folder.

    Returns:
        The environment variables for them.
    """
    models, datasets = folder / "keras" / "models", folder / "keras" / "datasets"
    startup = folder / "ipython" / "profile_default" / "startup"
    for path in (models, datasets, startup):
        path.mkdir(parents=True)
    if SHARED.is_dir():
        for file in (SHARED / "models").iterdir():
            (models / file.name).symlink_to(file)
        for name in ("imdb.npz", "imdb_word_index.json"):
            (datasets / name).symlink_to(SHARED / name)
        (startup / "reviews.py").write_text(OTHER_ORDER, encoding="utf-8")
    return {"KERAS_HOME": str(folder / "keras"), "IPYTHONDIR": str(folder / "ipython")}


def missing(notebook: str) -> str:
    """Why a tutorial cannot run here; "" if it can."""
    name = NEEDS.get(notebook)
    if name is None or (SHARED / name).exists():
        return ""
    return f"{name} is not at ../shared/data"


def pytest_configure(config: pytest.Config) -> None:
    """Load the conftest of the tests, which pytest loads only if it runs them too."""
    loaded = {getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins()}
    spec = spec_from_file_location("tests.conftest", TESTS)
    if str(TESTS) not in loaded and spec is not None and spec.loader is not None:
        package = sys.modules.setdefault("tests", ModuleType("tests"))
        package.__path__ = [str(TESTS.parent)]  # for its relative imports
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        config.pluginmanager.register(module)
    config.pluginmanager.import_plugin("kmagic.testing.plugin")
    folder = Path(tempfile.mkdtemp(prefix="kmagic-tutorials-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    config.stash[homes] = provide(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip notebooks whose data are missing."""
    for item in items:
        reason = missing(item.path.name) if item.path.parent == HERE else ""
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Give the kernel of a tutorial its own homes."""
    if item.path.parent != HERE:
        return (yield)
    before = dict(os.environ)
    os.environ |= item.config.stash[homes]
    try:
        return (yield)
    finally:
        os.environ |= {name: before[name] for name in item.config.stash[homes]}
