"""Trials in processes: they share the data, fail alone, and end with the notebook's process."""

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from kmagic.support.errors import TrainingError
from kmagic.tuning import worker_pool

from .searching import END, TEXT, Calling, X, Y, tune

LARGE = np.tile(X, (40, 1)).astype("float64")
LABELS = np.tile(Y, 40)


def crashing():
    """A callback of the notebook: its class is pickled by value."""

    class Crashing(keras.callbacks.Callback):
        def on_epoch_end(self, *_, **__):
            activation = self.model.layers[1].activation.__name__
            if activation == "tanh":
                os.kill(os.getpid(), signal.SIGKILL)
            if activation == "gelu":
                os.write(2, b"out of luck\n")
                os._exit(3)

    return Crashing()


def scaling():
    """A layer of the notebook."""

    class Scaling(keras.layers.Layer):
        def __init__(self, factor, **keywords):
            super().__init__(**keywords)
            self.factor = factor

        def call(self, x):
            return x * self.factor

    return Scaling


def test_trials_are_the_same_as_in_this_process_and_crash_alone():
    Scaling = scaling()  # noqa: N806 - a class
    assert Scaling
    text = f"input 4 / Scaling 2.0 / dense 8 relu|tanh|gelu|elu / {END}"
    seen = []
    study = tune(
        text,
        LARGE,
        LABELS,
        trials=8,
        in_process=False,
        workers=2,
        callbacks=crashing(),
        seed=5,
        displays=[Calling(lambda study: seen.append(len(study.trials)))],
    )
    assert study.workers == 2
    kinds = {trial.params["dense.activation"]: trial for trial in study.trials}
    assert "killed by the system, probably because the memory ran out" in kinds["tanh"].error
    assert kinds["gelu"].error == "Its process ended with exit code 3: out of luck"
    assert {trial.status for trial in study.trials} == {"complete", "failed"}
    same = tune(text, LARGE, LABELS, trials=8, seed=5, callbacks=quiet(crashing()))
    for trial in study.trials:
        assert trial.params == same[trial.number].params
        if trial.status == "complete":
            assert trial.curves["val_loss"] == pytest.approx(same[trial.number].curves["val_loss"])
    loss = study.model().evaluate(LARGE[4800:], LABELS[4800:], verbose=0)
    assert loss == pytest.approx(study.best.value, rel=1e-4)
    assert max(seen) == 8


def quiet(callback):
    """The callback without its effect."""
    type(callback).on_epoch_end = keras.callbacks.Callback.on_epoch_end
    return callback


def test_processes_are_replaced_and_a_second_stop_ends_them(monkeypatch, tmp_path):
    monkeypatch.setattr(worker_pool, "MAX_TRIALS", 1)
    started = []

    class Counted(subprocess.Popen):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Counted)

    def stop(study):
        if len(study.trials) == 2 and study.trials[1].epochs == 1:
            study.stop()
            study.stop()

    options = {"trials": 3, "workers": 1, "in_process": False, "store": tmp_path}
    study = tune(TEXT, X, Y, epochs=50, displays=[Calling(stop)], **options)
    assert [trial.status for trial in study.trials] == ["complete", "interrupted", "waiting"]
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


KILLED = """
import sys
sys.path[:] = {path!r}
from tuning_searching import TEXT, Calling, X, Y, tune
def show(study):
    if len(study.trials) == 2 and study.trials[1].epochs == 2:
        print("now", flush=True)
tune(TEXT, X, Y, trials=3, epochs=10_000, patience=4, workers=1, in_process=False,
     store={store!r}, displays=[Calling(show)])
"""


def children(parent):
    paths = Path("/proc").glob("[0-9]*/stat")
    found = []
    for path in paths:
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


def test_a_killed_kernel_takes_its_processes_along_and_the_study_continues(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    code = Path(__file__).with_name("searching.py").read_text()
    (folder / "tuning_searching.py").write_text(code)
    store = tmp_path / "study"
    program = KILLED.format(path=[str(folder), *sys.path], store=str(store))
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == "now\n"
        workers = children(process.pid)
        process.kill()
    assert len(workers) == 1
    descriptor = os.pidfd_open(workers[0]) if Path(f"/proc/{workers[0]}").exists() else None
    if descriptor is not None:
        ended, _, _ = select.select([descriptor], [], [], 30)
        os.close(descriptor)
        assert ended
    study = tune(TEXT, X, Y, trials=3, epochs=10_000, patience=4, store=store)
    statuses = [trial.status for trial in study.trials]
    assert statuses.count("interrupted") == 1
    assert statuses[0] == "complete"
    assert study[statuses.index("interrupted") + 1].params == study[1].params
    assert len(statuses) == 4


def test_what_cannot_be_passed_to_a_process_is_refused():
    class Batches(keras.utils.PyDataset):
        lock = None

        def __len__(self):
            return 5

        def __getitem__(self, index):
            return X[32 * index : 32 * index + 32], Y[32 * index : 32 * index + 32]

    batches = Batches()
    batches.lock = threading.Lock()
    options = {"validation_split": 0.0, "validation_data": (X, Y), "trials": 1}
    with pytest.raises(TrainingError, match=r"(?s)cannot be copied.*in_process=True"):
        tune(TEXT, batches, in_process=False, **options)
    assert tune(TEXT, batches, **options).status == "done"


def test_a_process_that_cannot_start_is_reported(monkeypatch):
    monkeypatch.setattr(worker_pool, "_START", "raise SystemExit('no luck') # {path} {arguments}")
    with pytest.raises(TrainingError, match=r"(?s)could not start: .*no luck.*in_process=True"):
        tune(TEXT, X, Y, trials=1, in_process=False)
