"""Batch norm speeds up training, makes deeper nets trainable and lets more learning rates work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import FAINT, MUTED, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, factor, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._training import course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHALLOW, DEEP = 2, 12  # hidden layers
WIDTH = 32
KINDS = ("none", "batch")
NAMES = {"none": "without", "batch": "with batch norm"}
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
EPOCHS = 6
EARLY = 2  # epochs: "speed"
TRAINED = 1.0  # nats: a cost below this shows that the net trains at all; guessing has ln 10 = 2.3


@dataclass(frozen=True)
class Measured:
    """For "none 2", "batch 2", "none 12", "batch 12" (batch norm or not, hidden layers)."""

    best: Mapping[str, int]  # index of the best of RATES, by the final cost on the tuning seed
    costs: Mapping[str, Array]  # (seeds, rates, EPOCHS + 1) on all training examples


def variants() -> list[tuple[str, str, int]]:
    return [(f"{kind} {depth}", kind, depth) for depth in (SHALLOW, DEEP) for kind in KINDS]


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    best, costs = dict[str, int](), dict[str, list[Array]]()
    every = [TUNING_SEED, *seeds]
    for i, seed in enumerate(every):
        trials = plain_trials("digits", seed, epochs=EPOCHS, activation="sigmoid", init="xavier")
        for j, (key, kind, depth) in enumerate(variants()):
            progress((i + j / 4) / len(every), f"seed {i} of {len(seeds)}: {depth} layers, {NAMES[kind]}")
            changes = {"hidden": (WIDTH,) * depth, "normalisation": kind}
            found = np.array([course(trials, {**changes, "learning_rate": rate}).train_losses for rate in RATES])
            if seed == TUNING_SEED:
                best[key] = int(found[:, -1].argmin())
            else:
                costs.setdefault(key, []).append(found)
    return Measured(best, {key: np.array(found) for key, found in costs.items()})


def at_best(measured: Measured, key: str) -> Array:
    """(seeds, EPOCHS + 1)."""
    chosen: Array = measured.costs[key][:, measured.best[key]]
    return chosen


def num_working(measured: Measured, key: str) -> Array:
    """(seeds,): how many of RATES train."""
    working: Array = (measured.costs[key][:, :, -1] < TRAINED).sum(axis=1).astype(np.float64)
    return working


def judge(measured: Measured) -> tuple[Part, ...]:
    curves = {key: at_best(measured, key) for key in measured.costs}
    working = {key: num_working(measured, key) for key in measured.costs}
    early = factor(curves[f"batch {SHALLOW}"][:, EARLY], curves[f"none {SHALLOW}"][:, EARLY])
    deep = factor(curves[f"batch {DEEP}"][:, -1], curves[f"none {DEEP}"][:, -1])
    more = {depth: over_seeds(working[f"batch {depth}"] - working[f"none {depth}"]) for depth in (SHALLOW, DEEP)}
    return (
        below(f"{SHALLOW} hidden layers: after {EARLY} epochs the cost is lower", early, 1, "times the cost"),
        below(f"{DEEP} hidden layers: at the end the cost is less than half", deep, 0.5, "times the cost"),
        above(f"{SHALLOW} hidden layers: more learning rates train", more[SHALLOW], 0, f"of {len(RATES)} more"),
        above(f"{DEEP} hidden layers: more learning rates train", more[DEEP], 0, f"of {len(RATES)} more"),
    )


def table(measured: Measured) -> Table:
    rows = []
    for key, kind, depth in variants():
        curve = at_best(measured, key)
        rows.append((
            f"{depth} hidden layers, {NAMES[kind]}", f"{RATES[measured.best[key]]:g}",
            f"{np.median(curve[:, EARLY]):.2g}", f"{np.median(curve[:, -1]):.2g}",
            f"{num_working(measured, key).mean():.1f} of {len(RATES)}",
        ))  # fmt: skip
    head = ("net", "best rate", f"cost after {EARLY} epochs", f"after {EPOCHS}", "rates that train")
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(5.2)
    axes = figure.subplots(2, 2, sharey=True)
    for row, depth in enumerate((SHALLOW, DEEP)):
        for kind, colour in zip(KINDS, COLOURS[1::-1], strict=False):
            key = f"{kind} {depth}"
            spread(axes[row, 0], np.arange(EPOCHS + 1), at_best(measured, key), NAMES[kind], colour)
            spread(axes[row, 1], np.array(RATES), measured.costs[key][:, :, -1], NAMES[kind], colour)
        axes[row, 0].set_title(f"{depth} hidden layers, each at its best rate")
        axes[row, 0].set_xlabel("epoch")
        few_ticks(axes[row, 0].xaxis, 6, whole=True)
        axes[row, 0].set_ylabel("training cost")
        axes[row, 1].set_title(f"{depth} hidden layers, cost after {EPOCHS} epochs")
        axes[row, 1].set_xlabel("learning rate")
        axes[row, 1].set_xscale("log")
        _line(axes[row, 1])
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(0.02, 6)
    axes[0, 0].legend(fontsize=8, loc="lower left")
    return figure


def _line(axes: Axes) -> None:
    axes.axhline(TRAINED, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate("below: it trains", (RATES[0], TRAINED), xytext=(0, -9), textcoords="offset points", fontsize=7,
                  color=MUTED, backgroundcolor=(1, 1, 1, 0))  # fmt: skip
    axes.tick_params(axis="x", which="minor", color=FAINT)


CLAIM = Claim(
    claimed="Batch norm makes the search for hyperparameters much easier and the network more robust: a much bigger "
    "range of settings works. It speeds up learning and makes it easier to train even very deep networks.",
    source="Ioffe & Szegedy 2015; Ng, Improving Deep Neural Networks, week 3.",
    experiment=f"Digits, {SHALLOW} and {DEEP} hidden layers of {WIDTH} sigmoid units (Xavier initialisation, as in "
    f"the paper), plain gradient descent with mini-batches of 64, {EPOCHS} epochs, at each of {len(RATES)} learning "
    f"rates from {RATES[0]:g} to {RATES[-1]:g}, with and without `normalisation=batch`. The best rate is chosen on a "
    "separate seed. Each seed has its own split, initial weights and order.",
    rule=f"At the best rate of each: the ratio of costs after {EARLY} epochs is below 1 ({SHALLOW} layers), at the end "
    f"below a half ({DEEP} layers). Over all rates: a rate trains if the final cost is below {TRAINED:g} nat (guessing "
    "has 2.3); more rates train with batch norm. Each with the whole 95 % interval over seeds.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
