"""Dropout and L2 reduce overfitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEEDS, above, below, best_of, factor, over_seeds
from gnomon.gallery._pictures import COLOURS, dots, spread
from gnomon.gallery._training import Course, course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN_ON = 300  # examples: few enough to be memorised
EPOCHS = 40
LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0)
DROPOUTS = (0.2, 0.35, 0.5, 0.65, 0.8)
NAMES = {"none": "neither", "l2": "L2", "dropout": "dropout"}
SETTINGS = {"hidden": (256, 256), "optimiser": "adam", "learning_rate": 0.001, "batch_size": 32, "epochs": EPOCHS}


@dataclass(frozen=True)
class Measured:
    """Over seeds, for "none", "l2", "dropout"."""

    strengths: Mapping[str, float]  # lambda; probability of zeroing a unit
    train_costs: Mapping[str, Array]  # (seeds, EPOCHS + 1), in evaluation mode, without the penalty
    dev_costs: Mapping[str, Array]  # (seeds, EPOCHS + 1)
    dev_errors: Mapping[str, Array]  # (seeds,) at the end
    norms: Mapping[str, Array]  # (seeds,) root mean square of the weights at the end


def turned(kind: str, strength: float) -> dict[str, Any]:
    each: dict[str, dict[str, Any]] = {"none": {}, "l2": {"l2": strength}, "dropout": {"dropout": (strength,)}}
    return each[kind]


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rows = np.arange(TRAIN_ON)  # the examples of a split come in a random order
    tuning = [plain_trials("digits", seed, **SETTINGS) for seed in TUNING_SEEDS]
    strengths = {"none": 0.0}
    for i, (kind, choice) in enumerate((("l2", LAMBDAS), ("dropout", DROPOUTS))):
        progress(0.12 * i, f"{NAMES[kind]}: choosing the strength")

        def dev_cost(strength: float, kind: str = kind) -> float:
            found = [course(trials, turned(kind, strength), rows=rows) for trials in tuning]
            return float(np.mean([each.dev_losses[-1].mean() for each in found]))

        strengths[kind] = best_of(dev_cost, choice)
    found: dict[str, list[Course]] = {kind: [] for kind in NAMES}
    for i, seed in enumerate(seeds):
        progress(0.25 + 0.75 * i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        trials = plain_trials("digits", seed, **SETTINGS)
        for kind, courses in found.items():
            courses.append(course(trials, turned(kind, strengths[kind]), rows=rows))
    return Measured(
        strengths,
        {kind: np.array([each.train_losses for each in courses]) for kind, courses in found.items()},
        {kind: np.array([each.dev_losses.mean(axis=1) for each in courses]) for kind, courses in found.items()},
        {kind: np.array([each.dev_errors[-1].mean() for each in courses]) for kind, courses in found.items()},
        {kind: np.array([_weight_size(each.model) for each in courses]) for kind, courses in found.items()},
    )


def _weight_size(model: nn.Module) -> float:
    squares = [p.detach().double().square().flatten() for p in model.parameters() if p.dim() > 1]
    return float(np.sqrt(np.concatenate([each.numpy() for each in squares]).mean()))


def judge(measured: Measured) -> tuple[Part, ...]:
    gaps = {kind: measured.dev_costs[kind][:, -1] - measured.train_costs[kind][:, -1] for kind in NAMES}
    costs = {kind: measured.dev_costs[kind][:, -1] for kind in NAMES}
    errors = {kind: 100 * measured.dev_errors[kind] for kind in NAMES}
    parts = []
    for kind in ("l2", "dropout"):
        parts += [
            below(f"{NAMES[kind]}: the gap from train to dev cost is smaller", factor(gaps[kind], gaps["none"]), 1,
                  "times the gap"),
            below(f"{NAMES[kind]}: the dev cost is lower", factor(costs[kind], costs["none"]), 1, "times the cost"),
            above(f"{NAMES[kind]}: the dev error is lower", over_seeds(errors["none"] - errors[kind]), 0, "points"),
        ]  # fmt: skip
    smaller = factor(measured.norms["l2"], measured.norms["none"])
    return (*parts, below("L2: weights are smaller", smaller, 1, "times the size"))


def table(measured: Measured) -> Table:
    labels = {"none": "neither", "l2": f"L2, lambda {measured.strengths['l2']:g}",
              "dropout": f"dropout {measured.strengths['dropout']:g}"}  # fmt: skip
    rows = tuple(
        (labels[kind], f"{np.median(measured.train_costs[kind][:, -1]):.2g}",
         f"{np.median(measured.dev_costs[kind][:, -1]):.3g}", f"{100 * np.mean(measured.dev_errors[kind]):.1f} %",
         f"{np.median(measured.norms[kind]):.3g}")
        for kind in NAMES
    )  # fmt: skip
    return Table(("regularisation", "train cost", "dev cost", "dev error", "size of weights"), rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    epochs = np.arange(EPOCHS + 1)
    for kind, colour in zip(NAMES, COLOURS, strict=False):
        spread(left, epochs, measured.dev_costs[kind], NAMES[kind], colour)
        spread(left, epochs, measured.train_costs[kind], "_train", colour, linestyle=(0, (4, 2)))
    left.set_yscale("log")
    left.set_title(f"cost on dev, and on {TRAIN_ON} training digits (dashed)")
    left.set_xlabel("epoch")
    few_ticks(left.xaxis, 5, whole=True)
    left.legend(fontsize=8, ncols=3, loc="upper right")
    dots(right, [100 * measured.dev_errors[kind] for kind in NAMES], list(NAMES.values()))
    right.set_title("dev error at the end, %")
    few_ticks(right.yaxis, 5)
    return figure


CLAIM = Claim(
    claimed="A network that memorises its few training examples overfits. L2 regularisation, which keeps weights "
    "small, and dropout, which keeps units from relying on each other, reduce the overfitting: the variance falls.",
    source="Krogh & Hertz 1992; Srivastava et al. 2014; Ng, Improving Deep Neural Networks, week 1.",
    experiment=f"{TRAIN_ON} digits, two hidden layers of 256 ReLU units, Adam, {EPOCHS} epochs; evaluated on the 359 "
    f"digits of dev after the last epoch. The strengths (lambda among {', '.join(f'{x:g}' for x in LAMBDAS)}; dropout "
    f"among {', '.join(f'{x:g}' for x in DROPOUTS)}) are those with the lowest dev cost over three separate seeds. "
    "Each seed has its own split, initial weights and order.",
    rule="Over seeds, each with the whole 95 % interval: the ratio of gaps from train to dev cost below 1, of dev "
    "costs below 1, the difference of dev errors above 0, the ratio of weights (root mean square) with L2 below 1.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
