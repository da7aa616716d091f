"""Weights that all start at zero keep all units of a layer identical for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from gnomon.core.evaluation import SHARE
from gnomon.figures.style import error_axis, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, fact, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._training import Course, course, plain_trials
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = 32
EPOCHS = 30
IDENTICAL = 1e-3  # units whose weights differ by less than this share of the largest weight are identical
NETS: Mapping[str, Mapping[str, object]] = {
    "zeros": {"init": "zeros", "hidden": (UNITS,)},
    "small": {"init": "small", "hidden": (UNITS,)},
    "one unit": {"init": "small", "hidden": (1,)},
}
SETTINGS = {"activation": "sigmoid", "learning_rate": 1.0, "epochs": EPOCHS}


@dataclass(frozen=True)
class Measured:
    """Over seeds: how many units differ at the end, and the dev error per epoch."""

    different: Mapping[str, Array]  # net -> (seeds,)
    dev_error: Mapping[str, Array]  # net -> (seeds, EPOCHS + 1)
    relu_largest: Array  # (seeds,) the largest weight of a ReLU net that started at zeros
    shown: Mapping[str, Array]  # net -> (UNITS, 64) weights of the hidden layer at the end


def hidden_weights(model: nn.Module) -> Array:
    """(units, inputs) of the first hidden layer."""
    layer = next(module for module in model.modules() if isinstance(module, nn.Linear))
    return layer.weight.detach().double().numpy()


def num_different(weights: Array) -> int:
    """The number of distinct rows, up to IDENTICAL."""
    kept: list[Array] = []
    for row in weights:
        if all(np.abs(row - other).max() > IDENTICAL * np.abs(weights).max() for other in kept):
            kept.append(row)
    return len(kept)


def largest_weight(trained: Course) -> float:
    return max(float(p.detach().abs().max()) for p in trained.model.parameters() if p.dim() > 1)


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    different: dict[str, list[int]] = {name: [] for name in NETS}
    errors: dict[str, list[Array]] = {name: [] for name in NETS}
    shown, largest = dict[str, Array](), []
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"seed {i + 1} of {len(seeds)}")
        trials = plain_trials("digits", seed, **SETTINGS)
        for name, changes in NETS.items():
            found = course(trials, changes)
            weights = hidden_weights(found.model)
            different[name].append(num_different(weights))
            errors[name].append(found.dev_errors.mean(axis=1))
            shown.setdefault(name, weights)
        largest.append(largest_weight(course(trials, {**NETS["zeros"], "activation": "relu"})))
    return Measured(
        {name: np.array(found) for name, found in different.items()},
        {name: np.array(found) for name, found in errors.items()},
        np.array(largest),
        shown,
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    zeros, small = measured.different["zeros"], measured.different["small"]
    ends = {name: 100 * errors[:, -1] for name, errors in measured.dev_error.items()}
    return (
        fact(f"from zeros, the {UNITS} units are identical after training", bool(zeros.max() == 1),
             f"at most {zeros.max()} of {UNITS} differ"),
        fact(f"from small random numbers all {UNITS} differ", bool(small.min() == UNITS),
             f"at least {small.min()} of {UNITS} differ"),
        above("the net with identical units errs more", over_seeds(ends["zeros"] - ends["small"]), 0,
              "points of dev error"),
        fact("with ReLU no weight ever leaves zero", bool(measured.relu_largest.max() == 0),
             f"the largest weight after training is {measured.relu_largest.max():g}"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    labels = {"zeros": f"{UNITS} units from zeros", "small": f"{UNITS} units from 0.01 N(0, 1)",
              "one unit": "a net of one unit from 0.01 N(0, 1)"}  # fmt: skip
    rows = (
        (
            label,
            str(int(np.median(measured.different[name]))),
            f"{100 * np.median(measured.dev_error[name][:, -1]):.1f} %",
        )
        for name, label in labels.items()
    )
    return Table(("start", "units that differ at the end", "dev error"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    for place, (name, title) in zip(axes, (("zeros", "from zeros"), ("small", "from small random")), strict=False):
        weights = measured.shown[name]
        reach = float(np.abs(weights).max())
        place.imshow(weights, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
        place.set_title(title)
        place.set_xlabel("pixel")
        place.set_ylabel("unit of the hidden layer")
        place.grid(visible=False)
    for (name, errors), colour in zip(measured.dev_error.items(), COLOURS[1::-1] + COLOURS[2:], strict=False):
        label = {"zeros": "zeros", "small": "small random", "one unit": "a single unit"}[name]
        spread(axes[2], np.arange(EPOCHS + 1), errors, label, colour)
    axes[2].set_title("dev error")
    axes[2].set_xlabel("epoch")
    axes[2].set_ylim(0, 1)
    error_axis(axes[2], "y", SHARE)
    few_ticks(axes[2].xaxis, 3, whole=True)
    axes[2].legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="If all weights start at zero, every hidden unit computes the same function and gets the same gradient, so "
    "they stay the same however long training lasts, and the layer is worth a single unit. Random starting weights "
    "break the symmetry; the biases may be zero.",
    source="Ng, Neural Networks and Deep Learning, week 3 (random initialisation); Goodfellow et al. 2016, section "
    "8.4.",
    experiment=f"Digits, one hidden layer of {UNITS} sigmoid units, plain mini-batch descent (64 examples, rate 1, "
    f"{EPOCHS} epochs), from zeros and from 0.01 N(0, 1); also a net of one unit, and a ReLU net from zeros. Each "
    "seed has its own split and initial weights.",
    rule="From zeros, one distinct unit is left, where units whose weights agree to a thousandth of the largest weight "
    f"count once; from small numbers, {UNITS}; with ReLU every weight is exactly 0; in every run. The difference of "
    "dev errors is above 0 with the whole 95 % interval over seeds.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
