"""Small real pictures for experiments with convnets: scikit-learn's digits, or pictures of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gnomon.core.errors import UsageError
from gnomon.core.family import PictureInputs
from gnomon.core.settings import from_flat
from gnomon.data.columns import concatenate
from gnomon.training.evaluate import encode_whole
from gnomon.workflow.prepare import prepare
from gnomon.workflow.road.facts import fit_facts

BUNDLED = "digits"
LARGEST = 16  # pixels per side: an experiment that takes 2 minutes at 8 takes 8 at 16, and half an hour at 32
PICTURES = "image_classification"  # the task whose data these are


@dataclass(frozen=True)
class Pictures:
    """N pictures with a class each."""

    name: str  # as the user calls them
    images: Tensor  # (N, C, H, W) float32 in [0, 1]
    labels: Tensor  # (N,) int64 in [0, num_classes)
    num_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def says(self) -> str:
        """`1,797 pictures of 8x8 pixels, gray, 10 classes`."""
        channels, height, width = self.images.shape[1:]
        colours = "gray" if channels == 1 else "in colour"
        return f"{len(self):,} pictures of {width}x{height} pixels, {colours}, {self.num_classes} classes"

    @property
    def inputs(self) -> PictureInputs:
        """What a model family asks for, with mean and std of these pictures."""
        channels, height, width = self.images.shape[1:]
        std, mean = torch.std_mean(self.images.double(), dim=(0, 2, 3), correction=0)
        return PictureInputs(
            channels, height, width, mean=tuple(mean.tolist()), std=tuple(std.clamp_min(1e-3).tolist())
        )

    def take(self, rows: Tensor | slice) -> Pictures:
        return replace(self, images=self.images[rows], labels=self.labels[rows])

    def resized(self, side: int) -> Pictures:
        """Of side x side pixels: averages over areas."""
        if self.images.shape[2:] == (side, side):
            return self
        return replace(self, images=functional.interpolate(self.images, size=(side, side), mode="area"))

    def split(self, seed: int, *, train: int, dev: int) -> tuple[Pictures, Pictures]:
        """Other pictures for training and for dev, drawn with `seed`: `dev` of them, and at most `train` of the rest.

        In train the classes take turns, so that its first n pictures are balanced for every n. Raises UsageError if
        there are too few pictures for half of `train`.
        """
        if len(self) < dev + train / 2:
            raise UsageError(
                f"{self.name} has {len(self):,} pictures outside test; this experiment needs at least "
                f"{dev + train // 2:,}.",
                fix="name a larger set, or leave data= out.",
            )
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(self)))
        rest = order[dev:]
        one_hot = functional.one_hot(self.labels[rest], self.num_classes)
        turn = (one_hot.cumsum(dim=0) * one_hot).sum(dim=1)  # its place among the pictures of its class: 1, 2, ...
        return self.take(rest[turn.argsort(stable=True)][:train]), self.take(order[:dev])


def digits() -> Pictures:
    """All 1,797 digits, 8x8 pixels. Source: Alpaydin & Kaynak 1998, in scikit-learn."""
    return read(BUNDLED)


def read(data: str) -> Pictures:
    """The pictures of `data`, whatever `gnomon fit` reads as pictures with a class each; at most LARGEST pixels a side.

    Train and dev together: the user's test pictures stay sealed. Raises UsageError or DataError.
    """
    settings = from_flat({"task.name": PICTURES})
    prepared = prepare(data, settings)
    task = fit_facts(prepared, settings).task
    kept = [part for name, part in prepared.splits.items() if name != "test" or data == BUNDLED]
    columns = concatenate([encode_whole(task, part) for part in kept])
    pixels, labels = cast(Tensor, columns["image"]), cast(Tensor, columns["target"])  # (N, H, W, C) uint8, (N,)
    images = pixels.permute(0, 3, 1, 2).float().div_(255).contiguous()
    found = Pictures(Path(data).name, images, labels, int(labels.max()) + 1)
    return found if max(images.shape[2:]) <= LARGEST else found.resized(LARGEST)
