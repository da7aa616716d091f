"""Evaluate a model on one split, batch by batch: one row per example is kept, never the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
import torch
from torch import nn

from gnomon.core.evaluation import Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import EACH, Batch, Predictions
from gnomon.core.task import Task
from gnomon.data.columns import Columns, InFiles, OnDemand, Ragged, Shared, concatenate, length
from gnomon.data.room import empty, is_short_for
from gnomon.training.encoded_before import Place, through_cache

CHUNK = 8192  # most examples encoded at a time
CHUNK_BYTES = 64 << 20  # most bytes of them (if one batch is larger: one batch)
BATCH = 512  # most examples per forward pass in evaluation; no gradients are kept, so more fit than in training
MOST_OUTPUT = 128 << 20  # most bytes of any layer's output in it; two or three are there at a time


def encode_whole(
    task: Task, examples: Examples, folder: Path | None = None, tell: Callable[[str], None] = lambda _text: None
) -> Columns:
    """All examples encoded, inputs and targets, chunk by chunk into tensors allocated once.

    With a `folder`, what would take more than half of the free memory goes into files, which the system reads as they
    are needed: inputs into the user's cache, to be reused when the same is encoded again, else into the folder, until
    the process ends. `tell` gets a sentence about it.
    """
    total = len(examples)
    if total <= BATCH:
        return _encode(task, examples)
    one = examples.take(np.arange(1))
    inputs, targets = task.encoder.encode(one), task.head.encode(one)  # no targets where they are the inputs
    sizes = [total * bytes_of(columns) for columns in (inputs, targets)]
    if task.encoder.is_quick and sum(sizes) > MOST_ENCODED:
        return OnDemand(total, lambda rows: _encode(task, examples.take(rows)))
    if folder is None or not is_short_for(sum(sizes)):
        if total <= CHUNK:
            return _encode(task, examples)
        found = _whole(task.head.encode, examples, empty) if targets else {}
        return {**_whole(task.encoder.encode, examples, empty), **found}

    def in_folder(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        return empty(shape, dtype, folder)

    kept = None
    if all(isinstance(column, torch.Tensor) for column in inputs.values()):
        kept = through_cache(task, examples, sizes[0], lambda place: _whole(task.encoder.encode, examples, place), tell)
    if kept is None:
        kept = _whole(task.encoder.encode, examples, in_folder)
    is_large = is_short_for(sizes[1])
    found = _whole(task.head.encode, examples, in_folder if is_large else empty) if targets else {}
    return InFiles({**kept, **found}, (*kept, *(found if is_large else ())), folder)


MOST_ENCODED = 128 << 20  # bytes of what is encoded as fast as it is read: more is encoded batch by batch


def bytes_of(columns: Columns) -> int:
    """Of the dense columns."""
    return sum(column.nbytes for column in columns.values() if isinstance(column, torch.Tensor))


def _whole(encode: Callable[[Examples], Columns], examples: Examples, place: Place) -> Columns:
    """All examples encoded, chunk by chunk; dense columns go into tensors from `place`."""
    total, done, whole, ragged = len(examples), 0, dict[str, torch.Tensor](), list[Columns]()
    for chunk in _chunks(encode, examples):
        ragged.append({name: column for name, column in chunk.items() if not isinstance(column, torch.Tensor)})
        for name, column in chunk.items():
            if isinstance(column, torch.Tensor):
                if name not in whole:
                    whole[name] = place((total, *column.shape[1:]), column.dtype)
                whole[name][done : done + len(column)] = column
        done += length(chunk)
        del chunk, column  # before the next one is made
    return {**whole, **(concatenate(ragged) if ragged[0] else {})}


def _chunks(encode: Callable[[Examples], Columns], examples: Examples) -> Iterator[Columns]:
    """The examples encoded, some thousands at a time, fewer of large ones; whole batches except in the last chunk."""
    each = bytes_of(encode(examples.take(np.arange(1)))) if len(examples) > BATCH else 0
    rows = min(CHUNK, max(BATCH, CHUNK_BYTES // max(each, 1) // BATCH * BATCH))
    for start in range(0, len(examples), rows):
        yield encode(examples.take(np.arange(start, min(start + rows, len(examples)))))


def _encode(task: Task, examples: Examples) -> Columns:
    return {**task.encoder.encode(examples), **task.head.encode(examples)}


@dataclass(frozen=True)
class Member:
    """One of several models that answer together, with its own facts."""

    task: Task
    model: nn.Module
    crops: int = 1  # views of each example whose answers are averaged (Encoding.views)

    def outputs(self, batch: Batch) -> Any:
        """What the model gives for a batch, over all its views: a forward pass each, one after the other."""
        if self.crops == 1:
            return self.task.outputs(self.model, batch)
        judge, views = self.task.judge, self.task.encoder.views(batch, self.crops)
        return judge.averaged([(judge, self.task.outputs(self.model, view)) for view in views])


def evaluate(
    task: Task, model: nn.Module, examples: Examples, *, split: str, source: str, device: torch.device,
    columns: Columns | None = None, thorough: bool = True,
) -> Evaluation:  # fmt: skip
    """One row per example of `examples`, which are already prepared for evaluation (Task.judged).

    `columns` are the examples encoded beforehand; without them chunks are encoded on the way and dropped. `source` is
    used for examples whose index has no source. If not `thorough`, the task may decode more cheaply.
    """
    decode = task.judge.predict if thorough else task.judge.predict_quickly
    rows = _Rows(task, len(examples))
    with judging(model):
        chunks = _chunks(lambda some: _encode(task, some), examples) if columns is None else iter([columns])
        for batch in _batches(task, model, chunks, device):
            outputs = task.outputs(model, batch)
            rows.add(decode(model, outputs, batch), task.losses(outputs, batch), batch)
    table = rows.table(examples.index, source)
    return Evaluation(split=split, unit=task.judge.error_unit, table=table, split_error=task.judge.split_error(table))


def evaluate_together(
    members: Sequence[Member], examples: Sequence[Examples], *, split: str, source: str, device: torch.device
) -> Evaluation:
    """As `evaluate`, of the mean of what the members say, each of the same examples as it reads them.

    Targets, losses and thresholds are those of the first.
    """
    task, model = members[0].task, members[0].model
    if _is_plain(members):
        return evaluate(task, model, examples[0], split=split, source=source, device=device)
    rows = _Rows(task, len(examples[0]))
    for outputs, batch in _together(members, examples, Task.encode, device):
        rows.add(task.judge.predict(model, outputs, batch), task.losses(outputs, batch), batch)
    table = rows.table(examples[0].index, source)
    return Evaluation(split=split, unit=task.judge.error_unit, table=table, split_error=task.judge.split_error(table))


def predict(task: Task, model: nn.Module, examples: Examples, *, device: torch.device) -> pl.DataFrame:
    """Columns id, prediction, confidence and what the task adds; targets are not used."""
    return predict_together([Member(task, model)], [examples], device=device)


def predict_together(
    members: Sequence[Member], examples: Sequence[Examples], *, device: torch.device
) -> pl.DataFrame:  # fmt: skip
    """As `predict`, of the mean of what the members say, each of the same inputs as it reads them."""
    task, model = members[0].task, members[0].model
    found = _Answers(task, len(examples[0]))
    for outputs, batch in outputs_together(members, examples, device=device):
        found.add(task.judge.predict(model, outputs, batch))
    return pl.DataFrame({"id": examples[0].index["id"], **found.columns()})


def outputs_together(
    members: Sequence[Member], examples: Sequence[Examples], *, device: torch.device
) -> Iterator[tuple[Any, Batch]]:
    """The mean of what the members give for each batch of inputs, as the first one's outputs, and its batch."""
    if not _is_plain(members):
        yield from _together(members, examples, lambda task, some: task.encoder.encode(some), device)
        return
    with judging(members[0].model):
        yield from outputs_of(members[0].task, members[0].model, examples[0], device=device)


