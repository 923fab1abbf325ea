"""What every test stands on: homes of its own, no network, an order, the real data if there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from IPython.core.interactiveshell import InteractiveShell

from .shells import ipython_shell, kmagic_shell

# A property fails for what it finds, never for how long that took on a machine with other work.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

_HOMES = ("HOME", "KERAS_HOME", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
_JUPYTER_HOMES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is imported: Keras, Matplotlib and Jupyter look for their homes once."""
    homes = Path(tempfile.mkdtemp(prefix="kmagic-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(homes, ignore_errors=True))
    for name in _HOMES + _JUPYTER_HOMES:
        home = homes / name.lower()
        home.mkdir()
        os.environ[name] = str(home)
    os.environ |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Never the network: a test must not depend on whether there is one.
        "KMAGIC_OFFLINE": "1",
        # Nor Keras in a thread of its own, beside a test that asks or patches it.
        "KMAGIC_WARM": "0",
        # Started without an option, a Python of ours must not find the checkout before what is
        # installed.
        "PYTHONSAFEPATH": "1",
        # Jupyter warns until one of two layouts is chosen.
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    os.environ.pop("KMAGIC_DISPLAY", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Minutes more of the same, for a change that may touch every layer or network."""
    parser.addoption("--slow", action="store_true", help="run also what takes minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick tests first, then the notebooks, then the browser; what is slow only if asked for."""
    items.sort(key=_stage)
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: pytest --slow"))


def _stage(item: pytest.Item) -> int:
    if item.path.is_relative_to(ROOT / "tests" / "browser"):
        return 2
    return int(item.path.suffix == ".ipynb")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the full data sets are not at ../shared/data")
    return SHARED_DATA


@pytest.fixture
def plain_shell() -> Iterator[InteractiveShell]:
    """IPython's shell as it is by itself, new for each test."""
    with ipython_shell() as shell:
        yield shell


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the magics, new for each test; it shows what a saved notebook keeps."""
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    with kmagic_shell() as shell:
        yield shell


@pytest.fixture
def keras_models() -> Path:
    """The folder of weights in Keras's home, empty."""
    models = Path(os.environ["KERAS_HOME"]) / "models"
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir()
    return models


@pytest.fixture
def pretrained(shared_data: Path) -> Path:
    """The folder of weights in Keras's home, with all that there is."""
    return link_weights(shared_data)


def link_weights(shared: Path) -> Path:
    """Put the weights into Keras's home, where it finds them."""
    models = Path(os.environ["KERAS_HOME"]) / "models"
    models.mkdir(exist_ok=True)
    for file in (shared / "models").iterdir():
        link = models / file.name
        if not link.exists():
            link.symlink_to(file)
    return models


@pytest.fixture
def keras_home() -> Path:
    """Keras's own home in this session, its cache of data sets empty."""
    home = Path(os.environ["KERAS_HOME"])
    datasets = home / "datasets"
    shutil.rmtree(datasets, ignore_errors=True)
    datasets.mkdir()
    return home
