"""Pictures that are already arrays, and their targets as class names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import Reading
from gnomon.core.settings import DataSettings
from gnomon.data import layouts
from gnomon.data.images.examples import ImageExamples, index_of, same_picture_twice
from gnomon.data.images.scaling import as_bytes
from gnomon.data.images.stores import ArrayStore
from gnomon.data.images.whites import Whites
from gnomon.data.labels import check_classes, check_divided, class_names_of, label_type, one_class_each
from gnomon.data.source import Arrays
from gnomon.data.splits import own_splits


def read_arrays(arrays: Arrays, settings: DataSettings, origin: str) -> Reading:
    """Pictures with classes, in the arrays' own splits. Raises DataError for values or targets that cannot be used."""
    if arrays.targets is None:
        raise DataError("there are pictures but no targets.", where=origin, fix="give (X, y).")
    inputs, notes = _channels_last(arrays.inputs, settings.layout, origin)
    found = as_bytes(inputs, origin)
    pictures, count = ArrayStore(found.pixels, inputs, found.whites), len(found.pixels)
    targets, about = one_class_each(arrays.targets, "picture", origin)
    classes = class_names_of(targets, arrays.class_names, count, "picture", origin)
    kind = "text" if arrays.class_names else label_type(targets)
    ids = pl.concat([numbered(size, split) for split, size in arrays.splits or (("all", count),)])
    examples = ImageExamples.of(pictures, np.arange(count), index_of(ids, classes), kind)
    splits = own_splits(examples, arrays.splits)
    check_divided(splits, origin)
    trained_on = splits.get("all") or splits["train"]
    notes += [*found.notes, *about, *check_classes(dict(Counter(trained_on.index["label"].to_list())), origin)]
    return Reading(splits, tuple(notes + same_picture_twice(examples)))


def read_arrays_to_predict(arrays: Arrays, settings: DataSettings, origin: str, whites: Whites) -> Reading:
    """Pictures without classes, under the key "all", on the scale of the training set."""
    inputs, notes = _channels_last(arrays.inputs, settings.layout, origin)
    found = as_bytes(inputs, origin, whites)
    pictures, count = ArrayStore(found.pixels, inputs, whites), len(found.pixels)
    ids = pl.concat([numbered(size, split) for split, size in arrays.splits or (("all", count),)])
    examples = ImageExamples.of(pictures, np.arange(count), index_of(ids, None))
    return Reading({"all": examples}, (*notes, *found.notes))


def numbered(count: int, split: str = "all") -> pl.Series:
    """Ids: `image 17`, or `test image 17` if the source has splits of its own."""
    prefix = "image" if split == "all" else f"{split} image"
    return pl.select(pl.format(prefix + " {}", pl.int_range(count)).alias("id")).to_series()


def _channels_last(inputs: np.ndarray, layout: str | None, origin: str) -> tuple[np.ndarray, list[str]]:
    """(N, H, W) or (N, H, W, C), and a note where that is not how they came."""
    if layout is None and (inputs.ndim not in (3, 4) or 0 in inputs.shape):
        return inputs, []  # which is refused where values are read
    if layouts.layout_of(inputs.shape, layout, "picture", origin) != "NCHW":
        return inputs, []
    note = f"an array of shape {layouts.times(inputs.shape)} is interpreted as (N, C, H, W)"
    return np.moveaxis(inputs, 1, 3), [note] * (layout is None)
