"""predict: a model on new inputs, read as its task reads them; answers as a table, and as a file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from gnomon.core.errors import UsageError
from gnomon.core.example import BadInput
from gnomon.core.options import new_file
from gnomon.core.spreadsheet import safe_text
from gnomon.data.opening import open_source
from gnomon.runs.writer import write_bytes
from gnomon.training import evaluate

if TYPE_CHECKING:
    from torch import nn

    from gnomon.core.settings import Settings
    from gnomon.core.task import Task


@dataclass(frozen=True)
class Answers:
    """One row per input (id, prediction, confidence, what the task adds), and the inputs that could not be read."""

    table: pl.DataFrame
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    alarms: tuple[str, ...] = ()  # why the answers are worth little


def answer(task: Task, model: nn.Module, source: Any, settings: Settings) -> Answers:
    """Read `source` as the task reads inputs (targets are not needed) and predict it. Raises UsageError, DataError."""
    reading = task.reader.read_inputs(open_source(source, settings.runs_folder), settings.data, task.encoder)
    table = evaluate.predict(task, model, reading.splits["all"], device=torch.device("cpu"))
    return Answers(table, reading.notes, reading.bad, reading.alarms)


def class_probabilities(task: Task, model: nn.Module, source: Any, settings: Settings) -> np.ndarray:
    """(N, K) float64, in the order of `classes_of`. Raises UsageError where an example has no single class."""
    classes = classes_of(task)
    reading = task.reader.read_inputs(open_source(source, settings.runs_folder), settings.data, task.encoder)
    examples = reading.splits["all"]
    found, done = np.empty((len(examples), len(classes))), 0
    with evaluate.judging(model):
        for outputs, _ in evaluate.outputs_of(task, model, examples, device=torch.device("cpu")):
            part = task.judge.probabilities(outputs)
            assert part is not None  # `classes_of` has seen to that
            found[done : done + len(part)] = part.double().cpu().numpy()
            done += len(part)
    return found


def classes_of(task: Task) -> list[Any]:
    """The classes, of the type they were given as. Raises UsageError where an example has no single class."""
    num_classes = task.judge.num_classes
    if num_classes is None:
        raise UsageError(
            f"{task.kind.title} predicts {task.kind.target}, and probabilities are of one class per example.",
            fix="use predict.",
        )
    return task.judge.describe(np.arange(num_classes)).to_list()


def checked_out(out: str | Path) -> Path:
    """The new file for answers. Raises UsageError for one that is there, or a name with another ending."""
    return new_file(out, (".csv", ".parquet"), "out=answers.csv")


def write_answers(answers: Answers, out: Path) -> None:
    """CSV (texts that a spreadsheet would run as formulas get a ') or Parquet, by the name's ending."""
    if out.suffix.lower() == ".csv":
        texts = pl.col(pl.String).map_elements(safe_text, return_dtype=pl.String)
        write_bytes(out, answers.table.with_columns(texts).write_csv().encode())
        return
    buffer = io.BytesIO()
    answers.table.write_parquet(buffer)
    write_bytes(out, buffer.getvalue())
