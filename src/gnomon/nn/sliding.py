"""A net made for pictures of one size, run over larger ones in one pass: its dense layers turned into convolutions.

Windows of a larger picture that overlap share most of the work of a convnet's first layers. Run over the whole picture
at once, those layers do it once; a dense layer over a map of h x w places is a convolution of h x w, and dense layers
after it are convolutions 1x1. Source: Sermanet et al. 2014, section 3.5.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn

from gnomon.core.errors import UsageError

_ANYWHERE = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Identity)  # the same for vectors and for maps
_WHOLE_MAP = (nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_PADDINGS = (nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d)

Size = tuple[int, int]  # height and width


@final
class Sliding(nn.Module):
    """(B, C, H, W) -> (B, num_outputs, rows, columns): the net's answer for each window, in evaluation mode.

    The window in row i and column j has its top left corner at pixel (i stride[0], j stride[1]) and is of `size`.
    """

    def __init__(self, layers: Iterable[nn.Module], size: Size) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.size = size
        self.eval()
        self.stride = _stride(self.layers, size)

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        if height < self.size[0] or width < self.size[1]:
            raise UsageError(
                f"pictures of {height}x{width} pixels are smaller than the window of {self.size[0]}x{self.size[1]}.",
                fix="give larger pictures.",
            )
        answers: Tensor = self.layers(pictures)
        return answers


def sliding(net: nn.Module, size: Size, channels: int, *, exact: bool = True) -> Sliding:
    """A copy of `net`, which takes (B, channels, *size) and answers (B, num_outputs), that slides over larger pictures.

    With the same weights its answers are those for each window alone, up to rounding, if no layer looks beyond the
    border of a window: zeros around a window's map are pixels in the larger picture. Raises UsageError for a net that
    has such a layer, unless `exact` is False; and for one that is no stack of layers, or has no fixed map at its end.
    """
    net = copy.deepcopy(net).eval()
    layers = _in_order(net)
    if exact and (why := _what_differs(net, layers, size, channels)):
        raise UsageError(
            f"a window in a larger picture gets another answer than alone: {why}.",
            fix="use a net without padding (model=lenet5), or exact=False.",
        )
    body, head = _cut(layers)
    with torch.no_grad():
        shape = nn.Sequential(*body)(_zeros(net, size, channels)).shape[1:]  # (C, h, w)
    return Sliding([*body, *_converted(head, *shape)], size)


def _in_order(net: nn.Module) -> list[nn.Module]:
    """The layers of a plain stack or of a backbone with its head; stacks inside are opened."""
    if isinstance(net, nn.Sequential):
        return [layer for child in net for layer in _in_order(child)]
    if not hasattr(net, "maps"):
        if next(net.children(), None) is None or not _ends_in_vectors(net):
            return [net]  # one layer, or a block of several that keeps maps to be maps
        raise UsageError(f"{type(net).__name__} is no stack of layers.", fix="give an nn.Sequential, or a backbone.")
    backbone: Any = net  # gnomon.models: named children, in this order
    if backbone.head is None:
        raise UsageError("this backbone has no head.", fix="build it with num_outputs.")
    names = ["normalise", *(name for one in backbone.maps for name in one.layers), *backbone.then, "head"]
    return [layer for name in names for layer in _in_order(net.get_submodule(name))]


def _ends_in_vectors(module: nn.Module) -> bool:
    return any(isinstance(each, nn.Flatten | nn.Linear) for each in module.modules())


def _cut(layers: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """What ends in the last map, and what makes vectors of it."""
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.AdaptiveAvgPool2d | nn.Flatten):
            return layers[:i], layers[i:]
    raise UsageError("this net has no dense layers over a map.", fix="it slides over larger pictures as it is.")


def _converted(head: list[nn.Module], channels: int, height: int, width: int) -> Iterable[nn.Module]:
    """The same layers over every window of (height, width) of a larger map."""
    for layer in head:
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            yield _pool(layer, height, width)
            size = layer.output_size
            height, width = size if isinstance(size, tuple) else (size, size)  # type: ignore[assignment]
        elif isinstance(layer, nn.Flatten):
            continue
        elif isinstance(layer, nn.Linear):
            yield _convolution(layer, channels, height, width)
            channels, height, width = layer.out_features, 1, 1
        elif isinstance(layer, nn.BatchNorm1d):
            norm = nn.BatchNorm2d(layer.num_features, eps=layer.eps, affine=layer.affine)
            norm.load_state_dict(layer.state_dict())
            yield norm
        elif isinstance(layer, _ANYWHERE):
            yield layer
        else:
            raise UsageError(
                f"{type(layer).__name__} among dense layers cannot be turned into a convolution.",
                fix="use batch norm or no norm there.",
            )


def _convolution(dense: nn.Linear, channels: int, height: int, width: int) -> nn.Conv2d:
    """W (K, C h w) -> (K, C, h, w): `Flatten` puts the columns of a row beside each other, then rows, then channels."""
    conv = nn.Conv2d(channels, dense.out_features, (height, width), bias=dense.bias is not None)
    conv.to(dense.weight.device, dense.weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(dense.weight.view_as(conv.weight))
        if conv.bias is not None:
            conv.bias.copy_(dense.bias)
    return conv


def _pool(pool: nn.AdaptiveAvgPool2d, height: int, width: int) -> nn.Module:
    size = pool.output_size
    wanted = size if isinstance(size, tuple) else (size, size)
    if wanted == (height, width):
        return nn.Identity()
    if wanted == (1, 1):
        return nn.AvgPool2d((height, width), stride=1)
    raise UsageError(
        f"a pool from {height}x{width} to {wanted[0]}x{wanted[1]} places cannot slide.",
        fix=f"train the net on pictures that leave {wanted[0]}x{wanted[1]} places, or 1 place.",
    )


def _what_differs(net: nn.Module, layers: list[nn.Module], size: Size, channels: int) -> str:
    """The first layer whose answer at a window's border depends on what lies outside, or "" if there is none."""
    ends = {id(layer) for layer in _cut(layers)[1]}
    found: list[str] = []

    def look(module: nn.Module, inputs: tuple[Any, ...], _output: Any) -> None:
        kind = type(module).__name__
        if isinstance(module, _PADDINGS) or (isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
                                             and module.padding not in (0, (0, 0), "valid")):  # fmt: skip
            found.append(f"{kind} pads the border")
        elif isinstance(module, _POOLS) and module.ceil_mode and _has_rest(module, inputs[0].shape[-2:]):
            found.append(f"{kind} has a smaller last pool")
        elif isinstance(module, _WHOLE_MAP) and id(module) not in ends:
            found.append(f"{kind} is over the whole picture")

    handles = [module.register_forward_hook(look) for module in net.modules()]
    try:
        with torch.no_grad():
            net(_zeros(net, size, channels))
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


