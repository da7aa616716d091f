"""Objects already in memory: arrays, tensors, frames, map-style data sets; recognised by what they can do."""

from __future__ import annotations

import datetime
import decimal
import io
import math
import numbers
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError, UsageError
from gnomon.data.source import Arrays, Source, counted

if TYPE_CHECKING:
    import polars as pl

_ACCEPTED = (
    "give a path, the name of a set, an array, (X, y), a polars or pandas frame, a dict of columns, a list of files or "
    "of rows, or a data set or list with items (input, target)."
)
TARGET_KEYS = {"target", "label", "labels", "y"}  # of an item that is a dict of two entries
MOST_DENSE = 1 << 31  # bytes that a sparse array may take once its zeros are written out
_IN_MEMORY = "arrays in memory"


def open_object(thing: Any) -> Source:
    """A source from an object. Raises UsageError for an unsupported kind of object, DataError for invalid contents."""
    if is_frame(thing) or _are_columns(thing):
        notes: list[str] = []
        frame = _frame(thing, "a frame in memory", notes)
        return Source("frame", "a frame in memory", frame=frame, notes=tuple(notes))
    if _is_array(thing):
        return _of_arrays(thing, None)
    if _are_pairs(thing) or _is_dataset(thing):
        return _of_dataset(thing)
    if isinstance(thing, list | tuple) and len(thing) == 2 and _may_be_inputs(thing[0]) and not _are_two_rows(thing):
        return _of_arrays(*thing)
    if (
        isinstance(thing, list)
        and thing
        and (isinstance(thing[0], list | tuple) or _is_array(thing[0]) or _is_pillow(thing[0]))
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


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or _is_tensor(thing) or _is_series(thing) or _is_sparse(thing)


def _may_be_inputs(thing: Any) -> bool:
    return _is_array(thing) or is_frame(thing) or _are_columns(thing) or isinstance(thing, list | tuple)


def _are_two_rows(thing: Any) -> bool:
    """Whether a list of two is two rows of numbers, not inputs and targets. Raises UsageError where it may be both."""
    if not isinstance(thing, list):
        return False
    shapes = [tuple(one.shape) if _is_array(one) else None for one in thing]
    if shapes[0] == shapes[1] and len(shapes[0] or ()) > 1:
        raise UsageError(
            f"two arrays of shape {'x'.join(map(str, shapes[0] or ()))} may be inputs with targets, or two inputs.",
            fix="give inputs and targets as a tuple, (X, y), or two inputs as one array: np.stack(...).",
        )
    return all(_depth(one) == 1 for one in thing)


def _depth(thing: Any) -> int:
    """The number of dimensions; of a list, by its first entries."""
    if isinstance(thing, list | tuple):
        return 1 + (_depth(thing[0]) if thing else 0)
    return len(thing.shape) if _is_array(thing) else 0


def _are_pairs(thing: Any) -> bool:
    """A list of items (input, target), as a data set has them."""
    return isinstance(thing, list) and bool(thing) and all(isinstance(one, tuple) and len(one) == 2 for one in thing)


def _are_columns(thing: Any) -> bool:
    """A dict of columns, by name."""
    return (
        isinstance(thing, dict)
        and bool(thing)
        and all(isinstance(name, str) for name in thing)
        and all(hasattr(one, "__len__") and not isinstance(one, str | bytes | dict) for one in thing.values())
    )


def _is_sparse(thing: Any) -> bool:
    """A sparse array or matrix of SciPy."""
    return hasattr(thing, "toarray") and hasattr(thing, "nnz") and hasattr(thing, "dtype")


def _is_pillow(thing: Any) -> bool:
    """A picture of Pillow."""
    return all(hasattr(type(thing), name) for name in ("getbands", "convert", "mode"))


def _is_tensor(thing: Any) -> bool:
    return all(hasattr(type(thing), name) for name in ("detach", "cpu", "numpy", "shape"))


def _is_series(thing: Any) -> bool:
    return type(thing).__name__ == "Series" and hasattr(thing, "to_numpy")


def is_frame(thing: Any) -> bool:
    """Whether it is a frame of polars, pandas or Arrow."""
    kind = type(thing).__name__
    return kind == "LazyFrame" or (kind in ("DataFrame", "Table") and hasattr(thing, "__arrow_c_stream__"))


def _is_dataset(thing: Any) -> bool:
    return (
        hasattr(thing, "__len__")
        and hasattr(thing, "__getitem__")
        and not isinstance(thing, str | bytes | dict | list | tuple | set)
        and not hasattr(thing, "dtype")
    )


def _frame(thing: Any, origin: str, notes: list[str]) -> pl.DataFrame:
    from gnomon.data.tables.frames import as_polars  # arrays should not load polars

    return as_polars(thing, origin, notes)


# --- inputs -----------------------------------------------------------------------------------------------------------
def _numpy(thing: Any, origin: str) -> np.ndarray:
    """The values as an array in the machine's byte order; a mask stays one. Raises DataError."""
    if _is_tensor(thing):
        return _of_tensor(thing, origin)
    if isinstance(thing, list | tuple) and thing and _is_pillow(thing[0]):
        thing = [_of_pillow(one) if _is_pillow(one) else one for one in thing]
    if _is_pillow(thing):
        return _of_pillow(thing)
    if _is_sparse(thing):
        _refuse_large(thing.shape, thing.dtype.itemsize, origin)
        thing = thing.toarray()
    try:
        found = np.ma.asarray(thing) if np.ma.isMaskedArray(thing) else np.asarray(thing)
    except ValueError as error:  # lists of different lengths
        raise DataError(
            f"is not an array: {str(error).partition('. ')[0]}.", where=origin, fix="give all rows the same length."
        ) from None
    if found.dtype == np.longdouble and found.dtype != np.float64:
        found = found.astype(np.float64)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _of_pillow(image: Any) -> np.ndarray:
    """(H, W) brightness or (H, W, 3) colour, on white where it is transparent, as a file of the picture is read.

    NumPy alone would take the numbers of a palette's colours, or cyan for red.
    """
    from PIL import Image

    is_plain = image.mode in ("L", "RGB", "I", "F") or image.mode.startswith("I;16")
    try:
        if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        elif not is_plain:
            image = image.convert("L" if image.mode == "1" else "RGB")
    except ValueError as error:  # a mode such as La
        raise DataError(f"a picture of Pillow: {error}.", where=_IN_MEMORY, fix="give it in RGB.") from None
    return np.asarray(image)


def _of_tensor(tensor: Any, origin: str) -> np.ndarray:
    try:
        if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
            _refuse_large(tensor.shape, tensor.element_size(), origin)
            tensor = tensor.to_dense()
        tensor = tensor.detach().cpu()
        try:
            return np.asarray(tensor.numpy())
        except TypeError:  # NumPy has no bfloat16
            return np.asarray(tensor.float().numpy())
    except (NotImplementedError, RuntimeError) as error:  # on the device meta, nested: there are no values to take
        what = f"the tensor cannot be read: {str(error).partition(chr(10))[0]}"
        raise DataError(what, where=origin, fix="give a dense tensor of numbers.") from None


def _refuse_large(shape: Sequence[int], itemsize: int, origin: str) -> None:
    size = math.prod(shape) * itemsize
    if size > MOST_DENSE:
        raise DataError(
            f"the sparse array of {'x'.join(map(str, shape))} takes {size / 1e9:,.1f} GB with its zeros written out.",
            where=origin,
            fix="keep fewer columns: the most informative ones, or those of a truncated SVD.",
        )


def _of_arrays(inputs: Any, targets: Any) -> Source:
    notes: list[str] = []
    feature_names: tuple[str, ...] = ()
    if targets is not None and hasattr(inputs, "index") and hasattr(targets, "index"):
        notes += _index_note(inputs, targets)
    if is_frame(inputs) or _are_columns(inputs):
        import polars as pl

        frame = _frame(inputs, "a frame in memory", notes)
        feature_names = tuple(frame.columns)
        if targets is not None and any(not (dtype.is_numeric() or dtype == pl.Boolean) for dtype in frame.dtypes):
            return _of_frame(frame, targets, notes)
        is_whole = all(dtype.is_integer() for dtype in frame.dtypes) and not any(frame.null_count().row(0))
        array = frame.to_numpy() if is_whole else frame.select(pl.all().cast(pl.Float64)).to_numpy()
    else:
        array = _numpy(inputs, _IN_MEMORY)
    array = checked_inputs(array, notes)
    target_names: tuple[str, ...] = ()
    if targets is not None:
        targets, target_names = _targets_for(len(array), targets, notes)
    arrays = Arrays(array, targets, target_names, feature_names=feature_names)
    return Source("arrays", _IN_MEMORY, arrays=arrays, notes=tuple(notes))


def _targets_for(count: int, targets: Any, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The targets of so many inputs, and their names where they have any. Raises DataError."""
    name = getattr(targets, "name", None)
    names = (str(name),) if isinstance(name, str) and name else ()
    if is_frame(targets):
        targets = _frame(targets, "the frame of targets", notes)
        names = tuple(targets.columns)
    found = target_array(targets, _IN_MEMORY)
    if len(found) != count:
        raise DataError(
            f"{counted(count, 'input')} but {counted(len(found), 'target')}.",
            where=_IN_MEMORY,
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
            f"the frame has a column called {taken!r}, and so have the targets given with it.", where=_IN_MEMORY,
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


def checked_inputs(array: np.ndarray, notes: list[str], origin: str = _IN_MEMORY) -> np.ndarray:
    """Numbers, one example per row, masked ones as NaN. Raises DataError for any other array."""
    if array.ndim == 0:
        what = f"{array.item()!r} is a single value, not examples."
        raise DataError(what, where=origin, fix="give (N, D): one row per example.")
    if len(array) == 0:
        raise DataError("the array is empty.", where=origin, fix="give at least one example.")
    if array.ndim == 1:
        raise DataError(
            f"one-dimensional inputs ({counted(len(array), 'value')}) are not examples.",
            where=origin,
            fix="give (N, D): one row per example.",
        )
    if array.dtype.kind == "O":
        array = _of_python_numbers(array)
    if array.dtype.kind == "c":
        raise DataError(
            "complex numbers are not supported.",
            where=origin,
            fix="give their real and imaginary parts as columns.",
        )
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"inputs of type {array.dtype} are not numbers.",
            where=origin,
            fix="give numbers, or a frame for mixed columns.",
        )
    if not isinstance(array, np.ma.MaskedArray):
        return array
    masked = int(np.ma.count_masked(array))
    if not masked:
        return np.asarray(array.data)
    if array.ndim > 2:
        raise DataError(
            f"{counted(masked, 'pixel')} of the pictures are masked.",
            where=origin,
            fix="fill them with what should be there (filled(0), for example).",
        )
    notes.append(f"masked values count as missing: {masked:,} of {array.size:,}")
    return _filled(array)


def _of_python_numbers(array: np.ndarray) -> np.ndarray:
    """An array of Python objects as numbers; as it came if one of them is not a number."""
    values = array.reshape(-1).tolist()
    are_numbers = all(one is None or isinstance(one, numbers.Real | decimal.Decimal) for one in values)
    return array.astype(np.float64) if are_numbers else array


def _filled(array: Any) -> np.ndarray:
    """A masked array with NaN for masked values."""
    return np.asarray(array.astype(np.float64).filled(np.nan) if np.ma.count_masked(array) else array.data)


# --- targets ----------------------------------------------------------------------------------------------------------
def target_array(targets: Any, origin: str) -> np.ndarray:
    """(N,) or (N, M) numbers, booleans or texts; missing: NaN among numbers, otherwise None. Raises DataError."""
    if is_frame(targets):
        columns = [_of_series(column, origin) for column in targets]
        return columns[0] if len(columns) == 1 else np.stack([column.astype(object) for column in columns], axis=1)
    if _is_series(targets):
        return _of_series(targets, origin)
    found = _numpy(targets, origin)
    if isinstance(targets, list | tuple) and found.ndim == 1 and found.dtype.kind == "U":
        return _of_objects(list(targets), origin)  # NumPy makes text of a number among texts
    if found.ndim == 0 or found.ndim > 2:
        shape = "x".join(map(str, found.shape)) or "a single value"
        raise DataError(f"the targets have shape {shape}.", where=origin, fix="give one target per input.")
    if isinstance(found, np.ma.MaskedArray):
        if found.dtype.kind in "iuf":
            return _filled(found)
        objects = found.data.astype(object)
        objects[np.ma.getmaskarray(found)] = None
        found = objects
    if found.dtype.kind == "u" and found.size and found.max() >= 2**63:
        return found.astype(str)  # ids or hashes: as text they stay exact
    if found.dtype.kind in "biufU":
        return found
    if found.dtype.kind == "O":
        flat = _of_objects(found.reshape(-1).tolist(), origin)
        return flat.reshape(found.shape)
    raise DataError(
        f"targets of type {found.dtype} are neither classes nor numbers.",
        where=origin,
        fix="give numbers, text or booleans.",
    )


def _of_series(series: Any, origin: str) -> np.ndarray:
    """A polars or pandas Series: numbers without gaps as they are, anything else value by value."""
    kind = str(series.dtype)
    if kind.startswith(("float", "Float", "Decimal", "Null")):
        values = [np.nan if value is None or _is_missing(value) else float(value) for value in _listed(series)]
        return np.array(values, np.float64)
    found = series.to_numpy() if kind.lower().startswith(("int", "uint", "bool")) and "128" not in kind else None
    if found is not None and found.dtype.kind in "biu":  # no gaps and one type: no need to check each value
        return np.asarray(found)
    return _of_objects(_listed(series), origin)


def _listed(series: Any) -> list[Any]:
    return list(series.to_list() if hasattr(series, "to_list") else series.tolist())


def _of_objects(values: list[Any], origin: str) -> np.ndarray:
    """Python values of one sort. Raises DataError if there are several sorts, showing two."""
    values = [None if _is_missing(value) else value for value in values]
    sorts: dict[str, int] = {}  # the sorts, and where the first of each is
    for i, value in enumerate(values):
        if value is not None:
            sorts.setdefault(_sort_of(value), i)
    has_missing = any(value is None for value in values)
    if set(sorts) <= {"whole", "number"} and sorts:
        is_exact = set(sorts) == {"whole"} and not has_missing
        if is_exact and all(-(2**63) <= value < 2**63 for value in values):
            return np.array(values, np.int64)
        if is_exact:
            return np.array([str(value) for value in values])  # ids or hashes: as texts they stay exact
        return np.array([np.nan if value is None else float(value) for value in values])
    if set(sorts) == {"boolean"}:
        return np.array(values, object if has_missing else bool)
    if set(sorts) in ({"text"}, {"date"}):
        texts = [value if value is None or isinstance(value, str) else value.isoformat() for value in values]
        return np.array(texts, object if has_missing else str)
    shown = ", ".join(
        f"{str(values[i])[:60]!r} ({type(values[i]).__name__}) for example {i}" for i in list(sorts.values())[:2]
    )
    what = f"the targets are of {'several types' if len(sorts) > 1 else 'a type that cannot be a class'}: {shown}."
    if not sorts:
        what = "all targets are missing."
    raise DataError(what, where=origin, fix="give only numbers, only text or only booleans.")


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _sort_of(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, numbers.Integral):
        return "whole"
    if isinstance(value, numbers.Real | decimal.Decimal):
        return "number"
    if isinstance(value, datetime.date):
        return "date"
    return "text" if isinstance(value, str) else f"other: {type(value).__name__}"


# --- data sets --------------------------------------------------------------------------------------------------------
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
                f"item {i} is {_shape(one)} of type {one.dtype}, the first one {_shape(inputs[0])}.",
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
    one = _numpy(item[0] if is_pair else item, origin)
    if isinstance(one, np.ma.MaskedArray):
        one = _filled(one)
    if one.dtype.kind not in "biuf":
        what = f"item {i} is {_shape(one)} of type {one.dtype}, not numbers."
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
    values = [_numpy(target, origin) if hasattr(target, "shape") else target for target in targets]
    shapes = {np.shape(value) for value in values}
    if len(shapes) > 1:
        raise DataError(f"the targets have several shapes: {sorted(shapes)[:2]}.", where=origin,
                        fix="give each item one target of one shape.")  # fmt: skip
    if shapes == {()}:
        return _of_objects([value.item() if isinstance(value, np.ndarray) else value for value in values], origin)
    return target_array(np.stack([np.asarray(value) for value in values]), origin)


def _class_names(dataset: Any) -> Iterable[Any]:
    names = getattr(dataset, "classes", ())
    return names if isinstance(names, Sequence) and not isinstance(names, str) else ()


def _shape(array: np.ndarray) -> str:
    return "x".join(map(str, array.shape)) or "a single value"
