"""What a table is to be trained on: its targets (classes or numbers) and the columns that can serve as inputs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.source import display_name, first_names
from gnomon.data.tables.giveaways import LARGEST, giveaways
from gnomon.data.tables.kinds import MAX_INTEGER_CLASSES, MIN_ROWS_PER_CLASS, near_twins
from gnomon.data.tables.numbers import to_numbers
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.table import USUAL_TARGETS, Table, nearest, target_names

MIN_ROWS_FOR_IDS = 20  # with fewer, distinct values in every row may be chance
AT_ONCE = 256  # columns: what polars spends on planning grows with the square of their number

MOST_LABELS = 100  # values of a text that may be what is to be predicted
LABEL_WORDS = frozenset(
    ("label", "labels", "class", "target", "outcome", "category", "species", "diagnosis", "result", "response",
     "answer", "grade", "quality", "status", "churn", "survived", "default", "income")
)  # fmt: skip

TargetKind = Literal["classes", "number"]
Form = Literal["classification", "regression"]


@dataclass(frozen=True)
class Target:
    """One column to predict."""

    name: str
    kind: TargetKind
    class_names: tuple[str, ...] = ()  # of classes: sorted, whole numbers by size
    missing: int = 0  # rows without it; 0 if it is the only target


@dataclass(frozen=True)
class TargetPlan:
    """The targets and inputs of a table, and sentences about what was chosen, dropped or looks like a leak."""

    targets: tuple[Target, ...]
    features: tuple[str, ...]
    group: str | None = None
    time: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def form(self) -> Literal["classification", "regression", "several"]:
        """Which kind of task the targets make."""
        if len(self.targets) > 1:
            return "several"
        return "classification" if self.targets[0].kind == "classes" else "regression"


def plan_targets(
    table: Table, settings: DataSettings, *, form: Form | None = None, others: Mapping[str, Table] | None = None
) -> TargetPlan:
    """Decide what is predicted from what. `form` decides whether a single target is classes or a number.

    `others` are further parts of the same data by name ("dev", "test"): their targets are checked too, and classes
    found only there are added with a note. Raises UsageError if the target is unclear, DataError naming the lines
    if it cannot be used.
    """
    names, others = table.frame.columns, others or {}
    wanted = _wanted(table, settings)
    for key, name in (("group", settings.group), ("time", settings.time)):
        if name is not None and name not in names:
            raise UsageError(f"data.{key}={name} is not a column.", where=table.origin, fix=nearest(name, names))
    if settings.time is not None and table.kinds[settings.time].name == "text":
        what = f"the column {quoted(settings.time)} is text, which has no order in time."
        raise DataError(what, where=table.origin, fix="write its times as 2024-12-31 or as numbers.")
    if len(table) < 2:
        raise DataError("there is only one row.", where=table.origin, fix="add rows: at least four.")
    notes = []
    if settings.target is None:
        notes.append(f"The target is {display_name(wanted[0])}, by its name (target=... to override).")
    targets = []
    for name in wanted:
        target, about = planned_target(table, name, form, is_only=len(wanted) == 1)
        for part, other in others.items():
            target, more = _with_other(target, part, other, is_only=len(wanted) == 1)
            about += more
        targets.append(target)
        notes += about
    places = {name for name in (settings.group, settings.time) if name is not None}
    features, about = usable_features(table, [name for name in names if name not in {*wanted, *places}])
    notes += about
    for target in targets:
        notes += giveaways(table, target.name, features)
    return TargetPlan(tuple(targets), features, settings.group, settings.time, tuple(notes))


def class_targets(table: Table, names: Sequence[str]) -> tuple[list[Target], list[str]]:
    """These columns as classes to learn, and notes. Several of them may have gaps.

    Raises UsageError for a column that is not there, DataError naming lines for one that cannot be learned.
    """
    for name in names:
        if name not in table.frame.columns:
            what = f"there is no column {quoted(name)} to predict."
            raise UsageError(what, where=table.origin, fix=nearest(name, table.frame.columns))
    found = [planned_target(table, name, "classification", is_only=len(names) == 1) for name in names]
    return [target for target, _ in found], [note for _, notes in found for note in notes]


def with_number_targets(table: Table) -> Table:
    """The table with those targets as numbers that are written with units or marks, and have so few values that they
    are classes unless somebody asks for a number."""
    frame, kinds = table.frame, dict(table.kinds)
    for name, kind in table.numbers.items():
        frame = frame.with_columns(to_numbers(frame[name].cast(pl.String), kind.number).alias(name))
        kinds[name] = kind
    return replace(table, frame=frame, kinds=kinds, numbers={})


def _wanted(table: Table, settings: DataSettings) -> tuple[str, ...]:
    names = table.frame.columns
    wanted = target_names(names, settings)
    if not wanted:
        usual = [name for name in names if name.strip().lower() in USUAL_TARGETS]
        several = f"{len(usual)} columns are possible ({first_names(usual)})"
        none = f"none is called {', '.join(USUAL_TARGETS[:-1])} or {USUAL_TARGETS[-1]}"
        what = (
            f"the target column is not given, and {several if usual else none}; "
            f"the columns are {first_names(names, 20)}."
        )
        example = display_name(_likely_target(table.frame.select(usual or names)))
        raise UsageError(
            what, where=table.origin, fix=f"set target=COLUMN, for example {shlex.quote(f'target={example}')}."
        )
    for name in wanted:
        if name not in names:
            raise UsageError(
                f"there is no column {quoted(name)} to predict.", where=table.origin, fix=nearest(name, names)
            )
        if name in (settings.group, settings.time):
            what = f"{quoted(name)} cannot be both the target and data.group or data.time."
            raise UsageError(what, fix="give the target, the group and the time different columns.")
    return wanted


def _likely_target(frame: pl.DataFrame) -> str:
    """The column that looks most like what people predict: to suggest, never to choose.

    Texts or yes/no of few values, a name that says so, and a place at either end each speak for a column; of equals,
    the last one.
    """
    last = frame.width - 1

    def likeness(place: int) -> tuple[int, int]:
        column = frame.to_series(place)
        values = column.drop_nulls().n_unique()
        is_few = 2 <= values <= max(2, min(MOST_LABELS, len(column) // MIN_ROWS_PER_CLASS))
        is_named = bool(LABEL_WORDS & set(re.split(r"[^a-z]+", column.name.lower())))
        is_text, is_yes_or_no = not column.dtype.is_numeric(), column.dtype.is_integer() and values == 2
        return 2 * is_named + 2 * (is_few and is_text) + is_yes_or_no + (place in (0, last)), place

    return frame.columns[max(range(frame.width), key=likeness)]


# --- targets ----------------------------------------------------------------------------------------------------------
def planned_target(table: Table, name: str, form: Form | None, *, is_only: bool) -> tuple[Target, list[str]]:
    """The kind of one target. Raises DataError naming lines if it cannot be learned."""
    column = table.frame[name]
    doubt = table.doubts.get(name)
    if doubt is not None and doubt.is_about_missing and form != "classification":
        what = f"the target {quoted(name)} is numbers, but {doubt.shown}."
        fix = "correct such cells, or remove their rows."
        if not is_only:
            fix = "correct such cells, or set missing=CELL if that cell means unknown."
        raise DataError(what, where=table.origin, fix=fix)
    _check_present(table, name, is_only=is_only)
    present = column.drop_nulls()
    kind = _target_kind(present, form)
    missing = column.null_count()
    notes = [
        f"{display_name(name)}: {missing:,} of {len(column):,} rows lack it; they are not used to learn it."
    ] * bool(missing)
    if kind == "number":
        if not column.dtype.is_numeric():
            what = f"the target {quoted(name)} is not numbers: {doubt.shown if doubt else _first_word(table, name)}."
            fix = "correct the cell, or remove the row." if doubt else "leave task=... out to predict classes."
            raise DataError(what, where=table.origin, fix=fix)
        if present.n_unique() < 2:
            what = f"the target {quoted(name)} is {present[0]} in every row: there is nothing to learn."
            raise DataError(what, where=table.origin, fix="predict another column, or add rows that differ.")
        return Target(name, "number", missing=missing), notes
    names = _class_names(present)
    if len(names) < 2:
        what = f"the target {quoted(name)} has only one class ({quoted(names[0])}) in {len(present):,} rows."
        raise DataError(what, where=table.origin, fix="predict another column, or add rows of a second class.")
    if len(names) > max(2, len(present) // 2):
        what = f"the target {quoted(name)} has {len(names):,} classes in {len(present):,} rows."
        fix = "predict another column, or give each class more rows."
        if doubt:
            what, fix = (
                f"the target {quoted(name)} is numbers, but {doubt.shown}.",
                "correct the cell, or remove the row.",
            )
        elif column.dtype.is_numeric():
            fix = "leave task=... out to predict it as a number."
        raise DataError(what, where=table.origin, fix=fix)
    if column.dtype.is_numeric() and form is None:
        notes.append(f"{display_name(name)}: its {len(names)} distinct whole numbers are interpreted as classes.")
    counts = present.value_counts()
    single = counts.filter(pl.col("count") == 1)[name].to_list()
    if single:
        notes.append(f"{display_name(name)}: classes with only one row: {first_names([*map(str, single)])}.")
    return Target(name, "classes", names, missing), [*notes, *filter(None, [near_twins(name, names)])]


def _check_present(table: Table, name: str, *, is_only: bool) -> None:
    """Raise DataError for targets that are infinite, or missing if nothing else could be learned from the row."""
    column = table.frame[name]
    if column.dtype.is_float() and (column.abs() > LARGEST).any() and not column.is_infinite().any():
        rows = (column.abs() > LARGEST).fill_null(value=False).arg_true().to_numpy()
        what = f"the target {quoted(name)} is beyond {LARGEST:g} in {_rows(len(rows))}: {table.where(rows)}."
        raise DataError(what, where=table.origin, fix="correct these rows, remove them, or use another unit.")
    if column.dtype.is_float() and column.is_infinite().any():
        rows = column.is_infinite().fill_null(value=False).arg_true().to_numpy()
        what = f"the target {quoted(name)} is not finite in {_rows(len(rows))}: {table.where(rows)}."
        raise DataError(what, where=table.origin, fix="correct these rows, or remove them.")
    if column.null_count() == len(column):
        raise DataError(f"the target {quoted(name)} is empty in every row.", where=table.origin, fix="fill it in.")
    if is_only and column.null_count():
        rows = column.is_null().arg_true().to_numpy()
        what = f"the target {quoted(name)} is missing (empty or NaN) in {_rows(len(rows))}: {table.where(rows)}."
        raise DataError(what, where=table.origin, fix="fill it in, or remove these rows.")


def _first_word(table: Table, name: str) -> str:
    row = int(table.frame[name].is_not_null().arg_max() or 0)
    return f"{table.where([row])} holds {quoted(table.frame[name][row])}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _target_kind(present: pl.Series, form: Form | None) -> TargetKind:
    if form is not None:
        return "classes" if form == "classification" else "number"
    if not present.dtype.is_numeric():
        return "classes"
    if present.dtype.is_float() and not bool((present % 1 == 0).all()):
        return "number"
    distinct = present.n_unique()
    is_few = distinct <= MAX_INTEGER_CLASSES and len(present) >= MIN_ROWS_PER_CLASS * distinct
    return "classes" if is_few else "number"


def class_texts(column: pl.Series) -> pl.Series:
    """A target's cells as class names: whole numbers without a point, anything else as written."""
    if column.dtype.is_float():
        present = column.drop_nulls()
        if bool((present % 1 == 0).all()) and bool((present.abs() < 2.0**53).all()):
            column = column.cast(pl.Int64)
    return column.cast(pl.String)