def _has_rest(pool: nn.MaxPool2d | nn.AvgPool2d, sides: Iterable[int]) -> bool:
    kernels, strides = ((each, each) if isinstance(each, int) else each for each in (pool.kernel_size, pool.stride))
    return any((side - kernel) % stride for side, kernel, stride in zip(sides, kernels, strides, strict=True))


def _zeros(net: nn.Module, size: Size, channels: int) -> Tensor:
    weight = next(net.parameters())
    return torch.zeros(1, channels, *size, device=weight.device, dtype=weight.dtype)


def _stride(layers: nn.Sequential, size: Size) -> Size:
    """Pixels from one window to the next: how much larger a picture with a third window is than one with two."""
    on_paper = copy.deepcopy(layers).to("meta")  # shapes without arithmetic
    channels = next(layer.in_channels for layer in layers.modules() if isinstance(layer, nn.Conv2d))

    def windows(axis: int, side: int) -> int:
        height, width = (side, size[1]) if axis == 0 else (size[0], side)
        with torch.no_grad():
            return int(on_paper(torch.empty(1, channels, height, width, device="meta")).shape[2 + axis])

    def least(axis: int, count: int) -> int:
        """The smallest side with so many windows."""
        low, high = size[axis], 2 * size[axis]
        while windows(axis, high) < count:
            high *= 2
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if windows(axis, middle) >= count else (middle + 1, high)
        return low

    return least(0, 3) - least(0, 2), least(1, 3) - least(1, 2)
