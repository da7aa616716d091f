"""Pictures in class folders, with or without train/dev/test above them: recognised by names alone, read in full."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.example import BadInput, Reading
from gnomon.core.settings import DataSettings
from gnomon.data.folders import above_all, split_folders
from gnomon.data.images.decoding import LEAST_SIDE, is_picture_name
from gnomon.data.images.examples import ImageExamples, index_of, same_picture_twice
from gnomon.data.images.stores import Scan, scan
from gnomon.data.images.whites import Whites
from gnomon.data.labels import check_classes, check_divided
from gnomon.data.source import File, Tree, counted, display_name, first_names, listed

_MASK_FOLDERS = frozenset(
    {"mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations", "groundtruth",
     "ground_truth", "gt", "segmentationclass", "segmentationobject"}
)  # fmt: skip
_PICTURE_FOLDERS = frozenset({"image", "images", "img", "imgs", "jpegimages", "pictures", "photos"})
_ANNOTATION_SUFFIXES = (".xml", ".json", ".txt")
SHOWN_BAD = 3
MANY_CLASSES, FEW_EACH = 15, 20  # classes from which, and pictures of one up to which, they could be identities


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture file and what its place means."""

    file: File
    split: str  # "all", "train", "dev" or "test"
    class_name: str
    folder: str  # below the class folder, usually ""


@dataclass(frozen=True)
class Layout:
    placed: tuple[Placed, ...]
    outside: tuple[File, ...]  # pictures in no class folder
    others: tuple[str, ...]  # files that are not pictures by their names
    notes: tuple[str, ...]


def looks_like_class_folders(tree: Tree) -> tuple[float, str]:
    """How certain it is (0 .. 1), from names alone, that this is pictures in class folders; and why."""
    layout = layout_of(tree)
    pictures = len(layout.placed) + len(layout.outside)
    if pictures == 0:
        return 0.0, "no pictures"
    if 2 * pictures < pictures + len(layout.others):
        return 0.0, f"files that are not pictures: {len(layout.others):,} besides {counted(pictures, 'picture')}"
    why_not = _other_layout(tree, layout)
    if why_not:
        return 0.0, why_not
    classes = {placed.class_name for placed in layout.placed}
    if not classes:
        return 0.25, f"{counted(pictures, 'picture')}, but no class folders"
    if len(classes) == 1:
        return 0.3, f"pictures in one class folder ({first_names([*classes])})"
    splits = {placed.split for placed in layout.placed} - {"all"}
    divided = (
        f", divided into {', '.join(name for name in ('train', 'dev', 'test') if name in splits)}" if splits else ""
    )
    why = f"{len(classes):,} class folders, {counted(len(layout.placed), 'picture')}{divided}"
    return (0.95 if splits else 0.9) * len(layout.placed) / pictures, why


def _other_layout(tree: Tree, layout: Layout) -> str:
    """What else these pictures could be: with masks, with boxes."""
    names = [file.name for file in tree.files]
    folders = {part.lower() for name in names for part in name.split("/")[:-1]}
    if folders & _MASK_FOLDERS and folders & _PICTURE_FOLDERS:
        found = sorted(folders & (_MASK_FOLDERS | _PICTURE_FOLDERS))
        return f"folders named {', '.join(found)}: pictures with masks or annotations, not classes"
    if folders & _MASK_FOLDERS and any(name.lower().endswith(_ANNOTATION_SUFFIXES) for name in layout.others):
        return "annotation files next to the pictures, not classes"
    pictures = [placed.file.name for placed in layout.placed] + [file.name for file in layout.outside]
    stems = {name.rpartition("/")[2].rpartition(".")[0] for name in pictures}
    sidecars = {
        name.rpartition("/")[2].rpartition(".")[0]
        for name in layout.others
        if name.lower().endswith(_ANNOTATION_SUFFIXES)
    }
    if 2 * len(stems & sidecars) >= len(stems):
        return "a text, json or xml file for each picture: boxes or captions, not classes"
    if not layout.placed:
        suffixes = defaultdict(set)
        for name in pictures:
            suffixes[name.rpartition(".")[0]].add(name.rpartition(".")[2].lower())
        if 2 * sum(len(kinds) > 1 for kinds in suffixes.values()) > len(suffixes):
            return "pairs of pictures with one name and two formats: pictures with masks, not classes"
    return ""


