"""Evaluate a model: its predictions on every open split, as one table each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.task import Task
from gnomon.data.columns import Columns
from gnomon.metrics import intervals
from gnomon.training.evaluate import evaluate
from gnomon.training.loop import Judged, split_error
from gnomon.training.state import TrainingState, load_model
from gnomon.workflow.road.build import Session
from gnomon.workflow.road.encode import Encoded, judged_splits
from gnomon.workflow.road.split import TRAIN_RUNG

REHEARSED = 16  # dev examples that are evaluated when the training has begun


@dataclass(frozen=True)
class Measured:
    """A trained system, and its evaluations."""

    session: Session  # its model has the weights of the best epoch
    state: TrainingState
    task: Task  # calibrated on dev
    examples: Mapping[str, Examples]  # that each split was evaluated on
    evaluations: Mapping[str, Evaluation]  # of the open splits; test stays sealed


def judge_splits(session: Session, state: TrainingState) -> Measured:
    """Every open split, measured with the weights of the best epoch."""
    load_model(session.model, state.best)
    examples = judged_splits(session, TRAIN_RUNG)
    task, evaluations = measured(session, session.model, examples)
    return Measured(session, state, task, examples, evaluations)


def measured(
    session: Session,
    model: nn.Module,
    examples: Mapping[str, Examples],
    columns: Mapping[str, Columns] | None = None,
    *,
    thorough: bool = True,
) -> tuple[Task, dict[str, Evaluation]]:
    """The task, calibrated on dev, and the evaluation of each of `examples` (by split; dev is among them).

    `columns`: those that are encoded already; the others are encoded on the way, a chunk at a time.
    """
    source = session.prepared.source.name
    target = session.settings.data.target_data
    names = {"train": source, "train_dev": source}
    judged_on = Path(target).stem if target else source

    def measure(task: Task, split: str) -> Evaluation:
        return evaluate(
            task, model, examples[split], split=split, source=names.get(split, judged_on), device=session.device,
            columns=(columns or {}).get(split), thorough=thorough,
        )  # fmt: skip

    dev = measure(session.task, "dev")
    is_final = thorough or session.task.judge.needs_calibration
    final = session.task.calibrate(dev) if is_final else session.task
    return final, {name: dev if name == "dev" and final == session.task else measure(final, name) for name in examples}


def rehearse(encoded: Encoded) -> None:
    """Evaluate a few dev examples, down to the metrics, and throw the answers away.

    So a fault in judging shows at the beginning of the training, not at its end. Weights, modes and random states stay.
    """
    session, dev = encoded.session, encoded.judged["dev"]
    few = dev.take(np.linspace(0, len(dev) - 1, min(REHEARSED, len(dev))).astype(np.int64))
    with torch.random.fork_rng(devices=[session.device] if session.device.type == "cuda" else []):
        task, evaluations = measured(session, session.model, {"dev": few})
    task.judge.metrics(evaluations["dev"])


def epoch_judge(encoded: Encoded) -> Callable[[nn.Module], Judged]:
    """A function that evaluates train (a sample), train-dev and dev for an epoch's row."""

    def judge(model: nn.Module) -> Judged:
        _, evaluations = measured(encoded.session, model, encoded.judged, encoded.judged_columns, thorough=False)
        errors = {name: split_error(evaluation) for name, evaluation in evaluations.items()}
        row: dict[str, Any] = {f"{name}_error": value for name, value in errors.items()}
        dev = evaluations["dev"]
        if dev.unit == SHARE and dev.split_error is None:  # cheap enough for every epoch
            interval = intervals.split_error(dev)
            row |= {"dev_low": interval.low, "dev_high": interval.high}
        remarks = encoded.session.task.judge.remarks(dev)
        row |= {"remarks": list(remarks)} if remarks else {}
        return Judged(errors["train"], errors["dev"], row)

    return judge
