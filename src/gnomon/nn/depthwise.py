"""Blocks of depthwise convolutions, one filter a channel: what MobileNets and EfficientNets are built from."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn
from torch.nn import functional

Padding = Literal["symmetric", "same"]
ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU}
Rectifier = Literal["relu", "relu6", "silu", "none"]


@final
class ConvNorm(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / stride, W / stride), rounded up: convolution, norm, activation.

    `padding`: "symmetric" has as many zeros on each side; "same" has what TensorFlow calls so: no more than needed, the
    odd one at the right and at the bottom. They differ where the stride is 2.
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, *, size: int = 1, stride: int = 1, groups: int = 1,
        activation: Rectifier = "relu", padding: Padding = "symmetric", epsilon: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pads_here = padding == "same" and stride > 1
        width = 0 if self.pads_here else size // 2
        self.conv = nn.Conv2d(num_inputs, num_outputs, size, stride, padding=width, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(num_outputs, eps=epsilon)
        self.activation = nn.Identity() if activation == "none" else ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        if self.pads_here:
            size, stride = self.conv.kernel_size[0], self.conv.stride[0]
            x = functional.pad(x, (*_same(x.shape[3], size, stride), *_same(x.shape[2], size, stride)))
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result


@final
class SqueezeExcitation(nn.Module):
    """(B, C, H, W) -> the same: each channel times a factor in (0, 1) that the means of all channels decide.

    Source: Hu et al. 2018, section 3.
    """

    def __init__(self, channels: int, num_squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, num_squeezed, 1)
        self.activation = nn.SiLU()
        self.fc2 = nn.Conv2d(num_squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        factors: Tensor = self.gate(self.fc2(self.activation(self.fc1(self.pool(x)))))  # (B, C, 1, 1)
        return x * factors


@final
class InvertedResidual(nn.Module):
    """(B, num_inputs, H, W) -> (B, num_outputs, H / stride, W / stride), rounded up.

    A convolution 1x1 to `expansion` times the channels (none for 1), a depthwise one of `size`, squeeze and excitation
    if `num_squeezed`, a convolution 1x1 without activation. What came in is added where the shape stays; with
    probability `stochastic_depth` an example then skips the branch in training, which is scaled up where it is kept.
    Source: Sandler et al. 2018, section 3.3; Tan & Le 2019, section 4; Huang et al. 2016 (stochastic depth).
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, *, expansion: int, size: int, stride: int, activation: Rectifier,
        num_squeezed: int = 0, stochastic_depth: float = 0.0, padding: Padding = "symmetric", epsilon: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__()
        inside = expansion * num_inputs
        self.expand = (
            nn.Identity() if expansion == 1
            else ConvNorm(num_inputs, inside, activation=activation, epsilon=epsilon)
        )  # fmt: skip
        self.depthwise = ConvNorm(
            inside, inside, size=size, stride=stride, groups=inside, activation=activation, padding=padding,
            epsilon=epsilon,
        )  # fmt: skip
        self.squeeze = SqueezeExcitation(inside, num_squeezed) if num_squeezed else nn.Identity()
        self.project = ConvNorm(inside, num_outputs, activation="none", epsilon=epsilon)
        self.is_residual = stride == 1 and num_inputs == num_outputs
        self.stochastic_depth = nn.Dropout(stochastic_depth) if self.is_residual and stochastic_depth else None

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.project(self.squeeze(self.depthwise(self.expand(x))))
        if not self.is_residual:
            return branch
        if self.stochastic_depth is not None and self.training:
            branch = branch * self.stochastic_depth(x.new_ones(len(x), 1, 1, 1))
        return x + branch


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, but at least 8 and never less than nine tenths of `channels`.

    Source: the code released with Sandler et al. 2018.
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _same(side: int, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after `side` pixels, so that ceil(side / stride) places of a filter fit."""
    needed = max((-(-side // stride) - 1) * stride + size - side, 0)
    return needed // 2, needed - needed // 2
