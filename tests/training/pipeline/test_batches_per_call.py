from __future__ import annotations

import pytest

from kmagic.training.pipeline.executions import MAX_SECONDS, BatchesPerCall


def run(stride: BatchesPerCall, batches: int, *, batch: float, call: float = 0.0) -> list[int]:
    """The executions of an epoch in which a batch takes so long, and a call so much besides."""
    made = []
    while batches:
        made.append(stride.next(batches))
        stride.measured(made[-1], call + batch * made[-1])
        batches -= made[-1]
    return made


def test_the_first_two_are_of_one_batch() -> None:
    stride = BatchesPerCall()
    assert run(stride, 100, batch=0.001)[:2] == [1, 1]


def test_the_time_of_the_first_is_not_counted() -> None:
    stride = BatchesPerCall()
    stride.measured(stride.next(1000), 30.0)
    stride.measured(stride.next(999), 0.001)
    assert stride.next(998) > 1


def test_it_grows_to_what_fits() -> None:
    stride = BatchesPerCall()
    run(stride, 500, batch=0.001)
    assert set(run(stride, 1000, batch=0.001)) == {100}


def test_a_short_epoch_is_one_execution() -> None:
    stride = BatchesPerCall()
    run(stride, 13, batch=0.0002)
    run(stride, 13, batch=0.0002)
    assert run(stride, 13, batch=0.0002) == [13]


@pytest.mark.parametrize("batch", [0.0001, 0.003, 0.011, 0.049, 0.051, 0.3])
def test_an_execution_stays_short(batch: float) -> None:
    stride = BatchesPerCall()
    made = run(stride, 3000, batch=batch, call=0.0002)
    assert sum(made) == 3000
    assert all(each == 1 or 0.0002 + batch * each <= MAX_SECONDS + 0.001 for each in made)


def test_a_batch_longer_than_an_execution_runs_alone() -> None:
    assert run(BatchesPerCall(), 5, batch=0.2) == [1] * 5


def test_it_follows_the_speed_of_the_machine() -> None:
    stride = BatchesPerCall()
    run(stride, 500, batch=0.001)
    slow = run(stride, 500, batch=0.02)
    assert slow[-1] <= 5
    assert run(stride, 3000, batch=0.001)[-1] >= 90


def test_no_short_execution_is_left_for_the_end() -> None:
    stride = BatchesPerCall()
    run(stride, 500, batch=0.001)
    assert run(stride, 110, batch=0.001) == [55, 55]


def test_one_batch_at_most() -> None:
    assert run(BatchesPerCall(1), 20, batch=0.0001) == [1] * 20


def test_a_clock_that_stands_still_is_harmless() -> None:
    assert sum(run(BatchesPerCall(), 1000, batch=0.0)) == 1000
