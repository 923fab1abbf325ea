"""A notebook in the browser: run cells, read outputs, take screenshots."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .lab import CellError, code_cell
from .page import JupyterPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, Locator

    from .lab import App, Json, Lab


class NotebookPage(JupyterPage):
    """One notebook, open in the browser; see `JupyterPage` for the page itself.

    Cells are counted from 0, Markdown cells included, as in the file.
    """

    # ---- cells

    def __len__(self) -> int:
        """Return how many cells there are."""
        return int(self.js("panel.content.widgets.length"))

    def __bool__(self) -> bool:
        """Return True: a page is there also when its notebook is empty."""
        return True

    def source(self, i: int) -> str:
        """Return a cell's text."""
        return str(self.js("cell(arg).model.sharedModel.getSource()", i))

    def set_source(self, i: int, text: str) -> None:
        """Replace a cell's text."""
        self.js("cell(arg[0]).model.sharedModel.setSource(arg[1])", [i, text])

    def append(self, text: str) -> int:
        """Add a code cell at the end and return its number."""
        self.js(
            "panel.content.model.sharedModel.insertCell("
            "panel.content.widgets.length, {cell_type: 'code', source: arg})",
            text,
        )
        return len(self) - 1

    def set_cells(self, cells: Sequence[str | Json]) -> None:
        """Replace all cells, given as to `Lab.write`, and wait until the new ones are there."""
        self.js(
            "((model, old) => model.transact(() => { model.insertCells(0, arg);"
            "model.deleteCellRange(arg.length, arg.length + old); }))"
            "(panel.content.model.sharedModel, panel.content.widgets.length)",
            [code_cell(cell) if isinstance(cell, str) else cell for cell in cells],
        )
        self.wait_until(
            "panel.content.widgets.length === arg && panel.content.widgets.every("
            "c => c.model.type !== 'code' || c.node.querySelector('.cm-line'))",
            len(cells),
            what="the cells",
        )

    def run_cell(
        self,
        i: int,
        *,
        wait: bool = True,
        allow_errors: bool = False,
        timeout: float | None = None,
    ) -> list[Json]:
        """Run a cell.

        Args:
            i: Which.
            wait: Whether to wait for its end; without, it returns as soon as the cell is sent.
            allow_errors: Whether an error in the cell is all right.
            timeout: Seconds it may take; default: the page's.

        Returns:
            The outputs so far.

        Raises:
            CellError: The cell ended in an error and `allow_errors` is False.
            LabTimeoutError: It did not end in time.
        """
        self._activate(i)
        self.js("harness.begin(`cell:${arg}`, app.commands.execute('notebook:run-cell'))", i)
        if not wait:
            return self.outputs(i)
        return self.wait_cell(i, allow_errors=allow_errors, timeout=timeout)

    def wait_cell(
        self, i: int, *, allow_errors: bool = False, timeout: float | None = None
    ) -> list[Json]:
        """Wait for the end of a cell that runs, and return its outputs; see `run_cell`."""
        self.wait_until(
            "cell(arg).model.executionState !== 'running' && !harness.pending(`cell:${arg}`)",
            i,
            timeout=timeout,
            what=f"the end of cell {i}",
        )
        outputs = self.outputs(i)
        errors = [output for output in outputs if output["output_type"] == "error"]
        if errors and not allow_errors:
            trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(errors[0]["traceback"]))
            raise CellError(
                f"Cell {i} ended in {errors[0]['ename']}: {errors[0]['evalue']}\n{trace}"
            )
        return outputs

    def run_all(self, *, timeout: float | None = None) -> None:
        """Run every code cell in order, each waited for; see `run_cell`."""
        for i in range(len(self)):
            if self.js("cell(arg).model.type", i) == "code":
                self.run_cell(i, timeout=timeout)

    def cell_state(self, i: int) -> Literal["running", "idle"]:
        """Return whether a code cell runs (or waits for its turn)."""
        running = self.js(
            "cell(arg).model.executionState === 'running' || harness.pending(`cell:${arg}`)", i
        )
        return "running" if running else "idle"

    def outputs(self, i: int) -> list[Json]:
        """Return a code cell's outputs as they would be saved, in nbformat's form."""
        outputs: list[Json] = self.js("cell(arg).model.outputs.toJSON()", i)
        return outputs

    def cell(self, i: int) -> Locator:
        """Return a locator of a whole cell."""
        self.js("node(arg).setAttribute('data-test-cell', arg)", i)
        return self.page.locator(f'[data-test-cell="{i}"]')

    def output(self, i: int) -> Locator:
        """Return a locator of what stands below a code cell, all its outputs with their prompts."""
        return self.cell(i).locator(".jp-Cell-outputArea")

    # ---- the notebook

    def is_trusted(self) -> bool:
        """Whether all outputs are trusted, so that their HTML is shown whole and scripts run."""
        return bool(
            self.js(
                "panel.content.widgets.every(c => c.model.type !== 'code' || "
                "c.model.trusted || c.model.outputs.length === 0)"
            )
        )

    def interrupt(self) -> None:
        """Interrupt the kernel, as the toolbar's button does.

        An interrupt that comes before the cell does is lost: wait for a sign of the cell first.
        """
        self._activate()
        self.command("notebook:interrupt-kernel")

    def save(self) -> None:
        """Save the notebook, as Ctrl+S does, and wait until it is on the disk."""
        self._activate()
        self.command("docmanager:save")
        self.wait_until("!panel.context.model.dirty", what="the notebook to be saved")

    def show(self, i: int) -> None:
        """Bring a cell into view: JupyterLab does not render what is far away."""
        self._activate(i)
        self.cell(i).scroll_into_view_if_needed()

    def screenshot(self, path: Path | str, what: int | Locator | None = None) -> Path:
        """Write a PNG of what is seen.

        Args:
            path: The file; its folder is made.
            what: A cell, or an element such as `output(i)`, whole even if it is higher than the
                window. Default: the window.

        Returns:
            The file.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if what is None:
            self.page.screenshot(path=target)
            return target
        element = self.cell(what) if isinstance(what, int) else what
        with self._room_for(element):
            element.screenshot(path=target)
        return target

    # ---- inside

    def _activate(self, i: int | None = None) -> None:
        """Make the notebook current and a cell its active one: commands act on these."""
        self.js("app.shell.currentWidget === panel || app.shell.activateById(panel.id)")
        self.wait_until("app.shell.currentWidget === panel", what="the notebook to be current")
        if i is not None:
            self.js(
                "cell(arg) && (panel.content.deselectAll(), panel.content.activeCellIndex = arg)", i
            )

    @contextmanager
    def _room_for(self, locator: Locator) -> Iterator[None]:
        """Make the window high enough for all of an element: what scrolls away is not pictured."""
        box, window = locator.bounding_box(), self.page.viewport_size
        frame = 250  # menu, toolbar and status bar, amply
        if box is None or window is None or box["height"] + frame <= window["height"]:
            yield
            return
        self.page.set_viewport_size(
            {"width": window["width"], "height": round(box["height"]) + frame}
        )
        try:
            yield
        finally:
            self.page.set_viewport_size(window)


@contextmanager
def notebook_pages(
    browser: Browser, servers: Callable[[App], Lab]
) -> Iterator[Callable[[App], NotebookPage]]:
    """Pages by application, each made when first asked for, and closed at the end."""
    pages: dict[App, NotebookPage] = {}

    def page(app: App) -> NotebookPage:
        if app not in pages:
            pages[app] = NotebookPage(servers(app), browser)
        return pages[app]

    try:
        yield page
    finally:
        for one in pages.values():
            one.close()
