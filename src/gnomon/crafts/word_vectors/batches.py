"""Batches of positions of a text: subsampled, each with its own window, as blocks that share their negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from gnomon.data.text.corpus import Corpus, Tree, drawn_shares, frequent, huffman, kept_shares
from gnomon.nn.word_vectors import Blocks, Negatives, Ways

BLOCK = 32  # positions that share negatives; as many negatives, so that each counts about as often as in the paper
TREE_BLOCK = 8  # positions of a block with a tree: nodes are not shared, so short blocks waste less


@final
@dataclass(frozen=True)
class Batches:
    """The batches of a pass over the text: whole lines together, in their order."""

    ids: Tensor  # (N,) int32, rare words too
    lines: np.ndarray  # (S + 1,) where lines begin
    edges: np.ndarray  # (steps + 1,) the first line of each batch
    kept: Tensor  # (V + 1,) what subsampling keeps; nothing of rare words, which all are V
    drawn: Tensor  # (V,) float64: for negatives
    tree: tuple[Tensor, Tensor] | None  # nodes and turns of the way to each word
    window: int
    negatives: int  # k, for each pair

    def __len__(self) -> int:
        return len(self.edges) - 1

    def draw(self, step: int, chance: torch.Generator) -> Blocks:
        """Batch `step`, with words left out, windows and negatives drawn anew. It may have no pair at all."""
        first, last = self.edges[step], self.edges[step + 1]
        bounds = torch.from_numpy(self.lines[first : last + 1])
        words = self.ids[bounds[0] : bounds[-1]].long().clamp_max(len(self.kept) - 1)
        is_kept = torch.rand(len(words), generator=chance) < self.kept[words]
        passed = torch.cat([torch.zeros(1, dtype=torch.int64), is_kept.cumsum(0)])  # kept words before each place
        ends = passed[bounds - bounds[0]]  # of lines, among what is kept
        lengths = ends.diff()
        words = words[is_kept]
        places = torch.arange(len(words))
        before = places - ends[:-1].repeat_interleave(lengths)
        behind = ends[1:].repeat_interleave(lengths) - 1 - places
        reach = torch.randint(1, self.window + 1, (len(words),), generator=chance)
        size = BLOCK if self.tree is None else TREE_BLOCK
        count = max(1, -(-len(words) // size))
        room, width = count * size, size + 2 * self.window
        padded = torch.zeros(room + 2 * self.window, dtype=torch.int64)
        padded[self.window : self.window + len(words)] = words
        sides = torch.zeros(2, room, dtype=torch.int8)
        sides[0, : len(words)], sides[1, : len(words)] = torch.minimum(before, reach), torch.minimum(behind, reach)
        left, right = sides.view(2, count, size, 1)
        offsets = torch.arange(width, dtype=torch.int8) - torch.arange(size, dtype=torch.int8)[:, None] - self.window
        near = ((offsets >= -left) & (offsets <= right) & (offsets != 0)).float()
        blocks = padded.unfold(0, width, size).contiguous()  # (G, C)
        return Blocks(blocks, near, self._against(blocks[:, self.window : self.window + size], chance))

    def _against(self, centres: Tensor, chance: torch.Generator) -> Negatives | Ways:
        if self.tree is not None:
            nodes, turns = (table[centres] for table in self.tree)
            return Ways(nodes.long(), turns.float())
        shape = (len(centres), BLOCK)
        drawn = torch.searchsorted(self.drawn, torch.rand(shape, generator=chance, dtype=torch.float64), right=True)
        return Negatives(drawn.clamp_max(len(self.drawn) - 1), self.negatives)


def batches_of(
    corpus: Corpus, *, min_count: int, threshold: float, window: int, negatives: int, batch_size: int
) -> Batches:
    """`batch_size`: words of the text in a batch, about. Without negatives: with a tree."""
    counts = corpus.counts[: frequent(corpus, min_count)]
    starts = np.arange(0, len(corpus.ids), batch_size)
    edges = np.unique(np.append(np.searchsorted(corpus.lines, starts), len(corpus.lines) - 1))
    kept = np.append(kept_shares(counts, int(counts.sum()), threshold), np.float32(0))
    return Batches(
        torch.from_numpy(corpus.ids), corpus.lines, edges, torch.from_numpy(kept),
        torch.from_numpy(drawn_shares(counts)), None if negatives else _tensors(huffman(counts)), window, negatives,
    )  # fmt: skip


def _tensors(tree: Tree) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(tree.nodes), torch.from_numpy(tree.turns)


MOST_OF_ONE = 6  # times that the most frequent word may come in a batch, which sums its gradients: at 36 it diverged
LARGEST, LARGEST_TREE = 512, 256  # words of the text in a batch; the root of a tree takes part in every pair


def batch_size_for(corpus: Corpus, min_count: int, threshold: float, *, is_tree: bool) -> int:
    """Words of the text in a batch: as many as the most frequent word allows."""
    counts = corpus.counts[: max(1, frequent(corpus, min_count))]
    most = float((counts * kept_shares(counts, int(counts.sum()), threshold)).max()) / max(1, len(corpus.ids))
    return max(1, min(LARGEST_TREE if is_tree else LARGEST, int(MOST_OF_ONE / most)))
