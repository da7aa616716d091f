"""On planted surfaces, whose best is known, coarse to fine comes nearer to it than random and grid search do.

An error of at least 2 %, a bowl in seven dimensions of which the learning rate counts most, a cliff above too high a
rate, an optimum that moves with momentum and batch size, and noise like that of 1,000 dev examples.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gnomon.search.findings import importance
from gnomon.search.results import FINISHED, Result, best_of
from gnomon.search.rounds import draws, grid, plan, whole, zoom
from gnomon.search.space import Dimension, Space

SPACE = Space((
    Dimension("learning_rate", "optimiser.learning_rate", "log", 1, 2e-3, 1e-4, 0.1),
    Dimension("momentum", "optimiser.momentum", "1 - beta, log", 2, 0.9, 0.8, 0.99),
    Dimension("batch_size", "optimiser.batch_size", "powers of two", 2, 32, 8, 128),
    Dimension("units", "model.hidden", "whole, log", 2, 64, 16, 512),
    Dimension("layers", "model.hidden", "whole", 3, 2, 1, 4),
    Dimension("weight_decay", "regularise.weight_decay", "log", 3, 0.5, 0.01, 5.0),
    Dimension("dropout", "regularise.dropout", "linear", 3, 0.2, 0.0, 0.5),
))  # fmt: skip
TRIALS, SURFACES, NOISE, FLOOR = 41, 60, 0.01, 0.02


def surface(rng):
    """The true error as a function of the places (7,) of a point."""
    best = rng.uniform(0.1, 0.9, 7)
    weights = np.array([1.0, 0.1, 0.12, 0.12, 0.12, 0.12, 0.12]) * np.exp(rng.normal(0, 0.5, 7))
    moves = rng.normal(0, 0.18, 2)

    def error(places):
        here = best.copy()
        here[0] = np.clip(best[0] + moves @ (places[1:3] - 0.5), 0.05, 0.95)
        cliff = 0.3 if places[0] - here[0] > 0.35 else 0.0
        return FLOOR + 0.25 * float(weights @ (places - here) ** 2) + cliff

    return error


def found(kind: str, seed: int) -> float:
    """The true error of what a search takes for the best."""
    rng = np.random.default_rng(seed)
    results, truth = searched(kind, seed, surface(rng), rng, TRIALS)
    return truth[best_of(results).number]


def searched(kind: str, seed: int, error, rng, trials: int):
    """The results of a search, and {trial: its true error}."""
    truth = {}

    def trial(number, round_number, point):
        truth[number] = error(np.array([one.place(point[one.name]) for one in SPACE]))
        return Result(number, round_number, point, FINISHED, error=truth[number] + NOISE * rng.normal(), loss=0.0)

    results: list[Result] = []
    if kind == "grid":
        results = [trial(i, 1, point) for i, point in enumerate(grid(SPACE, trials - 1), start=2)]
    region, last = whole(SPACE), None
    for what in plan(trials, SPACE.tiers, zooms=kind == "zoom") if kind != "grid" else ():
        if last is not None:
            region, _ = zoom(SPACE, region, results, last)
        results += [trial(n, what.number, point) for n, point in draws(SPACE, region, what, seed).items()]
        last = what
    return results, truth


@pytest.mark.parametrize("other", ["random", "grid"])
def test_coarse_to_fine_gets_closer_to_a_planted_optimum_with_the_same_number_of_trials(other):
    gain = np.array([found(other, seed) - found("zoom", seed) for seed in range(SURFACES)])
    low, _ = stats.t.interval(0.95, SURFACES - 1, gain.mean(), stats.sem(gain))
    assert low > 0


@pytest.mark.parametrize("matter", [("learning_rate",), ("learning_rate", "units")])
def test_a_setting_varied_late_gets_no_credit_for_the_zoom(matter):
    names = [one.name for one in SPACE]
    weights = np.array([{0: 1.0, 1: 0.6}[matter.index(name)] if name in matter else 0.0 for name in names])
    told = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        best = rng.uniform(0.2, 0.8, len(names))

        def error(places, best=best):
            return FLOOR + 0.25 * float(weights @ (places - best) ** 2)

        results, _ = searched("zoom", seed, error, rng, 25)
        places = np.array([one.place(one.default) for one in SPACE])
        defaults = Result(999, 0, SPACE.defaults, FINISHED, error=error(places) + NOISE * rng.normal(), loss=0.0)
        told.append(importance(SPACE, [*results, defaults]))
    said = [one for one in told if one is not None]
    assert len(said) >= 10
    assert sum(max(one.shares, key=one.shares.get) not in matter for one in said) <= len(said) / 8
