"""Which format of annotations a folder has, told from its names; and its annotations, read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from gnomon.core.errors import DataError, UsageError
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.coco import looks_like_coco, read_coco
from gnomon.data.annotations.masks import looks_like_masks, read_masks
from gnomon.data.annotations.model import Annotations
from gnomon.data.annotations.tables import looks_like_table, read_table
from gnomon.data.annotations.voc import looks_like_voc, read_voc
from gnomon.data.annotations.yolo import looks_like_yolo, read_yolo
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.source import File, Source, Tree
from gnomon.data.trees import FilesTree, FolderTree

LEAST = 0.5  # certainty below which a folder is not taken for a format
CLOSE = 0.06  # two formats this close in certainty are a choice that a person makes


@dataclass(frozen=True)
class Found:
    """A format that a folder may have: how certain that is (0 .. 1), and why."""

    format: str
    certainty: float
    why: str


_FORMATS: dict[str, tuple[Callable[[Tree], tuple[float, str]], Callable[[Tree, DataSettings], Annotations]]] = {
    "voc": (looks_like_voc, read_voc),
    "coco": (looks_like_coco, read_coco),
    "yolo": (looks_like_yolo, read_yolo),
    "table": (looks_like_table, read_table),
    "masks": (looks_like_masks, read_masks),
}
GROUPED = ("table", "coco")  # a column, a key of each image
NAMES = {
    "voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "table": "a table of boxes or points",
    "masks": "pictures with masks",
}  # fmt: skip


def recognise(tree: Tree) -> list[Found]:
    """Every format, the most certain first."""
    found = [Found(name, *looks_like(tree)) for name, (looks_like, _) in _FORMATS.items()]
    return sorted(found, key=lambda one: -one.certainty)


def format_of(tree: Tree) -> Found:
    """The format of a folder. Raises DataError where it has none, or could have two."""
    best, second, *_ = found = recognise(tree)
    if best.certainty < LEAST:
        seen = "; ".join(f"{NAMES[one.format]}: {one.why}" for one in found)
        raise DataError(
            f"no format of annotations is recognised ({seen}).",
            where=tree.origin,
            fix="give a Pascal VOC, COCO or YOLO folder, a table of boxes or points, or pictures with masks.",
        )
    if second.certainty > best.certainty - CLOSE:
        raise DataError(
            f"it could be {NAMES[best.format]} ({best.why}) or {NAMES[second.format]} ({second.why}).",
            where=tree.origin,
            fix="keep one of them in the folder, or give its file: FOLDER/boxes.csv, FOLDER/annotations.json.",
        )
    return best


def read_annotations(tree: Tree, settings: DataSettings) -> Annotations:
    """The annotations of a folder or an archive, whatever their format. Raises DataError, and UsageError for
    a group that the format cannot hold.
    """
    found = format_of(tree).format
    if settings.group is not None and found not in GROUPED:
        raise UsageError(
            f"{NAMES[found]} has no place that says which pictures belong together (group={settings.group}).",
            where=tree.origin, fix="convert it to a table of boxes or to COCO, and add a column or a key for it.",
        )  # fmt: skip
    return _FORMATS[found][1](tree, settings)


def tree_of(source: Source) -> Tree:
    """The files of a source. One file of annotations stands for its folder: its pictures lie beside it, or, if the
    folder is called annotations, beside that. Raises DataError for what is in memory.
    """
    path = source.table
    if path is None and isinstance(source.tree, FilesTree) and len(source.tree.files) == 1:
        path = source.tree.files[0].name
    if path is not None:
        folder, leaf = os.path.split(os.path.abspath(path))  # noqa: PTH100  # names of files are texts here
        above, name = os.path.split(folder)
        is_apart = name.lower() == "annotations"
        return _Beside(FolderTree(above if is_apart else folder), f"{name}/{leaf}" if is_apart else leaf)
    if source.tree is None:
        raise DataError(
            "annotated pictures are read from files, not from memory.", where=source.origin,
            fix="give a folder, an archive, or a file of annotations beside its pictures.",
        )  # fmt: skip
    return source.tree


@final
class _Beside:
    """One file of annotations and the pictures around it; other files of annotations are left aside."""

    def __init__(self, tree: Tree, name: str) -> None:
        self._tree = tree
        self.origin, self.notes = tree.origin, tree.notes
        self.files: Sequence[File] = [file for file in tree.files if file.name == name or is_picture_name(file.name)]

    def read(self, name: str) -> bytes:
        return self._tree.read(name)
