"""A beam of four finds better translations than greedy search, and wider beams add little but time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import BLUE, ORANGE, new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import DEV, SAYS, answers, bleu_of, split, started, trained
from gnomon.gallery._method import above, factor, over_seeds
from gnomon.gallery._pictures import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = (1, 2, 4, 8, 16)
USUAL = WIDTHS.index(4)


@dataclass(frozen=True)
class Measured:
    """Of the dev sentences: for each seed one number per width."""

    scores: Sequence[Sequence[float]]  # BLEU
    seconds: Sequence[Sequence[float]]  # of processor time for all sentences


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    scores, seconds = [], []
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        train, dev = split(seed)
        net = trained(started(seed, attends=True), train, seed)
        found, took = [], []
        for width in WIDTHS:
            began = time.process_time()
            said = answers(net, dev, width=width)
            took.append(time.process_time() - began)
            found.append(bleu_of(said, dev))
        scores.append(found)
        seconds.append(took)
    return Measured(scores, seconds)


def judge(measured: Measured) -> tuple[Part, ...]:
    scores, seconds = np.array(measured.scores), np.array(measured.seconds)
    first, more = scores[:, USUAL] - scores[:, 0], scores[:, -1] - scores[:, USUAL]
    return (
        above("a beam of 4 scores higher than greedy search", over_seeds(first), 0, "BLEU"),
        above(f"from 1 to 4 the score gains more than from 4 to {WIDTHS[-1]}", over_seeds(first - more), 0, "BLEU"),
        above(f"a beam of {WIDTHS[-1]} takes more time than one of 4", factor(seconds[:, -1], seconds[:, USUAL]), 1.5,
              "times"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    scores, seconds = (np.array(one).mean(axis=0) for one in (measured.scores, measured.seconds))
    rows = [
        (str(width), number(float(score)), f"{1000 * float(took) / DEV:.2g} ms")
        for width, score, took in zip(WIDTHS, scores, seconds, strict=True)
    ]
    return Table(("beam", "BLEU", "time per sentence"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    panels = figure.subplots(1, 2)
    times = 1000 * np.array(measured.seconds) / DEV
    shown = (("BLEU", np.array(measured.scores), BLUE), ("ms per sentence", times, ORANGE))
    for axes, (title, runs, colour) in zip(panels, shown, strict=True):
        spread(axes, np.arange(len(WIDTHS)), runs, title, colour, marker="o")
        axes.set_xticks(range(len(WIDTHS)), [str(width) for width in WIDTHS])
        axes.set_xlabel("beam")
        axes.set_title(title)
    panels[1].set_ylim(0, None)
    return figure


CLAIM = Claim(
    claimed="Greedy search takes the best word at each place and may miss the best sentence. Beam search keeps several "
    "sentences; beyond about ten there is little more to gain, and it takes more time.",
    source="Sutskever, Vinyals & Le 2014, table 1; Ng, Sequence Models, week 3.",
    experiment=f"{SAYS}. One net with additive attention, whose {DEV} dev sentences are translated with beams of "
    f"{', '.join(map(str, WIDTHS))}; scores are divided by length^0.7. Time is that of the processor, of one thread.",
    rule="Over seeds, each with the whole 95 % interval: BLEU of a beam of 4 minus that of greedy search is above 0; "
    f"it is above BLEU of a beam of {WIDTHS[-1]} minus that of 4; a beam of {WIDTHS[-1]} takes more than 1.5 times the "
    "time of one of 4.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
