"""Whether a picture is rotated: it resembles training pictures of its class more once it is turned back."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 16  # pixels per side of the small grey pictures that are compared
TURNS = (1, 2, 3)  # quarter turns
NEAREST = 3  # training pictures that a picture is compared with, in each orientation
LEAST_OF_CLASS = 10  # with fewer training pictures of a class, those of all classes are used
LEAST_GAIN = 0.05  # in correlation: the least that a turn must add
RARE = 0.01  # share of the training pictures: a gain larger than all but these is unusual
FAR = 3.0  # robust standard deviations from their median that are unusual in any case


def rotated(
    pictures: np.ndarray, classes: np.ndarray, reference: np.ndarray, reference_classes: np.ndarray
) -> np.ndarray:  # fmt: skip
    """(n,) bool: which of `pictures` (n, SIDE, SIDE) are closer to the reference when turned by 90, 180 or 270 degrees.

    `classes` (n,) are compared with the same class of the reference; without classes, pass one class for all. The usual
    gain of a turn is measured on the reference itself: pictures without an up and a down gain nothing, and none of them
    is reported.
    """
    if len(reference) <= NEAREST:
        return np.zeros(len(pictures), dtype=bool)
    usual = _gains(reference, reference_classes, reference, reference_classes, is_reference=True)
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - middle)))  # equals the standard deviation of normal data
    edge = max(LEAST_GAIN, min(float(np.quantile(usual, 1 - RARE)), middle + FAR * spread))
    found: np.ndarray = _gains(pictures, classes, reference, reference_classes) > edge
    return found


def small(gray: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) float64 of an (H, W) grey picture from 0 to 255."""
    how = Image.Resampling.BOX if min(gray.shape) > SIDE else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(gray.astype(np.uint8)).resize((SIDE, SIDE), how), dtype=np.float64)


def _gains(
    pictures: np.ndarray, classes: np.ndarray, reference: np.ndarray, reference_classes: np.ndarray,
    *, is_reference: bool = False,
) -> np.ndarray:  # fmt: skip
    """(n,) in [-2, 2]: closeness in the best turn, minus closeness without turning."""
    usual = _unit(reference)
    positions = [_unit(np.rot90(pictures, turns, axes=(1, 2))) for turns in (0, *TURNS)]
    found = np.zeros(len(pictures))
    for name in np.unique(classes):
        here, there = np.flatnonzero(classes == name), np.flatnonzero(reference_classes == name)
        if len(there) < LEAST_OF_CLASS:
            there = np.arange(len(reference))
        itself = here[:, None] == there if is_reference else None
        upright, *turned = (_closeness(rows[here], usual[there], itself) for rows in positions)
        found[here] = np.max(turned, axis=0) - upright
    return found


def _unit(pictures: np.ndarray) -> np.ndarray:
    """(n, D) of mean 0 and length 1: the pixels inside the circle that no turn cuts off."""
    middle = np.arange(SIDE) - (SIDE - 1) / 2
    inside = np.add.outer(middle**2, middle**2) <= (SIDE / 2) ** 2
    rows = pictures[:, inside]
    rows = rows - rows.mean(axis=1, keepdims=True)
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit


def _closeness(rows: np.ndarray, usual: np.ndarray, itself: np.ndarray | None) -> np.ndarray:
    """(n,) mean correlation with the nearest of `usual`, itself not counted."""
    correlation = rows @ usual.T
    if itself is not None:
        correlation = np.where(itself, -2.0, correlation)
    nearest: np.ndarray = np.sort(correlation, axis=1)[:, -NEAREST:].mean(axis=1)
    return nearest
