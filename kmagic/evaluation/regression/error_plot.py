"""Errors as a matplotlib figure, for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmagic.evaluation.regression.error_metrics import error_quantiles
from kmagic.support.process_patches import enable_figure_display

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kmagic.evaluation.regression.regression_errors import RegressionErrors

BLUE, ORANGE = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
MAX_POINTS = 2000  # with more, a density


def plot_errors(errors: RegressionErrors) -> Figure:
    """Draw the predictions, the errors and their distribution of one target side by side.

    The figure is independent of pyplot.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import

    enable_figure_display()
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    predictions, residuals, distribution = figure.subplots(1, 3)
    true, predicted, values = errors.y_true, errors.y_pred, errors.errors
    for axes, x, y in ((predictions, true, predicted), (residuals, predicted, values)):
        if len(x) <= MAX_POINTS:
            axes.plot(x, y, "o", color=BLUE, alpha=0.5, markersize=4, markeredgewidth=0)
        else:
            axes.hexbin(x, y, gridsize=50, bins="log", mincnt=1, cmap="Blues")
    ends = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    predictions.plot(ends, ends, color="#7d8590", linewidth=1)
    residuals.axhline(0, color="#7d8590", linewidth=1)
    distribution.hist(values, bins=np.histogram_bin_edges(values, bins=50), color=BLUE, alpha=0.7)
    for mark in error_quantiles(values, errors.sample_weight):
        distribution.axvline(mark, color=ORANGE, linewidth=1, linestyle="--")
    target = (errors.targets[0] or "value").replace("$", r"\$")
    predictions.set(xlabel=f"true {target}", ylabel="predicted")
    residuals.set(xlabel=f"predicted {target}", ylabel="predicted - true")
    distribution.set(xlabel="predicted - true", ylabel="rows")
    predictions.set_title(f"R2 {errors.format('R2')}", fontsize=10)
    residuals.set_title(f"MAE {errors.format('MAE')}", fontsize=10)
    distribution.set_title("quantiles 5, 25, 50, 75, 95 %", fontsize=10)
    for axes in (predictions, residuals, distribution):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
