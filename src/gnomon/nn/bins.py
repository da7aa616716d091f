"""Numbers of a table together with their place in the bins between their column's quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

# Of the bins beside the numbers: at 1 they drown them, and smooth functions suffer. Of many columns, bins are many more
# ways to memorise, and 0.1 is better than 0.3; of a few, the other way round (docs/log.md).
BIN_SCALE, OF_MANY = 0.3, 0.1
MANY_COLUMNS = 9  # with bins
OUTSIDE = 3.0  # bin widths that the first and the last bin reach beyond the training data
CLIP = 3.0  # standard deviations that a number is squashed into


@final
class QuantileBins(nn.Module):
    """(B, D) numbers -> (B, D + M): x / sqrt(1 + (x / 3)²), then for each bin how far x is through it.

    That share is 0 below the bin, 1 above it and linear inside, moved to [-0.5, 0.5] and scaled; the first and the
    last bin go on outside for a little. So a net can treat a column's low, middle and high values differently from
    its first step on, which a plain net learns late, and an outlier has no more weight than any other row.
    `edges` has for each column its rising edges in the unit of the numbers, or none for a column without bins.
    Source: Gorishniy et al. 2022, section 3.2 (piecewise linear encoding); the squashing: Holzmüller et al. 2024.
    """

    column: Tensor  # (M,) int64
    start: Tensor  # (M,)
    width: Tensor  # (M,)
    low: Tensor  # (M,) of the share
    high: Tensor  # (M,)

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        super().__init__()
        found = [(c, one[i], one[i + 1], i, len(one) - 2) for c, one in enumerate(edges) for i in range(len(one) - 1)]
        columns, starts, ends, places, lasts = zip(*found, strict=True) if found else ((), (), (), (), ())
        self.scale = OF_MANY if len(set(columns)) >= MANY_COLUMNS else BIN_SCALE
        start = torch.tensor(starts, dtype=torch.float32)
        buffers = {
            "column": torch.tensor(columns, dtype=torch.int64),
            "start": start,
            # edges closer than float32 can tell apart
            "width": (torch.tensor(ends, dtype=torch.float32) - start).clamp_min(torch.finfo(torch.float32).tiny),
            "low": torch.tensor([-OUTSIDE if place == 0 else 0.0 for place in places]),
            "high": torch.tensor(
                [1.0 + (OUTSIDE if place == last else 0.0) for place, last in zip(places, lasts, strict=True)]
            ),
        }
        for name, values in buffers.items():  # facts of the encoder, which saves them
            self.register_buffer(name, values, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        share = numbers.index_select(1, self.column).sub_(self.start).div_(self.width)
        share = torch.maximum(torch.minimum(share, self.high), self.low).sub_(0.5).mul_(self.scale)
        squashed = numbers / torch.hypot(numbers / CLIP, numbers.new_ones(()))  # squares of large numbers overflow
        return torch.cat([squashed, share], dim=1)

    def extra_repr(self) -> str:
        return f"bins={len(self.column)}"
