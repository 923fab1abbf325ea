from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from kmagic.display.kit.samples import PixelRange, are_images, encode_image, pixel_range
from kmagic.display.prediction import classification_card
from kmagic.display.prediction.classification_card import overlay_heatmap
from kmagic.evaluation.classification.classification import (
    ClassProbability,
    ImagePrediction,
    TrueClass,
)
from kmagic.evaluation.classification.classify import Classification, classify
from kmagic.evaluation.classification.explain import Explanation

from ...cards import html, text


def guesses(*pairs):
    return tuple(ClassProbability(label, share) for label, share in pairs)


def shown(*pictures, **keywords):
    return Classification(pictures, 3, "cnn", **keywords)


def opened(markup):
    data = re.search(r"base64,([\w+/=]+)", markup)[1]
    return Image.open(io.BytesIO(base64.b64decode(data)))


RIGHT = ImagePrediction("0", guesses(("7", 0.9), ("2", 0.1)), TrueClass("7", 0.9, 1))
WRONG = ImagePrediction("1", guesses(("2", 0.586), ("4", 0.348)), TrueClass("4", 0.348, 2))
FAR = ImagePrediction("2", guesses(("2", 0.6), ("1", 0.3)), TrueClass("9", 0.012, 5))


def test_right_and_wrong_are_marked_by_sign_and_word():
    markup = html(shown(RIGHT, WRONG, FAR))
    assert re.findall(r">(✓ right)<", markup) == ["✓ right"]
    assert re.findall(r"✗ actually <bdi>(\d)</bdi>", markup) == ["4", "9"]
    assert "(5th, 1.2\u00a0%)" in markup
    assert "3 images, top 3 · 2 wrong" in markup


def test_the_bar_of_the_true_class_is_blue_at_any_rank():
    bars = re.findall(r"width:([\d.]+)%;background-color:(#\w+)", html(shown(RIGHT, WRONG)))
    blue, grey = "#0072b2", "#7d8590"
    assert bars == [("90.0", blue), ("10.0", grey), ("58.6", grey), ("34.8", blue)]
    unknown = ImagePrediction("0", guesses(("7", 0.9), ("2", 0.1)))
    assert grey not in re.findall(r"background-color:(#\w+)", html(shown(unknown)))


def test_the_card_as_text():
    assert text(shown(RIGHT, WRONG, note_text="As they are.")).splitlines() == [
        "cnn: 2 images, top 3 · 1 wrong",
        "0: 7 90.0%, 2 10.0% (right)",
        "1: 2 58.6%, 4 34.8% (wrong, actually 4)",
        "As they are.",
    ]


def test_many_images_are_on_pages_with_confident_mistakes_first(monkeypatch):
    wrong = replace(WRONG, name="unsure")
    sure = replace(WRONG, name="sure", top_classes=guesses(("2", 0.99), ("4", 0.01)))
    result = shown(*[RIGHT] * 98, wrong, sure)
    markup = html(result)
    assert markup.count("✓ right") == 98
    pages = ["25 to 48", "49 to 72", "73 to 96", "97 to 100"]
    assert re.findall(r"<summary[^>]*>([^<]*)<", markup) == pages
    assert markup.index("sure") < markup.index("unsure") < markup.index("✓ right")
    lines = text(result).splitlines()
    assert [line.partition(":")[0] for line in lines[1:3]] == ["sure", "unsure"]
    assert sum("(right)" in line for line in lines) == 22
    assert "Mistakes come first" in markup
    assert "more images" not in markup
    assert "<summary" not in html(shown(*[RIGHT] * 24))
    monkeypatch.setattr(classification_card, "MAX_PAGES_SIZE", 30_000)
    assert "52 more images: .mistakes() has the mistakes, .to_frame() has all." in html(result)
    assert "52 more images: [48:] shows the next" in html(shown(*[RIGHT] * 100))


