"""Pictures: how they are read, and how they become tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.augmentation import strengths
from gnomon.core.errors import ArtefactError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import PictureInputs
from gnomon.core.knobs import AUGMENTATION, COLUMNS, GROUPS, LAYOUT, PICTURES
from gnomon.core.parts import MIXED_WITH, OWN_SHARE, Batch, Claim, Encoder, Head, PlainInputs, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.data import augment, images
from gnomon.data.columns import Columns, gather
from gnomon.data.crops import COUNTS, cropped
from gnomon.data.images import ImageExamples, Whites
from gnomon.data.images.edges import edge_features
from gnomon.data.pairs import Pairs, in_pairs
from gnomon.data.source import Source
from gnomon.nn.normalise import Normalise
from gnomon.runs.writer import write_bytes

NATIVE_SIZE = 96  # pixels per side up to which pictures of one size keep it
SMALL_SIZE = 64  # pixels per side that pictures of other or larger sizes are resized to by default
MOST_TURNED = 45  # degrees up to which a character can be told: a 6 is no 9
MOST_LARGER = 2.0  # times per side that pictures may be larger in memory than a model takes them: four times the bytes
MOMENTS_FROM = 10_000  # training pictures the mean and standard deviation are taken from, evenly spaced


@final
@dataclass(frozen=True)
class LabelledPictures(Reader):
    """Pictures with one class each: class folders, IDX files, arrays, or listed in a table."""

    abilities: ClassVar[frozenset[str]] = frozenset(
        {PICTURES, COLUMNS, GROUPS, LAYOUT}
    )  # refused where they name nothing

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        return images.claim(source, settings)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return images.read_labelled(source, settings)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: PictureEncoder) -> Reading:
        return images.read_unlabelled(source, settings, encoder.whites or Whites())

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Two classes of 12x12 pictures, 20 each: a bright horizontal or vertical bar, somewhere, in noise."""
        rng = generator(seed, "sample")
        for class_name in ("lying", "standing"):
            for i in range(20):
                picture = rng.integers(0, 80, (12, 12), dtype=np.uint8)
                at = int(rng.integers(1, 10))
                bar = (slice(at, at + 2), slice(1, 11))
                picture[bar if class_name == "lying" else bar[::-1]] = 220
                write_bytes(folder / class_name / f"{i:02d}.png", images.as_png(picture))
        return folder

    def view(self, example: Example) -> View:
        return View(image=example.inputs)


