"""Objects already in memory: arrays, tensors, frames, map-style data sets; recognised by what they can do."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.data.as_arrays import IN_MEMORY, as_numpy, checked_inputs, filled, of_objects, target_array
from gnomon.data.layouts import times
from gnomon.data.objects import (
    are_columns,
    are_pairs,
    are_two_rows,
    is_array,
    is_dataset,
    is_frame,
    is_pillow,
    may_be_inputs,
)
from gnomon.data.source import Arrays, Source, counted

if TYPE_CHECKING:
    import polars as pl

_ACCEPTED = (
    "give a path, the name of a set, an array, (X, y), a polars or pandas frame, a dict of columns, a list of files or "
    "of rows, or a data set or list with items (input, target)."
)
TARGET_KEYS = {"target", "label", "labels", "y"}  # of an item that is a dict of two entries


def open_object(thing: Any) -> Source:
    """A source from an object. Raises UsageError for an unsupported kind of object, DataError for invalid contents."""
    if is_frame(thing) or are_columns(thing):
        notes: list[str] = []
        frame = _frame(thing, "a frame in memory", notes)
        return Source("frame", "a frame in memory", frame=frame, notes=tuple(notes))
    if is_array(thing):
        return _of_arrays(thing, None)
    if are_pairs(thing) or is_dataset(thing):
        return _of_dataset(thing)
    if isinstance(thing, list | tuple) and len(thing) == 2 and may_be_inputs(thing[0]) and not are_two_rows(thing):
        return _of_arrays(*thing)
    if (
        isinstance(thing, list)
        and thing
        and (isinstance(thing[0], list | tuple) or is_array(thing[0]) or is_pillow(thing[0]))
    ):
        return _of_arrays(thing, None)
    fix = _ACCEPTED
    if hasattr(thing, "dataset"):
        fix = "give the data set that it loads: loader.dataset."
    elif hasattr(thing, "__iter__") and not isinstance(thing, str | bytes | dict | list | tuple | set | io.IOBase):
        fix = f"{_ACCEPTED} This can only be iterated over: give list(...) of it."
    raise UsageError(f"cannot read a {type(thing).__name__}.", fix=fix)


def table_or_path(thing: Any) -> pl.DataFrame | Path:
    """A frame of polars, pandas or Arrow as one of polars, or the path of a table. Raises UsageError."""
    if is_frame(thing):
        return _frame(thing, "the table", [])
    if isinstance(thing, str | os.PathLike):
        return Path(thing)
    raise UsageError(f"{type(thing).__name__} is not a table.", fix="give a frame, or a CSV or Parquet file.")


def _frame(thing: Any, origin: str, notes: list[str]) -> pl.DataFrame:
    from gnomon.data.tables.frames import as_polars  # arrays should not load polars

    return as_polars(thing, origin, notes)


def _of_arrays(inputs: Any, targets: Any) -> Source:
    notes: list[str] = []
    if targets is not None and (texts := _texts_of(inputs)):
        import polars as pl

        return _of_frame(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), targets, notes)
    feature_names: tuple[str, ...] = ()
    if targets is not None and hasattr(inputs, "index") and hasattr(targets, "index"):
        notes += _index_note(inputs, targets)
    if is_frame(inputs) or are_columns(inputs):
        import polars as pl

        frame = _frame(inputs, "a frame in memory", notes)
        feature_names = tuple(frame.columns)
        if targets is not None and any(not (dtype.is_numeric() or dtype == pl.Boolean) for dtype in frame.dtypes):
            return _of_frame(frame, targets, notes)
        is_whole = all(dtype.is_integer() for dtype in frame.dtypes) and not any(frame.null_count().row(0))
        array = frame.to_numpy() if is_whole else frame.select(pl.all().cast(pl.Float64)).to_numpy()
    else:
        array = as_numpy(inputs, IN_MEMORY)
    array = checked_inputs(array, notes)
    target_names: tuple[str, ...] = ()
    if targets is not None:
        targets, target_names = _targets_for(len(array), targets, notes)
    arrays = Arrays(array, targets, target_names, feature_names=feature_names)
    return Source("arrays", IN_MEMORY, arrays=arrays, notes=tuple(notes))


def _texts_of(inputs: Any) -> list[str]:
    """Inputs that are texts, in a list, an array or a series; else none."""
    if is_array(inputs) and str(inputs.dtype).startswith(("<U", "object", "str", "String")):
        inputs = inputs.tolist() if hasattr(inputs, "tolist") else inputs.to_list()
    is_list = isinstance(inputs, list | tuple) and bool(inputs) and all(isinstance(one, str) for one in inputs)
    return list(inputs) if is_list else []


def _targets_for(count: int, targets: Any, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The targets of so many inputs, and their names where they have any. Raises DataError."""
    name = getattr(targets, "name", None)
    names = (str(name),) if isinstance(name, str) and name else ()
    if is_frame(targets):
        targets = _frame(targets, "the frame of targets", notes)
        names = tuple(targets.columns)
    found = target_array(targets, IN_MEMORY)
    if len(found) != count:
        raise DataError(
            f"{counted(count, 'input')} but {counted(len(found), 'target')}.",
            where=IN_MEMORY,
            fix="give one target per input.",
        )
    return found, names


def _of_frame(frame: pl.DataFrame, targets: Any, notes: list[str]) -> Source:
    """A frame of mixed columns, with its targets as further columns."""
    import polars as pl

    found, names = _targets_for(len(frame), targets, notes)
    columns = found.reshape(len(found), -1).T
    if not names:
        names = ("target",) if len(columns) == 1 else tuple(f"target {i}" for i in range(len(columns)))
    taken = next((name for name in names if name in frame.columns), None)
    if taken is not None:
        raise DataError(
            f"the frame has a column called {taken!r}, and so have the targets given with it.", where=IN_MEMORY,
            fix="leave that column out, or give the frame alone and target=NAME.",
        )  # fmt: skip
    parts = zip(names, columns, strict=True)
    whole = frame.with_columns(pl.Series(name, one.tolist() if one.dtype == object else one) for name, one in parts)
    return Source("frame", "a frame in memory", frame=whole, targets=names, notes=tuple(notes))


