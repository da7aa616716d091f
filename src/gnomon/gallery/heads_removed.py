"""Most heads of a trained Transformer can be removed, one at a time, at little cost; a few can not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import (
    DEV,
    HEADS,
    LAYERS,
    SAYS_TRANSFORMER,
    TRANSFORMER_RATE,
    Pairs,
    split,
    started_transformer,
    trained,
)  # fmt: skip
from gnomon.gallery._method import above, below, over_seeds
from gnomon.gallery._pictures import COLOURS
from gnomon.models._transformer_pairs import TransformerPairs
from gnomon.nn.attention import Block

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("source to source", "target to target", "target to source")
LITTLE, MUCH = 2, 10  # points of wrong words


@dataclass(frozen=True)
class Measured:
    """Wrong words of dev in %, the true ones standing before each."""

    whole: Sequence[float]  # for each seed, with all heads
    without: Sequence[Sequence[float]]  # for each seed, without each of the heads: KINDS, layers, heads


def outputs_of(net: TransformerPairs) -> list[nn.Linear]:
    """The last layer of each attention, which adds up what its heads found: KINDS, layers."""
    encoder, decoder = ([block for block in side if isinstance(block, Block)] for side in (net.encoder, net.decoder))
    across = [block.across.output for block in decoder if block.across is not None]
    return [*(block.attention.output for block in encoder), *(block.attention.output for block in decoder), *across]


@torch.no_grad()
def wrong_words(net: TransformerPairs, pairs: Pairs) -> float:
    told = net(pairs.sources, pairs.lengths, pairs.before).argmax(dim=2)
    is_word = torch.arange(told.shape[1]) < pairs.lengths[:, None] - 1
    return 100 * float((told != pairs.targets)[is_word].float().mean())


@torch.no_grad()
def wrong_without_each(net: TransformerPairs, pairs: Pairs) -> list[float]:
    """With what one head finds set to zero, one after the other."""
    found = []
    for output in outputs_of(net):
        each = output.weight.shape[1] // HEADS
        for head in range(HEADS):
            kept = output.weight.clone()
            output.weight[:, head * each : (head + 1) * each] = 0
            found.append(wrong_words(net, pairs))
            output.weight.copy_(kept)
    return found


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    whole, without = [], []
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        train, dev = split(seed)
        net = trained(started_transformer(seed), train, seed, rate=TRANSFORMER_RATE)
        whole.append(wrong_words(net, dev))
        without.append(wrong_without_each(net, dev))
    return Measured(whole, without)


def _more(measured: Measured) -> np.ndarray:
    """(seeds, heads) points."""
    more: np.ndarray = np.array(measured.without) - np.array(measured.whole)[:, None]
    return more


def judge(measured: Measured) -> tuple[Part, ...]:
    more = _more(measured)
    return (
        below("without the median head few more words are wrong", over_seeds(np.median(more, axis=1)), LITTLE,
              "points"),
        above("without the head that counts most many more are", over_seeds(more.max(axis=1)), MUCH, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    more = _more(measured).reshape(len(measured.whole), len(KINDS), -1)
    rows = [
        (kind, *(f"{number(float(one))} points" for one in (np.median(own, axis=1).mean(), own.max(axis=1).mean())))
        for kind, own in zip(KINDS, np.moveaxis(more, 1, 0), strict=True)
    ]
    return Table(("attention of", "more wrong words without the median head", "without the one that counts most"),
                 tuple(rows))  # fmt: skip


@styled
def draw(measured: Measured) -> Figure:
    more = _more(measured)
    figure = new_figure(2.9)
    axes = figure.subplots()
    each = more.shape[1] // len(KINDS)
    for place, (kind, colour) in enumerate(zip(KINDS, COLOURS, strict=False)):
        own = np.sort(more[:, place * each : (place + 1) * each], axis=1)[:, ::-1]
        for row in own:
            axes.plot(range(1, each + 1), row, "o-", color=colour, markersize=3, alpha=0.6)
        axes.plot([], [], "o-", color=colour, label=kind)
    axes.set_xlabel("heads, those that count most first")
    axes.set_title("more wrong words without a head, points; a line per seed")
    axes.legend()
    return figure


CLAIM = Claim(
    claimed="Most attention heads can be removed from a trained Transformer one at a time without a noticeable loss; "
    "few are specialised and needed.",
    source="Michel, Levy & Neubig 2019, section 3.2; Voita et al. 2019.",
    experiment=f"{SAYS_TRANSFORMER}. After training, what one of the {len(KINDS) * LAYERS * HEADS} heads finds is set "
    f"to zero, one head at a time; wrong words of the {DEV} dev sentences, the true words standing before each.",
    rule="Over seeds, each with the whole 95 % interval: without the median head the share of wrong words is less than "
    f"{LITTLE} points higher; without the head that counts most it is more than {MUCH} points higher.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
