"""Numbers as people write them: thousands separators, decimal commas, currencies, units, brackets for negatives.

Plain numbers (`-1234.5`, `1e3`) are read without any of this. If a column is formatted otherwise, its cells are
examined one sort after another (`Look`), and if all of them agree on one form (`NumberForm`), the column is read in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from gnomon.data.tables.raw import quoted

SHOWN_CELLS = 5  # kept of each odd sort, for messages
MOST_AFFIXES = 3  # currencies or units from which a column is not a column of numbers with a unit
ENOUGH = 20  # cells such as 1.165, beside whole numbers, from which a thousands separator is as likely as a decimal

_FIRST = 1000  # cells examined before all are
_SPACES = " \u00a0\u2007\u2009\u202f"  # thousands separators: also non-breaking, figure and thin spaces
_APOSTROPHES = "'\u2019"
_MINUSES = "\u2212\u2013\ufe63\uff0d"  # minus, en dash, small and full-width hyphen
_CODES = (
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|DM|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|MAD|MXN|MYR|NGN|"
    "NOK|NZD|PEN|PHP|PKR|PLN|RON|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
_CURRENCY = rf"(?:[A-Z]{{0,3}}\p{{Sc}}|(?:{_CODES})\b|[Kk]r\.?|Rs\.?|Fr\.?|zł|Kč|Ft|лв\.?|руб\.?)"
_UNIT = r"[°ºµμ]?\p{L}[\p{L}23²³/·*^]{0,9}(?: \p{L}{1,9})?|[°º]"
_SIGN = f"[-+{_MINUSES}]"
_DRESSED = (
    rf"^(?P<open>\()?\s*(?P<sign>{_SIGN})?\s*(?P<prefix>{_CURRENCY})?\s*(?P<inner>{_SIGN})?"
    rf"(?P<body>[0-9][0-9.,{_SPACES}{_APOSTROPHES}_]*|[.,][0-9]+)(?P<exponent>[eE][-+]?[0-9]+)?\s*"
    rf"(?P<suffix>[%‰]|{_CURRENCY}|{_UNIT})?\s*(?P<trail>[-{_MINUSES}])?(?P<close>\))?$"
)
_SIMPLE_COMMA = r"^[-+]?(?:0|[1-9][0-9]*),[0-9]+$"
_OPEN_COMMA = r"^[-+]?[1-9][0-9]{0,2},[0-9]{3}$"
OPEN_POINT = r"^\s*[-+]?[1-9][0-9]{0,2}\.[0-9]{3}\s*$"
_LEADING_ZERO = r"^0[0-9]"

CELL = pl.col("cell")  # in questions to `answers`

Mark = Literal["", ".", ",", " ", "'", "_"]


@dataclass(frozen=True)
class NumberForm:
    """How all numbers of a column are written; by default, plainly."""

    decimal: Literal[".", ","] = "."
    thousands: Mark = ""  # between groups of three digits
    prefix: str = ""  # a currency in front
    suffix: str = ""  # a percent sign, currency or unit behind
    negative: Literal["", "()", "-"] = ""  # (5) or 5- for -5, besides the sign in front

    @property
    def is_plain(self) -> bool:
        return self == PLAIN

    @property
    def example(self) -> str:
        """What a number looks like in this form."""
        number = f"1{self.thousands}234{self.decimal}5"
        spaces = [" " if len(affix) > 1 else "" for affix in (self.prefix, self.suffix)]
        return f"{self.prefix}{spaces[0]}{number}{spaces[1]}{self.suffix}"


PLAIN = NumberForm()
_COMMA = NumberForm(decimal=",")


@dataclass
class Cells:
    """How many cells are of one sort, and the first of them."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)  # (line, cell)

    def add(self, cells: pl.Series, is_such: np.ndarray, lines: np.ndarray) -> None:
        """Count the cells where `is_such` (N,) holds."""
        count = int(np.count_nonzero(is_such))
        self.count += count
        if count and len(self.first) < SHOWN_CELLS:
            rows = np.flatnonzero(is_such)[: SHOWN_CELLS - len(self.first)].tolist()
            self.first += [(int(lines[row]), cells[row]) for row in rows]

    @property
    def shown(self) -> str:
        """`line 7 holds 'abc'`."""
        line, cell = self.first[0]
        return f"line {line} holds {quoted(cell)}"


