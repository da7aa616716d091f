"""The ladder of errors as a figure: one dot with its interval per rung, and the gaps, with the largest marked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gnomon.figures.style import FAINT, INK, MUTED, ORANGE, SPLIT_COLOURS, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import error_text, gap_text, label
from gnomon.strategy.wording import split_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnomon.strategy.diagnosis import Diagnosis, Gap, Rung


@styled
def draw_ladder(diagnosis: Diagnosis) -> Figure:
    """Rungs from top to bottom in the ladder's order; between two rungs, their gap and its name."""
    rungs = [rung for rung in diagnosis.rungs if math.isfinite(rung.error)]
    figure = new_figure(0.55 + 0.62 * max(len(rungs), 1))
    axes = figure.add_subplot()
    heights = {rung.name: -position for position, rung in enumerate(rungs)}
    errors = {rung.name: rung.error for rung in rungs}
    for rung in rungs:
        _draw_rung(axes, rung, heights[rung.name], diagnosis.unit)
    for gap in diagnosis.gaps:
        if gap.below in heights and gap.above in heights and math.isfinite(gap.size):
            middle = (heights[gap.below] + heights[gap.above]) / 2
            _draw_gap(axes, gap, errors, middle, diagnosis)
    axes.set_ylim(-max(len(rungs), 1) + 0.45, 0.5)
    axes.set_yticks([heights[rung.name] for rung in rungs], [split_name(rung.name) for rung in rungs],
                    color=INK, fontsize=10)  # fmt: skip
    _frame(axes, rungs, diagnosis)
    return figure


def is_known(rung: Rung) -> bool:
    """Whether the rung was measured or given; an unknown human level is 0 in the ladder."""
    return math.isfinite(rung.error) and not rung.is_unknown


def _draw_rung(axes: Axes, rung: Rung, height: float, unit: str | None) -> None:
    colour = SPLIT_COLOURS.get(rung.name, MUTED)
    if math.isfinite(rung.low) and math.isfinite(rung.high) and rung.high > rung.low:
        axes.plot((rung.low, rung.high), (height, height), color=colour, linewidth=5, alpha=0.3, solid_capstyle="butt")
    axes.plot(rung.error, height, marker="o", markersize=8, color=colour, markeredgecolor="white", zorder=3,
              clip_on=False)  # fmt: skip
    right = rung.high if math.isfinite(rung.high) else rung.error
    text = error_text(rung.error, unit) if is_known(rung) else "unknown"
    axes.annotate(text, (max(right, rung.error), height), xytext=(9, 0), textcoords="offset points", va="center",
                  color=INK, fontweight="bold")  # fmt: skip


def _draw_gap(axes: Axes, gap: Gap, errors: dict[str, float], middle: float, diagnosis: Diagnosis) -> None:
    """A bracket from one rung's error to the other's, half way between the two rows."""
    start, end = errors[gap.below], errors[gap.above]
    is_named = diagnosis.verdict.gap is not None and gap.name in diagnosis.verdict.contenders
    colour, weight = (ORANGE, "bold") if is_named else (MUTED, "normal")
    axes.plot((start, end), (middle, middle), color=colour, linewidth=2.6 if is_named else 1.2)
    for error, toward in ((start, 0.5), (end, -0.5)):
        axes.plot((error, error), (middle, middle + toward), color=colour if is_named else FAINT, linewidth=0.8,
                  linestyle=":", zorder=0)  # fmt: skip
    text = (
        f"{gap.name}: {'at most ' if gap.is_bound else ''}{gap_text(gap.size, diagnosis.unit, signed=not gap.is_bound)}"
    )
    if is_named and len(diagnosis.verdict.contenders) == 1:
        text += " ← largest"
    axes.annotate(text, (max(start, end), middle), xytext=(9, 0), textcoords="offset points", va="center",
                  color=colour, fontweight=weight, fontsize=8.5)  # fmt: skip


def _frame(axes: Axes, rungs: list[Rung], diagnosis: Diagnosis) -> None:
    ends = [value for rung in rungs for value in (rung.error, rung.high) if math.isfinite(value)]
    lows = [value for rung in rungs for value in (rung.error, rung.low) if math.isfinite(value)]
    top, bottom = max(ends, default=1.0), min(0.0, min(lows, default=0.0))
    axes.set_xlim(bottom, bottom + 1.75 * ((top - bottom) or 1.0))  # room for the text to the right of the last dot
    few_ticks(axes.xaxis, 8)
    error_axis(axes, "x", diagnosis.unit)
    axes.set_xlabel(f"{label(diagnosis.error_name, 60)} (dot), 95 % interval (bar)")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