def _index_note(inputs: Any, targets: Any) -> list[str]:
    """A note if two pandas objects are paired by position although their indexes pair them differently."""
    ours, theirs = inputs.index, targets.index
    if callable(ours) or callable(theirs) or len(ours) != len(theirs) or (ours == theirs).all():
        return []
    return ["the indexes of inputs and targets differ: they are paired by position, the first with the first"]


def _of_dataset(dataset: Any) -> Source:
    """All items of a map-style data set, read once, one after another."""
    origin = f"a {type(dataset).__name__} in memory"
    try:
        count = len(dataset)
    except (TypeError, NotImplementedError):
        raise UsageError(f"{type(dataset).__name__} has no length.", fix=_ACCEPTED) from None
    if count == 0:
        raise DataError("the data set is empty.", where=origin, fix="give at least one example.")
    inputs: np.ndarray | None = None
    types: dict[str, int] = {}  # of the inputs, and the first item of each
    targets: list[Any] = []
    for i in range(count):
        one, target = _pair(_item(dataset, i), i, origin)
        types.setdefault(str(one.dtype), i)
        if inputs is None:
            inputs = np.empty((count, *one.shape), one.dtype)
        if one.shape != inputs.shape[1:]:
            raise DataError(
                f"item {i} is {times(one.shape)} of type {one.dtype}, the first one {times(inputs[0].shape)}.",
                where=origin,
                fix="make all inputs numbers of one shape, or give the folder of files.",
            )
        if one.dtype != inputs.dtype:  # the first item's type does not bind the others
            inputs = inputs.astype(np.promote_types(inputs.dtype, one.dtype), copy=False)
        inputs[i] = one
        if target is not None:
            targets.append(target)
    if targets and len(targets) != count:
        raise DataError(
            f"{len(targets):,} of {count:,} items have a target.", where=origin, fix="give every item a target."
        )
    assert inputs is not None
    notes = _types_note(types, inputs, origin)
    classes = tuple(map(str, _class_names(dataset)))
    arrays = Arrays(inputs, _stacked(targets, origin) if targets else None, class_names=classes)
    return Source("dataset", origin, arrays=arrays, notes=tuple(notes))


def _item(dataset: Any, i: int) -> Any:
    """One item. Raises UsageError for a data set that can only be walked through; its own errors are its own."""
    try:
        return dataset[i]
    except NotImplementedError:
        what = f"the items of a {type(dataset).__name__} cannot be accessed by number."
        raise UsageError(what, fix="give list(data set).") from None


def _pair(item: Any, i: int, origin: str) -> tuple[np.ndarray, Any]:
    """The input of an item as an array, and its target or None."""
    if isinstance(item, dict) and len(item) == 2 and item.keys() & TARGET_KEYS:
        key = next(iter(item.keys() & TARGET_KEYS))
        item = (next(value for name, value in item.items() if name != key), item[key])
    if isinstance(item, tuple) and len(item) == 1:  # of a TensorDataset of inputs alone
        item = item[0]
    is_pair = isinstance(item, tuple | list) and len(item) == 2
    if isinstance(item, dict) or (isinstance(item, tuple) and not is_pair):
        kind = f"a dict of {', '.join(map(str, item))}" if isinstance(item, dict) else f"a tuple of {len(item)}"
        raise DataError(f"item {i} is {kind}.", where=origin, fix="make items (input, target), or the input alone.")
    one = as_numpy(item[0] if is_pair else item, origin)
    if isinstance(one, np.ma.MaskedArray):
        one = filled(one)
    if one.dtype.kind not in "biuf":
        what = f"item {i} is {times(one.shape)} of type {one.dtype}, not numbers."
        raise DataError(what, where=origin, fix="make all inputs numbers of one shape, or give the folder of files.")
    return one, item[1] if is_pair else None


def _types_note(types: dict[str, int], inputs: np.ndarray, origin: str) -> list[str]:
    """A note if items have several types. Raises DataError for pictures of bytes mixed with some that may be 0 to 1."""
    if len(types) < 2:
        return []
    shown = " and ".join(f"{name} (item {i})" for name, i in list(types.items())[:3])
    if inputs.ndim > 2 and "uint8" in types and any(name.startswith(("float", "bfloat")) for name in types):
        raise DataError(
            f"the pictures have several types, bytes and floating-point numbers among them: {shown}.",
            where=origin,
            fix="give all of them one type, so that the same number means the same brightness.",
        )
    return [f"items have several types, {shown}: all are stored as {inputs.dtype}"]


def _stacked(targets: Sequence[Any], origin: str) -> np.ndarray:
    """Targets of single items as one array."""
    values = [as_numpy(target, origin) if hasattr(target, "shape") else target for target in targets]
    shapes = {np.shape(value) for value in values}
    if len(shapes) > 1:
        raise DataError(f"the targets have several shapes: {sorted(shapes)[:2]}.", where=origin,
                        fix="give each item one target of one shape.")  # fmt: skip
    if shapes == {()}:
        return of_objects([value.item() if isinstance(value, np.ndarray) else value for value in values], origin)
    return target_array(np.stack([np.asarray(value) for value in values]), origin)


def _class_names(dataset: Any) -> Iterable[Any]:
    names = getattr(dataset, "classes", ())
    return names if isinstance(names, Sequence) and not isinstance(names, str) else ()
