"""What averaging at test time gains and costs: `nice -n 19 python -m benchmarks.test_time [SET ...] [--runs FOLDER]`.

3,000 pictures to learn from, 2,000 of dev, 3,000 of test, of CIFAR-10 (cifar10-half.zip) and of Fashion-MNIST
(`GNOMON_DATA`), in colour and gray. Three runs of each, with seeds 0, 1 and 2 and one thread: `gnomon fit SET
pretrained=no augment=shift,mirror epochs=15 seed=SEED threads=1`; a minute each. Runs that are in --runs already
are not trained again.

First table, on dev: the error of the first run with 1, 2, 5 and 10 views of each picture, and with views made in
other ways, by which the kind of view was chosen. Second table: one run, its crops, and the three runs together, on dev
and (once, when everything is chosen; each opening is counted in the runs) on test, with 95 % intervals; the difference
to the run that is best on dev, paired; and the time of CPU per picture, one after the other.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import gnomon
from benchmarks.transfer import draw
from benchmarks.workload import DATA
from gnomon.data.crops import cropped
from gnomon.metrics.interval import Interval
from gnomon.metrics.intervals import split_error
from gnomon.strategy.paired import compare_models
from gnomon.training.evaluate import judging
from gnomon.workflow.prepare import prepare_again

SETS = ("cifar", "fashion")
TRAIN, DEV, TEST = 3_000, 2_000, 3_000
SEEDS, EPOCHS = (0, 1, 2), 15
CALLS = 200  # that are timed


def data_of(name: str, folder: Path) -> Path:
    """The pictures of a set in `folder`, drawn once."""
    place = folder / (name if name == "cifar" else f"{name}.npz")
    if place.exists():
        return place
    if name == "cifar":
        draw(f"cifar-{TRAIN}", 0, place, DATA, {"dev": DEV, "test": TEST})
        return place
    (x, y), (x_test, y_test) = (_idx(part) for part in ("train", "t10k"))
    chosen, held = np.random.default_rng(0).permutation(len(x))[: TRAIN + DEV], slice(0, TEST)
    train, dev = chosen[:TRAIN], chosen[TRAIN:]
    np.savez(place, x_train=x[train], y_train=y[train], x_dev=x[dev], y_dev=y[dev], x_test=x_test[held],
             y_test=y_test[held])  # fmt: skip
    return place


def _idx(part: str) -> tuple[np.ndarray, np.ndarray]:
    folder = DATA / "fashion-mnist"
    with (
        gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as images,
        gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as labels,
    ):
        pixels = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        return pixels, np.frombuffer(labels.read(), np.uint8, offset=8)


def runs_of(name: str, folder: Path) -> list[gnomon.Run]:
    found = []
    for seed in SEEDS:
        known = sorted(folder.glob(f"runs/image_classification/*-{name}-{seed}/report.html"))
        found.append(
            gnomon.load(known[0].parent) if known
            else gnomon.fit(
                data_of(name, folder), pretrained=False, augment="shift,mirror", epochs=EPOCHS, seed=seed, threads=1,
                runs_folder=str(folder / "runs"), run_name=f"{name}-{seed}",
            )
        )  # fmt: skip
    return found


# --- which views ------------------------------------------------------------------------------------------------------
def padded(reach: int, mode: str) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """Centre and corners of pictures padded by `reach` pixels with their border ("replicate") or with black."""

    def views(images: torch.Tensor) -> list[torch.Tensor]:
        height, width = images.shape[2:]
        large = functional.pad(images.float(), (reach,) * 4, mode=mode)
        return _cut(large, height, width, reach)

    return views


def enlarged(reach: int) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """Centre and corners of pictures enlarged by 2 `reach` pixels, as Krizhevsky et al. cut 224 of 256."""

    def views(images: torch.Tensor) -> list[torch.Tensor]:
        height, width = images.shape[2:]
        size = (height + 2 * reach, width + 2 * reach)
        large = functional.interpolate(images.float(), size=size, mode="bilinear", align_corners=False)
        return _cut(large, height, width, reach)

    return views


def _cut(large: torch.Tensor, height: int, width: int, reach: int) -> list[torch.Tensor]:
    places = ((reach, reach), (0, 0), (0, 2 * reach), (2 * reach, 0), (2 * reach, 2 * reach))
    return [large[:, :, top : top + height, left : left + width] for top, left in places]


OTHERS = {
    **{f"moved by {reach} pixels": padded(reach, "replicate") for reach in (2, 3, 4)},
    "moved by 1 pixel, black outside": padded(1, "constant"),
    **{f"enlarged by {2 * reach} pixels": enlarged(reach) for reach in (1, 2)},
}


def errors_of_views(run: gnomon.Run) -> dict[str, tuple[float, float]]:
    """The error on dev with five views and with their mirror images as well; of one, and of it and its mirror image."""
    task, model = run.task, run.model
    dev = prepare_again(run.folder, None, run.settings, task.kind, in_memory="", moved="").splits["dev"]
    columns = task.encode(dev)
    images, target = columns["image"].permute(0, 3, 1, 2), columns["target"]

    def probabilities(views: Sequence[torch.Tensor]) -> torch.Tensor:
        """(V, N, K)."""
        found = []
        with judging(model):
            for view in views:
                parts = view.round().to(torch.uint8).contiguous(memory_format=torch.channels_last).split(250)
                found.append(
                    torch.cat([task.judge.probabilities(task.outputs(model, {"image": one})) for one in parts])
                )
        return torch.stack(found)

    def both(views: Sequence[torch.Tensor]) -> tuple[float, float]:
        plain, mirrored = probabilities(views), probabilities([view.flip(3) for view in views])
        wrong = [(one.mean(0).argmax(1) != target).double().mean() for one in (plain, torch.cat([plain, mirrored]))]
        return float(wrong[0]), float(wrong[1])

    return {
        "the picture": both([images.float()]),
        "crops, as built in: moved by 1 pixel": both([*cropped(images, 5)]),
    } | {name: both(views(images)) for name, views in OTHERS.items()}


# --- gain and cost ----------------------------------------------------------------------------------------------------
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--runs", type=Path, help="folder for data and runs, used again by a later call")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.runs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.sets:
            runs = runs_of(name, folder)
            print(f"\n{name}: dev error of the first run\n")
            print("| views | alone | with mirror images |\n|---|---|---|")
            for row, errors in errors_of_views(runs[0]).items():
                print(f"| {row} | {' | '.join(f'{100 * one:.1f} %' for one in errors)} |", flush=True)
            _judge(name, runs)


def _judge(name: str, runs: Sequence[gnomon.Run]) -> None:
    best = min(runs, key=lambda run: float(run.evaluation("dev").table["error"].mean()))
    alone = gnomon.Ensemble([best])
    systems = {"one run, the best on dev": alone}
    systems |= {f"crops={crops}": gnomon.Ensemble([best], crops) for crops in (2, 5, 10)}
    systems |= {"three runs": gnomon.Ensemble(runs), "three runs, crops=10": gnomon.Ensemble(runs, 10)}
    fast = milliseconds(alone)
    print(f"\n{name}\n\n| | dev | paired | test | paired | times slower |\n|---|---|---|---|---|---|")
    first = {"dev": alone.evaluation("dev"), "test": alone.test()}
    for title, system in systems.items():
        cells = []
        for split in ("dev", "test"):
            one = first[split] if system is alone else system.test() if split == "test" else system.evaluation(split)
            error, paired = split_error(one), compare_models([one], [first[split]])
            cells += [_percent(error), "" if system is alone else _percent(paired.difference, "+.1f")]
        slow = milliseconds(system)
        print(f"| {title} | {' | '.join(cells)} | {slow / fast:.1f} ({slow:.2g} ms) |", flush=True)


def milliseconds(system: gnomon.Ensemble) -> float:
    """Of CPU, on one thread, for one encoded picture: unlike the time on the clock, the same on a busy machine."""
    each = []
    for member in system.members:
        size = (member.task.encoder.height, member.task.encoder.width)
        batch = {"image": torch.zeros(1, *size, member.task.encoder.channels, dtype=torch.uint8).permute(0, 3, 1, 2)}
        with judging(member.model):
            for calls in (CALLS // 10, CALLS):  # the first ones allocate and choose kernels
                began = time.process_time()
                for _ in range(calls):
                    member.outputs(batch)
        each.append(1000 * (time.process_time() - began) / CALLS)
    return sum(each)


def _percent(one: Interval, form: str = ".1f") -> str:
    return f"{100 * one.value:{form}} [{100 * one.low:{form}}, {100 * one.high:{form}}]"


if __name__ == "__main__":
    main()
