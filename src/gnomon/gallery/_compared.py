"""Several nets on the same pictures, each at its best learning rate: what most claims about convnets compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from gnomon.checks.shapes_and_cost import layer_table, totals
from gnomon.figures.style import few_ticks
from gnomon.gallery._claim import Progress
from gnomon.gallery._convnets import Recipe, cost_of, error_of, started, train
from gnomon.gallery._method import TUNING_SEEDS, best_of
from gnomon.gallery._pictures import COLOURS, dots
from gnomon.gallery._small_pictures import Pictures
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Make = Callable[[Pictures], nn.Module]  # a net for pictures of this size, with this many classes


@dataclass(frozen=True)
class Plan:
    """How each net is trained: on `train` pictures and evaluated on `dev` others, at one of `rates`."""

    train: int
    dev: int
    epochs: int
    rates: tuple[float, ...]
    weight_decay: float = 0.0

    @property
    def says(self) -> str:
        """For the text of an experiment."""
        rates = ", ".join(f"{rate:g}" for rate in self.rates)
        return (
            f"{self.train} pictures for training and {self.dev} for dev, {self.epochs} epochs of momentum 0.9 and "
            f"mini-batches of 64, a rate that falls along a cosine from the best of {rates} for each net, by the dev "
            "cost over three separate seeds. Each seed has its own split, initial weights and order."
        )


@dataclass(frozen=True)
class Compared:
    """Over seeds, by the name of the net."""

    rates: Mapping[str, float]
    train_costs: Mapping[str, Array]  # (seeds,) nats, at the end, in evaluation mode
    dev_costs: Mapping[str, Array]  # (seeds,)
    errors: Mapping[str, Array]  # (seeds,) on dev
    multiply_adds: Mapping[str, int]  # for one picture
    parameters: Mapping[str, int]

    def more_errors(self, name: str, other: str) -> Array:
        """(seeds,): by how many percentage points `name` errs more often than `other`."""
        points: Array = 100 * (self.errors[name] - self.errors[other])
        return points

    def row(self, name: str, label: str) -> tuple[str, ...]:
        """For a table with HEAD."""
        return (
            label, f"{self.rates[name]:g}", f"{self.parameters[name]:,}", f"{self.multiply_adds[name]:,}",
            f"{np.median(self.train_costs[name]):.2g}", f"{np.median(self.dev_costs[name]):.2g}",
            f"{100 * self.errors[name].mean():.1f} %",
        )  # fmt: skip


HEAD = ("net", "best rate", "parameters", "multiply-adds", "training cost", "dev cost", "dev error")


def compare(
    nets: Mapping[str, Make], plan: Plan, seeds: Sequence[int], progress: Progress, pictures: Pictures,
    *, look: Callable[[str, nn.Module, Pictures], None] = lambda _name, _net, _dev: None,
) -> Compared:  # fmt: skip
    """Train every net on every seed; `look` gets each that is trained, with its dev pictures, seeds in order."""
    rates, sizes, ends = dict[str, float](), dict[str, tuple[int, int]](), dict[str, Array]()
    for i, (name, make) in enumerate(nets.items()):
        sizes[name] = cost_and_size(make(pictures), pictures)

        def tuning_cost(rate: float, make: Make = make) -> float:
            found = [trained(make, plan, rate, seed, pictures) for seed in TUNING_SEEDS]
            return float(np.mean([cost_of(net, dev) for net, _, dev in found]))

        progress(i / len(nets), f"{name}: learning rate")
        rates[name] = best_of(tuning_cost, plan.rates)
        rows = []
        for j, seed in enumerate(seeds):
            progress((i + (j + 1) / (len(seeds) + 1)) / len(nets), f"{name}: seed {j + 1} of {len(seeds)}")
            net, part, dev = trained(make, plan, rates[name], seed, pictures)
            rows.append((cost_of(net, part), cost_of(net, dev), error_of(net, dev)))
            look(name, net, dev)
        ends[name] = np.array(rows)  # (seeds, 3)
    train_costs, dev_costs, errors = ({name: found[:, column] for name, found in ends.items()} for column in range(3))
    costs, parameters = ({name: both[column] for name, both in sizes.items()} for column in range(2))
    return Compared(rates, train_costs, dev_costs, errors, costs, parameters)


def trained(make: Make, plan: Plan, rate: float, seed: int, pictures: Pictures) -> tuple[nn.Module, Pictures, Pictures]:
    """The net, the pictures it was trained on and those for dev."""
    part, dev = pictures.split(seed, train=plan.train, dev=plan.dev)
    net = started(make(part), seed)
    train(net, part, Recipe(plan.epochs, rate, weight_decay=plan.weight_decay), seed)
    return net, part, dev


def cost_and_size(net: nn.Module, pictures: Pictures) -> tuple[int, int]:
    """Multiply-adds for one picture, and parameters."""
    one = torch.zeros(1, *pictures.images.shape[1:])
    both = totals(layer_table(net, lambda net: net(one), batch_size=1))
    return both.multiply_adds, both.parameters


def conv(num_inputs: int, num_outputs: int, size: int = 3, *, padding: int | None = None, groups: int = 1) -> nn.Module:
    """Convolution, batch norm, ReLU; the size of the map is kept unless `padding` says otherwise."""
    return nn.Sequential(
        nn.Conv2d(num_inputs, num_outputs, size, padding=size // 2 if padding is None else padding, groups=groups,
                  bias=False),
        nn.BatchNorm2d(num_outputs),
        nn.ReLU(),
    )  # fmt: skip


def show_errors(axes: Axes, found: Compared, names: Mapping[str, str]) -> None:
    """The dev error of each net, a dot per seed; `names`: {net: label}."""
    dots(axes, [100 * found.errors[name] for name in names], list(names.values()))
    axes.set_title("dev error, %")
    axes.set_ylim(0, None)
    few_ticks(axes.yaxis, 5)


def show_costs(axes: Axes, found: Compared, names: Mapping[str, str]) -> None:
    """Multiply-adds of each net as bars."""
    places = range(len(names))
    axes.bar(places, [found.multiply_adds[name] / 1e3 for name in names], color=COLOURS[: len(names)], width=0.6)
    axes.set_xticks(places, list(names.values()))
    axes.grid(visible=False, axis="x")
    axes.set_title("thousand multiply-adds for a picture")
    few_ticks(axes.yaxis, 5)
