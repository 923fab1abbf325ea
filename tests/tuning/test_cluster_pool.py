"""What the loss of a node or a process means for a worker on a cluster."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import ray.exceptions

from kmagic.support.errors import TrainingError
from kmagic.tuning import cluster_pool
from kmagic.tuning.cluster_pool import ClusterWorker, TrialActor


def died(text):
    error = ray.exceptions.ActorDiedError()
    error.error_msg = text
    return error


NODE = died("The actor died because its node has died.")
AWAY = ray.exceptions.ActorUnavailableError("The actor is temporarily unavailable.", b"1" * 16)
PROCESS = died("The actor is dead because its worker process has died: SYSTEM_ERROR")
MEMORY = ray.exceptions.OutOfMemoryError("Task was killed due to the node running low on memory")


def lost(monkeypatch, tmp_path, error):
    def get(_):
        raise error

    fake = SimpleNamespace(get=get, exceptions=ray.exceptions)
    monkeypatch.setattr(cluster_pool, "import_ray", lambda: fake)
    receive = SimpleNamespace(remote=lambda: "reference")
    return ClusterWorker(SimpleNamespace(receive=receive), tmp_path)


@pytest.mark.parametrize("is_ready", [False, True])
@pytest.mark.parametrize("error", [NODE, AWAY])
def test_a_trial_of_a_lost_node_is_tried_again(monkeypatch, tmp_path, error, is_ready):
    worker = lost(monkeypatch, tmp_path, error)
    worker.is_ready = is_ready
    outcome = worker.receive()
    assert (outcome.is_interrupted, outcome.error) == (True, "")
    assert worker.has_ended


@pytest.mark.parametrize(
    ("error", "reason"), [(PROCESS, "ended unexpectedly"), (MEMORY, "memory of the node ran out")]
)
def test_a_process_that_ends_costs_its_trial(monkeypatch, tmp_path, error, reason):
    worker = lost(monkeypatch, tmp_path, error)
    worker.is_ready = True
    outcome = worker.receive()
    assert reason in outcome.error
    assert not outcome.is_interrupted


def test_processes_leave_no_folders(monkeypatch, tmp_path):
    folder = SimpleNamespace(name=str(tmp_path / "trials"))
    folder.cleanup = lambda: calls.append("removed")
    calls = []
    actor = TrialActor.__new__(TrialActor)
    actor._folder = folder
    proxy = SimpleNamespace(
        receive=SimpleNamespace(remote=lambda: "reference"),
        remove_folder=SimpleNamespace(remote=actor.remove_folder),
    )
    fake = SimpleNamespace(wait=lambda *_, **__: None, kill=lambda _: calls.append("killed"))
    monkeypatch.setattr(cluster_pool, "import_ray", lambda: fake)
    ClusterWorker(proxy, tmp_path).close()
    assert calls == ["removed", "killed"]


def test_a_process_that_cannot_start_ends_the_search(monkeypatch, tmp_path):
    worker = lost(monkeypatch, tmp_path, PROCESS)
    with pytest.raises(TrainingError, match="could not start"):
        worker.receive()
