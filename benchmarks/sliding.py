"""One pass over a picture beside the same net on every window: `python -m benchmarks.sliding [--repeats 5]`.

The net of course 4, week 3 (windows of 14x14) and LeNet-5 (32x32), untrained, on one thread. The windows are cut out
all at once and answered in batches of 256, which is faster than one by one. The two take turns; medians are shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from gnomon.models.lenet5 import lenet5
from gnomon.nn.sliding import Sliding, sliding

BATCH = 256  # windows; 1,024 were no faster
PICTURES = {14: (28, 64, 256), 32: (64, 256, 512)}  # pixels per side, by those of a window


def nets() -> dict[str, tuple[nn.Module, int]]:
    course = nn.Sequential(
        nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 4),
    )  # fmt: skip
    lenet = lenet5(3, 10, image_size=(32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
    return {"course, 14x14": (course, 14), "LeNet-5, 32x32": (lenet, 32)}


def every_window(net: nn.Module, picture: Tensor, whole: Sliding) -> Tensor:
    """(K, rows, columns)."""
    (height, width), (down, across) = whole.size, whole.stride
    cut = picture[0].unfold(1, height, down).unfold(2, width, across)  # (C, rows, columns, h, w)
    rows, columns = cut.shape[1:3]
    flat = cut.permute(1, 2, 0, 3, 4).reshape(rows * columns, -1, height, width)
    answers = torch.cat([net(flat[start : start + BATCH]) for start in range(0, len(flat), BATCH)])
    return answers.T.reshape(-1, rows, columns)


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sys.stdout.write("| net | picture | windows | each alone | one pass | times as fast | largest difference |\n")
    sys.stdout.write("|---|---|---:|---:|---:|---:|---:|\n")
    with torch.inference_mode():
        for name, (net, side) in nets().items():
            net.eval()
            whole = sliding(net, (side, side), 3)
            for pixels in PICTURES[side]:
                picture = torch.rand(1, 3, pixels, pixels)
                difference = (whole(picture)[0] - every_window(net, picture, whole)).abs().max().item()
                times = [
                    (seconds(lambda: every_window(net, picture, whole)), seconds(lambda: whole(picture)))  # noqa: B023
                    for _ in range(repeats)
                ]
                alone, once = (median(column) for column in zip(*times, strict=True))
                count = whole(picture).shape[2] * whole(picture).shape[3]
                sys.stdout.write(
                    f"| {name} | {pixels}x{pixels} | {count:,} | {1e3 * alone:.3g} ms | {1e3 * once:.3g} ms "
                    f"| {alone / once:.1f} | {difference:.1g} |\n"
                )


if __name__ == "__main__":
    main()
