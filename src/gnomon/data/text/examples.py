"""Texts as Examples: documents, lines, or windows of one running text, cut out of the bytes when they are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, final

import numpy as np
import polars as pl

from gnomon.core.example import Example, Examples, LabelType
from gnomon.data.near_texts import WordPairs, word_pairs
from gnomon.data.text.files import whole_from
from gnomon.data.text.on_disk import Content

MOST_PAIRED = 1 << 28  # bytes of texts in which near-duplicates are looked for: half a minute

Each = Literal["line", "window", "document"]


@final
@dataclass(frozen=True)
class TextExamples(Examples):
    """N texts: example i is the bytes from starts[i] to ends[i] of contents[store[i]], and row i of `table`."""

    contents: tuple[Content, ...]
    store: np.ndarray  # (N,) int64
    starts: np.ndarray  # (N,) int64
    ends: np.ndarray  # (N,) int64
    table: pl.DataFrame
    each: Each = "line"  # what a text is; documents and lines end, windows of a running text go on
    column: str = ""  # of the table that the texts are from
    label_type: LabelType = "text"
    windows: int = 1  # in each text: of a long running text one of several, drawn anew in each epoch, is trained on

    @staticmethod
    def of(
        texts: Sequence[str], table: pl.DataFrame, each: Each, *, column: str = "", label_type: LabelType = "text"
    ) -> TextExamples:
        """Texts in memory, each an example."""
        contents = [text.encode() for text in texts]
        ends = np.cumsum([len(content) for content in contents], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        return TextExamples(
            (b"".join(contents),), np.zeros(len(texts), np.int64), starts, ends, table, each, column, label_type
        )

    @property
    def index(self) -> pl.DataFrame:
        return self.table

    @property
    def is_in_order(self) -> bool:
        return self.each == "window"

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, position: int) -> str:
        return self.contents[self.store[position]][self.starts[position] : self.ends[position]].decode()

    def before(self, position: int, most: int) -> str:
        """What stands in the same file before a text, whole characters of its last `most` bytes."""
        content, start = self.contents[self.store[position]], int(self.starts[position])
        return content[whole_from(content, max(0, start - most)) : start].decode()

    def texts(self) -> Iterator[str]:
        return (self.text(position) for position in range(len(self)))

    def __getitem__(self, position: int) -> Example:
        row = self.table.row(position, named=True)
        tags = {name.removeprefix("tag."): value for name, value in row.items() if name.startswith("tag.") and value}
        return Example(str(row["id"]), self.text(position), row["label"], tags)

    def take(self, positions: np.ndarray) -> Self:
        at = np.asarray(positions, np.int64)
        return replace(
            self, store=self.store[at], starts=self.starts[at], ends=self.ends[at], table=self.table[at]
        )  # fmt: skip

    def join(self, other: Self) -> Self:
        contents = [*self.contents]
        renumber = []
        for theirs in other.contents:
            at = next((i for i, ours in enumerate(contents) if ours is theirs), len(contents))
            if at == len(contents):
                contents.append(theirs)
            renumber.append(at)
        return replace(
            self,
            contents=tuple(contents),
            store=np.concatenate([self.store, np.array(renumber, np.int64)[other.store]]),
            starts=np.concatenate([self.starts, other.starts]),
            ends=np.concatenate([self.ends, other.ends]),
            table=pl.concat([self.table, other.table], how="diagonal_relaxed", rechunk=True),
        )

    def fingerprints(self) -> np.ndarray:
        found = np.empty(len(self), np.uint64)
        for i in range(len(self)):
            content = self.contents[self.store[i]][self.starts[i] : self.ends[i]]
            found[i] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
        return found

    def word_pairs(self) -> WordPairs | None:
        """None for windows, whose neighbours are one text, and where it would take long."""
        if self.each == "window" or int((self.ends - self.starts).sum()) > MOST_PAIRED:
            return None
        parts = zip(self.store.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True)
        return word_pairs(bytes(self.contents[store][start:end]) for store, start, end in parts)

    def with_labels(self, labels: pl.Series) -> Self:
        if self.table["label"].null_count() == len(self):
            return super().with_labels(labels)  # which refuses
        return replace(
            self, table=self.table.with_columns(label=labels.cast(pl.String), stratum=labels.cast(pl.String))
        )

    def with_source(self, name: str) -> Self:
        return replace(self, table=self.table.with_columns(source=pl.lit(name, dtype=pl.String)))

    def sizes(self) -> np.ndarray:
        """(N,) int64: bytes of each text in UTF-8."""
        return self.ends - self.starts
