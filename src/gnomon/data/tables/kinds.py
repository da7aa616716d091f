"""What the cells of a column are: numbers, booleans, dates or text, decided from all of them by a declared rule.

A column is typed only when every cell fits; otherwise it stays text, as written. Two exceptions, both stated in the
notes: spaces around a number are ignored, and an input column of which nine tenths are numbers and all the rest are
usual words for "missing" is read as numbers with those cells missing. A target is never bent that way.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl

from gnomon.data.source import display_name
from gnomon.data.tables.raw import quoted

MAX_CATEGORIES = 10_000  # distinct texts up to which a column is held as codes, and may be an input
NUMBER_SHARE = 0.9  # of the cells that are numbers, from which words for "missing" are taken for missing
MISSING_WORDS = ("na", "n/a", "nan", "null", "none", "?", "-", "")  # compared in lower case, without spaces around
SHOWN_CELLS = 5  # kept of each odd sort, for messages

KindName = Literal["number", "boolean", "date", "text"]
Role = Literal["input", "target", "as written"]

DATE_FORMATS = {  # chrono format -> the exact form of a cell
    "%Y-%m-%d": r"\d{4}-\d{1,2}-\d{1,2}",
    "%Y/%m/%d": r"\d{4}/\d{1,2}/\d{1,2}",
    "%d.%m.%Y": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "%d/%m/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%m/%d/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%Y-%m-%d %H:%M": r"\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{2}",
    "%Y-%m-%d %H:%M:%S%.f": r"\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{2}:\d{2}(\.\d+)?",
    "%Y-%m-%dT%H:%M:%S%.f": r"\d{4}-\d{1,2}-\d{1,2}T\d{1,2}:\d{2}:\d{2}(\.\d+)?",
    "%Y-%m-%dT%H:%M:%S%.fZ": r"\d{4}-\d{1,2}-\d{1,2}T\d{1,2}:\d{2}:\d{2}(\.\d+)?Z",
}
BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))

_LEADING_ZERO = r"^\s*[+-]?0[0-9]"
_INTEGER = r"^\s*[+-]?[0-9]+\s*$"
_DECIMAL_COMMA = r"^\s*[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\s*$"


@dataclass(frozen=True)
class Kind:
    """What a column holds."""

    name: KindName
    date_format: str = ""  # of dates written as text


@dataclass
class Cells:
    """How many cells are of one sort, and the first of them."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)  # (line, cell)

    def add(self, cells: pl.Series, is_such: pl.Series, lines: np.ndarray) -> None:
        """Count the cells where `is_such` holds."""
        count = int(is_such.sum() or 0)
        self.count += count
        if count and len(self.first) < SHOWN_CELLS:
            rows = is_such.fill_null(value=False).arg_true().head(SHOWN_CELLS - len(self.first)).to_list()
            self.first += [(int(lines[row]), cells[row]) for row in rows]

    @property
    def shown(self) -> str:
        """`line 7 holds 'abc'`."""
        line, cell = self.first[0]
        return f"line {line} holds {quoted(cell)}"


@dataclass
class Tally:
    """What the cells of one column of text are, gathered chunk by chunk."""

    name: str
    has_decimal_commas: bool  # 1,5 is a number: where the separator is no comma
    missing: tuple[str, ...]
    rows: int = 0
    present: int = 0
    numbers: int = 0  # finite ones
    low: int = 0
    high: int = 0
    fractions: int = 0  # numbers that are not whole numbers of 64 bits
    dotted: int = 0  # numbers with a decimal point, where commas are looked for
    distinct: set[str] | None = field(default_factory=set)  # None: more than MAX_CATEGORIES
    dates: tuple[str, ...] = tuple(DATE_FORMATS)
    booleans: tuple[tuple[str, str], ...] = BOOLEANS
    commas: Cells = field(default_factory=Cells)
    padded: Cells = field(default_factory=Cells)
    infinite: Cells = field(default_factory=Cells)
    leading_zeros: Cells = field(default_factory=Cells)
    too_large: Cells = field(default_factory=Cells)  # whole numbers beyond 64 bits
    words: Cells = field(default_factory=Cells)  # usual words for "missing"
    others: Cells = field(default_factory=Cells)

    def add(self, cells: pl.Series, lines: np.ndarray) -> None:
        """Take in a chunk of text cells and the lines they stand on."""
        self.rows += len(cells)
        is_present = ~cells.is_in(self.missing)
        if not is_present.all():
            cells, lines = cells.filter(is_present), lines[is_present.to_numpy()]
        if not len(cells):
            return
        self.present += len(cells)
        if self.distinct is not None:
            found = cells.unique()
            if len(found) <= MAX_CATEGORIES:
                self.distinct.update(found.to_list())
            self.distinct = None if max(len(found), len(self.distinct)) > MAX_CATEGORIES else self.distinct
        self._add_numbers(cells, lines)
        self._add_dates(cells)

    def _add_numbers(self, cells: pl.Series, lines: np.ndarray) -> None:
        numbers = to_numbers(cells, has_decimal_commas=self.has_decimal_commas)
        is_finite = numbers.is_finite().fill_null(value=False)
        self.numbers += int(is_finite.sum())
        if not is_finite.all():
            self.infinite.add(cells, numbers.is_infinite(), lines)
            is_no_number = numbers.is_null()
            is_word = is_no_number & _is_missing_word(cells)
            self.words.add(cells, is_word, lines)
            self.others.add(cells, is_no_number & ~is_word, lines)
        if not is_finite.any():
            return
        self.leading_zeros.add(cells, is_finite & cells.str.contains(_LEADING_ZERO), lines)
        whole = cells.cast(pl.Int64, strict=False)
        if whole.null_count() < len(whole):
            self.low, self.high = min(self.low, int(whole.min())), max(self.high, int(whole.max()))  # type: ignore[arg-type]
        is_other = is_finite & whole.is_null()
        if is_other.any():
            rest, rest_lines = cells.filter(is_other), lines[is_other.to_numpy()]
            self.fractions += len(rest)
            self.padded.add(rest, rest.str.contains(r"^\s|\s$"), rest_lines)
            self.too_large.add(
                rest, rest.str.contains(_INTEGER) & (numbers.filter(is_other).abs() >= 2.0**63), rest_lines
            )
            if self.has_decimal_commas:
                self.commas.add(rest, rest.str.contains(_DECIMAL_COMMA), rest_lines)
                self.dotted += int(rest.str.contains(".", literal=True).sum())

    def _add_dates(self, cells: pl.Series) -> None:
        first = cells[0]
        self.booleans = tuple(pair for pair in self.booleans if first in pair and cells.is_in(pair).all())
        self.dates = tuple(
            form for form in self.dates if re.fullmatch(DATE_FORMATS[form], first) and _are_dates(cells, form)
        )


