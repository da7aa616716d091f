"""Spans as a table of predictions holds them: one sentence per row, what is marked in its `text` as JSON, read back.

`target`: [[start, end, type, flags], ...], flags "" or words ("unseen", "unknown"). `prediction`: [[start, end, type,
score], ...]. Both in characters of `text`; the fourth entry may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from gnomon.core.errors import DataError
from gnomon.metrics.spans import Span, SpanCounts, count, f1, pieces_of

if TYPE_CHECKING:
    import polars as pl

    from gnomon.core.evaluation import SplitError

LOOKED_AT = 1_000  # rows searched for the first span
LEAST_ENTRIES, MOST_ENTRIES = 3, 4  # of a span
UNSEEN, UNKNOWN = "unseen", "unknown"  # flags of a true span: not in train as a whole; with a word that train lacks


@final
@dataclass(frozen=True)
class SpanTable:
    """N sentences with the spans that are true, and those that were answered."""

    texts: tuple[str, ...]
    truths: tuple[tuple[Span, ...], ...]
    answers: tuple[tuple[Span, ...], ...]
    flags: tuple[tuple[str, ...], ...]  # of each true span
    scores: tuple[tuple[float, ...], ...]  # of each answer, in [0, 1]; 1 where none is given

    @cached_property
    def counts(self) -> SpanCounts:
        """What of it is right."""
        return count(self.truths, self.answers)

    def split_error(self) -> SplitError | None:
        """1 - F1 of all spans together, as a function of how often each sentence counts; None without true spans."""
        counts = self.counts
        if not counts.wanted.any():
            return None
        each = np.stack([one.sum(axis=1) for one in (counts.right, counts.wanted, counts.said)], axis=1)  # (N, 3)

        def error(times: np.ndarray) -> float:
            return float(1 - f1(*(times @ each)))

        return error


def errors_of(counts: SpanCounts) -> np.ndarray:
    """(N,): 1 - F1 of each sentence; 0 where there is nothing to find and nothing is found."""
    right, wanted, said = (one.sum(axis=1) for one in (counts.right, counts.wanted, counts.said))
    found: np.ndarray = 1 - np.nan_to_num(f1(right, wanted, said), nan=1.0)
    return found


def is_spans(table: pl.DataFrame) -> bool:
    """Whether the rows of a table of predictions are texts with spans."""
    import polars as pl

    names = ("text", "target", "prediction")
    if not set(names) <= set(table.columns) or any(table[name].dtype != pl.String for name in names) or not len(table):
        return False
    for name in names[1:]:
        for cell in table[name].head(LOOKED_AT).drop_nulls():
            entries = entries_of(cell)
            if entries is None:
                return False
            if entries:
                return all(_is_span(one) for one in entries)
    return True


def read(table: pl.DataFrame) -> SpanTable:
    """All spans of a table. Raises DataError for a cell that does not hold spans, naming the row."""
    ids, texts = table["id"].cast(str).to_list(), table["text"].to_list()
    sides = []
    for name in ("target", "prediction"):
        cells = zip(table[name].to_list(), texts, ids, strict=True)
        sides.append([_checked(cell, text, f"column {name}, {row}") for cell, text, row in cells])
    truths, answers = (tuple(tuple(Span(*one[:3]) for one in row) for row in side) for side in sides)
    flags = tuple(tuple(str(one[3]) if len(one) > LEAST_ENTRIES else "" for one in row) for row in sides[0])
    scores = tuple(tuple(float(one[3]) if len(one) > LEAST_ENTRIES else 1.0 for one in row) for row in sides[1])
    return SpanTable(tuple(texts), truths, answers, flags, scores)


def are_spans(cell: Any) -> bool:
    """Whether a cell of a table holds spans, or none of them."""
    entries = entries_of(cell)
    return entries is not None and all(_is_span(one) for one in entries)


def in_words(text: str, cell: str) -> str:
    """The text with its spans in brackets, their types behind them: "[Ada](person) in [Paris](place)".

    A cell that holds no spans comes back as it is.
    """
    entries = entries_of(cell)
    if entries is None or not all(_is_span(one) for one in entries):
        return cell
    spans = [Span(*one[:3]) for one in entries]
    return "".join(f"[{piece}]({kind})" if kind is not None else piece for piece, kind in pieces_of(text, spans))


def entries_of(cell: Any) -> list[Any] | None:
    """What a cell holds as a list; None if it is none."""
    if not isinstance(cell, str) or not cell.startswith("["):
        return None
    try:
        found = json.loads(cell)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _checked(cell: Any, text: str, where: str) -> Sequence[Any]:
    entries = entries_of("[]" if cell is None else cell)
    if entries is None or not all(_is_span(one) and one[1] <= len(text) for one in entries):
        raise DataError(
            f"{str(cell)[:60]!r} is not a list of spans in its text.", where=where,
            fix="write [[start, end, type], ...], in characters of the column text.",
        )  # fmt: skip
    return entries


def _is_span(one: Any) -> bool:
    return (
        isinstance(one, list)
        and LEAST_ENTRIES <= len(one) <= MOST_ENTRIES
        and all(isinstance(side, int) and not isinstance(side, bool) for side in one[:2])
        and 0 <= one[0] < one[1]
        and isinstance(one[2], str)
    )
