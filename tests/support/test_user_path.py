"""Paths that cannot exist are refused with the reason, never by the system."""

from __future__ import annotations

from pathlib import Path

import pytest

import kmagic
from kmagic.data.paths import existing_path
from kmagic.magics.keras_fit import FIT
from kmagic.support.errors import DataError, KmagicError, MagicError, PersistenceError
from kmagic.support.user_path import user_path

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
    with pytest.raises(MagicError):
        _ = FIT.parse(f"--checkpoint {name}", {}).checkpoint


def test_options_with_paths_know_the_home_folder():
    assert FIT.parse("--csv ~/log.csv", {}).csv == str(Path.home() / "log.csv")
