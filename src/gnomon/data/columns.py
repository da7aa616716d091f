"""Encoded examples: named tensors of one row per example, dense where all rows have one shape, ragged where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


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
        rows = [self.row(int(index)) for index in indices]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


Columns = Mapping[str, Tensor | Ragged]


def length(columns: Columns) -> int:
    """N, the same for every column."""
    return len(next(iter(columns.values())))


def concatenate(chunks: Sequence[Columns]) -> Columns:
    """The rows of all chunks, in order. Chunks share names and kinds."""
    if len(chunks) == 1:
        return chunks[0]
    return {name: _concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _concatenate(parts: Sequence[Tensor | Ragged]) -> Tensor | Ragged:
    if isinstance(parts[0], Tensor):
        return torch.cat([part for part in parts if isinstance(part, Tensor)])
    ragged = [part for part in parts if isinstance(part, Ragged)]
    lengths = torch.cat([part.offsets.diff() for part in ragged])
    return Ragged(torch.cat([part.values for part in ragged]), torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def gather(columns: Columns, indices: Tensor) -> dict[str, Tensor]:
    """The rows at `indices` of dense columns. One copy a column."""
    return {name: column.index_select(0, indices) for name, column in columns.items() if isinstance(column, Tensor)}


def take(columns: Columns, rows: np.ndarray) -> Columns:
    """The columns of the examples at `rows`, dense and ragged ones."""
    indices = torch.from_numpy(np.asarray(rows, dtype=np.int64))
    return {
        name: column.index_select(0, indices)
        if isinstance(column, Tensor)
        else Ragged.of([column.row(int(row)) for row in rows])
        for name, column in columns.items()
    }