@final
@dataclass(frozen=True)
class ListedPictures(Reader):
    """Pictures listed in a table, with several classes each, any of which may be missing."""

    abilities: ClassVar[frozenset[str]] = frozenset({PICTURES, COLUMNS, GROUPS})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        return images.claim(source, settings, several=True)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return images.read_labelled(source, settings, several=True)

    def read_inputs(self, source: Source, settings: DataSettings, encoder: PictureEncoder) -> Reading:
        return images.read_unlabelled(source, settings, encoder.whites or Whites())

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Forty 12x12 pictures in bars.csv: a bar that is lying or standing, bright or dark; some cells are empty."""
        rng = generator(seed, "sample")
        rows = ["file,target_place,target_light"]
        for i in range(40):
            picture = rng.integers(0, 110, (12, 12), dtype=np.uint8)
            is_lying, is_bright, at = i % 2 == 0, i % 4 < 2, int(rng.integers(1, 10))
            bar = (slice(at, at + 2), slice(1, 11))
            picture[bar if is_lying else bar[::-1]] = 250 if is_bright else 160
            write_bytes(folder / "pictures" / f"{i:02d}.png", images.as_png(picture))
            place, light = "lying" if is_lying else "standing", "bright" if is_bright else "dark"
            rows.append(f"pictures/{i:02d}.png,{place if i % 7 else ''},{light if i % 5 else ''}")
        write_bytes(folder / "bars.csv", ("\n".join(rows) + "\n").encode())
        return folder / "bars.csv"

    def view(self, example: Example) -> View:
        return View(image=example.inputs)


@final
@dataclass(frozen=True)
class PictureEncoder(Encoder):
    """Pictures of one size, kept as bytes."""

    abilities: ClassVar[frozenset[str]] = frozenset({AUGMENTATION})
    references: ClassVar[tuple[str, ...]] = ("linear model", "nearest neighbours")
    crops: ClassVar[tuple[int, ...]] = COUNTS

    height: int  # pixels, as the model sees pictures
    width: int
    channels: int  # 1 gray, 3 colour
    mean: tuple[float, ...]  # per channel, of pixel values scaled to [0, 1], on the training split
    std: tuple[float, ...]
    whites: Whites | None = None  # the white level if pixels are not bytes; None: a run from before it was saved
    covariance: tuple[tuple[float, ...], ...] | None = None  # of the channels, as `mean`; None: as for `whites`
    stored: tuple[int, int] | None = None  # height and width in memory, where random crops have more to show

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(ImageExamples, train)
        sizes = examples.sizes()
        one_size = bool((sizes == sizes[0]).all()) and int(sizes[0].max()) <= NATIVE_SIZE
        if settings.data.image_size:
            height = width = settings.data.image_size
        elif one_size:
            height, width = map(int, sizes[0])
        else:
            height = width = SMALL_SIZE
        channels = (
            3 if examples.is_colour or settings.transfer.pretrained else 1
        )  # public weights are of colour pictures
        chosen = np.linspace(0, len(examples) - 1, min(len(examples), MOMENTS_FROM)).astype(np.int64)
        few = examples.take(chosen)
        found = images.moments(few, height, width, channels)
        stored = larger(sizes, height, width, strengths(settings.regularise).get("crop", 0.0))
        return cls(height, width, channels, found.mean, found.std, examples.whites, found.covariance, stored)

    @property
    def inputs(self) -> PictureInputs:
        return PictureInputs(self.channels, self.height, self.width, self.mean, self.std)

    def notes(self, train: Examples) -> tuple[str, ...]:
        sizes = cast(ImageExamples, train).sizes()
        if (sizes == (self.height, self.width)).all():
            return ()
        (low_h, low_w), (high_h, high_w) = sizes.min(axis=0), sizes.max(axis=0)
        resized = f"resized to {self.width}x{self.height} (image_size=... to choose)"
        if self.stored is not None:
            resized += f", from {self.stored[1]}x{self.stored[0]} in memory, which random crops are taken of"
        return (f"pictures of {low_w}x{low_h} to {high_w}x{high_h} pixels are {resized}",)

    def depends_on(self) -> Any:
        """Mean and deviation are the model's affair, which normalises."""
        return [*self._in_memory, self.channels, None if self.whites is None else asdict(self.whites)]

    def encode(self, examples: Examples) -> Columns:
        """`image` (N, H, W, C) uint8; of pairs, two of them each."""
        if isinstance(examples, Pairs):
            return in_pairs(examples, self.encode)
        pictures = cast(ImageExamples, examples)
        if self.whites is None and not pictures.is_bytes:
            raise ArtefactError(
                "this run does not record the white level of pictures with more than 8 bits, as newer runs do.",
                fix="train it again.",
            )
        pixels = pictures.pixels(*self._in_memory, self.channels, self.whites)
        return {"image": torch.from_numpy(pixels)}  # (N, H, W, C) uint8

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        batch = gather(columns, indices)
        if "image" in batch:  # (B, C, H, W), or (B, 2, C, H, W); channels last in memory
            batch["image"] = batch["image"].movedim(-1, -3)
        return batch

    def cautions(self, settings: RegulariseSettings, head: Head) -> tuple[str, ...]:
        kinds, names = strengths(settings), getattr(head, "class_names", ())
        changes = {"mirror": "mirrored", "updown": "upside down"}
        turned = [word for name, word in changes.items() if name in kinds]
        turned += ["rotated this far"] if kinds.get("rotate", 0.0) > MOST_TURNED else []
        are_characters = len(names) > 1 and all(isinstance(name, str) and len(name) == 1 for name in names)
        if not turned or not are_characters or self.channels != 1:
            return ()
        few = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        return (f"classes {few}: {' or '.join(turned)}, a character is another one or none: advised against",)

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        kinds, pictures = strengths(settings), batch["image"]
        moved = augment.draw_geometry(len(pictures), self._in_memory, (self.height, self.width), kinds, generator)
        pictures, mixing = augment.changed(
            pictures, moved, kinds, generator, mean=self.mean, covariance=self.covariance
        )
        mixed = {} if mixing is None else {MIXED_WITH: mixing.partner, OWN_SHARE: mixing.share}
        return {**batch, "image": pictures, **mixed}

    def shown(self, batch: Batch) -> list[View]:
        pictures = batch["image"].permute(0, 2, 3, 1).cpu().numpy()
        return [View(image=picture if self.channels == 3 else picture[..., 0]) for picture in pictures]

    def plain(self, batch: Batch) -> Batch:
        if self.stored is None:
            return batch
        size = self.height, self.width
        return {**batch, "image": _each(batch["image"], lambda pictures: augment.resized(pictures, size))}

    @property
    def _in_memory(self) -> tuple[int, int]:
        return self.stored or (self.height, self.width)

    def views(self, batch: Batch, crops: int) -> Iterator[Batch]:
        pictures = batch["image"]
        for image in cropped(pictures if pictures.dim() == 4 else pictures.flatten(0, -4), crops):
            yield {**batch, "image": image if pictures.dim() == 4 else image.unflatten(0, pictures.shape[:-3])}

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        pictures = batch["image"]
        if not isinstance(getattr(model, "normalise", None), Normalise):  # the user's own network
            pictures = pictures.to(torch.float32).mul_(1 / 255)
        return (pictures,)

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """Edges and brightness by place: what can be seen without training."""
        features = edge_features(cast(Tensor, columns["image"]).cpu().numpy())
        return PlainInputs(features, np.empty((len(features), 0), np.int64))


def _each(pictures: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """`change` of (B, C, H, W), also where each row has several pictures: (B, K, C, H, W)."""
    return (
        change(pictures) if pictures.dim() == 4 else change(pictures.flatten(0, -4)).unflatten(0, pictures.shape[:-3])
    )


def larger(sizes: np.ndarray, height: int, width: int, crop: float) -> tuple[int, int] | None:
    """The size in memory with which the smallest random crop has all the pixels that a model takes.

    `sizes` (N, 2) of the pictures as they come. None where they are no larger, or nothing is cropped. The bytes in
    memory are at most 1 / (1 - crop) times as many, and four times.
    """
    wanted = 1 / math.sqrt(1 - crop)
    there = float(np.median(sizes.min(axis=1)) / min(height, width))
    times = min(wanted, there, MOST_LARGER)
    stored = (round(height * times), round(width * times))
    return stored if times > 1 and stored != (height, width) else None
