"""The tutorials on the full data, and what they reach there: pytest --slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RUNNER = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=1200).execute()
"""
# What the text of a tutorial promises, asked in its own notebook.
REACHED = {
    "01_mnist.ipynb": "assert len(x) == 10_000 and scores['mlp'] < scores['better_mlp'], scores\n"
    "assert scores['better_mlp'] > 0.98 and scores['better_cnn'] > 0.991, scores",
    "02_boston.ipynb": "assert both['deeper'] < 0.45 < both['net'] < 0.53, both\n"
    "assert spread(net, as_in_kerasr) > 0.7",
    "03_imdb.ipynb": "assert scores['position'] > 0.77, scores\n"
    "assert scores['mean'] > 0.81 and scores['order'] > 0.81, scores",
    "04_pretrained.ipynb": "assert answers.label[answers['rank'] == 1].tolist() == "
    "['Egyptian_cat', 'espresso', 'military_uniform']",
    "05_language.ipynb": "assert with_transfer.best.value < without_transfer.best.value",
    "06_save_load_leave.ipynb": "",
    "07_tune.ipynb": "assert study.status == 'done' and study.repeats, study\n"
    "assert folds.mean['val_accuracy'] > 0.85, folds",
    "08_evaluate.ipynb": "assert np.isin(wrong, found).mean() > 0.8, len(found)\n"
    "assert (labels.y != true).sum() < 75 and err.metrics['R2'] > 0.6, err",
}


def test_every_tutorial_is_among_them() -> None:
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} <= set(REACHED)


@pytest.fixture(scope="module")
def full(tmp_path_factory, shared_data) -> dict[str, str]:
    """Homes with all data and weights, as somebody has them who has fetched all."""
    folder = tmp_path_factory.mktemp("full")
    spec = spec_from_file_location("tutorials", NOTEBOOKS / "conftest.py")
    ground = module_from_spec(spec)
    spec.loader.exec_module(ground)
    homes = ground.provide(folder / "homes")
    home = folder / "keras"
    install = [sys.executable, str(shared_data / "install_keras_home.py"), str(home)]
    subprocess.run(install, check=True, capture_output=True)
    shutil.copy(shared_data / "imdb.npz", home / "datasets")
    return {**homes, "KERAS_HOME": str(home)}


@pytest.mark.parametrize("name", REACHED)
def test_a_tutorial_on_the_full_data(name, full, tmp_path) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(REACHED[name]))
    nbformat.write(notebook, tmp_path / name)
    shutil.copytree(NOTEBOOKS / "photos", tmp_path / "photos")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, name],
        cwd=tmp_path,
        env={**os.environ, **full, "KMAGIC_DISPLAY": "static"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
