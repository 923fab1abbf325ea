"""Imports of TensorFlow and Keras next to kmagic's background import, in real kernels.

    python tests/support/kernel_imports.py [KERNELS] [--seed N] [--interrupt]

Each kernel runs ``%load_ext kmagic`` and, after a random delay, a program of :data:`PROGRAMS` or
several: in the same cell, in further cells, or from threads. Every one must work, and so must a
model afterwards. With ``--interrupt`` the kernel is interrupted at a random moment while the import
waits; then it is the model that must work. ``test_keras_import.py`` runs a few kernels.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

PROGRAMS = {
    "import tensorflow": "import tensorflow as tf; tf.constant(1)",
    "from tensorflow import keras": "from tensorflow import keras; keras.layers.Dense(1)",
    "import keras": "import keras; keras.layers.Dense(1)",
    "from keras import layers": "from keras import layers; layers.Dense(1)",
    "from keras.layers": "from keras.layers import Dense; Dense(1)",
    "import tensorflow.keras.layers": "import tensorflow.keras.layers as L; L.Dense(1)",
    "from tensorflow.keras.models": "from tensorflow.keras.models import Sequential; Sequential()",
    "keras.src": "import keras.src.models; keras.src.models.Model",
    "tf.keras": "import tensorflow as tf; tf.keras.Sequential([tf.keras.layers.Dense(1)])",
    "import_module": "import importlib; importlib.import_module('tensorflow').constant(1)",
    "captured import_module": "from importlib import import_module as i; i('keras.layers').Dense",
    "__import__": "__import__('tensorflow').keras.layers.Dense(1)",
    "find_spec": "import importlib.util; assert importlib.util.find_spec('tensorflow.python')",
    "reload": "import importlib, keras; importlib.reload(keras).Model",
    "thread": "import concurrent.futures, importlib\n"
    "with concurrent.futures.ThreadPoolExecutor() as pool:\n"
    "    names = ['tensorflow', 'keras', 'tensorflow.keras', 'keras.layers', 'pandas']\n"
    "    [module.__name__ for module in pool.map(importlib.import_module, names)]",
    "package of tensorflow": "import needs_tensorflow; needs_tensorflow.tf.constant(1)",
    "package of keras": "from needs_keras.inner import Dense; Dense(1)",
    "lazy package": "import lazy_package; lazy_package.Dense(1)",
    "data science": "import pandas, sklearn.datasets, matplotlib.pyplot as plt, scipy.stats\n"
    "import tensorflow as tf; plt.figure(); pandas.DataFrame({'a': [1]})",
    "sklearn first": "from sklearn.model_selection import train_test_split\nimport keras",
    "scipy and tf": "import scipy.sparse.linalg, scipy.stats\nfrom tensorflow import keras",
    "only pandas": "import pandas as pd; pd.Series([1])",
    "only pyplot": "import matplotlib.pyplot as plt; plt.figure()",
    "reload_ext": "%reload_ext kmagic\nimport tensorflow as tf",
    "autoreload": "%load_ext autoreload\n%autoreload 2\nimport tensorflow as tf",
    "magic": "%%keras_model first\ninput 4\ndense 3",
    "shell command": "!true\nimport keras",
    "kmagic": "import kmagic; kmagic.build('input 4 / dense 2')",
}
FILES = {
    "needs_tensorflow.py": "import tensorflow as tf\n",
    "needs_keras/__init__.py": "from needs_keras import inner\n",
    "needs_keras/inner.py": "import pandas, keras\nfrom keras.layers import Dense\n",
    "lazy_package.py": "def __getattr__(name):\n"
    "    import keras.layers\n    return getattr(keras.layers, name)\n",
}
LAST = "import kmagic\nprint('built', kmagic.build('input 4 / dense 2').count_params())"


def cells(rng: random.Random, names: list[str]) -> list[str]:
    """``%load_ext kmagic`` and the programs, with random delays, in one cell or in several."""
    programs = [PROGRAMS[name] for name in names]
    delays = [f"import time; time.sleep({rng.choice([0, rng.random(), 3 * rng.random()]):.2f})"] * 2
    if rng.random() < 0.5 and not any(program.startswith("%%") for program in programs):
        return ["\n".join(["%load_ext kmagic", delays[0], *programs]), LAST]
    return ["%load_ext kmagic", delays[0], *programs, LAST]


def run_kernel(cells: list[str], folder: Path, *, interrupt: float | None = None) -> str:
    """Queue the cells in a new kernel, as Run All does; returns their output or the first error.

    With ``interrupt``, interrupt the kernel so many seconds after the first cell; what this ends is
    no error, and the last cell runs afterwards.
    """
    packages = folder / "packages"
    for name, text in FILES.items():
        (packages / name).parent.mkdir(exist_ok=True, parents=True)
        (packages / name).write_text(text)
    path = os.pathsep.join([str(packages), *sys.path])
    environment = {**os.environ, "KMAGIC_WARM": "1", "PYTHONPATH": path}
    manager, client = start_new_kernel(
        env=environment, cwd=str(folder), extra_arguments=["--HistoryManager.enabled=False"]
    )
    try:
        if interrupt is None:
            return _output(client, [client.execute(cell) for cell in cells])
        first, *others, last = cells
        output = _output(client, [client.execute(first)])
        requests = [client.execute(cell, stop_on_error=False) for cell in others]
        time.sleep(interrupt)
        manager.interrupt_kernel()
        output += _output(client, requests)
        return output + _output(client, [client.execute(last)])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _output(client: Any, requests: list[str]) -> str:
    """What the cells print, up to the first error that is not an interrupt."""
    output = []
    while requests:
        message = client.get_iopub_msg(timeout=120)
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            output.append(content["text"])
        elif kind == "error" and content["ename"] != "KeyboardInterrupt":
            return "\n".join([*output, *content["traceback"]])
        elif kind == "status" and content["execution_state"] == "idle":
            finished = message["parent_header"].get("msg_id")
            requests = [request for request in requests if request != finished]
    return "".join(output)


def main() -> int:
    """Run kernels and print what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", type=int, nargs="?", default=56)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--interrupt", action="store_true")
    options = parser.parse_args()
    rng, failures = random.Random(options.seed), 0  # noqa: S311 - not for security
    names = list(PROGRAMS)
    for number in range(options.kernels):
        chosen = [names[number % len(names)], *rng.sample(names, rng.randrange(3))]
        program, started = cells(rng, chosen), time.monotonic()
        interrupt = 4 * rng.random() if options.interrupt else None
        if options.interrupt:
            program = ["%load_ext kmagic", *(PROGRAMS[name] for name in chosen), LAST]
        with tempfile.TemporaryDirectory() as folder:
            output = run_kernel(program, Path(folder), interrupt=interrupt)
        works = "built 10" in output
        failures += not works
        took = time.monotonic() - started
        print(f"{number + 1:3} {took:5.1f} s {'ok' if works else 'FAILED'} {chosen}", flush=True)
        if not works:
            print("\n".join(program), output, sep="\n--\n", flush=True)
    print(f"{options.kernels} kernels, {failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
