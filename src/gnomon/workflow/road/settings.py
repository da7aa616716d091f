"""Fill in the settings that are still open: by task and data size, then by what neither the user nor the task says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gnomon.core.settings import Settings, fill
from gnomon.core.task import Task
from gnomon.training.schedules import rate_table, warmup_of
from gnomon.workflow.road.facts import Fitted
from gnomon.workflow.road.split import Prepared

FULL_BATCH_BELOW = 2_000  # training examples
DEFAULTS: Mapping[str, Any] = {  # what neither the user nor the task says
    "model.activation": "relu",
    "model.normalisation": "none",
    "init.name": "he",
    "regularise.weight_decay": 0.0,
    "regularise.dropout": (),
    "regularise.augment": "none",
    "optimiser.name": "adam",
    "optimiser.learning_rate": 1e-3,
    "optimiser.batch_size": 64,
    "schedule.name": "cosine",
    "stop.epochs": 20,
    "machine.allocator": "system",
}


@dataclass(frozen=True)
class Filled:
    """Data, task, and settings of which none is open but the number of threads."""

    prepared: Prepared
    task: Task
    settings: Settings
    given: frozenset[str]  # full keys the user gave


def fill_settings(fitted: Fitted, settings: Settings, given: frozenset[str] = frozenset()) -> Filled:
    """The settings filled in. Raises UsageError for a table of rates that cannot be used."""
    prepared, task = fitted.prepared, fitted.task
    num_train = len(prepared.splits["train"])
    filled = fill(fill(settings, task.defaults(settings, num_train)), DEFAULTS)
    filled = fill(filled, {"task": task.name, "schedule.warmup": warmup_of(filled.schedule)})
    if filled.schedule.name == "discrete":
        rate_table(filled.schedule)
    prepared = replace(prepared, notes=(*prepared.notes, *_offers(filled, num_train)))
    return Filled(prepared, task, filled, given)


def _offers(settings: Settings, num_train: int) -> tuple[str, ...]:
    """Full-batch gradient descent is offered where it is cheap."""
    if num_train >= FULL_BATCH_BELOW or settings.optimiser.batch_size in (0, num_train):
        return ()
    return (f"{num_train:,} training examples are few enough for one batch an epoch, if you like: batch_size=0",)
