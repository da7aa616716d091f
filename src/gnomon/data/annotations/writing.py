"""Annotations in another format: its files, one after another, and what it cannot hold.

Nothing is written to a disk here. Pictures are handed on as they are, byte for byte; lists of them come last, so a copy
that was cut short has none.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, final
from xml.sax.saxutils import escape

import numpy as np
from scipy import ndimage

from gnomon.core.errors import DataError
from gnomon.data.annotations.masks import LISTS
from gnomon.data.annotations.model import (
    IGNORED,
    Annotations,
    Details,
    Object,
    Outline,
    Picture,
    Polygons,
    Runs,
)
from gnomon.data.annotations.outlines import area_of_ring, box_of, mask_of, packed, polygons_of, runs_of
from gnomon.data.annotations.pictures import ROUNDING
from gnomon.data.source import display_name

Format = Literal["coco", "voc", "yolo", "masks"]
BACKGROUND = "background"
VOID = 255  # in mask files of up to 255 classes: not judged
_SPLIT_WORDS = {"train": "train", "dev": "val", "test": "test"}


@final
class Losses:
    """What a format cannot hold, with the pictures where that is."""

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = {}

    def lose(self, what: str, where: str) -> None:
        self.places.setdefault(what, []).append(where)


def written(found: Annotations, to: Format, losses: Losses) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file. `losses` is complete when all were taken. Raises DataError for masks of boxes."""
    if found.masks is not None and to != "masks" and 0 in found.masks.values:
        losses.lose("the class of the background, value 0", found.class_names[found.masks.values.index(0)])
    return _WRITERS[to](found, losses)


# --- common to all --------------------------------------------------------------------------------------------------
def _stems(found: Annotations) -> list[str]:
    """A name for each picture, without suffix: its own where no other has it, with its folders where one has."""
    own = [_safe(one.file.rpartition("/")[2].rpartition(".")[0]) for one in found.pictures]
    uses = Counter(own)
    names, taken = [], set()
    for stem, picture in zip(own, found.pictures, strict=True):
        name = stem if uses[stem] == 1 else _safe(picture.file.rpartition(".")[0].replace("/", "-"))
        plain, number = name, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        names.append(name)
    return names


def _safe(stem: str) -> str:
    """A name that every format can hold: no bytes that are no text, no separators, no spaces at its ends."""
    return re.sub(r"[\\/:]", "_", display_name(stem)).strip() or "_"


def _suffix(picture: Picture) -> str:
    return "." + picture.file.rpartition(".")[2].lower()


def _objects(found: Annotations, position: int) -> list[Object]:
    """The objects of a picture; of a mask, each connected region of a class that is not the background."""
    if found.masks is None:
        return found.objects(position)
    classes = found.mask(position)
    objects = []
    for label in _foreground(found):
        regions, count = ndimage.label(classes == label)
        for region in range(1, count + 1):
            runs = runs_of(regions == region)
            objects.append(Object(label, box_of(runs), 0, Details(runs)))
    return objects


def _foreground(found: Annotations) -> list[int]:
    """The classes that are objects: all, and of masks all but the value 0."""
    values = found.masks.values if found.masks else ()
    return [label for label in range(len(found.class_names)) if not values or values[label] != 0]


def _numbers(found: Annotations) -> dict[int, int]:
    """{label: place among the classes that are objects}."""
    return {label: place for place, label in enumerate(_foreground(found))}


def _about_masks(found: Annotations, position: int, losses: Losses) -> None:
    if found.masks is not None and (found.mask(position) == IGNORED).any():
        losses.lose("pixels that are not judged", found.pictures[position].file)


def _splits(found: Annotations) -> list[str]:
    there = {one.split for one in found.pictures}
    return [split for split in ("all", "train", "dev", "test") if split in there]


