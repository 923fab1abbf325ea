"""Scores of a cross-validation: their mean, their spread and the interval of the mean."""

import math
import pickle

import numpy as np
import pytest
from scipy import stats

from kmagic.display.training.folds_card import cross_validation_bundle
from kmagic.training.run.cross_validation import CrossValidation, FoldScore
from kmagic.training.run.training_run import Epoch, TrainingRun

VALUES = (0.5, 0.25, 0.75, 0.5, 1.0)


def result_of(values=VALUES, *, folds=5, repeat=1, share=0.25, name="net", epochs=3, **options):
    result = CrossValidation(name, folds=folds, repeat=repeat, kind="stratified", **options)
    for number, value in enumerate(values):
        run = TrainingRun(f"{name} fold {number % max(folds, 1) + 1}", epochs=epochs)
        for epoch in range(1, epochs + 1):
            logs = {
                "accuracy": 0.9,
                "loss": 0.5,
                "val_accuracy": 0.8,
                "val_loss": value + 3 - epoch,
            }
            run.add(Epoch(epoch, logs, seconds=1.0))
        run.status = "done"
        fold = number % folds + 1 if folds else 0
        repeat_number = number // max(folds, 1) + 1
        logs = {**run.log[-1].logs, "val_loss": value}
        result.results.append(FoldScore(run, fold, repeat_number, share, epochs, logs))
    return result


def words(result):
    return cross_validation_bundle(result)["text/html"].partition("</style>")[2]


# --- scores ---------------------------------------------------------------------------------------


def test_mean_and_deviation():
    result = result_of()
    assert list(result.scores) == ["val_loss", "val_accuracy"]
    assert result.mean["val_loss"] == pytest.approx(0.6)
    assert result.std["val_loss"] == pytest.approx(np.std(VALUES, ddof=1))


def test_the_interval_of_folds_is_corrected():
    result = result_of()
    # Nadeau and Bengio 2003, for five folds: the variance times 1/5 + 1/4
    reach = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 1 / 4) * np.var(VALUES, ddof=1))
    assert result.interval["val_loss"] == pytest.approx((0.6 - reach, 0.6 + reach))
    twice = result_of(VALUES * 2, repeat=2)
    reach = stats.t.ppf(0.975, 9) * math.sqrt((1 / 10 + 1 / 4) * np.var(VALUES * 2, ddof=1))
    assert twice.interval["val_loss"] == pytest.approx((0.6 - reach, 0.6 + reach))


def test_the_interval_of_seeds_is_students():
    result = result_of(folds=0, repeat=5)
    expected = stats.t.interval(0.95, 4, np.mean(VALUES), stats.sem(VALUES))
    assert result.interval["val_loss"] == pytest.approx(expected)


def test_the_interval_of_a_share_ends_at_0_and_1():
    result = result_of()
    for each, share in zip(result.results, (0.5, 0.0, 1.0, 0.9, 0.7), strict=True):
        each.logs["val_accuracy"] = share
        each.logs["val_accurate"] = share
    assert result.interval["val_accuracy"] == (0.0, 1.0)
    low, high = result.interval["val_accurate"]
    assert low < 0.0
    assert high > 1.0


def test_one_run_has_no_spread():
    result = result_of(VALUES[:1])
    assert result.mean["val_loss"] == 0.5
    assert math.isnan(result.std["val_loss"])
    assert all(map(math.isnan, result.interval["val_loss"]))
    assert result.score_texts()["val_loss"] == ("0.5000", "")
    assert "1 of 5 runs finished: 4 not started" in repr(result)
    assert "nan" not in words(result)


def test_runs_that_do_not_count():
    result = result_of()
    for number, status in ((1, "failed"), (4, "interrupted")):
        run = result.results[number].run
        run.status = status
        result.results[number] = FoldScore(run, number + 1, 1, 0.25)
    assert result.mean["val_loss"] == pytest.approx(np.mean([0.5, 0.75, 0.5]))
    assert result.describe() == (
        "5 folds, stratified; 3 of 5 runs finished: fold 2 failed, fold 5 interrupted"
    )
    frame = result.to_frame()
    assert frame["val_loss"].isna().tolist() == [False, True, False, False, True]
    assert frame.loc["fold 5", "status"] == "interrupted"
    empty = CrossValidation("net", folds=3)
    assert empty.to_frame().empty
    assert repr(empty) == "net: 3 folds; 0 of 3 runs finished: 3 not started"
    assert "0 of 3 runs finished" in words(empty)


def test_the_table():
    frame = result_of(VALUES[:4], folds=2, repeat=2).to_frame()
    assert frame.index.tolist() == [
        f"fold {fold}, repeat {repeat}" for repeat in (1, 2) for fold in (1, 2)
    ]
    assert frame.columns.tolist() == [
        *("fold", "repeat", "seed", "status", "epochs", "epoch"),
        *("accuracy", "loss", "val_accuracy", "val_loss", "seconds"),
    ]


def test_a_copy():
    copy = pickle.loads(pickle.dumps(result_of()))  # noqa: S301 - its own
    assert repr(copy) == repr(result_of())


# --- the card -------------------------------------------------------------------------------------


def test_the_card_has_each_run_and_the_scores():
    markup = words(result_of())
    for part in (
        "0.6000 ± 0.2850",
        "95 % interval 0.0691 to 1.1309",
        "fold 5",
        "5 folds, stratified",
    ):
        assert part in markup
    assert "corrected for overlapping training rows" in markup
    assert markup.count("data:image/svg") == 5 + 2
    assert "overlapping" not in words(result_of(folds=0, repeat=5))


def test_the_text_of_the_card():
    text = cross_validation_bundle(result_of(messages=["A message."]))["text/plain"]
    assert text.splitlines()[0].startswith("net: 5 folds, stratified; mean of 5 runs")
    assert "fold 3: val_accuracy 0.8000, val_loss 0.7500" in text
    assert text.endswith("A message.")


def test_many_runs_and_names_that_look_like_markup():
    evil = "<script>alert(1)</script>"
    result = result_of(VALUES * 40, folds=5, repeat=40, name=evil, messages=[evil])
    markup = words(result)
    assert "<script" not in markup
    assert "150 more runs in to_frame()" in markup
    assert len(markup) < 200_000


def test_one_epoch_has_no_curves():
    assert words(result_of(epochs=1)).count("km-run-chart") == 0


def test_times_are_left_out_of_a_reproducible_card(monkeypatch):
    assert "0:03" in words(result_of())
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    assert "0:03" not in words(result_of())
