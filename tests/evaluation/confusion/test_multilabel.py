from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from kmagic.evaluation.confusion.confusion import confusion
from kmagic.evaluation.confusion.confusion_matrix import ConfusionMatrix
from kmagic.evaluation.confusion.multilabel import MultilabelConfusion
from kmagic.support.errors import EvaluationError


@st.composite
def several(draw):
    shape = draw(st.tuples(st.integers(1, 30), st.integers(2, 5)))
    sides = [draw(arrays(np.int64, shape, elements=st.integers(0, 1))) for _ in range(2)]
    weight = st.sampled_from([0.25, 1.0, 3.5])
    weights = draw(st.none() | st.lists(weight, min_size=shape[0], max_size=shape[0]))
    return *sides, weights


@given(several())
@settings(max_examples=80, deadline=None)
def test_metrics_are_those_of_scikit_learn(case):
    true, guess, weights = case
    result = confusion(true, guess, sample_weight=weights, multilabel=True)
    keywords = {"sample_weight": weights}
    np.testing.assert_allclose(
        result.matrices, metrics.multilabel_confusion_matrix(true, guess, **keywords), atol=1e-9
    )
    three = metrics.precision_recall_fscore_support(true, guess, zero_division=0, **keywords)
    ours = result.per_class
    for mine, theirs in zip(
        (ours.precision, ours.recall, ours.f1, ours.support), three, strict=True
    ):
        np.testing.assert_allclose(mine, theirs)
    expected = {
        "subset accuracy": metrics.accuracy_score(true, guess, **keywords),
        "Hamming loss": metrics.hamming_loss(true, guess, **keywords),
        "Jaccard": metrics.jaccard_score(
            true, guess, average="samples", zero_division=0, **keywords
        ),
    }
    for how in ("micro", "macro", "weighted"):
        expected[f"{how} F1"] = metrics.f1_score(
            true, guess, average=how, zero_division=0, **keywords
        )
    assert result.overall == pytest.approx(expected)
    report = result.report()
    for name, averages in result.averages.items():
        assert averages == pytest.approx(tuple(report.loc[name].to_numpy()[:3]))


def test_rows_that_are_not_one_hot_are_several_labels():
    odds = np.array([[0.9, 0.8, 0.1], [0.2, 0.6, 0.4], [0.1, 0.2, 0.3]])
    true = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]])
    result = confusion(true, odds, class_names=["cat", "dog", "emu"], name="net", unit="photos")
    assert isinstance(result, MultilabelConfusion)
    assert result.matrices[2].tolist() == [[2, 0], [1, 0]]
    assert result.facts() == "3 photos · 3 labels · 1 with a wrong label · F1 0.8571"
    assert result.describe().endswith("Lowest F1: emu 0.000, cat 1.000, dog 1.000.")
    assert result.indices("emu", true=True, pred=False).tolist() == [1]
    dog = result["dog"]
    assert dog.classes == ("not dog", "dog")
    assert dog.name == "net, dog"
    assert dog.threshold_curve.auc == 1.0
    assert [each.accuracy for each in result] == [1, 1, pytest.approx(2 / 3)]
    assert result[2].matrix.tolist() == result.matrices[2].tolist()
    assert repr(result) == f"<MultilabelConfusion net: {result.facts()}>"
    # Lists do as well, and one-hot rows are classes unless it is message otherwise.
    assert isinstance(confusion(true.tolist(), odds.tolist()), MultilabelConfusion)
    hot = np.eye(3, dtype=int)
    assert isinstance(confusion(hot, odds), ConfusionMatrix)
    assert isinstance(confusion(hot, odds, multilabel=True), MultilabelConfusion)


def test_a_threshold_for_all_or_for_each():
    true = np.array([[1, 1], [0, 0]])
    odds = np.array([[0.4, 0.9], [0.3, 0.6]])
    assert confusion(true, odds, threshold=0.35).predictions.predicted.tolist() == [[1, 1], [0, 1]]
    each = confusion(true, odds, threshold=[0.35, 0.7])
    assert each.predictions.predicted.tolist() == [[1, 1], [0, 0]]
    assert each[1].predictions.threshold == 0.7
    logits = confusion(true, odds - 0.5, threshold=0)
    assert logits.predictions.predicted.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.81, [0.2, 0.7, 0.5]])
