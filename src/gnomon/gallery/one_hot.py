"""With few labelled texts, word vectors learned from texts without labels beat one-hot words; with many they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from gnomon.core.seeds import generator
from gnomon.figures.style import error_axis, new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import TUNING_SEEDS, above, below, best_of, over_seeds
from gnomon.gallery._pictures import COLOURS, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLUSTERS, EACH = 8, 30  # of words; words in one
NUM_WORDS = CLUSTERS * EACH
STEPS = 8  # words in a text
FROM_TOPIC = 0.5  # probability that a word is of the cluster which is the text's topic, and not of any
UNLABELLED, DEV = 10_000, 2_000  # texts
SIZES = (20, 80, 320, 1_280, 5_120)  # texts with labels
FEW, MANY = 0, len(SIZES) - 1
DIMENSIONS = 16
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)  # of the penalty on the weights: 1 / C
FEW_POINTS, MANY_POINTS = 2, 5
NAMES = {"one-hot": "one-hot words", "vectors": "word vectors"}


@dataclass(frozen=True)
class Measured:
    """Shares of the dev texts."""

    errors: Mapping[str, np.ndarray]  # (seeds, SIZES), by NAMES
    exact: np.ndarray  # (seeds,) error of who knows the clusters and how texts are made
    unseen: np.ndarray  # (seeds, SIZES) share of the words of dev texts that no labelled text has


def drawn(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Texts of words, (N, STEPS), each about one of CLUSTERS topics, and their labels: topics are of class 0 or 1."""
    topics = rng.integers(CLUSTERS, size=count)
    clusters = np.where(
        rng.random((count, STEPS)) < FROM_TOPIC, topics[:, None], rng.integers(CLUSTERS, size=(count, STEPS))
    )
    return clusters * EACH + rng.integers(EACH, size=clusters.shape), topics % 2


def one_hots(texts: np.ndarray) -> np.ndarray:
    """(N, NUM_WORDS): how often each text has each word, that is the sum of its one-hot words."""
    counts = np.zeros((len(texts), NUM_WORDS))
    np.add.at(counts, (np.arange(len(texts))[:, None], texts), 1)
    return counts


def vectors_of(texts: np.ndarray) -> np.ndarray:
    """(NUM_WORDS, DIMENSIONS): from how often words share a text. Source: Levy, Goldberg & Dagan 2015, section 2.2.

    Positive pointwise mutual information, and of its singular vectors the first, times the roots of their values.
    """
    counts = one_hots(texts)
    together = counts.T @ counts - np.diag(counts.sum(axis=0))  # a word is not its own neighbour
    often = together.sum(axis=1)
    expected = np.outer(often, often) / often.sum()
    information = np.log(np.maximum(together, expected) / expected)  # 0 where they meet less often than by chance
    left, values, _ = np.linalg.svd(information)
    found: np.ndarray = left[:, :DIMENSIONS] * np.sqrt(values[:DIMENSIONS])
    return found


def exact_classes(texts: np.ndarray) -> np.ndarray:
    """(N,) the more probable class of each text, for one who knows the clusters."""
    by_cluster = one_hots(texts).reshape(len(texts), CLUSTERS, EACH).sum(axis=2)
    of_topic = (
        1 + CLUSTERS * FROM_TOPIC / (1 - FROM_TOPIC)
    ) ** by_cluster  # how probable a topic's words are, to scale
    return (of_topic[:, 1::2].sum(axis=1) > of_topic[:, ::2].sum(axis=1)).astype(int)


