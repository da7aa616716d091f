"""Searching coarsely, then finely around the best, beats searching evenly everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.seeds import generator
from gnomon.figures.style import INK, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import below, factor
from gnomon.gallery._search import RATE, dev_cost, on_log_scale, two_searches
from gnomon.gallery._training import plain_trials
from gnomon.reference import Array
from gnomon.workflow.trial import Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COARSE, FINE = 10, 10  # trials in the two stages; the even search has the same total
ZOOM = 1 / 3  # of each range that the fine stage keeps, around the best coarse trial
DECAY = (1e-3, 10.0)
SETTINGS = {"hidden": (32,), "optimiser": "adamw", "epochs": 4}


@dataclass(frozen=True)
class Measured:
    """Over seeds: points in [0, 1] along each logarithmic range and their dev costs; coarse ones first."""

    zoomed_points: Array  # (seeds, COARSE + FINE, 2): rate, weight decay
    even_points: Array
    zoomed: Array  # (seeds, COARSE + FINE)
    even: Array


def region(best: Array) -> tuple[Array, Array]:
    """The low and high corner of the fine stage: ZOOM of each range around `best`, inside the full range."""
    low = np.clip(best - ZOOM / 2, 0, 1 - ZOOM)
    return low, low + ZOOM


def costs_at(trials: Trials, points: Array) -> Array:
    return np.array([
        dev_cost(trials, {"learning_rate": on_log_scale(u, *RATE), "weight_decay": on_log_scale(v, *DECAY)})
        for u, v in points
    ])  # fmt: skip


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    found: list[tuple[Array, Array, Array, Array]] = []
    for i, seed in enumerate(seeds):
        trials = plain_trials("digits", seed, **SETTINGS)
        rng = generator(seed, "search")
        points = rng.random((COARSE + FINE, 2))  # the coarse stage is the first half of the even search
        progress(i / len(seeds), f"search {i + 1} of {len(seeds)}: evenly")
        even = costs_at(trials, points)
        progress((i + 0.7) / len(seeds), f"search {i + 1} of {len(seeds)}: zoomed in")
        low, high = region(points[int(even[:COARSE].argmin())])
        fine = low + (high - low) * rng.random((FINE, 2))
        zoomed = np.concatenate([even[:COARSE], costs_at(trials, fine)])
        found.append((np.concatenate([points[:COARSE], fine]), points, zoomed, even))
    return Measured(*(np.array(each) for each in zip(*found, strict=True)))


def judge(measured: Measured) -> tuple[Part, ...]:
    ratio = factor(measured.zoomed.min(axis=1), measured.even.min(axis=1))
    return (
        below(f"{COARSE} coarse and {FINE} fine trials find better settings than {COARSE + FINE} even ones", ratio, 1,
              "times the dev cost"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    zoomed, even = measured.zoomed.min(axis=1), measured.even.min(axis=1)
    coarse = measured.even[:, :COARSE].min(axis=1)
    rows = (
        (f"the first {COARSE} trials", f"{np.median(coarse):.3g}", ""),
        (f"then {FINE} more, everywhere", f"{np.median(even):.3g}", f"{(even < zoomed).sum()} of {len(even)}"),
        (f"or {FINE} around the best", f"{np.median(zoomed):.3g}", f"{(zoomed < even).sum()} of {len(even)}"),
    )
    return Table(("search", "best dev cost, median", "better"), rows)


@styled
def draw(measured: Measured) -> Figure:
    """The frame shows the region of the fine stage."""
    figure, axes = two_searches(
        (measured.even_points, measured.zoomed_points), (measured.even, measured.zoomed),
        titles=("evenly: one search", "coarse to fine"), labels=("evenly", "coarse\nto fine"), name="weight decay",
        span=DECAY,
    )  # fmt: skip
    low, high = region(measured.zoomed_points[0][int(measured.zoomed[0][:COARSE].argmin())])
    (left, right), (bottom, top) = (
        [float(on_log_scale(corner[k], *span)) for corner in (low, high)] for k, span in enumerate((RATE, DECAY))
    )
    axes[1].plot([left, right, right, left, left], [bottom, bottom, top, top, bottom], color=INK, linewidth=1)
    return figure


CLAIM = Claim(
    claimed="Coarse to fine: sample the whole space first, then zoom in to a smaller region around the points that "
    "worked best and sample more densely there.",
    source="Bergstra & Bengio 2012 (random sampling); Ng, Improving Deep Neural Networks, week 3.",
    experiment=f"Digits, 32 hidden units, 4 epochs of AdamW. The learning rate from {RATE[0]:g} to {RATE[1]:g} and "
    f"weight decay from {DECAY[0]:g} to {DECAY[1]:g}, on logarithmic scales: {COARSE} random trials, then {FINE} more, "
    f"either from the whole space or from a third of each range around the best. Each seed has its own split, initial "
    "weights and points.",
    rule="The ratio of the best dev costs (equally many trials), coarse to fine over even, is below 1 with the whole "
    "95 % interval over seeds.",
    seeds=20,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
