"""Sentences of a made-up language and their translations, and small nets that learn to translate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import PairInputs
from gnomon.core.seeds import generator
from gnomon.metrics.bleu import bleu, counts
from gnomon.models._transformer_pairs import TransformerPairs
from gnomon.models.encoder_decoder import EncoderDecoder
from gnomon.nn.beam import END, PADDING, search
from gnomon.nn.initialise import initialise

Net = TypeVar("Net", EncoderDecoder, TransformerPairs)
FIRST = 3  # id of the first word: 0 pads, 2 ends
WORDS = 20
SHORTEST, LONGEST = 4, 16  # words of a sentence
TRAIN, DEV = 2_000, 300
BATCH, EPOCHS, RATE = 50, 14, 0.01
UNITS, EMBEDDING = 48, 24
TRANSFORMER_RATE, WIDTH, LAYERS, HEADS = 2e-3, 48, 2, 4
LANGUAGE = (
    f"Sentences of {SHORTEST} to {LONGEST} words out of {WORDS}, drawn at random; each word has one translation, and "
    f"every two neighbours change places. {TRAIN:,} pairs for training and {DEV} for dev"
)
SAYS = (
    f"{LANGUAGE}; GRUs of {UNITS} units, the "
    f"encoder in both directions, {EPOCHS} epochs of Adam at {RATE} in batches of {BATCH}, gradients clipped at 1"
)
SAYS_TRANSFORMER = (
    f"{LANGUAGE}; Transformers of {LAYERS} + {LAYERS} layers, width {WIDTH}, {HEADS} heads, {EPOCHS} epochs of Adam at "
    f"{TRANSFORMER_RATE} in batches of {BATCH}, gradients clipped at 1"
)


@dataclass(frozen=True)
class Pairs:
    """N sentences in ids, padded behind their ends."""

    sources: Tensor  # (N, S)
    lengths: Tensor  # (N,) ids of the source, its end included
    targets: Tensor  # (N, S)

    def __getitem__(self, rows: Tensor) -> Pairs:
        most = int(self.lengths[rows].max())
        return Pairs(self.sources[rows, :most], self.lengths[rows], self.targets[rows, :most])

    @property
    def before(self) -> Tensor:
        """(N, S): what stands before each place of the targets."""
        return functional.pad(self.targets[:, :-1], (1, 0), value=END)


def drawn(count: int, rng: np.random.Generator) -> Pairs:
    """Random sentences; the translation of words is the same for every generator."""
    meaning = np.random.default_rng(0).permutation(WORDS)
    lengths = rng.integers(SHORTEST, LONGEST + 1, count)
    sources, targets = (np.full((count, LONGEST + 1), PADDING, np.int64) for _ in range(2))
    for row, size in enumerate(lengths):
        words = rng.integers(0, WORDS, size)
        order = np.arange(size) ^ 1  # 1 0 3 2 5 4 ...
        if size % 2:
            order[-1] = size - 1
        sources[row, : size + 1] = [*(words + FIRST), END]
        targets[row, : size + 1] = [*(meaning[words[order]] + FIRST), END]
    return Pairs(torch.from_numpy(sources), torch.from_numpy(lengths + 1), torch.from_numpy(targets))


def split(seed: int) -> tuple[Pairs, Pairs]:
    """Train and dev."""
    rng = generator(seed, "made language")
    return drawn(TRAIN, rng), drawn(DEV, rng)


def started(seed: int, *, attends: bool) -> EncoderDecoder:
    ids = FIRST + WORDS
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EncoderDecoder(
            PairInputs(ids, LONGEST + 1, ids, LONGEST + 1), cell="gru", units=UNITS, layers=1, embedding=EMBEDDING,
            dropout=0.0, attends=attends,
        )  # fmt: skip


def started_transformer(seed: int, *, has_places: bool = True) -> TransformerPairs:
    ids = FIRST + WORDS
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TransformerPairs(
            PairInputs(ids, LONGEST + 1, ids, LONGEST + 1), width=WIDTH, layers=LAYERS, heads=HEADS, dropout=0.0,
            has_places=has_places,
        )  # fmt: skip
        initialise(net, "xavier", torch.Generator().manual_seed(seed))
    return net


def costs(net: nn.Module, pairs: Pairs) -> Tensor:
    """(N, S) nats of each piece of the targets after the true ones before it; 0 for padding."""
    logits = net(pairs.sources, pairs.lengths, pairs.before)
    flat = functional.cross_entropy(
        logits.flatten(0, 1), pairs.targets.flatten(), reduction="none", ignore_index=PADDING
    )
    return flat.view(pairs.targets.shape)


def trained(net: Net, train: Pairs, seed: int, *, rate: float = RATE, epochs: int | None = None) -> Net:
    rng = generator(seed, "order")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(EPOCHS if epochs is None else epochs):
        for rows in torch.from_numpy(rng.permutation(len(train.sources))).split(BATCH):
            part = train[rows]
            optimiser.zero_grad()
            (costs(net, part).sum() / (part.targets != PADDING).sum()).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
    return net.eval()


@torch.no_grad()
def cost_of(net: nn.Module, pairs: Pairs) -> float:
    return float(costs(net, pairs).sum() / (pairs.targets != PADDING).sum())


def answers(
    net: EncoderDecoder | TransformerPairs, pairs: Pairs, *, width: int = 1, alpha: float = 0.7
) -> list[list[int]]:
    """The ids of the best translations, without their ends."""
    found = search(net, pairs.sources, pairs.lengths, width=width, most=2 * LONGEST, alpha=alpha)
    return [one[0].ids for one in found]


def bleu_of(said: Sequence[Sequence[int]], pairs: Pairs, rows: np.ndarray | None = None) -> float:
    """BLEU in [0, 100] of the answers, or of those at `rows`."""
    chosen = range(len(said)) if rows is None else rows.tolist()
    texts = [" ".join(map(str, said[row])) for row in chosen]
    wanted = [[" ".join(map(str, pairs.targets[row, : int(pairs.lengths[row]) - 1].tolist()))] for row in chosen]
    return float(bleu(counts(texts, wanted, str.split).sum(axis=0)[None])[0])
