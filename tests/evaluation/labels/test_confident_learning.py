"""Confident learning: by hand, in corner cases, and as cleanlab where that is installed."""

from __future__ import annotations

import numpy as np
import pytest

from kmagic.evaluation.labels.confident_learning import (
    SCORES,
    ConfidentJoint,
    find_issues,
    normalized_margin,
    self_confidence,
)


def sample(seed):
    """Labels, some of classes that do not occur, and probabilities with ties."""
    rng = np.random.default_rng(seed)
    classes, count = int(rng.integers(2, 12)), int(rng.integers(3, 300))
    y = rng.integers(0, classes, count)
    y = y % max(2, classes - 2) if seed % 3 == 0 else y
    y[:2] = 0, 1
    odds = rng.dirichlet(np.full(classes, rng.choice([0.05, 0.3, 1, 3])), count)
    odds += rng.choice([0, 1, 3]) * np.eye(classes)[y] * rng.random((count, 1))
    odds /= odds.sum(axis=1, keepdims=True)
    if seed % 4 == 0:
        odds = odds.round(1)
    return y, np.full_like(odds, 1 / classes) if seed % 7 == 0 else odds


def test_by_hand():
    odds = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    y = np.array([0, 0, 0, 1, 1])
    joint = ConfidentJoint.of(y, odds)
    assert joint.thresholds == pytest.approx([0.6, 0.65])
    # Row 3 reaches the threshold of class 0 only, and row 2 that of class 1.
    assert joint.counts.tolist() == [[2, 1], [1, 1]]
    assert joint.calibrated.tolist() == [[2, 1], [1, 1]]
    assert joint.noise == pytest.approx(2 / 5)
    assert find_issues(y, odds, joint).tolist() == [False, False, True, True, False]
    assert self_confidence(y, odds).tolist() == [0.9, 0.7, 0.2, 0.4, 0.9]
    assert normalized_margin(y, odds) == pytest.approx([0.9, 0.7, 0.2, 0.4, 0.9])


def test_a_class_keeps_one_sample_and_one_without_samples_is_never_predicted():
    odds = np.array([[0.1, 0.9, 0.0], [0.0, 1.0, 0.0], [0.9, 0.0, 0.1], [0.8, 0.1, 0.1]])
    y = np.array([0, 0, 1, 1])
    joint = ConfidentJoint.of(y, odds)
    assert joint.thresholds[2] == 2
    assert joint.counts[:, 2].tolist() == [0, 0, 1]
    assert joint.calibrated.sum() == 4
    assert joint.calibrated[2].tolist() == [0, 0, 0]
    issues = find_issues(y, odds, joint)
    assert 0 < issues[:2].sum() < 2
    assert 0 < issues[2:].sum() < 2
    alone = np.array([0, 1])
    assert not find_issues(alone, odds[1:3], ConfidentJoint.of(alone, odds[1:3])).any()


def test_the_interval_contains_the_estimate_and_narrows():
    rng = np.random.default_rng(0)
    widths = []
    for count in (300, 30_000):
        y = rng.integers(0, 3, count)
        odds = 0.9 * np.eye(3)[y] + 0.1 / 3
        wrong = rng.random(count) < 0.1
        y[wrong] = (y[wrong] + 1) % 3
        joint = ConfidentJoint.of(y, odds)
        low, high = joint.noise_interval()
        assert low < joint.noise < high
        assert low < wrong.mean() < high
        assert joint.noise_interval() == (low, high)
        widths.append(high - low)
    assert widths[0] == pytest.approx(10 * widths[1], rel=0.2)


@pytest.mark.filterwarnings("ignore:May not flag all label issues")
@pytest.mark.parametrize("seed", range(42))
def test_as_cleanlab(seed):
    count = pytest.importorskip("cleanlab.count")
    filters, rank = pytest.importorskip("cleanlab.filter"), pytest.importorskip("cleanlab.rank")
    y, odds = sample(seed)
    joint = ConfidentJoint.of(y, odds)
    assert (joint.thresholds == count.get_confident_thresholds(y, odds)).all()
    assert (joint.counts == count.compute_confident_joint(y, odds, calibrate=False)).all()
    assert (joint.calibrated == count.compute_confident_joint(y, odds)).all()
    issues = find_issues(y, odds, joint)
    with np.errstate(all="ignore"):
        assert (issues == filters.find_label_issues(y, odds, n_jobs=1)).all()
    for name, score in SCORES.items():
        assert (score(y, odds) == rank.get_label_quality_scores(y, odds, method=name)).all()
