"""gnomon tune: what varies, one line per trial, and the result."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gnomon.cli.screen import Screen
from gnomon.cli.text import clock, error_text, printable
from gnomon.core.evaluation import SPLITS
from gnomon.search.results import DIVERGED, FAILED, STOPPED
from gnomon.strategy.wording import split_name
from gnomon.workflow.tune.words import found_lines, value_text

if TYPE_CHECKING:
    from gnomon.search.results import Result
    from gnomon.search.rounds import Zoom
    from gnomon.search.space import Dimension
    from gnomon.workflow.tune.findings import Tuned
    from gnomon.workflow.tune.plan import Plan

NOTES_SHOWN = 6
MARKS = {STOPPED: "ended", DIVERGED: "inf", FAILED: "lost"}  # for trials that did not finish


class Terminal:
    """Follows a search: the space, one line per trial that stays, a live line below; plain lines off a terminal."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.unit: str | None = None
        self.names: list[str] = []
        self.widths: dict[str, int] = {}
        self.trials = 0

    def on_phase(self, text: str) -> None:
        self.screen.moving(f"  {text} ...")

    def on_plan(self, plan: Plan) -> None:
        self.unit, self.trials = plan.task.judge.error_unit, plan.trials
        self.names = [one.name for one in plan.space]
        self.widths = {one.name: max(len(one.name), _longest(one)) for one in plan.space}
        for line in plan_lines(plan):
            self.screen.line(line)
        values = "".join(f"  {name:>{self.widths[name]}}" for name in self.names)
        self.screen.line(f"\n   trial {'dev':>9}         epochs    time{values}", style="bold")

    def on_trial(self, result: Result, *, is_best: bool) -> None:
        values = "".join(f"  {value_text(result.point[name]):>{self.widths[name]}}" for name in self.names)
        mark = "best" if is_best else MARKS.get(result.status, "")
        why = result.note if result.status in (DIVERGED, FAILED) else "; ".join(result.unmet)
        done = f"{len(result.epoch_errors)}/{result.epochs}" if result.epochs else str(len(result.epoch_errors))
        self.screen.line(
            f"{f'{result.number}/{self.trials}':>8} {error_text(result.error, self.unit):>9}  {mark:<5}  {done:>6}"
            f"  {_taken(result.seconds):>6}{values}{f'   {printable(why)}' if why else ''}"
        )
        self.screen.moving("")

    def on_zoom(self, zooms: Sequence[Zoom]) -> None:
        trials = ", ".join(map(str, zooms[0].trials))
        self.screen.line(f"    zoom  to where the best {len(zooms[0].trials)} are (trials {trials})")
        width = max(len(one.name) for one in zooms)
        for one in zooms:
            self.screen.line(f"          {one.name:<{width}}  {_range(one.before)}  ->  {_range(one.after)}")

    def on_note(self, text: str) -> None:
        self.screen.line(f"    note  {printable(text)}")


def plan_lines(plan: Plan) -> list[str]:
    """What is going to happen, and what varies."""
    prepared = plan.prepared
    counts = " · ".join(
        f"{len(prepared.splits[name]):,} {split_name(name)}" for name in SPLITS if name in prepared.splits
    )
    sealed = " (sealed)" if "test" in prepared.splits else ""
    lines = [
        f"  found      {printable(prepared.why)}      task={plan.task.name} (task=... overrides)",
        f"  split      {counts}{sealed}",
    ]
    for i, note in enumerate(prepared.notes[:NOTES_SHOWN]):
        lines.append(f"  {'' if i else 'notes':<10} {printable(note)}")
    limit = f" in {clock(plan.seconds)}" if plan.seconds is not None else ""
    early = "bad ones stopped early (median rule)" if plan.stop_early else "none stopped early"
    lines.append(
        f"  search     {plan.trials} trials{limit} of {plan.base.stop.epochs} epochs with {plan.base.model.name}, "
        f"{early} · {plan.workers} worker{'s' if plan.workers > 1 else ''}"
    )
    lines.extend(f"  condition  {one}" for one in plan.conditions)
    title = f"  {'space':<10} {'':<{_width(plan)}}  {'tier':>4}  {'default':>9}  {'from':>9}  {'to':>9}  scale"
    lines.append(title)
    for one in plan.space:
        ends = (
            f"{value_text(one.low):>9}  {value_text(one.high):>9}  {_scale(one)}"
            if not one.is_choice
            else f"one of {', '.join(map(value_text, one.choices))}"
        )
        lines.append(f"  {'':<10} {one.name:<{_width(plan)}}  {one.tier:>4}  {value_text(one.default):>9}  {ends}")
    lines.extend(f"  {'' if i else 'rounds':<10} {text}" for i, text in enumerate(_rounds(plan)))
    if plan.done:
        lines.append(f"  resumed    {plan.done} of {plan.trials} trials were done already")
    return lines


def _rounds(plan: Plan) -> list[str]:
    if plan.sampler != "zoom":
        what = {"random": "drawn from the whole space", "grid": "of a grid, in random order", "tpe": "proposed by TPE"}
        return [f"the defaults, then {plan.trials - 1} trial{'' if plan.trials == 2 else 's'} {what[plan.sampler]}"]
    texts, before = [], 0
    for one in plan.rounds:
        names = ", ".join(each.name for each in plan.space if before < each.tier <= one.tier)
        if before == 0:
            texts.append(f"the defaults, then {one.size} trial{'' if one.size == 1 else 's'} of {names}")
        else:
            texts.append(f"zoom, then {one.size} with {names} too" if names else f"zoom, then {one.size} finer ones")
        before = one.tier
    left = ", ".join(each.name for each in plan.space if each.tier > before)
    return [*texts, f"too few trials for {left}"] if left else texts


def print_found(tuned: Tuned, command: str) -> None:
    """The block that matters."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in found_lines(tuned.outcome, len(tuned.results), command):
        console.print(line, markup=False)


def _longest(one: Dimension) -> int:
    """Characters that its values take."""
    if one.is_choice:
        return max(map(len, map(value_text, one.choices)))
    return len(str(one.high)) if one.is_whole else 8 if 0 < one.low < 1e-3 else 7


def _range(ends: Sequence[Any]) -> str:
    if any(isinstance(end, str) for end in ends) or len(ends) != 2:
        return ", ".join(map(value_text, ends))
    return f"{value_text(ends[0])} .. {value_text(ends[1])}"


def _scale(one: Dimension) -> str:
    if one.low == one.high:
        return "fixed"
    return {
        "linear": "linear", "log": "log", "1 - beta, log": "log of 1 - beta",
        "whole": "whole numbers", "whole, log": "whole numbers, log", "powers of two": "powers of two",
        "choice": "",
    }[one.scale]  # fmt: skip


def _width(plan: Plan) -> int:
    return max(len(one.name) for one in plan.space)


def _taken(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else clock(seconds)


def run_tune(
    source: str | None, resume: str | None, values: dict[str, str], preset: Mapping[str, Any], *, as_json: bool
) -> Tuned:
    """Run the command and show the result."""
    from gnomon.workflow.tune.tune import tune

    with Screen(quiet=as_json) as screen:
        tuned = tune(source, resume=resume, follower=Terminal(screen), preset=preset, **values)
    if not as_json:
        print_found(tuned, f"gnomon fit {shlex.quote(source) if source else 'DATA'}")
    return tuned
