"""A Transformer that is not told the places of words translates the words, but cannot order them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import (
    DEV,
    SAYS_TRANSFORMER,
    TRANSFORMER_RATE,
    Pairs,
    answers,
    bleu_of,
    split,
    started_transformer,
    trained,
)  # fmt: skip
from gnomon.gallery._method import above, over_seeds
from gnomon.gallery._pictures import dots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("with places", "without")
LOST, FOUND = 30, 50  # BLEU, and % of the words, at least


@dataclass(frozen=True)
class Measured:
    """For each seed two numbers: with places and without."""

    scores: Sequence[tuple[float, float]]  # BLEU
    words: Sequence[tuple[float, float]]  # % of the words of dev's targets that the answers have, in any order


def words_of(said: Sequence[Sequence[int]], pairs: Pairs) -> float:
    """% of the words of the targets that are in the answers, in any order, each as often as it is there."""
    common = total = 0
    for ids, row, size in zip(said, pairs.targets.tolist(), pairs.lengths.tolist(), strict=True):
        wanted = Counter(row[: size - 1])
        common += (wanted & Counter(ids)).total()
        total += wanted.total()
    return 100 * common / total


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    scores, words = [], []
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        train, dev = split(seed)
        each = []
        for has_places in (True, False):
            net = trained(started_transformer(seed, has_places=has_places), train, seed, rate=TRANSFORMER_RATE)
            said = answers(net, dev)
            each.append((bleu_of(said, dev), words_of(said, dev)))
        scores.append((each[0][0], each[1][0]))
        words.append((each[0][1], each[1][1]))
    return Measured(scores, words)


def judge(measured: Measured) -> tuple[Part, ...]:
    scores, words = np.array(measured.scores), np.array(measured.words)
    return (
        above("without places BLEU is far lower", over_seeds(scores[:, 0] - scores[:, 1]), LOST, "BLEU"),
        above("without places most words of the translation are there, in some order", over_seeds(words[:, 1]), FOUND,
              "%"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    scores, words = (np.array(one).mean(axis=0) for one in (measured.scores, measured.words))
    rows = [
        (name, number(float(score)), f"{number(float(share))} %")
        for name, score, share in zip(NAMES, scores, words, strict=True)
    ]
    return Table(("Transformer", "BLEU", "words that are there, in any order"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    panels = figure.subplots(1, 2)
    shown = (("BLEU", measured.scores), ("words that are there, in any order, %", measured.words))
    for axes, (title, values) in zip(panels, shown, strict=True):
        dots(axes, list(np.array(values).T), NAMES)
        axes.set_ylim(0, None)
        axes.set_title(title)
    return figure


CLAIM = Claim(
    claimed="Attention looks at a set of words: a Transformer knows their order only from the positions that are added "
    "to their vectors.",
    source="Vaswani et al. 2017, Attention Is All You Need, section 3.5.",
    experiment=f"{SAYS_TRANSFORMER}. The same net with sinusoids added to the words of both sides and without; greedy "
    f"translations of the {DEV} dev sentences. (The decoder without them still knows what it has said, and in which "
    "order: it looks only back.)",
    rule=f"Over seeds, each with the whole 95 % interval: BLEU with positions minus BLEU without is above {LOST}; "
    f"without them more than {FOUND} % of the words of the translations are said, in any order.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
