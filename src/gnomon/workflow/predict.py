"""predict: a run's model on new inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from gnomon.core.example import BadInput
from gnomon.data.opening import open_source
from gnomon.training import evaluate

if TYPE_CHECKING:
    from gnomon.workflow.run import Run


@dataclass(frozen=True)
class Answers:
    """One row per input (id, prediction, confidence, what the task adds), and the inputs that could not be read."""

    table: pl.DataFrame
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]


def predict(run: Run, source: Any) -> Answers:
    """Read `source` as the run's task reads inputs (targets are not needed) and predict it."""
    reading = run.task.reader.read_inputs(
        open_source(source, run.settings.runs_folder), run.settings.data, run.task.encoder
    )
    table = evaluate.predict(run.task, run.model, reading.splits["all"], device=torch.device("cpu"))
    return Answers(table, reading.notes, reading.bad)
