"""A table as the rest of gnomon sees it: typed columns, the line of every row, and what a person should know."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.source import display_name, first_names, look_alike
from gnomon.data.tables.kinds import Decision, Doubt, Kind, Role, near_twins
from gnomon.data.tables.raw import quoted

USUAL_TARGETS = ("target", "label", "class", "y")  # the target if exactly one column has such a name
INDEX_NAMES = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)?")  # what pandas calls an index in a file
MOST_NOTES = 50  # about single columns of a table
SEVERAL_TARGETS = "target_"  # otherwise, all columns whose names start with this are the targets


@dataclass(frozen=True, eq=False)
class Table:
    """Typed columns, N rows.

    Whole numbers are Int8 .. Int64, other numbers Float32 or Float64, booleans Boolean, dates Date or Datetime, text
    Enum (up to MAX_CATEGORIES distinct ones, sorted) or String; null is missing.
    """

    frame: pl.DataFrame
    lines: (
        np.ndarray
    )  # (N,) uint32: the line of the file a row starts on; the row's number from 1 if there are no lines
    unit: str  # what `lines` counts: "line" or "row"
    origin: str  # for messages
    kinds: Mapping[str, Kind]
    notes: tuple[str, ...] = ()
    doubts: Mapping[str, Doubt] = field(default_factory=dict)  # text columns that are nearly numbers
    numbers: Mapping[str, Kind] = field(default_factory=dict)  # class targets that could be read as numbers

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, rows: Sequence[int] | np.ndarray) -> str:
        """`lines 4, 9, 12 and 3 more` for some rows (positions from 0)."""
        shown = ", ".join(str(int(self.lines[row])) for row in rows[:5])
        more = f" and {len(rows) - 5:,} more" if len(rows) > 5 else ""
        return f"{self.unit}{'s' if len(rows) > 1 else ''} {shown}{more}"


def target_names(names: Sequence[str], settings: DataSettings) -> tuple[str, ...]:
    """The columns to predict: as set; or the one called target, label, class or y; or all called target_... ; or ()."""
    if settings.target is not None:
        return settings.target
    usual = [name for name in names if name.strip().lower() in USUAL_TARGETS]
    several = [name for name in names if name.strip().lower().startswith(SEVERAL_TARGETS)]
    if usual:
        return (usual[0],) if len(usual) == 1 else ()
    return tuple(several)


def nearest(name: str, names: Sequence[str]) -> str:
    """What to do about a missing column."""
    if len(names) == 1:
        return f"there is only one column, {quoted(names[0])}: set delimiter=... if there should be several."
    twin = look_alike(name, names)
    if twin:
        return f"{twin}: write both the same way."
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {quoted(near[0])}?" if near else f"the columns are {first_names(names, 20)}."


def role_of(name: str, targets: Sequence[str], settings: DataSettings) -> Role:
    if name in targets:
        return "target"
    return "as written" if name in places_of(settings) else "input"


def places_of(settings: DataSettings) -> tuple[str | None, ...]:
    """Columns that say where a row belongs."""
    return settings.group, settings.time, settings.id, settings.order


def missing_cells(settings: DataSettings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *settings.missing)))


def used_columns(
    names: Sequence[str], settings: DataSettings, demanded: Mapping[str, Kind], origin: str, *, only_demanded: bool
) -> tuple[list[str], tuple[str, ...]]:
    """The columns that are not ignored, and notes about the others. Raises UsageError for an unknown one.

    What pandas calls an index that was written with the data is ignored as well, unless it is asked for or `demanded`.
    """
    if only_demanded:
        check_demanded(names, demanded, origin)
        return [name for name in names if name in demanded], ()
    unknown = [name for name in settings.ignore if name not in names]
    if unknown:
        what = f"data.ignore names {quoted(unknown[0])}, which is not a column."
        raise UsageError(what, where=origin, fix=nearest(unknown[0], names))
    ignored = [name for name in names if name in settings.ignore]
    asked = {*target_names(names, settings), *places_of(settings), *demanded, *ignored}
    index = [name for name in names if INDEX_NAMES.fullmatch(name) and name not in asked]
    notes = [f"{origin}: not used, as set by data.ignore: {first_names(ignored)}."] * bool(ignored)
    if index:
        notes.append(
            f"{origin}: {first_names(index)} is a data frame's index and not used; rename the column to use it."
        )
    return [name for name in names if name not in {*ignored, *index}], tuple(notes)


def check_demanded(names: Sequence[str], demanded: Mapping[str, Any], origin: str) -> None:
    """Raise DataError if columns that were trained on are missing."""
    there = set(names)
    lacking = [name for name in demanded if name not in there]
    if lacking:
        what = f"has no column {first_names([quoted(name) for name in lacking])}, which the model was trained on."
        raise DataError(what, where=origin, fix=f"add or rename the column: {nearest(lacking[0], names)}")


def finished(
    frame: pl.DataFrame, lines: np.ndarray, unit: str, origin: str, decisions: Sequence[Decision], notes: Sequence[str]
) -> Table:
    """The table with all its notes: the file's, the columns', and those about values that look alike."""
    twins = [near_twins(s.name, s.dtype.categories) for s in frame if isinstance(s.dtype, pl.Enum)]
    about = [note for decision in decisions for note in decision.notes]
    if len(about) > MOST_NOTES:
        rest = [decision.name for decision in decisions if decision.notes][MOST_NOTES:]
        about = [
            *about[:MOST_NOTES],
            f"The same kinds of notes apply to {len(rest):,} more columns: {first_names(rest)}.",
        ]
    kept = _kept_words({decision.name: decision.kept_word for decision in decisions if decision.kept_word})
    return Table(
        frame,
        lines,
        unit,
        origin,
        {decision.name: decision.kind for decision in decisions},
        (*notes, *about, *kept, *list(filter(None, twins))[:MOST_NOTES]),
        {decision.name: decision.doubt for decision in decisions if decision.doubt},
        {decision.name: decision.number for decision in decisions if decision.number},
    )


def _kept_words(columns: Mapping[str, str]) -> list[str]:
    """Sentences about usual words for "missing" that are values of text columns, one per word."""
    found: dict[str, list[str]] = {}
    for name, word in columns.items():
        found.setdefault(word, []).append(name)
    return [
        f"{quoted(word)} is a value of its own in {first_names(names)}: set missing={display_name(word)} if it means "
        "that the value is unknown."
        for word, names in found.items()
    ]
