"""What is painted: a picture at several sizes, the finest last, and what each of them should look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import UsageError
from gnomon.core.settings import Settings
from gnomon.nn.lbfgs import Lbfgs
from gnomon.nn.style import gram, relative_square, total_variation

HISTORY = 10  # steps that L-BFGS remembers; torch has 100, which cost as much as the net at 400 pixels
FRAMES = 6  # pictures of the progress


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss; the shares of the style's layers add up to 1."""

    content: float
    style: float
    smoothness: float
    layers: Mapping[str, float]


@final
class Aim(nn.Module):
    """At one size: the maps of the content, the Gram matrices of the style, and the squared length of each."""

    def __init__(self, content: Mapping[str, Tensor], style: Mapping[str, Tensor]) -> None:
        """`content`: maps of the layers that count for it; `style`: those of the other picture, of its layers."""
        super().__init__()
        self.keeps, self.likes = tuple(content), tuple(style)
        for i, maps in enumerate(content.values()):
            self._keep(f"content{i}", maps.detach().clone())
        for i, maps in enumerate(style.values()):
            self._keep(f"style{i}", gram(maps).detach().clone())

    def _keep(self, name: str, wanted: Tensor) -> None:
        self.register_buffer(name, wanted)
        self.register_buffer(f"{name}_scale", wanted.square().sum().clamp_min(1e-12))

    def content(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The mean over the content's layers of the relative squared distance."""
        each = [self._off(f"content{i}", maps[layer]) for i, layer in enumerate(self.keeps)]
        return torch.stack(each).mean()

    def style(self, maps: Mapping[str, Tensor], shares: Mapping[str, float]) -> Tensor:
        """The weighted mean over the style's layers of the relative squared distance of Gram matrices."""
        each = [shares[layer] * self._off(f"style{i}", gram(maps[layer])) for i, layer in enumerate(self.likes)]
        return torch.stack(each).sum()

    def _off(self, name: str, found: Tensor) -> Tensor:
        return relative_square(found, self.get_buffer(name), self.get_buffer(f"{name}_scale"))


@final
class Canvas(nn.Module):
    """Pictures (1, C, ...) from coarse to fine, each painted for `steps_per_size` steps and then enlarged to the next.

    The eyes are a frozen part of it, so that a checkpoint is all that a resumed run needs.
    """

    steps: Tensor  # made so far
    colours: str = "style"  # of the result, for who shows it
    progress: Tensor  # (FRAMES, C, h, w) uint8: small copies of the picture on the way; black until they are made

    def __init__(
        self, eyes: nn.Module, starts: Sequence[Tensor], aims: Sequence[Aim], weights: Weights, *,
        total_steps: int, uses_lbfgs: bool, margin: int, frame: Sequence[int],
    ) -> None:  # fmt: skip
        super().__init__()
        self.eyes, self.weights, self.total_steps, self.margin = eyes, weights, total_steps, margin
        self.pictures = nn.ParameterList(start.contiguous() for start in starts)
        self.aims = nn.ModuleList(aims)
        self.steps_per_size = -(-total_steps // len(starts))
        self.memory = Lbfgs(starts[-1].numel(), HISTORY) if uses_lbfgs else None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("progress", torch.zeros(FRAMES, starts[-1].shape[1], *frame, dtype=torch.uint8))

    @property
    def size(self) -> int:
        """Which of the pictures is at work."""
        return min(int(self.steps) // self.steps_per_size, len(self.pictures) - 1)

    @property
    def frame_steps(self) -> list[int]:
        """After which steps a frame is kept: most changes at the beginning."""
        return sorted({-(-self.total_steps // 2**i) for i in range(FRAMES)})

    @property
    def picture(self) -> Tensor:
        """The one at work."""
        return self.pictures[self.size]

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Distance from the content, distance from the style, total variation: scalars without their weights."""
        picture, aim = self.picture, self.aims[self.size]
        assert isinstance(aim, Aim)
        maps = self.eyes(picture)
        return aim.content(maps), aim.style(maps, self.weights.layers), total_variation(picture)

    def loss(self) -> Tensor:
        return self.weighed(*self.parts())

    def weighed(self, content: Tensor, style: Tensor, variation: Tensor) -> Tensor:
        """The loss of these parts."""
        weights = self.weights
        return weights.content * content + weights.style * style + weights.smoothness * variation

    def measured(self, names: Sequence[str]) -> dict[str, float]:
        """The loss, then its parts, as far as there are names."""
        parts = self.parts()
        return {name: float(value) for name, value in zip(names, (self.weighed(*parts), *parts), strict=False)}

    def descend(self, rate: float) -> Tensor:
        """A step of L-BFGS; the loss of before. One that is not finite is returned with nothing changed."""
        assert self.memory is not None
        picture = self.picture
        loss = self.loss()
        # By sums over pixels, as the paper has them: gradients of means are so small that steps tell no curvature.
        gradient = torch.autograd.grad(loss * picture.numel(), picture)[0].reshape(-1)
        if bool(torch.isfinite(loss)) and bool(torch.isfinite(gradient).all()):
            self.memory.step(picture.detach().view(-1), gradient, rate)
        return loss.detach()

    @torch.no_grad()
    def advance(self) -> None:
        """Count the step; keep a frame where one is due; go on to the next size."""
        size = self.size
        self.steps += 1
        if int(self.steps) in self.frame_steps:
            small = self._resized(self._whole(size), self.progress.shape[2:])
            self.progress[self.frame_steps.index(int(self.steps))] = (small[0].clamp(0, 1) * 255).round()
        if self.size > size:
            finer = self.pictures[self.size]
            finer.copy_(self._resized(self.pictures[size], finer.shape[2:]))
            if self.memory is not None:
                self.memory.forget()

    def frames(self) -> list[np.ndarray]:
        """(C, h, w) uint8 each: those that were kept so far."""
        done = sum(step <= int(self.steps) for step in self.frame_steps)
        return list(self.progress[: max(1, done)].cpu().numpy())

    def finished(self) -> Tensor:
        """(1, C, ...): the picture as it is now, at the finest size, without its margin."""
        return self._whole(self.size)

    def _whole(self, size: int) -> Tensor:
        whole = self._resized(self.pictures[size].detach(), self.pictures[-1].shape[2:])
        return whole[..., self.margin : -self.margin, self.margin : -self.margin] if self.margin else whole

    @staticmethod
    def _resized(picture: Tensor, shape: Sequence[int]) -> Tensor:
        if tuple(picture.shape[2:]) == tuple(shape):
            return picture
        return functional.interpolate(picture, tuple(shape), mode="bicubic", antialias=True, align_corners=False)


def uses_lbfgs(settings: Settings) -> bool:
    """Raises UsageError for what only an update rule can do."""
    if settings.task.own["solver"] != "lbfgs":
        return False
    regularise, optimiser = settings.regularise, settings.optimiser
    if regularise.weight_decay or regularise.l1 or regularise.l2 or optimiser.clip_norm or optimiser.clip_value:
        raise UsageError("L-BFGS knows no decay and no clipping.", fix="use solver=gradient, or leave them out.")
    return True
