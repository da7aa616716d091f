"""The error of every trial against each setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.search_history import frame_top
from gnomon.figures.style import BLUE, FAINT, INK, MUTED, SKY, error_axis, new_figure, styled
from gnomon.figures.text import label, number
from gnomon.search.results import FINISHED, Result, best_of
from gnomon.search.rounds import Zoom
from gnomon.search.space import Dimension, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
TICKS = 3  # along each axis


@styled
def draw_search_slices(
    space: Space, results: Sequence[Result], zooms: Sequence[Zoom] = (), *, error_name: str, unit: str | None
) -> Figure:
    """One small plot per setting, on the scale it was sampled on; the best trial is ringed, later trials are darker.

    The ranges the search zoomed in to are shaded, once per zoom.
    """
    rows = math.ceil(len(space) / COLUMNS)
    figure = new_figure(0.5 + 1.9 * rows)
    top, best = frame_top(results), best_of(results)
    for place, one in enumerate(space):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        for zoom in zooms:
            if zoom.name == one.name and not one.is_choice:
                ends = [one.place(value) for value in zoom.after]
                axes.axvspan(ends[0], ends[-1], color=SKY, alpha=0.13, linewidth=0, zorder=0)
        _draw_slice(axes, one, results, top)
        if best is not None:
            axes.plot(
                one.place(best.point[one.name]), best.error, marker="o", markersize=9, color="none",
                markeredgecolor=INK, markeredgewidth=1.2,
            )  # fmt: skip
        axes.set_ylim(0, top)
        axes.set_title(label(one.name, 22), fontsize=9)
        error_axis(axes, "y", unit)
        if place % COLUMNS:
            axes.tick_params(labelleft=False)
    figure.suptitle(f"dev {label(error_name, 40)} against each", x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def _draw_slice(axes: Axes, one: Dimension, results: Sequence[Result], top: float) -> None:
    rounds = max((result.round for result in results), default=1) or 1
    for result in results:
        if math.isfinite(result.error) and result.error <= top:
            is_whole = result.status == FINISHED
            axes.scatter(
                one.place(result.point[one.name]), result.error, s=14, marker="o" if is_whole else "x", linewidths=0.9,
                color=BLUE if is_whole else MUTED, alpha=0.3 + 0.7 * max(result.round, 0) / rounds,
            )  # fmt: skip
    axes.axvline(one.place(one.default), color=FAINT, linewidth=1.2, zorder=0)
    places, names = ticks(one)
    axes.set_xticks(places, names)
    axes.set_xlim(-0.04, 1.04)


def ticks(one: Dimension) -> tuple[list[float], list[str]]:
    """Tick positions along a setting's range, with their values."""
    along = list(dict.fromkeys(one.at(i / (TICKS - 1)) for i in range(TICKS)))
    values = list(one.choices) if one.is_choice else along
    texts = [label(value, 10) if isinstance(value, str) else number(float(value)) for value in values]
    return [one.place(value) for value in values], texts
