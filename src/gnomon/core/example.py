"""What a person sees (Example) and what the machine iterates over (Examples): never ten million Python objects."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from gnomon.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from gnomon.data.near_texts import WordPairs


MOST_CLASSES = 1_000  # that are counted

LabelType = Literal["text", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class Example:
    """One datum, made when a person or a report looks at it.

    `id` is stable: the path or row it came from. `tags` are slices known beforehand: camera, speaker, source.
    """

    id: str
    inputs: Any
    target: Any
    tags: Mapping[str, str] = field(default_factory=dict)


class Examples(abc.ABC):
    """A lazy sequence of N examples over columns or files."""

    @property
    @abc.abstractmethod
    def index(self) -> pl.DataFrame:
        """One row per example, N rows, in order. Columns:

        `id` (String, or an unsigned integer row number); `label` (the class, String or Enum; null if an example has
        none, or not just one); `stratum` (what a split must keep in proportion: the class, a quantile bin; null if
        there is none); `group` (examples of one group are never on both sides of a split;
        null if there is none); `time` (sortable; null if there is none); one `tag.NAME` String column per tag;
        `source` (String) if examples of several sources were joined.
        """

    @property
    def label_type(self) -> LabelType:
        """What labels were given as."""
        return "text"

    @property
    def is_in_order(self) -> bool:
        """Whether neighbours are alike, as parts of one text: a split then cuts the sequence, by `time`."""
        return False

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __getitem__(self, position: int) -> Example: ...

    def __iter__(self) -> Iterator[Example]:
        return (self[position] for position in range(len(self)))

    @abc.abstractmethod
    def take(self, positions: np.ndarray) -> Self:
        """The examples at `positions` (integers), in that order, without copying what is not needed."""

    @abc.abstractmethod
    def join(self, other: Self) -> Self:
        """These examples, then those of `other`, which is of the same kind and may come from another source."""

    @abc.abstractmethod
    def fingerprints(self) -> np.ndarray:
        """(N,) uint64: equal for two examples exactly if their inputs are the same bytes or values."""

    def thumbnails(self) -> np.ndarray | None:
        """(N, D) float32: small square grey thumbnails, for finding near-duplicates; None if there are none."""
        return None

    def word_pairs(self) -> WordPairs | None:
        """Of texts, their pairs of neighbouring words, for finding near-duplicates; None if there are none."""
        return None

    def class_counts(self) -> dict[str, int]:
        """How often each class occurs, most frequent first; empty if examples have no classes."""
        counts = self.index["label"].drop_nulls().value_counts(sort=True)
        return {str(name): int(count) for name, count in counts.head(MOST_CLASSES).iter_rows()}

    def with_labels(self, labels: pl.Series) -> Self:
        """The same examples with these classes: (N,) String. Raises DataError where they do not have one class each."""
        raise DataError("corrections need one class per example.", fix="correct the data itself.")

    def with_source(self, name: str) -> Self:
        """The same examples with `name` as the `source` of each, in their index and in that of what they are joined to.

        Examples that keep no source count under their split's.
        """
        return self


def index_frame(
    ids: Sequence[str] | pl.Series,
    *,
    label: Sequence[str | None] | None = None,
    stratum: Sequence[str | None] | None = None,
    group: Sequence[str | None] | None = None,
) -> pl.DataFrame:
    """The columns of `Examples.index` for N ids, null where nothing is given; `stratum` is the label by default."""
    import polars as pl

    nothing = [None] * len(ids)
    columns = {"label": label, "stratum": label if stratum is None else stratum, "group": group}
    texts = [
        pl.Series(name, nothing if values is None else values, dtype=pl.String) for name, values in columns.items()
    ]
    return pl.DataFrame([pl.Series("id", ids, dtype=pl.String), *texts, pl.Series("time", nothing, dtype=pl.Int64)])


@dataclass(frozen=True, slots=True)
class BadInput:
    """One file or row that could not be read, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a source.

    `splits` has the key "all" for a source without splits, or some of "train", "dev", "test" if the source has its
    own. `notes` are sentences a person should see (what was recognised, converted, dropped or imputed, and why),
    `alarms` those that say why the answers are worth little.
    """

    splits: Mapping[str, Examples]
    notes: tuple[str, ...] = ()
    bad: tuple[BadInput, ...] = ()
    alarms: tuple[str, ...] = ()
