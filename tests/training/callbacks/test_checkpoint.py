"""Whatever ends a process or damages a file, the run continues; one process at a time trains."""

import concurrent.futures
import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import keras
import numpy as np
import pytest

from kmagic.support import file_system
from kmagic.support.errors import KmagicError, TrainingError
from kmagic.training.callbacks.checkpoint import Checkpoint

from ..fitting import fit
from .checkpoint_kills import check, damaged, make, save_epochs, stopped

X, Y = np.ones((8, 4), "float32"), np.ones((8, 2), "float32")


@pytest.fixture(scope="module")
def model():
    return make()


def texts(run):
    return [text for _, text in run.messages]


def test_a_kill_or_an_interrupt_loses_no_saved_epoch(model):
    results = dict(stopped(model, 7))
    assert len(results) >= 8
    assert not {name: problem for name, problem in results.items() if problem}


def test_a_damaged_file_costs_at_most_one_epoch(model):
    results = dict(damaged(model, 1))
    assert len(results) >= 10
    assert not {name: problem for name, problem in results.items() if problem}


def test_a_missing_file_costs_at_most_one_epoch(model, tmp_path):
    save_epochs(model, tmp_path / "intact", 2)
    for name in ("run.json", "run.previous.json", "best.weights.h5", "state/epoch-0002.weights.h5"):
        folder = tmp_path / Path(name).stem
        shutil.copytree(tmp_path / "intact", folder)
        (folder / name).unlink()
        assert check(model, folder, 2, lost=1) == ""


def test_damage_is_reported_as_damage(model, tmp_path):
    save_epochs(model, tmp_path, 3)
    state = tmp_path / "state" / "epoch-0003.weights.h5"
    intact = state.read_bytes()
    state.write_bytes(intact[:-5000] + bytes(5000))
    run = fit(model, X, Y, epochs=2, checkpoint=tmp_path, resume=True)
    assert (run.resumed, len(run.log)) == (2, 2)
    assert texts(run)[0] == (
        f"The checkpoint is damaged: the checksum of {state} is wrong. Continued from the state "
        "after epoch 2."
    )
    (tmp_path / "run.json").write_bytes(b"{")
    checkpoint = Checkpoint(tmp_path)
    assert len(checkpoint.restore(model)) == 2
    assert "run.json is not the complete record of a run" in checkpoint.notes[0]


@pytest.mark.parametrize("name", ["run.json", "run.previous.json", "best.weights.h5"])
def test_a_folder_in_place_of_a_file_is_named(model, tmp_path, name):
    save_epochs(model, tmp_path, 3)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(TrainingError, match=f"is damaged: {name} is a folder") as caught:
        Checkpoint(tmp_path).restore(model)
    assert caught.value.remedy.startswith("Delete that folder")
    (tmp_path / name).rmdir()
    assert len(Checkpoint(tmp_path).restore(model)) >= 2


def test_a_deeply_nested_record_is_damage(model, tmp_path):
    save_epochs(model, tmp_path, 3)
    (tmp_path / "run.json").write_text("[" * 100_000)
    checkpoint = Checkpoint(tmp_path)
    assert len(checkpoint.restore(model)) == 2
    assert "run.json is not the complete record of a run" in checkpoint.notes[0]


def test_damaged_best_weights_are_restored_from_their_copy(model, tmp_path):
    save_epochs(model, tmp_path, 2)
    best, checkpoint = tmp_path / "best.weights.h5", Checkpoint(tmp_path)
    intact = best.read_bytes()
    best.write_bytes(intact[:100])
    checkpoint.restore(model)
    (note,) = checkpoint.notes
    assert note.endswith(
        "did not contain the weights of the best epoch, 2. It was restored from its copy."
    )
    assert best.read_bytes() == intact


def test_without_the_best_weights_the_best_of_the_new_epochs_are_saved(model, tmp_path):
    save_epochs(model, tmp_path, 6)  # the fifth is the best
    for path in (tmp_path / "best.weights.h5", tmp_path / "state" / "epoch-0005.weights.h5"):
        path.write_bytes(b"")
    run = fit(model, X, Y, epochs=8, checkpoint=tmp_path, resume=True)
    assert "The best weights, of epoch 5, are lost" in " ".join(texts(run))
    assert Checkpoint(tmp_path).record["best"][0] > 6
    model.load_weights(tmp_path / "best.weights.h5")


def test_a_folder_without_an_intact_state_is_refused_with_what_is_left(model, tmp_path):
    save_epochs(model, tmp_path, 6)  # the fifth is the best
    for number in (5, 6):
        (tmp_path / "state" / f"epoch-000{number}.weights.h5").write_bytes(b"")
    with pytest.raises(TrainingError) as caught:
        Checkpoint(tmp_path).restore(model)
    assert "epoch-0006.weights.h5 has 0 bytes instead of" in caught.value.message
    assert "Its best weights are intact" in caught.value.remedy
    model.load_weights(tmp_path / "best.weights.h5")
    assert (model.get_weights()[0] == 5).all()


def test_only_the_states_that_a_record_names_are_kept(model, tmp_path):
    save_epochs(model, tmp_path, 3)  # the second is the best
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["epoch-0002.weights.h5", "epoch-0003.weights.h5"]
    save_epochs(model, tmp_path / "two", 4)  # the fourth; before it, it was the second
    assert len(list((tmp_path / "two" / "state").iterdir())) == 3