def test_an_unreadable_file_is_reported():
    markup = html(shown(RIGHT, ImagePrediction("a/b.png", error="There is no file a/b.png.")))
    assert "✗ not read" in markup
    assert "There is no file a/b.png." in markup


EVIL = (
    "<script>alert('1')</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><b>bold</b>',
    "\u202ecat\u2066\n\x00",
    "\u05d0\u05d1",
    "x" * 10_000,
)


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_names_stay_text(evil):
    looked = Explanation(evil, np.eye(7, dtype="float32"), evil)
    thumb = np.zeros((9, 9), "uint8")
    top_classes = guesses((evil, 0.5), ("b", 0.5))
    picture = ImagePrediction(
        f"dir/{evil}.png", top_classes, TrueClass("b", 0.5, 2), thumb, explanation=looked
    )
    broken = ImagePrediction(evil, error=evil)
    result = Classification((picture,) * 2 + (broken,), 2, evil, evil[:50], f"{evil}, by {evil}")
    markup = html(result)
    Tags().check(markup)
    body = re.sub(r"<style>.*?</style>", "", markup, flags=re.DOTALL)
    assert "\u202e" not in body
    assert "\u2066" not in body
    assert len(markup) < 60_000
    assert len(text(result).splitlines()) == 6


class Tags(HTMLParser):
    """Fails for any element or attribute that is not ours."""

    ours: ClassVar = {
        "style", "div", "span", "b", "bdi", "img", "table", "tbody", "tr", "th", "td",
    }  # fmt: skip

    def handle_starttag(self, tag, attrs):
        assert tag in self.ours
        for name, value in attrs:
            assert name in {
                "style", "class", "role", "aria-label", "aria-hidden", "title", "scope", "src",
                "alt", "width", "height",
            }, name  # fmt: skip
            if name == "src":
                assert value.startswith("data:image/")

    def check(self, markup):
        self.feed(markup)
        self.close()


def test_a_screen_reader_finds_a_list_of_tables():
    result = shown(RIGHT, ImagePrediction("a/cat.jpg", guesses(("cat", 0.9))))
    markup = html(result)
    assert markup.count('role="list"') == 1
    assert markup.count('role="listitem"') == 2
    assert 'aria-label="image 0"' in markup
    assert 'aria-label="cat.jpg"' in markup
    assert markup.count('<th scope="row"') == 3


def test_an_explanation_is_shown_as_image_and_text():
    heat = np.zeros((7, 7), "float32")
    heat[:2, :2] = 1
    picture = ImagePrediction(
        "0", guesses(("cat", 0.9)), None, np.full((90, 120, 3), 128, "uint8"),
        explanation=Explanation("cat", heat, "the map"),
    )  # fmt: skip
    result = shown(picture, legend="the best class, by the map (Grad-CAM)")
    markup = html(result)
    assert markup.count("<img ") == 2
    assert (
        'alt="for &quot;cat&quot; the model looks mainly at the top left (8 % of the image)"'
        in markup
    )
    assert "support the best class, by the map (Grad-CAM)" in markup
    assert "support the best class, by the map (Grad-CAM)" in text(result)
    assert 'for "cat" the model looks mainly at the top left' in text(result)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (90, 120, 3), (120, 90, 4), (30, 300)])
