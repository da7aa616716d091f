"""Annotated pictures: how they are read, and how they become tensors together with boxes, masks and points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.augmentation import strengths
from gnomon.core.errors import UsageError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import PictureInputs
from gnomon.core.knobs import AUGMENTATION, GROUPS, PICTURES
from gnomon.core.parts import Batch, Claim, Encoder, Head, PlainInputs, Reader, View
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.data import augment, images
from gnomon.data.annotated import AnnotatedExamples, Wanted, read_annotated, read_to_predict, recognised
from gnomon.data.annotations.model import Object
from gnomon.data.columns import Columns, gather
from gnomon.data.images import Whites
from gnomon.data.images.edges import edge_features
from gnomon.data.source import Source
from gnomon.nn.normalise import Normalise

STEP = 32  # pixels: the sides of what a model sees are multiples of it, as the coarsest maps of backbones need
MOMENTS_FROM = 1_000  # training pictures the mean and standard deviation are taken from, evenly spaced
LEAST_SEEN = 0.3  # of a box: with less of it left in a moved picture, finding it counts neither way
PADDED, IGNORED = -1, -2  # in `kinds`: no object; one that counts neither way
ONE_EACH = "every picture has at most one object: task=localisation learns one box per picture, with any model"
FORMATS: dict[Wanted, tuple[str, ...]] = {
    "boxes": ("voc", "coco", "yolo", "table"), "masks": ("masks",), "points": ("table",),
}  # fmt: skip
"""What data is taken for without being told: masks in COCO, and points in it, are asked for with task=..."""

Sample = Callable[[Path, int], Path]


@final
@dataclass(frozen=True)
class AnnotatedPictures(Reader):
    """Pictures with boxes, masks or points: Pascal VOC, COCO, YOLO, tables, pictures with masks."""

    abilities: ClassVar[frozenset[str]] = frozenset({PICTURES, GROUPS})

    wanted: Wanted
    side: int  # pixels of the longer side that the task takes by default, at most
    sample: Sample  # writes a tiny data set
    is_asked_for: bool = False  # whether data is only taken for it with task=...

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        found = recognised(source)
        if found is None or found.certainty <= 0 or found.format not in FORMATS[self.wanted] or self.is_asked_for:
            return None
        if found.format == "table" and (self.wanted == "points") != found.why.endswith("of points"):
            return None
        # What names of columns and files say so clearly is no folder of classes and no plain table.
        return Claim(min(1.0, found.certainty + 0.06), found.why)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        reading = read_annotated(source, settings, self.wanted, self.side)
        if self.wanted == "boxes" and not self.is_asked_for and _has_single_objects(reading):
            return replace(reading, notes=(*reading.notes, ONE_EACH))
        return reading

    def read_inputs(self, source: Source, settings: DataSettings, encoder: AnnotatedEncoder) -> Reading:
        return read_to_predict(source, settings, encoder.whites or Whites(), self.wanted, self.side)

    def write_sample(self, folder: Path, seed: int) -> Path:
        return self.sample(folder, seed)

    def view(self, example: Example) -> View:
        """Places are those of the pixels that are kept."""
        return View(image=example.inputs, **_drawn(example.target))


def _has_single_objects(reading: Reading) -> bool:
    """Whether no picture has more than one object."""
    return all(np.diff(cast(AnnotatedExamples, one).boxes()[1]).max(initial=0) <= 1 for one in reading.splits.values())


def _drawn(target: Any) -> dict[str, Any]:
    if isinstance(target, np.ndarray):
        return {"mask": np.where(target < 0, 0, target)}
    objects = cast("list[Object]", target or [])
    found: dict[str, Any] = {"boxes": np.array([one.box for one in objects], np.float64).reshape(-1, 4)}
    points = [one.details.points for one in objects if one.details.points is not None]
    if points:
        known = np.concatenate(points)
        found["points"] = np.where(known[:, 2:] > 0, known[:, :2], np.nan)
    return found


@final
@dataclass(frozen=True)
class AnnotatedEncoder(Encoder):
    """Pictures scaled by one factor to fit into one size, kept as bytes."""

    abilities: ClassVar[frozenset[str]] = frozenset({AUGMENTATION})
    references: ClassVar[tuple[str, ...]] = ("linear model", "nearest neighbours")

    height: int  # pixels, as the model sees pictures
    width: int
    channels: int  # 1 gray, 3 colour
    mean: tuple[float, ...]  # per channel, of pixel values scaled to [0, 1], on the training split
    std: tuple[float, ...]
    whites: Whites | None = None  # the white level if pixels are not bytes
    covariance: tuple[tuple[float, ...], ...] | None = None  # of the channels
    window: tuple[int, int] | None = None  # height and width of the random part that training sees; None: all of it

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(AnnotatedExamples, train)
        height, width = fitting_size(examples.sizes(), settings.data.image_size, examples.side)
        channels = 3 if examples.is_colour or settings.transfer.pretrained else 1
        chosen = np.linspace(0, len(examples) - 1, min(len(examples), MOMENTS_FROM)).astype(np.int64)
        found = images.moments(examples.take(chosen).pictures, height, width, channels)
        whites = examples.pictures.whites
        window = window_of(settings.task.own.get("patch"), height, width)
        return cls(height, width, channels, found.mean, found.std, whites, found.covariance, window)

    @property
    def inputs(self) -> PictureInputs:
        return PictureInputs(self.channels, self.height, self.width, self.mean, self.std)

    def notes(self, train: Examples) -> tuple[str, ...]:
        sizes = cast(AnnotatedExamples, train).sizes()
        if (sizes == (self.height, self.width)).all():
            return ()
        (low_h, low_w), (high_h, high_w) = sizes.min(axis=0), sizes.max(axis=0)
        size = f"{low_w}x{low_h}" if (sizes == sizes[0]).all() else f"{low_w}x{low_h} to {high_w}x{high_h}"
        return (f"pictures of {size} pixels are scaled to fit {self.width}x{self.height} (image_size=... to choose)",)

    def depends_on(self) -> Any:
        """Mean and deviation are the model's affair, which normalises."""
        return [self.height, self.width, self.channels, None if self.whites is None else asdict(self.whites)]

    def encode(self, examples: Examples) -> Columns:
        pictures = cast(AnnotatedExamples, examples)
        pixels = pictures.pixels(self.height, self.width, self.channels, self.whites)
        return {"image": torch.from_numpy(pixels), **self.beside(examples)}

    def beside(self, examples: Examples) -> Columns:
        pictures = cast(AnnotatedExamples, examples)
        frame = np.column_stack([pictures.scales(self.height, self.width), pictures.sizes()])
        return {"frame": torch.from_numpy(frame.astype(np.float64))}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        """`image` (B, C, H, W) uint8; `frame` (B, 3): scale, and height and width before it."""
        batch = gather(columns, indices)
        batch["image"] = batch["image"].permute(0, 3, 1, 2)  # channels last in memory
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        """Moves `boxes` with their `kinds`, `mask` and `points` where the batch has them.

        With points it adds `mirrored` (B,): the head knows which of them then change places.
        """
        kinds, pictures, size = strengths(settings), batch["image"], (self.height, self.width)
        moved = augment.draw_geometry(
            len(pictures), size, self.window or size, kinds, generator, is_part=self.window is not None
        )
        changed, _ = augment.changed(pictures, moved, kinds, generator, mean=self.mean, covariance=self.covariance)
        batch = {**batch, "image": changed}
        if moved is None:
            return batch
        if "boxes" in batch and batch["boxes"].shape[1]:
            boxes, share = moved.boxes(batch["boxes"])
            own = batch["kinds"]
            seen = torch.where((own >= 0) & (share < LEAST_SEEN), IGNORED, own)
            batch["boxes"], batch["kinds"] = boxes, torch.where(share > 0, seen, PADDED)
        if "mask" in batch:
            batch["mask"] = moved.masks(batch["mask"])
        if "points" in batch:
            points, inside = moved.points(batch["points"])
            batch["points"] = torch.where(inside[..., None], points, torch.nan)
            batch["mirrored"] = moved.is_mirrored
        return batch

    def shown(self, batch: Batch) -> list[View]:
        pictures = batch["image"].permute(0, 2, 3, 1).cpu().numpy()
        views = [View(image=one if self.channels == 3 else one[..., 0]) for one in pictures]
        if "boxes" in batch:
            found = zip(batch["boxes"].cpu().numpy(), (batch["kinds"] >= 0).cpu().numpy(), strict=True)
            views = [replace(view, boxes=own[real]) for view, (own, real) in zip(views, found, strict=True)]
        if "mask" in batch:
            masks = batch["mask"].clamp(min=0).cpu().numpy()
            views = [replace(view, mask=mask) for view, mask in zip(views, masks, strict=True)]
        if "points" in batch:
            views = [replace(view, points=own) for view, own in zip(views, batch["points"].cpu().numpy(), strict=True)]
        return views

    def cautions(self, settings: RegulariseSettings, head: Head) -> tuple[str, ...]:
        """Raises UsageError for pictures mirrored where nobody knows which points then change places."""
        mirrored = [kind for kind in ("mirror", "updown") if kind in strengths(settings)]
        if mirrored and getattr(head, "pairs", ()) is None:
            raise UsageError(
                f"augment={settings.augment}: in mirrored pictures left and right points change places, and the names "
                "do not say which of them belong together.",
                fix="give pairs=POINT-POINT,..., or pairs=none if no point has a side, or leave mirror out.",
            )
        return ()

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """Edges and brightness by place: what can be seen without training."""
        features = edge_features(cast(Tensor, columns["image"]).cpu().numpy())
        return PlainInputs(features, np.empty((len(features), 0), np.int64))

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        pictures = batch["image"]
        if not any(isinstance(one, Normalise) for one in model.modules()):  # the user's own network
            pictures = pictures.to(torch.float32).mul_(1 / 255)
        return (pictures,)


def window_of(side: int | None, height: int, width: int) -> tuple[int, int] | None:
    """Height and width of the part of a picture that training sees. Raises UsageError for one that is no part."""
    if side is None:
        return None
    if side >= max(height, width):
        raise UsageError(
            f"patch={side} is no part of pictures of {width}x{height} pixels.",
            fix="leave it out, or train on larger pictures: image_size=...",
        )
    return min(side, height), min(side, width)


def fitting_size(sizes: np.ndarray, wanted: int | None, most: int) -> tuple[int, int]:
    """Height and width that a model sees: multiples of STEP, in the usual shape of the pictures.

    `sizes` (N, 2) of the pictures as they come. The longer side is `wanted`, or else that of the median picture, at
    most `most`; rounded up to a multiple.
    """
    ratio = float(np.median(np.log(sizes[:, 0] / sizes[:, 1])))  # of height to width
    longer = float(wanted or min(most, int(np.median(sizes.max(axis=1)))))
    shorter = longer * float(np.exp(-abs(ratio)))
    long_side, short_side = (max(STEP, STEP * round(np.ceil(side / STEP - 0.05))) for side in (longer, shorter))
    return (long_side, short_side) if ratio > 0 else (short_side, long_side)
