"""Paths that cannot exist are refused with the reason, never by the system."""

from __future__ import annotations

from pathlib import Path

import pytest

import kmagic
from kmagic.data.paths import existing_path, local_path
from kmagic.support.errors import DataError, KmagicError, PersistenceError, TrainingError
from kmagic.support.user_path import user_path
from kmagic.training.fit_options import FitOptions

IMPOSSIBLE = ["x" * 300, "a/" * 3000 + "b", "~nosuchuser/x", "a\0b", "\ud800"]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_paths(name):
    with pytest.raises(KmagicError) as caught:
        user_path(name)
    str(caught.value).encode()


def test_possible_paths():
    assert user_path("~/x") == Path.home() / "x"
    assert user_path(Path("a/b")) == Path("a/b")
    assert user_path("\u00fc" * 127).name == "\u00fc" * 127
    assert user_path("\udc80.csv").name == "\udc80.csv"


@pytest.mark.parametrize("name", IMPOSSIBLE[:3])
def test_each_reader_and_writer_refuses_them(name):
    with pytest.raises(DataError):
        existing_path(name)
    with pytest.raises(PersistenceError):
        kmagic.load(f"{name}.keras")
    for option in ("csv", "checkpoint"):
        with pytest.raises(TrainingError, match=r"name in a path|home folder"):
            FitOptions(**{option: name})
    assert local_path(name) is None


@pytest.mark.parametrize("kind", [str, Path])
def test_options_with_paths_know_the_home_folder(kind):
    assert FitOptions(csv=kind("~/log.csv")).csv == str(Path.home() / "log.csv")
    assert FitOptions(checkpoint=kind("~/run")).checkpoint == str(Path.home() / "run")
