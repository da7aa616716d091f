"""Step by step back through time the gradient of a plain recurrent net vanishes; an LSTM keeps more of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.seeds import generator
from gnomon.figures.style import few_ticks, new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery import _recall
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, fact, factor
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.gallery._recall import Recaller
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 20  # steps between the symbol and the answer
UPDATES = 500
RATES = (0.003, 0.01, 0.03)
SCALES = (0.8, 1.0, 1.2)  # of the linear nets
LINEAR_UNITS = 8
SERIES = 100  # over which the size of a gradient is averaged
VANISHED = 1e-3  # of the gradient at the last step
EXACT = 1e-9  # relative difference from the closed form that rounding in float64 may leave
LEAST = 1e-300  # replaces a gradient of 0 in logarithms
NETS = ("plain", "plain, orthogonal", "LSTM, half open", "LSTM, bias 1", "LSTM, bias ln(gap)")
KEPT = 0.1  # of the gradient at the last step: by a net whose gates are open for the gap


@dataclass(frozen=True)
class Measured:
    """Root mean square over series of the gradient's norm, with respect to the input 0, 1 ... GAP steps back."""

    linear: Array  # (seeds, len(SCALES), GAP + 1)
    start: Mapping[str, Array]  # name -> (seeds, GAP + 1)
    trained: Mapping[str, Array]
    rates: Mapping[str, float]
    errors: Mapping[str, Array]  # (seeds,) in %, after training


def sizes(net: nn.Module, inputs: Tensor, answers: Tensor) -> Array:
    """(T,): of the gradient of the right answer's logit, with respect to the last step first; in float64."""
    watched = inputs.double().requires_grad_()
    # series do not see each other: the gradient of the sum has in each row that of its own logit
    logits = copy.deepcopy(net).double()(watched).gather(1, answers[:, None])
    (gradient,) = torch.autograd.grad(logits.sum(), watched)
    found: Array = torch.linalg.vector_norm(gradient, dim=2).square().mean(dim=0).sqrt().flip(0).numpy()
    return found


def linear_net(scale: float, seed: int) -> Recaller:
    """Recurrent weights `scale` times an orthogonal matrix, inputs added as they are, an answer of length 1.

    With inputs of 0 all activations are 0, where the slope of tanh is 1: its gradient k steps back is scale^k.
    """
    rng = generator(seed, "linear", str(scale))
    orthogonal = np.linalg.qr(rng.normal(size=(LINEAR_UNITS, LINEAR_UNITS)))[0]
    direction = rng.normal(size=LINEAR_UNITS)
    net = Recaller("rnn", inputs=LINEAR_UNITS, units=LINEAR_UNITS, answers=1).double()
    values = {"weight_ih_l0": np.eye(LINEAR_UNITS), "weight_hh_l0": scale * orthogonal}
    with torch.no_grad():
        for name, parameter in net.layers.named_parameters():
            value = values.get(name.rpartition(".")[2])
            parameter.copy_(torch.zeros_like(parameter) if value is None else torch.from_numpy(value))
        net.head.weight.copy_(torch.from_numpy(direction / np.linalg.norm(direction)))
    return net


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    progress(0, "learning rates")
    rates = {name: best_of(partial(cost_of, name), RATES) for name in NETS}
    linear = list[list[Array]]()
    start: dict[str, list[Array]] = {name: [] for name in NETS}
    trained: dict[str, list[Array]] = {name: [] for name in NETS}
    errors: dict[str, list[float]] = {name: [] for name in NETS}
    still = torch.zeros(1, GAP + 1, LINEAR_UNITS), torch.zeros(1, dtype=torch.int64)
    for done, seed in enumerate(seeds):
        linear.append([sizes(linear_net(scale, seed), *still) for scale in SCALES])
        series = _recall.drawn(SERIES, GAP, generator(seed, "gradients"))
        for place, name in enumerate(NETS):
            progress((done + place / len(NETS)) / len(seeds), f"seed {done + 1} of {len(seeds)}: {name}")
            net = _recall.started(name, GAP, seed)
            start[name].append(sizes(net, *series))
            _recall.train(net, GAP, rates[name], UPDATES, seed)
            trained[name].append(sizes(net, *series))
            errors[name].append(_recall.cost_and_error(net, GAP, seed)[1])
    return Measured(
        np.array(linear), {name: np.array(found) for name, found in start.items()},
        {name: np.array(found) for name, found in trained.items()}, rates,
        {name: np.array(found) for name, found in errors.items()},
    )  # fmt: skip


def cost_of(name: str, rate: float) -> float:
    net = _recall.started(name, GAP, TUNING_SEED)
    _recall.train(net, GAP, rate, UPDATES, TUNING_SEED)
    return _recall.cost_and_error(net, GAP, TUNING_SEED)[0]


def closed_form() -> Array:
    """(len(SCALES), GAP + 1): scale^k."""
    powers: Array = np.array(SCALES)[:, np.newaxis] ** np.arange(GAP + 1)
    return powers


