"""Error against minutes on half of CIFAR-10, from scratch: `python -m benchmarks.cifar [ROW ...] [--threads 2]`.

The rows, each one command or one loop; all train on the same 17,451 pictures and are judged on the same 2,549 of dev:

- default: `gnomon fit cifar10-half.zip pretrained=no`
- resnet20: the same with model=resnet20
- by hand, resnet20: the same net in a loop of one's own: AdamW, cosine, shifts and mirrors, tensors in memory
- keras, resnet20: the same net, rate, schedule and changes in Keras on torch
- airbench: the fastest recipe found: `gnomon fit cifar10-half.zip` with the settings in AIRBENCH

Minutes are those since training began: of gnomon without the evaluations after epochs, of the others with that of
dev; start-up is not counted. A line per epoch is appended to cifar.jsonl. With --test, the test split of gnomon's rows
is opened at the end: once, when everything is chosen.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nets import built
from benchmarks.w3_resnet20 import build_keras
from benchmarks.workload import DATA

EPOCHS, BATCH, RATE, DECAY, WARMUP = 18, 64, 4e-3, 0.05, 0.05  # what the default of gnomon is for this many pictures
REACH = 2  # pixels of a shift
AIRBENCH = {
    "model": "airbench",
    "optimiser": "nesterov",
    "learning_rate": 0.75,
    "momentum": 0.85,
    "batch_size": 500,
    "weight_decay": 0.0089,
    "schedule": "one-cycle",
    "warmup": 0.2,
    "label_smoothing": 0.2,
    "augment": "shift+mirror+cutout",
    "precision": "bfloat16",
    "epochs": 50,
}
Curve = Iterator[tuple[float, float]]  # (minutes, dev error) after each epoch
Pictures = tuple[np.ndarray, np.ndarray]  # (N, 32, 32, 3) bytes, (N,) classes


def gnomon_with(**settings: Any) -> Callable[[argparse.Namespace], Curve]:
    def run(options: argparse.Namespace) -> Curve:
        import gnomon

        with tempfile.TemporaryDirectory() as folder:
            run = gnomon.fit(
                options.data, pretrained=False, seed=options.seed, threads=options.threads, allocator="keep",
                save_every=3600, runs_folder=folder, **{**settings, **options.set},
            )  # fmt: skip
            began = run.history[0]["seconds"] / 60
            yield from ((max(row["seconds"] / 60, began), row["dev_error"]) for row in run.history)
            if options.test:
                print(run.test())

    return run


def by_hand(options: argparse.Namespace) -> Curve:
    import torch
    from torch.nn import functional

    from gnomon.training.allocator import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    train, dev = split(options)
    (x, y), (dev_x, dev_y) = (
        (torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255)), torch.from_numpy(labels))
        for pixels, labels in (train, dev)
    )
    mean, std = (getattr(x, name)((0, 2, 3), keepdim=True) for name in ("mean", "std"))
    x, dev_x = ((one - mean) / std for one in (x, dev_x))
    model = built("resnet20", 32).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY, fused=True)
    total = options.epochs * -(-len(x) // BATCH)
    rising = max(1, int(WARMUP * total))
    warm = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / rising, 1.0, rising)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, total - rising), RATE / 100)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimiser, [warm, falling], [rising])
    began = time.perf_counter()
    for _ in range(options.epochs):
        model.train()
        for indices in torch.randperm(len(x)).split(BATCH):
            batch = functional.pad(x[indices], (REACH,) * 4, "replicate")
            down, across = torch.randint(0, 2 * REACH + 1, (2, len(indices), 1))
            places = torch.arange(32)
            rows, columns = (down + places)[:, :, None], (across + places)[:, None, :]
            batch = batch.permute(0, 2, 3, 1)[torch.arange(len(indices))[:, None, None], rows, columns]
            batch = torch.where(torch.rand(len(indices), 1, 1, 1) < 0.5, batch.flip(2), batch)
            loss = functional.cross_entropy(model(batch.permute(0, 3, 1, 2)), y[indices])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            wrong = [int((model(part).argmax(1) != labels).sum())
                     for part, labels in zip(dev_x.split(512), dev_y.split(512), strict=True)]  # fmt: skip
        yield (time.perf_counter() - began) / 60, sum(wrong) / len(dev_y)


def by_keras(options: argparse.Namespace) -> Curve:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    keras.utils.set_random_seed(options.seed)
    torch.set_num_threads(options.threads)
    (x, y), (dev_x, dev_y) = split(options)
    steps = options.epochs * -(-len(x) // BATCH)
    rising = max(1, int(WARMUP * steps))
    net = build_keras(keras, (32, 32, 3))
    changes = [
        keras.layers.RandomTranslation(REACH / 32, REACH / 32, fill_mode="nearest", interpolation="nearest"),
        keras.layers.RandomFlip("horizontal"),
    ]
    normalised = keras.layers.Normalization()
    normalised.adapt(x[:10_000] / np.float32(255))
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255), normalised, *changes, net])
    rate = keras.optimizers.schedules.CosineDecay(
        RATE / rising, max(1, steps - rising), alpha=0.01, warmup_target=RATE, warmup_steps=rising
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=DECAY), loss)
    began = time.perf_counter()
    for _ in range(options.epochs):
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        answers = model.predict(dev_x, batch_size=512, verbose=0)
        yield (time.perf_counter() - began) / 60, float((answers.argmax(1) != dev_y).mean())


def split(options: argparse.Namespace) -> tuple[Pictures, Pictures]:
    """Train and dev as gnomon divides them."""
    from PIL import Image

    from gnomon.core.settings import from_flat
    from gnomon.workflow.prepare import prepare

    prepared = prepare(options.data, from_flat({"seed": options.seed, "pretrained": False}))
    found = []
    with zipfile.ZipFile(options.data) as archive:
        places = {name.partition("train/")[2]: name for name in archive.namelist() if "train/" in name}
        classes = sorted({name.partition("/")[0] for name in places if name.endswith((".jpg", ".png"))})
        for which in ("train", "dev"):
            names = [str(one).partition("train/")[2] or str(one) for one in prepared.splits[which].index["id"]]
            pictures = [Image.open(io.BytesIO(archive.read(places[name]))).convert("RGB") for name in names]
            labels = [classes.index(name.partition("/")[0]) for name in names]
            found.append((np.stack([np.asarray(one) for one in pictures]), np.array(labels)))
    return found[0], found[1]


ROWS: dict[str, Callable[[argparse.Namespace], Curve]] = {
    "default": gnomon_with(),
    "resnet20": gnomon_with(model="resnet20", epochs=EPOCHS),
    "by hand, resnet20": by_hand,
    "keras, resnet20": by_keras,
    "airbench": gnomon_with(**AIRBENCH),
}
MINUTES = (0.5, 1, 2, 5, 10, 20, 30)


def table(lines: list[dict[str, Any]]) -> str:
    """The lowest error on the way until each time, and at the end."""
    head = "| | threads | " + " | ".join(f"{one:g} min" for one in MINUTES) + " | end | after |\n"
    text = head + "|---" * (len(MINUTES) + 4) + "|\n"
    for key in dict.fromkeys((line["row"], line["seed"], line["threads"]) for line in lines):
        row = [one for one in lines if (one["row"], one["seed"], one["threads"]) == key]
        last = row[-1]
        cells = []
        for minutes in MINUTES:
            so_far = [one["error"] for one in row if one["minutes"] <= minutes]
            is_over = last["minutes"] <= minutes and len(so_far) == len(row) and cells and cells[-1] == ""
            cells.append("" if not so_far or is_over else f"{100 * min(so_far):.1f} %")
        ended = f"{100 * last['error']:.1f} % | {last['minutes']:.1f} min, {len(row)} epochs |\n"
        text += f"| {key[0]}, seed {key[1]} | {key[2]} | " + " | ".join(cells) + f" | {ended}"
    return text


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cifar", description=__doc__)
    parser.add_argument("rows", nargs="*", help=", ".join(ROWS))
    parser.add_argument("--data", default=str(DATA / "cifar10-half.zip"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the loop by hand and of Keras")
    parser.add_argument("--set", nargs="*", default=[], help="more settings for gnomon")
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--lines", type=Path, default=Path("cifar.jsonl"))
    options = parser.parse_args(words)
    options.set = dict(one.split("=", 1) for one in options.set)
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    for row in options.rows or ROWS:
        for minutes, error in ROWS[row](options):
            line = {"row": row, "seed": options.seed, "threads": options.threads, "minutes": minutes, "error": error}
            with options.lines.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print(table([json.loads(line) for line in options.lines.read_text().splitlines()]))


if __name__ == "__main__":
    main()