def questions(*about: pl.Expr) -> list[pl.Expr]:
    """Yes-or-no questions about CELL for `answers`; made once, since making them takes longer than answering."""
    return [one.fill_null(value=False).alias(str(i)) for i, one in enumerate(about)]


def answers(cells: pl.Series, asked: list[pl.Expr]) -> list[np.ndarray]:
    """(N,) bool for each of the `questions`; false where the answer is null.

    All in one call of polars, which takes some 30 microseconds however few the cells are: a table may have thousands of
    columns.
    """
    found = cells.alias("cell").to_frame().select_seq(asked)
    return [column.to_numpy() for column in found.get_columns()]


def only(cells: pl.Series, is_such: np.ndarray) -> pl.Series:
    """The cells where `is_such` (N,) holds."""
    return cells if is_such.all() else cells.filter(pl.Series(is_such))


@dataclass
class Look:
    """What the numbers of one column look like, collected chunk by chunk."""

    affixes: dict[tuple[str, str], Cells] = field(default_factory=dict)  # (prefix, suffix), of numbers that have one
    bare: Cells = field(default_factory=Cells)  # without either
    points: Cells = field(default_factory=Cells)  # with a decimal point, beyond doubt
    commas: Cells = field(default_factory=Cells)  # with a decimal comma, beyond doubt
    groups: dict[str, Cells] = field(default_factory=dict)  # mark -> with that mark between thousands, beyond doubt
    open_points: Cells = field(default_factory=Cells)  # 1.165: a decimal point, or one between thousands
    open_commas: Cells = field(default_factory=Cells)  # 1,165: likewise
    plain: int = 0  # readable without any of this
    whole: int = 0  # without any mark
    brackets: Cells = field(default_factory=Cells)  # (5)
    trailing: Cells = field(default_factory=Cells)  # 5-
    minuses: Cells = field(default_factory=Cells)  # a sign other than the hyphen
    leading_zeros: Cells = field(default_factory=Cells)
    dressed: Cells = field(default_factory=Cells)  # not plain

    def add_plain(self, fractions: pl.Series, lines: np.ndarray, *, whole: int) -> None:
        """Plain numbers, of which `bare` knows: those with a point or an exponent, and how many have neither."""
        self.plain += len(fractions) + whole
        self.whole += whole
        for some in (fractions.head(_FIRST), fractions):  # the first ones settle nearly every column
            if not len(some) or self.points.count:
                return
            is_open, has_point = answers(some, _POINTS)
            self.points.add(some, ~is_open & has_point, lines)
        self.open_points.add(fractions, is_open, lines)

    def add_dressed(self, cells: pl.Series, lines: np.ndarray) -> np.ndarray:
        """Add cells that are not plain numbers; returns which of them (N,) are numbers all the same."""
        simple, is_open = answers(cells, _COMMAS)
        if simple.any():
            self._add_simple(cells, simple, is_open, lines)
        if simple.all():
            return simple
        rest, found = ~simple, simple.copy()
        others = only(cells, rest)
        if _look_dressed(others.head(_FIRST)):
            found[rest] = self._add_others(others, lines[rest])
        return found

    def _add_simple(self, cells: pl.Series, simple: np.ndarray, is_open: np.ndarray, lines: np.ndarray) -> None:
        """Numbers with a comma and nothing else."""
        self.bare.add(cells, simple, lines)
        self.dressed.add(cells, simple, lines)
        if self.commas.count:  # the meaning of the others is settled
            return
        self.open_commas.add(cells, simple & is_open, lines)
        self.commas.add(cells, simple & ~is_open, lines)

    def _add_others(self, cells: pl.Series, lines: np.ndarray) -> np.ndarray:
        parts = _parts(cells)
        found = parts.select_seq(pl.col("open", "close", "sign", "inner", "trail").is_not_null())
        signs = {column.name: column.to_numpy() for column in found.get_columns()}
        balanced = signs["open"] == signs.pop("close")
        body = parts["body"].alias("cell").to_frame().select_seq(_PLAIN_MARKS).to_series()
        has_zero, *kinds = answers(body, _ABOUT_BODIES)
        for (_, kind, mark), is_such in zip(_BODIES, kinds, strict=True):
            if is_such.any():
                self._count(kind, mark, cells, is_such, lines)
        is_number = np.logical_or.reduce(kinds) & balanced & (sum(one.astype(int) for one in signs.values()) <= 1)
        if not is_number.any():
            return is_number
        self.dressed.add(cells, is_number, lines)
        self.brackets.add(cells, is_number & signs["open"], lines)
        self.trailing.add(cells, is_number & signs["trail"], lines)
        (has_other_minus,) = answers(cells, _OTHER_MINUS)
        self.minuses.add(cells, is_number & has_other_minus, lines)
        self.leading_zeros.add(cells, is_number & has_zero, lines)
        self._add_affixes(cells, parts, is_number, lines)
        return is_number

    def _add_affixes(self, cells: pl.Series, parts: pl.DataFrame, is_number: np.ndarray, lines: np.ndarray) -> None:
        """Count the numbers by what stands in front of them and behind."""
        affixes = parts.select_seq(pl.col("prefix", "suffix").fill_null(""))
        numbers = affixes.filter(pl.Series(is_number))
        for prefix, suffix in numbers.unique(maintain_order=True).head(MOST_AFFIXES + 1).iter_rows():
            is_such = is_number & ((affixes["prefix"] == prefix) & (affixes["suffix"] == suffix)).to_numpy()
            sort = self.affixes.setdefault((prefix, suffix), Cells()) if prefix or suffix else self.bare
            sort.add(cells, is_such, lines)

    def _count(self, kind: str, mark: str, cells: pl.Series, is_such: np.ndarray, lines: np.ndarray) -> None:
        if "group" in kind:
            self.groups.setdefault(mark, Cells()).add(cells, is_such, lines)
        if "point" in kind:
            (self.open_points if "open" in kind else self.points).add(cells, is_such, lines)
        if "comma" in kind:
            (self.open_commas if "open" in kind else self.commas).add(cells, is_such, lines)
        if kind == "whole":
            self.whole += int(np.count_nonzero(is_such))

    @property
    def decimals(self) -> set[str]:
        """The decimal marks that are certain."""
        return {mark for mark, cells in ((".", self.points), (",", self.commas)) if cells.count}


