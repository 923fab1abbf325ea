"""Keras's start: quiet, but only about what is noise."""

import os
import subprocess
import sys

import pytest

from kmagic.support import keras_import
from kmagic.support.errors import KmagicError
from kmagic.support.process_patches import _START_UP_MESSAGE

from .kernel_imports import LAST, PROGRAMS, run_kernel

NOISE = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795504096.278530    8120 port.cc:153] oneDNN is on. Set TF_ENABLE_ONEDNN_OPTS=0.
2026-11-24 07:00:00.123456: I tensorflow/core/cpu_feature_guard.cc:210] This binary is optimized
E0000 00:00:1795505138.447958   20518 cuda_platform.cc:52] failed call to cuInit
"""


def test_start_up_lines_are_noise_and_others_are_not():
    assert all(_START_UP_MESSAGE.search(line.encode()) for line in NOISE.splitlines())
    assert not _START_UP_MESSAGE.search(b"Fatal Python error: Segmentation fault")
    assert not _START_UP_MESSAGE.search(b"Input 3 is not there")


def run(code):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )


def test_building_a_model_prints_no_log_lines():
    code = (
        "from kmagic.support.keras_import import load_keras, preload\n"
        "import sys, threading; then = threading.Event()\n"
        "thread = preload(lambda: 'keras' in sys.modules and then.set())\n"
        "load_keras(); thread.join(); assert then.wait(20)\n"
        "import os; os.write(2, b'mine\\n')\n"
        "import kmagic; kmagic.build('input 4 / dense 2')(__import__('numpy').ones((1, 4)))"
    )
    assert run(code).stderr == "mine\n"


def test_matplotlib_does_not_report_that_it_builds_its_cache():
    code = (
        "import logging, sys\nlogger = logging.getLogger('matplotlib.font_manager')\n"
        "class Spy:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == logger.name:\n"
        "            print(logger.isEnabledFor(logging.WARNING))\n"
        "sys.meta_path.insert(0, Spy())\n"
        "from kmagic.support.keras_import import load_keras\nload_keras()\n"
        "print(logger.isEnabledFor(logging.WARNING))"
    )
    assert run(code).stdout.split() == ["False", "True"]


def test_other_messages_are_kept():
    code = (
        "import os\nfrom kmagic.support.process_patches import quiet_start\n"
        "with quiet_start():\n"
        "    os.write(2, b'I0000 00:00:1 1 port.cc:1] noise\\nsomething broke\\n')"
    )
    assert run(code).stderr == "something broke\n"


def test_the_retracing_warning_is_dropped():
    code = (
        "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '0'\n"
        "from kmagic.support.keras_import import load_keras; load_keras()\n"
        "import kmagic, numpy\n"
        "for _ in range(7):\n"
        "    kmagic.build('input 4 / dense 2').predict(numpy.ones((1, 4)), verbose=0)"
    )
    assert "retracing" not in run(code).stderr


def test_keras_can_be_imported_in_the_cell_that_loads_kmagic(tmp_path):
    names = ["data science", "from tensorflow import keras", "package of keras"]
    cell = "\n".join(["%load_ext kmagic", *(PROGRAMS[name] for name in names)])
    assert "built 10" in run_kernel([cell, LAST], tmp_path)


def test_an_import_that_waits_can_be_interrupted_and_repeated(tmp_path):
    cells = ["%load_ext kmagic", PROGRAMS["import tensorflow"], LAST]
    assert "built 10" in run_kernel(cells, tmp_path, interrupt=0.3)


# --- what is not as kmagic needs it ---------------------------------------------------------------


@pytest.fixture
def not_imported(monkeypatch, tmp_path):
    """As before Keras is imported; its settings are in a folder."""
    for name in ("keras", "tensorflow", "keras.src.backend.config"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("not_imported")
def test_an_installation_as_required_is_accepted():
    keras_import.check_installation()


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy", "openvino"])
def test_another_backend_is_refused_with_the_setting(not_imported, monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(KmagicError) as caught:
        keras_import.check_installation()
    assert caught.value.message.endswith(f"got the backend {backend}.")
    assert caught.value.remedy.startswith("Set it: `%env KERAS_BACKEND=tensorflow`")
    monkeypatch.delenv("KERAS_BACKEND")
    (not_imported / "keras.json").write_text(f'{{"backend": "{backend}"}}')
    with pytest.raises(KmagicError, match=backend):
        keras_import.check_installation()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # as the remedy says
    keras_import.check_installation()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"floatx": "float32"}'])
def test_settings_without_a_backend_are_accepted(not_imported, content):
    (not_imported / "keras.json").write_text(content)
    keras_import.check_installation()


@pytest.mark.usefixtures("not_imported")
@pytest.mark.parametrize("missing", ["tensorflow", "keras"])
def test_a_missing_package_is_reported_with_its_installation(monkeypatch, missing):
    monkeypatch.setattr(keras_import, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(KmagicError, match="is not installed for ") as caught:
        keras_import.check_installation()
    assert caught.value.remedy == f"Run `%pip install {missing}` and restart the kernel."


@pytest.mark.usefixtures("not_imported")
@pytest.mark.parametrize(
    ("package", "installed"), [("keras", "2.15.0"), ("keras", "3.5.0"), ("tensorflow", "2.15.1")]
)
def test_an_old_version_is_reported_with_the_one_needed(monkeypatch, package, installed):
    versions = {"keras": "3.15.1", "tensorflow": "2.20.0", package: installed}
    monkeypatch.setattr(keras_import, "version", versions.__getitem__)
    with pytest.raises(KmagicError, match=f"this is {installed}"):
        keras_import.check_installation()


@pytest.mark.usefixtures("not_imported")
def test_a_broken_installation_is_reported_with_its_first_line(monkeypatch):
    def fail():
        raise ImportError("libcudart.so.12: cannot open shared object file\nmore")

    monkeypatch.setattr(keras_import, "_load_quietly", fail)
    with pytest.raises(KmagicError, match="cannot be imported: libcudart"):
        keras_import.load_keras()
