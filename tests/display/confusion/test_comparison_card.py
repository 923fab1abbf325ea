"""The cards of two models, and of several labels a sample."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import kmagic
from kmagic.display.kit.card import BLUE, ORANGE
from kmagic.evaluation.confusion.confusion import confusion

from ...cards import HOSTILE, html, text

SAMPLE = ("x_train", "y_train")


def tags(markup):
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Reader().feed(markup)
    return found


def two(classes=4, samples=80, **keywords):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, samples)
    old, new = (
        np.where(rng.random(samples) < share, true, rng.integers(0, classes, samples))
        for share in (0.5, 0.9)
    )
    keywords = {"class_names": range(classes), "x": rng.random((samples, 8, 8)), **keywords}
    return confusion(true, new, name="cnn", **keywords).versus(
        confusion(true, old, name="mlp", **keywords)
    )


def test_the_matrix_is_signed():
    found = two()
    table = re.search(r'<table class="km-matrix.*?</table>', html(found))[0]
    assert [each["scope"] for _, each in tags(table) if "scope" in each].count("row") == 4
    for row in range(4):
        for column in range(4):
            change = int(found.difference[row, column])
            if change:
                sign = "+" if change > 0 else "\u2212"
                assert f"<b>{sign}{abs(change)}</b>" in table
                # Fewer mistakes and more hits are blue, the rest is orange.
                better = (change > 0) == (row == column)
                what = f"{row} correct" if row == column else f"{row} taken for {column}"
                cell = re.search(rf'title="{what}: [^"]*" style=([^ >]*)', table)[1]
                assert (BLUE if better else ORANGE) in cell
                assert (f'km-worse title="{what}:' in table) != better  # not by colour alone


def test_texts_and_samples_are_beside_the_matrix():
    found = two()
    markup = html(found)
    assert "cnn against mlp" in markup
    assert found.errors().replace(">", "&gt;") in markup
    assert found.significance().replace("<", "&lt;").replace("'", "&#x27;") in markup
    for line in found.changed_cells_text():
        assert line.replace(">", "&gt;") in markup
        assert line in text(found)
    assert text(found).startswith(found.describe())
    slot = markup[markup.index('class="km-samples"') :]
    assert "Only cnn is correct" in slot
    first = found.indices(fixed=True)[0]
    assert f'alt="samples {first},' in slot


def test_a_cell_opens_on_samples_that_left_and_entered_it():
    markup = html(two())
    cell = re.search(r"<td[^>]*><details.*?</details></td>", markup)[0]
    assert re.search(r"\d+ no longer|\d+ new", cell)
    assert "<img" in cell
    assert re.search(r"\d, was \d", cell)


def test_of_many_classes_the_most_changed_are_shown():
    found = two(classes=200, samples=4000)
    markup = html(found)
    table = re.search(r'<table class="km-matrix.*?</table>', markup)[0]
    assert table.count("<tr>") <= 16
    assert 'alt="heatmap of all 200 classes; rows: true' in markup
    assert "columns: predicted; horizontal, blue: better; vertical, orange: worse<" in markup
    assert "classes that changed most, of 200" in markup
    assert len(re.sub(r"base64,[^\"]*", "", markup)) < 200_000


def test_equal_models_have_an_empty_matrix():
    one = confusion([0, 1], [0, 1], name="a")
    markup = html(one.versus(one))
    assert "Both models classify the same samples correctly." in markup
    assert "Changed most" not in markup
    large = confusion(np.arange(40), np.arange(40))
    assert "<table" in html(large.versus(large))


@pytest.mark.parametrize("kind", ["two", "several"])
def test_hostile_names_stay_text(kind):
    if kind == "two":
        found = two(classes=6, samples=90)
        keywords = {"class_names": HOSTILE, "x": HOSTILE * 15, "name": HOSTILE[0], "unit": "<b>"}
        pair = [
            confusion(side.predictions.true, side.predictions.predicted, **keywords)
            for side in (found.new, found.old)
        ]
        found = pair[0].versus(pair[1])
    else:
        labels = np.random.default_rng(0).integers(0, 2, (2, 60, 6))
        found = confusion(*labels, class_names=HOSTILE, x=HOSTILE * 10, name=HOSTILE[1], unit="<b>")
    markup = html(found)
    assert {tag for tag, _ in tags(markup)}.isdisjoint({"script", "svg", "iframe", "a", "link"})
    assert not [name for _, each in tags(markup) for name in each if name[:2] == "on"]
    assert markup.count("<style>") == markup.count("</style>") == 2
    assert "\u202e" not in markup + text(found)
    assert len(markup) < 150_000


def test_every_label_has_a_row():
    true = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0]])
    odds = np.array([[0.9, 0.8, 0.1], [0.2, 0.6, 0.4], [0.1, 0.7, 0.3], [0.8, 0.1, 0.2]])
    found = confusion(
        true, odds, class_names=["cat", "dog", "emu"], x=np.zeros((4, 8, 8)), unit="photos"
    )
    markup = html(found)
    table = re.search(r'<table class="km-matrix.*?</table>', markup)[0]
    rows = [
        re.findall(r"<b>(\d+)</b>|(·)", re.sub(r"<div class=km-popup.*?</div></details>", "", row))
        for row in table.split("<tr>")[2:]
    ]
    assert [[number or dot for number, dot in row] for row in rows] == [
        ["2", "·", "·", "2"], ["2", "·", "1", "1"], ["·", "1", "·", "3"],
    ]  # fmt: skip
    assert table.count("<details") == 1  # and the marked cell, whose samples are shown
    assert table.count("km-marked") == 1
    assert "subset accuracy" in markup
    assert "samples avg" in markup
    assert text(found).splitlines()[2:6] == [
        "label  TP  FN  FP  precision  recall     F1",
        "cat     2   0   0      1.000   1.000  1.000",
        "dog     2   0   1      0.667   1.000  0.800",
        "emu     0   1   0      0.000   0.000  0.000",
    ]


def test_of_many_labels_the_worst_are_shown():
    labels = np.random.default_rng(0).integers(0, 2, (2, 50, 80))
    found = confusion(*labels, x=np.zeros((50, 8, 8), dtype="uint8"))
    markup = html(found)
    assert "30 labels with the lowest F1, of 80" in markup
    worst = np.argsort(found.per_class.f1, kind="stable")[:30]
    shown = re.findall(r"<th scope=row><bdi>(\d+)</bdi>", markup)
    assert sorted(map(int, shown)) == sorted(worst.tolist())
    assert len(re.sub(r"base64,[^\"]*", "", markup)) < 200_000


def digits(mistakes: int, seed: int):
    """A matrix of 10,000 digits, of which the first ones are mistaken for their neighbours."""
    sample = np.load(Path(kmagic.__file__).parent / "data" / "samples" / "mnist_sample.npz")
    x, true = (np.resize(sample[name], (10_000, *sample[name].shape[1:])) for name in SAMPLE)
    rng = np.random.default_rng(seed)
    predicted = true.copy()
    predicted[:mistakes] = (true[:mistakes] + rng.choice((1, 3, 5), mistakes)) % 10
    odds = rng.dirichlet(np.ones(10), 10_000) / 4
    odds[np.arange(10_000), predicted] += 0.75
    return confusion(true, odds, x=x / np.float32(255), name=f"net {seed}", top_losses=12)


def test_cards_of_ten_thousand_digits_are_small():
    new, old = digits(220, 0), digits(480, 1)
    assert len(html(new)) < 60_000
    assert len(html(new.versus(old))) < 80_000


@pytest.mark.parametrize("side", [28, 96])
def test_cards_of_ten_labels_are_small(side):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, (600, 10))
    blocks = rng.integers(0, 255, (600, 4, 4, 3), dtype="uint8").repeat(side // 4, axis=1)
    x = blocks.repeat(side // 4, axis=2)
    markup = html(confusion(true, 0.3 * true + 0.7 * rng.random((600, 10)), x=x))
    assert len(markup) < 66_000
    # Every cell of errors opens, with fewer samples if they are large; those of one are shown.
    assert markup.count("<details class=km-cell") == 19
    assert markup.count("<img src") == 22  # and two curves
