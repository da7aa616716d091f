"""pipeline on the screen, and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.strategy.wording import format_error, format_gap

if TYPE_CHECKING:
    from gnomon.strategy.pipeline import PipelineAnalysis


def print_pipeline(found: PipelineAnalysis) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in pipeline_lines(found):
        console.print(f"  {line}" if line else "", markup=False)


def pipeline_lines(found: PipelineAnalysis) -> list[str]:
    unit = found.unit
    if found.ceilings:
        rows = [("stages replaced by the truth", "error", "gain", "95 % interval")]
        rows.append(("none", format_error(found.error.value, unit), "", ""))
        for number, one in enumerate(found.ceilings):
            ends = f"[{_plain(one.gain.low, unit)}, {_plain(one.gain.high, unit)}]"
            name = printable(one.stage) if number == 0 else f"... and {printable(one.stage)}"
            rows.append((name, format_error(one.error.value, unit), format_gap(one.gain.value, unit), ends))
    else:
        rows = [("errors start in", "errors", "share", "95 % interval")]
        for blame in found.blames:
            ends = f"[{100 * blame.share.low:.1f}, {100 * blame.share.high:.1f}]"
            name = printable(blame.stage) if blame.stage else "no stage: all right, final answer wrong"
            rows.append((name, f"{blame.count:,}", f"{100 * blame.share.value:.1f} %", ends))
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*lines, "", printable(found.text)]


def _plain(value: float, unit: str | None) -> str:
    return format_gap(value, unit).split(" ", 1)[0]


def pipeline_as_json(found: PipelineAnalysis) -> dict[str, Any]:
    """unit, error, ceilings, blames, first, text."""
    return asdict(found)
