"""Annotated pictures as Examples: pixels from their files, objects and masks from annotations of any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self, cast, final

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import MOST_CLASSES, BadInput, Example, Examples, Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.annotations.model import CROWD, IGNORED, Annotations, Object
from gnomon.data.annotations.outlines import mask_of
from gnomon.data.annotations.reading import LEAST, Found, read_annotations, recognise, tree_of
from gnomon.data.images import ImageExamples, Whites, read_unlabelled
from gnomon.data.images.class_folders import remarks
from gnomon.data.images.stores import scan
from gnomon.data.source import Source, counted, display_name, first_names

Wanted = Literal["boxes", "masks", "points"]

BACKGROUND = "background"
PADDING = 114  # the gray around pictures of another shape than the rest
NEARLY = 1.25  # times larger that a picture would have to be
KEPT_SIDE = 1024  # pixels of the shorter side that are kept of a large picture: small objects need them


@final
@dataclass(frozen=True)
class AnnotatedExamples(Examples):
    """N pictures with what is annotated on them. Example i is picture positions[i] of annotations[source[i]].

    Places are pixels of the upright picture as it was annotated, even where fewer pixels of it are kept. Pictures to
    predict have no annotations: `source` is -1.
    """

    pictures: ImageExamples
    annotations: tuple[Annotations, ...]
    source: np.ndarray  # (N,) int64
    positions: np.ndarray  # (N,) int64
    wanted: Wanted
    side: int  # pixels of the longer side that a task takes by default
    frames: np.ndarray  # (N, 2) int64: height and width of the upright pictures

    @property
    def index(self) -> pl.DataFrame:
        return self.pictures.index

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Example:
        """`target`: the objects, or the mask (H, W); None for a picture to predict."""
        example, target = self.pictures[position], None
        if self.source[position] >= 0:
            target = self.mask(position) if self.wanted == "masks" else self.objects(position)
        return replace(example, target=target)

    def take(self, positions: np.ndarray) -> Self:
        positions = np.asarray(positions, np.int64)
        return replace(
            self, pictures=self.pictures.take(positions), source=self.source[positions],
            positions=self.positions[positions], frames=self.frames[positions],
        )  # fmt: skip

    def join(self, other: Self) -> Self:
        annotations = [*self.annotations]
        for theirs in other.annotations:
            if not any(ours is theirs for ours in annotations):
                annotations.append(theirs)
        renumber = [next(i for i, ours in enumerate(annotations) if ours is theirs) for theirs in other.annotations]
        there = np.array([*renumber, -1], np.int64)[other.source]  # -1 stays
        return replace(
            self, pictures=self.pictures.join(other.pictures), annotations=tuple(annotations),
            source=np.concatenate([self.source, there]), positions=np.concatenate([self.positions, other.positions]),
            frames=np.concatenate([self.frames, other.frames]),
        )  # fmt: skip

    def fingerprints(self) -> np.ndarray:
        return self.pictures.fingerprints()

    def thumbnails(self) -> np.ndarray:
        return self.pictures.thumbnails()

    def with_source(self, name: str) -> Self:
        return replace(self, pictures=self.pictures.with_source(name))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Of all sources; of masks the background first, where outlines have none of their own."""
        names = dict.fromkeys(name for one in self.annotations for name in _names(one, self.wanted))
        return tuple(names)

    @property
    def point_names(self) -> tuple[str, ...]:
        """Those of the first source: points are told apart by their order."""
        return self.annotations[0].point_names if self.annotations else ()

    def objects(self, position: int) -> list[Object]:
        """The objects of one picture, in the order of the data; `label` is a place in `class_names`."""
        if self.source[position] < 0:
            return []
        number = int(self.source[position])
        found = self.annotations[number].objects(int(self.positions[position]))
        places = self._places[number]
        return [replace(one, label=int(places[one.label])) for one in found]

    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """(M, 6) float64 left, top, right, bottom, label, flags of all objects; (N + 1,) where each picture's begin."""
        parts, counts = [np.empty((0, 6))], [0]
        for number, row in zip(self.source.tolist(), self.positions.tolist(), strict=True):
            rows = np.empty((0, 6))
            if number >= 0:
                one = self.annotations[number]
                some = slice(int(one.first[row]), int(one.first[row + 1]))
                labels = self._places[number][one.labels[some]]
                rows = np.column_stack([one.boxes[some], labels, one.flags[some]])
            parts.append(rows)
            counts.append(len(rows))
        return np.concatenate(parts), np.cumsum(counts)

    def class_counts(self) -> dict[str, int]:
        """Objects of each class; nothing of masks, which would have to be read."""
        rows, _ = self.boxes()
        counts = np.bincount(rows[:, 4].astype(np.int64), minlength=len(self.class_names))
        found = dict(zip(self.class_names, counts.tolist(), strict=True)) if len(rows) else {}
        return dict(sorted(found.items(), key=lambda pair: -pair[1])[:MOST_CLASSES])

    def mask(self, position: int) -> np.ndarray:
        """(H, W) int32: the class of each pixel, a place in `class_names`; IGNORED where it is not judged."""
        height, width = map(int, self.frames[position])
        if self.source[position] < 0:
            return np.full((height, width), IGNORED, np.int32)
        number, row = int(self.source[position]), int(self.positions[position])
        one, places = self.annotations[number], self._places[number]
        if one.masks is not None:
            return np.array([*places, IGNORED], np.int32)[one.mask(row)]  # IGNORED is -1: the last
        background = self.class_names.index(BACKGROUND)
        return _drawn(one.objects(row), height, width, places, background)

    @cached_property
    def _places(self) -> tuple[np.ndarray, ...]:
        """For each source, the place of each of its classes in `class_names`."""
        at = {name: place for place, name in enumerate(self.class_names)}
        return tuple(np.array([at[name] for name in one.class_names], np.int64) for one in self.annotations)

    def sizes(self) -> np.ndarray:
        """(N, 2) int64: heights and widths in pixels, upright, as annotated."""
        return self.frames

    @property
    def is_colour(self) -> bool:
        return self.pictures.is_colour

    def scales(self, height: int, width: int) -> np.ndarray:
        """(N,) float64: how much larger each picture is when it fits into height x width.

        Pictures that nearly fill it keep their pixels.
        """
        scales = np.minimum(height / self.frames[:, 0], width / self.frames[:, 1])
        return np.where((scales >= 1) & (scales < NEARLY), 1.0, scales)

    def pixels(self, height: int, width: int, channels: int, whites: Whites | None = None) -> np.ndarray:
        """(N, height, width, channels) uint8: each at its scale in the left top corner, gray beyond it."""
        fitted = np.rint(self.frames * self.scales(height, width)[:, None]).astype(np.int64)
        fitted = fitted.clip(1, [height, width])
        out = np.full((len(self), height, width, channels), PADDING, np.uint8)
        shapes, which = np.unique(fitted, axis=0, return_inverse=True)
        for number, (rows, columns) in enumerate(shapes.tolist()):
            some = np.flatnonzero(which.ravel() == number)
            out[some, :rows, :columns] = self.pictures.take(some).pixels(rows, columns, channels, whites)
        return out


