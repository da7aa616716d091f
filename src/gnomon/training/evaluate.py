"""Judge a model on one split, batch by batch: what is kept is one row per example, never the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.task import Batch, Predictions, Task
from gnomon.data.columns import Columns, concatenate, length

CHUNK = 8192  # examples encoded at a time when a split is judged without being kept encoded
BATCH = 512  # examples a forward pass in evaluation; no gradients are kept, so more fit than in training


def encode_whole(task: Task, examples: Examples) -> Columns:
    """All examples encoded, inputs and targets, a chunk at a time into tensors allocated once."""
    total, whole, ragged = len(examples), dict[str, torch.Tensor](), list[Columns]()
    for start in range(0, total, CHUNK):
        chunk = _encode(task, examples.take(np.arange(start, min(start + CHUNK, total))))
        if total <= CHUNK:
            return chunk
        ragged.append({name: column for name, column in chunk.items() if not isinstance(column, torch.Tensor)})
        for name, column in chunk.items():
            if isinstance(column, torch.Tensor):
                if name not in whole:
                    whole[name] = torch.empty((total, *column.shape[1:]), dtype=column.dtype)
                whole[name][start : start + len(column)] = column
    return {**whole, **(concatenate(ragged) if ragged[0] else {})}


def _encode(task: Task, examples: Examples) -> Columns:
    return {**task.encode_inputs(examples), **task.encode_targets(examples)}


def evaluate(
    task: Task, model: nn.Module, examples: Examples, *, split: str, source: str, device: torch.device,
    columns: Columns | None = None,
) -> Evaluation:  # fmt: skip
    """One row per example of `examples`, which are already what the split is judged on (Task.judged).

    `columns` are the examples encoded beforehand; without them chunks are encoded on the way and dropped.
    """
    rows = _Rows(task)
    with judging(model):
        for batch in _batches(task, examples, columns, device):
            outputs = task.outputs(model, batch)
            rows.add(task.predict(model, outputs, batch), task.losses(outputs, batch), batch)
    table = rows.table(examples.index, source)
    return Evaluation(split=split, unit=task.error_unit, table=table, split_error=task.split_error(table))


def predict(task: Task, model: nn.Module, examples: Examples, *, device: torch.device) -> pl.DataFrame:
    """Columns id, prediction, confidence and what the task adds; targets are not looked at."""
    found: list[Predictions] = []
    with judging(model):
        for start in range(0, len(examples), CHUNK):
            chunk = task.encode_inputs(examples.take(np.arange(start, min(start + CHUNK, len(examples)))))
            for indices in torch.arange(length(chunk)).split(BATCH):
                batch = to_device(task.collate(chunk, indices), device)
                found.append(task.predict(model, task.outputs(model, batch), batch))
    return pl.DataFrame({"id": examples.index["id"], **_prediction_columns(task, found)})


@contextmanager
def judging(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the mode of before afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def to_device(batch: Batch, device: torch.device) -> Batch:
    if device.type == "cpu":
        return batch
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _batches(task: Task, examples: Examples, columns: Columns | None, device: torch.device) -> Iterator[Batch]:
    if columns is not None:
        for indices in torch.arange(length(columns)).split(BATCH):
            yield to_device(task.collate(columns, indices), device)
        return
    for start in range(0, len(examples), CHUNK):
        chunk = _encode(task, examples.take(np.arange(start, min(start + CHUNK, len(examples)))))
        for indices in torch.arange(length(chunk)).split(BATCH):
            yield to_device(task.collate(chunk, indices), device)


class _Rows:
    """What is kept of every batch while a split is judged."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.predictions: list[Predictions] = []
        self.targets: list[Sequence[Any] | np.ndarray] = []
        self.errors: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.losses: list[np.ndarray] = []

    def add(self, predictions: Predictions, losses: torch.Tensor, batch: Batch) -> None:
        size = len(losses)
        self.predictions.append(predictions)
        self.targets.append(self.task.targets(batch))
        self.errors.append(self.task.errors(predictions.values, batch))
        self.losses.append(losses.double().cpu().numpy())
        self.weights.append(batch["weight"].double().cpu().numpy() if "weight" in batch else np.ones(size))

    def table(self, index: pl.DataFrame, source: str) -> pl.DataFrame:
        found = _prediction_columns(self.task, self.predictions)
        extra = {name: column for name, column in found.items() if name not in ("prediction", "confidence")}
        return pl.DataFrame(
            {
                "id": index["id"],
                "source": pl.repeat(source, len(index), dtype=pl.String, eager=True),
                "target": self.task.describe(_joined(self.targets)),
                "prediction": found["prediction"],
                "error": np.concatenate(self.errors),
                "weight": np.concatenate(self.weights),
                "loss": np.concatenate(self.losses),
                "confidence": found["confidence"],
                "group": index["group"].cast(pl.String),
                **{name: index[name] for name in index.columns if name.startswith("tag.")},
                **extra,
            }
        )


def _prediction_columns(task: Task, found: Sequence[Predictions]) -> dict[str, pl.Series]:
    confidences = [predictions.confidence for predictions in found]
    total = sum(len(predictions.values) for predictions in found)
    confidence = (
        pl.repeat(None, total, dtype=pl.Float64, eager=True)
        if any(part is None for part in confidences)
        else pl.Series(np.concatenate([part for part in confidences if part is not None]).astype(np.float64))
    )
    columns = {
        "prediction": task.describe(_joined([predictions.values for predictions in found])),
        "confidence": confidence,
    }
    for name in found[0].columns if found else ():
        columns[name] = pl.Series(_joined([predictions.columns[name] for predictions in found]))
    return columns


def _joined(parts: Sequence[Sequence[Any] | np.ndarray]) -> Sequence[Any] | np.ndarray:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return [value for part in parts for value in part]
