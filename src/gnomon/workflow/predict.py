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
    from collections.abc import Sequence

    from gnomon.core.example import Reading
    from gnomon.core.settings import Settings
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member


@dataclass(frozen=True)
class Answers:
    """One row per input (id, prediction, confidence, what the task adds), and the inputs that could not be read."""

    table: pl.DataFrame
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    alarms: tuple[str, ...] = ()  # why the answers are worth little


def answer(members: Sequence[Member], source: Any, settings: Settings) -> Answers:
    """Read `source` as the task reads inputs (targets are not needed) and predict it. Raises UsageError, DataError."""
    readings = _read(members, source, settings)
    inputs = [reading.splits["all"] for reading in readings]
    table = evaluate.predict_together(members, inputs, device=torch.device("cpu"))
    return Answers(table, readings[0].notes, readings[0].bad, readings[0].alarms)


def class_probabilities(members: Sequence[Member], source: Any, settings: Settings) -> np.ndarray:
    """(N, K) float64, in the order of `classes_of`. Raises UsageError where an example has no single class."""
    classes, judge = classes_of(members[0].task), members[0].task.judge
    inputs = [reading.splits["all"] for reading in _read(members, source, settings)]
    found, done = np.empty((len(inputs[0]), len(classes))), 0
    for outputs, _ in evaluate.outputs_together(members, inputs, device=torch.device("cpu")):
        part = judge.probabilities(outputs)
        assert part is not None  # `classes_of` has seen to that
        found[done : done + len(part)] = part.double().cpu().numpy()
        done += len(part)
    return found


def _read(members: Sequence[Member], source: Any, settings: Settings) -> list[Reading]:
    """The inputs as each member reads them."""
    opened = open_source(source, settings.runs_folder)
    return [one.task.reader.read_inputs(opened, settings.data, one.task.encoder) for one in members]


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
