"""Tags of pictures with boxes: the kinds of false answers, and what objects that are not found have in common.

A tag counts answers or objects, not pictures; a picture has it if one of them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gnomon.metrics.interval import Interval
from gnomon.strategy.box_errors import (
    KINDS,
    MEANINGS,
    PROPERTIES,
    BoxErrors,
    error_of,
    error_without_objects,
    errors_without_kinds,
    properties,
)
from gnomon.strategy.error_analysis import Inside, Tag, sampled_share

if TYPE_CHECKING:
    from gnomon.metrics.box_table import BoxTable

ANSWERS, OBJECTS = "false answers", "objects not found"
DARK = 0.05  # share of the training objects that count as dark
DARK_OBJECT = "dark object"
MOST_CONFUSIONS = 6  # pairs of classes that become tags
FEWEST = 2  # false answers that such a pair needs


def of_kinds(found: BoxErrors) -> list[Tag]:
    """One tag for each kind of false answer that there is, with the error that would remain without it."""
    error = error_of(found.table.matches)
    left = errors_without_kinds(found)
    total = found.num_false
    tags = []
    for kind in KINDS:
        count = found.count(kind)
        if count:
            inside = Inside(ANSWERS, count, total, total, _known(count, total), _removed(error, left[kind]))
            tags.append(_tag(kind, "answers", found.pictures(kind), MEANINGS[kind], inside))
    return tags


def of_objects(found: BoxErrors) -> list[Tag]:
    """Small, crowded and cut-off objects among those that are not found, and among those that are."""
    return [
        tag
        for name, has in properties(found.table).items()
        if (tag := _of_property(found, name, PROPERTIES[name], has, np.ones(len(has), bool))) is not None
    ]


def of_brightness(found: BoxErrors, brightness: np.ndarray, usual: np.ndarray) -> list[Tag]:
    """Dark objects: those of a mean grey value below that of all but 5 % of the training objects.

    `brightness` (M,) of the labels, NaN where the picture was not looked at; `usual`: of training objects.
    """
    if not len(usual):
        return []
    is_known = ~np.isnan(brightness)
    edge = float(np.quantile(usual, DARK))
    meaning = f"Darker than all but {100 * DARK:.0f} % of the training objects."
    tag = _of_property(found, DARK_OBJECT, meaning, is_known & (brightness < edge), is_known)
    return [] if tag is None else [tag]


def confusions(found: BoxErrors) -> Mapping[tuple[str, str], int]:
    """{(class of the label, class of the answer): answers}, of objects that are named wrongly, most frequent first."""
    chosen = found.is_false("wrong class")
    names, truths = found.table.class_names, found.table.truths
    counts: dict[tuple[str, str], int] = {}
    said = found.table.predictions.label[chosen]
    for label, answer in zip(truths.label[found.about[chosen]].tolist(), said.tolist(), strict=True):
        pair = names[label], names[answer]
        counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def brightness_of(gray: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(K,) mean grey value inside each box (K, 4) of an (H, W) picture, in its pixels."""
    height, width = gray.shape
    found = np.empty(len(boxes))
    for place, box in enumerate(boxes):
        left, top = (
            int(np.clip(np.floor(side), 0, most - 1)) for side, most in zip(box[:2], (width, height), strict=True)
        )
        right, bottom = (max(int(np.ceil(side)), low + 1) for side, low in zip(box[2:], (left, top), strict=True))
        found[place] = gray[top:bottom, left:right].mean()
    return found


def from_boxes(found: BoxErrors) -> list[Tag]:
    """All tags that follow from labels and answers alone."""
    return [*of_kinds(found), *of_objects(found)]


def of_whole_pictures(found: BoxErrors) -> list[Tag]:
    """The same tags where a picture has at most one object, and is right or wrong as a whole: they count pictures."""
    pictures, total = found.table.truths.picture, found.table.num_pictures
    tags = [
        _tag(kind, "answers", found.pictures(kind), MEANINGS[kind], None) for kind in KINDS if found.count(kind)
    ]  # fmt: skip
    for name, has in properties(found.table).items():
        tagged = np.zeros(total, bool)
        tagged[pictures[has]] = True
        tags.append(_tag(name, "object", tagged, PROPERTIES[name], None))
    return tags


def _of_property(found: BoxErrors, name: str, meaning: str, has: np.ndarray, is_known: np.ndarray) -> Tag | None:
    """None where no object that was not found has the property."""
    table: BoxTable = found.table
    is_wanted, is_found = table.matches.is_wanted[0], found.is_found()
    lost = is_wanted & ~is_found
    looked, right = lost & is_known, is_wanted & is_found & is_known
    count = int((looked & has).sum())
    if not count:
        return None
    num_lost, num_looked = int(lost.sum()), int(looked.sum())
    picture = table.truths.picture
    share = sampled_share(np.ones(num_looked), has[looked], population=num_lost, groups=picture[looked])
    error = error_of(table.matches)
    removed = _removed(error, error_without_objects(found, has)) * num_lost / num_looked
    inside = Inside(
        OBJECTS, count, num_looked, num_lost, share, min(removed, 1.0),
        right_tagged=int((right & has).sum()), right=int(right.sum()),
    )  # fmt: skip
    tagged = np.zeros(table.num_pictures, bool)
    tagged[picture[looked & has]] = True
    reviewed = np.ones(table.num_pictures, bool)
    if not is_known.all():
        reviewed[:] = False
        reviewed[picture[is_known]] = True
    return Tag(name, "object", tagged, reviewed, meaning, inside)


def _removed(error: float, left: float) -> float:
    return max(error - left, 0.0) / error if error > 0 else 0.0


def _known(count: int, total: int) -> Interval:
    return Interval(count / total, count / total, count / total, "all counted")


def _tag(name: str, kind: str, tagged: np.ndarray, meaning: str, inside: Inside | None) -> Tag:
    return Tag(name, kind, tagged, np.broadcast_to(np.True_, len(tagged)), meaning, inside)
