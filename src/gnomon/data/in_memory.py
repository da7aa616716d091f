"""Things already in memory: arrays, tensors, frames, map-style data sets; recognised by what they can do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError, MachineError, UsageError
from gnomon.data.source import Arrays, Source, counted

if TYPE_CHECKING:
    import polars as pl

_ACCEPTED = (
    "give a path, the name of a set, an array, (X, y), a polars or pandas frame, a list of files, or a data set with "
    "len() and items (input, target)."
)
_CHANNELS = (1, 3, 4)


def open_object(thing: Any) -> Source:
    """A source from an object. Raises UsageError for what is none of the kinds accepted, DataError for odd contents."""
    if _is_frame(thing):
        return Source("frame", "a frame in memory", frame=_frame(thing))
    if _is_array(thing):
        return _of_arrays(thing, None)
    if (
        isinstance(thing, list | tuple)
        and len(thing) == 2
        and all(_is_array(part) or _is_frame(part) for part in thing)
    ):
        return _of_arrays(*thing)
    if _is_dataset(thing):
        return _of_dataset(thing)
    raise UsageError(f"{type(thing).__name__} is nothing that can be read.", fix=_ACCEPTED)


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or _is_tensor(thing) or (_is_series(thing))


def _is_tensor(thing: Any) -> bool:
    return all(hasattr(thing, name) for name in ("detach", "cpu", "numpy", "shape"))


def _is_series(thing: Any) -> bool:
    return type(thing).__name__ == "Series" and hasattr(thing, "to_numpy")


def _is_frame(thing: Any) -> bool:
    kind = type(thing).__name__
    return kind == "LazyFrame" or (kind in ("DataFrame", "Table") and hasattr(thing, "__arrow_c_stream__"))


def _is_dataset(thing: Any) -> bool:
    return (
        hasattr(thing, "__len__")
        and hasattr(thing, "__getitem__")
        and not isinstance(thing, str | bytes | dict | list | tuple | set)
        and not hasattr(thing, "dtype")
    )


def _numpy(thing: Any) -> np.ndarray:
    if _is_tensor(thing):
        thing = thing.detach().cpu()
        try:
            return np.asarray(thing.numpy())
        except TypeError:  # bfloat16 is unknown to NumPy
            return np.asarray(thing.float().numpy())
    return np.asarray(thing.to_numpy() if hasattr(thing, "to_numpy") else thing)


def _frame(thing: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(thing, pl.LazyFrame):
        return thing.collect()
    if isinstance(thing, pl.DataFrame):
        return thing
    try:
        # from_pandas leaves the index out; a shuffled row number among the features would leak.
        frame = pl.from_pandas(thing) if type(thing).__module__.startswith("pandas") else pl.DataFrame(thing)
    except ImportError:
        raise MachineError("reading this frame needs pyarrow.", fix="pip install pyarrow") from None
    except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"the frame cannot be taken over: {error}.",
            where="a frame in memory",
            fix="give a polars frame, or a CSV file.",
        ) from None
    return frame


def _of_arrays(inputs: Any, targets: Any) -> Source:
    origin = "arrays in memory"
    notes: list[str] = []
    feature_names: tuple[str, ...] = ()
    if _is_frame(inputs):
        frame = _frame(inputs)
        feature_names = tuple(frame.columns)
        texts = [name for name, dtype in frame.schema.items() if not (dtype.is_numeric() or str(dtype) == "Boolean")]
        if texts:
            raise UsageError(
                f"a frame with columns that are not numbers ({', '.join(texts[:3])}) needs its target inside it.",
                fix="hand over one frame with the target as a column, and target=NAME.",
            )
        array = frame.to_numpy()
    else:
        array = _numpy(inputs)
    array = _channels_last(array, notes)
    if array.ndim == 0 or len(array) == 0:
        raise DataError("the array is empty.", where=origin, fix="give at least one example.")
    if array.ndim == 1:
        raise DataError(
            f"inputs of one dim ({counted(len(array), 'value')}) are not examples.",
            where=origin,
            fix="give (N, D): one row per example.",
        )
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"inputs of type {array.dtype} are not numbers.",
            where=origin,
            fix="give numbers, or a frame for mixed columns.",
        )
    target_names: tuple[str, ...] = ()
    if targets is not None:
        name = getattr(targets, "name", None)
        target_names = (str(name),) if isinstance(name, str) and name else ()
        if _is_frame(targets):
            targets = _frame(targets)
            target_names = tuple(targets.columns)
        targets = _numpy(targets)
        if len(targets) != len(array):
            raise DataError(
                f"{counted(len(array), 'input')} but {counted(len(targets), 'target')}.",
                where=origin,
                fix="give one target for each input.",
            )
    arrays = Arrays(array, targets, target_names, feature_names=feature_names)
    return Source("arrays", origin, arrays=arrays, notes=tuple(notes))


def _channels_last(array: np.ndarray, notes: list[str]) -> np.ndarray:
    """(N, C, H, W) as (N, H, W, C) where only that reading makes pictures."""
    if array.ndim == 4 and array.shape[1] in _CHANNELS and array.shape[3] not in _CHANNELS:
        notes.append(f"an array of shape {'x'.join(map(str, array.shape))} is taken for (N, C, H, W)")
        return np.moveaxis(array, 1, 3)
    return array


def _of_dataset(dataset: Any) -> Source:
    """All items of a map-style data set, read once, one after the other."""
    origin = f"a {type(dataset).__name__} in memory"
    count = len(dataset)
    if count == 0:
        raise DataError("the data set is empty.", where=origin, fix="give at least one example.")
    inputs: np.ndarray | None = None
    targets: list[Any] = []
    for i in range(count):
        item = dataset[i]
        picture, target = item if isinstance(item, tuple | list) and len(item) == 2 else (item, None)
        picture = _numpy(picture)
        if inputs is None:
            inputs = np.empty((count, *picture.shape), picture.dtype)
        if picture.shape != inputs.shape[1:] or picture.dtype.kind in "OUS":
            raise DataError(
                f"item {i} is {_shape(picture)} of type {picture.dtype}, the first one {_shape(inputs[0])}.",
                where=origin,
                fix="make all inputs numbers of one shape, or hand over the folder of files.",
            )
        inputs[i] = picture
        if target is not None:
            targets.append(_numpy(target) if hasattr(target, "shape") else target)
    if targets and len(targets) != count:
        raise DataError(
            f"{len(targets):,} of {count:,} items have a target.", where=origin, fix="give all of them one."
        )
    notes: list[str] = []
    assert inputs is not None
    found = _channels_last(inputs, notes)
    classes = tuple(map(str, _class_names(dataset)))
    arrays = Arrays(found, np.array(targets) if targets else None, class_names=classes)
    return Source("dataset", origin, arrays=arrays, notes=tuple(notes))


def _class_names(dataset: Any) -> Iterable[Any]:
    names = getattr(dataset, "classes", ())
    return names if isinstance(names, Sequence) and not isinstance(names, str) else ()


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "a single value"
