"""How many examples are within an error: the whole distribution, where a mean hides the worst."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from gnomon.figures.style import BLUE, MUTED, new_figure, styled
from gnomon.figures.text import label, share_tick

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 0.99  # of the examples fit on the axis; the worst would squeeze the others


@styled
def draw_within(errors: np.ndarray, *, name: str, mark: float) -> Figure:
    """The share of examples with at most each error, which is a share itself; `mark`: beyond it they have failed."""
    found = np.sort(np.asarray(errors, float)[np.isfinite(errors)])
    figure = new_figure(3.4)
    axes = figure.subplots()
    if len(found):
        shares = np.arange(1, len(found) + 1) / len(found)
        axes.step(np.r_[0.0, found], np.r_[0.0, shares], where="post", color=BLUE, linewidth=1.4)
        axes.set_xlim(0, max(1.5 * mark, float(np.quantile(found, SHOWN))))
    axes.axvline(mark, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1)
    axes.set_xlabel(label(name, 40))
    axes.set_ylabel("share of pictures within it")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: share_tick(value)))
    return figure
