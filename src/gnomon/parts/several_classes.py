"""Several classes per example, any of which may be unknown: one network, one softmax (or logit) per target."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.knobs import MIXED_TARGETS
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions
from gnomon.core.settings import Settings
from gnomon.data.columns import Columns
from gnomon.data.labels import LabelType, as_given
from gnomon.metrics.intervals import wilson
from gnomon.nn.losses import multi_task_cross_entropy, multi_task_logistic
from gnomon.parts.one_class import averaged

UNKNOWN = -1  # instead of a class index


class WithTargets(Protocol):
    """Examples with several targets: rows of a table, pictures."""

    @property
    def target_names(self) -> tuple[str, ...]: ...

    @property
    def label_types(self) -> Mapping[str, LabelType]:
        """What each target was given as."""

    def targets(self) -> pl.DataFrame:
        """A column of Enum per target; null where it is unknown."""


def widths(class_names: Sequence[Sequence[str]]) -> list[int]:
    """Logits of each target: one each if every target has two classes, otherwise one per class."""
    is_binary = all(len(names) == 2 for names in class_names)
    return [1 if is_binary else len(names) for names in class_names]


@final
@dataclass(frozen=True)
class SeveralClassesHead(Head):
    """If every target has two classes, M logits and M logistic losses (Ng's multi-task network); otherwise one softmax
    per target. An unknown target does not affect loss and gradient."""

    abilities: ClassVar[frozenset[str]] = frozenset({MIXED_TARGETS})
    columns: ClassVar[tuple[str, ...]] = ("target",)

    target_names: tuple[str, ...]
    class_names: tuple[tuple[str, ...], ...]  # of each target
    label_types: tuple[LabelType, ...] = ()  # the type of predictions, target by target; text if empty

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(WithTargets, train)
        names = [tuple(cast("pl.Enum", column.dtype).categories.to_list()) for column in examples.targets()]
        types = tuple(examples.label_types[name] for name in examples.target_names)
        return cls(examples.target_names, tuple(names), types)

    @property
    def chance_loss(self) -> float | None:
        return sum(math.log(len(names)) for names in self.class_names) / len(self.class_names)

    def encode(self, examples: Examples) -> Columns:
        """target (N, M) int64, UNKNOWN where missing."""
        frame = cast(WithTargets, examples).targets()
        codes = [
            column.cast(pl.String)
            .replace_strict(list(names), list(range(len(names))), default=UNKNOWN, return_dtype=pl.Int64)
            .fill_null(UNKNOWN)
            .to_numpy()
            for column, names in zip(frame, self.class_names, strict=True)
        ]
        return {"target": torch.from_numpy(np.stack(codes, axis=1))}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        if "target" in batch:
            batch["weight"] = (batch["target"] != UNKNOWN).sum(dim=1).float()
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(sum(widths(self.class_names)))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        logits: Tensor = model(*arguments)
        return logits  # (B, M), or (B, sum of K)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        target, each = batch["target"], widths(self.class_names)
        known = target != UNKNOWN
        if max(each) == 1:
            return multi_task_logistic(outputs, target.to(outputs.dtype), known)
        return multi_task_cross_entropy(outputs, target, known, each)


@final
@dataclass(frozen=True)
class SeveralClassesJudge(Judge):
    """The error of an example is the share of its known targets that are wrong."""

    can_average: ClassVar[bool] = True

    target_names: tuple[str, ...]
    class_names: tuple[tuple[str, ...], ...]
    label_types: tuple[LabelType, ...] = ()

    @classmethod
    def of(cls, head: SeveralClassesHead) -> Self:
        return cls(head.target_names, head.class_names, head.label_types)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "error"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        each = outputs.float().split(widths(self.class_names), dim=1)
        found = [_probabilities(logits).max(dim=1) for logits in each]
        values = torch.stack([best.indices for best in found], dim=1)
        confidence = torch.stack([best.values for best in found], dim=1).mean(dim=1)
        return Predictions(values.cpu().numpy(), confidence.double().cpu().numpy())

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["target"].cpu().numpy()

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        target = self.targets(batch)
        known = target != UNKNOWN
        wrong = (np.asarray(values) != target) & known
        return wrong.sum(axis=1) / np.maximum(known.sum(axis=1), 1)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        unknown: LabelType = "text"
        kinds = self.label_types or (unknown,) * len(self.target_names)
        labels = [as_given(names, kind).to_list() for names, kind in zip(self.class_names, kinds, strict=True)]
        rows = (
            {
                name: None if value == UNKNOWN else classes[value]
                for name, classes, value in zip(self.target_names, labels, row, strict=True)
            }
            for row in np.asarray(values)
        )
        return pl.Series([json.dumps(row, ensure_ascii=False) for row in rows], dtype=pl.String)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """The error of each target over the rows in which it is known."""
        found = {}
        truths, answers = (evaluation.table[name].to_list() for name in ("target", "prediction"))
        pairs = [(json.loads(truth), json.loads(answer)) for truth, answer in zip(truths, answers, strict=True)]
        for name in self.target_names:
            known = [truth[name] != answer[name] for truth, answer in pairs if truth[name] is not None]
            if known:
                found[f"error of {name}"] = wilson(sum(known), len(known))
        return found

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return dict(zip(self.target_names, self.class_names, strict=True))

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        each = widths(self.class_names)
        by_target = zip(*(outputs.split(each, dim=1) for _, outputs in answers), strict=True)
        return torch.cat([averaged(parts) for parts in by_target], dim=1)

    def less_is_better(self, measure: str) -> bool:
        return measure.startswith("error of ")


def _probabilities(logits: Tensor) -> Tensor:
    """(B, K) from (B, K) logits, (B, 2) from one."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    positive = logits.sigmoid()
    return torch.cat([1 - positive, positive], dim=1)