def read_class_folders(tree: Tree, settings: DataSettings) -> Reading:
    """Every picture, by split ("all" where the source is undivided) and class.

    Raises DataError when nothing can be learned from it: no pictures, no class folders, one class, too many bad files.
    """
    layout = layout_of(tree)
    require_folders(tree, layout)
    found, kept = scan_placed(tree, layout, settings)
    if kept:
        _require_two_left(layout.placed, kept, found.bad, tree.origin)
    check_bad(found.bad, len(layout.placed), tree.origin, settings)
    splits = {
        split: _examples(found, kept, split)
        for split in ("all", "train", "dev", "test")
        if any(placed.split == split for placed in kept)
    }
    check_divided(splits, tree.origin)
    to_learn = splits.get("all") or splits["train"]
    notes = [*tree.notes, *layout.notes, *ignored(layout), *remarks(found)]
    counts = dict(Counter(to_learn.index["label"].to_list()))
    notes += [*check_classes(counts, tree.origin), *_maybe_identities(counts)]
    whole = ImageExamples.of(found.store, found.readable, index_of(*columns_of(kept)))
    return Reading(splits, tuple(notes + same_picture_twice(whole)), found.bad)


def _maybe_identities(counts: Mapping[str, int]) -> list[str]:
    """A sentence where folders could be people: many, with few pictures each."""
    if len(counts) < MANY_CLASSES or sum(counts.values()) > FEW_EACH * len(counts):
        return []
    return ["if the folders are people, signatures or products, task=verification learns to tell new ones apart, too"]


def scan_placed(tree: Tree, layout: Layout, settings: DataSettings) -> tuple[Scan, list[Placed]]:
    """The pictures in folders, decoded once, and the places of those that can be read."""
    files = [placed.file for placed in layout.placed]
    trained_on = np.flatnonzero([placed.split in ("all", "train") for placed in layout.placed])
    found = scan(tree, files, max_pixels=settings.max_pixels, least_side=least_side(settings), trained_on=trained_on)
    return found, [layout.placed[position] for position in found.readable]


def read_pictures(tree: Tree, settings: DataSettings, whites: Whites) -> Reading:
    """Every picture of a tree on the scale of the training set, without classes, under the key "all".

    Raises DataError when none can be read.
    """
    files = [file for file in tree.files if is_picture_name(file.name)]
    if not files and len(tree.files) == 1:
        files = [tree.files[0]]  # given by name: try it, whatever its name is
    if not files:
        raise DataError(
            f"there are no pictures in {counted(len(tree.files), 'file')}.",
            where=tree.origin,
            fix="give pictures to predict.",
        )
    found = scan(tree, files, max_pixels=settings.max_pixels, least_side=least_side(settings), whites=whites)
    if not len(found.readable):
        raise DataError(
            f"0 of {counted(len(files), 'picture')} can be read: {_shown(found.bad)}.",
            where=tree.origin,
            fix="give pictures that open in a viewer.",
        )
    names = [display_name(files[position].name) for position in found.readable]
    examples = ImageExamples.of(found.store, found.readable, index_of(names, None))
    return Reading({"all": examples}, (*tree.notes, *remarks(found)), found.bad)


def least_side(settings: DataSettings) -> int:
    """Pixels of the shorter side to keep: twice what is needed, so that the last resize has something to average."""
    return max(LEAST_SIDE, 2 * (settings.image_size or 0))


def check_bad(bad: Sequence[BadInput], total: int, origin: str, settings: DataSettings) -> None:
    """Raises DataError when more than `max_bad` of `total` pictures are bad."""
    if len(bad) > settings.max_bad * total:
        share = len(bad) / total
        if len(bad) == total:
            raise DataError(
                f"0 of {counted(total, 'picture')} can be read: {_shown(bad)}.",
                where=origin,
                fix="give pictures that open in a viewer.",
            )
        raise DataError(
            f"{len(bad):,} of {total:,} pictures cannot be read ({share:.1%}; max_bad allows {settings.max_bad:.1%}): "
            f"{_shown(bad)}.",
            where=origin,
            fix=f"repair or remove them, or continue without them: max_bad={min(1.0, share + 0.005):.2f}.",
        )


