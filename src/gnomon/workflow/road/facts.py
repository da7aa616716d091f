"""Fit what the task has to know about its data (class names, means, vocabulary) on train alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gnomon.core.own import NO_OWN, Own, asked_for
from gnomon.core.settings import Settings
from gnomon.core.task import Task
from gnomon.workflow.road.onward import with_facts_before
from gnomon.workflow.road.people import check_human_level
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.road.start import Start, public_start


@dataclass(frozen=True)
class Fitted:
    """The split data, and the task fitted to it."""

    prepared: Prepared
    task: Task
    start: Start


def fit_facts(prepared: Prepared, settings: Settings, own: Own = NO_OWN) -> Fitted:
    """The task with its facts, and with the user's own loss and augmentation.

    Raises UsageError for a human-level error that is impossible in its unit, and for own parts that the settings name
    and that were not passed; DataError for a table of people's answers that does not fit.
    """
    missing = asked_for(settings, own, "pass it: gnomon.fit(data, {}); verbs that train more than once take none.")
    if missing is not None:
        raise missing
    train = prepared.splits["train"]
    start = public_start(settings, train, prepared.task)
    settings = start.for_facts(settings)
    fitted = with_facts_before(prepared.task.from_train(train, settings), settings)
    task = replace(fitted, loss=own.loss, augmentation=own.augmentation)
    check_human_level(settings, task, prepared.splits)
    notes = (*prepared.notes, *start.notes, *task.encoder.notes(train), *task.head.notes(train))
    return Fitted(replace(prepared, notes=notes), task, start)
