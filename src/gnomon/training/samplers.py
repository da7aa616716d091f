"""The order of the examples in an epoch, and where its batches end: pure functions of the data, seed and epoch.

So a resumed run needs no history: it draws the same order and continues where it was. A task whose batches should not
be drawn uniformly names a sampler (`TaskKind.sampler`).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gnomon.core.seeds import derive, generator
from gnomon.data.columns import Columns, Ragged, Shared, length

POOL = (
    100  # batches sorted by length together: a larger pool needs less padding but mixes less; 50 pad long tails by 15 %
)


@dataclass(frozen=True)
class Epoch:
    """Positions of examples in the order they are seen, and where each batch ends.

    `ends` None: batches of the current size, which may change during the epoch.
    """

    order: Tensor  # (number of examples seen,) int64
    ends: Tensor | None = None  # (number of batches,) int64, rising to len(order)

    def end_after(self, seen: int, batch_size: int) -> int:
        """Where the batch that begins after the first `seen` examples ends."""
        if self.ends is None:
            return batch_end(seen, len(self.order), batch_size)
        return int(self.ends[int(torch.searchsorted(self.ends, seen, right=True))])


Sampler = Callable[[Columns, int, int, int], Epoch]  # of columns, seed, epoch (from 0), batch size


def every_example(columns: Columns, seed: int, epoch: int, _batch_size: int) -> Epoch:
    """All examples, shuffled: for a task that names no sampler."""
    return Epoch(shuffled(length(columns), seed, epoch))


def by_length(*names: str) -> Sampler:
    """All examples, in batches of nearly equal length, so that there is little padding; the batches in random order.

    The columns of these names are ragged, or hold the lengths (N,). Of several the longest counts, and then their sum:
    of pairs of sentences that leaves 7 % of padding, their sum alone 17 %. Source: the bucketing of Khomenko et al.
    2016, within pools.
    """

    def sample(columns: Columns, seed: int, epoch: int, batch_size: int) -> Epoch:
        if not all(name in columns for name in names):  # encoded on demand: windows of one text, all of a length
            return every_example(columns, seed, epoch, batch_size)
        each = torch.stack([_lengths(columns[name]) for name in names])
        lengths = each.amax(dim=0) * (each.sum(dim=0).max() + 1) + each.sum(dim=0)
        order = shuffled(len(lengths), seed, epoch)
        pools = [pool[torch.sort(lengths[pool], stable=True).indices] for pool in order.split(POOL * batch_size)]
        order = torch.cat(pools)
        bounds = [0]
        while bounds[-1] < len(order):
            bounds.append(batch_end(bounds[-1], len(order), batch_size))
        batches = [order[start:end] for start, end in itertools.pairwise(bounds)]
        places = torch.randperm(
            len(batches), generator=torch.Generator().manual_seed(derive(seed, "batches", epoch))
        ).tolist()
        return _in_batches([batches[place] for place in places])

    return sample


def _lengths(column: Tensor | Ragged | Shared) -> Tensor:
    if isinstance(column, Shared):
        raise TypeError("rows of a shared table have no lengths")
    return column.offsets.diff() if isinstance(column, Ragged) else column.cpu()


def by_identity(column: str, each: int) -> Sampler:
    """Batches of batch_size // each different identities with `each` examples of each (fewer if it has fewer).

    `column` (N,) has the identity as a whole number. An identity with one example is left out, and the remainder of
    the others after cutting them into groups of `each` waits for another epoch, which cuts them differently. Raises
    ValueError without two identities with two examples. Source: Hermans et al. 2017, section 2.
    """

    def sample(columns: Columns, seed: int, epoch: int, batch_size: int) -> Epoch:
        values = columns[column]
        if not isinstance(values, Tensor):
            raise ValueError(f"{column} is ragged; an identity is one whole number.")
        rng = generator(seed, "identities", epoch)
        identities = values.cpu().numpy()
        order = rng.permutation(len(identities))
        order = order[np.argsort(identities[order], kind="stable")]  # by identity, at random within one
        starts = np.flatnonzero(np.r_[True, np.diff(identities[order]) != 0])
        groups = [_groups_of(examples, each) for examples in np.split(order, starts[1:])]
        many = max(2, batch_size // each)
        waiting = [(-len(own), float(rng.random()), i) for i, own in enumerate(groups) if own]
        heapq.heapify(waiting)  # identities with most groups left come first, so that the last batches are still mixed
        batches = []
        while len(waiting) >= 2:
            chosen = [heapq.heappop(waiting) for _ in range(min(many, len(waiting)))]
            batches.append(torch.from_numpy(np.concatenate([groups[i].pop() for _, _, i in chosen])))
            for left, _, i in chosen:
                if left < -1:
                    heapq.heappush(waiting, (left + 1, float(rng.random()), i))
        if not batches:
            raise ValueError(f"{column} has no two identities with two examples each.")
        return _in_batches([batches[place] for place in rng.permutation(len(batches))])

    return sample


def _groups_of(examples: np.ndarray, each: int) -> list[np.ndarray]:
    """Groups of `each`, or one of all if there are fewer, but with at least two each."""
    if len(examples) < each:
        return [examples] if len(examples) > 1 else []
    return [examples[start : start + each] for start in range(0, len(examples) - each + 1, each)]


def _in_batches(batches: list[Tensor]) -> Epoch:
    return Epoch(torch.cat(batches), torch.tensor([len(batch) for batch in batches]).cumsum(0))


def shuffled(total: int, seed: int, epoch: int) -> Tensor:
    """(N,) int64: a function of seed and epoch alone."""
    return torch.randperm(total, generator=torch.Generator().manual_seed(derive(seed, "shuffle", epoch)))


def batch_end(start: int, total: int, batch_size: int) -> int:
    """Where the batch from `start` on ends. A last batch of one joins the one before it: batch norm needs two."""
    end = min(start + batch_size, total)
    return total if total - end == 1 else end


def batches_per_epoch(total: int, batch_size: int) -> int:
    """How many batches `batch_end` makes of `total` examples."""
    whole, rest = divmod(total, batch_size)
    return max(1, whole + (rest > 1) if batch_size > 1 else total - 1)
