"""One class per example: from labels to logits and losses, from logits to classes, errors and confidences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Examples
from gnomon.core.knobs import ANSWERS, CLASSES, MIXED_TARGETS, SOFT_LABELS
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions
from gnomon.core.settings import RegulariseSettings, Settings
from gnomon.data import augment
from gnomon.data.columns import Columns
from gnomon.data.labels import LabelType, as_given
from gnomon.metrics.aim import ERROR, Aim, aim_of, best_factors, split_error
from gnomon.metrics.classification import LESS_IS_BETTER, scores
from gnomon.nn import losses as loss_functions

if TYPE_CHECKING:
    pass

LEAST = 1e-300  # probability whose logarithm is taken
MAX_PROBABILITY_COLUMNS = 100  # classes up to which every class's probability is kept in the predictions table


@final
@dataclass(frozen=True)
class ClassHead(Head):
    """The logits of K classes; of two classes, one logit."""

    abilities: ClassVar[frozenset[str]] = frozenset({ANSWERS, CLASSES, SOFT_LABELS, MIXED_TARGETS})
    gives_gradient: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("target",)

    class_names: tuple[str, ...]
    label_type: LabelType = "text"  # what predictions are given back as
    aim: Aim = ERROR  # what the answers are to be good at
    weights: tuple[float, ...] = ()  # of each class's examples in training; empty: all the same

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        labels, goal = train.index["label"], settings.goal
        names = classes_of(labels)
        aim = aim_of(goal.metric, goal.positive, goal.costs, names, labels)
        return cls(names, train.label_type, aim, balanced(labels, names) if goal.class_weights == "balanced" else ())

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.class_names))

    def encode(self, examples: Examples) -> Columns:
        return {"target": class_indices(examples.index["label"], self.class_names)}

    def soften(self, batch: Batch, settings: RegulariseSettings) -> Batch:
        if self.weights:
            batch["weight"] = batch["target"].new_tensor(self.weights, dtype=torch.float32)[batch["target"]]
        if settings.label_smoothing:
            batch["target"] = augment.smooth(batch["target"], len(self.class_names), settings.label_smoothing)
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(num_outputs(len(self.class_names)))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        logits: Tensor = model(*arguments)
        return logits  # (B, 1) or (B, K)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return class_losses(outputs, batch["target"])

    def losses_and_gradient(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return class_losses_and_gradient(outputs, batch["target"])


@final
@dataclass(frozen=True)
class ClassJudge(Judge):
    """Right or wrong; over a split, what the aim counts."""

    can_average: ClassVar[bool] = True

    class_names: tuple[str, ...]
    label_type: LabelType = "text"
    aim: Aim = ERROR
    factors: tuple[float, ...] = ()  # on the probability of each class before the largest is taken; chosen on dev

    @classmethod
    def of(cls, head: ClassHead) -> Self:
        return cls(head.class_names, head.label_type, head.aim)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return self.aim.error_name

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        """The most probable class (after `factors`), its probability, and every class's as columns `p.NAME`."""
        found = self.probabilities(outputs).cpu()
        confidence, values = found.max(dim=1)
        if self.factors:
            values = (found * found.new_tensor(self.factors)).argmax(dim=1)
            confidence = found.gather(1, values[:, None])[:, 0]
        keep = len(self.class_names) <= MAX_PROBABILITY_COLUMNS
        columns = {f"p.{name}": found[:, k].numpy() for k, name in enumerate(self.class_names)} if keep else {}
        return Predictions(values.numpy(), confidence.double().numpy(), columns)

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["target"].cpu().numpy()

    def errors(self, values: Sequence[int] | np.ndarray, batch: Batch) -> np.ndarray:
        return (np.asarray(values) != self.targets(batch)).astype(np.float64)

    def describe(self, values: Sequence[int] | np.ndarray) -> pl.Series:
        return as_given(self.class_names, self.label_type).gather(pl.Series(np.asarray(values, dtype=np.uint32)))

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        return split_error(self.aim, self.class_names, table)

    def calibrate(self, evaluation: Evaluation) -> Self:
        """With the factors that are best on dev."""
        return replace(self, factors=best_factors(self.aim, self.class_names, evaluation.table))

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation)

    @property
    def num_classes(self) -> int | None:
        return len(self.class_names)

    def probabilities(self, outputs: Tensor) -> Tensor:
        return probabilities(outputs.float())

    def scores(self, outputs: Tensor) -> Tensor:
        return class_scores(outputs.float())

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"class": self.class_names}

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        return averaged([outputs for _, outputs in answers])

    def plain_targets(self, columns: Columns) -> np.ndarray:
        return cast(Tensor, columns["target"]).cpu().numpy()

    def less_is_better(self, measure: str) -> bool:
        return measure in LESS_IS_BETTER


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


def class_scores(logits: Tensor) -> Tensor:
    """(B, K) from logits (B, 1) or (B, K), of which the softmax is `probabilities`: one logit is shared by both."""
    return torch.cat([-logits / 2, logits / 2], dim=1) if logits.shape[1] == 1 else logits


def averaged(each: Sequence[Tensor]) -> Tensor:
    """The logits (B, 1) or (B, K) whose probabilities are the mean of those of several."""
    logs = torch.stack([probabilities(logits.double()) for logits in each]).mean(dim=0).clamp_min(LEAST).log()
    return logs if each[0].shape[1] > 1 else logs[:, 1:] - logs[:, :1]


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


def balanced(labels: pl.Series, class_names: Sequence[str]) -> tuple[float, ...]:
    """A weight for each class with which all classes count alike, and an example 1 on average."""
    counts = dict(labels.cast(pl.String).value_counts().iter_rows())
    return tuple(len(labels) / (len(class_names) * max(counts.get(name, 0), 1)) for name in class_names)


def classes_of(labels: pl.Series) -> tuple[str, ...]:
    """The class names of a label column: in the order of its levels where it has them, else sorted."""
    if isinstance(labels.dtype, pl.Enum):
        return tuple(labels.dtype.categories.to_list())
    return tuple(sorted(labels.drop_nulls().unique().to_list()))
