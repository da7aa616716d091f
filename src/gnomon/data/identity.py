"""Which example is in which split, and what has changed since: a fingerprint per split, and the difference of two."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.data.drawing import bytes_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Changes:
    """How the examples of a run differ from the current ones."""

    added: int = 0
    removed: int = 0
    changed: int = 0  # same id, different content
    moved: int = 0  # same id, another split

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)


def fingerprint_of(ids: pl.Series, fingerprints: np.ndarray) -> str:
    """SHA-256 of a split as 64 hex digits: the same for the same examples in any order, different for any other set.

    `ids` and `fingerprints` are those of `Examples.index` and `Examples.fingerprints()`.
    """
    import polars as pl

    table = pl.DataFrame({"id": ids.cast(pl.String), "fingerprint": fingerprints}).sort("id", "fingerprint")
    text, ends = bytes_of(table["id"])
    digest = hashlib.sha256()
    for part in (np.diff(ends, prepend=0), text, table["fingerprint"].to_numpy()):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def compare_splits(recorded: Mapping[str, pl.DataFrame], now: Mapping[str, pl.DataFrame]) -> Changes:
    """Count what changed between two sets of splits, given as tables with the columns `id` and `fingerprint`."""
    import polars as pl

    def together(splits: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        columns = [pl.col("id").cast(pl.String), pl.col("fingerprint").cast(pl.UInt64)]
        return pl.concat([table.select(*columns, split=pl.lit(name)) for name, table in splits.items()])

    before, after = together(recorded), together(now)
    both = before.join(after, on="id", suffix="_now")
    return Changes(
        added=len(after) - len(both),
        removed=len(before) - len(both),
        changed=int((both["fingerprint"] != both["fingerprint_now"]).sum()),
        moved=int((both["split"] != both["split_now"]).sum()),
    )
