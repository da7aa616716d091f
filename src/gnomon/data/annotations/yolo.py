"""YOLO: data.yaml with the classes, and a text file per picture: class number, then a box, points or an outline.

Numbers are shares of the picture's width and height. A picture with an empty file is a negative; one without a file is
not annotated.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import (
    NO_DETAILS,
    Annotations,
    Box,
    Collected,
    Details,
    Findings,
    Object,
    Picture,
    Polygons,
)
from gnomon.data.annotations.outlines import box_of
from gnomon.data.annotations.pictures import Photos, check_left_out, fitted
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.source import Tree, counted, display_name, first_names, listed

MOST_BYTES = 1_000_000  # of data.yaml
SHARE_LIMIT = 2.0  # a share this far beyond 1 is a number of pixels
_KEYS = {"train": "train", "val": "dev", "valid": "dev", "test": "test"}
_WHOLE = re.compile(r"\d{1,9}(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)


def looks_like_yolo(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1) that this is a YOLO folder; and why. Reads data.yaml."""
    name = _yaml_file(tree)
    if name is None:
        return 0.0, "no data.yaml"
    if not any(is_picture_name(file.name) for file in tree.files):
        return 0.0, "data.yaml, but no pictures"
    return (0.95, f"{display_name(name)} with names of classes") if b"names" in tree.read(name) else (0.0, "no names")


def _yaml_file(tree: Tree) -> str | None:
    files = [file for file in tree.files if file.name.lower().endswith((".yaml", ".yml")) and file.size <= MOST_BYTES]
    named = [file.name for file in files if file.name.rpartition("/")[2].lower() in ("data.yaml", "data.yml")]
    others = [file.name for file in files if b"names" in tree.read(file.name)[:MOST_BYTES]]
    return (named or others or [None])[0]  # type: ignore[list-item]


@dataclass(frozen=True)
class _Described:
    """What data.yaml says."""

    name: str
    class_names: tuple[str, ...]
    numbers: Mapping[int, int]  # class number in the files -> place in class_names
    places: Mapping[str, tuple[str, ...]]  # split -> folders or lists
    base: str  # what `path` says, usually ""
    point_shape: tuple[int, int] | None  # points of an object, and 2 or 3 numbers for each


def read_yolo(tree: Tree, settings: DataSettings) -> Annotations:
    """Every picture of the splits that data.yaml names and that has a file of labels.

    Raises DataError for a class number or a split that does not fit data.yaml, and where too much cannot be used.
    """
    name = _yaml_file(tree)
    if name is None:
        raise DataError("there is no data.yaml.", where=tree.origin, fix="add one with train, val and names.")
    described = _described(name, tree.read(name))
    findings, photos, collected = Findings(), Photos(tree, settings), Collected()
    there = {file.name for file in tree.files}
    places = _pictures_of(tree, described, photos, findings)
    unlabelled = []
    for file, split in places.items():
        labels = _label_file(file)
        if labels not in there:
            unlabelled.append(file)
            continue
        size = photos.size(file)
        if isinstance(size, str):
            findings.leave_out_picture(display_name(file), size)
            continue
        picture = Picture(file, size[0], size[1], "all" if len(described.places) == 1 else split, size[2])
        collected.add(picture, _objects(tree, labels, picture, described, findings))
    if unlabelled:
        findings.notes.append(listed("pictures without a file of labels, left out", unlabelled))
    check_left_out(findings, len(collected.pictures), collected.count, tree.origin, settings)
    points = tuple(map(str, range(1, described.point_shape[0] + 1))) if described.point_shape else ()
    return collected.finish("yolo", tree, described.class_names, findings, point_names=points)


