"""Pascal VOC: one XML file of boxes per picture, lists of file names in ImageSets/Main.

Corners count pixels from 1 and are inclusive, as in the devkit: left = xmin - 1, right = xmax.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from gnomon.core.errors import DataError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import (
    CROWD,
    DIFFICULT,
    TRUNCATED,
    Annotations,
    Box,
    Collected,
    Findings,
    Object,
    Picture,
)
from gnomon.data.annotations.pictures import (
    SPLITS,
    Photos,
    Size,
    check_left_out,
    fitted,
    folders_of,
    split_of,
    turn_for,
    turned_box,
)
from gnomon.data.annotations.safe_xml import Node, UnsafeXMLError, parse_xml
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.source import Tree, counted, display_name, listed

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = {"difficult": DIFFICULT, "truncated": TRUNCATED, "crowd": CROWD}
MOST_SIDE = 1e9  # pixels: a stated size beyond it is no size
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def looks_like_voc(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names alone, that this is Pascal VOC; and why."""
    described = [_stem(file.name) for file in tree.files if file.name.lower().endswith(".xml")]
    pictures = {_stem(file.name) for file in tree.files if is_picture_name(file.name)}
    shared = sum(stem in pictures for stem in described)
    if not shared:
        return 0.0, "no XML files named like pictures"
    why = f"{counted(shared, 'XML file')} named like pictures"
    lists = any("imagesets" in folders_of(file.name) for file in tree.files)
    return (0.95 if lists else 0.9) * shared / len(described), why + (", lists in ImageSets" if lists else "")


def read_voc(tree: Tree, settings: DataSettings) -> Annotations:
    """Every picture that has an XML file, in the order of their names.

    Raises DataError for a picture in two lists, and where too much cannot be used.
    """
    findings, photos = Findings(), Photos(tree, settings)
    files = sorted(file.name for file in tree.files if file.name.lower().endswith(".xml"))
    lists = _lists(tree, findings)
    read: list[tuple[Picture, list[tuple[str, Box, int]]]] = []
    described: dict[str, str] = {}
    for name in files:
        found = _read_one(tree, name, photos, findings)
        if found is None:
            continue
        picture, objects = found
        if picture.file in described:
            findings.leave_out_picture(display_name(name), f"a second XML file of {display_name(picture.file)}")
            continue
        described[picture.file] = name
        read.append((picture, objects))
    read = _divided(read, lists, findings)
    _about_the_rest(tree, photos, described, lists, findings)
    class_names = tuple(sorted({name for _, objects in read for name, _, _ in objects}))
    numbers = {name: number for number, name in enumerate(class_names)}
    collected = Collected()
    for picture, objects in read:
        collected.add(picture, [Object(numbers[name], box, flags) for name, box, flags in objects])
    check_left_out(findings, len(read), collected.count, tree.origin, settings)
    return collected.finish("voc", tree, class_names, findings)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _read_one(
    tree: Tree, name: str, photos: Photos, findings: Findings
) -> tuple[Picture, list[tuple[str, Box, int]]] | None:
    where = display_name(name)
    try:
        top = parse_xml(tree.read(name))
    except UnsafeXMLError as error:
        findings.leave_out_picture(where, error.why)
        return None
    if top.name != "annotation":
        findings.leave_out_picture(where, f"its outermost element is {display_name(top.name)}, not annotation")
        return None
    said = top.text_of("filename") or ""
    file = photos.with_stem(_stem(name), name) or photos.with_name(said, name)
    if file is None:
        findings.leave_out_picture(where, f"its picture {display_name(said or _stem(name))} is not in the folder")
        return None
    if said and _stem(f"/{said}") != _stem(file) and said != _stem(file):
        findings.repair("another file name inside than outside: the XML file's own name counts", where)
    size = photos.size(file)
    if isinstance(size, str):
        findings.leave_out_picture(display_name(file), size)
        return None
    turn = turn_for(_stated_size(top), size, where, findings)
    if isinstance(turn, str):
        findings.leave_out_picture(where, turn)
        return None
    objects = [
        found
        for number, node in enumerate(top.all("object"), start=1)
        if (found := _object(node, f"{where}: object {number}", size, turn, findings))
    ]
    return Picture(file, size[0], size[1], split_of(file), size[2]), objects


