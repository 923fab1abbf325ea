"""Run the tutorials as the tests do and keep what they show in the notebooks.

After a change that is seen in them: python scripts/record_tutorials.py [NOTEBOOK ...]
Without names, all that have their data here. Every display is the final, repeatable one.
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
NOT_PASSED_ON = "not-passed-on"
"""Tag of a cell that shows data which have no licence to be passed on."""


def main(names: list[str]) -> None:
    """Record the named notebooks, or all."""
    ground = _ground()
    with tempfile.TemporaryDirectory(prefix="kmagic-record-") as folder:
        os.environ |= {
            **ground.provide(Path(folder)),
            "HOME": folder,
            "KMAGIC_DISPLAY": "static",
            "KMAGIC_OFFLINE": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        for path in [Path(name) for name in names] or sorted(NOTEBOOKS.glob("*.ipynb")):
            print(f"{path.name}: {ground.missing(path.name) or record(path)}")


def in_words(output: Any) -> list[Any]:
    """What may be kept of a cell that shows data of others: a card's words, which show none."""
    if "text/plain" not in output.get("data", {}):
        return []
    words = {"text/plain": output["data"]["text/plain"]}
    return [nbformat.from_dict({**output, "data": words})]  # type: ignore[no-untyped-call] # nbformat's own


def record(path: Path) -> str:
    """Run a notebook and write it anew; says how long it took."""
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
        if NOT_PASSED_ON in cell.metadata.get("tags", ()):
            cell.outputs = [plain for output in cell.outputs for plain in in_words(output)]
    # JupyterLab writes it the same, so that a reader's save changes nothing.
    text = nbformat.writes(notebook)
    path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    return f"{time.monotonic() - began:.0f} s, {len(text) / 1000:.0f} kB"


def _ground() -> ModuleType:
    """What the tests of the tutorials stand on."""
    spec = spec_from_file_location("tutorials", NOTEBOOKS / "conftest.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(NOTEBOOKS / "conftest.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1:])
