"""What averaging gains beside what it costs: on the screen and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.strategy.paired import in_words
from gnomon.strategy.wording import format_error

if TYPE_CHECKING:
    from gnomon.metrics.interval import Interval
    from gnomon.workflow.judge.gain import Gain


def print_gain(gain: Gain | None) -> None:
    """Three lines: both errors on dev, the paired test, and the time per example; nothing for None."""
    if gain is None:
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print()
    for line in _lines(gain):
        console.print(f"  {printable(line)}", markup=False)


def _lines(gain: Gain) -> list[str]:
    together, alone = (format_error(one.value, gain.unit) for one in (gain.dev, gain.dev_against))
    lines = [
        f"gain    dev {together} instead of {alone}, which is {gain.against}",
        f"paired  {in_words(gain.test, 'together', 'alone', gain.unit)}",
    ]
    if gain.latency is not None and gain.latency_against is not None and gain.times_slower is not None:
        ends = f"[{gain.latency.low:.3g}, {gain.latency.high:.3g}]"
        lines.append(
            f"cost    {gain.latency.value:.3g} ms per example {ends} instead of {gain.latency_against.value:.3g} ms: "
            f"{gain.times_slower:.1f} times slower"
        )
    return [*lines, *(f"note    {note}" for note in gain.notes)]


def gain_as_json(gain: Gain) -> dict[str, Any]:
    """name, against, dev and against_dev {value, low, high}, paired test, latency_ms of both, times_slower, notes."""
    return {
        "name": gain.name,
        "against": gain.against,
        "dev": _ends(gain.dev),
        "against_dev": _ends(gain.dev_against),
        "paired": {
            **{key: value for key, value in asdict(gain.test).items() if key not in ("difference", "scatter")},
            "difference": _ends(gain.test.difference),
            "is_significant": gain.test.is_significant(),
        },
        "latency_ms": _ends(gain.latency),
        "against_latency_ms": _ends(gain.latency_against),
        "times_slower": gain.times_slower,
        "notes": list(gain.notes),
    }


def _ends(one: Interval | None) -> dict[str, Any] | None:
    if one is None:
        return None
    ends = {"value": one.value, "low": one.low, "high": one.high}
    return {key: end if abs(end) < float("inf") else None for key, end in ends.items()}
