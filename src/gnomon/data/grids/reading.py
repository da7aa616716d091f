"""Arrays of signals or volumes, with or without a class each."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np

from gnomon.core.errors import DataError
from gnomon.core.example import Reading, index_frame
from gnomon.core.settings import DataSettings
from gnomon.data.grids.examples import GridExamples
from gnomon.data.labels import check_classes, check_divided, class_names_of, label_type, one_class_each
from gnomon.data.layouts import channels_first, layout_of, times
from gnomon.data.source import Arrays, Source, counted
from gnomon.data.splits import own_splits

Noun = Literal["signal", "volume"]
LARGEST = 1e100  # magnitude of a value; the squares of larger ones are beyond float64


def read_labelled(source: Source, settings: DataSettings, noun: Noun) -> Reading:
    """Signals or volumes with a class each, in the source's own splits. Raises DataError naming what is wrong where."""
    arrays, origin = _arrays(source, noun), source.origin
    if arrays.targets is None:
        fix = "give (X, y), or a .npz file with x and y."
        raise DataError(f"there are {noun}s but no targets.", where=origin, fix=fix)
    layout = layout_of(arrays.inputs.shape, settings.layout, noun, origin)
    values = channels_first(arrays.inputs, layout)
    targets, notes = one_class_each(arrays.targets, noun, origin)
    classes = class_names_of(targets, arrays.class_names, len(values), noun, origin)
    kind = "text" if arrays.class_names else label_type(targets)
    table = index_frame(_ids(arrays, noun), label=classes)
    examples = GridExamples(values, np.arange(len(values)), table, layout, kind)
    notes = [*source.notes, *notes, *_missing(examples, noun, origin)]
    splits = own_splits(examples, arrays.splits)
    check_divided(splits, origin, noun)
    trained_on = splits.get("all") or splits["train"]
    notes += check_classes(dict(Counter(trained_on.index["label"].to_list())), origin, noun)
    return Reading(splits, tuple(notes))


def read_unlabelled(source: Source, settings: DataSettings, noun: Noun, layout: str, shape: tuple[int, ...]) -> Reading:
    """Signals or volumes under the key "all", for a model of examples of `shape` that came in `layout`.

    Raises DataError for examples of another shape.
    """
    arrays, origin = _arrays(source, noun), source.origin
    given = layout_of(arrays.inputs.shape, settings.layout or layout, noun, origin)
    values = channels_first(arrays.inputs, given)
    if values.shape[1:] != shape:
        raise DataError(
            f"the array of {times(arrays.inputs.shape)} ({given}) has {noun}s of {_size(values.shape[1:])}, and the "
            f"model takes {_size(shape)}.",
            where=origin,
            fix=f"give {noun}s of the shape that it was trained on.",
        )
    table = index_frame(_ids(arrays, noun))
    examples = GridExamples(values, np.arange(len(values)), table, given)
    return Reading({"all": examples}, (*source.notes, *_missing(examples, noun, origin)))


def _arrays(source: Source, noun: Noun) -> Arrays:
    if source.arrays is None:
        raise DataError(
            f"this is not an array, and {noun}s are read from arrays.",
            where=source.origin,
            fix="give a .npz file with x and y, or gnomon.fit((X, y)).",
        )
    if 0 in source.arrays.inputs.shape:
        shape = times(source.arrays.inputs.shape)
        raise DataError(f"the array of {shape} is empty.", where=source.origin, fix=f"give {noun}s with values.")
    return source.arrays


def _ids(arrays: Arrays, noun: Noun) -> list[str]:
    """`signal 17`, or `test signal 17` where the source has splits of its own."""
    parts = arrays.splits or (("", len(arrays.inputs)),)
    return [f"{split} {noun} {number}".strip() for split, size in parts for number in range(size)]


def _missing(examples: GridExamples, noun: Noun, origin: str) -> list[str]:
    """A note on missing values. Raises DataError for infinite or absurdly large ones."""
    if examples.values.dtype.kind != "f":
        return []
    missing, having, first = 0, 0, 0
    for chunk in examples.chunks():
        flat = chunk.reshape(len(chunk), -1)
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((np.abs(flat) > LARGEST).any(axis=1))
        if len(wrong):
            value = flat[wrong[0]][np.abs(flat[wrong[0]]) > LARGEST][0]
            raise DataError(
                f"{examples.table['id'][int(first + wrong[0])]} has the value {value:g}.",
                where=origin,
                fix="repair it, or mark it as missing: NaN.",
            )
        gone = np.isnan(flat).sum(axis=1)
        missing, having, first = missing + int(gone.sum()), having + int((gone > 0).sum()), first + len(chunk)
    if not missing:
        return []
    where = counted(having, noun)
    return [f"missing values (NaN): {missing:,} in {where}; each counts as the mean of its channel in train"]


def _size(shape: tuple[int, ...]) -> str:
    """`3 channels, 64 steps`."""
    size = counted(shape[1], "step") if len(shape) == 2 else times(shape[1:])
    return f"{counted(shape[0], 'channel')} of {size}"
