"""Which pixel value is white: 255 in pictures of bytes; for other numbers a property of the training set.

The same number must mean the same brightness in every picture, however few are given. So the value of white is
determined once, from all training pictures, and kept with the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BYTE = 255.0
LARGEST = 65_535.0
OTHER_SCALE = 4.0  # times white: values beyond are on another scale; values below it are clipped to white
DIM = 1 / 64  # of white: a note says so if pictures nowhere reach it, as they may be on a smaller scale


@dataclass(frozen=True)
class Range:
    """The range of the values in some pictures."""

    low: float = math.inf
    high: float = -math.inf
    is_whole: bool = True

    def __or__(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high), self.is_whole and other.is_whole)

    def white(self) -> float:
        """The smallest usual value of white that covers it: 1, 16, 255, 4,095 (12 bits) or 65,535."""
        if self.high <= 1:
            return 1.0
        if self.high <= 16 and self.is_whole:
            return 16.0
        if self.high <= BYTE:
            return BYTE
        return 4_095.0 if self.high <= 4_095 and self.is_whole else LARGEST


@dataclass(frozen=True)
class Whites:
    """The value of white in a training set, by how its numbers are stored; None if it has no such pictures.

    Files of 8 bits per value need none.
    """

    whole: float | None = None  # of integers of more than 8 bits; of any integers where pictures are arrays
    floating: float | None = None

    def of_file(self, *, is_float: bool) -> float | None:
        """White in a file of 16 or 32 bits per value; None if training had none like it."""
        return self.floating or self.whole if is_float else self.whole

    def of_array(self, kind: str, size: int) -> float:
        """White in an array, by its dtype's kind and size in bytes. 255 if training had only bytes."""
        if kind == "f":
            return self.floating or self.whole or BYTE
        if kind == "u" and size == 1 and self.whole is None:  # bytes mean 0..255 unless training had integers
            return BYTE
        return self.whole or self.floating or BYTE


def white_of_file(values: Range, whites: Whites, *, is_float: bool) -> float:
    """White in a file of 16 or 32 bits per value: as in training, else as its format defines, else from its values."""
    return whites.of_file(is_float=is_float) or (values.white() if is_float else LARGEST)