@dataclass(frozen=True)
class Doubt:
    """A column that stays text although nearly all of its cells are numbers: perhaps not what is meant."""

    shown: str  # "line 7 holds 'NaN'"
    is_about_missing: bool  # all other cells are usual words for "missing"


@dataclass(frozen=True)
class Decision:
    """How a column of text is read, and what a person should know about it."""

    name: str
    kind: Kind
    dtype: pl.DataType
    has_decimal_commas: bool = False
    words: tuple[str, ...] = ()  # the one for true and the one for false
    notes: tuple[str, ...] = ()
    doubt: Doubt | None = None


def decide(tally: Tally, role: Role) -> Decision:
    """The kind of a column by the rule of this module."""
    name, shown, every = tally.name, display_name(tally.name), tally.present
    numbers = tally.numbers + tally.infinite.count
    note, doubt = "", None
    if not every:
        return Decision(name, Kind("number"), pl.Float64())
    if role == "as written" and (numbers < every or tally.leading_zeros.count):
        numbers = 0
    may_lack = role == "input" and not tally.others.count and numbers >= NUMBER_SHARE * every
    if numbers == every or may_lack:
        if tally.leading_zeros.count:
            note = f"{shown} stays text: {tally.leading_zeros.shown}, whose leading zero would be lost."
        elif tally.too_large.count:
            note = f"{shown} stays text: {tally.too_large.shown}, too large for a whole number of 64 bits."
        elif tally.commas.count and tally.dotted:
            note = f"{shown} stays text: some of its numbers have a decimal comma ({tally.commas.shown}), some a point."
        else:
            return _number(tally, role)
    elif role != "as written" and numbers >= NUMBER_SHARE * every:
        odd = tally.others if tally.others.count else tally.words
        doubt = Doubt(odd.shown, not tally.others.count)
        note = f"{shown} stays text: {odd.shown}, though {numbers:,} of its {every:,} cells are numbers."
    if not note and role == "input" and tally.booleans:
        return Decision(name, Kind("boolean"), pl.Boolean(), words=tally.booleans[0])
    if not note and role != "target" and len(tally.dates) == 1:
        return _date(tally, tally.dates[0])
    if len(tally.dates) == 2 and role != "target":
        note = f"{shown} stays text: its dates may be day/month or month/day; write them as 2024-12-31."
    return replace(_text(tally, note), doubt=doubt)


def demand(tally: Tally, kind: Kind) -> Decision | str:
    """The column read as `kind`, fitted elsewhere; or a sentence naming the first cell that does not fit."""
    name, every = tally.name, tally.present
    if kind.name == "text":
        return _text(tally, "")
    if kind.name == "number":
        if tally.others.count:
            return f"column {quoted(name)} holds numbers, but {tally.others.shown}."
        return _number(tally, "input") if every else Decision(name, kind, pl.Float64())
    if kind.name == "boolean":
        words = next(iter(tally.booleans), None) if every else BOOLEANS[0]
        if words is None:
            return f"column {quoted(name)} holds true and false, but {_first_odd(tally, {'true', 'false'})}."
        return Decision(name, kind, pl.Boolean(), words=words)
    formats = [kind.date_format] if kind.date_format in tally.dates else list(tally.dates)
    if every and (not formats or (len(formats) > 1 and not kind.date_format)):
        return (
            f"column {quoted(name)} holds dates like {kind.date_format or '%Y-%m-%d'}, but {_first_odd(tally, set())}."
        )
    return _date(tally, formats[0])


