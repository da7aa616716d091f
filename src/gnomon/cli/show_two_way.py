"""The two-way table on the screen and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.strategy.two_way import COLUMNS, ROWS, two_way_text

if TYPE_CHECKING:
    from gnomon.strategy.two_way import TwoWay


def print_two_way(found: TwoWay | None) -> None:
    """Nothing if there is only one distribution."""
    if found is not None:
        Console(file=sys.stdout, highlight=False, soft_wrap=True).print(f"\n{two_way_text(found)}", markup=False)


def two_way_as_json(found: TwoWay | None) -> dict[str, Any] | None:
    """{row: {general, target}}, each an interval or null."""
    if found is None:
        return None

    def cell(row: str, column: str) -> dict[str, Any] | None:
        one = found.cells[row, column]
        return None if one is None else asdict(one)

    return {row: {column: cell(row, column) for column in COLUMNS} for row in ROWS}
