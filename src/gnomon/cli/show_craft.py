"""What a person sees while a craft works, when it is done, and when its run is shown again; the same as JSON."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import clock, error_text, printable, rounded

if TYPE_CHECKING:
    from gnomon.workflow.made import Made
    from gnomon.workflow.road.follow import Begun

COLUMNS = 4  # measures in a row of an epoch; all of them are in the report
WIDTH = 18  # characters of a measure's column
BETTER = {"less": "lower is better", "more": "higher is better"}


class MeasureRows:
    """The lines of a craft at work: what it is made of, then one row of measures per epoch."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun
        self.shown = begun.craft.measures[:COLUMNS]

    def opening(self) -> list[str]:
        begun, settings = self.begun, self.begun.settings
        lines = [
            f"  found      {printable(begun.why)}      task={begun.craft.name} (task=... overrides)",
            f"  making     {begun.craft.title} of {printable(begun.material.summary)}",
        ]
        lines += [f"  {'notes' if i == 0 else '':<10} {printable(note)}" for i, note in enumerate(begun.notes)]
        lines.append(
            f"  model      {rounded(begun.parameters)} parameters · {begun.craft.method(settings)} "
            f"{settings.optimiser.learning_rate:g} {settings.schedule.name} · {settings.stop.epochs} epochs"
        )
        if begun.resumed_at is not None:
            lines.append(f"  resumed    at step {begun.resumed_at:,}")
        return lines

    def header(self) -> str:
        names = "".join(f"{printable(measure.name)[: WIDTH - 2]:>{WIDTH}}" for measure in self.shown)
        return f"   epoch{names}{'lr':>11}{'time':>8}"

    def row(self, row: Mapping[str, Any]) -> str:
        cells = "".join(f"{error_text(row['measures'][one.name], one.unit or None):>{WIDTH}}" for one in self.shown)
        epoch = f"{row['epoch']}/{self.begun.settings.stop.epochs}"
        return f"{epoch:>8}{cells}{row['learning_rate']:>11.2e}{clock(row['seconds']):>8}"


def print_made(made: Made, *, was_finished: bool = False) -> None:
    """Measures, outputs, where everything lies."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    card, outcome, history = made.card, made.outcome, made.history
    if was_finished:
        console.print("  finished   this run was already finished: there was nothing left to do", markup=False)
    width = max(len(printable(one["name"])) for one in card["measures"])
    console.print(f"\n  {printable(card['craft'])} of {printable(card['summary'])}", markup=False)
    for one in card["measures"]:
        ends = [row["measures"].get(one["name"], math.nan) for row in (*history[:1], *history[-1:])]
        now, first = (error_text(end, one["unit"] or None) for end in reversed(ends)) if ends else ("not yet", "")
        after = f"  ({first} after the first epoch)" if len(history) > 1 else ""
        how = f"  {BETTER[one['better']]}" if one["better"] in BETTER else ""
        console.print(f"  {printable(one['name']):<{width}}  {now}{after}{how}", markup=False)
    if outcome is None:
        console.print(f"\n  not finished: gnomon fit --resume {printable(str(made.path))}", markup=False)
        return
    if outcome["ended_because"] == "max_time":
        console.print(f"  max_time stopped it at step {outcome['steps']:,}", markup=False)
    files = ", ".join(f"{printable(one['name'])} ({one['bytes']:,} bytes)" for one in outcome["outputs"][:8])
    console.print(f"\n  outputs {printable(str(made.path / 'outputs'))}: {files}", markup=False)
    console.print(f"  report  {printable(str(made.report))}", markup=False)


def made_as_json(made: Made) -> dict[str, Any]:
    card, outcome, measures = made.card, made.outcome, made.measures
    return {
        "run": str(made.path),
        "craft": made.folder.task,
        "made_of": card["summary"],
        "measures": {
            one["name"]: {
                "value": value if (value := measures.get(one["name"])) is not None and math.isfinite(value) else None,
                "unit": one["unit"],
                "better": one["better"],
            }
            for one in card["measures"]
        },
        "outputs": [] if outcome is None else outcome["outputs"],
        "seconds": None if outcome is None else outcome["seconds"],
        "report": str(made.report) if outcome is not None else None,
    }
