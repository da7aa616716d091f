"""A small net that finds faces in photographs: boxes from a grid, by five usual sizes at each of its places."""

from __future__ import annotations

import itertools
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Naming, Weights
from gnomon.nn.boxes import nms

CHANNELS = (16, 32, 64, 128, 256, 512)  # of the first convolution, and of the five pairs after it
SIDE = 416  # pixels of the square that a photograph is fitted into
STRIDE = 32  # pixels of it from one place of the grid to the next
SIZES = ((1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857), (9.041765, 10.66308))
MEAN = (117.001, 114.697, 97.404)  # of red, green, blue
SURE, OVERLAP = 0.5, 0.4  # a face from this score on; two boxes that share more than this IoU are one face
SLOPE = 0.10000000149011612  # of the leaky ReLU
WEIGHTS = Weights(
    "face finder", "@vladmandic/face-api@1.7.15", "@vladmandic/face-api",
    "model/tiny_face_detector_model-weights_manifest.json", "MIT", "photographs with faces", MEAN, (255.0,) * 3, SIDE,
    variable="GNOMON_FACE_API", sha256="b904a79965e543aa19afb143ed0d2cc4925b66a4e9428a8a4d774205a6c51cea",
)  # fmt: skip
NAMING = Naming(
    "face-api",
    (
        (r"^conv8/", "last/"), (r"^conv0/", "first/"), (r"^conv(\d)/depthwise_filter$", r"pairs.\1.0.weight"),
        (r"^conv(\d)/pointwise_filter$", r"pairs.\1.1.weight"), (r"^conv(\d)/bias$", r"pairs.\1.1.bias"),
        (r"/filters$", ".weight"), (r"/bias$", ".bias"),
    ),
)  # fmt: skip


@final
class FaceFinder(nn.Module):
    """(B, 3, H, W) colour pictures, 0 to 255 -> (B, 25, H / 32, W / 32), sides a multiple of 32 from 64 on.

    Of each usual size: x, y, width, height and score before they become a box. Source: Redmon & Farhadi 2017, figure 2
    and section 2 (direct location prediction), with depthwise convolutions; @vladmandic/face-api 1.7.15.
    """

    mean: Tensor  # (3, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1), persistent=False)
        self.first = nn.Conv2d(3, CHANNELS[0], 3)
        self.pairs = nn.ModuleDict({
            str(number): nn.Sequential(
                nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False), nn.Conv2d(before, after, 1)
            )
            for number, (before, after) in enumerate(itertools.pairwise(CHANNELS), start=1)
        })  # fmt: skip
        self.last = nn.Conv2d(CHANNELS[-1], 5 * len(SIZES), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        x = functional.leaky_relu(self.first((pictures.float() - self.mean) / 255), SLOPE)
        for number, pair in enumerate(self.pairs.values(), start=1):
            x = functional.max_pool2d(x, 2, ceil_mode=True)
            x = functional.leaky_relu(pair(x), SLOPE)
            if number == len(self.pairs):
                edge = functional.pad(x, (0, 1, 0, 1), value=-torch.inf)
                x = functional.max_pool2d(edge, 2, 1)
        found: Tensor = self.last(x)
        return found


def boxes_of(grid: Tensor) -> tuple[Tensor, Tensor]:
    """Faces in a picture's grid (25, h, w): boxes (N, 4) in pixels of what the net saw; scores (N,), best first."""
    height, width = grid.shape[-2:]
    numbers = grid.view(len(SIZES), 5, height, width).permute(2, 3, 0, 1)  # (h, w, sizes, 5)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    corner = torch.stack([columns, rows], dim=-1)[:, :, None]
    centre = (corner + numbers[..., :2].sigmoid()) * STRIDE
    half = numbers[..., 2:4].exp() * torch.tensor(SIZES) * (STRIDE / 2)
    boxes = torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4)
    scores = numbers[..., 4].sigmoid().reshape(-1)
    is_face = scores > SURE
    boxes, scores = boxes[is_face], scores[is_face]
    kept = nms(boxes, scores, threshold=OVERLAP)
    return boxes[kept], scores[kept]
