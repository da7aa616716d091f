"""Signals and volumes: how they are read, and how they become tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, Reading
from gnomon.core.family import SignalInputs, VolumeInputs
from gnomon.core.knobs import LAYOUT
from gnomon.core.parts import Batch, Claim, Encoder, PlainInputs, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.data import layouts
from gnomon.data.array_files import as_npz
from gnomon.data.columns import Columns, gather
from gnomon.data.grids import GridExamples, line_picture, read_labelled, read_unlabelled, slices_picture
from gnomon.data.source import Source
from gnomon.runs.writer import write_bytes

FARTHEST = 1e6  # standard deviations from the mean: what is beyond is cut off, and float32 overflows nowhere
MOST_PLAIN = 1_024  # numbers per example that a reference is fitted to


@final
@dataclass(frozen=True)
class LabelledSignals(Reader):
    """Signals of one length with a class each: arrays (N, T), (N, C, T) or (N, T, C)."""

    abilities: ClassVar[frozenset[str]] = frozenset({LAYOUT})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        return None if source.arrays is None else layouts.claim(source.arrays, settings.layout, "signal", source.origin)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return read_labelled(source, settings, "signal")

    def read_inputs(self, source: Source, settings: DataSettings, encoder: GridEncoder) -> Reading:
        return read_unlabelled(source, settings, "signal", encoder.layout, encoder.shape)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Forty signals of 32 steps, `(40, 1, 32)`: somewhere in the noise a short wave that rises or falls first."""
        rng = generator(seed, "sample")
        signals = rng.normal(0, 0.2, (40, 1, 32))
        wave = np.sin(np.linspace(0, 2 * np.pi, 12))
        for number, signal in enumerate(signals):
            at = int(rng.integers(0, 20))
            signal[0, at : at + 12] += wave if number % 2 else -wave
        return _written(folder / "signals.npz", signals.astype(np.float32), ("falls", "rises"))

    def view(self, example: Example) -> View:
        channels, steps = example.inputs.shape
        return View(image=line_picture(example.inputs), fields={"channels": f"{channels:,}", "steps": f"{steps:,}"})


@final
@dataclass(frozen=True)
class LabelledVolumes(Reader):
    """Volumes of one size with a class each: arrays (N, D, H, W), (N, C, D, H, W) or (N, D, H, W, C)."""

    abilities: ClassVar[frozenset[str]] = frozenset({LAYOUT})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        return None if source.arrays is None else layouts.claim(source.arrays, settings.layout, "volume", source.origin)

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return read_labelled(source, settings, "volume")

    def read_inputs(self, source: Source, settings: DataSettings, encoder: GridEncoder) -> Reading:
        return read_unlabelled(source, settings, "volume", encoder.layout, encoder.shape)

    def write_sample(self, folder: Path, seed: int) -> Path:
        """Forty volumes of 6x8x8, `(40, 1, 6, 8, 8)`: a bright rod somewhere in the noise, across or along."""
        rng = generator(seed, "sample")
        volumes = rng.integers(0, 80, (40, 1, 6, 8, 8), dtype=np.uint8)
        for number, volume in enumerate(volumes):
            z, at = int(rng.integers(0, 5)), int(rng.integers(0, 7))
            where = (slice(z, z + 2), slice(at, at + 2), slice(1, 7))
            volume[0][where if number % 2 else (where[0], where[2], where[1])] = 220
        return _written(folder / "volumes.npz", volumes, ("along", "across"))

    def view(self, example: Example) -> View:
        channels, *size = example.inputs.shape
        fields = {"channels": f"{channels:,}", "voxels": layouts.times(size)}
        return View(image=slices_picture(example.inputs), fields=fields)


@final
@dataclass(frozen=True)
class GridEncoder(Encoder):
    """Signals or volumes of one shape, each channel with mean 0 and deviation 1 in training; missing values are 0.

    Standardised here and not in the model: in float64, so that a small signal on a large offset (a pressure of
    101,325 that varies by a hundredth) keeps its digits, which float32 would round away.
    """

    references: ClassVar[tuple[str, ...]] = ("linear model", "nearest neighbours")

    layout: str  # of the array of training examples; inputs to predict come in it, too
    shape: tuple[int, ...]  # (C, T) or (C, D, H, W)
    mean: tuple[float, ...]  # per channel, of the values that are there
    std: tuple[float, ...]

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        examples = cast(GridExamples, train)
        mean, std = _moments(examples)
        return cls(examples.layout, examples.shape, tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def inputs(self) -> SignalInputs | VolumeInputs:
        return SignalInputs(*self.shape) if len(self.shape) == 2 else VolumeInputs(*self.shape)

    def encode(self, examples: Examples) -> Columns:
        """values (N, C, ...) float32."""
        grids = cast(GridExamples, examples)
        if grids.shape != self.shape:
            raise DataError(
                f"there are examples of shape {layouts.times(grids.shape)}, and train has {layouts.times(self.shape)}.",
                fix="give all examples one shape.",
            )
        out, done = torch.empty(len(grids), *self.shape), 0
        mean, std = (np.array(one).reshape(-1, *(1,) * (len(self.shape) - 1)) for one in (self.mean, self.std))
        for chunk in grids.chunks():
            chunk -= mean
            chunk /= std
            np.nan_to_num(chunk, copy=False)
            np.clip(chunk, -FARTHEST, FARTHEST, out=chunk)
            out[done : done + len(chunk)] = torch.from_numpy(chunk)
            done += len(chunk)
        return {"values": out}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return (batch["values"],)

    def plain_inputs(self, columns: Columns) -> PlainInputs:
        """The values themselves, where there are many averaged over neighbours in time or space."""
        values = cast(Tensor, columns["values"]).float()
        if values[0].numel() > MOST_PLAIN:
            values = _averaged(values)
        numbers = values.flatten(1).cpu().numpy()
        return PlainInputs(numbers, np.empty((len(numbers), 0), np.int64))


def _moments(examples: GridExamples) -> tuple[np.ndarray, np.ndarray]:
    """(C,) mean and standard deviation of each channel's values; deviation 1 where they are all the same."""
    inner = (0, *range(2, len(examples.shape) + 1))
    count, total = np.zeros(examples.shape[0]), np.zeros(examples.shape[0])
    for chunk in examples.chunks():
        count += (~np.isnan(chunk)).sum(axis=inner)
        total += np.nansum(chunk, axis=inner)
    mean = total / np.maximum(count, 1)
    squares = np.zeros_like(mean)
    for chunk in examples.chunks():
        chunk -= mean.reshape(-1, *(1,) * (len(examples.shape) - 1))
        squares += np.nansum(chunk * chunk, axis=inner)
    std = np.sqrt(squares / np.maximum(count, 1))
    return mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0)  # what rounding leaves of a constant is no deviation


def _averaged(values: Tensor) -> Tensor:
    """(N, C, ...) with fewer places: means over equal stretches, until about MOST_PLAIN numbers are left."""
    size = values.shape[2:]
    share = (MOST_PLAIN / values[0].numel()) ** (1 / len(size))
    fewer = [max(1, int(side * share)) for side in size]
    if len(size) == 1:
        return functional.adaptive_avg_pool1d(values, fewer[0])
    return functional.adaptive_avg_pool3d(values, (fewer[0], fewer[1], fewer[2]))


def _written(path: Path, inputs: np.ndarray, class_names: tuple[str, str]) -> Path:
    write_bytes(path, as_npz({"x": inputs, "y": np.array([class_names[n % 2] for n in range(len(inputs))])}))
    return path
