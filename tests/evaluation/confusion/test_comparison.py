from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from kmagic.evaluation.confusion.comparison import mcnemar
from kmagic.evaluation.confusion.confusion import confusion
from kmagic.support.errors import EvaluationError


def two_models():
    """Twenty samples a class of five; the new model mends class 3, and breaks class 2."""
    true = np.repeat(np.arange(5), 20)
    old, new = true.copy(), true.copy()
    old[60:75] = 4
    new[60:62] = 4
    new[40:50] = 1
    old[0] = new[0] = 3
    keywords = {"class_names": list("abcde"), "unit": "letters"}
    return (
        confusion(true, new, name="cnn", **keywords),
        confusion(true, old, name="mlp", **keywords),
    )


def test_the_comparison_in_words():
    new, old = two_models()
    result = new.versus(old)
    assert result.errors() == "errors 13 against 16"
    assert result.facts() == "100 letters · errors 13 against 16"
    assert (result.fixed, result.broken) == (13, 10)
    assert result.describe() == (
        "cnn against mlp: errors 13 against 16; better on d, worse on c.\n"
        "Only cnn is right for 13 samples, only mlp for 10: may be chance "
        "(McNemar's test, p = 0.678)."
    )
    assert result.changed_cells_text(2) == [
        "d taken for e: 2 against 15",
        "c taken for b: 10 against 0",
    ]
    assert result.difference[3, 3] == 13


def test_fixed_and_broken_samples():
    new, old = two_models()
    result = new.versus(old)
    assert result.indices(fixed=True).tolist() == list(range(62, 75))
    assert result.indices(broken=True, n=3).tolist() == [40, 41, 42]
    frame = result.to_frame()
    assert frame.loc["d", ["fixed", "broken"]].tolist() == [13, 0]
    assert frame.loc["c", "recall_before"] == 1.0
    with pytest.raises(EvaluationError, match="fixed=True or"):
        result.indices()


def test_confident_mistakes_come_first():
    true = [0, 0, 0]
    old = confusion(true, [[0.4, 0.6], [0.1, 0.9], [0.9, 0.1]])
    new = confusion(true, [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]])
    assert new.versus(old).indices(fixed=True).tolist() == [1, 0]
    assert new.versus(old).indices(broken=True).tolist() == [2]


@given(st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_binomial_test(fixed, broken):
    theirs = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(theirs, rel=1e-6, abs=1e-300)


def test_mcnemar_of_many_samples_is_exact_too():
    assert mcnemar(6000, 5800) == pytest.approx(binomtest(6000, 11800).pvalue)
    assert mcnemar(6000, 6000) == 1.0


def test_equal_models():
    new, _ = two_models()
    result = new.versus(new)
    assert result.describe().splitlines()[1] == "Both models classify the same samples correctly."
    assert "no single class" in result.class_changes()
    assert result.names == ("cnn, new", "cnn, old")
    assert result.changed_cells_text() == []


def test_a_significant_difference():
    true = np.zeros(200, dtype=int)
    old = confusion(true, np.r_[np.ones(80), np.zeros(120)].astype(int))
    new = confusion(true, np.r_[np.ones(9), np.zeros(191)].astype(int), class_names=[0, 1])
    message = new.versus(old).significance()
    assert message.endswith(
        "only the other for 0: more than chance (McNemar's test, p\u00a0<\u00a00.001)."
    )


def test_only_the_same_samples_can_be_compared():
    base = confusion([0, 1, 1], [0, 1, 0])
    for other, message in (
        (confusion([0, 1], [0, 1]), "got 3 and 2"),
        (confusion([0, 1, 0], [0, 1, 0]), "true classes differ"),
        (confusion([0, 1, 2], [0, 1, 2]), "got 2 and 3"),
        (3, "got int"),
    ):
        with pytest.raises(EvaluationError, match=message):
            base.versus(other)


def test_the_figure_is_signed(tmp_path):
    new, old = two_models()
    figure = new.versus(old).plot()
    figure.savefig(tmp_path / "versus.png", dpi=50)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert words == {"+13", "-13", "+10", "-10"}


def test_similar_long_names_stay_different():
    names = [
        f"a_rather_long_common_name_of_class_{k}_and_the_same_end_for_all_of_them" for k in "ab"
    ]
    true = np.arange(40) % 2
    result = confusion(true, true, class_names=names).versus(
        confusion(true, 1 - true, class_names=names)
    )
    first, second = result.class_changes().removeprefix("better on ").split(" and ")
    assert first != second
    for line in result.changed_cells_text():
        true_name, predicted_name = line.rpartition(":")[0].split(" taken for ")
        assert true_name != predicted_name
