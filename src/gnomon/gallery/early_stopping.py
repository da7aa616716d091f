"""Early stopping turns two knobs at once; L2 reaches the same dev cost with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import BLUE, MUTED, ORANGE, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEEDS, above, below, best_of, factor
from gnomon.gallery._pictures import spread
from gnomon.gallery._training import Course, course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN_ON = 100
EPOCHS = 150
LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SETTINGS = {"hidden": (256,), "optimiser": "momentum", "learning_rate": 0.02, "batch_size": 32, "epochs": EPOCHS}


@dataclass(frozen=True)
class Measured:
    """Over seeds. Dev is split in half: one half chooses the epoch to stop at, the other half evaluates everything."""

    strength: float  # lambda of L2
    train_costs: Array  # (seeds, EPOCHS + 1) without L2
    dev_costs: Array  # (seeds, EPOCHS + 1) on the evaluating half
    l2_train_costs: Array
    l2_dev_costs: Array
    stops: Array  # (seeds,) the epoch chosen on the other half


def halves(found: Course) -> tuple[Array, Array]:
    """(E + 1,) costs on the half that chooses and on the half that evaluates."""
    return found.dev_losses[:, 0::2].mean(axis=1), found.dev_losses[:, 1::2].mean(axis=1)


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rows = np.arange(TRAIN_ON)
    tuning = [plain_trials("digits", seed, **SETTINGS) for seed in TUNING_SEEDS]
    progress(0, "L2: choosing the strength")

    def dev_cost(strength: float) -> float:
        found = [course(trials, {"l2": strength}, rows=rows) for trials in tuning]
        return float(np.mean([each.dev_losses[-1].mean() for each in found]))

    strength = best_of(dev_cost, LAMBDAS)
    plain, regular = list[Course](), list[Course]()
    for i, seed in enumerate(seeds):
        progress(0.25 + 0.75 * i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        trials = plain_trials("digits", seed, **SETTINGS)
        plain.append(course(trials, {}, rows=rows))
        regular.append(course(trials, {"l2": strength}, rows=rows))
    return Measured(
        strength,
        np.array([found.train_losses for found in plain]),
        np.array([halves(found)[1] for found in plain]),
        np.array([found.train_losses for found in regular]),
        np.array([halves(found)[1] for found in regular]),
        np.array([int(halves(found)[0].argmin()) for found in plain]),
    )


def at(costs: Array, epochs: Array) -> Array:
    """(seeds,): the cost of each seed at its own epoch."""
    chosen: Array = costs[np.arange(len(costs)), epochs]
    return chosen


def judge(measured: Measured) -> tuple[Part, ...]:
    stopped, end = at(measured.dev_costs, measured.stops), measured.dev_costs[:, -1]
    train_stopped, train_end = at(measured.train_costs, measured.stops), measured.train_costs[:, -1]
    l2_end, l2_least = measured.l2_dev_costs[:, -1], measured.l2_dev_costs.min(axis=1)
    return (
        below("fit dev: stopping early lowers the dev cost", factor(stopped, end), 1, "times the cost at the end"),
        above("fit train: it also leaves the training cost higher", factor(train_stopped, train_end), 2,
              "times the cost at the end"),
        below("L2, trained to the end, is no worse on dev", factor(l2_end, stopped), 1.1, "times the stopped cost"),
        below("with L2 the number of epochs no longer matters", factor(l2_end, l2_least), 1.1,
              "times the lowest of any epoch"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    stops = measured.stops
    rows = (
        ("to the end", str(EPOCHS), _shown(measured.train_costs[:, -1]), _shown(measured.dev_costs[:, -1])),
        ("stopped early", f"{np.median(stops):g} ({stops.min()} to {stops.max()})",
         _shown(at(measured.train_costs, stops)), _shown(at(measured.dev_costs, stops))),
        (f"L2, lambda {measured.strength:g}, to the end", str(EPOCHS), _shown(measured.l2_train_costs[:, -1]),
         _shown(measured.l2_dev_costs[:, -1])),
    )  # fmt: skip
    return Table(("training", "epochs", "train cost", "dev cost"), rows)


def _shown(costs: Array) -> str:
    return f"{np.median(costs):.3g}"


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    epochs = np.arange(EPOCHS + 1)
    for axes, train, dev, title in (
        (left, measured.train_costs, measured.dev_costs, "no regularisation"),
        (right, measured.l2_train_costs, measured.l2_dev_costs, f"L2, lambda {measured.strength:g}"),
    ):
        spread(axes, epochs, train, "train", BLUE)
        spread(axes, epochs, dev, "dev", ORANGE)
        axes.set_yscale("log")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        few_ticks(axes.xaxis, 5, whole=True)
    stop = float(np.median(measured.stops))
    left.axvspan(float(measured.stops.min()), float(measured.stops.max()), color=MUTED, alpha=0.12, linewidth=0)
    left.axvline(stop, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    left.annotate("stopped here", (stop, left.get_ylim()[0]), xytext=(4, 6), textcoords="offset points", fontsize=8,
                  color=MUTED)  # fmt: skip
    left.set_ylabel("cost")
    left.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="Early stopping keeps a network from overfitting, but it couples two tasks: ending the descent also stops "
    "lowering the training cost, so it is not an orthogonal knob. L2 keeps the two apart: train as long as you like "
    "and choose lambda.",
    source="Prechelt 1998; Ng, Improving Deep Neural Networks, week 1, and Structuring Machine Learning Projects, week "
    "1.",
    experiment=f"{TRAIN_ON} digits, 256 hidden ReLU units, momentum, {EPOCHS} epochs, with and without L2 (lambda "
    f"among {', '.join(f'{x:g}' for x in LAMBDAS)}, by the final dev cost over three separate seeds). Dev is split in "
    "half: the epoch to stop at is the one with the lowest cost on the first half, everything is evaluated on the "
    "second. Each seed has its own split, initial weights and order.",
    rule="Ratios over seeds, with the whole 95 % interval: dev cost when stopped relative to the end below 1; training "
    "cost likewise above 2; dev cost with L2 at the end relative to that when stopped below 1.1, and to the lowest of "
    "any of its own epochs below 1.1.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
