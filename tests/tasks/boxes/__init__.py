"""Boxes: find every square and disc in a picture. Truths of variable size, suppression, mAP as whole-split metric."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import polars as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.augmentation import strengths
from gnomon.core.errors import DataError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading, index_frame
from gnomon.core.family import PictureInputs
from gnomon.core.knobs import AUGMENTATION, PICTURES
from gnomon.core.parts import Batch, Body, Claim, Encoder, Head, Judge, Predictions, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.core.task import TaskKind
from gnomon.data import augment
from gnomon.data.columns import Columns, Ragged, gather
from gnomon.data.source import Source
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import split_error

FILE = "boxes.json"  # {"a.png": [[left, top, right, bottom, "square"], ...], ...}
SIDE, CELLS = 32, 8  # pixels of a picture, cells of the grid a side
CELL = SIDE // CELLS
LEAST_SEEN = 0.3  # of a box's area: with less of it left in a moved picture, it is no object there
MATCH, OVERLAP, LEAST_SCORE = 0.5, 0.4, 0.3  # IoU of a hit; IoU suppressed; score of a detection


@final
@dataclass(frozen=True)
class Scenes(Examples):
    """Pictures with their boxes."""

    pictures: np.ndarray  # (M, SIDE, SIDE) uint8
    boxes: tuple[tuple[tuple[Any, ...], ...], ...]
    files: tuple[str, ...]
    positions: np.ndarray

    @property
    def index(self) -> pl.DataFrame:
        counts = [len(self.boxes[i]) for i in self.positions]
        index = index_frame([self.files[i] for i in self.positions], stratum=[f"{count} boxes" for count in counts])
        crowds = pl.Series("tag.crowd", ["crowded" if count > 1 else "sparse" for count in counts])
        return index.with_columns(crowds)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, position: int) -> Example:
        at = self.positions[position]
        return Example(self.files[at], self.pictures[at], self.boxes[at])

    def take(self, positions: np.ndarray) -> Self:
        return replace(self, positions=self.positions[positions])

    def join(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.pictures, other.pictures]),
            self.boxes + other.boxes,
            self.files + other.files,
            np.concatenate([self.positions, other.positions + len(self.pictures)]),
        )

    def fingerprints(self) -> np.ndarray:
        return pl.Series([self.pictures[i].tobytes() for i in self.positions]).hash().to_numpy()


@final
class SceneReader(Reader):
    """Pictures beside a file of boxes."""

    abilities: ClassVar[frozenset[str]] = frozenset({PICTURES})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{FILE}: pictures with boxes") if FILE in names else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return Reading({"all": _scenes(source, with_boxes=True)})

    def write_sample(self, folder: Path, seed: int, total: int = 40) -> Path:
        """Up to three bright squares and discs on noise."""
        rng, boxes = generator(seed, "sample"), {}
        folder.mkdir(parents=True, exist_ok=True)
        down, across = np.mgrid[:SIDE, :SIDE]
        for number in range(total):
            picture = rng.integers(0, 60, (SIDE, SIDE))
            truths = []
            for _ in range(int(rng.integers(0, 4))):
                size = int(rng.integers(6, 11))
                left, top = (int(value) for value in rng.integers(0, SIDE - size, 2))
                if any(iou((left, top, left + size, top + size), other[:4]) > 0 for other in truths):
                    continue
                kind = ("disc", "square")[int(rng.integers(2))]
                inside = (across >= left) & (across < left + size) & (down >= top) & (down < top + size)
                if kind == "disc":
                    middle = ((across - left - size / 2 + 0.5) ** 2 + (down - top - size / 2 + 0.5) ** 2) ** 0.5
                    inside = middle <= size / 2
                picture[inside] = 200
                truths.append((left, top, left + size, top + size, kind))
            boxes[f"{number:03d}.png"] = truths
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number:03d}.png")
        (folder / FILE).write_text(json.dumps(boxes))
        return folder

    def read_inputs(self, source: Source, settings: DataSettings, encoder: Any) -> Reading:
        return Reading({"all": _scenes(source, with_boxes=False)})

    def view(self, example: Example) -> View:
        return View(image=example.inputs, text=f"{len(example.target)} boxes")


@final
@dataclass(frozen=True)
class SceneEncoder(Encoder):
    """Pictures as they are; in training moved, and their boxes with them."""

    abilities: ClassVar[frozenset[str]] = frozenset({AUGMENTATION})

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        return cls()

    @property
    def inputs(self) -> PictureInputs:
        return PictureInputs(1, SIDE, SIDE, (0.0,), (1.0,))

    def encode(self, examples: Examples) -> Columns:
        assert isinstance(examples, Scenes)
        return {"image": torch.from_numpy(examples.pictures[examples.positions])[:, None]}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        kinds, pictures, boxes = strengths(settings), batch["image"], batch["boxes"]
        moved = augment.draw_geometry(len(pictures), (SIDE, SIDE), (SIDE, SIDE), kinds, generator)
        pictures, _ = augment.changed(pictures, moved, kinds, generator, mean=(0.2,), covariance=((0.04,),))
        if moved is not None:
            places, share = moved.boxes(boxes[..., :4])
            kind = boxes[..., 4].where(share > LEAST_SEEN, -1)  # what is hardly seen is no object
            boxes = torch.cat([places, kind[..., None]], dim=-1)
        return {**batch, "image": pictures, "boxes": boxes}

    def shown(self, batch: Batch) -> list[View]:
        boxes = [row[row[:, 4] >= 0, :4].numpy() for row in batch["boxes"]]
        return [View(image=one[0].numpy(), boxes=own) for one, own in zip(batch["image"], boxes, strict=True)]

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return (batch["image"],)


@final
@dataclass(frozen=True)
class GridHead(Head):
    """One-stage detection: each cell of a grid says whether an object's middle is in it, which, and how large."""

    wants: ClassVar[str] = "map"
    columns: ClassVar[tuple[str, ...]] = ("boxes",)

    class_names: tuple[str, ...]

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        assert isinstance(train, Scenes)
        return cls(tuple(sorted({box[4] for i in train.positions for box in train.boxes[i]})))

    def encode(self, examples: Examples) -> Columns:
        assert isinstance(examples, Scenes)
        place = {name: float(k) for k, name in enumerate(self.class_names)}
        rows = [
            torch.tensor([[*box[:4], place.get(box[4], 0.0)] for box in examples.boxes[i]]).reshape(-1, 5)
            for i in examples.positions
        ]
        return {"boxes": Ragged.of(rows)}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        boxes = columns.get("boxes")
        if isinstance(boxes, Ragged):
            batch["boxes"] = boxes.pad(indices, -1)  # (B, most, 5): left, top, right, bottom, class; -1: none
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(5 + len(self.class_names))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        """(B, CELLS, CELLS, 5 + K): objectness, centre in the cell, log size in cells, class logits."""
        return model(*arguments).permute(0, 2, 3, 1)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        present, wanted, kinds = self._grid(batch["boxes"], outputs.dtype)
        objectness = functional.binary_cross_entropy_with_logits(outputs[..., 0], present, reduction="none")
        places = (outputs[..., 1:5] - wanted).square().sum(-1) * present
        classes = functional.cross_entropy(outputs[..., 5:].permute(0, 3, 1, 2), kinds, reduction="none") * present
        return (objectness + places + classes).sum(dim=(1, 2))

    def _grid(self, boxes: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Which cells hold an object's middle (B, C, C), what they should say (B, C, C, 4), its class (B, C, C)."""
        present = torch.zeros(len(boxes), CELLS, CELLS, dtype=dtype)
        wanted = torch.zeros(len(boxes), CELLS, CELLS, 4, dtype=dtype)
        kinds = torch.zeros(len(boxes), CELLS, CELLS, dtype=torch.int64)
        example, box = (boxes[..., 4] >= 0).nonzero(as_tuple=True)
        left, top, right, bottom, kind = boxes[example, box].to(dtype).unbind(1)
        x, y = (left + right) / 2 / CELL, (top + bottom) / 2 / CELL
        column, row = x.long().clamp(max=CELLS - 1), y.long().clamp(max=CELLS - 1)
        present[example, row, column] = 1.0
        sizes = torch.stack(
            [x - column - 0.5, y - row - 0.5, ((right - left) / CELL).log(), ((bottom - top) / CELL).log()], 1
        )
        wanted[example, row, column] = sizes
        kinds[example, row, column] = kind.long()
        return present, wanted, kinds


@final
@dataclass(frozen=True)
class BoxJudge(Judge):
    """Hits and misses at IoU 0.5; mean average precision of a whole split."""

    class_names: tuple[str, ...]

    @classmethod
    def of(cls, head: GridHead) -> Self:
        return cls(head.class_names)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "1 - mAP@0.5"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        score = outputs[..., 0].sigmoid()
        row, column = torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="ij")
        x, y = (outputs[..., 1] + column + 0.5) * CELL, (outputs[..., 2] + row + 0.5) * CELL
        w, h = outputs[..., 3].clamp(max=3).exp() * CELL, outputs[..., 4].clamp(max=3).exp() * CELL
        kind = outputs[..., 5:].argmax(-1).to(outputs.dtype)
        whole = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, kind, score], dim=-1).flatten(1, 2)
        found = [suppressed(boxes[boxes[:, 5] >= LEAST_SCORE]) for boxes in whole.double().cpu().numpy()]
        return Predictions(found, np.array([boxes[:, 5].mean() if len(boxes) else 1.0 for boxes in found]))

    def targets(self, batch: Batch) -> Sequence[Any]:
        rows = batch["boxes"].double().cpu().numpy()
        return [np.column_stack([row[row[:, 4] >= 0], np.ones((row[:, 4] >= 0).sum())]) for row in rows]

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """The share of boxes, found and true, that have no partner."""
        errors = []
        for found, true in zip(values, self.targets(batch), strict=True):
            hits = int(matched(found, true).sum())
            total = len(found) + len(true)
            errors.append(1 - 2 * hits / total if total else 0.0)
        return np.array(errors, dtype=np.float64)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON: [[left, top, right, bottom, name, score], ...]."""
        rows = [
            [[*np.round(b[:4], 2).tolist(), self.class_names[int(b[4])], round(b[5], 4)] for b in v] for v in values
        ]
        return pl.Series([json.dumps(row) for row in rows], dtype=pl.String)

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        """1 - mAP at IoU 0.5, with example i counted counts[i] times. Source: Everingham et al. 2010, all points."""
        classes = [_ClassResults(table, name) for name in self.class_names]

        def error(counts: np.ndarray) -> float:
            values = [results.average_precision(counts) for results in classes]
            known = [value for value in values if not math.isnan(value)]
            return 1 - float(np.mean(known)) if known else 0.0

        return error

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        missed = split_error(evaluation)
        return {"mAP@0.5": Interval(1 - missed.value, 1 - missed.high, 1 - missed.low, missed.method)}

    def less_is_better(self, measure: str) -> bool:
        return False


class _ClassResults:
    """All detections of one class, surest first, with whether each hit and in which example."""

    def __init__(self, table: pl.DataFrame, name: str) -> None:
        scores, hits, examples, self.truths = [], [], [], np.zeros(len(table))
        for i, (found_text, true_text) in enumerate(zip(table["prediction"], table["target"], strict=True)):
            found, true = (
                np.array([[*box[:4], 0, box[5]] for box in json.loads(text) if box[4] == name]).reshape(-1, 6)
                for text in (found_text, true_text)
            )
            self.truths[i] = len(true)
            hits.extend(matched(found, true))
            scores.extend(found[:, 5])
            examples.extend([i] * len(found))
        order = np.argsort(-np.array(scores), kind="stable") if scores else np.array([], dtype=int)
        self.hits, self.examples = np.array(hits, dtype=float)[order], np.array(examples, dtype=int)[order]

    def average_precision(self, counts: np.ndarray) -> float:
        truths = float((self.truths * counts).sum())
        if truths == 0:
            return math.nan
        weight = counts[self.examples]
        right, all_so_far = np.cumsum(self.hits * weight), np.cumsum(weight)
        precision = right / np.maximum(all_so_far, 1e-12)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(right, prepend=0.0) / truths * envelope).sum())


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / (areas - shared) if areas > shared else 0.0


def suppressed(boxes: np.ndarray) -> np.ndarray:
    """(n, 6) without those that overlap a surer one of their class."""
    kept: list[np.ndarray] = []
    for box in boxes[np.argsort(-boxes[:, 5], kind="stable")]:
        if all(box[4] != other[4] or iou(box, other) <= OVERLAP for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 6)


def matched(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(n,) bool: detections, surest first, that hit a truth of their class which no surer one has hit."""
    hits, free = np.zeros(len(found), dtype=bool), set(range(len(true)))
    for i in np.argsort(-found[:, 5], kind="stable") if len(found) else []:
        best = max((j for j in free if true[j][4] == found[i][4]), key=lambda j: iou(found[i], true[j]), default=None)
        if best is not None and iou(found[i], true[best]) >= MATCH:
            hits[i] = True
            free.remove(best)
    return hits


def _scenes(source: Source, *, with_boxes: bool) -> Scenes:
    if source.tree is None:
        raise DataError("scenes come in a folder.", where=source.origin, fix="hand over a folder.")
    boxes = json.loads(source.tree.read(FILE)) if with_boxes else {}
    files = [file.name for file in source.tree.files if file.name.endswith(".png")]
    missing = [name for name in files if with_boxes and name not in boxes]
    if missing:
        raise DataError("has no boxes (an empty list says: none).", where=missing[0], fix=f"add it to {FILE}.")
    pictures = np.stack([_picture(source.tree.read(name)) for name in files])
    truths = tuple(tuple(tuple(box) for box in boxes.get(name, [])) for name in files)
    return Scenes(pictures, truths, tuple(files), np.arange(len(files)))


def _picture(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L"))


TASK = TaskKind(
    name="boxes",
    title="box detection",
    modality="picture",
    target="boxes",
    reader=SceneReader(),
    encoder=SceneEncoder,
    head=GridHead,
    judge=BoxJudge,
    model="grid",
    defaults=lambda _task, _num_train: {"optimiser.learning_rate": 3e-3, "stop.epochs": 40, "optimiser.batch_size": 16},
)
