"""The mean of word vectors cannot tell which of two words is negated; a recurrent net can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.seeds import generator
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEED, above, below, best_of, over_seeds, within
from gnomon.gallery._phrases import BATCH, Phrases, Reader, errors_of
from gnomon.gallery._pictures import COLOURS
from gnomon.nn.pooling import mean_over_steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GOOD = ("good", "great", "funny", "warm", "clever", "fresh", "moving", "sharp")
BAD = ("bad", "poor", "dull", "cold", "stupid", "stale", "flat", "clumsy")
BETWEEN = ("very", "really", "so")
WORDS = ("", "not", "and", "ones", *BETWEEN, *GOOD, *BAD)  # "" is padding
ID = {word: i for i, word in enumerate(WORDS)}
LONGEST = 11  # words: two halves of "not", up to two words between, an adjective and "ones"; "and"
TRAIN, DEV = 1_000, 2_000  # phrases
EMBEDDING, UNITS, EPOCHS = 16, 16, 30
RATES = (0.003, 0.01, 0.03)
NAMES = {"mean": "mean of words", "pairs": "mean of words and pairs", "recurrent": "recurrent"}
KINDS = {"none": "no negation", "next": "not good", "apart": "not very good", "both": "both negated"}
CHANCE, FEW_POINTS, MANY_POINTS = 50, 5, 10


@dataclass(frozen=True)
class Measured:
    """Errors in % of the dev phrases, (seeds,), by net and by kind of phrase."""

    errors: Mapping[str, Mapping[str, np.ndarray]]  # {NAMES: {KINDS: (seeds,)}}


@final
class Mean(nn.Module):
    """(B, T) ids -> (B, 2): a hidden layer on the mean of the word vectors, and of those of neighbouring pairs."""

    def __init__(self, *, has_pairs: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(len(WORDS), EMBEDDING)
        self.pairs = nn.Embedding(len(WORDS) ** 2, EMBEDDING) if has_pairs else None
        self.hidden = nn.Linear(2 * EMBEDDING if has_pairs else EMBEDDING, UNITS)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        found = mean_over_steps(self.words(ids), lengths)
        if self.pairs is not None:
            pairs = self.pairs(ids[:, :-1] * len(WORDS) + ids[:, 1:])
            found = torch.cat([found, mean_over_steps(pairs, lengths - 1)], dim=1)
        logits: Tensor = self.head(self.hidden(found).relu())
        return logits


def made(kind: str) -> nn.Module:
    return (
        Reader(len(WORDS), 2, embedding=EMBEDDING, units=UNITS)
        if kind == "recurrent"
        else Mean(has_pairs=kind == "pairs")
    )


def half(is_good: bool, is_negated: bool, num_between: int, rng: np.random.Generator) -> list[str]:
    """Words that mean good or bad: "very good ones", or "not so bad ones" for good."""
    adjectives = GOOD if is_good != is_negated else BAD
    return [*["not"] * is_negated, *rng.choice(BETWEEN, num_between).tolist(), str(rng.choice(adjectives)), "ones"]


def phrase(rng: np.random.Generator) -> tuple[list[str], int, str]:
    """Two halves that mean the same, joined by "and"; whether they mean good; the kind of the phrase."""
    is_good, negated, num_between = bool(rng.random() < 0.5), (rng.random(2) < 0.5).tolist(), int(rng.integers(3))
    first, second = (half(is_good, each, num_between, rng) for each in negated)
    kind = "both" if all(negated) else "none" if not any(negated) else "apart" if num_between else "next"
    return [*first, "and", *second], int(is_good), kind


def drawn(count: int, rng: np.random.Generator) -> Phrases:
    found = [phrase(rng) for _ in range(count)]
    ids = torch.zeros(count, LONGEST, dtype=torch.long)
    for row, (words, _, _) in zip(ids, found, strict=True):
        row[: len(words)] = torch.tensor([ID[word] for word in words])
    lengths, labels = (torch.tensor(each) for each in ([len(one[0]) for one in found], [one[1] for one in found]))
    return Phrases(ids, lengths, labels, np.array([kind for _, _, kind in found]))


def by_kind(net: str, seed: int, rate: float) -> tuple[float, dict[str, float]]:
    """Errors in % of the dev phrases, all and by kind, after a training on others."""
    rng = generator(seed, "mean and negation")
    train, dev = drawn(TRAIN, rng), drawn(DEV, rng)
    wrong = errors_of(partial(made, net), train, dev, rate=rate, epochs=EPOCHS, seed=seed)
    return 100 * float(wrong.mean()), {kind: 100 * float(wrong[dev.kinds == kind].mean()) for kind in KINDS}


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    errors = dict[str, dict[str, np.ndarray]]()
    for i, net in enumerate(NAMES):
        progress(i / len(NAMES), f"{NAMES[net]}: learning rate")

        def tuning_error(rate: float, net: str = net) -> float:
            return by_kind(net, TUNING_SEED, rate)[0]

        rate = best_of(tuning_error, RATES)
        found = []
        for j, seed in enumerate(seeds):
            progress((i + (j + 1) / (len(seeds) + 1)) / len(NAMES), f"{NAMES[net]}: seed {j + 1} of {len(seeds)}")
            found.append(by_kind(net, seed, rate)[1])
        errors[net] = {kind: np.array([one[kind] for one in found]) for kind in KINDS}
    return Measured(errors)


def judge(measured: Measured) -> tuple[Part, ...]:
    mean, pairs, recurrent = (measured.errors[net] for net in NAMES)
    one_negated = (mean["next"] + mean["apart"]) / 2
    return (
        below("without a negation the mean of words errs hardly more than the recurrent net",
              over_seeds(mean["none"] - recurrent["none"]), FEW_POINTS, "points"),
        within("with one half negated it guesses", over_seeds(one_negated), CHANCE - FEW_POINTS, CHANCE + FEW_POINTS,
               "%"),
        above("the recurrent net errs far less there",
              over_seeds(one_negated - (recurrent["next"] + recurrent["apart"]) / 2), MANY_POINTS, "points"),
        above("pairs help where \"not\" stands next to its adjective",
              over_seeds(mean["next"] - pairs["next"]), MANY_POINTS, "points"),
        above("where other words stand between, pairs err more than the recurrent net",
              over_seeds(pairs["apart"] - recurrent["apart"]), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    rows = tuple(
        (label, *(f"{measured.errors[net][kind].mean():.1f} %" for kind in KINDS)) for net, label in NAMES.items()
    )
    return Table(("net", *KINDS.values()), rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    for i, ((net, label), colour) in enumerate(zip(NAMES.items(), COLOURS, strict=False)):
        for place, kind in enumerate(KINDS):
            values = measured.errors[net][kind]
            places = place + 0.25 * (i - 1) + np.linspace(-0.07, 0.07, len(values))
            axes.plot(places, values, "o", color=colour, markersize=4, alpha=0.75, label=label if not place else None)
    axes.set_xticks(range(len(KINDS)), list(KINDS.values()))
    axes.set_ylabel("error, %")
    axes.set_ylim(0, None)
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="The mean of its word vectors says what a text is about, but ignores the order of the words: \"completely "
    "lacking in good taste, good service and good ambience\" has three times \"good\" and is a bad review. A "
    "recurrent net reads that what is good is lacking.",
    source="Iyyer et al. 2015; Ng, Sequence Models, week 2 (sentiment classification).",
    experiment="Phrases of two halves that mean the same, good or bad, like \"very good ones and not so bad ones\": "
    f"one of {len(GOOD)} good or {len(BAD)} bad adjectives, before it none, one or two of {len(BETWEEN)} other words, "
    "and in half of the cases \"not\" before them, which turns the meaning round. Where one half is negated, \"not "
    "good ones and bad ones\" and \"good ones and not bad ones\" have the same words and opposite meanings. A hidden "
    "layer on the mean of word vectors, the same on the mean of words and of pairs of neighbours, and a GRU "
    f"({EMBEDDING} numbers for each word, {UNITS} units): {TRAIN:,} phrases, {DEV:,} others for dev, {EPOCHS} epochs "
    f"of Adam in batches of {BATCH}, the best of {', '.join(f'{rate:g}' for rate in RATES)} as rate on a seed of its "
    "own.",
    rule="Over seeds, each with the whole 95 % interval. Phrases without negation: the error of the mean minus that "
    f"of the recurrent net is below {FEW_POINTS} points. One half negated: the error of the mean is within "
    f"{FEW_POINTS} points of {CHANCE} %, and more than {MANY_POINTS} points above that of the recurrent net. Pairs "
    f"take off more than {MANY_POINTS} points where \"not\" stands next to its adjective; where it does not, their "
    "error minus that of the recurrent net is above 0.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
