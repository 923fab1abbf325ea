"""A server and a browser for the tests in this folder, and a notebook page for each of them.

Without playwright or Chromium the tests are skipped, saying which is missing; under CI
(`CI=true`) they fail, because there it was meant to be installed.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from .lab import Lab
from .notebook import NotebookPage, notebook_pages
from .page import find_chromium, launch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from .lab import App

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, for `notebook` to take a picture."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


def _need(there: bool, what: str) -> None:
    if not there:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"the browser tests need {what}")


# Of the package and not of the session: while playwright runs, its event loop is the thread's, and
# tests elsewhere that call asyncio.run would find it.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    _need(find_spec("playwright") is not None, "playwright: pip install '.[test]'")
    _need(find_chromium() is not None, "Chromium on the PATH, such as apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[App], Lab]]:
    """Servers by application, each started once, when first asked for."""
    running: dict[App, Lab] = {}
    with ExitStack() as stack:

        def server(app: App) -> Lab:
            if app not in running:
                running[app] = stack.enter_context(Lab(app))
            return running[app]

        yield server


@pytest.fixture
def pages(
    browser: Browser, servers: Callable[[App], Lab]
) -> Iterator[Callable[[App], NotebookPage]]:
    """Pages by application, closed after the test; a module can share them by a wider scope."""
    with notebook_pages(browser, servers) as page:
        yield page


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, pages: Callable[[App], NotebookPage], tmp_path: Path
) -> Iterator[NotebookPage]:
    """A page in JupyterLab; parametrize it indirectly with "notebook" for Notebook 7.

    JavaScript errors fail the test. If it fails, tmp_path/failure.png shows the page.
    """
    page = pages(getattr(request, "param", "lab"))
    page.errors.clear()
    yield page
    failed = request.node.stash.get(_FAILED, True) or bool(page.errors)
    if failed and page.is_open:
        page.screenshot(tmp_path / "failure.png")
        print(f"{tmp_path / 'failure.png'}\n{page.describe()}\n{page.lab.log()}")  # noqa: T201
    if failed:
        page.close()
    page.check()


@pytest.fixture
def lab(notebook: NotebookPage) -> Lab:
    """The server behind `notebook`."""
    return notebook.lab
