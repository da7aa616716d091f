"""Settings and models as a task has them: what is filled in, what acts, seen on the task's own sample data."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gnomon.checks.shapes_and_cost import LayerRow, layer_table, totals
from gnomon.core import found
from gnomon.core.craft import Craft
from gnomon.core.errors import UsageError
from gnomon.core.family import Family, PictureInputs, Usual, Wanted
from gnomon.core.knobs import Here, Knob
from gnomon.core.settings import SettingRow, Settings, from_flat, rows, value_of
from gnomon.training.weights import file_of
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
    """A model that may be chosen, and its size: for the pictures it was published for, or for a task's sample data.

    None where it is neither a net for pictures nor asked about with a task, and where the sample is too small for it.
    """

    name: str
    family: Family
    own: tuple[str, ...]  # its settings
    parameters: int | None = None
    multiply_adds: int | None = None  # of one example, forwards

    @property
    def usual(self) -> Usual | None:
        """What its size is for; None: a sample."""
        return self.family.usual.get(self.name)

    @property
    def weights(self) -> dict[str, bool]:
        """Packages that bring public weights of it, and whether they are installed."""
        return {one.package: file_of(one) is not None for one in self.family.weights if one.name == self.name}


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
    """Every model that may be chosen; with a task, those that take its inputs. Raises UsageError."""
    names = found.family_names()
    lines = [ModelLine(name, found.family(name), tuple(found.family(name).settings.model_fields)) for name in names]
    if task is None:
        return [line if line.usual is None else _as_published(line, line.usual) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        prepared, kind = _sample(task, folder), found.task(task)
        modality = prepared.task.from_train(prepared.splits["train"], Settings()).encoder.inputs.modality
        fitting = [line for line in lines if modality in line.family.takes and kind.head.wants in line.family.gives]
        return [_measured(line, prepared, task) for line in fitting]


def _as_published(line: ModelLine, usual: Usual) -> ModelLine:
    """Its size without its weights: torch's meta device has shapes alone."""
    inputs = PictureInputs(3, usual.side, usual.side, (0.5,) * 3, (0.5,) * 3)
    with torch.device("meta"):
        model = line.family.build(Wanted(line.name, inputs, line.family.settings(), (), usual.num_outputs))
        layers = layer_table(model, lambda net: net(torch.zeros(1, 3, usual.side, usual.side)), batch_size=1)
    return _with_size(line, layers)


def _with_size(line: ModelLine, layers: list[LayerRow]) -> ModelLine:
    whole = totals(layers)
    return replace(line, parameters=whole.parameters, multiply_adds=whole.multiply_adds)


def _measured(line: ModelLine, prepared: Prepared, task: str) -> ModelLine:
    if line.usual is not None:
        return _as_published(line, line.usual)
    try:
        layers = open_session(prepared, from_flat({"task": task, "model": line.name})).layers
    except UsageError:  # the sample is too small for it
        return line
    return _with_size(line, layers)


def _sample(task: str, folder: str) -> Prepared:
    source = found.task(task).reader.write_sample(Path(folder) / "sample", seed=0)
    return prepare(source, from_flat({"task": task}))
