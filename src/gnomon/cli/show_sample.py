"""Texts drawn from a language model on the screen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable

if TYPE_CHECKING:
    from gnomon.workflow.sample import Samples

WHOLE = 1 << 30  # characters of a line: nothing is cut


def print_samples(found: Samples) -> None:
    console = Console(file=sys.stdout, highlight=False)
    for note in found.notes:
        console.print(f"  note: {printable(note)}", markup=False)
    for number, text in enumerate(found.texts, start=1):
        if len(found.texts) > 1:
            console.print(f"  --- {number}", markup=False)
        for line in text.split("\n"):
            console.print(f"  {printable(line, WHOLE)}", markup=False, soft_wrap=True)


def samples_as_json(found: Samples) -> dict[str, Any]:
    return {"samples": list(found.texts), "notes": list(found.notes)}
