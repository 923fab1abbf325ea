from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from kmagic.display.kit.card import BLUE, ORANGE
from kmagic.evaluation.confusion.confusion import confusion
from kmagic.support.formatting import text_width

from ...cards import HOSTILE, html, text

TRUE = [0] * 5 + [1] * 5 + [2] * 4
PREDICTED = [0] * 5 + [1, 1, 1, 0, 2] + [2, 1, 1, 1]


class Tree(HTMLParser):
    """What a browser would see: tags with their attributes, and the text of each cell."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.hidden = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("th", "td"):
            self.cells[-1].append("")
        # Of a cell's percentages one is seen; what opens within it is not part of its text.
        unseen = "hidden" in dict(attrs) or dict(attrs).get("style") == "display:none"
        if unseen or self.hidden or "km-popup" in (dict(attrs).get("class") or ""):
            self.hidden += tag not in ("img", "br")

    def handle_endtag(self, tag):  # noqa: ARG002 - HTMLParser's
        self.hidden -= bool(self.hidden)

    def handle_data(self, data):
        if self.cells and self.cells[-1] and not self.hidden:
            self.cells[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def matrix(found):
    """The table of the matrix alone."""
    return re.search(r'<table class="km-matrix.*?</table>', html(found))[0]


def strengths(markup, colour):
    found = re.findall(rf"{colour}([0-9a-f]{{2}})\b", markup)
    return [round(int(alpha, 16) / 255, 2) for alpha in found]


def test_the_table_has_scopes_and_a_caption():
    tree = Tree(matrix(confusion(TRUE, PREDICTED, class_names=["ant", "bee", "cow"])))
    assert len(tree.all("table")) == len(tree.all("caption")) == 1
    scopes = [head.get("scope") for head in tree.all("th")]
    assert scopes.count("row") == 4
    assert scopes.count("col") == 6
    head, *rows, foot = tree.cells
    assert head[1:] == ["ant", "bee", "cow", "recall\u00a0%", "F1\u00a0%", "support"]
    assert rows[0] == ["ant", "5 100.0", "·", "·", "100.0", "90.9", "5"]
    assert rows[1] == ["bee", "1 20.0", "3 60.0", "1 20.0", "60.0", "54.5", "5"]
    assert rows[2] == ["cow", "·", "3 75.0", "1 25.0", "25.0", "33.3", "4"]
    assert foot[:4] == ["precision %", "83.3", "50.0", "50.0"]
    assert foot[4].startswith("accuracy 64.29")


def test_mistakes_are_coloured_up_to_the_worst_and_the_diagonal_is_only_tinted():
    found = confusion(TRUE, PREDICTED, x=np.zeros((14, 5)))
    assert sorted(strengths(matrix(found), ORANGE)) == [0.35, 0.35, 0.75]
    assert strengths(matrix(found), BLUE) == [0.15] * 3
    assert matrix(found).count("km-marked") == 1


def test_the_diagonal_is_included_in_the_colours_on_request():
    found = confusion(TRUE, PREDICTED, diagonal=True)
    assert sorted(strengths(matrix(found), BLUE)) == [0.27, 0.51, 0.75]
    assert max(strengths(matrix(found), ORANGE)) == 0.51


def test_colours_follow_the_logarithm_on_request():
    found = confusion(
        [0] * 111 + [1], [1] * 100 + [0] * 11 + [0], class_names=["a", "b", "c"], scale="log"
    )
    assert strengths(matrix(found), ORANGE) == [0.75, 0.15]


def test_colours_follow_the_normalization():
    true, predicted = [0] * 100 + [1] * 2, [0] * 90 + [1] * 10 + [0, 1]
    assert strengths(matrix(confusion(true, predicted)), ORANGE) == [0.75, 0.21]
    by_row = matrix(confusion(true, predicted, normalize="true"))
    assert strengths(by_row, ORANGE) == [0.27, 0.75]
    assert "percent of its column" in html(confusion(true, predicted, normalize="pred"))


def test_every_cell_contains_all_normalizations():
    true, predicted = [0] * 100 + [1] * 2, [0] * 90 + [1] * 10 + [0, 1]
    found = confusion(true, predicted, normalize="pred")
    assert "<b>10</b> <i data-t=10.0 data-a=9.8>90.9</i>" in matrix(found)
    assert f"style=background:{ORANGE}bf;--t:.27>" in matrix(found)
    radios = {each["value"]: "checked" in each for each in Tree(html(found)).all("input")}
    assert radios == {"counts": False, "true": False, "pred": True, "all": False}


def test_an_undefined_rate_is_a_dash():
    tree = Tree(matrix(confusion([0, 0, 1], [0, 0, 0], class_names=["a", "b", "never"])))
    assert tree.cells[3][-3:] == ["\N{EN DASH}", "0.0", "0"]
    assert tree.cells[-1][2:4] == ["\N{EN DASH}", "\N{EN DASH}"]


def nines():
    """Nine fours taken for nines, ever surer, and three ones."""
    true = np.array([4] * 9 + [1] * 3)
    odds = np.zeros((12, 10))
    odds[np.arange(9), 9] = np.linspace(0.55, 0.95, 9)
    odds[np.arange(9), 4] = 1 - odds[np.arange(9), 9]
    odds[9:, 1] = 1
    x = np.random.default_rng(0).random((12, 28, 28, 1))
    return confusion(true, odds, x=x, name="cnn", unit="test digits")


def test_the_worst_pair_shows_its_images_most_confident_first():
    markup = html(nines())
    slot = markup[markup.index('class="km-samples"') :]
    assert re.findall(r"<span>(0\.\d\d)</span>", slot) == [
        "0.95", "0.90", "0.85", "0.80", "0.75", "0.70",
    ]  # fmt: skip
    picture = Tree(slot).all("img")[0]
    assert picture["src"].startswith("data:image/webp;base64,")
    assert picture["alt"] == "samples 8, 7, 6, 5, 4, 3"
    assert "3 more: .indices(true=4, pred=9)" in slot
    assert "12 test digits · 9 wrong · accuracy 0.2500" in markup


def test_a_cell_opens_without_a_kernel():
    true, predicted = np.random.default_rng(0).integers(0, 3, (2, 90))
    found = confusion(true, predicted, x=np.zeros((90, 8, 8)))
    cell = re.findall(r"<td[^>]*><details.*?</details></td>", matrix(found))[0]
    tags = [tag for tag, _ in Tree(f"<tr>{cell}").tags[1:]]
    assert tags[:3] == ["td", "details", "summary"]
    assert tags.count("img") == 1
    # Not trusted, the style sheet is gone: then it is laid over the table by itself.
    assert "position:absolute" in cell


def test_the_number_of_cells_that_open_is_limited_by_size():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 12, (2, 4000))
    small = html(confusion(true, predicted, x=np.zeros((4000, 28, 28), dtype="uint8")))
    assert small.count("<details class=km-cell") == 23  # and the marked cell
    noise = rng.integers(0, 255, (40, 100, 100, 3), dtype="uint8")
    large = confusion(true, predicted, x=noise[np.arange(4000) % 40])
    opened = html(large).count("<details class=km-cell")
    assert 2 <= opened < 24
    assert len(html(large)) < 600_000


def test_texts_and_rows_are_shown_as_text():
    texts = ["fine", "so <b>so</b>", "\u202ebad"]
    slot = html(confusion([0, 0, 0], [0, 1, 1], x=texts))
    assert "<bdi>so &lt;b&gt;so&lt;/b&gt;</bdi>" in slot
    assert r"<bdi>\u202ebad</bdi>" in slot
    rows = pd.DataFrame({"age": [30, 41, 52], "fare": [7.25, 8.5, 71.2833]})
    assert "<bdi>age 52, fare 71.28</bdi>" in html(confusion([0, 0, 0], [0, 0, 1], x=rows))


def test_the_worst_samples_are_shown_on_request():
    found = nines()
    shown = replace(found, n_top_losses=2)
    markup = html(shown)
    worst = markup[markup.index('class="km-worst"') :]
    assert re.findall(r">(\d as \d, 0\.\d\d)<", worst) == ["4 as 9, 0.95", "4 as 9, 0.90"]
    assert "km-worst" not in html(found)
    assert "sample 8: 4 taken for 9, loss 3.00" in text(shown)


def test_all_metrics_have_intervals():
    found = nines()
    markup, words = html(found), text(found)
    for name, value in found.overall.items():
        low, high = found.intervals().overall[name]
        row = f">{name}</th><td>{value:.4f}</td><td>{low:.4f}</td><td>{high:.4f}</td>"
        headline = f"<small>{name}</small><div>{value:.4f}</div><small>{low:.4f} to {high:.4f}<"
        assert (row in markup) != (headline in markup), name  # once
        assert f"{name} {value:.4f} ({low:.4f} to {high:.4f})" in words
    assert markup.count('<details class="km-fold"') == 3
    assert "Calibration: probabilities are off by" in markup


def test_names_in_plain_text_are_shortened_only_if_there_is_no_room():
    names = ["a class with a rather long name", "another one"]
    assert text(confusion([0, 1], [0, 0], class_names=names)).count(names[0]) == 3
    many = [f"{name}, {k}" for k in range(16) for name in names[:1]]
    shown = text(confusion(np.arange(16), np.arange(16), class_names=many))
    assert "long name, 1 " not in shown
    labels = confusion([[1, 1], [0, 1]], [[1, 1], [0, 0]], class_names=names)
    assert f"\n{names[0]}  " in text(labels)


def test_the_worst_samples_are_in_a_row():
    markup = html(replace(nines(), n_top_losses=9))
    worst = markup[markup.index('class="km-worst"') : markup.index('class="km-metrics"')]
    assert worst.count("<img") == 3
    assert set(re.findall(r"height=(\d+)", worst)) == {"72"}  # one row each, side by side


def test_two_classes_have_curves_and_thresholds():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 200)
    odds = np.clip(0.3 * true + 0.7 * rng.random(200), 0, 1)
    found = confusion(true, odds, class_names=["dog", "cat"], threshold=0.4)
    markup = html(found)
    assert "cat above 0.4" in markup
    for words in (
        f"ROC curve, AUC {found.threshold_curve.auc:.4f}",
        "Average precision",
        "Calibration, error",
    ):
        assert markup.count(words) >= 3  # drawn, said, and once more for the untrusted
    assert len(Tree(markup).all("img")) == 3
    assert "Other thresholds" in markup
    assert "km-curves" not in html(confusion(true, (odds > 0.4).astype(int)))
    logits = html(confusion(true, odds * 8 - 4, threshold=0))
    assert "ROC" in logits
    assert "Other thresholds" not in logits
    assert "Calibration" not in logits


def test_without_probabilities_captions_are_indices():
    x = np.zeros((3, 8, 8), dtype="uint8")
    assert "#2" in html(confusion([0, 0, 0], [0, 0, 1], x=x))


def test_samples_that_are_not_images_are_not_drawn():
    for x in (np.zeros((3, 7)), ["a", "b", "c"], np.zeros((3, 8, 8, 7)), None):
        assert not Tree(html(confusion([0, 0, 0], [0, 0, 1], x=x))).all("img")


def test_a_perfect_model_has_no_confused_pairs():
    found = confusion([0, 1], [0, 1])
    assert "none wrong" in html(found)
    assert "Most confused" not in html(found) + text(found)


@pytest.mark.parametrize("classes", [31, 1000])
def test_of_many_classes_the_worst_are_shown_and_the_others_mentioned(classes):
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, 20 * classes)
    predicted = np.where(rng.random(len(true)) < 0.9, true, (true + 1) % classes)
    predicted[true == 7] = 3
    found = confusion(true, predicted, class_names=range(classes))
    markup = html(found)
    assert len(Tree(matrix(found)).cells) == 17
    assert f"15 classes of the most confused pairs, of {classes:,}" in markup
    whole = Tree(markup).all("img")[0]
    assert whole["alt"].startswith(f"heatmap of all {classes:,} classes")
    assert len(whole["src"]) < 60_000
    assert f"7 taken for 3: {found.matrix[7, 3]} of" in text(found)
    bare = re.sub("<[^>]*>", "", html(found))  # as it reads where no style is
    assert f"7 taken for 3: {found.matrix[7, 3]} of" in bare
    assert len(markup) < 200_000
    inside = re.search(r"([\d,]+) of ([\d,]+) mistakes", text(found))
    assert int(inside[2].replace(",", "")) == found.wrong
    assert 0 < int(inside[1].replace(",", "")) < found.wrong


def test_thirty_classes_are_shown_completely():
    labels = np.arange(30)
    tree = Tree(matrix(confusion(labels, labels)))
    assert len(tree.cells) == 32
    assert "The table shows" not in text(confusion(labels, labels))


@pytest.mark.parametrize("classes", [2, 13, 30, 1000])
def test_without_images_a_card_has_at_most_200_kb(classes):
    """Every cell full, names of sixty signs, weights, and samples in all cells that open."""
    rng = np.random.default_rng(0)
    cells = min(classes, 60) ** 2
    true, predicted = np.divmod(rng.permutation(np.arange(20 * cells)) % cells, min(classes, 60))
    found = confusion(
        true,
        predicted,
        class_names=[f"{k} {'a long name of a class ' * 3}"[:60] for k in range(classes)],
        sample_weight=rng.random(len(true)) * 500,
        x=np.zeros((len(true), 28, 28), dtype="uint8"),
        name="net",
    )
    bare = re.sub(r"base64,[^\"]*", "", html(found))
    assert len(bare.encode()) + len(text(found).encode()) <= 200_000


def test_the_plain_text():
    found = confusion(TRUE, PREDICTED, class_names=["ant", "bee", "cow"], name="cnn")
    assert text(found).splitlines()[:11] == [
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
    assert "<b>1.25</b>" in markup


def test_hostile_names_stay_text():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 6, (2, 80))
    x = rng.random((80, 8, 8))
    found = confusion(true, predicted, class_names=HOSTILE, name=HOSTILE[0], unit="<b>", x=x)
    markup = html(found)
    tree = Tree(markup)
    kinds = {tag for tag, _ in tree.tags}
    assert kinds.isdisjoint({"script", "svg", "iframe", "object", "a", "link"})
    assert not [name for _, attributes in tree.tags for name in attributes if name[:2] == "on"]
    assert all(picture["src"].startswith("data:image/") for picture in tree.all("img"))
    assert markup.count("<style>") == markup.count("</style>") == 2
    assert "\u202e" not in markup + text(found)
    assert len(re.sub(r"base64,[^\"]*", "", markup)) < 90_000
    assert len(text(found)) < 5000
    assert "\u2068\u05e9\u05dc\u05d5\u05dd\u2069" in text(found)
    found.plot()


def test_names_that_are_similar_are_told_apart_and_whole_in_lists():
    names = [f"images_of_the_class_{k:02d}_from_the_second_camera" for k in range(20)]
    true = np.arange(40) % 20
    page = html(confusion(true, np.where(true == 7, 3, true), class_names=names))
    assert len(set(re.findall(r"<bdi title[^>]*>(…[^<]*)</bdi>", page))) == 20
    assert f"<bdi>{names[7]}</bdi> taken for <bdi>{names[3]}</bdi>" in page


def test_chinese_names_and_emoji_are_upright_in_the_vertical_header():
    names = [
        "小さい犬と猫",
        "\N{ELEPHANT} elephantelephantelephant",
        "elephant",
        "\u05d7\u05ea\u05d5\u05dc",
    ]
    page = html(confusion([0, 1, 2, 3], [0, 1, 2, 2], class_names=names))
    upright = re.findall(r'<span class="km-upright"><bdi[^>]*>([^<]*)', page)
    assert [name[0] for name in upright] == ["\N{ELEPHANT}"]
    assert f"<span><bdi>{names[0]}</bdi></span>" in page  # it fits into the lines of a column


def test_columns_of_the_plain_text_are_aligned_for_wide_characters_too():
    names = ["\u732b\u732b\u732b", "e\u0301a"]
    shown = text(confusion([0, 1, 1, 0], [0, 1, 1, 0], class_names=names))
    assert len(set(map(text_width, shown.splitlines()[2:5]))) == 1
