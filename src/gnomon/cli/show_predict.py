"""Predictions on the screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gnomon.cli.text import printable
from gnomon.metrics import box_table, mask_table, span_table

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
        measures = [f"{row[name]:.4g}" for name in answers.measures]
        table.add_row(_plain(str(row["id"])), _plain(_shown(row)), confidence, *measures)
        for other in json.loads(row.get("n_best") or "[]")[1:]:
            table.add_row("", _plain(other["prediction"]), "", *(f"{other[name]:.4g}" for name in answers.measures))
    console.print(table)
    if len(answers.table) > SHOWN:
        console.print(f"  ... {len(answers.table) - SHOWN:,} more; out=answers.csv writes them all", markup=False)
    for note in answers.notes:
        console.print(f"  note: {printable(note)}", markup=False)
    for bad in answers.bad[:SHOWN]:
        console.print(f"  not read: {printable(bad.where)}: {printable(bad.why)}", markup=False)
    if answers.drawn:
        console.print(f"  drawn in {printable(str(answers.drawn[0].parent))}", markup=False)
    if out is not None:
        console.print(f"  written to {printable(out)}", markup=False)


def _shown(row: Mapping[str, Any]) -> str:
    """A number, a word; of boxes, how many of each class; of a mask, how much of the picture each class has.

    Of spans the text with brackets around them.
    """
    prediction = row["prediction"]
    if isinstance(prediction, float):
        return f"{prediction:.6g}"
    text = str(prediction)
    if "text" in row and span_table.are_spans(text):
        return span_table.in_words(row["text"], text)
    if box_table.are_boxes(text):
        return box_table.in_words(text)
    if not mask_table.is_mask(text):
        return text
    classes = mask_table.decode(text)
    names, counts = json.loads(row["class_names"]), np.bincount(classes.ravel())
    largest = [int(place) for place in np.argsort(-counts, kind="stable") if counts[place]]
    return ", ".join(f"{names[place]} {counts[place] / classes.size:.1%}" for place in largest)


def _plain(text: str) -> str:
    """Square brackets are not markup here."""
    return printable(text).replace("[", r"\[")
