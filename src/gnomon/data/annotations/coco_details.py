"""What only some of COCO's objects have: polygons or run lengths, keypoints, an area; parsed when it is asked for."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard, final

import numpy as np

from gnomon.data.annotations.json_lists import decoder
from gnomon.data.annotations.model import Details, Findings, Outline, Picture, Polygons, Runs
from gnomon.data.annotations.outlines import mask_of, runs_of, unpacked
from gnomon.data.annotations.pictures import Size, turned
from gnomon.data.images.decoding import upright

LARGEST = 2**53  # whole numbers from here on are not exact


def is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def real(value: Any) -> float | None:
    """A number as a float; None for what is no number. What is not finite, or too large to be a place, is NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST < value < LARGEST else math.nan


def turned_details(details: Details, turn: int, size: Size) -> Details:
    if turn == 1:
        return details
    outline, points = details.outline, details.points
    if isinstance(outline, Polygons):
        outline = Polygons(tuple(turned(part, turn, size) for part in outline.parts))
    elif isinstance(outline, Runs):
        outline = runs_of(upright(mask_of(outline, outline.height, outline.width), turn))
    if points is not None:
        points = np.column_stack([turned(points[:, :2], turn, size), points[:, 2]])
    return Details(outline, points, details.area)


def details_of(
    entry: Mapping[str, Any], size: tuple[int, int], point_count: int | None, where: str, findings: Findings
) -> Details | None:
    """Its outline, keypoints and area as the file has them; None where these are wrong, which is said."""
    outline: Outline | None = None
    given = entry.get("segmentation")
    if isinstance(given, dict):
        found = _runs(given, size)
        if isinstance(found, str):
            findings.leave_out_object(where, found)
            return None
        outline = found
    elif isinstance(given, list) and given:
        parts = _polygons(given, where, findings)
        if parts is None:
            findings.leave_out_object(where, "a polygon with something that is not a finite number")
            return None
        outline = Polygons(parts) if parts else None
    points = _points(entry.get("keypoints"), point_count)
    if isinstance(points, str):
        findings.leave_out_object(where, points)
        return None
    area = real(entry.get("area"))
    return Details(outline, points, area if area is not None and math.isfinite(area) and area > 0 else None)


def _runs(given: Mapping[str, Any], size: tuple[int, int]) -> Runs | str:
    """Run lengths; or why they are none."""
    width, height = size
    shape, counts = given.get("size"), given.get("counts")
    if shape != [height, width]:
        return f"run lengths for a picture of size {json.dumps(shape)[:50]} (height, width), not [{height}, {width}]"
    if isinstance(counts, str):
        found = unpacked(counts)
    elif isinstance(counts, list) and all(is_whole(one) and one >= 0 for one in counts):
        found = np.array(counts, np.int64)
    else:
        found = None
    if found is None:
        return "run lengths that cannot be read"
    if int(found.sum()) != width * height:
        return f"run lengths of {int(found.sum()):,} pixels in a picture of {width * height:,}"
    return Runs(height, width, found)


def _polygons(given: Sequence[Any], where: str, findings: Findings) -> tuple[np.ndarray, ...] | None:
    """The parts that have an area; None where something is no number."""
    parts = []
    flat = [given] if not isinstance(given[0], list) else given
    for part in flat:
        numbers = [real(one) for one in part] if isinstance(part, list) else [None]
        if any(one is None or not math.isfinite(one) for one in numbers):
            return None
        if len(numbers) % 2 or len(numbers) < 6:
            findings.repair("parts of polygons with under three points, or half a point: dropped", where)
            continue
        parts.append(np.array(numbers, np.float64).reshape(-1, 2))
    if flat is not given:
        findings.repair("a polygon that is not inside a list: taken as its only part", where)
    return tuple(parts)


def _points(given: Any, count: int | None) -> np.ndarray | str | None:
    """(K, 3) keypoints, None for none, or why they are none. `count` None: as many as there are."""
    if given is None or given == []:
        return None
    numbers = [real(one) for one in given] if isinstance(given, list) else []
    if len(numbers) % 3 or not numbers or (count is not None and len(numbers) != 3 * count):
        return f"{len(numbers):,} numbers of keypoints, not 3 for each of {count or 'its'} points"
    if any(one is None or not math.isfinite(one) for one in numbers):
        return "a keypoint that is not a finite number"
    points = np.array(numbers, np.float64).reshape(-1, 3)
    return points if np.isin(points[:, 2], (0, 1, 2)).all() else "a keypoint whose visibility is not 0, 1 or 2"


@final
class LazyDetails(Mapping[int, Details]):
    """The details of objects by row: where they are in which text, parsed when asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._number, self._starts = array("h"), array("q")
        self._sizes: list[Picture] = []  # of the picture of each row: shared, so a reference each
        self._turned: dict[int, Details] = {}

    def add(self, row: int, number: int, start: int, found: Details | None, picture: Picture) -> None:
        assert row == len(self._number)
        self._number.append(number)
        self._starts.append(start)
        self._sizes.append(picture)
        if found is not None:
            self._turned[row] = found

    def __getitem__(self, row: int) -> Details:
        if row in self._turned:
            return self._turned[row]
        start = self._starts[row]
        if start < 0:
            raise KeyError(row)
        entry = decoder.raw_decode(self._texts[self._number[row]], start)[0]
        picture = self._sizes[row]
        found = details_of(entry, (picture.width, picture.height), None, "", Findings())
        assert found is not None  # it was checked when it was read
        return found

    def __iter__(self) -> Iterator[int]:
        return (row for row in range(len(self._number)) if self._starts[row] >= 0)

    def __len__(self) -> int:
        return sum(1 for _ in self)
