"""Drives a real JupyterLab or Notebook 7 in headless Chromium, for tests of what a user sees.

The page is controlled through Jupyter's own objects instead of pixels and CSS classes: with
`expose_app_in_browser` the application is `window.jupyterapp`, its commands are those of the menus,
and cells and outputs are models. So the tests do not depend on the version of JupyterLab, and they
wait for conditions instead of times.

    with Lab() as lab, sync_playwright() as playwright, launch(playwright) as browser:
        lab.write("demo.ipynb", ["print(6 * 7)"])
        with NotebookPage(lab, browser) as page:
            page.open("demo.ipynb")
            page.run_cell(0)
            assert page.outputs(0)[0]["text"] == "42\\n"

Three things to know:

- `NotebookPage.js` and `NotebookPage.wait_until` take a JavaScript *expression* in which Jupyter's
  own `app`, `panel`, `cell(i)`, `node(i)`, and an `arg`, are defined (see `page.js`).
- `NotebookPage.open(path, kernel=False)` shows a saved notebook as a reader finds it: nothing runs,
  only what is in the file can be seen.
- Uncaught JavaScript errors collect in `NotebookPage.errors`; `NotebookPage.check` raises on them.
"""

from __future__ import annotations

import re
import shutil
import urllib.parse
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from .lab import LabError, LabTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

    from .lab import Json, Lab

