"""Outlines as pixels and pixels as outlines: polygons, run lengths and their packed text, (H, W) bool masks.

A pixel belongs to a polygon if its centre lies inside, so polygons on pixel corners and pixels are the same thing.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy import ndimage

from gnomon.data.annotations.model import Box, Outline, Polygons, Runs

_BITS = 5  # of each character of packed run lengths
_MORE = 1 << _BITS
_FIRST = 48  # "0": the character for 0


def mask_of(outline: Outline, height: int, width: int) -> np.ndarray:
    """(height, width) bool: the pixels inside."""
    if isinstance(outline, Runs):
        values = np.arange(len(outline.counts)) % 2 == 1
        return np.repeat(values, outline.counts).reshape(outline.width, outline.height).T
    found = np.zeros((height, width), bool)
    for number, part in enumerate(outline.parts):
        inside = _filled(part, height, width)
        for hole in outline.holes[number] if outline.holes else ():
            inside &= ~_filled(hole, height, width)
        found |= inside
    return found


def _filled(ring: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels whose centre a closed line (K, 2) goes round an odd number of times."""
    start, end = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.ceil(low - 0.5).clip(0, height).astype(np.int64)  # the first row whose centre the side reaches
    last = np.ceil(high - 0.5).clip(0, height).astype(np.int64)  # one beyond the last
    count = last - first
    side = np.repeat(np.arange(len(ring)), count)
    row = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count) + first[side]
    share = (row + 0.5 - start[side, 1]) / (end[side, 1] - start[side, 1])
    x = start[side, 0] + share * (end[side, 0] - start[side, 0])
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)  # pixels from here on are right of the side
    crossed = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    inside: np.ndarray = crossed.cumsum(1)[:, :width] % 2 == 1
    return inside


def runs_of(mask: np.ndarray) -> Runs:
    """The run lengths of an (H, W) bool mask."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0] if flat[:1].any() else [], changes, [len(flat)]])
    counts = np.diff(np.concatenate([[0], edges])).astype(np.int64)
    return Runs(mask.shape[0], mask.shape[1], counts)


def packed(counts: np.ndarray) -> str:
    """Run lengths as COCO packs them: from the fourth on less the one two before, five bits a character."""
    characters = []
    numbers = counts.tolist()
    for place, number in enumerate(numbers):
        rest = number - numbers[place - 2] if place > 2 else number
        while True:
            bits, rest = rest & (_MORE - 1), rest >> _BITS
            is_last = rest == (-1 if bits & (_MORE >> 1) else 0)
            characters.append(chr(_FIRST + bits + (0 if is_last else _MORE)))
            if is_last:
                break
    return "".join(characters)


def unpacked(text: str) -> np.ndarray | None:
    """The run lengths that a text packs; None if it packs none."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - _FIRST
        if not 0 <= bits < 2 * _MORE or shift > 12 * _BITS:
            return None
        value |= (bits & (_MORE - 1)) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & (_MORE >> 1):
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return np.array(counts, np.int64) if shift == 0 and counts and min(counts) >= 0 else None


def polygons_of(mask: np.ndarray) -> Polygons:
    """The outlines of an (H, W) bool mask on pixel corners: one part for each connected region, with its holes."""
    regions, count = ndimage.label(mask)
    after = _sides(mask)
    parts: list[np.ndarray | None] = [None] * count
    holes: list[list[np.ndarray]] = [[] for _ in range(count)]
    while after:
        start = next(iter(after))
        pixel = after[start][0][1]
        ring = _corners(_followed(after, start))
        region = int(regions[pixel]) - 1
        if area_of_ring(ring) > 0:  # clockwise as one sees it: the outside
            parts[region] = ring
        else:
            holes[region].append(ring)
    found = tuple(part for part in parts if part is not None)
    return Polygons(found, tuple(map(tuple, holes)) if any(holes) else ())


_Corner = tuple[int, int]  # x, y


def _sides(mask: np.ndarray) -> dict[_Corner, list[tuple[_Corner, _Corner]]]:
    """{corner: (next corner, (row, column) of the pixel to the right)} along all edges of the mask."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    found: dict[_Corner, list[tuple[_Corner, _Corner]]] = defaultdict(list)
    for (dx, dy), begin, end in (
        ((0, -1), (0, 0), (1, 0)), ((1, 0), (1, 0), (1, 1)), ((0, 1), (1, 1), (0, 1)), ((-1, 0), (0, 1), (0, 0)),
    ):  # fmt: skip
        beside = padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for row, column in np.argwhere(inside & ~beside).tolist():
            step = (column + end[0], row + end[1])
            found[column + begin[0], row + begin[1]].append((step, (row, column)))
    return found


def _followed(after: dict[_Corner, list[tuple[_Corner, _Corner]]], start: _Corner) -> list[_Corner]:
    """One closed line, taken out of `after`. Where two meet in a corner it stays at its own pixel: it turns right."""
    ring, corner, came = [start], start, (0, 0)
    while True:
        ways = after[corner]
        x, y = corner
        right = (x - came[1], y + came[0])
        chosen = next((way for way in ways if way[0] == right), ways[0])
        ways.remove(chosen)
        if not ways:
            del after[corner]
        following = chosen[0]
        came, corner = (following[0] - x, following[1] - y), following
        if corner == start:
            return ring
        ring.append(corner)


def _corners(ring: list[_Corner]) -> np.ndarray:
    """Without the points on straight stretches."""
    points = np.array(ring, np.float64)
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    return points[(before != after).any(1)]


def area_of_ring(ring: np.ndarray) -> float:
    """Positive where it goes clockwise as one sees it, y pointing down."""
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def box_of(outline: Outline) -> Box:
    """The tight box around it; all zeros around nothing."""
    if isinstance(outline, Polygons):
        points = np.concatenate(outline.parts)
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        return left, top, right, bottom
    mask = mask_of(outline, outline.height, outline.width)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
