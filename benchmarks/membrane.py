"""Membranes between cells, beside a plain U-Net in a loop by hand: `python -m benchmarks.membrane`.

30 slices of 512x512 pixels (`GNOMON_DATA`/membrane: images/ and masks/, 255 inside cells). Neighbouring slices are
nearly copies, so the last six are held out as one block (test) and the six before them as another (dev); both sides
learn from the first 18. gnomon: its default segmenter, on public weights: `gnomon fit membrane in_order=yes dev=0.2
test=0.2 pretrained=yes image_size=512 patch=256 batch_size=4 epochs=30 augment=... threads=1`. By hand: a U-Net a
quarter as wide as the published one, random patches of 256 pixels, mirrored, upside down, Adam 1e-3, batch 4, cross
entropy, until it has used as many seconds of CPU as gnomon had, evaluation included.

On test, slice by slice: adapted Rand error of the regions between membranes (foreground-restricted: 0 is perfect), the
IoU of membranes, the share of wrong pixels; means, and an interval of the difference by resampling slices.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import gnomon
from benchmarks.workload import DATA
from gnomon.core.example import Examples
from gnomon.data.annotated import AnnotatedExamples
from gnomon.metrics import mask_table
from gnomon.metrics.regions import adapted_rand_error, regions_of
from gnomon.metrics.segmentation import class_iou, confusion
from gnomon.workflow.prepare import prepare_again

SIDE, PATCH, BATCH = 512, 256, 4
AUGMENT = "mirror,updown,rotate:15,warp:0.02,crop:0.2,colour:0.2"
MEMBRANE = 0  # the class of mask value 0
DRAWS = 2_000


@dataclass(frozen=True)
class Scores:
    """Of each slice of test."""

    rand: np.ndarray  # (N,) adapted Rand error
    iou: np.ndarray  # (N,) of membranes
    wrong: np.ndarray  # (N,) share of pixels


def scores(masks: Sequence[np.ndarray], answers: Sequence[np.ndarray]) -> Scores:
    """From the class of each pixel, true and said."""
    pairs = list(zip(masks, answers, strict=True))
    counts = np.stack([confusion(mask, said, 2) for mask, said in pairs])
    rand = [adapted_rand_error(regions_of(mask == MEMBRANE), regions_of(said == MEMBRANE)) for mask, said in pairs]
    wrong = [float((mask != said).mean()) for mask, said in pairs]
    return Scores(np.array(rand), class_iou(counts)[:, MEMBRANE], np.array(wrong))


class PlainUNet(nn.Module):
    """As tutorials have it, a quarter as wide: two convolutions a level with batch norm, 2x2 up-convolutions."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList(self._two(a, b) for a, b in zip([1, *sizes[:-1]], sizes, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * b, b, 2, stride=2) for b in sizes[-2::-1])
        self.after = nn.ModuleList(self._two(2 * b, b) for b in sizes[-2::-1])
        self.last = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _two(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
            nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for i, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for up, block in zip(self.up, self.after, strict=True):
            x = block(torch.cat([kept.pop(), up(x)], 1))
        logits: torch.Tensor = self.last(x)
        return logits


def by_hand(pictures: np.ndarray, masks: np.ndarray, seconds: float, *, patch: int = PATCH) -> nn.Module:
    """(N, H, W) uint8 pictures and classes -> a net trained for so many seconds of CPU."""
    torch.manual_seed(0)
    net, rng = PlainUNet(), np.random.default_rng(0)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    began = time.process_time()
    while time.process_time() - began < seconds:
        x, y = [], []
        for _ in range(BATCH):
            i, top, left = rng.integers(len(pictures)), *rng.integers(0, pictures.shape[1] - patch + 1, 2)
            part = (slice(top, top + patch), slice(left, left + patch))
            flips = rng.choice([1, -1], 2)
            x.append(pictures[i][part][:: flips[0], :: flips[1]] / 255.0)
            y.append(masks[i][part][:: flips[0], :: flips[1]])
        optimiser.zero_grad()
        logits = net(torch.tensor(np.stack(x)[:, None], dtype=torch.float32))
        functional.cross_entropy(logits, torch.tensor(np.stack(y))).backward()
        optimiser.step()
    return net.eval()


def compared(source: Path, folder: Path, **settings: object) -> tuple[Scores, Scores, float]:
    """gnomon, the loop, and the seconds of CPU that each had."""
    chosen = {"image_size": SIDE, "patch": PATCH, "augment": AUGMENT, "batch_size": BATCH, "epochs": 30, **settings}
    began = time.process_time()
    run = gnomon.fit(
        str(source), in_order=True, dev=0.2, test=0.2, threads=1, seed=0, runs_folder=str(folder),
        **{"pretrained": True, **chosen},
    )  # fmt: skip
    spent = time.process_time() - began
    splits = prepare_again(run.folder, None, run.settings, run.task.kind, in_memory="", moved="").splits
    net = by_hand(*arrays(splits["train"]), spent, patch=int(str(chosen["patch"])))
    pictures, masks = arrays(splits["test"])
    table = run.test().table
    assert table["id"].to_list() == splits["test"].index["id"].to_list()
    ours = [mask_table.decode(text) for text in table["prediction"].to_list()]
    with torch.no_grad():
        theirs = [net(torch.from_numpy(one)[None, None] / 255.0)[0].argmax(0).numpy() for one in pictures]
    return scores(masks, ours), scores(masks, theirs), spent


def arrays(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W) uint8 pictures and their classes."""
    assert isinstance(examples, AnnotatedExamples)
    pictures = [np.asarray(examples[i].inputs) for i in range(len(examples))]
    return np.stack(pictures), np.stack([examples.mask(i) for i in range(len(examples))]).astype(np.int64)


def difference(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The mean difference over slices, with the 95 % interval of as many slices drawn again."""
    gaps, rng = ours - theirs, np.random.default_rng(0)
    means = gaps[rng.integers(0, len(gaps), (DRAWS, len(gaps)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{gaps.mean():+.4f} ({low:+.4f} to {high:+.4f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of gnomon to change")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, spent = compared(
            DATA / "membrane", Path(folder), **dict(one.split("=", 1) for one in options.set)
        )
    print(f"{len(ours.rand)} slices held out; {spent:.0f} seconds of one core each")
    print("| | adapted Rand error | IoU of membranes | wrong pixels |")
    print("|---|---|---|---|")
    for name, one in (("gnomon", ours), ("plain U-Net by hand", theirs)):
        print(f"| {name} | {one.rand.mean():.4f} | {one.iou.mean():.4f} | {one.wrong.mean():.4f} |")
    pairs = [(ours.rand, theirs.rand), (ours.iou, theirs.iou), (ours.wrong, theirs.wrong)]
    print(f"| gnomon less by hand | {' | '.join(difference(*pair) for pair in pairs)} |")


if __name__ == "__main__":
    main()
