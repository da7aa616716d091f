"""How well regions are told apart that a thin border separates: cells between membranes, parcels between hedges."""

from __future__ import annotations

import numpy as np

from gnomon.core.errors import DataError


def regions_of(is_border: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (H, W) int: 0 on the border, else the number of the connected region, from 1 on.

    Pixels are neighbours up, down, left and right: a border one pixel thin that goes down a diagonal separates.
    """
    from scipy.ndimage import label  # lazily: not needed before training

    found: np.ndarray = label(~is_border)[0]
    return found


def adapted_rand_error(truth: np.ndarray, said: np.ndarray, name: str = "") -> float:
    """(H, W) and (H, W) numbers of regions, 0 for border -> 1 - the F of pairs of pixels that share a region.

    Only pixels of true regions count (foreground-restricted): how thick a border is drawn is no error. Of all pairs of
    two such pixels, recall is the share of those in one true region that are also said to be in one; precision the
    other way round. A pixel that is said to be border is a region by itself. 0 is perfect; NaN without a true region.
    Raises DataError for masks of different sizes, naming the picture as `name`. Source: Arganda-Carreras et al. 2015,
    section 2.3.1, with pairs of a pixel with itself.
    """
    if truth.shape != said.shape:
        raise DataError(
            f"there are {truth.size:,} true pixels and {said.size:,} predicted ones.", where=name,
            fix="predict at the size of the mask.",
        )  # fmt: skip
    inside = truth > 0
    total = int(inside.sum())
    if not total:
        return float("nan")
    own, other = truth[inside].astype(np.int64), said[inside].astype(np.int64)
    is_alone = other == 0
    pairs = own * (int(other.max()) + 1) + other
    shared = _squares(pairs[~is_alone]) + int(is_alone.sum())
    recall = shared / _squares(own)
    precision = shared / (_squares(other[~is_alone]) + int(is_alone.sum()))
    return float(1 - 2 * precision * recall / (precision + recall))


def _squares(groups: np.ndarray) -> int:
    """The sum of the squared sizes of groups: pairs of members, each with itself among them."""
    sizes = np.unique(groups, return_counts=True)[1].astype(np.int64)
    return int((sizes**2).sum())
