"""What the cells of a column are: numbers, booleans, dates or text, decided from all of them by an explicit rule.

A column is typed only if every cell fits, and numbers and dates only if all of them are written in one form, which
is kept: at prediction the same form is read and no other. Otherwise a column stays text, as written. Two exceptions,
both reported in the notes: spaces around a number are ignored, and in an input column of only numbers, or dates, and
usual words for "missing", those words are read as missing. A target never gets such exceptions.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import polars as pl

from gnomon.data.source import display_name, look_alike
from gnomon.data.tables import dates
from gnomon.data.tables.numbers import (
    CELL,
    PLAIN,
    Cells,
    Look,
    Marks,
    NumberForm,
    answers,
    form_of,
    only,
    questions,
    to_numbers,
)
from gnomon.data.tables.raw import quoted

MAX_CATEGORIES = 10_000  # distinct texts up to which a column is stored as codes, and may be an input
MAX_INTEGER_CLASSES = 20  # distinct whole numbers up to which they are classes ...
MIN_ROWS_PER_CLASS = 4  # ... if there are at least this many rows for each on average
NUMBER_SHARE = 0.9  # of the cells that are numbers, from which the others are named
MISSING_WORDS = (  # compared in lower case, without surrounding spaces
    "", "na", "n/a", "#n/a", "#na", "<na>", "n.a.", "nan", "-nan", "null", "(null)", "nil", "none", "nat", "missing",
    "unknown", "?", "-", "--", ".", "\\n", "#div/0!", "#value!", "#ref!", "#num!", "#null!", "#name?",
    "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip

KindName = Literal["number", "boolean", "date", "text"]
Role = Literal["input", "target", "as written"]

BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))

LEADING_ZERO = r"^\s*[+-]?0[0-9]"
_WORD = questions(CELL.str.strip_chars().str.to_lowercase().is_in(MISSING_WORDS))
_LEADING = questions(CELL.str.contains(LEADING_ZERO))
_INTEGER = questions(CELL.str.contains(r"^\s*[+-]?[0-9]+\s*$"))
_PADDED = questions(
    CELL.cast(pl.Float64, strict=False).is_null(),
    CELL.str.contains(r"^\s|\s$"),
    CELL.str.contains("^[ -~\u00a0]*$"),
)


@dataclass(frozen=True)
class Kind:
    """What a column holds, and how it is written."""

    name: KindName
    date_format: str = ""  # of dates written as text; dates.ZONED of typed ones with a time zone
    number: NumberForm = PLAIN


@dataclass
class Tally:
    """What the cells of one column of text are, gathered chunk by chunk.

    With a `demanded` kind, numbers are those of its form alone.
    """

    name: str
    missing: tuple[str, ...]
    demanded: Kind | None = None
    rows: int = 0
    present: int = 0
    numbers: int = 0  # finite ones
    low: int = 0
    high: int = 0
    fractions: int = 0  # numbers that are not whole numbers of 64 bits
    distinct: set[str] | None = field(default_factory=set)  # None: more than MAX_CATEGORIES, or not all of them kept
    is_plain: bool = True  # nothing but plain numbers and missing cells so far, of which `distinct` does not know
    dates: tuple[str, ...] | None = None  # the forms that all cells fit; None: no cell yet
    booleans: tuple[tuple[str, str], ...] = BOOLEANS
    look: Look = field(default_factory=Look)
    padded: Cells = field(default_factory=Cells)
    infinite: Cells = field(default_factory=Cells)
    leading_zeros: Cells = field(default_factory=Cells)
    too_large: Cells = field(default_factory=Cells)  # whole numbers beyond 64 bits
    words: Cells = field(default_factory=Cells)  # usual words for "missing"
    dated: Cells = field(default_factory=Cells)  # dates, as long as all cells fit one form
    others: Cells = field(default_factory=Cells)

    @property
    def takes_plain(self) -> bool:
        """Whether `add_plain` may be used for a chunk of plain numbers."""
        is_number = self.demanded is None or (self.demanded.name == "number" and self.demanded.number.is_plain)
        return is_number and not self.others.count and not self.dated.count

    def add_plain(
        self, rows: int, present: int, whole: int, low: int, high: int, first: tuple[int, str] | None,
        point: tuple[int, str] | None,
    ) -> None:  # fmt: skip
        """Take in a chunk of plain finite numbers and missing cells by its counts, as `add` would."""
        self.rows += rows
        if not present:
            return
        if not self.is_plain:
            self.distinct = None
        self.present += present
        self.numbers += present
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.fractions += present - whole
        self.booleans, self.dates = (), ()
        self.look.plain += present
        self.look.whole += whole
        self.look.points.count += present > whole
        if point is not None and not self.look.points.first:
            self.look.points.first.append(point)
        self.look.bare.count += present
        if first is not None and not self.look.bare.first:
            self.look.bare.first.append(first)

    def add(self, cells: pl.Series, lines: np.ndarray) -> None:
        """Add a chunk of text cells and the lines they are on."""
        if self.is_plain and self.present:
            self.distinct = None
        self.is_plain = False
        self.rows += len(cells)
        is_present = ~are_missing(cells, self.missing)
        if not is_present.all():
            cells, lines = only(cells, is_present), lines[is_present]
        if not len(cells):
            return
        self.present += len(cells)
        if self.demanded is not None and self.demanded.name == "text":
            self._add_distinct(cells)
            return
        first = cells[0]
        self.booleans = tuple(pair for pair in self.booleans if first in pair and cells.is_in(pair).all())
        rest, rest_lines = self._add_numbers(cells, lines)
        if len(rest) or self.look.dressed.count or self.leading_zeros.count or self.too_large.count:
            self._add_distinct(cells)
        else:
            self.distinct = None  # of numbers nobody asks for them
        self._add_dates(rest, rest_lines)

    def _add_distinct(self, cells: pl.Series) -> None:
        if self.distinct is None:
            return
        found = cells.unique()
        if len(found) <= MAX_CATEGORIES:
            self.distinct.update(found.to_list())
        self.distinct = None if max(len(found), len(self.distinct)) > MAX_CATEGORIES else self.distinct

    def _add_dates(self, cells: pl.Series, lines: np.ndarray) -> None:
        """Count cells as dates as long as all of them fit one form and none is a number; otherwise as others."""
        every = np.ones(len(cells), bool)
        if self.numbers or self.infinite.count:
            self.dates = ()
        elif len(cells) and self.dates != ():
            forms = dates.forms_like(cells[0]) if self.dates is None else self.dates
            self.dates = tuple(form for form in forms if dates.are_dates(cells, form))
        if self.dates:
            self.dated.add(cells, every, lines)
            return
        if self.dated.count:
            self.others.count += self.dated.count
            self.others.first = [*self.dated.first, *self.others.first]
            self.dated = Cells()
        self.others.add(cells, every, lines)

    def _add_numbers(self, cells: pl.Series, lines: np.ndarray) -> tuple[pl.Series, np.ndarray]:
        """Count the numbers and the words for missing; returns the other cells and their lines."""
        form = self.demanded.number if self.demanded else PLAIN
        numbers = to_numbers(cells, form).to_numpy()  # NaN where null
        is_finite, is_other = np.isfinite(numbers), np.isnan(numbers)
        if is_finite.any():
            self._add_plain(cells, numbers, is_finite, lines)
        if is_finite.all():
            return cells.clear(), lines[:0]
        self.infinite.add(cells, np.isinf(numbers), lines)
        rest, rest_lines = only(cells, is_other), lines[is_other]
        (is_word,) = answers(rest, _WORD)
        self.words.add(rest, is_word, rest_lines)
        if is_word.any():
            rest, rest_lines = only(rest, ~is_word), rest_lines[~is_word]
        if self.demanded is None and len(rest) and self._may_be_dressed(rest):
            is_dressed = self.look.add_dressed(rest, rest_lines)
            if is_dressed.any():
                self.numbers += int(np.count_nonzero(is_dressed))
                self.fractions += int(np.count_nonzero(is_dressed))
                rest, rest_lines = only(rest, ~is_dressed), rest_lines[~is_dressed]
        return rest, rest_lines

    def _may_be_dressed(self, cells: pl.Series) -> bool:
        """Whether the first of some cells look like numbers: words need not be searched for them one by one."""
        digits = cells.head(100).str.contains("[0-9]")
        return self.others.count <= self.numbers and 2 * int(digits.sum()) >= len(digits)

    def _add_plain(self, cells: pl.Series, numbers: np.ndarray, is_finite: np.ndarray, lines: np.ndarray) -> None:
        count = int(np.count_nonzero(is_finite))
        self.numbers += count
        self.look.bare.add(cells, is_finite, lines)
        (has_zero,) = answers(cells, _LEADING)
        self.leading_zeros.add(cells, is_finite & has_zero, lines)
        whole = cells.cast(pl.Int64, strict=False)
        if whole.null_count() < len(whole):
            self.low, self.high = min(self.low, int(whole.min())), max(self.high, int(whole.max()))  # type: ignore[arg-type]
        is_fraction = is_finite & whole.is_null().to_numpy()
        rest, rest_lines = only(cells, is_fraction), lines[is_fraction]
        self.look.add_plain(rest, rest_lines, whole=count - len(rest))
        if not len(rest):
            return
        self.fractions += len(rest)
        is_large = np.abs(numbers[is_fraction]) >= 2.0**63
        if is_large.any():
            self.too_large.add(rest, is_large & answers(rest, _INTEGER)[0], rest_lines)
        if rest.cast(pl.Float64, strict=False).null_count():
            is_odd, is_padded, is_ascii = answers(rest, _PADDED)
            self.padded.add(rest, is_odd & is_padded, rest_lines)
            self.look.minuses.add(rest, is_odd & ~is_ascii, rest_lines)


@dataclass(frozen=True)
class Doubt:
    """A column that stays text although nearly all of its cells are numbers: perhaps not what is meant."""

    shown: str  # "line 7 holds 'NaN'"
    is_about_missing: bool  # all other cells are usual words for "missing"


@dataclass(frozen=True)
class Decision:
    """How a text column is read, and what a person should know about it."""

    name: str
    kind: Kind
    dtype: pl.DataType
    words: tuple[str, ...] = ()  # the one for true and the one for false
    notes: tuple[str, ...] = ()
    doubt: Doubt | None = None
    kept_word: str = ""  # a usual word for "missing" that is a value of the column, and how often
    number: Kind | None = None  # of a text that could be read as numbers, but is to be classes


def decide(tally: Tally, role: Role, marks: Marks) -> Decision:
    """The kind of a column by the rule of this module; `marks` are those of the whole file."""
    if not tally.present:
        return Decision(tally.name, Kind("number"), pl.Float64())
    if role == "as written":
        return _as_written(tally)
    numbers = tally.numbers + tally.infinite.count
    are_words_missing = role == "input" and not tally.others.count
    if numbers and (numbers == tally.present or (are_words_missing and not tally.dates)):
        return _numbers(tally, role, marks)
    if role == "input" and tally.booleans:
        return Decision(tally.name, Kind("boolean"), pl.Boolean(), words=tally.booleans[0])
    if are_words_missing and tally.dates:
        return _dates(tally)
    doubt, note = None, ""
    if numbers and (numbers >= NUMBER_SHARE * tally.present or not tally.others.count):
        odd = tally.others if tally.others.count else tally.words
        doubt = Doubt(odd.shown, not tally.others.count)
        note = f"{odd.shown}, though {numbers:,} of its {tally.present:,} cells are numbers"
    elif tally.words.count and tally.dates:
        note = f"{tally.words.shown}, though the others are dates"
    return replace(_text(tally, note), doubt=doubt)


def _as_written(tally: Tally) -> Decision:
    """For columns that group or order the examples: no exceptions."""
    is_plain = tally.numbers + tally.infinite.count == tally.present and not tally.look.dressed.count
    if is_plain and not tally.leading_zeros.count and not tally.too_large.count:
        return _number(tally, "as written", PLAIN)
    if tally.dates and not tally.words.count:
        return _dates(tally)
    return _text(tally, "")


def _numbers(tally: Tally, role: Role, marks: Marks) -> Decision:
    """A column of only numbers, and perhaps words for missing."""
    form = form_of(tally.look, marks)
    for zeros in (tally.leading_zeros, tally.look.leading_zeros):
        if zeros.count:
            return _text(tally, f"{zeros.shown}, whose leading zero would be lost")
    if tally.too_large.count and not (role == "target" and not _are_few(tally)):
        return _text(tally, f"{tally.too_large.shown}, too large for a whole number of 64 bits")
    if isinstance(form, str):
        odd = _odd_one(tally)
        if odd is None:
            return replace(_text(tally, form), doubt=Doubt(form, is_about_missing=False))
        why = f"{odd.shown}, though {tally.numbers - odd.count:,} of its {tally.present:,} cells are numbers"
        return replace(_text(tally, why), doubt=Doubt(odd.shown, is_about_missing=False))
    if role == "target" and tally.look.dressed.count and _are_few(tally):
        return replace(_text(tally, ""), number=Kind("number", number=form))
    return _number(tally, role, form)


def _are_few(tally: Tally) -> bool:
    """Whether a target has so few values that they are classes."""
    distinct = len(tally.distinct) if tally.distinct is not None else MAX_CATEGORIES
    return distinct <= MAX_INTEGER_CLASSES and tally.present >= MIN_ROWS_PER_CLASS * distinct


def _odd_one(tally: Tally) -> Cells | None:
    """The few cells with a unit, or without one, among many of the other sort."""
    sorts = [cells for cells in (*tally.look.affixes.values(), tally.look.bare) if cells.count]
    fewer = min(sorts, key=lambda cells: cells.count) if len(sorts) == 2 else None
    return fewer if fewer and fewer.first and fewer.count <= (1 - NUMBER_SHARE) * tally.present else None


def demand(tally: Tally, kind: Kind) -> Decision | str:
    """The column read as `kind`, fitted elsewhere; or a sentence naming the first cell that does not fit."""
    name, every = tally.name, tally.present
    if kind.name == "text":
        return _text(tally, "")
    if kind.name == "number":
        if tally.others.count or tally.dated.count:
            odd = (tally.others if tally.others.count else tally.dated).shown
            like = "" if kind.number.is_plain else f" like {quoted(kind.number.example)}"
            return f"column {quoted(name)} holds numbers{like}, but {odd}."
        return _number(tally, "input", kind.number) if every else Decision(name, kind, pl.Float64())
    if kind.name == "boolean":
        words = next(iter(tally.booleans), None) if every else BOOLEANS[0]
        if words is None:
            return f"column {quoted(name)} holds true and false, but {_first_odd(tally, {'true', 'false'})}."
        return Decision(name, kind, pl.Boolean(), words=words)
    if every == tally.words.count:
        return Decision(name, kind, pl.Datetime("us"))
    forms = dates.fitting(tally.dates or (), kind.date_format)
    if not forms:
        like = quoted(dates.example(kind.date_format))
        return f"column {quoted(name)} holds dates like {like}, but {_first_odd(tally, set())}."
    return _dates(replace(tally, dates=(forms[0],)))


def _first_odd(tally: Tally, good: set[str]) -> str:
    sorts = (
        tally.others.first,
        tally.dated.first,
        tally.look.bare.first,
        tally.words.first,
    )
    found = [(line, cell) for cells in sorts for line, cell in cells if cell.lower() not in good]
    return f"line {found[0][0]} holds {quoted(found[0][1])}" if found else "other cells are found"


def _number(tally: Tally, role: Role, form: NumberForm) -> Decision:
    shown, look = display_name(tally.name), tally.look
    notes = []
    if form.decimal == "," and look.commas.count + look.open_commas.count and not form.thousands:
        cells = look.commas if look.commas.count else look.open_commas
        notes.append(f"{shown} is read with decimal commas ({cells.shown}).")
    open_thousands = {".": look.open_points, ",": look.open_commas}.get(form.thousands, Cells())
    if open_thousands.count:
        notes.append(_read_as(shown, open_thousands, form))
    elif look.dressed.count and replace(form, decimal=".") != PLAIN:
        notes.append(_read_as(shown, look.dressed, form))
    elif look.minuses.count:
        notes.append(_read_as(shown, look.minuses, form))
    if tally.padded.count:
        notes.append(f"{shown}: spaces around numbers are ignored ({tally.padded.shown}).")
    if tally.words.count:
        notes.append(f"{shown}: {_cells(tally.words)} read as missing ({tally.words.shown}).")
    if tally.infinite.count and role == "input":
        notes.append(f"{shown}: {_cells(tally.infinite)} not finite, treated as missing ({tally.infinite.shown}).")
    is_whole = not tally.fractions and not tally.infinite.count
    dtype = _smallest(tally.low, tally.high) if is_whole else pl.Float64()
    return Decision(tally.name, Kind("number", number=form), dtype, notes=tuple(notes))


def _read_as(shown: str, cells: Cells, form: NumberForm) -> str:
    line, cell = cells.first[0]
    value = to_numbers(pl.Series([cell]), form)[0]
    return f"{shown} is read as numbers: {quoted(cell)} in line {line} is {value:.10g}."


def _cells(cells: Cells) -> str:
    return "1 cell is" if cells.count == 1 else f"{cells.count:,} cells are"


def _smallest(low: int, high: int) -> pl.DataType:
    for dtype, bits in ((pl.Int8(), 8), (pl.Int16(), 16), (pl.Int32(), 32)):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return dtype
    return pl.Int64()


def _dates(tally: Tally) -> Decision:
    """A column of only dates, and perhaps words for missing; text if their order is ambiguous."""
    shown, forms = display_name(tally.name), tally.dates or ()
    if len(forms) > 1:
        orders = " or ".join(dates.in_words(form) for form in forms[:3])
        return _text(tally, f"its dates may be {orders}; write them as 2024-12-31")
    form = forms[0]
    how, dtype = dates.in_words(form), pl.Datetime("us") if dates.has_time(form) else pl.Date()
    notes = [f"{shown} is read as {how}."] if how else []
    if tally.words.count:
        notes.append(f"{shown}: {_cells(tally.words)} read as missing ({tally.words.shown}).")
    return Decision(tally.name, Kind("date", form), dtype, notes=tuple(notes))


def _text(tally: Tally, why: str) -> Decision:
    """A column as written; `why` it is not read otherwise."""
    notes = (f"{display_name(tally.name)} stays text: {why}.",) if why else ()
    dtype = pl.String() if tally.distinct is None else pl.Enum(sorted(tally.distinct))
    word = ""
    if tally.words.count:
        word = tally.words.first[0][1]
    return Decision(tally.name, Kind("text"), dtype, notes=notes, kept_word=word)


def near_twins(name: str, texts: Iterable[str]) -> str:
    """A sentence about texts that differ only in case, outer spaces or bytes; "" if there are none."""

    def folded(text: str) -> str:
        return unicodedata.normalize("NFKC", text).strip().casefold()

    groups = [list(group) for _, group in itertools.groupby(sorted(texts, key=folded), key=folded)]
    twins = [group for group in groups if len(group) > 1]
    if not twins:
        return ""
    first = " and ".join(quoted(text) for text in twins[0][:3])
    how = next(filter(None, (look_alike(text, twins[0]) for text in twins[0])), "")
    first += f" ({how})" if how else ""
    more = f" (and {len(twins) - 1} more such groups)" if len(twins) > 1 else ""
    return (
        f"{display_name(name)}: {first} are kept as different values{more}; "
        "if they mean the same, write them the same way."
    )


# --- cells to values --------------------------------------------------------------------------------------------------
def are_missing(cells: pl.Series, missing: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: which cells are one of the words for missing."""
    found = np.zeros(len(cells), bool)
    for word in missing:
        found |= (cells == word).to_numpy()
    return found


