"""probe: the command, what it prints line by line and at the end, and as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.text import printable
from gnomon.core.errors import UsageError
from gnomon.strategy.curve import forecast_text, is_flat
from gnomon.strategy.improve_probes import more_data_is_useless, pair_text, significant_gains, to_json
from gnomon.strategy.saved import to_json as diagnosis_to_json

if TYPE_CHECKING:
    from gnomon.strategy.diagnosis import Diagnosis
    from gnomon.strategy.improve_probes import Probes


def run_probe(path: str, values: dict[str, str], *, quiet: bool) -> tuple[Probes, Diagnosis]:
    """`time` is a duration, `knobs` is fault (those of the link at fault) or all."""
    odd = next((key for key in values if key not in ("time", "knobs")), None)
    if odd is not None:
        raise UsageError(f"unknown option {odd!r}: probe takes time and knobs.", fix="leave it out.")
    from gnomon.workflow.improve.probe import probe
    from gnomon.workflow.run import load

    run = load(path)
    found = probe(run, **values, tell=line_printer(quiet=quiet))
    return found, run.diagnosis


def line_printer(*, quiet: bool) -> Any:
    """A function that prints one line, to stderr if stdout is for JSON."""
    console = Console(file=sys.stderr if quiet else sys.stdout, highlight=False, soft_wrap=True)
    return lambda line: console.print(f"  {printable(line)}", markup=False)


def print_probes(found: Probes, diagnosis: Diagnosis) -> None:
    """The forecast, the pairs ranked by gain per cost, and the advice that is now based on them."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print()
    if more_data_is_useless(found):
        console.print("  more data will not help: the curve is flat and the train error is high", style="bold")
    for one in found.forecasts:
        console.print(f"  {forecast_text(one, found.unit)}", markup=False)
    if found.forecasts and is_flat(found.forecasts[0]) and not more_data_is_useless(found):
        console.print("  more data gains little: the curve is flat")
    significant = significant_gains(found.pairs)
    width = max((len(pair.label) for pair in found.pairs), default=0)
    for pair in found.pairs:
        mark = "  <- helps" if pair.label in significant else ""
        line = f"  {pair.label.ljust(width)}  {pair_text(pair, found.unit)}{mark}"
        console.print(printable(line), markup=False, style="bold" if mark else "")
    for note in found.notes:
        console.print(f"  note: {printable(note)}", markup=False)
    console.print()
    for number, advice in enumerate(diagnosis.advice, start=1):
        start = "next" if number == 1 else "    "
        console.print(f"  {start}  {number}. {printable(f'{advice.action}: {advice.why}')}", markup=False)
        if advice.command:
            console.print(f"           {printable(advice.command)}", markup=False)


def probes_as_json(found: Probes, diagnosis: Diagnosis) -> dict[str, Any]:
    """The record as saved in the run, and the advice."""
    pairs = [{**pair, "gain": one.gain} for pair, one in zip(to_json(found)["pairs"], found.pairs, strict=True)]
    return {**to_json(found), "pairs": pairs, "advice": diagnosis_to_json(diagnosis)["advice"]}
