"""What multi-task classification with missing labels says about itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.facts import checked_facts
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.core.task import Batch, Claim, Predictions, Task, View
from gnomon.data.columns import Columns, gather
from gnomon.data.features import Feature
from gnomon.data.labels import LabelType, as_given
from gnomon.data.source import Source
from gnomon.data.tables import TableExamples
from gnomon.metrics.intervals import wilson
from gnomon.models.defaults import table_defaults
from gnomon.nn.losses import multi_task_cross_entropy, multi_task_logistic
from gnomon.tasks import _tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNKNOWN = -1  # in place of a class index


@final
@dataclass(frozen=True)
class MultiTask(Task):
    """Several classes a row. An unknown one leaves loss, gradient and error untouched.

    Where every target has two classes, M logits and M logistic losses (Ng's multi-task network); otherwise a softmax
    for each target.
    """

    name: ClassVar[str] = "multi_task"
    title: ClassVar[str] = "multi-task classification"

    target_names: tuple[str, ...]
    class_names: tuple[tuple[str, ...], ...]  # of each target
    features: tuple[Feature, ...]
    label_types: tuple[LabelType, ...] = ()  # what predictions are given back as, target by target; text if empty

    @classmethod
    def claim(cls, source: Source, settings: DataSettings) -> Claim | None:
        if not _tables.is_table(source):
            return None
        form, why = _tables.planned_form(source, settings)
        return Claim(0.9 if form == "several classes" else 0.1, why)

    @classmethod
    def read(cls, source: Source, settings: DataSettings) -> Reading:
        reading, plan = _tables.read_planned(source, settings, None)
        numbers = [target.name for target in plan.targets if target.kind == "number"]
        if numbers:
            raise DataError(
                f"the target {numbers[0]!r} holds numbers, not classes.",
                where=source.origin,
                fix="predict classes alone, or numbers alone (task=tabular_regression).",
            )
        return reading

    @classmethod
    def write_sample(cls, folder: Path, seed: int) -> Path:
        """Houses: area, rooms, garden, city, year; targets: price level, and whether it sold (known for most)."""
        for split in ("train", "dev"):
            columns = {"level": "target_level", "sold": "target_sold"}
            _tables.write_sample(folder / f"{split}.csv", seed + (split == "dev"), columns)
        return folder

    @classmethod
    def from_train(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TableExamples, train)
        names = [tuple(cast("pl.Enum", column.dtype).categories.to_list()) for column in examples.targets()]
        types = tuple(examples.label_types[name] for name in examples.target_names)
        return cls(examples.target_names, tuple(names), _tables.fit_inputs(train), types)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        return checked_facts(cls, facts)

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    def notes(self, train: Examples) -> tuple[str, ...]:
        return _tables.notes(train, self.features)

    def read_inputs(self, source: Source, settings: DataSettings) -> Reading:
        return _tables.read_inputs(source, settings, self.features)

    def judged(self, examples: Examples, seed: int) -> Examples:
        return examples

    def encode_inputs(self, examples: Examples) -> Columns:
        return _tables.encode_inputs(examples, self.features)

    def encode_targets(self, examples: Examples) -> Columns:
        """target (N, M) int64, UNKNOWN where missing."""
        frame = cast(TableExamples, examples).targets()
        codes = [
            column.cast(pl.String)
            .replace_strict(list(names), list(range(len(names))), default=UNKNOWN, return_dtype=pl.Int64)
            .fill_null(UNKNOWN)
            .to_numpy()
            for column, names in zip(frame, self.class_names, strict=True)
        ]
        return {"target": torch.from_numpy(np.stack(codes, axis=1))}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        batch = gather(columns, indices)
        if "target" in batch:
            batch["weight"] = (batch["target"] != UNKNOWN).sum(dim=1).float()
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        return batch

    def defaults(self, settings: Settings, num_train: int) -> dict[str, Any]:
        return table_defaults(num_train)

    def build_model(self, settings: Settings) -> nn.Module:
        return _tables.build_model(settings, self.features, sum(self._widths))

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return _tables.outputs(model, batch)  # (B, M) logits, or (B, sum of K)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        target = batch["target"]
        known = target != UNKNOWN
        if self._is_binary:
            return multi_task_logistic(outputs, target.to(outputs.dtype), known)
        return multi_task_cross_entropy(outputs, target, known, self._widths)

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        found = [self._probabilities(head).max(dim=1) for head in outputs.float().split(self._widths, dim=1)]
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

    @property
    def target_columns(self) -> tuple[str, ...]:
        return ("target",)

    @property
    def chance_loss(self) -> float | None:
        return sum(math.log(len(names)) for names in self.class_names) / len(self.class_names)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "error"

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        return None

    def calibrate(self, evaluation: Evaluation) -> Self:
        return self

    def view(self, example: Example) -> View:
        return _tables.view(example)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """The error of each target over the rows that know it."""
        found = {}
        truths, answers = (evaluation.table[name].to_list() for name in ("target", "prediction"))
        pairs = [(json.loads(truth), json.loads(answer)) for truth, answer in zip(truths, answers, strict=True)]
        for name in self.target_names:
            known = [truth[name] != answer[name] for truth, answer in pairs if truth[name] is not None]
            if known:
                found[f"error of {name}"] = wilson(sum(known), len(known))
        return found

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        return {}

    @property
    def _is_binary(self) -> bool:
        return all(len(names) == 2 for names in self.class_names)

    @property
    def _widths(self) -> list[int]:
        """Logits of each target."""
        return [1 if self._is_binary else len(names) for names in self.class_names]

    def _probabilities(self, head: Tensor) -> Tensor:
        if head.shape[1] > 1:
            return head.softmax(dim=1)
        positive = head.sigmoid()
        return torch.cat([1 - positive, positive], dim=1)
