"""How often words stand near each other, counted in bounded memory: what GloVe learns from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnomon.data.room import empty

MOST_PAIRS = 1 << 24  # in memory, of 16 bytes each: beyond, sorted parts go to the disk and are merged
PART = 1 << 18  # words of the text, and pairs of a part on the disk, at a time


@dataclass(frozen=True)
class Pairs:
    """Every pair of words that was seen, once in each order."""

    own: np.ndarray  # (P,) int32
    other: np.ndarray  # (P,) int32
    seen: np.ndarray  # (P,) float32: a word d places away adds 1/d. Source: Pennington et al. 2014, section 4.2


_PAIR = np.dtype([("key", np.int64), ("seen", np.float64)])  # key: own * V + other


def count_pairs(ids: np.ndarray, lines: np.ndarray, num_words: int, window: int) -> Pairs:
    """Pairs at most `window` words apart in a line, in the order of their words; ids from `num_words` on are skipped.

    Rare words are taken out first, so that the words beside them are neighbours. What does not fit into memory is
    in an unnamed file where temporary files go, which ends with the process. Raises MachineError for a full disk.
    """
    counted, parts = np.empty(0, _PAIR), list[np.ndarray]()
    for keys, seen in _pieces(ids, lines, num_words, window):
        counted = _summed(np.append(counted["key"], keys), np.append(counted["seen"], seen))
        if len(counted) > MOST_PAIRS:
            parts.append(_on_disk(counted))
            counted = counted[:0]
    if not parts:
        return _as_pairs(counted, num_words)
    total = sum(map(len, parts)) + len(counted)
    room = _room(total, np.dtype([("own", np.int32), ("other", np.int32), ("seen", np.float32)]))
    filled = 0
    for piece in _merged([*parts, counted]):
        found = _as_pairs(piece, num_words)
        rows = room[filled : filled + len(piece)]
        rows["own"], rows["other"], rows["seen"] = found.own, found.other, found.seen
        filled += len(piece)
    return Pairs(room["own"][:filled], room["other"][:filled], room["seen"][:filled])


def _pieces(ids: np.ndarray, lines: np.ndarray, num_words: int, window: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Keys and 1/d of the pairs of some lines at a time, in both orders."""
    first = 0
    while first < len(lines) - 1:
        last = max(first + 1, int(np.searchsorted(lines, lines[first] + PART, side="right")) - 1)
        words = ids[lines[first] : lines[last]].astype(np.int64)
        line = np.repeat(np.arange(last - first), np.diff(lines[first : last + 1]))
        words, line = words[words < num_words], line[words < num_words]
        keys, seen = list[np.ndarray](), list[np.ndarray]()
        for far in range(1, window + 1):
            together = line[:-far] == line[far:]
            one, other = words[:-far][together], words[far:][together]
            keys += [one * num_words + other, other * num_words + one]
            seen += [np.full(2 * len(one), 1 / far)]
        yield np.concatenate(keys), np.concatenate(seen)
        first = last


def _summed(keys: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """One row per key, in their order. float64: a sum of many small numbers drifts in float32."""
    order = np.argsort(keys, kind="stable")
    keys, seen = keys[order], seen[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    found = np.empty(len(starts), _PAIR)
    found["key"] = keys[starts]
    found["seen"] = np.add.reduceat(seen, starts) if len(starts) else 0
    return found


def _as_pairs(counted: np.ndarray, num_words: int) -> Pairs:
    own, other = np.divmod(counted["key"], num_words)
    return Pairs(own.astype(np.int32), other.astype(np.int32), counted["seen"].astype(np.float32))


def _on_disk(counted: np.ndarray) -> np.ndarray:
    room = _room(len(counted), _PAIR)
    room[:] = counted
    return room


def _room(count: int, dtype: np.dtype) -> np.ndarray:
    """(count,) in a file without a name. Raises MachineError."""
    import torch

    size, folder = count * dtype.itemsize, Path(tempfile.gettempdir())
    held: np.ndarray = empty((size,), torch.uint8, folder, what="counted pairs", otherwise="lower window").numpy()
    return held.view(dtype)


def _merged(parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Sorted parts as one, a piece at a time: what lies below the smallest of the parts' next ends is complete."""
    places = [0] * len(parts)
    while any(place < len(part) for place, part in zip(places, parts, strict=True)):
        ends = [
            part["key"][min(place + PART, len(part)) - 1]
            for place, part in zip(places, parts, strict=True) if place < len(part)
        ]  # fmt: skip
        limit, taken = min(ends), list[np.ndarray]()
        for number, part in enumerate(parts):
            stop = int(np.searchsorted(part["key"][places[number] : places[number] + PART], limit, side="right"))
            taken.append(part[places[number] : places[number] + stop])
            places[number] += stop
        yield _summed(np.concatenate([one["key"] for one in taken]), np.concatenate([one["seen"] for one in taken]))
