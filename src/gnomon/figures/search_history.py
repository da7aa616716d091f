"""The trials of a search in the order of their numbers, and the best so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gnomon.figures.style import BLUE, FAINT, INK, MUTED, ORANGE, error_axis, few_ticks, new_figure, styled
from gnomon.figures.text import error_text, label
from gnomon.search.results import FINISHED, Result, best_of, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FRAME = 4.0  # the frame ends at this many times the median error of finished trials, or all would look flat


@styled
def draw_search_history(results: Sequence[Result], *, error_name: str, unit: str | None) -> Figure:
    """One dot per trial (hollow: fails a condition; cross: stopped early), a step line for the best so far.

    `results` by number, at least one with an error. Vertical lines mark the start of each round.
    """
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    top = frame_top(results)
    _draw_dots(axes, results, top)
    _draw_best(axes, results, unit)
    for before, after in itertools.pairwise(results[1:]):
        if after.round != before.round:
            axes.axvline(after.number - 0.5, color=FAINT, linewidth=1.2, zorder=0)
    axes.set_ylim(0, top)
    axes.set_xlabel("trial (a line where ranges were zoomed)" if _has_rounds(results) else "trial")
    above = sum(one.error > top for one in results)
    outside = f" ({above} above the frame)" if above else ""
    axes.set_title(f"dev {label(error_name, 40)} by trial{outside}")
    few_ticks(axes.xaxis, 10, whole=True)
    error_axis(axes, "y", unit)
    return figure


def frame_top(results: Sequence[Result]) -> float:
    """Where the frame ends: most trials are inside."""
    errors = sorted(one.error for one in ranked(results) if one.status == FINISHED) or [
        one.error for one in ranked(results)
    ]
    typical = errors[len(errors) // 2] if errors else 1.0
    return min(FRAME * typical, 1.08 * max(errors, default=1.0)) or 1.0


def _has_rounds(results: Sequence[Result]) -> bool:
    return len({one.round for one in results}) > 2


def _draw_dots(axes: Axes, results: Sequence[Result], top: float) -> None:
    kinds = {
        "finished": ([one for one in results if one.status == FINISHED and not one.unmet], "o", BLUE, BLUE),
        "fails a condition": ([one for one in results if one.status == FINISHED and one.unmet], "o", "none", BLUE),
        "stopped early": ([one for one in results if one.status != FINISHED], "x", MUTED, MUTED),
    }
    for name, (kept, marker, face, edge) in kinds.items():
        shown = [one for one in kept if math.isfinite(one.error) and one.error <= top]
        if shown:
            colours: dict[str, Any] = {"facecolor": face, "edgecolor": edge} if marker == "o" else {"color": edge}
            axes.scatter(
                [one.number for one in shown], [one.error for one in shown], marker=marker, s=22, label=name, **colours
            )
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=8, borderaxespad=0.2)


def _draw_best(axes: Axes, results: Sequence[Result], unit: str | None) -> None:
    numbers, errors = [], []
    for count in range(1, len(results) + 1):
        best = best_of(results[:count])
        if best is not None:
            numbers.append(results[count - 1].number)
            errors.append(best.error)
    best = best_of(results)
    if best is None:
        return
    axes.step(numbers, errors, where="post", color=ORANGE, linewidth=1.4)
    axes.plot(best.number, best.error, marker="o", markersize=9, color="none", markeredgecolor=INK, markeredgewidth=1.2)
    on_right = best.number > len(results) / 2
    axes.annotate(
        f"best: trial {best.number}, {error_text(best.error, unit)}", (best.number, best.error),
        xytext=(-8 if on_right else 8, -12), textcoords="offset points", ha="right" if on_right else "left",
        color=INK, fontsize=8.5,
    )  # fmt: skip
