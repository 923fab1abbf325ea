"""The errors of true values and predictions: figures, rows, and what is no regression."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

import kmagic
from kmagic.evaluation.regression.error_metrics import QUANTILES, bootstrap, quantile_name
from kmagic.evaluation.regression.error_notes import error_notes
from kmagic.evaluation.regression.errors_of import errors
from kmagic.support.errors import DataError, EvaluationError

RNG = np.random.default_rng(0)
TRUE = RNG.gamma(2, 10, 200)
PRED = TRUE + RNG.normal(0, 3, 200)
WEIGHT = RNG.random(200)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_figures_are_those_of_scikit_learn(weight):
    found = errors(TRUE, PRED, sample_weight=weight).metrics
    expected = {
        "MAE": metrics.mean_absolute_error(TRUE, PRED, sample_weight=weight),
        "RMSE": metrics.root_mean_squared_error(TRUE, PRED, sample_weight=weight),
        "R2": metrics.r2_score(TRUE, PRED, sample_weight=weight),
        "MAPE": metrics.mean_absolute_percentage_error(TRUE, PRED, sample_weight=weight),
        "median absolute error": metrics.median_absolute_error(TRUE, PRED, sample_weight=weight),
        "bias": np.average(PRED - TRUE, weights=weight),
    }
    method = "linear" if weight is None else "inverted_cdf"
    quantiles = np.quantile(PRED - TRUE, QUANTILES, weights=weight, method=method)
    expected |= zip(map(quantile_name, QUANTILES), quantiles, strict=True)
    assert found == expected


def test_the_intervals_are_those_of_scipys_bootstrap():
    found = errors(TRUE, PRED, seed=3).intervals["MAE"]
    expected = stats.bootstrap(
        (np.abs(PRED - TRUE),),
        np.mean,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert found == pytest.approx(tuple(expected), rel=0.03)
    assert errors(TRUE, PRED, seed=3).intervals["MAE"] == found
    assert errors(TRUE, PRED, seed=4).intervals["MAE"] != found


def test_the_intervals_of_many_rows_cover_the_true_value():
    covered = {"MAE": 0, "bias": 0, "50 % quantile": 0}
    expected = {"MAE": np.sqrt(2 / np.pi), "bias": 0.0, "50 % quantile": 0.0}
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=5000)
        intervals = errors(np.arange(5000.0), np.arange(5000.0) + noise, seed=seed).intervals
        for name, value in expected.items():
            low, high = intervals[name]
            covered[name] += low <= value <= high
            assert high - low < 0.1
    assert min(covered.values()) >= 34


def test_the_interval_shrinks_with_the_square_root_of_the_rows():
    def width(rows):
        values = np.random.default_rng(0).normal(size=rows)

        def mean(sample):
            yield sample.mean(axis=-1)

        ((low, high),) = bootstrap(mean, [values], [values.mean()])
        return (high - low) * np.sqrt(rows)

    assert width(200_000) == pytest.approx(width(2000), rel=0.15)


@pytest.mark.parametrize("column", [False, True])
def test_shapes_of_one_target(column):
    true, pred = (TRUE[:, None], PRED) if column else (TRUE, PRED[:, None, None])
    result = errors(true, pred)
    assert result.errors.shape == (200,)
    assert (result.residuals == TRUE - PRED).all()
    assert (result.y_true == TRUE).all()
    assert len(result) == 200


def test_the_worst_rows_have_their_features():
    frame = pd.DataFrame({"size": np.arange(200), "true": 0, "town": ["Ulm", "Bonn"] * 100})
    worst = errors(TRUE, PRED, x=frame).worst(3)
    order = np.argsort(-np.abs(PRED - TRUE))[:3]
    assert worst.index.tolist() == order.tolist()
    assert worst["size"].tolist() == order.tolist()
    assert (worst["error"] == (PRED - TRUE)[order]).all()
    assert list(worst) == ["true", "predicted", "error", "size", "true (feature)", "town"]
    assert list(errors(TRUE, PRED, x=np.zeros((200, 2))).worst(1))[3:] == ["x0", "x1"]
    assert list(errors(TRUE, PRED, x=["a"] * 200).worst(1))[3:] == ["text"]
    assert list(errors(TRUE, PRED, x=np.zeros((200, 8, 8))).worst(1)) == list(worst)[:3]


def test_the_worst_rows_are_in_original_units():
    table = pd.DataFrame({"size": np.arange(100.0, 200), "town": ["Ulm", "Bonn"] * 50})
    data = kmagic.load_data(table.assign(price=table["size"] * 2), target="price", scale="standard")
    worst = errors(data.y_test, np.zeros(len(data.y_test)), x=data.x_test).worst(4)
    assert worst["size"].tolist() == pytest.approx((worst["true"] / 2).tolist())
    assert set(worst["town"]) <= {"Ulm", "Bonn"}


def test_rows_by_ranges():
    result = errors([1, 2, 3, 40], [1.5, 2, 5, 20])
    assert result.indices(error=(None, 0)).tolist() == [3, 1]
    assert result.indices(true=(1, 3), error=(0.1, None)).tolist() == [2, 0]
    assert result.indices(predicted=(2, 20), n=1).tolist() == [3]
    for bounds in (3, (2, 1), ("a", 1), (1, 2, 3)):
        with pytest.raises(EvaluationError, match="pair of numbers"):
            result.indices(true=bounds)


def test_several_targets_keep_their_units():
    true = pd.DataFrame({"rain": TRUE, "wind": 100 * TRUE})
    result = errors(true, np.c_[PRED, 100 * PRED])
    assert result.targets == ("rain", "wind")
    assert result.metrics["wind"]["MAE"] == pytest.approx(100 * result["rain"].metrics["MAE"])
    assert result.summary().loc[("rain", "R2"), "value"] == metrics.r2_score(TRUE, PRED)
    assert list(result.to_frame())[:2] == ["rain true", "rain predicted"]
    assert len(result.worst(2, target="wind")) == 2
    assert result["rain"].facts() == errors(TRUE, PRED).facts()
    for call in (result.worst, result.indices, result.plot):
        with pytest.raises(EvaluationError, match="different units"):
            call()
    with pytest.raises(EvaluationError, match="'snow' is not one of the targets: rain, wind"):
        result["snow"]


def test_undefined_figures_have_a_reason():
    result = errors([0, 0, 5.0], [1, 2, 3])
    assert np.isnan(result.metrics["MAPE"])
    assert result.undefined == {"MAPE": "a true value is 0 in 2 rows"}
    assert np.isnan(result.intervals["MAPE"]).all()
    unseen = errors([0, 2, 5.0], [1, 2.5, 3], sample_weight=[0, 1, 1])
    assert unseen.metrics["MAPE"] == pytest.approx(np.mean([0.5 / 2, 2 / 5]))
    constant = errors([5.0, 5, 5], [1, 2, 3])
    assert constant.undefined == {"R2": "all true values are equal"}
    assert constant.compared_with_mean() == "R2 is undefined: all true values are equal."
    assert "R2 undefined" in constant.facts()


def test_the_comparison_with_the_mean_is_that_of_scikit_learn():
    dummy = np.full(200, TRUE.mean())
    result = errors(TRUE, PRED)
    assert result.baseline == pytest.approx(metrics.root_mean_squared_error(TRUE, dummy))
    assert f"{100 * metrics.r2_score(TRUE, PRED):.1f} % of the variance" in result.describe()
    assert "No better than the mean" in errors(TRUE, TRUE[::-1]).describe()


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        (["a", "b"], [1, 2], "For classes use confusion"),
        ([True, False], [1, 2], "For classes use confusion"),
        ([0, 1, 1], [0.2, 0.3, 0.9], "these are classes"),
        (np.eye(3), np.full((3, 3), 1 / 3), "one-hot rows"),
        ([0, 1, 2], np.full((3, 3), 1 / 3), "For classes use confusion"),
        ([1, np.nan], [1, 2], "got nan in row 1; 1 of 2 rows"),
        ([1, 2], [np.inf, 2], "lower learning rate"),
        ([1e200, 1], [1, 2], "Scale the targets first"),
        ([1], [1], "At least 2 rows"),
        ([], [], "At least 2 rows are needed; got 0"),
        ([1, 2, 3], [1, 2], "got 3 true values and 2 predictions"),
        ([[1, 2], [3, 4]], [[1, 2, 3], [4, 5, 6]], "y_true has 2 columns and y_pred 3"),
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), "Flatten both"),
        ([[1, 2], [3]], [1, 2], "rows of equal length"),
        (5, 5, "one value per row"),
    ],
)
def test_what_is_no_regression_is_refused(true, pred, message):
    with pytest.raises(EvaluationError, match=message):
        errors(true, pred)


FRAME = pd.DataFrame({"rain": TRUE, "wind": PRED})


@pytest.mark.parametrize(
    ("true", "pred", "what"),
    [
        (FRAME, FRAME[["wind", "rain"]], "columns"),
        (FRAME, FRAME[::-1], "rows"),
        (FRAME.rain, FRAME.wind.sample(frac=1, random_state=0), "rows"),
    ],
)
def test_names_in_another_order_are_refused_with_two_remedies(true, pred, what):
    with pytest.raises(EvaluationError, match=f"have the same {what} in different orders") as error:
        errors(true, pred)
    axis = {"columns": "columns", "rows": "index"}[what]
    assert f".sort_index(axis='{axis}')" in str(error.value)
    matched = errors(true.sort_index(axis=axis), pred.sort_index(axis=axis))
    expected = pred.reindex(true.index) if what == "rows" else pred[true.columns]
    assert np.abs(matched.errors).sum() == pytest.approx(np.abs(expected - true).to_numpy().sum())
    assert (
        np.abs(errors(true.to_numpy(), pred.to_numpy()).errors).sum() > np.abs(matched.errors).sum()
    )


def test_masked_values_are_refused():
    masked = np.ma.masked_greater(TRUE, 20)
    for true, pred in ((masked, PRED), (TRUE, masked)):
        with pytest.raises(DataError, match="is a masked array with"):
            errors(true, pred)
    with pytest.raises(DataError, match="masked values"):
        kmagic.confusion(np.ma.masked_equal([0, 1, 1], 0), [0, 1, 1])
    assert errors(np.ma.masked_array(TRUE), PRED).metrics == errors(TRUE, PRED).metrics


def test_rows_with_any_names_of_features():
    twice = pd.DataFrame(np.c_[TRUE, PRED], columns=["u", "u"])
    assert list(errors(TRUE, PRED, x=twice).worst(1)) == ["true", "predicted", "error", "u"]
    frame = errors([1.0, 2.0], [2.0, 2.0], x=[{"a": 1}, {"b": 2}]).worst(2)
    assert frame[["a", "b"]].isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_times_of_a_time_zone_are_in_order():
    time = pd.date_range("2020-10-24", periods=200, freq="h", tz="Europe/Berlin")
    assert (np.diff(errors(TRUE, PRED, time=time).time) == np.timedelta64(1, "h")).all()


@pytest.mark.parametrize("n", [-1, 1.5, "a"])
def test_the_number_of_rows_is_checked(n):
    result = errors(TRUE, PRED)
    other = result.versus(errors(TRUE, PRED + 1))
    for call in (
        result.worst,
        lambda n: result.indices(n=n),
        lambda n: other.indices(worse=1, n=n),
    ):
        with pytest.raises(EvaluationError, match="n= must be an integer of at least 0"):
            call(n)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": [1, 2]}, "one value per sample"),
        ({"sample_weight": np.zeros(200)}, "not all zero"),
        ({"x": [1, 2]}, "as many samples"),
        ({"target_names": ["a", "b"]}, "1 name, one per target"),
        ({"target_names": 5}, "1 name, one per target"),
        ({"seed": -1}, "seed= must be an integer"),
        ({"worst": 0}, "worst= must be an integer"),
        ({"time": [1, 2]}, "a date or a number for each row"),
        ({"time": ["soon"] * 200}, "dates or numbers"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(EvaluationError, match=message):
        errors(TRUE, PRED, **options)


def test_values_from_zero_to_one_are_accepted_as_floats():
    assert errors([0.0, 1.0, 1.0], [0.2, 0.3, 0.9]).metrics["MAE"] == pytest.approx(1 / 3)


def test_notes_need_a_reason():
    assert error_notes(errors(TRUE, PRED)) == []
    low = error_notes(errors(TRUE, PRED - 4))
    assert len(low) == 1
    assert low[0].startswith("Predictions are too low by")
    spread = error_notes(errors(TRUE, TRUE * (1 + RNG.normal(0, 0.2, 200))))
    assert [note for note in spread if note.startswith("Errors grow with the prediction")]
    capped = errors(np.minimum(TRUE, 30), PRED)
    assert any("are exactly 30, the largest: they may be capped" in n for n in error_notes(capped))
    capped.trained_on = np.array([[1.0], [30.0]])
    assert any("as in the training data" in note for note in error_notes(capped))
    capped.trained_on = np.array([[1.0], [20.0]])
    assert any("outside the range of the training data, 1 to 20" in n for n in error_notes(capped))
    assert error_notes(errors(TRUE, np.ones(200)))[0].startswith("All predictions are 1")
    assert error_notes(errors([1, 2, 3], [3, 4, 5]))[0].startswith("Only 3 rows")


def test_two_models_on_the_same_rows():
    other = TRUE + RNG.normal(0, 6, 200)
    comparison = errors(TRUE, PRED, name="new").versus(errors(TRUE, other, name="old"))
    difference = np.abs(PRED - TRUE) - np.abs(other - TRUE)
    assert (comparison.difference == difference).all()
    assert comparison.p_value == stats.wilcoxon(difference).pvalue
    assert comparison.mean_difference == difference.mean()
    assert comparison.interval[0] < difference.mean() < comparison.interval[1] < 0
    assert comparison.closer == ((difference < 0).sum(), (difference > 0).sum())
    assert "more than chance (Wilcoxon signed-rank test, p\xa0<\xa00.001)" in comparison.describe()
    assert comparison.indices(better=True)[0] == difference.argmin()
    assert comparison.indices(worse=True, n=1).tolist() == [difference.argmax()]
    frame = comparison.to_frame()
    assert frame["MAE"].item() == metrics.mean_absolute_error(TRUE, PRED)
    equal = errors(TRUE, TRUE + 1).versus(errors(TRUE, TRUE + np.resize([0.5, 1.5], 200)))
    assert "may be chance" in equal.significance()


def test_equal_models_differ_in_no_row():
    comparison = errors(TRUE, PRED).versus(errors(TRUE, PRED))
    assert comparison.p_value == 1
    assert comparison.significance() == "The absolute errors of both models are equal in every row."
    assert comparison.names == ("this model", "the other")


def test_other_rows_cannot_be_compared():
    with pytest.raises(EvaluationError, match="the same rows"):
        errors(TRUE, PRED).versus(errors(TRUE + 1, PRED))
    with pytest.raises(EvaluationError, match="another regression; got str"):
        errors(TRUE, PRED).versus("old")
    with pytest.raises(EvaluationError, match="either"):
        errors(TRUE, PRED).versus(errors(TRUE, PRED)).indices()


def test_several_targets_are_compared_one_by_one():
    both = np.c_[TRUE, TRUE]
    comparison = errors(both, np.c_[PRED, TRUE], target_names=["a", "b"]).versus(
        errors(both, np.c_[TRUE, PRED], target_names=["a", "b"])
    )
    frame = comparison.to_frame()
    assert (frame["difference"] > 0).tolist() == [True, False]
    assert comparison["b"].closer == (200, 0)
    assert comparison.describe().count("Wilcoxon") == 2
    with pytest.raises(EvaluationError, match="comparison\\['a'\\]"):
        _ = comparison.p_value


def test_the_figure_has_three_axes():
    for n in (200, 3000):
        values = np.resize(TRUE, n)
        figure = errors(values, values + np.sin(np.arange(n)), target_names=["$x$"]).plot()
        assert len(figure.axes) == 3
        assert figure.axes[0].get_xlabel() == r"true \$x\$"
        figure.canvas.draw()
