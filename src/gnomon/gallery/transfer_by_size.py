"""Transfer helps most when the new task has few pictures: few freeze the net, many retrain all of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from gnomon.figures.style import BLUE, GREEN, ORANGE, error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._convnets import Recipe, epochs_for, error_of, small_net, train
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds
from gnomon.gallery._pictures import spread
from gnomon.gallery._small_pictures import Pictures, digits
from gnomon.nn.initialise import HEAD_SCALE
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_CLASS = (2, 5, 15, 45, 110)  # training pictures of each class of the new task
FEW, MANY = 0, -1
KINDS = {"scratch": "from scratch", "frozen": "transfer, only the head trained", "whole": "transfer, all trained"}
COLOURS = {"scratch": ORANGE, "frozen": GREEN, "whole": BLUE}
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
STEPS, STEPS_BEFORE = 100, 200  # on the new task; on the old one
RATE_BEFORE = 0.1
DEV_SHARE, DEV = 1 / 3, 500  # of the pictures of the new classes; at most


@dataclass(frozen=True)
class Measured:
    """For "scratch", "frozen", "whole"."""

    rates: Mapping[str, tuple[float, ...]]  # (PER_CLASS): the best of RATES on the tuning seed, by the dev error
    errors: Mapping[str, Array]  # (seeds, PER_CLASS) on dev, of the new classes
    error_before: Array  # (seeds,) on pictures of the old classes that the net has not seen


def halves(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """The pictures of the first half of the classes, and those of the others, whose labels start at 0 again."""
    half = pictures.num_classes // 2
    is_old = pictures.labels < half
    old, new = pictures.take(is_old.nonzero().flatten()), pictures.take((~is_old).nonzero().flatten())
    return replace(old, num_classes=half), replace(
        new, labels=new.labels - half, num_classes=pictures.num_classes - half
    )


def transferred(before: nn.Module, kind: str, new: Pictures, seed: int) -> nn.Module:
    """A net for the new classes: with the weights of `before` but for the head, or without; frozen where asked for."""
    if kind == "scratch":
        return small_net(new, seed)
    net = copy.deepcopy(before)
    head = nn.Linear(net.head.in_features, new.num_classes)  # type: ignore[union-attr, arg-type]
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(head.weight, std=HEAD_SCALE / head.in_features**0.5, generator=generator)
    nn.init.zeros_(head.bias)
    if kind == "frozen":
        net.requires_grad_(False)
    net.head = head
    return net


@dataclass(frozen=True)
class Setup:
    """A seed's old task, learned, and its new one."""

    seed: int
    before: nn.Module
    error_before: float
    train: Pictures
    dev: Pictures

    def dev_error(self, kind: str, per_class: int, rate: float) -> float:
        part = self.train.take(slice(per_class * self.train.num_classes))
        net = transferred(self.before, kind, part, self.seed)
        train(net, part, Recipe(epochs_for(STEPS, part), rate), self.seed, keeps_statistics=kind == "frozen")
        return error_of(net, self.dev)