def to_values(cells: pl.Series, decision: Decision, missing: tuple[str, ...], *, keep_infinite: bool) -> pl.Series:
    """Text cells as the values decided on; null where missing."""
    is_missing = are_missing(cells, missing)
    cells = cells.set(pl.Series(is_missing), None) if is_missing.any() else cells
    kind = decision.kind
    if kind.name == "text":
        return cells.cast(decision.dtype)
    if kind.name == "boolean":
        return cells == decision.words[0]
    if kind.name == "date":
        return dates.to_datetimes(cells, kind.date_format).cast(decision.dtype)
    if decision.dtype.is_integer():
        whole = cells.cast(decision.dtype, strict=False)
        if whole.null_count() == cells.null_count():
            return whole
    numbers = to_numbers(cells, kind.number)
    is_infinite = np.isinf(numbers.to_numpy())
    if not keep_infinite and is_infinite.any():
        numbers = numbers.set(pl.Series(is_infinite), None)
    return numbers.cast(decision.dtype)


def coded(series: pl.Series) -> pl.Series:
    """Texts as codes if they are few; those of a column that long looked like numbers were not counted before."""
    if series.dtype != pl.String:
        return series
    distinct = series.drop_nulls().unique()
    return series.cast(pl.Enum(distinct.sort())) if len(distinct) <= MAX_CATEGORIES else series
