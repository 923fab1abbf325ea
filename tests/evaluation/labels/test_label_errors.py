"""Wrong labels of a model and its data, and what is decided about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import kmagic
from kmagic import find_label_errors
from kmagic.data.dataset import Dataset, find_dataset
from kmagic.evaluation.labels.confident_learning import SCORES, ConfidentJoint, find_issues
from kmagic.support.disk_arrays import disk_array, is_on_disk
from kmagic.support.errors import EvaluationError, TrainingError

NAMES = ("ant", "bee", "cat")
TEXT = "input 4 / dense 3 softmax / compile adam(0.05) loss=sparse_categorical_crossentropy"


def clusters(count=90, seed=0):
    """Rows of three clusters, some with the label of another one."""
    rng = np.random.default_rng(seed)
    true = np.arange(count) % 3
    x = (np.eye(4)[true] * 4 + rng.normal(0, 0.3, (count, 4))).astype("float32")
    y = true.copy()
    y[:6] = (y[:6] + 1) % 3
    return x, y, true


def dataset(**changes):
    x, y, _ = clusters()
    own = {"name": "zoo", "x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}
    return Dataset(**own | {"classes": NAMES} | changes)


def odds_of(y, sure=0.9):
    return np.where(np.eye(3)[y] == 1, sure, (1 - sure) / 2)


def found(y=None, **options):
    """A result whose wrong labels are known."""
    _, given, true = clusters()
    return find_label_errors(y=given if y is None else y, probabilities=odds_of(true), **options)


@pytest.fixture(scope="module")
def net():
    net = kmagic.build(TEXT)
    kmagic.fit(net, *clusters()[:2], epochs=12, batch_size=10, displays=[])
    return net


# --- candidates -----------------------------------------------------------------------------------


def test_wrong_labels_are_found_and_described():
    labels = found(class_names=NAMES)
    assert sorted(labels.indices) == [0, 1, 2, 3, 4, 5]
    frame = labels.to_frame().set_index("index")
    assert frame.loc[0, ["given", "suggested", "p_given", "p_suggested"]].tolist() == [
        "bee", "ant", pytest.approx(0.05), pytest.approx(0.9),
    ]  # fmt: skip
    assert labels.noise.share == ConfidentJoint.of(labels.given, labels.probabilities).noise
    assert labels.noise.matrix.sum().tolist() == pytest.approx([1, 1, 1])
    pairs = labels.noise.pairs
    assert (pairs.candidates.sum(), pairs.estimated.sum()) == (6, 6)
    assert set(zip(pairs.given, pairs.suggested, strict=True)) == {
        ("bee", "ant"), ("cat", "bee"), ("ant", "cat"),
    }  # fmt: skip
    assert "6 of 90 labels are probably wrong (6.7%)" in repr(labels)


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: y.astype("float32"),
        lambda y: np.eye(3, dtype="uint8")[y],
        pd.Series,
        lambda y: np.array(NAMES)[y],
        lambda y: np.array(NAMES, object)[y],
    ],
)
def test_labels_of_every_form_keep_it(form):
    _, y, _ = clusters()
    labels = found(form(y), class_names=["ant", "bee", "cat"])
    assert sorted(labels.indices) == [0, 1, 2, 3, 4, 5]
    labels.relabel(0)
    labels.relabel(1, "bee")
    labels.relabel(2, 2)
    labels.drop(3)
    expected = y.copy()
    expected[:3] = [0, 1, 2]
    after = np.asarray(form(expected))
    assert labels.y.dtype == after.dtype
    assert labels.y.tolist() == after.tolist()
    assert np.flatnonzero(~labels.mask).tolist() == [3]


def test_two_classes_of_one_output():
    y = np.array([0, 0, 0, 1, 1, 1, 1])
    second = np.array([0.1, 0.2, 0.9, 0.9, 0.8, 0.9, 0.1])
    for odds in (second, second[:, None], np.column_stack([1 - second, second])):
        assert find_label_errors(y=y, probabilities=odds).indices.tolist() == [2, 6]


def test_the_margin_sorts_otherwise():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 200)
    odds = rng.dirichlet(np.ones(3), 200)
    by = {k: find_label_errors(y=y, probabilities=odds, score=k) for k in SCORES}
    assert {*by["self_confidence"].indices} == {*by["normalized_margin"].indices}
    for labels in by.values():
        assert (np.diff(labels.scores[labels.candidates]) >= 0).all()
    assert by["self_confidence"].indices.tolist() != by["normalized_margin"].indices.tolist()


# --- decisions ------------------------------------------------------------------------------------


def test_decisions_are_undone_in_steps():
    labels = found(class_names=NAMES)
    labels.keep(0)
    labels.relabel([1, 2])
    labels.drop(1)
    labels.drop(40)  # not a candidate
    assert labels.describe_decisions() == "1 kept, 1 relabelled, 2 dropped"
    frame = labels.to_frame().set_index("index")
    assert frame.decision[[0, 1, 2, 40]].tolist() == ["keep", "drop", "relabel", "drop"]
    assert frame.label[[0, 1, 2]].tolist() == ["bee", "", "cat"]
    assert labels.undo() == [40]
    assert labels.undo() == [1]
    assert labels.describe_decisions() == "1 kept, 2 relabelled"
    assert labels.undo() == [1, 2]
    assert labels.undo() == [0]
    assert labels.undo() == []
    assert labels.decisions == {}
    labels.relabel(0, "bee")  # the given one
    assert labels.describe_decisions() == "1 kept"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda labels: labels.relabel(0, "beee"), "Did you mean bee"),
        (lambda labels: labels.relabel(0, 3), "label= must be"),
        (lambda labels: labels.drop(90), "i= must be a row from 0 to 89"),
        (lambda labels: labels.drop(-1), "i= must be"),
        (lambda labels: labels.keep("0"), "i= must be"),
        (lambda labels: labels.keep(0, part="test"), "part= must be left out"),
        (lambda labels: labels.keep([[0, 1]]), "i= must be"),
        (lambda labels: labels.relabel([0, 1], np.array([0, 1])), "label= must be"),
        (lambda labels: labels.data, "as arrays"),
    ],
)
def test_impossible_decisions(call, message):
    labels = found(class_names=NAMES)
    with pytest.raises(EvaluationError, match=message):
        call(labels)
    assert labels.decisions == {}


# --- the corrected dataset ------------------------------------------------------------------------


def checked_dataset(data, part="train"):
    parts = ("train", "test") if part == "all" else (part,)
    x = np.concatenate([getattr(data, f"x_{name}") for name in parts])
    true = x.argmax(axis=1)
    return find_label_errors(None, data, part=part, probabilities=odds_of(true))


def test_the_new_dataset_has_the_decisions_and_the_old_one_is_unchanged():
    empty = (np.zeros((60, 4), bool), np.ones((30, 4), bool))
    data = dataset(
        empty_cells=empty, other_columns=pd.DataFrame({"id": range(60)}), note_text="A note."
    )
    before = data.x_train.copy(), data.y_train.copy()
    labels = checked_dataset(data)
    labels.relabel(0)
    labels.drop(1)
    new = labels.data
    assert new.name == "zoo_checked"
    assert new.classes == data.classes
    assert new.y_train.tolist() == [0, *data.y_train[2:]]
    assert (new.x_train == np.delete(data.x_train, 1, axis=0)).all()
    assert [len(part) for part in new.empty_cells] == [59, 30]
    assert new.other_columns.id.tolist() == [0, *range(2, 60)]
    assert new.note == "A note. Labels of zoo checked: 1 relabelled, 1 dropped."
    assert (data.x_train == before[0]).all()
    assert (data.y_train == before[1]).all()
    # Each set of inputs belongs to one of the two.
    for each in (data, new):
        assert find_dataset(each.x_train) is each
        assert find_dataset(each.x_test, with_test=True) is each


def test_both_parts():
    data = dataset(y_test=np.roll(dataset().y_test, 1)[:30])
    labels = checked_dataset(data, "all")
    frame = labels.to_frame()
    assert set(frame.part) == {"train", "test"}
    row = int(frame[frame.part == "test"]["index"].iloc[0])
    labels.drop(row, part="test")
    labels.drop(row)
    new = labels.data
    assert (len(new.x_train), len(new.x_test)) == (59, 29)
    assert (new.x_test == np.delete(data.x_test, row, axis=0)).all()
    only = checked_dataset(data, "test")
    only.drop(row)
    assert (len(only.data.x_train), len(only.data.x_test)) == (60, 29)


def test_one_hot_labels_and_data_on_disk():
    x = disk_array((60, 4), "float32")
    x[:] = dataset().x_train
    data = dataset(x_train=x, y_train=np.eye(3)[dataset().y_train])
    labels = checked_dataset(data)
    labels.relabel(0)
    labels.drop(5)
    new = labels.data
    assert is_on_disk(new.x_train)
    assert (new.x_train == np.delete(np.asarray(x), 5, axis=0)).all()
    assert new.y_train[0].tolist() == [1, 0, 0]
    assert new.y_train.shape == (59, 3)


def test_a_part_cannot_become_empty():
    labels = checked_dataset(dataset())
    labels.drop(range(60))
    with pytest.raises(EvaluationError, match="All rows of the train part"):
        _ = labels.data


# --- models ---------------------------------------------------------------------------------------


def test_a_model_is_trained_as_in_its_last_run_and_stays_as_it_was(net):
    x, y, _ = clusters()
    before = [weight.numpy().copy() for weight in net.variables]
    labels = find_label_errors(net, x, y, folds=3, displays=[], seed=1)
    assert all((a == b.numpy()).all() for a, b in zip(before, net.variables, strict=True))
    assert "As in the last run of sequential: 12 epochs, batch size 10." in [
        text.replace(net.name, "sequential") for text in labels.messages
    ]
    odds = labels.probabilities
    assert odds.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)
    expected = find_issues(y, odds, ConfidentJoint.of(y, odds))
    assert sorted(labels.indices) == np.flatnonzero(expected).tolist()
    assert len({0, 1, 2, 3, 4, 5} & {*labels.indices}) >= 4
    again = find_label_errors(net, x, y, folds=3, displays=[], seed=1)
    assert (again.probabilities == odds).all()


def test_the_test_part_is_predicted_by_models_without_it(net):
    data = dataset(y_test=dataset().y_test.copy())
    data.y_test[4] = (data.y_test[4] + 1) % 3
    labels = find_label_errors(net, data, part="test", folds=3, displays=[])
    assert labels.parts == ["test"]
    assert labels.checked.sum() == 30
    assert 4 in labels.indices
    assert labels.place(64) == ("test", 4)


def test_the_result_of_a_cross_validation_is_enough(net):
    data = dataset()
    result = kmagic.cross_validate(net, data, folds=3, epochs=12, displays=[])
    for labels in (find_label_errors(result), find_label_errors(result, data)):
        assert labels.dataset is data
        assert labels.classes == NAMES
        assert (labels.probabilities == result.predictions.astype(float)).all()


def test_a_cross_validation_of_other_rows_is_refused(net):
    data = dataset()
    result = kmagic.cross_validate(net, data, folds=2, epochs=1, displays=[])
    order = np.r_[1:60, 0]
    with pytest.raises(EvaluationError, match="not those of the cross-validation"):
        find_label_errors(result, data.x_train[order], data.y_train[order])
    with pytest.raises(EvaluationError, match="has 60 rows; got 30"):
        find_label_errors(result, data, part="test")
    assert find_label_errors(result).dataset is data  # the remedy


def test_labels_beside_a_dataset():
    data = dataset()
    odds, names = odds_of(data.x_train.argmax(axis=1)), np.array(NAMES)[data.y_train]
    labels = find_label_errors(x=data.x_train, y=names, probabilities=odds)
    assert labels.dataset is None  # whose test part has ids
    assert labels.classes == NAMES
    assert find_label_errors(x=data.x_train, y=data.y_train, probabilities=odds).dataset is data
    with pytest.raises(EvaluationError, match="zoo has its own labels"):
        find_label_errors(x=data, y=data.y_train, probabilities=odds)


def test_columns_of_probabilities_are_in_the_order_of_the_classes():
    _, y, true = clusters()
    odds = pd.DataFrame(odds_of(true), columns=NAMES)
    assert sorted(find_label_errors(y=y, probabilities=odds, class_names=NAMES).indices) == [
        0, 1, 2, 3, 4, 5,
    ]  # fmt: skip
    other = odds[["cat", "ant", "bee"]]
    with pytest.raises(EvaluationError, match=r"probabilities\[\['ant', 'bee', 'cat'\]\]"):
        find_label_errors(y=y, probabilities=other, class_names=NAMES)
    with pytest.raises(EvaluationError, match="same columns in different orders"):
        find_label_errors(y=pd.DataFrame(np.eye(3)[y], columns=NAMES), probabilities=other)
    with pytest.raises(EvaluationError, match="same rows in different orders"):
        find_label_errors(y=pd.Series(y)[::-1], probabilities=odds)


def test_probabilities_that_do_not_sum_to_1_are_named():
    _, y, true = clusters()
    assert found().messages == []
    labels = find_label_errors(y=y, probabilities=odds_of(true) / 2)
    assert labels.messages == [
        "The probabilities of a row sum to 0.50 to 0.50 instead of 1. They are used as given."
    ]
    rounded = np.eye(3)[true] * (1 + 1e-7)
    assert find_label_errors(y=y, probabilities=rounded).probabilities.max() == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_inputs_without_distances(bad):
    x, _, _ = clusters()
    x = x.astype(float)
    x[3, 0] = bad
    labels = found(x=x)
    assert labels.duplicates.method == "equal inputs"


def test_sparse_inputs():
    labels = found(x=scipy.sparse.csr_matrix(clusters()[0]))
    assert labels.duplicates.of(0) == []
    assert "6 of 90 labels" in labels._repr_mimebundle_()["text/plain"]
    with pytest.raises(EvaluationError, match="as many samples"):
        found(x=scipy.sparse.csr_matrix((3, 4)))


def test_rows_without_a_prediction_are_not_searched(net):
    x, y, _ = clusters()
    order = np.r_[6:90, 0:6]
    labels = find_label_errors(net, x[order], y[order], folds=4, chronological=True, displays=[])
    assert not labels.checked[:10].any()
    assert any("no out-of-fold prediction" in text for text in labels.messages)
    assert labels.indices.min() >= 18
    assert np.isnan(labels.scores[0])
    assert "of 72 labels" in repr(labels)


def test_frames_lists_and_several_inputs(net):
    x, y, _ = clusters()
    text = "a = input 2 / b = input 2\nconcat <- a, b\ndense 3 softmax"
    two = kmagic.build(f"{text} / compile adam(0.05) loss=sparse_categorical_crossentropy")
    options = {"folds": 3, "epochs": 6, "displays": [], "seed": 0}
    for model, inputs in ((net, pd.DataFrame(x)), (net, x.tolist()), (two, [x[:, :2], x[:, 2:]])):
        labels = find_label_errors(model, inputs, y, **options)
        assert len({0, 1, 2, 3, 4, 5} & {*labels.indices}) >= 3
        assert labels._repr_mimebundle_()["text/html"]
        assert (labels.inputs is None) == (model is two)
    sparse = scipy.sparse.csr_array(np.where(x > 1, x, 0))
    labels = find_label_errors(None, sparse, y, probabilities=odds_of(x.argmax(axis=1)))
    assert len(labels.indices) == 6
    assert "<li" in labels._repr_mimebundle_()["text/html"]


def test_logits_become_probabilities():
    x, y, _ = clusters()
    loss = "sparse_categorical_crossentropy(from_logits=true)"
    model = kmagic.build(f"input 4 / dense 3 / compile adam(0.05) loss={loss}")
    labels = find_label_errors(model, x, y, folds=3, epochs=10, displays=[])
    assert labels.probabilities.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)


def test_what_is_refused_before_a_training(net):
    x, y, _ = clusters()
    values = kmagic.build("input 4 / dense 1 / compile adam loss=mse")
    several = kmagic.build("input 4 / dense 3 sigmoid / compile adam loss=binary_crossentropy")
    houses = replace(dataset(), classes=None, target="price", y_train=np.ones(60))
    new, plain = kmagic.build(TEXT), kmagic.build("input 4 / dense 3 softmax")
    pets = kmagic.load_data((x, {"animal": y, "weight": y + 0.5}))
    once = {"epochs": 1, "displays": []}
    cases = [
        (lambda: find_label_errors(values, x, y, epochs=1), "not probabilities of classes"),
        (lambda: find_label_errors(net, x, y + 0.5), "these targets are values"),
        (lambda: find_label_errors(net, houses), "zoo has no classes: it predicts price"),
        (lambda: find_label_errors(net, dataset(is_multilabel=True)), "have several labels"),
        (lambda: find_label_errors(net, pets), "has several targets"),
        (lambda: find_label_errors(net, x, y[:50]), "90 samples but y has 50"),
        (lambda: find_label_errors(net, x), "labels are missing"),
        (lambda: find_label_errors(net, x, y, part="test"), "got arrays"),
        (lambda: find_label_errors(net, dataset(), part="both"), "part= must be"),
        (lambda: find_label_errors(net, dataset(time_gap=0), part="all"), "order of time"),
        (lambda: find_label_errors(net, iter([(x, y)])), "got a"),
        (lambda: find_label_errors(plain, x, y), "not compiled"),
        (lambda: find_label_errors(new, x, y), "has no training run"),
        (lambda: find_label_errors(net, x, y, folds=31), "fewer than the 31 folds"),
        (lambda: find_label_errors("net", x, y), "Expected a Keras model"),
        (lambda: find_label_errors(several, x, np.ones((90, 3)), **once), "several labels"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises((EvaluationError, TrainingError), match=message):
            call()


@pytest.mark.parametrize(
    ("y", "odds", "message"),
    [
        ([0, 1], [[2.0, -1], [0.5, 0.5]], "softmax"),
        ([0, 1], [2.0, -1], "expit"),
        ([0, 1], ["a", "b"], "pass what model.predict returns"),
        ([0, 1], 0.5, "2 rows of probabilities"),
        ([0, 1], [[0.5], [0.5, 0.5]], "2 rows of probabilities"),
        ([], [], "0 rows of probabilities"),
        (5, [0.5], "y= must be"),
        ([[0], [0, 1]], [0.5, 0.5], "rows of equal length"),
        ([0, 1], [[0, 1], [1, 0]], "probabilities from 0 to 1"),
        ([0, 1], [[np.nan, 1], [0.5, 0.5]], "NaN"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "not one of the 2 classes"),
        ([0, 0], [[0.5, 0.5], [0.5, 0.5]], "one class"),
        ([[1, 1], [0, 1]], [[0.5, 0.5], [0.5, 0.5]], "several labels"),
        ([0, 1, 1], [[0.5, 0.5], [0.5, 0.5]], "3 labels and 2 prob"),
    ],
)
def test_unsuitable_probabilities(y, odds, message):
    with pytest.raises(EvaluationError, match=message):
        find_label_errors(y=y, probabilities=odds)
