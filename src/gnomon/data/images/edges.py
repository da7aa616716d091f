"""Pictures as a few hundred numbers without any training: brightness by place, and edges by place and direction."""

from __future__ import annotations

import numpy as np

CELLS = 6  # per side, in which edges are counted
DIRECTIONS = 8
GRID = 8  # fields per side of which the brightness is kept; at most as many as pixels
CHUNK = 512  # pictures at a time


def edge_features(pixels: np.ndarray) -> np.ndarray:
    """(N, D) float32 from (N, H, W, C) uint8, on scales that a distance can compare.

    A histogram of oriented gradients, normalised picture by picture, beside the brightness (of each channel) on a grid.
    Source: the idea of Dalal and Triggs 2005, without overlapping blocks.
    """
    parts = [_features(pixels[start : start + CHUNK]) for start in range(0, len(pixels), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _features(pixels: np.ndarray) -> np.ndarray:
    pictures = pixels.astype(np.float32) / 255
    gray = pictures.mean(axis=3)
    down, across = np.gradient(gray, axis=(1, 2)) if min(gray.shape[1:]) > 1 else (np.zeros_like(gray),) * 2
    strength = np.hypot(down, across)
    # An edge counts for the two directions next to its own, in proportion; light on dark is as dark on light.
    turn = (np.arctan2(down, across) % np.pi) * (DIRECTIONS / np.pi)
    lower, share = turn.astype(np.int64) % DIRECTIONS, turn % 1
    edges = np.stack(
        [
            strength * ((lower == one) * (1 - share) + ((lower + 1) % DIRECTIONS == one) * share)
            for one in range(DIRECTIONS)
        ],
        axis=3,
    )
    pooled = _pooled(edges, CELLS).reshape(len(pixels), -1)
    pooled = np.sqrt(pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1e-6))
    bright = _pooled(pictures, GRID).reshape(len(pixels), -1)
    spread = np.maximum(bright.std(axis=1, keepdims=True), 1e-3)
    features: np.ndarray = np.hstack([10 * pooled, (bright - bright.mean(axis=1, keepdims=True)) / spread])
    return features.astype(np.float32)


def _pooled(values: np.ndarray, side: int) -> np.ndarray:
    """(N, side, side, K): means over fields of (N, H, W, K)."""
    for axis in (1, 2):
        size = values.shape[axis]
        edges = np.arange(min(side, size)) * size // min(side, size)
        counts = np.diff(edges, append=size).astype(np.float32)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        values = np.add.reduceat(values, edges, axis=axis) / counts.reshape(shape)
    return values
