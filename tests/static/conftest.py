"""Node, and a copy of the ES modules that it can import."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

RunJs = Callable[..., Any]


def find_tool(name: str) -> str:
    """A program's path; without it the test is skipped, or fails under CI, which installs it."""
    local = shutil.which(name, path=str(Path(__file__).with_name("node_modules") / ".bin"))
    path = local or shutil.which(name)
    if path is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"{name} is missing: install Node.js and run 'npm ci --prefix tests/static'")
    return str(path)


@pytest.fixture(scope="session")
def node() -> str:
    return find_tool("node")


@pytest.fixture(scope="session")
def js_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static files, with a package.json that makes them modules for Node."""
    folder = tmp_path_factory.mktemp("javascript") / "static"
    with as_file(files("kmagic") / "static") as source:
        shutil.copytree(source, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="session")
def run_js(node: str, js_folder: Path) -> RunJs:
    """Evaluate a JavaScript expression in which the exports of some modules are defined.

    The expression may use ``given``, the value passed to it as JSON. Infinity and NaN return as
    None.
    """

    def run(expression: str, *modules: str, given: object = None) -> Any:
        program = (
            f"const modules = await Promise.all({json.dumps(modules)}.map(m => import('./' + m)));"
            "const m = Object.assign({}, ...modules);"
            f"const given = {json.dumps(given)};"
            f"console.log(JSON.stringify({expression}));"
        )
        script = js_folder / "expression.js"
        script.write_text(program)
        done = subprocess.run([node, str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
