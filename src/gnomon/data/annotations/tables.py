"""Boxes and points in a table beside the photos: boxes.csv with a row per object, landmarks.csv with one per picture.

Places are continuous pixels from 0 at the left and top edge: a box over a whole picture of 40 x 30 is 0, 0, 40, 30.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import (
    CROWD,
    DIFFICULT,
    NO_DETAILS,
    TRUNCATED,
    Annotations,
    Box,
    Collected,
    Details,
    Findings,
    Object,
    Picture,
)
from gnomon.data.annotations.pictures import SPLITS, Photos, Size, check_left_out, fitted, turn_for, turned_box
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.source import Tree, counted, display_name, first_names, listed

MOST_BYTES = 500_000_000
FILE = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "img", "picture", "photo")
CLASS = ("class", "label", "class_name", "name", "category", "kind")
CORNERS = (
    ("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
)  # fmt: skip
SIZES = (("left", "top", "width", "height"), ("x", "y", "width", "height"), ("x", "y", "w", "h"),
         ("bbox_x", "bbox_y", "bbox_w", "bbox_h"))  # fmt: skip
STATED = (("image_width", "image_height"), ("width", "height"))
FLAGS = {"crowd": CROWD, "iscrowd": CROWD, "difficult": DIFFICULT, "truncated": TRUNCATED}
_TRUE, _FALSE = ("1", "true", "yes"), ("", "0", "false", "no")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)


@dataclass(frozen=True)
class _Rows:
    """A text table as cells; `lines` says where each row is."""

    name: str
    columns: tuple[str, ...]  # in lower case
    cells: list[list[str]]
    lines: list[int]

    def where(self, row: int) -> str:
        return f"{display_name(self.name)} line {self.lines[row]}"

    def column(self, usual: Sequence[str]) -> int | None:
        return next((self.columns.index(name) for name in usual if name in self.columns), None)


@dataclass(frozen=True)
class _Boxes:
    """Which columns of a table hold boxes."""

    file: int
    label: int
    corners: tuple[int, ...]
    is_size: bool  # left, top, width, height
    stated: tuple[int, ...]  # the picture's width and height; empty if it has none


@dataclass(frozen=True)
class _Points:
    """Which columns hold points."""

    file: int
    label: int | None
    names: tuple[str, ...]
    columns: tuple[tuple[int, int, int | None], ...]  # x, y and, where there is one, visibility


def looks_like_table(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1) that a CSV beside the photos has boxes or points; and why. Reads its first line."""
    found = _tables(tree)
    if not found:
        return 0.0, "no table with a column of files and columns of boxes or points"
    pictures = sum(is_picture_name(file.name) for file in tree.files)
    what = "boxes" if isinstance(found[0][1], _Boxes) else "points"
    return (0.93 if pictures else 0.0), f"{display_name(found[0][0])} with columns of {what}"


def read_table(tree: Tree, settings: DataSettings) -> Annotations:
    """Every picture that the table names. A row with a file alone is a picture without objects.

    Raises DataError for rows of another width, and where too much cannot be used.
    """
    found = _tables(tree)
    if len(found) != 1:
        what = f"several tables of boxes or points: {first_names([name for name, _ in found])}." if found else (
            "no table with a column of files and columns of boxes or points."
        )  # fmt: skip
        raise DataError(what, where=tree.origin, fix="keep one table, with columns such as file, class, left, top.")
    name, meaning = found[0]
    rows = _cells(name, tree.read(name))
    findings, photos = Findings(), Photos(tree, settings)
    pictures, by_row = _pictures(rows, meaning.file, photos, findings)
    split, group = rows.column(("split",)), _group_column(rows, settings)
    made: dict[str, list[tuple[str, Box, int, Details]]] = {file: [] for file in pictures}
    splits: dict[str, str] = {}
    groups: dict[str, str] = {}
    for row, file in by_row.items():
        size = pictures[file]
        if split is not None:
            splits[file] = _split(rows, row, split, splits.get(file))
        if group is not None:
            groups[file] = _group(rows, row, group, groups.get(file))
        one = (
            _box(rows, row, meaning, size, findings)
            if isinstance(meaning, _Boxes)
            else _point_set(rows, row, meaning, size, findings)
        )
        if one is not None:
            made[file].append(one)
    class_names = tuple(sorted({one[0] for objects in made.values() for one in objects}))
    numbers = {label: number for number, label in enumerate(class_names)}
    collected = Collected()
    for file, objects in made.items():
        width, height, orientation = pictures[file]
        collected.add(
            Picture(file, width, height, splits.get(file, "all"), orientation, group=groups.get(file)),
            [Object(numbers[label], box, flags, details) for label, box, flags, details in objects],
        )
    bare = sorted(set(photos.files) - {file for file in photos.files if photos.was_measured(file)})
    if bare:
        findings.notes.append(listed("pictures that the table does not name, left out", bare))
    check_left_out(findings, len(made), collected.count, tree.origin, settings)
    points = meaning.names if isinstance(meaning, _Points) else ()
    form = "boxes" if isinstance(meaning, _Boxes) else "landmarks"
    return collected.finish(form, tree, class_names, findings, point_names=points)


