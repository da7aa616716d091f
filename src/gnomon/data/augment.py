"""Random changes to training pictures, a whole batch at a time on its own device: what is drawn, and how it looks.

Every kind has a strength (core/augmentation.py). Where things go is in geometry.py; here it is drawn, and colours
change, squares are hidden, pictures are mixed. All kinds that move pictures are one lookup, all that change colours one
product. Every draw comes from the generator that is passed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gnomon.core.augmentation import MOVES
from gnomon.data.geometry import Geometry, as_bytes

ALIGNED = {"shift", "mirror", "updown"}  # kinds that leave every pixel as it is
ASPECTS = math.log(4 / 3)  # a crop is up to this much wider or taller than the picture. Source: Szegedy et al. 2015
CONTROL = 5  # control points of a warp along a side: up to a strength of 0.06, nothing folds
HUE = math.pi / 4  # radians that hues turn at strength 1
LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look. Source: ITU-R BT.601
QUANTILES = 2_001  # points of the table that shares of mixed pictures are drawn from


def draw_geometry(
    count: int,
    before: tuple[int, int],
    after: tuple[int, int],
    strengths: Mapping[str, float],
    generator: torch.Generator,
    *,
    is_part: bool = False,
) -> Geometry | None:
    """A map for each of `count` pictures of `before` (height, width) pixels, shown with `after`; None: nothing moves.

    Without any kind the whole picture is shown; with `is_part`, a random part of `after` pixels instead, which a crop
    enlarges. Sources: crop, Szegedy et al. 2015; shift, He et al. 2016.
    """
    kinds = {name: strengths[name] for name in MOVES if strengths.get(name)}
    if not kinds and before == after:
        return None
    (height, width), (rows, columns), device = before, after, generator.device
    draw = torch.rand(count, 10, generator=generator, device=device)
    either = 2 * draw - 1  # as far one way as the other

    area = 1 - kinds.get("crop", 0.0) * draw[:, 0]
    widest = (-area.log()).clamp(max=ASPECTS)  # a wider crop of this area would not fit into the picture
    aspect = (widest * either[:, 1]).exp()
    share = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 1)  # (B, 2): of the width, the height
    size = torch.tensor([width, height], device=device)
    if is_part:
        share = share * torch.tensor([columns / width, rows / height], device=device)
    pixel = share * size / torch.tensor([columns, rows], device=device)  # pixels of the input per pixel of the output
    middle = (share / 2 + draw[:, 2:4] * (1 - share)) * size
    reach = torch.tensor([round(kinds.get("shift", 0.0) * side) for side in (columns, rows)], device=device)
    if "shift" in kinds:
        reach = reach.clamp(min=1)
    steps = (draw[:, 4:6] * (2 * reach + 1)).floor().minimum(2 * reach) - reach  # whole pixels, each as often
    middle = middle + steps * pixel

    flips = torch.stack(
        [1 - 2 * (draw[:, 6 + i] < kinds.get(name, 0.0)).float() for i, name in enumerate(("mirror", "updown"))], 1
    )
    linear = torch.diag_embed(pixel * flips)
    if kinds.get("rotate") or kinds.get("shear"):
        angle = torch.deg2rad(kinds.get("rotate", 0.0) * either[:, 8])
        lean = torch.deg2rad(kinds.get("shear", 0.0) * either[:, 9]).tan()
        sine, cosine = angle.sin(), angle.cos()  # turned after it was made to lean
        linear = torch.stack([cosine, cosine * lean - sine, sine, sine * lean + cosine], 1).view(-1, 2, 2) @ linear
    centre = torch.tensor([columns / 2, rows / 2], device=device)
    offset = middle - linear @ centre
    warp = None
    if "warp" in kinds:
        moved = 2 * torch.rand(count, 2, CONTROL, CONTROL, generator=generator, device=device) - 1
        warp = moved * (kinds["warp"] * torch.tensor([columns, rows], device=device)).view(1, 2, 1, 1)
    is_aligned = before == after and kinds.keys() <= ALIGNED
    return Geometry(torch.cat([linear, offset[:, :, None]], 2), before, after, warp, is_aligned)


def changed(
    images: Tensor,
    moved: Geometry | None,
    strengths: Mapping[str, float],
    generator: torch.Generator,
    *,
    mean: Sequence[float],
    covariance: Sequence[Sequence[float]] | None = None,
) -> tuple[Tensor, Mixing | None]:
    """(B, C, H, W) bytes -> the same moved, recoloured, with squares hidden and mixed: bytes; and how they were mixed.

    `moved` is what `draw_geometry` gave, and acts on targets too. `mean` and `covariance` are of the channels of the
    training pixels, values in [0, 1].
    """
    if moved is None or not moved.is_aligned or strengths.keys() - ALIGNED:
        images = images.float().contiguous() if strengths or moved is not None else images  # once for all kinds
    if moved is not None:
        images = moved.pictures(images)
    images = recolour(images, strengths, generator, covariance)
    if strengths.get("cutout"):
        side, fill = max(1, int(strengths["cutout"] * min(images.shape[2:]))), [255 * one for one in mean]
        images = cutout(images, side, fill, generator)
    mixing = draw_mixing(len(images), (images.shape[2], images.shape[3]), strengths, generator)
    if mixing is not None:
        images = mixing.pictures(images)
    return images if images.dtype == torch.uint8 else as_bytes(images), mixing


def recolour(
    images: Tensor,
    strengths: Mapping[str, float],
    generator: torch.Generator,
    covariance: Sequence[Sequence[float]] | None = None,
) -> Tensor:
    """(B, C, H, W) floats on the scale of bytes -> the same with other colours, cut off at 0 and 255.

    `covariance` (C, C) of the training pixels, values in [0, 1], for the kind `pca`.
    """
    if not strengths.get("colour") and not strengths.get("pca"):
        return images
    matrix, offset = draw_colours(images, strengths.get("colour", 0.0), generator)
    if strengths.get("pca") and covariance is not None:
        offset = offset + 255 * draw_pca(len(images), strengths["pca"], covariance, generator)
    return torch.baddbmm(offset[:, :, None], matrix, images.flatten(2)).clamp_(0, 255).view(images.shape)


def draw_colours(values: Tensor, strength: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, C, C) and (B, C): what new colours are of old ones; brightness, contrast, saturation, hue of (B, C, H, W).

    Brightness and contrast are factors around black and around the picture's mean; saturation and hue act on what is
    left of a colour without its luma, which stays.
    """
    count, channels = values.shape[:2]
    device = values.device
    brightness, contrast, saturation, hue = (
        strength * (2 * torch.rand(count, 4, generator=generator, device=device) - 1)
    ).unbind(1)
    luma = torch.tensor(LUMA if channels == 3 else [1 / channels] * channels, device=device)
    mean = values.mean(dim=(2, 3)) @ luma  # (B,)
    matrix = torch.eye(channels, device=device).repeat(count, 1, 1)
    if channels == 3:
        grey = torch.ones(3, 1, device=device) * luma  # a colour -> its luma, three times
        chroma = torch.eye(3, device=device) - grey
        angle = (HUE * hue)[:, None, None]
        axis = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=device) / math.sqrt(3)
        turned = torch.eye(3, device=device) + angle.sin() * axis + (1 - angle.cos()) * (axis @ axis)  # Rodrigues
        matrix = grey + (1 + saturation)[:, None, None] * (chroma @ turned @ chroma)
    factor = (1 + brightness) * (1 + contrast)
    offset = (1 + brightness) * -contrast * mean
    return factor[:, None, None] * matrix, offset[:, None].expand(count, channels)


