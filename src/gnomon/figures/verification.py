"""Pairs by their distance: true accepts against false accepts, and where the pairs of each kind lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import INK, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gnomon.metrics.verification import Compared

BINS = 40


@styled
def draw_roc(pairs: Compared) -> Figure:
    """True accept rate by false accept rate, the latter on a log scale from one pair on; a dot at the threshold 0."""
    thresholds, far, frr = pairs.rates()
    least = 1 / max(1, int((~pairs.is_same).sum()))
    figure = new_figure(3.2)
    axes = figure.subplots()
    axes.plot(np.maximum(far, least / 2), 1 - frr, drawstyle="steps-post")
    at = int(np.searchsorted(thresholds, 0.0))
    at = min(max(at - (abs(thresholds[at - 1]) < abs(thresholds[min(at, len(far) - 1)])), 0), len(far) - 1)
    axes.plot(max(far[at], least / 2), 1 - frr[at], "o", color=INK, markersize=5)
    axes.set_xscale("log")
    axes.set_xlim(least / 2, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("false accept rate: share of pairs of two identities")
    axes.set_ylabel("true accept rate")
    return figure


@styled
def draw_distances(apart: np.ndarray, is_same: np.ndarray) -> Figure:
    """How far pairs (N,) are from the threshold, by kind."""
    figure = new_figure(2.6)
    axes = figure.subplots()
    edges = np.linspace(apart.min(), apart.max() + 1e-9, BINS + 1)
    for kind, name in ((is_same, "one identity"), (~is_same, "two identities")):
        counts = np.histogram(apart[kind], edges)[0] / max(1, int(kind.sum()))
        axes.stairs(counts, edges, label=name, fill=False, linewidth=1.5)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel("distance from the threshold (left: answered same)")
    axes.set_ylabel("share of its pairs")
    axes.legend()
    return figure