def set_up(seed: int, pictures: Pictures) -> Setup:
    old, new = halves(pictures)
    most = max(PER_CLASS) * new.num_classes
    part, unseen = old.split(seed, train=len(old), dev=len(old) // 10)
    before = small_net(part, seed)
    train(before, part, Recipe(epochs_for(STEPS_BEFORE, part), RATE_BEFORE), seed)
    return Setup(
        seed, before, error_of(before, unseen), *new.split(seed, train=most, dev=min(DEV, round(DEV_SHARE * len(new))))
    )


def measure(seeds: Sequence[int], progress: Progress, pictures: Pictures) -> Measured:
    tuning, *setups = [set_up(seed, pictures) for seed in (TUNING_SEED, *seeds)]
    rates, errors = dict[str, list[float]](), dict[str, list[list[float]]]()
    for i, kind in enumerate(KINDS):
        for j, per_class in enumerate(PER_CLASS):

            def at(rate: float, kind: str = kind, per_class: int = per_class) -> float:
                return tuning.dev_error(kind, per_class, rate)

            progress((i * len(PER_CLASS) + j) / (3 * len(PER_CLASS)), f"{KINDS[kind]}, {per_class} per class")
            rate = best_of(at, RATES)
            rates.setdefault(kind, []).append(rate)
            errors.setdefault(kind, []).append([setup.dev_error(kind, per_class, rate) for setup in setups])
    return Measured(
        {kind: tuple(found) for kind, found in rates.items()},
        {kind: np.array(found).T for kind, found in errors.items()},
        np.array([setup.error_before for setup in setups]),
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    points = {kind: 100 * found for kind, found in measured.errors.items()}
    better = np.minimum(points["frozen"], points["whole"])
    saved = points["scratch"] - better
    few, many = f"{PER_CLASS[FEW]} pictures per class", f"{PER_CLASS[MANY]} pictures per class"
    frozen = over_seeds(points["scratch"][:, FEW] - points["frozen"][:, FEW])
    order = over_seeds(points["frozen"][:, FEW] - points["whole"][:, FEW])
    whole = over_seeds(points["frozen"][:, MANY] - points["whole"][:, MANY])
    shrinks = over_seeds(saved[:, FEW] - saved[:, MANY])
    return (
        above(f"{few}: a frozen net with a new head has a lower dev error than a net from scratch", frozen, 0,
              "points lower"),
        below(f"{few}: training only the head is not worse than training all", order, 1, "points higher"),
        above(f"{many}: training all has a lower dev error than training only the head", whole, 0, "points lower"),
        above(f"transfer saves more with {few} than with {PER_CLASS[MANY]}", shrinks, 0, "points more"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = []
    for j, per_class in enumerate(PER_CLASS):
        cells = [f"{100 * measured.errors[kind][:, j].mean():.1f} %" for kind in KINDS]
        rates = [f"{measured.rates[kind][j]:g}" for kind in KINDS]
        rows.append((f"{per_class} per class", *cells, ", ".join(rates)))
    return Table(("new pictures", "from scratch", "only the head", "all trained", "best rates"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.3)
    errors, saved = figure.subplots(1, 2)
    for kind, name in KINDS.items():
        spread(errors, np.array(PER_CLASS), measured.errors[kind], name, COLOURS[kind], marker="o", markersize=4)
        if kind != "scratch":
            gain = 100 * (measured.errors["scratch"] - measured.errors[kind])
            spread(saved, np.array(PER_CLASS), gain, name, COLOURS[kind], marker="o", markersize=4)
    error_axis(errors, "y", "share")
    errors.set_ylim(0, None)
    errors.set_title("dev error on the new classes")
    errors.legend(fontsize=8)
    saved.axhline(0, color="black", linewidth=0.8)
    saved.set_title("points saved by transfer")
    for axes in (errors, saved):
        axes.set_xscale("log")
        axes.set_xticks(PER_CLASS, [str(count) for count in PER_CLASS])
        axes.minorticks_off()
        axes.set_xlabel("training pictures per new class")
    return figure


CLAIM = Claim(
    claimed="Transfer learning makes sense when there is a lot of data for the task you transfer from and little for "
    "the one you transfer to. With a small set retrain only the last layer; with enough data retrain all layers.",
    source="Ng, Structuring Machine Learning Projects, week 2; Yosinski et al. 2014.",
    experiment="The digits 0 to 4 are the old task: a residual net of 8 layers (8, 16 and 32 channels) with batch norm "
    f"learns nine tenths of them in about {STEPS_BEFORE} steps. The digits 5 to 9 are the new one, with "
    f"{', '.join(map(str, PER_CLASS[:-1]))} or {PER_CLASS[-1]} training pictures per class and a third for dev (at "
    f"most {DEV}). About {STEPS} steps: from scratch; with the old net frozen, statistics of batch norm too, and a new "
    "head; with the old net and a new head, all trained. Mini-batches of at most 64, momentum 0.9, a rate that falls "
    f"along a cosine; the best of the rates {', '.join(f'{rate:g}' for rate in RATES)} for each cell, by the dev error "
    "on a separate seed. Other pictures (`data=`): the first half of the classes is the old task.",
    rule=f"Differences of dev errors. With {PER_CLASS[FEW]} pictures per class: scratch minus frozen is above 0, "
    f"frozen minus all trained below 1 point. With {PER_CLASS[MANY]}: frozen minus all trained is above 0. What the "
    f"better of the two transfers saves is larger with {PER_CLASS[FEW]} than with {PER_CLASS[MANY]}. Each with the "
    "whole 95 % interval over seeds.",
    seeds=12,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
    pictures=digits,
)
