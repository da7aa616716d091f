"""Paths through the tags of a sentence: the best of those that a scheme allows."""

from __future__ import annotations

import torch
from torch import Tensor

NEVER = -1e9  # so much less likely that no sentence makes up for it, and finite, so that sums stay numbers


def best_path(scores: Tensor, lengths: Tensor, follows: Tensor, starts: Tensor) -> Tensor:
    """(B, T, K) scores -> (B, T) int64: the tags with the largest sum of scores, of each sentence of `lengths` (B,).

    `follows` (K, K) bool: whether the second tag may come after the first; `starts` (K,): which may be the first.
    Behind its end a sentence's last tag is repeated. Source: Viterbi 1967; Forney 1973.
    """
    barred = torch.where(follows, 0.0, NEVER).to(scores)
    total = scores[:, 0] + torch.where(starts, 0.0, NEVER).to(scores)  # (B, K), of the best path to each tag
    same = torch.arange(scores.shape[2], device=scores.device).expand_as(total)
    origins = []
    for place in range(1, scores.shape[1]):
        is_there = (place < lengths)[:, None]
        best, origin = (total[:, :, None] + barred).max(dim=1)  # over the tag before
        origins.append(torch.where(is_there, origin, same))
        total = torch.where(is_there, best + scores[:, place], total)
    path = [total.argmax(dim=1)]
    for origin in reversed(origins):
        path.append(origin.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], dim=1)
