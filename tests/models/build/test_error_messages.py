"""The error messages for the mistakes in tests/mistakes.

A file there contains a text, a line of four dashes, and the message for it. To record the messages
again and see what changes:

    KMAGIC_MISTAKES=write pytest tests/models/build/test_error_messages.py -s
"""

from __future__ import annotations

import os
import re
import sys
from difflib import unified_diff
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from kmagic.api import build
from kmagic.support.errors import DSLError

HERE = Path(__file__).parents[2] / "mistakes"
FILES = sorted(HERE.rglob("*.txt"))
DASHES = "----\n"
JARGON = re.compile(
    r"\b(?:ndim|NoneType|KerasTensor|deserializ\w+|Received|kwargs|input_layer\w*|\w+_\d+)\b|\(None"
)
"""Internal terms of Keras, and its numbered names."""
MAX_WORDS = 30


@pytest.fixture(scope="module")
def notebook():
    """The notebook variables that the texts use."""
    import keras

    class Twice(keras.layers.Layer):
        def __init__(self, factor=2.0, **keywords):
            super().__init__(**keywords)
            self.factor = factor

        def call(self, inputs):
            return self.factor * inputs

    image = keras.Input((28, 28, 1))
    return {
        "units": 64,
        "quit": None,
        "names": ["a", "b"],
        "data": SimpleNamespace(shape=(10, 4), _secret=1, max=lambda: 3),
        "sizes": [8, 16],
        "frame": pd.DataFrame({"review": ["a film"]}),
        "nothing": None,
        "people": pd.DataFrame({"age": [31.5], "name": ["a"]}),
        "Twice": Twice,
        "backbone": keras.Model(image, keras.layers.Conv2D(4, 3)(image)),
    }


def split(file: Path) -> tuple[str, str]:
    text, _, expected = file.read_text(encoding="utf-8").partition(DASHES)
    return text.removesuffix("\n"), expected


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_message(file, notebook):
    text, expected = split(file)
    before = dict(notebook)
    with pytest.raises(DSLError) as caught:
        build(text, **notebook)
    shown = "".join(f"{line.rstrip()}\n" for line in str(caught.value).split("\n"))
    if os.environ.get("KMAGIC_MISTAKES") == "write":
        file.write_text(f"{text}\n{DASHES}{shown}" if text else f"{DASHES}{shown}", "utf-8")
        diff = unified_diff(expected.split("\n"), shown.split("\n"), file.stem, "now", n=0)
        sys.stdout.write("\n".join(["", *diff]))
    else:
        assert shown == expected
    assert notebook == before


def test_number_of_samples():
    assert len(FILES) >= 250


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_messages_are_short_and_without_jargon(file):
    text, expected = split(file)
    ours = [
        line for line in expected.splitlines() if line.partition("| ")[2] not in text.split("\n")
    ]
    assert not JARGON.search("\n".join(ours))
    for problem in re.split(r"^line \d+, column \d+$", expected, flags=re.MULTILINE)[1:]:
        caret = next(line for line in problem.splitlines() if "^" in line)
        assert len(caret.split("^ ")[-1].split()) <= MAX_WORDS


def test_one_mistake_gives_one_problem():
    several = [
        file.stem
        for file in FILES
        if file.parent.name != "together"
        and len(re.findall(r"^line \d+", split(file)[1], re.MULTILINE)) > 1
    ]
    assert not several


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("input 28x28 / conv2d 8 3x3", "`input 28x28x1`"),
        ("input 28x28 float32 / conv2d 8 3x3", "`input 28x28x1`"),
        ("input 2x2 / conv2d 8 3x3", ""),
        ("input 28x28 / dense 4 / conv2d 8 3x3", "`reshape 28x4x1`"),
        ("input 10x4 / lstm 8 / lstm 8", "add return_sequences there"),
        ("input 10x4 / gap1d / lstm 8", "remove it"),
        ("input 28x28x1 / conv1d 4 3", "`conv2d`"),
        ("input 9x9x1 / conv2d 2 3x3 / lstm 4", "`time_distributed(flatten)`"),
        ("block b:\n  conv2d 8 3x3\ninput 28x28\nb", "`input 28x28x1`"),
        ("a = input 10\nlstm 4 <- a", "`input 10x1`"),
        ("i = input 8x8x1\nh = conv2d 8 3x3 / flatten\nconcatenate <- h, i", ""),
    ],
)
def test_a_remedy_is_shown_if_the_changed_text_works(text, remedy):
    with pytest.raises(DSLError) as caught:
        build(text)
    (problem,) = caught.value.problems
    assert remedy in problem.remedy
    assert bool(remedy) or "write" not in problem.remedy
