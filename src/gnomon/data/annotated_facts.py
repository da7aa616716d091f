"""What annotated pictures are like: their sizes and shapes, how much is on them, and boxes that look like mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from gnomon.data.annotated import AnnotatedExamples
from gnomon.metrics.matching import areas_of

TINY = 4.0  # pixels that a model sees: of a shorter side nothing is left to recognise
HUGE = 0.9  # of the picture's area
TWICE = 0.9  # IoU from which two boxes of a picture are one object that is annotated twice
LONG = 8.0  # times longer than wide, or the other way round
UNUSUAL = 4.0  # times longer or wider than the usual box of its class
QUARTERS = (0, 25, 50, 75, 100)  # percentiles that are shown


@final
@dataclass(frozen=True)
class Doubtful:
    """A box that looks like a mistake."""

    file: str
    number: int  # of the object in its picture, from 1, in the order of the data
    class_name: str
    box: tuple[float, float, float, float]  # left, top, right, bottom
    why: str


@final
@dataclass(frozen=True)
class BoxFacts:
    """Of N pictures with M boxes. Each tuple has the least, the quartiles and the most."""

    widths: tuple[float, ...]  # of the pictures, in pixels
    heights: tuple[float, ...]
    per_picture: tuple[float, ...]  # boxes
    sides: tuple[float, ...]  # of the boxes: the geometric mean of width and height, in pixels
    ratios: tuple[float, ...]  # of the boxes: width by height
    empty: int  # pictures without any box
    doubtful: tuple[Doubtful, ...]


def box_facts(examples: AnnotatedExamples, scales: np.ndarray) -> BoxFacts:
    """`scales` (N,): pixels that a model sees per pixel of each picture."""
    rows, first = examples.boxes()
    sizes, counts = examples.sizes(), np.diff(first)
    sides = np.maximum(rows[:, 2:4] - rows[:, :2], 1e-9)
    return BoxFacts(
        _spread(sizes[:, 1]), _spread(sizes[:, 0]), _spread(counts), _spread(np.sqrt(sides.prod(axis=1))),
        _spread(sides[:, 0] / sides[:, 1]), int((counts == 0).sum()), tuple(_doubtful(examples, rows, first, scales)),
    )  # fmt: skip


def _spread(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.percentile(values, QUARTERS).tolist()) if len(values) else ()


def _doubtful(examples: AnnotatedExamples, rows: np.ndarray, first: np.ndarray, scales: np.ndarray) -> list[Doubtful]:
    """In the order of the data; a box is named once for each reason."""
    picture = np.repeat(np.arange(len(first) - 1), np.diff(first))
    sides = np.maximum(rows[:, 2:4] - rows[:, :2], 1e-9)
    frames = examples.sizes().prod(axis=1)
    ratio = sides[:, 0] / sides[:, 1]
    usual = _usual_ratios(ratio, rows[:, 4])
    reasons = {
        "tiny: {0:.1f} pixels as the model sees it (image_size=...)": (
            sides.min(axis=1) * scales[picture], sides.min(axis=1) * scales[picture] < TINY
        ),
        "huge: {0:.0%} of the picture": (share := sides.prod(axis=1) / frames[picture], share > HUGE),
        "odd shape: {0:.2g} times as wide as high": (
            ratio, (np.abs(np.log(ratio)) > np.log(LONG)) | (np.abs(np.log(ratio / usual)) > np.log(UNUSUAL))
        ),
    }  # fmt: skip
    found = [
        (int(row), text.format(values[row])) for text, (values, odd) in reasons.items() for row in np.flatnonzero(odd)
    ]
    for begin, end in pairwise(first.tolist()):
        found += [(begin + row, why) for row, why in _twice(rows[begin:end], examples.class_names)]
    ids = examples.index["id"]
    return [
        Doubtful(
            ids[int(picture[row])], row - int(first[picture[row]]) + 1, examples.class_names[int(rows[row, 4])],
            tuple(rows[row, :4].tolist()), why,
        )
        for row, why in sorted(found)
    ]  # fmt: skip


def _usual_ratios(ratio: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(M,): the median width by height of each box's class."""
    usual = np.ones(len(ratio))
    for label in np.unique(labels):
        usual[labels == label] = np.median(ratio[labels == label])
    return usual


def _twice(rows: np.ndarray, names: tuple[str, ...]) -> list[tuple[int, str]]:
    """The later one of two boxes of a picture that are nearly the same."""
    places = rows[:, :4]
    low, high = np.maximum(places[:, None, :2], places[:, :2]), np.minimum(places[:, None, 2:], places[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = areas_of(places)
    is_same = shared >= TWICE * np.maximum(areas[:, None] + areas - shared, 1e-9)
    found = []
    for row in np.flatnonzero(np.tril(is_same, -1).any(axis=1)).tolist():
        other = int(np.flatnonzero(is_same[row, :row])[0])
        known = "the same class" if rows[row, 4] == rows[other, 4] else f"class {names[int(rows[other, 4])]}"
        found.append((row, f"nearly the same box as object {other + 1}, of {known}"))
    return found
