"""Numbers to predict: standardised for the model, judged in their own units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions
from gnomon.core.settings import Settings
from gnomon.data.columns import Columns
from gnomon.data.tables import TableExamples
from gnomon.metrics.regression import LESS_IS_BETTER, scores
from gnomon.nn.losses import squared_error_of_known

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class NumberHead(Head):
    """One output per target, in standard deviations from its mean."""

    columns: ClassVar[tuple[str, ...]] = ("target",)

    target_names: tuple[str, ...]
    mean: tuple[float, ...]  # of each target on the training split
    std: tuple[float, ...]

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(TableExamples, train)
        targets = examples.targets().to_numpy().astype(np.float64)  # (N, M)
        mean = np.nanmean(targets, axis=0)
        # Squares of values near 1e-300 are 0. A power of two changes no digit of the others.
        power = np.exp2(np.frexp(np.nanmax(np.abs(targets - mean), axis=0))[1])
        std = power * np.nanstd((targets - mean) / power, axis=0)
        std = np.where(std > 0, std, 1.0)
        return cls(examples.target_names, tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def chance_loss(self) -> float | None:
        return 1.0  # the variance of standardised targets: what guessing the mean costs

    def encode(self, examples: Examples) -> Columns:
        """target (N, M) float64 in the targets' own units, NaN where unknown: exact, whatever their size."""
        targets = cast(TableExamples, examples).targets().to_numpy().astype(np.float64)
        return {"target": torch.from_numpy(np.ascontiguousarray(targets))}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        if len(self.target_names) > 1 and "target" in batch:
            batch["weight"] = (~batch["target"].isnan()).sum(dim=1).float()
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(len(self.target_names))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        outputs: Tensor = model(*arguments)
        return outputs  # (B, M) in standard deviations from the mean

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return squared_error_of_known(outputs, self.wanted(outputs, batch))

    def wanted(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(B, M) in standard deviations from the mean, NaN where unknown."""
        mean, std = (batch["target"].new_tensor(values) for values in (self.mean, self.std))
        return ((batch["target"] - mean) / std).to(outputs.dtype)


@final
@dataclass(frozen=True)
class NumberJudge(Judge):
    """The absolute error in the target's own unit; of several targets, the mean over the known ones in standard
    deviations, since their units differ."""

    can_average: ClassVar[bool] = True

    target_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, head: NumberHead) -> Self:
        return cls(head.target_names, head.mean, head.std)

    @property
    def error_unit(self) -> str | None:
        return "" if len(self.target_names) == 1 else "standard deviations"

    @property
    def error_name(self) -> str:
        return "mean absolute error"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        values = outputs.detach().double().cpu() * torch.tensor(self.std, dtype=torch.float64)
        return Predictions((values + torch.tensor(self.mean, dtype=torch.float64)).numpy())

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

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation) if len(self.target_names) == 1 else {}

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return dict.fromkeys(self.target_names, ())

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """Each in the targets' own units, and their mean in standard deviations again."""
        own = []
        for one, outputs in answers:
            exact = outputs.double()
            own.append(exact * exact.new_tensor(one.std) + exact.new_tensor(one.mean))
        mean, std = (own[0].new_tensor(values) for values in (self.mean, self.std))
        return (torch.stack(own).mean(dim=0) - mean) / std

    def plain_targets(self, columns: Columns) -> np.ndarray | None:
        """Of one number; several have no one answer that a reference could be compared by."""
        target = cast(Tensor, columns["target"]).cpu().numpy()  # (N, M)
        return target[:, 0] if target.shape[1] == 1 else None

    def from_plain(self, values: np.ndarray, columns: Columns) -> np.ndarray:
        return values[:, None]

    def less_is_better(self, measure: str) -> bool:
        return measure in LESS_IS_BETTER

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        if len(self.target_names) > 1:
            return {}
        from gnomon.figures.regression import draw_regression  # matplotlib is not on the way to the first step

        table = evaluation.table
        figure = draw_regression(table["target"].to_numpy(), table["prediction"].to_numpy(), name=self.target_names[0])
        return {"predicted against true": figure}
