"""In a deep net ReLU trains faster than tanh, and tanh faster than sigmoid; leaky ReLU is no slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, below, best_of, factor
from gnomon.gallery._pictures import COLOURS, dots, spread
from gnomon.gallery._training import course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH, WIDTH = 8, 32
EPOCHS = 15
INITS = {"relu": "he", "leaky_relu": "he", "tanh": "xavier", "sigmoid": "xavier"}  # each its own
NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "tanh": "tanh", "sigmoid": "sigmoid"}
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Measured:
    """Over seeds, by activation, each with its best rate and its own initialisation."""

    rates: Mapping[str, float]
    costs: Mapping[str, Array]  # (seeds, EPOCHS + 1) on all training examples
    dev_errors: Mapping[str, Array]  # (seeds,) at the end


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates, costs, errors = dict[str, float](), dict[str, Array](), dict[str, Array]()
    settings = {"hidden": (WIDTH,) * DEPTH, "epochs": EPOCHS}
    tuning = plain_trials("digits", TUNING_SEED, **settings)
    judging = [plain_trials("digits", seed, **settings) for seed in seeds]
    for i, (name, init) in enumerate(INITS.items()):
        progress(i / len(INITS), f"{NAMES[name]}: learning rate")
        changes = {"activation": name, "init": init}

        def cost(rate: float, changes: Mapping[str, str] = changes) -> float:
            return course(tuning, {**changes, "learning_rate": rate}).cost

        rates[name] = best_of(cost, RATES)
        progress((i + 0.5) / len(INITS), f"{NAMES[name]}: {len(seeds)} seeds")
        found = [course(trials, {**changes, "learning_rate": rates[name]}) for trials in judging]
        costs[name] = np.array([each.train_losses for each in found])
        errors[name] = np.array([each.dev_errors[-1].mean() for each in found])
    return Measured(rates, costs, errors)


def judge(measured: Measured) -> tuple[Part, ...]:
    ends = {name: costs[:, -1] for name, costs in measured.costs.items()}

    def lower(first: str, second: str) -> Part:
        ratio = factor(ends[first], ends[second])
        return below(f"{NAMES[first]} ends lower than {NAMES[second]}", ratio, 1, "times the cost")

    leaky = factor(ends["leaky_relu"], ends["relu"])
    return (
        lower("tanh", "sigmoid"),
        lower("relu", "sigmoid"),
        lower("relu", "tanh"),
        below("leaky ReLU ends no higher than ReLU", leaky, 1.25, "times the cost"),
    )


def table(measured: Measured) -> Table:
    rows = tuple(
        (NAMES[name], INITS[name], f"{measured.rates[name]:g}", f"{np.median(costs[:, -1]):.2g}",
         f"{100 * np.median(measured.dev_errors[name]):.1f} %")
        for name, costs in measured.costs.items()
    )  # fmt: skip
    return Table(("activation", "initialisation", "best rate", f"cost after {EPOCHS} epochs", "dev error"), rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    for (name, costs), colour in zip(measured.costs.items(), COLOURS, strict=False):
        spread(left, np.arange(EPOCHS + 1), costs, NAMES[name], colour)
    left.set_yscale("log")
    left.set_title(f"training cost, {DEPTH} hidden layers")
    left.set_xlabel("epoch")
    few_ticks(left.xaxis, 5, whole=True)
    left.legend(fontsize=8)
    dots(right, [100 * found for found in measured.dev_errors.values()], list(NAMES.values()))
    right.tick_params(axis="x", labelsize=8)
    right.set_title("dev error at the end, %")
    right.set_yscale("log")
    right.set_yticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    right.set_yticks([], minor=True)
    return figure


CLAIM = Claim(
    claimed="Hidden units: tanh almost always works better than sigmoid, because its values have mean zero; ReLU "
    "learns much faster than both, because its slope does not go to zero; leaky ReLU usually works at least as well as "
    "ReLU.",
    source="LeCun et al. 1998, section 4.4; Glorot, Bordes & Bengio 2011; Maas et al. 2013; Ng, Neural Networks and "
    "Deep Learning, week 3.",
    experiment=f"Digits, {DEPTH} hidden layers of {WIDTH} units, plain gradient descent with mini-batches of 64, "
    f"{EPOCHS} epochs, each activation with its own initialisation (He or Xavier) and the best of six learning rates, "
    "half a power of ten apart, chosen on a separate seed. Each seed has its own split, initial weights and order.",
    rule="The ratio of training costs at the end is below 1 with the whole 95 % interval over seeds; for leaky ReLU "
    "against ReLU below 1.25 (at most a quarter higher).",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
