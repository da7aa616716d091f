"""Mini-batches train faster than the full batch and faster than single examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, factor
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._training import course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE, MINI, SINGLE = 0, 64, 1  # batch_size; 0 means all examples
NAMES = {WHOLE: "batch (all 1,079)", MINI: "mini-batch (64)", SINGLE: "stochastic (1)"}
EPOCHS = {WHOLE: 250, MINI: 40, SINGLE: 5}  # about the same time each
RATES = {WHOLE: (0.1, 0.3, 1.0, 3.0), MINI: (0.1, 0.3, 1.0, 3.0), SINGLE: (0.003, 0.01, 0.03, 0.1)}
TARGET = 0.15  # nats: a cost that all three reach
EARLY = 5  # epochs


@dataclass(frozen=True)
class Measured:
    """Over seeds, by batch size, each at its best rate."""

    rates: Mapping[int, float]
    costs: Mapping[int, Array]  # (seeds, EPOCHS + 1) on all training examples
    seconds: Mapping[int, Array]  # (seeds, EPOCHS + 1), of steps


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates, costs, seconds = dict[int, float](), dict[int, Array](), dict[int, Array]()
    tuning = plain_trials("digits", TUNING_SEED, hidden=(32,))
    judging = [plain_trials("digits", seed, hidden=(32,)) for seed in seeds]
    for i, size in enumerate(EPOCHS):
        progress(i / len(EPOCHS), f"{NAMES[size]}: learning rate")
        changes = {"batch_size": size, "epochs": EPOCHS[size]}

        def cost(rate: float, changes: Mapping[str, int] = changes) -> float:
            return course(tuning, {**changes, "learning_rate": rate}).cost

        rates[size] = best_of(cost, RATES[size])
        found = []
        for j, trials in enumerate(judging):
            progress((i + (j + 1) / (len(judging) + 1)) / len(EPOCHS), f"{NAMES[size]}: seed {j + 1}")
            found.append(course(trials, {**changes, "learning_rate": rates[size]}))
        costs[size] = np.array([each.train_losses for each in found])
        seconds[size] = np.array([each.seconds for each in found])
    return Measured(rates, costs, seconds)


def seconds_to_target(costs: Array, seconds: Array) -> Array:
    """(seeds,): time until the cost first reaches TARGET; the total time if it never does."""
    return np.array(
        [clock[int(np.argmax(run <= TARGET)) if (run <= TARGET).any() else -1]
         for run, clock in zip(costs, seconds, strict=True)]
    )  # fmt: skip


def judge(measured: Measured) -> tuple[Part, ...]:
    costs, seconds = measured.costs, measured.seconds
    waits = {size: seconds_to_target(costs[size], seconds[size]) for size in EPOCHS}
    epoch = {size: seconds[size][:, -1] / EPOCHS[size] for size in EPOCHS}
    early = factor(costs[MINI][:, EARLY], costs[WHOLE][:, EARLY])
    return (
        below(f"after {EARLY} epochs mini-batches have a lower cost than the full batch", early, 1, "times the cost"),
        above(f"the full batch takes longer to reach a cost of {TARGET:g}", factor(waits[WHOLE], waits[MINI]), 1,
              "times the seconds"),
        above("single examples take longer too", factor(waits[SINGLE], waits[MINI]), 1, "times the seconds"),
        above("an epoch of single examples loses the speed of vectorisation", factor(epoch[SINGLE], epoch[MINI]), 5,
              "times the seconds of mini-batches"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for size, name in NAMES.items():
        costs, seconds = measured.costs[size], measured.seconds[size]
        wait = float(np.median(seconds_to_target(costs, seconds)))
        reached = int((costs.min(axis=1) <= TARGET).sum())
        steps = np.median(seconds[:, -1]) / EPOCHS[size]
        rows.append((
            name, f"{measured.rates[size]:g}", f"{1000 * steps:.3g} ms", f"{np.median(costs[:, EARLY]):.3g}",
            f"{wait:.2f} s ({reached} of {len(costs)})",
        ))  # fmt: skip
    head = (
        "descent",
        "best rate",
        "one epoch",
        f"cost after {EARLY} epochs",
        f"time to a cost of {TARGET:g} (runs that reach it)",
    )
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2, sharey=True)
    for (size, name), colour in zip(NAMES.items(), COLOURS, strict=False):
        costs = measured.costs[size]
        epochs = np.arange(costs.shape[1])
        spread(left, epochs[1:], costs[:, 1:], name, colour)
        for run, clock in zip(costs, measured.seconds[size], strict=True):
            right.plot(clock[1:], run[1:], color=colour, linewidth=1, alpha=0.8)
    for axes, title, what in (
        (left, "cost per epoch", "epoch"),
        (right, "cost over time", "seconds in steps (processor time, one core)"),
    ):
        axes.axhline(TARGET, color=COLOURS[-1], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(0.01, 3)
        axes.set_title(title)
        axes.set_xlabel(what)
    left.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="Batch descent needs a whole pass for one step; stochastic descent, with one example at a time, loses the "
    "speed of vectorisation. Something in between makes the fastest progress, unless the set is small (fewer than "
    "2,000 examples: use the full batch).",
    source="Ng, Improving Deep Neural Networks, week 2; Bottou, Curtis & Nocedal 2018, section 3.",
    experiment="Digits (1,079 training examples), one hidden layer of 32 ReLU units, plain gradient descent at a "
    "constant rate with all examples, 64, or one per step; each at the best of four learning rates, chosen on a "
    f"separate seed, for about the same time ({EPOCHS[WHOLE]}, {EPOCHS[MINI]} and {EPOCHS[SINGLE]} epochs). Each seed "
    "has its own split, initial weights and order. Seconds are processor time of the steps on one core.",
    rule=f"Ratios over seeds, with the whole 95 % interval: cost after {EARLY} epochs below 1; seconds to a training "
    f"cost of {TARGET:g} above 1 (a run that never reaches it counts with its total time); seconds for an epoch of "
    "single examples above 5.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
