"""Where the gradients of a recurrent net explode, clipping trains it better; where they do not, it does no harm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import derive, generator
from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEEDS, above, below, best_of, factor, within
from gnomon.gallery._pictures import COLOURS, dots, spread
from gnomon.nn.initialise import initialise
from gnomon.nn.recurrent import Recurrent
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS, UNITS, BATCH, UPDATES, DEV = 50, 32, 20, 300, 200
WAVES = (0.3, 0.7)  # radians per step of the two sines in a series
SCALES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # times an orthogonal matrix: recurrent weights at the start
SMALL, LARGE = 0.5, 2.5  # of them, are trained
LIMIT = 1.0  # norm at which gradients are clipped
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
EXPLODES = 10.0  # times the gradient of small weights
UNCHANGED = (0.5, 2.0)  # times the cost
GUESS = 0.25  # mean squared error of the answer 0: each sine has a variance of 1/2, their mean 1/4


@dataclass(frozen=True)
class Measured:
    """Mean squared errors of the next value, after training, by weights and by what is done to their gradients."""

    norms: Array  # (seeds, len(SCALES)) of the gradient, before training
    rates: Mapping[str, float]  # KEYS
    costs: Mapping[str, Array]  # KEYS -> (seeds,)
    same_rate: Array  # (seeds,) of large weights, not clipped, at the best rate with clipping


KEYS = tuple(f"{weights}, {clipping}" for weights in ("large", "small") for clipping in ("clipped", "not clipped"))


@final
class Forecaster(nn.Module):
    """(B, T) -> (B, T): the next value at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Recurrent(1, UNITS, cell="rnn")
        self.answer = nn.Linear(UNITS, 1)

    def forward(self, seen: Tensor) -> Tensor:
        values: Tensor = self.answer(self.layers(seen[..., None])[0])[..., 0]
        return values


def drawn(count: int, rng: np.random.Generator) -> Tensor:
    """(N, STEPS + 1): the mean of sines with phases of their own."""
    phases = rng.uniform(0, 2 * np.pi, (count, len(WAVES), 1))
    angles = np.array(WAVES)[:, np.newaxis] * np.arange(STEPS + 1) + phases
    return torch.from_numpy(np.sin(angles).mean(axis=1)).float()


def cost_of(net: nn.Module, series: Tensor) -> Tensor:
    return functional.mse_loss(net(series[:, :-1]), series[:, 1:])


def started(scale: float, seed: int) -> Forecaster:
    net = Forecaster()
    initialise(net, "xavier", torch.Generator().manual_seed(derive(seed, "clipping")))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "weight_hh" in name:
                parameter.mul_(scale)
    return net


def step(net: nn.Module, optimiser: torch.optim.Optimizer, series: Tensor, limit: float) -> float:
    """One update, unless the gradient is not finite; its norm before it is clipped at `limit`."""
    optimiser.zero_grad()
    cost_of(net, series).backward()
    norm = float(nn.utils.clip_grad_norm_(net.parameters(), limit))
    if math.isfinite(norm):
        optimiser.step()
    return norm


def trained_cost(key: str, seed: int, rate: float) -> float:
    """On other series; a training that diverges, or ends worse than the answer 0, counts as that answer."""
    weights, _, clipping = key.partition(", ")
    net, rng = started(LARGE if weights == "large" else SMALL, seed), generator(seed, "clipping")
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    for _ in range(UPDATES):
        if not math.isfinite(step(net, optimiser, drawn(BATCH, rng), LIMIT if clipping == "clipped" else math.inf)):
            break
    with torch.no_grad():
        cost = float(cost_of(net, drawn(DEV, generator(seed, "clipping, dev"))))
    return min(cost, GUESS) if math.isfinite(cost) else GUESS


def tuning_cost(key: str, rate: float) -> float:
    return float(np.mean([trained_cost(key, seed, rate) for seed in TUNING_SEEDS]))


