"""Losses, one value per example: the caller averages over examples, in its last line."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def softmax_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """(B, K) logits -> (B,) losses, -Σ_k t_k ln softmax(logits)_k, in nats.

    `target`: (B,) class indices, or (B, K) probabilities (smoothed or mixed labels).
    """
    return functional.cross_entropy(logits, target, reduction="none")


def logistic_loss(logits: Tensor, target: Tensor) -> Tensor:
    """(B,) logits, (B,) targets in [0, 1] -> (B,) losses, -t ln σ(z) - (1 - t) ln(1 - σ(z)), in nats."""
    return functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")


def softmax_cross_entropy_and_gradient(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """As `softmax_cross_entropy`, without autograd: (B,) losses and (B, K), each loss's gradient: softmax - target."""
    log_probabilities = logits.log_softmax(dim=1)
    if target.dim() == 2:
        losses = -(log_probabilities * target).sum(dim=1)
        return losses, log_probabilities.exp_().mul_(target.sum(dim=1, keepdim=True)).sub_(target)
    losses = functional.nll_loss(log_probabilities, target, reduction="none")
    minus_one = logits.new_full((len(target), 1), -1.0)
    return losses, log_probabilities.exp_().scatter_add_(1, target[:, None], minus_one)


def logistic_loss_and_gradient(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """As `logistic_loss`, without autograd: (B,) losses and (B,), each loss's derivative: σ(z) - t."""
    return logistic_loss(logits, target), logits.sigmoid().sub_(target)


def one_vs_all_loss(logits: Tensor, target: Tensor) -> Tensor:
    """(B, K) logits -> (B,) losses: the sum of K logistic losses, class k against the rest.

    `target`: (B,) class indices, or (B, K) entries in [0, 1], of which any number may be 1.
    """
    if target.dim() == 1:
        target = functional.one_hot(target, logits.shape[1])
    return logistic_loss(logits, target).sum(dim=1)


def squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """(B,) or (B, D) outputs, targets of the same shape -> (B,) losses: (output - target)², the mean over D."""
    if outputs.shape != target.shape:  # broadcasting (B,) against (B, 1) gives (B, B), which trains without an error
        raise ValueError(f"outputs {tuple(outputs.shape)} and target {tuple(target.shape)} must have the same shape.")
    return (outputs - target).square().flatten(1).mean(dim=1) if outputs.dim() > 1 else (outputs - target).square()


def squared_error_of_known(outputs: Tensor, wanted: Tensor) -> Tensor:
    """(B, M) outputs -> (B,) mean squares over what is wanted; NaN there is unknown, and has no gradient."""
    known = ~wanted.isnan()
    return _mean_over_known((outputs - wanted.masked_fill(~known, 0)).square(), known)


def multi_task_logistic(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """(B, M) logits of M yes-or-no questions -> (B,) losses: each example's mean over its known entries, 0 if none.

    `target` (B, M) in [0, 1], anything (also NaN) where `known` (B, M) bool is False: such entries get a gradient of
    exactly zero.
    """
    return _mean_over_known(logistic_loss(logits, target.masked_fill(~known, 0)), known)


def multi_task_cross_entropy(logits: Tensor, target: Tensor, known: Tensor, num_classes: Sequence[int]) -> Tensor:
    """Several softmax heads side by side -> (B,) losses: each example's mean over its known entries, 0 if none.

    `logits` (B, ΣK): the heads' logits, head m has num_classes[m] of them. `target` (B, M) class indices, anything
    where `known` (B, M) bool is False: such heads get a gradient of exactly zero.
    """
    target = target.masked_fill(~known, 0)
    heads = torch.split(logits, list(num_classes), dim=1)
    losses = [softmax_cross_entropy(head, target[:, m]) for m, head in enumerate(heads)]
    return _mean_over_known(torch.stack(losses, dim=1), known)


def localisation_loss(outputs: Tensor, target: Tensor) -> Tensor:
    """(B, 5 + K) outputs for y = [p_c, b_x, b_y, b_h, b_w, c_1, ...] -> (B,) losses; K may be 0.

    The logistic loss of p_c, the squared errors of the box, the cross entropy of the classes. NaN in `target` is an
    entry that is ignored, as all but the first are where p_c = 0: its gradient is exactly zero.
    """
    known = ~target.isnan()
    outputs, target = outputs.masked_fill(~known, 0), target.masked_fill(~known, 0)
    presence = logistic_loss(outputs[:, 0], target[:, 0]).masked_fill(~known[:, 0], 0)
    box = (outputs[:, 1:5] - target[:, 1:5]).square().sum(dim=1)
    if outputs.shape[1] == 5:
        return presence + box
    return presence + box + softmax_cross_entropy(outputs[:, 5:], target[:, 5:])  # 0 where the target is all zeros


def landmark_loss(outputs: Tensor, target: Tensor, *, softening: float) -> Tensor:
    """(B, P, 2) outputs, targets -> (B,) losses: the mean distance of the points that are known, 0 if none is.

    A point with NaN in `target` is unknown: its gradient is exactly zero. Distances are sqrt(dx² + dy² + s²) - s with
    s = `softening`, above 0: squared errors near 0, where a distance has no gradient.
    """
    known = ~target.isnan().any(dim=2)
    away = (outputs - target.masked_fill(~known[:, :, None], 0)).masked_fill(~known[:, :, None], 0)
    distance = (away.square().sum(dim=2) + softening**2).sqrt() - softening
    return _mean_over_known(distance, known)


def _mean_over_known(losses: Tensor, known: Tensor) -> Tensor:
    """(B, M) -> (B,). The mask also stops the gradient: it is 0, not 0 times something."""
    return losses.masked_fill(~known, 0).sum(dim=1) / known.sum(dim=1).clamp(min=1)
