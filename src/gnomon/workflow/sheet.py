"""The sheet of a split's errors: its rows in a fair order, and the tags set automatically and by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np
import polars as pl

from gnomon.core.errors import GnomonError, UsageError
from gnomon.core.evaluation import Evaluation
from gnomon.core.seeds import generator
from gnomon.metrics import pair_table
from gnomon.report.record import TagSheet
from gnomon.runs.folder import RunFolder
from gnomon.runs.tags import RecordedEvent, TagStore
from gnomon.strategy import error_tags
from gnomon.strategy.error_analysis import LABEL_WRONG, Errors, Tag, errors_of, shares_of_errors
from gnomon.strategy.search_fault import SearchFault, fault_of, fault_text

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import Diagnosis

SPLITS = ("dev", "train_dev", "train")  # test is for measuring: looking at its errors would mean choosing by it


@dataclass(frozen=True)
class Sheet:
    """One split of a run, ready for error analysis: N rows of its table, M of them errors."""

    folder: RunFolder
    split: str
    table: pl.DataFrame
    diagnosis: Diagnosis
    tags: tuple[Tag, ...]  # the automatic ones

    @cached_property
    def errors(self) -> Errors:
        return errors_of(self.table, self.error)

    @cached_property
    def error(self) -> float:
        """Of the split, as on the ladder."""
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

    @cached_property
    def fault(self) -> SearchFault | None:
        """Of answers that are searched for: whether search or model is at fault; None of others."""
        if not pair_table.is_pairs(self.table):
            return None
        return fault_of(pair_table.read(self.table), groups=self.errors.groups)

    def id_of(self, position: int) -> str:
        return str(self.table["id"][position])

    @cached_property
    def position_of(self) -> dict[str, int]:
        return {one: position for position, one in enumerate(self.ids)}


def open_sheet(folder: RunFolder, split: str = "dev") -> Sheet:
    """From the run's files alone, with the tags from its predictions. Raises UsageError for a split without any.

    Needs neither the data nor torch.
    """
    if split not in SPLITS:
        raise UsageError(
            "errors on test are not shown: a choice based on them could no longer be measured on test."
            if split == "test" else f"unknown split {split!r}.",
            fix="use split=dev.",
        )  # fmt: skip
    return sheet_of(folder, split, folder.load_predictions(split), folder.load_diagnosis())


def sheet_of(folder: RunFolder, split: str, table: pl.DataFrame, diagnosis: Diagnosis) -> Sheet:
    """The sheet of these predictions, with the tags that follow from them."""
    evaluation = Evaluation(split, diagnosis.unit, table)
    tags = error_tags.from_predictions(evaluation, folder.load_data()["classes"].get("train", {}))
    tags += error_tags.from_copies(table, split, folder.load_leaks())
    return Sheet(folder, split, table, diagnosis, tuple(tags))


def tags_of_people(sheet: Sheet, store: TagStore) -> list[Tag]:
    """The tags that people made, and "label wrong"; a tag added midway knows only the rows looked at since."""
    return Marks(sheet, store.current(sheet.split)).tags(store.tags())


@final
class Marks:
    """What people entered about the examples of a sheet, as arrays over its rows; grows with every entry."""

    def __init__(self, sheet: Sheet, events: Sequence[RecordedEvent] = ()) -> None:
        self._sheet = sheet
        self._last = np.zeros(len(sheet.table), dtype=np.int64)  # when it was last reviewed; 0: never
        self._marked: dict[str, np.ndarray] = {}
        self.comments: dict[int, str] = {}
        self.take(events)

    def take(self, events: Sequence[RecordedEvent], instead_of: Sequence[str] = ()) -> list[int]:
        """Replace everything known about the examples `instead_of` with `events`; returns their positions."""
        if not events and not instead_of:
            return []
        position_of = self._sheet.position_of  # takes a while on a large sheet
        positions = [position_of[example] for example in instead_of if example in position_of]
        for position in positions:
            self._last[position] = 0
            self.comments.pop(position, None)
            for rows in self._marked.values():
                rows[position] = False
        for one in events:
            found = position_of.get(one.event.example)
            if found is None or one.event.kind == "review":  # reviewing a label does not mean looking for tags
                continue
            self._last[found] = max(self._last[found], one.seq)
            if one.event.kind == "comment" and one.event.value:
                self.comments[found] = one.event.value
            if one.event.kind == "tag":
                rows = self._marked.setdefault(one.event.tag, np.zeros(len(self._last), dtype=bool))
                rows[found] = one.event.value == "1"
        return positions

    @property
    def reviewed(self) -> np.ndarray:
        """(N,) bool: anything was ever entered for it, even that there is nothing to tag."""
        reviewed: np.ndarray = self._last > 0
        return reviewed

    def tags(self, began: Mapping[str, int]) -> list[Tag]:
        """The tags that started at these places; one added midway is known only for rows reviewed since."""
        nothing = np.zeros(len(self._last), dtype=bool)
        return [
            Tag(name, "yours", self._marked.get(name, nothing), self._last >= max(start, 1),
                "The model may not be at fault." if name == LABEL_WRONG else "")
            for name, start in {LABEL_WRONG: 0, **began}.items()
        ]  # fmt: skip


def tag_sheet(sheet: Sheet, store: TagStore) -> TagSheet:
    """What the report shows of it: automatic tags, and those of people as they are now.

    An unreadable file of tags is mentioned, and does not prevent the report.
    """
    mine, reviewed, note, costs = [], 0, "", {}
    try:
        costs = store.costs()
        marks = Marks(sheet, store.current(sheet.split))
        mine, reviewed = marks.tags(store.tags()), int((marks.reviewed & sheet.errors.is_error).sum())
    except GnomonError as error:
        note = f"Tags set by people are missing: {store.path.name} {error.what}"
    if not reviewed:
        mine = []
    if sheet.fault is not None:
        note = ". ".join(part for part in (fault_text(sheet.fault).capitalize(), note) if part)
    return TagSheet(
        sheet.split, sheet.error, len(sheet.table), sheet.errors.count, reviewed,
        shares=sorted(shares_of_errors(sheet.errors, [*sheet.tags, *mine], costs), key=lambda one: not one.is_specific),
        as_of=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC" if reviewed else "", note=note,
    )  # fmt: skip
