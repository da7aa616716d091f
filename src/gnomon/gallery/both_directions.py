"""Where an answer depends on what comes later, a net that reads in both directions beats one that reads forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import generator
from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, best_of, over_seeds
from gnomon.gallery._pictures import dots
from gnomon.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS, TRAIN, DEV = 50, 300, 300  # of a series; series
STAYS = 0.95  # probability that a step is in the state of the step before it
NOISE = 1.5  # standard deviation of what is seen of a state, -1 or 1
BATCH, EPOCHS = 30, 20
RATES = (0.003, 0.01, 0.03)
UNITS = {"both": 16, "forward": 16, "wide": 24}  # in each direction; 24 forward have as many weights as 16 in both
NAMES = {"both": "both directions", "forward": "forward", "wide": "forward, as many weights"}


@dataclass(frozen=True)
class Measured:
    """Errors in % of the steps of the dev series, for each seed."""

    errors: Mapping[str, Sequence[float]]  # of the nets NAMES
    so_far: Sequence[float]  # of the most probable state given the steps so far: nobody who reads forward does better
    all_steps: Sequence[float]  # given all steps


@final
class Tagger(nn.Module):
    """(B, T) -> (B, T): the logit of state 1 at each step."""

    def __init__(self, units: int, *, is_bidirectional: bool) -> None:
        super().__init__()
        self.layers = Recurrent(1, units, cell="gru", bidirectional=is_bidirectional)
        self.head = nn.Linear(self.layers.num_features, 1)

    def forward(self, seen: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(seen[..., None])[0])[..., 0]
        return logits


def drawn(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """States 0 and 1 (N, T) that last for 20 steps on average, and what is seen of them, (N, T)."""
    turns = rng.random((count, STEPS)) > STAYS
    turns[:, 0] = rng.random(count) < 0.5
    states = np.cumsum(turns, axis=1) % 2
    return states, (2 * states - 1 + rng.normal(0, NOISE, states.shape)).astype(np.float32)


def probabilities(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, T) of state 1 given the steps so far, and given all of them. Source: Rabiner 1989, section III.A."""
    stay = np.array([[STAYS, 1 - STAYS], [1 - STAYS, STAYS]])
    of_state = np.exp(-((seen[..., None] - np.array([-1.0, 1.0])) ** 2) / (2 * NOISE**2))  # (N, T, 2)
    forward, backward = np.empty_like(of_state), np.ones_like(of_state)
    for step in range(seen.shape[1]):
        before = np.full((len(seen), 2), 0.5) if step == 0 else forward[:, step - 1] @ stay
        forward[:, step] = before * of_state[:, step]
        forward[:, step] /= forward[:, step].sum(axis=1, keepdims=True)
    for step in reversed(range(seen.shape[1] - 1)):
        backward[:, step] = (backward[:, step + 1] * of_state[:, step + 1]) @ stay.T
        backward[:, step] /= backward[:, step].sum(axis=1, keepdims=True)
    both = forward * backward
    return forward[..., 1], both[..., 1] / both.sum(axis=2)


def error_of(kind: str, seed: int, rate: float) -> float:
    """In % of the steps of the dev series, after a training on others."""
    rng = generator(seed, "both directions")
    (states, seen), (truth, asked) = drawn(TRAIN, rng), drawn(DEV, rng)
    wanted, inputs = torch.from_numpy(states).float(), torch.from_numpy(seen)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Tagger(UNITS[kind], is_bidirectional=kind == "both")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(EPOCHS):
        for rows in torch.from_numpy(rng.permutation(TRAIN)).split(BATCH):
            optimiser.zero_grad()
            functional.binary_cross_entropy_with_logits(net(inputs[rows]), wanted[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        said = net(torch.from_numpy(asked)).numpy() > 0
    return 100 * float((said != truth).mean())


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates = {kind: best_of(partial(error_of, kind, TUNING_SEED), RATES) for kind in NAMES}
    errors: dict[str, list[float]] = {kind: [] for kind in NAMES}
    bounds: tuple[list[float], list[float]] = [], []
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        for kind in NAMES:
            errors[kind].append(error_of(kind, seed, rates[kind]))
        rng = generator(seed, "both directions")
        drawn(TRAIN, rng)
        truth, asked = drawn(DEV, rng)
        for found, one in zip(bounds, probabilities(asked.astype(np.float64)), strict=True):
            found.append(100 * float(((one > 0.5) != truth).mean()))
    return Measured(errors, *bounds)


def judge(measured: Measured) -> tuple[Part, ...]:
    found = {kind: np.array(values) for kind, values in measured.errors.items()}
    return (
        above("reading forward has a higher error than reading in both directions",
              over_seeds(found["forward"] - found["both"]), 0, "points"),
        above("with as many weights, too", over_seeds(found["wide"] - found["both"]), 0, "points"),
        above("the best answer to the steps so far has a higher error than the net that reads in both directions",
              over_seeds(np.array(measured.so_far) - found["both"]), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = [(label, measured.errors[kind]) for kind, label in NAMES.items()]
    rows += [("exact, given the steps so far", measured.so_far), ("exact, given all steps", measured.all_steps)]
    return Table(
        ("", "error per step"), tuple((label, f"{number(float(np.mean(each)))} %") for label, each in rows)
    )  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    values = [
        np.array(one) for one in (*(measured.errors[kind] for kind in NAMES), measured.so_far, measured.all_steps)
    ]
    dots(axes, values, [*NAMES.values(), "exact, so far", "exact, all steps"])
    axes.set_title("error per step, %")
    axes.set_ylim(0, None)
    return figure


CLAIM = Claim(
    claimed="A net that reads forward answers at each step from what came before it alone. Whether \"Teddy\" begins a "
    "name is decided by the words after it; a net in both directions sees them.",
    source="Schuster & Paliwal 1997; Ng, Sequence Models, week 1.",
    experiment=f"Series of {STEPS} steps in one of two hidden states, which last for {1 / (1 - STAYS):.0f} steps on "
    f"average; -1 or 1 is seen of them, with noise of deviation {NOISE}. A GRU of {UNITS['both']} units in both "
    f"directions, one that reads forward, and one with as many weights that reads forward ({UNITS['wide']} units) name "
    f"the state at each step: {TRAIN} series, {EPOCHS} epochs of Adam, the best of {len(RATES)} rates on a seed of its "
    "own. Beside them the exact probabilities, given the steps so far and given all of them.",
    rule="Over seeds, each with the whole 95 % interval: the error of the net that reads forward minus that in both "
    "directions is above 0 points, with equal units and with equally many weights; so is the error of the exact "
    "probabilities given the steps so far minus that of the net in both directions.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
