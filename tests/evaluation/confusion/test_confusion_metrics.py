from __future__ import annotations

import numpy as np
import pytest

from kmagic.evaluation.confusion.confusion import confusion


def labels_and_predictions(samples=400, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, samples)
    wrong = rng.random(samples) < 0.3
    return true, np.where(wrong, rng.integers(0, classes, samples), true)


def test_intervals_contain_the_metrics_and_are_reproducible():
    result = confusion(*labels_and_predictions())
    once, again = result.intervals(), confusion(*labels_and_predictions()).intervals()
    assert list(once.overall) == list(result.overall)
    for name, (low, high) in once.overall.items():
        assert low < result.overall[name] < high, name
        assert (low, high) == again.overall[name]
    for name in ("precision", "recall", "f1"):
        low, high = getattr(once, name)
        assert (
            (low < getattr(result.per_class, name)) & (getattr(result.per_class, name) < high)
        ).all()
    assert result.intervals() is once
    narrow = result.intervals(level=0.5).overall["MCC"]
    assert once.overall["MCC"][0] < narrow[0] < narrow[1] < once.overall["MCC"][1]


def test_intervals_are_those_of_resampling_the_samples():
    true, predicted = labels_and_predictions(300)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(600):
        chosen = rng.integers(0, 300, 300)
        drawn.append(confusion(true[chosen], predicted[chosen], class_names=range(4)).overall)
    result = confusion(true, predicted).intervals().overall
    for name in ("accuracy", "balanced accuracy", "kappa", "MCC", "macro F1", "weighted precision"):
        theirs = np.quantile([one[name] for one in drawn], [0.025, 0.975])
        np.testing.assert_allclose(result[name], theirs, atol=0.015)


def test_weights_on_few_samples_widen_the_intervals():
    true, predicted = labels_and_predictions(400)
    even = confusion(true, predicted, sample_weight=np.ones(400)).intervals().overall["accuracy"]
    plain = confusion(true, predicted).intervals().overall["accuracy"]
    np.testing.assert_allclose(even, plain, atol=0.01)
    heavy = np.ones(400)
    heavy[:20] = 100
    uneven = confusion(true, predicted, sample_weight=heavy).intervals().overall["accuracy"]
    assert uneven[1] - uneven[0] > 2 * (even[1] - even[0])


def test_top_k_has_its_interval_with_weights_too():
    rng = np.random.default_rng(0)
    odds, true = rng.dirichlet(np.ones(9), 500), rng.integers(0, 9, 500)
    plain = confusion(true, odds).intervals().overall["top-3 accuracy"]
    even = confusion(true, odds, sample_weight=np.full(500, 2.0)).intervals()
    np.testing.assert_allclose(even.overall["top-3 accuracy"], plain, atol=0.01)


def test_an_undefined_metric_has_no_interval():
    result = confusion([0, 0, 0], [0, 0, 0], class_names=["a", "b"])
    assert np.isnan(result.kappa)
    assert np.isnan(result.intervals().overall["kappa"]).all()
    assert np.isnan(result.intervals().recall[:, 1]).all()
    frame = result.summary()
    assert frame.loc["accuracy"].round(2).tolist() == [1, 0.44, 1]


@pytest.mark.parametrize(("right", "samples"), [(120, 120), (119, 120), (0, 8), (1, 1), (57, 90)])
def test_shares_have_wilson_s_interval(right, samples):
    from scipy.stats import binomtest

    true = np.arange(samples) % 2
    result = confusion(
        true, np.where(np.arange(samples) < right, true, 1 - true), class_names=list("ab")
    )
    expected = binomtest(right, samples).proportion_ci(method="wilson")
    for name in ("accuracy", "weighted recall"):
        assert result.intervals().overall[name] == pytest.approx(expected)
    hits = result.predictions.correct[true == 1]
    if len(hits):
        expected = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
        assert result.intervals().recall[:, 1] == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_interval_of_a_perfect_or_a_useless_model_is_a_point(classes, weighted):
    true = np.arange(120) % classes
    weights = np.linspace(1, 2, 120) if weighted else None
    perfect = confusion(true, true, sample_weight=weights)
    useless = confusion(true, (true + 1) % classes, sample_weight=weights)
    for name, (low, high) in perfect.intervals().overall.items():
        assert 0.6 < low < 0.995, name
        assert high == pytest.approx(1), name
    for name, (low, high) in useless.intervals().overall.items():
        assert low < high, name
    figures = perfect.intervals()
    for low, high in (figures.precision, figures.recall, figures.f1):
        assert ((low < 0.99) & (high == pytest.approx(1))).all()


@pytest.mark.parametrize("share", [0.8, 0.97])
def test_intervals_of_few_samples_contain_the_expected_value_as_often_as_they_should(share):
    rng, true = np.random.default_rng(0), np.repeat([0, 1, 2], 20)
    inside = dict.fromkeys(("accuracy", "balanced accuracy", "macro F1", "kappa"), 0)
    wrong = (1 - share) / 2
    expected = {"accuracy": share, "balanced accuracy": share, "macro F1": share}
    expected["kappa"] = (share - 1 / 3) / (2 / 3)
    for _ in range(150):
        moved = rng.choice(3, 60, p=[share, wrong, wrong])
        result = confusion(true, (true + moved) % 3, class_names=list("abc"))
        found = result.intervals()
        for name, value in expected.items():
            low, high = found.overall[name]
            inside[name] += low <= value <= high
    rates = {name: count / 150 for name, count in inside.items()}
    assert min(rates.values()) >= 0.9, rates


@pytest.mark.parametrize("weighted", [False, True])
def test_each_interval_contains_its_metric_for_a_handful_of_samples_too(weighted):
    rng = np.random.default_rng(0)
    for samples, classes in ((1, 1), (1, 2), (2, 2), (5, 2), (10, 3), (40, 3)):
        true = rng.integers(0, classes, samples)
        guesses = {
            "right": true,
            "wrong": (true + 1) % max(classes, 2),
            "one class": np.zeros(samples, int),
            "random": rng.integers(0, classes, samples),
        }
        weights = rng.random(samples) + 1e-3 if weighted else None
        for kind, predicted in guesses.items():
            names = list(range(max(classes, 2)))
            result = confusion(true, predicted, class_names=names, sample_weight=weights)
            for name, (low, high) in result.intervals().overall.items():
                if np.isnan(low):
                    assert name in ("kappa", "MCC"), name  # undefined
                    continue
                assert low - 1e-9 <= result.overall[name] <= high + 1e-9, (kind, name)
                assert high - low > 1e-6, (kind, name)
                assert -1 <= low <= high <= 1