def first_norm(scale: float, seed: int) -> float:
    net = started(scale, seed)
    cost_of(net, drawn(DEV, generator(seed, "clipping"))).backward()
    return float(nn.utils.get_total_norm([each.grad for each in net.parameters() if each.grad is not None]))


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    progress(0, "learning rates")
    rates = {key: best_of(partial(tuning_cost, key), RATES) for key in KEYS}
    costs: dict[str, list[float]] = {key: [] for key in KEYS}
    norms, same_rate = [], []
    for done, seed in enumerate(seeds):
        norms.append([first_norm(scale, seed) for scale in SCALES])
        for place, key in enumerate(KEYS):
            progress((done + place / len(KEYS)) / len(seeds), f"seed {done + 1} of {len(seeds)}: {key}")
            costs[key].append(trained_cost(key, seed, rates[key]))
        same_rate.append(trained_cost("large, not clipped", seed, rates["large, clipped"]))
    return Measured(
        np.array(norms), rates, {key: np.array(found) for key, found in costs.items()}, np.array(same_rate)
    )  # fmt: skip


def judge(measured: Measured) -> tuple[Part, ...]:
    costs, unit = measured.costs, "times the cost"
    small, large = (measured.norms[:, SCALES.index(scale)] for scale in (SMALL, LARGE))
    return (
        above(f"the gradient of large weights ({LARGE:g}) is larger than that of small ones ({SMALL:g})",
              factor(large, small), EXPLODES, "times"),
        below("large weights, each at its best rate: clipped gradients end lower",
              factor(costs["large, clipped"], costs["large, not clipped"]), 1, unit),
        below("and at the same rate, the best with clipping",
              factor(costs["large, clipped"], measured.same_rate), 1, unit),
        within("small weights, each at its best rate: clipping makes little difference",
               factor(costs["small, clipped"], costs["small, not clipped"]), *UNCHANGED, unit),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = [(key, f"{measured.rates[key]:g}", measured.costs[key]) for key in KEYS]
    rows.insert(2, ("large, not clipped, at the rate with clipping", f"{measured.rates[KEYS[0]]:g}",
                    measured.same_rate))  # fmt: skip
    return Table(
        ("recurrent weights, gradients", "rate", "cost after training (median)"),
        (*((label, rate, number(float(np.median(cost)))) for label, rate, cost in rows),
         ("the answer 0", "", number(GUESS))),
    )  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    norms, costs = figure.subplots(1, 2)
    spread(norms, np.array(SCALES), measured.norms, "", COLOURS[0], marker="o", markersize=4)
    norms.set_title("norm of the gradient at the start")
    norms.set_xlabel("recurrent weights: times an orthogonal matrix")
    dots(costs, [measured.costs[key] for key in KEYS], [key.replace(", ", "\n") for key in KEYS])
    costs.axhline(GUESS, color="0.6", linewidth=1, linestyle=(0, (4, 3)))
    costs.set_title("cost after training")
    for axes in (norms, costs):
        axes.set_yscale("log")
    return figure


CLAIM = Claim(
    claimed="Large recurrent weights make gradients explode through time; one such gradient throws away what was "
    "learned. Gradients that are scaled down where their norm exceeds a limit do not.",
    source="Pascanu et al. 2013; Ng, Sequence Models, week 1.",
    experiment=f"A plain recurrent net of {UNITS} units predicts the next value of {STEPS} steps of the mean of two "
    f"sines with random phases. Its recurrent weights start as an orthogonal matrix, times {LARGE:g} (large) or "
    f"{SMALL:g} (small). {UPDATES} updates of descent with momentum 0.9 on {BATCH} new series each, with gradients "
    f"clipped at norm {LIMIT:g} and without, each at the best of {len(RATES)} rates by the mean cost of "
    f"{len(TUNING_SEEDS)} other seeds. The cost is the mean squared error on {DEV} other series; a training that "
    "diverges counts as the answer 0.",
    rule=f"Over seeds, each with the whole 95 % interval of a geometric mean: before training, the norm of the "
    f"gradient of large weights is above {EXPLODES:g} times that of small ones; the cost of large weights with "
    "clipping is below that without, each at its best rate and both at the best rate with clipping; of small weights "
    f"it is between {UNCHANGED[0]:g} and {UNCHANGED[1]:g} times that without.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
