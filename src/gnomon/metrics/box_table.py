"""Boxes as a table of predictions holds them: one picture per row, its labels and its answers as JSON, read back.

`target`: [[left, top, right, bottom, class, flags], ...], flags "" or words ("crowd", "difficult", "truncated").
`prediction`: [[left, top, right, bottom, class, score], ...], every box with a score worth keeping, best first or not.
`width` and `height` are those of the picture, in the pixels of the boxes; `threshold`, if there is one, is the score
from which a box counts as an answer where answers are counted rather than ranked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from gnomon.core.errors import DataError
from gnomon.metrics import matching
from gnomon.metrics.matching import Matches, Predictions, Truths
from gnomon.metrics.operating_point import best_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

IOU = 0.5  # from which a box is right
LOOKED_AT = 1_000  # rows searched for the first box
ENTRIES = 6  # of a box: four sides, its class, its flags or its score


@final
@dataclass(frozen=True)
class BoxTable:
    """N pictures with M labels and D predicted boxes."""

    class_names: tuple[str, ...]  # in the order of their names
    truths: Truths
    predictions: Predictions
    is_truncated: np.ndarray  # (M,) bool: a part of the object is outside the picture or hidden
    sizes: np.ndarray  # (N, 2) float64: width, height in pixels
    given_threshold: float | None  # of the model, None where the table does not say

    @property
    def num_pictures(self) -> int:
        return len(self.sizes)

    @cached_property
    def matches(self) -> Matches:
        """Each predicted box matched to a label as Pascal VOC does, at an IoU of 0.5."""
        return matching.match_as_voc(
            self.truths,
            self.predictions,
            num_pictures=self.num_pictures,
            num_classes=max(1, len(self.class_names)),
            threshold=IOU,
        )

    @cached_property
    def threshold(self) -> float:
        """The score from which a box is an answer: the model's own, else that of the best F1; 1 if no box is right."""
        if self.given_threshold is not None:
            return self.given_threshold
        found = best_threshold(self.matches, self.predictions.scores, "f1")
        return 1.0 if found is None else found


def is_boxes(table: pl.DataFrame) -> bool:
    """Whether the rows of a table of predictions are pictures with boxes."""
    if not {"target", "prediction", "width", "height"} <= set(table.columns):
        return False
    for name in ("target", "prediction"):
        if not _is_text(table[name]):
            return False
        for text in table[name].head(LOOKED_AT).drop_nulls():
            entries = _entries(text)
            if entries is None:
                return False
            if entries:
                return all(_is_box(one) for one in entries)
    return len(table) > 0


def read(table: pl.DataFrame) -> BoxTable:
    """All boxes of a table. Raises DataError for a cell that does not hold boxes, naming the picture."""
    ids = table["id"].cast(str).to_list()
    columns = [_column(table[name].to_list(), ids, name) for name in ("target", "prediction")]
    names = sorted({str(one[4]) for entries in columns for _, one in entries})
    place = {name: position for position, name in enumerate(names)}
    (drawn, said) = columns
    flags = [str(one[5]).split() for _, one in drawn]
    truths = matching.truths(
        _pictures(drawn), _labels(drawn, place), _sides(drawn),
        is_crowd=np.array(["crowd" in words for words in flags], bool),
        is_difficult=np.array(["difficult" in words for words in flags], bool),
    )  # fmt: skip
    scores = np.array([float(one[5]) for _, one in said])
    predictions = matching.predictions(_pictures(said), _labels(said, place), _sides(said), scores, names=ids)
    given = table["threshold"].drop_nulls() if "threshold" in table.columns else None
    return BoxTable(
        tuple(names),
        truths,
        predictions,
        np.array(["truncated" in words for words in flags], bool),
        np.stack([table[name].cast(float).to_numpy() for name in ("width", "height")], axis=1),
        float(given[0]) if given is not None and len(given) else None,
    )


def are_boxes(text: str) -> bool:
    """Whether a cell of a table holds boxes, or none of them."""
    entries = _entries(text)
    return entries is not None and all(_is_box(one) for one in entries)


def in_words(text: str, threshold: float = 0.0) -> str:
    """A cell of a table as a person reads it: "12 red, 1 white"; answers below the threshold are left out.

    A text that holds no boxes comes back as it is.
    """
    entries = _entries(text)
    if entries is None or not all(_is_box(one) for one in entries):
        return text
    counts: dict[str, int] = {}
    for one in entries:
        if isinstance(one[5], str) or one[5] >= threshold:
            counts[str(one[4])] = counts.get(str(one[4]), 0) + 1
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered) or "nothing"


def _column(cells: Sequence[Any], ids: Sequence[str], name: str) -> list[tuple[int, list[Any]]]:
    found = []
    for picture, text in enumerate(cells):
        entries = _entries("[]" if text is None else text)
        if entries is None or not all(_is_box(one) for one in entries):
            last = "flags" if name == "target" else "score"
            raise DataError(
                f"{str(text)[:60]!r} is not a list of boxes.",
                where=f"column {name}, picture {ids[picture]}",
                fix=f"write [[left, top, right, bottom, class, {last}], ...].",
            )
        found += [(picture, one) for one in entries]
    return found


def _entries(text: Any) -> list[Any] | None:
    if not isinstance(text, str) or not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _is_box(one: Any) -> bool:
    return (
        isinstance(one, list)
        and len(one) == ENTRIES
        and all(isinstance(side, int | float) for side in one[:4])
        and isinstance(one[4], str)
    )


def _is_text(column: pl.Series) -> bool:
    import polars as pl

    return column.dtype == pl.String


def _pictures(entries: Sequence[tuple[int, Any]]) -> np.ndarray:
    return np.array([picture for picture, _ in entries], np.int64)


def _labels(entries: Sequence[tuple[int, Any]], place: dict[str, int]) -> np.ndarray:
    return np.array([place[one[4]] for _, one in entries], np.int64)


def _sides(entries: Sequence[tuple[int, Any]]) -> np.ndarray:
    return np.array([one[:4] for _, one in entries], np.float64).reshape(-1, 4)