def draw_pca(count: int, strength: float, covariance: Sequence[Sequence[float]], generator: torch.Generator) -> Tensor:
    """(B, C): a shift of each picture's colours along the axes of `covariance`, on its scale.

    Along each axis it is normal, with `strength` times the standard deviation of the pixels. Source: Krizhevsky et al.
    2012, section 4.1, who write the eigenvalue where this takes its root, which has the unit of a pixel.
    """
    variances, axes = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    spread = torch.tensor(axes * np.sqrt(np.maximum(variances, 0)), dtype=torch.float32, device=generator.device)
    return strength * torch.randn(count, len(spread), generator=generator, device=generator.device) @ spread.T


def cutout(images: Tensor, pixels: int, fill: Sequence[float], generator: torch.Generator) -> Tensor:
    """Hide a square of each picture, `pixels` wide, its centre anywhere: at a border, less of it is hidden.

    (B, C, H, W) in and out; `fill` per channel, on the scale of the pictures. Source: DeVries and Taylor 2017.
    """
    count, channels, height, width = images.shape
    hidden = []
    for length in (height, width):
        centre = torch.randint(0, length, (count, 1), generator=generator, device=images.device)
        first = centre - pixels // 2
        places = torch.arange(length, device=images.device)
        hidden.append((places >= first) & (places < first + pixels))  # (B, length)
    square = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
    colour = torch.tensor(fill, device=images.device).to(images.dtype).view(1, channels, 1, 1)
    if images.dtype == torch.float32:
        return torch.lerp(images, colour, square.float())  # exact at 0 and 1, and four times as fast
    return torch.where(square, colour, images)


