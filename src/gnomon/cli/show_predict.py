"""Predictions on the screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gnomon.cli.text import printable

if TYPE_CHECKING:
    from gnomon.workflow.predict import Answers

SHOWN = 50


def print_answers(answers: Answers, out: str | None) -> None:
    console = Console(file=sys.stdout, highlight=False)
    for alarm in answers.alarms:
        console.print(f"  WARNING: {printable(alarm)}", markup=False, style="bold")
    table = Table(box=None, pad_edge=True, header_style="bold")
    for name in ("id", "prediction", "confidence"):
        table.add_column(name, justify="right" if name == "confidence" else "left", overflow="fold")
    for name in answers.measures:
        table.add_column(name, justify="right")
    for row in answers.table.head(SHOWN).iter_rows(named=True):
        confidence = "" if row["confidence"] is None else f"{100 * row['confidence']:.1f} %"
        prediction = f"{row['prediction']:.6g}" if isinstance(row["prediction"], float) else str(row["prediction"])
        measures = [f"{row[name]:.4g}" for name in answers.measures]
        table.add_row(_plain(str(row["id"])), _plain(prediction), confidence, *measures)
    console.print(table)
    if len(answers.table) > SHOWN:
        console.print(f"  ... {len(answers.table) - SHOWN:,} more; out=answers.csv writes them all", markup=False)
    for note in answers.notes:
        console.print(f"  note: {printable(note)}", markup=False)
    for bad in answers.bad[:SHOWN]:
        console.print(f"  not read: {printable(bad.where)}: {printable(bad.why)}", markup=False)
    if out is not None:
        console.print(f"  written to {printable(out)}", markup=False)


def _plain(text: str) -> str:
    """Square brackets are not markup here."""
    return printable(text).replace("[", r"\[")
