"""Pictures to vectors of length 1, for the sample task that tells people apart."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, HIDDEN_LAYERS, Knob, Step
from gnomon.core.settings import OwnSettings, setting


class Embedder(nn.Module):
    """Pictures to unit vectors, and unit vectors to identities by cosine."""

    def __init__(self, side: int, width: int, num_identities: int) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.project = nn.Linear(32 * (side // 4) ** 2, width)
        self.people = nn.Linear(width, num_identities, bias=False)

    def embed(self, pictures: Tensor) -> Tensor:
        """(B, H, W) uint8 -> (B, width) of length 1."""
        scaled = pictures[:, None].to(self.project.weight.dtype) / 127.5 - 1
        return functional.normalize(self.project(self.stages(scaled)), dim=1)

    def forward(self, pictures: Tensor) -> Tensor:
        return 10 * functional.linear(self.embed(pictures), functional.normalize(self.people.weight, dim=1))


@final
class EmbedderSettings(OwnSettings):
    """Of the embedder."""

    width: int = setting(
        32,
        "numbers in an embedding",
        Knob(
            ("fit-train",),
            steps=(Step("wider", "fit-train", lambda value, _: 2 * value, "it fits more", 0.1, cost=3.0),),
        ),
        ge=1,
    )


def build(wanted: Wanted) -> nn.Module:
    return Embedder(wanted.inputs.height, wanted.own.width, wanted.num_outputs or 1)


FAMILY = Family(
    names=("embedder",),
    title="an embedder of pictures",
    source="Taigman et al. 2014, much reduced",
    takes=("picture",),
    build=build,
    gives=("embedding",),
    settings=EmbedderSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS}),
)
