"""Options of commands that are not settings, parsed from their text. All raise UsageError."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gnomon.core.errors import UsageError
from gnomon.core.settings import DURATION, from_flat


def whole(key: str, text: str, least: int = 0, most: int | None = None) -> int:
    """`trials=40` -> 40. Thousands may be separated by commas."""
    digits = text.replace(",", "").replace("_", "")
    if digits.isascii() and digits.isdigit() and least <= int(digits) and (most is None or int(digits) <= most):
        return int(digits)
    bounds = f" from {least} to {most}" if most is not None else f" of at least {least}" if least else ""
    raise _refused(key, text, f"a whole number{bounds}", f"{key}={max(least, 3)}")


def number(key: str, text: str) -> float:
    """`weight.dog=10` -> 10.0."""
    try:
        return float(text)
    except ValueError:
        raise _refused(key, text, "a number", f"{key}=10") from None


def share(key: str, text: str) -> float:
    """`alpha=0.05` or `alpha=5%` -> 0.05."""
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise _refused(key, text, "a share", f"{key}=0.05 or {key}=5%") from None


def duration(key: str, text: str, hint: str = "") -> float:
    """`time=10m` -> 600 seconds. `hint`: what else could have been meant."""
    try:
        return float(from_flat({"stop.max_time": text}).stop.max_time or 0.0)
    except UsageError:
        raise _refused(key, text, DURATION, f"{key}=10m{hint}") from None


def is_yes(key: str, text: str) -> bool:
    """`report=yes` -> True."""
    if text.lower() not in ("yes", "no", "true", "false"):
        raise _refused(key, text, "yes or no", f"{key}=yes, or leave it out")
    return text.lower() in ("yes", "true")


def one_of(key: str, text: str, known: Sequence[str]) -> str:
    """`rows=all`, if it is one of `known`."""
    if text not in known:
        raise _refused(key, text, f"one of {', '.join(known)}", f"{key}={known[0]}")
    return text


def new_file(path: Path, endings: Sequence[str], example: str) -> Path:
    """A file that does not exist yet, with one of the `endings`."""
    if path.suffix.lower() not in endings:
        named = path.name or "a file without a name"
        raise UsageError(f"this is written as {' or '.join(endings)}, not as {named}.", fix=f"write {example}.")
    if os.path.lexists(path):
        raise UsageError("already exists and is not overwritten.", where=str(path), fix="choose another name.")
    return path


def _refused(key: str, text: str, expected: str, example: str) -> UsageError:
    return UsageError(f"{key}={text} is not {expected}.", fix=f"write {example}.")
