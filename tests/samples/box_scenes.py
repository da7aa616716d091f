"""Pictures with boxes that have known faults in their labels, and the answers of a detector with known noise."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

NAMES = ("red", "white", "platelet")
SIDES = {"red": 40.0, "white": 70.0, "platelet": 14.0}
HEIGHT, WIDTH = 240, 320
MISSING, CLASS, LOOSE = "missing label", "wrong class", "loose box"
LEAST_SHIFT, MOST_SHIFT = 0.2, 0.4  # of a side: an IoU of about .66 to .33 where one side is moved


@dataclass(frozen=True)
class Detector:
    """How it errs, as shares of the objects."""

    misplaced: float  # standard deviation of a side's place, of the side
    missed: float
    confused: float
    invented: float


GOOD, FAIR = Detector(0.03, 0.03, 0.02, 0.1), Detector(0.06, 0.1, 0.06, 0.3)


@dataclass(frozen=True)
class Planted:
    """A table of predictions, and what is wrong with its labels: (picture, kind, box, class) of the truth."""

    table: pl.DataFrame
    faults: tuple[tuple[int, str, np.ndarray, str], ...]


def scene(rng: np.random.Generator) -> list[tuple[np.ndarray, str]]:
    found = []
    for _ in range(int(rng.integers(2, 9))):
        name = str(rng.choice(NAMES, p=(0.6, 0.25, 0.15)))
        side = SIDES[name] * rng.uniform(0.8, 1.25, 2)
        corner = rng.uniform(0, [WIDTH, HEIGHT] - side)
        found.append((np.r_[corner, corner + side], name))
    return found


def answers(objects: list[tuple[np.ndarray, str]], detector: Detector, rng: np.random.Generator) -> list[list]:
    """Right ones have scores around .85, wrong ones around .2, with tails into each other."""
    found = []
    for box, name in objects:
        if rng.random() < detector.missed:
            continue
        side = np.tile(box[2:] - box[:2], 2)
        said = name if rng.random() >= detector.confused else other(name, rng)
        found.append((box + rng.normal(0, detector.misplaced, 4) * side, said, rng.beta(8, 1.5)))
        if rng.random() < 0.05:
            found.append((box + rng.normal(0, 2 * detector.misplaced, 4) * side, name, rng.beta(2, 4)))
    for _ in range(int(rng.poisson(detector.invented * len(objects)))):
        corner = rng.uniform(0, [WIDTH - 20, HEIGHT - 20])
        found.append((np.r_[corner, corner + rng.uniform(10, 60, 2)], str(rng.choice(NAMES)), rng.beta(1.5, 6)))
    return [[*box.round(2).tolist(), said, round(float(score), 4)] for box, said, score in found]


def other(name: str, rng: np.random.Generator) -> str:
    return str(rng.choice([one for one in NAMES if one != name]))


def planted(pictures: int, share: float, detector: Detector, seed: int = 0) -> Planted:
    """`share` of the labels is left out, as many have another class, as many lie beside their objects."""
    rng = np.random.default_rng(seed)
    rows, faults = [], []
    for picture in range(pictures):
        objects, labels = scene(rng), []
        for box, name in objects:
            fault = rng.choice([MISSING, CLASS, LOOSE, ""], p=[share, share, share, 1 - 3 * share])
            if fault:
                faults.append((picture, str(fault), box, name))
            if fault == MISSING:
                continue
            side = np.tile(box[2:] - box[:2], 2)
            shift = np.tile(rng.choice([-1, 1], 2) * rng.uniform(LEAST_SHIFT, MOST_SHIFT, 2), 2) * side
            drawn = box + (shift if fault == LOOSE else rng.normal(0, 0.01, 4) * side)
            labels.append([*drawn.round(2).tolist(), other(name, rng) if fault == CLASS else name, ""])
        rows.append((labels, answers(objects, detector, rng)))
    return Planted(table_of(rows), tuple(faults))


def table_of(rows: list[tuple[list, list]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"{place}.png" for place in range(len(rows))],
            "target": [json.dumps(labels) for labels, _ in rows],
            "prediction": [json.dumps(said) for _, said in rows],
            "width": [float(WIDTH)] * len(rows),
            "height": [float(HEIGHT)] * len(rows),
        }
    )
