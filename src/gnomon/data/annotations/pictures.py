"""The pictures that annotations are about: found by name, measured upright; and boxes made to fit them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import Box, Findings
from gnomon.data.images.decoding import (
    BYTES_PER_PIXEL,
    TURNED,
    UnreadableError,
    decoder_guard,
    is_picture_name,
    measure,
)
from gnomon.data.source import File, Tree, counted, display_name

SPLITS = {
    "train": "train", "training": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
MASK_FOLDERS = frozenset(
    {"mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations", "groundtruth",
     "ground_truth", "gt", "segmentationclass", "segmentationobject", "segmentationclassaug", "annotations_trimaps"}
)  # fmt: skip
ROUNDING = 0.01  # pixels beyond the edge that a rounded number explains: cut, not worth a word
SHOWN_BAD = 3

Size = tuple[int, int, int]  # width and height of the upright picture, its EXIF orientation


@final
class Photos:
    """The pictures of a tree by their names, and their sizes, each read once."""

    def __init__(self, tree: Tree, settings: DataSettings) -> None:
        self._tree, self._settings = tree, settings
        self._sizes: dict[str, Size | str] = {}
        self.files = {file.name: file for file in tree.files if is_picture_name(file.name)}
        self._by_leaf: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self.files:
            leaf = name.rpartition("/")[2]
            self._by_leaf[leaf].append(name)
            if not folders_of(name) & MASK_FOLDERS:
                self._by_stem[leaf.rpartition(".")[0]].append(name)

    def with_stem(self, stem: str, near: str) -> str | None:
        """The picture `stem` with any suffix, outside mask folders: the one whose folders are closest to `near`'s."""
        return _closest(self._by_stem.get(stem, ()), near)

    def with_name(self, path: str, near: str) -> str | None:
        """The picture that the path in an annotation means: the end of the path counts, so moved folders are fine."""
        parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return None
        found = self._by_leaf.get(parts[-1], [])
        best = max((_shared_end(name, parts) for name in found), default=0)
        return _closest([name for name in found if _shared_end(name, parts) == best], near)

    def size(self, name: str) -> Size | str:
        """Its size; or why it cannot be read."""
        if name not in self._sizes:
            self._sizes[name] = self._measured(self.files[name])
        return self._sizes[name]

    def was_measured(self, name: str) -> bool:
        """Whether an annotation has asked for it."""
        return name in self._sizes

    def _measured(self, file: File) -> Size | str:
        if file.size > BYTES_PER_PIXEL * self._settings.max_pixels:
            return f"{file.size:,} bytes, more than max_pixels={self._settings.max_pixels:,} allows"
        with decoder_guard(self._settings.max_pixels):
            try:
                height, width, orientation = measure(
                    self._tree.read(file.name), file.name, max_pixels=self._settings.max_pixels
                )
            except UnreadableError as error:
                return error.why
        return width, height, orientation


def folders_of(name: str) -> set[str]:
    return {part.lower() for part in name.split("/")[:-1]}


def split_of(name: str) -> str:
    """The split that the folders of a file name, from the top; "all" if none does."""
    return next((SPLITS[part.lower()] for part in name.split("/")[:-1] if part.lower() in SPLITS), "all")


def _closest(names: Sequence[str], near: str) -> str | None:
    """Of several pictures, the one that shares most folders with `near`; None where there is none, or a tie."""
    if len(names) <= 1:
        return names[0] if names else None
    wanted = near.split("/")[:-1]
    ranked = sorted(((_shared_start(name.split("/")[:-1], wanted), name) for name in names), reverse=True)
    return ranked[0][1] if ranked[0][0] > ranked[1][0] else None


def _shared_start(one: Sequence[str], two: Sequence[str]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _shared_end(name: str, parts: Sequence[str]) -> int:
    return _shared_start(name.split("/")[::-1], parts[::-1])


def turn_for(stated: tuple[int, int] | None, size: Size, where: str, findings: Findings) -> int | str:
    """How to turn places of an annotation so that they fit the upright picture: an EXIF orientation, 1 for not at all.

    `stated` is the width and height that the annotation gives its picture. Returns why, where they belong to another
    picture. A size of 0 says nothing.
    """
    width, height, orientation = size
    if stated is None or stated == (width, height):
        return 1
    if 0 in stated:
        findings.repair("a stated size of 0: taken from the picture", where)
        return 1
    if orientation >= TURNED and stated == (height, width):
        findings.repair("places in the picture as stored: turned upright as EXIF says", where)
        return orientation
    return f"says {stated[0]:,} x {stated[1]:,} pixels, the picture has {width:,} x {height:,}"


def turned(points: np.ndarray, orientation: int, size: Size) -> np.ndarray:
    """(K, 2) places of the stored picture -> places of the upright one, whose size is given."""
    height, width = size[:2] if orientation >= TURNED else (size[1], size[0])  # of the stored picture
    x, y = points[:, 0], points[:, 1]
    places = {
        2: (width - x, y), 3: (width - x, height - y), 4: (x, height - y), 5: (y, x), 6: (height - y, x),
        7: (height - y, width - x), 8: (y, width - x),
    }  # fmt: skip
    return np.stack(places[orientation], 1) if orientation in places else points


def turned_box(box: Box, orientation: int, size: Size) -> Box:
    if orientation == 1:
        return box
    corners = turned(np.array(box).reshape(2, 2), orientation, size)
    left, top = corners.min(0).tolist()
    right, bottom = corners.max(0).tolist()
    return left, top, right, bottom


def fitted(box: Box, size: tuple[int, int], where: str, findings: Findings) -> Box | None:
    """The part of a box that lies in its picture; None, and said, where it is no box or none of it does."""
    if not all(map(math.isfinite, box)):
        findings.leave_out_object(where, "a box with a corner that is not a finite number")
        return None
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        findings.leave_out_object(where, f"a box without area ({right - left:g} x {bottom - top:g} pixels)")
        return None
    width, height = size
    cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        shown = ", ".join(f"{edge:g}" for edge in box)
        findings.leave_out_object(where, f"a box outside of its picture ({shown} in {width:,} x {height:,} pixels)")
        return None
    if max(abs(a - b) for a, b in zip(cut, box, strict=True)) > ROUNDING:
        findings.repair("boxes that reach out of the picture: cut at its edge", where)
    return cut


def check_left_out(findings: Findings, pictures: int, objects: int, origin: str, settings: DataSettings) -> None:
    """Raises DataError when more than `max_bad` of the pictures or of the objects were left out, or all pictures."""
    for count, total, noun in (
        (findings.pictures_out, pictures + findings.pictures_out, "picture"),
        (findings.objects_out, objects + findings.objects_out, "object"),
    ):
        if count > settings.max_bad * total or (noun == "picture" and count == total):
            share = count / max(total, 1)
            raise DataError(
                f"{count:,} of {counted(total, noun)} cannot be used ({share:.1%}; max_bad allows "
                f"{settings.max_bad:.1%}): {_shown(findings)}.",
                where=origin,
                fix=f"repair or remove them, or continue without them: max_bad={min(1.0, share + 0.005):.2f}.",
            )


def _shown(findings: Findings) -> str:
    more = f" and {len(findings.bad) - SHOWN_BAD:,} more" if len(findings.bad) > SHOWN_BAD else ""
    return ", ".join(f"{one.where} ({one.why})" for one in findings.bad[:SHOWN_BAD]) + more


def shown_names(names: Iterable[str]) -> str:
    return ", ".join(display_name(name) for name in sorted(names))
