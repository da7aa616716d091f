"""How much of the variance between trials each setting explains on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gnomon.core.evaluation import SHARE
from gnomon.figures.style import BLUE, INK, error_axis, new_figure, styled
from gnomon.figures.text import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def draw_search_importance(shares: Mapping[str, float]) -> Figure:
    """One bar per setting, most important at the top. `shares` of the variance in [0, 1]; the rest is interactions."""
    figure = new_figure(0.9 + 0.28 * len(shares))
    axes = figure.add_subplot()
    names = list(shares)
    axes.barh(range(len(names)), [shares[name] for name in names], color=BLUE, height=0.6)
    for row, name in enumerate(names):
        axes.annotate(
            f"{100 * shares[name]:.0f} %", (shares[name], row), xytext=(4, 0), textcoords="offset points", va="center",
            color=INK, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.15 * max(shares.values(), default=1.0), 0.1))
    error_axis(axes, "x", SHARE)
    axes.grid(visible=False, axis="y")
    axes.set_title("what mattered: share of the variance between trials")
    return figure
