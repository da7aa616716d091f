"""Arrays of series (N, T, D) as rows of a table, one for each step."""

from __future__ import annotations

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.data.labels import named, one_class_each
from gnomon.data.layouts import layout_of, times
from gnomon.data.source import Arrays, counted


def as_steps(arrays: Arrays, layout: str | None, origin: str) -> tuple[pl.DataFrame, list[str]]:
    """Columns series, step, x0, x1 ... and target; steps that are NaN throughout at the end of a series are none.

    Targets are (N,), one of each series, or (N, T), one of each step. Raises DataError for other shapes.
    """
    if layout != "NTD":
        what = f"an array of {times(arrays.inputs.shape)} is read as series only if that is said."
        raise DataError(what, where=origin, fix="set layout=NTD: N series of T steps with D features.")
    layout_of(arrays.inputs.shape, layout, "series", origin)
    count, steps, width = arrays.inputs.shape
    if 0 in arrays.inputs.shape:
        what = f"the array of {times(arrays.inputs.shape)} is empty."
        raise DataError(what, where=origin, fix="give series with values.")
    notes = []
    lengths = _lengths(arrays.inputs)
    if not lengths.all():
        what = f"series {int((lengths == 0).argmax())} has no value at all: every step is missing."
        raise DataError(what, where=origin, fix="leave it out.")
    if (lengths < steps).any():
        notes.append(f"steps that are NaN throughout at the end are no steps: {count * steps - int(lengths.sum()):,}")
    kept = (np.arange(steps) < lengths[:, None]).reshape(-1)
    number = np.repeat(np.arange(count), steps)[kept]
    names = arrays.feature_names if len(arrays.feature_names) == width else tuple(f"x{i}" for i in range(width))
    values = np.ascontiguousarray(arrays.inputs.reshape(-1, width)[kept])
    frame = pl.DataFrame(values, schema=list(names), orient="row").with_columns(
        pl.col(pl.Float32, pl.Float64).fill_nan(None)
    )
    ids = pl.Series("series", _ids(arrays)).gather(number)
    frame = frame.with_columns(ids, pl.Series("step", np.tile(np.arange(1, steps + 1), count)[kept]))
    if arrays.targets is None:
        return frame, notes
    target, about = _targets(arrays, number, kept, origin)
    name = (arrays.target_names or ("target",))[0]
    return frame.with_columns(target.alias(name)), [*notes, *about]


def _lengths(inputs: np.ndarray) -> np.ndarray:
    """(N,) steps up to the last one with a value."""
    count, steps, _ = inputs.shape
    if inputs.dtype.kind != "f":
        return np.full(count, steps)
    known = ~np.isnan(inputs).all(axis=2)  # (N, T)
    found: np.ndarray = np.where(known.any(axis=1), steps - known[:, ::-1].argmax(axis=1), 0)
    return found


def _ids(arrays: Arrays) -> list[str]:
    """`series 17`, or `test series 17` where the source has splits of its own."""
    parts = arrays.splits or (("", len(arrays.inputs)),)
    return [f"{split} series {number}".strip() for split, size in parts for number in range(size)]


def _targets(arrays: Arrays, number: np.ndarray, kept: np.ndarray, origin: str) -> tuple[pl.Series, list[str]]:
    """(M,) the target of each row, and notes."""
    targets, notes = np.asarray(arrays.targets), list[str]()
    count, steps = arrays.inputs.shape[:2]
    if targets.shape == (count, steps) and steps > 1:
        rows = targets.reshape(-1)[kept]
    else:
        if targets.ndim == 2 and targets.shape[1] > 1:
            targets, notes = one_class_each(targets, "series", origin)
        rows = targets.reshape(-1)
        if len(rows) != count:
            what = f"{counted(count, 'series', 'series')}, but targets of shape {times(targets.shape)}."
            raise DataError(what, where=origin, fix="give (N,), one for each series, or (N, T), one for each step.")
        rows = rows[number]
    if arrays.class_names and rows.dtype.kind in "iu":
        return pl.Series(named(rows, arrays.class_names, origin)), notes
    series = pl.Series(rows.tolist()) if rows.dtype.kind in "OU" else pl.Series(np.ascontiguousarray(rows))
    return (series.fill_nan(None) if series.dtype.is_float() else series), notes