def test_the_overlay_is_orange_where_it_is_hot(shape):
    heat = np.zeros((6, 6), "float32")
    heat[:2, :2] = 1
    drawn = overlay_heatmap(np.full(shape, 0.5), heat, PixelRange(0, 1, inverted=False)).astype(int)
    high, wide = drawn.shape[:2]
    assert max(high, wide) == 168
    assert high / wide == pytest.approx(shape[0] / shape[1], rel=0.2)
    hot, cold = drawn[0, 0], drawn[-1, -1]
    assert hot[0] > hot[2] + 100
    assert cold[0] == cold[1] == cold[2]
    edge = (drawn == 20).all(axis=-1)
    assert edge.any(), "a line tells the place without colours"
    assert not edge[high // 2 :].any()


def test_an_empty_heatmap_tints_nothing():
    drawn = overlay_heatmap(
        np.full((28, 28), 0.5), np.zeros((3, 3)), PixelRange(0, 1, inverted=False)
    )
    assert (drawn == drawn[0, 0]).all()


def test_few_photos_are_larger_and_all_fit_into_a_narrow_page():
    photo = ImagePrediction(
        "a.jpg", guesses(("a_long_name", 0.9)), None, np.zeros((100, 200, 3), "uint8")
    )
    assert 'width="120"' in html(shown(photo))
    assert 'width="84"' in html(shown(*[photo] * 5))
    assert "minmax(min(321px, 100%), 1fr)" in html(shown(photo))


def test_images_are_embedded_in_the_card():
    class Model:
        def predict_on_batch(self, x):
            return np.tile([0.9, 0.1], (len(x), 1))

    digits = np.zeros((2, 28, 28), "float32")
    digits[:, 10:18, 10:18] = 0.5
    markup = html(classify(digits, Model()))
    assert markup.count("<img ") == 2
    assert 'width="84" height="84"' in markup
    pixels = np.asarray(opened(markup))
    assert pixels.shape == (28, 28)
    assert (pixels[0, 0], pixels[14, 14]) == (255, 128)


@pytest.mark.parametrize(
    ("pictures", "look"),
    [
        ([np.zeros((9, 9), "uint8")], PixelRange(0, 255, True)),
        ([np.full((9, 9), 0.5)], PixelRange(0, 1, True)),
        ([np.array([[0.0, 0.0], [0.0, 1.0]])], PixelRange(0, 1, True)),
        ([np.array([[0.1, 0.2], [0.3, 1.0]])], PixelRange(0, 1, False)),
        ([np.array([[0.0, 30.0], [20.0, 250.0]])], PixelRange(0, 255, False)),
        ([np.array([[-1.0, 0.2], [0.3, 1.0]])], PixelRange(-1, 1, False)),
        ([np.array([[-2.0, 0.2], [0.3, 3.0]])], PixelRange(-2, 3, False)),
        ([np.array([[-0.4, -0.4], [-0.4, 2.8]])], PixelRange(-0.4, 2.8, True)),
        ([np.zeros((9, 9, 3))], PixelRange(0, 1, False)),
        ([np.zeros((99, 99))], PixelRange(0, 1, False)),
    ],
)
def test_values_of_any_range_become_visible(pictures, look):
    assert pixel_range(pictures) == look


@pytest.mark.parametrize(
    ("shape", "size", "kind", "mode"),
    [
        ((28, 28), (28, 28), "PNG", "L"),
        ((32, 32, 3), (32, 32), "PNG", "RGB"),
        ((64, 16, 1), (16, 64), "PNG", "L"),
        ((300, 200, 3), (112, 168), "JPEG", "RGB"),
        ((150, 150, 4), (150, 150), "PNG", "RGBA"),
    ],
)
def test_thumbnails_keep_their_proportions(shape, size, kind, mode):
    markup = encode_image(np.zeros(shape), PixelRange(0, 1, False), box=84).to_html('a "picture"')
    picture = opened(markup)
    assert (picture.size, picture.format, picture.mode) == (size, kind, mode)
    assert 'alt="a &quot;picture&quot;"' in markup
    width, height = (
        int(side) for side in re.search(r'width="(\d+)" height="(\d+)"', markup).groups()
    )
    assert max(width, height) == 84
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)


def test_images_are_distinguished_from_rows_and_texts():
    assert are_images(np.zeros((2, 28, 28)))
    assert are_images(np.zeros((2, 28, 28, 3)))
    assert not are_images(np.zeros((2, 784)))
    assert not are_images(np.zeros((2, 28, 28, 7)))
    assert not are_images(["a", "b"])
