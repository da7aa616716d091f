"""He initialisation keeps the signal of a deep ReLU net alive, Xavier initialisation that of a deep tanh net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.seeds import derive
from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, below, best_of, fact, factor, over_seeds, within
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._training import course, plain_trials
from gnomon.models.dense import dense
from gnomon.nn.initialise import Scheme, initialise
from gnomon.reference import Array
from gnomon.workflow.trial import Trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMES: tuple[Scheme, ...] = ("zeros", "small", "xavier", "glorot", "he")
ACTIVATIONS = ("tanh", "relu")
DEPTH, WIDTH = 50, 256
EXAMPLES = 256
KEPT = 2.0  # powers of ten by which the variance may change through 50 layers and still count as kept
VANISHED = -6.0  # powers of ten below which it counts as gone
LEAST = 1e-300  # replaces a variance of 0 in logarithms
TRAINED_DEPTH, TRAINED_EPOCHS = 10, 10
SETTINGS = {"hidden": (32,) * TRAINED_DEPTH, "epochs": TRAINED_EPOCHS}
RATES = (0.03, 0.1, 0.3, 1.0)  # for training; each scheme uses its best


@dataclass(frozen=True)
class Measured:
    """Over seeds, by layer, before any training; and the cost of a net of ten layers after some."""

    variances: Mapping[str, Array]  # "he relu" -> (seeds, DEPTH) of activations
    gradients: Mapping[str, Array]  # same keys: root mean square of the weights' gradients
    rates: Mapping[str, float]  # scheme -> the rate chosen
    costs: Mapping[str, Array]  # scheme -> (seeds, TRAINED_EPOCHS + 1), ReLU


def signals(inputs: Tensor, labels: Tensor, scheme: Scheme, activation: str, seed: int) -> tuple[Array, Array]:
    """((DEPTH,) variances of activations, (DEPTH,) sizes of gradients) of a fresh net, in float64."""
    net = dense(inputs.shape[1], 10, hidden=(WIDTH,) * DEPTH, activation=activation)  # type: ignore[arg-type]
    initialise(net, scheme, torch.Generator().manual_seed(derive(seed, "signals", scheme, activation)))
    net.double()
    variances: list[float] = []
    blocks = list(net.body.children())
    for block in blocks:
        block.register_forward_hook(lambda _module, _inputs, output: variances.append(float(output.detach().var())))
    nn.functional.cross_entropy(net(inputs), labels).backward()
    weights = [next(block.parameters()) for block in blocks]
    sizes = [float(weight.grad.square().mean().sqrt()) if weight.grad is not None else 0.0 for weight in weights]
    return np.array(variances), np.array(sizes)


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    names = [(scheme, activation) for activation in ACTIVATIONS for scheme in SCHEMES]
    variances: dict[str, list[Array]] = {f"{scheme} {activation}": [] for scheme, activation in names}
    gradients: dict[str, list[Array]] = {key: [] for key in variances}
    costs: dict[str, list[Array]] = {scheme: [] for scheme in SCHEMES}
    progress(0, "learning rates")
    rates: dict[str, float] = {scheme: best_rate(scheme) for scheme in SCHEMES}
    for i, seed in enumerate(seeds):
        trials = plain_trials("digits", seed, **SETTINGS)
        inputs, labels = _standardised(trials)
        for j, (scheme, activation) in enumerate(names):
            progress((i + j / len(names)) / len(seeds), f"seed {i + 1} of {len(seeds)}: {scheme}, {activation}")
            found, sizes = signals(inputs, labels, scheme, activation, seed)
            variances[f"{scheme} {activation}"].append(found)
            gradients[f"{scheme} {activation}"].append(sizes)
        for scheme in SCHEMES:
            costs[scheme].append(course(trials, {"init": scheme, "learning_rate": rates[scheme]}).train_losses)
    return Measured(
        {key: np.array(found) for key, found in variances.items()},
        {key: np.array(found) for key, found in gradients.items()},
        rates,
        {scheme: np.array(found) for scheme, found in costs.items()},
    )


def best_rate(scheme: Scheme) -> float:
    trials = plain_trials("digits", TUNING_SEED, **SETTINGS)
    return best_of(lambda rate: course(trials, {"init": scheme, "learning_rate": rate}).cost, RATES)


def _standardised(trials: Trials) -> tuple[Tensor, Tensor]:
    """The first training pictures, (EXAMPLES, 64) float64 with variance 1, and their labels."""
    batch = trials.task.batch(trials.columns, torch.arange(EXAMPLES))
    pixels = batch[next(name for name in batch if name not in trials.task.head.columns)].double().flatten(1)
    return (pixels - pixels.mean()) / pixels.std(), batch[trials.task.head.columns[0]]


def powers(variances: Array) -> Array:
    """(seeds,): by how many powers of ten the variance changes from the first layer to the last."""
    last, first = np.maximum(variances[:, -1], LEAST), np.maximum(variances[:, 0], LEAST)
    moved: Array = np.log10(last / first)
    return moved


def judge(measured: Measured) -> tuple[Part, ...]:
    moved = {key: over_seeds(powers(found)) for key, found in measured.variances.items()}
    unit = "powers of ten"
    zeros = max(float(measured.variances[f"zeros {activation}"].max()) for activation in ACTIVATIONS)
    ends = {scheme: costs[:, -1] for scheme, costs in measured.costs.items()}
    return (
        within("ReLU, He: the variance is kept", moved["he relu"], -KEPT, KEPT, unit),
        below("ReLU, Xavier: it vanishes", moved["xavier relu"], VANISHED, unit),
        below("ReLU, small: it vanishes", moved["small relu"], VANISHED, unit),
        within("tanh, Xavier: the variance is kept", moved["xavier tanh"], -KEPT, KEPT, unit),
        below("tanh, small: it vanishes", moved["small tanh"], VANISHED, unit),
        fact("zeros: no signal passes", zeros == 0, f"the largest variance of any layer is {zeros:g}"),
        below(f"He trains a ReLU net of {TRAINED_DEPTH} layers better than Xavier",
              factor(ends["he"], ends["xavier"]), 1, "times the cost"),
        below("and better than small", factor(ends["he"], ends["small"]), 1, "times the cost"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    def variance(scheme: str, activation: str) -> str:
        found = measured.variances[f"{scheme} {activation}"]
        return f"{number(float(np.median(found[:, 0])))} -> {_small(float(np.median(found[:, -1])))}"

    def cost(scheme: str) -> str:
        return f"{np.median(measured.costs[scheme][:, -1]):.3g} (rate {measured.rates[scheme]:g})"

    return Table(
        ("scheme", f"variance, layer 1 -> {DEPTH}, tanh", "the same, ReLU", f"cost of {TRAINED_DEPTH} trained layers"),
        tuple((scheme, variance(scheme, "tanh"), variance(scheme, "relu"), cost(scheme)) for scheme in SCHEMES),
    )


def _small(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}" if value < 1e-3 else number(value)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(5.4)
    axes = figure.subplots(2, 2)
    layers = np.arange(1, DEPTH + 1)
    for column, activation in enumerate(ACTIVATIONS):
        for row, kept in enumerate((measured.variances, measured.gradients)):
            place = axes[row, column]
            for scheme, colour in zip(SCHEMES[1:], COLOURS, strict=False):
                # zeros cannot be drawn on a logarithmic axis; xavier and glorot coincide when widths are equal
                style = {"linestyle": (0, (4, 3))} if scheme == "glorot" else {}
                spread(place, layers, np.maximum(kept[f"{scheme} {activation}"], 1e-24), scheme, colour, **style)
            place.set_yscale("log")
            place.set_ylim(1e-20, 1e4)
            place.set_xlabel("layer")
            few_ticks(place.xaxis, 5, whole=True)
        name = {"tanh": "tanh", "relu": "ReLU"}[activation]
        axes[0, column].set_title(f"{name}: variance of activations")
        axes[1, column].set_title(f"{name}: size of gradients")
    axes[0, 0].legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="In a deep network activations and gradients grow or shrink exponentially with depth unless the variance "
    "of the weights is right: 1/n_in (Xavier) for tanh, 2/n_in (He) for ReLU. A good initialisation speeds up descent "
    "and lowers the error it reaches; zeros and 0.01 N(0, 1) do not train a deep net.",
    source="Glorot & Bengio 2010; He et al. 2015, section 2.2; Ng, Improving Deep Neural Networks, week 1.",
    experiment=f"{EXAMPLES} standardised digits through {DEPTH} layers of {WIDTH} units in float64, for each scheme of "
    "`init=` with tanh and ReLU: the variance of each layer's activations and the root mean square of its weights' "
    f"gradients, before training. Then {TRAINED_DEPTH} ReLU layers of 32 units, {TRAINED_EPOCHS} epochs of plain "
    f"descent, each scheme at the best of {len(RATES)} learning rates, chosen on a separate seed. Each seed has its "
    "own split and initial weights.",
    rule=f"Kept: the variance changes by at most a factor of 100 from layer 1 to {DEPTH} (tanh takes a little from "
    "every layer even at the right scale). Vanished: it falls below a millionth. Training: the ratio of costs is below "
    "1. Each with the whole 95 % interval over seeds; zeros: exactly 0 in every run.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
