"""Pictures too large for one pass: tiles that overlap so far that each pixel sees what it sees in the whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn

LEAST = 1024  # pixels per side of a tile: less of it is overlap
MARGINS = 4  # a tile is at least so many margins wide: half of it, or more, is new


@final
class Tiled(nn.Module):
    """(B, C, H, W) -> (B, K, H, W): the logits that `model` gives for the whole picture, tile by tile.

    `margin`: how many pixels away a pixel can see, `step`: the coarsest stride of the model; both make tiles begin
    where the layers of a whole picture would. What a net takes from the whole picture at once (squeeze and excitation)
    is taken from each tile.
    """

    def __init__(self, model: nn.Module, margin: int, step: int, side: int | None = None) -> None:
        super().__init__()
        self.model, self.step = model, step
        self.margin = -(-margin // step) * step
        self.side = -(-(side or max(LEAST, MARGINS * self.margin)) // step) * step
        if self.side <= 2 * self.margin:
            raise ValueError(f"tiles of {self.side} pixels are all margin.")

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[2:]
        if max(height, width) <= self.side:
            whole: Tensor = self.model(pictures)
            return whole
        found = torch.empty(0)
        for (top, rows), (left, columns) in itertools.product(self.spans(height), self.spans(width)):
            part = self.model(pictures[:, :, top.start : top.stop, left.start : left.stop])
            if not found.numel():
                found = part.new_empty((len(pictures), part.shape[1], height, width))
            inside = part[:, :, rows.start - top.start :, columns.start - left.start :]
            found[:, :, rows, columns] = inside[:, :, : rows.stop - rows.start, : columns.stop - columns.start]
        return found

    def spans(self, length: int) -> Iterator[tuple[slice, slice]]:
        """What each tile covers along one axis, and what of that is kept."""
        begin = 0
        while True:
            end = min(begin + self.side, length)
            kept = slice(begin + self.margin if begin else 0, end if end == length else end - self.margin)
            yield slice(begin, end), kept
            if end == length:
                return
            begin = kept.stop - self.margin
