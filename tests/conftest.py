"""Setup of all tests: temporary homes, no network, the order, the real data if available."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from IPython.core.interactiveshell import InteractiveShell

from .shells import ipython_shell, kmagic_shell

# Property tests must not depend on the speed of the machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

_HOMES = ("HOME", "KERAS_HOME", "IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
_JUPYTER_HOMES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before Keras, Matplotlib and Jupyter look for their homes."""
    # A background job of a script starts with SIGINT ignored, and so would all its child processes.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    homes = Path(tempfile.mkdtemp(prefix="kmagic-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(homes, ignore_errors=True))
    for name in _HOMES + _JUPYTER_HOMES:
        home = homes / name.lower()
        home.mkdir()
        os.environ[name] = str(home)
    os.environ |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Tests do not use the network.
        "KMAGIC_OFFLINE": "1",
        # Do not import Keras in a background thread while tests use or patch it.
        "KMAGIC_WARM": "0",
        # Child processes import the installed package, not the checkout.
        "PYTHONSAFEPATH": "1",
        # Jupyter warns unless a folder layout is chosen.
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    os.environ.pop("KMAGIC_DISPLAY", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--slow`` for tests that take minutes."""
    parser.addoption("--slow", action="store_true", help="also run tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run fast tests first, then notebooks, then the browser; skip slow tests by default."""
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
    """The folder of full datasets; tests that need it are skipped if it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the full datasets are not at ../shared/data")
    return SHARED_DATA


@pytest.fixture
def plain_shell() -> Iterator[InteractiveShell]:
    """A plain IPython shell, new for each test."""
    with ipython_shell() as shell:
        yield shell


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the magics and static displays, new for each test."""
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    with kmagic_shell() as shell:
        yield shell


@pytest.fixture
def keras_models() -> Path:
    """The empty folder of pretrained weights in Keras's home."""
    models = Path(os.environ["KERAS_HOME"]) / "models"
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir()
    return models


@pytest.fixture
def pretrained(shared_data: Path) -> Path:
    """The folder of pretrained weights in Keras's home, with all available files."""
    return link_weights(shared_data)


def link_weights(shared: Path) -> Path:
    """Link the pretrained weights into Keras's home."""
    models = Path(os.environ["KERAS_HOME"]) / "models"
    models.mkdir(exist_ok=True)
    for file in (shared / "models").iterdir():
        link = models / file.name
        if not link.exists():
            link.symlink_to(file)
    return models


@pytest.fixture
def keras_home() -> Path:
    """Keras's home of this test session, with an empty dataset cache."""
    home = Path(os.environ["KERAS_HOME"])
    datasets = home / "datasets"
    shutil.rmtree(datasets, ignore_errors=True)
    datasets.mkdir()
    return home
