"""A range test on the screen: the loss against the rate, and the suggested rate."""

from __future__ import annotations

import math
import sys
from typing import Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.workflow.rate import DIVERGED, Found, RangeTest

ROWS, COLUMNS = 10, 70  # of the chart


def print_found(found: Found) -> None:
    console, test = Console(file=sys.stdout, highlight=False, soft_wrap=True), found.test
    console.print()
    for line in chart(test):
        console.print(line, markup=False)
    console.print()
    for line in sentences(test):
        console.print(f"  {line}", markup=False, style="bold" if line.startswith("try") else "")
    console.print(f"\n  picture  {printable(str(found.picture))}", markup=False)


def sentences(test: RangeTest) -> list[str]:
    """What the test shows, and what to do."""
    end = (
        f"it passed {DIVERGED:g} times its lowest at {test.rates[-1]:.2g}"
        if test.diverged and test.rates
        else "it did not diverge"
    )
    about = f"{len(test.rates)} steps of {test.batch_size:,} examples, {test.seconds:.1f} s"
    lines = [f"lowest loss at {test.lowest_at:.2g}; {end} ({about})"]
    if test.suggested is None:
        return [*lines, "the loss never fell: check the data and the model (gnomon check DATA) before the rate"]
    return [
        *lines,
        f"try learning_rate={test.suggested:g}: a tenth of where the loss was lowest (default: {test.default:g})",
    ]


def chart(test: RangeTest) -> list[str]:
    """The smoothed loss as dots, rates from left to right on a log scale; losses above the initial one are cut off."""
    if not test.smoothed:
        return ["  (no step could be taken)"]
    top, bottom = test.smoothed[0], min(test.smoothed)
    top += 0.15 * max(top - bottom, 1e-12)
    left, right = math.log10(test.rates[0]), math.log10(max(test.rates[-1], 10 * test.rates[0]))
    cells = [[" "] * (COLUMNS + 1) for _ in range(ROWS + 1)]

    def column(rate: float) -> int:
        return min(COLUMNS, max(0, round((math.log10(rate) - left) / (right - left) * COLUMNS)))

    if test.suggested is not None:
        for line in cells:
            line[column(test.suggested)] = "│"
    for rate, loss in zip(test.rates, test.smoothed, strict=True):
        if loss <= top:
            cells[round((top - loss) / (top - bottom) * ROWS)][column(rate)] = "•"
    labels = {0: f"{top:.3g}", ROWS: f"{bottom:.3g}"}
    lines = [f"  {labels.get(i, ''):>8} ┤{''.join(line).rstrip()}" for i, line in enumerate(cells)]
    axis = [" "] * (COLUMNS + 8)
    for power in range(math.ceil(left), math.floor(right) + 1):
        mark = f"{10.0**power:g}"
        axis[column(10.0**power) : column(10.0**power) + len(mark)] = mark
    return [*lines, f"  {'rate':>8}  {''.join(axis).rstrip()}"]


def found_as_json(found: Found) -> dict[str, Any]:
    """suggested and the numbers behind it; non-finite losses are left out by the sweep itself."""
    test = found.test
    return {
        "suggested": test.suggested,
        "default": test.default,
        "lowest_at": test.lowest_at,
        "diverged": test.diverged,
        "batch_size": test.batch_size,
        "seconds": test.seconds,
        "rates": test.rates,
        "losses": test.losses,
        "smoothed": test.smoothed,
        "picture": str(found.picture),
    }
