"""Columns of plain numbers, looked at and converted many at once: a table may have thousands of them.

Anything else about a column (words for missing, marks, units, dates) is found cell by cell by its `Tally`. What is
found here is the same at a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from gnomon.data.tables.kinds import LEADING_ZERO, Decision, Tally
from gnomon.data.tables.numbers import OPEN_POINT

AT_ONCE = 256  # columns: what polars spends on planning grows with the square of their number
FIRST = 1000  # cells in which a decimal point beyond doubt is looked for

Item = TypeVar("Item")
Shown = tuple[int, str] | None  # a line and its cell
Counts = tuple[int, int, int, int, Shown, Shown]  # what `Tally.add_plain` takes after the number of rows


def tally_block(cells: pl.DataFrame, lines: np.ndarray, tallies: Sequence[Tally], missing: Sequence[str]) -> None:
    """Add a block of text cells to the tallies: columns of plain numbers at once, the others one by one."""
    column_of = {column.name: column for column in cells.get_columns()}  # by name, polars looks through all of them
    one_by_one = [tally for tally in tallies if not tally.takes_plain]
    for some in _groups([tally for tally in tallies if tally.takes_plain]):
        columns = pl.DataFrame([column_of[tally.name] for tally in some])
        settled = {tally.name for tally in some if tally.look.points.count}
        found = _plain(_without(columns, missing), lines, settled)
        for tally in some:
            if tally.name in found:
                tally.add_plain(len(cells), *found[tally.name])
            else:
                one_by_one.append(tally)
    for tally in one_by_one:
        column = column_of[tally.name]
        tally.add(column.fill_null("") if column.null_count() else column, lines)


def convert_block(
    cells: pl.DataFrame, decisions: Sequence[Decision], missing: Sequence[str]
) -> Iterator[pl.Series]:  # fmt: skip
    """The values of columns whose cells are plain numbers or missing. Raises errors of polars for other cells."""
    column_of = {column.name: column for column in cells.get_columns()}
    for some in _groups(decisions):
        columns = _without(pl.DataFrame([column_of[decision.name] for decision in some]), missing)
        yield from columns.select(pl.col(decision.name).cast(decision.dtype) for decision in some)


def _groups(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


def _without(cells: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
    """The cells with null for those that mean missing."""
    return cells.select(pl.when(pl.all().is_in(missing)).then(None).otherwise(pl.all()).name.keep())


def _plain(cells: pl.DataFrame, lines: np.ndarray, settled: set[str]) -> Mapping[str, Counts]:
    """What is to be said of each column of plain finite numbers below 2^63, without leading zeros.

    In columns with fractions a decimal point beyond doubt must be among the first, or `settled` before.
    """
    floats = cells.select(pl.all().cast(pl.Float64, strict=False))
    nulls, lost = (dict(zip(cells.columns, frame.null_count().row(0), strict=True)) for frame in (cells, floats))
    finite, size = (floats.select(how).row(0, named=True) for how in (pl.all().is_finite().all(), pl.all().abs().max()))
    names = [
        name
        for name in cells.columns
        if nulls[name] == lost[name] and finite[name] and (size[name] is None or size[name] < 2.0**63)
    ]
    if not names:
        return {}
    cells = cells.select(names)
    whole = cells.select(pl.all().cast(pl.Int64, strict=False))
    has_zeros = cells.select(pl.all().str.contains(LEADING_ZERO).any()).row(0, named=True)
    low, high = (whole.select(how).row(0, named=True) for how in (pl.all().min(), pl.all().max()))
    is_point = pl.all().str.contains(".", literal=True) & ~pl.all().str.contains(OPEN_POINT)
    head = cells.head(FIRST)
    point = head.select(pl.when(is_point.any()).then(is_point.arg_max())).row(0, named=True)
    in_head = {column.name: column for column in head.get_columns()}
    not_whole, first = dict(zip(names, whole.null_count().row(0), strict=True)), cells.row(0, named=True)
    found: dict[str, Counts] = {}
    for name in names:
        fractions = not_whole[name] - nulls[name]
        if has_zeros[name] or (fractions and point[name] is None and name not in settled):
            continue
        present = len(cells) - nulls[name]
        shown = None if first[name] is None else (int(lines[0]), first[name])
        at = None if name in settled or point[name] is None else (int(lines[point[name]]), in_head[name][point[name]])
        found[name] = present, present - fractions, low[name] or 0, high[name] or 0, shown, at
    return found
