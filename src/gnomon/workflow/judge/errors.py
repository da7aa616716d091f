"""errors: what the mistakes of a run have in common; tags set automatically and by people, out to CSV and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gnomon import report
from gnomon.core.errors import ArtefactError, DataError, UsageError
from gnomon.core.evaluation import is_structured
from gnomon.core.given import read_given
from gnomon.core.options import is_yes, new_file, one_of
from gnomon.core.seeds import derive
from gnomon.core.spreadsheet import RAW, from_csv
from gnomon.core.spreadsheet import to_csv as csv_of
from gnomon.data.series import as_numbers
from gnomon.metrics import box_table
from gnomon.runs.names import Place
from gnomon.runs.tags import MAX_TEXT, MOST_COST, TagEvent, TagStore, read_cost
from gnomon.runs.writer import write_bytes
from gnomon.strategy import box_errors, box_tags, error_rotated, error_tags, series_tags
from gnomon.strategy.error_analysis import Tag, TagShare, shares_of_errors
from gnomon.strategy.wording import split_name
from gnomon.workflow.prepare import prepare_again
from gnomon.workflow.road.report import report_record
from gnomon.workflow.road.split import TRAIN_RUNG, train_sample
from gnomon.workflow.run import Run, load
from gnomon.workflow.sheet import Marks, Sheet, open_sheet, tag_sheet, tags_of_people

if TYPE_CHECKING:
    from torch import nn

    from gnomon.core.example import Example, Examples
    from gnomon.core.parts import View
    from gnomon.core.task import Task
    from gnomon.workflow.road.split import Prepared

ROWS = ("errors", "right", "all")
LOOKED = 600  # errors, and as many right examples, whose pictures, rows or texts are examined
REFERENCE = 600  # training examples that define what is usual
WITH_COST = re.compile(r"(?P<name>.+) \[cost (?P<cost>[^\]]+)\]")  # the head of a tag's column in a CSV
AUTO = "auto: "  # prefix of automatic tags in a CSV
FIXED = ("number", "id", "target", "prediction", "error", "confidence")  # columns of a CSV that are not read back
COMMENT = "comment"
YES, NO = {"1", "x", "yes", "true", "wahr"}, {"0", "no", "false", "falsch"}


def open_data(run: Run, source: Any = None) -> Prepared:
    """The run's data, split as it was. `source` is only needed for data that was in memory.

    Raises UsageError or DataError if it is not available, or has changed.
    """
    return prepare_again(
        run.folder, source, run.settings, run.task.kind,
        in_memory="look at the table and its tags alone.", moved="put it back to see the examples.",
    )  # fmt: skip


def judged_examples(run: Run, data: Prepared, split: str) -> Examples:
    """What the split was evaluated on, in the order of its table."""
    part = data.splits.get(split)
    if part is None:
        raise ArtefactError(
            f"its settings give no {split_name(split)} split, and there are predictions of one.",
            where=str(run.path), fix="restore settings.toml from a copy, or repeat the run.",
        )  # fmt: skip
    if data.folds and split in ("train", "dev"):
        from gnomon.workflow.road.encode import joined_parts, judged_by_folds  # imports torch

        parts = judged_by_folds(data, run.task.judge, split, run.settings.seed)
        return joined_parts(parts, data.splits["train"])
    judged = train_sample(part, TRAIN_RUNG, run.settings.seed) if split == "train" else part
    return run.task.judge.judged(judged, derive(run.settings.seed, "judged"))


def usual_examples(data: Prepared) -> Examples:
    """A sample of train to compare others with."""
    train = data.splits["train"]
    chosen = np.unique(np.linspace(0, len(train) - 1, min(REFERENCE, len(train))).astype(np.int64))
    return train.take(chosen)


def with_looks(
    sheet: Sheet, task: Task, examples: Examples, reference: Examples, model: nn.Module | None = None
) -> Sheet:
    """The sheet with the tags from pictures, rows and texts, for a random part of errors and of right examples.

    With the model, also look-alikes.
    """
    from gnomon.workflow.judge.embedding import embedding_of  # imports torch

    wrong, right = sheet.order[: sheet.errors.count], sheet.order[sheet.errors.count :]
    positions = np.sort(np.concatenate([wrong[:LOOKED], right[:LOOKED]]))
    here = [examples[int(position)] for position in positions]
    usual = [reference[position] for position in range(len(reference))]
    found: list[Tag] = []
    if here and all(isinstance(one.inputs, Mapping) for one in here):
        rows, usual_rows = [one.inputs for one in here], [one.inputs for one in usual]
        found = error_tags.from_rows(sheet.table, positions, rows, usual_rows)
    elif here and task.kind.modality == "series":
        series, usual_series = ([as_numbers(one.inputs).to_numpy() for one in each] for each in (here, usual))
        found = series_tags.from_series(sheet.table, positions, series, usual_series)
    elif here:
        views, usual_views = [task.reader.view(one) for one in here], [task.reader.view(one) for one in usual]
        if task.kind.has_pictures and all(view.image is not None for view in (*views, *usual_views)):
            found = _of_pictures(sheet, positions, [each.image for each in views if each.image is not None],
                                 usual, [each.image for each in usual_views if each.image is not None])  # fmt: skip
            if box_table.is_boxes(sheet.table) and "threshold" in sheet.table.columns:
                found += _of_objects(sheet, positions, views, usual_views)
        elif all(isinstance(one.inputs, str) for one in here):
            texts, usual_texts = [view.text for view in views], [view.text for view in usual_views]
            unknown = task.encoder.has_unknown(examples.take(positions)) if texts else None
            found = error_tags.from_texts(sheet.table, positions, texts, usual_texts, unknown)
    embedding = embedding_of(task, model, examples.take(positions)) if model is not None else None
    if embedding is not None:
        found = [*found, *error_tags.from_embedding(sheet.table, positions, embedding)]
    return replace(sheet, tags=(*sheet.tags, *found))


def _of_pictures(
    sheet: Sheet, positions: np.ndarray, pictures: Sequence[np.ndarray], usual: Sequence[Example],
    usual_pictures: Sequence[np.ndarray],
) -> list[Tag]:  # fmt: skip
    measured, known = ([error_tags.measure_picture(one) for one in each] for each in (pictures, usual_pictures))
    here, there = (
        np.array([error_rotated.small(error_tags.gray_of(one)) for one in each]) for each in (pictures, usual_pictures)
    )
    classes, usual_classes = np.zeros(len(here)), np.zeros(len(there))  # one class for all if targets are not classes
    kind = sheet.table["target"].dtype
    if not is_structured(sheet.table) and (kind in (pl.String, pl.Boolean) or kind.is_integer()):
        classes = sheet.table["target"].cast(pl.String).to_numpy()[positions].astype(str)
        usual_classes = np.array([str(one.target) for one in usual])
    is_rotated = error_rotated.rotated(here, classes, there, usual_classes)
    return error_tags.from_pictures(sheet.table, positions, measured, known, is_rotated)


def _of_objects(sheet: Sheet, positions: np.ndarray, views: Sequence[View], usual_views: Sequence[View]) -> list[Tag]:
    """Objects that are dark for a training object, in the pictures that are looked at."""
    found = box_errors.find_errors(box_table.read(sheet.table))
    truths, sizes = found.table.truths, found.table.sizes
    brightness = np.full(len(truths.label), np.nan)
    for position, view in zip(positions, views, strict=True):
        here = np.flatnonzero(truths.picture == position)
        gray = error_tags.gray_of(np.asarray(view.image))
        kept = gray.shape[1] / sizes[position, 0]  # of the pixels: large pictures are kept smaller
        brightness[here] = box_tags.brightness_of(gray, truths.boxes[here] * kept)
    usual = [
        box_tags.brightness_of(error_tags.gray_of(view.image), view.boxes)
        for view in usual_views
        if view.image is not None and view.boxes is not None
    ]
    return box_tags.of_brightness(found, brightness, np.concatenate(usual) if usual else np.zeros(0))


@dataclass(frozen=True)
class Found:
    """The result of an error analysis."""

    sheet: Sheet
    shares: tuple[TagShare, ...]
    note: str  # why the examples themselves were not examined; "" if they were
    data: Prepared | None = None  # None if it is not available
    changed: int | None = None  # cells of `tags` that differed and were taken over
    out: Path | None = None
    written: int = 0  # rows in it
    report: Path | None = None


def errors(
    run: Place,
    split: str = "dev",
    source: Any = None,
    *,
    out: str | Path | None = None,
    rows: str = "errors",
    tags: str | Path | None = None,
    cost: Mapping[str, float | str] | str | None = None,
    report: bool | str = False,
) -> Found:
    """The tags of a split's errors with their shares and ceilings, highest ceiling per cost of fixing first.

    `source` is needed for data that was in memory. `out`: a new CSV with the errors, or with rows="right" or "all", one
    column per tag. `tags`: such a CSV with tags of people, read back in first. `cost`: what fixing a tag costs, in any
    unit, as {"blurred picture": 3} or "blurred picture=3; rare class=0.5"; it is kept with the run, and is 1 for other
    tags. `report`: write the run's report.html again with the current tags. Raises UsageError, DataError,
    ArtefactError.
    """
    split, rows = split.replace("-", "_"), one_of("rows", rows, ROWS)
    place = None if out is None else new_file(out, (".csv",), "out=errors.csv")
    has_report, run = is_yes("report", report), load(run)
    store = TagStore(run.path)
    changed = None if tags is None else read_sheet(open_sheet(run.folder, split), store, Path(tags))
    set_costs(store, _costs(cost), who="command line")
    found = replace(_found(run, split, source), changed=changed)
    if place is not None:
        found = replace(found, out=place, written=write_sheet(found.sheet, store, place, rows=rows))
    return replace(found, report=write_report(run, found)) if has_report else found


def _costs(given: Mapping[str, float | str] | str | None) -> dict[str, float]:
    """Raises UsageError for what is no cost."""
    pairs = [one.rpartition("=")[::2] for one in given.split(";") if one.strip()] if isinstance(given, str) else given
    found = {}
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs or ():
        cost = read_cost(str(value))
        if cost is None or not name.strip():
            raise UsageError(
                f"{value!r} is not a cost of fixing {name.strip()!r}.",
                fix=f"give a number above 0 and up to {MOST_COST:,.0f}, as in cost='blurred picture=3'.",
            )
        found[name.strip()] = cost
    return found


def set_costs(store: TagStore, costs: Mapping[str, float], *, who: str) -> int:
    """Record those that are new; returns how many."""
    known = store.costs() if costs else {}
    events = [TagEvent("", "", "cost", name, f"{cost:g}") for name, cost in costs.items() if known.get(name) != cost]
    if events:
        store.record(events, who)
    return len(events)


def _found(run: Run, split: str, source: Any) -> Found:
    sheet, data, note = open_sheet(run.folder, split), None, ""
    try:
        data = open_data(run, source)
        sheet = with_looks(sheet, run.task, judged_examples(run, data, split), usual_examples(data), run.models[0])
    except (UsageError, DataError) as error:
        note = f"the examples themselves were not examined: {error.what} {error.fix}"
    tags = [*sheet.tags, *tags_of_people(sheet, TagStore(run.path))]
    return Found(sheet, shares_of_errors(sheet.errors, tags, TagStore(run.path).costs()), note, data)


# --- in the report ----------------------------------------------------------------------------------------------------


def write_report(run: Run, found: Found) -> Path:
    """The run's report.html rewritten with the current tags; the old page is replaced once the new one is complete.

    Raises UsageError without the data: the old page shows examples, and the new one could not.
    """
    if found.data is None:
        raise UsageError(f"the report shows examples, and {found.note}", fix="leave report=yes out until then.")
    evaluations = run.evaluations()
    examples = {split: judged_examples(run, found.data, split) for split in evaluations}
    record = report_record(run, evaluations, run.diagnosis, examples)
    page = report.build(replace(record, tag_sheet=tag_sheet(found.sheet, TagStore(run.path))))
    with run.folder.lock():
        return run.folder.save_report(page)


# --- out to CSV and back ----------------------------------------------------------------------------------------------
def write_sheet(sheet: Sheet, store: TagStore, path: Path, *, rows: str = "errors") -> int:
    """Errors (or rows="right", "all") as CSV, in random order, one column per tag; returns how many.

    1 has the tag, 0 has not, blank: not reviewed. Formulas are defused, except in a file named .raw.csv.
    """
    data, count = sheet_as_csv(sheet, store, rows=rows, raw=path.name.endswith(RAW))
    write_bytes(path, data)
    return count


def sheet_as_csv(
    sheet: Sheet, store: TagStore, *, rows: str = "errors", raw: bool = False
) -> tuple[bytes, int]:  # fmt: skip
    wrong = sheet.errors.count
    kept = {"errors": sheet.order[:wrong], "right": sheet.order[wrong:], "all": sheet.order}[rows]
    marks = Marks(sheet, store.current(sheet.split))
    costs = store.costs()
    mine, machine = (
        _by_gain_per_cost(sheet, tags, costs) for tags in (marks.tags(store.tags()), list(sheet.tags))
    )  # fmt: skip
    head = {
        tag.name: tag.name + (f" [cost {costs[tag.name]:g}]" if tag.name in costs else "") for tag in (*mine, *machine)
    }
    columns = [*FIXED, *(head[tag.name] for tag in mine), COMMENT, *(f"{AUTO}{head[tag.name]}" for tag in machine)]
    lines = []
    for number, position in enumerate(kept, start=1):
        row = sheet.table.row(int(position), named=True)
        lines.append(
            {name: row[name] for name in FIXED[1:]}
            | {"number": number, COMMENT: marks.comments.get(int(position), "")}
            | {head[tag.name]: _cell(tag, int(position)) for tag in mine}
            | {f"{AUTO}{head[tag.name]}": _cell(tag, int(position)) for tag in machine}
        )
    return csv_of(columns, lines, raw=raw), len(lines)


def _by_gain_per_cost(sheet: Sheet, tags: Sequence[Tag], costs: Mapping[str, float]) -> list[Tag]:
    """Those that are worth most for what they cost first; without any cost, as they are."""
    if not costs:
        return list(tags)
    place = {one.name: number for number, one in enumerate(shares_of_errors(sheet.errors, tags, costs))}
    return sorted(tags, key=lambda tag: place.get(tag.name, len(place)))


def _cell(tag: Tag, position: int) -> int | None:
    if not tag.reviewed[position] and not tag.tagged[position]:
        return None
    return int(tag.tagged[position])


def read_sheet(sheet: Sheet, store: TagStore, path: Path, *, who: str = "command line") -> int:
    """Import tags, "label wrong" and comments from a CSV that `write_sheet` wrote and a person filled in.

    A column that is neither fixed nor automatic is a tag: 1, x or yes has it, 0 or no has not, blank was not reviewed.
    `NAME [cost 3]` at the head of a column says what fixing the tag costs.
    Only changes are recorded. Returns how many cells changed. Raises DataError.
    """
    missing = DataError("there is no such file.", where=str(path), fix="write one with out=errors.csv.")
    data = read_given(path, missing=missing)
    try:
        names, lines = from_csv(data, raw=path.name.endswith(RAW))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read: {error}.", where=str(path), fix="save it as CSV in UTF-8.") from None
    heads = {name: WITH_COST.fullmatch(name.removeprefix(AUTO)) for name in names}
    costs = {found["name"]: found["cost"] for found in heads.values() if found}
    bare = {name: found["name"] for name, found in heads.items() if found and not name.startswith(AUTO)}
    names = [bare.get(name, name) for name in names]
    lines = [{bare.get(name, name): cell for name, cell in line.items()} for line in lines]
    marks = Marks(sheet, store.current(sheet.split))
    mine = {tag.name: tag for tag in marks.tags(store.tags())}
    tags = [name for name in names if name and name not in (*FIXED, COMMENT) and not name.startswith(AUTO)]
    new = [TagEvent("", "", "new", tag) for tag in tags if tag not in mine]
    events: list[TagEvent] = []
    for number, line in enumerate(lines, start=2):
        example = line["id"]
        if example not in sheet.position_of:
            raise DataError(
                f"the example {example!r} is not in {sheet.split} of this run.", where=f"{path}, row {number}",
                fix="import it into the run that it was written from.",
            )  # fmt: skip
        if line.get(COMMENT) and line[COMMENT] != marks.comments.get(sheet.position_of[example]):
            events.append(TagEvent(sheet.split, example, "comment", "", line[COMMENT]))
        for tag in tags:
            value = _mark(line[tag], f"{path}, row {number}, column {tag}")
            if value is not None and (tag not in mine or int(value) != _cell(mine[tag], sheet.position_of[example])):
                events.append(TagEvent(sheet.split, example, "tag", tag, value))
    for one in (*new, *events):
        if max(len(one.tag), len(one.value)) > MAX_TEXT:
            what = (
                f"a tag or comment has at most {MAX_TEXT:,} characters; that of {one.example or 'a column'} has more."
            )
            raise DataError(what, where=str(path), fix="shorten it.")
    if new or events:
        store.record([*new, *events], who)
    return len(events) + set_costs(store, _costs(costs), who=who)


def _mark(cell: str, where: str) -> str | None:
    text = cell.strip().lower()
    if not text:
        return None
    if text in YES or text in NO:
        return "1" if text in YES else "0"
    raise DataError(f"{cell[:40]!r} is neither yes nor no.", where=where, fix="write 1, 0, or nothing.")
