"""Activations, gradients and updates of every layer per epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.figures.text import label, number, share_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW_LOOKS = 30  # up to this many measurements, each has a marker
MOST_NAMED = 8  # layers in the legend; if there are more, evenly spaced ones
_PANELS = (
    ("std", "spread of activations"),
    ("gradient", "gradient norm"),
    ("update_ratio", "update / weight"),
    ("idle", "dead or saturated"),
)


@styled
def draw_layer_signals(history: Sequence[Mapping[str, Any]]) -> Figure:
    """One line per layer, from light (next to the input) to dark (next to the output); sizes on log scales.

    `history` has the rows of epochs; those with the key "signals" (core.layer_signals.as_rows) are drawn.
    """
    measured = [row for row in history if row.get("signals")]
    names = [signal["layer"] for signal in measured[-1]["signals"]]
    colours = mpl.colormaps["viridis_r"]
    figure = new_figure(4.4)
    grid = figure.add_gridspec(2, 2)
    for place, (key, title) in enumerate(_PANELS):
        axes = figure.add_subplot(grid[place // 2, place % 2])
        for i, name in enumerate(names):
            share = i / max(1, len(names) - 1)
            values = [_value(row["signals"], name, key) for row in measured]
            axes.plot(
                [row["epoch"] for row in measured], values, color=colours(0.12 + 0.88 * share), linewidth=1.2,
                marker="o" if len(measured) <= FEW_LOOKS else None, markersize=3.2, label=label(name, 16),
            )  # fmt: skip
        _scaled(axes, key)
        axes.set_title(title, fontsize=9)
        few_ticks(axes.xaxis, 8, whole=True)
        axes.margins(x=0.02)
        if place >= 2:
            axes.set_xlabel("epoch")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    chosen = sorted({round(i * (len(handles) - 1) / max(1, MOST_NAMED - 1)) for i in range(MOST_NAMED)})
    chosen = chosen if len(handles) > MOST_NAMED else list(range(len(handles)))
    figure.legend([handles[i] for i in chosen], [labels[i] for i in chosen], loc="outside lower center", ncols=4,
                  fontsize=8)  # fmt: skip
    return figure


def _value(signals: Sequence[Mapping[str, Any]], name: str, key: str) -> float:
    """The value of a layer in one measurement; NaN if it has none, or if a log scale cannot show it."""
    signal = next((one for one in signals if one["layer"] == name), None)
    if signal is None:
        return math.nan
    if key == "idle":
        shares = [share for share in (signal["dead"], signal["saturated"]) if share is not None]
        return max(shares, default=math.nan)
    value = float(signal[key])
    return value if math.isfinite(value) and value > 0 else math.nan


def _scaled(axes: Axes, key: str) -> None:
    if key == "idle":
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: share_tick(value)))
        few_ticks(axes.yaxis, 4)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
