"""Edge filters: nine numbers slid over a gray picture, one direction or several merged, and Canny's thin edges.

Filters are slid as networks do it (cross-correlation: not flipped). They are oriented as in the course: where light is
left of or above dark, values are positive. SciPy's and OpenCV's Sobel and Scharr have the opposite sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

Padding = Literal["same", "valid"]

GRAY = (0.299, 0.587, 0.114)  # of red, green and blue. Source: ITU-R BT.601, section 2.5.1
STRIP = 1 << 18  # pixels that are filtered at once: what is in memory beside the picture and the result
MERGED = ("sobel", "scharr")  # across and down, merged into one strength
SIGNED = ("vertical", "horizontal", "laplace")
KINDS = ("sobel", "scharr", "vertical", "horizontal", "laplace", "canny")

_PLAIN = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]], dtype=np.float64)  # Prewitt 1970
_SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=np.float64)  # Sobel & Feldman 1968
_SCHARR = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]], dtype=np.float64)  # Scharr 2000: nearly the same all round
_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=np.float64)

SIGMA = 1.0  # pixels: how far Canny smooths
_REACH = 4  # pixels: the Gaussian is cut off at four standard deviations
_WEAK, _STRONG = 1, 2


@dataclass(frozen=True)
class Kernels:
    """What is slid over a picture: the filter, or two by the direction they look in ("x" across, "y" down)."""

    by_name: Mapping[str, np.ndarray]  # each (3, 3); a single one is called ""
    is_signed: bool  # whether its values have a sign, as those of a single filter do


def kernels(kind: str | float) -> Kernels:
    """The filters of one of KINDS, or for edges that run at an angle in degrees.

    0 is a horizontal edge, 90 a vertical one, 45 one that rises to the right. Canny's are those of Sobel.
    Source of the angle: Freeman & Adelson 1991, section 2: the first derivative in any direction is a sum of two.
    """
    if not isinstance(kind, str):
        along = math.radians(kind)
        return Kernels({"": math.sin(along) * _SOBEL + math.cos(along) * _SOBEL.T}, is_signed=True)
    if kind in ("sobel", "canny"):
        return Kernels({"x": _SOBEL, "y": _SOBEL.T}, is_signed=False)
    if kind == "scharr":
        return Kernels({"x": _SCHARR, "y": _SCHARR.T}, is_signed=False)
    one = {"vertical": _PLAIN, "horizontal": _PLAIN.T, "laplace": _LAPLACE}[kind]
    return Kernels({"": one}, is_signed=True)


def gray(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) -> (H, W) float32."""
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    found: np.ndarray = pixels.astype(np.float32) @ np.array(GRAY, dtype=np.float32)
    return found


def correlate(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(H, W), (F, G) -> (H - F + 1, W - G + 1): the sum of products at each place where the kernel fits."""
    height, width = (size - side + 1 for size, side in zip(pixels.shape, kernel.shape, strict=True))
    total = np.zeros((height, width), dtype=np.float32)
    for (row, column), weight in np.ndenumerate(kernel):
        if weight:
            total += np.float32(weight) * pixels[row : row + height, column : column + width]
    return total


def filtered(pixels: np.ndarray, found: Kernels, *, padding: Padding) -> np.ndarray:
    """(H, W) or (H, W, 3) -> float32 values of each place, (H, W) for "same" or (H - 2, W - 2) for "valid".

    Two filters are merged: sqrt(x^2 + y^2). For "same" the pixels at the border are repeated, so that the border
    itself is no edge.
    """
    around = 1 if padding == "same" else 0
    height, width = (size - 2 + 2 * around for size in pixels.shape[:2])
    values = np.empty((height, width), dtype=np.float32)
    for top, bottom in _strips(height, width):
        rows = _rows(pixels, top - around, bottom - around + 2, around)
        responses = [correlate(rows, kernel) for kernel in found.by_name.values()]
        values[top:bottom] = np.hypot(*responses) if len(responses) == 2 else responses[0]
    return values


def canny(pixels: np.ndarray, *, white: float, low: float, high: float) -> np.ndarray:
    """(H, W) or (H, W, 3) -> (H, W) bool: edges one pixel wide, never on the border itself.

    Smoothed by a Gaussian of one pixel; the strength is that of Sobel's filters on a scale where white is 1. A pixel is
    kept if no neighbour across the edge, interpolated, is stronger, and its strength is at least `high`, or at least
    `low` and it is connected to one that is. Source: Canny 1986, sections VI and VIII.
    """
    height, width = pixels.shape[:2]
    halo = _REACH + 2  # the Gaussian, Sobel's filter, the neighbours
    offsets = np.arange(-_REACH, _REACH + 1)
    bell = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    bell /= bell.sum()
    marks = np.zeros((height, width), dtype=np.uint8)
    for top, bottom in _strips(height, width):
        rows = _rows(pixels, top - halo, bottom + halo, halo) / np.float32(white)
        smooth = correlate(correlate(rows, bell[:, np.newaxis]), bell[np.newaxis])
        x, y = correlate(smooth, _SOBEL), correlate(smooth, _SOBEL.T)
        strength = np.hypot(x, y)
        is_edge = _is_ridge(strength, x[1:-1, 1:-1], y[1:-1, 1:-1])
        inside = strength[1:-1, 1:-1]
        marks[top:bottom] = np.where(is_edge & (inside >= low), np.where(inside >= high, _STRONG, _WEAK), 0)
    marks[[0, -1]] = 0
    marks[:, [0, -1]] = 0
    pieces, count = ndimage.label(marks, structure=np.ones((3, 3), dtype=np.uint8))
    has_strong = np.zeros(count + 1, dtype=bool)
    has_strong[pieces[marks == _STRONG]] = True
    return has_strong[pieces]


def _is_ridge(strength: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H + 2, W + 2), and the gradient (H, W) twice -> (H, W) bool: not weaker than what lies before and behind.

    Those two places are one step away along the gradient, between two neighbours of which one is straight and one
    diagonal.
    """
    height, width = x.shape

    def at(rows: int, columns: int) -> np.ndarray:
        return strength[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    centre, is_steep, is_falling = at(0, 0), np.abs(y) > np.abs(x), (x * y) > 0
    shares = np.divide(np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y)), where=centre > 0,
                       out=np.zeros_like(centre))  # fmt: skip
    is_ridge = centre > 0
    for sign in (-1, 1):
        straight = np.where(is_steep, at(sign, 0), at(0, sign))
        # the gradient runs from top left to bottom right (or back) where x and y have one sign
        diagonal = np.where(is_falling, at(sign, sign), np.where(is_steep, at(sign, -sign), at(-sign, sign)))
        is_ridge &= centre >= straight + shares * (diagonal - straight)
    return is_ridge


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """The first row of each strip and the row after its last."""
    rows = max(1, STRIP // max(1, width))
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _rows(pixels: np.ndarray, top: int, bottom: int, around: int) -> np.ndarray:
    """Gray rows `top` to `bottom`, which may lie outside, with `around` columns more on each side: border repeated."""
    height = len(pixels)
    inside = gray(pixels[max(0, top) : min(bottom, height)])
    return np.pad(inside, ((max(0, -top), max(0, bottom - height)), (around, around)), mode="edge")