# --- data.yaml -------------------------------------------------------------------------------------------------------
def _described(name: str, content: bytes) -> _Described:
    import yaml  # type: ignore[import-untyped]

    where = display_name(name)
    try:
        # Every scalar as text (a class may be called no, 1e3 or 007): this loader builds texts, lists and dicts only.
        found = yaml.BaseLoader(content).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).replace("\n", " ")[:150]
        raise DataError(f"it cannot be read as YAML: {first}.", where=where, fix="correct that line.") from None
    if not isinstance(found, dict):
        raise DataError("it has no names and values.", where=where, fix="write train:, val: and names: into it.")
    numbered = _class_names(found, where)
    names = [numbered[number] for number in sorted(numbered)]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise DataError(f"class {first_names(twice)} is named twice.", where=where, fix="name each class once.")
    places = {}
    for key, split in _KEYS.items():
        given = found.get(key) or []
        entries = [given] if isinstance(given, str) else given
        if not isinstance(entries, list) or not all(isinstance(one, str) for one in entries):
            raise DataError(
                f"{key} is not a folder, a list or several.", where=where, fix=f"write {key}: images/{key}."
            )
        if entries:
            places[split] = tuple(entries)
    if "train" not in places:
        raise DataError("it does not say where train is.", where=where, fix="write train: images/train.")
    base = found.get("path")
    order = {number: place for place, number in enumerate(sorted(numbered))}
    return _Described(
        name, tuple(map(display_name, names)), order, places, base if isinstance(base, str) else "",
        _point_shape(found, where),
    )  # fmt: skip


def _class_names(found: Mapping[str, Any], where: str) -> dict[int, str]:
    """{number: name}. Numbers may have gaps where the names are given with numbers."""
    names, count = found.get("names"), found.get("nc")
    if isinstance(names, dict) and all(isinstance(key, str) and key.strip().isdecimal() for key in names):
        numbered = {int(key): name for key, name in names.items()}
    elif isinstance(names, list):
        numbered = dict(enumerate(names))
    else:
        numbered = {}
    if not numbered or not all(isinstance(name, str) and name.strip() for name in numbered.values()):
        raise DataError("names is not a list of classes.", where=where, fix="write names: [first, second].")
    if isinstance(count, str) and count.strip() and count.strip() != str(len(numbered)):
        raise DataError(
            f"nc is {display_name(count)}, and {counted(len(numbered), 'class', 'classes')} are named: "
            f"{first_names([*numbered.values()])}.",
            where=where, fix="correct nc or names.",
        )  # fmt: skip
    return {number: name.strip() for number, name in numbered.items()}


