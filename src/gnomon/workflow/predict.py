"""predict: a model on new inputs, read as its task reads them; answers as a table, and as a file."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from gnomon.core.augmentation import strengths
from gnomon.core.errors import DataError, UsageError
from gnomon.core.example import BadInput
from gnomon.core.options import new_file, whole
from gnomon.core.spreadsheet import safe_text
from gnomon.data.crops import COUNTS as CROPS
from gnomon.data.crops import MIRRORED
from gnomon.data.opening import open_source
from gnomon.runs.writer import write_bytes
from gnomon.training import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnomon.core.example import Reading
    from gnomon.core.settings import Settings
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member


@dataclass(frozen=True)
class Answers:
    """One row per input (id, prediction, confidence, what the task adds), and the inputs that could not be read."""

    table: pl.DataFrame
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    alarms: tuple[str, ...] = ()  # why the answers are worth little


def answer(members: Sequence[Member], source: Any, settings: Sequence[Settings]) -> Answers:
    """Read `source` as the task reads inputs (targets are not needed) and predict it: the mean of what members say.

    `settings`: those of each member's run. Raises UsageError, DataError.
    """
    readings = _read(members, source, settings)
    inputs = [reading.splits["all"] for reading in readings]
    table = evaluate.predict_together(members, inputs, device=torch.device("cpu"))
    notes, bad, alarms = (
        [one for reading in readings for one in getattr(reading, name)] for name in ("notes", "bad", "alarms")
    )
    alarms += mirror_alarms(members, settings)
    return Answers(table, *(tuple(dict.fromkeys(some)) for some in (notes, bad, alarms)))


def class_probabilities(members: Sequence[Member], source: Any, settings: Sequence[Settings]) -> np.ndarray:
    """(N, K) float64, in the order of `classes_of`. Raises UsageError where an example has no single class."""
    classes, judge = classes_of(members[0].task), members[0].task.judge
    inputs = [reading.splits["all"] for reading in _read(members, source, settings)]
    found, done = np.empty((len(inputs[0]), len(classes))), 0
    for outputs, _ in evaluate.outputs_together(members, inputs, device=torch.device("cpu")):
        part = judge.probabilities(outputs)
        assert part is not None  # `classes_of` has seen to that
        found[done : done + len(part)] = part.double().cpu().numpy()
        done += len(part)
    return found


def _read(members: Sequence[Member], source: Any, settings: Sequence[Settings]) -> list[Reading]:
    """The inputs as each member reads them. Raises DataError if they do not all find the same examples."""
    opened = open_source(source, settings[0].runs_folder)
    found = [
        one.task.reader.read_inputs(opened, own.data, one.task.encoder)
        for one, own in zip(members, settings, strict=True)
    ]
    ids = [reading.splits["all"].index["id"] for reading in found]
    if any(len(one) != len(ids[0]) or one.to_list() != ids[0].to_list() for one in ids[1:]):
        counts = " and ".join(dict.fromkeys(f"{len(one):,}" for one in ids))
        raise DataError(
            f"the runs of this ensemble read different examples here: {counts}.", where=opened.origin,
            fix="see what each of them reads: gnomon predict RUN FILES, one run at a time.",
        )  # fmt: skip
    return found


def with_crops(members: Sequence[Member], crops: int | str) -> list[Member]:
    """The members, each looking at `crops` views of an example. Raises UsageError where there are no such views."""
    count = whole("crops", crops)
    return list(members) if count == 1 else [replace(one, crops=checked_crops(one.task, count)) for one in members]


def checked_crops(task: Task, crops: int | str) -> int:
    """Raises UsageError for a number of crops that there is not, or that these inputs cannot have."""
    count, known = whole("crops", crops), task.encoder.crops
    if count not in CROPS:
        raise UsageError(
            f"crops={count} is not one of {', '.join(map(str, CROPS))}.",
            fix="write crops=10: four corners and the centre, and their mirror images.",
        )
    if count not in known or (count > 1 and not task.judge.can_average):
        raise UsageError(
            f"crops={count} is for pictures with classes, and this run is {task.kind.title}.", fix="leave crops out."
        )
    return count


def mirror_alarms(members: Sequence[Member], settings: Sequence[Settings]) -> list[str]:
    """That mirror images are averaged which a model was not trained on: it may not know them at all."""
    for one, own in zip(members, settings, strict=True):
        if one.crops in MIRRORED and "mirror" not in strengths(own.regularise):
            what = f"crops={one.crops} averages mirror images, which this model was not trained on (augment=mirror)"
            return [f"{what}: answers may be far worse. crops=5 has none"]
    return []


def classes_of(task: Task) -> list[Any]:
    """The classes, of the type they were given as. Raises UsageError where an example has no single class."""
    num_classes = task.judge.num_classes
    if num_classes is None:
        raise UsageError(
            f"{task.kind.title} predicts {task.kind.target}, and probabilities are of one class per example.",
            fix="use predict.",
        )
    return task.judge.describe(np.arange(num_classes)).to_list()


def checked_out(out: str | Path) -> Path:
    """The new file for answers. Raises UsageError for one that is there, or a name with another ending."""
    return new_file(out, (".csv", ".parquet"), "out=answers.csv")


def write_answers(answers: Answers, out: Path) -> None:
    """CSV (texts that a spreadsheet would run as formulas get a ') or Parquet, by the name's ending."""
    if out.suffix.lower() == ".csv":
        texts = pl.col(pl.String).map_elements(safe_text, return_dtype=pl.String)
        write_bytes(out, answers.table.with_columns(texts).write_csv().encode())
        return
    buffer = io.BytesIO()
    answers.table.write_parquet(buffer)
    write_bytes(out, buffer.getvalue())
