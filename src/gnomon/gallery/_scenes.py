"""Rendered scenes for the claims about detection: squares and discs on noise, apart or partly over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gnomon.core.seeds import generator
from gnomon.metrics.detection import voc
from gnomon.metrics.matching import match_as_voc, predictions, truths

SQUARE, DISC, NOTHING = 0, 1, -1
COLOURS = np.array([[60, 150, 230], [220, 120, 60]])  # of a square, of a disc; each object's own is near it
SPREAD = 25  # of those colours
NOISE = 60  # the background is below it
TRIES = 40  # to place an object


@dataclass(frozen=True)
class Scenes:
    """N pictures with up to M objects each."""

    pictures: Tensor  # (N, 3, side, side) uint8
    boxes: Tensor  # (N, M, 4) float32: left, top, right, bottom in pixels
    kinds: Tensor  # (N, M): SQUARE, DISC, or NOTHING where there is none

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, rows: Tensor | slice) -> Self:
        return type(self)(self.pictures[rows], self.boxes[rows], self.kinds[rows])


def scenes(
    count: int, seed: int, *, side: int = 64, most: int = 3, sizes: tuple[int, int] = (12, 24), crowding: float = 0.0
) -> Scenes:
    """`count` pictures of 1 to `most` objects of `sizes` (pixels, both ends).

    `crowding`: the IoU that two objects' boxes may have. Above 0, each object after the first is put near one that is
    there; the one that comes later is in front.
    """
    rng = generator(seed, "scenes", side, most, round(1000 * crowding))
    pictures = rng.integers(0, NOISE, (count, side, side, 3)).astype(np.uint8)
    boxes, kinds = np.zeros((count, most, 4), np.float32), np.full((count, most), NOTHING)
    for i in range(count):
        placed: list[tuple[int, ...]] = []
        for _ in range(int(rng.integers(1, most + 1))):
            found = _place(rng, placed, side, sizes, crowding)
            if found is None:
                continue
            kind = int(rng.integers(2))
            boxes[i, len(placed)], kinds[i, len(placed)] = found, kind
            colour = np.clip(COLOURS[kind] + rng.integers(-SPREAD, SPREAD + 1, 3), 0, 255)
            pictures[i][_inside(found, kind, side)] = colour
            placed.append(found)
    return Scenes(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(boxes),
                  torch.from_numpy(kinds))  # fmt: skip


def average_precision(scenes: Scenes, boxes: Tensor, scores: Tensor, kinds: Tensor, *, threshold: float = 0.5) -> float:
    """Mean AP at an IoU, as Pascal VOC 2010 defines it: of detections (N, K, 4), (N, K) and kinds (N, K), -1: none."""
    picture, place = (scenes.kinds >= 0).nonzero(as_tuple=True)
    wanted = truths(picture.numpy(), scenes.kinds[picture, place].numpy(), scenes.boxes[picture, place].numpy())
    picture, place = (kinds >= 0).nonzero(as_tuple=True)
    given = predictions(
        picture.numpy(), kinds[picture, place].numpy(), boxes[picture, place].numpy(), scores[picture, place].numpy()
    )
    matches = match_as_voc(wanted, given, num_pictures=len(scenes), num_classes=len(COLOURS), threshold=threshold)
    return float(voc(matches, np.ones((1, len(scenes))))[0])


def _place(
    rng: np.random.Generator, placed: list[tuple[int, ...]], side: int, sizes: tuple[int, int], crowding: float
) -> tuple[int, ...] | None:
    """A box that no other one overlaps by more than `crowding`; None if none is found."""
    for _ in range(TRIES):
        size = int(rng.integers(sizes[0], sizes[1] + 1))
        if placed and crowding > 0:
            left, top, right, bottom = placed[int(rng.integers(len(placed)))]
            reach = (right - left + size) // 2
            x = (left + right - size) // 2 + int(rng.integers(-reach, reach + 1))
            y = (top + bottom - size) // 2 + int(rng.integers(-reach, reach + 1))
        else:
            x, y = (int(value) for value in rng.integers(0, side - size + 1, 2))
        box = (x, y, x + size, y + size)
        if min(x, y) >= 0 and max(box) <= side and all(_iou(box, other) <= crowding for other in placed):
            return box
    return None


def _inside(box: tuple[int, ...], kind: int, side: int) -> np.ndarray:
    """(side, side) bool: the pixels of the object."""
    left, top, right, bottom = box
    y, x = np.mgrid[:side, :side] + 0.5
    if kind == DISC:
        return np.hypot(x - (left + right) / 2, y - (top + bottom) / 2) < (right - left) / 2
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)


FIELD = 304  # pixels per side of the pictures that `crowd` draws boxes for: 19 cells of 16
CROWD = {  # for each kind of cell in a picture of blood: fewest and most, side in pixels and its deviation
    "red": (8, 20, 50.0, 5.0),
    "white": (0, 2, 92.0, 10.0),
    "platelet": (0, 4, 20.0, 3.0),
}
ASPECT = 0.08  # deviation of the logarithm of width over height
MOST_SHARED = 0.3  # IoU of two cells


def crowd(count: int, seed: int) -> list[Tensor]:
    """Boxes (M, 4) for each of `count` pictures of FIELD pixels: sizes and numbers of cells in a picture of blood.

    They lie anywhere, so that those at the border are cut off.
    """
    rng = generator(seed, "crowd")
    found = []
    for _ in range(count):
        placed: list[tuple[float, ...]] = []
        for fewest, most, side, spread in CROWD.values():
            for _ in range(int(rng.integers(fewest, most + 1))):
                size, aspect = max(8.0, rng.normal(side, spread)), np.exp(rng.normal(0, ASPECT) / 2)
                x, y = rng.uniform(0, FIELD, 2)
                width, height = size * aspect, size / aspect
                box = tuple(np.clip([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 0, FIELD).tolist())
                if all(_iou(box, other) <= MOST_SHARED for other in placed):
                    placed.append(box)
        found.append(torch.tensor(placed, dtype=torch.float64).reshape(-1, 4))
    return found
