"""Real signals and volumes as .npz files: `python benchmarks/grid_sets.py FOLDER`, then as the last lines say.

Signals: Japanese vowels, nine speakers, from the files of the package aeon (BSD-3), which is not imported. Volumes:
cubes of 8 slices, 32x32 pixels, around a place of the electron-microscope stack in $GNOMON_DATA/membrane that is on a
membrane or inside a cell. Cubes of train, dev and test come from columns 0-319, 320-415 and 416-511 of the stack: none
overlaps one of another split.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

COLUMNS = {"train": (0, 320, 600), "dev": (320, 416, 300), "test": (416, 512, 300)}  # from, to, cubes
DRAWN = {"train": 1_200, "dev": 500, "test": 500}  # of which the first are kept


def vowels(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(640, 12, 25) signals and their speakers, in the order of the two files."""
    lines = [
        line
        for part in ("TRAIN", "TEST")
        for line in (folder / f"JapaneseVowels_eq_{part}.ts").read_text().splitlines()
        if line.strip() and line[0] not in "@#%"
    ]
    rows = [line.split(":") for line in lines]
    inputs = [[[float(value) for value in channel.split(",")] for channel in row[:-1]] for row in rows]
    return np.array(inputs, np.float32), np.array([row[-1].strip() for row in rows])


def cubes(folder: Path) -> dict[str, np.ndarray]:
    """As many cubes around membranes as around the insides of cells, in each split."""
    stack, inside = (
        np.stack([np.array(Image.open(folder / kind / f"{i}.png").convert("L")) for i in range(30)])
        for kind in ("images", "masks")
    )
    rng, found = np.random.default_rng(0), {}
    for split, (first, end, kept) in COLUMNS.items():
        inputs: list[np.ndarray] = []
        while len(inputs) < DRAWN[split]:
            z, y = int(rng.integers(4, 27)), int(rng.integers(16, 497))
            x = int(rng.integers(first + 16, end - 15))
            if (inside[z, y, x] > 127) == (len(inputs) % 2 == 1):
                inputs.append(stack[z - 4 : z + 4, y - 16 : y + 16, x - 16 : x + 16])
        found[f"x_{split}"] = np.stack(inputs[:kept])
        found[f"y_{split}"] = np.array(["membrane", "inside"] * (kept // 2))
    return found


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    spec = importlib.util.find_spec("aeon")
    if spec is not None and spec.submodule_search_locations:
        inputs, speakers = vowels(Path(spec.submodule_search_locations[0]) / "datasets/data/JapaneseVowels")
        np.savez(out / "vowels.npz", x=inputs, y=speakers)
        print(f"for seed in 0 1 2; do gnomon fit {out}/vowels.npz layout=NCT seed=$seed; done")
    np.savez(out / "membrane.npz", **cubes(Path(os.environ["GNOMON_DATA"]) / "membrane"))
    print(f"for seed in 0 1 2; do gnomon fit {out}/membrane.npz layout=NDHW seed=$seed; done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
