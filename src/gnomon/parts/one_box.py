"""At most one object in a picture: whether there is one, where, and of which class.

y = [p_c, b_x, b_y, b_h, b_w, c_1, c_2, ...]: p_c says whether there is an object; the middle of its box, its height
and its width; its class. Where p_c is 0, the rest is ignored: its gradient is exactly zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError, UsageError
from gnomon.core.evaluation import SHARE, Evaluation
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions, View
from gnomon.core.seeds import generator
from gnomon.core.settings import OwnSettings, Settings, setting
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.annotations.model import CROWD
from gnomon.data.columns import Columns
from gnomon.data.source import counted, first_names
from gnomon.metrics.intervals import Rows, groups_of, share, wilson
from gnomon.nn.boxes import iou
from gnomon.nn.losses import localisation_loss
from gnomon.parts.annotated import IGNORED, PADDED, fitting_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOX = slice(1, 5)  # in the outputs: b_x, b_y, b_h, b_w
FIRST_CLASS = 5
PLACED = 0.5  # least IoU of a box that is in the right place
PRESENT = 0.5  # least probability with which there is an object


@final
class LocalisationSettings(OwnSettings):
    """Which object of a picture counts."""

    of: str | None = setting(
        None, "the class whose largest object of each picture counts; others are no objects (default: of all classes)"
    )


@final
@dataclass(frozen=True)
class LocalisationHead(Head):
    """Outputs for y: logits of p_c and the classes, the box in standard deviations from the mean box of train."""

    columns: ClassVar[tuple[str, ...]] = ("object",)

    class_names: tuple[str, ...]
    frame: tuple[int, int]  # height and width that the model sees
    mean: tuple[float, ...]  # of b_x, b_y, b_h, b_w on the training split, in pixels of the frame
    std: tuple[float, ...]
    of: str | None = None  # the only class that counts

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(AnnotatedExamples, train)
        of = LocalisationSettings.model_validate(settings.task.own).of
        names = examples.class_names
        if of is not None and of not in names:
            raise UsageError(f"of={of} is not a class of this data.", fix=f"the classes are {first_names(names)}.")
        frame = fitting_size(examples.sizes(), settings.data.image_size, examples.side)
        rows = largest_objects(examples, None if of is None else names.index(of))
        boxes = _middles((rows[:, :4] * examples.scales(*frame)[:, None])[rows[:, 4] >= 0])
        if not len(boxes):
            raise DataError("no picture of the training split has an object.", fix="give pictures with boxes.")
        std = boxes.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        return cls(names if of is None else (of,), frame, tuple(boxes.mean(axis=0).tolist()), tuple(std.tolist()), of)

    def notes(self, train: Examples) -> tuple[str, ...]:
        examples = cast(AnnotatedExamples, train)
        rows, first = examples.boxes()
        counts = np.diff(np.r_[0, np.cumsum(self._are_wanted(examples, rows))][first])
        several, none = int((counts > 1).sum()), int((counts == 0).sum())
        what = "objects" if self.of is None else f"{self.of} objects"
        total = counted(len(counts), "picture")
        notes = [f"{several:,} of {total} of train have several {what}: the largest of each counts"] if several else []
        return (*notes, f"{none:,} of {total} of train have no object, which is an answer too") if none else (*notes,)

    def encode(self, examples: Examples) -> Columns:
        """object (N, 6) float64: left, top, right, bottom in pixels of the picture, class (or PADDED, IGNORED), flags.

        Raises DataError for a class that training never showed.
        """
        own = cast(AnnotatedExamples, examples)
        names = own.class_names
        only = None if self.of is None else names.index(self.of) if self.of in names else len(names)
        rows = largest_objects(own, only)
        strange = sorted({names[int(label)] for label in rows[:, 4] if label >= 0} - set(self.class_names))
        if strange:
            raise DataError(
                f"class {first_names(strange)} is not among those of the training split.",
                fix="give every class examples in train, or take that class out of dev and test.",
            )
        places = np.array([*(self.class_names.index(n) if n in self.class_names else 0 for n in names), 0.0])
        rows[:, 4] = np.where(rows[:, 4] >= 0, places[rows[:, 4].astype(np.int64)], rows[:, 4])
        return {"object": torch.from_numpy(rows)}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        """`boxes` (B, 1, 4) in pixels of the frame and `kinds` (B, 1), for what moves them; weight 0 where ignored."""
        if "object" in batch:
            rows = batch["object"]
            batch["boxes"] = (rows[:, None, :4] * batch["frame"][:, :1, None]).float()
            batch["kinds"] = rows[:, 4:5].long()
            batch["weight"] = (batch["kinds"][:, 0] != IGNORED).float()
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(FIRST_CLASS + self._num_class_outputs)

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        outputs: Tensor = model(*arguments)
        return outputs  # (B, 5 + K); of one class, (B, 5)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return localisation_loss(outputs, self.wanted(outputs, batch))

    def wanted(self, outputs: Tensor, batch: Batch) -> Tensor:
        """y (B, 5 + K), the box in standard deviations from its mean; NaN for the entries that are ignored."""
        kinds, boxes = batch["kinds"][:, 0], batch["boxes"][:, 0]
        mean, std = (boxes.new_tensor(values) for values in (self.mean, self.std))
        box = (torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).flip(1)], 1) - mean) / std
        classes = functional.one_hot(kinds.clamp(min=0), len(self.class_names)).to(box.dtype)
        rest = torch.cat([box, classes[:, : self._num_class_outputs]], 1)
        presence = (kinds >= 0).to(box.dtype).masked_fill(kinds == IGNORED, torch.nan)
        return torch.cat([presence[:, None], rest.masked_fill((kinds < 0)[:, None], torch.nan)], 1).to(outputs.dtype)

    @property
    def _num_class_outputs(self) -> int:
        return len(self.class_names) if len(self.class_names) > 1 else 0

    def _are_wanted(self, examples: AnnotatedExamples, rows: np.ndarray) -> np.ndarray:
        """(M,) bool: which of the rows of `boxes` may be the one that counts."""
        are_single = (rows[:, 5].astype(np.int64) & CROWD) == 0
        return are_single if self.of is None else are_single & (rows[:, 4] == examples.class_names.index(self.of))


@final
@dataclass(frozen=True)
class LocalisationJudge(Judge):
    """Right if the object is found with its class and an IoU of at least PLACED; or if none is found where none is."""

    can_average: ClassVar[bool] = True

    class_names: tuple[str, ...]
    frame: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, head: LocalisationHead) -> Self:
        return cls(head.class_names, head.frame, head.mean, head.std)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "error"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        """(B, 6): left, top, right, bottom in pixels of the picture, class (PADDED: no object), probability."""
        exact, frame = outputs.detach().double().cpu(), batch["frame"].double().cpu()
        presence, box, classes = exact[:, 0].sigmoid(), self._in_frame(exact), self._probabilities(exact)
        corners = torch.cat([box[:, :2] - box[:, 2:].flip(1) / 2, box[:, :2] + box[:, 2:].flip(1) / 2], 1)
        corners = (corners / frame[:, :1]).clamp(min=0).minimum(frame[:, [2, 1, 2, 1]])
        best, label = classes.max(dim=1)
        is_there = presence >= PRESENT
        confidence = torch.where(is_there, presence * best, 1 - presence)
        values = torch.cat([corners, label[:, None].double(), confidence[:, None]], 1)
        values[~is_there] = values.new_tensor([0, 0, 0, 0, PADDED, 0])
        sizes = {name: frame[:, place].long().numpy() for name, place in (("width", 2), ("height", 1))}
        return Predictions(values.numpy(), confidence.numpy(), sizes)

    def targets(self, batch: Batch) -> np.ndarray:
        rows = batch["object"].double().cpu().numpy().copy()
        rows[:, 5] = np.nan  # truths have no probability
        return rows

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        found, true = np.asarray(values), self.targets(batch)
        is_same = found[:, 4] == true[:, 4]
        is_placed = (true[:, 4] < 0) | (overlaps(found, true) >= PLACED)
        return np.where(true[:, 4] == IGNORED, 0.0, (~(is_same & is_placed)).astype(np.float64))

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON as of several boxes: [[left, top, right, bottom, class, probability]] or []; truths have no number."""
        texts = []
        for row in np.asarray(values, np.float64):
            last = "" if np.isnan(row[5]) else round(float(row[5]), 4)
            box = [[*np.round(row[:4], 1).tolist(), self.class_names[int(row[4])], last]] if row[4] >= 0 else []
            texts.append(json.dumps(box, ensure_ascii=False))
        return pl.Series(texts, dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        if view.image is None:
            return view
        boxes = json.loads(row[column])
        frame = np.array([view.image.shape[1] / row["width"], view.image.shape[0] / row["height"]] * 2)
        captions = [f"{box[4]} {box[5]:.2f}" if isinstance(box[5], float) else str(box[4]) for box in boxes]
        labels = np.array([self.class_names.index(box[4]) for box in boxes], np.int64)
        places = np.array([box[:4] for box in boxes], np.float64).reshape(-1, 4)
        return replace(view, boxes=places * frame, labels=labels, captions=captions, points=None)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """IoU of the pictures with an object, 0 where none is found; how often p_c is right, and the class if found."""
        table = evaluation.table.filter(pl.col("weight") > 0)
        true, found = (self._read(table[name]) for name in ("target", "prediction"))
        has_object, is_found = true[:, 4] >= 0, found[:, 4] >= 0
        measured: dict[str, Any] = {}
        if has_object.any():
            values = overlaps(found, true)[has_object]
            rows = Rows(values, np.ones(len(values)), groups_of(table, has_object))
            measured["mean IoU"] = share(rows, generator(0, "localisation", evaluation.split)).interval
        if len(table):
            measured["p_c accuracy"] = wilson(int((has_object == is_found).sum()), len(table))
        both = has_object & is_found
        if both.any() and len(self.class_names) > 1:
            measured["class accuracy"] = wilson(int((true[both, 4] == found[both, 4]).sum()), int(both.sum()))
        return measured

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"object": self.class_names, "size": (f"{self.frame[1]}x{self.frame[0]}",)}

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """The means of probabilities, and of boxes, which are all in one frame (`question`)."""
        each = [(judge, outputs.double()) for judge, outputs in answers]
        presence = torch.stack([outputs[:, 0].sigmoid() for _, outputs in each]).mean(dim=0)
        box = torch.stack([judge._in_frame(outputs) for judge, outputs in each]).mean(dim=0)
        classes = torch.stack([judge._probabilities(outputs) for judge, outputs in each]).mean(dim=0)
        box = (box - box.new_tensor(self.mean)) / box.new_tensor(self.std)
        logits = classes.clamp_min(1e-300).log() if len(self.class_names) > 1 else classes[:, :0]
        return torch.cat([presence.logit(eps=1e-15)[:, None], box, logits], 1)

    def plain_targets(self, columns: Columns) -> np.ndarray | None:
        """(N, 5 + K): y with the box in pixels of the frame, NaN for the entries that are ignored."""
        rows, frame = (cast(Tensor, columns[name]).cpu().numpy() for name in ("object", "frame"))
        label = rows[:, 4]
        classes = np.eye(len(self.class_names))[np.maximum(label, 0).astype(np.int64)]
        rest = np.hstack([_middles(rows[:, :4] * frame[:, :1]), classes])
        rest[label < 0] = np.nan
        return np.column_stack([np.where(label == IGNORED, np.nan, label >= 0), rest])

    def from_plain(self, values: np.ndarray, columns: Columns) -> np.ndarray:
        frame = cast(Tensor, columns["frame"]).cpu().numpy()
        middle, half = values[:, 1:3], values[:, 4:2:-1] / 2
        corners = np.hstack([middle - half, middle + half]) / frame[:, :1]
        label = np.where(values[:, 0] >= PRESENT, values[:, FIRST_CLASS:].argmax(axis=1), PADDED)
        return np.column_stack([corners, label, values[:, 0]])

    def less_is_better(self, measure: str) -> bool:
        return False

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        from gnomon.figures.within import draw_within  # matplotlib is not on the way to the first step

        true, found = (self._read(evaluation.table[name]) for name in ("target", "prediction"))
        lost = 1 - overlaps(found, true)[true[:, 4] >= 0]
        return {"boxes within an error": draw_within(lost, name="1 - IoU", mark=1 - PLACED)}

    def _in_frame(self, outputs: Tensor) -> Tensor:
        """(B, 4): b_x, b_y, b_h, b_w in pixels of the frame."""
        box = outputs[:, BOX]
        box = box * box.new_tensor(self.std) + box.new_tensor(self.mean)
        return torch.cat([box[:, :2], box[:, 2:].clamp(min=0)], 1)

    def _probabilities(self, outputs: Tensor) -> Tensor:
        """(B, K): of each class, if there is an object."""
        return outputs[:, FIRST_CLASS:].softmax(dim=1) if len(self.class_names) > 1 else torch.ones_like(outputs[:, :1])

    def _read(self, texts: pl.Series) -> np.ndarray:
        """(N, 5): left, top, right, bottom, class, from the texts of `describe`."""
        rows = []
        for text in texts:
            boxes = json.loads(text)
            rows.append([*boxes[0][:4], self.class_names.index(boxes[0][4])] if boxes else [0, 0, 0, 0, PADDED])
        return np.array(rows, np.float64).reshape(-1, 5)