def data(size: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The dev texts, `size` labelled ones, the unlabelled ones: more labelled texts begin with the fewer."""
    rng = generator(seed, "one-hot")
    dev, (unlabelled, _), (texts, labels) = drawn(DEV, rng), drawn(UNLABELLED, rng), drawn(SIZES[-1], rng)
    return dev, (texts[:size], labels[:size]), unlabelled


def error_of(kind: str, size: int, seed: int, strength: float) -> float:
    """Of a logistic regression on what `kind` makes of the words, trained on `size` texts with labels."""
    (asked, truth), (texts, labels), unlabelled = data(size, seed)
    per_word = np.eye(NUM_WORDS)
    if kind == "vectors":
        per_word = vectors_of(unlabelled)
        per_word *= np.sqrt(NUM_WORDS) / np.linalg.norm(per_word)  # of length 1 on average, as one-hot words are
    fitted = LogisticRegression(C=1 / strength, max_iter=2_000).fit(one_hots(texts) @ per_word, labels)
    return float((fitted.predict(one_hots(asked) @ per_word) != truth).mean())


def tuning_error(kind: str, size: int, strength: float) -> float:
    return float(np.mean([error_of(kind, size, seed, strength) for seed in TUNING_SEEDS]))


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    errors = {kind: np.zeros((len(seeds), len(SIZES))) for kind in NAMES}
    exact, unseen = np.zeros(len(seeds)), np.zeros((len(seeds), len(SIZES)))
    for column, size in enumerate(SIZES):
        progress(column / len(SIZES), f"{size:,} texts")
        for kind in NAMES:
            strength = best_of(partial(tuning_error, kind, size), STRENGTHS)
            errors[kind][:, column] = [error_of(kind, size, seed, strength) for seed in seeds]
        for row, seed in enumerate(seeds):
            (asked, truth), (texts, _), _ = data(size, seed)
            exact[row] = (exact_classes(asked) != truth).mean()
            unseen[row, column] = 1 - np.isin(asked, texts).mean()
    return Measured(errors, exact, unseen)


def judge(measured: Measured) -> tuple[Part, ...]:
    gain = 100 * (measured.errors["one-hot"] - measured.errors["vectors"])  # (seeds, SIZES)
    return (
        above(f"with {SIZES[FEW]} labelled texts one-hot words err clearly more", over_seeds(gain[:, FEW]), MANY_POINTS,
              "points"),
        above(f"the gain is larger with {SIZES[FEW]} texts than with {SIZES[MANY]:,}",
              over_seeds(gain[:, FEW] - gain[:, MANY]), 0, "points"),
        below(f"with {SIZES[MANY]:,} texts one-hot words err hardly more", over_seeds(gain[:, MANY]), FEW_POINTS,
              "points"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    def row(label: str, values: np.ndarray) -> tuple[str, ...]:
        return (label, *(f"{100 * each:.1f} %" for each in values.mean(axis=0)))

    return Table(
        ("", *(f"{size:,} texts" for size in SIZES)),
        (
            *(row(f"error, {label}", measured.errors[kind]) for kind, label in NAMES.items()),
            row("error, exact", np.repeat(measured.exact[:, None], len(SIZES), axis=1)),
            row("words of dev that no labelled text has", measured.unseen),
        ),
    )


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    axes = figure.subplots()
    for (kind, label), colour in zip(NAMES.items(), COLOURS, strict=False):
        spread(axes, np.array(SIZES), measured.errors[kind], label, colour, marker="o", markersize=4)
    axes.axhline(float(measured.exact.mean()), color="black", linewidth=0.8, linestyle=":", label="exact")
    axes.set_xscale("log")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.minorticks_off()
    axes.set_xlabel("texts with labels")
    axes.set_ylabel("dev error")
    error_axis(axes, "y", "share")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    return figure


CLAIM = Claim(
    claimed="One-hot words are all equally far from each other: what is learned of an orange says nothing of an "
    "apple. Word vectors, learned from much text without labels, carry what is alike; so a small labelled set is "
    "enough, and a word it does not have is understood. With many labels they help less.",
    source="Turian, Ratinov & Bengio 2010; Ng, Sequence Models, week 2 (word representation, using word embeddings).",
    experiment=f"{NUM_WORDS} made-up words in {CLUSTERS} clusters. A text has {STEPS} words and one cluster as its "
    f"topic: a word is of it with probability {FROM_TOPIC}, otherwise of any cluster. {CLUSTERS // 2} topics are of "
    f"one class, {CLUSTERS // 2} of the other. Vectors of {DIMENSIONS} numbers are learned from {UNLABELLED:,} texts "
    "without labels, from how often words share a text (singular vectors of the positive pointwise mutual "
    "information). A logistic regression reads the sum of one-hot words or of vectors, trained on "
    f"{', '.join(f'{size:,}' for size in SIZES)} texts with labels; {DEV:,} others for dev. Its penalty is the best "
    f"of {', '.join(f'{each:g}' for each in STRENGTHS)} for each size and kind, on {len(TUNING_SEEDS)} separate "
    "seeds. Beside them the exact answer of one who knows the clusters.",
    rule="Over seeds, each with the whole 95 % interval: the error of one-hot words minus that of vectors is above "
    f"{MANY_POINTS} points with {SIZES[FEW]} labelled texts, larger than with {SIZES[MANY]:,}, and below {FEW_POINTS} "
    f"points with {SIZES[MANY]:,}.",
    seeds=8,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)  # fmt: skip
