"""Predicted against true numbers, and the residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from gnomon.figures.style import BLUE, MUTED, ORANGE, few_ticks, new_figure, styled
from gnomon.figures.text import label, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_DOTS = 2000  # more would hide one another: hexagons coloured by their number of examples instead


@styled
def draw_regression(targets: np.ndarray, predictions: np.ndarray, *, name: str, unit: str = "") -> Figure:
    """Left: prediction against truth, with the line of perfect answers. Right: prediction minus truth against truth.

    Pairs with a non-finite value are left out.
    """
    targets, predictions = np.asarray(targets, dtype=float), np.asarray(predictions, dtype=float)
    known = np.isfinite(targets) & np.isfinite(predictions)
    targets, predictions = targets[known], predictions[known]
    figure = new_figure(3.6)
    left, right = figure.subplots(1, 2)
    suffix = f" ({label(unit)})" if unit else ""
    _cloud(left, targets, predictions)
    _cloud(right, targets, predictions - targets)
    if len(targets):
        ends = (min(targets.min(), predictions.min()), max(targets.max(), predictions.max()))
        left.plot(ends, ends, color=ORANGE, linewidth=1.1)
    right.axhline(0, color=ORANGE, linewidth=1.1)
    left.set_title(f"{label(name, 40)}: predicted against true")
    right.set_title("residual: predicted − true")
    left.set_ylabel(f"predicted{suffix}")
    right.set_ylabel(f"residual{suffix}")
    for axes in (left, right):
        axes.set_xlabel(f"true{suffix}")
        for axis in (axes.xaxis, axes.yaxis):
            few_ticks(axis, 5)
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    return figure


def _cloud(axes: Axes, across: np.ndarray, up: np.ndarray) -> None:
    if len(across) <= MAX_DOTS:
        axes.scatter(across, up, s=9, color=BLUE, alpha=0.45, linewidths=0)
    else:
        axes.hexbin(across, up, gridsize=45, bins="log", mincnt=1, cmap="Blues", linewidths=0.1)
        axes.tick_params(color=MUTED)