def _parts(cells: pl.Series) -> pl.DataFrame:
    """Sign, prefix, body, suffix ... of every cell; null where it does not look like a number."""
    return _extracted(cells, CELL.str.strip_chars(), _DRESSED)


def _extracted(cells: pl.Series, text: pl.Expr, pattern: str) -> pl.DataFrame:
    """The groups of a pattern as columns. As an expression, unnest would search the cells again for each of them."""
    found = cells.alias("cell").to_frame().select_seq(text.str.extract_groups(pattern)).to_series()
    return found.struct.unnest()


def _with_plain_marks(text: pl.Expr) -> pl.Expr:
    """One character for all spaces and one for all apostrophes."""
    return text.str.replace_all(f"[{_SPACES}]", " ").str.replace_all(f"[{_APOSTROPHES}]", "'")


def _look_dressed(cells: pl.Series) -> bool:
    """Whether some cells look like numbers with a currency or a unit, and not like house numbers with a street."""
    parts = _parts(cells).select_seq("body", "prefix", "suffix").rows()
    affixes = [(prefix, suffix) for body, prefix, suffix in parts if body is not None]
    return 2 * len(affixes) >= len(cells) and len(set(affixes)) <= MOST_AFFIXES


def _bodies() -> list[tuple[str, str, str]]:
    """(pattern, meaning of its mark, the thousands separator) for the digits of a number; no two fit one cell."""
    found = [(r"^[0-9]+$", "whole", "")]
    for mark in (" ", "'", "_"):
        grouped = rf"^[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+"
        found += [(rf"{grouped}$", "group", mark), (rf"{grouped}\.[0-9]*$", "group point", mark)]
        found += [(rf"{grouped},[0-9]+$", "group comma", mark)]
    for mark, other, kind, other_kind in ((",", ".", "comma", "point"), (".", ",", "point", "comma")):
        m, o = re.escape(mark), re.escape(other)
        several = rf"[0-9]{{1,3}}(?:{m}[0-9]{{3}}){{2,}}"
        if mark == ",":
            several += r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}"  # lakhs and crores: 12,34,567
        grouped = rf"(?:{several}|[0-9]{{1,3}}{m}[0-9]{{3}})"
        found += [(rf"^(?:{several})$", "group", mark), (rf"^{grouped}{o}[0-9]*$", f"group {other_kind}", mark)]
        found += [(rf"^[1-9][0-9]{{0,2}}{m}[0-9]{{3}}$", f"open {kind}", "")]
        not_open = rf"^(?:0+{m}[0-9]*|[0-9]{{4,}}{m}[0-9]*|[0-9]*{m}[0-9]{{0,2}}|[0-9]*{m}[0-9]{{4,}}|{m}[0-9]{{3}})$"
        found += [(not_open, kind, "")]
    return found


