"""gnomon gallery: list the claims, test one or all of them, write their pages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnomon import gallery as claims
from gnomon.core.errors import UsageError
from gnomon.core.options import whole

if TYPE_CHECKING:
    from gnomon.gallery._claim import Progress
    from gnomon.gallery._page import Outcome

FOLDER = "gallery"  # in the current directory
ALL = "all"
BAR = 22  # characters


def run_gallery(words: list[str], values: dict[str, str], *, as_json: bool) -> int:
    """List the claims, or test one or all of them, show the result and write the pages."""
    seeds, data = _options(values)
    if len(words) > 1:
        raise UsageError(
            f"gallery takes one NAME, got {len(words)}: {' '.join(words[:3])}.", fix="give one name, or all."
        )
    if not words:
        _list(as_json)
        return 0
    names = claims.names() if words[0] == ALL else (words[0],)
    if data is not None and words[0] == ALL:
        raise UsageError("data= goes with one claim, not with all.", fix="name the claim: gnomon gallery NAME data=...")
    shown = []
    for name in names:
        outcome, folder = _run(name, seeds, data, quiet=as_json)
        shown.append(_as_json(outcome, folder))
        if not as_json:
            _print(outcome, folder)
    if as_json:
        _print_json({"claims": shown} if words[0] == ALL else shown[0])
    elif len(shown) > 1:
        _print_summary(shown)
    return 0


def _options(values: dict[str, str]) -> tuple[int | None, str | None]:
    """How many seeds, and which pictures, where the user says so."""
    seeds, data = values.pop("seeds", None), values.pop("data", None)
    if values:
        raise UsageError(
            f"unknown setting {next(iter(values))!r}: gallery takes only seeds and data.", fix="leave it out."
        )
    return None if seeds is None else whole("seeds", seeds), data


def _run(name: str, seeds: int | None, data: str | None, *, quiet: bool) -> tuple[Outcome, Path]:
    from gnomon.gallery._page import run, save

    with _progress_line(name, quiet=quiet) as progress:
        outcome = run(name, seeds=seeds, data=data, progress=progress)
    return outcome, save(outcome, Path(FOLDER))


@contextmanager
def _progress_line(name: str, *, quiet: bool) -> Iterator[Progress]:
    """A live line on a terminal; nothing elsewhere, where the result comes in one piece."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    if quiet or not console.is_terminal:
        yield lambda _share, _doing: None
        return
    with Live("", console=console, transient=True, auto_refresh=False) as live:

        def progress(share: float, doing: str) -> None:
            full = round(BAR * share)
            live.update(Text(f"  {name}  {'━' * full}{'─' * (BAR - full)}  {doing}"), refresh=True)

        yield progress


def _list(as_json: bool) -> None:
    titles = {name: claims.title(name) for name in claims.names()}
    if as_json:
        _print_json({"claims": [{"name": name, "title": title} for name, title in titles.items()]})
        return
    width = max(map(len, titles))
    sys.stdout.write("".join(f"  {name:<{width}}  {title}\n" for name, title in titles.items()))
    sys.stdout.write("\n  gnomon gallery NAME tests one (at most three minutes), gnomon gallery all tests every one.\n")


def _as_json(outcome: Outcome, folder: Path) -> dict[str, Any]:
    from gnomon.gallery._page import as_json

    return {**as_json(outcome), "page": str(folder / "page.md")}


def _print(outcome: Outcome, folder: Path) -> None:
    table = outcome.table
    lines = [f"  {outcome.name}: {outcome.title}", ""]
    for part in outcome.parts:
        lines += [f"  {part.answer:<20}  {part.says}", f"  {'':<20}  {part.shown}"]
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
    lines.append("")
    for row in (table.head, *table.rows):
        first, *others = (cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        lines.append("  " + "   ".join([first, *others]).rstrip())
    counted = f"  ({outcome.counted})" if outcome.counted else ""
    lines += ["", f"  verdict    {outcome.verdict}{counted}", f"  page       {folder / 'page.md'}", ""]
    sys.stdout.write("\n".join(lines) + "\n")


def _print_summary(shown: list[dict[str, Any]]) -> None:
    width = max(len(claim["name"]) for claim in shown)
    lines = []
    for claim in shown:
        held = sum(part["answer"] == "holds" for part in claim["parts"])
        lines.append(
            f"  {claim['name']:<{width}}  {claim['verdict']:<20}  {held} of {len(claim['parts'])} statements\n"
        )
    sys.stdout.write("".join(lines))


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
