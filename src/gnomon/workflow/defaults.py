"""Settings and models as a task has them: what is filled in, what acts, seen on the task's own sample data."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gnomon.core import found
from gnomon.core.craft import Craft
from gnomon.core.errors import UsageError
from gnomon.core.family import Family
from gnomon.core.knobs import Here, Knob
from gnomon.core.settings import SettingRow, Settings, from_flat, rows, value_of
from gnomon.workflow import craft
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.split import Prepared
from gnomon.workflow.session import here_of, open_session


@dataclass(frozen=True)
class SettingLine:
    """A setting as a task and a model have it."""

    row: SettingRow
    value: Any  # filled in; the setting's default where no task was named
    idle: str  # why it does nothing here; "" where it does something


@dataclass(frozen=True)
class ModelLine:
    """A model that may be chosen, and its size for a task's sample data (None: no task, or too small a sample)."""

    name: str
    family: Family
    own: tuple[str, ...]  # its settings
    parameters: int | None = None
    multiply_adds: int | None = None  # of one example, forwards


def settings(task: str | None = None, model: str | None = None) -> list[SettingLine]:
    """Every setting, in the order of the page. With a task (and a model), or a craft, filled in. Raises UsageError."""
    if task is None:
        plain = Settings() if model is None else from_flat({"model": model})
        return [SettingLine(row, value_of(plain, row.key), "") for row in rows(plain)]
    kind = found.work(task)
    if isinstance(kind, Craft):
        with tempfile.TemporaryDirectory() as folder:
            here, filled = craft.filled_for_sample(kind, Path(folder) / "sample")
        return [
            SettingLine(row, value_of(filled, row.key), here.why_idle(knob)) for row, knob in _standing(here, filled)
        ]
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(_sample(task, folder), from_flat({"task": task, **({"model": model} if model else {})}))
    here, filled = here_of(session), session.settings
    return [SettingLine(row, value_of(filled, row.key), here.why_idle(row.knob)) for row in rows(filled)]


def _standing(here: Here, filled: Settings) -> list[tuple[SettingRow, Knob]]:
    """Each setting with its knob as it stands there."""
    table = {knob.key: knob for knob in here.knobs}
    return [(row, table[row.key]) for row in rows(filled)]


def models_of(task: str | None = None) -> list[ModelLine]:
    """Every model that may be chosen; with a task, those that take its inputs, with their size. Raises UsageError."""
    names = found.family_names()
    lines = [ModelLine(name, found.family(name), tuple(found.family(name).settings.model_fields)) for name in names]
    if task is None:
        return lines
    with tempfile.TemporaryDirectory() as folder:
        prepared, kind = _sample(task, folder), found.task(task)
        modality = prepared.task.from_train(prepared.splits["train"], Settings()).encoder.inputs.modality
        fitting = [line for line in lines if modality in line.family.takes and kind.head.wants in line.family.gives]
        return [_measured(line, prepared, task) for line in fitting]


def _measured(line: ModelLine, prepared: Prepared, task: str) -> ModelLine:
    try:
        layers = open_session(prepared, from_flat({"task": task, "model": line.name})).layers
    except UsageError:  # the sample is too small for it
        return line
    parameters, multiply_adds = sum(row.parameters for row in layers), sum(row.multiply_adds or 0 for row in layers)
    return replace(line, parameters=parameters, multiply_adds=multiply_adds)


def _sample(task: str, folder: str) -> Prepared:
    source = found.task(task).reader.write_sample(Path(folder) / "sample", seed=0)
    return prepare(source, from_flat({"task": task}))
