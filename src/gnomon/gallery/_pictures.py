"""Shared by the claims' figures: curves with their spread over seeds, labelled at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.figures.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, MUTED)


def spread(axes: Axes, x: np.ndarray, runs: np.ndarray, label: str, colour: str, **line: Any) -> None:
    """The median over seeds of `runs` (seeds, len(x)), in a band from the lowest to the highest."""
    axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, np.median(runs, axis=0), color=colour, label=label, **line)


def dots(axes: Axes, groups: Sequence[np.ndarray], labels: Sequence[str], colours: Sequence[str] = COLOURS) -> None:
    """One column of dots per group, one dot per seed, with a bar at the geometric or plain middle (the median)."""
    for place, (values, colour) in enumerate(zip(groups, colours, strict=False)):
        offsets = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(place + offsets, values, "o", color=colour, markersize=4, alpha=0.75, markeredgewidth=0)
        axes.hlines(float(np.median(values)), place - 0.3, place + 0.3, color=colour, linewidth=2)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(visible=False, axis="x")
