"""COCO: JSON files of pictures, classes and objects with boxes, polygons, run lengths and keypoints.

A file is kept as text, and objects are columns of numbers; outlines and keypoints are parsed again when asked for. In
memory that is the size of the file (twice that while it is opened) and about 200 bytes per object.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.coco_details import LazyDetails, details_of, is_whole, real, turned_details
from gnomon.data.annotations.json_lists import TWICE, JsonLists
from gnomon.data.annotations.model import (
    CROWD,
    Annotations,
    Box,
    Collected,
    Details,
    Findings,
    Picture,
)
from gnomon.data.annotations.outlines import box_of
from gnomon.data.annotations.pictures import (
    SPLITS,
    Photos,
    check_left_out,
    fitted,
    turn_for,
    turned_box,
)
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.source import File, Tree, display_name, first_names, listed

LOOK_INTO = 64_000_000  # bytes: larger JSON files are judged by their names
MOST_FILES = 8  # JSON files that are looked into


# --- which files -----------------------------------------------------------------------------------------------------
def looks_like_coco(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1) that this has COCO annotations; and why. Looks into a few files that end in .json."""
    found = _json_files(tree)
    if not found:
        return 0.0, "no JSON file with images and annotations"
    pictures = sum(is_picture_name(file.name) for file in tree.files)
    why = f"{first_names([file.name for file in found])} with images and annotations"
    return (0.95 if pictures else 0.3), why if pictures else f"{why}, but no pictures"


def _json_files(tree: Tree) -> list[File]:
    """Those of COCO, by their content, or if they are very large by their name."""
    files = [file for file in tree.files if file.name.lower().endswith(".json")]
    largest = sorted(files, key=lambda file: -file.size)[:MOST_FILES]
    return sorted((file for file in largest if _is_coco(tree, file)), key=lambda file: file.name)


def _is_coco(tree: Tree, file: File) -> bool:
    if file.size > LOOK_INTO:
        return any(word in file.name.lower() for word in ("instances", "keypoints", "coco", "annotation"))
    content = tree.read(file.name)
    return all(re.search(rb'"%s"\s*:\s*\[' % word.encode(), content) for word in ("images", "annotations"))


def _split_of_file(name: str) -> tuple[str, str]:
    """The split that the name or folder of a JSON file says, and the word as it stands there; ("", "")."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    for text in [stem, *name.split("/")[:-1][::-1]]:
        for word in re.findall(r"[A-Za-z]+\d*", text):
            split = SPLITS.get(word.rstrip("0123456789").lower())
            if split:
                return split, word
    return "", ""


def _chosen(tree: Tree, findings: Findings) -> list[tuple[str, str, str]]:
    """(file, split, word) of each file that is read. Raises DataError for two of one split."""
    by_split: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in _json_files(tree):
        split, word = _split_of_file(file.name)
        by_split[split].append((file.name, word))
    chosen, skipped = [], []
    for split, files in by_split.items():
        if len(files) > 1:
            instances = [one for one in files if "instances" in one[0].rpartition("/")[2].lower()]
            skipped += [name for name, _ in files if (name, _) not in instances]
            files = instances or files
        if len(files) > 1:
            raise DataError(
                f"several files of annotations{f' for {split}' if split else ''}: "
                f"{first_names([name for name, _ in files])}.",
                where=tree.origin, fix="keep one file of annotations per split in the folder.",
            )  # fmt: skip
        chosen.append((files[0][0], split or "train", files[0][1]))
    if len(chosen) == 1:
        return [(chosen[0][0], "all", chosen[0][2])]
    if skipped:
        findings.notes.append(listed("other files of annotations, not read", sorted(skipped)))
    return sorted(chosen, key=lambda one: ("train", "dev", "test").index(one[1]))


# --- reading ---------------------------------------------------------------------------------------------------------
def read_coco(tree: Tree, settings: DataSettings) -> Annotations:
    """Every picture that a COCO file lists and the folder has; those without objects are negatives.

    Raises DataError for damaged files, unknown classes, and where too much cannot be used.
    """
    findings, photos = Findings(), Photos(tree, settings)
    chosen = _chosen(tree, findings)
    if not chosen:
        raise DataError("no JSON file with images and annotations.", where=tree.origin, fix="give a COCO folder.")
    documents = [JsonLists.of(name, tree.read(name)) for name, _, _ in chosen]
    classes = _Classes.of(documents)
    collected, details = Collected(), LazyDetails([document.text for document in documents])
    for number, (document, (_, split, word)) in enumerate(zip(documents, chosen, strict=True)):
        pictures = _pictures(document, photos, split, word, findings, settings.group)
        _objects(document, number, pictures, classes, collected, details, findings)
    listed_files = {picture.file for picture in collected.pictures}
    bare = sorted(name for name in photos.files if name not in listed_files and not photos.was_measured(name))
    if bare:
        findings.notes.append(listed("pictures that no file of annotations lists, left out", bare))
    check_left_out(findings, len(collected.pictures), collected.count, tree.origin, settings)
    return collected.finish("coco", tree, classes.names, findings, details=details, point_names=classes.point_names)


@dataclass(frozen=True)
class _Classes:
    """The classes of all files, by name in the order of their ids in the first, which is train's."""

    names: tuple[str, ...]
    by_id: tuple[Mapping[int, int], ...]  # per document: category id -> number of the class
    point_counts: tuple[Mapping[int, int], ...]  # per document: category id -> its keypoints, where they are named
    point_names: tuple[str, ...]  # of the first class that has some

    @staticmethod
    def of(documents: Sequence[JsonLists]) -> _Classes:
        names: dict[str, int] = {}
        points: tuple[str, ...] = ()
        by_id, counts = [], []
        for document in documents:
            found: dict[int, tuple[str, tuple[str, ...]]] = {}
            for entry, _, _ in document.elements("categories"):
                number, name, of_class = _category(entry, document.name)
                if number in found and found[number][0] != name:
                    raise _classes_wrong(document.name, f"category id {number} is {found[number][0]} and {name}")
                found[number] = (name, of_class)
            if len({name for name, _ in found.values()}) < len(found):
                twice = [one for one, count in Counter(name for name, _ in found.values()).items() if count > 1]
                raise _classes_wrong(document.name, f"class {first_names(twice)} has two category ids")
            if not found:
                raise _classes_wrong(document.name, "it has no categories")
            for _, (name, of_class) in sorted(found.items()):
                if name not in names and document is not documents[0]:
                    raise _classes_wrong(document.name, f"class {name} is not in {display_name(documents[0].name)}")
                names.setdefault(name, len(names))
                points = points or of_class
            by_id.append({number: names[name] for number, (name, _) in found.items()})
            counts.append({number: len(of_class) for number, (_, of_class) in found.items() if of_class})
        return _Classes(tuple(names), tuple(by_id), tuple(counts), points)


