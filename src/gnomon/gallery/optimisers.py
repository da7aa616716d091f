"""Momentum, RMSprop and Adam train faster than plain gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import MUTED, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, below, best_of, epochs_to, fact, factor
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._training import course, plain_trials
from gnomon.reference import Array
from gnomon.reference.optimisers import adam_step, momentum_step, rmsprop_step, sgd_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGE, SMALL = (0.03, 0.1, 0.3, 1.0), (0.001, 0.003, 0.01, 0.03)
RATES = {"sgd": LARGE, "momentum": (0.003, 0.01, 0.03, 0.1, 0.3), "rmsprop": SMALL, "adam": SMALL}
NAMES = {"sgd": "gradient descent", "momentum": "momentum", "rmsprop": "RMSprop", "adam": "Adam"}
HIDDEN = (64, 32)
EPOCHS = 10
TARGET = 0.1  # nats, for the table

BOWL = np.array([1.0, 40.0])  # curvatures: f(w) = sum of BOWL w^2 / 2
START = np.array([-9.0, 1.6])
BOWL_RATES = np.geomspace(1e-3, 3.0, 60)
BOWL_STEPS = 400
FAR = 1e6
BOTTOM = 1e-3  # of the initial height: below this, the bottom is reached


@dataclass(frozen=True)
class Measured:
    """Over seeds, by update rule, each at its best rate; and the paths down an elongated bowl."""

    rates: Mapping[str, float]
    costs: Mapping[str, Array]  # (seeds, EPOCHS + 1) on all training examples
    bowl_rates: Mapping[str, float]
    paths: Mapping[str, Array]  # (BOWL_STEPS + 1, 2)


def path(rule: str, rate: float) -> Array:
    """(BOWL_STEPS + 1, 2): down the bowl from START."""
    w, points = START, [START]
    first, second = np.zeros(2), np.zeros(2)
    for t in range(1, BOWL_STEPS + 1):
        slope = BOWL * w
        if rule == "sgd":
            w = sgd_step(w, slope, learning_rate=rate)
        elif rule == "momentum":
            w, first = momentum_step(w, slope, first, learning_rate=rate)
        elif rule == "rmsprop":
            w, second = rmsprop_step(w, slope, second, learning_rate=rate)
        else:
            w, first, second = adam_step(w, slope, first, second, t, learning_rate=rate)
        if np.abs(w).max() > FAR:  # it diverges, and stays outside from here on
            return np.array(points + [w] * (BOWL_STEPS + 1 - len(points)))
        points.append(w)
    return np.array(points)


def steps_down(points: Array) -> int:
    """Steps after which the height stays below BOTTOM of the initial height; all steps if it never does."""
    heights = (BOWL * points**2).sum(axis=1)
    high = np.flatnonzero(heights > BOTTOM * heights[0])
    return min(int(high[-1]) + 1, len(points) - 1)


def best_on_bowl(rule: str) -> float:
    return best_of(lambda rate: steps_down(path(rule, rate)), [float(rate) for rate in BOWL_RATES])


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates, costs = dict[str, float](), dict[str, Array]()
    bowl_rates = {rule: best_on_bowl(rule) for rule in RATES}
    settings = {"hidden": HIDDEN, "epochs": EPOCHS}
    tuning = plain_trials("digits", TUNING_SEED, **settings)
    judging = [plain_trials("digits", seed, **settings) for seed in seeds]
    for i, (rule, choice) in enumerate(RATES.items()):
        progress(i / len(RATES), f"{NAMES[rule]}: learning rate")

        def cost(rate: float, rule: str = rule) -> float:
            return course(tuning, {"optimiser": rule, "learning_rate": rate}).cost

        rates[rule] = best_of(cost, choice)
        changes = {"optimiser": rule, "learning_rate": rates[rule]}
        costs[rule] = np.array([course(trials, changes).train_losses for trials in judging])
    return Measured(rates, costs, bowl_rates, {rule: path(rule, rate) for rule, rate in bowl_rates.items()})


def judge(measured: Measured) -> tuple[Part, ...]:
    ends = {rule: costs[:, -1] for rule, costs in measured.costs.items()}
    steps = {rule: steps_down(points) for rule, points in measured.paths.items()}
    parts = [
        below(
            f"{NAMES[rule]} ends with a lower cost than gradient descent",
            factor(ends[rule], ends["sgd"]),
            1,
            "times the cost",
        )
        for rule in ("momentum", "rmsprop", "adam")
    ]
    return (
        *parts,
        fact(
            "on an elongated bowl momentum needs fewer steps than gradient descent",
            steps["momentum"] < steps["sgd"],
            f"{steps['momentum']} against {steps['sgd']} steps down to a thousandth of the height",
        ),
    )


def table(measured: Measured) -> Table:
    rows = []
    for rule, name in NAMES.items():
        costs = measured.costs[rule]
        epochs = np.median([epochs_to(run, TARGET) for run in costs])
        rows.append((
            name, f"{measured.rates[rule]:g}", f"{epochs:g}", f"{np.median(costs[:, -1]):.2g}",
            str(steps_down(measured.paths[rule])),
        ))  # fmt: skip
    head = ("update", "best rate", f"epochs to a cost of {TARGET:g}", f"cost after {EPOCHS}", "steps down the bowl")
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _draw_bowl(left, measured)
    for (rule, costs), colour in zip(measured.costs.items(), COLOURS, strict=False):
        spread(right, np.arange(EPOCHS + 1), costs, NAMES[rule], colour)
    right.set_yscale("log")
    right.set_title("digits: training cost")
    right.set_xlabel("epoch")
    few_ticks(right.xaxis, 5, whole=True)
    right.legend(fontsize=8)
    return figure


def _draw_bowl(axes: Axes, measured: Measured) -> None:
    across, up = np.linspace(-10, 4, 200), np.linspace(-2.4, 2.4, 200)
    heights = 0.5 * (BOWL[0] * across**2 + BOWL[1] * up[:, np.newaxis] ** 2)
    axes.contour(across, up, heights, levels=[0.5, 3, 10, 25, 50, 90], colors=MUTED, linewidths=0.6, alpha=0.7)
    for (rule, points), colour in zip(measured.paths.items(), COLOURS, strict=False):
        shown = points[: min(steps_down(points), 40) + 1]
        axes.plot(shown[:, 0], shown[:, 1], "o-", color=colour, markersize=2, linewidth=1, label=NAMES[rule])
    axes.set_xlim(-10, 4)
    axes.set_ylim(-2.4, 2.4)
    axes.set_title("down an elongated bowl, at most 40 steps")
    axes.grid(visible=False)


CLAIM = Claim(
    claimed="Momentum almost always works faster than plain gradient descent: it damps the steps across the valley and "
    "adds up those along it. RMSprop, which divides by the root mean square, has the same effect; Adam combines both "
    "and works well on a wide range of problems.",
    source="Polyak 1964; Tieleman & Hinton 2012; Kingma & Ba 2015; Ng, Improving Deep Neural Networks, week 2.",
    experiment=f"Digits, hidden layers of {HIDDEN[0]} and {HIDDEN[1]} ReLU units, {EPOCHS} epochs of mini-batches of "
    "64 at a constant rate, each rule at the best of four or five learning rates half a power of ten apart, chosen on "
    "a separate seed. Each seed has its own split, initial weights and order. Also, a bowl of two weights with "
    f"curvatures 1 and {BOWL[1]:g} (`gnomon.reference`), each rule at the best of {len(BOWL_RATES)} rates.",
    rule=f"The ratio of training costs after {EPOCHS} epochs, relative to plain descent, is below 1 with the whole "
    "95 % interval over seeds. On the bowl: fewer steps until the height stays below a thousandth.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
