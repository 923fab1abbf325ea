"""Workers on several machines, one of which is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from kmagic import fit
from kmagic.cluster import connection
from tests.cluster.nodes import RayNodes, ray_nodes

RNG = np.random.default_rng(5)
X = RNG.random((640, 6), dtype="float32")
Y = X.sum(axis=1)
HOW: dict[str, Any] = {"batch_size": 16, "epochs": 4, "displays": [], "shuffle": False}


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    pytest.importorskip("ray")
    with ray_nodes() as started:
        started.add()
        started.add()
        yield started
        connection.disconnect()


def line() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)], name="line")
    model.compile("sgd", "mse")
    return model


@pytest.mark.slow
@pytest.mark.parametrize("loses", [False, True], ids=["by the client", "with a loss"])
def test_the_result_is_that_of_one_process(nodes: RayNodes, *, loses: bool) -> None:
    class Losing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            del logs
            if loses and epoch == 2 and nodes.nodes[0].process.poll() is None:
                nodes.nodes[0].kill()

    alone, model = line(), line()
    fit(alone, X, Y, **HOW)
    address = nodes.address if loses else nodes.client_address
    run = fit(model, X, Y, on=address, callbacks=[Losing()], **HOW)
    assert run.status == "done"
    split = "1 worker with 16 of 16" if loses else "2 workers with 8 of 16"
    assert run.pipeline == f"distributed, {split} samples each"
    assert len(run.messages) == loses
    for value, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
