"""The shares of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from kmagic.training.distributed.batch_shares import batches_of, epoch_order, shares_of


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [1, 2, 6, 7, 8, 20])
def test_weighted_means_of_shares_are_the_mean_of_the_batch(rows: int, workers: int) -> None:
    values = np.arange(rows) ** 2.0
    shares = shares_of(np.arange(rows), workers)
    assert len(shares) == workers
    assert all(len(share.rows) for share in shares)
    mean = sum(share.weight * values[share.rows].mean() for share in shares)
    assert mean == pytest.approx(values.mean())
    counted = [row for share in shares if share.counts for row in share.rows]
    assert counted == list(range(rows))


def test_every_sample_is_in_one_batch_of_an_epoch_in_a_repeatable_order() -> None:
    order = epoch_order(11, 3, 0)
    batches = [*batches_of(order, 4, 0, 1), *batches_of(order, 4, 1, 2)]
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert sorted(np.concatenate(batches)) == list(range(11))
    np.testing.assert_array_equal(order, epoch_order(11, 3, 0))
    assert not np.array_equal(order, epoch_order(11, 3, 1))
