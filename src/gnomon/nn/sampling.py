"""From what a model says of the next piece to one that is drawn."""

from __future__ import annotations

import torch
from torch import Tensor


def narrowed(logits: Tensor, *, temperature: float, top_k: int, top_p: float, never: Tensor) -> Tensor:
    """(B, V) float64 probabilities: softmax(logits / temperature) of what may be drawn, 0 for everything else.

    What is in `never` (ids) goes first; of the rest the `top_k` likeliest stay (0: all), and of these the fewest that
    make up `top_p`, the likeliest first. Of equally likely ones those with lower ids stay. At temperature 0 the
    likeliest alone stays. Source: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p).
    """
    allowed = logits.double().index_fill(1, never, -torch.inf)
    if temperature == 0:
        return torch.zeros_like(allowed).scatter_(1, allowed.argmax(dim=1, keepdim=True), 1.0)
    probabilities = (allowed / temperature).softmax(dim=1)
    ranked, ids = probabilities.sort(dim=1, descending=True, stable=True)
    if 0 < top_k < ranked.shape[1]:
        ranked[:, top_k:] = 0
    ranked /= ranked.sum(dim=1, keepdim=True)
    before = ranked.cumsum(dim=1) - ranked  # that what is likelier makes up: an id stays while that is not enough
    ranked[(before >= top_p) & (before > 0)] = 0
    ranked /= ranked.sum(dim=1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(1, ids, ranked)


def drawn(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """(B,) ids, each drawn from its row of (B, V) by a number in [0, 1), where the summed probabilities pass it.

    An id of probability 0 is never drawn (torch.multinomial may return one).
    """
    summed = probabilities.cumsum(dim=1)
    total = summed[:, -1:]
    aim = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(summed, aim, right=True)[:, 0]
