"""Faces drawn with points that are known exactly: heads turned in space, expressions, light, clutter."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gnomon.core.seeds import generator
from gnomon.data.images import as_png
from gnomon.runs.writer import write_bytes

FINER = 4  # pixels drawn per side of a pixel kept: edges come out smooth
SAMPLE, SAMPLE_SIDE = 32, 32  # pictures of the tiny data set, and their pixels per side
HIDDEN = 0.15  # of the faces have something in front of them; points under it are not given
SKINS = np.array([[255, 224, 196], [241, 194, 150], [214, 160, 110], [160, 108, 70], [104, 66, 44]], float)

# Where things are on a head that looks ahead: x to the right, y down, z towards the viewer; half its width is 1.
POINTS = {
    "left_eye": (-0.40, -0.18, 0.82), "right_eye": (0.40, -0.18, 0.82),  # of the picture's left and right
    "left_brow": (-0.44, -0.45, 0.85), "right_brow": (0.44, -0.45, 0.85),
    "nose": (0.0, 0.20, 1.22),
    "left_mouth": (-0.32, 0.62, 0.78), "right_mouth": (0.32, 0.62, 0.78),
    "chin": (0.0, 1.12, 0.72),
}  # fmt: skip
HEAD = (1.0, 1.28)  # half width and half height of the outline


def write_faces(folder: Path, seed: int, count: int, side: int) -> Path:
    """`count` PNG files of `side` x `side` pixels and landmarks.csv, the same for the same seed; returns the folder."""
    names = [f"{name}_{axis}" for name in POINTS for axis in "xy"]
    rows = [",".join(["file", *names])]
    for number in range(count):
        pixels, points = draw_face(generator(seed, "face", str(number)), side)
        file = f"pictures/{number:04d}.png"
        cells = ("" if math.isnan(value) else f"{value:.2f}" for value in points.ravel().tolist())
        rows.append(",".join([file, *cells]))
        write_bytes(folder / file, as_png(pixels))
    write_bytes(folder / "landmarks.csv", ("\n".join(rows) + "\n").encode())
    return folder


def sample(folder: Path, seed: int) -> Path:
    """The tiny data set of the task."""
    return write_faces(folder, seed, SAMPLE, SAMPLE_SIDE)


def draw_face(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) uint8, and (P, 2) places in the order of POINTS, NaN for those that are hidden."""
    canvas = Image.fromarray(_backdrop(rng, side * FINER))
    head = _Head(rng, side * FINER)
    _paint(ImageDraw.Draw(canvas), head, rng)
    points = np.stack([head.place(where) for where in head.points.values()])
    if rng.random() < HIDDEN:
        points = _hide(ImageDraw.Draw(canvas), points, head, rng)
    picture = np.asarray(canvas.resize((side, side), Image.Resampling.BOX)).astype(float)
    picture = _lit(picture, rng) + rng.normal(0, rng.uniform(0, 8), picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), points / FINER


class _Head:
    """A head somewhere in the picture, turned in space, with an expression of its own."""

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        yaw, pitch, roll = np.deg2rad(rng.normal(0, [18, 9, 10]).clip([-40, -20, -25], [40, 20, 25]))
        self.turn = _rotation(yaw, pitch, roll)
        self.size = side * rng.uniform(0.19, 0.30)  # pixels of half the head's width
        room = side / 2 - 1.05 * self.size
        self.middle = side / 2 + rng.uniform(-1, 1, 2) * [room, max(room - 0.3 * self.size, 0)]
        self.roll = roll
        self.smile, self.open = rng.uniform(-0.10, 0.12), max(0.0, rng.uniform(-0.12, 0.22))
        self.eyelids, self.brows = rng.uniform(0.35, 1.0), rng.uniform(-0.05, 0.10)
        self.points = {name: np.array(where, float) for name, where in POINTS.items()}
        spread, longer = rng.normal(1, 0.06), rng.normal(1, 0.06)  # faces differ
        for name, where in self.points.items():
            where *= [spread, longer, 1]
            if "brow" in name:
                where[1] -= self.brows
            if "mouth" in name:
                where[1] -= self.smile
                where[0] *= 1 + self.smile
            if name == "chin":
                where[1] += 0.5 * self.open

    def place(self, where: np.ndarray | tuple[float, float, float]) -> np.ndarray:
        """(2,) pixels of a place on the head; nearer things are larger."""
        x, y, z = self.turn @ np.asarray(where, float)
        return self.middle + self.size * np.array([x, y]) / (1 - 0.12 * z)

    def around(self, where: np.ndarray, width: float, height: float, steps: int = 24) -> list[tuple[float, float]]:
        """An ellipse on the head, in head widths, seen as it is turned."""
        angles = np.linspace(0, 2 * math.pi, steps, endpoint=False)
        ring = [where + np.array([width * math.cos(a), height * math.sin(a), 0]) for a in angles]
        return [(float(x), float(y)) for x, y in map(self.place, ring)]


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    (a, b), (c, d), (e, f) = ((math.cos(angle), math.sin(angle)) for angle in (yaw, pitch, roll))
    about_y = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
    about_x = np.array([[1, 0, 0], [0, c, -d], [0, d, c]])
    about_z = np.array([[e, -f, 0], [f, e, 0], [0, 0, 1]])
    turned: np.ndarray = about_z @ about_x @ about_y
    return turned


