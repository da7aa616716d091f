"""An answer at every step of a series: classes, or numbers that are standardised for the model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions, View
from gnomon.core.settings import Settings
from gnomon.data.columns import Columns, Ragged
from gnomon.data.grids import line_picture
from gnomon.data.labels import LabelType, as_given
from gnomon.data.series import SeriesExamples
from gnomon.metrics.intervals import wilson
from gnomon.nn.losses import squared_error_of_known
from gnomon.parts.one_class import averaged, class_losses, num_outputs, probabilities
from gnomon.strategy.references import Inputs, guess, linear_model, sampled

UNKNOWN = -1  # instead of a class index
MOST_STEPS = 20_000  # of training and of dev that a reference is fitted to, or answers


@final
@dataclass(frozen=True)
class StepClassHead(Head):
    """The logits of K classes at every step; of two classes, one logit. A step without a target counts nowhere."""

    wants: ClassVar[str] = "places"
    columns: ClassVar[tuple[str, ...]] = ("target",)

    class_names: tuple[str, ...]
    label_type: LabelType = "text"

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        column = _answers(train)
        return cls(tuple(cast("pl.Enum", column.dtype).categories.to_list()), train.label_type)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.class_names))

    def encode(self, examples: Examples) -> Columns:
        """target: the class index of each step (T,) int64, UNKNOWN where it is not given."""
        codes = _answers(examples).cast(pl.String).replace_strict(
            list(self.class_names), list(range(len(self.class_names))), default=None, return_dtype=pl.Int64
        )  # fmt: skip
        return {"target": _ragged(examples, codes.fill_null(UNKNOWN).to_numpy(writable=True))}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        target = columns.get("target")
        if not isinstance(target, Ragged):
            return batch
        padded = target.pad(indices, UNKNOWN)
        return {**batch, "target": padded, "weight": (padded != UNKNOWN).sum(dim=1).float()}

    def build(self, body: Body) -> nn.Module:
        return body(num_outputs(len(self.class_names)))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        outputs: Tensor = model(*arguments)
        return outputs  # (B, T, 1) or (B, T, K)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        target = batch["target"]
        known = target != UNKNOWN
        each = class_losses(outputs.flatten(0, 1), target.clamp_min(0).flatten()).view(target.shape)
        return each.masked_fill(~known, 0).sum(dim=1) / known.sum(dim=1).clamp_min(1)


@final
@dataclass(frozen=True)
class StepClassJudge(Judge):
    """The error of a series is the share of its steps that are wrong."""

    has_references: ClassVar[bool] = True
    can_average: ClassVar[bool] = True

    class_names: tuple[str, ...]
    label_type: LabelType = "text"

    @classmethod
    def of(cls, head: StepClassHead) -> Self:
        return cls(head.class_names, head.label_type)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "error per step"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        found = probabilities(outputs.float().flatten(0, 1)).view(*outputs.shape[:2], -1)
        confidence, best = (one.cpu().numpy() for one in found.max(dim=2))
        lengths = batch["length"].tolist()
        sure = np.array([row[:size].mean() for row, size in zip(confidence, lengths, strict=True)], np.float64)
        return Predictions([row[:size] for row, size in zip(best, lengths, strict=True)], sure)

    def targets(self, batch: Batch) -> Sequence[Any]:
        return _rows(batch)

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        pairs = zip(values, _rows(batch), strict=True)
        return np.array([_mean((one != truth)[truth != UNKNOWN]) for one, truth in pairs], np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        names = [*as_given(self.class_names, self.label_type).to_list(), None]  # the last for UNKNOWN
        rows = [json.dumps([names[code] for code in row], ensure_ascii=False) for row in values]
        return pl.Series(rows, dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        given = [str(one).lower() if isinstance(one, bool) else str(one) for one in json.loads(row[column])]
        codes = [self.class_names.index(one) if one in self.class_names else np.nan for one in given]
        return with_line(view, np.array(codes, np.float64))

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        return one_row_a_step(table)

    def reference_errors(self, train: Columns, dev: Columns) -> Mapping[str, np.ndarray]:
        """Always the commonest class, and a linear model of each step by itself."""
        (steps, wanted), asked = _known_steps(train, lambda target: target != UNKNOWN), _all_steps(dev)
        common = guess(wanted, len(self.class_names))
        name = as_given(self.class_names, self.label_type)[common]
        found = {f"always {name!r}": np.full(len(asked[1]), common)}
        line = linear_model(steps, wanted, asked[0], len(self.class_names))
        if line is not None:
            found["linear model of each step"] = line.values
        known = asked[1] != UNKNOWN
        return {name: asked[2](said != asked[1], known) for name, said in found.items()}

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """The share of series of which no step is wrong."""
        whole = int((evaluation.table["error"] == 0).sum())
        return {"series without an error": wilson(whole, len(evaluation.table))}

    def less_is_better(self, measure: str) -> bool:
        return False

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"class of each step": self.class_names}

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        return _joined(parts)

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """Logits (B, T, 1) or (B, T, K): of each step the mean of their probabilities."""
        first = answers[0][1]
        return averaged([outputs.flatten(0, 1) for _, outputs in answers]).view(first.shape)


@final
@dataclass(frozen=True)
class StepNumberHead(Head):
    """One output at every step, in standard deviations from the mean of the steps in training."""

    wants: ClassVar[str] = "places"
    columns: ClassVar[tuple[str, ...]] = ("target",)

    mean: float
    std: float

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        values = _answers(train).drop_nulls().to_numpy()
        power = float(np.exp2(np.frexp(np.abs(values - values.mean()).max())[1]))  # squares of 1e-300 are 0
        std = power * float(((values - values.mean()) / power).std())
        return cls(float(values.mean()), std if std > 0 else 1.0)

    @property
    def chance_loss(self) -> float | None:
        return 1.0  # the variance of standardised targets: what guessing the mean costs

    def encode(self, examples: Examples) -> Columns:
        """target: the number of each step (T,) float64 in its own unit, NaN where it is not given."""
        return {"target": _ragged(examples, _answers(examples).to_numpy(writable=True).astype(np.float64))}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        target = columns.get("target")
        if not isinstance(target, Ragged):
            return batch
        padded = target.pad(indices, math.nan)
        return {**batch, "target": padded, "weight": (~padded.isnan()).sum(dim=1).float()}

    def build(self, body: Body) -> nn.Module:
        return body(1)

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        outputs: Tensor = model(*arguments)
        return outputs[:, :, 0]  # (B, T) in standard deviations from the mean

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return squared_error_of_known(outputs, self.wanted(outputs, batch))

    def wanted(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(B, T) in standard deviations from the mean, NaN where it is not given."""
        return ((batch["target"] - self.mean) / self.std).to(outputs.dtype)


