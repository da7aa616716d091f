"""A net that sees the last four words cannot use a word further back; a recurrent net can."""

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
from gnomon.gallery._pictures import COLOURS, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ANIMALS = ("cow", "dog", "cat", "duck", "sheep", "lion", "frog", "owl")
SOUNDS = ("moos", "barks", "meows", "quacks", "bleats", "roars", "croaks", "hoots")
OTHERS = (
    "the", "a", "old", "big", "in", "on", "by", "near", "behind", "garden", "house", "road", "hill", "again", "often",
    "still", "there", "loudly", "at", "night",
)  # fmt: skip
WORDS = (*ANIMALS, *SOUNDS, *OTHERS)
STEPS, DEV = 12, 2_000  # words before the one to be named; sentences
FEW, MANY = 400, 2_000  # sentences for training
UPDATES = 600  # of Adam, with either number of sentences
WINDOW = 4
EMBEDDING, UNITS = 16, 32
RATES = (0.003, 0.01, 0.03)
NAMES = {"window": f"last {WINDOW} words", "whole": f"last {STEPS} words", "recurrent": "recurrent"}
FEW_POINTS, MANY_POINTS = 5, 50
GUESSES = 100 * (1 - 1 / len(ANIMALS))  # error in %


@dataclass(frozen=True)
class Measured:
    """Errors in % of the dev sentences, (seeds, STEPS): by how many words back the animal stands, 1 to STEPS."""

    errors: Mapping[str, np.ndarray]  # of the nets NAMES, trained on MANY sentences
    with_few: Mapping[str, np.ndarray]  # trained on FEW
    parameters: Mapping[str, int]

    def near(self, kind: str) -> np.ndarray:
        """(seeds,): where the animal is one of the last WINDOW words."""
        found: np.ndarray = self.errors[kind][:, :WINDOW].mean(axis=1)
        return found

    def far(self, kind: str) -> np.ndarray:
        """(seeds,): where it stands before them."""
        found: np.ndarray = self.errors[kind][:, WINDOW:].mean(axis=1)
        return found


