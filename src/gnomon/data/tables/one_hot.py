"""Several target columns that are really one: a 1 in the column of each row's class and 0 in the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.source import first_names
from gnomon.data.tables.kinds import Kind
from gnomon.data.tables.raw import quoted
from gnomon.data.tables.table import Table, target_names

SEPARATORS = "_ .:/-"  # between the name of a target and that of a class


def why_not_one_hot(table: Table, names: Sequence[str]) -> str:
    """Why the columns are not a one-hot target, with the first row that shows it; "" if they are one."""
    for name in names:
        column = table.frame[name]
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            return f"{quoted(name)} is not 0 or 1"
        numbers = column.cast(pl.Float64)
        odd = ~((numbers == 0) | (numbers == 1)).fill_null(value=False)
        if odd.any():
            row = int(odd.arg_max() or 0)
            return f"{quoted(name)} is {column[row]} in {table.where([row])}"
    ones = _ones(table, names).sum(axis=1)
    wrong = np.flatnonzero(ones != 1)
    return f"{table.where(wrong[:1])} has {ones[wrong[0]]} ones" if len(wrong) else ""


def one_class_each(
    parts: Mapping[str, Table], settings: DataSettings
) -> tuple[dict[str, Table], DataSettings, tuple[str, ...]]:  # fmt: skip
    """The tables with one column of classes instead of their one-hot targets, and the settings that name it.

    Tables with one target are unchanged. Raises DataError if several targets are not one-hot.
    """
    first = next(iter(parts.values()))
    names = target_names(first.frame.columns, settings)
    if len(names) < 2 or any(name not in part.frame.columns for part in parts.values() for name in names):
        return dict(parts), settings, ()
    for part in parts.values():
        why = why_not_one_hot(part, names)
        if why:
            what = f"{len(names)} target columns do not make one class per row: {why}."
            raise DataError(what, where=part.origin, fix="predict one column, or each of them: task=multi_task.")
    name, classes = _named(names, first.frame.columns)
    found = {split: _with_classes(part, names, name, classes) for split, part in parts.items()}
    note = (
        f"The columns {first_names(names)} have a single 1 per row (one-hot) and are read as the classes of one target "
        "(task=multi_task to predict each of them)."
    )
    return found, settings.model_copy(update={"target": (name,)}), (note,)


def _ones(table: Table, names: Sequence[str]) -> np.ndarray:
    return table.frame.select(pl.col(names).cast(pl.Int8)).to_numpy()


def _named(names: Sequence[str], columns: Sequence[str]) -> tuple[str, list[str] | list[int]]:
    """`target_cat`, `target_dog` -> "target" and its classes cat, dog; numbers as numbers."""
    alike = next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)
    shared = names[0][: max(names[0].rfind(mark, 0, alike) for mark in SEPARATORS) + 1]
    name = shared.rstrip(SEPARATORS) or "target"
    while name in columns and name not in names:
        name += "_class"
    rest = [one.removeprefix(shared) for one in names]
    return name, [int(one) for one in rest] if all(re.fullmatch(r"0|[1-9]\d*", one) for one in rest) else rest


def _with_classes(table: Table, names: Sequence[str], name: str, classes: Sequence[str] | Sequence[int]) -> Table:
    column = pl.Series(name, classes).gather(_ones(table, names).argmax(axis=1))
    frame = table.frame.drop(names).with_columns(column)
    kinds = {each: kind for each, kind in table.kinds.items() if each not in names}
    kinds[name] = Kind("number" if column.dtype.is_integer() else "text")
    return replace(table, frame=frame, kinds=kinds)
