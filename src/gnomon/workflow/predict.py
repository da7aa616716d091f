"""predict: a model on new inputs, read as its task reads them; answers as a table, and as a file."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from gnomon.core.augmentation import strengths
from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import STRUCTURED
from gnomon.core.example import BadInput
from gnomon.core.options import new_file, whole
from gnomon.core.settings import Settings, with_values
from gnomon.core.spreadsheet import safe_text
from gnomon.data.crops import COUNTS as CROPS
from gnomon.data.crops import MIRRORED
from gnomon.data.opening import open_source
from gnomon.data.trees import FolderTree
from gnomon.runs.writer import write_bytes, write_json
from gnomon.training import evaluate
from gnomon.workflow.drawn import draw_answers, require_pictures
from gnomon.workflow.own_files import file_name, write_new
from gnomon.workflow.tiles import predict_in_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnomon.core.example import Reading
    from gnomon.core.task import Task
    from gnomon.training.evaluate import Member


@dataclass(frozen=True)
class Answers:
    """One row per input (id, prediction, confidence, what the task adds), and the inputs that could not be read."""

    table: pl.DataFrame
    notes: tuple[str, ...]
    bad: tuple[BadInput, ...]
    alarms: tuple[str, ...] = ()  # why the answers are worth little
    drawn: tuple[Path, ...] = ()  # pictures with their answers drawn on them
    measures: tuple[str, ...] = ()  # columns of numbers that a person asks for first


@dataclass(frozen=True)
class Way:
    """How new inputs are answered, where there is a choice."""

    threshold: float | None = None  # in place of the run's own: the score from which a box is an answer
    tiles: bool = False  # large pictures piece by piece, as large as the model sees pictures in training
    folder: Path | None = None  # for pictures with their answers drawn on them
    asked: Mapping[str, Any] = field(default_factory=dict)  # settings of the task, in place of the run's own: beam


AS_IT_IS = Way()
ALL_PIXELS = 1 << 16  # pixels per side: no picture is larger


def answer(members: Sequence[Member], source: Any, settings: Sequence[Settings], way: Way = AS_IT_IS) -> Answers:
    """Read `source` as the task reads inputs (targets are not needed) and predict it: the mean of what members say.

    `settings`: those of each member's run. Raises UsageError, DataError.
    """
    if way.folder is not None:
        require_pictures(members[0].task)
    members = [_answering(one, way, own) for one, own in zip(members, settings, strict=True)]
    readings = _read(members, source, [_with_all_pixels(own) for own in settings] if way.tiles else settings)
    inputs = [reading.splits["all"] for reading in readings]
    if way.tiles:
        table = predict_in_tiles(members, inputs)
    else:
        table = evaluate.predict_together(members, inputs, device=torch.device("cpu"))
    notes, bad, alarms = (
        [one for reading in readings for one in getattr(reading, name)] for name in ("notes", "bad", "alarms")
    )
    alarms += mirror_alarms(members, settings)
    notes += list(members[0].task.judge.about_answers(table))
    drawn = () if way.folder is None else draw_answers(members[0].task, inputs[0], table, way.folder)
    once = [tuple(dict.fromkeys(some)) for some in (notes, bad, alarms)]
    return Answers(table, once[0], once[1], once[2], drawn, members[0].task.judge.measures)


def _with_all_pixels(settings: Settings) -> Settings:
    """So that large pictures are not shrunk while they are read."""
    return settings.model_copy(update={"data": settings.data.model_copy(update={"image_size": ALL_PIXELS})})


def _answering(member: Member, way: Way, settings: Settings) -> Member:
    """The member as people ask it. Raises UsageError for a threshold where its answers have none, and for settings that
    its answers do not depend on."""
    task, threshold = member.task, way.threshold
    judge: Any = task.judge
    for name, value in way.asked.items():
        if name not in judge.asked_with:
            raise UsageError(
                f"{name}= does nothing in gnomon predict of {task.kind.title}.", fix=f"leave {name} out."
            )  # fmt: skip
        chosen = with_values(settings, {f"task.{name}": value}).task.own[name]
        judge = replace(judge, **{name: chosen})
    if threshold is not None:
        if not hasattr(judge, "threshold"):
            raise UsageError(
                f"threshold= is for boxes with scores, and this run is {task.kind.title}.", fix="leave threshold out."
            )
        if not 0 < threshold <= 1:
            raise UsageError(f"threshold={threshold:g} is not above 0 and at most 1.", fix="write threshold=0.5.")
        judge = replace(judge, threshold=threshold)
    return replace(member, task=replace(task, judge=judge.answering()))


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
    may_be_text = members[0].task.reader.takes_texts
    opened = open_source(_files_of(source), settings[0].runs_folder, may_be_text=may_be_text)
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


def _files_of(source: Any) -> Any:
    """Of several paths, the files in those that are folders: a photo, and the frames of a clip."""
    if not isinstance(source, list | tuple) or not all(isinstance(part, str | os.PathLike) for part in source):
        return source
    found: list[str] = []
    for path in map(os.fsdecode, source):
        inside = len(source) > 1 and os.path.isdir(path)  # noqa: PTH112  Path refuses a text that is too long for a name
        found += [f"{path.rstrip('/')}/{file.name}" for file in FolderTree(path).files] if inside else [path]
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
    return new_file(out, (".csv", ".json", ".parquet"), "out=answers.csv")


def write_answers(answers: Answers, task: Task, out: Path) -> None:
    """CSV (texts that a spreadsheet would run as formulas get a '), Parquet or JSON, by the name's ending.

    Masks are PNG files in a folder beside it. Of boxes, CSV and Parquet have a row for each; JSON has one entry per
    input, also for those without any.
    """
    for name, content in task.judge.answer_files(answers.table).items():
        write_new(out.with_name(f"{out.stem}-masks"), file_name(name), ".png", content, "predict")
    ending = out.suffix.lower()
    if ending == ".json":
        write_json(out, as_plain(answers.table))
        return
    table = task.judge.answer_rows(answers.table)
    if ending == ".csv":
        texts = pl.col(pl.String).map_elements(safe_text, return_dtype=pl.String)
        write_bytes(out, table.with_columns(texts).write_csv().encode())
        return
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_bytes(out, buffer.getvalue())


def as_plain(table: pl.DataFrame) -> list[dict[str, Any]]:
    """A table of predictions as JSON values; boxes and other structures are lists, not texts."""
    rows = table.to_dicts()
    text = table["prediction"]
    if len(text) and text.dtype == pl.String and text.str.contains(STRUCTURED).all():
        for row in rows:
            row["prediction"] = json.loads(row["prediction"])
    if "n_best" in table.columns:
        rows = [{**row, "n_best": json.loads(row["n_best"])} for row in rows]
    return rows