@final
class Window(nn.Module):
    """(B, T) ids -> (B, V) logits of the next word: embeddings of the last `size` words side by side, a hidden layer.

    Source: Bengio et al. 2003, equation 1, without the direct connections.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(len(WORDS), EMBEDDING)
        self.hidden = nn.Linear(size * EMBEDDING, UNITS)
        self.head = nn.Linear(UNITS, len(WORDS))

    def forward(self, ids: Tensor, _lengths: Tensor) -> Tensor:
        seen = self.embedding(ids[:, -self.size :]).flatten(start_dim=1)  # (B, size * D)
        logits: Tensor = self.head(self.hidden(seen).tanh())
        return logits


def made(kind: str) -> nn.Module:
    return (
        Reader(len(WORDS), len(WORDS), embedding=EMBEDDING, units=UNITS)
        if kind == "recurrent"
        else Window(WINDOW if kind == "window" else STEPS)
    )


def drawn(count: int, rng: np.random.Generator) -> Phrases:
    """Sentences of STEPS words, one of them an animal; the word to be named is its sound. Kinds: words back, from 1."""
    ids = rng.integers(len(ANIMALS) + len(SOUNDS), len(WORDS), (count, STEPS))
    animals, back = rng.integers(len(ANIMALS), size=count), rng.integers(1, STEPS + 1, count)
    ids[np.arange(count), STEPS - back] = animals
    labels = torch.from_numpy(animals + len(ANIMALS))
    return Phrases(torch.from_numpy(ids), torch.full((count,), STEPS), labels, back)


def by_distance(kind: str, size: int, seed: int, rate: float) -> np.ndarray:
    """(STEPS,): errors in % of the dev sentences, after a training on `size` others."""
    rng = generator(seed, "fixed window")
    dev, train = drawn(DEV, rng), drawn(size, rng)
    wrong = errors_of(partial(made, kind), train, dev, rate=rate, epochs=UPDATES * BATCH // size, seed=seed)
    return 100 * np.array([wrong[dev.kinds == back].mean() for back in range(1, STEPS + 1)])


def tuning_error(kind: str, size: int, rate: float) -> float:
    return float(by_distance(kind, size, TUNING_SEED, rate).mean())


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    found: dict[int, dict[str, np.ndarray]] = {MANY: {}, FEW: {}}
    for i, kind in enumerate(NAMES):
        for j, size in enumerate(found):
            progress((2 * i + j) / (2 * len(NAMES)), f"{NAMES[kind]}, {size:,} sentences")
            rate = best_of(partial(tuning_error, kind, size), RATES)
            found[size][kind] = np.stack([by_distance(kind, size, seed, rate) for seed in seeds])
    parameters = {kind: sum(each.numel() for each in made(kind).parameters()) for kind in NAMES}
    return Measured(found[MANY], found[FEW], parameters)


def judge(measured: Measured) -> tuple[Part, ...]:
    near, far = measured.near("window"), measured.far("window")
    few = measured.with_few["whole"] - measured.with_few["recurrent"]
    return (
        below(f"an animal among the last {WINDOW} words: the net of these errs hardly more than the recurrent net",
              over_seeds(near - measured.near("recurrent")), FEW_POINTS, "points"),
        within("an animal before them: it guesses", over_seeds(far), GUESSES - FEW_POINTS, GUESSES + FEW_POINTS, "%"),
        above("the recurrent net errs far less there", over_seeds(far - measured.far("recurrent")), MANY_POINTS,
              "points"),
        above(f"a net of all {STEPS} words learns each place on its own: with {FEW} sentences it errs more than the "
              "recurrent net", over_seeds(few.mean(axis=1)), 0, "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    head = ("net", "parameters", f"animal 1 to {WINDOW} words back", f"{WINDOW + 1} to {STEPS} words back",
            f"all, {FEW} sentences")  # fmt: skip
    rows = tuple(
        (label, f"{measured.parameters[kind]:,}", f"{measured.near(kind).mean():.1f} %",
         f"{measured.far(kind).mean():.1f} %", f"{measured.with_few[kind].mean():.1f} %")
        for kind, label in NAMES.items()
    )  # fmt: skip
    return Table(head, rows)


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    many, few = figure.subplots(1, 2, sharey=True)
    for axes, errors, size in ((many, measured.errors, MANY), (few, measured.with_few, FEW)):
        _show(axes, errors)
        axes.set_title(f"{size:,} sentences for training")
    many.set_ylabel("error, %")
    many.set_ylim(0, 100)
    few.legend(fontsize=8)
    return figure


def _show(axes: Axes, errors: Mapping[str, np.ndarray]) -> None:
    for (kind, label), colour in zip(NAMES.items(), COLOURS, strict=False):
        spread(axes, np.arange(1, STEPS + 1), errors[kind], label, colour, marker="o", markersize=4)
    axes.axvline(WINDOW + 0.5, color="black", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(1, STEPS + 1))
    axes.set_xlabel("words back to the animal")


CLAIM = Claim(
    claimed="A first neural language model puts the embeddings of the last four words side by side, a hidden layer on "
    "them and a softmax over the vocabulary. The window has one size for all sentences; what decides the next word "
    "may stand before it. A recurrent net passes on what it has read from word to word, with the same weights in each "
    "place.",
    source="Bengio et al. 2003; Ng, Sequence Models, weeks 1 and 2.",
    experiment=f"Sentences of {STEPS} words, one of them one of {len(ANIMALS)} animals, anywhere, the others any of "
    f"{len(OTHERS)}; the next word is the sound of the animal: \"cow ... moos\". A net of the last {WINDOW} words "
    f"({EMBEDDING} numbers each, {UNITS} tanh units), the same of all {STEPS} words and a GRU of {UNITS} units name "
    f"it, trained on {MANY:,} sentences and on {FEW}, {DEV:,} others for dev: {UPDATES} steps of Adam with batches of "
    f"{BATCH}, the best of {', '.join(f'{rate:g}' for rate in RATES)} as rate on a seed of its own. A guess among the "
    f"sounds errs in {GUESSES:g} %.",
    rule=f"Over seeds, each with the whole 95 % interval. {MANY:,} sentences, the animal among the last {WINDOW} "
    f"words: the error of the net of these minus that of the recurrent net is below {FEW_POINTS} points. The animal "
    f"before them: its error is within {FEW_POINTS} points of a guess's, and more than {MANY_POINTS} points above "
    f"that of the recurrent net. {FEW} sentences: the error of the net of all {STEPS} words minus that of the "
    "recurrent net is above 0.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
