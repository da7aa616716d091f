"""Fill in the settings that are still unset: by task and data size, then the general defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnomon.core import found
from gnomon.core.augmentation import MIXES, NONE, parsed
from gnomon.core.errors import UsageError
from gnomon.core.knobs import MIXED_TARGETS, NEEDS
from gnomon.core.settings import Settings, fill, refuse_idle, with_values
from gnomon.core.task import Task
from gnomon.training.schedules import rate_table, warmup_of
from gnomon.workflow.road.facts import Fitted
from gnomon.workflow.road.onward import goes_on, recipe_onward
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.road.start import transfer_settings
from gnomon.workflow.road.words import with_learning

DEFAULTS: Mapping[str, Any] = {  # what neither the user nor the task sets
    "init.name": "he",
    "regularise.weight_decay": 0.0,
    "regularise.l2": 0.0,
    "regularise.label_smoothing": 0.0,
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
    """Data, task, and settings, all set except the number of threads."""

    prepared: Prepared
    task: Task
    settings: Settings
    given: frozenset[str]  # full keys the user gave


def fill_settings(fitted: Fitted, settings: Settings, given: frozenset[str] = frozenset()) -> Filled:
    """The settings filled in. Raises UsageError for an invalid table of rates."""
    prepared, task = fitted.prepared, fitted.task
    num_train = len(prepared.splits["train"])
    filled = fill(settings, {"task.name": task.name})
    start = fitted.start.settings
    if settings.model.name in (None, start.get("model.name")):
        filled = fill(filled, start)
    if filled.transfer.freeze == "auto":
        filled = with_values(filled, {"transfer.freeze": None})
    filled = with_learning(filled, num_train)
    by_task = recipe(task, filled, num_train)
    filled = fill(filled, {"model.name": by_task["model.name"]})
    start_with = recipe_onward(by_task) if goes_on(filled) else transfer_settings(filled, task, num_train)
    filled = fill(filled, {**DEFAULTS, **by_task, **start_with})
    if filled.transfer.weights is not None:
        filled = with_values(filled, {"transfer.weights": str(Path(filled.transfer.weights).absolute())})
    filled = fill(filled, {"schedule.warmup": warmup_of(filled.schedule)})
    if filled.schedule.name == "discrete":
        rate_table(filled.schedule)
    notes = task.encoder.cautions(filled.regularise, task.head)
    return Filled(replace(prepared, notes=(*prepared.notes, *notes)), task, filled, given)


def recipe(task: Task, settings: Settings, num_train: int) -> dict[str, Any]:
    """What the task, and the model family for its inputs, fill in for this many training examples (full keys)."""
    by_kind = task.kind.defaults(task, num_train)
    name = settings.model.name or by_kind.get("model.name", task.kind.model)
    family = found.family(name)
    takes = task.encoder.inputs.modality in family.takes  # where it does not, building the model says so
    by_family = family.defaults(name, task.encoder.inputs, num_train) if takes else {}
    return {**by_family, **by_kind, **task.kind.recipe(task, name, num_train), "model.name": name}


def refuse_idle_settings(filled: Filled) -> Filled:
    """As it came. Raises UsageError for a setting that the user gave and that would do nothing."""
    here = filled.task.here(filled.settings, len(filled.prepared.splits["train"]))
    refuse_idle(filled.given, here, filled.task.kind.title)
    mixes = [kind for kind in MIXES if kind in parsed(filled.settings.regularise.augment or NONE)]
    if mixes and MIXED_TARGETS not in here.abilities:
        raise UsageError(
            f"augment={filled.settings.regularise.augment}: {mixes[0]} {NEEDS[MIXED_TARGETS].removeprefix('it ')}; "
            f"this is {filled.task.kind.title}.",
            fix=f"leave {mixes[0]} out.",
        )
    return filled
