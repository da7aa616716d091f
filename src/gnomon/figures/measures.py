"""What a craft measured per epoch, one frame each, and its losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gnomon.figures.style import BLUE, MUTED, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 2
ROW = 2.0  # inches
MOST = 12  # frames
BETTER = {"less": "lower is better", "more": "higher is better"}


@styled
def draw_measures(history: Sequence[Mapping[str, Any]], measures: Sequence[Mapping[str, str]]) -> Figure:
    """`history` has rows with epoch, measures and losses; `measures` what each is: name, unit, better."""
    frames = [(one["name"], one["unit"], BETTER.get(one["better"], ""), "measures") for one in measures]
    frames += [(name, "", "minimised", "losses") for name in (history[-1]["losses"] if history else {})]
    rows = math.ceil(len(frames[:MOST]) / COLUMNS)
    figure = new_figure(ROW * rows)
    epochs = [row["epoch"] for row in history]
    for place, (name, unit, how, group) in enumerate(frames[:MOST], start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        values = [row[group].get(name, math.nan) for row in history]
        colour = BLUE if group == "measures" else MUTED
        axes.plot(epochs, values, color=colour, marker="o" if len(values) <= 30 else None, markersize=3.2)
        axes.set_title(f"{label(name, 40)}{f' ({how})' if how else ''}", fontsize=9)
        axes.set_xlabel("epoch")
        axes.margins(x=0.02)
        few_ticks(axes.xaxis, 8, whole=True)
        few_ticks(axes.yaxis, 4)
        error_axis(axes, "y", unit or None)
    return figure