def _names(one: Annotations, wanted: Wanted) -> tuple[str, ...]:
    return (BACKGROUND, *one.class_names) if wanted == "masks" and one.masks is None else one.class_names


def _drawn(objects: Sequence[Object], height: int, width: int, values: np.ndarray, background: int) -> np.ndarray:
    """(H, W) int32: the value of the object's class; small objects over large ones, crowds not judged."""
    masks = [
        (IGNORED if one.flags & CROWD else int(values[one.label]), mask_of(one.details.outline, height, width))
        for one in objects
        if one.details.outline is not None
    ]
    classes = np.full((height, width), background, np.int32)
    for value, mask in sorted(masks, key=lambda one: -int(one[1].sum())):
        classes[mask] = value
    return classes


def recognised(source: Source) -> Found | None:
    """The most certain format of a source that has annotated pictures; None for what is in memory."""
    if source.tree is None and source.table is None:
        return None
    return recognise(tree_of(source))[0]


def read_annotated(source: Source, settings: DataSettings, wanted: Wanted, side: int) -> Reading:
    """Every annotated picture that can be read, in the splits of the data.

    Raises DataError for what has no annotations, or too many that cannot be used, or none of what is wanted.
    """
    annotations = read_annotations(tree_of(source), settings)
    _check_wanted(annotations, wanted, source)
    by_name = {file.name: file for file in annotations.tree.files}
    files = [by_name[picture.file] for picture in annotations.pictures]
    least = max(KEPT_SIDE, 2 * (settings.image_size or 0))
    found = scan(annotations.tree, files, max_pixels=settings.max_pixels, least_side=least)
    bad = _bad(annotations, found.bad, source, settings)
    rows = found.readable
    ids = [display_name(annotations.pictures[row].file) for row in rows]
    frames = np.array([(annotations.pictures[row].height, annotations.pictures[row].width) for row in rows], np.int64)
    groups = None if settings.group is None else [annotations.pictures[row].group for row in rows]
    index = index_frame(ids, stratum=_strata(annotations, rows), group=groups)
    whole = AnnotatedExamples(
        ImageExamples.of(found.store, rows, index), (annotations,), np.zeros(len(rows), np.int64), rows, wanted, side,
        frames.reshape(-1, 2),
    )  # fmt: skip
    splits = np.array([annotations.pictures[row].split for row in rows])
    divided = {name: whole.take(np.flatnonzero(splits == name)) for name in ("all", "train", "dev", "test")}
    present = {name: examples for name, examples in divided.items() if len(examples)}
    if "all" in present and len(present) > 1:
        raise DataError(
            f"{counted(len(present['all']), 'picture')} are in no split, and the others are in "
            f"{first_names([name for name in present if name != 'all'])} ({present['all'].index['id'][0]}).",
            where=source.origin, fix="put every picture into a split, or none.",
        )  # fmt: skip
    notes = (*source.notes, *annotations.notes, *remarks(found))
    return Reading(present, notes, bad)