def test_other_thresholds_are_those_of_scikit_learn(threshold):
    rng = np.random.default_rng(1)
    true = rng.integers(0, 2, (80, 3))
    scores, weights = 0.3 * true + 0.7 * rng.random((80, 3)), rng.random(80)
    found = confusion(true, scores, sample_weight=weights, class_names=["cat", "dog", "emu"])
    at = found.at(threshold)
    guess = scores > np.array(threshold)
    keywords = {"sample_weight": weights, "zero_division": 0}
    np.testing.assert_allclose(
        at.matrices,
        metrics.multilabel_confusion_matrix(true, guess, sample_weight=weights),
        atol=1e-9,
    )
    assert at.overall["subset accuracy"] == pytest.approx(
        metrics.accuracy_score(true, guess, sample_weight=weights)
    )
    for average in ("micro", "macro", "weighted"):
        expected = metrics.f1_score(true, guess, average=average, **keywords)
        assert at.overall[f"{average} F1"] == pytest.approx(expected)
    np.testing.assert_allclose(
        at.per_class.recall, metrics.recall_score(true, guess, average=None, **keywords)
    )
    assert at["dog"].predictions.threshold == at.predictions.thresholds[1]
    curve = at.threshold_curve
    together = {"average": "micro", "sample_weight": weights}
    assert curve.auc == pytest.approx(metrics.roc_auc_score(true, scores, **together))
    assert curve.average_precision == pytest.approx(
        metrics.average_precision_score(true, scores, **together)
    )


def test_a_mapping_changes_the_thresholds_of_some_labels():
    found = confusion([[1, 1], [0, 1]], [[0.9, 0.4], [0.2, 0.8]], class_names=["cat", "dog"])
    assert found.at({"dog": 0.3}).predictions.thresholds.tolist() == [0.5, 0.3]
    assert found.at({0: 0.1}).at({"dog": 0.3}).predictions.thresholds.tolist() == [0.1, 0.3]
    with pytest.raises(EvaluationError, match="'emu' is not one of the labels"):
        found.at({"emu": 0.3})
    for wrong in ("high", [0.1, 0.2, 0.3], float("nan"), {"cat": "high"}):
        with pytest.raises(EvaluationError, match="one number, or one for each of the 2 labels"):
            found.at(wrong)
    with pytest.raises(EvaluationError, match="needs the scores of the labels"):
        confusion([[1, 1], [0, 1]], [[1, 0], [0, 1]]).at(0.3)


def test_the_report_is_scikit_learns():
    rng = np.random.default_rng(0)
    true, guess = rng.integers(0, 2, (2, 40, 3))
    result = confusion(true, guess, class_names=list("abc"))
    theirs = metrics.classification_report(true, guess, output_dict=True, zero_division=0)
    report = result.report()
    means = ["micro avg", "macro avg", "weighted avg", "samples avg"]
    assert list(report.index) == ["a", "b", "c", *means]
    assert report.loc["samples avg"].to_dict() == theirs["samples avg"]
    assert report.loc["b"].to_dict() == theirs["1"]


def test_labels_can_be_sorted():
    true = np.array([[1, 1, 1], [0, 1, 1], [0, 1, 0]])
    guess = np.array([[1, 1, 0], [0, 0, 1], [0, 1, 0]])
    names = ["label 10", "label 9", "b"]
    orders = {
        by: confusion(true, guess, class_names=names, order=by).ordered().tolist()
        for by in ("given", "name", "support", "error", "similarity")
    }
    assert orders == {
        "given": [0, 1, 2],
        "name": [2, 1, 0],
        "support": [1, 2, 0],
        "error": [2, 1, 0],
        "similarity": [0, 1, 2],
    }


@pytest.mark.parametrize(
    ("true", "guess", "keywords", "message"),
    [
        ([[1, 1], [0, 1]], [[0.1, 0.2]], {"multilabel": True}, r"\(2, 2\) and \(1, 2\)"),
        ([[1, 2], [0, 1]], [[0, 1], [0, 1]], {"multilabel": True}, "must be only 0 and 1"),
        ([[1, 1], [0, 1]], [[3.0, -1.0], [0, 1]], {}, "threshold=0"),
        ([[1, 1], [0, 1]], [[0, 1], [0, 1]], {"class_names": list("abc")}, "must be 2 names"),
        ([[1, 1], [0, 1]], [[0, 1], [0, 1]], {"threshold": [1, 2, 3]}, "each of the 2"),
    ],
)
def test_invalid_labels_and_predictions_are_rejected(true, guess, keywords, message):
    with pytest.raises(EvaluationError, match=message):
        confusion(true, guess, **keywords)


def test_an_unknown_label_is_rejected():
    result = confusion([[1, 1], [0, 0]], [[1, 1], [0, 1]], class_names=["cat", "dog"])
    with pytest.raises(EvaluationError, match="'bird' is not one of the labels: cat, dog"):
        result["bird"]


def test_the_figure_has_a_matrix_per_label(tmp_path):
    true = np.ones((2, 8), dtype=int)
    figure = confusion(true, true, class_names=[f"l{k}" for k in range(8)]).plot()
    figure.savefig(tmp_path / "labels.png", dpi=40)
    assert len([axes for axes in figure.axes if axes.get_title()]) == 8


