"""Sentences whose tokens have tags, as Examples: words with their places in the text, and the spans that tags mark."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples
from gnomon.metrics.spans import Span, spans_of

Kind = Literal["spans", "tags"]  # what is to be found: spans with types, or one tag for each token
START, END, TAG = 0, 1, 2  # columns of TaggedExamples.tokens
NO_TAG = -1


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as it was read: token i is text[starts[i]:ends[i]], in characters."""

    id: str
    text: str
    starts: list[int]
    ends: list[int]
    tags: list[str]  # of the tokens; empty where none are given
    line: int = 0  # of its file, where it begins

    def words(self) -> list[str]:
        return [self.text[start:end] for start, end in zip(self.starts, self.ends, strict=True)]


@final
@dataclass(frozen=True)
class TaggedExamples(Examples):
    """N sentences: example i is sentence rows[i] of a store that is shared by all that is taken from it."""

    texts: tuple[str, ...]  # (M,)
    tokens: np.ndarray  # (total, 3) int32: start, end in characters, place in `tag_names` or NO_TAG
    first: np.ndarray  # (M + 1,) int64: where the tokens of each sentence begin
    rows: np.ndarray  # (N,) int64
    tag_names: tuple[str, ...]  # of spans in BIO
    kind: Kind
    table: pl.DataFrame

    @property
    def index(self) -> pl.DataFrame:
        return self.table

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, position: int) -> str:
        return self.texts[self.rows[position]]

    def places(self, position: int) -> np.ndarray:
        """(T, 3) int32, a row of `tokens` for each token of a sentence."""
        row = self.rows[position]
        found: np.ndarray = self.tokens[self.first[row] : self.first[row + 1]]
        return found

    def words(self, position: int) -> list[str]:
        text = self.text(position)
        return [text[start:end] for start, end, _ in self.places(position).tolist()]

    def tags(self, position: int) -> list[str]:
        """Of the tokens; empty where they are not known."""
        tags = self.places(position)[:, TAG].tolist()
        return [] if NO_TAG in tags else [self.tag_names[tag] for tag in tags]

    def spans(self, position: int) -> list[Span]:
        """What the tags mark, in characters; of tags without spans, every token."""
        return in_characters(self.tags(position), self.places(position), self.kind)

    def __getitem__(self, position: int) -> Example:
        row = self.table.row(position, named=True)
        tags = {name.removeprefix("tag."): value for name, value in row.items() if name.startswith("tag.") and value}
        return Example(str(row["id"]), self.text(position), self.spans(position), tags)

    def take(self, positions: np.ndarray) -> Self:
        at = np.asarray(positions, np.int64)
        return replace(self, rows=self.rows[at], table=self.table[at])

    def join(self, other: Self) -> Self:
        """Raises DataError where one has spans and the other tags without."""
        if self.kind != other.kind:
            raise DataError("one source has spans and the other has tags without spans.", fix="give one kind of tags.")
        names = (*self.tag_names, *sorted(set(other.tag_names) - set(self.tag_names)))
        place = {name: number for number, name in enumerate(names)}
        theirs = other.tokens.copy()
        renumbered = np.array([place[name] for name in other.tag_names] + [NO_TAG], np.int32)  # the last for NO_TAG
        theirs[:, TAG] = renumbered[theirs[:, TAG]]
        return replace(
            self,
            texts=self.texts + other.texts,
            tokens=np.concatenate([self.tokens, theirs]),
            first=np.concatenate([self.first[:-1], other.first + self.first[-1]]),
            rows=np.concatenate([self.rows, other.rows + len(self.texts)]),
            tag_names=names,
            table=pl.concat([self.table, other.table], how="diagonal_relaxed", rechunk=True),
        )

    def fingerprints(self) -> np.ndarray:
        digests = [
            hashlib.blake2b(self.text(i).encode("utf-8", "surrogatepass"), digest_size=8).digest()
            for i in range(len(self))
        ]
        return np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)

    def with_source(self, name: str) -> Self:
        return replace(self, table=self.table.with_columns(source=pl.lit(name, dtype=pl.String)))


def in_characters(tags: Sequence[str], places: np.ndarray, kind: Kind) -> list[Span]:
    """The spans that tags of T tokens mark, by the places (T, 2 or more) of these in the text."""
    if kind == "tags":
        return [Span(start, end, tag) for (start, end), tag in zip(places[: len(tags), :2].tolist(), tags, strict=True)]
    return [Span(int(places[span.start, START]), int(places[span.end - 1, END]), span.type) for span in spans_of(tags)]


def from_sentences(
    sentences: Sequence[Sentence], tags: Sequence[Sequence[str]], kind: Kind, table: pl.DataFrame
) -> TaggedExamples:
    """Examples of sentences, each with its tags as they count: in BIO, or without spans."""
    names = tuple(sorted({tag for each in tags for tag in each}))
    place = {name: number for number, name in enumerate(names)}
    counts = np.array([len(one.starts) for one in sentences], np.int64)
    tokens = np.full((int(counts.sum()), 3), NO_TAG, np.int32)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    for number, (one, own) in enumerate(zip(sentences, tags, strict=True)):
        here = tokens[first[number] : first[number + 1]]
        here[:, START], here[:, END] = one.starts, one.ends
        if own:
            here[:, TAG] = [place[tag] for tag in own]
    return TaggedExamples(
        tuple(one.text for one in sentences), tokens, first, np.arange(len(sentences)), names, kind, table
    )  # fmt: skip
