"""Dates as people write them: which formats are known, and which of them fits every cell of a column."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterator, Sequence

import polars as pl

ZONED = "zoned"  # instead of a form: dates that came with a type and a time zone

# chrono's letters for a part -> a pattern for its text
_PARTS = {
    "%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%B": r"[A-Za-z]{3,9}", "%a": r"[A-Za-z]{3}",
    "%A": r"[A-Za-z]{6,9}", "%H": r"\d{1,2}", "%M": r"\d{2}", "%S": r"\d{2}", "%.f": r"(?:\.\d+)?", "%I": r"\d{1,2}",
    "%p": r"[AaPp][Mm]", "%#z": r"(?:Z|[+-]\d{2}(?::?\d{2})?)",
}  # fmt: skip
_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d",
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d",
    "%d %B %Y", "%d-%B-%Y", "%d-%B-%y", "%d %B %y", "%d. %B %Y", "%B %d, %Y", "%B %d %Y", "%Y-%B-%d", "%Y %B %d",
    "%a, %d %B %Y", "%A, %d %B %Y", "%a, %B %d, %Y", "%A, %B %d, %Y",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
_BETWEEN = (" ", "T", ", ")
_ZONES = ("", "%#z", " %#z", " UTC", " GMT")
ISO_DAY = "%Y-%m-%d"
_ORDERS = {"d": "day", "m": "month", "y": "year", "Y": "year"}


def pattern_of(form: str) -> str:
    """The exact form of a cell, as a pattern."""
    return re.sub(r"%[.#]?[A-Za-z]|[^%]", lambda part: _PARTS.get(part[0], re.escape(part[0])), form)


@functools.cache
def _compiled(form: str) -> re.Pattern[str]:
    return re.compile(pattern_of(form))


def forms_like(cell: str) -> tuple[str, ...]:
    """All known forms that a cell may be written in."""
    return tuple(_forms_like(cell))


def _forms_like(cell: str) -> Iterator[str]:
    for day in _DAYS:
        found = _compiled(day).match(cell)
        if found is None:
            continue
        rest = cell[found.end() :]
        if not rest:
            yield day
        for between in _BETWEEN:
            if not rest.startswith(between):
                continue
            for time in _TIMES:
                for zone in _ZONES:
                    if _compiled(time + zone).fullmatch(rest[len(between) :]):
                        yield day + between + time + zone


def are_dates(cells: pl.Series, form: str) -> bool:
    """Whether all cells are dates of that form."""
    return bool(cells.str.contains(f"^{pattern_of(form)}$").all()) and not to_datetimes(cells, form).null_count()


def to_datetimes(cells: pl.Series, form: str) -> pl.Series:
    """Datetimes in microseconds, in UTC if they have a zone; null where a cell is not a date of that form."""
    found = cells.str.to_datetime(form, time_unit="us", strict=False)
    if found.dtype.time_zone is not None:  # type: ignore[attr-defined]  # a Datetime has one, or None
        found = in_utc(found)
    years = found.dt.year()
    if years.min() is None or years.min() >= 1:  # type: ignore[operator]  # a whole number
        return found
    return found.set((years < 1).fill_null(value=False), None)  # the year 0 is a gap in many exports


def in_utc(column: pl.Series) -> pl.Series:
    """A column with a time zone as the same instants without one, in UTC."""
    return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def has_time(form: str) -> bool:
    return "%M" in form


def example(form: str) -> str:
    """The last second of 2024 in that form."""
    last = datetime.datetime(2024, 12, 31, 23, 59, 59)  # only its text is used
    if form in ("", ZONED):
        form = ISO_DAY if not form else f"{ISO_DAY}T%H:%M:%S%#z"
    return last.strftime(form.replace("%.f", "").replace("%#z", "Z"))


def has_zone(form: str) -> bool:
    """Whether dates of that form are instants. Forms of older runs end with a plain Z."""
    return form == ZONED or form.endswith(("%#z", "Z", "UTC", "GMT"))


def fitting(forms: Sequence[str], trained: str) -> list[str]:
    """The forms to read at prediction: that of training, otherwise ISO's, which is never ambiguous.

    `trained`: "" or ZONED if training had typed dates.
    """
    if trained in forms:
        return [trained]
    return [form for form in forms if form.startswith(ISO_DAY) and has_zone(form) == has_zone(trained)]


def in_words(form: str) -> str:
    """`day/month/year`, and anything else worth saying about a form; "" if it needs no words."""
    words = []
    day = next((each for each in sorted(_DAYS, key=len, reverse=True) if form.startswith(each)), "")
    if re.fullmatch(r"%[dm][/-]%[dm][/-]%[yY]|%y-%m-%d", day):
        words.append(re.sub(r"%(.)", lambda part: _ORDERS[part[1]], day))
    if "%y" in day:
        words.append("with the years 00 to 69 as 2000 to 2069")
    if has_zone(form):
        words.append("in UTC")
    return ", ".join(words)