def _stated_size(top: Node) -> tuple[int, int] | None:
    node = top.first("size")
    if node is None:
        return None
    numbers = [_number(node.text_of(name)) for name in ("width", "height")]
    whole = [int(number) for number in numbers if number is not None and 0 <= number < MOST_SIDE]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _object(node: Node, where: str, size: Size, turn: int, findings: Findings) -> tuple[str, Box, int] | None:
    name = node.text_of("name")
    if not name:
        findings.leave_out_object(where, "an object without a name")
        return None
    where = f"{where} ({display_name(name)})"
    node_of_box = node.first("bndbox")
    if node_of_box is None:
        findings.leave_out_object(where, "an object without a box")
        return None
    texts = [node_of_box.text_of(corner) for corner in _CORNERS]
    numbers = [_number(text) for text in texts]
    if any(number is None for number in numbers):
        wrong = next(f"{corner} is {text or 'missing'!r}" for corner, text, number in
                     zip(_CORNERS, texts, numbers, strict=True) if number is None)  # fmt: skip
        findings.leave_out_object(where, f"a box whose {wrong}, not a number")
        return None
    left, top, right, bottom = (number for number in numbers if number is not None)
    if right < left or bottom < top:
        findings.repair("corners the wrong way round: exchanged", where)
        left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    if 0 in (left, top) and min(left, top) >= 0:
        findings.repair("a corner at 0 where counting starts at 1: taken as 1", where)
        left, top = max(left, 1.0), max(top, 1.0)
    box = fitted(turned_box((left - 1, top - 1, right, bottom), turn, size), size[:2], where, findings)
    return None if box is None else (name, box, _flags(node, where, findings))


def _flags(node: Node, where: str, findings: Findings) -> int:
    flags = 0
    for name, flag in _FLAGS.items():
        text = node.text_of(name) or "0"
        if text.lower() in ("1", "true", "yes"):
            flags |= flag
        elif text.lower() not in ("0", "false", "no", "unspecified"):
            findings.repair(f"{name} neither 0 nor 1: taken as 0", where)
    return flags


def _lists(tree: Tree, findings: Findings) -> Mapping[str, str]:
    """{stem: split} of the lists in ImageSets. Raises DataError for one in two of them."""
    names = [file.name for file in tree.files if "imagesets" in folders_of(file.name) and file.name.endswith(".txt")]
    main = [name for name in names if "main" in folders_of(name)] or names
    found: dict[str, dict[str, str]] = defaultdict(dict)
    stems_there = {_stem(file.name) for file in tree.files}
    for name in sorted(main):
        split = SPLITS.get(_stem(name).lower()) or ("trainval" if _stem(name).lower() == "trainval" else None)
        if split is None:
            continue  # of one class (cat_train.txt), with a second column
        for number, line in enumerate(tree.read(name).decode("utf-8", "surrogateescape").splitlines(), start=1):
            if line.strip():
                whole = line.strip().rpartition("/")[2]  # a name may have spaces, a list may have a second column
                stem = whole if whole in stems_there else whole.split()[0]
                found[split][stem] = f"{display_name(name)} line {number}"
    joined = found.pop("trainval", {})
    if joined and "train" not in found:
        found["train"] = {stem: place for stem, place in joined.items() if stem not in found.get("dev", {})}
        findings.notes.append("trainval.txt without train.txt: all of it is train")
    split_of_stem: dict[str, str] = {}
    for split, stems in found.items():
        for stem, place in stems.items():
            if stem in split_of_stem:
                other = found[split_of_stem[stem]][stem]
                raise DataError(
                    f"{display_name(stem)} is in two lists: {other} and {place}.",
                    where=tree.origin, fix="keep each picture in one of train, val and test.",
                )  # fmt: skip
            split_of_stem[stem] = split
    return split_of_stem


def _divided(
    read: Sequence[tuple[Picture, list[tuple[str, Box, int]]]], lists: Mapping[str, str], findings: Findings
) -> list[tuple[Picture, list[tuple[str, Box, int]]]]:
    """With the splits of the lists, where there are lists; without what none of them names."""
    if not lists:
        return list(read)
    kept, out = [], []
    for picture, objects in read:
        split = lists.get(_stem(picture.file))
        if split is None:
            out.append(picture.file)
        else:
            kept.append((Picture(picture.file, picture.width, picture.height, split, picture.orientation), objects))
    if out:
        findings.notes.append(listed("pictures that are in none of the lists, left out", out))
    return kept


def _about_the_rest(
    tree: Tree, photos: Photos, described: Mapping[str, str], lists: Mapping[str, str], findings: Findings
) -> None:
    """Pictures without an XML file: not negatives but unknown."""
    stems = {_stem(file.name) for file in tree.files if file.name.lower().endswith(".xml")}
    bare = [name for name in photos.files if name not in described and _stem(name) not in stems]
    plain = [name for name in bare if not any("segmentation" in folder for folder in folders_of(name))]
    if plain:
        findings.notes.append(listed("pictures without an annotation file, left out", sorted(plain)))
    if len(plain) < len(bare):
        findings.notes.append(f"masks beside the boxes are not read: {len(bare) - len(plain):,}")
    for stem in sorted(set(lists) - stems):
        findings.leave_out_picture(display_name(stem), f"listed for {lists[stem]}, but there is no {stem}.xml")