def _first_odd(tally: Tally, good: set[str]) -> str:
    for cells in (tally.others, tally.words, tally.infinite):
        odd = [(line, cell) for line, cell in cells.first if cell.lower() not in good]
        if odd:
            return f"line {odd[0][0]} holds {quoted(odd[0][1])}"
    return "other cells are found"


def _number(tally: Tally, role: Role) -> Decision:
    shown = display_name(tally.name)
    notes = []
    if tally.commas.count:
        notes.append(f"{shown} is read with decimal commas ({tally.commas.shown}).")
    if tally.padded.count:
        notes.append(f"{shown}: spaces around numbers are ignored ({tally.padded.shown}).")
    if tally.words.count:
        notes.append(f"{shown}: {_cells(tally.words)} read as missing ({tally.words.shown}).")
    if tally.infinite.count and role == "input":
        notes.append(f"{shown}: {_cells(tally.infinite)} not finite and taken as missing ({tally.infinite.shown}).")
    is_whole = not tally.fractions and not tally.infinite.count
    dtype = _smallest(tally.low, tally.high) if is_whole else pl.Float64()
    has_commas = tally.has_decimal_commas
    return Decision(tally.name, Kind("number"), dtype, has_decimal_commas=has_commas, notes=tuple(notes))


def _cells(cells: Cells) -> str:
    return "1 cell is" if cells.count == 1 else f"{cells.count:,} cells are"


def _smallest(low: int, high: int) -> pl.DataType:
    for dtype, bits in ((pl.Int8(), 8), (pl.Int16(), 16), (pl.Int32(), 32)):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return dtype
    return pl.Int64()


def _date(tally: Tally, form: str) -> Decision:
    order = {"%d/%m/%Y": "day/month/year", "%m/%d/%Y": "month/day/year"}.get(form)
    notes = (f"{display_name(tally.name)} is read as {order}.",) if order else ()
    dtype = pl.Datetime("us") if "%H" in form else pl.Date()
    return Decision(tally.name, Kind("date", form), dtype, notes=notes)


def _text(tally: Tally, note: str) -> Decision:
    notes = (note,) if note else ()
    if tally.distinct is None:
        return Decision(tally.name, Kind("text"), pl.String(), notes=notes)
    return Decision(tally.name, Kind("text"), pl.Enum(sorted(tally.distinct)), notes=notes)


def near_twins(name: str, texts: Iterable[str]) -> str:
    """A sentence about texts that differ only by spaces around them or by case; "" where there are none."""

    def folded(text: str) -> str:
        return text.strip().casefold()

    groups = [list(group) for _, group in itertools.groupby(sorted(texts, key=folded), key=folded)]
    twins = [group for group in groups if len(group) > 1]
    if not twins:
        return ""
    first = " and ".join(quoted(text) for text in twins[0][:3])
    more = f" (and {len(twins) - 1} more such groups)" if len(twins) > 1 else ""
    return f"{display_name(name)}: {first} are kept as different values{more}; if they mean the same, write them alike."


# --- cells to values --------------------------------------------------------------------------------------------------
def to_numbers(cells: pl.Series, *, has_decimal_commas: bool) -> pl.Series:
    """Float64: null where a cell is no number; infinite where it says so or is beyond float64."""
    numbers = cells.cast(pl.Float64, strict=False)
    if numbers.null_count():
        plain = cells.str.strip_chars()
        if has_decimal_commas:
            is_comma = cells.str.contains(_DECIMAL_COMMA)
            plain = plain.zip_with(~is_comma, plain.str.replace(",", ".", literal=True)) if is_comma.any() else plain
        numbers = numbers.fill_null(plain.cast(pl.Float64, strict=False))
    return numbers.fill_nan(None)  # the word nan is not a number


def _is_missing_word(cells: pl.Series) -> pl.Series:
    return cells.str.strip_chars().str.to_lowercase().is_in(MISSING_WORDS)


def _are_dates(cells: pl.Series, form: str) -> bool:
    if not cells.str.contains(f"^{DATE_FORMATS[form]}$").all():
        return False
    return cells.str.to_datetime(form, time_unit="us", strict=False).null_count() == 0


def to_values(cells: pl.Series, decision: Decision, missing: tuple[str, ...], *, keep_infinite: bool) -> pl.Series:
    """Text cells as the values decided on; null where missing."""
    is_missing = cells.is_in(missing)
    cells = cells.set(is_missing, None) if is_missing.any() else cells
    kind = decision.kind
    if kind.name == "text":
        return cells.cast(decision.dtype)
    if kind.name == "boolean":
        return cells == decision.words[0]
    if kind.name == "date":
        return cells.str.to_datetime(kind.date_format, time_unit="us").cast(decision.dtype)
    if decision.dtype.is_integer():
        whole = cells.cast(decision.dtype, strict=False)
        if whole.null_count() == cells.null_count():
            return whole
    numbers = to_numbers(cells, has_decimal_commas=decision.has_decimal_commas)
    if not keep_infinite:
        numbers = numbers.set(numbers.is_infinite().fill_null(value=False), None)
    return numbers.cast(decision.dtype)