def _require_two_left(
    placed: Sequence[Placed], kept: Sequence[Placed], bad: Sequence[BadInput], origin: str
) -> None:  # fmt: skip
    before, after = Counter(p.class_name for p in placed), Counter(p.class_name for p in kept)
    for class_name, count in before.items():
        if after[class_name] < min(2, count):
            raise DataError(
                f"class {class_name} has only {after[class_name]} of its {count:,} pictures; "
                f"{len(bad):,} cannot be read: {_shown(bad)}.",
                where=origin,
                fix="repair those files, or remove the class.",
            )


def _shown(bad: Sequence[BadInput]) -> str:
    more = f" and {len(bad) - SHOWN_BAD:,} more" if len(bad) > SHOWN_BAD else ""
    return ", ".join(f"{one.where} ({one.why})" for one in bad[:SHOWN_BAD]) + more


def remarks(found: Scan) -> list[str]:
    """What was done to pictures while decoding, with counts."""
    return [listed(what, names) for what, names in sorted(found.remarks.items())]


def _examples(found: Scan, kept: Sequence[Placed], split: str) -> ImageExamples:
    rows = [i for i, placed in enumerate(kept) if placed.split == split]
    ids, classes, folders = columns_of([kept[i] for i in rows])
    return ImageExamples.of(found.store, found.readable[rows], index_of(ids, classes, folders))


def columns_of(placed: Sequence[Placed]) -> tuple[list[str], list[str], list[str]]:
    return (
        [display_name(one.file.name) for one in placed],
        [one.class_name for one in placed],
        [one.folder for one in placed],
    )


def require_folders(tree: Tree, layout: Layout) -> None:
    pictures = len(layout.placed) + len(layout.outside)
    if pictures == 0:
        others = f": {first_names(layout.others)}" if layout.others else ""
        raise DataError(
            f"there are no pictures in {counted(len(tree.files), 'file')}{others}.",
            where=tree.origin,
            fix="give a folder that contains a folder of pictures for each class.",
        )
    if not layout.placed:
        raise DataError(
            f"found {counted(pictures, 'picture')} but no class folders: "
            f"{first_names([file.name for file in layout.outside])}.",
            where=tree.origin,
            fix="put the pictures of each class into a folder named after it: cat/1.jpg, dog/2.jpg.",
        )


def ignored(layout: Layout) -> list[str]:
    notes = []
    if layout.outside:
        notes.append(listed("pictures in no class folder, ignored", [file.name for file in layout.outside]))
    if layout.others:
        notes.append(listed("files that are not pictures, ignored", layout.others))
    return notes


def layout_of(tree: Tree) -> Layout:
    """Where every picture belongs. Raises DataError where the folders contradict each other."""
    pictures = [file for file in tree.files if is_picture_name(file.name)]
    others = tuple(file.name for file in tree.files if not is_picture_name(file.name))
    top = above_all([file.name for file in pictures])
    parts = {file.name: file.name[len(top) :].split("/") for file in pictures}
    splits = split_folders({part[0] for part in parts.values() if len(part) > 1}, tree.origin)
    notes = [f"everything is inside {display_name(top)}: read from there"] if top else []
    placed, outside = [], []
    for file in pictures:
        *folders, _ = parts[file.name]
        split = splits.get(folders[0], "all") if folders else "all"
        below = folders[1:] if split != "all" else folders
        if below:
            inner = "/".join(display_name(part) for part in below[1:])
            placed.append(Placed(file, split, display_name(below[0]), inner))
        else:
            outside.append(file)
    if any(one.folder for one in placed):
        notes.append(
            "there are folders inside class folders: the first level is the class, deeper ones are the tag `folder`"
        )
    if splits and not any(one.split == "train" for one in placed) and placed:
        raise DataError(
            f"found {' and '.join(sorted(splits))} but no class folders with pictures under train.",
            where=tree.origin,
            fix="add train/ with a folder for each class.",
        )
    return Layout(tuple(placed), tuple(outside), others, tuple(notes))
