"""What every command does: the one word it takes, settings it does not, its answer to a person or to a program."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gnomon.core.errors import UsageError

OWN_PROCESS = {"machine.allocator": "keep"}  # the command line owns its process, so it may keep freed memory

NEEDED = {
    "DATA": "data: a folder, an archive, a table or a bundled set",
    "RUN": "a run: a folder below runs/, or latest",
    "DATA or RUN": "data (a folder, an archive, a table or a bundled set) or a run (a folder below runs/, or latest)",
    "RUN or FILE": "word vectors: a run that made them, or a file",
    "TASK": "a task",
    "PICTURE": "a picture file",
    "TABLE": "a table (CSV or Parquet) of its answers: target, prediction and one or two columns per stage",
}


def print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def report(
    as_json: bool, as_object: Callable[..., Mapping[str, Any]], as_text: Callable[..., None], *found: Any
) -> int:
    """Report the result to a program or to a person; returns the exit code."""
    if as_json:
        print_json(as_object(*found))
    else:
        as_text(*found)
    return 0


@contextmanager
def imported_quickly() -> Iterator[None]:
    """Without the garbage collector, which would walk through all there is again and again while torch comes in."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # modules and their classes stay: it need not look at them later either
        gc.enable()


def one(words: list[str], what: str, command: str, example: str) -> str:
    if not words:
        raise UsageError(f"{command} needs {NEEDED[what]}.", fix=f"gnomon {command} {example}, for example.")
    if len(words) > 1:
        raise UsageError(
            f"{command} takes one {what}, got {len(words)}: {' '.join(words[:3])}.",
            fix="give settings as key=value, and put a path with spaces in quotes.",
        )
    return words[0]


def no_settings(values: Mapping[str, str], command: str, known: str) -> None:
    if values:
        raise UsageError(
            f"{command} takes {'no settings' if known == 'none' else f'no setting but {known}'}, "
            f"got {next(iter(values))}.",
            fix="leave it out.",
        )