@final
@dataclass(frozen=True)
class Mixing:
    """Which pictures of a batch are mixed, and how."""

    partner: Tensor  # (B,) int64: the picture that each is mixed with
    share: Tensor  # (B,) float32: of the picture itself, and of its target in the loss
    own: Tensor  # (B, 1, 1, 1) or (B, 1, H, W) float32: of the picture itself, at each pixel

    def pictures(self, images: Tensor) -> Tensor:
        """(B, C, H, W) floats -> the same shape."""
        return torch.lerp(images[self.partner], images, self.own)


def draw_mixing(
    count: int, size: tuple[int, int], strengths: Mapping[str, float], generator: torch.Generator
) -> Mixing | None:
    """How `count` pictures of `size` (height, width) are mixed; None without mixup and cutmix. With both, half each.

    Sources: Zhang et al. 2018 (mixup), Yun et al. 2019 (cutmix).
    """
    kinds = [name for name in ("mixup", "cutmix") if strengths.get(name)]
    if not kinds:
        return None
    device = generator.device
    partner = torch.randperm(count, generator=generator, device=device)
    draw = torch.rand(count, 4, generator=generator, device=device)
    shares = {name: _beta(draw[:, 0], strengths[name]) for name in kinds}
    if kinds == ["mixup"]:
        return Mixing(partner, shares["mixup"], shares["mixup"].view(-1, 1, 1, 1))
    own = torch.ones(count, 1, *size, dtype=torch.bool, device=device)
    side = (1 - shares["cutmix"]).sqrt()
    inside = []
    for i, length in enumerate(size):
        centre, half = draw[:, 1 + i] * length, side * length / 2
        places = torch.arange(length, device=device) + 0.5
        inside.append((places - centre[:, None]).abs() < half[:, None])  # (B, length)
    own = ~(inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    share, own = own.float().mean(dim=(1, 2, 3)), own.float()
    if len(kinds) == 2:
        is_mixup = draw[:, 3] < 0.5
        share = torch.where(is_mixup, shares["mixup"], share)
        own = torch.where(is_mixup.view(-1, 1, 1, 1), shares["mixup"].view(-1, 1, 1, 1), own)
    return Mixing(partner, share, own)


def _beta(uniform: Tensor, alpha: float) -> Tensor:
    """(B,) in [0, 1) -> as many numbers of the law Beta(alpha, alpha), by its quantiles."""
    if alpha == 1.0:
        return uniform
    table = torch.from_numpy(_quantiles(alpha)).to(uniform.device)
    at = uniform * (len(table) - 1)
    low = at.long().clamp_(max=len(table) - 2)
    return torch.lerp(table[low], table[low + 1], at - low)


@cache
def _quantiles(alpha: float) -> np.ndarray:
    from scipy.special import betaincinv  # here: most trainings mix nothing

    found: np.ndarray = betaincinv(alpha, alpha, np.linspace(0, 1, QUANTILES)).astype(np.float32)
    return found


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) bytes -> (B, C, *size) bytes, smaller: every pixel counts, so that nothing aliases."""
    if images.is_cpu:
        return functional.interpolate(images, size, mode="bilinear", antialias=True)
    return as_bytes(functional.interpolate(images.float(), size, mode="bilinear", antialias=True))


def smooth(target: Tensor, num_classes: int, amount: float) -> Tensor:
    """(B,) class indices -> (B, K) probabilities: 1 - amount on the class, amount spread evenly over all K.

    Source: Szegedy et al. 2016, section 7.
    """
    spread = torch.full((len(target), num_classes), amount / num_classes, device=target.device)
    return spread.scatter_add_(1, target[:, None], torch.full_like(spread[:, :1], 1.0 - amount))
