"""What the classification tasks share: from logits to losses, predictions, confidences and tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gnomon.core.errors import DataError
from gnomon.core.task import Predictions
from gnomon.data.labels import LabelType, as_given
from gnomon.nn import losses as loss_functions

MAX_PROBABILITY_COLUMNS = 100  # classes up to which every class's probability is kept in the predictions table


def num_outputs(num_classes: int) -> int:
    """Two classes need one logit (logistic regression); K need K (softmax regression)."""
    return 1 if num_classes == 2 else num_classes


def class_losses(logits: Tensor, target: Tensor) -> Tensor:
    """(B,) from logits (B, 1) or (B, K) and target (B,) class indices or (B, K) probabilities."""
    if logits.shape[1] == 1:
        truth = target[:, 1] if target.dim() == 2 else target.to(logits.dtype)
        return loss_functions.logistic_loss(logits[:, 0], truth)
    return loss_functions.softmax_cross_entropy(logits, target)


def class_losses_and_gradient(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """`class_losses`, and the gradient of each loss, (B, 1) or (B, K). Without autograd."""
    if logits.shape[1] == 1:
        truth = target[:, 1] if target.dim() == 2 else target
        losses, gradient = loss_functions.logistic_loss_and_gradient(logits[:, 0], truth)
        return losses, gradient[:, None]
    return loss_functions.softmax_cross_entropy_and_gradient(logits, target)


def probabilities(logits: Tensor) -> Tensor:
    """(B, K) from logits (B, 1) or (B, K)."""
    if logits.shape[1] == 1:
        positive = logits[:, 0].sigmoid()
        return torch.stack([1 - positive, positive], dim=1)
    return logits.softmax(dim=1)


def predict(logits: Tensor, class_names: Sequence[str]) -> Predictions:
    """The most probable class, its probability, and every class's probability as columns `p.NAME`."""
    found = probabilities(logits.float()).cpu()
    confidence, values = found.max(dim=1)
    keep = len(class_names) <= MAX_PROBABILITY_COLUMNS
    columns = {f"p.{name}": found[:, k].numpy() for k, name in enumerate(class_names)} if keep else {}
    return Predictions(values.numpy(), confidence.double().numpy(), columns)


def zero_one_errors(values: Sequence[int] | np.ndarray, target: Tensor) -> np.ndarray:
    """(B,) float64: 0 where the class is right, 1 where it is not."""
    return (np.asarray(values) != target.cpu().numpy()).astype(np.float64)


def labels_of(values: Sequence[int] | np.ndarray, class_names: Sequence[str], kind: LabelType) -> pl.Series:
    """Class indices as labels of the type that was given."""
    return as_given(class_names, kind).gather(pl.Series(np.asarray(values, dtype=np.uint32)))


def class_indices(target: pl.Series, class_names: Sequence[str]) -> Tensor:
    """(N,) int64 positions in `class_names`. Raises DataError naming a class that training never showed."""
    codes = target.cast(pl.String).replace_strict(
        list(class_names), list(range(len(class_names))), default=None, return_dtype=pl.Int64
    )
    if codes.null_count():
        strange = target.filter(codes.is_null())[0]
        raise DataError(
            f"class {strange!r} is not among the {len(class_names)} classes of the training split.",
            fix="give every class examples in train, or take that class out of dev and test.",
        )
    return torch.from_numpy(codes.to_numpy(writable=True))
