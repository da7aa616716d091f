"""Four convolutions that end in a grid of cells, for the sample task that finds boxes."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from gnomon.core.family import Family, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS, Knob, Step
from gnomon.core.settings import OwnSettings, setting


@final
class GridSettings(OwnSettings):
    """Of the grid."""

    width: int = setting(
        32,
        "channels of each layer",
        Knob(
            ("fit-train",),
            steps=(Step("wider", "fit-train", lambda value, _: 2 * value, "it fits more", 0.1, cost=3.0),),
        ),
        ge=1,
    )


@final
class Grid(nn.Module):
    """(B, 1, H, W) bytes -> (B, num_outputs, H / 4, W / 4)."""

    def __init__(self, width: int, num_outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, num_outputs, 1),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        weight = next(self.parameters())
        return self.layers(pictures.to(weight.dtype) / 255)


def build(wanted: Wanted) -> nn.Module:
    return Grid(wanted.own.width, wanted.num_outputs or 1)


FAMILY = Family(
    names=("grid",),
    title="a grid of cells",
    source="Redmon et al. 2016, much reduced",
    takes=("picture",),
    build=build,
    gives=("map",),
    settings=GridSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
)
