"""A net that says what a window of a picture shows, and the search of a picture for objects by many windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnomon.core.seeds import derive
from gnomon.gallery._convnets import Recipe, started, train
from gnomon.gallery._scenes import Scenes
from gnomon.gallery._small_pictures import Pictures
from gnomon.nn.boxes import iou
from gnomon.nn.roi_align import roi_align
from gnomon.nn.sliding import Sliding, sliding

SIDE = 16  # pixels of a window as the net takes it
CLASSES = 2  # square, disc; the class after them is background
SIZES = (14, 20)  # pixels of the windows in the picture: every object of 12 to 24 has an IoU above 0.6 with one
PER_SCENE = 48  # windows of a picture that the net learns from, at most
SHOWS, SHOWS_NOT = 0.6, 0.4  # IoU with an object from which a window shows it, and below which it shows none
RECIPE = Recipe(epochs=8, learning_rate=0.02)
SAYS = (
    f"A net of two convolutions and two dense layers without padding takes windows of {SIDE}x{SIDE} pixels and "
    f"says square, disc or background; it learns from {PER_SCENE} windows of each of the training pictures, at, "
    f"near and far from objects (shown from an IoU of {SHOWS}, not below {SHOWS_NOT})"
)


def window_net() -> nn.Sequential:
    """(B, 3, SIDE, SIDE) -> (B, CLASSES + 1). Without padding, so that it can slide; its windows lie 2 pixels apart."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, CLASSES + 1),
    )  # fmt: skip


def crops(scenes: Scenes, boxes: Tensor) -> Tensor:
    """The contents of boxes (N, P, 4), squeezed to (N * P, 3, SIDE, SIDE) in [0, 1]."""
    pictures = scenes.pictures.float() / 255
    return roi_align(pictures, boxes, stride=1, size=SIDE).flatten(0, 1)


def learned(scenes: Scenes, seed: int) -> nn.Module:
    """A net that was trained on windows of these scenes."""
    boxes, labels = drawn_windows(scenes, torch.Generator().manual_seed(derive(seed, "windows")))
    is_known = labels.flatten() >= 0
    part = Pictures("windows", crops(scenes, boxes)[is_known], labels.flatten()[is_known], CLASSES + 1)
    net = started(window_net(), seed)
    train(net, part, RECIPE, seed)
    return net.eval()


def drawn_windows(scenes: Scenes, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Squares (N, PER_SCENE, 4), a third each at, near and anywhere; what they show (N, PER_SCENE), -1 for neither."""
    number, side = len(scenes), scenes.pictures.shape[-1]
    pick = torch.rand(number, PER_SCENE, generator=generator) * (scenes.kinds >= 0).sum(1, keepdim=True)
    box = scenes.boxes.gather(1, pick.long()[..., None].expand(-1, -1, 4))
    middle, size = (box[..., :2] + box[..., 2:]) / 2, box[..., 2] - box[..., 0]
    kind = torch.arange(PER_SCENE) % 3
    reach = torch.tensor([0.12, 0.8, 0.0])[kind]  # of the object's size: how far from its middle
    noise = 2 * torch.rand(number, PER_SCENE, 3, generator=generator) - 1
    placed = middle + reach[:, None] * size[..., None] * noise[..., :2]
    anywhere = (noise[..., :2] + 1) / 2 * side
    at = torch.where((kind == 2)[:, None], anywhere, placed)
    half = size * (1.25 ** noise[..., 2]) / 2
    windows = torch.cat([at - half[..., None], at + half[..., None]], -1)
    overlap = iou(windows[:, :, None], scenes.boxes[:, None]).masked_fill((scenes.kinds < 0)[:, None], 0)
    most, which = overlap.max(2)
    shown = scenes.kinds.gather(1, which)
    return windows, torch.where(most >= SHOWS, shown, torch.where(most < SHOWS_NOT, CLASSES, -1))


def slider(net: nn.Module) -> Sliding:
    return sliding(net, (SIDE, SIDE), 3)


def scaled(scenes: Scenes, size: int) -> Tensor:
    """The pictures at the scale at which a window of `size` pixels has SIDE."""
    side = round(scenes.pictures.shape[-1] * SIDE / size)
    pictures = scenes.pictures.float() / 255
    return functional.interpolate(pictures, (side, side), mode="bilinear", antialias=True)


@torch.no_grad()
def search(whole: Sliding, scenes: Scenes, *, step: int = 1) -> tuple[Tensor, Tensor]:
    """All windows of SIZES as boxes (N, W, 4) in pixels and their probabilities (N, W, CLASSES + 1).

    `step`: one of so many windows in each direction.
    """
    boxes, found = [], []
    for size in SIZES:
        pictures = scaled(scenes, size)
        answers = whole(pictures)[:, :, ::step, ::step]  # (N, CLASSES + 1, rows, columns)
        pixels = scenes.pictures.shape[-1] / pictures.shape[-1]
        rows, columns = (torch.arange(n) * whole.stride[0] * step * pixels for n in answers.shape[2:])
        top, left = torch.meshgrid(rows, columns, indexing="ij")
        corner = torch.stack([left, top], -1).flatten(0, 1)
        boxes.append(torch.cat([corner, corner + SIDE * pixels], 1))
        found.append(answers.flatten(2).mT.softmax(-1))
    every = torch.cat(boxes)
    return every.expand(len(scenes), -1, -1), torch.cat(found, 1)
