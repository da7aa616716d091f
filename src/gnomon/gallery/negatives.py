"""The smaller the text, the more negative samples word vectors need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from gnomon.core.seeds import derive, generator
from gnomon.data.text.corpus import drawn_shares
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds
from gnomon.gallery._pictures import COLOURS, spread
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLUSTERS, EACH = 10, 20  # of words; words in one
NUM_WORDS = CLUSTERS * EACH
LINE = 8  # words in a line, which has one cluster as its topic
FROM_TOPIC = 0.5  # probability that a word is of the topic, and not of any cluster
SIZES = (2_000, 8_000, 32_000)  # words of a text
COUNTS = (1, 2, 5, 15)  # negatives of each pair
FEW, MANY = 1, 3  # places in COUNTS
RATES = (0.03, 0.1, 0.2)  # of each pair; falls to zero along a line
DIMENSIONS, WINDOW, EPOCHS, BATCH = 16, 2, 5, 128
NEAREST = 5
ENOUGH, HARDLY = 2.0, 2.0  # points


@dataclass(frozen=True)
class Measured:
    """Shares of the nearest words that are of the same cluster."""

    rates: Mapping[int, tuple[float, ...]]  # COUNTS -> (SIZES,)
    shares: Mapping[int, Array]  # COUNTS -> (seeds, SIZES)


def text_of(size: int, seed: int) -> Array:
    """(L, LINE) words, about `size` in all. In each cluster some words are more frequent, by Zipf's law."""
    rng, count = generator(seed, "negatives"), size // LINE
    topics = rng.integers(CLUSTERS, size=(count, 1))
    clusters = np.where(rng.random((count, LINE)) < FROM_TOPIC, topics, rng.integers(CLUSTERS, size=(count, LINE)))
    often = 1 / np.arange(1, EACH + 1)
    words: Array = clusters * EACH + rng.choice(EACH, size=clusters.shape, p=often / often.sum())
    return words


def pairs_of(text: Array) -> Array:
    """(P, 2): each word with each one up to WINDOW places away in its line."""
    found = []
    for gap in range(1, WINDOW + 1):
        one, other = text[:, :-gap].ravel(), text[:, gap:].ravel()
        found += [np.stack([one, other], axis=1), np.stack([other, one], axis=1)]
    pairs: Array = np.concatenate(found)
    return pairs


def vectors_of(text: Array, count: int, rate: float, seed: int) -> Array:
    """(NUM_WORDS, DIMENSIONS) of skip-gram with `count` negatives drawn for each pair. Source: Mikolov et al. 2013b."""
    chance = torch.Generator().manual_seed(derive(seed, "negatives", "training"))
    pairs = torch.from_numpy(pairs_of(text))
    drawn = torch.from_numpy(drawn_shares(np.bincount(text.ravel(), minlength=NUM_WORDS)))
    inputs = (torch.rand(NUM_WORDS, DIMENSIONS, generator=chance) - 0.5) / DIMENSIONS
    tables = [inputs.requires_grad_(), torch.zeros(NUM_WORDS, DIMENSIONS, requires_grad=True)]
    order = torch.cat([torch.randperm(len(pairs), generator=chance) for _ in range(EPOCHS)])
    batches = order.split(BATCH)
    for step, chosen in enumerate(batches):
        own, near = tables[0][pairs[chosen, 0]], tables[1][pairs[chosen, 1]]
        places = torch.rand(len(chosen), count, generator=chance, dtype=torch.float64)
        wrong = tables[1][torch.searchsorted(drawn, places, right=True).clamp_max(NUM_WORDS - 1)]  # (B, count, D)
        cost = -(logsigmoid((own * near).sum(1)).sum() + logsigmoid(-(wrong @ own[:, :, None])).sum())
        slopes = torch.autograd.grad(cost, tables)
        with torch.no_grad():
            for table, slope in zip(tables, slopes, strict=True):
                table -= rate * (1 - step / len(batches)) * slope
    return tables[0].detach().numpy()


