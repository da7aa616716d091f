"""Pairs: what a system that was trained on identities is judged on, two examples each, of one identity or of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, index_frame
from gnomon.core.seeds import generator
from gnomon.data.columns import Columns, Shared
from gnomon.metrics.identity_table import BESIDE, code_of

SAME, DIFFERENT = "same", "different"
PAIRED = "paired"  # the column (N, 2) that says that rows are pairs: positions in what is encoded of them
MOST_SAME, MOST_DIFFERENT = 3_000, 5_000  # pairs that are judged of each kind; LFW's list has 3,000 of each
BLOCK = 100  # examples whose pairs are looked at together
ODD = np.uint64(0x9E3779B97F4A7C15)  # a multiplier that keeps (a, b) and (b, a) apart


@final
@dataclass(frozen=True)
class Pairs(Examples):
    """N pairs of examples of `members`; where both have a group, the label says whether it is the same."""

    members: Examples
    left: np.ndarray  # (N,) int64 positions in `members`
    right: np.ndarray

    @cached_property
    def _index(self) -> pl.DataFrame:
        index = self.members.index
        ids, groups = index["id"].cast(pl.String), index["group"].cast(pl.String)
        left, right = groups.gather(self.left), groups.gather(self.right)
        is_same = (left == right).to_list()
        labels = [None if one is None else SAME if one else DIFFERENT for one in is_same]
        names = (ids.gather(self.left) + BESIDE + ids.gather(self.right)).to_list()
        return index_frame(names, label=labels, group=left.to_list())

    @property
    def index(self) -> pl.DataFrame:
        """`group` is the identity of the left example."""
        return self._index

    @property
    def same(self) -> np.ndarray:
        """(N,) bool. Raises DataError where the identity of an example is not known."""
        label = self._index["label"]
        if label.null_count():
            raise DataError("these pairs have no identities.", fix="give examples whose identities are known.")
        found: np.ndarray = (label == SAME).to_numpy()
        return found

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, position: int) -> Example:
        """`inputs` are the two pictures beside each other."""
        row = self._index.row(position, named=True)
        sides = [self.members[int(side[position])].inputs for side in (self.left, self.right)]
        return Example(row["id"], beside_each_other(sides), row["label"])

    def take(self, positions: np.ndarray) -> Self:
        positions = np.asarray(positions, np.int64)
        return replace(self, left=self.left[positions], right=self.right[positions])

    def join(self, other: Self) -> Self:
        shift, members = len(self.members), cast(Any, self.members).join(other.members)
        left, right = (np.concatenate([one, more + shift]) for one, more in
                       ((self.left, other.left), (self.right, other.right)))  # fmt: skip
        return replace(self, members=members, left=left, right=right)

    def fingerprints(self) -> np.ndarray:
        prints = self.members.fingerprints()
        with np.errstate(over="ignore"):
            found: np.ndarray = prints[self.left] * ODD ^ prints[self.right]
        return found

    def codes(self) -> np.ndarray | None:
        """(N, 2) int64: a number for the identity of each side, the same in every run; None where nobody knows them."""
        groups = self.members.index["group"]
        if not len(self) or groups.null_count():
            return None
        names = groups.unique().cast(pl.String).to_list()
        numbers = {name: code_of(name) for name in names}
        each = np.array([numbers[name] for name in groups.cast(pl.String)], np.int64)
        return np.stack([each[self.left], each[self.right]], axis=1)

    def example_codes(self) -> np.ndarray:
        """(N, 2) int64: likewise for the example on each side."""
        each = np.array([code_of(name) for name in self.members.index["id"].cast(pl.String)], np.int64)
        return np.stack([each[self.left], each[self.right]], axis=1)


def in_pairs(pairs: Pairs, encode: Callable[[Examples], Columns]) -> Columns:
    """The columns of the pairs: what `encode` gives for each example in them, kept once."""
    used, rows = np.unique(np.stack([pairs.left, pairs.right], axis=1), return_inverse=True)
    members = torch.from_numpy(rows.reshape(-1, 2).astype(np.int64))
    columns = encode(pairs.members.take(used))
    shared = {name: Shared(column, members) for name, column in columns.items() if isinstance(column, Tensor)}
    return {**shared, PAIRED: members}


def pairs_to_judge(
    members: Examples, seed: int, most_same: int = MOST_SAME, most_different: int = MOST_DIFFERENT
) -> Pairs:
    """All pairs of the examples, of large sets some: drawn by seed, within blocks of whole identities drawn at random.

    Raises DataError unless there are two identities, one of them with two examples.
    """
    groups = members.index["group"].cast(pl.String)
    names, code = np.unique(groups.to_numpy().astype(str), return_inverse=True)
    rng = generator(seed, "pairs")
    same, different = [], []
    for block in _blocks(code, rng):
        first, second = np.triu_indices(len(block), k=1)
        left, right = block[first], block[second]
        is_same = code[left] == code[right]
        same.append(np.stack([left, right])[:, is_same])
        different.append(np.stack([left, right])[:, ~is_same])
    kinds = {"same": np.concatenate(same, axis=1), "different": np.concatenate(different, axis=1)}
    if not kinds["same"].shape[1] or not kinds["different"].shape[1]:
        raise DataError(
            f"the {len(members):,} examples here are of {len(names):,} identities, and make no pairs of "
            f"{'one identity' if not kinds['same'].shape[1] else 'two identities'}.",
            fix="give each split at least two identities with two examples each: add identities, or larger shares "
            "(split.dev=0.3).",
        )
    kept = []
    for pairs, most in zip(kinds.values(), (most_same, most_different), strict=True):
        count = pairs.shape[1]
        rows = np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
        kept.append(pairs[:, rows])
    both = np.concatenate(kept, axis=1)
    left, right = both[:, np.lexsort((both[1], both[0]))]
    return Pairs(members, left, right)


def all_pairs(members: Examples) -> Pairs:
    """Each example with each later one."""
    left, right = np.triu_indices(len(members), k=1)
    return Pairs(members, left, right)


def _blocks(code: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The positions of whole identities (N,) in random order, in parts of about BLOCK; a part has two identities."""
    people = rng.permutation(int(code.max()) + 1)
    rank = np.empty_like(people)
    rank[people] = np.arange(len(people))
    order = np.argsort(rank[code], kind="stable")
    sizes = np.bincount(code)[people]
    blocks, start, at, held = list[np.ndarray](), 0, 0, 0
    for size in sizes:
        at, held = at + int(size), held + 1
        if at - start >= BLOCK and held >= 2:
            blocks.append(order[start:at])
            start, held = at, 0
    rest = order[start:]
    if len(rest) and held < 2 and blocks:
        blocks[-1] = np.concatenate([blocks[-1], rest])
    elif len(rest):
        blocks.append(rest)
    return blocks


def beside_each_other(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Two pictures (H, W) or (H, W, 3) uint8 as one, the lower one on a dark ground; in colour if one has colour."""
    is_colour = any(one.ndim == 3 for one in pictures)
    height = max(one.shape[0] for one in pictures)
    whole = np.zeros((height, sum(one.shape[1] for one in pictures), *((3,) if is_colour else ())), np.uint8)
    at = 0
    for one in pictures:
        whole[: one.shape[0], at : at + one.shape[1]] = one[..., None] if is_colour and one.ndim == 2 else one
        at += one.shape[1]
    return whole
