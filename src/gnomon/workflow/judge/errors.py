"""errors: what the mistakes of a run have in common; tags of the machine's and of people's, out to CSV and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, GnomonError, UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.seeds import derive, generator
from gnomon.report.record import TagSheet
from gnomon.runs.folder import RunFolder
from gnomon.runs.spreadsheet import RAW, from_csv
from gnomon.runs.spreadsheet import to_csv as csv_of
from gnomon.runs.tags import Said, Saying, TagStore
from gnomon.runs.writer import write_bytes
from gnomon.strategy import error_rotated, error_tags
from gnomon.strategy.error_analysis import LABEL_WRONG, Errors, Tag, TagShare, errors_of, shares_of_errors
from gnomon.strategy.saved import from_json

if TYPE_CHECKING:
    from torch import nn

    from gnomon.core.example import Example, Examples
    from gnomon.core.task import Task
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.workflow.prepare import Prepared
    from gnomon.workflow.run import Run

SPLITS = ("dev", "train_dev", "train")  # test is for measuring: who reads its errors chooses by it
LOOKED = 600  # errors, and as many right examples, whose pictures or rows the machine looks at
REFERENCE = 600  # training examples that say what is usual
AUTO = "auto: "  # in front of the machine's tags in a CSV
FIXED = ("number", "id", "target", "prediction", "error", "confidence")  # columns of a CSV that are not read back
COMMENT = "comment"
YES, NO = {"1", "x", "yes", "true", "wahr"}, {"0", "no", "false", "falsch"}


@dataclass(frozen=True)
class Sheet:
    """One split of a run, ready for error analysis: N rows of its table, M of them errors."""

    folder: RunFolder
    split: str
    table: pl.DataFrame
    diagnosis: Diagnosis
    tags: tuple[Tag, ...]  # the machine's

    @cached_property
    def errors(self) -> Errors:
        return errors_of(self.table, self.error)

    @cached_property
    def error(self) -> float:
        """Of the split, as the ladder has it."""
        found = next((rung.error for rung in self.diagnosis.rungs if rung.name == self.split), None)
        return float(self.table["error"].mean() or 0.0) if found is None else found  # type: ignore[arg-type]

    @cached_property
    def order(self) -> np.ndarray:
        """(N,) positions: the errors in random order, so that the first m are a fair sample; then the right ones."""
        drawn = generator(0, "error analysis", self.split).permutation(len(self.table))
        wrong = self.errors.is_error[drawn]
        return np.concatenate([drawn[wrong], drawn[~wrong]])

    @cached_property
    def ids(self) -> list[str]:
        return [str(one) for one in self.table["id"].to_list()]

    def id_of(self, position: int) -> str:
        return str(self.table["id"][position])

    @cached_property
    def position_of(self) -> dict[str, int]:
        return {one: position for position, one in enumerate(self.ids)}


def open_sheet(folder: RunFolder, split: str = "dev") -> Sheet:
    """From the run's files alone, with the tags that its predictions give. Raises UsageError for a split without any.

    Needs neither the data nor torch.
    """
    if split not in SPLITS:
        raise UsageError(
            "the errors of test are not for looking at: what is chosen by them cannot be measured on them."
            if split == "test" else f"there is no split named {split!r}.",
            fix="look at dev.",
        )  # fmt: skip
    return sheet_of(folder, split, folder.load_predictions(split), from_json(folder.load_diagnosis()))


def sheet_of(folder: RunFolder, split: str, table: pl.DataFrame, diagnosis: Diagnosis) -> Sheet:
    """The sheet of these predictions, with the tags that they give."""
    evaluation = Evaluation(split, diagnosis.unit, table)
    tags = error_tags.from_predictions(evaluation, folder.load_data()["classes"].get("train", {}))
    tags += error_tags.from_copies(table, split, folder.load_leaks())
    return Sheet(folder, split, table, diagnosis, tuple(tags))


def open_data(run: Run, source: Any = None) -> Prepared:
    """The run's data, divided as it was. `source` is only needed for data that was in memory.

    Raises UsageError or DataError where it is not at hand, or no longer what it was.
    """
    from gnomon.workflow.fit import refuse_changes
    from gnomon.workflow.prepare import prepare, source_of

    source = source_of(
        run.folder.load_data(), source,
        in_memory="look at the table and its tags alone.", moved="put it back to see the examples.",
    )  # fmt: skip
    prepared = prepare(source, run.settings, type(run.task))
    refuse_changes(run.folder, prepared)
    return prepared


def judged_examples(run: Run, data: Prepared, split: str) -> Examples:
    """What the split was judged on, in the order of its table."""
    from gnomon.workflow.session import TRAIN_RUNG, train_sample

    part = data.splits[split]
    judged = train_sample(part, TRAIN_RUNG, run.settings.seed) if split == "train" else part
    return run.task.judged(judged, derive(run.settings.seed, "judged"))


def usual_examples(data: Prepared) -> Examples:
    """A sample of train to hold others against."""
    train = data.splits["train"]
    chosen = np.unique(np.linspace(0, len(train) - 1, min(REFERENCE, len(train))).astype(np.int64))
    return train.take(chosen)


def with_looks(
    sheet: Sheet, task: Task, examples: Examples, reference: Examples, model: nn.Module | None = None
) -> Sheet:
    """The sheet with the tags that pictures, rows and texts give, on a random part of errors and of right examples.

    With the model also what looks alike to it.
    """
    from gnomon.workflow.judge.embedding import embedding_of  # torch comes with it

    wrong, right = sheet.order[: sheet.errors.count], sheet.order[sheet.errors.count :]
    positions = np.sort(np.concatenate([wrong[:LOOKED], right[:LOOKED]]))
    here = [examples[int(position)] for position in positions]
    usual = [reference[position] for position in range(len(reference))]
    found: list[Tag] = []
    if here and all(isinstance(one.inputs, Mapping) for one in here):
        rows, usual_rows = [one.inputs for one in here], [one.inputs for one in usual]
        found = error_tags.from_rows(sheet.table, positions, rows, usual_rows)
    elif here:
        views, usual_views = [task.view(one) for one in here], [task.view(one) for one in usual]
        if all(view.image is not None for view in (*views, *usual_views)):
            found = _of_pictures(sheet, positions, [each.image for each in views if each.image is not None],
                                 usual, [each.image for each in usual_views if each.image is not None])  # fmt: skip
        elif any(view.text for view in views):
            texts, usual_texts = [view.text for view in views], [view.text for view in usual_views]
            found = error_tags.from_texts(sheet.table, positions, texts, usual_texts)
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
    classes, usual_classes = np.zeros(len(here)), np.zeros(len(there))  # one for all, where truths are no classes
    if sheet.table["target"].dtype == pl.String:
        classes = sheet.table["target"].to_numpy()[positions].astype(str)
        usual_classes = np.array([str(one.target) for one in usual])
    is_rotated = error_rotated.rotated(here, classes, there, usual_classes)
    return error_tags.from_pictures(sheet.table, positions, measured, known, is_rotated)


def tags_of_people(sheet: Sheet, store: TagStore) -> list[Tag]:
    """The tags that people made, and "label wrong"; a tag added midway knows only the rows looked at since."""
    return Marks(sheet, store.in_force(sheet.split)).tags(store.tags())


@final
class Marks:
    """What people said about the examples of a sheet, as arrays over its rows; grows with what is said."""

    def __init__(self, sheet: Sheet, said: Sequence[Said] = ()) -> None:
        self._sheet = sheet
        self._last = np.zeros(len(sheet.table), dtype=np.int64)  # when it was last looked at; 0: never
        self._marked: dict[str, np.ndarray] = {}
        self.comments: dict[int, str] = {}
        self.take(said)

    def take(self, said: Sequence[Said], instead_of: Sequence[str] = ()) -> list[int]:
        """Put `said` in the place of all that is known of the examples `instead_of`; returns their positions."""
        if not said and not instead_of:
            return []
        position_of = self._sheet.position_of  # costs something on a large sheet
        positions = [position_of[example] for example in instead_of if example in position_of]
        for position in positions:
            self._last[position] = 0
            self.comments.pop(position, None)
            for rows in self._marked.values():
                rows[position] = False
        for one in said:
            found = position_of.get(one.saying.example)
            if found is None or one.saying.kind == "review":  # who reviews a label does not look for tags
                continue
            self._last[found] = max(self._last[found], one.seq)
            if one.saying.kind == "comment" and one.saying.value:
                self.comments[found] = one.saying.value
            if one.saying.kind == "tag":
                rows = self._marked.setdefault(one.saying.tag, np.zeros(len(self._last), dtype=bool))
                rows[found] = one.saying.value == "1"
        return positions

    @property
    def looked(self) -> np.ndarray:
        """(N,) bool: anything was ever said about it, be it that there is nothing to say."""
        looked: np.ndarray = self._last > 0
        return looked

    def tags(self, began: Mapping[str, int]) -> list[Tag]:
        """The tags that began at these places; one added midway knows only the rows looked at since."""
        nothing = np.zeros(len(self._last), dtype=bool)
        return [
            Tag(name, "yours", self._marked.get(name, nothing), self._last >= max(start, 1),
                "The model need not be at fault." if name == LABEL_WRONG else "")
            for name, start in {LABEL_WRONG: 0, **began}.items()
        ]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What an error analysis found."""

    sheet: Sheet
    shares: tuple[TagShare, ...]
    note: str  # why the examples themselves were not looked at; "" if they were
    data: Prepared | None = None  # None where it is not at hand