def _class_names(present: pl.Series) -> tuple[str, ...]:
    distinct = present.unique()
    if distinct.dtype.is_numeric():
        distinct = distinct.sort()
        return tuple(class_texts(distinct).to_list())
    return tuple(sorted(distinct.cast(pl.String).to_list()))


def _with_other(target: Target, part: str, other: Table, *, is_only: bool) -> tuple[Target, list[str]]:
    _check_present(other, target.name, is_only=is_only)
    column = other.frame[target.name].drop_nulls()
    if target.kind == "number":
        if not column.dtype.is_numeric():
            what = f"the target {quoted(target.name)} is numbers in train, but not here."
            raise DataError(what, where=other.origin, fix="correct the column.")
        return target, []
    new = [name for name in _class_names(column) if name not in target.class_names]
    if not new:
        return target, []
    shown = display_name(target.name)
    note = f"{shown}: classes of {part} that are not in train, so they cannot be learned: {first_names(new)}."
    return replace(target, class_names=(*target.class_names, *new)), [note]


# --- inputs -----------------------------------------------------------------------------------------------------------
def usable_features(table: Table, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The columns that can teach something, and sentences about the others."""
    kept: list[str] = []
    out: dict[str, list[str]] = {
        "no value at all": [],
        "only one value": [],
        "unique in every row, looks like an ID": [],
    }
    empty, constant, ids = out.values()
    facts, schema = _facts(table.frame.select(names)), table.frame.schema
    for name in names:
        nulls, low, high, values = facts[name]
        if nulls == len(table):
            empty.append(name)
        elif values == 1 or (values is None and low == high):
            constant.append(name)
        elif _is_like_an_id(table.frame, name, schema[name], facts[name]):
            ids.append(name)
        else:
            kept.append(name)
    reasons = {why: first_names(found, 10) for why, found in out.items() if found}
    if not kept:
        why = "; ".join(f"{found}: {why}" for why, found in reasons.items()) or "there is none besides the target"
        what = f"no column is left to learn from ({why})."
        raise DataError(what, where=table.origin, fix="add columns that are informative about the target.")
    notes = [f"Dropped ({why}): {found}." for why, found in reasons.items()]
    return tuple(kept), notes


Facts = tuple[int, Any, Any, int | None]  # missing cells, least and largest value, number of different texts


def _facts(frame: pl.DataFrame) -> dict[str, Facts]:
    found: dict[str, Facts] = {}
    for start in range(0, frame.width, AT_ONCE):
        some = pl.DataFrame(frame.get_columns()[start : start + AT_ONCE])
        nulls = some.null_count().row(0, named=True)
        texts = [name for name, dtype in some.schema.items() if dtype in (pl.String, pl.Enum)]
        others = [name for name in some.columns if name not in set(texts)]
        hows = (pl.col(others).min(), pl.col(others).max())
        low, high = (some.select(how).row(0, named=True) if others else {} for how in hows)
        values = some.select(pl.col(texts).drop_nulls().n_unique()).row(0, named=True) if texts else {}
        found |= {name: (nulls[name], low.get(name), high.get(name), values.get(name)) for name in some.columns}
    return found


def _is_like_an_id(frame: pl.DataFrame, name: str, dtype: pl.DataType, facts: Facts) -> bool:
    """Text that never repeats, or whole numbers that count the rows: both identify rows and nothing else."""
    nulls, low, high, values = facts
    if len(frame) < MIN_ROWS_FOR_IDS or nulls:
        return False
    if values is not None:
        return values == len(frame)
    is_span = dtype.is_integer() and int(high) - int(low) == len(frame) - 1
    return is_span and frame[name].n_unique() == len(frame)
