"""Pairs of texts as Examples: a source, and one or more references that its target may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import polars as pl

from gnomon.core.example import Example, Examples
from gnomon.data.near_texts import WordPairs
from gnomon.data.text.examples import TextExamples


@final
@dataclass(frozen=True)
class PairExamples(Examples):
    """N pairs: the references of example i are texts first[i] to first[i] + count[i] of `targets`, which all share."""

    sources: TextExamples  # N texts, and the index
    targets: TextExamples
    first: np.ndarray  # (N,) int64
    count: np.ndarray  # (N,) int64: 0 where no target is known
    source_name: str = ""  # of the side that is translated from: a column, or the ending of files
    target_name: str = ""

    @property
    def index(self) -> pl.DataFrame:
        return self.sources.table

    def __len__(self) -> int:
        return len(self.first)

    def source(self, position: int) -> str:
        return self.sources.text(position)

    def references(self, position: int) -> tuple[str, ...]:
        start = int(self.first[position])
        return tuple(self.targets.text(at) for at in range(start, start + int(self.count[position])))

    def all_references(self) -> Iterator[tuple[str, ...]]:
        return (self.references(position) for position in range(len(self)))

    def __getitem__(self, position: int) -> Example:
        return replace(self.sources[position], target=self.references(position))

    def take(self, positions: np.ndarray) -> Self:
        at = np.asarray(positions, np.int64)
        return replace(self, sources=self.sources.take(at), first=self.first[at], count=self.count[at])

    def join(self, other: Self) -> Self:
        return replace(
            self,
            sources=self.sources.join(other.sources),
            targets=self.targets.join(other.targets),
            first=np.concatenate([self.first, other.first + len(self.targets)]),
            count=np.concatenate([self.count, other.count]),
        )

    def fingerprints(self) -> np.ndarray:
        return self.sources.fingerprints()

    def word_pairs(self) -> WordPairs | None:
        return self.sources.word_pairs()

    def with_source(self, name: str) -> Self:
        return replace(self, sources=self.sources.with_source(name))


def pairs_of(
    sources: Sequence[str], references: Sequence[Sequence[str]], index: pl.DataFrame, names: tuple[str, str] = ("", "")
) -> PairExamples:  # fmt: skip
    """Examples of texts in memory. `names`: of the two sides."""
    count = np.array([len(some) for some in references], np.int64)
    flat = [text for some in references for text in some]
    numbers = pl.DataFrame({"id": pl.int_range(len(flat), dtype=pl.Int64, eager=True)})
    return PairExamples(
        TextExamples.of(sources, index, "line"), TextExamples.of(flat, numbers, "line"),
        np.cumsum(count) - count, count, *names,
    )  # fmt: skip
