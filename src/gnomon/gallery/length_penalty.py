"""Without a length normalisation a wide beam prefers short translations; with one their length is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.figures.style import BLUE, ORANGE, new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import BATCH, DEV, LANGUAGE, RATE, UNITS, answers, bleu_of, split, started, trained
from gnomon.gallery._method import above, below, over_seeds
from gnomon.gallery._pictures import spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALPHAS = (0.0, 0.35, 0.7, 1.0, 1.5)
USUAL = ALPHAS.index(0.7)
WIDTH, EPOCHS = 16, 6  # a net that is still unsure: where one answer is certain, lengths decide nothing


@dataclass(frozen=True)
class Measured:
    """Of the dev sentences: for each seed one number per alpha."""

    scores: Sequence[Sequence[float]]  # BLEU
    lengths: Sequence[Sequence[float]]  # words of the answers, in % of those of the references


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    scores, lengths = [], []
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        train, dev = split(seed)
        net = trained(started(seed, attends=True), train, seed, epochs=EPOCHS)
        said = [answers(net, dev, width=WIDTH, alpha=alpha) for alpha in ALPHAS]
        scores.append([bleu_of(one, dev) for one in said])
        lengths.append([100 * sum(map(len, one)) / int((dev.lengths - 1).sum()) for one in said])
    return Measured(scores, lengths)


def judge(measured: Measured) -> tuple[Part, ...]:
    scores, lengths = np.array(measured.scores), np.array(measured.lengths)
    usual = ALPHAS[USUAL]
    return (
        below("without normalisation translations are too short", over_seeds(lengths[:, 0]), 100, "%"),
        above(f"with alpha = {usual} they are longer", over_seeds(lengths[:, USUAL] - lengths[:, 0]), 0, "points"),
        above("and score higher", over_seeds(scores[:, USUAL] - scores[:, 0]), 0, "BLEU"),
    )


def table(measured: Measured) -> Table:
    scores, lengths = (np.array(one).mean(axis=0) for one in (measured.scores, measured.lengths))
    rows = [
        (f"{alpha:g}", number(float(score)), f"{number(float(share))} %")
        for alpha, score, share in zip(ALPHAS, scores, lengths, strict=True)
    ]
    return Table(("alpha", "BLEU", "words of the references"), tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    panels = figure.subplots(1, 2)
    shown = (("BLEU", measured.scores, BLUE), ("words, % of those of the references", measured.lengths, ORANGE))
    for axes, (title, values, colour) in zip(panels, shown, strict=True):
        spread(axes, np.array(ALPHAS), np.array(values), title, colour, marker="o")
        axes.set_xlabel("alpha")
        axes.set_title(title)
    return figure


CLAIM = Claim(
    claimed="The probability of a sentence falls with every word, so beam search favours short ones; dividing its "
    "logarithm by length^alpha corrects that.",
    source="Wu et al. 2016, section 7; Ng, Sequence Models, week 3.",
    experiment=f"{LANGUAGE}. One net of GRUs of {UNITS} units with additive attention, trained for only {EPOCHS} "
    f"epochs of Adam at {RATE} in batches of {BATCH}; the {DEV} dev sentences are translated with a beam of {WIDTH} "
    f"and alpha of {', '.join(f'{alpha:g}' for alpha in ALPHAS)}.",
    rule="Over seeds, each with the whole 95 % interval: with alpha = 0 the answers have fewer words than the "
    f"references; with alpha = {ALPHAS[USUAL]} they have more than with 0, and BLEU is higher.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
