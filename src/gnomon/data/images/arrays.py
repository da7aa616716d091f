"""Pictures that are already arrays: values brought to 8 bits on purpose, targets to class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Reading
from gnomon.data.images.examples import ImageExamples, check_classes, index_of, same_picture_twice
from gnomon.data.images.stores import ArrayStore
from gnomon.data.source import Arrays, counted

CHANNELS = (1, 3, 4)
_CHUNK = 4_096  # pictures scaled at a time


def looks_like_pictures(arrays: Arrays) -> tuple[float, str]:
    """How sure it is (0 .. 1), from shapes alone, that this is pictures with a class each; and why."""
    shape = arrays.inputs.shape
    if len(shape) == 3 or (len(shape) == 4 and shape[3] in CHANNELS):
        why = f"an array of {counted(shape[0], 'picture')}, {shape[1]}x{shape[2]}"
        if arrays.targets is not None and np.ndim(arrays.targets) != 1:
            return 0.0, "targets of more than one dim"
        return 0.9, why
    return 0.0, f"an array of shape {'x'.join(map(str, shape))}"


def read_arrays(arrays: Arrays, origin: str) -> Reading:
    """Pictures with classes, under the key "all". Raises DataError for values or targets that cannot be used."""
    if arrays.targets is None:
        raise DataError("there are pictures but no targets.", where=origin, fix="hand over (X, y).")
    pixels, notes = as_bytes(arrays.inputs, origin)
    classes = class_names_of(arrays.targets, arrays.class_names, len(pixels), origin)
    examples = ImageExamples.of(ArrayStore(pixels), np.arange(len(pixels)), index_of(numbered(len(pixels)), classes))
    notes += check_classes(dict(Counter(classes)), origin)
    return Reading({"all": examples}, tuple(notes + same_picture_twice(examples)))


def read_arrays_to_predict(arrays: Arrays, origin: str) -> Reading:
    """Pictures without classes, under the key "all"."""
    pixels, notes = as_bytes(arrays.inputs, origin)
    table = index_of(numbered(len(pixels)), None)
    return Reading({"all": ImageExamples.of(ArrayStore(pixels), np.arange(len(pixels)), table)}, tuple(notes))


def numbered(count: int, split: str = "all") -> pl.Series:
    """Ids: `image 17`, or `test image 17` where the source divides itself."""
    prefix = "image" if split == "all" else f"{split} image"
    return pl.select(pl.format(prefix + " {}", pl.int_range(count)).alias("id")).to_series()


def as_bytes(array: np.ndarray, origin: str) -> tuple[np.ndarray, list[str]]:
    """(N, H, W) or (N, H, W, 3) uint8, and notes on what was done. Bytes stay as they are and are not copied.

    Other numbers are scaled by the range they fill: 0..1 by 255, whole numbers of 0..16 by 255/16, 0..255 by 1,
    0..65,535 by 1/257. Raises DataError for NaN, negative or larger values, and for shapes that are not pictures.
    """
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in CHANNELS) or 0 in array.shape:
        raise DataError(
            f"an array of shape {'x'.join(map(str, array.shape))} is not pictures.",
            where=origin,
            fix="give (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4), N at least 1.",
        )
    notes: list[str] = []
    if array.dtype != np.uint8:
        factor = _factor(array, origin, notes)
        scaled = np.empty(array.shape, np.uint8)
        for start in range(0, len(array), _CHUNK):
            scaled[start : start + _CHUNK] = np.rint(array[start : start + _CHUNK].astype(np.float64) * factor)
        array = scaled
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 4 and array.shape[3] == 4:
        notes.append("the fourth channel is taken for transparency, laid over white")
        array = _over_white(array)
    return array, notes


def _factor(array: np.ndarray, origin: str, notes: list[str]) -> float:
    if array.dtype.kind not in "biuf":
        raise DataError(f"pictures of type {array.dtype} are not numbers.", where=origin, fix="give uint8 or floats.")
    low, high, whole = _range(array, origin)
    if low < 0 or high > 65_535:
        raise DataError(
            f"pixel values run from {low:g} to {high:g}; none of 0..1, 0..255 or 0..65,535.",
            where=origin,
            fix="hand over pictures before any normalisation; gnomon normalises by the training split.",
        )
    if high <= 1:
        factor, shown = 255.0, "taken for 0..1: times 255"
    elif high <= 16 and whole:
        factor, shown = 255 / 16, "taken for 0..16: times 255/16"
    elif high <= 255:
        factor, shown = 1.0, "taken for 0..255" + ("" if whole else ": rounded")
    else:
        factor, shown = 1 / 257, "taken for 0..65,535: divided by 257"
    notes.append(f"pixel values of type {array.dtype} from {low:g} to {high:g}, {shown}")
    return factor


def _range(array: np.ndarray, origin: str) -> tuple[float, float, bool]:
    """Smallest and largest value, and whether all are whole numbers."""
    low, high, whole = np.inf, -np.inf, True
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK]
        if array.dtype.kind == "f" and not np.isfinite(chunk).all():
            wrong = np.flatnonzero(~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)) + start
            raise DataError(
                f"picture {wrong[0]} holds values that are not numbers (NaN or infinite).",
                where=origin,
                fix="repair or drop such pictures.",
            )
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        whole = whole and (array.dtype.kind != "f" or bool((chunk == np.rint(chunk)).all()))
    return low, high, whole


def _over_white(array: np.ndarray) -> np.ndarray:
    out = np.empty((*array.shape[:3], 3), np.uint8)
    for start in range(0, len(array), _CHUNK):
        chunk = array[start : start + _CHUNK].astype(np.float32)
        alpha = chunk[..., 3:] / 255
        out[start : start + _CHUNK] = np.rint(chunk[..., :3] * alpha + 255 * (1 - alpha))
    return out


def class_names_of(targets: np.ndarray, class_names: Sequence[str], count: int, origin: str) -> list[str]:
    """The class of each of `count` pictures as text. Raises DataError for targets that are not classes."""
    targets = np.asarray(targets)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.shape != (count,):
        raise DataError(
            f"{counted(count, 'picture')}, but targets of shape {'x'.join(map(str, targets.shape))}.",
            where=origin,
            fix="give one class for each picture.",
        )
    if targets.dtype.kind == "f":
        finite = np.isfinite(targets)
        if not finite.all():
            missing = np.flatnonzero(~finite)
            raise DataError(
                f"missing targets: {len(missing):,}, the first of picture {missing[0]}.",
                where=origin,
                fix="drop those pictures, or give them a class.",
            )
        if (targets != np.rint(targets)).any():
            raise DataError(
                "the targets are fractions, not classes.", where=origin, fix="give whole numbers or names as targets."
            )
        targets = targets.astype(np.int64)
    if class_names and targets.dtype.kind in "iu":
        if targets.min() < 0 or targets.max() >= len(class_names):
            raise DataError(
                f"targets run from {targets.min()} to {targets.max()}, but there are {len(class_names)} class names.",
                where=origin,
                fix="give targets that number the class names from 0.",
            )
        return [class_names[target] for target in targets.tolist()]
    return [str(target) for target in targets.tolist()]
