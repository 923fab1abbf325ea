"""The table of runs, the comparison of two runs, and the magic for both."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from keras.callbacks import LambdaCallback

import kmagic
from kmagic.display.kit.card import escape_html
from kmagic.display.training.runs_card import (
    MAX_ROWS,
    comparison_bundle,
    comparison_charts,
    history_bundle,
)
from kmagic.language import parse
from kmagic.language.portable_text import settings_of
from kmagic.magics.keras_history_magic import keras_history
from kmagic.magics.session import Session
from kmagic.support.errors import KmagicError
from kmagic.training.run.run_history import RunComparison, RunHistory, name_runs
from kmagic.training.run.training_run import Epoch, TrainingRun


def trained(
    name: str = "cnn", *, losses: tuple[float, ...] = (0.5, 0.25, 0.75), **options: Any
) -> TrainingRun:
    run = TrainingRun(name, epochs=len(losses))
    for number, loss in enumerate(losses, 1):
        logs = {"loss": loss / 2, "accuracy": 1 - loss, "val_loss": loss, "val_accuracy": 0.9}
        run.add(Epoch(number, logs, seconds=2.0, learning_rate=0.001))
    run.now.epoch = len(losses)
    run.status = "done"
    run.options = options
    return run


def words(markup: str) -> str:
    return re.sub(r"<[^>]+>", " ", re.sub(r"<style>[\s\S]*?</style>", "", markup))


# --- all of them ----------------------------------------------------------------------------------


def test_one_row_per_run_with_its_best_epoch() -> None:
    frame = RunHistory({"a": trained(), "b": trained(losses=(0.9,))}).to_frame()
    assert list(frame.index) == ["a", "b"]
    assert frame.loc["a", "best_epoch"] == 2
    assert frame.loc["a", "val_loss"] == 0.25
    assert frame.loc["b", "val_loss"] == 0.9
    assert list(frame.columns) == [
        *("model", "status", "epochs", "best_epoch"),
        *("loss", "val_loss", "accuracy", "val_accuracy", "seconds", "note"),
    ]
    assert RunHistory({}).to_frame().empty


def test_the_table_has_curves_and_marks_the_best_run() -> None:
    runs = RunHistory({"a": trained(), "b": trained(losses=(0.125,)), "c": trained("other")})
    assert runs.best() == {"b"}  # alone of its name, a run is neither best nor worst
    made = history_bundle(runs)
    assert made["text/html"].count('src="data:image/svg+xml') == 3
    assert made["text/html"].partition("</style>")[2].count("font-weight:600") == 4
    assert "bold: lowest val_loss of its model" in words(made["text/html"])
    assert made["text/plain"].splitlines()[:2] == [
        "3 runs",
        "a  cnn: 3 epochs in 0:06; best epoch 2, val_loss 0.2500",
    ]


def test_runs_without_epochs_without_validation_and_stopped() -> None:
    none = TrainingRun("cnn", epochs=5)
    none.status = "failed"
    plain = TrainingRun("cnn", epochs=2)
    plain.add(Epoch(1, {"loss": float("nan")}, 1.0))
    plain.add(Epoch(2, {"loss": 3.0}, 1.0))
    plain.now.epoch = 2
    plain.status = "stopped"
    made = history_bundle(RunHistory({"none": none, "plain": plain}))
    assert {"stopped", "failed"} <= set(words(made["text/html"]).split())
    assert made["text/html"].count("<img") == 1
    assert "nan" not in made["text/html"]
    assert "train a model" in words(history_bundle(RunHistory({}))["text/html"])


def test_many_long_runs_stay_small() -> None:
    long = trained(losses=tuple(1 / n for n in range(1, 2001)))
    made = history_bundle(RunHistory({f"#{n}": long for n in range(1, 101)}))
    assert len(made["text/html"].encode()) <= 40_000
    assert f"{100 - MAX_ROWS} earlier runs in to_frame()" in words(made["text/html"])


def test_names_are_text() -> None:
    evil = "<script>alert(1)</script>"
    first, second = trained(evil, note=evil), trained(evil)
    first.text, second.text = f"dense 1 # {evil}", "dense 2"
    for markup in (
        history_bundle(RunHistory({evil: first}))["text/html"],
        comparison_bundle(RunComparison(first, second, names=(evil, evil)))["text/html"],
    ):
        assert "<script" not in markup
        assert escape_html(evil) in markup


def test_runs_are_named_by_variable_or_number() -> None:
    runs = [trained(), trained(), trained()]
    assert list(name_runs(runs, {"good": runs[1], "_": runs[0]})) == ["#1", "good", "#3"]


# --- two ------------------------------------------------------------------------------------------


def test_differences_of_two_runs() -> None:
    first = trained(batch_size=32, shuffle=True, class_weight=None)
    second = trained(losses=(0.4, 0.2), batch_size=64, shuffle=True, patience=3)
    first.text, second.text = "input 8\ndense 16 relu\ndense 1", "input 8\ndense 32 relu\ndense 1"
    first.versions = second.versions = {"keras": "3.15"}
    compared = RunComparison(first, second, names=("a", "b"))
    assert compared.differences == {
        "batch_size": ("32", "64"),
        "patience": ("-", "3"),
        "epochs": ("3", "2"),
        "epochs trained": ("3", "2"),
    }
    assert compared.changed_lines == ["- dense 16 relu", "+ dense 32 relu"]
    assert compared.metrics["val_loss"] == (0.25, 0.2)
    frame = compared.to_frame()
    assert list(frame.columns) == ["a", "b", "difference"]
    assert frame.loc["val_loss", "difference"] == pytest.approx(-0.05)
    text = words(comparison_bundle(compared)["text/html"])
    for part in ("val_loss 0.2000, was 0.2500", "batch_size", "+ dense 32 relu", "-0.0500"):
        assert part in text
        assert part in repr(compared) or part[0] in "-v"


def test_equal_runs() -> None:
    compared = RunComparison(trained(), trained(), names=("a", "a"))
    assert compared.differences == {}
    assert "Both runs used the same settings." in comparison_bundle(compared)["text/html"]
    assert list(compared.to_frame().columns) == ["a (1)", "a (2)", "difference"]


def test_curves_are_overlaid_with_the_first_in_gray() -> None:
    loss, _ = comparison_charts(
        RunComparison(trained(), trained(losses=(0.4,)), names=("a", "a_long_name_b"))
    )
    assert [(line.kind, line.label) for line in loss.lines] == [
        ("other-train", ""),
        ("other-val", "a"),
        ("train", ""),
        ("val", "a_long_n..."),
    ]
    assert (loss.start, loss.end) == (1, 3)


def test_runs_with_different_metrics_are_compared() -> None:
    other = TrainingRun("line", epochs=1)
    other.add(Epoch(1, {"mae": 3.0}, 1.0))
    compared = RunComparison(trained(), other)
    assert compared.metrics["loss"] == (0.125, None)
    assert compared.metrics["mae"] == (None, 3.0)
    assert "mae" in words(comparison_bundle(compared)["text/html"])
    empty = TrainingRun("none")
    assert RunComparison(empty, empty).metrics == {}
    assert "<img" not in comparison_bundle(RunComparison(empty, empty))["text/html"]


def test_variables_are_columns_and_those_that_differ_come_first() -> None:
    one, other, third = trained(), trained(), trained()
    one.variables = {"batch": 32, "units": 8, "epochs": 3}
    other.variables = {"batch": 32, "units": 16, "epochs": 3}
    frame = RunHistory({"a": one, "b": other}).to_frame()
    assert list(frame.columns[2:5]) == ["units", "batch", "{epochs}"]
    assert list(frame["units"]) == [8, 16]
    assert RunHistory({"a": one, "c": third}).to_frame()["units"].isna().tolist() == [False, True]
    shown = words(history_bundle(RunHistory({"a": one, "b": other}))["text/html"])
    assert re.search(r"model\s+units\s+batch\s+{epochs}\s+loss curve", shown)
    assert RunComparison(one, other).differences["units"] == ("8", "16")


def test_a_failed_run_shows_its_error() -> None:
    run = TrainingRun("cnn", status="failed", note="division by <zero>")
    shown = history_bundle(RunHistory({"#1": run}))["text/html"]
    assert "failed: division by &lt;zero&gt;" in shown
    assert RunHistory({"#1": run}).to_frame().loc["#1", "note"] == "division by <zero>"


# --- the magic ------------------------------------------------------------------------------------


@pytest.fixture
def session(plain_shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("kmagic.support.keras_import.load_keras", lambda: None)
    session = Session(plain_shell)
    session.runs += [trained(), trained(losses=(0.1,))]
    session.names["good"] = session.runs[1]
    return session


def run_magic(session: Session, line: str) -> tuple[Any, str]:
    with capture_output() as captured:
        result = keras_history(session, line)
    return result, "".join(each.data["text/html"] for each in captured.outputs)


def test_the_magic_shows_all_runs_one_or_two(session: Session) -> None:
    result, shown = run_magic(session, "")
    assert list(result.runs) == ["#1", "good"]
    assert "2 runs" in shown
    result, shown = run_magic(session, "#1")
    assert result is session.runs[0]
    assert "3 epochs" in shown
    result, shown = run_magic(session, "1 good -o both")
    assert result.second is session.runs[1]
    assert session.names["both"] is result
    assert "compared with 1" in words(shown)
    assert run_magic(session, "good -q")[1] == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("goood", "is not a run of this notebook"),
        ("#3", "there is no run with this number"),
        ("1 2 good", "only two runs can be compared"),
        ("3.5", "is not a training run"),
    ],
)
def test_mistakes(session: Session, line: str, message: str) -> None:
    with pytest.raises(KmagicError, match=message):
        run_magic(session, line)
    session.runs.clear()
    with pytest.raises(KmagicError, match="this notebook has no run yet"):
        run_magic(session, "")


NET = "input 4\ndense {units} relu\ndense 2 softmax\n"


def test_every_run_is_listed_with_the_variables_it_used(shell: InteractiveShell) -> None:
    names = shell.user_ns
    names |= {"x": np.ones((20, 4), "float32"), "y": np.arange(20) % 2, "rate": 0.1}
    names |= {
        "units": 3,
        "passes": 2,
        "n": 1,
        "fail": LambdaCallback(on_epoch_end=lambda *_: 1 / 0),
    }
    loss = "loss=sparse_categorical_crossentropy"
    shell.run_cell_magic("keras_model", "net -q", f"{NET}compile adam({{rate}}) {loss}")
    shell.run_line_magic("keras_fit", "net x y -e {passes} -b 10 -q")
    names["rate"] = 0.2
    shell.run_line_magic("keras_compile", f"net sgd({{rate}}) {loss} -q")
    with pytest.raises(ZeroDivisionError):
        shell.run_line_magic("keras_fit", "net x y --callbacks fail -o broken -q")
    kmagic.fit(names["net"], names["x"], names["y"], displays=[])
    names["net"].compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(KmagicError):
        shell.run_line_magic("keras_fit", "net x {y + 9} --no-checks -q")
    history = shell.run_line_magic("keras_history", "-q")
    assert [run.status for run in history.runs.values()] == ["done", "failed", "done", "failed"]
    assert [run.variables for run in history.runs.values()] == [
        {"units": 3, "rate": 0.1, "passes": 2},
        *[{"units": 3, "rate": 0.2}] * 2,
        {"units": 3},
    ]
    assert history.runs["broken"].note == "division by zero"


def test_parameters_of_blocks_and_loops_are_no_variables() -> None:
    text = "input 4\nblock wide(n):\n  dense {n}\nfor k in 2 3:\n  wide {k * factor}\ndense {n}\n"
    names = {"n": 5, "k": 7, "factor": 2}
    assert settings_of(parse(text).statements, names) == {}
    assert settings_of(parse("dense {2 * n} / dense {other.size}").statements, names) == {"n": 5}
