"""Word vectors from the words around a word: skip-gram and CBOW, with negative sampling or a tree; GloVe.

A batch is G blocks of B neighbouring positions of a text, each with w further words on both sides: C = B + 2w. A mask
says which of them are near a position, so all pairs of a block are one product of matrices. The positions of a block
share their N negatives, each counted k/N times for every pair: the expectation is that of k negatives drawn for each
pair, and every pair sees more words. Losses are sums over pairs: in the papers each pair is a step of its own, and the
learning rate is that of a pair.

`loss` is plain: autograd differentiates it. `descend` is one step of gradient descent on it with gradients by hand and
only the rows of the batch touched, many times faster.

Letters: V words · D numbers of a vector · L inner nodes on the way to a word.
Sources: Mikolov et al. 2013a, 2013b; Pennington et al. 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import embedding, logsigmoid

Method = Literal["skipgram", "cbow"]


@dataclass(frozen=True)
class Negatives:
    """Words drawn by f^0.75, for each block its own."""

    words: Tensor  # (G, N)
    per_pair: int  # k


@dataclass(frozen=True)
class Ways:
    """From the root of a Huffman tree to the word at each position."""

    nodes: Tensor  # (G, B, L)
    turns: Tensor  # (G, B, L) float: +1, -1; 0 beyond the word


@dataclass(frozen=True)
class Blocks:
    """A batch."""

    words: Tensor  # (G, C): positions w .. w + B - 1 are those of the block
    near: Tensor  # (G, B, C) float: 1 where a word is in the window of a position, never at the position itself
    against: Negatives | Ways

    @property
    def centres(self) -> Tensor:
        """(G, B) the words at the positions."""
        side = (self.near.shape[2] - self.near.shape[1]) // 2
        return self.words[:, side : side + self.near.shape[1]]

    def to(self, device: torch.device) -> Blocks:
        """The same on another device."""
        if isinstance(self.against, Ways):
            moved: Negatives | Ways = Ways(self.against.nodes.to(device), self.against.turns.to(device))
        else:
            moved = Negatives(self.against.words.to(device), self.against.per_pair)
        return Blocks(self.words.to(device), self.near.to(device), moved)


def loss(method: Method, inputs: Tensor, outputs: Tensor, batch: Blocks) -> Tensor:
    """The sum over all pairs (skip-gram: of a position and a word near it) or positions (CBOW), a scalar.

    `inputs` (V, D) are the vectors; `outputs` those of predicted words (V, D), or of inner nodes (V - 1, D).
    Negative sampling: -log s(u v) - k E[log s(-u' v)], 2013b equation 4. A tree: -log of the product of the
    probabilities of the turns to the word, equation 3. Skip-gram with negatives predicts the words near a position
    from its own; with a tree its own from each near it, as both programs do: the pairs are the same.
    """
    near, count = batch.near, batch.near.sum(2)  # (G, B)
    around = embedding(batch.words, inputs)  # (G, C, D)
    if isinstance(batch.against, Ways):
        nodes, turns = embedding(batch.against.nodes, outputs), batch.against.turns  # (G, B, L, D)
        if method == "cbow":
            scores = (nodes @ _means(around, near).unsqueeze(3)).squeeze(3)  # (G, B, L)
            return -(logsigmoid(turns * scores) * turns.abs() * (count > 0).unsqueeze(2)).sum()
        scores = nodes @ around.unsqueeze(1).mT  # (G, B, L, C)
        return -(logsigmoid(turns.unsqueeze(3) * scores) * turns.abs().unsqueeze(3) * near.unsqueeze(2)).sum()
    others = embedding(batch.against.words, outputs)  # (G, N, D)
    weight = batch.against.per_pair / others.shape[1]
    if method == "cbow":
        means = _means(around, near)
        right = (means * embedding(batch.centres, outputs)).sum(2)
        wrong = means @ others.mT
        return -((logsigmoid(right) + weight * logsigmoid(-wrong).sum(2)) * (count > 0)).sum()
    own = embedding(batch.centres, inputs)
    right, wrong = own @ embedding(batch.words, outputs).mT, own @ others.mT  # (G, B, C), (G, B, N)
    return -(logsigmoid(right) * near).sum() - (weight * count * logsigmoid(-wrong).sum(2)).sum()


def _means(around: Tensor, near: Tensor) -> Tensor:
    """(G, B, D): of the vectors near each position; zeros where there are none."""
    return near @ around / near.sum(2, keepdim=True).clamp_min(1)


def descend(method: Method, inputs: Tensor, outputs: Tensor, batch: Blocks, rate: float) -> Tensor:
    """`inputs` and `outputs` less `rate` times the gradient of `loss`, in place; returns that loss, of before.

    Tables stay as they are where the loss is not finite.
    """
    if isinstance(batch.against, Ways):
        total, steps = _tree_step(method, inputs, outputs, batch, batch.against, rate)
    else:
        step = _skipgram_step if method == "skipgram" else _cbow_step
        total, steps = step(inputs, outputs, batch, batch.against, rate)
    if torch.isfinite(total):
        for table, rows, change in steps:
            places = rows.reshape(-1, 1).expand(-1, table.shape[1])
            table.scatter_add_(0, places, change.reshape(-1, table.shape[1]))
    return total


_Step = tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]  # the loss; tables, their rows, what is added to these


def _skipgram_step(inputs: Tensor, outputs: Tensor, batch: Blocks, against: Negatives, rate: float) -> _Step:
    near, others = batch.near, against.words
    weight = against.per_pair / others.shape[1] * near.sum(2, keepdim=True)  # (G, B, 1)
    rows = torch.cat([batch.words, others], 1)  # (G, C + N)
    own, predicted = embedding(batch.centres, inputs), embedding(rows, outputs)
    scores = own @ predicted.mT  # (G, B, C + N)
    total = _total(scores, near, weight)
    slope = scores.sigmoid_()
    width = near.shape[2]
    torch.addcmul(near, near, slope[:, :, :width], value=-1, out=slope[:, :, :width])
    slope[:, :, width:].mul_(-weight)
    slope.mul_(rate)
    return total, [(inputs, batch.centres, slope @ predicted), (outputs, rows, slope.mT @ own)]


def _cbow_step(inputs: Tensor, outputs: Tensor, batch: Blocks, against: Negatives, rate: float) -> _Step:
    near, others, centres = batch.near, against.words, batch.centres
    count = near.sum(2, keepdim=True)
    there, shares = (count > 0).to(near.dtype), near / count.clamp_min(1)  # (G, B, 1), (G, B, C)
    weight = against.per_pair / others.shape[1] * there
    means = shares @ embedding(batch.words, inputs)  # (G, B, D)
    right, wrong = embedding(centres, outputs), embedding(others, outputs)
    scores = torch.cat([(means * right).sum(2, keepdim=True), means @ wrong.mT], 2)  # (G, B, 1 + N)
    total = _total(scores, there, weight)
    slope = scores.sigmoid_()
    up = rate * there * (1 - slope[:, :, :1])  # (G, B, 1)
    down = slope[:, :, 1:] * (-rate * weight)  # (G, B, N)
    back = up * right + down @ wrong  # (G, B, D)
    return total, [
        (inputs, batch.words, shares.mT @ back), (outputs, centres, up * means), (outputs, others, down.mT @ means),
    ]  # fmt: skip


def _total(scores: Tensor, near: Tensor, weight: Tensor) -> Tensor:
    """The loss of scores of right pairs, where `near` is 1, and behind them of negatives, which count `weight`."""
    width, held = near.shape[2], logsigmoid(scores)  # log s(-x) = log s(x) - x
    wrong = (held[:, :, width:] - scores[:, :, width:]).sum(2, keepdim=True)
    return -torch.sum(held[:, :, :width] * near) - torch.sum(wrong * weight)


def _tree_step(method: Method, inputs: Tensor, outputs: Tensor, batch: Blocks, against: Ways, rate: float) -> _Step:
    near, turns, count = batch.near, against.turns, batch.near.sum(2, keepdim=True)
    blocks, size, length = turns.shape
    around, nodes = embedding(batch.words, inputs), embedding(against.nodes, outputs)
    if method == "cbow":
        shares = near / count.clamp_min(1)
        means = shares @ around  # (G, B, D)
        scores = turns * (nodes @ means.unsqueeze(3)).squeeze(3)  # (G, B, L)
        counted = turns.abs() * (count > 0)
        total = -torch.sum(logsigmoid(scores) * counted)
        slope = rate * counted * turns * torch.sigmoid(-scores)
        back = shares.mT @ (slope.unsqueeze(2) @ nodes).squeeze(2)
        return total, [
            (inputs, batch.words, back),
            (outputs, against.nodes, slope.unsqueeze(3) * means.unsqueeze(2)),
        ]
    flat = nodes.reshape(blocks, size * length, -1)
    signs = turns.reshape(blocks, size * length, 1)
    scores = signs * (flat @ around.mT)  # (G, B L, C)
    counted = signs.abs() * near.repeat_interleave(length, 1)
    total = -torch.sum(logsigmoid(scores) * counted)
    slope = torch.sigmoid(-scores).mul_(counted).mul_(rate * signs)
    return total, [(inputs, batch.words, slope.mT @ flat), (outputs, against.nodes, slope @ around)]


# --- GloVe ------------------------------------------------------------------------------------------------------------
ENOUGH = 100.0  # x_max: from so often seen pairs count in full
POWER = 0.75  # alpha; both as in Pennington et al. 2014, section 4.2


def glove_losses(own: Tensor, other: Tensor, own_bias: Tensor, other_bias: Tensor, seen: Tensor) -> Tensor:
    """(P,) f(x) (w u + b + c - log x)^2 of pairs that were seen x times. Source: equation 8.

    `own`, `other` (P, D), biases (P,).
    """
    weight = (seen / ENOUGH).pow(POWER).clamp(max=1)
    return weight * ((own * other).sum(1) + own_bias + other_bias - seen.log()).square()
