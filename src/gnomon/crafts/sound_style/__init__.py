"""Style transfer of sound: spectrograms, and filters along time that nobody trained. Source: Ulyanov & Lebedev 2016."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.crafts.style_transfer.canvas import Aim, Canvas, Weights, uses_lbfgs
from gnomon.data.images.examples import as_png
from gnomon.data.sounds import SUFFIX, read_wav, wav_of
from gnomon.data.source import Source, Tree, display_name
from gnomon.nn.griffin_lim import griffin_lim, spectrum
from gnomon.runs.writer import write_bytes

ROLES = ("content", "style")  # how the two files of a folder are named
STEPS = 20  # between two measurements
GRAIN = 0.01  # deviation of the noise on the content at the start
WINDOW_SECONDS = 0.064  # of a spectrum: its length is the nearest power of two
WIDTH = 11  # frames that a filter spans
LAYER = "filters"
MOST_SECONDS = 60.0  # of each sound: the rest is left out, and said
PHASE_STEPS = 64  # of Griffin and Lim
PICTURE = (160, 320)  # pixels of a picture of a spectrogram


@final
class SoundSettings(OwnSettings):
    """Of style transfer of sound."""

    content_weight: float = setting(1.0, "alpha: weight of the distance from the content", ge=0, le=1e9)
    style_weight: float = setting(3.0, "beta: weight of the distance from the style", ge=0, le=1e9)
    smoothness: float = setting(0.0, "weight of the total variation of the spectrogram", ge=0, le=1e9)
    filters: int = setting(1024, "random filters along time", ge=16, le=8192)
    start: Literal["content", "noise"] = setting("content", "what is changed")
    solver: Literal["lbfgs", "gradient"] | None = setting(
        None, "lbfgs: L-BFGS; gradient: optimiser= (default: lbfgs, unless optimiser= is given)"
    )


@dataclass(frozen=True, eq=False)
class Sounds:
    """Both at the content's rate."""

    content: np.ndarray  # (T,) float32 in [-1, 1]
    style: np.ndarray
    rate: int  # samples per second

    @property
    def window(self) -> int:
        """Samples of a spectrum."""
        return int(2 ** round(math.log2(max(16.0, WINDOW_SECONDS * self.rate))))


@final
class Filters(nn.Module):
    """(1, 1, F, T) logarithmic spectrograms -> {LAYER: (1, filters, T)}: frequencies are channels, filters random."""

    def __init__(self, frequencies: int, filters: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(frequencies, filters, WIDTH, padding=WIDTH // 2, bias=False)
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / (frequencies * WIDTH)))
        self.requires_grad_(False)

    def forward(self, spectrograms: Tensor) -> dict[str, Tensor]:
        return {LAYER: self.conv(spectrograms[:, 0]).relu()}


