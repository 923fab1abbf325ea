from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from kmagic.evaluation.confusion import confusion

TRUE = [0] * 5 + [1] * 5 + [2] * 4
PREDICTED = [0] * 5 + [1, 1, 1, 0, 2] + [2, 1, 1, 1]
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"quotes' & more",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202etfel ot thgir",
    "long " * 2000,
]


class Tree(HTMLParser):
    """What a browser would see: tags with their attributes, and the text of each cell."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("th", "td"):
            self.cells[-1].append("")

    def handle_data(self, data):
        if self.cells and self.cells[-1]:
            self.cells[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def html(found):
    return found._repr_mimebundle_()["text/html"]


def text(found):
    return found._repr_mimebundle_()["text/plain"]


def strengths(markup, colour):
    return [float(alpha) for alpha in re.findall(rf"rgba\({colour},([\d.]+)\)", markup)]


def test_the_table_is_a_table():
    tree = Tree(html(confusion(TRUE, PREDICTED, classes=["ant", "bee", "cow"])))
    assert len(tree.all("table")) == len(tree.all("caption")) == 1
    scopes = [head.get("scope") for head in tree.all("th")]
    assert scopes.count("row") == 4
    assert scopes.count("col") == 6
    head, *rows, foot = tree.cells
    assert head[1:] == ["ant", "bee", "cow", "recall\u00a0%", "F1\u00a0%", "support"]
    assert rows[0] == ["ant", "5100.0%", "·", "·", "100.0", "90.9", "5"]
    assert rows[1] == ["bee", "120.0%", "360.0%", "120.0%", "60.0", "54.5", "5"]
    assert rows[2] == ["cow", "·", "375.0%", "125.0%", "25.0", "33.3", "4"]
    assert foot[:4] == ["precision\u00a0%", "83.3", "50.0", "50.0"]
    assert foot[4].startswith("accuracy 64.29")


def test_mistakes_are_coloured_up_to_the_worst_and_the_diagonal_is_only_tinted():
    markup = html(confusion(TRUE, PREDICTED))
    assert sorted(strengths(markup, "213,94,0")) == [0.35, 0.35, 0.75]
    assert strengths(markup, "0,114,178") == [0.15] * 3
    assert markup.count('class="km-shown"') == 1


def test_colours_follow_the_normalization():
    true, predicted = [0] * 100 + [1] * 2, [0] * 90 + [1] * 10 + [0, 1]
    assert strengths(html(confusion(true, predicted)), "213,94,0") == [0.75, 0.21]
    by_row = html(confusion(true, predicted, normalize="true"))
    assert strengths(by_row, "213,94,0") == [0.27, 0.75]
    assert "percent of its column" in html(confusion(true, predicted, normalize="pred"))


def test_a_rate_of_nothing_is_a_dash():
    tree = Tree(html(confusion([0, 0, 1], [0, 0, 0], classes=["a", "b", "never"])))
    assert tree.cells[3][-3:] == ["\N{EN DASH}", "0.0", "0"]
    assert tree.cells[-1][2:4] == ["\N{EN DASH}", "\N{EN DASH}"]


def test_the_worst_pair_shows_its_pictures_the_most_confident_first():
    true = np.array([4] * 9 + [1] * 3)
    odds = np.zeros((12, 10))
    odds[np.arange(9), 9] = np.linspace(0.55, 0.95, 9)
    odds[np.arange(9), 0] = 1 - odds[np.arange(9), 9]
    odds[9:, 1] = 1
    x = np.random.default_rng(0).random((12, 28, 28, 1))
    markup = html(confusion(true, odds, x=x, name="cnn", unit="test digits"))
    assert re.findall(r"km-mute\">(0\.\d\d)</div>", markup) == [
        "0.95", "0.90", "0.85", "0.80", "0.75", "0.70",
    ]  # fmt: skip
    tree = Tree(markup)
    pictures = tree.all("img")
    assert len(pictures) == 6
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in pictures)
    assert pictures[0]["alt"] == "sample 8: 4 taken for 9"
    assert "12 test digits · 9 wrong · accuracy 0.2500" in markup


def test_without_probabilities_the_samples_are_numbered():
    x = np.zeros((3, 8, 8), dtype="uint8")
    assert "no. 2" in html(confusion([0, 0, 0], [0, 0, 1], x=x))


def test_samples_that_are_no_pictures_are_not_drawn():
    for x in (np.zeros((3, 7)), ["a", "b", "c"]):
        assert not Tree(html(confusion([0, 0, 0], [0, 0, 1], x=x))).all("img")


def test_a_perfect_model_has_nothing_beside_it():
    found = confusion([0, 1], [0, 1])
    assert "none wrong" in html(found)
    assert "Most confused" not in html(found) + text(found)


@pytest.mark.parametrize("classes", [31, 1000])
def test_of_many_classes_the_worst_are_shown_and_the_rest_is_said(classes):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, 20 * classes)
    predicted = np.where(rng.random(len(true)) < 0.9, true, (true + 1) % classes)
    predicted[true == 7] = 3
    found = confusion(true, predicted, classes=range(classes))
    markup = html(found)
    assert len(Tree(markup).cells) == 17
    assert f"15 classes of the most confused pairs, of {classes:,}" in markup
    assert f"7 taken for 3: {found.matrix[7, 3]} of" in text(found)
    assert len(markup) < 200_000
    inside = re.search(r"([\d,]+) of ([\d,]+) mistakes", text(found))
    assert int(inside[2].replace(",", "")) == found.wrong
    assert 0 < int(inside[1].replace(",", "")) < found.wrong


def test_thirty_classes_are_shown_whole():
    labels = np.arange(30)
    tree = Tree(html(confusion(labels, labels)))
    assert len(tree.cells) == 32
    assert "Shown are" not in text(confusion(labels, labels))


def test_the_same_in_plain_words():
    found = confusion(TRUE, PREDICTED, classes=["ant", "bee", "cow"], name="cnn")
    assert text(found).splitlines() == [
        "cnn: 14 samples, 5 wrong, accuracy 0.6429.",
        "",
        "true \\ predicted  ant  bee  cow  precision  recall     F1  support",
        "ant                 5    0    0      0.833   1.000  0.909        5",
        "bee                 1    3    1      0.500   0.600  0.545        5",
        "cow                 0    3    1      0.500   0.250  0.333        4",
        "",
        "Most confused:",
        "  cow taken for bee: 3 of 4",
        "  bee taken for ant: 1 of 5",
        "  bee taken for cow: 1 of 5",
    ]


def test_weights_are_shown_as_sums():
    markup = html(confusion([0, 1, 1], [0, 1, 0], sample_weight=[0.5, 1.25, 1000]))
    assert "1,001.25" in markup
    assert ">1.25<br>" in markup


def test_hostile_names_stay_text():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 6, (2, 80))
    x = rng.random((80, 8, 8))
    found = confusion(true, predicted, classes=HOSTILE, name=HOSTILE[0], unit="<b>", x=x)
    markup = html(found)
    tree = Tree(markup)
    kinds = {tag for tag, _ in tree.tags}
    assert kinds.isdisjoint({"script", "svg", "iframe", "object", "a", "form", "input", "link"})
    assert not [name for _, attributes in tree.tags for name in attributes if name[:2] == "on"]
    assert all(picture["src"].startswith("data:image/png") for picture in tree.all("img"))
    assert markup.count("<style>") == markup.count("</style>") == 2
    assert "\u202e" not in markup + text(found)
    assert len(markup) < 60_000
    assert len(text(found)) < 5000
    assert "\u2068\u05e9\u05dc\u05d5\u05dd\u2069" in text(found)
    found.plot()
