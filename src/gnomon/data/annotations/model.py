"""What every format of annotations is read into and written from: pictures, the objects in them, and masks.

Places are continuous pixels of the upright picture, x before y, as in `data/geometry.py`: the pixel in row r and column
c covers the square from (c, r) to (c + 1, r + 1), so a box around one pixel has an area of 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from gnomon.core.example import BadInput
from gnomon.data.source import Tree, listed

IGNORED = -1  # in a mask: pixels that are not judged
CROWD, DIFFICULT, TRUNCATED = 1, 2, 4  # flags of an object, added up

Box = tuple[float, float, float, float]  # left, top, right, bottom


@final
@dataclass(frozen=True, slots=True)
class Polygons:
    """Outlines: the area inside any part, where each part is without its own holes. Each is (K, 2), K >= 3."""

    parts: tuple[np.ndarray, ...]
    holes: tuple[tuple[np.ndarray, ...], ...] = ()  # of each part; empty where no part has any


@final
@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels by run lengths, column by column from the top left, the first run outside the object (COCO's RLE)."""

    height: int
    width: int
    counts: np.ndarray  # (R,) int64, their sum is height * width


Outline = Polygons | Runs


@final
@dataclass(frozen=True, slots=True)
class Details:
    """What only some objects have."""

    outline: Outline | None = None
    points: np.ndarray | None = None  # (K, 3): x, y, and 0 not given, 1 given but hidden, 2 visible
    area: float | None = None  # in pixels, where the data gives one


NO_DETAILS = Details()


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """One annotated picture. `file` is its name in the tree; width and height are of the upright picture."""

    file: str
    width: int
    height: int
    split: str = "all"  # or "train", "dev", "test" where the data has splits
    orientation: int = 1  # EXIF 2.32 tag 0x0112: how the stored pixels are turned to be upright
    mask: str | None = None  # name of the file with a value for each pixel
    group: str | None = None  # pictures of one patient, film or place, where the data says so


@final
@dataclass(frozen=True, slots=True)
class Object:
    """One object, made when somebody looks at it. `label` is its place in `class_names`."""

    label: int
    box: Box
    flags: int = 0
    details: Details = NO_DETAILS

    @property
    def is_crowd(self) -> bool:
        """A group annotated as one, which is neither found nor missed."""
        return bool(self.flags & CROWD)

    @property
    def is_difficult(self) -> bool:
        return bool(self.flags & DIFFICULT)

    @property
    def is_truncated(self) -> bool:
        """Part of it lies outside the picture, or behind something."""
        return bool(self.flags & TRUNCATED)


@final
@dataclass(frozen=True)
class MaskValues:
    """What the stored values of mask files mean: `values[k]` is class k, `ignored` is not judged."""

    values: tuple[int, ...]
    ignored: int | None = None

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """(H, W) stored values, all of them known -> (H, W) int32 classes, or IGNORED."""
        table = np.full(max(*self.values, self.ignored or 0, int(stored.max())) + 1, IGNORED, np.int32)
        table[list(self.values)] = np.arange(len(self.values))
        return table[stored]


@final
@dataclass(frozen=True)
class Annotations:
    """Pictures with their objects, or with masks. Objects lie in columns: 37 bytes each, plus what `details` holds.

    The objects of picture i are the rows from `first[i]` to `first[i + 1]`.
    """

    format: str  # "voc", "coco", "yolo", "boxes table", "landmarks table", "masks"
    tree: Tree
    class_names: tuple[str, ...]
    pictures: Sequence[Picture]
    first: np.ndarray  # (N + 1,) int64
    labels: np.ndarray  # (M,) int32
    boxes: np.ndarray  # (M, 4) float64
    flags: np.ndarray  # (M,) uint8
    details: Mapping[int, Details] = field(default_factory=dict)  # by row; read when asked for
    point_names: tuple[str, ...] = ()
    masks: MaskValues | None = None
    read_mask: Callable[[Picture], np.ndarray] | None = None  # (H, W) int32 classes of the upright picture
    notes: tuple[str, ...] = ()
    repaired: tuple[tuple[str, tuple[str, ...]], ...] = ()  # what was done, and to which files and objects
    bad: tuple[BadInput, ...] = ()  # what was left out, and why

    def objects(self, position: int) -> list[Object]:
        """The objects of one picture, in the order of the data."""
        rows = range(int(self.first[position]), int(self.first[position + 1]))
        return [
            Object(
                int(self.labels[row]),
                tuple(self.boxes[row].tolist()),
                int(self.flags[row]),
                self.details.get(row, NO_DETAILS),
            )
            for row in rows
        ]

    def mask(self, position: int) -> np.ndarray:
        """(H, W) int32: the class of each pixel of the upright picture, IGNORED where it is not judged."""
        if self.read_mask is None:
            raise ValueError("these annotations have no masks")
        return self.read_mask(self.pictures[position])


@final
class Findings:
    """What was repaired and what was left out while reading, each with its file and object."""

    def __init__(self) -> None:
        self.bad: list[BadInput] = []
        self.pictures_out = self.objects_out = 0
        self.notes: list[str] = []
        self._repaired: dict[str, list[str]] = {}

    def repair(self, what: str, where: str) -> None:
        self._repaired.setdefault(what, []).append(where)

    def leave_out_picture(self, where: str, why: str) -> None:
        self.pictures_out += 1
        self.bad.append(BadInput(where, why))

    def leave_out_object(self, where: str, why: str) -> None:
        self.objects_out += 1
        self.bad.append(BadInput(where, why))

    @property
    def repaired(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple((what, tuple(places)) for what, places in sorted(self._repaired.items()))

    def all_notes(self) -> tuple[str, ...]:
        """Notes, then a line for each kind of repair, with its count and first places."""
        return (*self.notes, *(listed(what, places) for what, places in self.repaired))


@final
class Collected:
    """Pictures and objects while a format is read, then `Annotations`."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.details: dict[int, Details] = {}
        self._first, self._labels = array("q", [0]), array("i")
        self._boxes, self._flags = array("d"), array("B")

    def add(self, picture: Picture, objects: Sequence[Object]) -> None:
        for one in objects:
            self.add_object(one.label, one.box, one.flags, one.details)
        self.close(picture)

    def add_object(self, label: int, box: Box, flags: int = 0, details: Details = NO_DETAILS) -> int:
        """Its row. It belongs to the picture that is closed next."""
        row = len(self._labels)
        if details is not NO_DETAILS:
            self.details[row] = details
        self._labels.append(label)
        self._boxes.extend(box)
        self._flags.append(flags)
        return row

    def close(self, picture: Picture) -> None:
        self.pictures.append(picture)
        self._first.append(len(self._labels))

    @property
    def count(self) -> int:
        """Of objects."""
        return len(self._labels)

    def finish(
        self, format_: str, tree: Tree, class_names: Sequence[str], findings: Findings, *,
        details: Mapping[int, Details] | None = None, point_names: Sequence[str] = (),
        masks: MaskValues | None = None, read_mask: Callable[[Picture], np.ndarray] | None = None,
    ) -> Annotations:  # fmt: skip
        return Annotations(
            format_,
            tree,
            tuple(class_names),
            self.pictures,
            np.array(self._first, np.int64),
            np.array(self._labels, np.int32),
            np.array(self._boxes, np.float64).reshape(-1, 4),
            np.array(self._flags, np.uint8),
            self.details if details is None else details,
            tuple(point_names),
            masks,
            read_mask,
            findings.all_notes(),
            findings.repaired,
            tuple(findings.bad),
        )
