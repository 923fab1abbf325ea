"""What users get: the wheel, what it puts where, and the public names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

import kmagic

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# The samples are a megabyte of it.
MOST_BYTES = 2_500_000


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(root)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    command = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([sys.executable, *command, str(wheel)], check=True)
    return folder


@pytest.fixture
def use_installed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Python and Jupyter of later processes find the installed wheel first."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("JUPYTER_PATH", str(installed / "share" / "jupyter"))
    return installed


@pytest.mark.skipif(not IN_CI, reason="elsewhere an editable install is welcome; CI=true checks")
def test_the_tests_run_against_the_installed_wheel(root: Path) -> None:
    package = Path(kmagic.__file__).parent
    assert package != root / "kmagic"
    assert "site-packages" in package.parts
    assert not {"", str(root)} & set(sys.path)
    program = "import kmagic; print(kmagic.__file__)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == package


def test_the_wheel_holds_the_whole_package(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {
        path.relative_to(root).as_posix()
        for path in (root / "kmagic").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("kmagic/")} == source
    assert {
        "kmagic/py.typed",
        "kmagic/static/kit/card.css",
        "kmagic/data/samples/mnist_sample.npz",
        "kmagic/data/samples/LICENSE-mnist.txt",
    } <= names


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    version = kmagic.__version__
    assert tops == {"kmagic", f"kmagic-{version}.dist-info", f"kmagic-{version}.data"}
    assert wheel.stat().st_size < MOST_BYTES


def test_the_metadata(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = f"kmagic-{kmagic.__version__}.dist-info"
    metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    assert metadata["Version"] == kmagic.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause AND CC-BY-SA-3.0"
    assert set(metadata.get_all("License-File") or []) == {
        "LICENSE",
        "kmagic/data/samples/LICENSE-boston.txt",
        "kmagic/data/samples/LICENSE-mnist.txt",
    }
    assert {"lab", "test"} <= set(metadata.get_all("Provides-Extra") or [])
    assert f"{info}/licenses/LICENSE" in archive.namelist()


def test_the_wheel_alone_brings_digits_and_houses(use_installed: Path) -> None:
    program = (
        "import warnings, kmagic; warnings.simplefilter('ignore')\n"
        "print(kmagic.__file__, len(kmagic.load_data('mnist').x_test))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    where, rows = done.stdout.split()
    assert Path(where).is_relative_to(use_installed)
    assert rows == "1000"


def test_the_kernelspec(wheel: Path) -> None:
    name = f"kmagic-{kmagic.__version__}.data/data/share/jupyter/kernels/kmagic/kernel.json"
    spec = json.loads(zipfile.ZipFile(wheel).read(name))
    assert spec["display_name"] == "Python 3 + kmagic"
    assert spec["argv"] == [
        *("python", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--ext=kmagic")
    ]


def test_its_kernel_starts_with_the_magics(use_installed: Path) -> None:
    manager, client = import_module("jupyter_client.manager").start_new_kernel(kernel_name="kmagic")
    try:
        told: list[str] = []
        program = (
            "import kmagic\n"
            "print(kmagic.__file__, 'keras_fit' in get_ipython().magics_manager.magics['line'])"
        )
        reply = client.execute_interactive(
            program,
            timeout=60,
            output_hook=lambda message: told.append(message["content"].get("text", "")),
        )
        assert reply["content"]["status"] == "ok"
        where, magics = "".join(told).split()
        assert Path(where).is_relative_to(use_installed)
        assert magics == "True"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_extension_of_the_editor_is_enabled(use_installed: Path) -> None:
    folder = use_installed / "share" / "jupyter" / "labextensions" / "kmagic"
    package = json.loads((folder / "package.json").read_text())
    assert package["version"] == kmagic.__version__
    assert (folder / package["jupyterlab"]["_build"]["load"]).is_file()
    assert (folder / package["jupyterlab"]["schemaDir"] / "kmagic" / "plugin.json").is_file()
    shared = {"highlighting.json", "words.json"}
    assert shared < {path.name for path in (folder / "static").iterdir()}
    command = [sys.executable, "-m", "jupyterlab.labextensions", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = re.findall(r"kmagic v.*", re.sub(r"\x1b\[[0-9;]*m", "", done.stderr))
    assert line.split()[2:] == ["enabled", "OK", "(python,", "kmagic)"]


def test_exported_notebooks_are_highlighted(use_installed: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "net.ipynb"
    cell = nbformat.v4.new_code_cell("%%keras_model net\ninput 28x28x1\ndense 3 relu")
    language = {"name": "python", "pygments_lexer": "ipython3"}
    metadata = {"language_info": language}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), notebook)
    setting = "--HighlightMagicsPreprocessor.languages=%%keras_model=kmagic"
    command = [sys.executable, "-m", "nbconvert", "--to", "html", setting, str(notebook)]
    subprocess.run(command, check=True, capture_output=True)
    page = notebook.with_suffix(".html").read_text(encoding="utf-8")
    assert '<span class="k k-Layer">dense</span>' in page
    assert '<span class="m m-Shape">28x28x1</span>' in page


def test_every_public_name_is_there_and_documented() -> None:
    assert set(kmagic.__all__) <= set(dir(kmagic))
    for name in kmagic.__all__:
        value = getattr(kmagic, name)
        assert isinstance(value, str) or value.__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        kmagic.nonsense  # noqa: B018 - asking for it is the test


def test_the_readme_says_how_to_test(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- test -->\n(.*?)<!-- /test -->", text, flags=re.DOTALL)
    lines = [line for line in block.splitlines() if line.strip() and not line.startswith("```")]
    assert len(lines) == 1, "one line sets up and passes the tests"
    assert "'.[test]'" in lines[0]
    assert lines[0].endswith("pytest -n 2")
