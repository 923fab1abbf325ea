"""Searches, trainings and predictions on several nodes that are lost or lose their network."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kmagic
from kmagic.cluster import connection
from kmagic.evaluation.prediction import file_prediction
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


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """5,000 small images, of which some cannot be read."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(5000):
        content = Image.fromarray(np.full((4, 4), index % 256, "uint8"))
        content.save(folder / f"{index}.png")
    for index in range(0, 5000, 1000):
        (folder / f"{index}.png").write_text("no image")
    return folder


def with_two_nodes(nodes):
    """Replace the node that an earlier test has killed."""
    if sum(node.process.poll() is None for node in nodes.nodes) < 2:
        nodes.add()


def test_a_training_survives_a_break_of_the_network_and_the_loss_of_a_node(nodes):
    with_two_nodes(nodes)
    breaks = []

    class Losing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's
            if epoch == 1 and nodes.has_networks:
                breaks.append(threading.Thread(target=nodes.nodes[-1].interrupt_network, args=[5]))
                breaks[0].start()
            if epoch == 3:
                nodes.nodes[-1].kill()

    def line():
        return kmagic.build("input 4 / dense 1 kernel_initializer=zeros / compile sgd loss=mse")

    options = {"epochs": 5, "batch_size": 16, "shuffle": False, "displays": []}
    alone, model = line(), line()
    kmagic.fit(alone, X, Y, **options)
    callbacks = [Losing()]
    run = kmagic.fit(model, X, Y, **options, on=nodes.address, workers=2, callbacks=callbacks)
    for thread in breaks:
        thread.join()
    assert run.status == "done"
    assert len(run.log) == 5
    assert run.pipeline == "distributed, 1 worker with 16 of 16 samples each"
    (message,) = run.messages
    assert "worker" in str(message)
    for value, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_many_images_are_classified_while_a_node_is_lost(nodes, images, tmp_path, monkeypatch):
    with_two_nodes(nodes)
    model = kmagic.build("input 4x4x1 / flatten / dense 2 softmax")
    expected = kmagic.predict_to_file(model, images, tmp_path / "here.parquet", scaling=255)
    out = tmp_path / "there.parquet"
    write = file_prediction._Parts.write

    def write_and_kill(parts, number, frame):
        if len(parts.done()) == 2:
            nodes.nodes[-1].kill()
        write(parts, number, frame)

    monkeypatch.setattr(file_prediction._Parts, "write", write_and_kill)
    result = kmagic.predict_to_file(model, images, out, scaling=255, on=nodes.address)
    assert (result.count, result.unreadable) == (5000, 5)
    pd.testing.assert_frame_equal(result.to_frame(), expected.to_frame(), rtol=1e-4)
    remote = kmagic.predict(model, np.ones((9000, 4, 4, 1)), on=nodes.address)
    np.testing.assert_allclose(remote, kmagic.predict(model, np.ones((9000, 4, 4, 1))), rtol=1e-5)
