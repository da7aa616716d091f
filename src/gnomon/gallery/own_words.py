"""A net that learned after true words errs more often after its own, and more so late in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gnomon.figures.style import new_figure, styled
from gnomon.figures.text import number
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._made_language import DEV, PADDING, SAYS, SHORTEST, answers, split, started, trained
from gnomon.gallery._method import above, over_seeds
from gnomon.gallery._pictures import COLOURS, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EARLY, LATE = (0, SHORTEST), (8, 16)  # places of a sentence, from and before


@dataclass(frozen=True)
class Measured:
    """Wrong words in % at each place of the dev sentences, for each seed."""

    after_true: Sequence[Sequence[float]]
    after_own: Sequence[Sequence[float]]
    early: Sequence[tuple[float, float]]  # after true words and after its own, at the places EARLY
    late: Sequence[tuple[float, float]]


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    after_true, after_own, early, late = ([] for _ in range(4))  # type: ignore[var-annotated]
    for done, seed in enumerate(seeds):
        progress(done / len(seeds), f"seed {seed}")
        train, dev = split(seed)
        net = trained(started(seed, attends=True), train, seed)
        with torch.no_grad():
            told = net(dev.sources, dev.lengths, dev.before).argmax(dim=2).numpy()
        wanted = dev.targets.numpy()
        said = np.full_like(wanted, PADDING)
        for row, ids in zip(said, answers(net, dev), strict=True):
            row[: min(len(ids), len(row))] = ids[: len(row)]
        is_word = np.arange(wanted.shape[1]) < (dev.lengths.numpy() - 1)[:, None]
        wrong = [(one != wanted) & is_word for one in (told, said)]
        shares = [100 * one.sum(axis=0)[:-1] / is_word.sum(axis=0)[:-1] for one in wrong]
        after_true.append(shares[0].tolist())
        after_own.append(shares[1].tolist())
        for found, (start, end) in ((early, EARLY), (late, LATE)):
            total = is_word[:, start:end].sum()
            found.append(tuple(100 * float(one[:, start:end].sum() / total) for one in wrong))
    return Measured(after_true, after_own, early, late)


def judge(measured: Measured) -> tuple[Part, ...]:
    early, late = (np.array(one) for one in (measured.early, measured.late))
    gaps = early[:, 1] - early[:, 0], late[:, 1] - late[:, 0]
    return (
        above("late in a sentence more words are wrong after its own words than after true ones",
              over_seeds(gaps[1]), 0, "points"),
        above("the gap is larger late in a sentence than early", over_seeds(gaps[1] - gaps[0]), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    early, late = (np.array(one).mean(axis=0) for one in (measured.early, measured.late))
    rows = [
        (name, *(f"{number(float(one[side]))} %" for one in (early, late)))
        for side, name in enumerate(("after true words", "after its own words"))
    ]
    head = ("wrong words", *(f"word {start + 1} to {end}" for start, end in (EARLY, LATE)))
    return Table(head, tuple(rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(2.9)
    axes = figure.subplots()
    sides = (("after its own words", measured.after_own), ("after true words", measured.after_true))
    for (label, values), colour in zip(sides, COLOURS, strict=False):
        runs = np.array(values)
        spread(axes, np.arange(1, runs.shape[1] + 1), runs, label, colour)
    axes.set_title("wrong words by their place in the sentence, %")
    axes.set_ylim(0, None)
    axes.legend()
    return figure


CLAIM = Claim(
    claimed="In training a decoder always has the true words before it; later it has its own. An early mistake leads "
    "to words that it has never gone on from, and mistakes pile up.",
    source="Bengio et al. 2015 (scheduled sampling), section 1; Ranzato et al. 2016, section 1.",
    experiment=f"{SAYS}. One net with additive attention; the share of wrong words at each place of the {DEV} dev "
    "sentences, when the true words stand before it and when those do that it has said itself (greedy).",
    rule=f"Over seeds, each with the whole 95 % interval: at words {LATE[0] + 1} to {LATE[1]} the share of wrong words "
    f"after its own minus that after true ones is above 0 points, and larger than at words {EARLY[0] + 1} to "
    f"{EARLY[1]}.",
    seeds=4,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
