"""The photos of ../shared/data, named by the real networks as EXPECTED_TOP5.txt says."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

import kmagic

from ...shells import value_of

NETWORKS = {"v1_1.0_224": "MobileNet", "v2_1.0_224": "MobileNetV2"}
pytestmark = pytest.mark.usefixtures("pretrained")


@pytest.fixture(scope="module")
def expected(shared_data):
    """{(network, photo): [(class, probability), ...]}."""
    result, photo = {}, ""
    for line in (shared_data / "EXPECTED_TOP5.txt").read_text().splitlines():
        if line.startswith("## "):
            photo = line[3:]
        network, _, classes = line.partition(" : ")
        if network.strip() in NETWORKS:
            pairs = re.findall(r"(\S+) (\d\.\d{3})", classes.split("|")[0])
            result[NETWORKS[network.strip()], photo] = [(k, float(p)) for k, p in pairs]
    assert len(result) == 24
    return result


@pytest.mark.parametrize("app", NETWORKS.values())
def test_the_photos_have_the_expected_classes(app, expected, shared_data):
    paths = {name: shared_data / name for network, name in expected if network == app}
    result = kmagic.classify(list(paths.values()), app=app, top=5)
    for name, picture in zip(paths, result, strict=True):
        for guess, (label, share) in zip(picture.top_classes, expected[app, name], strict=True):
            assert guess.label == label or share < 0.01, name
            assert guess.probability == pytest.approx(share, abs=0.002), name


def test_the_elephant_by_one_magic(shell, shared_data):
    photo = shared_data / "photos" / "elephant.jpg"
    result, captured = value_of(
        shell, f"%keras_classify --app MobileNetV2 {photo} --top 2 --explain -o answers"
    )
    (guess, other) = result[0].top_classes
    assert (guess.label, other.label) == ("African_elephant", "tusker")
    frame = shell.user_ns["answers"]
    assert frame["label"].tolist() == ["African_elephant", "tusker"]
    assert frame["image"].tolist() == [str(photo)] * 2
    (card,) = captured.outputs
    assert card.data["text/html"].count("<img ") == 2
    assert "African_elephant 65.7%" in card.data["text/plain"]
    assert 'for "African_elephant" the model looks mainly at the centre' in card.data["text/plain"]


@pytest.mark.parametrize(
    ("kind", "mode", "most"),
    [("JPEG", "CMYK", 0.15), ("PNG", "RGBA", 0.01), ("PNG", "P", 0.3), ("GIF", "P", 0.3)],
)
def test_the_elephant_stays_an_elephant(kind, mode, most, shared_data, expected):
    held = io.BytesIO()
    with Image.open(shared_data / "photos" / "elephant.jpg") as photo:
        photo.convert(mode).save(held, kind)
    (picture,) = kmagic.classify(held.getvalue(), app="MobileNetV2")
    label, share = expected["MobileNetV2", "photos/elephant.jpg"][0]
    assert picture.top_classes[0].label == label
    assert picture.top_classes[0].probability == pytest.approx(share, abs=most)


def test_a_rotated_elephant_is_turned_by_its_exif(shared_data):
    exif = Image.Exif()
    exif[0x0112] = 6
    held = io.BytesIO()
    with Image.open(shared_data / "photos" / "elephant.jpg") as photo:
        photo.rotate(90, expand=True).save(held, "PNG", exif=exif)
        (lying,) = kmagic.classify(held.getvalue(), app="MobileNetV2")
        (upright,) = kmagic.classify(photo, app="MobileNetV2")
    assert lying.top_classes == upright.top_classes


def test_the_explanation_is_at_the_animal(shared_data):
    """The parrot is in the middle of its photo, the bird in the left half of its."""
    photos = shared_data / "photos"
    parrot, bird = kmagic.classify(
        [photos / "parrot.jpg", photos / "bird.jpg"], app="MobileNetV2", explain=True
    )
    assert parrot.explanation.label == "macaw"
    assert "centre" in parrot.explanation.location()
    columns = np.arange(7)
    assert np.average(columns, weights=bird.explanation.heatmap.sum(axis=0)) < 3


def test_a_model_of_keras_applications_is_recognized(shell, shared_data):
    shell.run_cell("import keras; net = keras.applications.MobileNetV2()")
    photo = shared_data / "photos" / "coffee.png"
    result, _ = value_of(shell, f"%keras_classify net {photo}")
    assert result[0].top_classes[0].label == "espresso"
    assert "Preprocessed for MobileNetV2" in result.note


def test_dividing_by_255_changes_the_prediction(shared_data):
    photo = shared_data / "photos" / "chelsea.png"
    right = kmagic.classify(photo, app="MobileNet")[0].top_classes[0]
    wrong = kmagic.classify(photo, app="MobileNet", scaling=255)[0].top_classes[0]
    assert (right.label, wrong.label) == ("Egyptian_cat", "tiger_cat")
