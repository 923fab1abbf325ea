"""Rows are divided by class, by group or by time, and impossible divisions are refused."""

import keras
import numpy as np
import pandas as pd
import pytest

import kmagic
from kmagic.support.errors import TrainingError
from kmagic.training.folds.fold_splits import plan_folds

RNG = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], [30, 20, 10])
X = RNG.normal(size=(60, 3)).astype("float32")
GROUPS = np.arange(60) // 5


def model(loss="sparse_categorical_crossentropy", units=3):
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    net.compile("sgd", loss)
    return net


def plan(y=CLASSES, x=X, loss="sparse_categorical_crossentropy", folds=5, **options):
    return plan_folds(model(loss), x, y, len(x), folds=folds, **options)


def held_out(repeat):
    return np.concatenate([rows for _, rows in repeat])


def table(**options):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame["town"] = np.array(["Ulm", "Bonn", "Rom", "Oslo"])[RNG.integers(4, size=60)]
    frame["patient"] = [f"p{group}" for group in GROUPS]
    frame["kind"] = np.array(["x", "y", "z"])[CLASSES]
    return kmagic.load_data(frame, target="kind", drop="patient", **options)


def error(**options):
    with pytest.raises(TrainingError) as caught:
        plan(**options)
    return str(caught.value)


# --- classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
def test_labels_keep_their_proportions(shuffle):
    y = (np.random.default_rng(1).random((60, 4)) < [0.5, 0.3, 0.15, 0.1]).astype(int)
    net = model("mse")
    net.loss = "binary_crossentropy"
    found = plan_folds(net, X, y, 60, folds=5, shuffle=shuffle, repeat=2)
    assert found.kind == ("stratified by labels" if shuffle else "in their order")
    for folds in found.repeats:
        held_out = np.concatenate([held for _, held in folds])
        assert sorted(held_out) == list(range(60))
        for train, held in folds if shuffle else ():
            assert not set(train) & set(held)
            np.testing.assert_allclose(y[held].sum(axis=0), y.sum(axis=0) / 5, atol=1.6)


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (CLASSES, "sparse_categorical_crossentropy"),
        (CLASSES[:, None].astype("float32"), "sparse_categorical_crossentropy"),
        (np.eye(3)[CLASSES], "categorical_crossentropy"),
        ((CLASSES > 0).astype(int), "binary_crossentropy"),
        (2.0 * (CLASSES > 0) - 1, "hinge"),
    ],
)
def test_classes_keep_their_proportions(y, loss):
    found = plan(y, loss=loss)
    assert found.kind == "stratified"
    ((*folds,),) = found.repeats
    for train, rows in folds:
        assert np.bincount(CLASSES[rows] > 0).tolist() == [6, 6]
        assert not set(train) & set(rows)
    assert sorted(held_out(folds)) == list(range(60))


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (X[:, 0], "mse"),
        (CLASSES, "mse"),
        (RNG.random((60, 3)), "binary_crossentropy"),
        (RNG.random(60), "binary_crossentropy"),
        (None, "mse"),
    ],
)
def test_other_targets_are_divided_at_random(y, loss):
    net = model("mse")
    net.loss = loss
    found = plan_folds(net, X, y, 60, folds=5)
    assert found.kind == "at random"
    assert sorted(held_out(found.repeats[0])) == list(range(60))
    assert held_out(found.repeats[0]).tolist() != list(range(60))