def _check_wanted(annotations: Annotations, wanted: Wanted, source: Source) -> None:
    """Raises DataError where none of the annotations is of the kind that a task needs."""
    has_outlines = any(one.outline is not None for one in annotations.details.values())
    is_there = {
        "boxes": annotations.masks is None and annotations.format != "landmarks table",
        "masks": annotations.masks is not None or has_outlines,
        "points": bool(annotations.point_names),
    }
    if not is_there[wanted]:
        other = {"boxes": "task=segmentation", "masks": "task=detection", "points": "task=detection"}[wanted]
        if annotations.format == "landmarks table":
            other = "task=landmarks"
        raise DataError(
            f"the annotations ({annotations.format}) have no {wanted}.", where=source.origin,
            fix=f"use {other}, or give data with {wanted}.",
        )  # fmt: skip


def _bad(
    annotations: Annotations, unreadable: Sequence[BadInput], source: Source, settings: DataSettings
) -> tuple[BadInput, ...]:
    """What was left out. Raises DataError for more unreadable pictures than `max_bad` allows."""
    total = len(annotations.pictures)
    if len(unreadable) > settings.max_bad * total or len(unreadable) == total:
        shown = "; ".join(f"{one.where} ({one.why})" for one in unreadable[:3])
        raise DataError(
            f"{len(unreadable):,} of {counted(total, 'picture')} cannot be read: {shown}.", where=source.origin,
            fix="repair or remove them, or continue without them: max_bad=...",
        )  # fmt: skip
    return (*annotations.bad, *unreadable)


def _strata(annotations: Annotations, rows: np.ndarray) -> list[str | None]:
    """What a split keeps in proportion: the rarest class of each picture. Nothing of masks, which are read later."""
    if annotations.masks is not None:
        return [None] * len(rows)
    counts = np.bincount(annotations.labels, minlength=len(annotations.class_names))
    found: list[str | None] = []
    for row in rows.tolist():
        labels = annotations.labels[annotations.first[row] : annotations.first[row + 1]]
        rarest = min(set(labels.tolist()), key=lambda label: (int(counts[label]), label), default=None)
        found.append("no object" if rarest is None else annotations.class_names[rarest])
    return found


def read_to_predict(source: Source, settings: DataSettings, whites: Whites, wanted: Wanted, side: int) -> Reading:
    """Pictures without what is annotated on them, under the key "all". Masks beside pictures are no pictures."""
    found = recognised(source)
    if found is not None and found.format == "masks" and found.certainty >= LEAST:
        reading = read_annotated(source, settings, "masks", side)
        first, *others = reading.splits.values()
        whole = cast(AnnotatedExamples, first)
        for one in others:
            whole = whole.join(cast(AnnotatedExamples, one))
        return replace(reading, splits={"all": _bare(whole.pictures, whole.frames, wanted, side)})
    # as many pixels of a large picture are kept as in training
    settings = settings.model_copy(update={"image_size": max(KEPT_SIDE // 2, settings.image_size or 0)})
    reading = read_unlabelled(source, settings, whites)
    pictures = cast(ImageExamples, reading.splits["all"])
    return replace(reading, splits={"all": _bare(pictures, pictures.sizes(), wanted, side)})


def _bare(pictures: ImageExamples, frames: np.ndarray, wanted: Wanted, side: int) -> AnnotatedExamples:
    nothing = np.full(len(pictures), -1, np.int64)
    return AnnotatedExamples(pictures, (), nothing, nothing, wanted, side, frames)
