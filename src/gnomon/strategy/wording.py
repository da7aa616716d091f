"""The ladder as a person reads it: errors in their unit, rows of cells for the reports and screens, plain text."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gnomon.core.evaluation import SHARE

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import Diagnosis, Gap, Rung
    from gnomon.strategy.floor import Floor

MARK = "<- largest"
MARK_CONTENDER = "<- may be the largest"
MARK_BOUND = "<- may be larger"
MOST_NOTES = 2  # in the terminal; the report has them all
WIDTH = 110  # characters of a line in the terminal


@dataclass(frozen=True, slots=True)
class LadderRow:
    """One line of the ladder, cell by cell; empty where there is nothing to show."""

    split: str  # "train-dev"
    error: str  # "4.1 %"
    gap: str  # "+3.1"
    gap_name: str  # "avoidable bias"
    interval: str  # of the gap if there is one, otherwise of the error: "[ 2.5,  3.7]"
    mark: str  # MARK on the gap that the verdict names
    note: str  # "given", "sealed (gnomon test opens it; opened 0 times)"
    is_note: bool = False  # there is nothing but the note: the sealed test split, the floor


def split_name(split: str) -> str:
    """`train_dev` -> `train-dev`."""
    return split.replace("_", "-")


def format_error(value: float, unit: str | None) -> str:
    """0.041 -> "4.1 %" for shares; "42.3 mg/dl" otherwise, to three significant digits."""
    if unit == SHARE:
        return f"{_points(value)} %"
    return f"{_three_digits(value)} {unit or ''}".rstrip()


def format_gap(value: float, unit: str | None) -> str:
    """0.031 -> "3.1 points" for shares; "5.2 mg/dl" otherwise. Positive values have no sign."""
    if unit == SHARE:
        return f"{_points(value)} points"
    return format_error(value, unit)


def _points(value: float) -> str:
    """A share in percent, to one decimal, or to two significant digits if that would print 0.0."""
    percent = 100 * value
    if math.isinf(percent):
        return "-∞" if percent < 0 else "∞"
    if abs(percent) >= 0.1 or percent == 0:
        return f"{percent:.1f}"
    return f"{percent:.2g}" if abs(percent) >= 0.001 else "0.0"


def _three_digits(value: float) -> str:
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    if value == 0:
        return "0"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}" if decimals <= 6 else f"{value:.2e}"


def format_count(count: int) -> str:
    """12,400 -> "about 12,000"; beyond 10 million, where nobody collects that many, no number."""
    if count > 10_000_000:
        return "more than 10 million"
    digits = len(str(count))
    return f"about {round(count, 2 - digits):,}" if digits > 2 else str(count)


def ladder_rows(diagnosis: Diagnosis) -> tuple[LadderRow, ...]:
    """One row per rung, from human to test; then a sealed test split, and the floor: what no effort and little give."""
    gaps = {gap.above: gap for gap in diagnosis.gaps}
    rows = [_row(rung, gaps.get(rung.name), diagnosis) for rung in diagnosis.rungs]
    if diagnosis.test_openings is not None and all(rung.name != "test" for rung in diagnosis.rungs):
        note = f"sealed (gnomon test opens it; opened {diagnosis.test_openings} times)"
        rows.append(LadderRow("test", "", "", "", "", "", note, is_note=True))
    if diagnosis.floor is not None:
        note = floor_text(diagnosis.floor, diagnosis.unit)
        rows.append(LadderRow("floor", "", "", "", "", "", note, is_note=True))
    return tuple(rows)


def floor_text(floor: Floor, unit: str | None) -> str:
    """`always 'e': 95.9 % · linear model: 22.0 % · nearest neighbours: 3.9 %`: from no effort to the best reference."""
    shown = [floor.guess, *sorted(floor.references, key=lambda one: -one.error)]
    return " · ".join(f"{one.name}: {format_error(one.error, unit)}" for one in shown)


def _row(rung: Rung, gap: Gap | None, diagnosis: Diagnosis) -> LadderRow:
    unit, verdict = diagnosis.unit, diagnosis.verdict
    error = "?" if rung.is_unknown else format_error(rung.error, unit)
    note = rung.note if rung.raw is None else f"{rung.note}; {format_error(rung.raw, unit)} with them"
    if gap is None:
        interval = "" if rung.low == rung.high else _interval(rung.low, rung.high, unit)
        return LadderRow(split_name(rung.name), error, "", "", interval if rung.examples else "", "", note)
    mark = ""
    if verdict.gap is not None and gap.name in verdict.contenders:
        mark = MARK if len(verdict.contenders) == 1 else MARK_BOUND if gap.is_bound else MARK_CONTENDER
        mark = MARK_CONTENDER if gap.is_bound and len(verdict.contenders) == 1 else mark
    name: str = gap.name
    size = _signed(gap.size, unit)
    if gap.is_bound:
        name, size = f"{gap.name} at most", _signed(gap.size, unit).lstrip("+")
    elif gap.size < 0:
        name = {
            "variance": f"{'no variance: ' if gap.high <= gap.floor else ''}train is above {split_name(gap.above)}",
            "data mismatch": "no mismatch: dev is easier than train-dev",
            "overfitting to dev": "none: test is below dev",
            "mismatch with use": "none: use is easier",
            "avoidable bias": "no avoidable bias: below human",
        }[gap.name]
    elif gap.proven_by:
        name = f"{gap.name} at least"
    return LadderRow(split_name(rung.name), error, size, name, _interval(gap.low, gap.high, unit), mark, note)


def _signed(value: float, unit: str | None) -> str:
    if unit == SHARE and math.isfinite(value):
        percent = 100 * value
        text = f"{percent:.1f}" if abs(percent) >= 0.1 else f"{round(percent, 2) + 0.0:.2f}"
    else:
        text = _points(value) if unit == SHARE else _three_digits(value)
    return f"+{text}" if value > 0 else text


def _interval(low: float, high: float, unit: str | None) -> str:
    if unit == SHARE and math.isfinite(high - low):
        decimals = 1 if max(abs(low), abs(high)) >= 0.005 else 2
        ends = [f"{round(100 * end, decimals) + 0.0:.{decimals}f}" for end in (low, high)]
    else:
        ends = [_three_digits(end) for end in (low, high)]
    return f"[{ends[0]:>4}, {ends[1]:>4}]"


def ladder_text(diagnosis: Diagnosis) -> str:
    """The ladder, the verdict, some notes and the advice as aligned plain text, without a trailing newline.

    A screenful: the reason of a piece of advice is left out where it does not fit on its line and there is a command;
    the report has it.
    """
    rows = ladder_rows(diagnosis)
    title = LadderRow("", diagnosis.error_name, "gap", "", "95 % interval", "", "")
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, (title, *rows)), strict=True)]
    lines = []
    for row in (title, *rows):
        if row.is_note:
            lines += _wrapped(f"  {row.split.ljust(widths[0])}  ", row.note)
            continue
        split, error, gap, name, interval, rest = (
            cell.rjust(width) if place in (1, 2) and row is not title else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(_cells(row), widths, strict=True))
        )
        lines.append(f"  {split}  {error}   {gap}  {name}  {interval}  {rest}".rstrip())
    lines += ["", *_wrapped("  ", diagnosis.verdict.text)]
    for note in diagnosis.notes[:MOST_NOTES]:
        lines += _wrapped("  note: ", note)
    for number, advice in enumerate(diagnosis.advice, start=1):
        begin = f"  {'next' if number == 1 else '    '}  {number}. "
        whole = f"{advice.action}: {advice.why}"
        is_short = len(begin + whole) <= WIDTH
        lines += [begin + whole] if is_short else _wrapped(begin, advice.action if advice.command else whole)
        lines += [f"           {advice.command}"] if advice.command else []
    return "\n".join(lines)


def _wrapped(begin: str, text: str) -> list[str]:
    """Lines of at most WIDTH characters, where words allow it."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _cells(row: LadderRow) -> tuple[str, ...]:
    short = "; ".join(part for part in row.note.split("; ") if not part.startswith("best of"))  # the report has it
    note = f"({short})" if short and not row.is_note else ""
    rest = "  ".join(part for part in (row.mark, note) if part)
    return row.split, row.error, row.gap, row.gap_name, row.interval, rest