def test_the_classes_of_several_targets_keep_their_proportions_together():
    x = keras.Input((3,))
    heads = {name: keras.layers.Dense(2, name=name)(x) for name in ("a", "b", "c")}
    net = keras.Model(x, heads)
    crossentropy = "sparse_categorical_crossentropy"
    net.compile("sgd", {"a": crossentropy, "b": crossentropy, "c": "mse"})
    rows = np.arange(60)
    y = {"a": rows % 2, "b": rows // 2 % 2, "c": np.stack([rows, rows], 1)}
    found = plan_folds(net, X, y, 60, folds=5)
    assert found.kind == "stratified"
    for _, held in found.repeats[0]:
        assert np.bincount(2 * y["a"][held] + y["b"][held]).tolist() == [3] * 4
    y["b"] = (rows < 1).astype(int)  # too few rows of a combination
    for _, held in plan_folds(net, X, y, 60, folds=5).repeats[0]:
        assert np.bincount(y["a"][held]).tolist() == [6, 6]


def test_a_seed_and_the_repetition_decide_the_folds():
    one, other = (plan(repeat=2, seed=seed).repeats for seed in (7, 8))
    again = plan(repeat=2, seed=7).repeats
    as_lists = [[held_out(repeat).tolist() for repeat in each] for each in (one, other, again)]
    assert as_lists[0] == as_lists[2]
    assert as_lists[0][0] != as_lists[0][1]
    assert as_lists[0][1] == as_lists[1][0]  # the second repetition has the next seed
    in_order = plan(X[:, 0], loss="mse", shuffle=False)
    assert held_out(in_order.repeats[0]).tolist() == list(range(60))


def test_too_few_rows_are_refused():
    assert "has 60 rows, fewer than the 61 folds" in error(folds=61)
    few = CLASSES.copy()
    few[few == 2] = [2, 2, 2, *[0] * 7]
    assert "Class 2 has 3 rows, fewer than the 5 folds" in error(y=few)
    assert "Use folds=3" in error(y=few)
    plan(few, folds=3)
    few[np.flatnonzero(few == 2)[:2]] = 0
    assert "merge it into another one" in error(y=few, folds=2)


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_no_group_is_in_both_parts(loss, shuffle):
    found = plan(loss=loss, groups=GROUPS, shuffle=shuffle, repeat=2)
    assert found.kind == "by group"
    for repeat in found.repeats:
        assert sorted(held_out(repeat)) == list(range(60))
        for train, rows in repeat:
            assert not set(GROUPS[train]) & set(GROUPS[rows])
    first, second = (held_out(repeat).tolist() for repeat in found.repeats)
    assert (first != second) == shuffle


@pytest.mark.parametrize("options", [{}, {"scale": "standard"}])
@pytest.mark.parametrize("column", ["patient", "town"])
def test_groups_are_a_column_of_the_table(options, column):
    data = table(**options)
    if column == "patient":
        values = data.other_columns["patient"].to_numpy()
        assert sorted(set(values)) == sorted({f"p{group}" for group in GROUPS})
    else:
        values = np.array(
            [row[-1] for row in data.features.restore(data.scaling.inverse(data.x_train))]
        )
    found = plan(data.y_train, data.x_train, folds=3, groups=column, dataset=data)
    assert found.kind == f"by {column}"
    for train, rows in found.repeats[0]:
        assert not set(values[train]) & set(values[rows])


def test_the_other_columns_belong_to_the_training_rows():
    frame = pd.DataFrame({"a": RNG.normal(size=40), "b": RNG.normal(size=40)})
    frame.loc[[3, 9], "a"] = np.nan
    frame["id"] = [f"n{value:.9f}" for value in frame["b"]]
    frame["y"] = np.arange(40) % 2
    data = kmagic.load_data(frame, target="y", drop="id", missing="drop")
    assert len(data.x_train) + len(data.x_test) == 38
    np.testing.assert_allclose(
        [float(name[1:]) for name in data.other_columns["id"]], data.x_train[:, 1], atol=1e-6
    )


def test_groups_that_cannot_be_are_refused():
    data = table()
    text = error(y=data.y_train, x=data.x_train, groups="patiens", dataset=data)
    assert "has no column patiens" in text
    assert "Did you mean patient?" in text
    assert "not the training part of a table" in error(groups="patient")
    assert "one value per row, 60; got 12" in error(groups=GROUPS[:12])
    assert "no value in 2 rows" in error(groups=[None, np.nan, *GROUPS[2:].tolist()])
    assert "has 12 groups, fewer than the 13 folds" in error(groups=GROUPS, folds=13)
    assert "Use folds=12" in error(groups=GROUPS, folds=13)
    assert "Add rows of other groups" in error(groups=np.zeros(60), folds=2)
    part = data.x_train[:20]
    assert "not the training part of a table" in error(
        y=data.y_train[:20], x=part, groups="patient", dataset=data
    )


def test_empty_cells_are_no_group():
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan, 4.0] * 10, "b": RNG.normal(size=40)})
    frame["y"] = np.arange(40) % 2
    data = kmagic.load_data(frame, target="y", missing="mean")
    text = error(y=data.y_train, x=data.x_train, groups="a", folds=2, dataset=data)
    assert "has no value in" in text


