"""Shares and means of which some cannot be measured: NaN stands for those, and they are left out."""

from __future__ import annotations

import numpy as np


def ratio(part: np.ndarray, whole: np.ndarray, *, nothing: float = np.nan) -> np.ndarray:
    """part / whole, broadcast; `nothing` where whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    found: np.ndarray = np.divide(part, whole, out=np.full(part.shape, nothing), where=whole > 0)
    return found


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """(..., K) -> (...): the mean without NaNs, NaN of none."""
    is_known = ~np.isnan(values)
    return ratio(np.where(is_known, values, 0.0).sum(axis=-1), is_known.sum(axis=-1))