def _backdrop(rng: np.random.Generator, side: int) -> np.ndarray:
    """(side, side, 3) uint8: a slope of colour with shapes on it."""
    ends = rng.uniform(0, 255, (2, 3))
    angle = rng.uniform(0, 2 * math.pi)
    down, across = np.mgrid[:side, :side] / side
    slope = (np.cos(angle) * across + np.sin(angle) * down)[..., None]
    slope = (slope - slope.min()) / (slope.max() - slope.min())
    picture = Image.fromarray((ends[0] * (1 - slope) + ends[1] * slope).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(2, 12))):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        x, y = rng.uniform(-0.1, 1, 2) * side
        width, height = rng.uniform(0.03, 0.35, 2) * side
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=colour)
    return np.asarray(picture)


def _paint(draw: ImageDraw.ImageDraw, head: _Head, rng: np.random.Generator) -> None:
    skin = SKINS[rng.integers(len(SKINS))] * rng.uniform(0.85, 1.08) + rng.normal(0, 6, 3)
    hair, lips = rng.uniform(10, 190) * np.array([1.0, 0.8, 0.6]), skin * [0.85, 0.5, 0.5]
    line = max(1, round(0.06 * head.size))
    x, y = head.middle
    neck = [(x - 0.45 * head.size, y), (x + 0.45 * head.size, y)]
    below = [(x + 0.55 * head.size, y + 3 * head.size), (x - 0.55 * head.size, y + 3 * head.size)]
    draw.polygon([*neck, *below], fill=_colour(skin * 0.85))
    back = np.array([0.0, -0.12, -0.3])
    draw.polygon(
        head.around(back, HEAD[0] * rng.uniform(1.08, 1.3), HEAD[1] * rng.uniform(1.0, 1.25)), fill=_colour(hair)
    )
    for ear in (-1, 1):
        draw.polygon(head.around(np.array([ear * 0.98, 0.0, 0.0]), 0.14, 0.24), fill=_colour(skin * 0.9))
    draw.polygon(head.around(np.array([0.0, 0.0, 0.1]), *HEAD, steps=40), fill=_colour(skin))
    for where in (head.points["left_eye"], head.points["right_eye"]):
        draw.polygon(head.around(where, 0.20, 0.12 * head.eyelids), fill=(245, 245, 245))
        draw.polygon(
            head.around(where, 0.085, 0.085 * min(1.0, head.eyelids * 1.2)), fill=_colour(rng.uniform(0, 90, 3))
        )
    glasses = rng.random() < 0.2
    for name in ("left", "right"):
        brow, outward = head.points[f"{name}_brow"], -1 if name == "left" else 1
        ends = brow + np.array([[0.20 * outward, 0.05, -0.05], [0, 0, 0], [-0.20 * outward, 0.02, 0]])
        draw.line([tuple(head.place(end)) for end in ends], fill=_colour(hair * 0.7), width=2 * line)
        if glasses:
            ring = head.around(head.points[f"{name}_eye"], 0.29, 0.23)
            draw.line([*ring, ring[0]], fill=(25, 25, 30), width=line)
    nose = head.points["nose"]
    bridge = nose + np.array([[0.06, -0.32, -0.32], [0.13, 0.03, -0.2], [-0.10, 0.05, -0.2]])
    draw.line([tuple(head.place(one)) for one in bridge], fill=_colour(skin * 0.72), width=line)
    draw.polygon(head.around(nose, 0.07, 0.05), fill=_colour(skin * 1.12))
    left, right = head.points["left_mouth"], head.points["right_mouth"]
    middle = (left + right) / 2 + (0, head.smile, 0.12)
    upper, lower = middle + np.array([[0, -0.04, 0], [0, 0.05 + head.open, 0]])
    mouth = [tuple(head.place(one)) for one in (left, upper, right, lower)]
    draw.polygon(mouth, fill=_colour(np.array([60, 20, 20]) if head.open > 0.08 else lips))
    draw.line([*mouth, mouth[0]], fill=_colour(lips), width=line)


def _hide(
    draw: ImageDraw.ImageDraw, points: np.ndarray, head: _Head, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Something round in front of one of the points; what it covers is NaN."""
    x, y = points[rng.integers(len(points))] + rng.normal(0, 0.15 * head.size, 2)
    reach = head.size * rng.uniform(0.25, 0.5)
    draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=_colour(rng.uniform(0, 255, 3)))
    covered = np.hypot(*(points - (x, y)).T) < reach
    return np.where(covered[:, None], np.nan, points)


def _lit(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side, and more or less of it."""
    side = len(picture)
    angle, depth = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.5)
    down, across = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    slope = (np.cos(angle) * across + np.sin(angle) * down)[..., None]
    lit: np.ndarray = picture * rng.uniform(0.6, 1.15) * (1 - depth * slope)
    return lit


def _colour(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(values, 0, 255))