def left(found: Array) -> Array:
    """(seeds,): what is left of the last step's gradient at the first step."""
    share: Array = np.maximum(found[:, -1], LEAST) / np.maximum(found[:, 0], LEAST)
    return share


def judge(measured: Measured) -> tuple[Part, ...]:
    off = float(np.abs(measured.linear / closed_form() - 1).max())
    start, trained = ({name: left(found) for name, found in each.items()}
                      for each in (measured.start, measured.trained))  # fmt: skip
    times, of_last = "times as much", "of that at the last step"
    ones = np.ones(len(start["plain"]))
    return (
        fact("a linear net: the gradient k steps back is the scale of its weights to the power k", off < EXACT,
             f"the largest relative difference is {off:.1e}; claim: below {EXACT:.0e}"),
        below(f"a plain net as torch draws it: {GAP} steps back the gradient has vanished",
              factor(start["plain"], ones), VANISHED, of_last),
        above("as torch draws both, an LSTM, its forget gates half open, keeps more than a plain net",
              factor(start["LSTM, half open"], start["plain"]), 1, times),
        above("an LSTM with a forget bias of 1, too", factor(start["LSTM, bias 1"], start["plain"]), 1, times),
        above("and more than a plain net with orthogonal weights",
              factor(start["LSTM, bias 1"], start["plain, orthogonal"]), 1, times),
        above("an LSTM with a forget bias of ln(gap) keeps a tenth",
              factor(start["LSTM, bias ln(gap)"], ones), KEPT, of_last),
        below("after training, the gradient of the plain net still vanishes",
              factor(trained["plain"], ones), VANISHED, of_last),
        above("and the LSTM with a forget bias of 1 keeps more than any plain net",
              factor(trained["LSTM, bias 1"], np.maximum(trained["plain"], trained["plain, orthogonal"])), 1, times),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    def shown(found: Array) -> str:
        return f"{float(np.exp(np.log(left(found)).mean())):.1e}"

    return Table(
        ("net", f"left of the gradient {GAP} steps back, at the start", "after training", "best rate", "error"),
        tuple(
            (name, shown(measured.start[name]), shown(measured.trained[name]), f"{measured.rates[name]:g}",
             f"{number(float(measured.errors[name].mean()))} %")
            for name in NETS
        ),
    )  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.2)
    linear, start, trained = figure.subplots(1, 3)
    steps = np.arange(GAP + 1)
    for place, scale in enumerate(SCALES):
        spread(linear, steps, measured.linear[:, place], f"{scale:g}", COLOURS[place])
        linear.plot(steps, closed_form()[place], ".", color=COLOURS[place], markersize=4)
    for axes, found in ((start, measured.start), (trained, measured.trained)):
        for name, colour in zip(NETS, COLOURS, strict=False):
            sizes_by_step = np.maximum(found[name], LEAST)
            spread(axes, steps, sizes_by_step / sizes_by_step[:, :1], name, colour)
    for axes, title in ((linear, "linear, by scale; dots: exact"), (start, "at the start"), (trained, "trained")):
        axes.set_yscale("log")
        axes.set_title(title)
        axes.set_xlabel("steps back")
        few_ticks(axes.xaxis, 5, whole=True)
    linear.legend(fontsize=8)
    start.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="Back-propagation through time multiplies the gradient by the recurrent weights at every step: it vanishes "
    "or explodes exponentially, and a plain recurrent net does not learn what lies many steps back. The cell of an "
    "LSTM carries it on without loss while the forget gate is open.",
    source="Bengio et al. 1994; Hochreiter & Schmidhuber 1997; Ng, Sequence Models, week 1. Starts: Saxe et al. 2014 "
    "(orthogonal), Gers et al. 2000 and Jozefowicz et al. 2015 (bias 1), Tallec & Ollivier 2018 (bias ln(gap)).",
    experiment=f"A series begins with one of {_recall.SYMBOLS} symbols, {GAP} distractors follow, and after the last "
    f"the net says which symbol it was. Recurrent layers of {_recall.UNITS} units: plain and LSTM as torch draws them "
    "(weights and biases even between ±1/sqrt(units), forget gates half open), plain with orthogonal recurrent "
    "weights, LSTM with orthogonal ones and a forget bias of 1 or ln(gap). The norm of the gradient of the right "
    f"answer's logit with respect to the input k steps back, root mean square over {SERIES} series in float64, "
    f"relative to that of the last input: before training, and after {UPDATES} updates of Adam on {_recall.BATCH} new "
    f"series each, gradients clipped at norm 1, at the best of {len(RATES)} rates on a seed of its own. Beside them "
    f"linear nets with {', '.join(f'{scale:g}' for scale in SCALES)} times an orthogonal matrix as recurrent weights.",
    rule=f"Linear: all gradients are scale^k to within {EXACT:.0e} of it, in every run. Vanished: {GAP} steps back "
    f"less than {VANISHED:g} of the gradient at the last step is left. One net keeps more than another: the ratio of "
    f"what is left is above 1. Keeps a tenth: above {KEPT:g} of it is left. Each with the whole 95 % interval over "
    "seeds, of geometric means.",
    seeds=5,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
