"""Short sounds in WAV files: a tone, a chirp or noise. A reader and an encoder of its own; the rest are parts."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from gnomon.core.errors import DataError
from gnomon.core.example import Example, Examples, Reading, index_frame
from gnomon.core.family import PictureInputs
from gnomon.core.parts import Batch, Claim, Encoder, Reader, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, Settings
from gnomon.core.task import TaskKind
from gnomon.data.columns import Columns, gather
from gnomon.data.source import Source
from gnomon.parts.one_class import ClassHead, ClassJudge

RATE, SAMPLES = 8_000, 2_000  # samples per second, and of a sound: longer ones are cut, shorter ones end in silence
WINDOW, HOP, BANDS = 256, 128, 16  # samples: 32 ms, of which half are new; bands of 250 Hz
QUIETEST = -80.0  # dB below the loudest possible band: silence


@final
@dataclass(frozen=True)
class Sounds(Examples):
    """Sounds with their class, the name of their folder."""

    waves: np.ndarray  # (N, SAMPLES) float32 in [-1, 1]
    table: pl.DataFrame  # the index

    @property
    def index(self) -> pl.DataFrame:
        return self.table

    def __len__(self) -> int:
        return len(self.waves)

    def __getitem__(self, position: int) -> Example:
        return Example(self.table["id"][position], self.waves[position], self.table["label"][position])

    def take(self, positions: np.ndarray) -> Self:
        return replace(self, waves=self.waves[positions], table=self.table[positions])

    def join(self, other: Self) -> Self:
        return type(self)(np.concatenate([self.waves, other.waves]), pl.concat([self.table, other.table]))

    def fingerprints(self) -> np.ndarray:
        return pl.Series([row.tobytes() for row in self.waves], dtype=pl.Binary).hash().to_numpy()

    def with_labels(self, labels: pl.Series) -> Self:
        return replace(self, table=self.table.with_columns(labels.alias("label"), labels.alias("stratum")))


@final
class SoundReader(Reader):
    """WAV files, in one folder per class."""

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree else []
        return Claim(1.0, f"{len(names)} WAV files") if names and all(n.endswith(".wav") for n in names) else None

    def read(self, source: Source, settings: DataSettings) -> Reading:
        return Reading({"all": _sounds(source)})

    def read_inputs(self, source: Source, settings: DataSettings, encoder: Any) -> Reading:
        return Reading({"all": _sounds(source)})

    def write_sample(self, folder: Path, seed: int) -> Path:
        rng, times = generator(seed, "sample"), np.arange(SAMPLES) / RATE
        for number in range(36):
            pitch = rng.uniform(400, 1_200) * (1 + 4 * times * (number % 3 == 1))  # a chirp ends three times as high
            clean = rng.normal(0, 0.5, SAMPLES) if number % 3 == 2 else np.sin(2 * np.pi * pitch * times)
            sound = rng.uniform(0.2, 0.6) * clean + rng.normal(0, 0.01, SAMPLES)
            path = folder / ("tone", "chirp", "noise")[number % 3] / f"{number:02d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, RATE, SAMPLES, "NONE", ""))
                file.writeframes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())
        return folder

    def view(self, example: Example) -> View:
        picture = _spectrograms(example.inputs[None])[0].flip(0).numpy()  # high above low
        return View(image=picture, fields={"loudest": f"{np.abs(example.inputs).max():.2f}"})


@final
@dataclass(frozen=True)
class SpectrogramEncoder(Encoder):
    """Sounds as pictures of what sounds when, so that every model of pictures takes them."""

    mean: float  # of the spectrograms of the training split, in [0, 1]
    std: float

    @classmethod
    def fit(cls, train: Examples, settings: Settings) -> Self:
        assert isinstance(train, Sounds)
        values = _spectrograms(train.waves).double() / 255
        return cls(float(values.mean()), float(values.std()))

    @property
    def inputs(self) -> PictureInputs:
        return PictureInputs(1, BANDS, SAMPLES // HOP + 1, (self.mean,), (self.std,))

    def encode(self, examples: Examples) -> Columns:
        assert isinstance(examples, Sounds)
        return {"image": _spectrograms(examples.waves)[:, None]}

    def collate(self, columns: Columns, indices: Tensor) -> Batch:
        return gather(columns, indices)

    def arguments(self, model: nn.Module, batch: Batch) -> tuple[Any, ...]:
        return (batch["image"],)


def _spectrograms(waves: np.ndarray) -> Tensor:
    """(N, SAMPLES) -> (N, BANDS, T) uint8: 0 is silence, 255 the loudest band there can be; low bands first."""
    found = torch.stft(torch.from_numpy(waves), WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True)
    power = (found.abs() / (WINDOW / 4)).square()[:, :-1].unflatten(1, (BANDS, -1)).amax(2)  # a sine of 1 gives 1
    return (255 * (1 - (10 * power.clamp_min(1e-12).log10()).clamp(QUIETEST, 0) / QUIETEST)).byte()


def _sounds(source: Source) -> Sounds:
    files = [file.name for file in source.tree.files] if source.tree else []
    waves = np.zeros((len(files), SAMPLES), dtype=np.float32)
    for row, name in zip(waves, files, strict=True):
        try:
            with wave.open(io.BytesIO(source.tree.read(name)), "rb") as file:  # type: ignore[union-attr]
                shape, content = file.getparams()[:3], file.readframes(SAMPLES)
        except (wave.Error, EOFError) as error:
            raise DataError(f"is not a WAV file: {error}.", where=name, fix="save it as WAV.") from None
        if shape != (1, 2, RATE):
            raise DataError(f"is not mono with 16 bits at {RATE} Hz.", where=name, fix="convert it.")
        sound = np.frombuffer(content, dtype="<i2") / 32_768
        row[: len(sound)] = sound
    folders = [name.rpartition("/")[0].rpartition("/")[2] for name in files]
    return Sounds(waves, index_frame(files, label=folders))


TASK = TaskKind(
    name="tones",
    title="short sounds",
    modality="sound",
    target="a class",
    reader=SoundReader(),
    encoder=SpectrogramEncoder,
    head=ClassHead,
    judge=ClassJudge,
    model="convnet",
)