def test_a_class_of_one_group_is_reported():
    groups = np.where(CLASSES == 2, 99, GROUPS)
    notes = plan(groups=groups, folds=3).notes
    assert any("holds out rows of 2, but trains on none of them" in note for note in notes)


# --- time -----------------------------------------------------------------------------------------


def series():
    values = RNG.normal(size=100).cumsum().astype("float32")
    return np.lib.stride_tricks.sliding_window_view(values, 10)[:-1], values[10:]


def test_overlapping_windows_are_never_shuffled():
    x, y = series()
    found = plan(y, x, loss="mse", folds=3, repeat=2)
    assert found.kind == "chronological"
    assert "order of time" in found.notes[0]
    assert len(found.repeats) == 2
    for train, rows in found.repeats[0]:
        assert train.max() + 9 < rows.min()  # the windows between overlap with both
    shuffled = RNG.permutation(len(x))
    assert "overlap and are shuffled" in error(y=y[shuffled], x=x[shuffled], loss="mse")
    assert plan(y, x, loss="mse", chronological=False).kind == "at random"


def test_a_chronological_dataset_is_never_shuffled():
    data = kmagic.load_data((X, X[:, 0]), chronological=True)
    found = plan(data.y_train, data.x_train, loss="mse", folds=4, dataset=data)
    assert found.kind == "chronological"
    assert all(train.max() + 1 == rows.min() for train, rows in found.repeats[0])
    x, y = series()
    windows = kmagic.load_data((x, y))
    assert windows.time_gap == 9
    found = plan(windows.y_train, windows.x_train, loss="mse", folds=3, dataset=windows)
    assert all(train.max() + 10 == rows.min() for train, rows in found.repeats[0])
    assert "cannot be combined" in error(
        y=data.y_train, x=data.x_train, loss="mse", dataset=data, groups=np.arange(48)
    )


def test_a_table_sorted_by_date_is_never_shuffled():
    frame = pd.DataFrame(X, columns=["a", "b", "y"])
    frame["day"] = pd.date_range("2024-01-01", periods=60)[::-1]
    data = kmagic.load_data(frame, target="y", chronological=True)
    assert data.other_columns["day"].is_monotonic_increasing
    found = plan(data.y_train, data.x_train, loss="mse", folds=3, dataset=data)
    assert found.kind == "chronological"
    text = error(y=table().y_train, x=table().x_train, dataset=table(), chronological=True)
    assert "not in the order of time" in text
    assert "chronological=True" in text


def test_arrays_may_be_called_chronological():
    found = plan(X[:, 0], loss="mse", folds=3, chronological=True)
    assert [rows.tolist() for _, rows in found.repeats[0]][-1] == list(range(45, 60))
    assert found.notes == ()
    assert "60 rows are too few for 60" in error(
        y=X[:, 0], loss="mse", folds=60, chronological=True
    )
    x, y = series()
    assert "with 9 rows between" in error(y=y[:20], x=x[:20], loss="mse", folds=12)
