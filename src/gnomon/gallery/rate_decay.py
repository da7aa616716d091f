"""A decaying learning rate ends with a lower cost than a constant one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gnomon.core.settings import ScheduleSettings
from gnomon.data.columns import length
from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, below, best_of, factor
from gnomon.gallery._pictures import COLOURS
from gnomon.gallery._training import course, plain_trials
from gnomon.reference import Array
from gnomon.training.schedules import learning_rate_at
from gnomon.workflow.trial import Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = 60
HIGHEST = 0.1  # every schedule starts here
CONSTANTS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # candidates for the best constant rate
SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "constant": {},
    "inverse": {"decay": 1.0},
    "exponential": {"decay": 0.95},
    "staircase": {"decay": 0.5, "every": 10},
    "root": {"decay": 1.0},
    "cosine": {"warmup": 0.0},
}
LAST = 5  # epochs over which the end is averaged: a single one may be lucky
LEAST_EXCESS = 1e-9


@dataclass(frozen=True)
class Measured:
    """Over seeds, by schedule: how far the cost is above the minimum."""

    best_constant: float
    excess: Mapping[str, Array]  # schedule, and "best constant" -> (seeds, EPOCHS + 1)
    lowest: Array  # (seeds,) the least-squares minimum


def lowest_cost(trials: Trials) -> float:
    """The minimal squared error of a linear model on the training examples, from the normal equations."""
    batch = trials.task.batch(trials.columns, torch.arange(length(trials.columns)))
    numbers, target = batch["numbers"].double().numpy(), batch["target"].double().numpy().ravel()
    target = (target - target.mean()) / target.std()
    X = np.hstack([numbers, np.ones((len(numbers), 1))])
    solution = np.linalg.lstsq(X, target, rcond=None)[0]
    return float(((X @ solution - target) ** 2).mean())


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    settings = {"model": "linear", "batch_size": 16, "epochs": EPOCHS, "learning_rate": HIGHEST}
    tuning = plain_trials("diabetes", TUNING_SEED, **settings)
    progress(0, "best constant rate")

    def end(rate: float) -> float:
        return float(course(tuning, {"learning_rate": rate}).train_losses[-LAST:].mean())

    best = best_of(end, CONSTANTS)
    variants = {name: {"schedule": name, **{f"schedule.{key}": value for key, value in more.items()}}
                for name, more in SCHEDULES.items()}  # fmt: skip
    variants["best constant"] = {"learning_rate": best}
    excess: dict[str, list[Array]] = {name: [] for name in variants}
    lowest = []
    for i, seed in enumerate(seeds):
        progress(0.2 + 0.8 * i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        trials = plain_trials("diabetes", seed, **settings)
        lowest.append(lowest_cost(trials))
        for name, changes in variants.items():
            excess[name].append(np.maximum(course(trials, changes).train_losses - lowest[-1], LEAST_EXCESS))
    return Measured(best, {name: np.array(found) for name, found in excess.items()}, np.array(lowest))


def ends(measured: Measured) -> dict[str, Array]:
    """(seeds,) by schedule: the excess over the last epochs."""
    return {name: found[:, -LAST:].mean(axis=1) for name, found in measured.excess.items()}


def judge(measured: Measured) -> tuple[Part, ...]:
    found, unit = ends(measured), "times the excess cost"
    decays = [name for name in SCHEDULES if name != "constant"]
    parts = [
        below(f"{name} ends lower than the constant rate", factor(found[name], found["constant"]), 1, unit)
        for name in decays
    ]
    other = factor(found["cosine"], found["best constant"])
    return (*parts, below("cosine ends lower than the best constant rate", other, 1, unit))


def table(measured: Measured) -> Table:
    found = ends(measured)
    labels = {name: f"{name}{_parameters(name)}" for name in SCHEDULES}
    labels["best constant"] = f"constant, the best: {measured.best_constant:g}"
    rows = tuple(
        (label, f"{_rate(name, 0):.3g} -> {_rate(name, EPOCHS - 1):.2g}" if name in SCHEDULES else "",
         f"{np.median(found[name]):.2g}")
        for name, label in labels.items()
    )  # fmt: skip
    head = ("schedule", "rate, first epoch -> last", f"cost above the minimum, last {LAST} epochs")
    return Table(head, rows)


def _parameters(name: str) -> str:
    return "".join(f", {key} {value:g}" for key, value in SCHEDULES[name].items() if key != "warmup")


def _rate(name: str, epoch: int) -> float:
    settings = ScheduleSettings.model_validate({"name": name, **SCHEDULES[name]})
    return learning_rate_at(epoch, highest=HIGHEST, settings=settings, steps_per_epoch=1, epochs=EPOCHS)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    epochs = np.arange(EPOCHS + 1)
    colours = dict(zip(measured.excess, (*COLOURS, "#22303c"), strict=True))
    for name in SCHEDULES:
        left.plot(epochs[:-1] + 1, [_rate(name, epoch) for epoch in range(EPOCHS)], color=colours[name])
    for name, found in measured.excess.items():
        right.plot(epochs[1:], np.median(found[:, 1:], axis=0), color=colours[name], label=name)
    left.set_title("learning rate")
    right.set_title("cost above the minimum (median)")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_xlabel("epoch")
        few_ticks(axes.xaxis, 6, whole=True)
    left.set_ylim(8e-4, 0.15)
    right.legend(fontsize=7.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


CLAIM = Claim(
    claimed="Mini-batch descent at a constant rate wanders around the minimum and never settles. Lowering the rate "
    "during training, by 1/(1 + decay epoch), 0.95^epoch, a staircase or k/sqrt(epoch), takes ever smaller steps and "
    "gets closer.",
    source="Robbins & Monro 1951; Ng, Improving Deep Neural Networks, week 2; Loshchilov & Hutter 2017 (cosine).",
    experiment=f"Linear regression on the diabetes table, whose minimal cost follows from the normal equations, with "
    f"plain mini-batch descent, batches of 16, {EPOCHS} epochs, every schedule from {HIGHEST:g}; and the best of "
    f"{len(CONSTANTS)} constant rates from {CONSTANTS[0]:g} to {CONSTANTS[-1]:g}, chosen on a separate seed. Each seed "
    "has its own split, initial weights and order.",
    rule=f"The training cost above the minimum, over the last {LAST} epochs: its ratio to that of the constant rate is "
    "below 1 with the whole 95 % interval over seeds, for each schedule; for cosine against the best constant rate "
    "too.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
