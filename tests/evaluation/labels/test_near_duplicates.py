"""Rows with the same input, or nearly the same."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kmagic.evaluation.labels import near_duplicates
from kmagic.evaluation.labels.near_duplicates import find_duplicates
from kmagic.support.disk_arrays import disk_array


def images(count=60):
    return np.random.default_rng(0).random((count, 12, 12)).astype("float32")


def test_equal_and_near_rows_are_found():
    x = images()
    x[7] = x[9] = x[3]
    x[20] = x[3] + 0.001
    found = find_duplicates(x, [3, 20, 5])
    assert found.equal == {3: [7, 9]}
    assert found.of(3) == [7, 9, 20]
    assert set(found.of(20)) == {3, 7, 9}
    assert found.of(5) == []
    assert "near" in found.method


def test_indices_of_words_large_data_and_data_on_disk_have_no_near_rows(monkeypatch):
    x = images()
    x[7], x[20] = x[3], x[3] + 0.001
    on_disk = disk_array(x.shape, x.dtype)
    on_disk[:] = x
    found = [find_duplicates(x, [3], has_distances=False), find_duplicates(on_disk, [3])]
    monkeypatch.setattr(near_duplicates, "MAX_ROWS", 59)
    found.append(find_duplicates(x, [3]))
    for each in found:
        assert each.of(3) == [7]
        assert each.method == "equal inputs"


def test_texts_and_rows_of_different_lengths():
    ragged = np.array([[1, 2], [3], [1, 2]], dtype=object)
    assert find_duplicates(ragged, [0, 1]).equal == {0: [2]}
    assert find_duplicates(np.array(["a", "b", "a"]), [2]).equal == {2: [0]}
    words = ["rome!"[:4], "oslo", "rome"]
    frame = pd.DataFrame({"city": pd.Series(words, dtype=object), "size": [1.5, 2, 1.5]})
    assert find_duplicates(frame, [0]).equal == {0: [2]}
    assert find_duplicates({"a": images()}, [0]).method == "not searched"


def test_most_rows_of_a_table_of_categories_are_not_near_each_other():
    x = np.random.default_rng(0).integers(0, 3, (80, 6)).astype("float32")
    found = find_duplicates(x, range(80))
    assert found.near == {}
    assert all((x[row] == x[others]).all() for row, others in found.equal.items())


def test_equal_values_are_equal_rows():
    mixed = np.array([["a", 1.5e9], ["b", 2.0], ["a", 1.5e9 + 0.0]], dtype=object)
    assert find_duplicates(mixed, [0]).of(0) == [2]
    assert find_duplicates(np.array([[0.0, 1], [-0.0, 1], [0.5, 1]]), [0]).of(0) == [1]
