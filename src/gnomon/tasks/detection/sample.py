"""A tiny set to detect in: bright discs and squares on noise, as Pascal VOC lays it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnomon.core.seeds import generator
from gnomon.data.images import as_png
from gnomon.runs.writer import write_bytes

PICTURES, SIDE = 24, 48  # of them; pixels per side
SMALLEST, LARGEST = 10, 20  # pixels, sides of a box
MOST = 3  # objects in a picture
BRIGHT, DARK = 230, 90  # the least of an object, the most of the noise


def write_sample(folder: Path, seed: int) -> Path:
    """Twenty-four 48x48 pictures with up to three discs and squares each; the last is truly empty."""
    rng = generator(seed, "sample")
    for number in range(PICTURES):
        picture, objects = scene(rng, 0 if number == PICTURES - 1 else int(rng.integers(1, MOST + 1)))
        write_bytes(folder / "JPEGImages" / f"{number:02d}.png", as_png(picture))
        text = "".join(_object(*one) for one in objects)
        size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>1</depth></size>"
        page = f"<annotation><filename>{number:02d}.png</filename>{size}{text}</annotation>\n"
        write_bytes(folder / "Annotations" / f"{number:02d}.xml", page.encode())
    return folder


def scene(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[tuple[str, int, int, int, int]]]:
    """(SIDE, SIDE) uint8, and the class, left, top, right, bottom of at most `count` objects that do not touch."""
    picture = rng.integers(0, DARK, (SIDE, SIDE), dtype=np.uint8)
    down, across = np.mgrid[:SIDE, :SIDE] + 0.5
    is_taken = np.zeros((SIDE, SIDE), bool)
    objects = []
    for _ in range(count):
        side = int(rng.integers(SMALLEST, LARGEST + 1))
        left, top = (int(place) for place in rng.integers(0, SIDE - side + 1, 2))
        if is_taken[top : top + side, left : left + side].any():
            continue
        is_taken[top : top + side, left : left + side] = True
        name = ("disc", "square")[int(rng.integers(2))]
        inside = (across > left) & (across < left + side) & (down > top) & (down < top + side)
        if name == "disc":
            inside &= np.hypot(across - left - side / 2, down - top - side / 2) <= side / 2
        picture[inside] = rng.integers(BRIGHT, 256)
        objects.append((name, left, top, left + side, top + side))
    return picture, objects


def _object(name: str, left: int, top: int, right: int, bottom: int) -> str:
    """Corners of Pascal VOC count from 1 and are inclusive."""
    sides = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
