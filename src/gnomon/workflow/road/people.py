"""The human level that a run is measured against: figures as given, or what people's answers to its examples say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnomon.metrics.intervals import Measured, measure
from gnomon.strategy.ladder import check_human
from gnomon.strategy.people import FEWEST_ANSWERS, check_answers, people, read_people

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.evaluation import Evaluation
    from gnomon.core.example import Examples
    from gnomon.core.settings import Settings
    from gnomon.core.task import Task
    from gnomon.metrics.interval import Interval

SCORED_ON = ("dev", "test", "train")  # the first of these that there is


def check_human_level(settings: Settings, task: Task, splits: Mapping[str, Examples]) -> None:
    """Before any training: raises UsageError for impossible figures, DataError for a table that cannot be scored."""
    human = settings.goal.human
    if isinstance(human, str):
        check_answers(read_people(Path(human)), splits["dev"].index["id"], classes=class_names(task))
    else:
        check_human(human or (), task.judge.error_unit)


def human_level(
    settings: Settings, task: Task, evaluations: Mapping[str, Evaluation]
) -> Sequence[float] | Measured | None:
    """The level that the settings give, answers scored on dev; where they give none, what several truths say.

    Raises DataError where the table is no longer there.
    """
    human = settings.goal.human
    if isinstance(human, str):
        return level_of(evaluations, read_people(Path(human)), class_names(task))
    judged = next((evaluations[name] for name in SCORED_ON if name in evaluations), None)
    found = None if human is not None or judged is None else task.judge.between_people(judged.table)
    if found is None or judged is None:
        return human
    return measure(replace(judged, table=found, split_error=None), seed=settings.seed)


def level_of(
    evaluations: Mapping[str, Evaluation], answers: pl.DataFrame | None, classes: Sequence[str] | None
) -> Measured | None:
    """The level of people who answered; None without answers, or without a split that has targets."""
    judged = next((evaluations[name] for name in SCORED_ON if name in evaluations), None)
    if answers is None or judged is None:
        return None
    return people(answers, judged, classes=classes).level


def people_cell(level: Sequence[float] | Measured | None) -> Interval | float | None:
    """The level for a table of several: with its interval where it rests on enough answers."""
    if level is None:
        return None
    if isinstance(level, Measured):
        return level.interval if level.examples >= FEWEST_ANSWERS else None
    return min(level, default=None)


def class_names(task: Task) -> tuple[str, ...] | None:
    """The names of the task's classes; None where an example has no single class."""
    number = task.judge.num_classes
    return None if number is None else tuple(map(str, task.judge.describe(np.arange(number)).to_list()))