def _is_plain(members: Sequence[Member]) -> bool:
    """Whether one model answers once, and there is nothing to average."""
    return len(members) == 1 and members[0].crops == 1


def _together(
    members: Sequence[Member], examples: Sequence[Examples], encode: Callable[[Task, Examples], Columns],
    device: torch.device,
) -> Iterator[tuple[Any, Batch]]:  # fmt: skip
    """Some examples at a time through every member, in batches of its own, and joined before they are averaged."""
    first = members[0].task
    for start in range(0, len(examples[0]), BATCH):
        rows = np.arange(start, min(start + BATCH, len(examples[0])))
        answers: list[tuple[Any, Any]] = []
        read: Columns = {}
        for one, part in zip(members, examples, strict=True):
            encoded = encode(one.task, part.take(rows))
            read = read or encoded
            with judging(one.model):
                batches = _batches(one.task, one.model, iter([encoded]), device, one.crops)
                parts = [one.outputs(batch) for batch in batches]
            judge = one.task.judge
            are_alike = isinstance(parts[0], torch.Tensor) and len({part.shape[1:] for part in parts}) == 1
            answers.append((judge, torch.cat(parts) if are_alike else judge.joined(parts)))
        yield first.judge.averaged(answers), first.batch(read, torch.arange(len(rows)), device)


