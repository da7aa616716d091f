"""Whether answers given with 80 % confidence are right 80 % of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from gnomon.core.evaluation import SHARE
from gnomon.figures.style import BLUE, MUTED, ORANGE, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.metrics.classification import Calibration


@styled
def draw_calibration(calibration: Calibration) -> Figure:
    """Left: accuracy against mean confidence, a dot per bin, larger for more answers. Right: the number of answers."""
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    filled = calibration.counts > 0
    confidence, accuracy = calibration.confidence[filled], calibration.accuracy[filled]
    counts = calibration.counts[filled]
    left.plot((0, 1), (0, 1), color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    left.vlines(confidence, confidence, accuracy, color=ORANGE, linewidth=1.6)
    left.scatter(confidence, accuracy, s=14 + 90 * counts / counts.max(initial=1), color=BLUE, linewidths=0, zorder=3)
    left.set_xlim(0, 1.03)
    left.set_ylim(0, 1.03)
    left.set_title("share right")
    left.set_ylabel("share right")
    edges = calibration.edges
    right.bar(edges[:-1], calibration.counts, width=np.diff(edges), align="edge", color=BLUE, edgecolor="white")
    right.set_title("number of answers")
    right.set_xlim(0, 1)
    few_ticks(right.yaxis, 5, whole=True)
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    for axes in (left, right):
        axes.set_xlabel("confidence")
        error_axis(axes, "x", SHARE)
    error_axis(left, "y", SHARE)
    return figure
