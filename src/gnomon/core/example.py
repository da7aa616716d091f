"""What a person sees (Example) and what the machine iterates over (Examples): never ten million Python objects."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


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

        `id` (String, or an unsigned integer row number); `stratum` (what a split must keep in proportion: the class,
        a quantile bin; null if there is none); `group` (examples of one group are never on both sides of a split;
        null if there is none); `time` (sortable; null if there is none); one `tag.NAME` String column per tag;
        `source` (String) if examples of several sources were joined.
        """

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __getitem__(self, position: int) -> Example: ...

    @abc.abstractmethod
    def take(self, positions: np.ndarray) -> Self:
        """The examples at `positions` (integers), in that order, without copying what is not needed."""

    @abc.abstractmethod
    def join(self, other: Self) -> Self:
        """These examples, then those of `other`, which is of the same kind and may come from another source."""

    @abc.abstractmethod
    def fingerprints(self) -> np.ndarray:
        """(N,) uint64: equal for two examples exactly if their inputs are the same bytes or values."""

    @abc.abstractmethod
    def thumbnails(self) -> np.ndarray | None:
        """(N, D) float32: small square grey thumbnails, for finding near-duplicates; None if there are none."""


@dataclass(frozen=True, slots=True)
class BadInput:
    """One file or row that could not be read, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a source.

    `splits` has the key "all" for a source without splits, or some of "train", "dev", "test" if the source has its
    own. `notes` are sentences a person should see (what was recognised, converted, dropped or imputed, and why).
    """

    splits: Mapping[str, Examples]
    notes: tuple[str, ...] = ()
    bad: tuple[BadInput, ...] = ()
