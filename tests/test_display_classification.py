from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from kmagic.display.thumbnail import Look, are_pictures, look_of, thumbnail
from kmagic.evaluation.classify import Classification, classify
from kmagic.evaluation.verdicts import Guess, Picture, Truth


def html(found):
    return found._repr_mimebundle_()["text/html"]


def text(found):
    return found._repr_mimebundle_()["text/plain"]


def guesses(*pairs):
    return tuple(Guess(label, share) for label, share in pairs)


def shown(*pictures, **keywords):
    return Classification(pictures, 3, "cnn", **keywords)


def opened(markup):
    data = re.search(r"base64,([\w+/=]+)", markup)[1]
    return Image.open(io.BytesIO(base64.b64decode(data)))


RIGHT = Picture("0", guesses(("7", 0.9), ("2", 0.1)), Truth("7", 0.9, 1))
WRONG = Picture("1", guesses(("2", 0.586), ("4", 0.348)), Truth("4", 0.348, 2))
FAR = Picture("2", guesses(("2", 0.6), ("1", 0.3)), Truth("9", 0.012, 5))


def test_right_and_wrong_are_told_by_sign_and_word():
    markup = html(shown(RIGHT, WRONG, FAR))
    assert re.findall(r">(✓ right)<", markup) == ["✓ right"]
    assert re.findall(r"✗ it is <bdi>(\d)</bdi>", markup) == ["4", "9"]
    assert "place 5, 1.2" in markup
    assert "3 pictures, top 3 · 2 wrong" in markup


def test_the_true_classes_bar_is_blue_wherever_it_stands():
    bars = re.findall(r"width:([\d.]+)%;background-color:(#\w+)", html(shown(RIGHT, WRONG)))
    blue, grey = "#0072b2", "#7d8590"
    assert bars == [("90.0", blue), ("10.0", grey), ("58.6", grey), ("34.8", blue)]
    unknown = Picture("0", guesses(("7", 0.9), ("2", 0.1)))
    assert grey not in re.findall(r"background-color:(#\w+)", html(shown(unknown)))


def test_the_same_in_plain_words():
    assert text(shown(RIGHT, WRONG, note="As they are.")).splitlines() == [
        "cnn: 2 pictures, top 3 · 1 wrong",
        "0: 7 90.0%, 2 10.0% (right)",
        "1: 2 58.6%, 4 34.8% (wrong, it is 4)",
        "As they are.",
    ]


def test_of_many_pictures_the_first_are_shown_and_the_rest_is_said():
    found = shown(*[RIGHT] * 1024)
    assert html(found).count("✓ right") == 24
    assert text(found).count("(right)") == 24
    assert "1,000 more pictures: .to_frame() holds all." in html(found)
    assert "1,000 more pictures: .to_frame() holds all." in text(found)
    assert "more pictures" not in html(shown(*[RIGHT] * 24)) + text(shown(*[RIGHT] * 24))


def test_a_file_that_was_not_read_is_said_in_its_place():
    markup = html(shown(RIGHT, Picture("a/b.png", error="There is no file a/b.png.")))
    assert "✗ not read" in markup
    assert "There is no file a/b.png." in markup


def test_hostile_names_stay_text():
    evil = "<script>alert('1')</script>\u202e"
    picture = Picture(
        f"dir/{evil}.png", guesses((evil, 0.5), ("x" * 10_000, 0.5)), Truth(evil, 0.5, 1)
    )
    broken = Picture(evil, error=evil)
    markup = html(Classification((picture, broken), 2, evil, evil))
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup
    assert len(markup) < 20_000


def test_pictures_travel_with_the_card():
    class Model:
        def predict_on_batch(self, x):
            return np.tile([0.9, 0.1], (len(x), 1))

    digits = np.zeros((2, 28, 28), "float32")
    digits[:, 10:18, 10:18] = 0.5
    markup = html(classify(digits, Model()))
    assert markup.count("<img ") == 2
    assert 'width="84" height="84"' in markup
    pixels = np.asarray(opened(markup))
    assert pixels.shape == (84, 84)
    assert (pixels[0, 0], pixels[42, 42]) == (255, 128)


@pytest.mark.parametrize(
    ("pictures", "look"),
    [
        ([np.zeros((9, 9), "uint8")], Look(0, 255, True)),
        ([np.full((9, 9), 0.5)], Look(0, 1, True)),
        ([np.array([[0.0, 0.0], [0.0, 1.0]])], Look(0, 1, True)),
        ([np.array([[0.1, 0.2], [0.3, 1.0]])], Look(0, 1, False)),
        ([np.array([[0.0, 30.0], [20.0, 250.0]])], Look(0, 255, False)),
        ([np.array([[-1.0, 0.2], [0.3, 1.0]])], Look(-1, 1, False)),
        ([np.array([[-2.0, 0.2], [0.3, 3.0]])], Look(-2, 3, False)),
        ([np.array([[-0.4, -0.4], [-0.4, 2.8]])], Look(-0.4, 2.8, True)),
        ([np.zeros((9, 9, 3))], Look(0, 1, False)),
        ([np.zeros((99, 99))], Look(0, 1, False)),
    ],
)
def test_values_of_any_range_become_visible(pictures, look):
    assert look_of(pictures) == look


@pytest.mark.parametrize(
    ("shape", "size", "kind", "mode"),
    [
        ((28, 28), (84, 84), "PNG", "L"),
        ((32, 32, 3), (64, 64), "PNG", "RGB"),
        ((64, 16, 1), (16, 64), "PNG", "L"),
        ((300, 200, 3), (112, 168), "JPEG", "RGB"),
        ((150, 150, 4), (150, 150), "PNG", "RGBA"),
    ],
)
def test_thumbnails_keep_their_proportions(shape, size, kind, mode):
    markup = thumbnail(np.zeros(shape), Look(0, 1, False), box=84, alt='a "picture"')
    picture = opened(markup)
    assert (picture.size, picture.format, picture.mode) == (size, kind, mode)
    assert 'alt="a &quot;picture&quot;"' in markup
    width, height = (
        int(side) for side in re.search(r'width="(\d+)" height="(\d+)"', markup).groups()
    )
    assert max(width, height) <= 84
    assert width / height == pytest.approx(size[0] / size[1], rel=0.02)


def test_pictures_are_told_from_rows_and_words():
    assert are_pictures(np.zeros((2, 28, 28)))
    assert are_pictures(np.zeros((2, 28, 28, 3)))
    assert not are_pictures(np.zeros((2, 784)))
    assert not are_pictures(np.zeros((2, 28, 28, 7)))
    assert not are_pictures(["a", "b"])
