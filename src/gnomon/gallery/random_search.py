"""Random search beats the grid when one dimension matters more than the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.seeds import generator
from gnomon.figures.style import ORANGE, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import below, factor
from gnomon.gallery._search import RATE, dev_cost, on_log_scale, two_searches
from gnomon.gallery._training import plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 3  # of the grid; both searches have SIDE * SIDE trials
EPSILON = (1e-10, 1e-6)  # of Adam: hardly matters
SETTINGS = {"hidden": (32,), "optimiser": "adam", "epochs": 4}


@dataclass(frozen=True)
class Measured:
    """Over seeds: the points of both searches, in [0, 1] along each logarithmic range, and their dev costs."""

    grid_points: Array  # (seeds, trials, 2): rate, epsilon
    random_points: Array
    grid: Array  # (seeds, trials) dev costs
    random: Array


def grid_points(seed: int) -> Array:
    """(trials, 2): SIDE x SIDE points one cell apart. The offset is drawn at random: a fixed grid may be lucky."""
    begin = generator(seed, "grid").random(2)
    axes = [(np.arange(SIDE) + offset) / SIDE for offset in begin]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def random_points(seed: int) -> Array:
    """(trials, 2)."""
    return generator(seed, "random").random((SIDE * SIDE, 2))


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    points: tuple[list[Array], list[Array]] = ([], [])
    costs: tuple[list[Array], list[Array]] = ([], [])
    for i, seed in enumerate(seeds):
        trials = plain_trials("digits", seed, **SETTINGS)
        for j, draw_points in enumerate((grid_points, random_points)):
            progress((i + j / 2) / len(seeds), f"search {i + 1} of {len(seeds)}: {('grid', 'random')[j]}")
            found = draw_points(seed)
            points[j].append(found)
            costs[j].append(np.array([
                dev_cost(trials, {"learning_rate": on_log_scale(u, *RATE), "epsilon": on_log_scale(v, *EPSILON)})
                for u, v in found
            ]))  # fmt: skip
    return Measured(np.array(points[0]), np.array(points[1]), np.array(costs[0]), np.array(costs[1]))


def spreads(measured: Measured) -> tuple[Array, Array]:
    """(seeds,) each: how far the logarithm of a grid's dev cost moves along the rate, and along epsilon, on average."""
    logs = np.log(measured.grid).reshape(-1, SIDE, SIDE)  # (seeds, rate, epsilon)
    return np.ptp(logs, axis=1).mean(axis=1), np.ptp(logs, axis=2).mean(axis=1)


def judge(measured: Measured) -> tuple[Part, ...]:
    along_rate, along_epsilon = spreads(measured)
    least = 1e-6  # epsilon may change nothing at all
    return (
        below("epsilon moves the dev cost far less than the learning rate does",
              factor(along_epsilon + least, along_rate + least), 0.2, "times as far"),
        below(f"the best of {SIDE * SIDE} random trials is better than the best of the grid",
              factor(measured.random.min(axis=1), measured.grid.min(axis=1)), 1, "times the dev cost"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    grid, random = measured.grid.min(axis=1), measured.random.min(axis=1)
    rows = (
        ("grid", str(SIDE), f"{np.median(grid):.3g}", f"{grid.max():.3g}", f"{(grid < random).sum()} of {len(grid)}"),
        ("random", str(SIDE * SIDE), f"{np.median(random):.3g}", f"{random.max():.3g}",
         f"{(random < grid).sum()} of {len(grid)}"),
    )  # fmt: skip
    return Table(("search", "rates tried", "best dev cost, median", "worst seed", "better"), rows)


@styled
def draw(measured: Measured) -> Figure:
    """Ticks below mark the rates tried."""
    figure, axes = two_searches(
        (measured.grid_points, measured.random_points), (measured.grid, measured.random),
        titles=("grid: one search", "random: one search"), labels=("grid", "random"), name="epsilon", span=EPSILON,
    )  # fmt: skip
    for place, points in zip(axes, (measured.grid_points, measured.random_points), strict=False):
        rates = on_log_scale(points[0, :, 0], *RATE)
        place.plot(rates, np.full(len(rates), EPSILON[0] / 2), "|", color=ORANGE, markersize=9, markeredgewidth=1.5)
        place.set_ylim(EPSILON[0] / 4, EPSILON[1] * 2)
    return figure


CLAIM = Claim(
    claimed="Do not use a grid: if one hyperparameter matters (the learning rate) and another hardly does (Adam's "
    "epsilon), a grid of 25 tries 5 values of the one that matters, random search 25.",
    source="Bergstra & Bengio 2012; Ng, Improving Deep Neural Networks, week 3.",
    experiment=f"Digits, 32 hidden units, 4 epochs of Adam. The learning rate from {RATE[0]:g} to {RATE[1]:g} and "
    f"epsilon from {EPSILON[0]:g} to {EPSILON[1]:g}, both on logarithmic scales: {SIDE * SIDE} trials on a {SIDE} x "
    f"{SIDE} grid with a random offset, and as many at random. Each seed has its own split, initial weights, grid and "
    "points.",
    rule="The ratio of the best dev costs (equally many looks at dev), random over grid, is below 1 with the whole "
    "95 % interval over seeds; and epsilon moves the logarithm of the cost less than a fifth as far as the rate.",
    seeds=30,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
