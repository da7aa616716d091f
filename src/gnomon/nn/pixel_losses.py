"""Losses over the pixels of a picture, one value per picture; pixels of class -1 have neither loss nor gradient."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NOT_SCORED = -1
SMOOTH = 1.0  # pixels added to both areas of a Dice: a class of a few pixels does not jump between 0 and 1
FOCUS = 2.0  # gamma of the focal loss. Lin et al. 2017, section 5.1


def pixel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """(B, K, H, W) logits, (B, H, W) classes -> (B,) losses in nats: the mean over scored pixels, 0 where none is."""
    return _mean(functional.cross_entropy(logits, target, reduction="none", ignore_index=NOT_SCORED), target)


def focal_loss(logits: Tensor, target: Tensor, focus: float = FOCUS) -> Tensor:
    """As `pixel_cross_entropy`, each pixel's loss times (1 - p)^focus, p the probability of its class.

    Source: Lin et al. 2017, equation 4.
    """
    losses = functional.cross_entropy(logits, target, reduction="none", ignore_index=NOT_SCORED)
    return _mean(losses * (1 - (-losses).exp()) ** focus, target)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """(B, K, H, W) logits, (B, H, W) classes -> (B,): 1 - the mean soft Dice of the classes that the picture has.

    A class that is not there has no overlap to measure, and no gradient: a false alarm is the business of a loss per
    pixel beside this one. 0 where no pixel is scored. Source: Milletari et al. 2016, section 3, without the squares.
    """
    known = (target != NOT_SCORED)[:, None]
    truth = functional.one_hot(target.clamp(min=0), logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
    truth = truth.masked_fill(~known, 0)
    said = logits.softmax(dim=1).masked_fill(~known, 0)
    there, answered, both = (one.flatten(2).sum(dim=2) for one in (truth, said, truth * said))  # (B, K)
    dice = (2 * both + SMOOTH) / (there + answered + SMOOTH)
    present = (there > 0).to(logits.dtype)
    return ((1 - dice) * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)


def _mean(losses: Tensor, target: Tensor) -> Tensor:
    """(B, H, W) -> (B,): the mean over scored pixels."""
    known = target != NOT_SCORED
    total = torch.where(known, losses, 0.0).flatten(1).sum(dim=1)
    return total / known.flatten(1).sum(dim=1).clamp(min=1)
