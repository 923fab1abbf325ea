"""A Jupyter server for tests: real, and isolated from everything else on the machine.

With `expose_app_in_browser` the page can query and control the running application, see `page.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import uuid
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

App = Literal["lab", "notebook"]
ROOT = Path(__file__).parents[2]
Json = dict[str, Any]

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/notebook-extension:tracker": {"autoStartDefaultKernel": True},
}
"""The settings every page starts from, by plugin: no news, no surprise saves, no kernel dialog."""

_APPS: Mapping[App, tuple[str, str]] = {
    "lab": ("jupyterlab", "LabApp"),
    "notebook": ("notebook", "JupyterNotebookApp"),
}


class LabError(Exception):
    """What the harness expected of Jupyter, or of a test's notebook, did not come.

    LabError
    ├── LabTimeoutError   something did not happen in time
    └── CellError         a cell ended in an error
    """


class LabTimeoutError(LabError, TimeoutError):
    """Something that a test waits for did not happen in time."""


class CellError(LabError):
    """A cell ended in an error that the test did not allow."""


def code_cell(source: str) -> Json:
    """Return a code cell that has not run, in nbformat's form."""
    return {
        "id": uuid.uuid4().hex,
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }


class Lab:
    """A Jupyter server of the running interpreter, apart from everything else on the machine.

    Its kernels are those of this interpreter. It listens on a free port of the loopback interface
    and wants a token. Home, configuration, data, runtime, IPython and Keras folders are temporary,
    and so is the folder it serves, unless one is given.

    Attributes:
        app: "lab" for JupyterLab, "notebook" for Notebook 7.
        root: The folder it serves.
        home: The temporary folder that stands for the user's home.
        url: Its address, ending in a slash; known once it runs.
        token: What a request must carry.

    Args:
        app: Which application to start.
        root: The folder to serve. Default: a new one in `home`.
        env: More environment variables, for server and kernels; None as a value removes one.
        settings: More of the application's settings, by plugin, over `SETTINGS`.
        timeout: Seconds until the server must answer.

    Example:
        >>> with Lab() as lab:  # doctest: +SKIP
        ...     lab.write("a.ipynb", ["1 + 1"])
    """

    def __init__(
        self,
        app: App = "lab",
        *,
        root: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self.app: App = app
        self.token = uuid.uuid4().hex
        self.url = ""
        self.home = Path(tempfile.mkdtemp(prefix="lab-"))
        self.root = (root or self.home / "work").resolve()
        self.timeout = timeout
        self._settings = {**SETTINGS, **(settings or {})}
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- the server's life

    def start(self) -> Self:
        """Start the server and return when it answers.

        Raises:
            LabError: It ended at once; the message holds its log.
            LabTimeoutError: It did not answer in time.
        """
        module, section = _APPS[self.app]
        self.root.mkdir(parents=True, exist_ok=True)
        self.reset_settings()
        command = [
            sys.executable,
            "-m",
            module,
            "--no-browser",
            f"--{section}.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port=0",
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.allow_root={os.geteuid() == 0}",
            f"--IdentityProvider.token={self.token}",
        ]
        with (self.home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(),
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_answer()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the kernels and the server, and remove the temporary folders."""
        process, self._process = self._process, None
        if process is not None:
            # The server ends its kernels on SIGTERM; a kernel whose server was killed ends itself.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15.0)
                    break
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self, lines: int = 30) -> str:
        """Return the last lines of the server's log."""
        path = self.home / "server.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def reset_settings(self) -> None:
        """Put the application's settings (theme, notifications ...) back to what they were."""
        folder = self.home / "config" / "lab" / "user-settings"
        shutil.rmtree(folder, ignore_errors=True)
        for plugin, values in self._settings.items():
            package, _, name = plugin.partition(":")
            path = folder / package / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    # ---- its notebooks

    def write(
        self,
        path: str,
        cells: Sequence[str | Json],
        *,
        metadata: Json | None = None,
        trusted: bool = False,
    ) -> Path:
        """Write a notebook.

        Args:
            path: Where, from the root.
            cells: Source text of code cells, or whole cells (`nbformat.v4.new_markdown_cell(...)`).
            metadata: More metadata of the notebook.
            trusted: Whether the user trusts what its outputs hold.

        Returns:
            The file.
        """
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
                **(metadata or {}),
            },
            "cells": [code_cell(cell) if isinstance(cell, str) else cell for cell in cells],
        }
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(notebook, indent=1))
        if trusted:
            self.trust(path)
        return target

    def read(self, path: str) -> Json:
        """Return a notebook as it stands on the disk."""
        import nbformat  # so that a machine without Jupyter can skip the tests

        notebook: Json = nbformat.read(self.root / path, as_version=4)  # type: ignore[no-untyped-call]
        return notebook

    def trust(self, path: str) -> None:
        """Trust a notebook's outputs, as `jupyter trust` does."""
        self.request("POST", f"api/contents/{urllib.parse.quote(path)}/trust")

    def copy_untrusted(self, path: str, to: str) -> Path:
        """Copy a notebook as if it came by mail: the same outputs, but nobody vouches for them.

        Trust hangs on the content, so a plain copy of a trusted notebook is trusted too. This one
        differs by a word in its metadata.
        """
        notebook = self.read(path)
        notebook["metadata"]["copied"] = uuid.uuid4().hex
        target = self.root / to
        target.write_text(json.dumps(notebook))
        return target

    # ---- its interface

    def request(self, method: str, path: str, body: Any = None, *, timeout: float = 30.0) -> Any:
        """Ask the server's REST interface and return the decoded answer (None if it is empty).

        Raises:
            urllib.error.URLError: The server refused, or could not be reached.
        """
        request = urllib.request.Request(  # noqa: S310 - our own server's address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=timeout) as response:
            content = response.read()
        return json.loads(content) if content else None

    def end_kernels(self, path: str | None = None) -> None:
        """End the kernels of one notebook, or of all, also those that are busy."""
        for session in self.request("GET", "api/sessions"):
            if path not in (None, session["path"]):
                continue
            try:
                self.request("POST", f"api/kernels/{session['kernel']['id']}/interrupt")
                self.request("DELETE", f"api/sessions/{session['id']}")
            except urllib.error.HTTPError as error:
                if error.code not in (404, 410):  # it ended by itself meanwhile
                    raise

    # ---- inside

    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
        folders = {
            "HOME": "home",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "config/lab/user-settings",
            "JUPYTERLAB_WORKSPACES_DIR": "config/lab/workspaces",
            "IPYTHONDIR": "ipython",
            "KERAS_HOME": "keras",
        }
        for variable, name in folders.items():
            folder = self.home / name
            folder.mkdir(parents=True, exist_ok=True)
            clean[variable] = str(folder)
        if find_spec("kmagic").origin == str(ROOT / "kmagic" / "__init__.py"):  # type: ignore[union-attr]
            clean["JUPYTER_PATH"] = str(self._checkout_data())
        for variable, value in self._env.items():
            clean.pop(variable, None)
            if value is not None:
                clean[variable] = value
        return clean

    def _checkout_data(self) -> Path:
        """What the wheel would install in `share/jupyter`, from the checkout.

        An editable install has copies of these files, which may be older.
        """
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        folder = self.home / "share" / "jupyter"
        targets = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
        for source, target in targets.items():
            to = folder.parents[1] / target
            to.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
            copy(ROOT / source, to)
        return folder

    def _await_answer(self) -> None:
        assert self._process is not None
        info = self.home / "runtime" / f"jpserver-{self._process.pid}.json"
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise LabError(
                    f"{self.app} ended with {self._process.returncode} on start:\n{self.log()}"
                )
            try:
                self.url = f"http://127.0.0.1:{json.loads(info.read_text())['port']}/"
                self.request("GET", "api/status", timeout=5.0)
            except (FileNotFoundError, json.JSONDecodeError, urllib.error.URLError):
                time.sleep(0.05)  # a poll's pause: the condition is the answer, not the time
            else:
                return
        raise LabTimeoutError(f"{self.app} did not answer within {self.timeout:g} s:\n{self.log()}")
