"""Encoded examples: named tensors of one row per example, dense if all rows have one shape, otherwise ragged."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from gnomon.data import room

SECONDS_BETWEEN_LOOKS = 10.0  # between checks of how much of the files is in memory; a check of 3 GB takes 0.07 s
MOSTLY_CACHED = 0.98  # of the files in memory: requesting rows costs more (2 microseconds each) than it saves
ROWS_AT_ONCE = 8192  # copied from file to file


@dataclass(frozen=True)
class Ragged:
    """N rows of different lengths, end to end: row i is values[offsets[i]:offsets[i + 1]]."""

    values: Tensor  # (total, ...)
    offsets: Tensor  # (N + 1,) int64

    @staticmethod
    def of(rows: Sequence[Tensor]) -> Ragged:
        """From at least one tensor; all share dtype and trailing shape."""
        lengths = torch.tensor([0, *(len(row) for row in rows)])
        return Ragged(torch.cat(list(rows)), lengths.cumsum(0))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self, indices: Tensor) -> Tensor:
        """(B,) int64."""
        return self.offsets[indices + 1] - self.offsets[indices]

    def row(self, index: int) -> Tensor:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def pad(self, indices: Tensor, value: float) -> Tensor:
        """(B, longest, ...): the rows at `indices`, shorter ones filled with `value`."""
        starts, lengths = self.offsets[indices], self.lengths(indices)
        places = torch.arange(int(lengths.max()) if len(lengths) else 0, device=starts.device)
        is_there = places < lengths[:, None]
        found = self.values.new_full((*is_there.shape, *self.values.shape[1:]), value)
        found[is_there] = self.values[(starts[:, None] + places)[is_there]]
        return found


@final
@dataclass(frozen=True)
class Shared:
    """N rows that are K rows each of one table, which is kept once: the two pictures of each pair."""

    values: Tensor  # (M, ...)
    rows: Tensor  # (N, K) int64 positions in `values`

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Tensor) -> Shared:
        return Shared(self.values, self.rows[indices])

    def gathered(self, indices: Tensor) -> Tensor:
        """(B, K, ...): what stands at `indices`."""
        rows = self.rows.index_select(0, indices.to(self.rows.device))
        found = self.values.index_select(0, rows.flatten().to(self.values.device))
        return found.unflatten(0, (len(rows), self.rows.shape[1]))


Columns = Mapping[str, Tensor | Ragged | Shared]


@final
class InFiles(dict[str, Tensor | Ragged | Shared]):
    """Columns of which those in `mapped` are files. More of them may be written to files in `folder`."""

    def __init__(self, columns: Columns, mapped: Collection[str], folder: Path) -> None:
        super().__init__(columns)
        self.mapped, self.folder = mapped, folder
        self._is_in_memory, self._next_look = False, 0.0

    def prefetch(self, rows: Tensor) -> None:
        """Have the system read these rows, unless the files are in memory anyway."""
        columns = [column for name in self.mapped if isinstance(column := self[name], Tensor) and column.numel()]
        now = time.monotonic()
        if now >= self._next_look:
            self._is_in_memory = all(room.share_in_memory(column) > MOSTLY_CACHED for column in columns)
            self._next_look = now + SECONDS_BETWEEN_LOOKS
        if not self._is_in_memory:
            for column in columns:
                room.prefetch(column, rows)


@final
class OnDemand(dict[str, Tensor | Ragged | Shared]):
    """Columns that are nowhere: what is asked for is encoded when it is asked for. `rows` (N,) alone is there."""

    def __init__(self, total: int, encode: Callable[[np.ndarray], Columns]) -> None:
        super().__init__({"rows": torch.arange(total, dtype=torch.int32)})
        self.encode = encode  # of the examples at some positions


def length(columns: Columns) -> int:
    """N, the same for every column."""
    return len(next(iter(columns.values())))


def concatenate(chunks: Sequence[Columns]) -> Columns:
    """The rows of all chunks, in order. Chunks share names and kinds."""
    if len(chunks) == 1:
        return chunks[0]
    return {name: _concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _concatenate(parts: Sequence[Tensor | Ragged | Shared]) -> Tensor | Ragged | Shared:
    if isinstance(parts[0], Tensor):
        return torch.cat([part for part in parts if isinstance(part, Tensor)])
    shared = [part for part in parts if isinstance(part, Shared)]
    if shared:
        starts = np.cumsum([0, *(len(part.values) for part in shared)]).tolist()
        rows = [part.rows + start for part, start in zip(shared, starts, strict=False)]
        return Shared(torch.cat([part.values for part in shared]), torch.cat(rows))
    ragged = [part for part in parts if isinstance(part, Ragged)]
    lengths = torch.cat([part.offsets.diff() for part in ragged])
    return Ragged(torch.cat([part.values for part in ragged]), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def gather(columns: Columns, indices: Tensor) -> dict[str, Tensor]:
    """The rows at `indices` of dense and shared columns, each on its own device. One copy per column."""
    if isinstance(columns, OnDemand):
        columns = columns.encode(indices.cpu().numpy())
        indices = torch.arange(len(indices))
    if isinstance(columns, InFiles):
        columns.prefetch(indices)
    shared = {name: column.gathered(indices) for name, column in columns.items() if isinstance(column, Shared)}
    dense = {
        name: column.index_select(0, indices.to(column.device))
        for name, column in columns.items()
        if isinstance(column, Tensor)
    }
    return {**dense, **shared}


def take(columns: Columns, rows: np.ndarray) -> Columns:
    """The columns of the examples at `rows`, dense and ragged; from files into files if they are as large."""
    if isinstance(columns, OnDemand):
        return columns.encode(rows)
    indices = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    dense = {name: column for name, column in columns.items() if isinstance(column, Tensor)}
    ragged = {
        name: Ragged.of([column.row(int(row)) for row in rows])
        for name, column in columns.items()
        if isinstance(column, Ragged)
    }
    shared = {name: column[indices] for name, column in columns.items() if isinstance(column, Shared)}
    size = len(rows) * sum(column[0].nbytes for column in dense.values())
    if not isinstance(columns, InFiles) or not room.is_short_for(size):
        return {**gather(columns, indices), **ragged, **shared}
    taken = {name: room.empty((len(rows), *dense[name].shape[1:]), dense[name].dtype, columns.folder) for name in dense}
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        for name, column in gather(columns, indices[some]).items():
            if name in taken:
                taken[name][some] = column
    return InFiles({**taken, **ragged, **shared}, tuple(taken), columns.folder)
