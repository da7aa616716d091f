"""Texts divided into tokens where nobody has: words, numbers, marks; addresses, names and topics of messages whole."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

_TOKENS = re.compile(
    r"(?:https?://|www\.)\S+"  # an address
    r"|[@#]\w+"  # a name, a topic
    r"|\w+(?:[-'’.&]\w+)*"  # a word, with the marks inside it; a number
    r"|([^\w\s])\1*"  # a mark, or several of one kind: ... !!!
)


def places_of(text: str, cuts: Collection[int] = ()) -> list[tuple[int, int]]:
    """Start and end of each token, in characters; a token is also divided at each of `cuts` that lies inside it."""
    found = [match.span() for match in _TOKENS.finditer(text)]
    if not cuts:
        return found
    chosen = sorted(cuts)
    return [pair for start, end in found for pair in _divided(start, end, chosen)]


def _divided(start: int, end: int, cuts: list[int]) -> list[tuple[int, int]]:
    inside = [cut for cut in cuts if start < cut < end]
    edges = [start, *inside, end]
    return [(one, other) for one, other in itertools.pairwise(edges) if one < other]
