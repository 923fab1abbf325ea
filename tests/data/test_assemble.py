from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kmagic.data.assemble import stratified_sample, train_test_indices

labels = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)
fractions = st.floats(0.05, 0.95)


@given(labels, fractions, st.integers(0, 99))
def test_the_parts_contain_each_row_once(y: np.ndarray, fraction: float, seed: int) -> None:
    train, test = train_test_indices(len(y), fraction, seed, y)
    assert sorted([*train, *test]) == list(range(len(y)))


@given(labels, fractions)
def test_a_class_of_two_or_more_is_in_both_parts(y: np.ndarray, fraction: float) -> None:
    train, test = train_test_indices(len(y), fraction, 0, y)
    for name, count in zip(*np.unique(y, return_counts=True), strict=True):
        if count > 1:
            assert name in y[train]
            assert name in y[test]


def test_each_class_keeps_its_proportion() -> None:
    y = np.repeat([0, 1, 2], [700, 200, 100])
    _, test = train_test_indices(len(y), 0.25, 3, y)
    assert np.bincount(y[test]).tolist() == [175, 50, 25]


def test_the_seed_decides() -> None:
    y = np.arange(100) % 5
    first, second = train_test_indices(100, 0.2, 1, y), train_test_indices(100, 0.2, 1, y)
    other = train_test_indices(100, 0.2, 2, y)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[1], other[1])


def test_rows_without_classes_are_split_at_random() -> None:
    train, test = train_test_indices(506, 0.2, 0)
    assert (len(train), len(test)) == (405, 101)
    assert not np.array_equal(np.sort(test), np.arange(101))


def test_both_parts_are_shuffled_since_fit_takes_its_validation_from_the_end() -> None:
    y = np.repeat([0, 1], 50)
    train, test = train_test_indices(100, 0.4, 0, y)
    assert 0 < y[train][-20:].mean() < 1
    assert 0 < y[test][-20:].mean() < 1


def test_stratified_sample_has_the_requested_size_and_keeps_the_order() -> None:
    y = np.random.default_rng(0).integers(0, 10, 6_000)
    chosen = stratified_sample(y, 500, 7)
    assert len(chosen) == len(set(chosen.tolist())) == 500
    assert (np.diff(chosen) > 0).all()
    assert np.abs(np.bincount(y[chosen]) - np.bincount(y) / 12).max() < 1
