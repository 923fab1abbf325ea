"""docs/tables.md: the cells on time series run, and do what the page says."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from .shells import run_cell

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"


def test_the_cells_on_time_series(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=200)
    columns = {name: rng.random(200) for name in ("units", "price", "rain", "offer")}
    shops = [pd.DataFrame({"date": dates, "shop": shop, **columns}) for shop in ("Bonn", "Ulm")]
    pd.concat(shops).to_csv("sales.csv", index=False)
    shops[0][-40:].to_csv("new_rows.csv", index=False)
    section = PAGE.read_text(encoding="utf-8").partition("## Time series")[2].partition("\n## ")[0]
    load, model, use = re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    for cell in (load, model, use.replace("-e 20", "-e 1")):
        result, captured = run_cell(shell, cell)
        assert result.success
    _, evaluation, predictions = captured.outputs
    for output in (evaluation, predictions):
        assert "relative MAE, Hyndman and Koehler 2006" in output.data["text/plain"]
        assert "km-chart" in output.data["text/html"]
    assert "after Bonn, 2024-07-18" in predictions.data["text/plain"]
