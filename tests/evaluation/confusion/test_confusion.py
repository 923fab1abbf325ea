from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    precision_recall_fscore_support,
)

import kmagic
from kmagic.display.kit.samples import sample_to_text
from kmagic.evaluation.confusion.confusion import confusion
from kmagic.support.errors import DataError, EvaluationError


@st.composite
def labels_and_predictions(draw):
    classes = draw(st.integers(1, 6))
    size = draw(st.integers(1, 40))
    labels = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    return classes, draw(labels), draw(labels)


@given(labels_and_predictions())
@settings(max_examples=60, deadline=None)
def test_metrics_are_those_of_scikit_learn(case):
    classes, true, predicted = case
    result = confusion(true, predicted, class_names=range(classes))
    every = np.arange(classes)
    if classes > 1:
        assert (result.matrix == confusion_matrix(true, predicted, labels=every)).all()
        for over in ("true", "pred", "all"):
            theirs = confusion_matrix(true, predicted, labels=every, normalize=over)
            np.testing.assert_allclose(result.normalized(over), theirs)
    theirs = precision_recall_fscore_support(true, predicted, labels=every, zero_division=0)
    ours = result.per_class
    for mine, other in zip(
        (ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    assert result.accuracy == accuracy_score(true, predicted)
    report = result.report()
    table = classification_report(true, predicted, labels=every, output_dict=True, zero_division=0)
    assert list(report.index[-3:]) == ["accuracy", "macro avg", "weighted avg"]
    assert report.loc["macro avg"].to_dict() == table["macro avg"]
    assert report.loc["accuracy", "f1-score"] == table["accuracy"]
    for position in range(classes):
        assert report.iloc[position].to_dict() == table[str(position)]


@given(labels_and_predictions(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_weighted_metrics_are_those_of_scikit_learn(case, random):
    classes, true, predicted = case
    weights = [random.choice([0.0, 0.25, 1.0, 3.5]) for _ in true]
    weights[0] = 2.0
    result = confusion(true, predicted, class_names=range(classes), sample_weight=weights)
    every = np.arange(classes)
    if classes > 1:
        theirs = confusion_matrix(true, predicted, labels=every, sample_weight=weights)
        np.testing.assert_allclose(result.matrix, theirs)
    theirs = precision_recall_fscore_support(
        true, predicted, labels=every, sample_weight=weights, zero_division=0
    )
    np.testing.assert_allclose(result.per_class.f1, theirs[2])
    np.testing.assert_allclose(
        result.accuracy, accuracy_score(true, predicted, sample_weight=weights)
    )


@given(labels_and_predictions())
@settings(max_examples=40, deadline=None)
def test_every_form_of_input_gives_the_same_matrix(case):
    classes, true, predicted = case
    classes += 1
    ids = confusion(true, predicted, class_names=range(classes))
    eye = np.eye(classes)
    odds = 0.9 * eye[predicted] + 0.1 / classes
    names = [f"class {k}" for k in range(classes)]
    forms = [
        confusion(np.array(true)[:, None], np.array(predicted, dtype=float)),
        confusion(eye[true].astype(int), odds),
        confusion(true, np.log(odds) + 3),
        confusion([names[k] for k in true], [names[k] for k in predicted], class_names=names),
        confusion(pd.Series([names[k] for k in true]), odds, class_names=names),
        confusion(true, [names[k] for k in predicted], class_names=names),
    ]
    for form in forms[1:]:
        assert (form.matrix == ids.matrix).all()
    labels = sorted({*true, *predicted})
    assert (forms[0].matrix == ids.matrix[np.ix_(labels, labels)]).all()


@given(labels_and_predictions())
@settings(max_examples=40, deadline=None)
def test_the_cells_hold_every_sample_once(case):
    classes, true, predicted = case
    result = confusion(true, predicted, class_names=range(classes))
    seen = []
    for row in range(classes):
        for column in range(classes):
            cell = result.indices(true=row, pred=column)
            assert len(cell) == result.matrix[row, column]
            seen += cell.tolist()
    assert sorted(seen) == list(range(len(true)))
    assert sum(pair.count for pair in result.pairs(None)) == result.wrong


def test_confident_mistakes_come_first():
    odds = [[0.4, 0.6], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]
    result = confusion([0, 0, 0, 0], odds, class_names=["cat", "dog"])
    assert result.indices(true="cat", pred="dog").tolist() == [1, 2, 0]
    assert result.indices(true=0, pred=1, n=2).tolist() == [1, 2]
    assert result.indices(pred="cat").tolist() == [3]
    assert result.indices(true=np.int64(1)).tolist() == []


def test_a_number_is_an_id_and_a_string_is_a_name():
    result = confusion([3, 5, 5], [3, 5, 3], class_names={3: "5", 5: "3"})
    assert result.indices(true=5, pred=3).tolist() == [2]
    assert result.indices(true="3", pred="5").tolist() == [2]


@pytest.mark.parametrize(
    ("scores", "threshold", "expected"),
    [
        ([0.1, 0.5, 0.6, 0.9], None, [0, 0, 1, 1]),
        ([[0.1], [0.5], [0.6], [0.9]], 0.3, [0, 1, 1, 1]),
        ([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6], [0.1, 0.9]], 0.7, [0, 0, 0, 1]),
        ([-3.0, -0.5, 0.5, 2.5], 0, [0, 0, 1, 1]),
    ],
)
def test_threshold_for_two_classes(scores, threshold, expected):
    result = confusion([0, 0, 1, 1], scores, threshold=threshold)
    assert result.predictions.predicted.tolist() == expected


def test_binary_confidence_is_that_of_the_predicted_class():
    result = confusion([0, 1, 1], np.array([[0.2], [0.9], [0.3]], dtype="float32"))
    np.testing.assert_allclose(result.confidence, [0.8, 0.9, 0.7], rtol=1e-6)
    assert confusion([0, 1], [0, 1]).confidence is None


def test_probabilities_of_sixteen_bits_count_as_such():
    odds = np.array([[0.3, 0.7], [1.0, 0.0]], dtype=np.float16)
    np.testing.assert_allclose(confusion([1, 0], odds).confidence, [0.7, 1.0], rtol=1e-3)


def test_pairs_as_text():
    result = confusion(["b"] * 3 + ["a"] * 1009, ["a"] * 2 + ["b"] + ["b"] * 2 + ["a"] * 1007)
    first, second = result.pairs()
    assert first.to_text() == "b taken for a: 2 of 3"
    assert second.to_text() == "a taken for b: 2 of 1,009"
    assert result.pairs(1) == [first]


def test_the_matrix_as_text():
    result = confusion([0, 1, 1, 0], [0, 1, 0, 0], name="cnn", unit="test digits")
    assert result.facts() == "4 test digits · 1 wrong · accuracy 0.7500"
    assert result.describe() == (
        "cnn: 4 test digits, 1 wrong, accuracy 0.7500.\nMost confused: 1 taken for 0: 1 of 2."
    )
    assert repr(result) == (
        "<ConfusionMatrix cnn: 2 classes, 4 test digits · 1 wrong · accuracy 0.7500>"
    )
    assert "none wrong" in confusion([0], [0]).facts()


def test_the_report_survives_classes_that_are_named_like_its_rows():
    result = confusion([0, 1, 1], [0, 1, 0], class_names=["accuracy", "macro avg"])
    assert result.report().shape == (5, 4)
    assert result.report().iloc[1]["recall"] == 0.5


@pytest.mark.parametrize(
    ("true", "predicted", "keywords", "message"),
    [
        ([0, 1], [0], {}, "2 labels and 1 predictions"),
        ([], [], {}, "empty"),
        ([0, 12], [0, 1], {"class_names": list("ab")}, "12 (sample 1)"),
        ([0, -1], [0.1, 0.9], {}, "-1 (sample 1)"),
        ([0, 5], np.eye(3)[[0, 1]], {}, "5 (sample 1)"),
        (["a", "c"], ["a", "b"], {"class_names": ["a", "b"]}, "'c' (sample 1)"),
        (
            [0.0, float("nan")],
            [0, 1],
            {},
            "NaN or infinity in 1 of 2 samples, the first is sample 1",
        ),
        ([0, 1], [[0.5, np.nan], [0.5, 0.5]], {}, "the first is sample 0"),
        ([0, 1], [0.5, 3.0], {}, "between 0 and 1"),
        ([0.3, 1], [0, 1], {}, "0.3 (sample 0) is not a whole number"),
        ([[1, 1], [0, 1]], [0, 1], {}, "one matrix per label"),
        (["a", None], ["a", "b"], {}, "None of type NoneType"),
        (["a", "b"], np.eye(2), {}, "the order of the classes is unknown"),
        ([0, 1], np.eye(2), {"class_names": ["a"]}, "must be 2 names"),
        ([0, 1], [0, 1], {"class_names": ["a", "a"]}, "a occurs more than once"),
        ([0, 1], [0, 1], {"class_names": "ab"}, "list of names"),
        ([0, 1], [0, 1], {"class_names": []}, "class_names= is empty"),
        ([0, 1], [0, 1], {"normalize": "rows"}, "'rows'"),
        ([0, 1], [0, 1], {"sample_weight": [1]}, "shape (1,)"),
        ([0, 1], [0, 1], {"sample_weight": [1, -1]}, "not negative"),
        ([0, 1], [0, 1], {"x": [1]}, "got 1"),
        ([0, 1], [0, 1], {"x": 0.5}, "one sample for each label; got 0.5"),
        ([0, 1], [0, 1], {"x": np.array(5)}, "one sample for each label"),
        ([0, 1], np.eye(3)[[0, 1]], {"threshold": 0.5}, "3 columns"),
        (np.zeros((2, 3)).astype(int), np.eye(2), {}, "one-hot"),
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), {}, "flatten both"),
        (np.eye(3), np.eye(2, 3), {}, "3 labels and 2 predictions"),
        (np.eye(2, 3), np.eye(2), {}, "3 columns of labels and 2 of predictions"),
    ],
)
def test_invalid_labels_and_predictions_are_rejected(true, predicted, keywords, message):
    with pytest.raises(EvaluationError) as caught:
        confusion(true, predicted, **keywords)
    assert message in str(caught.value)


def test_an_unknown_class_is_rejected_with_the_known_ones():
    with pytest.raises(EvaluationError, match="'bird' is not one of the classes: cat, dog"):
        confusion([0, 1], [0, 1], class_names=["cat", "dog"]).indices(true="bird")


def test_the_figure_is_a_figure_and_leaves_pyplot_alone(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = confusion([0, 1, 1], [0, 0, 1], class_names=["a $b$", "c"]).plot()
    figure.savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000
    assert plt.get_fignums() == before
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["1\n100.0%", "1\n50.0%", "1\n50.0%"]


def test_a_figure_of_many_classes_has_no_texts(tmp_path):
    labels = np.arange(200)
    figure = confusion(labels, labels, normalize="all").plot()
    assert not figure.axes[0].texts
    figure.savefig(tmp_path / "many.png", dpi=40)


def test_sparse_labels_scores_and_samples():
    from scipy.sparse import coo_matrix, csr_matrix

    labels, scores = np.eye(3)[[0, 1, 2, 2]], np.eye(3)[[0, 1, 2, 0]]
    expected = confusion(labels, scores).matrix.tolist()
    result = confusion(csr_matrix(labels), csr_matrix(scores), x=coo_matrix(np.eye(4)))
    assert result.matrix.tolist() == expected
    assert "0, 0, 0, 1" in result._bundle()["text/html"]
    several = [[1, 1, 0], [0, 1, 1]]
    assert confusion(csr_matrix(several), csr_matrix(several)).samples == 2


def test_texts_of_tensorflow():
    assert confusion(np.array([b"cat", b"dog"]), ["cat", "dog"]).classes == ("cat", "dog")
    objects = np.array([b"cat", "dog"], dtype=object)
    assert confusion(objects, ["cat", "dog"]).accuracy == 1


def test_symbolic_labels_are_refused():
    import keras

    with pytest.raises(DataError, match="symbolic tensor"):
        confusion(keras.Input((2,)), [0, 1])
    with pytest.raises(DataError, match="symbolic tensor"):
        kmagic.classify(np.zeros((1, 8, 8)), y_true=keras.Input((2,)), model=object())


def test_control_characters_of_the_unit_and_of_names_are_escaped():
    y = [0, 1, 1, 0]
    result = confusion(y, y, class_names=["a\x1b", "b"], name="m\x1b", unit="t\x1b")
    several = confusion([[1, 1], [0, 1]], [[1, 0], [0, 1]], unit="t\x1b")
    for text in (result.describe(), result.facts(), result.versus(result).facts(), several.facts()):
        assert "\x1b" not in text
        assert "\\x1b" in text


def test_inputs_of_a_dataset_are_shown_in_their_original_units():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": rng.integers(20, 80, 60), "city": rng.choice(["Rome", "Oslo"], 60)}
    )
    frame["bought"] = rng.choice(["yes", "no"], 60)
    data = kmagic.load_data(frame, target="bought")
    for part in (slice(None), slice(2, 9)):
        x, y = data.x_test[part], data.y_test[part]
        result = confusion(y, 1 - y, x=x, class_names=data.classes)
        ages = {f"age {age}" for age in frame["age"]}
        shown = [sample_to_text(result.x, k) for k in range(len(x))]
        assert {text.split(", ")[0] for text in shown} <= ages
        assert all(text.split(", ")[1] in ("city Rome", "city Oslo") for text in shown)
    copied = confusion(y, 1 - y, x=x.copy())  # of unknown origin
    assert "age" not in sample_to_text(copied.x, 0)
