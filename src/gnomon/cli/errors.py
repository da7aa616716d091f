"""errors on the screen, as JSON, and as CSV."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.core.evaluation import SHARE
from gnomon.strategy.search_fault import fault_text
from gnomon.strategy.wording import format_error, split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnomon.metrics.interval import Interval
    from gnomon.strategy.error_analysis import TagShare
    from gnomon.workflow.judge.errors import Found
    from gnomon.workflow.sheet import Sheet

SHOWN = 25
NAME_WIDTH = 34
KNOWN = ("split", "rows", "out", "tags", "cost", "report")


def print_errors(found: Found) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    sheet, unit = found.sheet, found.sheet.diagnosis.unit
    console.print(f"  {_headline(sheet)}", markup=False)
    if found.shares:
        ordered = sorted(found.shares, key=lambda one: not one.is_specific)[:SHOWN]
        width = min(NAME_WIDTH, max(len(printable(text)) for one in ordered for text in (one.name, one.what)))
        for what in sorted({one.what for one in ordered}, key=[one.what for one in ordered].index):
            console.print(f"\n  {_heads(_title(what, ordered), width, sheet.split)}", style="bold", markup=False)
            for one in ordered:
                if one.what == what:
                    console.print(f"  {_line(one, width, unit)}", markup=False)
        if len(found.shares) > SHOWN:
            console.print(f"  ... {len(found.shares) - SHOWN} more; --json has them all", markup=False)
        console.print()
        for line in _advice(found):
            console.print(f"  {line}", markup=False)
    if found.note:
        console.print(f"  note  {printable(found.note)}", markup=False)
    if found.changed is not None:
        console.print(f"  read  {found.changed:,} changed cells", markup=False)
    if found.out is not None:
        console.print(f"  saved {found.written:,} rows to {printable(str(found.out))}", markup=False)
    if found.report is not None:
        console.print(f"  saved {printable(str(found.report))}", markup=False)


def _headline(sheet: Sheet) -> str:
    error = format_error(sheet.error, sheet.diagnosis.unit)
    name, count = split_name(sheet.split), sheet.errors.count
    if count == 0:
        return f"{name} error {error}: there are no errors to analyse"
    inside = next((tag.inside for tag in sheet.tags if tag.inside is not None), None)
    if inside is not None:
        score = f" (score {sheet.table['threshold'][0]:.2f} and up)" if "threshold" in sheet.table.columns else ""
        where = f"in {count:,} of {len(sheet.table):,} pictures"
        return f"{name} error {error}: {inside.errors:,} {inside.what}{score} {where}"
    if sheet.diagnosis.unit != SHARE:
        return f"{name} error {error}, the mean of {len(sheet.table):,} examples; shares are of the sum of their errors"
    return f"{name} error {error}: {count:,} of {len(sheet.table):,} examples are wrong"


def _heads(title: str, width: int, split: str) -> str:
    return (
        f"{title:<{width}}  {'errors':>12}  {'share':>7}  {'95 %':>14}  {'could remove':>14}  "
        f"{split_name(split) + ' error to':>13}  {'among right':>11}"
    )


def _title(what: str, shown: Sequence[TagShare]) -> str:
    """Of a group of tags: what they count."""
    return what or ("pictures" if any(one.what for one in shown) else "tag")


def _line(one: TagShare, width: int, unit: str | None) -> str:
    name = printable(one.name)
    name = name if len(name) <= width else f"{name[: width - 1]}…"
    count = f"{one.tagged:,} of {one.reviewed:,}"
    among = "" if one.among_right is None else f"{100 * one.among_right:.1f} %"
    return (
        f"{name:<{width}}  {count:>12}  {100 * one.share.value:>5.1f} %  {_ends(one.share):>14}  "
        f"{format_error(one.ceiling.value, unit):>14}  {format_error(one.left.value, unit):>13}  {among:>11}"
    )


def _ends(share: Interval) -> str:
    return "" if share.low == share.high else f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _advice(found: Found) -> list[str]:
    """The tag to look at first: the highest ceiling among those that are more common among errors."""
    sheet, unit = found.sheet, found.sheet.diagnosis.unit
    lines = []
    specific = [one for one in found.shares if one.is_specific]
    if specific:
        best = specific[0]
        lines.append(
            f"start with: {printable(best.name)}. Fixing all of it would take {split_name(sheet.split)} from "
            f"{format_error(sheet.error, unit)} to {format_error(best.left.value, unit)} at best"
        )
    elif found.shares:
        lines.append("no tag is significantly more common among errors: there may be no pattern to find")
    if sheet.fault is not None:
        lines.append(fault_text(sheet.fault))
    if any(one.is_ordinary for one in found.shares):
        lines.append(
            "tags that are about as common among right answers (last column) describe the data, not the errors"
        )
    return lines


def errors_as_json(found: Found) -> dict[str, Any]:
    sheet = found.sheet
    done: dict[str, Any] = {} if found.changed is None else {"changed": found.changed}
    if found.out is not None:
        done |= {"out": str(found.out), "written": found.written}
    if found.report is not None:
        done["report"] = str(found.report)
    return {
        "run": str(sheet.folder.path),
        "split": sheet.split,
        "unit": sheet.diagnosis.unit,
        "error": sheet.error,
        "examples": len(sheet.table),
        "errors": sheet.errors.count,
        "tags": [asdict(one) | {"is_specific": one.is_specific} for one in found.shares],
        "note": found.note,
        **({} if sheet.fault is None else {"search": asdict(sheet.fault.search), "model": asdict(sheet.fault.model)}),
        **done,
    }
