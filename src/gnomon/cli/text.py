"""Texts and numbers as the terminal shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gnomon.core.evaluation import SHARE, SPLITS
from gnomon.strategy.wording import split_name

if TYPE_CHECKING:
    from gnomon.workflow.road.split import Prepared

WIDTH = 400  # characters that a text from outside may have


def printable(text: str, width: int = WIDTH) -> str:
    """One line, with control characters (escape sequences, bidi overrides) shown as escapes, not executed."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
    return shown if len(shown) <= width else f"{shown[:width]} ..."


def error_text(error: float, unit: str | None) -> str:
    """An error in a column of many: the same number of decimals for all shares, so that they line up."""
    if math.isinf(error):
        return "-"
    return f"{100 * error:.2f} %" if unit == SHARE else f"{error:.4g}"


def splits_text(prepared: Prepared) -> str:
    """How many examples each split has, or how many there are in folds."""
    splits = {name: len(prepared.splits[name]) for name in SPLITS if name in prepared.splits}
    if not prepared.folds:
        return " · ".join(f"{count:,} {split_name(name)}" for name, count in splits.items())
    test = f" · {splits['test']:,} test" if "test" in splits else ""
    return f"{splits['train']:,} in {len(prepared.folds)} folds{test}"


def clock(seconds: float) -> str:
    """1:05 or 2:01:05."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def rounded(count: int) -> str:
    """4.7 M."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{suffix}"
    return str(count)
