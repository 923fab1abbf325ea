"""Every figure of a matrix against scikit-learn's, with and without weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from kmagic.evaluation.confusion.confusion import confusion
from kmagic.evaluation.confusion.confusion_metrics import ThresholdCurve, calibrate
from kmagic.evaluation.confusion.label_arrays import read_labels_and_predictions
from kmagic.support.errors import EvaluationError

FEW = st.integers(2, 6)


@st.composite
def labels_and_predictions(draw, classes=FEW):
    """Classes, true, predicted, and weights or None."""
    many = draw(classes)
    size = draw(st.integers(2, 50))
    labels = st.lists(st.integers(0, many - 1), min_size=size, max_size=size)
    weight = st.sampled_from([0.0, 0.25, 1.0, 3.5])
    weights = draw(st.none() | st.lists(weight, min_size=size, max_size=size))
    if weights is not None:
        weights[0] = 2.0
    return many, np.array(draw(labels)), np.array(draw(labels)), weights


@st.composite
def scored(draw, classes=FEW):
    """Classes, true, a score for each class with ties among them, and weights or None."""
    many, true, _, weights = draw(labels_and_predictions(classes))
    rows = st.lists(
        st.lists(st.sampled_from([0, 1, 2, 5]), min_size=many, max_size=many).filter(any),
        min_size=len(true),
        max_size=len(true),
    )
    odds = np.array(draw(rows), dtype=float)
    return many, true, odds / odds.sum(axis=1, keepdims=True), weights


@given(labels_and_predictions())
@settings(max_examples=80, deadline=None)
def test_overall_metrics(case):
    many, true, predicted, weights = case
    result = confusion(true, predicted, class_names=range(many), sample_weight=weights)
    keywords = {"sample_weight": weights}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's about classes that do not occur
        theirs = {
            "accuracy": metrics.accuracy_score(true, predicted, **keywords),
            "balanced accuracy": metrics.balanced_accuracy_score(true, predicted, **keywords),
            "kappa": metrics.cohen_kappa_score(true, predicted, **keywords),
            "MCC": metrics.matthews_corrcoef(true, predicted, **keywords),
        }
    keywords |= {"labels": range(many), "zero_division": 0}
    for how in ("macro", "weighted"):
        three = metrics.precision_recall_fscore_support(true, predicted, average=how, **keywords)
        for name, value in zip(("precision", "recall", "F1"), three, strict=False):
            theirs[f"{how} {name}"] = value
    assert list(result.overall) == list(theirs)
    for name, value in theirs.items():
        assert result.overall[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
    assert (result.balanced_accuracy, result.mcc) == (
        result.overall["balanced accuracy"],
        result.overall["MCC"],
    )


@given(scored(st.integers(3, 6)))
@settings(max_examples=80, deadline=None)
def test_top_k_accuracy_with_ties(case):
    many, true, odds, weights = case
    result = confusion(true, odds, sample_weight=weights)
    for k in range(1, many):
        theirs = metrics.top_k_accuracy_score(
            true, odds, k=k, labels=range(many), sample_weight=weights
        )
        assert result.top_k_accuracy(k) == pytest.approx(theirs)


def test_top_k_accuracy_is_among_the_metrics_of_many_classes():
    rng = np.random.default_rng(0)
    odds = rng.dirichlet(np.ones(10), 40)
    result = confusion(rng.integers(0, 10, 40), odds)
    assert result.overall["top-3 accuracy"] == result.top_k_accuracy(3)
    low, high = result.intervals().overall["top-3 accuracy"]
    assert low < result.overall["top-3 accuracy"] < high
    assert "top" not in " ".join(confusion([0, 1, 2], odds[:3, :3]).overall)
    with pytest.raises(EvaluationError, match="score for each class"):
        confusion([0, 1], [0, 1]).top_k_accuracy()


@given(scored(st.integers(2, 6)))
@settings(max_examples=60, deadline=None)
def test_the_mean_loss_is_the_log_loss(case):
    many, true, odds, _ = case
    result = confusion(true, odds)
    theirs = metrics.log_loss(true, odds, labels=range(many))
    assert result.losses.mean() == pytest.approx(theirs)


def test_top_losses_come_worst_first():
    odds = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.99, 0.01]]
    result = confusion([0, 0, 1, 1], odds, class_names=["cat", "dog"])
    worst = result.top_losses(3)
    assert worst.index.tolist() == [3, 1, 2]
    assert worst["true"].tolist() == ["dog", "cat", "dog"]
    assert worst["predicted"].tolist() == ["cat", "dog", "cat"]
    np.testing.assert_allclose(worst["true_probability"], [0.01, 0.2, 0.4])
    np.testing.assert_allclose(worst["probability"], [0.99, 0.8, 0.6])
    np.testing.assert_allclose(worst["loss"], -np.log([0.01, 0.2, 0.4]))
    assert len(result.top_losses(99)) == 4
    with pytest.raises(EvaluationError, match="only predicted classes"):
        confusion([0, 1], [0, 1], top_losses=3)
    with pytest.raises(EvaluationError, match="logits of one output"):
        confusion([0, 1], [-2.0, 3.0], threshold=0).top_losses()


# --- two classes ----------------------------------------------------------------------------------


@st.composite
def two(draw):
    size = draw(st.integers(2, 60))
    true = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    true[:2] = 0, 1
    scores = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
    odds = np.array(draw(st.lists(scores, min_size=size, max_size=size)))
    weight = st.sampled_from([0.25, 1.0, 3.5])
    return true, odds, draw(st.none() | st.lists(weight, min_size=size, max_size=size))


@given(two())
@settings(max_examples=80, deadline=None)
def test_roc_and_precision_recall(case):
    true, odds, weights = case
    heavy = None if weights is None else np.array(weights)
    sweep = ThresholdCurve.of(true == 1, odds, heavy)
    rates = metrics.roc_curve(true, odds, sample_weight=weights, drop_intermediate=False)
    for ours, theirs in zip(
        (sweep.false_positive_rate, sweep.true_positive_rate, np.r_[np.inf, sweep.thresholds]),
        rates,
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs)
    assert sweep.auc == pytest.approx(metrics.roc_auc_score(true, odds, sample_weight=weights))
    precision, recall, thresholds = metrics.precision_recall_curve(
        true, odds, sample_weight=weights
    )
    np.testing.assert_allclose(sweep.precision[::-1], precision[:-1])
    np.testing.assert_allclose(sweep.true_positive_rate[:0:-1], recall[:-1])
    np.testing.assert_allclose(sweep.thresholds[::-1], thresholds)
    assert sweep.average_precision == pytest.approx(
        metrics.average_precision_score(true, odds, sample_weight=weights)
    )


@given(two(), st.sampled_from([-1.0, 0.0, 0.1, 0.3, 0.5, 0.9, 0.95, 1.0]))
@settings(max_examples=80, deadline=None)
def test_every_threshold_has_its_matrix(case, threshold):
    true, odds, weights = case
    result = confusion(true, odds, threshold=0.5, sample_weight=weights)
    moved = result.at(threshold)
    theirs = metrics.confusion_matrix(true, odds > threshold, labels=[0, 1], sample_weight=weights)
    np.testing.assert_allclose(moved.matrix, theirs)
    np.testing.assert_allclose(result.threshold_curve.counts(threshold), theirs.ravel())
    assert moved.predictions.threshold == threshold


def test_two_columns_use_the_scores_of_the_second():
    odds = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    result = confusion([0, 1, 1, 0], odds)
    assert result.threshold_curve.auc == metrics.roc_auc_score([0, 1, 1, 0], odds[:, 1])
    assert (result.at(0.5).matrix == result.matrix).all()
    # Two sigmoids need not sum to 1: the likelier class is still the one above a half.
    loose = np.array([[0.9, 0.6], [0.1, 0.2], [0.0, 0.0]])
    result = confusion([0, 1, 0], loose)
    assert (result.at(0.5).matrix == result.matrix).all()
    logits = np.log(odds) + 3
    np.testing.assert_allclose(confusion([0, 1, 1, 0], logits).threshold_curve.thresholds[0], 0.8)


def test_only_two_classes_with_scores_have_a_threshold_curve():
    assert confusion([0, 1], [0, 1]).threshold_curve is None
    assert confusion([0, 1, 2], np.eye(3)).threshold_curve is None
    with pytest.raises(EvaluationError, match="two classes"):
        confusion([0, 1], [0, 1]).at(0.3)


def test_a_long_curve_is_sampled_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 20_000)
    odds = np.clip(0.3 * true + 0.7 * rng.random(20_000), 0, 1)
    sweep = confusion(true, odds).threshold_curve
    places = sweep.sample_indices(200)
    assert 100 < len(places) <= 200
    assert places[-1] == len(sweep.thresholds) - 1
    thin = metrics.auc(sweep.false_positive_rate[1:][places], sweep.true_positive_rate[1:][places])
    assert thin == pytest.approx(sweep.auc, abs=2e-3)


@given(two())
@settings(max_examples=60, deadline=None)
def test_calibration_of_two_classes(case):
    true, odds, _ = case
    result = calibrate(read_labels_and_predictions(true, odds, threshold=0.5))
    share, message = calibration_curve(true, odds, n_bins=10)
    np.testing.assert_allclose(result.observed_frequency, share)
    np.testing.assert_allclose(result.mean_probability, message)
    assert result.samples.sum() == len(true)
    assert result.to_frame().shape == (len(message), 3)


@given(scored(st.integers(3, 5)))
@settings(max_examples=60, deadline=None)
def test_calibration_of_many_classes_is_that_of_the_predicted_one(case):
    _, true, odds, _ = case
    result = confusion(true, odds).calibration
    right = true == odds.argmax(axis=1)
    share, message = calibration_curve(right, odds.max(axis=1), n_bins=10)
    np.testing.assert_allclose(result.observed_frequency, share)
    np.testing.assert_allclose(result.mean_probability, message)


def test_logits_of_one_output_have_no_calibration():
    assert confusion([0, 1], [-3.0, 2.0], threshold=0).calibration is None
    assert confusion([0, 1], [0, 1]).calibration is None


def test_calibration_error_is_the_mean_gap():
    result = confusion([0, 1, 1, 1], [0.05, 0.95, 0.95, 0.45]).calibration
    assert result.error == pytest.approx((0.05 + 0.55 + 2 * 0.05) / 4)
