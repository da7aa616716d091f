"""Content and style as they are read, upright and at the size of the work; and what is done to their colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gnomon.core.errors import DataError
from gnomon.data.images.decoding import BYTES_PER_PIXEL, UnreadableError, decode, decoder_guard, measure
from gnomon.data.source import Tree, display_name

if TYPE_CHECKING:
    from gnomon.core.settings import DataSettings

SIDE = 512  # pixels of the longer side, where the picture has as many and image_size is not given
SMALLEST = 32  # pixels of the shorter side
LARGER = 4  # times max_pixels: only a reduced copy is kept, so larger pictures than those of other readers fit
LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green, blue. ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Two:
    """What to show and how to paint it: (H, W, 3) uint8 each."""

    content: np.ndarray
    style: np.ndarray


def read_picture(tree: Tree, name: str, settings: DataSettings) -> tuple[np.ndarray, str, list[str]]:
    """(H, W, 3) uint8 with the longer side of the work; its size in words; what was done to it. Raises DataError."""
    shown, limit = display_name(name), LARGER * settings.max_pixels
    stored = next(file.size for file in tree.files if file.name == name)
    if stored > BYTES_PER_PIXEL * limit:
        raise DataError(f"larger than a picture of {limit:,} pixels can be.", where=shown, fix="give a smaller one.")
    content = tree.read(name)
    try:
        with decoder_guard(limit):
            height, width, _ = measure(content, name, max_pixels=limit)
            scale = (settings.image_size or min(SIDE, max(height, width))) / max(height, width)
            sides = max(1, round(width * scale)), max(1, round(height * scale))
            found = decode(content, name, max_pixels=limit, least_side=max(1, math.ceil(min(sides))))
    except UnreadableError as error:
        raise DataError(
            f"cannot be used as a picture: {error.why}.", where=shown, fix="give a PNG, JPEG, TIFF ... of it."
        ) from None
    if min(sides) < SMALLEST:
        raise DataError(
            f"{width:,}x{height:,} pixels become {sides[0]}x{sides[1]}, and each side needs {SMALLEST}.",
            where=shown, fix="give a larger picture, one that is less narrow, or a larger image_size=.",
        )  # fmt: skip
    notes = [f"{shown}: {remark}" for remark in found.remarks]
    if sides != (width, height):
        notes.append(f"{shown}: {width:,}x{height:,} pixels, scaled to {sides[0]}x{sides[1]} (image_size={max(sides)})")
    return _resized(found.pixels, sides), f"{sides[0]}x{sides[1]} pixels", notes


def _resized(pixels: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(pixels).convert("RGB")
    return np.asarray(picture if picture.size == sides else picture.resize(sides, Image.Resampling.LANCZOS))


def luminance(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1] -> (H, W)."""
    return picture @ LUMINANCE


def gray_like(style: np.ndarray, content: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The luminances of style and content, the style's with mean and deviation of the content's: (H, W, 3) each.

    Source: Gatys et al. 2017, section 5.3.
    """
    of_style, of_content = luminance(style), luminance(content)
    stretch = of_content.std() / max(of_style.std(), 1e-6)
    moved = (of_style - of_style.mean()) * stretch + of_content.mean()
    return tuple(np.repeat(one[..., None], 3, axis=2) for one in (moved, of_content))  # type: ignore[return-value]


def coloured_like(picture: np.ndarray, content: np.ndarray) -> np.ndarray:
    """(H, W, 3): the luminance of `picture` with the colours of `content`, which has the same size, cut to [0, 1]."""
    return np.clip(content + (luminance(picture) - luminance(content))[..., None], 0, 1)


def matched(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The style with its colours moved linearly to have mean and covariance of the content's.

    Source: Gatys et al. 2017, section 5.3, the symmetric square root.
    """
    pixels, wanted = style.reshape(-1, 3), content.reshape(-1, 3)
    move = _root(np.cov(wanted.T)) @ np.linalg.inv(_root(np.cov(pixels.T)))
    return ((pixels - pixels.mean(0)) @ move.T + wanted.mean(0)).reshape(style.shape)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root; a picture of few colours has at least a variance of 1e-6 in every direction."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 1e-6))) @ vectors.T
