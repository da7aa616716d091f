"""plan: the command, its answers on the screen, and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gnomon.core.errors import UsageError
from gnomon.strategy.wording import format_error, format_gap

if TYPE_CHECKING:
    from gnomon.workflow.judge.plan import Needed, Plan

SHARE = "share"
KNOWN = ("error", "other", "within", "below", "disagree", "alpha", "power", "examples")


def run_plan(words: list[str], values: dict[str, str]) -> Plan:
    """Shares may be written 0.1 or 10%."""
    if words:
        raise UsageError(f"unexpected argument {words[0]!r}.", fix="gnomon plan error=0.1 other=0.09")
    odd = [key for key in values if key not in KNOWN]
    if odd:
        raise UsageError(f"unknown option {odd[0]!r}.", fix=f"plan takes {', '.join(KNOWN)}.")
    from gnomon.workflow.judge.plan import plan

    return plan(**values)


def print_plan(plan: Plan) -> None:
    for line in plan_lines(plan):
        sys.stdout.write(f"  {line}\n" if line else "\n")


def plan_lines(plan: Plan) -> list[str]:
    often, wrongly = _percent(plan.power), _percent(plan.alpha)
    chances = f"power {often}, false alarm rate {wrongly}"
    first = plan.rows[0]
    error = format_error(first.error, SHARE)
    if first.question == "within":
        return [f"{first.unpaired:,} examples show an error of {error} to within {format_gap(first.other or 0, SHARE)}",
                f"(half of the 95 % interval's width, or less, {_percent(plan.power)} of the time)"]  # fmt: skip
    if first.question == "below":
        bound = format_error(first.other or 0, SHARE)
        return [f"{first.unpaired:,} examples show that an error of {error} is below {bound}",
                f"{often} of the time; an error at the bound passes {wrongly} of the time"]  # fmt: skip
    if first.question == "detectable":
        return [*(_detected(row) for row in plan.rows), f"{chances}"]
    title = ("to distinguish", "from", "the same examples", "separate examples each")
    rows = [title, *(_cells(row) for row in plan.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    low, high = first.disagree or (0.0, 0.0)
    if low == high:
        about = [f"exactly one of the two is wrong on {format_error(low, SHARE)} of the examples"]
    else:
        about = [
            "the same examples: fewest if the better one's errors are all the other's too, most if",
            "the two err independently; disagree= sets a value in between (gnomon compare measures it)",
        ]
    return [*lines, "", *about, chances]


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _cells(row: Needed) -> tuple[str, str, str, str]:
    low, high = row.paired or (0, 0)
    span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return format_error(row.error, SHARE), format_error(row.other or 0.0, SHARE), span, f"{row.unpaired or 0:,}"


def _detected(row: Needed) -> str:
    count, how = (row.paired[0], "both models on the same ones, half of the errors shared") if row.paired else (
        row.unpaired or 0, "each model on its own")  # fmt: skip
    if row.other is None:
        return f"{count:,} examples ({how}) cannot even distinguish {format_error(row.error, SHARE)} from 0"
    return (
        f"{count:,} examples ({how}) distinguish {format_error(row.error, SHARE)} from "
        f"{format_error(row.error - row.other, SHARE)} or less"
    )


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """alpha, power, rows [{question, error, other, paired [best, worst], unpaired, disagree}]."""
    return {"alpha": plan.alpha, "power": plan.power, "rows": [asdict(row) for row in plan.rows]}
