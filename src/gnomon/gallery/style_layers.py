"""Deep layers keep what is in a picture and lose its pixels; Gram matrices of more layers make larger structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gnomon.crafts.style_transfer.canvas import Aim, Canvas, Weights
from gnomon.crafts.style_transfer.eyes import DEFAULT, Eyes, trained_net
from gnomon.figures.style import new_figure, styled
from gnomon.gallery._claim import Claim, Part, Progress, Table
from gnomon.gallery._method import above, below, factor, over_seeds
from gnomon.reference import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS = ("stem", "stage1.0", "stage2.1", "stage3.1", "stage4.2")  # a place every 2, 2, 4, 8 and 16 pixels
HEIGHT, WIDTH, STEPS = 64, 96, 120
BLOCK = 8  # pixels: means of such blocks show structures that are larger
NOISE = 0.2  # deviation around gray
CLOSE = 0.2  # relative squared distance at the layer itself: its maps are there
FACTOR = 2.0  # "lose": so many times the error in pixels


@dataclass(frozen=True)
class Measured:
    """By seed and layer: (seeds, layers)."""

    pixels: Array  # root mean square error of the picture made from that layer's maps, in deviations of the picture
    maps: Array  # relative squared distance of its maps
    blocks: Array  # deviation of block means of the texture of the layers up to that one, over the style's
    shown: tuple[Array, ...]  # of the first seed: (H, W, 3) in [0, 1], five pictures and five textures


def photo(name: str) -> Tensor:
    """(1, 3, HEIGHT, WIDTH) of scikit-learn's photo, in [0, 1]."""
    from sklearn.datasets import load_sample_image

    pixels = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None] / 255
    return functional.interpolate(pixels, (HEIGHT, WIDTH), mode="bilinear", antialias=True)


def made(wanted: Tensor, layers: Sequence[str], seed: int, *, from_maps: bool) -> tuple[Tensor, float]:
    """From noise, the picture with these maps or Gram matrices, and how far it is from them."""
    eyes = Eyes(trained_net(DEFAULT, None)[0], layers)
    with torch.no_grad():
        maps = eyes(wanted)
    noise = 0.5 + NOISE * torch.randn(wanted.shape, generator=torch.Generator().manual_seed(seed))
    weights = Weights(float(from_maps), float(not from_maps), 0.1, {layer: 1 / len(layers) for layer in layers})
    canvas = Canvas(
        eyes, [noise], [Aim(maps, maps)], weights, total_steps=STEPS, uses_lbfgs=True, margin=0, frame=(1, 1)
    )
    for _ in range(STEPS):
        canvas.descend(1.0)
        canvas.advance()
    with torch.no_grad():
        content, style, _ = canvas.parts()
    return canvas.finished(), float(content if from_maps else style)


def blocks(picture: Tensor) -> float:
    """The deviation of means of BLOCK x BLOCK pixels."""
    return float(functional.avg_pool2d(picture, BLOCK).std(dim=(2, 3)).mean())


def measure(seeds: Sequence[int], progress: Progress) -> Measured:
    content, style = photo("china.jpg"), photo("flower.jpg")
    pixels, maps, means, shown = list[list[float]](), list[list[float]](), list[list[float]](), list[Array]()
    for i, seed in enumerate(seeds):
        rows: list[list[float]] = [[], [], []]
        pictures, textures = list[Array](), list[Array]()
        for j, layer in enumerate(LAYERS):
            progress((i + j / len(LAYERS)) / len(seeds), f"seed {seed}, {layer}")
            picture, off = made(content, [layer], seed, from_maps=True)
            texture, _ = made(style, LAYERS[: j + 1], seed, from_maps=False)
            rows[0].append(float((picture - content).square().mean().sqrt() / content.std()))
            rows[1].append(off)
            rows[2].append(blocks(texture) / blocks(style))
            pictures.append(_seen(picture))
            textures.append(_seen(texture))
        for found, row in zip((pixels, maps, means), rows, strict=True):
            found.append(row)
        shown = shown or [*pictures, *textures]
    return Measured(np.array(pixels), np.array(maps), np.array(means), tuple(shown))


def _seen(picture: Tensor) -> Array:
    return picture[0].clamp(0, 1).permute(1, 2, 0).numpy()


def judge(measured: Measured) -> tuple[Part, ...]:
    deep, shallow = measured.pixels[:, -1], measured.pixels[:, 0]
    return (
        below(f"the maps of {LAYERS[-1]} are reached: their relative squared distance is below {CLOSE:g}",
              over_seeds(measured.maps[:, -1]), CLOSE),
        above(f"and the pixels are lost: their error is more than {FACTOR:g} times that from the maps of {LAYERS[0]}",
              factor(deep, shallow), FACTOR, "times"),
        above("Gram matrices of all layers make larger structures than those of the first one alone: the deviation of "
              f"means of {BLOCK}x{BLOCK} pixels is nearer the style's",
              over_seeds(np.abs(np.log(measured.blocks[:, 0])) - np.abs(np.log(measured.blocks[:, -1]))), 0,
              "less of the logarithm"),
    )  # fmt: skip


def table(measured: Measured) -> Table:
    head = ("layer", "error in pixels", "distance of its maps", "deviation of block means, layers up to it")
    columns = (measured.pixels.mean(0), measured.maps.mean(0), measured.blocks.mean(0))
    rows = zip(LAYERS, *columns, strict=True)
    return Table(head, tuple((layer, f"{a:.2f}", f"{b:.3f}", f"{100 * c:.0f} %") for layer, a, b, c in rows))


@styled
def draw(measured: Measured) -> Figure:
    figure = new_figure(3.0)
    for i, (axes, picture) in enumerate(zip(figure.subplots(2, len(LAYERS)).flat, measured.shown, strict=True)):
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(f"{'maps of' if i < len(LAYERS) else 'style up to'} {LAYERS[i % len(LAYERS)]}", fontsize=7)
    return figure


CLAIM = Claim(
    claimed="A picture can be made again almost exactly from the maps of a low layer; from those of a high one comes "
    "what is in it, without its pixels. Style that is matched up to higher layers has larger structures.",
    source="Gatys et al. 2016, figure 1 and section 3.2; Ng, Convolutional Neural Networks, week 4.",
    experiment=f"EfficientNet-Lite0 with its public weights sees a photo of {WIDTH}x{HEIGHT} pixels. From noise, "
    f"{STEPS} steps of L-BFGS make a picture with the maps of one layer alone, and from another photo a texture with "
    "the Gram matrices of all layers up to it.",
    rule="Over seeds of the noise, each with the whole 95 % interval: "
    f"from {LAYERS[-1]} the maps are reached to {CLOSE:g} and the error in pixels is more than {FACTOR:g} times that "
    f"from {LAYERS[0]}; the deviation of means of {BLOCK}x{BLOCK} pixels of the texture is nearer the style's with all "
    "layers than with the first.",
    seeds=12,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)
