"""What the widget of a matrix's card replies, without a browser."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from kmagic.display.confusion.interactive_matrix import (
    OUTCOMES,
    InteractiveComparison,
    InteractiveConfusion,
    InteractiveLabels,
    answer_request,
    attach_widget,
)
from kmagic.display.confusion.matrix_cards import ConfusionCard, MultilabelCard, redraw_with
from kmagic.display.kit import card_widget
from kmagic.display.kit.card_widget import MAX_SAMPLES
from kmagic.evaluation.confusion.confusion import confusion


def digits(samples=60, classes=4, **keywords):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, samples)
    odds = rng.dirichlet(np.ones(classes), samples)
    x = rng.integers(0, 255, (samples, 8, 8), dtype="uint8")
    return confusion(true, odds, x=x, **keywords)


def interactive(found):
    draw = redraw_with(ConfusionCard)
    return InteractiveConfusion(found, range(len(found.classes)), draw)


def request(found, kind, **message):
    reply, parts = answer_request(found, {"request": kind, **message})
    return json.loads(json.dumps(reply, allow_nan=False)), parts


def test_samples_of_a_cell_are_sent_most_confident_first():
    found = digits()
    (pair,) = found.pairs(1)
    cell = [pair.true, pair.predicted]
    reply, parts = request(interactive(found), "samples", cells=[cell], count=3)
    expected = found.indices(true=pair.true, pred=pair.predicted)
    assert reply["total"] == len(expected)
    assert (
        reply["summary"] == f"{len(expected)} of {int((found.predictions.true == pair.true).sum())}"
    )
    assert [sample["index"] for sample in reply["samples"]] == expected[:3].tolist()
    assert reply["samples"][0]["caption"] == f"{found.confidence[expected[0]]:.2f}"
    assert reply["samples"][0]["mime"] == "image/png"
    assert [Image.open(io.BytesIO(part)).size for part in parts] == [(8, 8)] * 3
    assert (reply["samples"][0]["width"], reply["samples"][0]["pixelated"]) == (56, True)
    page, _ = request(interactive(found), "samples", cells=[cell], first=3, count=3)
    assert [sample["index"] for sample in page["samples"]] == expected[3:6].tolist()


def test_several_cells_and_correct_ones_have_samples_too():
    found = digits()
    reply, _ = request(interactive(found), "samples", cells=[[0, 0], [1, 2]], count=48)
    assert reply["total"] == found.matrix[0, 0] + found.matrix[1, 2]
    assert reply["summary"] == str(reply["total"])


def test_the_number_of_samples_in_a_reply_is_limited():
    found = digits(400, 2)
    reply, parts = request(interactive(found), "samples", cells=[[0, 1]], count=10_000)
    assert len(parts) == len(reply["samples"]) == MAX_SAMPLES
    assert reply["total"] > len(parts)


def test_a_selection_is_stored_in_python():
    found = digits(classes=4, order="support")
    answer_request(interactive(found), {"request": "select", "cells": [[1, 2], [3, 0]]})
    assert found.selection == [(1, 2), (3, 0)]
    expected = [*found.indices(true=1, pred=2), *found.indices(true=3, pred=0)]
    assert found.selected().tolist() == expected
    answer_request(interactive(found), {"request": "select", "cells": []})
    assert found.selected().tolist() == []


def test_a_small_matrix_is_sent_at_once_and_a_large_one_on_request():
    small = json.loads(json.dumps(interactive(digits()).state(), allow_nan=False))
    assert small["matrix"] == digits().matrix.tolist()
    assert small["names"] == list("0123")
    assert small["threshold_steps"] is None
    labels = np.arange(500) % 100
    large = confusion(labels, np.r_[labels[:-1], 0], class_names=range(100))
    assert interactive(large).state()["matrix"] is None
    _, (positions, counts) = request(interactive(large), "matrix")
    whole = np.zeros(10_000)
    whole[np.frombuffer(positions, "<u4")] = np.frombuffer(counts, "<f8")
    assert (whole.reshape(100, 100) == large.matrix).all()


def test_orders_are_sent_on_request():
    found = digits()
    for by in ("name", "support", "error", "similarity", "given"):
        reply, _ = request(interactive(found), "order", by=by)
        assert reply["order"] == found.ordered(by).tolist()


def test_the_card_at_another_threshold_is_that_of_its_matrix(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    found = two_classes(threshold=0.37, sample_weight=np.linspace(0.5, 2, 80), top_losses=3)
    state = interactive(found).state()
    steps = state["threshold_steps"]
    assert steps["current"] == [0.37]
    assert {0.0, 0.37, 0.7, 1.0} <= set(steps["values"])
    for threshold in (0.0, 0.37, 0.7, 1.0):
        reply, _ = request(interactive(found), "card", threshold=threshold, order="given")
        at = found.at(threshold)
        assert words(reply["html"]) == words(at._repr_mimebundle_()["text/html"])
        assert reply["matrix"] == at.matrix.tolist()
        assert reply["worst_cells"] == [[pair.true, pair.predicted] for pair in at.pairs()]
    # The page fetches samples when they are looked at.
    with_samples = interactive(replace(found, x=[f"text {k}" for k in range(80)]))
    reply, _ = request(with_samples, "card", threshold=0.7, order="given")
    assert "class=km-popup" not in reply["html"]
    moved = found.at(0.9)
    reply, _ = request(interactive(found), "samples", cells=[[1, 0]], threshold=0.9)
    assert reply["total"] == (moved.predictions.true > moved.predictions.predicted).sum()
    assert reply["samples"][0]["index"] == moved.indices(true=1, pred=0)[0]


def words(markup):
    """The alternative texts of a card, and its other words."""
    labels = re.findall(r'(?:aria-label|alt)="([^"]*)"', markup)
    return labels, re.sub(r"<[^>]*>", " ", markup).split()


def test_the_slider_of_logits_covers_their_range():
    found = confusion([0, 1, 1, 0], [-3.0, 2.0, 5.0, 0.5], threshold=0)
    thresholds = interactive(found).state()["threshold_steps"]["values"]
    assert (thresholds[0], thresholds[-1]) == (-3.0, 5.0)
    assert 0.0 in thresholds


def test_a_comparison_sends_samples_that_left_and_entered_a_cell():
    true = np.array([0, 0, 0, 0, 1])
    old = confusion(true, [1, 1, 0, 1, 1], class_names=["a", "b"], x=list("vwxyz"))
    new = confusion(true, [0, 1, 1, 0, 1], class_names=["a", "b"], x=list("vwxyz"))
    found = InteractiveComparison(new.versus(old), [0, 1])
    state = json.loads(json.dumps(found.state()))
    assert state["matrix"] == [[1, -1], [0, 0]]
    assert state["worst_cells"] == [[0, 1]]
    reply, parts = request(found, "samples", cells=[[0, 1]])
    assert reply["summary"] == "2 no longer, 1 new"
    assert [(s["index"], s["text"], s["caption"]) for s in reply["samples"]] == [
        (0, "v", "a, was b"), (3, "y", "a, was b"), (2, "x", "b, was a"),
    ]  # fmt: skip
    assert parts == []
    _, (positions, counts) = request(found, "matrix")
    assert np.frombuffer(positions, "<u4").tolist() == [0, 1]
    assert np.frombuffer(counts, "<f8").tolist() == [1, -1]


def test_errors_are_sent_as_replies():
    reply, _ = answer_request(interactive(digits()), {"request": "weather"})
    assert "weather" in reply["error"]

    class Widget:
        sent: list[object]

        def send(self, content, buffers):
            self.sent = [content, buffers]

    widget = Widget()
    answer = partial(answer_request, interactive(digits()))
    card_widget.reply_to(widget, answer, {"id": 7, "request": "order", "by": "size"})
    assert widget.sent[0]["reply_to"] == 7
    assert "order= must be one of" in widget.sent[0]["error"]


def test_a_widget_is_attached_only_where_widgets_are_available(monkeypatch):
    found = digits()
    for how in ("html", "static", "log", "text", "none"):
        monkeypatch.setenv("KMAGIC_DISPLAY", how)
        assert attach_widget(interactive(found)) == ""
        assert "data-km" not in found._repr_mimebundle_()["text/html"]
    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    key = attach_widget(interactive(found))
    widget = card_widget._open_widgets[-1]
    assert widget.state["key"] == key
    markup = found._repr_mimebundle_()["text/html"]
    assert f"data-km='{card_widget._open_widgets[-1].state['key']}'" in markup


def test_the_oldest_widgets_are_closed(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    monkeypatch.setattr(card_widget, "MAX_WIDGETS", 2)
    found = interactive(digits())
    keys = [attach_widget(found) for _ in range(4)]
    assert [widget.state["key"] for widget in card_widget._open_widgets] == keys[-2:]


def test_static_cards_are_reproducible(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    once, again = (digits()._repr_mimebundle_() for _ in range(2))
    assert once == again


def two_classes(**keywords):
    rng = np.random.default_rng(2)
    true = rng.integers(0, 2, 80)
    return confusion(true, np.clip(rng.normal(0.35 + 0.3 * true, 0.2), 0, 1), **keywords)


def labels(samples=90, **keywords):
    rng = np.random.default_rng(4)
    true = rng.integers(0, 2, (samples, 3))
    scores = 0.3 * true + 0.7 * rng.random((samples, 3))
    return confusion(true, scores, class_names=["cat", "dog", "emu"], **keywords)


def interactive_labels(found):
    return InteractiveLabels(found, [0, 1, 2], redraw_with(MultilabelCard))


def test_samples_of_an_outcome_are_sent_most_confident_first():
    found = labels(400, x=np.zeros((400, 8, 8), dtype="uint8"))
    for number, (true, pred, name) in enumerate(OUTCOMES):
        expected = found.indices("dog", true=true, pred=pred)
        reply, parts = request(interactive_labels(found), "samples", cells=[[1, number]], count=2)
        of = int((found.predictions.true[:, 1] == true).sum())
        assert (reply["total"], reply["summary"]) == (len(expected), f"{len(expected)} of {of}")
        assert [sample["index"] for sample in reply["samples"]] == expected[:2].tolist()
        assert reply["samples"][0]["title"] == f"dog, {name.removesuffix('s')}"
        assert reply["samples"][0]["caption"] == f"{found['dog'].confidence[expected[0]]:.2f}"
        assert len(parts) == len(reply["samples"])
        page, _ = request(interactive_labels(found), "samples", cells=[[1, number]], first=2)
        assert [sample["index"] for sample in page["samples"]] == expected[2:50].tolist()


def test_a_sample_in_cells_of_two_labels_is_sent_once():
    found = labels()
    cells = [[0, 0], [1, 0]]
    reply, _ = request(interactive_labels(found), "samples", cells=cells)
    both = found.predictions.true[:, :2] & found.predictions.predicted[:, :2]
    assert reply["total"] == both.any(axis=1).sum()
    assert reply["summary"] == str(reply["total"])
    titles = {sample["index"]: sample["title"] for sample in reply["samples"]}
    for index, title in titles.items():
        names = np.array(["cat", "dog"])[both[index]]
        named = [f"{name}, true positive" for name in names]
        assert title == "; ".join(named)
    answer_request(interactive_labels(found), {"request": "select", "cells": cells})
    assert found.selection == [(0, True, True), (1, True, True)]
    assert sorted(found.selected()) == np.flatnonzero(both.any(axis=1)).tolist()


def test_every_figure_of_the_labels_follows_their_thresholds(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    found = labels(sample_weight=np.linspace(1, 2, 90), threshold=[0.5, 0.4, 0.3])
    state = interactive_labels(found).state()
    json.dumps(state, allow_nan=False)
    assert state["threshold_steps"]["current"] == [0.5, 0.4, 0.3]
    for thresholds in ([0.5, 0.4, 0.3], [0.2] * 3, [0.0, 0.7, 1.0]):
        reply, _ = request(interactive_labels(found), "card", threshold=thresholds, order="error")
        at = replace(found.at(thresholds), order="error")
        assert reply["shown"] == at.ordered().tolist()
        assert words(reply["html"]) == words(at._repr_mimebundle_()["text/html"])
        shown = " ".join(words(reply["html"])[1])
        for name, value in at.overall.items():
            assert f"{name} {value:.4f}" in shown


def test_labels_without_scores_have_no_slider():
    found = confusion([[1, 1], [0, 1]], [[1, 0], [0, 1]])
    draw = redraw_with(MultilabelCard)
    assert InteractiveLabels(found, [0, 1], draw).state()["threshold_steps"] is None
    reply, _ = request(InteractiveLabels(found, [0, 1], draw), "card", order="error")
    assert reply["shown"] == [1, 0]
    assert "above" not in reply["html"]