Theme = Literal["light", "dark"]

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that talks to the server under test and to nobody else, as any user (root too)."""

_THEMES: Mapping[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

# What goes wrong in Jupyter itself, whatever the notebook holds; where is part of the pattern.
_NOISE = (
    # The widget manager asks for the kernel of a notebook that has none.
    r"reading 'kernel'\)[\s\S]*@jupyter-widgets/jupyterlab-manager",
    # The shortcuts' plugin hears of settings before its own are loaded (seen in Notebook 7).
    r"reading 'schema'\)[\s\S]*/(notebook|jlab)_core",
    # A page that is reloaded, or whose kernel ends, breaks off what Jupyter itself had asked.
    r"Canceled future for \w+ message before replies were done",
)

# Where Jupyter's own application prints its errors from, and what names a widget in one: modules
# of widgets are blobs, and the widgets' manager is an extension of its own.
_APPLICATION = re.compile(r"/(jlab|notebook)_core\.")
_OF_WIDGETS = re.compile(r"blob:|widget|kmagic", re.IGNORECASE)

_INIT = Path(__file__).with_name("page.js").read_text()

_EXPRESSION = """([path, arg]) => {
  const harness = window.labHarness;
  const { app, panel, cell, node } = harness.scope(path);
  return (%s);
}"""

# JupyterLab hides the page behind its logo while it loads, and while it changes its theme.
_NO_SPLASH = "!document.getElementById('jupyterlab-splash')"


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def launch(playwright: Playwright, executable: str | None = None) -> Browser:
    """Start a headless Chromium.

    Args:
        playwright: What `sync_playwright()` gives.
        executable: Path of the browser. Default: the installed one, see `find_chromium`.

    Returns:
        The browser; the caller closes it.

    Raises:
        LabError: No Chromium is installed.
    """
    executable = executable or find_chromium()
    if executable is None:
        raise LabError("Expected a Chromium on the PATH (chromium or chromium-browser), found none")
    return playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_FLAGS))


class JupyterPage:
    """The page that shows one notebook: open it, ask it, wait for it, command it.

    Waiting is in seconds, and what does not happen in time raises `LabTimeoutError` with what the
    page looked like.

    Attributes:
        page: Playwright's page, for all that is not wrapped here; a new one after each `open`.
        path: The notebook's path, from the server's root.
        console: Every console message so far, as "type: text".
        errors: Uncaught JavaScript errors and rejected promises, and `console.error` messages but
            those of the Jupyter application about itself.

    Args:
        lab: The server.
        browser: The browser.
        width: Of the viewport, in CSS pixels.
        height: Of the viewport, in CSS pixels.
        scale: Device pixels a CSS pixel; 2 for pictures that are to be looked at closely.
        timeout: Seconds that a wait lasts by default.
        ignore: Regular expressions of error messages that are not errors.
    """

    def __init__(
        self,
        lab: Lab,
        browser: Browser,
        *,
        width: int = 1280,
        height: int = 900,
        scale: float = 1.0,
        timeout: float = 60.0,
        ignore: Sequence[str] = (),
    ) -> None:
        self.lab = lab
        self.path = ""
        self.console: list[str] = []
        self.errors: list[str] = []
        self.timeout = timeout
        self._browser = browser
        self._width, self._height, self._scale = width, height, scale
        self._ignore = [re.compile(pattern) for pattern in (*_NOISE, *ignore)]
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        lab.reset_settings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def page(self) -> Page:
        """Playwright's page."""
        if self._page is None:
            raise LabError("Expected an open notebook: call open(path) first")
        return self._page

    @property
    def is_open(self) -> bool:
        """Whether a notebook is open."""
        return self._page is not None

    # ---- open and close

    def open(self, path: str, *, kernel: bool = True, sidebar: bool = False) -> Self:
        """Open a notebook as a user who has just started the browser, and wait until it is there.

        Args:
            path: The notebook's path, from the server's root.
            kernel: Whether it gets a kernel, the one it still has if there is one. Without, that
                one is ended, nothing can run, and what is seen is what is in the file.
            sidebar: Whether JupyterLab's file browser stays open beside it.

        Returns:
            The page itself.
        """
        self._leave()
        self.path = path
        if not kernel:
            self.lab.end_kernels(path)
        self._context = self._browser.new_context(
            viewport={"width": self._width, "height": self._height},
            device_scale_factor=self._scale,
            locale="en-GB",
        )
        self._page = page = self._context.new_page()
        page.set_default_timeout(self.timeout * 1000)
        page.on("pageerror", lambda error: self._note_error(f"uncaught: {error.stack or error}"))
        page.on("console", self._note)
        # Leaving a notebook with unsaved changes is no question here.
        page.on("dialog", lambda dialog: dialog.accept())
        page.add_init_script(f"const LAB_KERNEL = {str(kernel).lower()};\n{_INIT}")
        page.goto(self._address(path), wait_until="commit")
        self._await_ready(kernel=kernel)
        if self.lab.app == "lab" and not sidebar:
            self.js("app.shell.collapseLeft()")
        return self

    def reload(self) -> Self:
        """Reload the page, as by F5, and wait until the notebook is there again, with its kernel.

        What was not saved is lost, and so is Jupyter's knowledge of the cell that runs: its state
        is "idle", and its outputs from now on reach only widgets and displays that have an id.
        """
        has_kernel = self.has_kernel()
        self.page.reload(wait_until="commit")
        self._await_ready(kernel=has_kernel)
        return self

    def close(self) -> None:
        """Close the page and end the kernels."""
        self._leave()
        if self.lab.url:
            self.lab.end_kernels()

    def check(self) -> None:
        """Raise if the page had JavaScript errors.

        Raises:
            LabError: It had; the message holds all of them.
        """
        if self.errors:
            raise LabError("JavaScript errors in the page:\n- " + "\n- ".join(self.errors))

    # ---- ask

    def js(self, expression: str, arg: Any = None) -> Any:
        """Evaluate a JavaScript expression in the page and return its value.

        Args:
            expression: An expression (not a statement) that may use `app` (JupyterLab's or
                Notebook's application), `panel` (the NotebookPanel), `cell(i)` (a Cell widget),
                `node(i)` (its DOM node) and `arg`. It must not be a promise that may never settle:
                use `command` or `wait_until` for what takes time.
            arg: A value for the expression, as JSON.

        Returns:
            The value, as JSON.
        """
        return self.page.evaluate(_EXPRESSION % expression, [self.path, arg])

    def wait_until(
        self, expression: str, arg: Any = None, *, timeout: float | None = None, what: str = ""
    ) -> Any:
        """Wait until a JavaScript expression is true, and return its value.

        Args:
            expression: As in `js`.
            arg: As in `js`.
            timeout: Seconds; default: the page's.
            what: What is awaited, for the message if it does not come.

        Returns:
            The first value that is true in JavaScript's sense.

        Raises:
            LabTimeoutError: It did not become true in time.
        """
        from playwright.sync_api import TimeoutError as PlaywrightTimeout

        timeout = self.timeout if timeout is None else timeout
        try:
            handle = self.page.wait_for_function(
                _EXPRESSION % expression, arg=[self.path, arg], timeout=timeout * 1000, polling=50
            )
        except PlaywrightTimeout:
            raise LabTimeoutError(
                f"Waited {timeout:g} s for {what or expression}\n{self.describe()}"
            ) from None
        value = handle.json_value()
        handle.dispose()
        return value

    def command(self, name: str, args: Json | None = None, *, timeout: float | None = None) -> None:
        """Execute one of the application's commands, as its menu does, and wait for its end.

        Raises:
            LabError: The command failed.
            LabTimeoutError: It did not end in time.
        """
        key = f"command:{uuid.uuid4().hex}"
        self.js(
            "harness.begin(arg[0], app.commands.execute(arg[1], arg[2]))", [key, name, args or {}]
        )
        error = self.wait_until(
            "harness.call(arg).done && [harness.call(arg).error]",
            key,
            timeout=timeout,
            what=f"the command {name}",
        )[0]
        if error is not None:
            raise LabError(f"The command {name} failed: {error}")

    def describe(self) -> str:
        """Return in words what the page looks like, for messages."""
        try:
            cells = self.js(
                "!panel ? ['not there'] : panel.content.widgets"
                ".map((c, i) => [i, c.model.executionState, c.model.outputs?.length])"
                ".filter(([, state, outputs]) => state === 'running' || outputs)"
                ".map(([i, state, outputs]) => `${i} ${state}, ${outputs} outputs`)"
            )
            dialogs = self.page.locator(".jp-Dialog-content").all_inner_texts()
        except Exception as error:  # noqa: BLE001 - a description must not hide what it describes
            return f"(the page cannot be asked: {error})"
        lines = [f"{self.path!r}, kernel: {self.has_kernel()}", "cells: " + "; ".join(cells)]
        lines += [f"dialog: {text!r}" for text in dialogs]
        return "\n".join([*lines, *(f"error: {e}" for e in self.errors), *self.console[-10:]])

    def has_kernel(self) -> bool:
        """Whether the notebook has a kernel."""
        return bool(self.js("Boolean(panel?.sessionContext.session?.kernel)"))

    def set_theme(self, theme: Theme) -> None:
        """Change to the light or the dark theme, and wait until the page shows it."""
        self.command("apputils:change-theme", {"theme": _THEMES[theme]})
        self.wait_until(
            "document.body.dataset.jpThemeLight === arg && "
            "getComputedStyle(document.body).getPropertyValue('--jp-layout-color0') && "
            + _NO_SPLASH,
            str(theme == "light").lower(),
            what=f"the {theme} theme",
        )

    # ---- inside

    def _address(self, path: str) -> str:
        quoted = urllib.parse.quote(path)
        if self.lab.app == "notebook":
            return f"{self.lab.url}notebooks/{quoted}?token={self.lab.token}"
        workspace = f"test-{uuid.uuid4().hex}"
        return (
            f"{self.lab.url}lab/workspaces/{workspace}/tree/{quoted}?token={self.lab.token}&reset"
        )

    def _await_ready(self, *, kernel: bool) -> None:
        self.wait_until(
            "panel?.context.isReady && "
            "panel.content.widgets.length === panel.content.model.cells.length && " + _NO_SPLASH,
            what=f"{self.path!r} to open",
        )
        if kernel:
            self.wait_until(
                "panel.sessionContext.isReady && "
                "panel.sessionContext.session?.kernel?.connectionStatus === 'connected' && "
                "['idle', 'busy'].includes(panel.sessionContext.session.kernel.status)",
                what="the kernel",
            )
        else:
            self.wait_until("panel.sessionContext.isReady", what="the notebook without a kernel")

    def _leave(self) -> None:
        context, self._context, self._page = self._context, None, None
        if context is not None:
            context.close()

    def _note(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")
        if message.type != "error":
            return
        # What the application says of itself (a session, a debugger) is no matter of a notebook.
        if _APPLICATION.search(message.location["url"]) and not _OF_WIDGETS.search(message.text):
            return
        self._note_error(f"console: {message.text}")

    def _note_error(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self._ignore):
            self.errors.append(text)
