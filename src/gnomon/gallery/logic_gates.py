"""One unit computes AND, OR and NOR, but not XOR; a hidden layer can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.seeds import generator
from gnomon.figures.style import BLUE, INK, ORANGE, few_ticks, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import fact, share_above
from gnomon.reference import Array
from gnomon.reference.activations import sigmoid
from gnomon.reference.dense import dense_backward, dense_forward
from gnomon.reference.initialisation import draw_weights
from gnomon.reference.losses import logistic_loss, logistic_loss_backward
from gnomon.reference.optimisers import adam_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Net = list[tuple[Array, Array]]  # (W, b) of each layer; every unit is a sigmoid

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TRUTH = {
    "AND": np.array([0, 0, 0, 1]),
    "OR": np.array([0, 1, 1, 1]),
    "NOR": np.array([1, 0, 0, 0]),
    "XNOR": np.array([1, 0, 0, 1]),
    "XOR": np.array([0, 1, 1, 0]),
}
_AND_NOR = (np.array([[20.0, 20.0], [-20.0, -20.0]]), np.array([-30.0, 10.0]))  # the hidden layer of the notes
GIVEN: Mapping[str, Net] = {
    "AND": [(np.array([[20.0, 20.0]]), np.array([-30.0]))],
    "OR": [(np.array([[20.0, 20.0]]), np.array([-10.0]))],
    "NOR": [(np.array([[-20.0, -20.0]]), np.array([10.0]))],
    "XNOR": [_AND_NOR, (np.array([[20.0, 20.0]]), np.array([-10.0]))],  # AND or NOR
    "XOR": [_AND_NOR, (np.array([[-20.0, -20.0]]), np.array([10.0]))],  # neither AND nor NOR
}
HIDDEN = (2, 3, 4, 8)
MOST = 4  # hidden units of the net that the rule refers to
STEPS, RATE = 1_500, 0.05  # of Adam, on all four inputs at once


@dataclass(frozen=True)
class Measured:
    """How many of the four answers are right, over seeds; and the nets that the figure shows."""

    given: Mapping[str, Array]  # gate -> its four outputs with the given weights
    one_unit: Mapping[str, Array]  # gate -> (seeds,) right answers of one trained unit
    one_unit_cost: Array  # (seeds,) of XOR
    hidden: Mapping[int, Array]  # hidden units -> (seeds,) right answers for XOR
    shown: Mapping[str, Net]


def forward(net: Net, inputs: Array) -> list[Array]:
    """The activations of every layer, the inputs first."""
    activations = [inputs]
    for weights, bias in net:
        activations.append(sigmoid(dense_forward(activations[-1], weights, bias)))
    return activations


def trained(target: Array, hidden: int, seed: int) -> Net:
    """A net with one output and `hidden` units before it (0: none), after STEPS steps of Adam."""
    rng = generator(seed, "gates", hidden)
    widths = (2, hidden, 1) if hidden else (2, 1)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    net = [(draw_weights(shape, "xavier", rng), np.zeros(shape[0])) for shape in shapes]
    moments = [[np.zeros_like(array) for array in (W, W, b, b)] for W, b in net]
    weights_of_examples = np.full((4, 1), 1 / 4)
    for t in range(1, STEPS + 1):
        activations = forward(net, INPUTS)
        logits = dense_forward(activations[-2], *net[-1])
        dZ = logistic_loss_backward(weights_of_examples, logits, target[:, np.newaxis])
        for i in reversed(range(len(net))):
            dA, dW, db = dense_backward(dZ, activations[i], net[i][0])
            dZ = dA * activations[i] * (1 - activations[i])
            (W, b), (v_W, s_W, v_b, s_b) = net[i], moments[i]
            W, v_W, s_W = adam_step(W, dW, v_W, s_W, t, learning_rate=RATE)
            b, v_b, s_b = adam_step(b, db, v_b, s_b, t, learning_rate=RATE)
            moments[i] = [v_W, s_W, v_b, s_b]
            net[i] = (W, b)
    return net


def right(net: Net, target: Array) -> int:
    """How many of the four answers are on the right side of 0.5."""
    return int(((forward(net, INPUTS)[-1][:, 0] > 0.5) == (target > 0.5)).sum())


def cost(net: Net, target: Array) -> float:
    logits = dense_forward(forward(net, INPUTS)[-2], *net[-1])
    return float(logistic_loss(logits[:, 0], target.astype(np.float64)).mean())


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    single: dict[str, list[int]] = {gate: [] for gate in ("AND", "OR", "NOR", "XOR")}
    hidden: dict[int, list[int]] = {units: [] for units in HIDDEN}
    costs, shown = [], dict[str, Net]()
    for i, seed in enumerate(seeds):
        progress(i / len(seeds), f"start {i + 1} of {len(seeds)}")
        for gate, found in single.items():
            net = trained(TRUTH[gate], 0, seed)
            found.append(right(net, TRUTH[gate]))
            if gate == "XOR":
                costs.append(cost(net, TRUTH[gate]))
                shown.setdefault("one unit", net)
        for units in HIDDEN:
            net = trained(TRUTH["XOR"], units, seed)
            hidden[units].append(right(net, TRUTH["XOR"]))
            if units == MOST and hidden[units][-1] == 4:
                shown.setdefault("hidden layer", net)
    return Measured(
        {gate: forward(net, INPUTS)[-1][:, 0] for gate, net in GIVEN.items()},
        {gate: np.array(found) for gate, found in single.items()},
        np.array(costs),
        {units: np.array(found) for units, found in hidden.items()},
        shown,
    )


def judge(measured: Measured) -> tuple[Part, ...]:
    worst = max(float(np.abs(outputs - TRUTH[gate]).max()) for gate, outputs in measured.given.items())
    learnt = np.concatenate([measured.one_unit[gate] == 4 for gate in ("AND", "OR", "NOR")])
    xor, deep = measured.one_unit["XOR"], measured.hidden[MOST]
    return (
        fact(
            "the weights of the notes compute AND, OR and NOR with one unit, XNOR and XOR with three",
            worst < 0.01,
            f"the largest error of any output is {worst:.1g}; claim: below 0.01",
        ),
        share_above("one unit learns AND, OR and NOR from any start", int(learnt.sum()), len(learnt), 0.9),
        fact(
            "one unit never learns XOR",
            bool(xor.max() < 4),
            f"at most {xor.max()} of 4 answers right in {len(xor)} starts; the cost ends at "
            f"{measured.one_unit_cost.mean():.4f}, and guessing has ln 2 = 0.6931",
        ),
        share_above(
            f"a hidden layer of {MOST} units learns XOR from most starts", int((deep == 4).sum()), len(deep), 0.5
        ),
    )


def table(measured: Measured) -> Table:
    rows = [(f"one unit, {gate}", found) for gate, found in measured.one_unit.items()]
    rows += [(f"{units} hidden units, XOR", found) for units, found in measured.hidden.items()]
    return Table(
        ("trained net", "starts with all four answers right", "fewest right"),
        tuple((name, f"{(found == 4).sum()} of {len(found)}", str(found.min())) for name, found in rows),
    )


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(4.1)
    axes = figure.subplots(2, 4)
    for place, (gate, net) in zip(axes.flat, GIVEN.items(), strict=False):
        _surface(place, net, TRUTH[gate], f"{gate}, given")
    for place, (name, title) in zip(
        axes.flat[5:7], (("one unit", "XOR, one unit"), ("hidden layer", f"XOR, {MOST} hidden")), strict=True
    ):
        if name in measured.shown:
            _surface(place, measured.shown[name], TRUTH["XOR"], title)
        else:
            place.set_axis_off()
    _shares(axes.flat[7], measured)
    return figure


def _surface(axes: Axes, net: Net, target: Array, title: str) -> None:
    """The output over the unit square, with the four inputs as points."""
    ends = np.linspace(-0.35, 1.35, 86)
    points = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)
    outputs = forward(net, points)[-1].reshape(len(ends), -1)
    axes.contourf(ends, ends, outputs, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.45)
    axes.contour(ends, ends, outputs, levels=[0.5], colors=INK, linewidths=0.8)
    for (x1, x2), truth in zip(INPUTS, target, strict=True):
        colour = BLUE if truth else ORANGE
        axes.plot(x1, x2, "o", color=colour, markersize=9, markeredgecolor="white", markeredgewidth=1)
        axes.annotate(str(truth), (x1, x2), color="white", ha="center", va="center", fontsize=6.5)
    axes.set_title(title, fontsize=9)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xticks([0, 1])
    axes.set_yticks([0, 1])


def _shares(axes: Axes, measured: Measured) -> None:
    shares = [100 * float((found == 4).mean()) for found in measured.hidden.values()]
    axes.bar(range(len(shares)), shares, color=BLUE, width=0.6)
    axes.set_xticks(range(len(shares)), [str(units) for units in measured.hidden])
    axes.set_title("XOR learned, %", fontsize=9)
    axes.set_xlabel("hidden units (% of starts)")
    axes.set_ylim(0, 100)
    few_ticks(axes.yaxis, 4)


CLAIM = Claim(
    claimed="A single logistic unit computes AND (-30, 20, 20), OR (-10, 20, 20) and NOR (10, -20, -20). XNOR needs a "
    "hidden layer, which combines AND and NOR with OR; no single unit computes XOR, because no line separates its "
    "answers.",
    source="Minsky & Papert 1969, Perceptrons; the weights are those of Ng's Machine Learning course, week 4.",
    experiment=f"The given weights on all four inputs. Then nets of sigmoid units in float64 "
    f"(`gnomon.reference`), trained on the four rows for {STEPS:,} steps of Adam at {RATE:g} from Xavier "
    "initialisation: one unit on AND, OR, NOR and XOR, and 2 to 8 hidden units on XOR. Each seed has its own start.",
    rule="Given weights: every output within 0.01 of the truth. Learned: the lower end of Wilson's 95 % interval for "
    f"the share of starts with all four answers right is above 90 % (AND, OR, NOR together) or 50 % (XOR with {MOST} "
    "hidden units). One unit on XOR: no start gets all four right.",
    seeds=20,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
