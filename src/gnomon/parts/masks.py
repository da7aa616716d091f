"""A class for every pixel: from masks to logits and losses, from logits to masks, errors and metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.checks.receptive_field import tracing
from gnomon.core.errors import UsageError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Examples
from gnomon.core.parts import Batch, Body, Head, Judge, Predictions, View
from gnomon.core.settings import OwnSettings, RegulariseSettings, Settings, setting
from gnomon.data.annotated import AnnotatedExamples
from gnomon.data.columns import Columns, Ragged
from gnomon.data.images import as_png
from gnomon.metrics import mask_table, segmentation
from gnomon.metrics.intervals import groups_of
from gnomon.nn.pixel_losses import NOT_SCORED, dice_loss, focal_loss, pixel_cross_entropy
from gnomon.nn.tiles import LEAST, MARGINS, Tiled
from gnomon.parts.annotated import STEP, fitting_size

LOOKED_AT = 500  # training masks that the shares of the classes are taken from, evenly spaced
RARE = 0.05  # of the scored pixels: where a class has less, overlap is part of the loss
SURE = 0.9  # probability from which a pixel's class is called sure
OUTLINED = 200  # pictures whose outlines are compared, evenly spaced: each takes milliseconds
PROBE = 2 * STEP  # pixels per side of the picture on which it is followed how far a pixel sees
BATCH_PADDING = -2  # after the last run of a picture's mask

PixelLoss = Literal["cross_entropy", "dice", "focal"]
LOSSES: dict[PixelLoss, str] = {
    "cross_entropy": "cross entropy of each pixel",
    "dice": "cross entropy of each pixel, and 1 - Dice of each class",
    "focal": "focal loss of each pixel",
}


@final
class SegmentationSettings(OwnSettings):
    """Of segmentation."""

    pixel_loss: PixelLoss | None = setting(
        None,
        "cross_entropy of each pixel; dice adds the overlap of each class; focal looks at pixels that are hard "
        "(default: dice where a class has less than 5 % of the pixels, else cross_entropy)",
    )
    patch: int | None = setting(
        None,
        "pixels per side of the random part of a picture that training sees in an epoch, for pictures too large to be "
        "trained on whole; they are judged and predicted whole",
        ge=32,
    )


class ClassMap(NamedTuple):
    """The class of each pixel of a picture, as run lengths row by row: a tenth of the memory of the pixels."""

    height: int
    width: int
    runs: np.ndarray  # (R, 2) int32: class, pixels

    @classmethod
    def of(cls, classes: np.ndarray) -> Self:
        """From (H, W)."""
        height, width = classes.shape
        return cls(height, width, mask_table.runs_of(classes))

    def text(self) -> str:
        """As tables hold it."""
        return mask_table.as_text(self.height, self.width, self.runs)


def counted(truth: ClassMap, said: ClassMap, num_classes: int) -> np.ndarray:
    """(K, K) int64: scored pixels by their class and the class they were given, from the runs alone."""
    ends = [one.runs[:, 1].cumsum() for one in (truth, said)]
    borders = np.union1d(*ends)
    lengths = np.diff(borders, prepend=0)
    classes = [one.runs[np.searchsorted(end, borders), 0] for one, end in zip((truth, said), ends, strict=True)]
    known = classes[0] != NOT_SCORED
    pairs = classes[0][known].astype(np.int64) * num_classes + classes[1][known]
    found = np.bincount(pairs, weights=lengths[known], minlength=num_classes**2)
    return found.astype(np.int64).reshape(num_classes, num_classes)


@final
@dataclass(frozen=True)
class SegmentationHead(Head):
    """The logits of K classes for each pixel. Pixels that are not judged have no loss and no gradient."""

    wants: ClassVar[str] = "pixels"
    columns: ClassVar[tuple[str, ...]] = ("mask", "runs")

    class_names: tuple[str, ...]
    shares: tuple[float, ...]  # of the scored pixels of train, by class
    height: int  # pixels, as the model sees pictures
    width: int
    scale: float  # pixels that the model sees per pixel of a usual picture of train
    pixel_loss: PixelLoss

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(AnnotatedExamples, train)
        names = examples.class_names
        if len(names) < 2:
            raise UsageError(
                f"all pixels of these masks are of one class ({', '.join(names)}): there is nothing to learn.",
                fix="give masks with at least two values.",
            )
        counts = np.zeros(len(names), np.int64)
        for position in np.unique(np.linspace(0, len(examples) - 1, LOOKED_AT).astype(np.int64)).tolist():
            mask = examples.mask(position)
            counts += np.bincount(mask[mask != NOT_SCORED], minlength=len(names))
        shares = tuple((counts / max(1, counts.sum())).tolist())
        loss = settings.task.own.get("pixel_loss") or _loss_for(shares)
        height, width = fitting_size(examples.sizes(), settings.data.image_size, examples.side)
        scale = float(np.median(examples.scales(height, width)))
        return cls(names, shares, height, width, scale, loss)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.class_names)) if self.pixel_loss == "cross_entropy" else None

    def notes(self, train: Examples) -> tuple[str, ...]:
        """How the classes share the pixels, what follows from it, and what can never be learned."""
        named = sorted(zip(self.shares, self.class_names, strict=True))
        missing = [name for share, name in named if not share]
        found = [f"pixels of train: {', '.join(f'{name} {share:.1%}' for share, name in named[::-1] if share)}"]
        if missing:
            found.append(f"no pixel of train is {', '.join(missing)}: the model cannot learn it, its IoU will be 0")
        return (*found, f"loss: {LOSSES[self.pixel_loss]} (pixel_loss=... to choose)")

    def encode(self, examples: Examples) -> Columns:
        """`mask` (N, H, W) int8 as the model sees it, and `runs`, each (R, 2) int32, of the picture's own pixels."""
        pictures = cast(AnnotatedExamples, examples)
        scales = pictures.scales(self.height, self.width)
        small = np.full((len(pictures), self.height, self.width), NOT_SCORED, np.int8)
        runs = []
        for position, scale in enumerate(scales.tolist()):
            mask = pictures.mask(position)
            rows, columns = fitted(mask.shape[0], mask.shape[1], scale, (self.height, self.width))
            small[position, :rows, :columns] = nearest(mask, rows, columns)
            runs.append(torch.from_numpy(mask_table.runs_of(mask)))
        return {"mask": torch.from_numpy(small), "runs": Ragged.of(runs)}

    def collate(self, batch: Batch, columns: Columns, indices: Tensor) -> Batch:
        runs = columns.get("runs")
        if isinstance(runs, Ragged):
            batch["runs"] = runs.pad(indices, BATCH_PADDING)  # (B, longest, 2)
        return self._weighted(batch)

    def soften(self, batch: Batch, settings: RegulariseSettings) -> Batch:
        """A crop may have lost pixels that are scored."""
        return self._weighted(batch)

    def _weighted(self, batch: Batch) -> Batch:
        if "mask" in batch:
            batch["weight"] = (batch["mask"] != NOT_SCORED).flatten(1).sum(dim=1).float()
        return batch

    def build(self, body: Body) -> nn.Module:
        return body(len(self.class_names))

    def outputs(self, model: nn.Module, arguments: tuple[Any, ...], batch: Batch) -> Tensor:
        is_large = not model.training and max(batch["image"].shape[2:]) > LEAST
        net = in_tiles(model, batch["image"].shape[1]) if is_large else model
        logits: Tensor = net(*arguments)
        wanted = (len(batch["image"]), len(self.class_names), *batch["image"].shape[2:])
        if logits.shape != wanted:
            raise UsageError(
                f"the network gave {_shape(logits.shape)} for pictures of {_shape(batch['image'].shape)}.",
                fix=f"return logits of {_shape(wanted)}: examples, classes, height, width.",
            )
        return logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        target = batch["mask"].long()
        if self.pixel_loss == "focal":
            return focal_loss(outputs, target)
        losses = pixel_cross_entropy(outputs, target)
        return losses + dice_loss(outputs, target) if self.pixel_loss == "dice" else losses

    def wanted(self, outputs: Any, batch: Batch) -> Any:
        return batch["mask"].long()


