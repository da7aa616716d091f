"""Shared by the claims about search: positions on a logarithmic scale, the dev cost of a trial, two searches drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gnomon.core.errors import DivergedError
from gnomon.figures.style import BLUE, ORANGE, few_ticks, new_figure
from gnomon.gallery._pictures import dots
from gnomon.reference import Array
from gnomon.workflow.trial import Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

F = TypeVar("F", float, np.ndarray)

NUM_CLASSES = 10  # of digits
RATE = (1e-4, 1.0)  # learning rates that both claims search
GUESS = math.log(NUM_CLASSES)


def on_log_scale(place: F, low: float, high: float) -> F:
    """From [0, 1] to [low, high] on a logarithmic scale."""
    return low * (high / low) ** place


def dev_cost(trials: Trials, changes: Mapping[str, Any]) -> float:
    """Mean loss on dev at the best epoch; at most that of guessing, which is what a diverging trial counts as."""
    try:
        table = trials.run({key: float(value) for key, value in changes.items()}).evaluations["dev"].table
    except DivergedError:
        return GUESS
    return min(float(table["loss"].to_numpy().mean()), GUESS)


def two_searches(
    points: tuple[Array, Array], costs: tuple[Array, Array], *, titles: tuple[str, str], labels: tuple[str, str],
    name: str, span: tuple[float, float],
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """One search of each kind, and the best dev cost of all of them; the figure and its axes.

    points: (seeds, trials, 2) in [0, 1] along the learning rate and along `name`, whose range is `span`; costs:
    (seeds, trials). The larger and darker a point, the lower its cost.
    """
    figure = new_figure(2.9)
    axes = list(figure.subplots(1, 3, width_ratios=(1, 1, 0.9)))
    for place, at, found, title in zip(axes, points, costs, titles, strict=False):
        merit = np.clip(1 - (found[0] - found[0].min()) / (GUESS - found[0].min()), 0, 1)
        place.scatter(on_log_scale(at[0, :, 0], *RATE), on_log_scale(at[0, :, 1], *span), s=15 + 80 * merit, c=merit,
                      cmap="Blues", vmin=-0.35, vmax=1, edgecolors="white", linewidths=0.5)  # fmt: skip
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_xlim(RATE[0] / 1.6, RATE[1] * 1.6)
        place.set_ylim(span[0] / 1.6, span[1] * 1.6)
        place.set_title(title)
        place.set_xticks([1e-4, 1e-2, 1], ["0.0001", "0.01", "1"])
        place.set_xlabel("learning rate")
        place.set_ylabel(name)
    dots(axes[2], [found.min(axis=1) for found in costs], labels, (ORANGE, BLUE))
    axes[2].set_title("best dev cost")
    few_ticks(axes[2].yaxis, 5)
    return figure, axes