def _category(entry: Any, file: str) -> tuple[int, str, tuple[str, ...]]:
    if not isinstance(entry, dict) or not is_whole(entry.get("id")) or not isinstance(entry.get("name"), str):
        raise _classes_wrong(file, "a category without a whole number as id and a name")
    points = entry.get("keypoints") or []
    named = tuple(display_name(one) for one in points if isinstance(one, str)) if isinstance(points, list) else ()
    return entry["id"], display_name(entry["name"]), named


def _classes_wrong(file: str, why: str) -> DataError:
    return DataError(f"{why}.", where=display_name(file), fix="give each class one category, the same in every file.")


@dataclass(frozen=True)
class _Placed:
    """A listed picture, and how places in it are turned."""

    picture: Picture
    turn: int


def _pictures(
    document: JsonLists, photos: Photos, split: str, word: str, findings: Findings, group: str | None
) -> dict[int, _Placed | None]:
    """{image id: picture}, None for those left out. `group`: the key of an image that holds what it belongs to."""
    found: dict[int, _Placed | None] = {}
    names: dict[int, str] = {}
    used: dict[str, int] = {}
    for place, (entry, _, _) in enumerate(document.elements("images"), start=1):
        if not isinstance(entry, dict) or not is_whole(entry.get("id")) or not isinstance(entry.get("file_name"), str):
            where = f"{display_name(document.name)}: image {place}"
            findings.leave_out_picture(where, "an image without a whole number as id and a file_name")
            continue
        identity, name = entry["id"], entry["file_name"]
        where = _image(document.name, identity, name)
        if identity not in names:
            names[identity] = name
            placed = _placed(entry, photos, (document.name, split, word), used, where, findings)
            if placed is not None and group is not None:
                placed = replace(placed, picture=replace(placed.picture, group=_group(entry, group, where)))
            found[identity] = placed
        elif names[identity] == name:
            findings.repair("images listed twice with one id: counted once", where)
        else:  # which of the two its objects belong to cannot be known
            findings.leave_out_picture(where, f"its id is also that of {display_name(names[identity])[:200]}")
            if found[identity] is not None:
                other = _image(document.name, identity, names[identity])
                findings.leave_out_picture(other, f"its id is also that of {display_name(name)[:200]}")
            found[identity] = None
    return found


