"""A search on several nodes, one of which is lost, and one of which loses its network."""

from __future__ import annotations

import threading

import pytest

import kmagic
from kmagic.cluster import connection
from tests.tuning.searching import END, Calling, X, Y, tune

from .nodes import ray_nodes

TEXT = f"input 4 / dense 2..16 relu|tanh / {END}"
OPTIONS = {"in_process": False, "seed": 3, "epochs": 2, "trials": 6}


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes() as started:
        started.add()
        started.add()
        yield started
        connection.disconnect()


def test_all_nodes_are_shown(nodes, monkeypatch):
    cluster = kmagic.connect(nodes.address)
    assert [node.cpus for node in cluster.nodes if node.cpus] == [1, 1]
    assert len({node.ip for node in cluster.nodes}) == (3 if nodes.has_networks else 1)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    assert kmagic.connect("auto").cpus == 2


def test_a_search_survives_the_loss_of_a_node_and_a_break_of_the_network(nodes):
    lost = threading.Event()

    def lose(study):
        running = [trial for trial in study.trials if trial.status == "running" and trial.epochs]
        if len(running) == 2 and not lost.is_set():
            lost.set()
            nodes.nodes[0].kill()
            if nodes.has_networks:
                nodes.nodes[1].interrupt_network(5)

    study = tune(TEXT, X, Y, **OPTIONS | {"epochs": 30}, on=nodes.address, displays=[Calling(lose)])
    assert lost.is_set()
    statuses = [trial.status for trial in study.trials]
    assert statuses.count("complete") + statuses.count("pruned") == 6
    assert statuses.count("interrupted") == 1
    assert not study.errors
    (interrupted,) = (t for t in study.trials if t.status == "interrupted")
    again = [t for t in study.trials if t.params == interrupted.params and t is not interrupted]
    assert [t.seed for t in again if t.status != "interrupted"] == [interrupted.seed]
    assert study.model().predict(X, verbose=0).shape == (160, 2)


def test_trials_are_those_of_this_machine_also_by_the_client(nodes):
    here = tune(TEXT, X, Y, trials=3, workers=1)
    there = tune(TEXT, X, Y, **OPTIONS | {"trials": 3}, on=nodes.client_address, workers=1)
    for one, other in zip(here.trials, there.trials, strict=True):
        assert one.params == other.params
        assert one.value == pytest.approx(other.value, rel=1e-4)
    assert (there.model().get_weights()[0] != 0).any()
