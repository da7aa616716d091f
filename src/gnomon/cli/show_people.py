"""People by pictures of them, on the screen."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gnomon.cli.text import printable
from gnomon.data.source import counted, first_names

if TYPE_CHECKING:
    from gnomon.core.example import BadInput
    from gnomon.workflow.people import Change, Identified, Verified

SHOWN = 50
MOST_NAMED = 8


def print_change(found: Change) -> None:
    done, lines = found.enrolled, []
    if found.removed is not None:
        lines.append(f"removed {found.removed}: {counted(done.removed, 'picture')}, from the disk too")
    else:
        counts = Counter(done.added["name"])
        names = [f"{name} ({count})" if count > 1 else name for name, count in counts.items()]
        if names:
            lines.append(f"enrolled {first_names(names, MOST_NAMED)}")
        if len(done.known):
            lines.append(f"already there, not added again: {first_names(done.known['picture'].to_list())}")
    lines.append(f"{found.path} now has {_people(done.people)}, {counted(done.pictures, 'picture')}")
    _print(lines, found.bad)


def print_identified(found: Identified) -> None:
    console = Console(file=sys.stdout, highlight=False)
    table = Table(box=None, pad_edge=True, header_style="bold")
    for name in ("picture", "who", "sure", "distance", "nearest"):
        table.add_column(name, justify="right" if name in ("sure", "distance") else "left", overflow="fold")
    for row in found.table.head(SHOWN).iter_rows(named=True):
        cells = [row["id"], row["person"], _percent(row["sure"]), f"{row['distance']:.3f}", row["picture"]]
        table.add_row(*(printable(cell).replace("[", r"\\[") for cell in cells))
    console.print(table)
    nobody, lines = found.nobody, []
    if len(found.table) > SHOWN:
        lines.append(f"... {len(found.table) - SHOWN:,} more; --json has them all")
    among = f"{_people(found.people)} ({counted(found.pictures, 'picture')})"
    edge = f"nobody from a distance of {nobody.threshold:.3f} on"
    if nobody.is_shown:
        lines.append(f"{edge}: at most {_share(nobody.fpir)} of strangers are taken for one of {among}")
    else:
        lines += [
            f"{edge}, which is below all {nobody.pairs:,} pairs of strangers on dev",
            (
                f"note: how many strangers are taken for one of {among} cannot be told: at most {_share(nobody.fpir)}; "
                f"{_share(found.fpir)} needs {nobody.needed:,} pairs of strangers on dev"
            ),
        ]
    if not math.isnan(nobody.tar):
        lines.append(f"{_share(nobody.tar)} of the pairs of one person on dev are nearer than that")
    _print(lines, found.bad)


def print_verified(found: Verified) -> None:
    answer = "same" if found.same else "different"
    side = "below" if found.same else "not below"
    lines = [f"{answer}, {_percent(found.sure)} sure: distance {found.distance:.3f} is {side} {found.threshold:.3f}"]
    if found.is_one_file:
        lines.append("note: both pictures are the same file")
    _print(lines, ())


def _print(lines: Sequence[str], bad: Sequence[BadInput]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    more = [f"not read: {one.where}: {one.why}" for one in bad[:SHOWN]]
    for line in (*lines, *more):
        console.print(f"  {printable(line)}", markup=False, soft_wrap=True)


def _people(count: int) -> str:
    return counted(count, "person", "people")


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _percent(share: float) -> str:
    """Never 100 % for what is only nearly sure."""
    return "> 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"
