"""The harness itself, with ipykernel alone."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from .lab import CellError, Lab, LabError, LabTimeoutError, code_cell

if TYPE_CHECKING:
    from pathlib import Path

    from .notebook import NotebookPage

pytestmark = pytest.mark.browser

both_apps = pytest.mark.parametrize("notebook", ["lab", "notebook"], indirect=True)

PNG = b"\x89PNG\r\n\x1a\n"


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(PNG)
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


@both_apps
def test_run_save_and_reopen_without_a_kernel(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("run.ipynb", ["print(6 * 7)", "import os\nos.environ['HOME']"])
    notebook.open("run.ipynb")
    assert notebook.has_kernel()
    assert len(notebook) == 2
    assert notebook.outputs(0) == []

    outputs = notebook.run_cell(0)
    assert outputs == notebook.outputs(0)
    assert [output["text"] for output in outputs] == ["42\n"]
    notebook.run_cell(1)
    added = notebook.append("len('abc')")
    assert notebook.source(added) == "len('abc')"
    assert notebook.run_cell(added)[0]["data"]["text/plain"] == "3"

    assert lab.read("run.ipynb")["cells"][0]["outputs"] == []
    notebook.save()
    cells = lab.read("run.ipynb")["cells"]
    assert cells[0]["outputs"][0]["text"] == "42\n"
    assert cells[2]["source"] == "len('abc')"
    assert str(lab.home) in cells[1]["outputs"][0]["data"]["text/plain"]

    notebook.open("run.ipynb", kernel=False)
    assert not notebook.has_kernel()
    notebook.wait_until("node(0).innerText.includes('42')")
    assert notebook.output(0).inner_text().strip() == "42"
    assert lab.request("GET", "api/kernels") == []


@both_apps
def test_interrupt_a_cell_that_never_ends(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("loop.ipynb", ["print('on', flush=True)\nwhile True: pass", "'still here'"])
    notebook.open("loop.ipynb")
    notebook.run_cell(0, wait=False)
    notebook.wait_until("cell(0).model.outputs.length === 1")
    assert notebook.cell_state(0) == "running"
    assert notebook.cell_state(1) == "idle"
    notebook.interrupt()
    assert notebook.wait_cell(0, allow_errors=True)[1]["ename"] == "KeyboardInterrupt"
    assert notebook.cell_state(0) == "idle"
    assert "still here" in notebook.run_cell(1)[0]["data"]["text/plain"]


@both_apps
def test_themes_and_pictures(notebook: NotebookPage, lab: Lab, tmp_path: Path) -> None:
    tall = "from IPython.display import HTML\nHTML('<div style=\"height: 2000px\">tall</div>')"
    lab.write("look.ipynb", ["1", tall])
    notebook.open("look.ipynb")
    notebook.run_all()
    background = "getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')"
    light = notebook.js(background)
    notebook.set_theme("dark")
    assert notebook.js(background) != light
    notebook.set_theme("light")
    assert notebook.js(background) == light

    assert png_size(notebook.screenshot(tmp_path / "new" / "all.png")) == (1280, 900)
    # Notebook 7 folds high outputs into a frame that scrolls, JupyterLab does not.
    high = png_size(notebook.screenshot(tmp_path / "cell.png", 1))[1]
    assert high > 2000 if lab.app == "lab" else 300 < high < 500
    small = png_size(notebook.screenshot(tmp_path / "output.png", notebook.output(0)))
    assert small[1] < 100
    assert notebook.js("[innerWidth, innerHeight]") == [1280, 900]


def test_settings_can_be_reset(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("theme.ipynb", [])
    notebook.open("theme.ipynb", kernel=False)
    notebook.set_theme("dark")
    lab.reset_settings()
    notebook.reload()
    assert notebook.js("document.body.dataset.jpThemeLight") == "true"
    assert not notebook.has_kernel()


def test_trusted_and_untrusted(notebook: NotebookPage, lab: Lab) -> None:
    html = '<b>bold</b><svg width="9"></svg><script>window.ran = true</script>'
    output = {"output_type": "display_data", "data": {"text/html": html}, "metadata": {}}
    cell = {**code_cell("show()"), "execution_count": 1, "outputs": [output]}
    shown = (
        "(shown => shown.includes('b') && shown)("
        "[...node(0).querySelectorAll('.jp-RenderedHTML *')].map(n => n.tagName.toLowerCase()))"
    )
    lab.write("mine.ipynb", [cell, "pass"])
    notebook.open("mine.ipynb", kernel=False)
    assert not notebook.is_trusted()
    assert notebook.wait_until(shown) == ["b"]
    assert not notebook.js("window.ran")

    lab.trust("mine.ipynb")
    notebook.open("mine.ipynb", kernel=False)
    assert notebook.is_trusted()
    assert set(notebook.wait_until(shown)) == {"b", "svg", "script"}
    notebook.wait_until("window.ran")

    lab.copy_untrusted("mine.ipynb", "mailed.ipynb")
    trusted = {
        name: lab.request("GET", f"api/contents/{name}.ipynb")["content"]["cells"][0]["metadata"]
        for name in ("mine", "mailed")
    }
    assert trusted == {"mine": {"trusted": True}, "mailed": {"trusted": False}}


def test_reload_keeps_the_kernel(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("reload.ipynb", ["x = 5", "x"])
    notebook.open("reload.ipynb")
    notebook.run_cell(0)
    notebook.append("unsaved, so the page would like to ask")
    notebook.reload()
    assert len(notebook) == 2
    assert notebook.run_cell(1)[0]["data"]["text/plain"] == "5"


def test_errors_are_raised(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("wrong.ipynb", ["def f():\n    1 / 0\nf()", "input()", "pass"])
    with pytest.raises(LabError, match=r"open\(path\)"):
        notebook.run_cell(0)
    notebook.open("wrong.ipynb")
    with pytest.raises(CellError, match=r"(?s)Cell 0 ended in ZeroDivisionError.*in f\(\)"):
        notebook.run_cell(0)
    assert notebook.run_cell(0, allow_errors=True)[0]["ename"] == "ZeroDivisionError"
    with pytest.raises(
        LabTimeoutError, match=r"(?s)Waited 0.2 s for the end of cell 1\n.*1 running"
    ):
        notebook.run_cell(1, timeout=0.2)
    with pytest.raises(LabTimeoutError, match=r"Waited 0.1 s for a blue moon"):
        notebook.wait_until("false", timeout=0.1, what="a blue moon")
    with pytest.raises(LabError, match="no:such-command"):
        notebook.command("no:such-command")
    with pytest.raises(Exception, match="no cell 9: there are 3"):
        notebook.run_cell(9)


def test_javascript_errors_are_collected(notebook: NotebookPage, lab: Lab) -> None:
    lab.write("errors.ipynb", [])
    notebook.open("errors.ipynb")
    notebook.check()
    with notebook.page.expect_event("pageerror"):
        notebook.js("setTimeout(() => { throw new Error('thrown') })")
    with notebook.page.expect_event("pageerror"):
        notebook.js("(Promise.reject(new Error('rejected')), null)")
    with notebook.page.expect_console_message():
        notebook.js("console.error('logged')")
    with notebook.page.expect_console_message():
        notebook.js("console.log('harmless')")
    assert len(notebook.errors) == 3
    for error, word in zip(notebook.errors, ("thrown", "rejected", "logged"), strict=True):
        assert word in error
    assert "log: harmless" in notebook.console
    with pytest.raises(LabError, match=r"(?s)thrown.*rejected.*logged"):
        notebook.check()
    notebook.errors.clear()


def test_a_server_that_cannot_start_raises_with_its_log(tmp_path: Path) -> None:
    lab = Lab(root=tmp_path, env={"PYTHONHOME": "/nowhere"})
    with pytest.raises(LabError, match="ended with 1 on start"):
        lab.start()
    assert not lab.home.exists()
    assert tmp_path.exists()


def test_a_server_cleans_up() -> None:
    with Lab(env={"MARK": "set", "PATH": None}) as lab:
        lab.write("a.ipynb", [])
        kernel = lab.request("POST", "api/kernels", {"name": "python3"})["id"]
        assert lab.request("GET", f"api/kernels/{kernel}")["id"] == kernel
        pid = server_pid(lab)
        assert os.getpgid(pid) == pid
    assert not lab.home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def server_pid(lab: Lab) -> int:
    (info,) = (lab.home / "runtime").glob("jpserver-*.json")
    found = re.fullmatch(r"jpserver-(\d+)", info.stem)
    assert found is not None
    return int(found[1])
