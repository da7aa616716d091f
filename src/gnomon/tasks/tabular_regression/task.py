"""What tabular regression says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.evaluation import Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.facts import checked_facts
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.core.task import Batch, Claim, Predictions, Task, View
from gnomon.data.columns import Columns, gather
from gnomon.data.features import Feature
from gnomon.data.source import Source
from gnomon.data.tables import TableExamples
from gnomon.metrics.regression import scores
from gnomon.models.defaults import table_defaults
from gnomon.tasks import _tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class TabularRegression(Task):
    """One number a row, or several with holes. The model sees targets in standard deviations from their mean.

    The error of a row is the absolute error in the target's own unit; of several targets, the mean over the known
    ones in standard deviations, since their units differ.
    """

    name: ClassVar[str] = "tabular_regression"
    title: ClassVar[str] = "tabular regression"

    target_names: tuple[str, ...]
    mean: tuple[float, ...]  # of each target on the training split
    std: tuple[float, ...]
    features: tuple[Feature, ...]

    @classmethod
    def claim(cls, source: Source, settings: DataSettings) -> Claim | None:
        if not _tables.is_table(source):
            return None
        form, why = _tables.planned_form(source, settings)
        return Claim({"regression": 0.9, "several numbers": 0.9}.get(form, 0.1), why)

    @classmethod
    def read(cls, source: Source, settings: DataSettings) -> Reading:
        reading, plan = _tables.read_planned(source, settings, "regression")
        classes = [target.name for target in plan.targets if target.kind == "classes"]
        if classes:
            raise DataError(
                f"the target {classes[0]!r} holds classes, not numbers.",
                where=source.origin,
                fix="predict numbers alone, or classes alone (task=multi_task).",
            )
        return reading

    @classmethod
    def write_sample(cls, folder: Path, seed: int) -> Path:
        """Houses: area, rooms, garden, city, year; the target is the price."""
        path = folder / "houses.csv"
        _tables.write_sample(path, seed, {"price": "target"})
        return path

    @classmethod
    def from_train(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TableExamples, train)
        targets = examples.targets().to_numpy().astype(np.float64)  # (N, M)
        mean, std = np.nanmean(targets, axis=0), np.nanstd(targets, axis=0)
        std = np.where(std > 0, std, 1.0)
        return cls(examples.target_names, tuple(mean.tolist()), tuple(std.tolist()), _tables.fit_inputs(train))

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
        """target (N, M) float64 in the targets' own units, NaN where unknown: exact, whatever their size."""
        targets = cast(TableExamples, examples).targets().to_numpy().astype(np.float64)
        return {"target": torch.from_numpy(np.ascontiguousarray(targets))}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        batch = gather(columns, indices)
        if len(self.target_names) > 1 and "target" in batch:
            batch["weight"] = (~batch["target"].isnan()).sum(dim=1).float()
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        return batch

    def defaults(self, settings: Settings, num_train: int) -> dict[str, Any]:
        return table_defaults(num_train)

    def build_model(self, settings: Settings) -> nn.Module:
        return _tables.build_model(settings, self.features, len(self.target_names))

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        return _tables.outputs(model, batch)  # (B, M) in standard deviations from the mean

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        known = ~batch["target"].isnan()
        wanted = ((batch["target"] - self._row(self.mean)) / self._row(self.std)).to(outputs.dtype)
        squares = (outputs - wanted.masked_fill(~known, 0)).square().masked_fill(~known, 0)
        return squares.sum(dim=1) / known.sum(dim=1).clamp_min(1)

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        values = outputs.detach().double().cpu() * self._row(self.std) + self._row(self.mean)
        return Predictions(values.numpy())

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["target"].double().cpu().numpy()

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        off = np.abs(np.asarray(values) - self.targets(batch))  # (B, M)
        if len(self.target_names) == 1:
            return off[:, 0]
        off = off / np.array(self.std)
        return np.nansum(off, axis=1) / np.maximum((~np.isnan(off)).sum(axis=1), 1)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        numbers = np.asarray(values, dtype=np.float64).reshape(-1, len(self.target_names))
        if len(self.target_names) == 1:
            return pl.Series(numbers[:, 0])
        rows = ({n: None if np.isnan(v) else v for n, v in zip(self.target_names, row, strict=True)} for row in numbers)
        return pl.Series([json.dumps(row, ensure_ascii=False) for row in rows], dtype=pl.String)

    @property
    def target_columns(self) -> tuple[str, ...]:
        return ("target",)

    @property
    def chance_loss(self) -> float | None:
        return 1.0  # the variance of standardised targets: what guessing the mean costs

    @property
    def error_unit(self) -> str | None:
        return "" if len(self.target_names) == 1 else "standard deviations"

    @property
    def error_name(self) -> str:
        return "mean absolute error"

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        return None

    def calibrate(self, evaluation: Evaluation) -> Self:
        return self

    def view(self, example: Example) -> View:
        return _tables.view(example)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation) if len(self.target_names) == 1 else {}

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        if len(self.target_names) > 1:
            return {}
        from gnomon.figures.regression import draw_regression  # matplotlib is not on the way to the first step

        table = evaluation.table
        figure = draw_regression(table["target"].to_numpy(), table["prediction"].to_numpy(), name=self.target_names[0])
        return {"predicted against true": figure}

    def _row(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)
