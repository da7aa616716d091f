"""labels of boxes, masks, spans and pairs of texts on the screen, and as JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.workflow.judge.place_labels import BECOMES

if TYPE_CHECKING:
    from gnomon.workflow.judge.place_labels import Place, PlaceFindings, PlacesReviewed

SHOWN = 10
MOST_CHARACTERS = 120  # of a text


def print_places(found: PlaceFindings) -> None:
    """Suspects, or what a review says of all."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    audit = found.audit
    kinds = Counter(one.kind for one in audit.suspects).most_common()
    counts = ": " + ", ".join(f"{count:,} {kind}" for kind, count in kinds) if kinds else ""
    number = f"{len(audit.suspects):,}" if audit.suspects else "no"
    split = audit.split.replace("_", "-")
    places = f"{number} suspect places in {audit.count:,} {audit.what}{counts}"
    if not audit.sides:
        places = f"{number} suspects among {audit.count:,} {audit.what}{counts}"
    console.print(f"  {split}: {places} ({audit.origin})", markup=False)
    if found.reviewed is not None:
        for line in _reviewed_lines(found.reviewed):
            console.print(f"  {line}", markup=False)
    elif audit.suspects:
        console.print()
        if audit.sides:
            rows = [("id", "what", "label", "answer", ", ".join(audit.sides), "sureness")]
            for one in audit.suspects[:SHOWN]:
                place = ", ".join(f"{side:.0f}" for side in one.box)
                names = (printable(text) for text in (one.id[-40:], one.kind, one.given or "none", one.suggested))
                rows.append((*names, place, f"{one.sureness:.2f}"))  # type: ignore[arg-type]
            print_rows(rows, console)
        else:
            for one in audit.suspects[:SHOWN]:
                _print_pair(one, console)
        console.print()
        console.print("  a suspect is the model's guess until a person has reviewed it", markup=False)
    if found.out is not None:
        console.print(f"  saved  {found.written:,} rows to review to {printable(str(found.out))}", markup=False)


def _print_pair(one: Place, console: Console) -> None:
    """What it is, then both sides and the model's answer, each on a line of its own."""
    console.print(f"  {printable(one.id[-40:])}: {one.kind}, sureness {one.sureness:.2f}", markup=False, style="bold")
    source, sign, target = one.given.partition(BECOMES)
    if not sign:
        console.print(f"    filed under {printable(one.given)}, looks like {printable(one.suggested)}", markup=False)
        return
    for name, text in (("source", source), ("target", target), ("answer", one.suggested)):
        console.print(f"    {name}  {printable(text)[:MOST_CHARACTERS]}", markup=False)


def print_rows(rows: Sequence[Sequence[str]], console: Console) -> None:
    """A table whose first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(f"  {cells.rstrip()}", markup=False, style="bold" if row is rows[0] else "")


def _reviewed_lines(reviewed: PlacesReviewed) -> list[str]:
    verdicts = ", ".join(f"{count} {name}" for name, count in reviewed.verdicts.items())
    lines = [f"reviewed {reviewed.num_reviewed:,}: {verdicts}"]
    lines += [f"{kind}: {wrong} of {total} suspects are wrong" for kind, (wrong, total) in reviewed.by_kind.items()]
    wrong = reviewed.wrong
    ends = f"[{wrong.low:,.0f}, {wrong.high:,.0f}]"
    lines.append(f"wrong places overall: {wrong.value:,.0f} {ends}, from the weighted sample")
    return lines


def places_as_json(found: PlaceFindings) -> dict[str, Any]:
    """split, what, count, suspects [{id, kind, given, suggested, box, sureness}], review {verdicts, by_kind, wrong}."""
    audit = found.audit
    plain: dict[str, Any] = {
        "split": audit.split,
        "what": audit.what,
        "count": audit.count,
        "origin": audit.origin,
        "suspects": [asdict(one) for one in audit.suspects],
        "out": None if found.out is None else str(found.out),
    }
    if found.reviewed is not None:
        plain["review"] = asdict(found.reviewed)
    return plain
