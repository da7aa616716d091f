"""Rows of a table as series: which column is which, the rows in the order of time, what is wrong with times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.source import counted, display_name
from gnomon.data.tables import Table, target_names
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.table import nearest

IDS = ("id", "series", "series_id", "sequence", "sequence_id", "case", "case_id")
ORDERS = ("time", "step", "t", "timestamp", "datetime", "date")
UNEVEN = 0.01  # of the usual time between two steps: what differs by less is regular
WORTH_SAYING = 0.01  # share of steps that are at another distance than usual


@dataclass(frozen=True)
class Roles:
    """Which column is which; "" for one that is not there."""

    id: str
    order: str = ""
    target: str = ""


@dataclass(frozen=True)
class Arranged:
    """A table whose rows are sorted by series, in the order in which these come first, and by time in each."""

    table: Table
    starts: np.ndarray  # (N,) int64
    ends: np.ndarray
    ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


def roles_of(names: list[str], settings: DataSettings, origin: str) -> Roles:
    """The columns as set, or by their names. Raises UsageError, DataError where one cannot be told."""
    targets = target_names(names, settings)
    if len(targets) > 1:
        what = f"series have one target, and there are {len(targets)}: {', '.join(map(quoted, targets))}."
        raise UsageError(what, where=origin, fix=f"use target={display_name(targets[0])}, and a run for each.")
    for key, name in (("id", settings.id), ("order", settings.order)):
        if name is not None and name not in names:
            raise UsageError(f"data.{key}={name} is not a column.", where=origin, fix=nearest(name, names))
    found = [settings.id] if settings.id else [name for name in names if name.strip().lower() in IDS]
    if len(found) != 1:
        there = f"{', '.join(map(quoted, found))} could be" if found else f"none is called {', '.join(IDS)}"
        what = f"it is not clear which column says to which series a row belongs: {there}."
        raise DataError(what, where=origin, fix="set id=COLUMN.")
    orders = [settings.order] if settings.order else [name for name in names if name.strip().lower() in ORDERS]
    if not orders and settings.time:
        orders = [settings.time]
    if len(orders) > 1:
        what = f"it is not clear in which order the steps are: {', '.join(map(quoted, orders))} could say it."
        raise DataError(what, where=origin, fix=f"set order={display_name(orders[0])}, for example.")
    return Roles(found[0], next(iter(orders), ""), next(iter(targets), ""))


def arrange(table: Table, roles: Roles) -> Arranged:
    """The rows in the order of series and time; copies of a row are dropped and counted.

    Raises DataError for rows without an id or a time, and for two different rows of one time.
    """
    ids = table.frame[roles.id]
    for name in filter(None, (roles.id, roles.order)):
        gone = table.frame[name].is_null().arg_true().to_numpy()
        if len(gone):
            what = f"{quoted(name)} is missing in {counted(len(gone), 'row')}: {table.where(gone)}."
            raise DataError(what, where=table.origin, fix="fill it in, or remove these rows.")
    if roles.order and table.frame[roles.order].dtype in (pl.String, pl.Enum):
        what = f"the column {quoted(roles.order)} is text, which has no order in time."
        raise DataError(what, where=table.origin, fix="write its times as 2024-12-31 12:00 or as numbers.")
    codes = _by_first(ids)
    notes = []
    by = pl.DataFrame({"series": codes})
    if roles.order:
        by = by.with_columns(order=table.frame[roles.order])
    else:
        notes.append("the steps of a series are in the order of its rows (order=COLUMN to sort them by time)")
    places = by.with_row_index("row").sort(by.columns, maintain_order=True)
    rows = places["row"].to_numpy().astype(np.int64)
    if roles.order:
        notes += _sorting_note(by, places, roles.order)
        keep = _without_copies(table, places, rows, roles)
        notes += [f"copies of a row dropped: {len(rows) - int(keep.sum()):,}"] * (not keep.all())
        places, rows = places.filter(keep), rows[keep]
        notes += _irregular_note(places, roles.order)
    series = places["series"].to_numpy()
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]).astype(np.int64)
    sorted_table = replace(table, frame=table.frame[rows], lines=table.lines[rows])
    shown = tuple(sorted_table.frame[roles.id].gather(starts).cast(pl.String).to_list())
    return Arranged(sorted_table, starts, np.r_[starts[1:], len(series)].astype(np.int64), shown, tuple(notes))


def _by_first(ids: pl.Series) -> pl.Series:
    """(M,) a number for each id, rising in the order in which they first appear."""
    frame = pl.DataFrame({"id": ids}).with_row_index("row")
    return frame.select(pl.col("row").min().over("id").alias("series"))["series"]


def _sorting_note(by: pl.DataFrame, places: pl.DataFrame, order: str) -> list[str]:
    """How many series were not in the order of time."""
    falls = pl.col("order").to_physical().cast(pl.Float64).diff().over("series") < 0
    turned, total = by.filter(falls)["series"].n_unique(), places["series"].n_unique()
    return [f"rows of {turned:,} of {counted(total, 'series', 'series')} sorted by {display_name(order)}"] * (
        turned > 0
    )


def _without_copies(table: Table, places: pl.DataFrame, rows: np.ndarray, roles: Roles) -> np.ndarray:
    """(M,) bool: False for a row that repeats the one before it. Raises DataError for others of the same time."""
    same = places.select(
        (pl.col("series") == pl.col("series").shift()) & (pl.col("order") == pl.col("order").shift())
    ).to_series().fill_null(value=False).to_numpy()  # fmt: skip
    twins = np.flatnonzero(same)
    keep = np.ones(len(rows), bool)
    if not len(twins):
        return keep
    # equal cells are equal hashes, and among so few pairs unequal cells are not
    first, second = (table.frame[rows[at]].hash_rows(seed=0).to_numpy() for at in (twins - 1, twins))
    differ = np.flatnonzero(first != second)
    if len(differ):
        row, time = rows[twins[differ[0]]], table.frame[roles.order][int(rows[twins[differ[0]]])]
        what = (
            f"series {quoted(str(table.frame[roles.id][int(row)]))} has two different rows of "
            f"{display_name(roles.order)} {time}: {table.where([int(rows[twins[differ[0]] - 1]), int(row)])}"
        )
        more = f", and there are {len(differ) - 1:,} more such pairs" if len(differ) > 1 else ""
        raise DataError(f"{what}{more}.", where=table.origin, fix="keep one row for each time, or give each its own.")
    keep[twins] = False
    return keep


def _irregular_note(places: pl.DataFrame, order: str) -> list[str]:
    """That the steps are at different distances, where they are: a model sees their order alone."""
    values = places["order"]
    numbers = values.to_physical().cast(pl.Float64).to_numpy()
    series = places["series"].to_numpy()
    gaps = np.diff(numbers)[series[1:] == series[:-1]]
    if len(gaps) < 2:
        return []
    usual = float(np.median(gaps))
    share = float((np.abs(gaps - usual) > UNEVEN * abs(usual)).mean())
    if share < WORTH_SAYING:
        return []
    how = f"{100 * share:.0f} % of them are not at the usual distance in {display_name(order)}"
    hint = "a model sees their order alone (a column with the time since the step before tells it more)"
    return [f"steps are irregular: {how}; {hint}"]
