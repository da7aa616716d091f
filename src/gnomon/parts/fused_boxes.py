"""What several detectors find together: boxes of one object become one, surer the more of them found it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast, final

import numpy as np
import torch
from torch import Tensor, nn

SAME = 0.55  # IoU from which two boxes are of one object. Source: Solovyev et al. 2021, section 3
MOST = 100  # boxes of a picture


class Seen(NamedTuple):
    """What a detector gave for a batch of pictures, and the detector itself, which knows its own loss."""

    model: nn.Module | Batches | Fused
    raw: Any
    frame: Tensor  # (B, 3): scale of the pictures that it saw, and their height and width before it


@final
class Batches:
    """Several batches of one detector as one."""

    def __init__(self, parts: Sequence[Seen]) -> None:
        self.parts = parts

    def detections(self, _raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        found = [cast(Any, one.model).detections(one.raw) for one in self.parts]
        most = max(scores.shape[1] for _, scores, _ in found)
        padded = [
            [_padded(boxes, most, 0.0), _padded(scores, most, 0.0), _padded(kinds, most, -1)]
            for boxes, scores, kinds in found
        ]
        boxes, scores, kinds = (torch.cat(column) for column in zip(*padded, strict=True))
        return boxes, scores, kinds

    def losses(self, _raw: Any, boxes: Tensor, kinds: Tensor) -> Tensor:
        sizes = [len(one.frame) for one in self.parts]
        each = zip(self.parts, boxes.split(sizes), kinds.split(sizes), strict=True)
        return torch.cat([cast(Any, one.model).losses(one.raw, some, own) for one, some, own in each])


def joined(parts: Sequence[Seen]) -> Seen:
    """Batches of one detector, one after the other."""
    return parts[0] if len(parts) == 1 else Seen(Batches(parts), None, torch.cat([one.frame for one in parts]))


@final
class Fused:
    """Several detectors on the same pictures. Boxes are in pixels that the first of them sees."""

    def __init__(self, answers: Sequence[Seen]) -> None:
        self.answers = answers
        self.ratios = [one.frame[:, :1] / answers[0].frame[:, :1] for one in answers]  # (B, 1) each

    def detections(self, _raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted boxes fusion within each class of each picture, best first."""
        found = [cast(Any, one.model).detections(one.raw) for one in self.answers]
        rows = [
            np.concatenate([
                np.column_stack([(boxes[picture] / ratio[picture]).cpu(), kinds[picture].cpu(), scores[picture].cpu()])
                for (boxes, scores, kinds), ratio in zip(found, self.ratios, strict=True)
            ])
            for picture in range(len(self.answers[0].frame))
        ]  # fmt: skip
        whole = np.stack([_filled(fused(one[one[:, 4] >= 0], len(found))) for one in rows])
        device = self.answers[0].frame.device
        boxes, kinds, scores = whole[..., :4], whole[..., 4].astype(np.int64), whole[..., 5]
        return tuple(torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in (boxes, scores, kinds))  # type: ignore[return-value]

    def losses(self, _raw: Any, boxes: Tensor, kinds: Tensor) -> Tensor:
        """The mean of theirs."""
        each = [
            cast(Any, one.model).losses(one.raw, (boxes * ratio[:, :, None]).to(boxes.dtype), kinds)
            for one, ratio in zip(self.answers, self.ratios, strict=True)
        ]
        return torch.stack(each).mean(dim=0)


def fused(rows: np.ndarray, models: int) -> np.ndarray:
    """Boxes (D, 6) left, top, right, bottom, class, score of all of several models -> of each object one, best first.

    Box by box from the highest score, one joins the object of its class whose box so far it overlaps most, or is a new
    one. An object's box is the mean of its boxes, weighted by their scores; its score is their mean, times the share of
    the models that found it. Source: Solovyev et al. 2021.
    """
    rows = rows[np.argsort(-rows[:, 5], kind="stable")]
    places, sums, counts = np.empty((0, 4)), np.empty((0, 5)), np.empty(0)  # sums: score x place, score
    kinds = np.empty(0)
    for *place, kind, score in rows.tolist():
        overlap = np.where(kinds == kind, _iou(np.array(place), places), 0.0)
        best = int(overlap.argmax()) if len(overlap) else -1
        weighted = np.array([*(score * side for side in place), score])
        if best < 0 or overlap[best] < SAME:
            sums, counts = np.vstack([sums, weighted]), np.append(counts, 1)
            places, kinds = np.vstack([places, place]), np.append(kinds, kind)
            continue
        sums[best] += weighted
        counts[best] += 1
        places[best] = sums[best, :4] / sums[best, 4]
    scores = sums[:, 4] / np.maximum(counts, 1) * np.minimum(counts, models) / models
    order = np.argsort(-scores, kind="stable")
    return np.column_stack([places, kinds, scores])[order]


def _iou(place: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(4,) and (N, 4) -> (N,)."""
    sides = np.maximum(np.minimum(place[2:], places[:, 2:]) - np.maximum(place[:2], places[:, :2]), 0)
    shared = sides.prod(axis=1)
    areas = (places[:, 2:] - places[:, :2]).prod(axis=1) + np.prod(place[2:] - place[:2])
    found: np.ndarray = shared / np.maximum(areas - shared, 1e-12)
    return found


def _filled(rows: np.ndarray) -> np.ndarray:
    """(MOST, 6): cut, or filled with boxes of the class -1."""
    whole = np.tile(np.array([0.0, 0.0, 0.0, 0.0, -1.0, 0.0]), (MOST, 1))
    whole[: min(len(rows), MOST)] = rows[:MOST]
    return whole


def _padded(values: Tensor, most: int, value: float) -> Tensor:
    """(B, K, ...) -> (B, most, ...)."""
    missing = values.new_full((len(values), most - values.shape[1], *values.shape[2:]), value)
    return torch.cat([values, missing], dim=1)
