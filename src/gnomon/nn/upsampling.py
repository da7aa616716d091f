"""Maps made larger: what the second half of a segmenting net is built from."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["transposed", "resized"]


@final
class Doubled(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, *size), about twice as many places down and across.

    "transposed": a transposed convolution 2x2 of stride 2, in which every place gives four. "resized": every place is
    repeated, then a convolution 3x3 smooths over the seams. Sources: Ronneberger et al. 2015 (up-convolution), Odena
    et al. 2016 (resize-convolution).
    """

    def __init__(self, num_inputs: int, num_outputs: int, how: Upsampling) -> None:
        super().__init__()
        self.how = how
        self.conv = (
            nn.ConvTranspose2d(num_inputs, num_outputs, 2, stride=2)
            if how == "transposed"
            else nn.Conv2d(num_inputs, num_outputs, 3, padding=1)
        )

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        if self.how == "transposed":
            larger: Tensor = self.conv(x)
            return larger if larger.shape[2:] == size else functional.interpolate(larger, tuple(size), mode="nearest")
        smoothed: Tensor = self.conv(functional.interpolate(x, tuple(size), mode="nearest"))
        return smoothed


def mirrored(x: Tensor, before: tuple[int, int], after: tuple[int, int]) -> Tensor:
    """(B, C, H, W) with `before` (rows, columns) more at the top and left and `after` at the bottom and right.

    They show the picture mirrored in its border, as often as it takes; a picture one pixel wide is repeated.
    Source: Ronneberger et al. 2015, section 3 (figure 2).
    """
    rest = [before[1], after[1], before[0], after[0]]  # left, right, top, bottom
    while any(rest):
        most = [x.shape[3] - 1] * 2 + [x.shape[2] - 1] * 2
        if any(one and not room for one, room in zip(rest, most, strict=True)):
            return functional.pad(x, rest, mode="replicate")
        step = [min(one, room) for one, room in zip(rest, most, strict=True)]
        x = functional.pad(x, step, mode="reflect")
        rest = [one - done for one, done in zip(rest, step, strict=True)]
    return x