def errors(run: Run, split: str = "dev", source: Any = None) -> Found:
    """The tags of a split's errors with their shares and ceilings, the highest ceiling first."""
    sheet, data, note = open_sheet(run.folder, split), None, ""
    try:
        data = open_data(run, source)
        sheet = with_looks(sheet, run.task, judged_examples(run, data, split), usual_examples(data), run.model)
    except (UsageError, DataError) as error:
        note = f"the examples themselves were not looked at: {error.what} {error.fix}"
    tags = [*sheet.tags, *tags_of_people(sheet, TagStore(run.path))]
    return Found(sheet, shares_of_errors(sheet.errors, tags), note, data)


# --- in the report ----------------------------------------------------------------------------------------------------
def tag_sheet(sheet: Sheet, store: TagStore) -> TagSheet:
    """What the report shows of it: the machine's tags, and those of people as they are now.

    A file of tags that cannot be read is said, and is no reason to have no report.
    """
    mine, looked, note = [], 0, ""
    try:
        marks = Marks(sheet, store.in_force(sheet.split))
        mine, looked = marks.tags(store.tags()), int((marks.looked & sheet.errors.is_error).sum())
    except GnomonError as error:
        note = f"The tags that people set are not in it: {store.path.name} {error.what}"
    if not looked:
        mine = []
    return TagSheet(
        sheet.split, sheet.error, len(sheet.table), sheet.errors.count, looked,
        shares=sorted(shares_of_errors(sheet.errors, [*sheet.tags, *mine]), key=lambda one: not one.is_telling),
        as_of=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC" if looked else "", note=note,
    )  # fmt: skip


