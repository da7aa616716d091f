"""What tabular classification says about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.facts import checked_facts
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.core.task import Batch, Claim, Predictions, Task, View
from gnomon.data import augment
from gnomon.data.columns import Columns, gather
from gnomon.data.features import Feature
from gnomon.data.labels import LabelType
from gnomon.data.source import Source
from gnomon.data.tables import TableExamples
from gnomon.metrics.classification import scores
from gnomon.models.defaults import table_defaults
from gnomon.tasks import _classes, _tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class TabularClassification(Task):
    """One class a row."""

    name: ClassVar[str] = "tabular_classification"
    title: ClassVar[str] = "tabular classification"

    target_name: str
    class_names: tuple[str, ...]
    features: tuple[Feature, ...]
    label_type: LabelType = "text"  # what predictions are given back as

    @classmethod
    def claim(cls, source: Source, settings: DataSettings) -> Claim | None:
        if not _tables.is_table(source):
            return None
        form, why = _tables.planned_form(source, settings)
        if form == "unclear":
            return Claim(0.5, why, fault=partial(_tables.refuse_unclear, source, settings))
        return Claim(0.9 if form == "classification" else 0.1, why)

    @classmethod
    def read(cls, source: Source, settings: DataSettings) -> Reading:
        return _tables.read_planned(source, settings, "classification")[0]

    @classmethod
    def write_sample(cls, folder: Path, seed: int) -> Path:
        """Houses: area, rooms, garden, city, year; the target is whether the price is low, middle or high."""
        path = folder / "houses.csv"
        _tables.write_sample(path, seed, {"level": "target"})
        return path

    @classmethod
    def from_train(cls, train: Examples, settings: Settings) -> Self:
        (target,) = cast(TableExamples, train).target_names
        names = cast("pl.Enum", train.index["stratum"].dtype).categories.to_list()
        examples = cast(TableExamples, train)
        return cls(target, tuple(names), _tables.fit_inputs(train), examples.label_types[target])

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
        return {"target": _classes.class_indices(examples.index["stratum"], self.class_names)}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        if settings.label_smoothing:
            batch["target"] = augment.smooth(batch["target"], len(self.class_names), settings.label_smoothing)
        return batch

    def defaults(self, settings: Settings, num_train: int) -> dict[str, Any]:
        return table_defaults(num_train)

    def build_model(self, settings: Settings) -> nn.Module:
        return _tables.build_model(settings, self.features, _classes.num_outputs(len(self.class_names)))

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return _tables.outputs(model, batch)  # (B, 1) or (B, K) logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return _classes.class_losses(outputs, batch["target"])

    def losses_and_gradient(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return _classes.class_losses_and_gradient(outputs, batch["target"])

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        return _classes.predict(outputs, self.class_names)

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["target"].cpu().numpy()

    def errors(self, values: Sequence[int] | np.ndarray, batch: Batch) -> np.ndarray:
        return _classes.zero_one_errors(values, batch["target"])

    def describe(self, values: Sequence[int] | np.ndarray) -> pl.Series:
        return _classes.labels_of(values, self.class_names, self.label_type)

    @property
    def target_columns(self) -> tuple[str, ...]:
        return ("target",)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.class_names))

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
        return scores(evaluation)

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        return {}
