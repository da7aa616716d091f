"""The error of every class, or every value of a tag, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.style import BLUE, INK, MUTED, error_axis, new_figure, styled
from gnomon.figures.text import count, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.strategy.slices import Slice

MAX_SLICES = 30


@styled
def draw_slices(slices: Sequence[Slice], *, title: str, unit: str | None, whole: float | None = None) -> Figure:
    """One row per slice, in the order given, at most MAX_SLICES; `whole` draws the error of all examples together."""
    shown = list(slices)[:MAX_SLICES]
    figure = new_figure(0.9 + 0.23 * max(len(shown), 2))
    axes = figure.add_subplot()
    if whole is not None and math.isfinite(whole):
        axes.axvline(whole, color=MUTED, linestyle=(0, (4, 3)), linewidth=1)
    heights = range(len(shown))
    axes.hlines(heights, [row.error.low for row in shown], [row.error.high for row in shown], color=BLUE, alpha=0.35,
                linewidth=4)  # fmt: skip
    axes.plot([row.error.value for row in shown], heights, "o", color=BLUE, markersize=5)
    axes.set_yticks(heights, [f"{label(row.value)}  ({count(row.examples)})" for row in shown], color=INK)
    axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    axes.set_xlim(left=0)
    hidden = len(slices) - len(shown)
    axes.set_title(
        f"{label(title, 40)}: the first {len(shown)} of {count(len(slices))}" if hidden else label(title, 40)
    )
    axes.set_xlabel("error, 95 % interval; dashed: all examples" if whole is not None else "error, 95 % interval")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    error_axis(axes, "x", unit)
    return figure
