"""The lectures' detector, one picture at a time: which cell and anchor answers for an object, the loss, its gradient.

y has for each cell and anchor [p_c, b_x, b_y, b_h, b_w, c_1 ... c_K] before any sigmoid, exp or softmax. A box is left,
top, right, bottom in pixels; an anchor is a width and a height.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gnomon.reference import Array
from gnomon.reference.boxes import iou

Place = tuple[int, int, int]  # row and column of the cell, index of the anchor


def assign(boxes: Array, anchors: Array, *, rows: int, columns: int, stride: int) -> dict[int, Place]:
    """The place of each object (index in boxes (M, 4)); one that finds no free place is missing.

    Round by round, each object that has none asks for the best anchor that is free in the cell of its midpoint; of
    several that ask for one place the first gets it.
    """
    places: dict[int, Place] = {}
    while True:
        asked: dict[Place, int] = {}
        for i, (left, top, right, bottom) in enumerate(boxes):
            if i in places or right <= left or bottom <= top:
                continue
            row = min(int((top + bottom) / 2 // stride), rows - 1)
            column = min(int((left + right) / 2 // stride), columns - 1)
            free = [a for a in range(len(anchors)) if (row, column, a) not in places.values()]
            if free:
                best = max(free, key=lambda a: size_iou(right - left, bottom - top, anchors[a]))
                asked.setdefault((row, column, best), i)
        if not asked:
            return places
        places |= {i: place for place, i in asked.items()}


def size_iou(width: float, height: float, anchor: Array) -> float:
    """IoU of two boxes with one corner in common."""
    return iou(np.array([0, 0, width, height]), np.array([0, 0, *anchor]))


def decode(y: Array, anchors: Array, *, stride: int, row: int, column: int, anchor: int) -> Array:
    """The box (4,) that y (5 + K,) of one place stands for."""
    b_x, b_y = (column + sigmoid(y[1])) * stride, (row + sigmoid(y[2])) * stride
    b_h, b_w = anchors[anchor][1] * np.exp(y[3]), anchors[anchor][0] * np.exp(y[4])
    return np.array([b_x - b_w / 2, b_y - b_h / 2, b_x + b_w / 2, b_y + b_h / 2])


def loss(
    y: Array, boxes: Array, labels: Sequence[int], anchors: Array, *, stride: int, coordinates: float = 5.0,
    no_object: float = 0.5, near_enough: float = 0.6,
) -> tuple[float, Array]:  # fmt: skip
    """The loss of one picture, y (rows, columns, A, 5 + K), over its number of objects; and the gradient, as y.

    A place without an object whose box has an IoU above `near_enough` with an object is not asked to say that there
    is none.
    """
    rows, columns = y.shape[:2]
    places = assign(boxes, anchors, rows=rows, columns=columns, stride=stride)
    owner = {place: i for i, place in places.items()}
    total, gradient = 0.0, np.zeros_like(y)
    for row, column, anchor in np.ndindex(*y.shape[:3]):
        here, slope = y[row, column, anchor], gradient[row, column, anchor]
        p_c = sigmoid(here[0])
        if (row, column, anchor) not in owner:
            said = decode(here, anchors, stride=stride, row=row, column=column, anchor=anchor)
            if all(iou(said, box) <= near_enough for box in boxes):
                total -= no_object * np.log(1 - p_c)
                slope[0] = no_object * p_c
            continue
        i = owner[row, column, anchor]
        left, top, right, bottom = boxes[i]
        total -= np.log(p_c)
        slope[0] = p_c - 1
        for entry, target in ((1, (left + right) / 2 / stride - column), (2, (top + bottom) / 2 / stride - row)):
            given = sigmoid(here[entry])
            total += coordinates * (given - target) ** 2
            slope[entry] = coordinates * 2 * (given - target) * given * (1 - given)
        for entry, ratio in ((3, (bottom - top) / anchors[anchor][1]), (4, (right - left) / anchors[anchor][0])):
            total += coordinates * (here[entry] - np.log(ratio)) ** 2
            slope[entry] = coordinates * 2 * (here[entry] - np.log(ratio))
        shares = np.exp(here[5:] - here[5:].max())
        shares /= shares.sum()
        total -= np.log(shares[labels[i]])
        slope[5:] = shares - np.eye(len(shares))[labels[i]]
    objects = max(1, len(boxes))
    return total / objects, gradient / objects


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
