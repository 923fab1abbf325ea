"""Workers on machines of a cluster to which this one does not belong.

Their loss is tested in ``tests/cluster/test_nodes.py``.
"""

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
def test_the_result_is_that_of_one_process(nodes: RayNodes) -> None:
    alone, model = line(), line()
    fit(alone, X, Y, **HOW)
    run = fit(model, X, Y, on=nodes.client_address, **HOW)
    assert run.status == "done"
    assert run.pipeline == "distributed, 2 workers with 8 of 16 samples each"
    for value, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
