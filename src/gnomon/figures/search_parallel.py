"""Parallel coordinates: one line per trial across all settings, the good ones dark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.search_slices import ticks
from gnomon.figures.style import BLUE, FAINT, INK, MUTED, ORANGE, bare, new_figure, styled
from gnomon.figures.text import label
from gnomon.search.results import Result, best_of, ranked
from gnomon.search.space import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GOOD = 0.2  # share of the trials that are drawn dark


@styled
def draw_search_parallel(space: Space, results: Sequence[Result]) -> Figure:
    """Each axis on the scale it was sampled on; the best fifth blue, the best one orange, the rest faint."""
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    bare(axes)
    order, best = ranked(results), best_of(results)
    good = {one.number for one in order[: max(3, round(GOOD * len(order)))]}
    for one in reversed(order):
        colour, width = (BLUE, 1.2) if one.number in good else (FAINT, 0.8)
        if best is not None and one.number == best.number:
            colour, width = ORANGE, 2.2
        places = [each.place(one.point[each.name]) for each in space]
        axes.plot(range(len(space)), places, color=colour, linewidth=width)
    for column, each in enumerate(space):
        axes.axvline(column, color=MUTED, linewidth=0.8)
        for place, text in zip(*ticks(each), strict=True):
            axes.annotate(text, (column, place), xytext=(3, 0), textcoords="offset points", fontsize=7.5, color=INK)
    axes.set_xticks(range(len(space)), [label(each.name, 16) for each in space])
    axes.set_yticks([])
    axes.set_ylim(-0.06, 1.06)
    axes.set_xlim(-0.2, len(space) - 0.6)
    axes.set_title("every trial: the best fifth blue, the best orange")
    return figure
