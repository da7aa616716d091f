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


def _mean_over_known(losses: Tensor, known: Tensor) -> Tensor:
    """(B, M) -> (B,). The mask also stops the gradient: it is 0, not 0 times something."""
    return losses.masked_fill(~known, 0).sum(dim=1) / known.sum(dim=1).clamp(min=1)
