"""Windows as a view of the rows that they share, and the rows of a view."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from kmagic.data.preparation.sliding_rows import SlidingRows, stored_bytes

ROWS = np.random.default_rng(0).random((120, 3)).astype("float32")


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_view_and_its_rows(step, every, columns):
    rows = ROWS[:, :columns].copy()
    windows = SlidingRows(rows, 6, 20, step, every).windows()
    expected = [rows[number * step :][: 6 * every : every] for number in range(20)]
    np.testing.assert_array_equal(windows, expected)
    assert np.shares_memory(windows, rows)
    found = SlidingRows.of(windows)
    np.testing.assert_array_equal(found.windows(), windows)
    np.testing.assert_array_equal(found.with_rows(-found.rows), -windows)
    assert stored_bytes(windows) == found.rows.nbytes < windows.nbytes
    part = windows[1:19]
    np.testing.assert_array_equal(SlidingRows.of(part).windows(), part)


@pytest.mark.parametrize(
    "x",
    [
        ROWS,
        np.ones((5, 4, 3)),
        sliding_window_view(ROWS, 6, axis=0),  # columns before steps
        sliding_window_view(ROWS, 6, axis=0).swapaxes(1, 2)[::-1],
        sliding_window_view(ROWS, 6, axis=0).swapaxes(1, 2)[..., :2],
        np.broadcast_to(np.ones((4, 3)), (5, 4, 3)),
        ROWS.reshape(30, 4, 3),
        [[1]],
    ],
    ids=["rows", "copy", "transposed", "reversed", "some columns", "repeated", "apart", "list"],
)
def test_anything_else(x):
    assert SlidingRows.of(x) is None
