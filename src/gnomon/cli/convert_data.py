"""What `gnomon convert DATA out/ to=...` shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gnomon.cli.text import printable
from gnomon.data.source import counted

if TYPE_CHECKING:
    from gnomon.workflow.convert_data import ConvertedData

NAMED = 3  # places that are named


def print_converted_data(found: ConvertedData) -> None:
    objects = f", {found.objects:,} objects" if found.objects else ""
    lines = [
        (
            f"  read as    {found.read_as}: {found.pictures:,} pictures{objects}, "
            f"{counted(len(found.class_names), 'class', 'classes')} ({printable(', '.join(found.class_names[:NAMED]))}"
            f"{' ...' if len(found.class_names) > NAMED else ''})"
        ),
        *(f"             {printable(note)}" for note in found.notes),
        *(f"  left out   {printable(one.where)}: {printable(one.why)}" for one in found.bad[:NAMED]),
    ]
    if len(found.bad) > NAMED:
        lines.append(f"             and {len(found.bad) - NAMED:,} more (all with --json)")
    for what, places in found.lost:
        shown = printable(", ".join(dict.fromkeys(places[:NAMED])))
        more = " ..." if len(places) > NAMED else ""
        lines.append(f"  lost       {what}: {len(places):,} ({shown}{more})")
    lines.append(f"  wrote      {printable(str(found.path))} as {found.to}" + ("" if found.lost else ", nothing lost"))
    sys.stdout.write("\n".join(lines) + "\n")


def converted_data_as_json(found: ConvertedData) -> dict[str, Any]:
    return {
        "path": str(found.path), "read_as": found.read_as, "to": found.to, "pictures": found.pictures,
        "objects": found.objects, "class_names": list(found.class_names), "notes": list(found.notes),
        "repaired": {what: list(places) for what, places in found.repaired},
        "bad": [{"where": one.where, "why": one.why} for one in found.bad],
        "lost": {what: list(places) for what, places in found.lost},
    }  # fmt: skip
