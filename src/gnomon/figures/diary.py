"""An improvement step by step: the dev error of every change tried, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gnomon.figures.style import FAINT, GREEN, INK, MUTED, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import label, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnomon.strategy.improve_diary import Entry

TIME_AXIS = 60.0  # seconds; longer diaries are drawn in minutes


@styled
def draw_diary(entries: Sequence[Entry], *, error_name: str, unit: str | None) -> Figure:
    """Time runs from left to right; the line is the current system, dots are changes.

    Filled green: proven; open green: on trial; grey: undone; square: everything on trial, tested together.
    """
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    first = next((entry for entry in entries if entry.event == "first"), None)
    tries = [entry for entry in entries if entry.event in ("tried", "together") and "dev_after" in entry.facts]
    in_minutes = bool(entries) and entries[-1].seconds > TIME_AXIS
    scale = 60.0 if in_minutes else 1.0
    if first is not None:
        _draw_line(axes, first, tries, entries[-1].seconds / scale, scale)
    for entry in tries:
        _draw_try(axes, entry, scale)
    axes.set_xlabel("minutes" if in_minutes else "seconds")
    axes.set_title(f"dev {label(error_name, 40)} as changes were tried and kept")
    axes.margins(x=0.06, y=0.15)
    few_ticks(axes.yaxis, 6)
    error_axis(axes, "y", unit)
    return figure


def _mean(values: Sequence[Any]) -> float:
    return sum(map(float, values)) / len(values)


def _draw_line(axes: Axes, first: Entry, tries: Sequence[Entry], end: float, scale: float) -> None:
    times, errors = [first.seconds / scale], [float(first.facts["dev_error"])]
    for entry in tries:
        if entry.facts["kept"] or entry.event == "together":  # after a joint undo, the system is as it was before
            times.append(entry.seconds / scale)
            errors.append(_mean(entry.facts["dev_after" if entry.facts["kept"] else "dev_before"]))
    axes.step([*times, end], [*errors, errors[-1]], where="post", color=INK, linewidth=1.6)


def _draw_try(axes: Axes, entry: Entry, scale: float) -> None:
    error, is_kept = _mean(entry.facts["dev_after"]), entry.facts["kept"]
    colour = GREEN if is_kept else MUTED
    axes.plot(entry.seconds / scale, error, "s" if entry.event == "together" else "o",
              color=colour if entry.is_proven else "white", markeredgecolor=colour, markersize=6, markeredgewidth=1.3,
              zorder=3)  # fmt: skip
    before = _mean(entry.facts["dev_before"])
    axes.plot((entry.seconds / scale,) * 2, (before, error), color=FAINT, linewidth=1, zorder=1)
    if is_kept and entry.event == "tried":
        axes.annotate(  # at the upper corner of its step, where the frame is mostly empty
            typeset(label(str(entry.facts["label"]), 40)), (entry.seconds / scale, before), xytext=(5, 2),
            textcoords="offset points", va="bottom", color=GREEN, fontsize=8.5,
        )  # fmt: skip
