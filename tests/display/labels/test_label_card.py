"""The card of wrong labels, and what its widget replies, without a browser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kmagic import find_label_errors
from kmagic.display.kit import card_widget
from kmagic.display.labels.label_card import LabelCard
from kmagic.display.labels.label_review import LabelReview
from kmagic.support.errors import EvaluationError


def result(x=None, count=600, names=None):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, count)
    odds = rng.dirichlet(np.full(10, 0.2), count) + 4 * np.eye(10)[y] * rng.random((count, 1))
    y[:90] = (y[:90] + 1) % 10
    odds /= odds.sum(axis=1, keepdims=True)
    return find_label_errors(None, x, y, probabilities=odds, class_names=names)


def photos(count=600, side=32):
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3), dtype="uint8")


@pytest.fixture(autouse=True)
def static(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")


@pytest.mark.parametrize(
    "x",
    [
        None,
        photos(),
        photos(side=100),
        np.ones((600, 28, 28)),
        [f"sentence {k} " * 40 for k in range(600)],
        np.random.default_rng(0).random((600, 30)),
    ],
)
def test_the_card_is_small_and_readable_without_styles(x):
    labels = result(x)
    html = labels._repr_mimebundle_()["text/html"]
    assert len(html) <= 60_000
    assert "<svg" not in html
    assert "data-km" not in html
    count = html.count("<li class")
    assert 4 <= count <= 24
    assert f"the first {count} of {len(labels.indices)} shown" in html
    assert ("<img" in html) == (getattr(x, "ndim", 0) > 2)


def test_names_are_text_and_duplicates_are_marked():
    x = photos()
    labels = result(x)
    row = int(labels.indices[0])
    x[599] = x[row]
    names = ["<script>x</script>", *map(str, range(9))]
    labels = result(x, names=names)
    bundle = labels._repr_mimebundle_()
    assert "<script" not in bundle["text/html"]
    given = names[labels.given[599]]
    assert f"same as #599 (<bdi>{given}</bdi>)" in bundle["text/html"] or given[0] == "<"
    assert bundle["text/plain"].count("predicted") == 10
    assert "estimated share of wrong labels" in bundle["text/plain"]


def test_a_weak_model_gives_upper_estimates_only():
    rng = np.random.default_rng(0)
    odds = rng.dirichlet(np.ones(3), 300)
    labels = find_label_errors(None, None, rng.integers(0, 3, 300), probabilities=odds)
    assert labels.is_uncertain
    assert "may be wrong" in labels.describe()
    text = labels._repr_mimebundle_()["text/plain"]
    assert "estimated share of wrong labels up to" in text
    assert "the estimates are too high: the model predicts only" in text
    assert "up to" in labels._repr_mimebundle_()["text/html"]
    y = np.arange(300) % 3
    odds = 0.85 * np.eye(3)[y] + 0.05
    y[:9] = (y[:9] + 1) % 3
    labels = find_label_errors(None, None, y, probabilities=odds)
    assert not labels.is_uncertain
    assert labels.describe().startswith("9 of 300 labels are probably wrong")


def test_the_saved_card_shows_the_decisions():
    labels = result(photos())
    first, second, third = labels.indices[:3]
    labels.keep(first)
    labels.relabel(second, 7)
    labels.drop(third)
    text = re.sub("<[^>]+>", " ", labels._repr_mimebundle_()["text/html"])
    for mark in ("✓ kept", "→ 7", "✗ dropped", "1 kept, 1 relabelled, 1 dropped"):
        assert mark in text
    assert f"{len(labels.indices) - 3} of {len(labels.indices)} candidates to review" in text


def test_a_result_without_candidates_has_a_card():
    odds = np.array([[0.9, 0.1], [0.1, 0.9]] * 5)
    labels = find_label_errors(y=[0, 1] * 5, probabilities=odds)
    assert labels.indices.tolist() == []
    html = labels._repr_mimebundle_()["text/html"]
    assert "0 of 10 labels are probably wrong" in html
    assert "<li" not in html
    assert labels.to_frame().empty


def test_the_widget_decides_and_pages():
    labels = result(photos())
    card = LabelCard(labels)
    review = LabelReview(labels, card)
    rows, size = labels.candidates.tolist(), card.page

    def ask(request, **message):
        reply, buffers = review.answer({"request": request, **message})
        assert buffers == []
        return reply

    page = ask("page", first=size)
    assert f"#{rows[size]:,}<" in page["html"]
    assert page["html"].count("<li") == len(page["marks"]) == size
    assert page["suggested"] == labels.suggested[rows[size : 2 * size]].tolist()
    reply = ask("decide", first=0, position=1, action="relabel", label=3)
    assert reply["marks"][1] == ("relabel", "→ 3")
    assert labels.y[rows[1]] == 3
    ask("decide", first=0, position=2, action="drop")
    assert reply["progress"].startswith("1 relabelled; ")
    assert not labels.mask[rows[2]]
    assert ask("undo", first=0)["position"] == 2
    assert ask("undo", first=0)["position"] == 1
    assert ask("undo", first=0)["position"] is None
    assert labels.decisions == {}
    assert "text/html" in ask("card")["bundle"]
    for wrong in ({"position": -1, "action": "keep"}, {"position": 0, "action": "burn"},
                  {"position": 0, "action": "relabel", "label": 10}):  # fmt: skip
        with pytest.raises(EvaluationError):
            ask("decide", first=0, **wrong)
    with pytest.raises(EvaluationError, match="weather"):
        ask("weather")


def test_the_card_that_replaces_the_saved_one_has_the_same_key(monkeypatch):
    monkeypatch.setenv("KMAGIC_DISPLAY", "widget")
    html = result(photos())._repr_mimebundle_()["text/html"]
    widget = card_widget._open_widgets[-1]
    assert f"data-km={widget.state['key']}" in html
    sent = []
    monkeypatch.setattr(widget, "send", lambda *content: sent.append(content[0]))
    widget._handle_custom_msg({"id": 1, "request": "card"}, [])
    assert f"data-km={widget.state['key']}" in sent[0]["bundle"]["text/html"]