def share_of(vectors: Array) -> float:
    """Of each word's NEAREST words by cosine, how many are of its cluster, on average."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T - 3 * np.eye(len(unit))
    nearest = np.argsort(-alike, axis=1)[:, :NEAREST]
    return float((nearest // EACH == np.arange(len(unit))[:, None] // EACH).mean())


def result(count: int, size: int, seed: int, rate: float) -> float:
    return share_of(vectors_of(text_of(size, seed), count, rate, seed))


def tuning_cost(count: int, size: int, rate: float) -> float:
    return -result(count, size, TUNING_SEED, rate)


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    rates: dict[int, tuple[float, ...]] = {}
    shares: dict[int, Array] = {}
    for place, count in enumerate(COUNTS):
        progress(place / len(COUNTS), f"{count} negatives: learning rates")
        rates[count] = tuple(best_of(partial(tuning_cost, count, size), RATES) for size in SIZES)
        rows = []
        for done, seed in enumerate(seeds):
            progress((place + (done + 1) / (len(seeds) + 1)) / len(COUNTS), f"{count} negatives: seed {done + 1}")
            rows.append([result(count, size, seed, rate) for size, rate in zip(SIZES, rates[count], strict=True)])
        shares[count] = np.array(rows)
    return Measured(rates, shares)


def judge(measured: Measured) -> tuple[Part, ...]:
    few, many = COUNTS[FEW], COUNTS[MANY]
    gain = 100 * (measured.shares[many] - measured.shares[few])  # (seeds, SIZES)
    return (
        above(f"on {SIZES[0]:,} words, {many} negatives find more than {few}", over_seeds(gain[:, 0]), ENOUGH,
              "points"),
        above(f"the gain is larger on {SIZES[0]:,} words than on {SIZES[-1]:,}", over_seeds(gain[:, 0] - gain[:, -1]),
              0, "points"),
        below(f"on {SIZES[-1]:,} words, {many} negatives find hardly more than {few}", over_seeds(gain[:, -1]), HARDLY,
              "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = [
        (f"{count} ({', '.join(f'{rate:g}' for rate in measured.rates[count])})",
         *(f"{100 * share:.1f} %" for share in measured.shares[count].mean(axis=0)))
        for count in COUNTS
    ]  # fmt: skip
    return Table(("negatives (learning rates)", *(f"{size:,} words" for size in SIZES)), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    for count, colour in zip(COUNTS, COLOURS, strict=False):
        label = "1 negative" if count == 1 else f"{count} negatives"
        spread(axes, np.array(SIZES), 100 * measured.shares[count], label, colour, marker="o", markersize=4)
    axes.axhline(100 * (EACH - 1) / (NUM_WORDS - 1), color="black", linewidth=0.8, linestyle=":", label="by chance")
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.minorticks_off()
    axes.set_xlabel("words of the text")
    axes.set_ylabel("nearest words of the same cluster, %")
    axes.set_ylim(0, 100)
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="Five to twenty negative samples are useful for small training sets, while for large ones two to five are "
    "enough.",
    source="Mikolov et al. 2013b, section 2.2; Ng, Sequence Models, week 2 (negative sampling).",
    experiment=f"{NUM_WORDS} made-up words in {CLUSTERS} clusters, in each some more frequent by Zipf's law. A line "
    f"has {LINE} words and one cluster as its topic: a word is of it with probability {FROM_TOPIC}, otherwise of any. "
    f"On texts of {', '.join(f'{size:,}' for size in SIZES)} words, skip-gram learns vectors of {DIMENSIONS} numbers "
    f"from windows of {WINDOW} words on each side, in {EPOCHS} epochs, with {', '.join(map(str, COUNTS))} negatives "
    "drawn for each pair by f^0.75. Counted are, of the five nearest words of each word, those of its own cluster. The "
    f"learning rate of a pair falls along a line from the best of {', '.join(f'{rate:g}' for rate in RATES)} for each "
    "text size and number of negatives, on a separate seed.",
    rule=f"Over seeds, each with the whole 95 % interval: on the smallest text {COUNTS[MANY]} negatives find over "
    f"{ENOUGH:g} points more than {COUNTS[FEW]}; this gain is larger than on the largest text, where it is below "
    f"{HARDLY:g} points.",
    seeds=6,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
