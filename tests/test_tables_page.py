"""docs/tables.md: its cells run, and do what the page says."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from .shells import run_cell

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"


def cells_of(title: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").partition(f"## {title}")[2].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def test_the_cells_on_time_series(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=200)
    columns = {name: rng.random(200) for name in ("units", "price", "rain", "offer")}
    shops = [pd.DataFrame({"date": dates, "shop": shop, **columns}) for shop in ("Bonn", "Ulm")]
    pd.concat(shops).to_csv("sales.csv", index=False)
    shops[0][-40:].to_csv("new_rows.csv", index=False)
    load, model, use = cells_of("Time series")
    for cell in (load, model, use.replace("-e 20", "-e 1")):
        result, captured = run_cell(shell, cell)
        assert result.success
    _, evaluation, predictions = captured.outputs
    for output in (evaluation, predictions):
        assert "relative MAE, Hyndman and Koehler 2006" in output.data["text/plain"]
        assert "km-chart" in output.data["text/html"]
    assert "after Bonn, 2024-07-18" in predictions.data["text/plain"]


def test_the_cells_on_several_targets_and_labels(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(120, 5))
    names = ["area", "rooms", "floor", "price", "rent"]
    pd.DataFrame(numbers, columns=names).to_csv("houses.csv", index=False)
    has = numbers[:, :3] > 0.2
    genres = [";".join(np.array(["drama", "war", "crime"])[row]) for row in has]
    columns = dict(zip(("year", "length", "votes"), numbers.T, strict=False))
    pd.DataFrame({**columns, "genres": genres}).to_csv("films.csv", index=False)
    labels = dict(zip(("sun", "sea", "people"), has.T.astype(int), strict=True))
    photos = {"light": numbers[:, 0], "blue": numbers[:, 1], "faces": numbers[:, 2], **labels}
    pd.DataFrame(photos).to_csv("photos.csv", index=False)
    several, load, model, use = cells_of("Several targets and labels")
    for cell in (several, load, model, use.replace("-e 40", "-e 2").replace("folds 5", "folds 2")):
        result, captured = run_cell(shell, cell)
        assert result.success
    assert shell.user_ns["houses"].targets == ("price", "rent")
    assert shell.user_ns["films"].classes == ("crime", "drama", "war")
    films = shell.user_ns["films"]
    assert len(films.x_train) + len(films.x_test) == 120
    assert shell.user_ns["photos"].classes == ("sun", "sea", "people")
    texts = [output.data["text/plain"] for output in captured.outputs]
    assert "stratified by labels" in texts[1]
    assert "on these out-of-fold rows, so the metrics are too good" in texts[2]
    assert "labels above" in texts[3]
    assert "3 labels" in texts[4]


def test_the_cells_on_several_outputs(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    numbers = dict(zip(("age", "height", "length"), rng.normal(size=(3, 120)), strict=True))
    kinds, indoor = (rng.choice(names, 120) for names in (["cat", "dog", "fish"], ["yes", "no"]))
    table = {**numbers, "kind": kinds, "indoor": indoor, "weight": rng.random(120)}
    pd.DataFrame(table).to_csv("pets.csv", index=False)
    load, model, use = cells_of("Several outputs")
    for cell in (load, model, use.replace("-e 20", "-e 1")):
        result, captured = run_cell(shell, cell)
        assert result.success
    assert shell.user_ns["pets"].of("kind").classes == ("cat", "dog", "fish")
    texts = [output.data["text/plain"] for output in captured.outputs]
    for part in ("net, kind: ", "net, indoor: ", "net, weight: "):
        assert part in texts[-5]
    assert texts[-4].startswith("net, kind: ")
    assert texts[-1].startswith("net, indoor: 24 test samples, accuracy")
