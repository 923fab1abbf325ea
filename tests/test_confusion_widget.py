"""What a card's companion answers, without a browser."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image

from kmagic.display.confusion import interactive_matrix
from kmagic.display.confusion.comparison_card import cell_samples
from kmagic.display.confusion.comparison_card import comparison_samples as compared_samples
from kmagic.display.confusion.confusion_card import confusion_samples
from kmagic.display.confusion.interactive_matrix import answer_request, attach_widget
from kmagic.display.confusion.matrix_requests import InteractiveComparison, InteractiveConfusion
from kmagic.evaluation.confusion.confusion import confusion


def digits(samples=60, classes=4, **keywords):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, samples)
    odds = rng.dirichlet(np.ones(classes), samples)
    x = rng.integers(0, 255, (samples, 8, 8), dtype="uint8")
    return confusion(true, odds, x=x, **keywords)


def living(found):
    return InteractiveConfusion(found, range(len(found.classes)), confusion_samples)


def ask(found, **message):
    reply, parts = answer_request(found, message)
    return json.loads(json.dumps(reply, allow_nan=False)), parts


def test_the_samples_of_a_cell_come_the_most_confident_first():
    found = digits()
    (pair,) = found.pairs(1)
    cell = [pair.true, pair.predicted]
    reply, parts = ask(living(found), ask="samples", cells=[cell], count=3)
    expected = found.indices(true=pair.true, pred=pair.predicted)
    assert reply["total"] == len(expected)
    assert (
        reply["words"] == f"{len(expected)} of {int((found.predictions.true == pair.true).sum())}"
    )
    assert [sample["number"] for sample in reply["samples"]] == expected[:3].tolist()
    assert reply["samples"][0]["caption"] == f"{found.confidence[expected[0]]:.2f}"
    assert reply["samples"][0]["mime"] == "image/png"
    assert [Image.open(io.BytesIO(part)).size for part in parts] == [(56, 56)] * 3
    page, _ = ask(living(found), ask="samples", cells=[cell], first=3, count=3)
    assert [sample["number"] for sample in page["samples"]] == expected[3:6].tolist()


def test_several_cells_and_right_ones_have_samples_too():
    found = digits()
    reply, _ = ask(living(found), ask="samples", cells=[[0, 0], [1, 2]], count=48)
    assert reply["total"] == found.matrix[0, 0] + found.matrix[1, 2]
    assert reply["words"] == str(reply["total"])


def test_never_more_than_a_page_is_sent():
    found = digits(400, 2)
    reply, parts = ask(living(found), ask="samples", cells=[[0, 1]], count=10_000)
    assert len(parts) == len(reply["samples"]) == interactive_matrix.MOST_SAMPLES
    assert reply["total"] > len(parts)


def test_a_selection_is_kept_in_python():
    found = digits(classes=4, order="support")
    answer_request(living(found), {"ask": "select", "cells": [[1, 2], [3, 0]]})
    assert found.selection == [(1, 2), (3, 0)]
    expected = [*found.indices(true=1, pred=2), *found.indices(true=3, pred=0)]
    assert found.selected().tolist() == expected
    answer_request(living(found), {"ask": "select", "cells": []})
    assert found.selected().tolist() == []


def test_the_page_knows_a_small_matrix_and_asks_for_a_large_one():
    small = json.loads(json.dumps(living(digits()).state(), allow_nan=False))
    assert small["matrix"] == digits().matrix.tolist()
    assert small["names"] == list("0123")
    assert small["sweep"] is None
    labels = np.arange(500) % 100
    large = confusion(labels, np.r_[labels[:-1], 0], class_names=range(100))
    assert living(large).state()["matrix"] is None
    _, (places, counts) = ask(living(large), ask="matrix")
    whole = np.zeros(10_000)
    whole[np.frombuffer(places, "<u4")] = np.frombuffer(counts, "<f8")
    assert (whole.reshape(100, 100) == large.matrix).all()


def test_orders_are_asked_for():
    found = digits()
    for by in ("name", "support", "error", "similarity", "given"):
        reply, _ = ask(living(found), ask="order", by=by)
        assert reply["order"] == found.ordered(by).tolist()


def test_every_step_of_the_slider_has_its_matrix():
    found = digits(80, 2, threshold=0.37)
    state = living(found).state()["sweep"]
    assert state["now"] == 0.37
    assert 0.37 in state["thresholds"]
    for threshold, counts in list(zip(state["thresholds"], state["counts"], strict=True))[::20]:
        assert list(counts) == found.at(threshold).matrix.ravel().tolist()
    moved = found.at(0.9)
    reply, _ = ask(living(found), ask="samples", cells=[[1, 0]], threshold=0.9)
    assert reply["total"] == moved.matrix[1, 0]
    assert reply["samples"][0]["number"] == moved.indices(true=1, pred=0)[0]


def test_the_slider_of_logits_spans_them():
    found = confusion([0, 1, 1, 0], [-3.0, 2.0, 5.0, 0.5], threshold=0)
    thresholds = living(found).state()["sweep"]["thresholds"]
    assert (thresholds[0], thresholds[-1]) == (-3.0, 5.0)
    assert 0.0 in thresholds


def test_two_models_show_what_left_a_cell_and_what_came():
    true = np.array([0, 0, 0, 0, 1])
    old = confusion(true, [1, 1, 0, 1, 1], class_names=["a", "b"], x=list("vwxyz"))
    new = confusion(true, [0, 1, 1, 0, 1], class_names=["a", "b"], x=list("vwxyz"))
    found = InteractiveComparison(new.versus(old), [0, 1], cell_samples, compared_samples)
    state = json.loads(json.dumps(found.state()))
    assert state["matrix"] == [[1, -1], [0, 0]]
    assert state["worst"] == [[0, 1]]
    reply, parts = ask(found, ask="samples", cells=[[0, 1]])
    assert reply["words"] == "2 no more, 1 new"
    assert [(s["number"], s["text"], s["caption"]) for s in reply["samples"]] == [
        (0, "v", "a, was b"), (3, "y", "a, was b"), (2, "x", "b, was a"),
    ]  # fmt: skip
    assert parts == []
    _, (places, counts) = ask(found, ask="matrix")
    assert np.frombuffer(places, "<u4").tolist() == [0, 1]
    assert np.frombuffer(counts, "<f8").tolist() == [1, -1]


def test_what_cannot_be_answered_is_said():
    reply, _ = answer_request(living(digits()), {"ask": "weather"})
    assert "weather" in reply["error"]

    class Widget:
        sent: list[object]

        def send(self, content, buffers):
            self.sent = [content, buffers]

    widget = Widget()
    interactive_matrix._answer(widget, living(digits()), {"seq": 7, "ask": "order", "by": "size"})
    assert widget.sent[0]["re"] == 7
    assert "order must be one of" in widget.sent[0]["error"]


def test_a_companion_comes_only_where_there_is_a_widget(monkeypatch):
    found = digits()
    for how in ("html", "static", "log", "text", "none"):
        monkeypatch.setenv("KMAGIC_DISPLAY", how)
        assert attach_widget(living(found)) == ""
        assert "data-km" not in found._repr_mimebundle_()["text/html"]
    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    key = attach_widget(living(found))
    widget = interactive_matrix._living[-1]
    assert widget.state["key"] == key
    markup = found._repr_mimebundle_()["text/html"]
    assert f"data-km='{interactive_matrix._living[-1].state['key']}'" in markup


def test_old_companions_are_let_go(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    monkeypatch.setattr(interactive_matrix, "KEPT", 2)
    found = living(digits())
    keys = [attach_widget(found) for _ in range(4)]
    assert [widget.state["key"] for widget in interactive_matrix._living] == keys[-2:]


def test_static_cards_are_the_same_again(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    once, again = (digits()._repr_mimebundle_() for _ in range(2))
    assert once == again
