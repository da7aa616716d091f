"""gnomon retest: the settings of an older search compared once more, on a screen and as JSON."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from gnomon.cli.text import printable
from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE
from gnomon.strategy.wording import format_error, format_gap

if TYPE_CHECKING:
    from gnomon.workflow.tune.retest import Retested, RetestedSystem

OWN = ("trials", "seeds")


def run_retest(words: list[str], values: dict[str, str], *, quiet: bool) -> Retested:
    """SEARCH and, if the data has moved, DATA; `trials` and `seeds` as whole numbers."""
    odd = next((key for key in values if key not in OWN), None)
    if odd is not None:
        raise UsageError(f"unknown option {odd!r}: retest takes trials and seeds.", fix="leave it out.")
    if len(words) not in (1, 2):
        raise UsageError(f"retest takes SEARCH and at most DATA, got {len(words)} words.", fix="gnomon retest latest")
    from gnomon.workflow.tune.retest import retest

    return retest(words[0], *words[1:], tell=_silent if quiet or not sys.stderr.isatty() else _tell, **values)


def _silent(_line: str) -> None:
    pass


def _tell(line: str) -> None:
    sys.stderr.write(f"\r\x1b[K  {printable(line)} ...\r")
    sys.stderr.flush()


def lines(found: Retested) -> list[str]:
    """The result, for a person."""
    seeds = f"{found.seeds} new seed{'s' if found.seeds > 1 else ''}"
    systems = f"{len(found.systems)} settings with {seeds} each"
    shown = [
        f"  search     {printable(str(found.search))} of {found.created[:10]}: {found.trials} trials",
        f"  data       {printable(found.data)}: {found.examples:,} examples now, {_changes(found)}",
        f"  tried      {systems}",
        "",
    ]
    rows = [("settings", "then", "now", f"gain over {found.systems[0].name}, 95 % interval")]
    rows += [_row(one, found.unit) for one in found.systems]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    shown += [
        f"  {name:<{widths[0]}}   {then:>{widths[1]}}   {now:>{widths[2]}}   {gain}".rstrip()
        for name, then, now, gain in rows
    ]
    shown += ["", f"  verdict    {found.verdict}"]
    if not found.changes:
        shown.append(
            "             dev is what the search chose on, so the earlier best looks slightly better than it is"
        )
    if found.is_stale:
        pairs = " ".join(f"{key}={shlex.quote(_text(value))}" for key, value in found.winner.settings.items())
        shown.append(f"             {printable(f'gnomon fit DATA {pairs}'.rstrip())}")
        shown.append("             or search again around it: gnomon tune DATA")
    return shown


def _changes(found: Retested) -> str:
    changes = found.changes
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (changes.added, "new"), (changes.removed, "gone"), (changes.changed, "changed"),
            (changes.moved, "in another split"),
        )
        if count
    ]  # fmt: skip
    return ", ".join(parts) if parts else "unchanged"


def _row(one: RetestedSystem, unit: str | None) -> tuple[str, str, str, str]:
    then = "" if one.then is None else format_error(one.then, unit)
    if not one.errors:
        return one.name, then, "-", printable(one.note)
    least, most = format_error(min(one.errors), unit), format_error(max(one.errors), unit)
    now = f"{format_error(one.mean, unit)} ({least} to {most})" if len(one.errors) > 1 else least
    if one.evidence is None:
        return one.name, then, now, ""
    low, high = (_plain(end, unit) for end in (one.evidence.test.difference.low, one.evidence.test.difference.high))
    return one.name, then, now, f"{format_gap(one.evidence.gain, unit)} [{low}, {high}]"


def _plain(value: float, unit: str | None) -> str:
    return f"{100 * value:.1f}" if unit == SHARE else f"{value:.4g}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def print_retested(found: Retested) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    sys.stdout.write("\n".join(lines(found)) + "\n")
