"""One vector for a whole sequence: the mean, or the largest of each feature, over its steps without the padding."""

from __future__ import annotations

from torch import Tensor

from gnomon.nn.recurrent import real_steps


def mean_over_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) -> (B, D); 0 for a sequence without steps."""
    is_there = real_steps(lengths, x.shape[1])[..., None]
    return x.masked_fill(~is_there, 0).sum(dim=1) / lengths.clamp_min(1)[:, None].to(x.dtype)


def largest_over_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) -> (B, D); 0 for a sequence without steps. Source: Collobert et al. 2011, section 3.2.2."""
    is_there = real_steps(lengths, x.shape[1])[..., None]
    largest = x.masked_fill(~is_there, float("-inf")).amax(dim=1)
    return largest.masked_fill((lengths == 0)[:, None], 0)