def write_report(run: Run, found: Found) -> Path:
    """The run's report.html anew, with the tags of now; what was there is replaced when the new one is whole.

    Raises UsageError without the data: a page without its examples would take the place of one that shows them.
    """
    from gnomon import report
    from gnomon.workflow.judge.judge import report_record

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
    """Errors (or rows="right", "all") as CSV, in random order, a column a tag; returns how many.

    1 has it, 0 has not, blank: not looked at. Formulas are defused, but in a file that is called .raw.csv.
    """
    data, count = sheet_as_csv(sheet, store, rows=rows, raw=path.name.endswith(RAW))
    write_bytes(path, data)
    return count


def sheet_as_csv(
    sheet: Sheet, store: TagStore, *, rows: str = "errors", raw: bool = False
) -> tuple[bytes, int]:  # fmt: skip
    wrong = sheet.errors.count
    kept = {"errors": sheet.order[:wrong], "right": sheet.order[wrong:], "all": sheet.order}[rows]
    marks = Marks(sheet, store.in_force(sheet.split))
    mine = marks.tags(store.tags())
    columns = [*FIXED, *(tag.name for tag in mine), COMMENT, *(f"{AUTO}{tag.name}" for tag in sheet.tags)]
    lines = []
    for number, position in enumerate(kept, start=1):
        row = sheet.table.row(int(position), named=True)
        lines.append(
            {name: row[name] for name in FIXED[1:]}
            | {"number": number, COMMENT: marks.comments.get(int(position), "")}
            | {tag.name: _cell(tag, int(position)) for tag in mine}
            | {f"{AUTO}{tag.name}": _cell(tag, int(position)) for tag in sheet.tags}
        )
    return csv_of(columns, lines, raw=raw), len(lines)


def _cell(tag: Tag, position: int) -> int | None:
    if not tag.looked[position] and not tag.tagged[position]:
        return None
    return int(tag.tagged[position])


def read_sheet(sheet: Sheet, store: TagStore, path: Path, *, who: str = "command line") -> int:
    """Take tags, "label wrong" and comments from a CSV that `write_sheet` wrote and a person filled in.

    A column that is neither fixed nor the machine's is a tag: 1, x or yes has it, 0 or no has not, blank was not
    looked at. Only what differs from what is known is said. Returns how many cells changed. Raises DataError.
    """
    if not path.is_file():
        raise DataError("there is no such file.", where=str(path), fix="write one with out=errors.csv.")
    try:
        names, lines = from_csv(path.read_bytes(), raw=path.name.endswith(RAW))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read: {error}.", where=str(path), fix="save it as CSV in UTF-8.") from None
    marks = Marks(sheet, store.in_force(sheet.split))
    mine = {tag.name: tag for tag in marks.tags(store.tags())}
    tags = [name for name in names if name and name not in (*FIXED, COMMENT) and not name.startswith(AUTO)]
    new = [Saying("", "", "new", tag) for tag in tags if tag not in mine]
    sayings: list[Saying] = []
    for number, line in enumerate(lines, start=2):
        example = line["id"]
        if example not in sheet.position_of:
            raise DataError(
                f"the example {example!r} is not in {sheet.split} of this run.", where=f"{path}, row {number}",
                fix="read it into the run that it was written from.",
            )  # fmt: skip
        if line.get(COMMENT) and line[COMMENT] != marks.comments.get(sheet.position_of[example]):
            sayings.append(Saying(sheet.split, example, "comment", "", line[COMMENT]))
        for tag in tags:
            value = _mark(line[tag], f"{path}, row {number}, column {tag}")
            if value is not None and (tag not in mine or int(value) != _cell(mine[tag], sheet.position_of[example])):
                sayings.append(Saying(sheet.split, example, "tag", tag, value))
    if new or sayings:
        store.say([*new, *sayings], who)
    return len(sayings)


def _mark(cell: str, where: str) -> str | None:
    text = cell.strip().lower()
    if not text:
        return None
    if text in YES or text in NO:
        return "1" if text in YES else "0"
    raise DataError(f"{cell[:40]!r} is neither yes nor no.", where=where, fix="write 1, 0, or nothing.")
