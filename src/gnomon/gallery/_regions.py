"""Regions of a picture that may be objects: the segments of a segmentation, and what they become when merged."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from gnomon.reference import Array

SMOOTHING = 3  # pixels per side of the mean that is taken before: single pixels of noise are no segments
GRANULARITY = 150.0  # the larger, the larger the segments; in units of colour, 0 to 255
FEWEST_PIXELS = 12  # smaller segments go to the most similar neighbour
SMALLEST, LARGEST = 8, 0.6  # sides of a box: pixels, share of the picture's


def regions(picture: np.ndarray) -> Array:
    """Boxes (R, 4) for a picture (H, W, 3): of each segment, and of each union on the way to a single one.

    As in selective search, neighbours that are most alike are merged first, and of equally alike ones the smaller.
    Source: Uijlings et al. 2013, algorithm 1, here with the mean colour and the size alone.
    """
    labels = segments(picture)
    count = int(labels.max()) + 1
    sizes = np.bincount(labels.ravel(), minlength=count).astype(float)
    colours = np.stack([np.bincount(labels.ravel(), picture[..., c].ravel(), count) / sizes for c in range(3)], 1)
    boxes = [(cut[1].start, cut[0].start, cut[1].stop, cut[0].stop) for cut in ndimage.find_objects(labels + 1)]
    known = dict(enumerate(zip(boxes, colours, sizes, strict=True)))
    near = _neighbours(labels)
    found, total = list(boxes), float(labels.size)
    while near:
        a, b = min(near, key=lambda pair: _unlike(known[pair[0]], known[pair[1]], total))
        (box_a, colour_a, size_a), (box_b, colour_b, size_b) = known.pop(a), known.pop(b)
        box = (*np.minimum(box_a[:2], box_b[:2]).tolist(), *np.maximum(box_a[2:], box_b[2:]).tolist())
        colour = (size_a * colour_a + size_b * colour_b) / (size_a + size_b)
        new = count
        count += 1
        known[new] = (box, colour, size_a + size_b)
        near = {tuple(sorted(new if end in (a, b) else end for end in pair)) for pair in near} - {(new, new)}
        found.append(box)
    every = np.unique(np.array(found, float), axis=0)
    sides = every[:, 2:] - every[:, :2]
    limits = LARGEST * np.array(picture.shape[1::-1])
    kept: Array = every[(sides >= SMALLEST).all(axis=1) & (sides <= limits).all(axis=1)]
    return kept


def segments(picture: np.ndarray) -> np.ndarray:
    """(H, W) numbers from 0 on: parts of about one colour.

    Neighbouring pixels are joined, the most similar first, where the step between two parts is small against the
    largest step within each, which small parts are allowed more of. Source: Felzenszwalb & Huttenlocher 2004.
    """
    smooth = ndimage.uniform_filter(picture.astype(float), (SMOOTHING, SMOOTHING, 1), mode="nearest")
    height, width = picture.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    starts = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    ends = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    flat = smooth.reshape(-1, 3)
    steps = np.sqrt(((flat[starts] - flat[ends]) ** 2).sum(axis=1))
    order = np.argsort(steps, kind="stable")
    parent, size, limit = list(range(height * width)), [1] * (height * width), [GRANULARITY] * (height * width)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(a: int, b: int, step: float) -> None:
        parent[b] = a
        size[a] += size[b]
        limit[a] = step + GRANULARITY / size[a]

    pairs = list(zip(starts[order].tolist(), ends[order].tolist(), steps[order].tolist(), strict=True))
    for start, end, step in pairs:
        a, b = root(start), root(end)
        if a != b and step <= min(limit[a], limit[b]):
            join(a, b, step)
    for start, end, step in pairs:
        a, b = root(start), root(end)
        if a != b and min(size[a], size[b]) < FEWEST_PIXELS:
            join(a, b, step)
    roots = np.array([root(i) for i in range(height * width)])
    return np.unique(roots, return_inverse=True)[1].reshape(height, width)


def _neighbours(labels: np.ndarray) -> set[tuple[int, ...]]:
    """Pairs of numbers that meet, the smaller first."""
    pairs = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    every = np.concatenate([np.stack([one.ravel(), other.ravel()], 1) for one, other in pairs])
    every = np.sort(every[every[:, 0] != every[:, 1]], axis=1)
    return {tuple(pair) for pair in np.unique(every, axis=0).tolist()}


def _unlike(one: tuple, other: tuple, total: float) -> float:
    """How different two regions look, from 0 on; together they take a share of the picture, which counts as well."""
    return float(np.abs(one[1] - other[1]).mean() / 255 + (one[2] + other[2]) / total)
