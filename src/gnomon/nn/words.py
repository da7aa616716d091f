"""Vectors of words: drawn small or taken from elsewhere, and in training with whole words left out."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

UNKNOWN = 1  # the id of what the vocabulary lacks (gnomon.data.text.tokens)
SMALL = 0.1  # standard deviation at the start: with 1, it outweighs what is learned (docs/log.md)


@torch.no_grad()
def shrink(table: nn.Embedding) -> None:
    """To a standard deviation of SMALL, if it has a larger one."""
    table.weight.mul_(SMALL / max(float(table.weight.std()), SMALL))


@final
class WordVectors(nn.Module):
    """(B, T) ids -> (B, T, D). In training, `dropout` is the probability that a word is read as an unknown one.

    So no answer hangs on one word, and the vector of unknown words is learned. The last `num_fixed` ids have vectors
    from elsewhere that are never trained: words that train does not have. Source: Iyyer et al. 2015, section 3.1 (words
    left out).
    """

    def __init__(
        self, num_ids: int, width: int, *, dropout: float, num_fixed: int = 0, keeps_scale: bool = False
    ) -> None:
        super().__init__()
        self.keeps_scale = keeps_scale  # of vectors from elsewhere
        self.num_own, self.dropout = num_ids - num_fixed, dropout
        self.vectors = nn.Embedding(self.num_own, width)
        self.fixed = nn.Embedding(num_fixed, width) if num_fixed else None
        if self.fixed is not None:
            self.fixed.weight.requires_grad_(False)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:  # noqa: ARG002  nothing is drawn here
        shrink(self.vectors)

    @torch.no_grad()
    def take(self, values: np.ndarray, first: int, *, are_learned: bool) -> None:
        """Start from `values` (V, D) for the ids from `first` on, where they are no NaN; frozen or learned.

        They are brought to the scale of drawn ones, at which learning moves them as fast, unless they keep theirs.
        """
        rows = torch.from_numpy(values)
        if not self.keeps_scale:
            rows = rows * (SMALL / max(float(rows[~rows.isnan()].std()), 1e-12))
        num_own = self.num_own - first
        is_known = ~rows[:num_own, :1].isnan()
        own = self.vectors.weight[first:]
        own.copy_(torch.where(is_known, rows[:num_own].to(own), own))
        if self.fixed is not None:
            self.fixed.weight.copy_(rows[num_own:])
        self.vectors.weight.requires_grad_(are_learned)

    def forward(self, ids: Tensor) -> Tensor:
        return self.of(self.read(ids))

    def read(self, ids: Tensor) -> Tensor:
        """The ids with those left out that this step of a training does without."""
        if not self.training or not self.dropout:
            return ids
        is_left_out = (torch.rand(ids.shape, device=ids.device) < self.dropout) & (ids > UNKNOWN)
        return ids.masked_fill(is_left_out, UNKNOWN)

    def of(self, ids: Tensor) -> Tensor:
        """Their vectors."""
        is_own = ids < self.num_own
        own: Tensor = self.vectors(ids if self.fixed is None else ids.where(is_own, UNKNOWN))
        if self.fixed is None:
            return own
        return torch.where(is_own[..., None], own, self.fixed((ids - self.num_own).clamp_min(0)))
