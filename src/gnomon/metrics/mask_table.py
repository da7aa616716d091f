"""Masks as a table of predictions holds them: the class of each pixel as run lengths, written and read back.

A cell is {"size": [height, width], "runs": [[class, length], ...]}, row by row from the top left; class -1 is not
judged.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gnomon.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

NOT_JUDGED = -1
START = '{"size":'  # of every cell, and of nothing else that a table holds


def encode(classes: np.ndarray) -> str:
    """(H, W) whole numbers -> JSON without spaces, the same for the same mask."""
    height, width = classes.shape
    return as_text(height, width, runs_of(classes))


def runs_of(classes: np.ndarray) -> np.ndarray:
    """(H, W) whole numbers -> (R, 2) int32: class and number of pixels, row by row from the top left."""
    flat = np.asarray(classes).reshape(-1)
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]][: len(flat)])
    return np.stack([flat[starts], np.diff(np.r_[starts, len(flat)])], axis=1).astype(np.int32)


def as_text(height: int, width: int, runs: np.ndarray) -> str:
    """The cell of a picture of which the runs are known."""
    return json.dumps({"size": [height, width], "runs": runs.tolist()}, separators=(",", ":"))


def decode(text: str, name: str = "") -> np.ndarray:
    """(H, W) int64. Raises DataError for what is no mask, naming the picture as `name`."""
    try:
        cell = json.loads(text)
        height, width = cell["size"]
        runs = np.array(cell["runs"], np.int64).reshape(-1, 2)
    except (ValueError, TypeError, KeyError):
        raise _no_mask(text, name) from None
    if (runs[:, 1] < 0).any() or runs[:, 1].sum() != height * width:
        raise _no_mask(text, name)
    found: np.ndarray = np.repeat(runs[:, 0], runs[:, 1]).reshape(height, width)
    return found


def in_words(text: str, class_names: Sequence[str] = ()) -> str:
    """A cell as a person reads it: "ground: 80 %, cell: 20 %", the largest class first; without names "class 1"."""
    classes = decode(text)
    counts = np.bincount(classes[classes >= 0].reshape(-1))
    named = [(class_names[place] if place < len(class_names) else f"class {place}", int(count))
             for place, count in enumerate(counts) if count]  # fmt: skip
    named.sort(key=lambda one: -one[1])
    return ", ".join(f"{name}: {100 * count / counts.sum():.3g} %" for name, count in named) or "nothing is judged"


def is_masks(table: pl.DataFrame) -> bool:
    """Whether the rows of a table of predictions are pictures with a class for each pixel."""
    import polars as pl

    if not {"target", "prediction"} <= set(table.columns) or table.is_empty():
        return False
    first: list[Any] = [table[name].drop_nulls().head(1).to_list() for name in ("target", "prediction")]
    return all(table[name].dtype == pl.String for name in ("target", "prediction")) and all(
        cell and is_mask(cell[0]) for cell in first
    )


def is_mask(text: str) -> bool:
    """Whether a cell of a table is a mask."""
    return text.replace(" ", "").startswith(START)


def _no_mask(text: str, name: str) -> DataError:
    return DataError(
        f"{text[:60]!r} is not a mask.",
        where=f"picture {name}" if name else "",
        fix='write {"size": [height, width], "runs": [[class, length], ...]}, row by row, one class per pixel.',
    )
