"""Options of verbs that are not settings: values in Python, text on the command line. All raise UsageError."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gnomon.core.errors import UsageError
from gnomon.core.settings import DURATION, from_flat


def whole(key: str, value: int | str, least: int = 0, most: int | None = None) -> int:
    """`trials=40` -> 40. In text, thousands may be separated by commas."""
    text = str(value).replace(",", "").replace("_", "")
    if text.isascii() and text.isdigit() and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    bounds = f" from {least} to {most}" if most is not None else f" of at least {least}" if least else ""
    raise _refused(key, value, f"a whole number{bounds}", f"{key}={max(least, 3)}")


def number(key: str, value: float | str) -> float:
    """`weight.dog=10` -> 10.0."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _refused(key, value, "a number", f"{key}=10") from None


def share(key: str, value: float | str) -> float:
    """`alpha=0.05` or `alpha=5%` -> 0.05."""
    text = str(value).strip()
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise _refused(key, value, "a share", f"{key}=0.05 or {key}=5%") from None


def duration(key: str, value: float | str, hint: str = "") -> float:
    """`time=10m` -> 600 seconds; a number is seconds. `hint`: what else could have been meant."""
    try:
        return float(from_flat({"stop.max_time": value}).stop.max_time or 0.0)
    except UsageError:
        raise _refused(key, value, DURATION, f"{key}=10m{hint}") from None


def is_yes(key: str, value: bool | str) -> bool:
    """`report=yes` -> True."""
    if str(value).lower() not in ("yes", "no", "true", "false"):
        raise _refused(key, value, "yes or no", f"{key}=yes, or leave it out")
    return str(value).lower() in ("yes", "true")


def one_of(key: str, value: str, known: Sequence[str]) -> str:
    """`rows=all`, if it is one of `known`."""
    if value not in known:
        raise _refused(key, value, f"one of {', '.join(known)}", f"{key}={known[0]}")
    return value


def new_file(path: str | Path, endings: Sequence[str], example: str) -> Path:
    """A file that does not exist yet, with one of the `endings`."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        named = path.name or "a file without a name"
        *first, last = endings
        kinds = f"{', '.join(first)} or {last}" if first else last
        raise UsageError(f"this is written as {kinds}, not as {named}.", fix=f"write {example}.")
    if os.path.lexists(path):
        raise UsageError("already exists and is not overwritten.", where=str(path), fix="choose another name.")
    return path


def _refused(key: str, value: Any, expected: str, example: str) -> UsageError:
    return UsageError(f"{key}={value} is not {expected}.", fix=f"write {example}.")