# --- COCO -----------------------------------------------------------------------------------------------------------
def _coco(found: Annotations, losses: Losses) -> Iterator[tuple[str, bytes]]:
    stems, numbers = _stems(found), _numbers(found)
    categories = [_category(found, label, place) for label, place in numbers.items()]
    files = []
    for split in _splits(found):
        images: list[dict[str, Any]] = []
        annotations: list[str] = []  # each as JSON: a tenth of the memory of dicts
        for position, picture in enumerate(found.pictures):
            if picture.split != split:
                continue
            name = f"{stems[position]}{_suffix(picture)}"
            folder = "images" if split == "all" else f"images/{_SPLIT_WORDS[split]}"
            yield f"{folder}/{name}", found.tree.read(picture.file)
            images.append({"id": len(images) + 1, "file_name": name, "width": picture.width, "height": picture.height})
            _about_masks(found, position, losses)
            for one in _objects(found, position):
                for flag, is_set in (("difficult", one.is_difficult), ("truncated", one.is_truncated)):
                    if is_set:
                        losses.lose(f"flags: {flag}", picture.file)
                # Ids start at 1: some tools take 0 for "no match".
                entry = {"id": len(annotations) + 1, "image_id": len(images), **_coco_object(one, picture)}
                annotations.append(json.dumps(entry | {"category_id": numbers[one.label] + 1}))
        suffix = "" if split == "all" else f"_{_SPLIT_WORDS[split]}"
        head = json.dumps({"images": images, "categories": categories})
        text = f'{head[:-1]}, "annotations": [{", ".join(annotations)}]}}'
        files.append((f"annotations/instances{suffix}.json", text.encode("ascii")))
    yield from files


def _category(found: Annotations, label: int, place: int) -> dict[str, Any]:
    points = {"keypoints": list(found.point_names)} if found.point_names else {}
    return {"id": place + 1, "name": found.class_names[label], **points}


def _coco_object(one: Object, picture: Picture) -> dict[str, Any]:
    left, top, right, bottom = one.box
    outline, points, area = one.details.outline, one.details.points, one.details.area
    entry: dict[str, Any] = {"bbox": [left, top, right - left, bottom - top], "iscrowd": int(one.is_crowd)}
    if isinstance(outline, Polygons) and not outline.holes:
        entry["segmentation"] = [part.ravel().tolist() for part in outline.parts]
    elif outline is not None:  # polygons of COCO have no holes, run lengths have
        runs = runs_of(mask_of(outline, picture.height, picture.width))
        entry["segmentation"] = {"size": [runs.height, runs.width], "counts": packed(runs.counts)}
    if points is not None:
        entry |= {"keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
    entry["area"] = _area(one, picture) if area is None else area
    return entry


def _area(one: Object, picture: Picture) -> float:
    outline = one.details.outline
    if outline is None:
        return (one.box[2] - one.box[0]) * (one.box[3] - one.box[1])
    if isinstance(outline, Runs):
        return float(outline.counts[1::2].sum())
    if len(outline.parts) == 1 and not outline.holes:
        return abs(area_of_ring(outline.parts[0]))
    return float(mask_of(outline, picture.height, picture.width).sum())


# --- Pascal VOC -----------------------------------------------------------------------------------------------------
def _voc(found: Annotations, losses: Losses) -> Iterator[tuple[str, bytes]]:
    stems = _stems(found)
    for position, (stem, picture) in enumerate(zip(stems, found.pictures, strict=True)):
        name = f"{stem}{_suffix(picture)}"
        yield f"JPEGImages/{name}", found.tree.read(picture.file)
        _about_masks(found, position, losses)
        objects = [_voc_object(found, one, picture, losses) for one in _objects(found, position)]
        text = (
            f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(name)}</filename>\n"
            f"  <size><width>{picture.width}</width><height>{picture.height}</height><depth>3</depth></size>\n"
            f"{''.join(objects)}</annotation>\n"
        )
        yield f"Annotations/{stem}.xml", text.encode()
    used = set(found.labels.tolist()) if found.masks is None else set(_foreground(found))
    for label in _foreground(found):
        if label not in used:
            losses.lose("classes without objects", found.class_names[label])
    for split in _splits(found):
        if split != "all":
            names = [stem for stem, one in zip(stems, found.pictures, strict=True) if one.split == split]
            yield f"ImageSets/Main/{_SPLIT_WORDS[split]}.txt", "".join(f"{name}\n" for name in names).encode()