_BODIES = _bodies()
_PLAIN_MARKS = _with_plain_marks(CELL.str.strip_chars())  # of the digits and marks of a number
_ABOUT_BODIES = questions(*(CELL.str.contains(one) for one in (_LEADING_ZERO, *(body for body, _, _ in _BODIES))))
_COMMAS = questions(CELL.str.contains(_SIMPLE_COMMA), CELL.str.contains(_OPEN_COMMA))
_POINTS = questions(CELL.str.contains(OPEN_POINT), CELL.str.contains(".", literal=True))
_OTHER_MINUS = questions(CELL.str.contains(f"[{_MINUSES}]"))


@dataclass(frozen=True)
class Marks:
    """What is known about the numbers of a whole file: its separator and, if its columns agree, its decimal mark."""

    separator: str
    decimal: str = ""  # "." or ",", as set or as other columns show it; "": unknown


def common_mark(looks: list[Look], separator: str, declared: str | None) -> Marks:
    """The decimal mark that is certain for the file, if there is only one; or the declared one."""
    if declared is not None:
        return Marks(separator, declared)
    decimals = set().union(*(look.decimals for look in looks if len(look.decimals) == 1))
    return Marks(separator, decimals.pop() if len(decimals) == 1 else "")


def form_of(look: Look, marks: Marks) -> NumberForm | str:
    """The one form of all numbers of a column; or why there is none, with a cell."""
    why = _torn_affixes(look) or _torn_marks(look) or _torn_negatives(look)
    if why:
        return why
    found = _settled(look, marks)
    if isinstance(found, str):
        return found
    prefix, suffix = next(iter(look.affixes), ("", ""))
    negative = "()" if look.brackets.count else "-" if look.trailing.count else ""
    return NumberForm(*found, prefix, suffix, negative)  # type: ignore[arg-type]


def _torn_affixes(look: Look) -> str:
    """If not all numbers have the same currency or unit: which ones differ."""
    if not look.affixes or (len(look.affixes) == 1 and not look.bare.count):
        return ""
    sorts = sorted([*look.affixes.values(), look.bare], key=lambda cells: -cells.count)
    shown = [cells.shown for cells in sorts if cells.first][:2]
    if len(shown) == 1:
        return f"not all of its numbers are written alike: {shown[0]}"
    return f"not all of its numbers are written alike: {shown[0]}, and {shown[1]}"


def _torn_marks(look: Look) -> str:
    """If a mark means two things, or two marks mean one: the cells that show it."""
    if look.points.count and look.commas.count:
        return f"some of its numbers have a decimal comma ({look.commas.shown}), some a point ({look.points.shown})"
    if len(look.groups) > 1:
        one, two = (cells.shown for cells in list(look.groups.values())[:2])
        return f"its thousands are marked in two ways: {one}, and {two}"
    for mark, cells in ((".", look.points), (",", look.commas)):
        if cells.count and mark in look.groups:
            return f"one mark is decimal and between thousands as well: {cells.shown}, and {look.groups[mark].shown}"
    if look.open_points.count and look.open_commas.count and not (look.decimals or look.groups):
        return f"two marks may be decimal or between thousands: {look.open_points.shown}, and {look.open_commas.shown}"
    return ""


def _torn_negatives(look: Look) -> str:
    if look.brackets.count and look.trailing.count:
        return f"negative numbers are written in two ways: {look.brackets.shown}, and {look.trailing.shown}"
    if look.brackets.count and look.brackets.count == look.dressed.count and not look.plain:
        return f"all of its numbers are in brackets ({look.brackets.shown})"
    return ""