# --- the table -------------------------------------------------------------------------------------------------------
def _tables(tree: Tree) -> list[tuple[str, _Boxes | _Points]]:
    found = []
    for file in tree.files:
        if file.name.lower().endswith((".csv", ".tsv")) and 0 < file.size <= MOST_BYTES:
            meaning = _meaning(_columns(_text(file.name, tree.read(file.name)[:100_000], cut=True)))
            if meaning is not None:
                found.append((file.name, meaning))
    return found


def _text(name: str, content: bytes, *, cut: bool = False) -> str:
    try:
        return content.decode("utf-8-sig", "ignore" if cut else "strict")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"line {line} is not UTF-8.", where=display_name(name), fix="save it as UTF-8.") from None


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _columns(text: str) -> tuple[str, ...]:
    first = next(csv.reader([text.partition("\n")[0].rstrip("\r")], delimiter=_delimiter(text)), [])
    return tuple(cell.strip().lower() for cell in first)


def _cells(name: str, content: bytes) -> _Rows:
    """Raises DataError, with the line, for a row that has more or fewer cells than there are columns."""
    text = _text(name, content)
    columns = _columns(text)
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(f"column {first_names(twice)} is there twice.", where=display_name(name), fix="rename one.")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text), strict=True)
    cells, lines = [], []
    try:
        for row in reader:
            if reader.line_num == 1 or not any(cell.strip() for cell in row):
                continue
            if len(row) != len(columns):
                raise DataError(
                    f"line {reader.line_num} has {counted(len(row), 'cell')}, and there are {len(columns)} columns.",
                    where=display_name(name), fix="correct that line.",
                )  # fmt: skip
            cells.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num}: {error}.", where=display_name(name), fix="correct that line."
        ) from None
    return _Rows(name, columns, cells, lines)


def _meaning(columns: tuple[str, ...]) -> _Boxes | _Points | None:
    """What the columns hold: boxes need a class beside them, points are x1, y1, x2, y2 ... or NAME_x, NAME_y."""
    rows = _Rows("", columns, [], [])
    file, label = rows.column(FILE), rows.column([name for name in CLASS if name in columns and name not in FILE])
    if file is None:
        return None
    corners = next((names for names in (*CORNERS, *SIZES) if set(names) <= set(columns)), None)
    points = _point_columns(columns)
    has_more_points = corners == CORNERS[3] and len(points) > 2
    if corners is not None and label is not None and not has_more_points:
        stated = next((pair for pair in STATED if set(pair) <= set(columns) - set(corners)), ())
        places = tuple(columns.index(name) for name in corners)
        return _Boxes(file, label, places, corners in SIZES, tuple(columns.index(name) for name in stated))
    if points:
        return _Points(file, label, tuple(points), tuple(points.values()))
    return None


def _point_columns(columns: Sequence[str]) -> dict[str, tuple[int, int, int | None]]:
    """{point: its columns}: x1, y1 is point "1"; left_eye_x, left_eye_y is "left_eye"; v1 or NAME_v is visibility."""
    at = {name: place for place, name in enumerate(columns)}
    found = {}
    for name in columns:
        numbered, named = re.fullmatch(r"x_?(\d+)", name), re.fullmatch(r"(.+)_x", name)
        if numbered and (f"y{numbered[1]}" in at or f"y_{numbered[1]}" in at):
            y = at[f"y{numbered[1]}"] if f"y{numbered[1]}" in at else at[f"y_{numbered[1]}"]
            found[numbered[1]] = (at[name], y, at.get(f"v{numbered[1]}"))
        elif named and f"{named[1]}_y" in at:
            found[named[1]] = (at[name], at[f"{named[1]}_y"], at.get(f"{named[1]}_v"))
    return found


# --- rows ------------------------------------------------------------------------------------------------------------
def _pictures(
    rows: _Rows, column: int, photos: Photos, findings: Findings
) -> tuple[dict[str, Size], dict[int, str]]:  # fmt: skip
    """{picture: its size} in the order of the table, and {row: its picture} of those that can be used."""
    sizes: dict[str, Size] = {}
    by_row: dict[int, str] = {}
    refused: set[str] = set()
    for row, cells in enumerate(rows.cells):
        name = cells[column]
        if name in refused:
            continue
        file = photos.with_name(name, rows.name) if not name.startswith(("/", "\\")) and ".." not in name else None
        why = f"{display_name(name)[:200] or 'no file'} is not in the folder" if file is None else photos.size(file)
        if isinstance(why, str):
            refused.add(name)
            findings.leave_out_picture(rows.where(row), why)
        elif file is not None:
            sizes[file], by_row[row] = why, file
    return sizes, by_row