def _voc_object(found: Annotations, one: Object, picture: Picture, losses: Losses) -> str:
    if one.details.outline is not None:
        losses.lose("outlines of objects: only their boxes are written", picture.file)
    if one.details.points is not None:
        losses.lose("points of objects", picture.file)
    if one.is_crowd:
        losses.lose("flags: crowd", picture.file)
    left, top, right, bottom = (round(edge) for edge in one.box)
    if (left, top, right, bottom) != one.box:
        losses.lose("places between pixels: boxes are rounded to whole pixels", picture.file)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    left, top = min(left, picture.width - 1), min(top, picture.height - 1)
    corners = (left + 1, top + 1, min(right, picture.width), min(bottom, picture.height))  # from 1, inclusive
    names = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{name}>{corner}</{name}>" for name, corner in zip(names, corners, strict=True))
    return (
        f"  <object>\n    <name>{escape(found.class_names[one.label])}</name>\n"
        f"    <truncated>{int(one.is_truncated)}</truncated>\n    <difficult>{int(one.is_difficult)}</difficult>\n"
        f"    <bndbox>{box}</bndbox>\n  </object>\n"
    )


# --- YOLO -----------------------------------------------------------------------------------------------------------
def _yolo(found: Annotations, losses: Losses) -> Iterator[tuple[str, bytes]]:
    stems, numbers = _stems(found), _numbers(found)
    points = len(found.point_names)
    for position, (stem, picture) in enumerate(zip(stems, found.pictures, strict=True)):
        folder = "" if picture.split == "all" else f"/{_SPLIT_WORDS[picture.split]}"
        yield f"images{folder}/{stem}{_suffix(picture)}", found.tree.read(picture.file)
        _about_masks(found, position, losses)
        lines = [
            f"{numbers[one.label]} {numbers_}\n"
            for one in _objects(found, position)
            for numbers_ in _yolo_lines(one, picture, points, losses)
        ]
        yield f"labels{folder}/{stem}.txt", "".join(lines).encode()
    places = [("train", "images")] if _splits(found) == ["all"] else [
        (_SPLIT_WORDS[split], f"images/{_SPLIT_WORDS[split]}") for split in _splits(found)
    ]  # fmt: skip
    text = "".join(f"{key}: {place}\n" for key, place in places)
    if points and list(found.point_names) != [str(number) for number in range(1, points + 1)]:
        losses.lose("names of points", ", ".join(found.point_names))
    if points:
        text += f"kpt_shape: [{points}, 3]\n"
    names = [f"  {place}: {json.dumps(found.class_names[label])}\n" for label, place in numbers.items()]
    yield "data.yaml", f"{text}nc: {len(numbers)}\nnames:\n{''.join(names)}".encode("ascii")


def _yolo_lines(one: Object, picture: Picture, points: int, losses: Losses) -> list[str]:
    """The numbers after the class: of a box with or without points, or of the largest part of an outline."""
    for name, is_set in (("crowd", one.is_crowd), ("difficult", one.is_difficult), ("truncated", one.is_truncated)):
        if is_set:
            losses.lose(f"flags: {name}", picture.file)
    scale = np.array([picture.width, picture.height], np.float64)
    outline = one.details.outline
    if points:
        if outline is not None:
            losses.lose("outlines of objects that have points", picture.file)
        given = one.details.points if one.details.points is not None else np.zeros((points, 3))
        if len(given) != points:
            losses.lose("points of classes with another number of them", picture.file)
            given = np.zeros((points, 3))
        shares = np.column_stack([given[:, :2] / scale, given[:, 2]])
        return [" ".join(map(_share, [*_centre(one, picture), *shares.ravel().tolist()]))]
    if outline is None:
        return [" ".join(map(_share, _centre(one, picture)))]
    ring = _ring(outline, picture, losses)
    around = box_of(Polygons((ring,)))
    if max(abs(a - b) for a, b in zip(around, one.box, strict=True)) > ROUNDING:
        losses.lose("boxes that are not those around their outlines", picture.file)
    return [" ".join(map(_share, (ring / scale).ravel().tolist()))]


