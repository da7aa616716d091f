"""What an object in memory is, told by what it can do: no library is imported to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import UsageError

if TYPE_CHECKING:
    pass


def is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or is_tensor(thing) or is_series(thing) or is_sparse(thing)


def may_be_inputs(thing: Any) -> bool:
    return is_array(thing) or is_frame(thing) or are_columns(thing) or isinstance(thing, list | tuple)


def are_two_rows(thing: Any) -> bool:
    """Whether a list of two is two rows of numbers, not inputs and targets. Raises UsageError where it may be both."""
    if not isinstance(thing, list):
        return False
    shapes = [tuple(one.shape) if is_array(one) else None for one in thing]
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
    return len(thing.shape) if is_array(thing) else 0


def are_pairs(thing: Any) -> bool:
    """A list of items (input, target), as a data set has them."""
    return isinstance(thing, list) and bool(thing) and all(isinstance(one, tuple) and len(one) == 2 for one in thing)


def are_columns(thing: Any) -> bool:
    """A dict of columns, by name."""
    return (
        isinstance(thing, dict)
        and bool(thing)
        and all(isinstance(name, str) for name in thing)
        and all(hasattr(one, "__len__") and not isinstance(one, str | bytes | dict) for one in thing.values())
    )


def is_sparse(thing: Any) -> bool:
    """A sparse array or matrix of SciPy."""
    return hasattr(thing, "toarray") and hasattr(thing, "nnz") and hasattr(thing, "dtype")


def is_pillow(thing: Any) -> bool:
    """A picture of Pillow."""
    return all(hasattr(type(thing), name) for name in ("getbands", "convert", "mode"))


def is_tensor(thing: Any) -> bool:
    return all(hasattr(type(thing), name) for name in ("detach", "cpu", "numpy", "shape"))


def is_series(thing: Any) -> bool:
    return type(thing).__name__ == "Series" and hasattr(thing, "to_numpy")


def is_frame(thing: Any) -> bool:
    """Whether it is a frame of polars, pandas or Arrow."""
    kind = type(thing).__name__
    return kind == "LazyFrame" or (kind in ("DataFrame", "Table") and hasattr(thing, "__arrow_c_stream__"))


def is_dataset(thing: Any) -> bool:
    return (
        hasattr(thing, "__len__")
        and hasattr(thing, "__getitem__")
        and not isinstance(thing, str | bytes | dict | list | tuple | set)
        and not hasattr(thing, "dtype")
    )
