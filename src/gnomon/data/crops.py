"""Several views of each picture at test time: four corners and the centre, and their mirror images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gnomon.core.augmentation import KINDS

COUNTS = (1, 2, 5, 10)  # the picture; with its mirror image; five crops; and their mirror images
MIRRORED = (2, 10)
SHIFT = (
    KINDS["shift"].strength / 2
)  # of a side; the full way that training moves pictures can do harm (docs/test-time.md)


def cropped(images: Tensor, count: int) -> Iterator[Tensor]:
    """`count` (one of COUNTS) views of every picture, one after the other, each of the size of the picture.

    The crops are those of the picture with its border repeated SHIFT outwards: the centre is the picture itself, and a
    corner is the picture moved by SHIFT both ways. So nothing is enlarged, and objects keep the size they have in
    training. (B, C, H, W) of any dtype in and out.
    Source: Krizhevsky et al. 2012, section 4.1, who cut 224 of 256 pixels.
    """
    corners = ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
    for is_mirrored in (False, True) if count in MIRRORED else (False,):
        for down, across in corners if count >= 5 else corners[:1]:
            view = images if (down, across) == (0, 0) else _cut(images, down, across)
            yield view.flip(3) if is_mirrored else view


def _cut(images: Tensor, down: int, across: int) -> Tensor:
    """The crop in that corner of the padded picture, with channels last in memory, as pictures come from their store.

    Also of gray pictures, whose one channel could lie either way: the kernel is chosen by it, and the last digit.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) + down * reach(height)
    columns = torch.arange(width, device=images.device) + across * reach(width)
    stored = images.permute(0, 2, 3, 1)  # (B, H, W, C)
    found = stored.index_select(1, rows.clamp_(0, height - 1)).index_select(2, columns.clamp_(0, width - 1))
    return found.permute(0, 3, 1, 2)


def reach(side: int) -> int:
    """Pixels that a crop lies off the centre: 1 of 32, 2 of 64."""
    return max(1, round(SHIFT * side))