def _centre(one: Object, picture: Picture) -> list[float]:
    left, top, right, bottom = one.box
    width, height = picture.width, picture.height
    return [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]


def _share(value: float) -> str:
    return f"{value:.12g}"


def _ring(outline: Outline, picture: Picture, losses: Losses) -> np.ndarray:
    """The one closed line that YOLO has: the largest part, without its holes."""
    if not isinstance(outline, Polygons):
        outline = polygons_of(mask_of(outline, picture.height, picture.width))
    if any(outline.holes):
        losses.lose("holes in outlines: filled", picture.file)
    if len(outline.parts) > 1:
        losses.lose("all but the largest part of an outline", picture.file)
    return max(outline.parts, key=lambda part: abs(area_of_ring(part)))


# --- masks ----------------------------------------------------------------------------------------------------------
def _masks(found: Annotations, losses: Losses) -> Iterator[tuple[str, bytes]]:
    if found.masks is None and not _has_outlines(found):
        raise DataError(
            "the objects have no outlines, and masks of boxes would be wrong at every corner.",
            where=found.tree.origin, fix="choose to=coco, to=voc or to=yolo.",
        )  # fmt: skip
    names = list(found.class_names) if found.masks is not None else [_background(found), *found.class_names]
    for stem, picture, position in zip(_stems(found), found.pictures, range(len(found.pictures)), strict=True):
        folder = "" if picture.split == "all" else f"/{_SPLIT_WORDS[picture.split]}"
        yield f"images{folder}/{stem}{_suffix(picture)}", found.tree.read(picture.file)
        classes = found.mask(position) if found.masks is not None else _drawn(found, position, losses)
        yield f"masks{folder}/{stem}.png", _mask_file(classes, len(names), picture, losses)
    yield LISTS[0], "".join(f"{name}\n" for name in names).encode()


def _has_outlines(found: Annotations) -> bool:
    return any(
        one.details.outline is not None for position in range(len(found.pictures)) for one in found.objects(position)
    )


def _background(found: Annotations) -> str:
    name = BACKGROUND
    while name in found.class_names:
        name += "_"
    return name


def _drawn(found: Annotations, position: int, losses: Losses) -> np.ndarray:
    """(H, W) int32: 0 for the background, label + 1; small objects over large ones."""
    picture = found.pictures[position]
    classes = np.zeros((picture.height, picture.width), np.int32)
    masks = []
    for one in found.objects(position):
        if one.details.points is not None:
            losses.lose("points of objects", picture.file)
        if one.flags:
            losses.lose("flags of objects", picture.file)
        if one.details.outline is None:
            losses.lose("objects without an outline", picture.file)
        else:
            masks.append((one.label, mask_of(one.details.outline, picture.height, picture.width)))
    if masks:
        losses.lose("which pixels of a class belong to which object, and what lies under another", picture.file)
    for label, mask in sorted(masks, key=lambda one: -int(one[1].sum())):
        classes[mask] = label + 1
    return classes


def _mask_file(classes: np.ndarray, count: int, picture: Picture, losses: Losses) -> bytes:
    from PIL import Image

    ignored = classes == IGNORED
    if count <= VOID:
        stored = np.where(ignored, VOID, classes).astype(np.uint8)
    else:
        if ignored.any():
            losses.lose("pixels that are not judged: 0, as there are more than 255 classes", picture.file)
        stored = np.where(ignored, 0, classes).astype(np.uint16)
    out = io.BytesIO()
    Image.fromarray(stored).save(out, "PNG")
    return out.getvalue()


_WRITERS: dict[str, Callable[[Annotations, Losses], Iterator[tuple[str, bytes]]]] = {
    "coco": _coco, "voc": _voc, "yolo": _yolo, "masks": _masks,
}  # fmt: skip
FORMATS: Sequence[str] = tuple(_WRITERS)
