"""Loss against learning rate in a range test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter

from gnomon.figures.style import BLUE, FAINT, INK, few_ticks, new_figure, styled
from gnomon.figures.text import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM = 0.15  # of the drop in loss, left free above the start and below the lowest loss


@styled
def draw_range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], *, suggested: float | None
) -> Figure:
    """Losses of single batches faint, smoothed ones strong, the suggested rate marked; rates on a log scale."""
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=FAINT, linewidth=1)
    axes.plot(rates, smoothed, color=BLUE)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    few_ticks(axes.yaxis, 5)
    if smoothed:
        fall = max(smoothed[0] - min(smoothed), 0.1 * abs(smoothed[0]))
        axes.set_ylim(min(smoothed) - ROOM * fall, smoothed[0] + 2 * ROOM * fall)
    if suggested is not None:
        axes.axvline(suggested, color=INK, linewidth=1)
        axes.annotate(
            f"suggested {suggested:g}", (suggested, axes.get_ylim()[1]), xytext=(5, -4), textcoords="offset points",
            va="top", color=INK, fontsize=8.5,
        )  # fmt: skip
    axes.set_title("training loss as the learning rate rises with every step")
    axes.set_xlabel("learning rate")
    return figure