def test_another_model_is_refused_and_keeps_its_weights(model, tmp_path):
    save_epochs(model, tmp_path, 2)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(3)])
    other.compile("adam", "mse")
    before = other.get_weights()
    with pytest.raises(TrainingError, match="belongs to another model"):
        fit(other, X, Y[:, :1], checkpoint=tmp_path, resume=True)
    assert all(map(np.array_equal, before, other.get_weights()))


def test_a_full_disk_is_reported_and_the_training_goes_on(model, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    free = [10**9, 1000, 10**9]
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: usage._replace(free=free.pop(0) if free else 10**9)
    )
    run = fit(model, X, Y, epochs=3, checkpoint=tmp_path)
    (message,) = [text for text in texts(run) if "not in the checkpoint" in text]
    assert message.startswith("Epoch 2 is not in the checkpoint: ")
    assert "the disk has 1.0 kB left" in message
    assert Checkpoint(tmp_path).record["state"][0] == 3


def test_epochs_that_cannot_be_saved_are_one_message(tmp_path, monkeypatch):
    refused = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(file_system, "_flush", Mock(side_effect=refused))
        run = fit(make(), X, Y, epochs=3, checkpoint=tmp_path)
    (message,) = [text for text in texts(run) if "not in the checkpoint" in text]
    assert message.startswith("Epochs 1 to 3 are not in the checkpoint: ")
    assert "the disk is full" in message
    assert (run.status, len(run.log)) == ("done", 3)


def test_a_folder_that_is_deleted_meanwhile_is_created_again(model, tmp_path):
    folder = tmp_path / "run"
    delete = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: shutil.rmtree(folder))
    assert fit(model, X, Y, epochs=2, checkpoint=folder, callbacks=delete).status == "done"
    assert Checkpoint(folder).record["state"][0] == 2


def test_moving_a_run_away_keeps_it_complete_at_any_moment(model, tmp_path, monkeypatch):
    intact = tmp_path / "intact"
    save_epochs(model, intact, 1)

    class Killed(BaseException):
        pass

    for count in range(1, 12, 2):
        folder = tmp_path / str(count)
        shutil.copytree(intact, folder)
        left = [count]

        def counted(function, left=left):
            def call(*arguments, **options):
                if not left[0]:
                    raise Killed
                left[0] -= 1
                return function(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for module, name in [(os, "link"), (os, "replace"), (os, "unlink"), (shutil, "rmtree")]:
                patch.setattr(module, name, counted(getattr(module, name)))
            with suppress(Killed):
                Checkpoint(folder).move_to_before()
        places = [place for place in (folder, folder / "before") if Checkpoint(place).exists]
        assert any(check(model, place, 1) == "" for place in places), count


# --- one process at a time ------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from kmagic.support.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print(lock.acquire() or "locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_uses_is_refused(model, holder, tmp_path):
    with pytest.raises(TrainingError) as caught:
        fit(model, X, Y, checkpoint=tmp_path)
    assert f"{tmp_path} is in use by process {holder.pid}, since 20" in str(caught.value)
    assert "Use another folder, or wait" in caught.value.remedy
    (tmp_path / ".lock").unlink()  # as the remedy says
    checkpoint = Checkpoint(tmp_path)
    checkpoint.lock()
    checkpoint.release()


def test_a_training_within_a_training_needs_its_own_folder(model, tmp_path):
    inner = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: fit(keras.models.clone_model(model), X, Y, checkpoint=tmp_path)
    )
    with pytest.raises(TrainingError, match="in use by a training of this process") as caught:
        fit(model, X, Y, checkpoint=tmp_path, callbacks=inner)
    assert "Use another folder" in caught.value.remedy


def test_a_killed_process_does_not_keep_its_folder(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert json.loads((tmp_path / ".lock").read_text())["process"] == holder.pid
    checkpoint = Checkpoint(tmp_path)
    checkpoint.lock()
    checkpoint.release()


def test_the_folder_is_free_after_each_end_of_a_training(model, tmp_path):
    def fail(*_):
        raise RuntimeError("mine")

    failing = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    with pytest.raises(RuntimeError, match="mine"):
        fit(model, X, Y, checkpoint=tmp_path, callbacks=failing)
    assert (tmp_path / ".lock").read_text() == ""
    save_epochs(model, tmp_path, 1)
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(TrainingError, match="has no weights yet"):
        fit(unbuilt, X, Y, checkpoint=tmp_path, resume=True)
    assert (tmp_path / ".lock").read_text() == ""


def test_another_thread_of_the_process_is_refused(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.lock()
    with (
        concurrent.futures.ThreadPoolExecutor() as pool,
        pytest.raises(TrainingError, match="is in use by another thread of this process"),
    ):
        pool.submit(Checkpoint(tmp_path).lock).result()
    checkpoint.release()


def test_a_fit_that_is_refused_leaves_the_folder_unlocked(tmp_path: Path) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def fit(self, x: Any, y: Any) -> None:
            """Takes none of Keras's options."""

    model = Own()
    model.compile("sgd", "mse")
    x = np.ones((8, 2))
    with pytest.raises(KmagicError):
        fit(model, x, x[:, 0], checkpoint=tmp_path)
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    assert fit(plain, x, x[:, 0], epochs=1, checkpoint=tmp_path).status == "done"