@final
class SoundStyle(Craft):
    """A sound with the content of one and the texture of another."""

    name = "sound_style"
    title = "style transfer of sound"
    measures = (
        Measure("loss", "", "less"),
        Measure("distance from the content", "", "less"),
        Measure("distance from the style", "", "less"),
    )
    settings = SoundSettings

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree is not None else []
        if len(names) != 2 or not all(name.lower().endswith(SUFFIX) for name in names):
            return None
        if {Path(name).stem.lower() for name in names} == set(ROLES):
            return Claim(1.0, "a sound named content and one named style")
        return Claim(0.1, "two sounds")

    def read(self, source: Source, settings: DataSettings) -> Material:
        names = [file.name for file in source.tree.files] if source.tree is not None else []
        if source.tree is None or len(names) != 2:
            raise DataError(
                f"style transfer needs two sounds, {source.summary()}.", where=source.origin,
                fix="give content.wav and style.wav, two different files.",
            )  # fmt: skip
        if {Path(name).stem.lower() for name in names} == set(ROLES):
            names.sort(key=lambda name: ROLES.index(Path(name).stem.lower()))
        digest = hashlib.sha256()
        for name in names:
            digest.update(hashlib.sha256(source.tree.read(name)).digest())
        notes = list[str]()
        (content, rate), (style, other) = (_read(source.tree, name, notes) for name in names)
        if other != rate:
            from scipy.signal import resample_poly

            shared = math.gcd(rate, other)
            style = resample_poly(style, rate // shared, other // shared).astype(np.float32)
            notes.append(f"{display_name(names[1])}: {other:,} samples a second, converted to {rate:,}")
        sounds = Sounds(content, style, rate)
        for name, one in zip(names, (content, style), strict=True):
            if len(one) < 4 * sounds.window:
                raise DataError(
                    f"is only {len(one) / rate:.2f} seconds long.", where=display_name(name),
                    fix=f"give a sound of at least {4 * sounds.window / rate:.2f} seconds.",
                )  # fmt: skip
        lengths = f"{len(content) / rate:.1f} seconds in the style of another of {len(style) / rate:.1f}"
        return Material(sounds, f"a sound of {lengths}", digest.hexdigest(), tuple(notes))

    def write_sample(self, folder: Path, seed: int) -> Path:
        rng, rate = generator(seed, "sample"), 4_000
        time = np.arange(rate) / rate
        content = 0.4 * np.sin(2 * np.pi * np.cumsum(rng.uniform(200, 400) + 600 * time) / rate)
        style = rng.normal(0, 0.3, rate) * (np.sin(2 * np.pi * rng.uniform(6, 10) * time) > 0.5)
        for name, sound in (("content", content), ("style", style)):
            write_bytes(folder / f"{name}.wav", wav_of(sound, rate))
        return folder

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        solver = settings.task.own["solver"] or ("lbfgs" if settings.optimiser.name is None else "gradient")
        rate = 1.0 if solver == "lbfgs" else 0.02
        return {"task.solver": solver, "optimiser.learning_rate": rate, "stop.epochs": 5}

    def begin(self, material: Material, settings: Settings) -> nn.Module:
        own, sounds = settings.task.own, material.content
        content, style = (_spectrogram(one, sounds.window) for one in (sounds.content, sounds.style))
        peak = content.max().clamp_min(1e-6)
        content, style = content / peak, style / peak
        eyes = Filters(content.shape[2], own["filters"])
        with torch.no_grad():
            aim = Aim(eyes(content), eyes(style))
        noise = torch.randn(content.shape)
        start = content + GRAIN * noise if own["start"] == "content" else 0.1 * noise.abs()
        weights = Weights(own["content_weight"], own["style_weight"], own["smoothness"], {LAYER: 1.0})
        return Canvas(
            eyes, [start], [aim], weights, total_steps=STEPS * (settings.stop.epochs or 1),
            uses_lbfgs=uses_lbfgs(settings), margin=0, frame=PICTURE,
        )  # fmt: skip

    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        return STEPS

    def multiply_adds(self, model: nn.Module, material: Material, settings: Settings) -> float:
        canvas = _canvas(model)
        assert isinstance(canvas.eyes, Filters)
        return float(canvas.eyes.conv.weight.numel() * canvas.picture.shape[3])

    def players(self, model: nn.Module) -> Mapping[str, nn.Module]:
        return {"loss": _canvas(model).pictures}

    def loss(
        self, model: nn.Module, player: str, material: Material, settings: Settings, chance: torch.Generator
    ) -> Tensor:
        return _canvas(model).loss()

    def descend(
        self, model: nn.Module, material: Material, settings: Settings, rate: float, chance: torch.Generator
    ) -> Tensor | None:
        return _canvas(model).descend(rate) if settings.task.own["solver"] == "lbfgs" else None

    def advance(self, model: nn.Module) -> None:
        _canvas(model).advance()

    def method(self, settings: Settings) -> str:
        return "L-BFGS" if settings.task.own["solver"] == "lbfgs" else super().method(settings)

    def measure(self, model: nn.Module, material: Material, settings: Settings) -> Mapping[str, float]:
        return _canvas(model).measured([measure.name for measure in self.measures])

    def outputs(self, model: nn.Module, material: Material) -> Mapping[str, bytes]:
        sounds, window = material.content, material.content.window
        before = spectrum(torch.from_numpy(sounds.content), window)
        peak = torch.log1p(before.abs()).max().clamp_min(1e-6)
        sizes = torch.expm1(_canvas(model).finished()[0, 0].cpu().clamp_min(0) * peak)
        phase = before / before.abs().clamp_min(1e-12)  # a first guess: the rhythm is that of the content
        found = griffin_lim(sizes, phase, window, len(sounds.content), PHASE_STEPS)
        return {
            "sound.wav": wav_of(found.numpy(), sounds.rate),
            "progress.png": as_png(np.concatenate([_seen(frame) for frame in _canvas(model).frames()], axis=1)),
        }

    def show(self, model: nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        canvas, sounds = _canvas(model), material.content
        content, style = (_spectrogram(one, sounds.window) for one in (sounds.content, sounds.style))
        peak = content.max().clamp_min(1e-6)
        views = [("what was made", canvas.finished()), ("the content", content / peak), ("the style", style / peak)]
        return [
            *((f"{caption}: frequencies upwards", View(image=_small(one))) for caption, one in views),
            *(
                (f"after {step} steps", View(image=_seen(one)))
                for step, one in zip(canvas.frame_steps, canvas.frames(), strict=False)
            ),
        ]


def _canvas(model: nn.Module) -> Canvas:
    assert isinstance(model, Canvas)
    return model


def _read(tree: Tree, name: str, notes: list[str]) -> tuple[np.ndarray, int]:
    samples, rate = read_wav(tree.read(name), display_name(name))
    if not samples.any():
        raise DataError("is silent.", where=display_name(name), fix="give a sound that can be heard.")
    most = int(MOST_SECONDS * rate)
    if len(samples) > most:
        notes.append(f"{display_name(name)}: the first {MOST_SECONDS:g} of {len(samples) / rate:.0f} seconds")
    return samples[:most], rate


def _spectrogram(samples: np.ndarray, window: int) -> Tensor:
    """(T,) -> (1, 1, F, frames): the logarithm of 1 + the size of each frequency."""
    return torch.log1p(spectrum(torch.from_numpy(samples), window).abs())[None, None]


def _small(spectrogram: Tensor) -> np.ndarray:
    small = nn.functional.interpolate(spectrogram.cpu(), PICTURE, mode="bilinear", antialias=True)[0]
    return _seen((small.clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def _seen(frame: np.ndarray) -> np.ndarray:
    """(1, h, w) uint8, low frequencies first -> (h, w), dark is loud and high is up."""
    return np.ascontiguousarray(255 - frame[0, ::-1])


CRAFT = SoundStyle()
