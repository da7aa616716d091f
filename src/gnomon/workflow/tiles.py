"""Large pictures piece by piece: each tile as large as the pictures that a detector was trained on, half over the next.

A photo of 2,000 pixels that is scaled down to the 320 a detector sees has lost its small objects. In tiles they are as
large as in training. Tiles overlap by half, so an object smaller than half a tile is whole in one of them; larger ones
are found in the picture as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import torch

from gnomon.core.errors import UsageError
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.images import ImageExamples, Whites
from gnomon.data.images.stores import ArrayStore
from gnomon.nn.boxes import nms
from gnomon.parts.annotated import AnnotatedEncoder
from gnomon.parts.boxes import DetectionHead
from gnomon.training.evaluate import judging, outputs_of
from gnomon.workflow.mask_tiles import predict_masks_in_tiles

if TYPE_CHECKING:
    from gnomon.core.example import Examples
    from gnomon.training.evaluate import Member

ONE_TILE = 1.25  # times a tile's sides up to which a picture is seen as a whole
EDGE = 2.0  # pixels of the model: a box that ends so near an inner edge of its tile was cut by it
OVERLAP = 0.6  # IoU from which two boxes of one class, of two tiles, are of one object


@dataclass(frozen=True)
class Tiles:
    """The corners of the tiles of a picture, in pixels of it; all have one size."""

    corners: np.ndarray  # (T, 2) int64: left, top
    width: int
    height: int


def predict_in_tiles(members: Sequence[Member], inputs: Sequence[Examples]) -> pl.DataFrame:
    """As `training.evaluate.predict`, of one model for boxes or masks. Raises UsageError for other answers."""
    task = members[0].task
    if len(members) == 1 and task.head.wants == "pixels":
        return predict_masks_in_tiles(members[0], inputs[0])
    if len(members) > 1 or not isinstance(task.head, DetectionHead):
        what = "one model" if len(members) > 1 else "boxes and masks"
        raise UsageError(f"tiles=yes is for {what}, and this is {task.kind.title}.", fix="leave tiles out.")
    examples = cast(AnnotatedExamples, inputs[0])
    found: list[np.ndarray] = []
    columns: dict[str, list[Any]] = {}
    for position in range(len(examples)):
        one = examples.take(np.array([position]))
        boxes, more = _answers(members[0], one)
        for name, values in more.items():
            columns.setdefault(name, []).extend(values)
        found.append(_in_tiles(members[0], one, boxes[0]))
    prediction = task.judge.describe(found)
    confidence = pl.repeat(None, len(found), dtype=pl.Float64, eager=True)
    return pl.DataFrame({"id": examples.index["id"], "prediction": prediction, "confidence": confidence, **columns})


def _answers(member: Member, examples: Examples) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The judge's own form of what is found in each picture, and its further columns."""
    found: list[np.ndarray] = []
    columns: dict[str, list[Any]] = {}
    with judging(member.model):
        for outputs, batch in outputs_of(member.task, member.model, examples, device=torch.device("cpu")):
            said = member.task.judge.predict(member.model, outputs, batch)
            found.extend(said.values)
            for name, values in said.columns.items():
                columns.setdefault(name, []).extend(values)
    return found, columns


def _in_tiles(member: Member, one: AnnotatedExamples, whole: np.ndarray) -> np.ndarray:
    """(D, 6): what is found in one picture, in its tiles and, of what is larger than half a tile, in the `whole`."""
    encoder, scale = cast(AnnotatedEncoder, member.task.encoder), cast(DetectionHead, member.task.head).scale
    pixels, (height, width) = one[0].inputs, one.sizes()[0].tolist()
    kept = len(pixels) / height  # pixels of a very large picture that are kept, per pixel of it
    size = encoder.width / scale * kept, encoder.height / scale * kept
    if max(width * kept / size[0], height * kept / size[1]) <= ONE_TILE:
        return whole
    tiles = tiles_of(pixels.shape[1], pixels.shape[0], size)
    parts, _ = _answers(member, _cut(one, pixels, tiles))
    edge, half = EDGE / scale * kept, min(tiles.width, tiles.height) / 2
    found = [whole[(whole[:, 2:4] - whole[:, :2]).max(axis=1) * kept > half]]
    for boxes, corner in zip(parts, tiles.corners, strict=True):
        whole_in_tile = boxes[~_is_cut(boxes, corner, tiles, (pixels.shape[1], pixels.shape[0]), edge)]
        places = (whole_in_tile[:, :4] + np.tile(corner, 2)) / kept
        found.append(np.column_stack([np.round(places, 2), whole_in_tile[:, 4:]]))
    return merged(np.concatenate(found))


def tiles_of(width: int, height: int, size: tuple[float, float]) -> Tiles:
    """Of a picture of width x height pixels; `size` is the width and height of a tile, at most those of the picture."""
    sides = [max(1, min(length, round(one))) for length, one in zip((width, height), size, strict=True)]
    along = [
        np.unique(np.linspace(0, length - side, max(1, int(np.ceil(2 * length / side)) - 1)).round().astype(np.int64))
        for length, side in zip((width, height), sides, strict=True)
    ]
    left, top = np.meshgrid(*along)
    return Tiles(np.stack([left.ravel(), top.ravel()], axis=1), sides[0], sides[1])


def _cut(one: AnnotatedExamples, pixels: np.ndarray, tiles: Tiles) -> AnnotatedExamples:
    """The tiles as pictures."""
    parts = np.stack([pixels[y : y + tiles.height, x : x + tiles.width] for x, y in tiles.corners.tolist()])
    count = len(parts)
    rows = one.index[np.zeros(count, np.int64).tolist()]
    pictures = ImageExamples.of(ArrayStore(parts, parts, Whites()), np.arange(count), rows)
    nothing = np.full(count, -1, np.int64)
    frames = np.tile([tiles.height, tiles.width], (count, 1))
    return replace(one, pictures=pictures, source=nothing, positions=nothing, frames=frames)


def _is_cut(boxes: np.ndarray, corner: np.ndarray, tiles: Tiles, picture: tuple[int, int], edge: float) -> np.ndarray:
    """(D,) bool: which boxes of a tile end at an edge that is not the picture's."""
    size = np.array([tiles.width, tiles.height])
    at_low = (boxes[:, :2] < edge) & (corner > 0)
    at_high = (boxes[:, 2:4] > size - edge) & (corner + size < picture)
    found: np.ndarray = (at_low | at_high).any(axis=1)
    return found


def merged(boxes: np.ndarray) -> np.ndarray:
    """Boxes (D, 6) of all tiles without those of lower score that are of the same object, best first."""
    places, scores, groups = (torch.from_numpy(part) for part in (boxes[:, :4], boxes[:, 5], boxes[:, 4].astype(int)))
    return boxes[nms(places, scores, threshold=OVERLAP, groups=groups).numpy()]