def test_similar_long_names_stay_different():
    names = [f"a_rather_long_common_name_of_label_{k}_and_the_same_end_for_all" for k in range(4)]
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 2, (2, 40, 4))
    worst = confusion(true, predicted, class_names=names).describe().split("Lowest F1: ")[1]
    assert len({name.rpartition(" ")[0] for name in worst.split(", ")}) == 3


def labels_with_scores(seed=0, rows=60, count=4):
    rng = np.random.default_rng(seed)
    true = (rng.random((rows, count)) < np.linspace(0.6, 0.2, count)).astype(int)
    return true, np.round(np.clip(0.35 * true + 0.6 * rng.random(true.shape), 0, 1), 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_without_a_threshold_are_those_of_scikit_learn(weighted):
    true, scores = labels_with_scores()
    weight = np.random.default_rng(1).random(len(true)) + 0.1 if weighted else None
    result = confusion(true, scores, class_names=list("abcd"), sample_weight=weight)
    frame = result.label_scores()
    for k, name in enumerate("abcd"):
        assert frame.loc[name, "average precision"] == pytest.approx(
            metrics.average_precision_score(true[:, k], scores[:, k], sample_weight=weight)
        )
        assert frame.loc[name, "ROC AUC"] == pytest.approx(
            metrics.roc_auc_score(true[:, k], scores[:, k], sample_weight=weight)
        )
    never = confusion(np.c_[true, 0 * true[:, 0]], np.c_[scores, scores[:, 0]])
    assert np.isnan(never.label_scores().to_numpy()[-1, :2]).all()
    with pytest.raises(EvaluationError, match="needs the scores"):
        confusion(true, true, multilabel=True).label_scores()


@given(several())
@settings(max_examples=40, deadline=None)
def test_pairs_of_labels(case):
    true, guess, weights = case
    result = confusion(true, guess, sample_weight=weights, multilabel=True)
    weight = np.ones(len(true)) if weights is None else np.array(weights)
    t, p = true == 1, guess == 1
    expected = np.einsum("n,ni,nj->ij", weight, t & ~p, p & ~t)
    np.testing.assert_allclose(result.instead().to_numpy(), expected)
    np.testing.assert_allclose(result.instead(["1"]).to_numpy(), expected[[1]])
    together = result.together()
    for row in together.itertuples(index=False):
        i, j = int(row.label), int(row[1])
        assert i < j
        for value, side in zip(row[2:], (t, p, t & p), strict=True):
            assert value == pytest.approx((weight * side[:, i] * side[:, j]).sum())
    both = [side.T.astype(int) @ side for side in (t, p)]
    assert len(together) == np.count_nonzero(np.triu(both[0] + both[1], 1))


@pytest.mark.parametrize("seed", range(4))
def test_best_thresholds_have_the_highest_f1(seed):
    true, scores = labels_with_scores(seed)
    result = confusion(true, scores, class_names=list("abcd"))
    best = result.at(result.best_thresholds())
    for k in range(4):
        cuts = np.unique(np.r_[-1, scores[:, k]])
        highest = max(metrics.f1_score(true[:, k], scores[:, k] > cut) for cut in cuts)
        assert best.per_class.f1[k] == pytest.approx(highest)
    assert not best.note
    chosen = confusion(true, scores, class_names=list("abcd"), threshold="best")
    assert chosen.predictions.thresholds.tolist() == best.predictions.thresholds.tolist()
    assert "on these samples, so the metrics are too good" in chosen.describe()
    named = confusion(true, scores, class_names=list("abcd"), threshold={"b": 0.9})
    assert named.predictions.thresholds.tolist() == [0.5, 0.9, 0.5, 0.5]


def test_best_thresholds_of_scores_of_zero_and_labels_that_never_occur():
    result = confusion([[1, 0], [1, 0], [0, 0]], [[0.0, 0.1], [0.7, 0.2], [0.0, 0.9]])
    thresholds = result.best_thresholds()
    assert thresholds["1"] == 0.5
    assert result.at(thresholds).per_class.f1[0] == pytest.approx(0.8)
    with pytest.raises(EvaluationError, match="needs probabilities"):
        confusion([[1, 1], [0, 0]], [[1, 0], [0, 0]], threshold="best")


def test_one_label():
    result = confusion([[1], [0], [1]], [[0.9], [0.2], [0.3]], class_names=["cat"], multilabel=True)
    assert result.facts() == "3 samples · 1 label · 1 with a wrong label · F1 0.6667"
    assert "cat" in result._repr_mimebundle_()["text/html"]