def _point_shape(found: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    given = found.get("kpt_shape")
    if given is None:
        return None
    if isinstance(given, list) and len(given) == 2 and all(isinstance(one, str) and one.isdecimal() for one in given):
        count, numbers = int(given[0]), int(given[1])
        if count > 0 and numbers in (2, 3):
            return count, numbers
    raise DataError("kpt_shape is not a count and 2 or 3.", where=where, fix="write kpt_shape: [17, 3].")


def _pictures_of(tree: Tree, described: _Described, photos: Photos, findings: Findings) -> dict[str, str]:
    """{picture: split}. Raises DataError for a picture in two splits and a train that is not there."""
    found: dict[str, str] = {}
    for split, entries in described.places.items():
        for entry in entries:
            files = _resolved(tree, described, entry, photos)
            if files is None and split == "train":
                raise DataError(
                    f"train is {display_name(entry)}, which is not in the folder.",
                    where=display_name(described.name), fix="correct the path: it is looked up beside data.yaml.",
                )  # fmt: skip
            if files is None:
                findings.notes.append(f"{split} is {display_name(entry)}, which is not in the folder: left out")
            for file in files or ():
                if found.get(file, split) != split:
                    raise DataError(
                        f"{display_name(file)} is in {found[file]} and in {split}.",
                        where=display_name(described.name), fix="keep each picture in one split.",
                    )  # fmt: skip
                found[file] = split
    return found


def _resolved(tree: Tree, described: _Described, entry: str, photos: Photos) -> list[str] | None:
    """The pictures of a folder or a list, wherever the whole was moved to; None if it is nowhere in the tree."""
    folder = described.name.rpartition("/")[0]
    names = {file.name for file in tree.files}
    for candidate in _candidates(folder, described.base, entry):
        if candidate in names and candidate.lower().endswith(".txt"):
            return _listed(tree, candidate, photos)
        prefix = f"{candidate}/" if candidate not in ("", ".") else ""
        files = sorted(name for name in photos.files if name.startswith(prefix))
        if files and (prefix or not folder):
            return files
    return None


def _candidates(folder: str, base: str, entry: str) -> list[str]:
    """Places inside the folder that an entry may mean. None leads out of it."""
    plain = entry.replace("\\", "/").rstrip("/")
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    found = []
    for start in (posixpath.join(folder, base.replace("\\", "/")), folder):
        joined = posixpath.normpath(posixpath.join(start, plain))
        if not joined.startswith(("/", "..")):
            found.append(joined)
    found += ["/".join(filter(None, [folder, *parts[from_:]])) for from_ in range(len(parts))]
    return [*dict.fromkeys(one.removeprefix("./") for one in found)]


def _listed(tree: Tree, name: str, photos: Photos) -> list[str]:
    files = []
    for number, line in enumerate(tree.read(name).decode("utf-8", "surrogateescape").splitlines(), start=1):
        if not line.strip():
            continue
        file = photos.with_name(line.strip(), name)
        if file is None:
            raise DataError(
                f"line {number}: {display_name(line.strip())[:200]} is not in the folder.",
                where=display_name(name), fix="remove the line, or add the picture.",
            )  # fmt: skip
        files.append(file)
    return files


# --- labels ----------------------------------------------------------------------------------------------------------
def _label_file(picture: str) -> str:
    """images/train/a.jpg -> labels/train/a.txt: the last folder called images is labels; without one, beside it."""
    stem = picture.rpartition(".")[0]
    head, found, tail = f"/{stem}".rpartition("/images/")
    return f"{head}/labels/{tail}.txt"[1:] if found else f"{stem}.txt"


def _objects(
    tree: Tree, labels: str, picture: Picture, described: _Described, findings: Findings
) -> list[Object]:  # fmt: skip
    found = []
    seen = set()
    for number, line in enumerate(tree.read(labels).decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{display_name(labels)} line {number}"
        if tuple(words) in seen:
            findings.repair("lines that repeat another: counted once", where)
            continue
        seen.add(tuple(words))
        label = _label(words[0], labels, number, described)
        made = _shape(words[1:], picture, described, where, findings)
        if made is not None:
            found.append(Object(label, made[0], 0, made[1]))
    return found


def _label(word: str, labels: str, line: int, described: _Described) -> int:
    number = int(float(word)) if _WHOLE.fullmatch(word) else None
    if number is None or number not in described.numbers:
        shown = ", ".join(map(str, sorted(described.numbers)[:20]))
        raise DataError(
            f"line {line}: class {display_name(word)[:50]} is not one of {display_name(described.name)} ({shown}).",
            where=display_name(labels), fix="correct the class number, or add the class to names.",
        )  # fmt: skip
    return described.numbers[number]


def _shape(
    words: Sequence[str], picture: Picture, described: _Described, where: str, findings: Findings
) -> tuple[Box, Details] | None:
    wrong = next((word for word in words if not _NUMBER.fullmatch(word)), None)
    if wrong is not None:
        findings.leave_out_object(where, f"{display_name(wrong)[:50]} is not a number")
        return None
    shares = np.array([float(word) for word in words])
    if np.isfinite(shares).all() and np.abs(shares).max(initial=0) > SHARE_LIMIT and described.point_shape is None:
        findings.leave_out_object(
            where, f"a share of {np.abs(shares).max():g}: places are shares from 0 to 1, not pixels"
        )
        return None
    scale = np.array([picture.width, picture.height], np.float64)
    details = NO_DETAILS
    per_point = described.point_shape
    if per_point and len(shares) == 4 + per_point[0] * per_point[1]:
        points = shares[4:].reshape(per_point)
        seen = points[:, 2] if per_point[1] == 3 else np.where(points.any(1), 2.0, 0.0)
        details = Details(points=np.column_stack([points[:, :2] * scale, seen]))
    elif len(shares) >= 6 and len(shares) % 2 == 0:
        ring = shares.reshape(-1, 2) * scale
        if not np.isfinite(ring).all():
            findings.leave_out_object(where, "an outline with a point that is not a finite number")
            return None
        outline = Polygons((ring,))
        box = fitted(box_of(outline), (picture.width, picture.height), where, findings)
        return None if box is None else (box, Details(outline))
    elif len(shares) != 4:
        expected = f"4 + {per_point[0]} x {per_point[1]}" if per_point else "4, or an outline of at least 3 points"
        findings.leave_out_object(where, f"{len(shares)} numbers after the class, not {expected}")
        return None
    x, y = (shares[:2] * scale).tolist()
    width, height = (shares[2:4] * scale).tolist()
    box = fitted((x - width / 2, y - height / 2, x + width / 2, y + height / 2), (picture.width, picture.height), where,
                 findings)  # fmt: skip
    return None if box is None else (box, details)
