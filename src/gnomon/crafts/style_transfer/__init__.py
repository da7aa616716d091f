"""Style transfer: the content of one picture in the manner of another. Source: Gatys et al. 2016."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.craft import Craft, Material, Measure
from gnomon.core.errors import DataError, MachineError, UsageError
from gnomon.core.parts import Claim, View
from gnomon.core.seeds import generator
from gnomon.core.settings import DataSettings, OwnSettings, Settings, setting
from gnomon.core.settings.types import Names
from gnomon.crafts.style_transfer.canvas import Aim, Canvas, Weights, uses_lbfgs
from gnomon.crafts.style_transfer.eyes import DEFAULT, Eyes, trained_net, usual_layers, weights_of_layers
from gnomon.crafts.style_transfer.pictures import Two, coloured_like, gray_like, matched, read_picture
from gnomon.data.images.decoding import is_picture_name
from gnomon.data.images.examples import as_png
from gnomon.data.room import memory_left
from gnomon.data.source import Source
from gnomon.runs.writer import write_bytes

ROLES = ("content", "style")  # how the two files of a folder are named
STEPS = 20  # between two measurements
GRAIN = 0.01  # deviation of the noise on the content at the start: flat areas get something to begin with
NOISE = 0.25  # deviation of the noise that start=noise begins with, around gray
MARGIN = 4  # pixels painted around the picture and cut off: nets pad by zeros, which draws a line along the border
COARSEST = 160  # pixels: the longer side is halved while it stays above
FRAME = 240  # pixels of the longer side of a picture of the progress


@final
class StyleSettings(OwnSettings):
    """Of style transfer."""

    content_layers: Names = setting((), "layers whose maps are kept (default: by the model)")
    style_layers: Names = setting(
        (), "layers whose Gram matrices are matched, with weights if you like: stem:2,stage1.0 (default: by the model)"
    )
    content_weight: float = setting(1.0, "alpha: weight of the distance from the content", ge=0, le=1e9)
    style_weight: float = setting(10.0, "beta: weight of the distance from the style", ge=0, le=1e9)
    smoothness: float = setting(10.0, "weight of the total variation", ge=0, le=1e9)
    start: Literal["content", "noise"] = setting("content", "what is painted over")
    colours: Literal["style", "content", "matched"] = setting(
        "style",
        "style: those of the style; content: those of the content, only brightness is painted; matched: the style's "
        "colours are moved to the content's before",
    )
    scales: int | None = setting(
        None, "sizes, each half of the next, that are painted one after the other (default: from 160 pixels on)",
        ge=1, le=6,
    )  # fmt: skip
    solver: Literal["lbfgs", "gradient"] | None = setting(
        None, "lbfgs: L-BFGS; gradient: optimiser= (default: lbfgs, unless optimiser= is given)"
    )


@final
class StyleTransfer(Craft):
    """A picture with the content of one and the style of another."""

    name = "style_transfer"
    title = "style transfer"
    measures = (
        Measure("loss", "", "less"),
        Measure("distance from the content", "", "less"),
        Measure("distance from the style", "", "less"),
        Measure("total variation", "", "neither"),
    )
    settings = StyleSettings
    acts = frozenset({"data.image_size", "data.max_pixels", "model.name", "transfer.weights"})

    def claim(self, source: Source, settings: DataSettings) -> Claim | None:
        names = [file.name for file in source.tree.files] if source.tree is not None else []
        if len(names) != 2 or not all(map(is_picture_name, names)):
            return None
        if _stems(names) == set(ROLES):
            return Claim(1.0, "a picture named content and one named style")
        return Claim(0.1, "two pictures")

    def read(self, source: Source, settings: DataSettings) -> Material:
        names = [file.name for file in source.tree.files] if source.tree is not None else []
        if source.tree is None or len(names) != 2:
            raise DataError(
                f"style transfer needs two pictures, {source.summary()}.", where=source.origin,
                fix="give content.jpg and style.jpg, two different files.",
            )  # fmt: skip
        if _stems(names) == set(ROLES):
            names.sort(key=lambda name: ROLES.index(Path(name).stem.lower()))
        read = [read_picture(source.tree, name, settings) for name in names]
        digest = hashlib.sha256()
        for name in names:
            digest.update(hashlib.sha256(source.tree.read(name)).digest())
        summary = f"a picture of {read[0][1]} in the style of another of {read[1][1]}"
        return Material(Two(read[0][0], read[1][0]), summary, digest.hexdigest(), (*read[0][2], *read[1][2]))

    def write_sample(self, folder: Path, seed: int) -> Path:
        rng = generator(seed, "sample")
        y, x = np.mgrid[:36, :48]
        disc = np.hypot(y - rng.uniform(13, 23), x - rng.uniform(15, 33)) < 10
        content = np.where(disc[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3))
        waves = np.sin((x + y) / rng.uniform(1.5, 3)) > 0
        style = np.where(waves[..., None], rng.integers(150, 255, 3), rng.integers(0, 100, 3))
        for name, picture in (("content", content), ("style", style)):
            write_bytes(folder / f"{name}.png", as_png(picture.astype(np.uint8)))
        return folder

    def defaults(self, material: Material, settings: Settings) -> Mapping[str, Any]:
        solver = settings.task.own["solver"] or ("lbfgs" if settings.optimiser.name is None else "gradient")
        rate = 1.0 if solver == "lbfgs" else 0.02
        return {
            "task.solver": solver, "optimiser.learning_rate": rate, "stop.epochs": 10, "model.name": DEFAULT,
            "task.scales": _scales(max(material.content.content.shape)),
        }  # fmt: skip

    def begin(self, material: Material, settings: Settings) -> nn.Module:
        own, name = settings.task.own, settings.model.name or DEFAULT
        net, _ = trained_net(name, settings.transfer.weights)
        content_layer, style_layers = usual_layers(name, net)
        keeps = weights_of_layers(own["content_layers"] or (content_layer,))
        shares = weights_of_layers(own["style_layers"] or style_layers)
        eyes = Eyes(net, [*keeps, *shares])
        two, sides = _as_seen(material.content, own["colours"]), material.content.content.shape
        shapes = _shapes(sides[0] + 2 * MARGIN, sides[1] + 2 * MARGIN, own["scales"])
        _require_room(eyes, shapes[-1])
        starts, aims = [], []
        for shape in shapes:
            content, style = (_shrunk(one, shape, shapes[-1]) for one in two)
            with torch.no_grad():
                kept, liked = eyes(content), eyes(style)
            aims.append(Aim({one: kept[one] for one in keeps}, {one: liked[one] for one in shares}))
            grain = torch.randn(content.shape)
            starts.append(content + GRAIN * grain if own["start"] == "content" else 0.5 + NOISE * grain)
        weights = Weights(own["content_weight"], own["style_weight"], own["smoothness"], shares)
        ratio = min(1.0, FRAME / max(sides))
        canvas = Canvas(
            eyes, starts, aims, weights, total_steps=STEPS * (settings.stop.epochs or 1),
            uses_lbfgs=uses_lbfgs(settings), margin=MARGIN, frame=[max(1, round(side * ratio)) for side in sides[:2]],
        )  # fmt: skip
        canvas.colours = own["colours"]
        return canvas

    def steps_per_epoch(self, material: Material, settings: Settings) -> int:
        return STEPS

    def multiply_adds(self, model: nn.Module, material: Material, settings: Settings) -> float:
        canvas = _canvas(model)
        assert isinstance(canvas.eyes, Eyes)
        return float(canvas.eyes.multiply_adds(canvas.pictures[-1].shape))

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
        painted = _painted(_canvas(model), material.content)
        frames = _frames(_canvas(model), material.content)
        return {"picture.png": as_png(painted), "progress.png": as_png(_strip(frames))}

    def show(self, model: nn.Module, material: Material) -> Sequence[tuple[str, View]]:
        canvas, two = _canvas(model), material.content
        frames = _frames(canvas, two)
        return [
            ("what was made", View(image=_painted(canvas, two))),
            ("the content", View(image=two.content)),
            ("the style", View(image=two.style)),
            *((f"after {step} steps", View(image=one)) for step, one in zip(canvas.frame_steps, frames, strict=False)),
        ]


def _canvas(model: nn.Module) -> Canvas:
    assert isinstance(model, Canvas)
    return model


def _stems(names: Sequence[str]) -> set[str]:
    return {Path(name).stem.lower() for name in names}


def _scales(side: int) -> int:
    return 1 + max(0, math.floor(math.log2(side / COARSEST)))


def _shapes(height: int, width: int, scales: int) -> list[tuple[int, int]]:
    """From coarse to fine. Raises UsageError where the coarsest is too small to be seen."""
    found = [(round(height / 2**i), round(width / 2**i)) for i in reversed(range(scales))]
    if min(found[0]) < 16 and scales > 1:
        raise UsageError(f"scales={scales} begins with {found[0][1]}x{found[0][0]} pixels.", fix="use fewer scales.")
    return found


def _require_room(eyes: Eyes, shape: tuple[int, int]) -> None:
    """Raises MachineError for a picture that a step has no memory for."""
    needed, left = eyes.bytes_of_step((1, 3, *shape)), memory_left()
    if needed > left:
        fitting = int(max(shape) * math.sqrt(left / needed) * 0.95)
        raise MachineError(
            f"a picture of {shape[1]}x{shape[0]} pixels needs some {needed / 1e9:.1f} GB of memory with this net, "
            f"{left / 1e9:.1f} GB are left.", fix=f"use size={fitting}, or free memory.",
        )  # fmt: skip


def _as_seen(two: Two, colours: str) -> tuple[Tensor, Tensor]:
    """Content, with its margin, and style (1, 3, H, W) in [0, 1], as the net is to see them."""
    content, style = two.content / 255.0, two.style / 255.0
    if colours == "content":
        style, content = gray_like(style, content)
    if colours == "matched":
        style = matched(style, content)
    wide = ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
    return _tensor(np.pad(content, wide, mode="reflect")), _tensor(style)


def _tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32))


def _shrunk(picture: Tensor, shape: tuple[int, int], finest: tuple[int, int]) -> Tensor:
    """As much as a picture of the `finest` shape is shrunk to `shape`."""
    if shape == finest:
        return picture
    sides = [max(1, round(side * max(shape) / max(finest))) for side in picture.shape[2:]]
    return functional.interpolate(picture, sides, mode="bicubic", antialias=True, align_corners=False)


def _painted(canvas: Canvas, two: Two) -> np.ndarray:
    """(H, W, 3) uint8: the picture with its colours."""
    return _coloured(canvas.finished()[0].cpu().numpy().transpose(1, 2, 0), two.content, canvas.colours)


def _coloured(picture: np.ndarray, content: np.ndarray, colours: str) -> np.ndarray:
    found = picture.astype(np.float64)
    if colours == "content":
        found = coloured_like(found, content / 255.0)
    return np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)


def _frames(canvas: Canvas, two: Two) -> list[np.ndarray]:
    """(h, w, 3) uint8 each: the progress so far."""
    frames = [frame.transpose(1, 2, 0) for frame in canvas.frames()]
    if canvas.colours != "content":
        return frames
    small = functional.interpolate(_tensor(two.content / 255.0), frames[0].shape[:2], mode="bilinear", antialias=True)
    content = small[0].numpy().transpose(1, 2, 0) * 255.0
    return [_coloured(frame / 255.0, content, canvas.colours) for frame in frames]


def _strip(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Side by side, a white line between them."""
    line = np.full((frames[0].shape[0], 4, 3), 255, np.uint8)
    parts = [part for frame in frames for part in (line, frame)]
    return np.concatenate(parts[1:], axis=1)


CRAFT = StyleTransfer()