def _settled(look: Look, marks: Marks) -> tuple[str, str] | str:
    """(the decimal mark, the thousands separator); or why it is ambiguous what those of 1.165 or 1,165 are."""
    decimal, group = next(iter(look.decimals), ""), next(iter(look.groups), "")
    for mark, other, cells in ((".", ",", look.open_points), (",", ".", look.open_commas)):
        if not cells.count or mark in (decimal, group):
            continue
        if decimal or group:
            is_decimal = not decimal
        elif marks.decimal:
            is_decimal = marks.decimal == mark
        elif marks.separator != "," and look.whole and cells.count >= ENOUGH:
            line, cell = cells.first[0]
            return f"{quoted(cell)} in line {line} may be a thousand or a fraction: set decimal=. or decimal=,"
        else:
            is_decimal = mark == "." or marks.separator != ","
        if is_decimal:
            decimal = mark
        elif group:
            return f"its thousands are marked in two ways: {look.groups[group].shown}, and {cells.shown}"
        else:
            group, decimal = mark, decimal or other
    return decimal or {".": ",", ",": "."}.get(group, marks.decimal or "."), group


# --- cells to numbers -------------------------------------------------------------------------------------------------
def to_numbers(cells: pl.Series, form: NumberForm) -> pl.Series:
    """Float64: null where a cell is not a number of that form; infinite where it says so or exceeds float64."""
    frame, number = cells.alias("cell").to_frame(), CELL.cast(pl.Float64, strict=False)
    if form.is_plain:
        if cells.cast(pl.Float64, strict=False).null_count():
            number = pl.coalesce(number, _with_hyphen(CELL.str.strip_chars()).cast(pl.Float64, strict=False))
        number = number.fill_nan(None)  # the word nan is not a number
        return frame.select_seq(number).to_series().alias(cells.name)
    simple = pl.lit(None, pl.Float64)
    if not form.prefix and not form.suffix:
        simple = CELL.cast(pl.Int64, strict=False).cast(pl.Float64)
    if form == _COMMA:
        commas = pl.when(CELL.str.contains(_SIMPLE_COMMA)).then(CELL.str.replace(",", ".", literal=True))
        simple = pl.coalesce(simple, commas.cast(pl.Float64, strict=False))
    frame = frame.with_columns(number=simple)
    is_other = (frame["number"].is_null() & frame["cell"].is_not_null()).to_numpy()
    found = frame["number"]
    if is_other.any():
        others = only(frame["cell"], is_other)
        bare = _bare(others, form).cast(pl.Float64, strict=False)
        infinite = pl.when(number.is_infinite()).then(number)
        bare = pl.DataFrame([others, bare.alias("bare")]).select_seq(pl.coalesce("bare", infinite)).to_series()
        found = bare if is_other.all() else found.scatter(np.flatnonzero(is_other), bare)
    return found.alias(cells.name)


def _with_hyphen(text: pl.Expr) -> pl.Expr:
    return text.str.replace(f"^[{_MINUSES}]", "-")


def _bare(cells: pl.Series, form: NumberForm) -> pl.Series:
    """The digits of every cell as a plain number; null where it is not written in this form."""
    text = _with_plain_marks(CELL.str.strip_chars().str.replace_all(f"[{_MINUSES}]", "-"))
    if form.negative == "()":
        text = text.str.replace(r"^\(\s*(.*?)\s*\)$", "-$1")
    elif form.negative == "-":
        text = text.str.replace(r"^(.*?)\s*-$", "-$1")
    prefix, suffix = (re.escape(affix) for affix in (form.prefix, form.suffix))
    mark, point = re.escape(form.thousands), re.escape(form.decimal)
    digits = r"[0-9]+"
    if form.thousands:
        lakhs = r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}" if form.thousands == "," else ""
        digits = rf"(?:[0-9]+|[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+{lakhs})"
    number = rf"(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"
    pattern = rf"^(?P<sign>[-+]?)\s*{prefix}\s*(?P<inner>[-+]?)(?P<number>{number})\s*{suffix}$"
    body = pl.col("number")
    if form.thousands:
        body = body.str.replace_all(form.thousands, "", literal=True)
    if form.decimal == ",":
        body = body.str.replace(",", ".", literal=True)
    return _extracted(cells, text, pattern).select_seq(pl.col("sign") + pl.col("inner") + body).to_series()
