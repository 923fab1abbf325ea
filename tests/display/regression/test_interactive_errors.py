"""What a selection in a chart of errors answers and sets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kmagic.display.kit.card_widget import MAX_SAMPLES, widget_class
from kmagic.display.regression.interactive_errors import answer_request
from kmagic.evaluation.regression.errors_of import errors

RNG = np.random.default_rng(0)
TRUE = RNG.gamma(2, 10, 300)
PRED = TRUE + RNG.normal(0, 3, 300)


def request(result, kind, ranges, target=0, **more):
    return answer_request(result, {"request": kind, "target": target, "ranges": ranges, **more})


def test_a_rectangle_selects_rows():
    frame = pd.DataFrame({"size": np.arange(300)})
    result = errors(TRUE, PRED, x=frame)
    assert len(result.selection) == 0
    request(result, "select", {"true": [10, 20], "predicted": [15, 25]})
    expected = result.indices(true=(10, 20), predicted=(15, 25))
    assert result.selection.tolist() == expected.tolist()
    assert result.selected()["size"].tolist() == expected.tolist()
    reply, images = request(result, "samples", {"error": [-1, 1]}, first=1, count=2)
    found = result.indices(error=(-1, 1))
    assert (reply["total"], reply["summary"]) == (len(found), f"{len(found)} of 300")
    assert [each["index"] for each in reply["samples"]] == found[1:3].tolist()
    assert f"size {found[1]}" in reply["samples"][0]["text"]
    assert images == []
    request(result, "select", {})
    assert len(result.selection) == 0


def test_images_are_sent_as_files():
    result = errors(TRUE, PRED, x=RNG.integers(0, 255, (300, 8, 8)).astype("uint8"))
    reply, images = request(result, "samples", {"true": [-1e9, 1e9]}, count=10_000)
    assert len(images) == len(reply["samples"]) == MAX_SAMPLES
    assert reply["samples"][0]["mime"] == "image/png"
    assert "true" in reply["samples"][0]["caption"]


def test_the_selection_of_one_of_several_targets():
    result = errors(np.c_[TRUE, TRUE], np.c_[PRED, TRUE], target_names=["a", "b"])
    request(result, "select", {"error": [1, 9]}, target=0)
    assert result.selection.tolist() == result.indices(error=(1, 9), target="a").tolist()
    request(result, "select", {"error": [1, 9]}, target=1)
    assert len(result.selection) == 0


def test_the_selection_of_two_models_is_that_of_the_new_one():
    comparison = errors(TRUE, PRED).versus(errors(TRUE, PRED * 1.1))
    request(comparison, "select", {"difference": [0, 99]})
    expected = comparison.indices(worse=True)
    assert comparison.new.selection.tolist() == expected.tolist()
    reply, _ = request(comparison, "samples", {"true": [0, 9], "other": [0, 9]})
    matches = (TRUE <= 9) & (PRED * 1.1 >= 0) & (PRED * 1.1 <= 9)
    assert reply["total"] == matches.sum()
    assert ", other " in reply["samples"][0]["caption"]


def test_unknown_requests_are_answered():
    assert "error" in request(errors(TRUE, PRED), "matrix", {})[0]


def test_the_style_sheets_of_two_kinds_of_cards_do_not_replace_each_other():
    modules = ("regression/interactive_errors", "confusion/interactive_matrix")
    assert len({widget_class(module)(state={})._anywidget_id for module in modules}) == 2