def _split(rows: _Rows, row: int, column: int, before: str | None) -> str:
    text = rows.cells[row][column].lower()
    if text not in SPLITS or before not in (None, SPLITS[text]):
        why = (
            f"is not train, dev or test: {display_name(text)[:50]!r}" if text not in SPLITS else f"was {before} before"
        )
        raise DataError(f"the split {why}.", where=rows.where(row), fix="give each picture one split.")
    return SPLITS[text]


def _group_column(rows: _Rows, settings: DataSettings) -> int | None:
    if settings.group is None:
        return None
    wanted = settings.group.strip().lower()
    if wanted not in rows.columns:
        raise DataError(
            f"there is no column {settings.group}; there are {', '.join(rows.columns)}.", where=display_name(rows.name),
            fix="group=... names one of them.",
        )  # fmt: skip
    return rows.columns.index(wanted)


def _group(rows: _Rows, row: int, column: int, before: str | None) -> str:
    text = rows.cells[row][column]
    if not text or before not in (None, text):
        why = "is empty" if not text else f"was {display_name(before or '')[:50]} before"
        raise DataError(
            f"the group ({rows.columns[column]}) {why}.", where=rows.where(row), fix="give each picture one group."
        )
    return text


def _box(
    rows: _Rows, row: int, meaning: _Boxes, size: Size, findings: Findings
) -> tuple[str, Box, int, Details] | None:  # fmt: skip
    cells, where = rows.cells[row], rows.where(row)
    given = [cells[place] for place in meaning.corners]
    label = cells[meaning.label]
    if not any(given) and not label:
        return None  # a picture without objects
    if not label:
        findings.leave_out_object(where, "a box without a class")
        return None
    numbers = _numbers(given, where, findings)
    if numbers is None:
        return None
    left, top, right, bottom = numbers
    if meaning.is_size:
        right, bottom = left + right, top + bottom
    elif right < left or bottom < top:
        findings.repair("corners the wrong way round: exchanged", where)
        left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    turn = _turn(cells, meaning.stated, size, where, findings)
    if turn is None:
        return None
    box = fitted(turned_box((left, top, right, bottom), turn, size), size[:2], where, findings)
    return None if box is None else (display_name(label), box, _flags(rows, row, findings), NO_DETAILS)


def _turn(
    cells: Sequence[str], columns: Sequence[int], size: Size, where: str, findings: Findings
) -> int | None:  # fmt: skip
    texts = [cells[place] for place in columns]
    stated = (int(texts[0]), int(texts[1])) if len(texts) == 2 and all(one.isdecimal() for one in texts) else None
    turn = turn_for(stated, size, where, findings)
    if isinstance(turn, str):
        findings.leave_out_object(where, turn)
        return None
    return turn


def _numbers(texts: Sequence[str], where: str, findings: Findings) -> list[float] | None:
    wrong = next((text for text in texts if not _NUMBER.fullmatch(text)), None)
    if wrong is not None:
        findings.leave_out_object(where, f"{display_name(wrong)[:50] or 'an empty cell'} is not a number")
        return None
    return [float(text) for text in texts]


def _flags(rows: _Rows, row: int, findings: Findings) -> int:
    flags = 0
    for name, flag in FLAGS.items():
        if name in rows.columns:
            text = rows.cells[row][rows.columns.index(name)].lower()
            flags |= flag if text in _TRUE else 0
            if text not in (*_TRUE, *_FALSE):
                findings.repair(f"{name} neither 0 nor 1: taken as 0", rows.where(row))
    return flags


def _point_set(
    rows: _Rows, row: int, meaning: _Points, size: Size, findings: Findings
) -> tuple[str, Box, int, Details] | None:  # fmt: skip
    """One object with points; its box is the picture. A point whose cells are empty is not given."""
    cells, where = rows.cells[row], rows.where(row)
    points: list[tuple[float, float, float]] = []
    for x, y, seen in meaning.columns:
        if not cells[x] and not cells[y]:
            points.append((0.0, 0.0, 0.0))
            continue
        numbers = _numbers([cells[x], cells[y], *([cells[seen]] if seen is not None else [])], where, findings)
        if numbers is None:
            return None
        points.append((numbers[0], numbers[1], numbers[2] if seen is not None else 2.0))
    found = np.array(points)
    if not np.isfinite(found).all() or not np.isin(found[:, 2], (0, 1, 2)).all():
        findings.leave_out_object(where, "a point that is not finite, or whose visibility is not 0, 1 or 2")
        return None
    if not found[:, 2].any():
        findings.leave_out_object(where, "no point is given")
        return None
    outside = (found[:, 2] > 0) & ((found[:, :2] < 0) | (found[:, :2] > np.array(size[:2]))).any(1)
    if outside.any():
        findings.repair("points outside of their picture: kept where they are", where)
    label = display_name(cells[meaning.label]) if meaning.label is not None and cells[meaning.label] else "object"
    return label, (0.0, 0.0, float(size[0]), float(size[1])), 0, Details(points=found)
