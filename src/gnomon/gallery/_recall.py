"""Remember the first step of a series until its end: the task of the claims about memory, and nets that learn it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import derive, generator
from gnomon.nn.attention import Attention
from gnomon.nn.initialise import initialise
from gnomon.nn.recurrent import Recurrent

Kind = Literal["rnn", "gru", "lstm", "attention"]

SYMBOLS, DISTRACTORS = 4, 4  # that may have to be recalled; that fill the gap
UNITS = 16
BATCH = 50  # new series at each update
DEV = 500  # series


def drawn(count: int, gap: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One-hot series (N, gap + 1, SYMBOLS + DISTRACTORS), a symbol and then `gap` distractors; the symbol (N,)."""
    symbols = rng.integers(SYMBOLS, size=(count, 1))
    rest = SYMBOLS + rng.integers(DISTRACTORS, size=(count, gap))
    series = torch.from_numpy(np.concatenate([symbols, rest], axis=1))
    return functional.one_hot(series, SYMBOLS + DISTRACTORS).float(), torch.from_numpy(symbols[:, 0])


@final
class Recaller(nn.Module):
    """(B, T, D) -> (B, K): logits after the last step, of a recurrent layer or of one that attends."""

    def __init__(
        self, kind: Kind, *, inputs: int = SYMBOLS + DISTRACTORS, units: int = UNITS, answers: int = SYMBOLS
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(inputs, units) if kind == "attention" else nn.Identity()
        self.layers: nn.Module = (
            Attention(units, 1, is_causal=True) if kind == "attention" else Recurrent(inputs, units, cell=kind)
        )
        self.head = nn.Linear(units, answers)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.layers(self.embed(x))
        if isinstance(outputs, tuple):  # of a recurrent layer, with its state
            outputs = outputs[0]
        logits: Tensor = self.head(outputs[:, -1])
        return logits


@dataclass(frozen=True)
class Start:
    """A kind of net and how its weights start: recurrent ones orthogonal, forget gates open by a bias of 1, unless:"""

    kind: Kind
    is_plain: bool = False  # as torch draws them: evenly from ±1/sqrt(units), biases too; forget gates are half open
    is_open_for_gap: bool = False  # a bias of ln(gap), which keeps gap / (gap + 1) at each step: Tallec & Ollivier 2018


NETS: Mapping[str, Start] = {
    "plain": Start("rnn", is_plain=True),
    "plain, orthogonal": Start("rnn"),
    "GRU": Start("gru"),
    "LSTM, half open": Start("lstm", is_plain=True),
    "LSTM, bias 1": Start("lstm"),
    "LSTM, bias ln(gap)": Start("lstm", is_open_for_gap=True),
    "attention": Start("attention"),
}


def started(name: str, gap: int, seed: int) -> Recaller:
    """One of NETS."""
    start = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "start", start.kind))
        net = Recaller(start.kind)
    if not start.is_plain:
        initialise(net, "xavier", torch.Generator().manual_seed(derive(seed, "initialise", start.kind)))
    if start.is_open_for_gap:
        with torch.no_grad():
            for each, parameter in net.named_parameters():
                if "bias_ih" in each:  # gates are in the order input, forget, new, output
                    parameter[UNITS : 2 * UNITS] = math.log(gap)
    return net


def train(net: nn.Module, gap: int, rate: float, updates: int, seed: int) -> None:
    """Adam, on new series at each update, with the gradient clipped at norm 1."""
    rng, optimiser = generator(seed, "recall", gap), torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(updates):
        inputs, symbols = drawn(BATCH, gap, rng)
        optimiser.zero_grad()
        functional.cross_entropy(net(inputs), symbols).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()


@torch.no_grad()
def cost_and_error(net: nn.Module, gap: int, seed: int) -> tuple[float, float]:
    """Mean loss in nats, and error in %, on series of their own."""
    inputs, symbols = drawn(DEV, gap, generator(seed, "recall, dev", gap))
    logits = net(inputs)
    wrong = (logits.argmax(dim=1) != symbols).double().mean()
    return float(functional.cross_entropy(logits, symbols)), 100 * float(wrong)
