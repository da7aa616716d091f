"""Labels as they were given: classes are kept as text, and whole numbers and booleans come back as such."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from gnomon.core.errors import DataError
from gnomon.core.example import LabelType

TRUTHS = {"true": True, "false": False}


def label_type(values: np.ndarray | pl.Series) -> LabelType:
    """What labels of this type come back as. Whole floating-point numbers were classes 0, 1, 2 ...: integers."""
    if isinstance(values, np.ndarray):
        return {"b": "boolean", "i": "integer", "u": "integer", "f": "integer"}.get(values.dtype.kind, "text")  # type: ignore[return-value]
    if values.dtype == pl.Boolean:
        return "boolean"
    return "integer" if values.dtype.is_integer() or values.dtype.is_float() else "text"


def as_given(names: Sequence[str], kind: LabelType) -> pl.Series:
    """The class names as labels of that type; as text if one of them does not fit the type."""
    texts = pl.Series(names, dtype=pl.String)
    if kind == "integer":
        whole = texts.cast(pl.Int64, strict=False)
        return whole if not whole.null_count() else texts
    if kind == "boolean" and set(names) <= set(TRUTHS):
        return pl.Series([TRUTHS[name] for name in names], dtype=pl.Boolean)
    return texts


def named(targets: np.ndarray, class_names: Sequence[str], origin: str) -> list[str]:
    """The name of each of (N,) whole numbers that index class names from 0. Raises DataError for others."""
    if targets.min() < 0 or targets.max() >= len(class_names):
        raise DataError(
            f"targets run from {targets.min()} to {targets.max()}, but there are {len(class_names)} class names.",
            where=origin,
            fix="give targets that index the class names from 0.",
        )
    return [class_names[target] for target in targets.tolist()]


def one_hot_indices(targets: np.ndarray) -> np.ndarray | str:
    """(N,) the position of the one in each row of (N, K) targets, K at least 2; or why they are not one-hot."""
    shape = "x".join(map(str, targets.shape))
    if targets.ndim != 2 or targets.shape[1] < 2 or targets.dtype.kind not in "biuf":
        return f"targets of shape {shape} and type {targets.dtype}"
    is_one = targets == 1
    odd = np.flatnonzero((~is_one & (targets != 0)).any(axis=1))
    if len(odd):
        value = next(value for value in targets[odd[0]].tolist() if value not in (0, 1))
        return f"targets of shape {shape}, neither one class each nor one-hot: {value:g} in example {odd[0]}"
    ones = is_one.sum(axis=1)
    wrong = np.flatnonzero(ones != 1)
    if len(wrong):
        return f"targets of shape {shape}, not one-hot: example {wrong[0]} has {ones[wrong[0]]} ones"
    found: np.ndarray = is_one.argmax(axis=1)
    return found
