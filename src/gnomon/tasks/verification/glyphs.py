"""Made-up signatures: each identity is a line through some points, written again and again by an unsteady hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from gnomon.core.seeds import generator
from gnomon.data.images import as_png
from gnomon.runs.writer import write_bytes

PEOPLE, PICTURES = 10, 6
SIDE = 16  # pixels
POINTS = 5  # that the line goes through
UNSTEADY = 0.7  # pixels, standard deviation of a point
PEN = 0.9  # pixels, standard deviation of the ink around the line
ALONG = np.linspace(0, 1, 12)[:, None]  # places on each piece of the line


def sample(folder: Path, seed: int) -> Path:
    """Ten identities with six pictures each, in a folder for each."""
    rng = generator(seed, "sample")
    for person in range(PEOPLE):
        points = rng.uniform(2, SIDE - 2, (POINTS, 2))
        for number in range(PICTURES):
            drawn = _drawn(points + rng.normal(0, UNSTEADY, points.shape))
            noisy = (drawn + rng.normal(0, 8, drawn.shape)).clip(0, 255).astype(np.uint8)
            write_bytes(folder / f"writer {person}" / f"{number}.png", as_png(noisy))
    return folder


def _drawn(points: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) float64, 0 to 255: a bright line through points (P, 2), x and y in pixels."""
    line = np.concatenate([a + ALONG * (b - a) for a, b in itertools.pairwise(points)])
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 1, 2)
    nearest = np.square(grid - line).sum(axis=2).min(axis=1)
    ink: np.ndarray = 30 + 200 * np.exp(-nearest / (2 * PEN**2)).reshape(SIDE, SIDE)
    return ink
