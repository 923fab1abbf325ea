"""Run the tutorials as the tests do and store their outputs in the notebooks.

Usage: python scripts/record_tutorials.py [NOTEBOOK ...]
The default is all notebooks whose data are available. All displays are static.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NOT_DISTRIBUTED = "not-passed-on"
"""Tag of a cell that shows data without a license for distribution."""


def main(names: list[str]) -> None:
    """Record the named notebooks, or all."""
    tutorials = _tutorial_setup()
    with tempfile.TemporaryDirectory(prefix="kmagic-record-") as folder:
        os.environ |= {
            **tutorials.provide(Path(folder)),
            "HOME": folder,
            "KMAGIC_DISPLAY": "static",
            "KMAGIC_OFFLINE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        for path in [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb")):
            print(f"{path.name}: {tutorials.missing(path.name) or record(path)}")


def text_only(output: Any) -> list[Any]:
    """The part of an output that may be distributed: the plain text of a card, without samples."""
    if "text/plain" not in output.get("data", {}):
        return []
    data = {"text/plain": output["data"]["text/plain"]}
    return [nbformat.from_dict({**output, "data": data})]  # type: ignore[no-untyped-call] # nbformat's own


def record(path: Path) -> str:
    """Run a notebook and save it; returns the time and the size as text."""
    notebook = nbformat.read(path, as_version=4)
    began = time.monotonic()
    NotebookClient(
        notebook, timeout=600, record_timing=False, resources={"metadata": {"path": path.parent}}
    ).execute()
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if NOT_DISTRIBUTED in cell.metadata.get("tags", ()):
            cell.outputs = [plain for output in cell.outputs for plain in text_only(output)]
    # The same format as JupyterLab's, so that saving there changes nothing.
    text = nbformat.writes(notebook)
    path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    return f"{time.monotonic() - began:.0f} s, {len(text) / 1000:.0f} kB"


def _tutorial_setup() -> ModuleType:
    """The set-up that the tests of the tutorials use."""
    spec = spec_from_file_location("tutorials", NOTEBOOKS / "conftest.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(NOTEBOOKS / "conftest.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1:])
