"""Without attention a net translates long sentences worse than short ones; with it, far less so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import DEV, SAYS, answers, bleu_of, split, started, trained
from gnomon.gallery._method import above, over_seeds
from gnomon.gallery._pictures import COLOURS, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = ((4, 7), (8, 11), (12, 16))  # words of a sentence, from and to
NAMES = {"with": "with attention", "without": "without attention"}


@dataclass(frozen=True)
class Measured:
    """BLEU of greedy translations of dev, by net: for each seed one number per group of lengths."""

    scores: Mapping[str, Sequence[Sequence[float]]]

    def of(self, net: str) -> np.ndarray:
        """(seeds, groups)."""
        return np.array(self.scores[net])


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    scores: dict[str, list[list[float]]] = {net: [] for net in NAMES}
    for done, seed in enumerate(seeds):
        train, dev = split(seed)
        words = (dev.lengths - 1).numpy()
        rows = [np.flatnonzero((words >= least) & (words <= most)) for least, most in GROUPS]
        for number_of, net in enumerate(NAMES):
            progress((2 * done + number_of) / (2 * len(seeds)), f"seed {seed}, {NAMES[net]}")
            said = answers(trained(started(seed, attends=net == "with"), train, seed), dev)
            scores[net].append([bleu_of(said, dev, some) for some in rows])
    return Measured(scores)


def judge(measured: Measured) -> tuple[Part, ...]:
    having, lacking = measured.of("with"), measured.of("without")
    kept, left = having[:, -1] / having[:, 0], lacking[:, -1] / np.maximum(lacking[:, 0], 1e-9)
    return (
        above("attention scores higher on long sentences", over_seeds(having[:, -1] - lacking[:, -1]), 0, "BLEU"),
        above("without it, long sentences score lower than short ones",
              over_seeds(lacking[:, 0] - lacking[:, -1]), 0, "BLEU"),
        above("with it, a larger share of the score of short sentences is left on long ones",
              over_seeds(kept - left), 0),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    head = ("", *(f"{least} to {most} words" for least, most in GROUPS))
    rows = [
        (label, *(number(float(one)) for one in measured.of(net).mean(axis=0))) for net, label in NAMES.items()
    ]  # fmt: skip
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    places = np.arange(len(GROUPS))
    for (net, label), colour in zip(NAMES.items(), COLOURS, strict=False):
        spread(axes, places, measured.of(net), label, colour, marker="o")
    axes.set_xticks(places, [f"{least} to {most} words" for least, most in GROUPS])
    axes.set_title("BLEU by the length of the sentence")
    axes.set_ylim(0, None)
    axes.legend()
    return figure


CLAIM = Claim(
    claimed="An encoder that has to put a whole sentence into one vector does well on short sentences and badly on "
    "long ones. A decoder that looks at the words it needs, one after the other, does well on both.",
    source="Bahdanau, Cho & Bengio 2015, figure 2; Ng, Sequence Models, week 3.",
    experiment=f"{SAYS}. One net with additive attention and one without; greedy translations, BLEU on the {DEV} dev "
    "sentences in three groups by their length.",
    rule="Over seeds, each with the whole 95 % interval: on the longest sentences BLEU with attention minus without is "
    "above 0; without attention BLEU of the shortest minus that of the longest is above 0; the share of the shortest "
    "sentences' BLEU that the longest have is larger with attention.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
