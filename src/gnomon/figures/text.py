"""How texts and numbers are written for people: in figures and on the page."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from gnomon.core.evaluation import SHARE
from gnomon.metrics.spans import pieces_of
from gnomon.strategy.wording import format_error, format_gap

_NO_BREAK_SPACE = "\u00a0"
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))  # control, format, surrogate, private, separators
_JOINERS = "\u200c\u200d\ufe0f"  # needed to spell Persian, Indic scripts and emoji


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with every invisible character, or one that reorders its neighbours, written as an escape.

    A file name may contain ESC, NUL, a right-to-left override or bytes that are not text; none of them belongs in
    a page, an SVG or a terminal. Characters in `keep` (such as "\n") stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep or not _is_invisible(char) else _escaped(char) for char in text)


def _is_invisible(char: str) -> bool:
    is_noncharacter = ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF  # not allowed in XML
    return is_noncharacter or (unicodedata.category(char) in _INVISIBLE and char not in _JOINERS)


def _escaped(char: str) -> str:
    return ascii(char)[1:-1]


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; a longer text loses its middle, because file names differ at their ends."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"


def marked_pieces(text: str, spans: Sequence[tuple[int, int, str]], limit: int) -> list[tuple[str, str | None]]:
    """The text in pieces, each with the type of its span, shortened behind `limit` characters; safe to show."""
    found, left = list[tuple[str, str | None]](), limit
    for piece, kind in pieces_of(text, spans):
        if left <= 0:
            return [*found, ("…", None)]
        found.append((visible(shortened(piece, left), keep="\n\t"), None if kind is None else label(kind)))
        left -= len(piece)
    return found


def label(text: str, limit: int = 24) -> str:
    """A name for an axis or a caption: visible, on one line, short; an empty name is shown as empty."""
    # a very long text is cut first, because what follows looks at every character
    return shortened(visible(shortened(text, 10 * limit)), limit) or "(empty)"


def number(value: float) -> str:
    """At most three significant digits, with an exponent only for extreme values: 0.00123, 4.5, 1,234."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("−∞" if value < 0 else "∞")
    return _minus(f"{value:,.0f}" if 100 <= abs(value) < 1e15 else f"{value:.3g}")


def count(value: float) -> str:
    """1,234,567."""
    return f"{value:,.0f}"


def short_count(value: float) -> str:
    """1.23 M, 45.6 k, 789."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{_NO_BREAK_SPACE}{suffix}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f}{_NO_BREAK_SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_NO_BREAK_SPACE}s"
    if whole < 3600:
        return f"{whole // 60}{_NO_BREAK_SPACE}min {whole % 60}{_NO_BREAK_SPACE}s"
    return f"{whole // 3600}{_NO_BREAK_SPACE}h {whole % 3600 // 60}{_NO_BREAK_SPACE}min"


def error_text(value: float, unit: str | None) -> str:
    """An error with its unit, which never wraps to the next line alone."""
    if not math.isfinite(value):
        return number(value)
    return _minus(format_error(value, _one_line(unit)).replace(" ", _NO_BREAK_SPACE))


def gap_text(value: float, unit: str | None, *, signed: bool = True) -> str:
    """A difference of two errors; for shares, in percentage points."""
    if not math.isfinite(value):
        return number(value)
    sign = "+" if signed and value > 0 else ""
    return sign + _minus(format_gap(value, _one_line(unit)).replace(" ", _NO_BREAK_SPACE))


def range_text(low: float, high: float, unit: str | None) -> str:
    """[2.5, 3.7]: the ends of an interval, in percent for shares, without the unit."""
    # an end near 0 needs no more decimals than the other
    is_plain_share = unit == SHARE and max(abs(low), abs(high)) >= 0.001
    low_text, high_text = (f"{100 * end:z.1f}" if is_plain_share else _end(end, unit) for end in (low, high))
    return f"[{_minus(low_text)}, {_minus(high_text)}]"


def _end(value: float, unit: str | None) -> str:
    if not math.isfinite(value):
        return number(value)
    return format_error(value, SHARE if unit == SHARE else None).removesuffix(" %")


def _one_line(unit: str | None) -> str | None:
    return label(unit) if unit else unit


def _minus(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text


_MINUS = re.compile(r"(?<![\w.)\]-])-(?=[\d.])")  # of a number, not of a name such as resnet-18 or a date


def typeset(text: str) -> str:
    """A sentence written for a terminal, with typographic arrows and minus signs."""
    return _MINUS.sub("−", text.replace(" -> ", " → "))


def share_tick(share: float) -> str:
    """5 %, 0.5 %: no more decimals than the number needs."""
    return f"{_minus(f'{100 * share:.6g}')}{_NO_BREAK_SPACE}%"
