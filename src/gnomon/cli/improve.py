"""improve: the command, one line per step, the improved system at the end, and JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.show_diagnosis import diagnosis_as_json, print_diagnosis
from gnomon.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnomon.strategy.improve_diary import Entry
    from gnomon.workflow.improve.improve import Improvement

SHORT = {"began": "began", "first": "first", "ended": "ended"}  # steps whose line starts with their event


def run_improve(
    thing: str | None, resume: str | None, values: dict[str, str], *, preset: Mapping[str, Any], quiet: bool
) -> Improvement:
    """`time` is a duration, `test` is yes or no, everything else a setting of the first system."""
    from gnomon.workflow.improve.improve import improve

    return improve(thing, resume=resume, preset=preset, tell=_step_printer(quiet=quiet), **values)


def _step_printer(*, quiet: bool) -> Callable[[Entry], None]:
    """Prints one line per step, to stderr if stdout is for JSON."""
    console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)

    def tell(entry: Entry) -> None:
        whole, step = int(entry.seconds), SHORT.get(entry.event) or entry.step
        line = f"{whole // 60:>4}:{whole % 60:02d}  {step:<8} {entry.text}"
        console.print(printable(line), markup=False, style="bold" if step == "kept" else "")

    return tell


def print_improvement(found: Improvement) -> None:
    """The ladder of the improved system, what was kept, and where everything is."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    print_diagnosis(found.run.diagnosis, report=found.run.report)
    console.print(f"  diary   {printable(str(found.run.path / 'diary.md'))}", markup=False)
    for key, value in found.changes.items():
        shown = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        doubt = "  (not proven: it looked better, and nothing contradicts it)" if key in found.unproven else ""
        console.print(f"  kept    {printable(f'{key} = {shown}')}{doubt}", markup=False)
    if not found.changes:
        console.print("  kept    nothing: no change looks better; this is the first system")


def improvement_as_json(found: Improvement) -> dict[str, Any]:
    """The run, what was kept, the diary, the ladder."""
    return {
        "run": str(found.run.path),
        "changes": dict(found.changes),
        "unproven": sorted(found.unproven),
        "diary": [entry.to_json() for entry in found.diary],
        **diagnosis_as_json(found.run.diagnosis),
        "report": str(found.run.report),
    }
