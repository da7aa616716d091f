"""Pictures with a disc, a square or nothing, and boxes.csv: the tiny data set of the task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnomon.core.seeds import generator
from gnomon.data.images import as_png
from gnomon.runs.writer import write_bytes

PICTURES, SIDE = 36, 32  # pixels per side
SMALLEST, LARGEST = 8, 20  # pixels of a shape


def sample(folder: Path, seed: int) -> Path:
    """PICTURES pictures, a third each of a disc, of a square and of nothing; returns the folder."""
    rng = generator(seed, "sample")
    rows = ["file,class,left,top,right,bottom"]
    down, across = np.mgrid[:SIDE, :SIDE] + 0.5
    for number in range(PICTURES):
        picture = rng.integers(0, 90, (SIDE, SIDE))
        size = int(rng.integers(SMALLEST, LARGEST + 1))
        left, top = (int(value) for value in rng.integers(0, SIDE - size + 1, 2))
        kind, file = ("disc", "square", "")[number % 3], f"pictures/{number:02d}.png"
        if kind == "disc":
            picture[np.hypot(across - left - size / 2, down - top - size / 2) < size / 2] += 130
        elif kind == "square":
            picture[top : top + size, left : left + size] += 130
        box = f"{left},{top},{left + size},{top + size}" if kind else ",,,"
        rows.append(f"{file},{kind},{box}")
        write_bytes(folder / file, as_png(picture.astype(np.uint8)))
    write_bytes(folder / "boxes.csv", ("\n".join(rows) + "\n").encode())
    return folder
