"""The ladder on the screen and as JSON."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.strategy.diagnosis import Diagnosis
from gnomon.strategy.saved import to_json
from gnomon.strategy.wording import MARK, ladder_text


def print_diagnosis(diagnosis: Diagnosis, *, report: Path | None = None, latest: Path | None = None) -> None:
    """The ladder, the verdict, the advice, and where the report is. `latest`: the folder that `latest` points at."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print()
    if latest is not None:
        short = [replace(one, command=one.command.replace(str(latest), "latest")) for one in diagnosis.advice]
        diagnosis = replace(diagnosis, advice=tuple(short))
    for line in ladder_text(diagnosis).splitlines():
        console.print(printable(line), markup=False, style="bold" if MARK in line else "")
    if report is not None:
        console.print(f"\n  report  {printable(str(report))}", markup=False)


def diagnosis_as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """errors {split: {error, low, high, examples, note}}, gaps {name: {size, low, high ...}}, verdict, advice ..."""
    plain = to_json(diagnosis)
    return {
        "unit": diagnosis.unit,
        "errors": {
            rung["name"]: {key: rung[key] for key in ("error", "low", "high", "examples", "note")}
            for rung in plain["rungs"]
        },
        "gaps": {gap["name"]: gap for gap in plain["gaps"]},
        "verdict": plain["verdict"],
        "advice": plain["advice"],
        "notes": plain["notes"],
        "floor": plain["floor"],
    }
