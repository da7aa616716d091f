"""Boxes beside plain torch: `python -m benchmarks.boxes [--repeats 5] [--threads 2]`.

Non-maximum suppression of 10,000 boxes beside the loop that takes the best box, computes its IoU with all that are left
and drops those above 0.5; and the IoU of 4,000 x 4,000 boxes beside the usual expression on (N, M, 2) tensors. Boxes
lie anywhere in a picture of 1,000 pixels; `small` are up to 65 pixels wide, of which most are kept, `large` up to 400.
The two take turns; medians are shown, and whether the answers are equal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from gnomon.nn.boxes import nms, pairwise_iou

THRESHOLD = 0.5
SIZES = {"small": (5, 65), "large": (5, 400)}  # pixels


def some_boxes(count: int, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    centre = torch.rand(count, 2, generator=rng) * 1000
    half = (size[0] + torch.rand(count, 2, generator=rng) * (size[1] - size[0])) / 2
    return torch.cat([centre - half, centre + half], 1)


def naive_iou(first: Tensor, second: Tensor) -> Tensor:
    low = torch.maximum(first[:, None, :2], second[:, :2])
    high = torch.minimum(first[:, None, 2:], second[:, 2:])
    sides = (high - low).clamp(min=0)  # (N, M, 2)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (first, second)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def nms_loop(boxes: Tensor, scores: Tensor) -> Tensor:
    order = scores.argsort(descending=True, stable=True)
    kept = []
    while len(order):
        kept.append(order[0])
        overlap = naive_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][overlap <= THRESHOLD]
    return torch.stack(kept)


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def line(name: str, plain: Callable[[], Tensor], ours: Callable[[], Tensor], repeats: int) -> str:
    is_equal = torch.equal(plain(), ours())
    times = [(seconds(plain), seconds(ours)) for _ in range(repeats)]
    before, now = (1e3 * median(column) for column in zip(*times, strict=True))
    return f"| {name} | {before:.3g} ms | {now:.3g} ms | {before / now:.1f} | {'yes' if is_equal else 'NO'} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = torch.Generator().manual_seed(0)
    sys.stdout.write("| work | plain torch | gnomon | times as fast | equal |\n|---|---:|---:|---:|---|\n")
    for size, pixels in SIZES.items():
        boxes, scores = some_boxes(10_000, pixels, rng), torch.rand(10_000, generator=rng)
        name = f"NMS of 10,000 {size} boxes, {len(nms(boxes, scores, threshold=THRESHOLD)):,} kept"
        plain, ours = (lambda: nms_loop(boxes, scores)), (lambda: nms(boxes, scores, threshold=THRESHOLD))  # noqa: B023
        sys.stdout.write(line(name, plain, ours, options.repeats))
    first, second = (some_boxes(4_000, SIZES["small"], rng) for _ in range(2))
    plain, ours = (lambda: naive_iou(first, second)), (lambda: pairwise_iou(first, second))
    sys.stdout.write(line("IoU of 4,000 x 4,000", plain, ours, options.repeats))


if __name__ == "__main__":
    main()
