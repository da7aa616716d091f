"""Boxes: what a detector learns from objects in pictures, and from what it finds to answers, errors and precision."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Examples
from gnomon.core.knobs import ANSWERS
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions, View
from gnomon.core.settings import Settings
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.annotations.model import CROWD, DIFFICULT, TRUNCATED
from gnomon.data.columns import Columns, Ragged
from gnomon.metrics import box_table, detection, matching
from gnomon.metrics.box_scores import LESS_IS_BETTER, curves, scores
from gnomon.metrics.operating_point import answers_at, best_threshold, checked_aim, share_of
from gnomon.metrics.usual_boxes import usual_boxes
from gnomon.parts.annotated import IGNORED, PADDED, fitting_size
from gnomon.parts.fused_boxes import Fused, Seen, joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATCH = 0.5  # IoU from which a box is right
LEAST = 0.01  # score of a box that is kept in tables: precision at high recall is read from boxes of low scores
FIRST_THRESHOLD = 0.3  # before one is chosen on dev
MOST_SIZES = 1_000  # of train's boxes that a detector is told before training
PLACES, DIGITS = 2, 4  # decimals of pixels and of scores in tables
FLAGS = {CROWD: "crowd", DIFFICULT: "difficult", TRUNCATED: "truncated"}


@final
@dataclass(frozen=True)
class DetectionHead(Head):
    """Objects as boxes with classes. The model has the loss: it alone knows which of its places are for which box."""

    abilities: ClassVar[frozenset[str]] = frozenset({ANSWERS})
    wants: ClassVar[str] = "detections"
    columns: ClassVar[tuple[str, ...]] = ("objects",)

    class_names: tuple[str, ...]
    sizes: tuple[tuple[float, float], ...]  # widths and heights of boxes of train, in pixels that the model sees
    scale: float  # pixels that the model sees per pixel of a usual picture of train
    threshold_for: str = "f1"  # what the threshold is chosen for

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(AnnotatedExamples, train)
        rows, first = examples.boxes()
        scales = examples.scales(*fitting_size(examples.sizes(), settings.data.image_size, examples.side))
        wanted = (_kinds(torch.from_numpy(rows)) >= 0).numpy()
        if not wanted.any():
            raise DataError("no picture of train has an object to learn.", fix="annotate some, or check the split.")
        sides = (rows[:, 2:4] - rows[:, :2]) * np.repeat(scales, np.diff(first))[:, None]
        chosen = np.linspace(0, wanted.sum() - 1, min(MOST_SIZES, int(wanted.sum()))).astype(np.int64)
        sizes = np.round(sides[wanted][chosen], PLACES)
        return cls(
            examples.class_names, tuple((float(width), float(height)) for width, height in sizes),
            float(np.median(scales)), checked_aim(settings.goal.metric),
        )  # fmt: skip

    def encode(self, examples: Examples) -> Columns:
        """`objects`: left, top, right, bottom, class, flags, in pixels of the picture as it was annotated."""
        pictures = cast(AnnotatedExamples, examples)
        rows, first = pictures.boxes()
        if pictures.class_names != self.class_names:
            rows[:, 4] = self._places(pictures, rows)[rows[:, 4].astype(np.int64)]
        return {"objects": Ragged(torch.from_numpy(rows), torch.from_numpy(first.astype(np.int64)))}

    def _places(self, pictures: AnnotatedExamples, rows: np.ndarray) -> np.ndarray:
        """Of each class of these pictures its place in training. Raises DataError for one that training never had."""
        known = {name: place for place, name in enumerate(self.class_names)}
        names = pictures.class_names
        for label in np.unique(rows[:, 4].astype(np.int64)).tolist():
            if names[label] not in known:
                raise DataError(
                    f"class {names[label]!r} is not among the {len(known)} classes of the training data: "
                    f"{', '.join(self.class_names[:10])}.",
                    fix="rename or remove it, or train with data that has it.",
                )
        return np.array([known.get(name, -1) for name in names], np.float64)

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        """`boxes` (B, M, 4) in pixels that the model sees, `kinds` (B, M), `truth` (B, M, 6) as it was annotated."""
        objects = columns.get("objects")
        if not isinstance(objects, Ragged):
            return batch
        truth = objects.pad(indices, PADDED)
        scale = batch["frame"][:, :1, None].to(truth.device)
        kinds = _kinds(truth)
        boxes = torch.where((kinds != PADDED)[..., None], truth[..., :4] * scale, 0.0)
        return {**batch, "boxes": boxes.float(), "kinds": kinds, "truth": truth}

    def build(self, body: Body) -> nn.Module:
        """The detector; one that wants to know how large the boxes of train are is told."""
        model = body(len(self.class_names))
        prepare = getattr(model, "prepare", None)
        if prepare is not None:
            prepare(torch.tensor(self.sizes, dtype=torch.float64))
        return model

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Seen:
        return Seen(model, model(*arguments), batch["frame"])

    def losses(self, outputs: Seen, batch: Batch) -> Tensor:
        model = cast(Any, outputs.model)
        found: Tensor = model.losses(outputs.raw, batch["boxes"], batch["kinds"])
        return found

    def wanted(self, outputs: Any, batch: Batch) -> Any:
        return {name: batch[name] for name in ("boxes", "kinds")}


def _kinds(rows: Tensor) -> Tensor:
    """(..., 6) as `AnnotatedExamples.boxes` has them -> (...) int64: the class, IGNORED or PADDED."""
    labels, flags = rows[..., 4].long(), rows[..., 5].long()
    is_spared = (labels >= 0) & ((flags & (CROWD | DIFFICULT)) > 0)
    return torch.where(is_spared, IGNORED, labels)  # PADDED is -1, as is the label where rows are filled


@final
@dataclass(frozen=True)
class DetectionJudge(Judge):
    """Right and wrong boxes at IoU 0.5; over a split, average precision.

    An encoded answer is (D, 6): left, top, right, bottom, class, score, in pixels of the picture as it was annotated; a
    truth is (M, 7), with the score 1 and flags.
    """

    can_average: ClassVar[bool] = True
    needs_calibration: ClassVar[bool] = False  # average precision has no threshold

    class_names: tuple[str, ...]
    threshold_for: str = "f1"  # what the threshold is chosen for
    threshold: float = FIRST_THRESHOLD  # score from which a box counts as an answer
    least: float = LEAST  # score from which a box is kept

    @classmethod
    def of(cls, head: DetectionHead) -> Self:
        return cls(head.class_names, head.threshold_for)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "1 - mAP@0.5"

    def predict(self, model: nn.Module, outputs: Seen, batch: Batch) -> Predictions:
        boxes, values, kinds = (one.double().cpu().numpy() for one in cast(Any, outputs.model).detections(outputs.raw))
        frame = batch["frame"].double().cpu().numpy()
        found = [
            self._kept(np.column_stack(picture), about)
            for *picture, about in zip(boxes, kinds, values, frame, strict=True)
        ]
        heights, widths = frame[:, 1].astype(np.int64), frame[:, 2].astype(np.int64)
        threshold = np.full(len(frame), self.threshold)
        return Predictions(found, None, {"width": widths, "height": heights, "threshold": threshold})

    def _kept(self, rows: np.ndarray, about: np.ndarray) -> np.ndarray:
        """Boxes of (D, 6) that are sure enough, in pixels of the picture, cut at its edges."""
        scale, height, width = about
        rows = rows[(rows[:, 5] >= self.least) & (rows[:, 4] >= 0)]
        places = np.clip(rows[:, :4] / scale, 0, [width, height, width, height])
        rows = np.column_stack([np.round(places, PLACES), rows[:, 4], np.round(rows[:, 5], DIGITS)])
        return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]

    def targets(self, batch: Batch) -> Sequence[Any]:
        truth = batch["truth"].double().cpu().numpy()
        rows = [picture[picture[:, 4] >= 0] for picture in truth]
        return [np.column_stack([row[:, :5], np.ones(len(row)), row[:, 5]]) for row in rows]

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """1 - F1 of each picture's boxes at the threshold; 0 where there is nothing to find and nothing is found."""
        drawn, said = _joined(self.targets(batch)), _joined(values)
        is_flagged = drawn[:, 7].astype(np.int64)
        truths = matching.truths(
            drawn[:, 0], drawn[:, 5], drawn[:, 1:5], is_crowd=(is_flagged & CROWD) > 0,
            is_difficult=(is_flagged & DIFFICULT) > 0,
        )  # fmt: skip
        predictions = matching.predictions(said[:, 0], said[:, 5], said[:, 1:5], said[:, 6])
        matches = matching.match_as_voc(
            truths, predictions, num_pictures=len(values), num_classes=len(self.class_names), threshold=MATCH
        )
        counts = answers_at(matches, predictions.scores, self.threshold)
        return 1 - np.nan_to_num(share_of("F1", counts), nan=1.0)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON: [[left, top, right, bottom, class, score], ...]; of a truth, flags in place of the score."""
        return pl.Series(
            [json.dumps([self._described(box) for box in rows.tolist()]) for rows in values], dtype=pl.String
        )

    def _described(self, box: list[float]) -> list[Any]:
        places, name = [round(value, PLACES) for value in box[:4]], self.class_names[int(box[4])]
        if len(box) == TRUTH:
            return [*places, name, " ".join(word for flag, word in FLAGS.items() if int(box[6]) & flag)]
        return [*places, name, round(box[5], DIGITS)]

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        if view.image is None:
            return view
        boxes = json.loads(row[column])
        if column == "prediction":
            boxes = [box for box in boxes if box[5] >= self.threshold]
        height, width = view.image.shape[:2]
        frame = np.array([width / row["width"], height / row["height"]] * 2)
        captions = [f"{box[4]} {box[5]:.2f}" if column == "prediction" else _named(box) for box in boxes]
        labels = np.array([self.class_names.index(box[4]) for box in boxes], np.int64)
        places = np.array([box[:4] for box in boxes], np.float64).reshape(-1, 4)
        return replace(view, boxes=places * frame, labels=labels, captions=captions)

    def answering(self) -> Self:
        return replace(self, least=self.threshold)

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """One row for each box, in the columns that a table of boxes is read from."""
        names = ("left", "top", "right", "bottom", "class", "score")
        rows = [
            {"file": str(name), **dict(zip(names, box, strict=True))}
            for name, text in zip(table["id"], table["prediction"], strict=True)
            for box in json.loads(text)
        ]
        numbers = dict.fromkeys((*names[:4], "score"), pl.Float64)
        return pl.DataFrame(rows, schema={"file": pl.String, "class": pl.String, **numbers})

    def guess(self, train: pl.DataFrame, table: pl.DataFrame) -> tuple[str, pl.Series]:
        """The boxes that train has most often, in every picture, scaled to it."""
        usual = usual_boxes(train)
        rows = []
        for width, height in table.select("width", "height").iter_rows():
            places = np.round(usual.places * [width, height, width, height], PLACES).tolist()
            boxes = zip(places, usual.class_names, usual.scores.tolist(), strict=True)
            rows.append(json.dumps([[*place, name, score] for place, name, score in boxes]))
        return "the same boxes everywhere", pl.Series(rows, dtype=pl.String)

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        """1 - mAP as Pascal VOC defines it since 2010; where there is nothing to find, the mean error of pictures."""
        matches = box_table.read(table).matches
        if not matches.is_wanted.any():
            return None

        def error(counts: np.ndarray) -> float:
            return float(1 - detection.voc(matches, counts[None])[0])

        return error

    def calibrate(self, evaluation: Evaluation) -> Self:
        """With the threshold that is best on dev for the aim."""
        found = box_table.read(evaluation.table)
        threshold = best_threshold(found.matches, found.predictions.scores, self.threshold_for)
        return self if threshold is None else replace(self, threshold=threshold)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation, self.threshold)

    @property
    def question(self) -> Mapping[str, tuple[str, ...]]:
        return {"objects": self.class_names}

    def joined(self, parts: Sequence[Seen]) -> Seen:
        return joined(parts)

    def averaged(self, answers: Sequence[tuple[Self, Seen]]) -> Seen:
        """The boxes that they find, those of one object as one."""
        seen = [outputs for _, outputs in answers]
        return Seen(Fused(seen), None, seen[0].frame)

    def less_is_better(self, measure: str) -> bool:
        return measure in LESS_IS_BETTER

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        from gnomon.figures.precision_recall import draw_precision_recall

        drawn = curves(evaluation.table, self.threshold)
        return {"Precision and recall at IoU 0.5": draw_precision_recall(drawn)} if drawn else {}


TRUTH = 7  # numbers of a true box in its encoded form


def _named(box: Sequence[Any]) -> str:
    """A true box's caption: its class, and its flags."""
    return f"{box[4]} ({box[5].replace(' ', ', ')})" if box[5] else str(box[4])


def _joined(rows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """(total, 1 + columns): all boxes, behind the number of their picture."""
    width = max((one.shape[1] for one in rows), default=TRUTH)
    counts = [len(one) for one in rows]
    whole = np.concatenate([one for one in rows if len(one)]) if any(counts) else np.empty((0, width))
    return np.column_stack([np.repeat(np.arange(len(counts)), counts), whole])
