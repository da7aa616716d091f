"""Signals and volumes as pictures that a person looks at: lines over time, and the middle slices."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 256, 64  # pixels: of one channel's line
MOST_LINES = 6  # channels drawn
PAPER, INK = 255, 0
LEAST_SIDE, MOST_SIDE = 64, 256  # pixels of the longest side of a slice, as it is shown
GAP = 4  # pixels between lines or slices


def line_picture(signal: np.ndarray) -> np.ndarray:
    """(C, T) -> (H, W) uint8: each of the first channels as a line between its own least and largest value."""
    lines = [_line(channel.astype(np.float64)) for channel in signal[:MOST_LINES]]
    gap = np.full((GAP, WIDTH), PAPER, np.uint8)
    parts = [part for line in lines for part in (line, gap)]
    return np.concatenate(parts[:-1])


def slices_picture(volume: np.ndarray) -> np.ndarray:
    """(C, D, H, W) -> (h, w) uint8: the middle slices along D, H and W of the first channel, side by side."""
    values = volume[0].astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    shades = np.nan_to_num((values - low) / (high - low) if high > low else values * 0)
    grey = np.rint(255 * shades).astype(np.uint8)
    depth, height, width = grey.shape
    slices = [_resized(one) for one in (grey[depth // 2], grey[:, height // 2], grey[:, :, width // 2])]
    tall = max(len(one) for one in slices)
    parts = [np.pad(one, ((0, tall - len(one)), (0, GAP)), constant_values=PAPER) for one in slices]
    return np.concatenate(parts, axis=1)[:, :-GAP]


def _line(values: np.ndarray) -> np.ndarray:
    """(T,) -> (HEIGHT, WIDTH): each column of pixels from the least to the largest value of its stretch of time."""
    picture = np.full((HEIGHT, WIDTH), PAPER, np.uint8)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return picture
    low, high = float(finite.min()), float(finite.max())
    places = (values - low) / (high - low) if high > low else values * 0 + 0.5
    rows = (1 - places) * (HEIGHT - 1)  # NaN where missing
    steps = np.linspace(0, len(rows) - 1, WIDTH + 1)
    for column in range(WIDTH):
        start, end = steps[column], steps[column + 1]
        inside = rows[int(np.ceil(start)) : int(np.floor(end)) + 1]
        ends = np.interp([start, end], np.arange(len(rows)), rows)
        around = np.concatenate([ends, inside])
        around = around[np.isfinite(around)]
        if len(around):
            picture[int(np.rint(around.min())) : int(np.rint(around.max())) + 1, column] = INK
    return picture


def _resized(picture: np.ndarray) -> np.ndarray:
    """Every pixel repeated, or some left out: the longest side has about LEAST_SIDE to MOST_SIDE pixels."""
    longest = max(picture.shape)
    times, every = max(1, LEAST_SIDE // longest), -(-longest // MOST_SIDE)
    return picture[::every, ::every].repeat(times, axis=0).repeat(times, axis=1)
