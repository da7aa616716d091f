"""U-Net: a net that sees ever more of the picture, then goes back to its pixels and meets its own finer maps."""

from __future__ import annotations

import itertools
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.family import Family, PictureInputs, Wanted
from gnomon.core.knobs import DRAWN_WEIGHTS, DROPOUT, HIDDEN_LAYERS
from gnomon.core.settings import OwnSettings, setting
from gnomon.models import _defaults, _fields
from gnomon.nn.blocks import Normalisation, conv_block, one_each
from gnomon.nn.normalise import Normalise
from gnomon.nn.upsampling import Doubled, Upsampling, mirrored

CHANNELS = (64, 128, 256, 512, 1024)  # of each level. Ronneberger et al. 2015, figure 1
QUARTER = 0.25  # of those channels, by default: a sixteenth of the work; the whole costs 1.15 TFLOP for 512x512 pixels
LOST = 4  # pixels per side that two unpadded convolutions 3x3 leave out
Padding = Literal["same", "valid"]


@final
class UNet(nn.Module):
    """(B, C, H, W) pictures of any size -> (B, num_outputs, H, W): logits of each pixel.

    Each level has two convolutions 3x3; between levels a max pool on the way down, an up-convolution on the way up,
    where the map of the way down is put beside it. Where convolutions are not padded ("valid"), as published, the
    picture is first mirrored in its border, so that the answer has its size, and maps of the way down are cropped;
    "same" pads them with zeros, and the picture up to a multiple of the coarsest stride.
    Source: Ronneberger et al. 2015, figure 1 and section 2.
    """

    def __init__(
        self, inputs: PictureInputs, num_outputs: int, channels: tuple[int, ...], *, padding: Padding,
        upsampling: Upsampling, normalisation: Normalisation, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.padding, self.coarsest = padding, 2 ** (len(channels) - 1)  # pixels
        self.normalise = Normalise(inputs.mean, inputs.std)
        options: Any = {"padding": padding, "normalisation": normalisation}
        self.down = nn.ModuleList(
            _two(before, after, **options)
            for before, after in zip((inputs.channels, *channels[:-1]), channels, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        upwards = channels[::-1]
        self.up = nn.ModuleList(Doubled(below, own, upsampling) for below, own in itertools.pairwise(upwards))
        self.after = nn.ModuleList(_two(2 * own, own, **options) for own in upwards[1:])
        self.head = nn.Conv2d(channels[0], num_outputs, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[2:]
        x = self._padded(self.normalise(pictures))
        kept: list[Tensor] = []
        for level, convolutions in enumerate(self.down):
            x = convolutions(self.pool(x) if level else x)
            kept.append(x)
        x = self.dropout(kept.pop())
        for doubled, convolutions in zip(self.up, self.after, strict=True):
            beside = kept.pop()
            larger = doubled(x, torch.Size((2 * x.shape[2], 2 * x.shape[3])))
            x = convolutions(torch.cat([_middle(beside, larger), larger], dim=1))
        logits: Tensor = self.head(x)
        return logits[:, :, :height, :width]

    def _padded(self, x: Tensor) -> Tensor:
        """What the way down takes: sides that halve evenly at each level."""
        height, width = x.shape[2:]
        if self.padding == "same":
            return functional.pad(x, (0, -width % self.coarsest, 0, -height % self.coarsest), mode="replicate")
        margin = self.margin
        more = tuple((LOST - side) % self.coarsest for side in (height, width))
        return mirrored(x, (margin, margin), (margin + more[0], margin + more[1]))

    @property
    def margin(self) -> int:
        """Pixels on each side that unpadded convolutions leave out: 92 for five levels."""
        return LOST // 2 * (2 * (self.coarsest - 1) + self.coarsest)


def _two(num_inputs: int, num_filters: int, *, padding: Padding, normalisation: Normalisation) -> nn.Sequential:
    """Two convolutions 3x3, each with norm and ReLU."""
    options: Any = {"size": 3, "padding": int(padding == "same"), "pool": 1, "activation_name": "relu"}
    return nn.Sequential(
        conv_block(num_inputs, num_filters, normalisation=normalisation, **options),
        conv_block(num_filters, num_filters, normalisation=normalisation, **options),
    )


def _middle(x: Tensor, like: Tensor) -> Tensor:
    """The centre of a map, as large as the other one."""
    rows, columns = like.shape[2:]
    top, left = (x.shape[2] - rows) // 2, (x.shape[3] - columns) // 2
    return x[:, :, top : top + rows, left : left + columns]


@final
class UNetSettings(OwnSettings):
    """Of the U-Net."""

    width: float = _fields.width(QUARTER)
    padding: Padding = setting(
        "same", "same pads every convolution with zeros; valid, as published, mirrors the picture in its border instead"
    )
    upsampling: Upsampling = setting(
        "transposed", "how maps are made larger: a transposed convolution, or resized, then a convolution"
    )
    normalisation: Normalisation = setting("batch", "normalisation before the activation; none, as published")


def build(wanted: Wanted) -> nn.Module:
    own, num_outputs = wanted.own, wanted.num_outputs
    assert num_outputs is not None  # it gives pixels, no features
    channels = tuple(max(1, round(own.width * one)) for one in CHANNELS)
    return UNet(
        wanted.inputs,
        num_outputs,
        channels,
        padding=own.padding,
        upsampling=own.upsampling,
        normalisation=own.normalisation,
        dropout=one_each(wanted.dropout, 1)[0],
    )


def defaults(_name: str, inputs: PictureInputs, num_train: int) -> dict[str, Any]:
    return _defaults.segmentation_recipe(inputs, num_train)


FAMILY = Family(
    names=("unet",),
    title="U-Net, a quarter of the published width",
    source="Ronneberger et al. 2015",
    takes=("picture",),
    build=build,
    settings=UNetSettings,
    abilities=lambda _name, _own: frozenset({DRAWN_WEIGHTS, HIDDEN_LAYERS, DROPOUT}),
    defaults=defaults,
    gives=("pixels",),
)
