"""Error against the number of training examples, with the fitted curve and its forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gnomon.figures.style import INK, MUTED, SPLIT_COLOURS, error_axis, new_figure, styled
from gnomon.figures.text import count, error_text, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gnomon.strategy.curve import CurvePoint, Forecast


@styled
def draw_learning_curve_forecast(
    points: Sequence[CurvePoint], forecasts: Sequence[Forecast], *, error_name: str, unit: str | None
) -> Figure:
    """Measured errors as dots (dev, and train below), forecasts as bars to the right of the last measurement."""
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    sizes = sorted({point.examples for point in points})
    for split, value_of in (("dev", lambda point: point.error), ("train", lambda point: point.train_error)):
        colour = SPLIT_COLOURS[split]
        axes.plot(
            [point.examples for point in points], [value_of(point) for point in points], "o", color=colour,
            markersize=4.5, alpha=0.75,
        )  # fmt: skip
        means = [_mean([value_of(point) for point in points if point.examples == size]) for size in sizes]
        axes.plot(sizes, means, color=colour, linewidth=1.4)
        if sizes:
            axes.annotate(split, (sizes[0], means[0]), xytext=(-8, 0), textcoords="offset points", ha="right",
                          va="center", color=colour)  # fmt: skip
    if forecasts:
        _draw_forecasts(axes, forecasts, unit)
    marked = [*sizes, *(one.examples for one in forecasts)]
    axes.set_xticks(marked, [count(size) for size in marked])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.margins(x=0.12)
    axes.set_xlabel("training examples")
    axes.set_title(f"{label(error_name, 40)} by training examples, and the forecast for more")
    error_axis(axes, "y", unit)
    return figure


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _draw_forecasts(axes: Axes, forecasts: Sequence[Forecast], unit: str | None) -> None:
    now = forecasts[0]
    start = round(now.examples / now.factor)
    axes.plot([start, *(one.examples for one in forecasts)], [now.now, *(one.error for one in forecasts)],
              color=INK, linestyle=(0, (4, 3)), linewidth=1.2)  # fmt: skip
    for one in forecasts:
        axes.plot((one.examples, one.examples), (one.low, one.high), color=INK, linewidth=5, alpha=0.25,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(one.examples, one.error, "o", color=INK, markersize=5)
        axes.annotate(
            error_text(one.error, unit), (one.examples, one.high), xytext=(0, 5), textcoords="offset points",
            ha="center", va="bottom", color=INK, fontsize=8.5,
        )  # fmt: skip
    axes.axvspan(start, forecasts[-1].examples * 1.3, color=MUTED, alpha=0.06, linewidth=0)