def largest_objects(examples: AnnotatedExamples, only: int | None = None) -> np.ndarray:
    """(N, 6) float64 rows of `boxes()`: the largest single object of each picture, the first of equal ones.

    `only`: a class; the others count as nothing. Of a picture without one, the class is PADDED; where there is a crowd
    instead, which may hold one, IGNORED.
    """
    rows, first = examples.boxes()
    picture = np.repeat(np.arange(len(examples)), np.diff(first))
    if only is not None:
        rows, picture = rows[rows[:, 4] == only], picture[rows[:, 4] == only]
    is_crowd = (rows[:, 5].astype(np.int64) & CROWD) > 0
    found = np.zeros((len(examples), 6))
    found[:, 4] = PADDED
    found[picture[is_crowd], 4] = IGNORED
    single, of = rows[~is_crowd], picture[~is_crowd]
    area = (single[:, 2] - single[:, 0]) * (single[:, 3] - single[:, 1])
    order = np.lexsort((-np.arange(len(single)), area))  # the largest last, the first of equal ones after the others
    found[of[order]] = single[order]  # the last one written stays
    return found


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,): IoU of two boxes each, left, top, right, bottom first in their rows; 0 where one of them is none."""
    first, second = (torch.from_numpy(np.ascontiguousarray(boxes[:, :4])) for boxes in (one, other))
    found: np.ndarray = iou(first, second).numpy()
    return np.where((one[:, 4] >= 0) & (other[:, 4] >= 0), found, 0.0)


def _middles(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) left, top, right, bottom -> b_x, b_y, b_h, b_w."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, size[:, ::-1]])
