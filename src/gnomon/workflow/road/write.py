"""Write the results: model, predictions, outcome, diagnosis and report."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from torch import nn

from gnomon.checks.shapes_and_cost import LayerRow
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.training.state import own_tensors, tensors_to_bytes
from gnomon.workflow.road.judge import Measured

if TYPE_CHECKING:
    from gnomon.strategy.floor import Floor
    from gnomon.training.state import TrainingState
    from gnomon.workflow.road.build import Session
    from gnomon.workflow.run import Run


def write_run(found: Measured, floor: Floor | None, run: Run) -> None:
    """Write everything that is known after training into the run's folder."""
    session, state, folder = found.session, found.state, run.folder
    if floor is not None:
        folder.save_floor(floor)
    folder.save_model(model_files(*session.system(found.task), session.settings))
    for name, evaluation in found.evaluations.items():
        folder.save_predictions(name, evaluation.table)
    folder.save_outcome(outcome_of(session, state))
    evaluations = dict(found.evaluations)
    if "test" in folder.saved_predictions():  # a finished run, resumed: what was opened stays opened
        evaluations["test"] = run.evaluation("test")
    from gnomon.workflow.road.verdict import (
        judge_run,
    )  # half the strategy room: nothing to wait for before the first step

    judge_run(run, evaluations, examples=found.examples)


def outcome_of(session: Session, state: TrainingState) -> dict[str, Any]:
    """How the training went."""
    return {
        "seconds": time.monotonic() - session.started,
        "steps": state.counters.step,
        "best_epoch": state.counters.best_epoch + 1,
        "ended_because": state.counters.ended_because,
        "training_seconds": state.counters.seconds,
        "dev_looks": state.counters.looks,
        "layers": [layer_row(row) for row in session.layers],
    }


def model_files(task: Task, model: nn.Module, settings: Settings) -> dict[str, bytes]:
    """What is needed to predict: weights as safetensors, the task's facts as JSON."""
    about = {"task": task.name, "facts": task.facts(), "settings": settings.model_dump(mode="json")}
    return {
        "weights.safetensors": tensors_to_bytes(own_tensors(model)),
        "task.json": json.dumps(about, indent=1, ensure_ascii=False).encode(),
    }


def layer_row(row: LayerRow) -> dict[str, Any]:
    """A layer as plain values, as the run stores it and as it is shown."""
    return {
        "name": row.name,
        "kind": row.kind,
        "shape": " x ".join(map(str, row.output_shape)),
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "activation": row.activation_size,
    }
