"""Inputs and targets in memory as NumPy arrays, checked, in one type."""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError
from gnomon.data.objects import is_frame, is_pillow, is_series, is_sparse, is_tensor
from gnomon.data.source import counted

if TYPE_CHECKING:
    pass

MOST_DENSE = 1 << 31  # bytes that a sparse array may take once its zeros are written out
IN_MEMORY = "arrays in memory"


def as_numpy(thing: Any, origin: str) -> np.ndarray:
    """The values as an array in the machine's byte order; a mask stays one. Raises DataError."""
    if is_tensor(thing):
        return _of_tensor(thing, origin)
    if isinstance(thing, list | tuple) and thing and is_pillow(thing[0]):
        thing = [_of_pillow(one) if is_pillow(one) else one for one in thing]
    if is_pillow(thing):
        return _of_pillow(thing)
    if is_sparse(thing):
        _refuse_large(thing.shape, thing.dtype.itemsize, origin)
        thing = thing.toarray()
    if isinstance(thing, list | tuple) and len({np.shape(one) for one in thing if hasattr(one, "shape")}) > 1:
        thing = _padded(thing, origin)
    try:
        found = np.ma.asarray(thing) if np.ma.isMaskedArray(thing) else np.asarray(thing)
    except ValueError as error:  # lists of different lengths
        raise DataError(
            f"is not an array: {str(error).partition('. ')[0]}.", where=origin, fix="give all rows the same length."
        ) from None
    if found.dtype == np.longdouble and found.dtype != np.float64:
        found = found.astype(np.float64)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _padded(things: Sequence[Any], origin: str) -> Any:
    """(N, T, D) from series (steps, D) of different lengths: NaN after the end of each. Others as they came."""
    shapes = [np.shape(one) for one in things]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1:
        if len({(len(shape), *shape[:1]) for shape in shapes}) == 1 and len(shapes[0]) == 2:
            what = f"the series have different lengths, and {shapes[0][0]} rows each."
            raise DataError(what, where=origin, fix="give each as (steps, features): one.T, perhaps.")
        return things
    found = np.full((len(things), max(shape[0] for shape in shapes), shapes[0][1]), np.nan)
    for row, one in zip(found, things, strict=True):
        row[: len(one)] = as_numpy(one, origin)
    return found


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
        raise DataError(f"a picture of Pillow: {error}.", where=IN_MEMORY, fix="give it in RGB.") from None
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


def checked_inputs(array: np.ndarray, notes: list[str], origin: str = IN_MEMORY) -> np.ndarray:
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
    return filled(array)


def _of_python_numbers(array: np.ndarray) -> np.ndarray:
    """An array of Python objects as numbers; as it came if one of them is not a number."""
    values = array.reshape(-1).tolist()
    are_numbers = all(one is None or isinstance(one, numbers.Real | decimal.Decimal) for one in values)
    return array.astype(np.float64) if are_numbers else array


def filled(array: Any) -> np.ndarray:
    """A masked array with NaN for masked values."""
    return np.asarray(array.astype(np.float64).filled(np.nan) if np.ma.count_masked(array) else array.data)


def target_array(targets: Any, origin: str) -> np.ndarray:
    """(N,) or (N, M) numbers, booleans or texts; missing: NaN among numbers, otherwise None. Raises DataError."""
    if is_frame(targets):
        columns = [_of_series(column, origin) for column in targets]
        return columns[0] if len(columns) == 1 else np.stack([column.astype(object) for column in columns], axis=1)
    if is_series(targets):
        return _of_series(targets, origin)
    found = as_numpy(targets, origin)
    if isinstance(targets, list | tuple) and found.ndim == 1 and found.dtype.kind == "U":
        return of_objects(list(targets), origin)  # NumPy makes text of a number among texts
    if found.ndim == 0 or found.ndim > 2:
        shape = "x".join(map(str, found.shape)) or "a single value"
        raise DataError(f"the targets have shape {shape}.", where=origin, fix="give one target per input.")
    if isinstance(found, np.ma.MaskedArray):
        if found.dtype.kind in "iuf":
            return filled(found)
        objects = found.data.astype(object)
        objects[np.ma.getmaskarray(found)] = None
        found = objects
    if found.dtype.kind == "u" and found.size and found.max() >= 2**63:
        return found.astype(str)  # ids or hashes: as text they stay exact
    if found.dtype.kind in "biufU":
        return found
    if found.dtype.kind == "O":
        flat = of_objects(found.reshape(-1).tolist(), origin)
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
    return of_objects(_listed(series), origin)


def _listed(series: Any) -> list[Any]:
    return list(series.to_list() if hasattr(series, "to_list") else series.tolist())


def of_objects(values: list[Any], origin: str) -> np.ndarray:
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
