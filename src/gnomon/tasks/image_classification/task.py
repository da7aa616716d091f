"""What image classification says about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import ArtefactError
from gnomon.core.evaluation import SHARE, Evaluation, SplitError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.facts import checked_facts
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, RegulariseSettings, Settings
from gnomon.core.task import Batch, Claim, Predictions, Task, View
from gnomon.data import augment, images
from gnomon.data.columns import Columns, gather
from gnomon.data.images import ImageExamples, Whites
from gnomon.data.labels import LabelType
from gnomon.data.source import Source
from gnomon.metrics.classification import scores
from gnomon.models import build_image_model
from gnomon.models.defaults import image_defaults
from gnomon.nn.normalise import Normalise
from gnomon.runs.writer import write_bytes
from gnomon.tasks import _classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NATIVE_SIZE = 96  # pixels a side up to which pictures of one size keep it
SMALL_SIZE = 64  # pixels a side that pictures of other or larger sizes are brought to by default
MOMENTS_FROM = 10_000  # training pictures the mean and standard deviation are taken from, evenly spaced


@final
@dataclass(frozen=True)
class ImageClassification(Task):
    """One class a picture."""

    name: ClassVar[str] = "image_classification"
    title: ClassVar[str] = "image classification"

    class_names: tuple[str, ...]
    height: int  # pixels, as the model sees pictures
    width: int
    channels: int  # 1 gray, 3 colour
    mean: tuple[float, ...]  # per channel, of pixel values scaled to [0, 1], on the training split
    std: tuple[float, ...]
    whites: Whites | None = None  # what white is where pictures are not of bytes; None: a run of before it was kept
    label_type: LabelType = "text"  # what predictions are given back as

    @classmethod
    def claim(cls, source: Source, settings: DataSettings) -> Claim | None:
        return images.claim(source)

    @classmethod
    def read(cls, source: Source, settings: DataSettings) -> Reading:
        return images.read_labelled(source, settings)

    @classmethod
    def write_sample(cls, folder: Path, seed: int) -> Path:
        """Two classes of 12x12 pictures, 20 each: a bright bar lying or standing, somewhere, in noise."""
        rng = generator(seed, "sample")
        for class_name in ("lying", "standing"):
            for i in range(20):
                picture = rng.integers(0, 80, (12, 12), dtype=np.uint8)
                at = int(rng.integers(1, 10))
                bar = (slice(at, at + 2), slice(1, 11))
                picture[bar if class_name == "lying" else bar[::-1]] = 220
                write_bytes(folder / class_name / f"{i:02d}.png", images.as_png(picture))
        return folder

    @classmethod
    def from_train(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(ImageExamples, train)
        sizes = examples.sizes()
        one_size = bool((sizes == sizes[0]).all()) and int(sizes[0].max()) <= NATIVE_SIZE
        if settings.data.image_size:
            height = width = settings.data.image_size
        elif one_size:
            height, width = map(int, sizes[0])
        else:
            height = width = SMALL_SIZE
        channels = 3 if examples.is_colour else 1
        chosen = np.linspace(0, len(examples) - 1, min(len(examples), MOMENTS_FROM)).astype(np.int64)
        mean, std = images.moments(examples.take(chosen), height, width, channels)
        names = sorted(examples.index["stratum"].unique().to_list())
        return cls(tuple(names), height, width, channels, mean, std, examples.whites, examples.label_type)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        return checked_facts(cls, facts)

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    def notes(self, train: Examples) -> tuple[str, ...]:
        sizes = cast(ImageExamples, train).sizes()
        if (sizes == (self.height, self.width)).all():
            return ()
        (low_h, low_w), (high_h, high_w) = sizes.min(axis=0), sizes.max(axis=0)
        brought = f"brought to {self.width}x{self.height} (image_size=... to choose)"
        return (f"pictures of {low_w}x{low_h} to {high_w}x{high_h} pixels are {brought}",)

    def read_inputs(self, source: Source, settings: DataSettings) -> Reading:
        return images.read_unlabelled(source, settings, self.whites or Whites())

    def judged(self, examples: Examples, seed: int) -> Examples:
        return examples

    def encode_inputs(self, examples: Examples) -> Columns:
        pictures = cast(ImageExamples, examples)
        if self.whites is None and not pictures.is_bytes:
            raise ArtefactError(
                "this run does not say what white is in pictures of more than 8 bits, as runs do since that is kept.",
                fix="train it again.",
            )
        pixels = pictures.pixels(self.height, self.width, self.channels, self.whites)
        return {"image": torch.from_numpy(pixels)}  # (N, H, W, C) uint8

    def encode_targets(self, examples: Examples) -> Columns:
        return {"target": _classes.class_indices(examples.index["stratum"], self.class_names)}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        batch = gather(columns, indices)
        batch["image"] = batch["image"].permute(0, 3, 1, 2)  # (B, C, H, W), channels last in memory
        return batch

    def augment(self, batch: Batch, settings: RegulariseSettings, generator: torch.Generator) -> Batch:
        kind = settings.augment or "none"
        if kind != "none":
            reach = max(1, self.height // 14)  # 2 pixels at 28, 4 at 64
            batch["image"] = augment.shift(batch["image"], reach, generator)
        if kind == "shift+mirror":
            batch["image"] = augment.mirror(batch["image"], generator)
        if settings.label_smoothing:
            batch["target"] = augment.smooth(batch["target"], len(self.class_names), settings.label_smoothing)
        return batch

    def defaults(self, settings: Settings, num_train: int) -> dict[str, Any]:
        return image_defaults(num_train, self.height, self.width, self.channels, settings.model.name)

    def build_model(self, settings: Settings) -> nn.Module:
        return build_image_model(
            settings.model,
            dropout=settings.regularise.dropout or (),
            num_outputs=_classes.num_outputs(len(self.class_names)),
            size=(self.channels, self.height, self.width),
            mean=self.mean,
            std=self.std,
        )

    def outputs(self, model: nn.Module, batch: Batch) -> Tensor:
        images = batch["image"]
        if not isinstance(getattr(model, "normalise", None), Normalise):  # a network of the user's own
            images = images.to(torch.float32).mul_(1 / 255)
        logits: Tensor = model(images)
        return logits  # (B, 1) or (B, K)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return _classes.class_losses(outputs, batch["target"])

    def losses_and_gradient(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return _classes.class_losses_and_gradient(outputs, batch["target"])

    def predict(self, model: nn.Module, outputs: Tensor, batch: Batch) -> Predictions:
        return _classes.predict(outputs, self.class_names)

    def targets(self, batch: Batch) -> np.ndarray:
        return batch["target"].cpu().numpy()

    def errors(self, values: Sequence[int] | np.ndarray, batch: Batch) -> np.ndarray:
        return _classes.zero_one_errors(values, batch["target"])

    def describe(self, values: Sequence[int] | np.ndarray) -> pl.Series:
        return _classes.labels_of(values, self.class_names, self.label_type)

    @property
    def target_columns(self) -> tuple[str, ...]:
        return ("target",)

    @property
    def chance_loss(self) -> float | None:
        return math.log(len(self.class_names))

    @property
    def error_unit(self) -> str | None:
        return SHARE

    @property
    def error_name(self) -> str:
        return "error"

    def split_error(self, table: pl.DataFrame) -> SplitError | None:
        return None

    def calibrate(self, evaluation: Evaluation) -> Self:
        return self

    def view(self, example: Example) -> View:
        return View(image=example.inputs)

    def metrics(self, evaluation: Evaluation) -> dict[str, Any]:
        return scores(evaluation)

    def figures(self, evaluation: Evaluation) -> dict[str, Figure]:
        return {}
