"""Read a text table in two passes: the first measures rows and counts cells, the second converts them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.tables.dialect import SAMPLE_BYTES, Dialect, OtherDialectError, find_dialect
from gnomon.data.tables.kinds import Decision, Kind, Tally, coded, decide, demand, to_values
from gnomon.data.tables.numbers import common_mark
from gnomon.data.tables.plain import convert_block, tally_block
from gnomon.data.tables.raw import RawTable
from gnomon.data.tables.rows import BLOCK_BYTES, Block, Header, Walk, blocks, read_header
from gnomon.data.tables.table import Table, check_demanded, finished, missing_cells, role_of, target_names, used_columns

BYTES_A_COLUMN = 2**14  # of a block, at least, while it does not grow beyond four usual ones


def read_text(
    raw: RawTable, settings: DataSettings, kinds: Mapping[str, Kind], *, is_peek: bool, only_kinds: bool
) -> Table:  # fmt: skip
    """The table in a text file; only its first rows if `is_peek`. Raises DataError, UsageError."""
    before = raw.identity()
    dialect = find_dialect(raw, settings)
    survey = None
    while survey is None:
        try:
            survey = _survey(raw, dialect, settings, kinds, is_peek=is_peek, only_kinds=only_kinds)
        except OtherDialectError as other:
            dialect = other.dialect
    decisions = _decisions(raw.shown, survey.tallies, settings, kinds, dialect.separator)
    targets, missing = target_names(survey.header.names, settings), missing_cells(settings)
    parts: dict[str, list[pl.Series]] = {decision.name: [] for decision in decisions}
    by_name = {decision.name: decision for decision in decisions}
    plain = [by_name[t.name] for t in survey.tallies if t.is_plain and by_name[t.name].dtype.is_numeric()]
    at_once = {decision.name for decision in plain}
    others = [decision for decision in decisions if decision.name not in at_once]
    try:
        size = _block_bytes(survey.header, is_peek=is_peek)
        for block in _some(blocks(raw, dialect, survey.header, Walk(), size), is_peek=is_peek):
            cells = _parse(raw, block, survey.header, dialect, list(parts))
            for values in convert_block(cells, plain, missing):
                parts[values.name].append(values)
            for decision in others:
                column = cells[decision.name]
                column = column.fill_null("") if column.null_count() else column
                values = to_values(column, decision, missing, keep_infinite=decision.name in targets)
                parts[decision.name].append(values)
    except (pl.exceptions.PolarsError, OtherDialectError):  # what fitted in the first pass no longer does
        raise _changed(raw) from None
    frame = pl.DataFrame([coded(_joined(parts.pop(decision.name))) for decision in decisions])
    if raw.identity() != before or len(frame) != len(survey.lines):
        raise _changed(raw)
    notes = (*dialect.notes, *survey.walk.notes(raw), *survey.notes)
    return finished(frame, survey.lines, "line", raw.shown, decisions, notes)


def _changed(raw: RawTable) -> DataError:
    return raw.bad("changed while it was being read.", fix="wait until it is finished, then start again.")


@dataclass(frozen=True)
class _Survey:
    """The result of the first pass over a text table."""

    header: Header
    tallies: tuple[Tally, ...]
    lines: np.ndarray
    walk: Walk
    notes: tuple[str, ...]


def _survey(
    raw: RawTable, dialect: Dialect, settings: DataSettings, kinds: Mapping[str, Kind], *,
    is_peek: bool, only_kinds: bool,
) -> _Survey:  # fmt: skip
    header, walk, lines = read_header(raw, dialect), Walk(), []
    used, notes = used_columns(header.names, settings, kinds, raw.shown, only_demanded=only_kinds)
    tallies = tuple(Tally(name, missing_cells(settings), kinds.get(name)) for name in used)
    size = _block_bytes(header, is_peek=is_peek)
    for block in _some(blocks(raw, dialect, header, walk, size), is_peek=is_peek):
        tally_block(_parse(raw, block, header, dialect, used), block.lines, tallies, missing_cells(settings))
        lines.append(block.lines.astype(np.uint32))
    if not lines:
        raise raw.bad("has column names but no rows.", fix="add at least one row of data.")
    return _Survey(header, tallies, np.concatenate(lines), walk, notes)


def _block_bytes(header: Header, *, is_peek: bool) -> int:
    """What is read at a time: more of wide tables, each column of a block costing some time of its own."""
    return SAMPLE_BYTES if is_peek else max(BLOCK_BYTES, min(4 * BLOCK_BYTES, BYTES_A_COLUMN * len(header.names)))


def _some(every: Iterator[Block], *, is_peek: bool) -> Iterator[Block]:
    return itertools.islice(every, 1) if is_peek else every


def _parse(raw: RawTable, block: Block, header: Header, dialect: Dialect, used: Sequence[str]) -> pl.DataFrame:
    """The cells of a block as text, empty ones as null. The rows were measured before: polars only splits them."""
    wanted = set(used)
    places = [place for place, name in enumerate(header.names) if name in wanted]
    try:
        cells = pl.read_csv(
            block.text,
            has_header=False,
            schema=dict.fromkeys(header.names, pl.String),
            separator=dialect.separator,
            quote_char='"' if dialect.has_quotes else None,
            columns=places if len(places) < len(header.names) else None,
        )
    except pl.exceptions.PolarsError as error:
        what = f"cannot be split into cells: {str(error).splitlines()[0]}"
        raise raw.bad(what, line=int(block.lines[0]), fix="check the quotes from this line on.") from None
    if len(cells) != len(block.lines):
        what = f"{len(block.lines):,} rows were counted from this line on, but {len(cells):,} were read."
        raise raw.bad(what, line=int(block.lines[0]), fix="check the quotes from this line on.")
    return cells


def _joined(parts: list[pl.Series]) -> pl.Series:
    series = parts[0]
    for part in parts[1:]:
        series.append(part)
    parts.clear()
    return series.rechunk()


def _decisions(
    origin: str, tallies: Sequence[Tally], settings: DataSettings, kinds: Mapping[str, Kind], separator: str
) -> list[Decision]:
    """How each column is read: as required, or by the rule. Raises DataError for cells that do not fit."""
    names = [tally.name for tally in tallies]
    check_demanded(names, kinds, origin)
    targets = target_names(names, settings)
    numbers = [tally.look for tally in tallies if tally.numbers and not tally.others.count]
    marks, decisions = common_mark(numbers, separator, settings.decimal), []
    for tally in tallies:
        if tally.name not in kinds:
            decisions.append(decide(tally, role_of(tally.name, targets, settings), marks))
            continue
        decision = demand(tally, kinds[tally.name])
        if isinstance(decision, str):
            raise DataError(decision, where=origin, fix="correct the cell, or train again with such cells in the data.")
        decisions.append(decision)
    return decisions