def _group(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise DataError(
            f"it has no {key}, a text or a whole number, to say which pictures belong together.", where=where,
            fix="give every image one, or leave group= out.",
        )  # fmt: skip
    return str(value)


def _image(document: str, identity: int, name: str) -> str:
    return f"{display_name(document)}: image id {identity} ({display_name(name)[:200]})"


def _placed(
    entry: Mapping[str, Any], photos: Photos, of: tuple[str, str, str], used: dict[str, int], where: str,
    findings: Findings,
) -> _Placed | None:  # fmt: skip
    document, split, word = of
    if TWICE in entry:
        findings.leave_out_picture(where, f"an image with two values for {display_name(entry[TWICE])}")
        return None
    name = entry["file_name"]
    file = photos.with_name(name, document) or (photos.with_name(f"{word}/{name}", document) if word else None)
    if file is None:
        findings.leave_out_picture(where, "the picture is not in the folder")
        return None
    if file in used:
        findings.leave_out_picture(where, f"the same picture as image id {used[file]}")
        return None
    used[file] = entry["id"]
    size = photos.size(file)
    if isinstance(size, str):
        findings.leave_out_picture(where, size)
        return None
    width, height = entry.get("width"), entry.get("height")
    stated = (width, height) if is_whole(width) and is_whole(height) else None
    turn = turn_for(stated, size, where, findings)
    if isinstance(turn, str):
        findings.leave_out_picture(where, turn)
        return None
    return _Placed(Picture(file, size[0], size[1], split, size[2]), turn)


def _objects(
    document: JsonLists, number: int, pictures: Mapping[int, _Placed | None], classes: _Classes,
    collected: Collected, details: LazyDetails, findings: Findings,
) -> None:  # fmt: skip
    """Add every picture of a document with its objects, in the order of the file."""
    labels, flags, boxes = array("i"), array("B"), array("d")
    starts, owners = array("q"), array("q")
    turned_details: dict[int, Details] = {}
    positions = {identity: place for place, identity in enumerate(pictures)}
    seen: set[int] = set()
    for place, (entry, start, _) in enumerate(document.elements("annotations"), start=1):
        where = _where(document.name, entry, place)
        if isinstance(entry, dict) and is_whole(entry.get("id")):
            if entry["id"] in seen:
                findings.repair("annotation ids used twice: ids are not needed, both count", where)
            seen.add(entry["id"])
        owner = _owner(entry, pictures, where, findings)
        if owner is None:
            continue
        label = _label(entry, classes.by_id[number], where)
        placed = pictures[owner]
        assert placed is not None
        made = _object(entry, placed, classes.point_counts[number].get(entry["category_id"]), where, findings)
        if made is None:
            continue
        box, found = made
        if placed.turn != 1:
            turned_details[len(labels)] = found
        labels.append(label)
        flags.append(CROWD if entry.get("iscrowd") in (1, True) else 0)
        boxes.extend(box)
        has_more = any(one is not None for one in (found.outline, found.points, found.area))
        starts.append(start if has_more else -1)
        owners.append(positions[owner])
    order = np.argsort(np.array(owners, np.int64), kind="stable")
    bounds = np.searchsorted(np.array(owners, np.int64)[order], np.arange(len(positions) + 1))
    for (_, placed), first, last in zip(pictures.items(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if placed is None:
            continue
        for old in order[first:last].tolist():
            left, top, right, bottom = boxes[4 * old : 4 * old + 4]
            row = collected.add_object(labels[old], (left, top, right, bottom), flags[old])
            details.add(row, number, starts[old], turned_details.get(old), placed.picture)
        collected.close(placed.picture)


def _where(file: str, entry: Any, place: int) -> str:
    identity = entry.get("id") if isinstance(entry, dict) else None
    return f"{display_name(file)}: annotation " + (f"id {identity}" if is_whole(identity) else f"{place}")


def _owner(entry: Any, pictures: Mapping[int, _Placed | None], where: str, findings: Findings) -> int | None:
    """The id of its picture; None where it has none, which is said, or one that is left out."""
    if not isinstance(entry, dict):
        findings.leave_out_object(where, "it is not an object of names and values")
        return None
    if TWICE in entry:
        findings.leave_out_object(where, f"two values for {display_name(entry[TWICE])}")
        return None
    owner: Any = entry.get("image_id")
    if not is_whole(owner) or owner not in pictures:
        findings.leave_out_object(where, f"image_id {json.dumps(owner)[:50]} is not among the images")
        return None
    return owner if pictures[owner] is not None else None


def _label(entry: Mapping[str, Any], by_id: Mapping[int, int], where: str) -> int:
    number = entry.get("category_id")
    if not is_whole(number) or number not in by_id:
        file, _, annotation = where.partition(": ")
        ids = ", ".join(map(str, sorted(by_id)[:20]))
        raise DataError(
            f"{annotation} has category_id {json.dumps(number)[:50]}, which is not among the categories ({ids}).",
            where=file, fix="add the category, or correct the annotation.",
        )  # fmt: skip
    return by_id[number]


def _object(
    entry: Mapping[str, Any], placed: _Placed, point_count: int | None, where: str, findings: Findings
) -> tuple[Box, Details] | None:
    picture = placed.picture
    size = (picture.width, picture.height, picture.orientation)
    stored = (picture.height, picture.width) if placed.turn != 1 else (picture.width, picture.height)
    details = details_of(entry, stored, point_count, where, findings)
    if details is None:
        return None
    given = entry.get("bbox")
    if given is None and details.outline is not None:
        findings.repair("no box: taken from the outline", where)
        box: Box = box_of(details.outline)
    else:
        numbers = [real(one) for one in given] if isinstance(given, list) else []
        if len(numbers) != 4 or None in numbers:
            findings.leave_out_object(where, "a box that is not four numbers")
            return None
        left, top, width, height = (one for one in numbers if one is not None)
        box = left, top, left + width, top + height
    fit = fitted(turned_box(box, placed.turn, size), size[:2], where, findings)
    return None if fit is None else (fit, turned_details(details, placed.turn, size))