@final
@dataclass(frozen=True)
class StepNumberJudge(Judge):
    """The error of a series is the mean absolute error over its steps, in the target's own unit."""

    has_references: ClassVar[bool] = True
    can_average: ClassVar[bool] = True

    mean: float
    std: float

    @classmethod
    def of(cls, head: StepNumberHead) -> Self:
        return cls(head.mean, head.std)

    @property
    def error_unit(self) -> str | None:
        return ""

    @property
    def error_name(self) -> str:
        return "mean absolute error per step"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        values = (outputs.detach().double() * self.std + self.mean).cpu().numpy()
        return Predictions([row[:size] for row, size in zip(values, batch["length"].tolist(), strict=True)])

    def targets(self, batch: Batch) -> Sequence[Any]:
        return _rows(batch)

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        pairs = zip(values, _rows(batch), strict=True)
        return np.array([_mean(np.abs(one - truth)[~np.isnan(truth)]) for one, truth in pairs], np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        rows = [json.dumps([None if np.isnan(one) else float(f"{one:.7g}") for one in row]) for row in values]
        return pl.Series(rows, dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        given = json.loads(row[column])
        return with_line(view, np.array([np.nan if one is None else one for one in given], np.float64))

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        return one_row_a_step(table)

    def reference_errors(self, train: Columns, dev: Columns) -> Mapping[str, np.ndarray]:
        """Always the median, and a linear model of each step by itself."""
        (steps, wanted), asked = _known_steps(train, lambda target: ~np.isnan(target)), _all_steps(dev)
        middle = guess(wanted, None)
        found = {f"always {middle:.4g}": np.full(len(asked[1]), middle)}
        line = linear_model(steps, wanted, asked[0], None)
        if line is not None:
            found["linear model of each step"] = line.values
        known = ~np.isnan(asked[1])
        return {name: asked[2](np.abs(said - asked[1]), known) for name, said in found.items()}

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return {}

    def less_is_better(self, measure: str) -> bool:
        return True

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"number of each step": ()}

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        return _joined(parts)

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """Each in the target's own unit, and their mean in this one's standard deviations again (B, T)."""
        own = [outputs.double() * judge.std + judge.mean for judge, outputs in answers]
        return (torch.stack(own).mean(dim=0) - self.mean) / self.std


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Outputs (B, T) or (B, T, K) of several batches, each padded to the longest of all."""
    longest = max(part.shape[1] for part in parts)
    behind = (0, 0) * (parts[0].dim() - 2)  # padding is given from the last axis on
    return torch.cat([functional.pad(part, (*behind, 0, longest - part.shape[1])) for part in parts])


def with_line(view: View, values: np.ndarray) -> View:
    """The view with one more line below: a value for each step."""
    line = line_picture(values[None])
    if view.image is None:
        return replace(view, image=line)
    gap = np.full((4, line.shape[1]), 255, np.uint8)
    return replace(view, image=np.concatenate([view.image, gap, line]))


def one_row_a_step(table: pl.DataFrame) -> pl.DataFrame:
    """A table of predictions with a row for each step, numbered from 1, in place of one for each series."""
    rows = [
        {"id": name, "step": number, "prediction": one}
        for name, answers in zip(table["id"].to_list(), table["prediction"].to_list(), strict=True)
        for number, one in enumerate(json.loads(answers), start=1)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _answers(examples: Examples) -> pl.Series:
    """(M,) of all steps of all series."""
    series = cast(SeriesExamples, examples)
    return series.steps().get_column(series.rows.target_names[0])


def _ragged(examples: Examples, values: np.ndarray) -> Ragged:
    lengths = cast(SeriesExamples, examples).lengths()
    return Ragged(torch.from_numpy(values), torch.from_numpy(np.r_[0, np.cumsum(lengths)]))


def _rows(batch: Batch) -> list[np.ndarray]:
    target = batch["target"].cpu().numpy()
    return [row[:size] for row, size in zip(target, batch["length"].tolist(), strict=True)]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _known_steps(columns: Columns, is_known: Any) -> tuple[Inputs, np.ndarray]:
    """Some of the steps that have a target, as examples of their own, and their targets."""
    values, target = columns["values"], columns["target"]
    assert isinstance(values, Ragged)
    assert isinstance(target, Ragged)
    truth = target.values.cpu().numpy()
    known = np.flatnonzero(is_known(truth))
    some = known[sampled(len(known), MOST_STEPS, np.random.default_rng(0))]
    return _inputs(values.values[torch.from_numpy(some)]), truth[some]


def _all_steps(columns: Columns) -> tuple[Inputs, np.ndarray, Any]:
    """All steps as examples, their targets, and what makes (N,) means of series from (M,) errors of steps."""
    values, target = columns["values"], columns["target"]
    assert isinstance(values, Ragged)
    assert isinstance(target, Ragged)
    starts = target.offsets[:-1].cpu().numpy()

    def means(errors: np.ndarray, known: np.ndarray) -> np.ndarray:
        total = np.add.reduceat(np.where(known, errors, 0.0), starts)
        found: np.ndarray = total / np.maximum(np.add.reduceat(known.astype(np.int64), starts), 1)
        return found

    return _inputs(values.values), target.values.cpu().numpy(), means


def _inputs(values: Tensor) -> Inputs:
    numbers = values.cpu().numpy()
    return Inputs(numbers, np.empty((len(numbers), 0), np.int64))
