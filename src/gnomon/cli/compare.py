"""compare: the command, its table on the screen, and as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.core.errors import UsageError
from gnomon.strategy.paired import in_words
from gnomon.strategy.wording import format_error, format_gap

if TYPE_CHECKING:
    from gnomon.metrics.interval import Interval
    from gnomon.workflow.judge.compare import Comparison, System

NAME_WIDTH = 44
ALWAYS = ("latency_ms", "size_mb")
WEIGHT = "weight."


def run_compare(words: list[str], values: dict[str, str]) -> Comparison:
    """Words with < or > in them are conditions, the others runs or tables; settings: metric, crops, weight.CLASS."""
    metric, crops = values.pop("metric", "error"), values.pop("crops", 1)
    weight = {key.removeprefix(WEIGHT): text for key, text in values.items() if key.startswith(WEIGHT)}
    if len(weight) < len(values):
        odd = next(key for key in values if not key.startswith(WEIGHT))
        raise UsageError(f"compare takes metric, crops and weight.CLASS, not {odd}.", fix="leave it out.")
    from gnomon.workflow.judge.compare import compare

    return compare(*words, metric=metric, weight=weight, crops=crops)


def print_comparison(found: Comparison) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    if found.unlike:
        console.print(f"  {printable(found.unlike)}\n", style="bold", markup=False)
    title, *lines = _table(found)
    console.print(f"  {title}", style="bold", markup=False)
    for line in lines:
        console.print(f"  {line}", markup=False)
    if not found.unlike:
        console.print()
        for line in _verdict(found):
            console.print(f"  {line}", markup=False)
    if found.differing:
        console.print("\n  settings that differ", style="bold", markup=False)
        width = max(map(len, found.differing))
        for key, row in found.differing.items():
            console.print(f"  {key:<{width}}  {'  |  '.join(printable(_shown(value)) for value in row)}", markup=False)
    for note in found.notes:
        console.print(f"  note  {printable(note)}", markup=False)


def _table(found: Comparison) -> list[str]:
    unit, target = found.systems[0].evaluation.unit, found.target
    asked = [one.name for marks in found.choice.failed.values() for one in marks] + [
        one.name for one in target.conditions
    ]
    known = {name for system in found.systems for name in system.measures}
    names = [name for name in dict.fromkeys(["error", *asked, *ALWAYS]) if name in known and name != target.metric]
    rows = [["system", target.metric, "95 % interval", *names, ""]]
    for system in found.systems:
        one = system.measures.get(target.metric)
        cells = [_value(system, name, unit) for name in names]
        ends = (
            ""
            if one is None or one.low == one.high
            else f"[{_number(target.metric, one.low, unit)}, {_number(target.metric, one.high, unit)}]"
        )
        rows.append([_cut(system.name), _value(system, target.metric, unit), ends, *cells, _mark(found, system)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if place in (0, len(widths) - 1) else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip


def _mark(found: Comparison, system: System) -> str:
    if found.choice.winner is not None and system.name == found.choice.winner.name:
        return "<- best"
    failed = found.choice.failed[system.name]
    if failed:
        return f"not {', '.join(map(str, failed))}"
    return ""


def _verdict(found: Comparison) -> list[str]:
    choice, unit, metric = found.choice, found.systems[0].evaluation.unit, found.target.metric
    if choice.winner is None:
        return ["no system meets every condition: loosen one, or train a system that does"]
    best = choice.winner.measures[metric]
    name = printable(choice.winner.name)
    met = f" of the {len(choice.ranked)} that meet the conditions" if found.target.conditions else ""
    lines = [f"best   {name}{met}: {metric} {_number(metric, best.value, unit)}"]
    if best.low != best.high:
        lines[0] += f" [{_number(metric, best.low, unit)}, {_number(metric, best.high, unit)}]"
    if found.optimism:
        shown = format_gap(found.optimism, unit) if metric == "error" else f"{found.optimism:.3g}"
        lines.append(f"       the best of {len(choice.ranked)} looks better than it is, by up to about {shown}")
    lines += [
        f"paired {in_words(one.test, name, printable(one.other), unit, p_value=one.p_value)}" for one in found.against
    ]
    if len(found.against) > 1:
        lines.append(f"       p values are corrected for {len(found.against)} tests (Holm)")
    for condition in choice.uncertain[choice.winner.name]:
        lines.append(f"       whether it meets {condition} is uncertain: the limit is inside the interval")
    return lines


def _value(system: System, name: str, unit: str | None) -> str:
    one = system.measures.get(name)
    return "?" if one is None else _number(name, one.value, unit)


def _number(name: str, value: float, unit: str | None) -> str:
    if name == "error":
        return format_error(value, unit)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cut(name: str) -> str:
    name = printable(name)
    return name if len(name) <= NAME_WIDTH else f"…{name[1 - NAME_WIDTH :]}"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "not set" if value is None or value == "" else str(value)


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """metric, winner, systems {name: {measures, failed}}, tests against the winner, settings that differ."""
    choice = found.choice
    return {
        "metric": found.target.metric,
        "conditions": [str(one) for one in found.target.conditions],
        "comparable": not found.unlike,
        "winner": None if choice.winner is None else choice.winner.name,
        "ranked": [] if found.unlike else [one.name for one in choice.ranked],
        "optimism": found.optimism,
        "systems": {
            system.name: {
                "measures": {name: _plain(one) for name, one in system.measures.items()},
                "not_met": [str(one) for one in choice.failed[system.name]],
                "uncertain": [str(one) for one in choice.uncertain[system.name]],
            }
            for system in found.systems
        },
        "against": [
            {
                "other": one.other, **asdict(one.test), "difference": _plain(one.test.difference),
                "corrected_p_value": one.p_value, "is_significant": one.p_value < 0.05,
            }
            for one in found.against
        ],
        "settings": {key: list(row) for key, row in found.differing.items()},
        "notes": [*filter(None, [found.unlike]), *found.notes],
    }  # fmt: skip


def _plain(one: Interval) -> dict[str, Any]:
    ends = {"value": one.value, "low": one.low, "high": one.high}
    finite = {key: end if abs(end) < float("inf") else None for key, end in ends.items()}
    return finite | {"method": one.method}
