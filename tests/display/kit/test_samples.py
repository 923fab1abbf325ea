"""The small parts of the cards: samples, heatmaps, charts of shares, tones."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from kmagic.display.confusion.matrix_image import draw_cells, heatmap_html, pool_strongest
from kmagic.display.confusion.metrics_table import RateChart, rate_chart_svg, rate_charts_html
from kmagic.display.kit.samples import collect_samples, encode_samples, sample_to_text, samples_html
from kmagic.support.colour_scale import colour_values, difference_values


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([" a\nb "], "a b"),
        ([b"caf\xc3\xa9"], "café"),
        (np.array(["a <b>"]), "a <b>"),
        (pd.Series(["later"], index=[7]), "later"),
        (pd.DataFrame({"age": [41], "name": ["x"]}), "age 41, name x"),
        (np.array([[1.5, 2, 1 / 3]]), "1.5, 2, 0.3333"),
        (np.arange(20)[None], "0, 1, 2, 3, 4, 5, 6, 7 ..."),
        (np.zeros((1, 3, 4, 7)), "array of shape (3, 4, 7)"),
        (np.array([2.5]), "2.5"),
        (["w" * 500], "w" * 79 + "…" + "w" * 80),
        (["\u05d0"], "\u2068\u05d0\u2069"),
    ],
)
def test_samples_that_are_not_images_as_text(x, said):
    assert sample_to_text(x, 0) == said


def test_values_and_words_are_not_cut():
    row = np.array([[1.554, -0.4836, 1.028, 0.2355, 1.11, 2.2]])
    assert sample_to_text(row, 0, 24) == "1.554, -0.4836, 1.028 ..."
    assert sample_to_text(row, 0, 3) == "1…4 ..."  # one value that is too long
    frame = pd.DataFrame({"sepal length": [5.1], "sepal width": [3.5]})
    assert sample_to_text(frame, 0, 20) == "sepal length 5.1 ..."
    said = sample_to_text(["it was [UNK] and so [UNK] that we left"], 0, 22)
    assert set("[]").isdisjoint(said.replace("[UNK]", ""))
    assert "…" in said


def test_images_of_every_shape_are_encoded():
    grey = np.zeros((2, 9, 7), dtype="uint8")
    for x in (
        grey,
        grey[..., None],
        np.zeros((2, 9, 7, 3), dtype="float32"),
        list(grey),
        [Image.new("RGB", (7, 9)), Image.new("RGB", (7, 9))],
    ):
        packed = encode_samples(collect_samples(x, [1], ["0.9"], ["cat"]))
        assert Image.open(io.BytesIO(packed[0].data)).size == (7, 9)
        assert (packed[0].width, packed[0].height, packed[0].pixelated) == (44, 56, True)
    assert encode_samples(collect_samples(["a", "b"], [0, 1], ["", ""], ["", ""])) == [None, None]


def test_texts_are_a_list_and_images_are_thumbnails():
    assert samples_html(collect_samples(["<i>"], [0], ["0.50"], ["x"])).startswith("<ul")
    assert "#1,234 · 0.50" in samples_html(collect_samples(["a"] * 1235, [1234], ["0.50"], ["x"]))
    assert "#3</span>" in samples_html(collect_samples(None, [3], ["#3"], ["x"]))
    assert 'alt="sample 0"' in samples_html(
        collect_samples(np.zeros((1, 8, 8)), [0], ["0.50"], ["x"])
    )


# --- heatmaps -------------------------------------------------------------------------------------


@given(
    st.integers(1, 40).flatmap(
        lambda k: arrays(np.float64, (k, k), elements=st.sampled_from([0.0, 0.2, -0.3, 0.75]))
    ),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_no_cell_is_lost_when_a_matrix_is_reduced(values, most):
    small = pool_strongest(values, most)
    assert len(small) <= max(most, 1)
    assert np.abs(small).max() == np.abs(values).max()
    assert (small.any(axis=1).sum() > 0) == values.any()


def drawn_pixels(markup):
    data = re.search(r"base64,([^\"]*)", markup)[1]
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    return np.asarray(picture), data


def test_a_single_mistake_among_a_million_cells_is_a_dot():
    values = np.zeros((1000, 1000))
    values[700, 3] = 0.75
    pixels, data = drawn_pixels(heatmap_html(values, "all"))
    assert pixels.shape == (360, 360, 4)
    rows, columns = np.nonzero(pixels[..., 3])  # enlarged, so that it can be seen
    assert set(zip(rows, columns, strict=True)) == {
        (r, c) for r in range(250, 256) for c in range(5)
    }
    row, column = 252, 1
    assert pixels[row, column, 3] == 255
    assert pixels[row, column, 0] > pixels[row, column, 2]
    assert len(data) < 2000


@pytest.mark.parametrize("classes", [31, 100, 300, 1000])
def test_every_cell_of_a_heatmap_is_visible(classes):
    values = -0.15 * np.eye(classes)
    values[0, -1] = 0.75
    values[-1, 0] = 0.15
    pixels, _ = drawn_pixels(heatmap_html(values, "all"))
    opacity = pixels[..., 3][pixels[..., 3] > 0] / 255
    for background in (np.full(3, 255), np.full(3, 17)):
        for colour in np.unique(pixels[pixels[..., 3] > 0], axis=0):
            # A dark theme makes the image brighter (confusion/large_matrix.css).
            own = colour[:3] * (1.45 if background[0] < 128 else 1)
            alpha = colour[3] / 255
            assert contrast(own.clip(0, 255) * alpha + background * (1 - alpha), background) >= 3
    assert opacity.min() < opacity.max()
    smallest = max(len(pixels) // classes, 6)
    for corner in (pixels[:12, -12:], pixels[-12:, :12]):
        orange = (corner[..., 3] > 0) & (corner[..., 0] > corner[..., 2])
        assert orange.sum() >= (smallest // 2) ** 2


def contrast(one, other):
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    share = np.asarray(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("classes", [31, 100, 300, 1000])
def test_the_direction_of_a_difference_is_visible_without_colours(classes):
    values = np.zeros((classes, classes))
    better, worse = (classes // 4, classes // 2), (classes // 2, classes // 4)
    values[better], values[worse] = -0.4, 0.4
    pixels, _ = drawn_pixels(heatmap_html(values, "all", is_difference=True))
    filled = pixels[..., 3] > 0
    half = len(filled) // 8 * 3
    for part, is_wide in ((filled[:half], True), (filled[half:], False)):
        rows, columns = (np.ptp(each) + 1 for each in np.nonzero(part))
        assert (columns > 2 * rows) if is_wide else (rows > 2 * columns)


def test_a_mistake_covers_correct_predictions_and_weaker_mistakes():
    values = -0.75 * np.eye(360)
    values[100, 101], values[101, 103] = 0.2, 0.6
    drawn = draw_cells(values)
    assert drawn[100, 100] == 0.2
    assert drawn[100, 101] == drawn[101, 103] == 0.6
    assert (drawn < 0).sum() > 300


# --- tones ----------------------------------------------------------------------------------------


def test_colour_values():
    counts = np.array([[900, 1, 0], [10, 800, 100], [0, 0, 0]])
    assert colour_values(counts).round(3).tolist() == [
        [-0.15, 0.156, 0], [0.21, -0.15, 0.75], [0, 0, 0],
    ]  # fmt: skip
    assert colour_values(counts, log=True).round(3).tolist() == [
        [-0.15, 0.15, 0], [0.45, -0.15, 0.75], [0, 0, 0],
    ]  # fmt: skip
    assert colour_values(counts, diagonal=True)[0, 0] == -0.75
    assert colour_values(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert difference_values(np.array([[6, -4], [2, -30]])).round(2).tolist() == [
        [-0.75, -0.75], [0.45, 0.75],
    ]  # fmt: skip
    assert difference_values(np.diag([2, 0])).tolist() == [[-0.75, 0], [0, 0]]


# --- charts of shares -----------------------------------------------------------------------------


def test_a_rate_chart_is_drawn_twice_and_described():
    chart = RateChart("ROC <b>", "false", "found", [(0, 0), (0.2, 0.9), (1, 1)], mark=(0.2, 0.9))
    drawn = rate_chart_svg(chart)
    assert "ROC &lt;b&gt;" in drawn
    assert 'aria-label="ROC &lt;b&gt;: found against false; at the threshold 0.900' in drawn
    points = re.search(r'points="([^"]*)"', drawn)[1].split()
    assert points == ["34.0,172.0", "68.0,37.0", "204.0,22.0"]
    assert re.search(r'class="km-threshold" cx="68.0" cy="37.0"', drawn)
    both = rate_charts_html([chart])
    assert both.count("<img") == 1
    assert both.count("<svg") == 1


def test_undefined_points_are_left_out():
    drawn = rate_chart_svg(RateChart("x", "a", "b", [(0, np.nan), (0.5, 0.5)], mark=(np.nan, 1)))
    assert re.search(r'points="([^"]*)"', drawn)[1] == "119.0,97.0"
    assert 'class="km-threshold"' not in drawn