def in_tiles(model: nn.Module, channels: int) -> Tiled:
    """The same answers in less memory: a large picture is looked at in tiles that overlap as far as a pixel sees.

    By a quarter of a tile for a net with an operation that cannot be followed: then the answers may show seams.
    """
    picture = torch.zeros(1, channels, PROBE, PROBE, dtype=torch.uint8, device=next(model.parameters()).device)
    with torch.no_grad(), tracing(picture) as field_of:
        field = field_of(model(picture))
    is_known = field is not None and field.stride == (1, 1)
    margin = max(0, -field.low[0], -field.low[1], *field.high) if field is not None and is_known else LEAST // MARGINS
    return Tiled(model, margin, STEP)


def _loss_for(shares: Sequence[float]) -> PixelLoss:
    """By the rarest class that there is: what has few pixels has little say in their mean."""
    return "dice" if min(share for share in shares if share) < RARE else "cross_entropy"


def fitted(height: int, width: int, scale: float, most: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that a picture of height x width has at a scale, as AnnotatedExamples.pixels draws it."""
    rows, columns = (
        int(np.rint(side * scale).clip(1, limit)) for side, limit in zip((height, width), most, strict=True)
    )
    return rows, columns


def nearest(classes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(H, W) -> (rows, columns): each of the new pixels has the class of the one that its centre lies in."""
    height, width = classes.shape
    if (height, width) == (rows, columns):
        return classes
    down, across = ((np.arange(new) * 2 + 1) * old // (2 * new) for new, old in ((rows, height), (columns, width)))
    return classes[down[:, None], across[None, :]]


def _shape(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))


@final
@dataclass(frozen=True)
class SegmentationJudge(Judge):
    """The error of a picture is 1 - the mean IoU of its classes; that of a split, 1 - mean IoU of all its pixels.

    Everything is judged at the picture's own size, the model's answer brought to it; never on crops, tiles or resized
    masks. Pixels that are not judged count nowhere.
    """

    can_average: ClassVar[bool] = True
    needs_calibration: ClassVar[bool] = False

    class_names: tuple[str, ...]

    @classmethod
    def of(cls, head: SegmentationHead) -> Self:
        return cls(head.class_names)

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "1 - mean IoU"

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        """Columns: `confusion`, where the truth is known; `sure`, the prediction where it is sure; `class_names`."""
        found = [_decoded(logits, frame) for logits, frame in zip(outputs, batch["frame"].tolist(), strict=True)]
        sure = [ClassMap.of(np.where(best >= SURE, classes, NOT_SCORED)).text() for classes, best in found]
        more = {"sure": sure, "class_names": [json.dumps(self.class_names, ensure_ascii=False)] * len(found)}
        return self._predictions(found, batch, more)

    def predict_quickly(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        found = [_decoded(logits, frame) for logits, frame in zip(outputs, batch["frame"].tolist(), strict=True)]
        return self._predictions(found, batch, {})

    def _predictions(
        self, found: Sequence[tuple[np.ndarray, np.ndarray]], batch: Batch, more: dict[str, list[str]]
    ) -> Predictions:
        values = [ClassMap.of(classes) for classes, _ in found]
        confidence = np.array([best.mean(dtype=np.float64) for _, best in found])
        if "runs" in batch:
            counts = self.confusions(values, batch)
            more = {"confusion": [json.dumps(one.tolist()) for one in counts], **more}
        else:
            more.pop("sure", None)  # only an audit of given masks asks for it
        return Predictions(values, confidence, more)

    def targets(self, batch: Batch) -> list[ClassMap]:
        rows = batch["runs"].cpu().numpy()
        sizes = batch["frame"][:, 1:].long().tolist()
        return [
            ClassMap(height, width, runs[runs[:, 1] >= 0])
            for runs, (height, width) in zip(rows, sizes, strict=True)
        ]  # fmt: skip

    def confusions(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """(B, K, K) int64: the scored pixels of each picture, row = truth, column = prediction."""
        pairs = zip(self.targets(batch), values, strict=True)
        return np.stack([counted(truth, said, len(self.class_names)) for truth, said in pairs])

    def errors(self, values: Sequence[Any] | np.ndarray, batch: Batch) -> np.ndarray:
        """1 - the mean IoU of the classes that are there or predicted; 0 where no pixel is scored."""
        return np.nan_to_num(1 - segmentation.mean_iou(self.confusions(values, batch)), nan=0.0)

    def describe(self, values: Sequence[Any] | np.ndarray) -> pl.Series:
        """JSON, see metrics/mask_table.py."""
        return pl.Series([one.text() for one in values], dtype=pl.String)

    def on_view(self, view: View, row: Mapping[str, Any], column: str) -> View:
        """The mask at the size of the picture that is drawn, which may be smaller than the one that is judged."""
        classes = mask_table.decode(row[column], str(row.get("id", "")))
        if view.image is not None:
            classes = nearest(classes, view.image.shape[0], view.image.shape[1])
        return replace(view, mask=classes.clip(min=0), boxes=None, labels=None, captions=(), points=None)

    def answer_rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """A row for each picture: how much of it each class has. The masks are files of their own."""
        masks = [mask_table.decode(text) for text in table["prediction"].to_list()]
        shares = {
            f"share of {name}": [float((mask == place).mean()) for mask in masks]
            for place, name in enumerate(self.class_names)
        }
        return table.select("id", "confidence").with_columns(
            height=pl.Series([len(mask) for mask in masks]), width=pl.Series([mask.shape[1] for mask in masks]),
            **{name: pl.Series(values) for name, values in shares.items()},
        )  # fmt: skip

    def answer_files(self, table: pl.DataFrame) -> Mapping[str, bytes]:
        """A PNG for each row, with the values that masks of training have; or the class, from 0 on."""
        values = values_of(self.class_names)
        return {
            str(name): as_png(values[mask_table.decode(text)])
            for name, text in zip(table["id"].to_list(), table["prediction"].to_list(), strict=True)
        }

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        counts = read_confusions(table)
        flat, size = counts.reshape(len(counts), -1).astype(float), counts.shape[1:]

        def error(times: np.ndarray) -> float:
            return float(np.nan_to_num(1 - segmentation.mean_iou((times @ flat).reshape(size)), nan=0.0))

        return error

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        """Mean IoU, the Dice of each class, the share of wrong pixels and the F of outlines, all with intervals."""
        table = evaluation.table
        counts, groups = read_confusions(table), groups_of(table, np.ones(len(table), bool))
        found = {"mean IoU": segmentation.interval(segmentation.mean_iou, counts, groups=groups)}
        for place, name in enumerate(self.class_names):
            if counts[:, place].any() or counts[:, :, place].any():
                dice = segmentation.interval(_DiceOf(place), counts, groups=groups)
                found[f"Dice of {name}"] = dice
        found["pixel error"] = segmentation.interval(segmentation.pixel_error, counts, groups=groups)
        return found | self._outlines(table, groups)

    def remarks(self, evaluation: Evaluation) -> tuple[str, ...]:
        counts = read_confusions(evaluation.table).sum(axis=0)
        truth, said = counts.sum(axis=1), counts.sum(axis=0)
        silent = [place for place in range(len(counts)) if truth[place] and not said[place]]
        return tuple(
            f"no pixel is predicted as {self.class_names[place]}, which {truth[place] / truth.sum():.1%} of "
            f"{evaluation.split} are: its IoU and Dice are 0 (pixel_loss=dice weighs each class alike)"
            for place in silent
        )

    def _outlines(self, table: pl.DataFrame, groups: np.ndarray | None) -> dict[str, Any]:
        rows = np.unique(np.linspace(0, len(table) - 1, min(len(table), OUTLINED)).astype(np.int64))
        truths, answers = (table[name][rows].to_list() for name in ("target", "prediction"))
        values = np.stack(
            [
                segmentation.boundary_f(
                    mask_table.decode(truth), mask_table.decode(said), len(self.class_names), ignore=NOT_SCORED
                )
                for truth, said in zip(truths, answers, strict=True)
            ]
        )
        if np.isnan(values).all():
            return {}
        measured = segmentation.mean_boundary_f(values, groups=None if groups is None else groups[rows])
        return {"boundary F": measured.mean}

    @property
    def question(self) -> dict[str, tuple[str, ...]]:
        return {"class of each pixel": self.class_names}

    def averaged(self, answers: Sequence[tuple[Self, Tensor]]) -> Tensor:
        """The logarithm of the mean of their probabilities."""
        together = torch.stack([outputs.float().log_softmax(dim=1) for _, outputs in answers])
        return together.logsumexp(dim=0) - math.log(len(answers))

    def less_is_better(self, measure: str) -> bool:
        return measure == "pixel error"


@dataclass(frozen=True)
class _DiceOf:
    """A measure of counts: the Dice of one class, 0 where a draw has no pixel of it."""

    place: int

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        return np.nan_to_num(segmentation.class_dice(counts)[..., self.place])


def values_of(class_names: Sequence[str]) -> np.ndarray:
    """(K,) uint8: the value of each class in a mask. Classes without a name are named after theirs."""
    are_values = all(name.isdecimal() and int(name) < 256 for name in class_names)
    return np.array([int(name) for name in class_names] if are_values else range(len(class_names)), np.uint8)


def read_confusions(table: pl.DataFrame) -> np.ndarray:
    """(N, K, K) int64 of a table of predictions."""
    return np.stack([np.array(json.loads(text), np.int64) for text in table["confusion"].to_list()])


def _decoded(logits: Tensor, frame: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(K, H, W) at the size of the model -> the class of each pixel of the picture itself, and its probability."""
    scale, height, width = frame[0], int(frame[1]), int(frame[2])
    rows, columns = fitted(height, width, scale, (logits.shape[1], logits.shape[2]))
    own = logits[None, :, :rows, :columns].float()
    if (rows, columns) != (height, width):
        own = functional.interpolate(own, (height, width), mode="bilinear")
    best, classes = own[0].max(dim=0)
    probability = (best - own[0].logsumexp(dim=0)).exp()
    return classes.to(torch.int32).cpu().numpy(), probability.cpu().numpy()
