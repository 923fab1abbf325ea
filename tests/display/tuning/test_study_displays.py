"""The displays of a search in each environment."""

from __future__ import annotations

from typing import Any

import pytest

from kmagic.display.training import live_view
from kmagic.display.tuning import study_displays as module
from kmagic.display.tuning.study_displays import (
    FinalStudyCard,
    LiveStudy,
    StudyLines,
    UpdatedStudyCard,
    study_displays,
)
from tests.tuning.searching import TEXT, X, Y, tune

from .studies import make_study


class Cell:
    """An output that can be replaced."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def update(self, bundle: Any, *, raw: bool = False) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch):
    cell = Cell()

    def display(value: Any, **_: object) -> Cell:
        cell.shown.append(value)
        return cell

    monkeypatch.setattr(module, "display_in_cell", display)
    monkeypatch.setattr(module, "display_bundle", cell.shown.append)
    return cell


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("widget", [LiveStudy]),
        ("html", [UpdatedStudyCard]),
        ("log", [StudyLines]),
        ("text", [StudyLines]),
        ("static", [FinalStudyCard]),
        ("none", []),
    ],
)
def test_each_environment_has_its_display(mode, kinds):
    assert [type(display) for display in study_displays(mode)] == kinds


def test_the_card_takes_the_place_of_the_widget(cell):
    study = make_study(3, target=12, status="running")
    view = LiveStudy()
    view.start(study)
    (widget,) = cell.shown
    assert widget.running
    assert "3 of 12 trials" in widget.card
    view.seen = True
    view.update(study)
    assert len(cell.shown) == 1
    study.status = "done"
    view.end(study)
    assert "text/html" in cell.shown[-1]
    assert not widget.running


def test_a_page_without_widgets_gets_the_card_beside_it(cell):
    study = make_study(3, target=12, status="running")
    view = LiveStudy()
    view.start(study)
    view.seen = False
    view.update(study)
    assert cell.shown[-1].keys() == {"text/plain", "text/html", live_view.WIDGET_VIEW}
    view.end(study)


def test_vs_code_shows_the_widget_alone_and_cannot_announce_it(cell, monkeypatch):
    monkeypatch.setattr(live_view, "_register_control_handlers", lambda: True)
    monkeypatch.setenv("VSCODE_PID", "1")
    study = make_study(3, target=12, status="running")
    view = LiveStudy()
    view.start(study)
    view.update(study)
    assert cell.shown == [view.widget]
    view.end(study)


def test_a_search_in_python_has_the_display_of_its_environment(monkeypatch, capsys):
    monkeypatch.setenv("KMAGIC_DISPLAY", "text")
    tune(TEXT, X, Y, trials=1, displays=None)
    assert "1 trial" in capsys.readouterr().out


def test_a_page_stops_the_search_once_and_at_once(cell):
    study = make_study(3, target=12, status="running")
    view = LiveStudy()
    view.start(study)
    key = cell.shown[0].study
    assert live_view.stop_run(key)
    assert (study.stopping, study.aborting) == (True, False)
    assert "stopping" in view._bundle(study)["text/html"]
    assert live_view.stop_run(key, now=True)
    assert study.aborting
    study.status = "stopped"
    view.end(study)
    assert not live_view.stop_run(key)


def test_the_importance_is_computed_every_ten_trials(cell, monkeypatch):
    study = make_study(30, target=40, status="running")
    calls = []
    original = type(study).importance
    monkeypatch.setattr(type(study), "importance", lambda self: calls.append(1) or original(self))
    view = UpdatedStudyCard()
    view.start(study)
    for _ in range(5):
        view.update(study)
    assert len(calls) == 1
    assert "importance" in cell.shown[-1]["text/html"]


def test_lines_end_with_the_result(capsys):
    study = make_study(3)
    lines = StudyLines()
    lines.start(study)
    lines.update(study)
    lines.end(study)
    assert study.text() in capsys.readouterr().out


def test_the_static_card_is_shown_at_the_end(cell):
    display = FinalStudyCard()
    study = make_study(3)
    display.start(study)
    display.update(study)
    assert cell.shown == []
    display.end(study)
    assert len(cell.shown) == 1
