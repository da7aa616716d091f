"""Fit what the task has to know about its data (class names, means, vocabulary) on train alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.strategy.ladder import check_human
from gnomon.workflow.road.split import Prepared


@dataclass(frozen=True)
class Fitted:
    """The split data, and the task fitted to it."""

    prepared: Prepared
    task: Task


def fit_facts(prepared: Prepared, settings: Settings) -> Fitted:
    """The task with its facts. Raises UsageError for a human-level error that is impossible in its unit."""
    train = prepared.splits["train"]
    task = prepared.task.from_train(train, settings)
    check_human(settings.goal.human or (), task.judge.error_unit)
    return Fitted(replace(prepared, notes=(*prepared.notes, *task.encoder.notes(train))), task)