def outputs_of(
    task: Task, model: nn.Module, examples: Examples, *, device: torch.device
) -> Iterator[tuple[Any, Batch]]:
    """What the model gives for each batch of inputs, to be iterated within `judging(model)`."""
    for batch in _batches(task, model, _chunks(task.encoder.encode, examples), device):
        yield task.outputs(model, batch), batch


@contextmanager
def judging(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the previous mode afterwards."""
    modes = {module: module.training for module in model.modules()}  # frozen parts are in evaluation mode anyway
    model.eval()
    try:
        with torch.no_grad():  # not inference_mode: a table that the model caches here must still serve training
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _batches(
    task: Task, model: nn.Module, chunks: Iterator[Columns], device: torch.device, crops: int = 1
) -> Iterator[Batch]:
    size = 0
    for chunk in chunks:
        if crops == 1:
            chunk = _shared_once(task, model, chunk, device)
        size = size or _batch_size(task, model, task.batch(chunk, _longest(chunk), device))
        for indices in torch.arange(length(chunk)).split(size):
            yield task.batch(chunk, indices, device)
        del chunk  # before the next one is made


def _shared_once(task: Task, model: nn.Module, columns: Columns, device: torch.device) -> Columns:
    """The columns with what the model gives for shared examples in their place, each computed once."""
    shared = {name: column for name, column in columns.items() if isinstance(column, Shared)}
    if not shared:
        return columns
    values, rows = {name: column.values for name, column in shared.items()}, next(iter(shared.values())).rows
    size = _batch_size(task, model, task.batch(values, torch.arange(1), device))
    batches = (task.batch(values, indices, device) for indices in torch.arange(length(values)).split(size))
    parts = [task.each(model, batch).cpu() for batch in batches]
    return {**{name: columns[name] for name in columns if name not in shared}, EACH: Shared(torch.cat(parts), rows)}


def _longest(columns: Columns) -> torch.Tensor:
    """(1,) the example whose ragged rows are the longest: for no other one do layers give more."""
    lengths = [column.offsets.diff() for column in columns.values() if isinstance(column, Ragged)]
    return torch.stack(lengths).sum(dim=0).argmax()[None] if lengths else torch.arange(1)


def _batch_size(task: Task, model: nn.Module, one: Batch) -> int:
    """BATCH, or the largest power of two with which no layer's output takes more than MOST_OUTPUT.

    From what the model gives for one example, not from the free memory: the same model always evaluates in the same
    batches.
    """
    if model not in _widest:
        sizes = [1]

        def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
            sizes.extend([output.nbytes] if isinstance(output, torch.Tensor) else [])

        handles = [module.register_forward_hook(look) for module in model.modules()]
        try:
            task.outputs(model, one)
        finally:
            for handle in handles:
                handle.remove()
        _widest[model] = max(sizes)
    rows = max(1, MOST_OUTPUT // _widest[model])
    return min(BATCH, 1 << rows.bit_length() - 1)


_widest: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # bytes of the largest output for one example


class _Joined:
    """Concatenated parts. Arrays go straight into one of N rows: thousands of small ones, kept while the large ones of
    every batch come and go, would fragment the heap so that later batches do not fit."""

    def __init__(self, total: int) -> None:
        self.total, self.filled = total, 0
        self.array: np.ndarray | None = None
        self.values: list[Any] = []

    def add(self, part: Sequence[Any] | np.ndarray) -> None:
        if not isinstance(part, np.ndarray):
            self.values.extend(part)
            return
        if self.array is None:
            self.array = np.empty((self.total, *part.shape[1:]), part.dtype)
        elif self.array.dtype != part.dtype:  # texts of other lengths, for example
            self.array = self.array.astype(np.result_type(self.array, part))
        self.array[self.filled : self.filled + len(part)] = part
        self.filled += len(part)

    def rows(self) -> Sequence[Any] | np.ndarray:
        return self.values if self.array is None else self.array[: self.filled]


class _Answers:
    """What is kept of each batch's predictions."""

    def __init__(self, task: Task, total: int) -> None:
        self.task, self.total = task, total
        self.values, self.confidence = _Joined(total), _Joined(total)
        self.has_confidence = True
        self.more: dict[str, _Joined] = {}

    def add(self, predictions: Predictions) -> None:
        self.values.add(predictions.values)
        if predictions.confidence is None:
            self.has_confidence = False
        else:
            self.confidence.add(predictions.confidence)
        for name, column in predictions.columns.items():
            self.more.setdefault(name, _Joined(self.total)).add(column)

    def columns(self) -> dict[str, pl.Series]:
        prediction = self.task.judge.describe(self.values.rows())
        confidence = (
            pl.Series(np.asarray(self.confidence.rows(), dtype=np.float64))
            if self.has_confidence
            else pl.repeat(None, len(prediction), dtype=pl.Float64, eager=True)
        )
        more = {name: pl.Series(column.rows()) for name, column in self.more.items()}
        return {"prediction": prediction, "confidence": confidence, **more}


class _Rows:
    """What is kept of each batch while a split is evaluated."""

    def __init__(self, task: Task, total: int) -> None:
        self.task = task
        self.answers = _Answers(task, total)
        self.targets, self.errors, self.weights, self.losses = (_Joined(total) for _ in range(4))

    def add(self, predictions: Predictions, losses: torch.Tensor, batch: Batch) -> None:
        self.answers.add(predictions)
        self.targets.add(self.task.judge.targets(batch))
        self.errors.add(self.task.judge.errors(predictions.values, batch))
        self.losses.add(losses.double().cpu().numpy())
        self.weights.add(batch["weight"].double().cpu().numpy() if "weight" in batch else np.ones(len(losses)))

    def table(self, index: pl.DataFrame, source: str) -> pl.DataFrame:
        found = self.answers.columns()
        extra = {name: column for name, column in found.items() if name not in ("prediction", "confidence")}
        return pl.DataFrame(
            {
                "id": index["id"],
                "source": index["source"]
                if "source" in index.columns
                else pl.repeat(source, len(index), dtype=pl.String, eager=True),
                "target": self.task.judge.describe(self.targets.rows()),
                "prediction": found["prediction"],
                "error": self.errors.rows(),
                "weight": self.weights.rows(),
                "loss": self.losses.rows(),
                "confidence": found["confidence"],
                "group": index["group"].cast(pl.String),
                **{name: index[name] for name in index.columns if name.startswith("tag.")},
                **extra,
            }
        )
