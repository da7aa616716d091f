"""What style transfer compares: maps by place, Gram matrices, neighbouring pixels. Equations: reference/style.py."""

from __future__ import annotations

from torch import Tensor


def gram(maps: Tensor) -> Tensor:
    """(1, C, ...) maps -> (C, C): products of channels, averaged over all places, so that sizes may differ.

    Source: Gatys et al. 2016, equation 3 (there a sum).
    """
    flat = maps.movedim(1, -1).flatten(0, -2)  # (places, C): of channels-last maps a view, as is its gradient
    return flat.mT @ flat / len(flat)


def relative_square(found: Tensor, wanted: Tensor, scale: Tensor) -> Tensor:
    """A scalar: squared distance over `scale`, the squared length of what is wanted.

    Relative, so that one weight fits layers and nets whose maps have values of quite other sizes.
    """
    return (found - wanted).square().sum() / scale


def total_variation(picture: Tensor) -> Tensor:
    """(..., H, W) -> a scalar: the mean square of differences of neighbours, down and across; of (..., 1, W) across."""
    across = (picture[..., 1:] - picture[..., :-1]).square().mean()
    if picture.shape[-2] == 1:
        return across
    return across + (picture[..., 1:, :] - picture[..., :-1, :]).square().mean()
