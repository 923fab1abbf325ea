"""The card of a search."""

from __future__ import annotations

import re

import pytest

from kmagic.display.tuning.study_card import study_bundle, study_line
from kmagic.display.tuning.study_chart import (
    axis_share,
    best_ranges,
    best_trials,
    goal_limits,
)
from kmagic.language.search_space import Hyperparameter

from .studies import make_study

MAX_BYTES = 60_000


def plain(markup: str) -> str:
    return re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", markup, flags=re.DOTALL))


def test_the_card_of_many_trials_is_small():
    bundle = study_bundle(make_study(200))
    assert len(bundle["text/html"]) <= MAX_BYTES
    assert len(bundle["text/html"]) > 10_000


def test_the_card_has_what_the_search_found():
    study = make_study()
    shown = plain(study_bundle(study)["text/html"])
    best = study.best
    assert f"trial {best.number}" in shown
    for text in ("30 trials", "3 pruned", "3 failed", "best trials", "importance", "by trial"):
        assert text in shown
    assert study.text().split("\n")[1].split()[0] in shown
    assert "The best 3 trials have width" in shown


def test_the_text_has_the_best_model():
    study = make_study()
    text = study_bundle(study)["text/plain"]
    assert study.text() in text
    assert "Failed: trial 9, 19, 29" in text or "Failed: trial 9, 19 and 29" in text


def test_names_and_errors_are_escaped():
    markup = study_bundle(make_study(name="<i>net</i>"))["text/html"]
    assert "<i>net" not in markup
    assert "<b>no</b>" not in markup
    assert "&lt;b&gt;no" in markup


@pytest.mark.parametrize("trials", [0, 1, 2, 3, 9])
def test_few_trials(trials):
    bundle = study_bundle(make_study(trials, target=10, status="running"))
    assert f"{trials} of 10 trials" in plain(bundle["text/html"])
    assert "km-study-stop" in bundle["text/html"]


def test_only_failed_trials():
    study = make_study(10, states=["FAIL"])
    assert "10 failed" in plain(study_bundle(study)["text/html"])
    assert "no complete trial" not in study_bundle(study)["text/plain"]


def test_an_outlier_does_not_flatten_the_others():
    study = make_study()
    best, worst, outliers = goal_limits(study, study.trials)
    assert outliers >= 1
    assert worst < 100  # a trial of 1e9 is among them
    assert best == study.best.value
    assert "at the end of the axis" in plain(study_bundle(study)["text/html"])


def test_a_maximized_goal_has_its_best_value_at_the_top():
    study = make_study(direction="maximize")
    best, worst, _ = goal_limits(study, study.ranking)
    assert best > worst
    assert best == study.best.value


def test_values_without_an_effect_are_left_out():
    text = "input 2\ndense 4..8 | identity\ndense 1\ncompile adam loss=mse"
    study = make_study(20, text=text)
    for trial in study.ranking:
        used = study.used_values(trial)
        assert ("dense.units" in used) == (trial.params["dense_or_identity"] == "dense")
    chosen = best_trials(study.ranking)
    has_all = all("dense.units" in study.used_values(trial) for trial in chosen)
    assert ("dense.units" in best_ranges(study, study.ranking)) == has_all


@pytest.mark.parametrize(
    ("parameter", "value", "share"),
    [
        (Hyperparameter("n", low=0, high=10), 5, 0.5),
        (Hyperparameter("n", low=1e-4, high=1.0, log=True), 1e-2, 0.5),
        (Hyperparameter("n", ("a", "b", "c")), "c", 1.0),
        (Hyperparameter("n", ("a",)), "a", 0.5),
    ],
)
def test_the_place_of_a_value_on_its_axis(parameter, value, share):
    assert axis_share(parameter, value) == pytest.approx(share)


def test_the_static_card_has_no_durations(monkeypatch):
    study = make_study()
    study.seconds = 125.0
    assert "2:05" in plain(study_bundle(study)["text/html"])
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    assert "2:05" not in plain(study_bundle(study)["text/html"])


def test_the_line_of_a_running_search():
    assert "3 of 10 trials" in study_line(make_study(3, target=10, status="running"))
