"""What augmentation gives, and what it costs: `python -m benchmarks.augment [gains|speed] [--sets NAME ...]`.

gains: on small parts of cifar10-half, faces and fashion-mnist, one small convnet with every kind of augmentation alone,
with `auto` and with none, three seeds each, the same number of steps, judged on the same dev pictures after the last
step. What is trained is kept in a folder (--kept), so that a run that was cut short goes on where it was. Differences
to none are those of `gnomon compare` over seeds, with 95 % intervals.

speed: what a step of W3 (ResNet-20 on 32x32, batch 128) takes with and without augmentation, and pictures per second
beside a pipeline that does the same to each picture with Pillow, all in one process, turn by turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import DATA
from gnomon.core.augmentation import KINDS

SEEDS = (0, 1, 2)
BATCH = 50
SMALL = {"model": "convnet", "hidden": "", "dropout": 0, "pretrained": False, "threads": 1, "batch_size": BATCH}


@dataclass(frozen=True)
class Set:
    """A part of a data set, and the training on it."""

    place: str
    train: int  # pictures
    dev: int
    epochs: int
    settings: Mapping[str, Any]


SETS = {
    "cifar10-half": Set("cifar10-half.zip", 2_000, 2_000, 30, {"channels": "16,32,64"}),
    "faces": Set("faces", 100, 100, 60, {"channels": "16,32", "image_size": 32, "dev": 0.5}),
    "fashion-mnist": Set("fashion-mnist", 1_000, 2_000, 20, {"channels": "16,32"}),
    "mnist-10k": Set("mnist-10k", 1_000, 1_500, 20, {"channels": "16,32"}),
}


def data_of(one: Set) -> Any:
    """The set, read and split, with so many pictures in train and dev: the same for all seeds."""
    from gnomon.core.settings import from_flat
    from gnomon.workflow.prepare import prepare

    split = {key: one.settings[key] for key in ("dev",) if key in one.settings}
    prepared = prepare(str(DATA / one.place), from_flat({"pretrained": False, **split}))
    rng = np.random.default_rng(0)
    parts = {}
    for name, count in (("train", one.train), ("dev", one.dev)):
        part = prepared.splits[name]
        parts[name] = part.take(np.sort(rng.permutation(len(part))[:count]))
    return replace(prepared, splits=parts)


def trained(prepared: Any, one: Set, augment: str, seed: int) -> Any:
    """The table of dev after the last step."""
    import torch

    from gnomon.core.settings import from_flat
    from gnomon.training.evaluate import encode_whole, evaluate
    from gnomon.training.loop import Job, Judged, build_state, train
    from gnomon.workflow.road.build import own_threads_and_randomness
    from gnomon.workflow.road.follow import Silent
    from gnomon.workflow.session import open_session

    settings = from_flat({**SMALL, **one.settings, "epochs": one.epochs, "augment": augment, "seed": seed})
    session = open_session(prepared, settings)
    job = Job(
        task=session.task, settings=session.settings, columns=encode_whole(session.task, prepared.splits["train"]),
        device=session.device, id_of=str, judge=lambda _model: Judged(0.5, 0.5, {}), watcher=Silent(),
        record=lambda _row: None, save=lambda _state: None, stop_asked=lambda: False,
    )  # fmt: skip
    with own_threads_and_randomness(session):
        train(job, build_state(job, session.model))
    return evaluate(
        session.task, session.model, prepared.splits["dev"], split="dev", source="", device=torch.device("cpu")
    ).table


def gains(sets: Mapping[str, Set], kept: Path, wanted: Sequence[str], seeds: Sequence[int]) -> None:
    import polars as pl

    from gnomon.core.evaluation import SHARE, Evaluation
    from gnomon.strategy.paired import compare_models

    kept.mkdir(parents=True, exist_ok=True)
    for name, one in sets.items():
        prepared = None
        for seed in seeds:
            for augment in wanted:
                file = kept / f"{name}-{augment.replace(':', '_')}-{seed}.parquet"
                if file.exists():
                    continue
                prepared = data_of(one) if prepared is None else prepared
                began = time.perf_counter()
                table = trained(prepared, one, augment, seed)
                table.write_parquet(file)
                took = time.perf_counter() - began
                print(
                    f"{name:14} {augment:28} seed {seed}  {100 * table['error'].mean():5.1f} %  {took:.0f} s",
                    flush=True,
                )
        print(f"\n| {name} | dev error | gain | 95 % interval |\n|---|---:|---:|---|")
        found = {}
        for augment in wanted:
            files = [kept / f"{name}-{augment.replace(':', '_')}-{seed}.parquet" for seed in seeds]
            found[augment] = [Evaluation("dev", SHARE, pl.read_parquet(file)) for file in files if file.exists()]
        for augment, evaluations in found.items():
            error = statistics.mean(100 * one.table["error"].mean() for one in evaluations)
            gain = compare_models(found["none"], evaluations).difference
            about = (
                "" if augment == "none" else f"{100 * gain.value:+.1f} | [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
            )
            print(f"| {augment} | {error:.1f} % | {about or '|'} |")


# --- speed ------------------------------------------------------------------------------------------------------------

PIPELINES = ("shift,mirror", "crop,mirror,colour,cutout", "crop,rotate,mirror,colour,pca,cutout")
PICTURES, SIDE, REPEATS = 128, 32, 30


def by_pillow(kinds: Mapping[str, float], rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """The same changes to one picture (H, W, 3): one affine transform, then colours, then a square."""
    import math

    from PIL import Image, ImageEnhance

    def change(pixels: np.ndarray) -> np.ndarray:
        if kinds.keys() <= {"shift", "mirror"}:  # Pillow has no repeated border
            x, y = (int(one) for one in rng.integers(0, 5, 2))
            picture = Image.fromarray(np.pad(pixels, ((2, 2), (2, 2), (0, 0)), "edge")).crop((x, y, x + SIDE, y + SIDE))
            return np.array(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture)
        picture, side = Image.fromarray(pixels), SIDE
        area = 1 - kinds.get("crop", 0) * rng.random()
        wide = math.sqrt(area)
        angle = math.radians(kinds.get("rotate", 0) * rng.uniform(-1, 1))
        left, top = (rng.random() * (1 - wide) * side for _ in range(2))
        flip = -1 if rng.random() < kinds.get("mirror", 0) else 1
        along, across = wide * math.cos(angle), wide * math.sin(angle)
        a, b, c, d = along * flip, -across, across * flip, along
        middle = side / 2
        x, y = left + wide * middle - a * middle - b * middle, top + wide * middle - c * middle - d * middle
        matrix = (a, b, x, c, d, y)
        picture = picture.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        if "colour" in kinds:
            for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                picture = enhance(picture).enhance(1 + kinds["colour"] * rng.uniform(-1, 1))
            hue, saturation, value = picture.convert("HSV").split()
            turn = int(32 * kinds["colour"] * rng.uniform(-1, 1))
            hue = hue.point(lambda one: (one + turn) % 256)
            picture = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        found = np.array(picture)
        if "pca" in kinds:
            found = np.clip(found + 25 * rng.standard_normal(3), 0, 255).astype(np.uint8)
        if "cutout" in kinds:
            half = side // 4
            row, column = (int(rng.integers(0, side)) for _ in range(2))
            found[max(0, row - half) : row + half, max(0, column - half) : column + half] = 120
        return found

    return change


def speed() -> None:
    import torch

    from benchmarks.w3_resnet20 import WORKLOAD
    from gnomon.core.augmentation import strengths
    from gnomon.core.settings import from_flat
    from gnomon.parts.pictures import PictureEncoder
    from gnomon.training.allocator import keep_freed_memory

    keep_freed_memory()  # as the command line does
    torch.set_num_threads(1)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    pixels = rng.integers(0, 256, (PICTURES, SIDE, SIDE, 3), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    covariance = ((0.06, 0.05, 0.05), (0.05, 0.06, 0.05), (0.05, 0.05, 0.07))
    encoder = PictureEncoder(SIDE, SIDE, 3, (0.5,) * 3, (0.25,) * 3, covariance=covariance)
    model = WORKLOAD.build_torch().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    classes = torch.from_numpy(rng.integers(0, 10, PICTURES))

    def step() -> None:
        inputs = batch.float().div_(255)
        torch.nn.functional.cross_entropy(model(inputs), classes).backward()
        optimiser.step()
        optimiser.zero_grad()

    print("| augment= | of a step of W3 | pictures/s | Pillow, pictures/s | times |\n|---|---:|---:|---:|---:|")
    for augment in PIPELINES:
        regularise = from_flat({"augment": augment}).regularise
        change = by_pillow(strengths(regularise), rng)
        runs: dict[str, Callable[[], object]] = {
            "step": step,
            "ours": lambda regularise=regularise: encoder.augment({"image": batch}, regularise, generator),
            "pillow": lambda change=change: np.stack([change(one) for one in pixels]),
        }
        took: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(REPEATS + 3):
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                if turn >= 3:
                    took[name].append(time.perf_counter() - began)
        middle = {name: statistics.median(each) for name, each in took.items()}
        print(
            f"| `{augment}` | {100 * middle['ours'] / middle['step']:.1f} % | {PICTURES / middle['ours']:,.0f} | "
            f"{PICTURES / middle['pillow']:,.0f} | {middle['pillow'] / middle['ours']:.1f} |",
            flush=True,
        )


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augment", description=__doc__)
    parser.add_argument("what", nargs="*", default=["speed", "gains"], help="gains, speed (default: both)")
    parser.add_argument("--sets", nargs="*", default=list(SETS)[:3])
    parser.add_argument("--kept", type=Path, default=Path("augment-gains"))
    parser.add_argument("--augment", nargs="*", default=["none", *KINDS, "auto"], help="values of augment=, none first")
    parser.add_argument("--epochs", type=int, help="in place of those of the set")
    parser.add_argument("--dev", type=int, help="pictures in dev, in place of those of the set")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    options = parser.parse_args(words)
    if "speed" in options.what:
        speed()
    if "gains" in options.what:
        more = {name: getattr(options, name) for name in ("epochs", "dev") if getattr(options, name)}
        sets = {name: replace(SETS[name], **more) for name in options.sets}
        gains(sets, options.kept, options.augment, options.seeds)


if __name__ == "__main__":
    main()
