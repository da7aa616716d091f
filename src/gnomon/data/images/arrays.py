"""Pictures that are already arrays, and their targets as class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Reading
from gnomon.data.images.examples import ImageExamples, check_classes, index_of, same_picture_twice
from gnomon.data.images.scaling import CHANNELS, as_bytes
from gnomon.data.images.stores import ArrayStore
from gnomon.data.images.whites import Whites
from gnomon.data.labels import label_type, named, one_hot_indices
from gnomon.data.source import Arrays, counted

LARGEST_CLASS = 2**53  # whole numbers up to here are exact in float64


def looks_like_pictures(arrays: Arrays) -> tuple[float, str]:
    """How certain it is (0 .. 1), from shapes alone, that this is pictures with a class each; and why."""
    shape = arrays.inputs.shape
    if len(shape) == 3 or (len(shape) == 4 and shape[3] in CHANNELS):
        why = f"an array of {counted(shape[0], 'picture')}, {shape[1]}x{shape[2]}"
        return 0.9, why
    return 0.0, f"an array of shape {'x'.join(map(str, shape))}"


def read_arrays(arrays: Arrays, origin: str) -> Reading:
    """Pictures with classes, under the key "all". Raises DataError for values or targets that cannot be used."""
    if arrays.targets is None:
        raise DataError("there are pictures but no targets.", where=origin, fix="give (X, y).")
    found = as_bytes(arrays.inputs, origin)
    pictures, count = ArrayStore(found.pixels, arrays.inputs, found.whites), len(found.pixels)
    targets, about = one_class_each(arrays.targets, origin)
    classes = class_names_of(targets, arrays.class_names, count, origin)
    kind = "text" if arrays.class_names else label_type(targets)
    examples = ImageExamples.of(pictures, np.arange(count), index_of(numbered(count), classes), kind)
    notes = [*found.notes, *about, *check_classes(dict(Counter(classes)), origin)]
    return Reading({"all": examples}, tuple(notes + same_picture_twice(examples)))


def read_arrays_to_predict(arrays: Arrays, origin: str, whites: Whites) -> Reading:
    """Pictures without classes, under the key "all", on the scale of the training set."""
    found = as_bytes(arrays.inputs, origin, whites)
    pictures, count = ArrayStore(found.pixels, arrays.inputs, whites), len(found.pixels)
    examples = ImageExamples.of(pictures, np.arange(count), index_of(numbered(count), None))
    return Reading({"all": examples}, found.notes)


def numbered(count: int, split: str = "all") -> pl.Series:
    """Ids: `image 17`, or `test image 17` if the source has splits of its own."""
    prefix = "image" if split == "all" else f"{split} image"
    return pl.select(pl.format(prefix + " {}", pl.int_range(count)).alias("id")).to_series()


def one_class_each(targets: np.ndarray, origin: str) -> tuple[np.ndarray, list[str]]:
    """(N,) from (N,), (N, 1) or one-hot (N, K) targets, and notes. Raises DataError for other shapes."""
    targets = np.asarray(targets)
    if targets.ndim < 2 or (targets.ndim == 2 and targets.shape[1] == 1):
        return targets.reshape(-1), []
    found = one_hot_indices(targets)
    if isinstance(found, str):
        raise DataError(f"{found}.", where=origin, fix="give one class for each picture.")
    return found, [f"targets of shape {'x'.join(map(str, targets.shape))} are one-hot: read as one class each"]


def class_names_of(targets: np.ndarray, class_names: Sequence[str], count: int, origin: str) -> list[str]:
    """The class of each of `count` pictures as text. Raises DataError for targets that are not classes."""
    if targets.shape != (count,):
        raise DataError(
            f"{counted(count, 'picture')}, but targets of shape {'x'.join(map(str, targets.shape))}.",
            where=origin,
            fix="give one class for each picture.",
        )
    if targets.dtype.kind == "f":
        _refuse_missing(~np.isfinite(targets), origin)
        if (targets != np.rint(targets)).any():
            raise DataError(
                "the targets are fractions, not classes.", where=origin, fix="give whole numbers or names as targets."
            )
        large = np.flatnonzero(np.abs(targets) > LARGEST_CLASS)
        if len(large):
            raise DataError(
                f"the target of picture {large[0]} is {targets[large[0]]:g}, which is not a class.",
                where=origin,
                fix="give whole numbers or names as targets.",
            )
        targets = targets.astype(np.int64)
    if class_names and targets.dtype.kind in "iu":
        return named(targets, class_names, origin)
    if targets.dtype.kind == "b":
        return [str(target).lower() for target in targets.tolist()]  # as tables write booleans
    if targets.dtype.kind == "O":
        _refuse_missing(np.array([target is None or target != target for target in targets]), origin)
    return [str(target) for target in targets.tolist()]


def _refuse_missing(is_missing: np.ndarray, origin: str) -> None:
    missing = np.flatnonzero(is_missing)
    if len(missing):
        raise DataError(
            f"missing targets: {len(missing):,}, the first of picture {missing[0]}.",
            where=origin,
            fix="drop those pictures, or give them a class.",
        )
