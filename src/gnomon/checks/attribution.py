"""Where a class's score comes from: smoothed gradients, hidden squares, class activation maps.

`scores` takes pictures (B, C, H, W), floats in [0, 1], to numbers (B, K) of which the softmax gives the probabilities.
Every function takes one picture (C, H, W), is deterministic, and gives no parameter a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gnomon.checks.feature_maps import Stage, watching

Scores = Callable[[Tensor], Tensor]

NOISY = 32  # noisy copies of a picture whose gradients are averaged
NOISE = 0.1  # their standard deviation, as a share of the picture's range of values. Smilkov et al. 2017: 0.1 to 0.2
STEPS = 10  # of a hidden square, from one side of the picture to the other; a square is two steps wide
MOST_BYTES = 256 << 20  # of the outputs of all layers together, in one pass
MOST_AT_ONCE = 128  # pictures in a pass


def at_once(model: nn.Module, scores: Scores, picture: Tensor) -> int:
    """How many pictures like this one a pass may take, so that all layers' outputs, kept for the gradient, fit."""
    sizes = [1]

    def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
        sizes.extend([output.nbytes] if isinstance(output, Tensor) else [])

    handles = [module.register_forward_hook(look) for module in model.modules() if not any(module.children())]
    try:
        with torch.no_grad():
            scores(picture[None])
    finally:
        for handle in handles:
            handle.remove()
    return max(1, min(MOST_AT_ONCE, MOST_BYTES // sum(sizes)))


def saliency(
    scores: Scores, picture: Tensor, classes: Sequence[int], *, rows: int, generator: torch.Generator
) -> Tensor:
    """(len(classes), H, W), not negative: how strongly each pixel acts on each class's score, one way or the other.

    The mean gradient of the score over noisy copies of the picture, squared and summed over channels. It is not
    multiplied by the picture, whose own edges would then show whatever the weights are. `rows` copies go through the
    net at a time. Source: Smilkov et al. 2017, "SmoothGrad".
    """
    means = picture.new_zeros(len(classes), *picture.shape)
    spread = NOISE * (picture.max() - picture.min())
    for start in range(0, NOISY, rows):
        copies = range(start, min(start + rows, NOISY))
        noise = [torch.randn(picture.shape, generator=generator, dtype=picture.dtype) for _ in copies]
        noisy = (picture + spread * torch.stack(noise).to(picture.device)).requires_grad_()
        with torch.enable_grad():
            given = scores(noisy)
            for i, k in enumerate(classes):
                (gradient,) = torch.autograd.grad(given[:, k].sum(), noisy, retain_graph=i + 1 < len(classes))
                means[i] += gradient.sum(dim=0) / NOISY
    return means.square().sum(dim=1)


@dataclass(frozen=True)
class Squares:
    """What hiding a square gives: W squares, each with its scores."""

    windows: Tensor  # (W, 4) int64: top, left, bottom, right (both excluded), clipped to the picture
    scores: Tensor  # (W, K)
    whole: Tensor  # (K,): of the picture with nothing hidden


def hidden_squares(scores: Scores, picture: Tensor, cover: Tensor, *, rows: int) -> Squares:
    """The scores with each square of the picture hidden in turn, under the colour `cover` (C,).

    Squares are two steps wide and a step apart, and begin a step outside, so that every pixel is hidden four times.
    Source: Zeiler & Fergus 2014, section 4.2.
    """
    height, width = picture.shape[1:]
    step = max(1, -(-max(height, width) // STEPS))
    windows = torch.tensor([
        (max(top, 0), max(left, 0), min(top + 2 * step, height), min(left + 2 * step, width))
        for top in range(-step, height, step)
        for left in range(-step, width, step)
    ])  # fmt: skip
    parts = []
    with torch.no_grad():
        whole = scores(picture[None])[0]
        for some in windows.split(rows):
            pictures = picture.repeat(len(some), 1, 1, 1)
            for one, (top, left, bottom, right) in zip(pictures, some.tolist(), strict=True):
                one[:, top:bottom, left:right] = cover[:, None, None]
            parts.append(scores(pictures))
    return Squares(windows, torch.cat(parts), whole)


def occlusion(squares: Squares, k: int, size: tuple[int, int]) -> Tensor:
    """(H, W): by how much the log odds of class k fall, on average over the squares that hide a pixel.

    Below zero where they rise: what is there speaks against the class.
    """
    falls = log_odds(squares.whole[None], k) - log_odds(squares.scores, k)
    total, count = falls.new_zeros(size), falls.new_zeros(size)
    for (top, left, bottom, right), fall in zip(squares.windows.tolist(), falls, strict=True):
        total[top:bottom, left:right] += fall
        count[top:bottom, left:right] += 1
    return total / count


def log_odds(scores: Tensor, k: int) -> Tensor:
    """(B,) from (B, K): log(p / (1 - p)) of class k. It does not level off where the probability is near 0 or 1."""
    others = torch.cat([scores[:, :k], scores[:, k + 1 :]], dim=1)
    return scores[:, k] - others.logsumexp(dim=1)


def class_activation(scores: Scores, picture: Tensor, classes: Sequence[int], stage: Stage) -> Tensor:
    """(len(classes), h, w), not negative: the places of the stage's map that speak for each class.

    Grad-CAM: the channels, each times the mean of the gradient of the class's score over its places, summed; negative
    sums become 0. Where the map goes through a global average and a linear layer, this is the class activation map of
    Zhou et al. 2016, divided by the number of places. Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    found = []
    with torch.enable_grad(), watching([stage]) as maps:
        given = scores(picture[None].clone().requires_grad_())
        activations = maps[stage.name]
        for k in classes:
            (gradient,) = torch.autograd.grad(given[0, k], activations, retain_graph=True)
            weights = gradient.mean(dim=(2, 3), keepdim=True)
            found.append((weights * activations).sum(dim=1)[0].relu())
    return torch.stack(found).detach()
