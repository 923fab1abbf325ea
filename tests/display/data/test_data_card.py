from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kmagic.data import Dataset, SampleDataWarning, load_data
from kmagic.display.data.data_card import MAX_CLASSES, MAX_EXAMPLES, dataset_bundle

pytestmark = pytest.mark.usefixtures("keras_home")


class Reader(HTMLParser):
    """Rows of a card's table, its pictures, and the words outside the style."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.pictures: list[dict[str, str | None]] = []
        self.labels: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(found)
            return
        self.open.append(tag)
        self.labels.append(found.get("aria-label") or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words += data
        if self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture
def digits() -> Dataset:
    with pytest.warns(SampleDataWarning):
        return load_data("mnist", scale=255, channel=True)


def photos(rows: int = 40, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8)
    y = np.arange(rows) % len(classes)
    return Dataset("pets", x, y, x[:4], y[:4], classes, image_shape=(32, 32, 3))


def decoded(picture: dict[str, str | None]) -> Image.Image:
    address = picture["src"] or ""
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_the_plain_text_is_the_repr(digits: Dataset) -> None:
    made = dataset_bundle(digits)
    assert set(made) == {"text/plain", "text/html"}
    assert made["text/plain"] == repr(digits)


def test_one_row_per_class_with_its_counts(digits: Dataset) -> None:
    card = Reader(dataset_bundle(digits)["text/html"])
    assert card.rows[0] == ["class", "samples", "train", "test"]
    assert [row[0] for row in card.rows[1:]] == list("0123456789")
    assert sum(int(row[2]) for row in card.rows[1:]) == 5_000
    assert sum(int(row[3]) for row in card.rows[1:]) == 1_000
    assert card.rows[2][2:] == ["562", "114"]


def test_head_preparation_and_note(digits: Dataset) -> None:
    words = Reader(dataset_bundle(digits)["text/html"]).words
    assert "mnist handwritten digits · 5,000 training · 1,000 test samples" in words
    assert "x: 28 x 28 x 1 float32, 0 to 1, divided by 255 · y: labels of 10 classes" in words
    assert digits.note in words


def test_drawings_of_each_class_are_ink_on_paper(digits: Dataset) -> None:
    card = Reader(dataset_bundle(digits)["text/html"])
    assert len(card.pictures) == 10 * MAX_EXAMPLES
    third = np.flatnonzero(digits.y_train == 3)
    raw = digits.images(digits.x_train[third[:1]])
    assert raw is not None
    shown = np.asarray(decoded(card.pictures[3 * MAX_EXAMPLES]))
    np.testing.assert_array_equal(shown, 255 - raw[0])
    assert f"{MAX_EXAMPLES} training images of 3" in card.labels


def test_flattened_images_are_displayed_alike(digits: Dataset) -> None:
    with pytest.warns(SampleDataWarning):
        flat = load_data("mnist", flatten=True, scale="standard", onehot=True)
    pictures = [Reader(dataset_bundle(data)["text/html"]).pictures for data in (digits, flat)]
    assert pictures[0] == pictures[1]
    assert "one-hot rows of 10 classes, float32" in dataset_bundle(flat)["text/html"]


def test_colour_images_are_small_files(digits: Dataset) -> None:
    card = Reader(dataset_bundle(photos())["text/html"])
    assert decoded(card.pictures[0]).size == (32, 32)
    assert (card.pictures[0]["src"] or "").startswith("data:image/jpeg")
    assert len(dataset_bundle(digits)["text/html"]) < 70_000


def test_large_images_are_shrunk_and_grey_photos_are_not_inverted() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(8) % 2
    large = rng.integers(0, 256, (8, 300, 400, 3), dtype=np.uint8)
    card = dataset_bundle(load_data((large, y), split=0.5))["text/html"]
    assert decoded(Reader(card).pictures[0]).size == (85, 64)
    assert len(card) < 60_000
    grey = rng.integers(100, 256, (8, 20, 20), dtype=np.uint8)
    data = load_data((grey, y), split=0.5)
    shown = Reader(dataset_bundle(data)["text/html"]).pictures[0]
    np.testing.assert_array_equal(decoded(shown), data.x_train[data.y_train == 0][0])
    clear = rng.integers(0, 256, (8, 20, 20, 4), dtype=np.uint8)
    shown = Reader(dataset_bundle(load_data((clear, y), split=0.5))["text/html"]).pictures[0]
    assert decoded(shown).mode == "RGBA"


def test_a_table_shows_raw_values_by_column() -> None:
    houses = load_data("boston_housing", scale="standard")
    card = Reader(dataset_bundle(houses)["text/html"])
    raw = load_data("boston_housing").x_train
    assert [row[0] for row in card.rows[1:15]] == ["y", *(houses.columns or ())]
    rooms = card.rows[7]
    assert rooms[0] == "RM"
    assert [float(each) for each in rooms[2:]] == pytest.approx(
        [raw[:, 5].min(), np.median(raw[:, 5]), raw[:, 5].max()], rel=1e-3
    )
    assert (card.pictures[6]["alt"] or "").startswith("RM: most often ")
    assert 'Column "B"' in card.words


@pytest.mark.parametrize(("unit", "bars"), [(1, [18, 9, 0, 1]), (0.5, [18, *[0] * 7, 9])])
def test_a_histogram_is_as_high_as_its_counts(unit: float, bars: list[int]) -> None:
    """Few integers have a bar each."""
    x = unit * np.repeat([0.0, 1.0, 3.0], [90, 45, 1])[:, np.newaxis]
    card = Reader(dataset_bundle(Dataset("few", x, x[:, 0], x, x[:, 0]))["text/html"])
    columns = (np.asarray(decoded(card.pictures[1]))[..., 3] > 0).sum(axis=0)
    heights = columns[::6]
    assert heights[: len(bars)].tolist() == bars
    assert heights[-1] == 1
    assert (heights > 0).sum() == 3


def test_many_classes_are_cut_to_the_largest() -> None:
    names = tuple(f"kind {each}" for each in range(46))
    y = np.repeat(np.arange(46), np.arange(1, 47))
    x = np.empty(len(y), dtype=object)
    x[:] = [[1, 2]] * len(y)
    card = Reader(dataset_bundle(Dataset("wires", x, y, x[:9], y[:9], names))["text/html"])
    assert [row[0] for row in card.rows[1:]] == [f"kind {45 - n}" for n in range(MAX_CLASSES)]
    assert "and 34 more classes with 1 to 34 training samples each" in card.words
    assert card.pictures == []


def test_names_are_escaped() -> None:
    evil = photos(classes=("<b>cat</b>", '"><script>alert(1)</script>'))
    markup = dataset_bundle(evil)["text/html"]
    assert "<script" not in markup
    assert "<b>cat" not in markup
    assert "<b>cat</b>" in Reader(markup).words


def test_the_card_contains_neither_svg_nor_scripts(digits: Dataset) -> None:
    markup = dataset_bundle(digits)["text/html"]
    assert "<svg" not in markup
    assert not re.search(r'\son\w+="', markup)
    assert all((each["src"] or "").startswith("data:") for each in Reader(markup).pictures)


def test_an_empty_class_is_shown_as_empty() -> None:
    empty = photos(classes=("cat", "dog"))
    with_fish = Dataset(
        "pets",
        empty.x_train,
        empty.y_train,
        empty.x_test,
        empty.y_test,
        ("cat", "dog", "fish"),
        image_shape=(32, 32, 3),
    )
    assert Reader(dataset_bundle(with_fish)["text/html"]).rows[3] == ["fish", "", "0", "0"]


# --- tables and texts -----------------------------------------------------------------------------


@pytest.fixture
def houses() -> pd.DataFrame:
    towns = ["Ulm"] * 20 + ["Bonn"] * 10 + ["Kiel"] * 8 + ["<b>Rom</b>"] * 2
    size = np.arange(40.0)
    return pd.DataFrame(
        {"size": size, "town": towns, "price": 1000.5 + 3 * size, "sold": size > 19}
    )


def test_categories_are_listed_with_their_proportions(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="price", scale="standard", drop="sold")
    made = dataset_bundle(data)["text/html"]
    card = Reader(made)
    assert [row[0] for row in card.rows[:4]] == ["column", "price", "size", "town"]
    assert re.fullmatch(r"Ulm \d+%, Bonn \d+%, Kiel \d+%, 1 more", card.rows[3][1])
    assert "The model sees (value - mean) / standard deviation." in card.words
    assert "<b>Rom" not in made


def test_the_first_rows_are_raw_and_one_is_prepared(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="price", scale="standard", drop="sold")
    card = Reader(dataset_bundle(data)["text/html"])
    head, *rows, seen = card.rows[4:]
    assert head == ["price", "size", "town"]
    for row, y in zip(rows, data.y_train, strict=False):
        size = float(row[1])
        assert row[2] == houses["town"][round(size)]
        assert float(row[0].replace(",", "")) == pytest.approx(1000.5 + 3 * size, abs=0.5)
        assert y == pytest.approx(1000.5 + 3 * size)
    assert float(seen[1]) == pytest.approx(float(data.x_train[0, 0]), rel=1e-3)
    assert seen[2] == "4 numbers"


def test_a_table_of_classes_shows_both_classes_and_columns(houses: pd.DataFrame) -> None:
    data = load_data(houses, target="sold", drop="price,town")
    card = Reader(dataset_bundle(data)["text/html"])
    assert [row[0] for row in card.rows[:5]] == ["class", "False", "True", "column", "size"]
    assert card.rows[5] == ["sold", "size"]
    assert {row[0] for row in card.rows[6:9]} <= {"False", "True"}


def test_a_wide_table_is_cut(houses: pd.DataFrame) -> None:
    wide = np.random.default_rng(0).random((30, 100))
    card = Reader(dataset_bundle(load_data((wide, wide[:, 0])))["text/html"])
    assert [row[0] for row in card.rows[1:10]] == ["y", *(f"column {each}" for each in range(8))]
    assert "And 92 more columns." in card.words
    assert (card.rows[10][0], card.rows[10][-1]) == ("y", "...")


def test_values_that_are_missing_do_not_break_the_card() -> None:
    x = np.array([[1.0, np.nan], [np.inf, np.nan], [3.0, np.nan]])
    card = Reader(dataset_bundle(Dataset("few", x, x[:, 0], x, x[:, 0]))["text/html"])
    assert card.rows[2][2:] == ["1", "2", "3"]
    assert card.rows[3] == ["column 1", "", "", "", ""]


def test_a_class_of_texts_shows_one_of_them() -> None:
    said = {"good": "A great <i>film</i>, " + "very " * 60 + "good", "bad": "A boring film"}
    frame = pd.DataFrame({"text": [*said.values()] * 10, "label": [*said] * 10})
    card = Reader(dataset_bundle(load_data(frame))["text/html"])
    assert card.rows[1][:2] == ["bad", "A boring film"]
    assert card.rows[2][1].startswith("A great <i>film</i>, very very")
    assert card.rows[2][1].endswith("very ...")
    numbered = Reader(dataset_bundle(load_data(frame, num_words=20, maxlen=9))["text/html"])
    assert numbered.rows[1][1] == "a boring film"


def test_series_and_several_targets() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5, 3))
    card = Reader(dataset_bundle(load_data((x, x[:, 0, :2])))["text/html"])
    assert [row[0] for row in card.rows] == ["values", "x", "y 0", "y 1"]
    flat = Reader(dataset_bundle(load_data((x[:, 0], x[:, 1, :2])))["text/html"])
    assert [row[0] for row in flat.rows] == [
        "column",
        "y 0",
        "y 1",
        *(f"column {n}" for n in range(3)),
        "y 0",  # the first rows
        *(flat.rows[-3 + n][0] for n in range(3)),
    ]
    assert flat.rows[-4][:3] == ["y 0", "y 1", "column 0"]
    assert [float(row[0]) for row in flat.rows[-3:]] == pytest.approx(x[:3, 1, 0], abs=1e3)


def test_images_with_a_number_to_predict() -> None:
    x = photos().x_train
    card = Reader(dataset_bundle(load_data((x, np.linspace(0, 1.5, len(x)))))["text/html"])
    assert len(card.pictures) == MAX_EXAMPLES + 1
    assert [row[0] for row in card.rows] == ["values", "y"]


def test_labels_show_their_size_and_what_occurs_together() -> None:
    y = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]] * 8)
    x = np.random.default_rng(0).random((40, 2))
    data = load_data((x, y), class_names=["sun, sea", "ים", "<b>"])
    bundle = dataset_bundle(data)
    card = Reader(bundle["text/html"])
    assert card.rows[0] == ["label", "samples", "train", "test"]
    counts = data.y_train.sum(axis=0).astype(int).tolist()
    assert [row[0] for row in card.rows[1:4]] == ["sun, sea", "ים", "<b>"]
    assert [int(row[2]) for row in card.rows[1:4]] == counts
    together = int((data.y_train[:, 0] * data.y_train[:, 1]).sum())
    lift = together * len(data.y_train) / (counts[0] * counts[1])
    (pair,) = [row for row in card.rows if "+" in row[0]]
    assert (pair[2], float(pair[3])) == (f"{together}", pytest.approx(lift, rel=1e-3))
    assert "Labels per training sample: 0 in " in card.words
    assert "rows of 0 and 1 of 3 labels" in card.words
    names = [data.classes[k] for k in np.flatnonzero(data.y_train[0])]  # type: ignore[index]
    first = card.rows[-3][0].translate(dict.fromkeys((0x2068, 0x2069)))
    assert first == (", ".join(names) or "none")
    assert "labels per sample" in bundle["text/plain"]


def test_a_thousand_labels_are_few_rows() -> None:
    y = (np.random.default_rng(0).random((300, 1000)) < 0.01).astype(int)
    card = Reader(dataset_bundle(load_data((np.zeros((300, 1)), y)))["text/html"])
    assert len(card.rows) < 40
    assert "988 more labels" in card.words


def test_images_of_several_labels_make_a_card_of_half_the_size_of_classes():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 32, 32, 3)).astype("uint8")
    classes = load_data((images, np.arange(200) % 10))
    labels = load_data((images, rng.integers(0, 2, (200, 10))))
    sizes = [len(data._repr_mimebundle_()["text/html"]) for data in (labels, classes)]
    assert sizes[0] < 0.6 * sizes[1]
